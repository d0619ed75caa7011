//! S3 in an event loop of your own: one thread, no async, several machines at once.
//!
//! ```text
//! cargo run --release -p s3-proto --example event_loop
//! ```
//!
//! Sockets and readiness come from `mio`, HTTP/1.1 from the codec `ureq-proto`; everything about S3 comes from the
//! machines. The server is an embedded one. A program of its own would add TLS, which rustls offers without I/O as
//! well, and keep its connections.

#![allow(clippy::print_stdout, reason = "it is there to be watched")]
#![allow(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    reason = "this is not the core, but what drives it"
)]

use std::collections::BTreeMap;
use std::error::Error;
use std::io::{self, Read as _, Write as _};
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use mio::net::TcpStream;
use mio::{Events, Interest, Poll, Token};
use s3_proto::call::Stream;
use s3_proto::ops::{CreateBucket, GetObject, ListObjectsV2, PutObject};
use s3_proto::{
    Answer, BodyCheck, BodyPlan, Call, Config, Credentials, HttpTask, Instant, Machine, Now, Pages, Payload,
    Phase, Session, Step, Task, TaskId, Timeouts, Timestamp, TransportError, TransportErrorKind,
};
use s3_test_server::Server;
use ureq_proto::BodyMode;
use ureq_proto::client::{self as http1, RecvResponseResult, SendRequestResult, state};

type Result<T> = std::result::Result<T, Box<dyn Error>>;

fn main() -> Result<()> {
    let server = Server::builder().credentials("AKID", "SECRET").start_in_thread()?;
    let config = Config::new("us-east-1")?
        .with_endpoint(server.endpoint())?
        .with_credentials(Credentials::new("AKID", "SECRET")?);
    let session = Session::new(config);
    let data = Bytes::from((0..20_000_000_u32).map(|i| (i % 251) as u8).collect::<Vec<_>>());

    let mut events = EventLoop::new()?;
    events.add(Call::new(session.clone(), CreateBucket::new("bucket")), |_| {});
    events.run()?;

    // From here on several at once.
    events.add(Call::new(session.clone(), PutObject::new("bucket", "large", data.clone())), |_| {});
    for i in 0..3 {
        let put = PutObject::new("bucket", format!("small-{i}"), Bytes::from_static(b"hello"));
        events.add(Call::new(session.clone(), put), |_| {});
    }
    events.run()?;

    let list = Pages::new(session.clone(), ListObjectsV2::new("bucket"));
    events.add(list, |happened| {
        if let Happened::Item(page) = happened {
            println!("  {} objects", page.contents.len());
        }
    });
    let mut received = 0;
    events.add(Stream::new(session, GetObject::new("bucket", "large")), move |happened| match happened {
        Happened::Item(head) => println!("  it has {:?} bytes", head.content_length),
        Happened::Bytes(bytes) => received += bytes.len(),
        Happened::Done(()) => println!("  {received} bytes came, as they should"),
    });
    events.run()
}

/// What a machine's owner is told.
enum Happened<'a, M: Machine> {
    Item(M::Item),
    /// The next bytes of a body.
    Bytes(&'a [u8]),
    Done(M::Output),
}

/// A machine of any kind, with its owner.
trait Job {
    fn step(&mut self, now: Now) -> Result<Next>;
    fn answer(&mut self, now: Now, id: TaskId, answer: Answer<'_>) -> BodyPlan;
    fn bytes(&mut self, bytes: &[u8]);
}

/// What a machine wants of the loop.
enum Next {
    Start(TaskId, Box<HttpTask>),
    Cancel(TaskId),
    Wait(Option<Instant>),
    Done,
}

struct Owned<M, F> {
    machine: M,
    tell: F,
}

impl<M: Machine, F: FnMut(Happened<'_, M>)> Job for Owned<M, F> {
    fn step(&mut self, now: Now) -> Result<Next> {
        loop {
            return Ok(match self.machine.poll(now) {
                Step::Start(id, Task::Http(task)) => Next::Start(id, task),
                Step::Start(_, task) => return Err(format!("not carried out by this loop: {task:?}").into()),
                Step::Cancel(id) => Next::Cancel(id),
                Step::Wait(until) => Next::Wait(until),
                Step::Item(item) => {
                    (self.tell)(Happened::Item(item));
                    continue;
                }
                Step::Done(result) => {
                    (self.tell)(Happened::Done(result?));
                    Next::Done
                }
            });
        }
    }

    fn answer(&mut self, now: Now, id: TaskId, answer: Answer<'_>) -> BodyPlan {
        self.machine.answer(now, id, answer)
    }

    fn bytes(&mut self, bytes: &[u8]) {
        (self.tell)(Happened::Bytes(bytes));
    }
}

struct EventLoop {
    poll: Poll,
    origin: std::time::Instant,
    /// A machine is known by its place, which is empty once it is done.
    jobs: Vec<Option<Box<dyn Job>>>,
    connections: BTreeMap<Token, Connection>,
    last: usize,
}

impl EventLoop {
    fn new() -> io::Result<Self> {
        let (poll, origin) = (Poll::new()?, std::time::Instant::now());
        Ok(Self { poll, origin, jobs: Vec::new(), connections: BTreeMap::new(), last: 0 })
    }

    fn add<M: Machine + 'static>(&mut self, machine: M, tell: impl FnMut(Happened<'_, M>) + 'static) {
        self.jobs.push(Some(Box::new(Owned { machine, tell })));
    }

    /// Until all machines are done.
    fn run(&mut self) -> Result<()> {
        let mut events = Events::with_capacity(64);
        loop {
            let wake = self.poll_machines()?;
            if self.jobs.iter().all(Option::is_none) {
                return Ok(());
            }
            let deadlines = self.connections.values().filter_map(|connection| connection.deadline);
            let next = deadlines.chain(wake).min();
            // A millisecond more, since the system rounds down, and the time should have come then.
            let timeout = next.map(|next| next.since(self.now().mono) + Duration::from_millis(1));
            self.poll.poll(&mut events, timeout)?;
            for event in &events {
                self.turn(event.token());
            }
            self.end_what_is_late();
        }
    }

    fn now(&self) -> Now {
        let wall = SystemTime::UNIX_EPOCH.elapsed().unwrap_or_default();
        Now {
            mono: Instant::from_origin(self.origin.elapsed()),
            wall: Timestamp::UNIX_EPOCH.saturating_add(wall),
        }
    }

    /// Lets each machine go as far as it can, and says when one of them wants to be polled again at the latest.
    fn poll_machines(&mut self) -> Result<Option<Instant>> {
        let mut wake = None;
        for number in 0..self.jobs.len() {
            let now = self.now();
            while let Some(job) = &mut self.jobs[number] {
                match job.step(now)? {
                    Next::Start(id, task) => self.start(number, id, *task)?,
                    Next::Cancel(id) => self.connections.retain(|_, c| (c.job, c.id) != (number, id)),
                    Next::Wait(until) => {
                        wake = [wake, until].into_iter().flatten().min();
                        break;
                    }
                    Next::Done => self.jobs[number] = None,
                }
            }
        }
        Ok(wake)
    }

    fn start(&mut self, job: usize, id: TaskId, task: HttpTask) -> Result<()> {
        self.last += 1;
        let mut connection = Connection::open(job, id, task, self.now().mono)?;
        let interest = Interest::READABLE | Interest::WRITABLE;
        self.poll.registry().register(&mut connection.socket, Token(self.last), interest)?;
        self.connections.insert(Token(self.last), connection);
        Ok(())
    }

    /// A socket is ready.
    fn turn(&mut self, token: Token) {
        let now = self.now();
        let Some(connection) = self.connections.get_mut(&token) else { return };
        let Some(job) = &mut self.jobs[connection.job] else { return };
        match connection.turn(now, &mut **job) {
            Ok(Turn::More) => {}
            Ok(Turn::Over) => drop(self.connections.remove(&token)),
            Err(error) => self.fail(token, TransportErrorKind::Closed, &error),
        }
    }

    fn end_what_is_late(&mut self) {
        let now = self.now().mono;
        let late = |(token, connection): (&Token, &Connection)| {
            connection.deadline.is_some_and(|deadline| deadline <= now).then_some(*token)
        };
        for token in self.connections.iter().filter_map(late).collect::<Vec<_>>() {
            self.fail(token, TransportErrorKind::Timeout, &io::ErrorKind::TimedOut.into());
        }
    }

    /// Tells the machine how far its request got. What follows from that is its business.
    fn fail(&mut self, token: Token, kind: TransportErrorKind, error: &io::Error) {
        let now = self.now();
        let Some(connection) = self.connections.remove(&token) else { return };
        let Some(job) = &mut self.jobs[connection.job] else { return };
        let cause = TransportError::new(kind, error.to_string());
        let answer = match connection.stage {
            Some(Stage::Body(_, Some(check))) => Answer::Broken { check, cause },
            Some(Stage::Body(_, None)) => Answer::Failed { phase: Phase::Body, cause },
            _ if connection.is_sent() => Answer::Failed { phase: Phase::Wait, cause },
            _ if connection.wrote => Answer::Failed { phase: Phase::Send, cause },
            _ => Answer::Failed { phase: Phase::Connect, cause },
        };
        let _ = job.answer(now, connection.id, answer);
    }
}

/// One request on a connection of its own.
struct Connection {
    socket: TcpStream,
    job: usize,
    id: TaskId,
    /// What has not been sent.
    head: Vec<u8>,
    body: Bytes,
    wrote: bool,
    /// What has not been understood.
    received: Vec<u8>,
    stage: Option<Stage>,
    timeouts: Timeouts,
    deadline: Option<Instant>,
}

enum Stage {
    Head(http1::Call<state::RecvResponse>),
    /// With a check for a body that its owner is told; the others are the machine's.
    Body(http1::Call<state::RecvBody>, Option<Box<BodyCheck>>),
}

enum Turn {
    More,
    Over,
}

impl Connection {
    fn open(job: usize, id: TaskId, task: HttpTask, now: Instant) -> Result<Self> {
        let (parts, payload) = task.request.into_parts();
        let body = match payload {
            Payload::Empty => Bytes::new(),
            Payload::Bytes(bytes) => bytes,
            other => return Err(format!("this loop reads no files: {other:?}").into()),
        };
        let address = parts.uri.authority().ok_or("the request has no host")?.as_str().parse()?;
        // The system connects while the loop goes on; whether it could shows when the socket is ready.
        let socket = TcpStream::connect(address)?;

        let mut call = http1::Call::new(http::Request::from_parts(parts, ()))?.proceed();
        let mut head = vec![0; 16 * 1024];
        let len = call.write(&mut head)?;
        head.truncate(len);
        let call = match call.proceed()? {
            Some(SendRequestResult::SendBody(mut call)) => {
                call.consume_direct_write(body.len())?;
                call.proceed()
            }
            Some(SendRequestResult::RecvResponse(call)) => Some(call),
            _ => None,
        };
        let stage = Some(Stage::Head(call.ok_or("the request is not complete")?));
        let (timeouts, received, wrote) = (task.timeouts, Vec::new(), false);
        let deadline = timeouts.connect.map(|limit| now.saturating_add(limit));
        Ok(Self { socket, job, id, head, body, wrote, received, stage, timeouts, deadline })
    }

    fn is_sent(&self) -> bool {
        self.head.is_empty() && self.body.is_empty()
    }

    /// Sends and receives what can be, and tells the machine.
    fn turn(&mut self, now: Now, job: &mut dyn Job) -> io::Result<Turn> {
        self.send()?;
        let mut piece = [0; 16 * 1024];
        loop {
            let read = match self.socket.read(&mut piece) {
                Ok(read) => read,
                Err(error) if is_not_ready(&error) => break,
                Err(error) => return Err(error),
            };
            self.received.extend_from_slice(&piece[..read]);
            let closed = read == 0;
            if let Turn::Over = self.understand(now, job, closed)? {
                return Ok(Turn::Over);
            }
            if closed {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
        }
        let limit = match self.stage {
            Some(Stage::Head(_)) if self.is_sent() => self.timeouts.first_byte,
            _ => self.timeouts.idle,
        };
        self.deadline = limit.map(|limit| now.mono.saturating_add(limit));
        Ok(Turn::More)
    }

    fn send(&mut self) -> io::Result<()> {
        while !self.is_sent() {
            let next = if self.head.is_empty() { &self.body[..] } else { &self.head };
            match self.socket.write(next) {
                Ok(written) if self.head.is_empty() => drop(self.body.split_to(written)),
                Ok(written) => drop(self.head.drain(..written)),
                Err(error) if is_not_ready(&error) => break,
                Err(error) => return Err(error),
            }
            self.wrote = true;
        }
        Ok(())
    }

    /// Takes what was received, as far as it is complete.
    fn understand(&mut self, now: Now, job: &mut dyn Job, closed: bool) -> io::Result<Turn> {
        loop {
            let used = match self.stage.take() {
                None => return Ok(Turn::Over),
                Some(Stage::Head(call)) => self.understand_head(call, now, job)?,
                Some(Stage::Body(call, check)) => self.understand_body(call, check, now, job, closed)?,
            };
            if used == 0 && self.stage.is_some() {
                return Ok(Turn::More);
            }
        }
    }

    /// How many bytes were used. Without a stage after it the request is over.
    fn understand_head(
        &mut self,
        mut call: http1::Call<state::RecvResponse>,
        now: Now,
        job: &mut dyn Job,
    ) -> io::Result<usize> {
        let (used, response) = call.try_response(&self.received, false).map_err(io::Error::other)?;
        self.received.drain(..used);
        let Some(response) = response else {
            // What was used is an answer before the answer, such as `100 Continue`.
            self.stage = Some(Stage::Head(call));
            return Ok(used);
        };
        let (head, ()) = response.into_parts();
        let check = match job.answer(now, self.id, Answer::Head(head.into())) {
            BodyPlan::Discard => return Ok(used),
            BodyPlan::Collect => None,
            BodyPlan::Deliver { check, .. } => Some(check),
        };
        match call.proceed() {
            Some(RecvResponseResult::RecvBody(call)) => self.stage = Some(Stage::Body(call, check)),
            _ => drop(job.answer(now, self.id, Answer::End(check))),
        }
        Ok(used)
    }

    fn understand_body(
        &mut self,
        mut call: http1::Call<state::RecvBody>,
        mut check: Option<Box<BodyCheck>>,
        now: Now,
        job: &mut dyn Job,
        closed: bool,
    ) -> io::Result<usize> {
        let mut piece = [0; 16 * 1024];
        let (used, len) = call.read(&self.received, &mut piece).map_err(io::Error::other)?;
        self.received.drain(..used);
        let piece = &piece[..len];
        let mut over = call.can_proceed() && (closed || call.body_mode() != BodyMode::CloseDelimited);
        match &mut check {
            Some(check) => match check.update(piece) {
                Ok(()) => job.bytes(piece),
                // The machine finds the same in the check, and says of which object.
                Err(_) => over = true,
            },
            None => {
                if let BodyPlan::Discard = job.answer(now, self.id, Answer::Chunk(piece)) {
                    return Ok(used);
                }
            }
        }
        if over {
            let _ = job.answer(now, self.id, Answer::End(check));
        } else {
            self.stage = Some(Stage::Body(call, check));
        }
        Ok(used)
    }
}

fn is_not_ready(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::WouldBlock | io::ErrorKind::NotConnected | io::ErrorKind::Interrupted
    )
}
