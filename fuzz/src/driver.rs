//! A driver that does as an input says: answers whichever task, however and whenever it likes, once more or too
//! late, cancels, and lets the clocks jump. What a machine owes to any driver is checked on the way.

use std::collections::BTreeSet;
use std::future::Future;
use std::net::{IpAddr, Ipv4Addr};
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use bytes::Bytes;
use s3_proto::files::{DirEntry, DirEntryKind, FileInfo, FileReply, FileTask};
use s3_proto::sign::BodyEncoder;
use s3_proto::{
    Answer, BodyCheck, BodyPlan, Error, ErrorKind, Exit, HttpTask, Instant, Machine, Now, Payload, Phase,
    Provide, Secret, SourceError, Step, Task, TaskId, Timestamp, TransportError, TransportErrorKind,
};

use crate::input::Input;
use crate::service::{KEYS, Reply, START, Service, ZEROS, hash_zeros};

/// No machine here needs as many steps.
const MOST_STEPS: usize = 20_000;

/// Nor has as many tasks under way.
const MOST_OPEN: usize = 100;

/// What there is beside the machine.
pub(crate) struct World {
    pub(crate) service: Service,
    /// What is in the files that are read whole.
    pub(crate) files: Vec<(PathBuf, Vec<u8>)>,
    /// Bytes of the source that travels with the call.
    pub(crate) source: u64,
}

impl World {
    pub(crate) fn with_object(size: u64) -> Self {
        Self { service: Service { size, checksum: true }, files: Vec::new(), source: 0 }
    }
}

enum Work {
    Http(Box<HttpTask>),
    Read(PathBuf),
    Credentials(Arc<AtomicBool>),
    Fill(usize),
    File(FileTask),
    Resolve,
    Run,
    Provide(Provide),
}

/// A body on its way.
struct Body {
    bytes: Vec<u8>,
    at: usize,
    breaks: bool,
    /// There if it is delivered rather than collected.
    check: Option<Box<BodyCheck>>,
}

/// A task under way.
struct Open {
    id: TaskId,
    work: Work,
    body: Option<Body>,
}

struct Run<'a, 'b, M> {
    machine: M,
    world: &'a World,
    input: &'a mut Input<'b>,
    now: Now,
    open: Vec<Open>,
    started: BTreeSet<TaskId>,
    filled: u64,
}

/// Runs the machine to its end.
pub(crate) fn drive<M: Machine>(
    machine: M,
    world: &World,
    input: &mut Input<'_>,
) -> Result<M::Output, Error> {
    let now = Now {
        mono: Instant::from_origin(Duration::from_secs(100)),
        wall: Timestamp::from_unix(START, 0).unwrap(),
    };
    let (open, started) = (Vec::new(), BTreeSet::new());
    Run { machine, world, input, now, open, started, filled: 0 }.finish()
}

impl<M: Machine> Run<'_, '_, M> {
    fn finish(mut self) -> Result<M::Output, Error> {
        for _ in 0..MOST_STEPS {
            match self.machine.poll(self.now) {
                Step::Start(id, task) => self.start(id, task),
                Step::Cancel(id) => {
                    assert!(self.started.contains(&id), "{id:?} is cancelled, which was never started");
                    self.open.retain(|open| open.id != id);
                }
                Step::Item(_) => {}
                Step::Wait(until) => {
                    assert!(until.is_none_or(|until| until > self.now.mono), "the wait lies in the past");
                    self.act(until, true);
                    continue;
                }
                Step::Done(result) => {
                    self.after_the_end();
                    return result;
                }
            }
            // Answers may come between any two polls.
            if self.input.peek() >= 0xE0 {
                self.act(None, false);
            }
        }
        panic!("the machine goes round in circles, with {} tasks under way", self.open.len());
    }

    fn start(&mut self, id: TaskId, task: Task) {
        assert!(self.started.insert(id), "{id:?} is used twice");
        let work = match task {
            Task::Http(task) => Work::Http(task),
            Task::ReadFile(path) => Work::Read(path),
            Task::AwaitCredentials(ticket) => {
                let ready = Arc::<AtomicBool>::default();
                let flag = Arc::clone(&ready);
                ticket.on_ready(move || flag.store(true, Ordering::Relaxed));
                Work::Credentials(ready)
            }
            Task::Fill { len } => Work::Fill(len),
            Task::File(task) => Work::File(task),
            Task::Resolve(_) => Work::Resolve,
            Task::Run { .. } => Work::Run,
            Task::Provide(provide) => Work::Provide(provide),
            other => panic!("not known: {other:?}"),
        };
        self.open.push(Open { id, work, body: None });
        assert!(self.open.len() <= MOST_OPEN, "too many tasks are under way");
    }

    /// Nothing that comes after the end makes a difference.
    fn after_the_end(&mut self) {
        self.open.clear();
        for round in 0..3 {
            if round == 1 {
                self.misfit();
                self.machine.cancel(self.now);
            }
            match self.machine.poll(self.now) {
                Step::Done(Err(error)) => assert_eq!(error.kind(), ErrorKind::ApiMisuse, "{error}"),
                _ => panic!("it goes on after its end"),
            }
        }
    }

    /// Lets one thing happen; `idle` if the machine has said that it waits.
    fn act(&mut self, until: Option<Instant>, idle: bool) {
        let is_ready = |open: &Open| match &open.work {
            Work::Credentials(ready) => ready.load(Ordering::Relaxed),
            _ => true,
        };
        let ready: Vec<usize> = (0..self.open.len()).filter(|i| is_ready(&self.open[*i])).collect();
        let how = self.input.byte() % 16;
        match how {
            11 => return self.misfit(),
            12 => return self.jump(until),
            13 => return self.machine.cancel(self.now),
            _ => {}
        }
        if ready.is_empty() {
            if let Some(until) = until {
                self.pass(until.since(self.now.mono));
            } else {
                assert!(!idle, "it waits for nothing, for ever");
            }
            return;
        }
        let open = self.open.remove(ready[self.input.below(ready.len())]);
        match how {
            8 | 9 => self.change(open),
            10 => self.fail(open),
            _ => self.serve(open, how),
        }
    }

    fn pass(&mut self, time: Duration) {
        self.now = Now { mono: self.now.mono.saturating_add(time), wall: self.now.wall.saturating_add(time) };
    }

    fn jump(&mut self, until: Option<Instant>) {
        let by = Duration::from_millis(1 << (self.input.byte() % 40));
        match (self.input.below(4), until) {
            (0, Some(until)) => self.pass(until.since(self.now.mono)),
            (0 | 1, _) => self.pass(by),
            (2, _) => self.now.wall = self.now.wall.saturating_add(by),
            _ => self.now.wall = self.now.wall.saturating_sub(by),
        }
    }

    fn answer(&mut self, id: TaskId, answer: Answer<'_>) {
        let plan = self.machine.answer(self.now, id, answer);
        assert!(matches!(plan, BodyPlan::Discard), "a body is asked for where there is none");
    }

    /// Answers that do not fit, to whichever task there is, was, or never was.
    fn misfit(&mut self) {
        let last = u32::try_from(self.started.len()).unwrap_or(u32::MAX);
        let id = TaskId::new(u32::from(self.input.byte()) % (last + 2));
        let open = self.open.iter().find(|open| open.id == id);
        let head = Reply::raw(self.input).head();
        let what = self.input.below(12);
        let answer = match what {
            0 => Answer::End(None),
            1 => Answer::Chunk(b"<x"),
            2 => Answer::Filed(Ok(FileReply::Done)),
            3 => Answer::Filled(Ok(Bytes::from_static(&ZEROS[..3]))),
            4 => Answer::File(Ok(None)),
            5 => Answer::Ready,
            6 => Answer::Resolved(Ok(Vec::new())),
            7 => Answer::Exited(Err("no such program".to_owned())),
            8 => Answer::Filed(Ok(FileReply::Listed(Vec::new()))),
            9 => Answer::Filed(Ok(FileReply::Opened(FileInfo { len: u64::MAX, modified: None }))),
            10 => Answer::SourceFailed(SourceError::new(std::io::ErrorKind::BrokenPipe.into())),
            // A head makes sense where a request waits for it, and is given there.
            _ if matches!(open, Some(Open { work: Work::Http(_), .. })) => return,
            _ => Answer::Head(head.into()),
        };
        let is_open = open.is_some();
        let plan = self.machine.answer(self.now, id, answer);
        assert!(is_open || matches!(plan, BodyPlan::Discard), "an answer to a dead task is taken");
    }

    /// The task fails.
    fn fail(&mut self, open: Open) {
        const KINDS: &[TransportErrorKind] = &[
            TransportErrorKind::Closed,
            TransportErrorKind::Timeout,
            TransportErrorKind::DnsTemporary,
            TransportErrorKind::DnsNotFound,
            TransportErrorKind::Refused,
            TransportErrorKind::TlsRejected,
            TransportErrorKind::TlsBroken,
            TransportErrorKind::PoolExhausted,
            TransportErrorKind::Protocol,
            TransportErrorKind::Proxy,
        ];
        let why = || "it failed".to_owned();
        let io = || std::io::Error::from(std::io::ErrorKind::PermissionDenied);
        let answer = match (open.work, open.body) {
            (Work::Http(_), Some(Body { check: Some(check), .. })) => {
                Answer::Broken { check, cause: TransportError::new(self.input.pick(KINDS), why()) }
            }
            (Work::Http(_), _) if self.input.below(8) == 7 => Answer::SourceFailed(SourceError::new(io())),
            (Work::Http(_), _) => Answer::Failed {
                phase: self.input.pick(&[
                    Phase::Wait,
                    Phase::Resolve,
                    Phase::Connect,
                    Phase::Send,
                    Phase::Body,
                ]),
                cause: TransportError::new(self.input.pick(KINDS), why()),
            },
            (Work::Read(_), _) => Answer::File(Err(why())),
            (Work::Credentials(_), _) => Answer::Ready,
            (Work::Fill(_), _) => Answer::Filled(Err(SourceError::new(io()))),
            (Work::File(_), _) => Answer::Filed(Err(io())),
            (Work::Resolve, _) => Answer::Resolved(Err(why())),
            (Work::Run, _) => Answer::Exited(Err(why())),
            (Work::Provide(_), _) => Answer::Provided(Err(Error::invalid_input("it failed"))),
        };
        self.answer(open.id, answer);
    }

    /// The task is carried out, but not quite as it should.
    fn change(&mut self, mut open: Open) {
        let id = open.id;
        match (&mut open.work, &mut open.body) {
            (Work::Http(_), Some(body)) => {
                // Some of what comes, or what nobody sent.
                let len = usize::from(self.input.byte()).min(body.bytes.len() - body.at);
                if self.input.flag() {
                    body.bytes.truncate(body.at + len);
                    body.breaks = self.input.flag();
                    body.bytes.extend_from_slice(self.input.piece());
                    self.body(open, usize::MAX);
                } else {
                    self.body(open, len);
                }
            }
            (Work::Http(task), None) => {
                let reply = self.world.service.reply(&task.request).mutated(self.input);
                let reply = if self.input.flag() { reply.mutated(self.input) } else { reply };
                self.head(open, reply);
            }
            (Work::Read(_), _) => {
                let content = self.input.piece().to_vec();
                self.answer(id, Answer::File(Ok(Some(Secret::new(content)))));
            }
            (Work::Fill(len), _) => {
                let len = (usize::from(self.input.byte())).min(*len);
                self.answer(id, Answer::Filled(Ok(Bytes::from_static(&ZEROS[..len]))));
            }
            (Work::File(FileTask::List { .. }), _) => {
                let entries = (0..self.input.below(4)).map(|_| self.entry()).collect();
                self.answer(id, Answer::Filed(Ok(FileReply::Listed(entries))));
            }
            (Work::File(FileTask::Hash { algorithm, .. }), _) => {
                let checksum = hash_zeros(algorithm, u64::from(self.input.byte())).unwrap();
                self.answer(id, Answer::Filed(Ok(FileReply::Hashed(checksum))));
            }
            (Work::File(_), _) => {
                let len = self.input.pick(&[0, 1, 4095, 4096, 5 << 20, u64::MAX]);
                let modified = Timestamp::from_unix(START - i64::from(self.input.byte()), 0);
                self.answer(id, Answer::Filed(Ok(FileReply::Opened(FileInfo { len, modified }))));
            }
            (Work::Resolve, _) => {
                let address = Ipv4Addr::from_octets([self.input.byte(), 0, 0, 1]);
                self.answer(id, Answer::Resolved(Ok(vec![IpAddr::V4(address)])));
            }
            (Work::Run, _) => {
                let (code, stdout) = (Some(i32::from(self.input.byte())), self.input.piece().to_vec());
                let stderr = String::from_utf8_lossy(self.input.piece()).into_owned();
                self.answer(id, Answer::Exited(Ok(Exit { code, stdout: Secret::new(stdout), stderr })));
            }
            (Work::Credentials(_) | Work::Provide(_), _) => self.serve(open, 0),
        }
    }

    fn entry(&mut self) -> DirEntry {
        let names = ["a", "sub", "b c", "..", "", "a/b", "\u{e9}", "a\\b", ".hidden"];
        let kinds = [
            DirEntryKind::File,
            DirEntryKind::Dir,
            DirEntryKind::LinkToFile,
            DirEntryKind::LinkToDir,
            DirEntryKind::Other,
        ];
        let len = u64::from(self.input.byte());
        let modified = Timestamp::from_unix(START - i64::from(self.input.byte()) * 600, 0);
        let info = FileInfo { len, modified };
        DirEntry { name: self.input.pick(&names).into(), kind: self.input.pick(&kinds), info }
    }

    /// The task is carried out as it should, or answered with an error (14), or with anything (15).
    fn serve(&mut self, open: Open, how: u8) {
        let id = open.id;
        match open.work {
            Work::Http(_) if open.body.is_some() => self.body(open, usize::MAX),
            Work::Http(ref task) => {
                let reply = match how {
                    14 => Reply::error(self.input),
                    15 => Reply::raw(self.input),
                    _ => self.world.service.reply(&task.request),
                };
                self.head(open, reply);
            }
            Work::Read(path) => {
                let found = self.world.files.iter().find(|(name, _)| *name == path);
                let content = found.map(|(_, content)| Secret::new(content.clone()));
                self.answer(id, Answer::File(Ok(content)));
            }
            Work::Credentials(_) => self.answer(id, Answer::Ready),
            Work::Fill(len) => {
                let len = usize::try_from(self.world.source - self.filled).unwrap().min(len);
                self.filled += len as u64;
                self.answer(id, Answer::Filled(Ok(Bytes::from(vec![0; len]))));
            }
            Work::File(task) => self.answer(id, Answer::Filed(Ok(file_reply(self.world, task)))),
            Work::Resolve => self.answer(id, Answer::Resolved(Ok(vec![IpAddr::V4(Ipv4Addr::LOCALHOST)]))),
            Work::Run => {
                let (stdout, stderr) = (Secret::new(KEYS.as_bytes().to_vec()), String::new());
                self.answer(id, Answer::Exited(Ok(Exit { code: Some(0), stdout, stderr })));
            }
            Work::Provide(mut provide) => {
                let mut context = Context::from_waker(Waker::noop());
                if let Poll::Ready(result) = Pin::new(&mut provide).poll(&mut context) {
                    self.answer(id, Answer::Provided(result));
                } else {
                    self.open.push(Open { id, work: Work::Provide(provide), body: None });
                }
            }
        }
    }

    /// The head of an answer comes; the body follows at once, or later.
    fn head(&mut self, mut open: Open, reply: Reply) {
        if let Work::Http(task) = &mut open.work {
            send_body(task);
        }
        let check = match self.machine.answer(self.now, open.id, Answer::Head(reply.head().into())) {
            BodyPlan::Discard => return,
            BodyPlan::Collect => None,
            BodyPlan::Deliver { check, .. } => Some(check),
        };
        open.body = Some(Body { bytes: reply.body, at: 0, breaks: reply.breaks, check });
        if self.input.below(4) == 3 {
            self.open.push(open);
        } else {
            self.body(open, usize::MAX);
        }
    }

    /// So much of the body comes; at its end, the end.
    fn body(&mut self, mut open: Open, most: usize) {
        let Some(body) = &mut open.body else { return };
        let len = most.min(body.bytes.len() - body.at);
        let chunk = &body.bytes[body.at..body.at + len];
        body.at += len;
        let is_too_long = match &mut body.check {
            Some(check) => check.update(chunk).is_err(),
            None => {
                let plan = self.machine.answer(self.now, open.id, Answer::Chunk(chunk));
                assert!(
                    !matches!(plan, BodyPlan::Deliver { .. }),
                    "a body is to be delivered from the middle on"
                );
                if matches!(plan, BodyPlan::Discard) {
                    return;
                }
                false
            }
        };
        if body.at < body.bytes.len() && !is_too_long {
            self.open.push(open);
            return;
        }
        let cause = TransportError::new(TransportErrorKind::Closed, "it was closed");
        let answer = match (body.check.take(), body.breaks && !is_too_long) {
            (Some(check), true) => Answer::Broken { check, cause },
            (None, true) => Answer::Failed { phase: Phase::Body, cause },
            (check, false) => Answer::End(check),
        };
        let id = open.id;
        self.answer(id, answer);
    }
}

/// Sends the body of a request, as its encoder wants it.
fn send_body(task: &mut HttpTask) {
    let (Payload::Source { len, .. }, Some(encoder)) = (task.request.body(), &mut task.encoder) else {
        return;
    };
    let piece = encoder.chunk_len().unwrap_or(BodyEncoder::CHUNK_LEN).min(ZEROS.len()) as u64;
    let mut left = *len;
    while left > 0 {
        let len = left.min(piece);
        let _ = encoder.encode(&ZEROS[..usize::try_from(len).unwrap()]).unwrap();
        left -= len;
    }
    let _ = encoder.finish().unwrap();
}

fn file_reply(world: &World, task: FileTask) -> FileReply {
    let modified = Timestamp::from_unix(START - 60, 0);
    let file = FileInfo { len: world.source, modified };
    let entry = |name: &str, kind| DirEntry { name: name.into(), kind, info: file };
    match task {
        FileTask::Open { .. } => FileReply::Opened(file),
        FileTask::Create { .. } => FileReply::Opened(FileInfo { len: 0, modified }),
        FileTask::Hash { len, algorithm, .. } => {
            FileReply::Hashed(hash_zeros(&algorithm, len.min(1 << 26)).unwrap())
        }
        FileTask::List { path } if path == Path::new("/folder") => {
            FileReply::Listed(vec![entry("a", DirEntryKind::File), entry("sub", DirEntryKind::Dir)])
        }
        FileTask::List { .. } => FileReply::Listed(vec![entry("b", DirEntryKind::File)]),
        _ => FileReply::Done,
    }
}
