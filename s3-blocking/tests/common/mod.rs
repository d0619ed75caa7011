//! A machine that does as it is told, to see what a driver makes of it.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use s3_blocking::s3_proto::call::Stream;
use s3_blocking::s3_proto::files::FileId;
use s3_blocking::s3_proto::ops::GetObject;
use s3_blocking::s3_proto::{
    Answer, BodyCheck, BodyPlan, HttpTask, Instant, Machine, Now, Payload, Session, Sink, Step, Task, TaskId,
    Timeouts, Timestamp,
};
use s3_blocking::{Client, Config, Credentials, Error, ErrorKind};
use s3_test_server::Server;

/// Asks for tasks in rounds: those of the next begin when all of this one are over.
pub(crate) struct Script {
    rounds: VecDeque<Vec<Task>>,
    starting: VecDeque<(TaskId, Task)>,
    open: BTreeSet<TaskId>,
    next: u32,
    /// Where bodies go, by the range that was asked for.
    sinks: BTreeMap<TaskId, (FileId, u64)>,
    heard: Arc<Mutex<Vec<String>>>,
    deadline: Option<Instant>,
    cancelled: bool,
}

impl Script {
    pub(crate) fn new(rounds: Vec<Vec<Task>>) -> Self {
        Self {
            rounds: rounds.into(),
            starting: VecDeque::new(),
            open: BTreeSet::new(),
            next: 0,
            sinks: BTreeMap::new(),
            heard: Arc::default(),
            deadline: None,
            cancelled: false,
        }
    }

    /// Bodies of the `n`th task go into this file, from this place on.
    pub(crate) fn sink(mut self, n: u32, file: FileId, offset: u64) -> Self {
        self.sinks.insert(TaskId::new(n), (file, offset));
        self
    }

    #[allow(dead_code, reason = "not every test of these has a deadline")]
    /// Cancels what is under way at this point of the driver's clock.
    pub(crate) fn cancelling_at(mut self, after: Duration) -> Self {
        self.deadline = Some(Instant::from_origin(after));
        self
    }

    /// What it was answered, in order.
    pub(crate) fn heard(&self) -> Arc<Mutex<Vec<String>>> {
        self.heard.clone()
    }

    fn over(&mut self, id: TaskId, what: String) {
        if self.open.remove(&id) {
            self.heard.lock().unwrap().push(what);
        }
    }
}

impl Machine for Script {
    type Item = ();
    type Output = ();

    fn poll(&mut self, now: Now) -> Step<(), ()> {
        self.cancelled |= self.deadline.is_some_and(|deadline| deadline <= now.mono);
        if self.cancelled {
            self.starting.clear();
            return match self.open.pop_first() {
                Some(id) => Step::Cancel(id),
                None => Step::Done(Err(Error::new(ErrorKind::Cancelled, "cancelled"))),
            };
        }
        if let Some((id, task)) = self.starting.pop_front() {
            self.open.insert(id);
            return Step::Start(id, task);
        }
        if !self.open.is_empty() {
            return Step::Wait(self.deadline);
        }
        match self.rounds.pop_front() {
            None => Step::Done(Ok(())),
            Some(round) => {
                for task in round {
                    self.next += 1;
                    self.starting.push_back((TaskId::new(self.next), task));
                }
                self.poll(now)
            }
        }
    }

    fn answer(&mut self, _: Now, id: TaskId, answer: Answer<'_>) -> BodyPlan {
        match answer {
            Answer::Head(head) => {
                let len = head.headers.get("content-length").and_then(|len| len.to_str().ok()?.parse().ok());
                return match self.sinks.get(&id) {
                    Some((file, offset)) => {
                        let check = check(len.unwrap_or_default());
                        BodyPlan::Deliver { to: Sink::File(*file), offset: *offset, check }
                    }
                    None => BodyPlan::Collect,
                };
            }
            Answer::Chunk(_) => return BodyPlan::Collect,
            Answer::End(check) => {
                self.over(id, format!("end {:?}", check.map(|check| check.received())));
            }
            Answer::Failed { phase, .. } => self.over(id, format!("failed {phase:?}")),
            Answer::Broken { check, .. } => self.over(id, format!("broken {}", check.received())),
            Answer::SourceFailed(_) => self.over(id, "source failed".to_owned()),
            Answer::Filled(filled) => {
                let len = filled.map(|bytes| bytes.len());
                self.over(id, format!("filled {len:?}"));
            }
            Answer::Filed(reply) => self.over(id, format!("filed {}", reply.is_ok())),
            Answer::File(content) => self.over(id, format!("file {}", content.is_ok())),
            Answer::Resolved(addresses) => self.over(id, format!("resolved {}", addresses.is_ok())),
            Answer::Exited(exit) => self.over(id, format!("exited {:?}", exit.map(|exit| exit.code))),
            other => self.over(id, format!("{other:?}")),
        }
        BodyPlan::Discard
    }

    fn cancel(&mut self, _: Now) {
        self.cancelled = true;
    }
}

/// Expects so many bytes. Only the core's own machines make these.
fn check(len: u64) -> Box<BodyCheck> {
    let now = Now { mono: Instant::default(), wall: Timestamp::UNIX_EPOCH };
    let mut stream =
        Stream::new(Session::new(Config::new("us-east-1").unwrap()), GetObject::new("bucket", "key"));
    let Step::Start(id, _) = stream.poll(now) else { panic!("no request") };
    let (mut head, ()) = http::Response::new(()).into_parts();
    head.headers.insert("content-length", len.into());
    match stream.answer(now, id, Answer::Head(head.into())) {
        BodyPlan::Deliver { check, .. } => check,
        plan => panic!("not delivered: {plan:?}"),
    }
}

/// A request without a signature; the server must take those.
pub(crate) fn request(endpoint: &str, method: &str, key: &str, payload: Payload) -> Task {
    let mut request = http::Request::builder().method(method).uri(format!("{endpoint}/bucket/{key}"));
    if method == "PUT" {
        request = request.header("content-length", payload.len());
    }
    Task::Http(Box::new(HttpTask {
        request: request.body(payload).unwrap(),
        encoder: None,
        timeouts: Timeouts::default(),
        expect_continue: false,
    }))
}

pub(crate) fn setup() -> (Client, Server) {
    let server = Server::builder().credentials("AKID", "SECRET").anonymous().start_in_thread().unwrap();
    server.store().create_bucket("bucket", None);
    let config = Config::new("us-east-1")
        .unwrap()
        .with_endpoint(server.endpoint())
        .unwrap()
        .with_credentials(Credentials::new("AKID", "SECRET").unwrap());
    (Client::new(config).unwrap(), server)
}

pub(crate) fn data(len: usize) -> Vec<u8> {
    (0..len).map(|i| u8::try_from(i % 251).unwrap()).collect()
}
