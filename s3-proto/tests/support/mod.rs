//! A driver without a network: it answers from a script and lets virtual time pass.
// Helpers outside of `#[test]` may fail the test, and no test file uses all of them.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs, unreachable_pub, dead_code)]

pub mod cloud;
pub mod sim;
pub mod store;
pub mod yard;

use std::collections::{BTreeMap, VecDeque};
use std::fmt::Debug;
use std::future::Future;
use std::net::IpAddr;
use std::path::PathBuf;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use http::{HeaderMap, Request, response};
use s3_proto::files::{FileReply, FileTask};
use s3_proto::sign::BodyEncoder;
use s3_proto::{
    Answer, BodyPlan, Config, Credentials, Error, Exit, Instant, Machine, Now, Payload, Phase, Secret,
    Session, Step, Task, TaskId, Timeouts, Timestamp, TransportError, TransportErrorKind,
};

pub const KEY_ID: &str = "AKIDEXAMPLE";
pub const SECRET: &str = "wJalrXUtnFEMIK7MDENGbPxRfiCYEXAMPLEKEY";

/// 2015-08-30T12:36:00Z
pub const START: i64 = 1_440_938_160;

pub fn credentials() -> Credentials {
    Credentials::new(KEY_ID, SECRET.to_owned()).unwrap()
}

/// Amazon S3 in us-east-1.
pub fn aws() -> Config {
    Config::new("us-east-1").unwrap().with_credentials(credentials())
}

/// Another store, without TLS.
pub fn local() -> Config {
    aws().with_endpoint("http://127.0.0.1:9000").unwrap()
}

pub fn session() -> Session {
    Session::new(aws())
}

/// What the service does with a request.
#[derive(Clone, Debug)]
pub enum Reply {
    Answer(u16, Vec<(&'static str, String)>, Vec<u8>),
    /// The head and so much of the body, then the connection closes.
    Cut(u16, Vec<(&'static str, String)>, Vec<u8>),
    Fail(Phase, TransportErrorKind),
    /// The driver cannot read the data to send.
    SourceFailed,
    /// Nothing, ever.
    Silence,
}

pub fn ok() -> Reply {
    body("")
}

pub fn body(text: impl AsRef<[u8]>) -> Reply {
    Reply::Answer(200, Vec::new(), text.as_ref().to_vec())
}

pub fn error(status: u16, code: &str) -> Reply {
    Reply::Answer(status, Vec::new(), error_document(code, ""))
}

pub fn error_document(code: &str, more: &str) -> Vec<u8> {
    format!("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<Error><Code>{code}</Code><Message>why</Message>{more}</Error>")
        .into_bytes()
}

impl Reply {
    /// With one more header.
    pub fn with(mut self, name: &'static str, value: impl Into<String>) -> Self {
        match &mut self {
            Self::Answer(_, headers, _) | Self::Cut(_, headers, _) => headers.push((name, value.into())),
            _ => panic!("no head to put {name} in"),
        }
        self
    }
}

pub fn head(status: u16, headers: &[(&'static str, String)]) -> response::Parts {
    let mut builder = http::Response::builder().status(status);
    for (name, value) in headers {
        builder = builder.header(*name, http::HeaderValue::from_bytes(value.as_bytes()).unwrap());
    }
    builder.body(()).unwrap().into_parts().0
}

/// A request that went out.
pub struct Sent {
    pub request: Request<Payload>,
    pub encoder: Option<BodyEncoder>,
    pub timeouts: Timeouts,
    pub expect_continue: bool,
    pub at: Now,
    pub debug: String,
}

impl Sent {
    pub fn header(&self, name: &str) -> Option<&str> {
        self.request.headers().get(name).map(|v| v.to_str().unwrap())
    }

    pub fn headers(&self) -> &HeaderMap {
        self.request.headers()
    }

    pub fn host(&self) -> &str {
        self.request.uri().authority().unwrap().as_str()
    }

    /// Path and query.
    pub fn target(&self) -> &str {
        self.request.uri().path_and_query().unwrap().as_str()
    }

    pub fn body(&self) -> &[u8] {
        match self.request.body() {
            Payload::Bytes(bytes) => bytes,
            _ => &[],
        }
    }

    pub fn signed_headers(&self) -> Vec<&str> {
        let text = self.header("authorization").unwrap();
        text.split_once("SignedHeaders=").unwrap().1.split(',').next().unwrap().split(';').collect()
    }
}

/// How a run went.
pub struct Run<I, T> {
    pub result: Result<T, Error>,
    pub items: Vec<I>,
    pub sent: Vec<Sent>,
    pub waits: Vec<Duration>,
    pub files: Vec<PathBuf>,
    pub cancelled: Vec<TaskId>,
    /// What was delivered to the user, and the place of its first byte.
    pub delivered: Vec<u8>,
    pub offset: Option<u64>,
}

impl<I, T: Debug> Run<I, T> {
    pub fn error(&self) -> &Error {
        self.result.as_ref().unwrap_err()
    }
}

enum Pending {
    Http(Reply),
    Answer(Answer<'static>),
    File(PathBuf),
    Credentials(Arc<AtomicBool>),
}

/// Clocks and files.
pub struct World {
    pub now: Now,
    /// What is read from a file the first, second, .. time; the last stays.
    pub files: BTreeMap<PathBuf, VecDeque<Vec<u8>>>,
    /// The addresses of hosts.
    pub hosts: BTreeMap<String, Vec<IpAddr>>,
    /// How the programs end that are run, one after the other.
    pub programs: VecDeque<Exit>,
    /// The command lines that were run.
    pub ran: Vec<Vec<String>>,
    /// Whether the service answers before it takes data that can be read once.
    pub refuses_early: bool,
}

impl Default for World {
    fn default() -> Self {
        let mono = Instant::from_origin(Duration::from_secs(100));
        Self {
            now: Now { mono, wall: Timestamp::from_unix(START, 0).unwrap() },
            files: BTreeMap::new(),
            hosts: BTreeMap::new(),
            programs: VecDeque::new(),
            ran: Vec::new(),
            refuses_early: false,
        }
    }
}

impl World {
    pub fn pass(&mut self, time: Duration) {
        self.now = Now { mono: self.now.mono.saturating_add(time), wall: self.now.wall.saturating_add(time) };
    }

    pub fn drive<M: Machine>(
        &mut self,
        mut machine: M,
        script: impl FnMut(&Request<Payload>) -> Reply,
    ) -> Run<M::Item, M::Output> {
        self.drive_ref(&mut machine, script)
    }

    /// Runs the machine to its end; what it yields on its way is collected.
    pub fn drive_ref<M: Machine>(
        &mut self,
        machine: &mut M,
        mut script: impl FnMut(&Request<Payload>) -> Reply,
    ) -> Run<M::Item, M::Output> {
        let mut run = Run {
            result: Err(Error::invalid_input("not run")),
            items: Vec::new(),
            sent: Vec::new(),
            waits: Vec::new(),
            files: Vec::new(),
            cancelled: Vec::new(),
            delivered: Vec::new(),
            offset: None,
        };
        let mut pending: VecDeque<(TaskId, Pending)> = VecDeque::new();
        for _ in 0..10_000 {
            match machine.poll(self.now) {
                Step::Start(id, Task::Http(mut task)) => {
                    let reply = script(&task.request);
                    if let (Payload::Source { len, replayable: false, .. }, Some(encoder)) =
                        (task.request.body(), &mut task.encoder)
                        && !self.refuses_early
                        && !matches!(reply, Reply::Fail(Phase::Resolve | Phase::Connect, _))
                    {
                        let _ = encoder.encode(&vec![0; usize::try_from(*len).unwrap()]).unwrap();
                    }
                    pending.push_back((id, Pending::Http(reply)));
                    let debug = format!("{task:?}");
                    run.sent.push(Sent {
                        request: task.request,
                        encoder: task.encoder,
                        timeouts: task.timeouts,
                        expect_continue: task.expect_continue,
                        at: self.now,
                        debug,
                    });
                }
                Step::Start(id, Task::ReadFile(path)) => pending.push_back((id, Pending::File(path))),
                Step::Start(id, Task::AwaitCredentials(ticket)) => {
                    let ready = Arc::<AtomicBool>::default();
                    let flag = Arc::clone(&ready);
                    ticket.on_ready(move || flag.store(true, Ordering::SeqCst));
                    pending.push_back((id, Pending::Credentials(ready)));
                }
                Step::Start(id, Task::Resolve(host)) => {
                    let addresses = self.hosts.get(&host).cloned().ok_or_else(|| "no such name".to_owned());
                    pending.push_back((id, Pending::Answer(Answer::Resolved(addresses))));
                }
                Step::Start(id, Task::Run { argv, .. }) => {
                    self.ran.push(argv.expose().clone());
                    let exit = self.programs.pop_front().ok_or_else(|| "no such program".to_owned());
                    pending.push_back((id, Pending::Answer(Answer::Exited(exit))));
                }
                Step::Start(id, Task::File(FileTask::Save { path, content })) => {
                    self.files.insert(path, VecDeque::from([content.expose().clone()]));
                    pending.push_back((id, Pending::Answer(Answer::Filed(Ok(FileReply::Done)))));
                }
                Step::Start(id, Task::Provide(mut provide)) => {
                    let mut context = Context::from_waker(Waker::noop());
                    let Poll::Ready(result) = Pin::new(&mut provide).poll(&mut context) else {
                        panic!("the program's own code waits for something")
                    };
                    pending.push_back((id, Pending::Answer(Answer::Provided(result))));
                }
                Step::Start(_, task) => panic!("unknown task {task:?}"),
                Step::Cancel(id) => {
                    pending.retain(|(other, _)| *other != id);
                    run.cancelled.push(id);
                }
                Step::Item(item) => run.items.push(item),
                Step::Done(result) => {
                    run.result = result;
                    return run;
                }
                Step::Wait(until) => {
                    if !self.serve(machine, &mut pending, &mut run) {
                        let until = until.expect("waits for nothing, for ever");
                        assert!(until > self.now.mono, "the wait lies in the past");
                        let wait = until.since(self.now.mono);
                        run.waits.push(wait);
                        self.pass(wait);
                    }
                }
            }
        }
        panic!("the machine goes round in circles");
    }

    /// Answers one task, if one can be answered.
    fn serve<M: Machine>(
        &mut self,
        machine: &mut M,
        pending: &mut VecDeque<(TaskId, Pending)>,
        run: &mut Run<M::Item, M::Output>,
    ) -> bool {
        let ready = |(_, task): &(TaskId, Pending)| match task {
            Pending::Http(reply) => !matches!(reply, Reply::Silence),
            Pending::File(_) | Pending::Answer(_) => true,
            Pending::Credentials(ready) => ready.load(Ordering::SeqCst),
        };
        let Some(index) = pending.iter().position(ready) else { return false };
        let (id, task) = pending.remove(index).unwrap();
        match task {
            Pending::File(path) => {
                let content = self.files.get_mut(&path).map(|versions| {
                    let next = versions.front().unwrap().clone();
                    if versions.len() > 1 {
                        versions.pop_front();
                    }
                    Secret::new(next)
                });
                run.files.push(path);
                let _ = machine.answer(self.now, id, Answer::File(Ok(content)));
            }
            Pending::Credentials(_) => {
                let _ = machine.answer(self.now, id, Answer::Ready);
            }
            Pending::Answer(answer) => {
                let _ = machine.answer(self.now, id, answer);
            }
            Pending::Http(reply) => self.reply(machine, id, reply, run),
        }
        true
    }

    fn reply<M: Machine>(
        &mut self,
        machine: &mut M,
        id: TaskId,
        reply: Reply,
        run: &mut Run<M::Item, M::Output>,
    ) {
        let broken = |phase, kind| Answer::Failed { phase, cause: TransportError::new(kind, "broken") };
        let (status, headers, body, cut) = match reply {
            Reply::Silence => return,
            Reply::SourceFailed => {
                let gone = std::io::Error::other("it is gone").into();
                let _ = machine.answer(self.now, id, Answer::SourceFailed(gone));
                return;
            }
            Reply::Fail(phase, kind) => {
                let _ = machine.answer(self.now, id, broken(phase, kind));
                return;
            }
            Reply::Answer(status, headers, body) => (status, headers, body, false),
            Reply::Cut(status, headers, body) => (status, headers, body, true),
        };
        match machine.answer(self.now, id, Answer::Head(head(status, &headers).into())) {
            BodyPlan::Discard => {}
            BodyPlan::Collect => {
                for chunk in body.chunks(body.len() / 2 + 1) {
                    if matches!(machine.answer(self.now, id, Answer::Chunk(chunk)), BodyPlan::Discard) {
                        return;
                    }
                }
                let end =
                    if cut { broken(Phase::Body, TransportErrorKind::Closed) } else { Answer::End(None) };
                let _ = machine.answer(self.now, id, end);
            }
            BodyPlan::Deliver { offset, mut check, .. } => {
                run.offset.get_or_insert(offset);
                for chunk in body.chunks(body.len() / 2 + 1) {
                    check.update(chunk).unwrap();
                    run.delivered.extend_from_slice(chunk);
                }
                // The head is taken before the body is over.
                if let Step::Item(item) = machine.poll(self.now) {
                    run.items.push(item);
                }
                let end = if cut {
                    let cause = TransportError::new(TransportErrorKind::Closed, "broken");
                    Answer::Broken { check, cause }
                } else {
                    Answer::End(Some(check))
                };
                let _ = machine.answer(self.now, id, end);
            }
        }
    }
}

/// Runs a machine from the usual time on.
pub fn drive<M: Machine>(
    machine: M,
    script: impl FnMut(&Request<Payload>) -> Reply,
) -> Run<M::Item, M::Output> {
    World::default().drive(machine, script)
}

/// Gives these replies one after the other; the last stays.
pub fn in_turn(replies: Vec<Reply>) -> impl FnMut(&Request<Payload>) -> Reply {
    let mut replies = VecDeque::from(replies);
    move |_| {
        if replies.len() > 1 { replies.pop_front().unwrap() } else { replies.front().unwrap().clone() }
    }
}
