//! The loop that carries out what a machine asks for.

use std::future::Future;
use std::io;
use std::path::PathBuf;
use std::pin::Pin;
use std::sync::Arc;

use bytes::Bytes;
use futures_util::StreamExt as _;
use futures_util::future::{AbortHandle, Abortable};
use futures_util::stream::FuturesUnordered;
use s3_io::{Failure, files};
use s3_proto::{
    Answer, BodyCheck, BodyPlan, Error, ErrorKind, HttpTask, Instant, Machine, Payload, Phase, Secret, Step,
    Task, TaskId,
};

use crate::clock::Clock;
use crate::source::{Reader, Source};
use crate::transport::{Download, Transport, Unanswered};

/// A machine on its way.
pub(crate) struct Run<M: Machine> {
    machine: M,
    transport: Arc<Transport>,
    clock: Clock,
    source: Option<Source>,
    /// Whether there is a user to hand bodies to; without one they are read and checked here.
    deliver: bool,
    tasks: FuturesUnordered<Working>,
    handles: Vec<(TaskId, AbortHandle)>,
    delivery: Option<Delivery>,
    /// What made us cancel.
    failed: Option<Error>,
}

/// A body for the user.
#[derive(Debug)]
pub(crate) struct Delivery {
    pub(crate) id: TaskId,
    pub(crate) download: Download,
    pub(crate) check: Box<BodyCheck>,
}

/// What a machine has come to.
pub(crate) enum Progress<I, T> {
    Item(I),
    Body(Delivery),
    Done(Result<T, Error>),
}

type Working = Pin<Box<dyn Future<Output = Option<(TaskId, Outcome)>> + Send>>;

enum Outcome {
    Head(Box<(http::response::Parts, Download)>),
    Chunk(Bytes, Download),
    End(Option<Box<BodyCheck>>),
    Wrong(Error),
    Unanswered(Unanswered),
    File(Result<Option<Secret<Vec<u8>>>, String>),
    Ready,
}

impl<M: Machine> Run<M> {
    pub(crate) fn new(
        machine: M,
        transport: Arc<Transport>,
        clock: Clock,
        source: Option<Source>,
        deliver: bool,
    ) -> Self {
        let (tasks, handles) = (FuturesUnordered::new(), Vec::new());
        Self { machine, transport, clock, source, deliver, tasks, handles, delivery: None, failed: None }
    }

    /// Goes on to the next thing that concerns the user.
    pub(crate) async fn next(&mut self) -> Progress<M::Item, M::Output> {
        loop {
            if let Some(delivery) = self.delivery.take() {
                return Progress::Body(delivery);
            }
            match self.machine.poll(self.clock.now()) {
                Step::Start(id, task) => self.start(id, task),
                Step::Cancel(id) => self.abort(id),
                Step::Item(item) => return Progress::Item(item),
                Step::Done(result) => return Progress::Done(self.failed.take().map_or(result, Err)),
                Step::Wait(until) => match self.wait(until).await {
                    Ok(Some((id, outcome))) => self.answer(id, outcome),
                    Ok(None) => {}
                    Err(error) => return Progress::Done(Err(error)),
                },
            }
        }
    }

    /// Tells the machine how the body went that the user was reading.
    pub(crate) fn delivered(&mut self, id: TaskId, answer: Answer<'_>) {
        // What follows from it shows in the next steps.
        let _ = self.machine.answer(self.clock.now(), id, answer);
    }

    async fn wait(&mut self, until: Option<Instant>) -> Result<Option<(TaskId, Outcome)>, Error> {
        let deadline = until.and_then(|until| self.clock.at(until));
        if self.tasks.is_empty() {
            let Some(deadline) = deadline else {
                let message = "the machine waits, but nothing is under way";
                return Err(Error::new(ErrorKind::ApiMisuse, message));
            };
            tokio::time::sleep_until(deadline).await;
            return Ok(None);
        }
        let next = self.tasks.next();
        let finished = match deadline {
            Some(deadline) => match tokio::time::timeout_at(deadline, next).await {
                Ok(finished) => finished,
                Err(_) => return Ok(None),
            },
            None => next.await,
        };
        // The outer `None` is an empty set, the inner one a task that was cancelled.
        let finished = finished.flatten();
        if let Some((id, _)) = &finished {
            self.handles.retain(|(other, _)| other != id);
        }
        Ok(finished)
    }

    fn start(&mut self, id: TaskId, task: Task) {
        match task {
            Task::Http(task) => {
                let reader = match self.reader(&task) {
                    Ok(reader) => reader,
                    Err(error) => {
                        let error = Unanswered::Source(error.into());
                        return self.work(id, async move { Outcome::Unanswered(error) });
                    }
                };
                let transport = self.transport.clone();
                self.work(id, async move {
                    match transport.send(*task, reader).await {
                        Ok(answer) => Outcome::Head(Box::new(answer)),
                        Err(error) => Outcome::Unanswered(error),
                    }
                });
            }
            Task::ReadFile(path) => self.work(id, read_file(path)),
            Task::AwaitCredentials(ticket) => {
                let (sender, receiver) = tokio::sync::oneshot::channel::<()>();
                ticket.on_ready(move || {
                    // Nobody waits any more if this fails.
                    let _ = sender.send(());
                });
                self.work(id, async move {
                    // A call-back that is dropped also means that there is nothing to wait for.
                    let _ = receiver.await;
                    Outcome::Ready
                });
            }
            other => {
                // A newer core has learned something that this driver has not.
                let message = format!("this driver cannot carry out {other:?}");
                self.work(id, async move { Outcome::Wrong(Error::new(ErrorKind::ApiMisuse, message)) });
            }
        }
    }

    fn reader(&mut self, task: &HttpTask) -> io::Result<Option<Reader>> {
        match (task.request.body(), &mut self.source) {
            (Payload::Source { .. }, Some(source)) => source.start().map(Some),
            _ => Ok(None),
        }
    }

    fn work(&mut self, id: TaskId, task: impl Future<Output = Outcome> + Send + 'static) {
        let (handle, registration) = AbortHandle::new_pair();
        let task = Abortable::new(task, registration);
        self.handles.push((id, handle));
        self.tasks.push(Box::pin(async move { task.await.ok().map(|outcome| (id, outcome)) }));
    }

    fn abort(&mut self, id: TaskId) {
        self.delivery.take_if(|delivery| delivery.id == id);
        self.handles.retain(|(other, handle)| {
            let keep = *other != id;
            if !keep {
                handle.abort();
            }
            keep
        });
    }

    fn answer(&mut self, id: TaskId, outcome: Outcome) {
        let now = self.clock.now();
        match outcome {
            Outcome::Head(answer) => {
                let (head, download) = *answer;
                let plan = self.machine.answer(now, id, Answer::Head(&head));
                self.body(id, plan, download);
            }
            Outcome::Chunk(bytes, download) => match self.machine.answer(now, id, Answer::Chunk(&bytes)) {
                BodyPlan::Discard => self.body(id, BodyPlan::Discard, download),
                _ => self.work(id, collect(download)),
            },
            Outcome::End(check) => self.delivered(id, Answer::End(check)),
            Outcome::Wrong(error) => {
                // The machine may have something to put in order yet.
                self.failed.get_or_insert(error);
                self.machine.cancel(now);
            }
            Outcome::Unanswered(Unanswered::Failed(Failure { phase, cause })) => {
                self.delivered(id, Answer::Failed { phase, cause });
            }
            Outcome::Unanswered(Unanswered::Source(error)) => {
                self.delivered(id, Answer::SourceFailed(error));
            }
            Outcome::File(contents) => self.delivered(id, Answer::File(contents)),
            Outcome::Ready => self.delivered(id, Answer::Ready),
        }
    }

    fn body(&mut self, id: TaskId, plan: BodyPlan, download: Download) {
        match plan {
            BodyPlan::Collect => self.work(id, collect(download)),
            BodyPlan::Deliver { check, .. } if self.deliver => {
                self.delivery = Some(Delivery { id, download, check });
            }
            BodyPlan::Deliver { check, .. } => self.work(id, drain(download, check)),
            BodyPlan::Discard => {
                // Beside everything else, and not for long.
                tokio::spawn(download.discard());
            }
        }
    }
}

/// Reads the next piece of a body for the machine.
async fn collect(mut download: Download) -> Outcome {
    match download.chunk().await {
        Some(Ok(bytes)) => Outcome::Chunk(bytes, download),
        Some(Err(cause)) => Outcome::Unanswered(Unanswered::Failed(Failure { phase: Phase::Body, cause })),
        None => Outcome::End(None),
    }
}

/// Reads a body that nobody wants to see, and checks it.
async fn drain(mut download: Download, mut check: Box<BodyCheck>) -> Outcome {
    loop {
        match download.chunk().await {
            Some(Ok(bytes)) => {
                if let Err(error) = check.update(&bytes) {
                    return Outcome::Wrong(error);
                }
            }
            Some(Err(cause)) => {
                return Outcome::Unanswered(Unanswered::Failed(Failure { phase: Phase::Body, cause }));
            }
            None => return Outcome::End(Some(check)),
        }
    }
}

async fn read_file(path: PathBuf) -> Outcome {
    let read = tokio::task::spawn_blocking(move || files::read_small(&path)).await;
    Outcome::File(read.unwrap_or_else(|error| Err(error.to_string())))
}
