//! Machines that are written as one function, from top to bottom.
//!
//! A source of credentials is a sequence: read a file, send a request, read its answer, send another. As an
//! `async` function it reads like one, and the compiler makes the state machine. Nothing is awaited here but
//! [`Tasks`], which come out of the machine like those of every other; no runtime is involved.

use std::collections::VecDeque;
use std::fmt;
use std::future::{Future, poll_fn};
use std::net::IpAddr;
use std::path::PathBuf;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use http::response;
use zeroize::Zeroizing;

use crate::client::polled_after_done;
use crate::files::{FileReply, FileTask};
use crate::machine::{
    Answer, BodyPlan, Exit, HttpTask, Instant, Machine, Now, Payload, Provide, Step, Task, TaskId, Timeouts,
};
use crate::retry::Rng;
use crate::session::lock;
use crate::{Credentials, Error, ErrorKind, Phase, Secret, Timestamp, TransportError, TransportErrorKind};

/// The longest answer to a request that a script reads, in bytes.
const MAX_ANSWER: usize = 256 << 10;

/// What a script asks its driver for; see [`CredentialsProvider::new`](crate::credentials::CredentialsProvider::new).
///
/// One thing at a time: a script that asks for something while it waits for something else, or that awaits
/// anything but these functions, fails with [`ErrorKind::ApiMisuse`]. What needs a runtime of its own goes
/// through [`run_future`](Self::run_future).
#[derive(Clone)]
pub struct Tasks(Arc<Mutex<Desk>>);

/// What lies between a script and its machine.
struct Desk {
    now: Now,
    rng: Rng,
    wanted: Option<Wanted>,
    reply: Option<Reply>,
}

enum Wanted {
    Task(Task),
    Until(Instant),
}

enum Reply {
    /// The time has come.
    Time,
    Http(HttpReply),
    TooLong,
    File(Result<Option<Secret<Vec<u8>>>, String>),
    Filed(std::io::Result<FileReply>),
    Resolved(Result<Vec<IpAddr>, String>),
    Exited(Result<Exit, String>),
    Provided(Result<Credentials, Error>),
    /// An answer to something else.
    Misfit,
}

type HttpReply = Result<(Box<response::Parts>, Secret<Vec<u8>>), (Phase, TransportError)>;

impl Tasks {
    fn new(rng: Rng) -> Self {
        // The first poll says what time it is, before anybody can ask.
        let now = Now { mono: Instant::default(), wall: Timestamp::UNIX_EPOCH };
        Self(Arc::new(Mutex::new(Desk { now, rng, wanted: None, reply: None })))
    }

    /// What both clocks say.
    pub fn now(&self) -> Now {
        lock(&self.0).now
    }

    /// A random number between 0 and 1, from the seed of the session.
    pub fn fraction(&self) -> f64 {
        lock(&self.0).rng.fraction()
    }

    /// Sends a request once, and reads its answer, whatever its status; `host` and `content-length` need not
    /// be set.
    ///
    /// # Errors
    /// What went wrong below HTTP, and how far it got; [`ErrorKind::MalformedResponse`] for an answer of more
    /// than 256 KiB.
    pub async fn http(
        &self,
        mut request: http::Request<Payload>,
        timeouts: Timeouts,
    ) -> Result<http::Response<Secret<Vec<u8>>>, Error> {
        let len = request.body().len();
        if len > 0 {
            request.headers_mut().insert(http::header::CONTENT_LENGTH, http::HeaderValue::from(len));
        }
        let task = HttpTask { request, encoder: None, timeouts, expect_continue: false };
        let (head, body) = match self.ask(Wanted::Task(Task::Http(Box::new(task)))).await? {
            Reply::Http(Ok(answer)) => answer,
            Reply::Http(Err((phase, cause))) => return Err(cause.into_error(phase)),
            Reply::TooLong => {
                let message = format!("the answer is longer than the limit of {MAX_ANSWER} bytes");
                return Err(Error::new(ErrorKind::MalformedResponse, message).with_phase(Phase::Body));
            }
            _ => return Err(Error::misfit()),
        };
        let expected =
            head.headers.get(http::header::CONTENT_LENGTH).and_then(|v| v.to_str().ok()?.parse().ok());
        if expected.is_some_and(|expected: u64| (body.expose().len() as u64) < expected) {
            let cause = TransportError::new(TransportErrorKind::Closed, "the answer ended too early");
            return Err(cause.into_error(Phase::Body));
        }
        Ok(http::Response::from_parts(*head, body))
    }

    /// Reads a file of 4 MiB at most; `None` if there is none.
    ///
    /// # Errors
    /// [`ErrorKind::LocalIo`] with the reason why it could not be read.
    pub async fn read_file(&self, path: PathBuf) -> Result<Option<Secret<Vec<u8>>>, Error> {
        let shown = path.display().to_string();
        let content = self.try_file(path).await?;
        content.map_err(|why| Error::new(ErrorKind::LocalIo, format!("{shown} could not be read: {why}")))
    }

    /// As [`read_file`](Self::read_file), with the bare reason.
    pub(crate) async fn try_file(
        &self,
        path: PathBuf,
    ) -> Result<Result<Option<Secret<Vec<u8>>>, String>, Error> {
        match self.ask(Wanted::Task(Task::ReadFile(path))).await? {
            Reply::File(content) => Ok(content),
            _ => Err(Error::misfit()),
        }
    }

    /// Writes a small file that only its owner may read, in one step.
    ///
    /// # Errors
    /// Why it could not be written.
    pub async fn save_file(&self, path: PathBuf, content: Secret<Vec<u8>>) -> Result<(), Error> {
        let shown = path.display().to_string();
        match self.ask(Wanted::Task(Task::File(FileTask::Save { path, content }))).await? {
            Reply::Filed(Ok(_)) => Ok(()),
            Reply::Filed(Err(error)) => {
                Err(Error::local_io(format_args!("{shown} could not be written"), error))
            }
            _ => Err(Error::misfit()),
        }
    }

    /// Looks up the addresses of a host.
    ///
    /// # Errors
    /// [`ErrorKind::Dns`] with the reason.
    pub async fn resolve(&self, host: &str) -> Result<Vec<IpAddr>, Error> {
        match self.ask(Wanted::Task(Task::Resolve(host.to_owned()))).await? {
            Reply::Resolved(addresses) => addresses.map_err(|why| {
                Error::new(ErrorKind::Dns, format!("'{}' has no address: {why}", host.escape_debug()))
            }),
            _ => Err(Error::misfit()),
        }
    }

    /// Runs a program without a shell, and reads what it prints; it is killed after `limit`.
    ///
    /// # Errors
    /// Why it could not be run, or that it took too long.
    pub async fn run(&self, argv: Secret<Vec<String>>, limit: Duration) -> Result<Exit, Error> {
        match self.ask(Wanted::Task(Task::Run { argv, limit })).await? {
            Reply::Exited(exit) => exit.map_err(|why| Error::new(ErrorKind::LocalIo, why)),
            _ => Err(Error::misfit()),
        }
    }

    /// Has the driver wait for a future that needs a runtime, threads, or time of its own.
    ///
    /// # Errors
    /// What the future says.
    pub async fn run_future(
        &self,
        future: impl Future<Output = Result<Credentials, Error>> + Send + 'static,
    ) -> Result<Credentials, Error> {
        match self.ask(Wanted::Task(Task::Provide(Provide::new(future)))).await? {
            Reply::Provided(result) => result,
            _ => Err(Error::misfit()),
        }
    }

    /// Lets this much time pass.
    ///
    /// # Errors
    /// [`ErrorKind::ApiMisuse`] as above.
    pub async fn wait(&self, time: Duration) -> Result<(), Error> {
        let now = self.now().mono;
        let until = now.saturating_add(time);
        if until <= now {
            return Ok(());
        }
        self.ask(Wanted::Until(until)).await.map(drop)
    }

    async fn ask(&self, wanted: Wanted) -> Result<Reply, Error> {
        {
            let mut desk = lock(&self.0);
            if desk.wanted.is_some() {
                return Err(Error::new(ErrorKind::ApiMisuse, "a script asks for one thing at a time"));
            }
            desk.reply = None;
            desk.wanted = Some(wanted);
        }
        Ok(poll_fn(|_| lock(&self.0).reply.take().map_or(Poll::Pending, Poll::Ready)).await)
    }
}

impl fmt::Debug for Tasks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Tasks")
    }
}

/// A script that is under way.
pub(crate) type Flow<T> = Pin<Box<dyn Future<Output = Result<T, Error>> + Send>>;

/// A machine made of an `async` function.
pub(crate) struct Script<T> {
    /// `None` once it is over. The lock is never contended: it makes the machine `Sync`.
    flow: Option<Mutex<Flow<T>>>,
    waiter: Waiter,
    next_id: u32,
    dropped: VecDeque<TaskId>,
    cancelled: bool,
}

/// What a script waits for, whatever it comes to: code that is not compiled for each type.
struct Waiter {
    tasks: Tasks,
    state: State,
}

enum State {
    /// The flow goes on.
    Ready,
    /// A task is under way.
    Running(TaskId),
    /// The answer of this request is being read.
    Reading(TaskId, Box<response::Parts>, Zeroizing<Vec<u8>>),
    Waiting(Instant),
}

impl<T: Send + 'static> Script<T> {
    /// `flow` is called at once, and polled later.
    pub(crate) fn new<F>(rng: Rng, flow: impl FnOnce(Tasks) -> F) -> Self
    where
        F: Future<Output = Result<T, Error>> + Send + 'static,
    {
        let tasks = Tasks::new(rng);
        let flow: Flow<T> = Box::pin(flow(tasks.clone()));
        Self {
            flow: Some(Mutex::new(flow)),
            waiter: Waiter { tasks, state: State::Ready },
            next_id: 0,
            dropped: VecDeque::new(),
            cancelled: false,
        }
    }

    /// The task that is under way.
    pub(crate) fn running(&self) -> Option<TaskId> {
        self.waiter.running()
    }
}

impl<T: Send + 'static> Machine for Script<T> {
    type Item = ();
    type Output = T;

    fn poll(&mut self, now: Now) -> Step<(), T> {
        lock(&self.waiter.tasks.0).now = now;
        if let Some(id) = self.dropped.pop_front() {
            return Step::Cancel(id);
        }
        let Some(flow) = &mut self.flow else { return Step::Done(Err(polled_after_done())) };
        if self.cancelled {
            self.flow = None;
            return Step::Done(Err(Error::cancelled()));
        }
        match &self.waiter.state {
            State::Running(_) | State::Reading(..) => return Step::Wait(None),
            State::Waiting(until) if *until > now.mono => return Step::Wait(Some(*until)),
            State::Waiting(_) => self.waiter.reply(Reply::Time),
            State::Ready => {}
        }
        let flow = flow.get_mut().unwrap_or_else(std::sync::PoisonError::into_inner);
        if let Poll::Ready(result) = flow.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
            self.flow = None;
            return Step::Done(result);
        }
        // What is wanted stays on the desk, as a sign that it is busy.
        let wanted = lock(&self.waiter.tasks.0).wanted.replace(Wanted::Until(now.mono));
        match wanted {
            Some(Wanted::Task(task)) => {
                let id = TaskId::new(self.next_id);
                self.next_id += 1;
                self.waiter.state = State::Running(id);
                Step::Start(id, task)
            }
            Some(Wanted::Until(until)) => {
                self.waiter.state = State::Waiting(until);
                Step::Wait(Some(until))
            }
            None => {
                self.flow = None;
                let message = "a provider of credentials awaits something of which the driver does not know: \
                               use Tasks::run_future for it";
                Step::Done(Err(Error::new(ErrorKind::ApiMisuse, message)))
            }
        }
    }

    fn answer(&mut self, now: Now, id: TaskId, answer: Answer<'_>) -> BodyPlan {
        self.waiter.answer(now, id, answer)
    }

    fn cancel(&mut self, _: Now) {
        if self.flow.is_some() && !self.cancelled {
            self.cancelled = true;
            self.dropped.extend(self.running());
            self.waiter.state = State::Ready;
        }
    }
}

impl Waiter {
    fn running(&self) -> Option<TaskId> {
        match &self.state {
            State::Running(id) | State::Reading(id, ..) => Some(*id),
            State::Ready | State::Waiting(_) => None,
        }
    }

    fn reply(&mut self, reply: Reply) {
        self.state = State::Ready;
        let mut desk = lock(&self.tasks.0);
        desk.wanted = None;
        desk.reply = Some(reply);
    }

    fn answer(&mut self, now: Now, id: TaskId, answer: Answer<'_>) -> BodyPlan {
        if self.running() != Some(id) {
            return BodyPlan::Discard;
        }
        lock(&self.tasks.0).now = now;
        match (std::mem::replace(&mut self.state, State::Ready), answer) {
            (State::Running(id), Answer::Head(head)) => {
                let expected = head.headers.get(http::header::CONTENT_LENGTH);
                let expected = expected.and_then(|v| v.to_str().ok()?.parse().ok()).unwrap_or(0);
                // At once, so that growing leaves no copies of secrets behind.
                let body = Zeroizing::new(Vec::with_capacity(MAX_ANSWER.min(expected)));
                self.state = State::Reading(id, head, body);
                return BodyPlan::Collect;
            }
            (State::Reading(id, head, mut body), Answer::Chunk(chunk)) => {
                let len = body.len() + chunk.len();
                if len > MAX_ANSWER {
                    self.reply(Reply::TooLong);
                    return BodyPlan::Discard;
                }
                if len > body.capacity() {
                    // Growing in place would leave a part of a secret behind.
                    let mut longer = Zeroizing::new(Vec::with_capacity(len.next_power_of_two()));
                    longer.extend_from_slice(&body);
                    body = longer;
                }
                body.extend_from_slice(chunk);
                self.state = State::Reading(id, head, body);
                return BodyPlan::Collect;
            }
            (State::Reading(_, head, mut body), Answer::End(_)) => {
                let body = Secret::new(std::mem::take(&mut *body));
                self.reply(Reply::Http(Ok((head, body))));
            }
            (_, Answer::Failed { phase, cause }) => self.reply(Reply::Http(Err((phase, cause)))),
            (State::Running(_), Answer::File(content)) => self.reply(Reply::File(content)),
            (State::Running(_), Answer::Filed(result)) => self.reply(Reply::Filed(result)),
            (State::Running(_), Answer::Resolved(addresses)) => self.reply(Reply::Resolved(addresses)),
            (State::Running(_), Answer::Exited(exit)) => self.reply(Reply::Exited(exit)),
            (State::Running(_), Answer::Provided(result)) => self.reply(Reply::Provided(result)),
            _ => self.reply(Reply::Misfit),
        }
        BodyPlan::Discard
    }
}

impl<T> fmt::Debug for Script<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Script").field("over", &self.flow.is_none()).finish_non_exhaustive()
    }
}
