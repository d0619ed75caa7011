//! The contract between a state machine of this crate and whoever drives it.
//!
//! A driver calls [`Machine::poll`] until it says [`Step::Wait`] or [`Step::Done`], carries out the tasks
//! that come out, and hands their outcome to [`Machine::answer`]. Nothing else passes between the two, so
//! the same machine runs on tokio, on threads, in an event loop, and in a simulation.

use std::fmt;
use std::future::Future;
use std::net::IpAddr;
use std::path::PathBuf;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;

use crate::body::BodyCheck;
use crate::credentials::Ticket;
use crate::error::{Phase, SourceError, TransportError};
use crate::files::{FileId, FileReply, FileTask};
use crate::secret::Secret;
use crate::sign::BodyEncoder;
use crate::{Credentials, Error, Timestamp};

/// A point on a clock that only goes forward, counted from an origin that the driver picks.
///
/// Unlike [`std::time::Instant`] it can be constructed, so that a run can be replayed exactly.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Instant(Duration);

impl Instant {
    /// The point this long after the driver's origin.
    pub const fn from_origin(since: Duration) -> Self {
        Self(since)
    }

    /// How long after the origin it is.
    pub const fn since_origin(self) -> Duration {
        self.0
    }

    /// This much later, or the last point there is.
    #[must_use]
    pub const fn saturating_add(self, by: Duration) -> Self {
        Self(self.0.saturating_add(by))
    }

    /// How long after `earlier` this is; zero if it is not after it.
    pub const fn since(self, earlier: Self) -> Duration {
        self.0.saturating_sub(earlier.0)
    }
}

/// What both clocks say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Now {
    /// For waiting and time-outs: only goes forward.
    pub mono: Instant,
    /// For signatures and expiry: may jump.
    pub wall: Timestamp,
}

/// One per task, never reused: a late answer to a dead task is recognised and ignored.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TaskId(u32);

impl TaskId {
    /// The `n`th task of a machine, for machines of your own.
    pub const fn new(n: u32) -> Self {
        Self(n)
    }

    pub(crate) const fn number(self) -> u32 {
        self.0
    }

    /// The id outside of a machine that embeds another, whose ids it counts from `base`.
    pub(crate) const fn offset(self, base: u32) -> Self {
        Self(self.0.wrapping_add(base))
    }

    /// The id inside again; `None` if it is older.
    pub(crate) fn since(self, base: u32) -> Option<Self> {
        self.0.checked_sub(base).map(Self)
    }
}

/// A piece of work that decides everything and touches nothing.
pub trait Machine {
    /// What it yields on its way: a page, a head, progress.
    type Item: Send + 'static;
    /// What it comes to.
    type Output: Send + 'static;

    /// What to do next. Call it until it returns [`Step::Wait`] or [`Step::Done`]; answers may be given
    /// between any two polls.
    fn poll(&mut self, now: Now) -> Step<Self::Item, Self::Output>;

    /// An item that is there already: what the next [`poll`](Self::poll) would yield if nothing was told meanwhile. A
    /// driver may ask for it before it polls, to be spared a look at the clocks for each entry of a list; one that only
    /// polls gets the same items.
    fn take_item(&mut self) -> Option<Self::Item> {
        None
    }

    /// Hands over the outcome of a task, or a part of it. Answers to tasks that are over are ignored.
    fn answer(&mut self, now: Now, id: TaskId, answer: Answer<'_>) -> BodyPlan;

    /// Asks to stop: later polls clean up, and end with [`ErrorKind::Cancelled`](crate::ErrorKind).
    fn cancel(&mut self, now: Now);
}

/// What a machine wants.
#[derive(Debug)]
#[must_use]
pub enum Step<I, T> {
    /// Start this task, and answer to its id.
    Start(TaskId, Task),
    /// Drop this task. Answers that still come are ignored.
    Cancel(TaskId),
    /// Something for the user. Not polling again is the back-pressure.
    Item(I),
    /// Nothing to do until an answer comes or, at the latest, at this point, which lies after `now`.
    Wait(Option<Instant>),
    /// The end. It comes once.
    Done(Result<T, Error>),
}

impl<I, T> Step<I, T> {
    /// The same step with another item, for a machine around another.
    pub fn map_item<J>(self, f: impl FnOnce(I) -> J) -> Step<J, T> {
        match self {
            Self::Start(id, task) => Step::Start(id, task),
            Self::Cancel(id) => Step::Cancel(id),
            Self::Item(item) => Step::Item(f(item)),
            Self::Wait(until) => Step::Wait(until),
            Self::Done(result) => Step::Done(result),
        }
    }

    /// The same step with another end, for a machine around another.
    pub fn map_done<U>(self, f: impl FnOnce(Result<T, Error>) -> Result<U, Error>) -> Step<I, U> {
        match self {
            Self::Start(id, task) => Step::Start(id, task),
            Self::Cancel(id) => Step::Cancel(id),
            Self::Item(item) => Step::Item(item),
            Self::Wait(until) => Step::Wait(until),
            Self::Done(result) => Step::Done(f(result)),
        }
    }
}

/// Work for the driver.
#[derive(Debug)]
#[non_exhaustive]
pub enum Task {
    /// Send this request. Answers: [`Answer::Head`], then as the [`BodyPlan`] says, or [`Answer::Failed`].
    Http(Box<HttpTask>),
    /// Read this file, 4 MiB at most. Answer: [`Answer::File`].
    ReadFile(PathBuf),
    /// Wait for credentials that another call is fetching. Answer: [`Answer::Ready`], once
    /// [`Ticket::on_ready`] calls back.
    AwaitCredentials(Ticket),
    /// Read the next bytes of the source that travels with the call: as many as this, or fewer where it ends.
    /// Answer: [`Answer::Filled`].
    Fill {
        /// How many bytes.
        len: usize,
    },
    /// Do something with files. Answer: [`Answer::Filed`].
    File(FileTask),
    /// Look up the addresses of this host. Answer: [`Answer::Resolved`].
    Resolve(String),
    /// Run a program and read what it prints, 1 MiB at most; its standard input is empty. Answer:
    /// [`Answer::Exited`].
    Run {
        /// The program, looked up in the search path, and its arguments. It may be secret, and is not logged.
        argv: Secret<Vec<String>>,
        /// It is killed after this long.
        limit: Duration,
    },
    /// Wait for the program's own code that provides credentials. Answer: [`Answer::Provided`].
    Provide(Provide),
}

/// The program's own code that provides credentials: a future that an async driver awaits beside its other
/// tasks, and that a blocking one polls on a thread.
pub struct Provide(Pin<Box<dyn Future<Output = Result<Credentials, Error>> + Send>>);

impl Provide {
    pub(crate) fn new(future: impl Future<Output = Result<Credentials, Error>> + Send + 'static) -> Self {
        Self(Box::pin(future))
    }
}

impl Future for Provide {
    type Output = Result<Credentials, Error>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        self.0.as_mut().poll(context)
    }
}

impl fmt::Debug for Provide {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Provide")
    }
}

/// A request that is signed for this one attempt.
pub struct HttpTask {
    /// Absolute URI, all headers that S3 needs, `content-length` included if there is a body.
    pub request: http::Request<Payload>,
    /// Frames the bytes of a [`Payload::Source`]; `None` for the other payloads.
    pub encoder: Option<BodyEncoder>,
    /// How long each phase may take.
    pub timeouts: Timeouts,
    /// Whether to send `Expect: 100-continue` and wait for the answer before the body.
    pub expect_continue: bool,
}

/// What the body of a request is. The core names large bodies; it does not hold them.
#[derive(Clone, Default, PartialEq, Eq)]
pub enum Payload {
    /// No body.
    #[default]
    Empty,
    /// These bytes.
    Bytes(Bytes),
    /// A range of a source that the driver reads.
    Source {
        /// Which source.
        from: SourceId,
        /// The place of the first byte in it.
        offset: u64,
        /// The length, before any framing.
        len: u64,
        /// Whether the source can be read from there again for another attempt. One that cannot is asked for again
        /// only if nothing of it has passed the [encoder](HttpTask::encoder) yet; a driver that has read ahead answers
        /// [`SourceFailed`](Answer::SourceFailed) then.
        replayable: bool,
    },
    /// A source that travels with the call and does not know its length. No single request takes it: an
    /// upload reads it part by part.
    Unsized,
}

/// What a [`Payload::Source`] is read from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SourceId {
    /// The source that travels with the call.
    Call,
    /// A file that the machine has opened.
    File(FileId),
}

/// Where a body under [`BodyPlan::Deliver`] goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sink {
    /// To the user, who reads it.
    User,
    /// Into a file that the machine has created.
    File(FileId),
}

impl Payload {
    /// All of the source that travels with the call.
    pub fn source(len: u64, replayable: bool) -> Self {
        Self::Source { from: SourceId::Call, offset: 0, len, replayable }
    }

    /// The length before any framing.
    pub fn len(&self) -> u64 {
        match self {
            Self::Empty | Self::Unsized => 0,
            Self::Bytes(bytes) => bytes.len() as u64,
            Self::Source { len, .. } => *len,
        }
    }

    /// Whether it can be sent as often as needed.
    pub(crate) fn is_replayable(&self) -> bool {
        !matches!(self, Self::Source { replayable: false, .. })
    }

    /// Whether it is known that there is no byte in it.
    pub fn is_empty(&self) -> bool {
        self.len() == 0 && !matches!(self, Self::Unsized)
    }
}

/// How long each phase of one attempt may take; `None` is for ever.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Timeouts {
    /// Waiting for one of the pool's connections to come free or, over HTTP/2, for room in one.
    pub pool: Option<Duration>,
    /// Looking up the name and connecting to one of its addresses. They are tried one after the other: one that does not
    /// answer is given its share of the time that is left, but at least a second of it.
    pub connect: Option<Duration>,
    /// The TLS handshake.
    pub tls: Option<Duration>,
    /// From the last byte of the request to the first of the answer.
    pub first_byte: Option<Duration>,
    /// Between two bytes of a body, either way, while somebody reads or writes.
    pub idle: Option<Duration>,
    /// In place of `first_byte` and `idle` where the service may work for minutes without a word:
    /// CompleteMultipartUpload, CopyObject, UploadPartCopy. Amazon S3 begins its answer early and sends white space
    /// until it is done; each of these bytes starts the time anew. [`HttpTask::timeouts`] has it in its place already.
    pub slow: Option<Duration>,
}

impl Default for Timeouts {
    /// Pool 30 s, connect 5 s, TLS 10 s, first byte 30 s, idle 30 s, slow 10 min.
    fn default() -> Self {
        let seconds = |s| Some(Duration::from_secs(s));
        Self {
            pool: seconds(30),
            connect: seconds(5),
            tls: seconds(10),
            first_byte: seconds(30),
            idle: seconds(30),
            slow: seconds(600),
        }
    }
}

/// The outcome of a task, or a part of it.
#[derive(Debug)]
#[non_exhaustive]
pub enum Answer<'a> {
    /// Status and headers have come.
    Head(Box<http::response::Parts>),
    /// A piece of a body under [`BodyPlan::Collect`].
    Chunk(&'a [u8]),
    /// The body is over; under [`BodyPlan::Deliver`] with the check that saw it pass.
    End(Option<Box<BodyCheck>>),
    /// The attempt failed, as far as `phase`.
    Failed {
        /// How far it got.
        phase: Phase,
        /// What failed.
        cause: TransportError,
    },
    /// A body under [`BodyPlan::Deliver`] broke off.
    Broken {
        /// What saw as much of it pass as came.
        check: Box<BodyCheck>,
        /// What failed.
        cause: TransportError,
    },
    /// Reading the user's data failed, or writing what came.
    SourceFailed(SourceError),
    /// The next bytes of the source.
    Filled(Result<Bytes, SourceError>),
    /// What a task on files came to.
    Filed(std::io::Result<FileReply>),
    /// What is in the file; `None` if there is no such file, or why it could not be read.
    File(Result<Option<Secret<Vec<u8>>>, String>),
    /// The credentials that somebody else fetched are there, or have failed.
    Ready,
    /// The addresses of a host, or why they are not known.
    Resolved(Result<Vec<IpAddr>, String>),
    /// How a program ended, or why it could not be run or did not end in time.
    Exited(Result<Exit, String>),
    /// What the program's own code came to.
    Provided(Result<Credentials, Error>),
}

/// How a program ended.
#[derive(Debug)]
pub struct Exit {
    /// Its exit status; `None` if a signal ended it.
    pub code: Option<i32>,
    /// What it printed to its standard output, which may be secret.
    pub stdout: Secret<Vec<u8>>,
    /// What it printed to its standard error: for people, at most the last 4 KiB.
    pub stderr: String,
}

/// What to do with the body that follows a head.
#[derive(Debug)]
#[must_use]
pub enum BodyPlan {
    /// Hand it on, each chunk through the check first.
    Deliver {
        /// Where it goes.
        to: Sink,
        /// The place of its first byte there.
        offset: u64,
        /// Counts and hashes; goes back with [`Answer::End`].
        check: Box<BodyCheck>,
    },
    /// Give all of it to the machine with [`Answer::Chunk`] and [`Answer::End`].
    Collect,
    /// Nobody wants it: no more answers to this task. A short rest may be read so that the connection can
    /// be used again.
    Discard,
}

impl fmt::Debug for HttpTask {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HttpTask")
            .field("method", self.request.method())
            .field("uri", &crate::redact::redact_uri(self.request.uri()))
            .field("headers", &crate::redact::redact_headers(self.request.headers()))
            .field("payload", self.request.body())
            .field("timeouts", &self.timeouts)
            .field("expect_continue", &self.expect_continue)
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for Payload {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Empty => f.write_str("Empty"),
            Self::Bytes(bytes) => write!(f, "Bytes({} bytes)", bytes.len()),
            Self::Source { len, .. } => write!(f, "Source({len} bytes)"),
            Self::Unsized => f.write_str("Unsized"),
        }
    }
}

impl From<Bytes> for Payload {
    fn from(bytes: Bytes) -> Self {
        Self::Bytes(bytes)
    }
}
