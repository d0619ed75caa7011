//! The loop that carries out what a machine asks for.

use std::fs::File;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use s3_proto::files::FileId;
use s3_proto::{
    Answer, BodyCheck, BodyPlan, Error, ErrorKind, HttpTask, Instant, Machine, Now, Payload, Phase, Sink,
    SourceError, SourceId, Step, Task, TaskId,
};

use super::runtime::{Alarm, Runtime, spawned};
use super::sink::{self, End, Writer};
use super::source::{Filler, Reader, Source, file_range};
use super::tasks::Tasks;
use super::transport::{Download, Transport};
use super::watch::Watch;
use crate::effects::{self, Effect};
use crate::{Cancel, Failure, Files, Unanswered};

/// A machine on its way.
pub(crate) struct Run<R: Runtime, M: Machine> {
    machine: M,
    transport: Arc<Transport<R>>,
    /// Notices that the user wants no more, until the machine was told.
    watch: Option<Watch>,
    source: Option<Source>,
    /// Reads the source for [`Task::Fill`], once it was asked for and while it is not at work.
    filler: Option<Filler>,
    /// The files that the machine has opened, if it has.
    files: Option<Files>,
    /// Whether there is a user to hand bodies to; without one they are read and checked here.
    deliver: bool,
    tasks: Tasks<Outcome>,
    /// Since the machine has nothing to do.
    waiting: Option<Waiting>,
    /// What the clocks said when the machine was last told something from outside.
    now: Option<Now>,
    alarm: Alarm,
    delivery: Option<Delivery>,
    /// What made us cancel.
    failed: Option<Error>,
}

/// Until when a machine waits at the latest, if there is a latest.
#[derive(Clone, Copy)]
struct Waiting {
    until: Option<Instant>,
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

enum Outcome {
    Head(Box<http::response::Parts>, Download),
    Chunk(Bytes, Download),
    Collected,
    Delivered(End),
    Unanswered(Unanswered),
    Filled(Result<Bytes, SourceError>, Option<Filler>),
    Effect(Effect),
    Ready,
    /// There is no way to go on.
    Wrong(Error),
}

impl<R: Runtime, M: Machine> Run<R, M> {
    /// `deliver` is whether bodies are for a user; `cancel` cancels the machine when it is used.
    pub(crate) fn new(
        machine: M,
        transport: Arc<Transport<R>>,
        source: Option<Source>,
        cancel: Option<&Cancel>,
        deliver: bool,
    ) -> Self {
        Self {
            machine,
            watch: cancel.map(Watch::new),
            source,
            filler: None,
            files: None,
            deliver,
            tasks: Tasks::new(),
            waiting: None,
            now: None,
            alarm: transport.clock().alarm(),
            transport,
            delivery: None,
            failed: None,
        }
    }

    /// Goes on to the end; items are dropped.
    pub(crate) fn finish(mut self) -> impl Future<Output = Result<M::Output, Error>> {
        std::future::poll_fn(move |cx| {
            loop {
                if let Progress::Done(result) = ready!(self.poll_next(cx)) {
                    return Poll::Ready(result);
                }
            }
        })
    }

    /// An item that is there already.
    pub(crate) fn take_item(&mut self) -> Option<M::Item> {
        if self.is_cancelled() { None } else { self.machine.take_item() }
    }

    /// Goes on to the next thing that concerns the user.
    pub(crate) fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Progress<M::Item, M::Output>> {
        // Good until something is waited for.
        let mut now = self.now.take();
        let mut started = false;
        loop {
            if let Some(Waiting { until }) = self.waiting {
                let waited = ready!(self.poll_wait(cx, until));
                self.waiting = None;
                let now = *now.insert(self.transport.clock().both());
                match waited {
                    Ok(Some((id, outcome))) => self.outcome(now, id, outcome),
                    Ok(None) => {}
                    Err(error) => return Poll::Ready(Progress::Done(Err(error))),
                }
            }
            let now = *now.get_or_insert_with(|| self.transport.clock().both());
            if self.is_cancelled() {
                self.watch = None;
                self.machine.cancel(now);
            }
            if let Some(delivery) = self.delivery.take() {
                return Poll::Ready(Progress::Body(delivery));
            }
            match self.machine.poll(now) {
                Step::Start(id, task) => {
                    self.start(id, task);
                    started = true;
                }
                Step::Cancel(id) => self.abort(id),
                Step::Item(item) => {
                    // Whoever gets it may take their time: what was asked for is under way meanwhile.
                    if started && let Poll::Ready(Some((id, outcome))) = self.tasks.poll_next(cx) {
                        self.outcome(now, id, outcome);
                    }
                    return Poll::Ready(Progress::Item(item));
                }
                Step::Done(result) => {
                    return Poll::Ready(Progress::Done(self.failed.take().map_or(result, Err)));
                }
                Step::Wait(until) => self.waiting = Some(Waiting { until }),
            }
        }
    }

    /// Whether the user wants no more, and the machine does not know it yet.
    fn is_cancelled(&self) -> bool {
        self.watch.as_ref().is_some_and(Watch::is_cancelled)
    }

    /// Whether the user wants no more; if not yet, the task is woken then.
    pub(crate) fn poll_cancelled(&self, cx: &Context<'_>) -> bool {
        self.watch.as_ref().is_some_and(|watch| watch.poll(cx))
    }

    /// Tells the machine how a task went. What follows from it shows in the next steps, which are to be taken at once.
    pub(crate) fn answer(&mut self, id: TaskId, answer: Answer<'_>) {
        self.waiting = None;
        let now = *self.now.insert(self.transport.clock().both());
        let _ = self.machine.answer(now, id, answer);
    }

    /// Waits for a task to come to something; `None` if it is time to ask the machine again.
    fn poll_wait(
        &mut self,
        cx: &mut Context<'_>,
        until: Option<Instant>,
    ) -> Poll<Result<Option<(TaskId, Outcome)>, Error>> {
        if self.tasks.is_empty() && until.is_none() {
            let message = "the machine waits, but nothing is under way";
            return Poll::Ready(Err(Error::new(ErrorKind::ApiMisuse, message)));
        }
        if self.poll_cancelled(cx) {
            return Poll::Ready(Ok(None));
        }
        if let Poll::Ready(finished) = self.tasks.poll_next(cx) {
            return Poll::Ready(Ok(finished));
        }
        match until {
            Some(until) => self.alarm.poll(cx, until).map(|()| Ok(None)),
            None => Poll::Pending,
        }
    }

    fn start(&mut self, id: TaskId, task: Task) {
        match task {
            Task::Http(task) => {
                let transport = self.transport.clone();
                let reader = self.reader(&task);
                self.tasks.push(id, async move {
                    let sent = match reader {
                        Ok(reader) => transport.send(task, reader).await,
                        Err(error) => Err(Unanswered::Source(error.into())),
                    };
                    match sent {
                        Ok((head, download)) => Outcome::Head(head.into(), download),
                        Err(error) => Outcome::Unanswered(error),
                    }
                });
            }
            Task::Fill { len } => {
                let filler = self.filler();
                self.tasks.push(id, async move {
                    match filler {
                        Ok(mut filler) => Outcome::Filled(filler.fill(len).await, Some(filler)),
                        Err(error) => Outcome::Filled(Err(error.into()), None),
                    }
                });
            }
            Task::AwaitCredentials(ticket) => {
                let (sender, receiver) = tokio::sync::oneshot::channel::<()>();
                ticket.on_ready(move || {
                    // Nobody waits any more if this fails.
                    let _ = sender.send(());
                });
                self.tasks.push(id, async move {
                    // A call-back that is dropped also means that there is nothing to wait for.
                    let _ = receiver.await;
                    Outcome::Ready
                });
            }
            Task::Resolve(host) => {
                let lookup = self.transport.resolve(&host, 0);
                self.tasks.push(id, async move {
                    let addresses = match lookup.await {
                        Ok(addresses) => Ok(addresses.iter().map(SocketAddr::ip).collect()),
                        Err(error) => Err(error.to_string()),
                    };
                    Outcome::Effect(Effect::Resolved(addresses))
                });
            }
            // It may belong to the runtime, and is dropped with the task.
            Task::Provide(provide) => {
                self.tasks.push(id, async move { Outcome::Effect(Effect::Provided(provide.await)) });
            }
            other => {
                let files = self.files.get_or_insert_default().clone();
                let effect = R::blocking(move || effects::perform(&files, other, &Cancel::never()));
                self.tasks.push(id, async move {
                    let message = match effect.await {
                        Ok(Ok(effect)) => return Outcome::Effect(effect),
                        // A newer core has learned something that this driver has not.
                        Ok(Err(task)) => format!("this driver cannot carry out {task:?}"),
                        Err(error) => format!("the runtime does not carry out what may block: {error}"),
                    };
                    Outcome::Wrong(Error::new(ErrorKind::ApiMisuse, message))
                });
            }
        }
    }

    /// What the payload of a request is read from.
    fn reader(&mut self, task: &HttpTask) -> io::Result<Option<Reader>> {
        match *task.request.body() {
            Payload::Source { from: SourceId::File(file), offset, len, .. } => {
                Ok(Some(file_range::<R>(self.file(file)?, offset, len)))
            }
            Payload::Source { offset, len, .. } => {
                self.source.as_ref().map(|source| source.range::<R>(offset, len)).transpose()
            }
            _ => Ok(None),
        }
    }

    fn file(&mut self, id: FileId) -> io::Result<Arc<File>> {
        self.files.get_or_insert_default().get(id)
    }

    fn filler(&mut self) -> io::Result<Filler> {
        match (self.filler.take(), &self.source) {
            (Some(filler), _) => Ok(filler),
            (None, Some(source)) => source.filler::<R>(),
            (None, None) => Err(io::Error::other("no source came with the call")),
        }
    }

    fn abort(&mut self, id: TaskId) {
        self.delivery.take_if(|delivery| delivery.id == id);
        self.tasks.abort(id);
    }

    fn outcome(&mut self, now: Now, id: TaskId, outcome: Outcome) {
        let answer = match outcome {
            Outcome::Head(head, download) => {
                let plan = self.machine.answer(now, id, Answer::Head(head));
                return self.body(id, plan, download);
            }
            Outcome::Chunk(bytes, download) => {
                return match self.machine.answer(now, id, Answer::Chunk(&bytes)) {
                    BodyPlan::Discard => self.body(id, BodyPlan::Discard, download),
                    _ => self.tasks.push(id, collect(download)),
                };
            }
            Outcome::Wrong(error) => {
                // The machine may have something to put in order yet.
                self.failed.get_or_insert(error);
                return self.machine.cancel(now);
            }
            Outcome::Filled(bytes, filler) => {
                self.filler = filler;
                Answer::Filled(bytes)
            }
            Outcome::Collected => Answer::End(None),
            Outcome::Delivered(End::Complete(check)) => Answer::End(Some(check)),
            Outcome::Delivered(End::Broken(check, cause)) => Answer::Broken { check, cause },
            Outcome::Delivered(End::Unwritten(error)) | Outcome::Unanswered(Unanswered::Source(error)) => {
                Answer::SourceFailed(error)
            }
            Outcome::Unanswered(Unanswered::Failed(Failure { phase, cause })) => {
                Answer::Failed { phase, cause }
            }
            Outcome::Effect(effect) => effect.into_answer(),
            Outcome::Ready => Answer::Ready,
        };
        let _ = self.machine.answer(now, id, answer);
    }

    fn body(&mut self, id: TaskId, plan: BodyPlan, download: Download) {
        match plan {
            BodyPlan::Collect if download.is_over() => self.answer(id, Answer::End(None)),
            BodyPlan::Collect => self.tasks.push(id, collect(download)),
            BodyPlan::Deliver { to: Sink::User, check, .. } if self.deliver => {
                self.delivery = Some(Delivery { id, download, check });
            }
            BodyPlan::Deliver { to: Sink::User, check, .. } => {
                let read = sink::read::<R>(download, check, None);
                self.tasks.push(id, async move { Outcome::Delivered(read.await) });
            }
            BodyPlan::Deliver { to: Sink::File(file), offset, check } => match self.file(file) {
                // On a task of its own: several bodies are hashed at once.
                Ok(file) => {
                    let read = sink::read(download, check, Some(Writer::<R>::new(file, offset)));
                    let read = spawned::<R, _>(read);
                    self.tasks.push(id, async move {
                        match read.await {
                            Some(end) => Outcome::Delivered(end),
                            None => {
                                Outcome::Wrong(Error::new(ErrorKind::LocalIo, "the runtime is shut down"))
                            }
                        }
                    });
                }
                Err(error) => self.answer(id, Answer::SourceFailed(error.into())),
            },
            BodyPlan::Discard => {
                // Beside everything else, and not for long.
                R::spawn(download.discard());
            }
        }
    }
}

/// Reads the next piece of a body for the machine.
async fn collect(mut download: Download) -> Outcome {
    match download.chunk().await {
        Some(Ok(bytes)) => Outcome::Chunk(bytes, download),
        Some(Err(cause)) => Outcome::Unanswered(Unanswered::Failed(Failure { phase: Phase::Body, cause })),
        None => Outcome::Collected,
    }
}
