//! A driver for transfers: many tasks at once, answered in any order, with files, sources and a model of the
//! service, and with whatever goes wrong.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::LazyLock;
use std::time::Duration;

use bytes::Bytes;
use s3_proto::checksum::Hasher;
use s3_proto::files::{FileId, FileInfo, FileReply, FileTask};
use s3_proto::sign::BodyEncoder;
use s3_proto::{
    Answer, BodyPlan, Error, HttpTask, Machine, Now, Payload, Phase, Secret, SourceError, SourceId, Step,
    Task, TaskId, Timestamp, TransportError, TransportErrorKind,
};

use super::store::{Answered, Seen, Store, refusal};
use super::{START, World, head};

/// Bytes that repeat nowhere near; sources are cut from them.
pub static PATTERN: LazyLock<Bytes> = LazyLock::new(|| {
    let mut state = 0x9E37_79B9_7F4A_7C15_u64;
    let mut bytes = Vec::with_capacity(64 << 20);
    while bytes.len() < 64 << 20 {
        state = state.wrapping_mul(0xD129_0BD1_2F83_4C55).wrapping_add(0x1405_7B7E_F767_814F);
        bytes.extend_from_slice(&state.to_le_bytes());
    }
    Bytes::from(bytes)
});

pub fn source(len: usize) -> Bytes {
    PATTERN.slice(..len)
}

/// What becomes of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    Served,
    /// Refused, and nothing has happened.
    Refused(u16, &'static str),
    /// Nothing has happened, and there is no answer.
    NotServed,
    /// It has happened, but there is no answer.
    Lost,
    /// It has happened, and the answer says that it has not.
    ServedButRefused(u16, &'static str),
}

#[derive(Clone, Debug)]
pub struct Disk {
    pub content: Bytes,
    pub modified: Option<Timestamp>,
}

/// What a run has come to.
pub struct Outcome<I, T> {
    /// `None` if it was broken off.
    pub result: Option<Result<T, Error>>,
    pub items: Vec<I>,
    /// How many steps it took: a task carried out, or its answer delivered.
    pub steps: usize,
}

impl<I, T: std::fmt::Debug> Outcome<I, T> {
    pub fn ok(self) -> T {
        self.result.expect("broken off").unwrap()
    }

    pub fn error(self) -> Error {
        self.result.expect("broken off").unwrap_err()
    }
}

pub type Change = fn(&mut Yard);
type Fates = Box<dyn FnMut(&Seen) -> Fate>;

pub struct Yard {
    pub now: Now,
    pub store: Store,
    pub disk: BTreeMap<PathBuf, Disk>,
    /// The source that travels with the call.
    pub call: Bytes,
    filled: usize,
    open: BTreeMap<FileId, PathBuf>,
    pub fates: Fates,
    /// Which of so many tasks is next.
    pub pick: Box<dyn FnMut(usize) -> usize>,
    pub seen: Vec<Seen>,
    /// How many parts were under way at once, at each start of one.
    pub in_flight: Vec<usize>,
    pub saves: Vec<Bytes>,
    pub fail_saves: bool,
    pub hashed: usize,
    /// What happens after so many steps.
    pub meanwhile: Option<(usize, Change)>,
}

enum Work {
    Http(Box<HttpTask>),
    File(FileTask),
    Read(PathBuf),
    Fill(usize),
}

enum Done {
    Http(Option<Answered>),
    SourceFailed,
    Filed(std::io::Result<FileReply>),
    Read(Option<Vec<u8>>),
    Filled(Bytes),
}

enum Pending {
    Work(Work),
    Done(Done),
}

impl Default for Yard {
    fn default() -> Self {
        Self::new()
    }
}

impl Yard {
    pub fn new() -> Self {
        Self {
            now: World::default().now,
            store: Store::new(),
            disk: BTreeMap::new(),
            call: Bytes::new(),
            filled: 0,
            open: BTreeMap::new(),
            fates: Box::new(|_| Fate::Served),
            pick: Box::new(|_| 0),
            seen: Vec::new(),
            in_flight: Vec::new(),
            saves: Vec::new(),
            fail_saves: false,
            hashed: 0,
            meanwhile: None,
        }
    }

    pub fn with_file(mut self, path: &str, content: Bytes) -> Self {
        self.disk.insert(path.into(), Disk { content, modified: Timestamp::from_unix(START - 60, 0) });
        self
    }

    pub fn with_fates(mut self, fates: impl FnMut(&Seen) -> Fate + 'static) -> Self {
        self.fates = Box::new(fates);
        self
    }

    pub fn file(&mut self, path: &str) -> &mut Disk {
        self.disk.get_mut(Path::new(path)).unwrap()
    }

    /// How often an operation was asked for.
    pub fn count(&self, operation: &str) -> usize {
        self.seen.iter().filter(|seen| seen.operation == operation).count()
    }

    pub fn last(&self, operation: &str) -> &Seen {
        self.seen.iter().rfind(|seen| seen.operation == operation).expect(operation)
    }

    pub fn run<M: Machine>(&mut self, mut machine: M) -> Outcome<M::Item, M::Output> {
        self.drive(&mut machine, usize::MAX, usize::MAX)
    }

    pub fn run_ref<M: Machine>(&mut self, machine: &mut M) -> Outcome<M::Item, M::Output> {
        self.drive(machine, usize::MAX, usize::MAX)
    }

    /// Breaks off after so many steps, as a crash would.
    pub fn crash<M: Machine>(&mut self, mut machine: M, steps: usize) -> Outcome<M::Item, M::Output> {
        self.drive(&mut machine, steps, usize::MAX)
    }

    /// Cancels after so many steps.
    pub fn cancel<M: Machine>(&mut self, mut machine: M, steps: usize) -> Outcome<M::Item, M::Output> {
        self.drive(&mut machine, usize::MAX, steps)
    }

    fn drive<M: Machine>(
        &mut self,
        machine: &mut M,
        crash: usize,
        cancel: usize,
    ) -> Outcome<M::Item, M::Output> {
        let mut out = Outcome { result: None, items: Vec::new(), steps: 0 };
        let mut pending: Vec<(TaskId, Pending)> = Vec::new();
        let (mut cancelled, mut parts) = (false, BTreeSet::new());
        self.open.clear();
        self.filled = 0;
        for _ in 0..100_000 {
            if out.steps >= cancel && !cancelled {
                cancelled = true;
                machine.cancel(self.now);
            }
            if let Some((_, change)) = self.meanwhile.take_if(|(at, _)| out.steps >= *at) {
                change(self);
            }
            if out.steps >= crash {
                return out;
            }
            match machine.poll(self.now) {
                Step::Start(id, task) => {
                    let work = match task {
                        Task::Http(task) => Work::Http(task),
                        Task::File(task) => Work::File(task),
                        Task::ReadFile(path) => Work::Read(path),
                        Task::Fill { len } => Work::Fill(len),
                        other => panic!("not expected: {other:?}"),
                    };
                    if is_part(&work) {
                        parts.insert(id);
                        self.in_flight.push(parts.len());
                    }
                    pending.push((id, Pending::Work(work)));
                }
                Step::Cancel(id) => {
                    parts.remove(&id);
                    // An answer that is on its way already comes all the same.
                    pending.retain(|(other, p)| *other != id || matches!(p, Pending::Done(_)));
                }
                Step::Item(item) => out.items.push(item),
                Step::Done(result) => {
                    out.result = Some(result);
                    return out;
                }
                Step::Wait(until) if pending.is_empty() => {
                    let until = until.expect("waits for nothing, for ever");
                    assert!(until > self.now.mono, "the wait lies in the past");
                    self.pass(until.since(self.now.mono));
                }
                Step::Wait(_) => {
                    out.steps += 1;
                    let (id, task) = pending.swap_remove((self.pick)(pending.len()) % pending.len());
                    match task {
                        Pending::Work(work) => {
                            let done = self.carry_out(work);
                            pending.insert(0, (id, Pending::Done(done)));
                        }
                        Pending::Done(done) => {
                            parts.remove(&id);
                            self.deliver(machine, id, done);
                        }
                    }
                }
            }
        }
        panic!("the machine goes round in circles");
    }

    pub fn pass(&mut self, time: Duration) {
        self.now = Now { mono: self.now.mono.saturating_add(time), wall: self.now.wall.saturating_add(time) };
    }

    fn carry_out(&mut self, work: Work) -> Done {
        match work {
            Work::Http(task) => self.serve(*task),
            Work::Read(path) => Done::Read(self.disk.get(&path).map(|disk| disk.content.to_vec())),
            Work::Fill(len) => {
                let from = self.filled;
                self.filled = self.call.len().min(from + len);
                Done::Filled(self.call.slice(from..self.filled))
            }
            Work::File(task) => Done::Filed(self.file_task(task)),
        }
    }

    fn file_task(&mut self, task: FileTask) -> std::io::Result<FileReply> {
        let missing = || std::io::Error::from(std::io::ErrorKind::NotFound);
        match task {
            FileTask::Open { id, path } => {
                let disk = self.disk.get(&path).ok_or_else(missing)?;
                let info = FileInfo { len: disk.content.len() as u64, modified: disk.modified };
                self.open.insert(id, path);
                Ok(FileReply::Opened(info))
            }
            FileTask::Close { id } => {
                assert!(self.open.remove(&id).is_some(), "a file was closed that is not open");
                Ok(FileReply::Done)
            }
            FileTask::Hash { id, offset, len, algorithm } => {
                self.hashed += 1;
                let mut hasher = Hasher::new(&algorithm).unwrap();
                hasher.update(&self.range(SourceId::File(id), offset, len).ok_or_else(missing)?);
                Ok(FileReply::Hashed(hasher.finish()))
            }
            FileTask::Save { path, content } => {
                if self.fail_saves {
                    return Err(std::io::Error::from(std::io::ErrorKind::StorageFull));
                }
                let content = Bytes::from(Secret::expose(&content).clone());
                self.saves.push(content.clone());
                self.disk.insert(path, Disk { content, modified: None });
                Ok(FileReply::Done)
            }
            FileTask::Remove { path } => {
                self.disk.remove(&path);
                Ok(FileReply::Done)
            }
            other => panic!("not expected: {other:?}"),
        }
    }

    fn range(&self, from: SourceId, offset: u64, len: u64) -> Option<Bytes> {
        let content = match from {
            SourceId::Call => &self.call,
            SourceId::File(id) => &self.disk.get(self.open.get(&id)?)?.content,
        };
        let (from, to) = (usize::try_from(offset).unwrap(), usize::try_from(offset + len).unwrap());
        (to <= content.len()).then(|| content.slice(from..to))
    }

    /// The body as the service gets it, and its trailer.
    fn body(&self, task: &mut HttpTask) -> Option<(Bytes, Option<(String, String)>)> {
        let content = match task.request.body() {
            Payload::Bytes(bytes) => bytes.clone(),
            Payload::Source { from, offset, len, .. } => self.range(*from, *offset, *len)?,
            _ => Bytes::new(),
        };
        let Some(encoder) = &mut task.encoder else { return Some((content, None)) };
        for chunk in content.chunks(encoder.chunk_len().unwrap_or(BodyEncoder::CHUNK_LEN)) {
            let _ = encoder.encode(chunk).unwrap();
        }
        let end = String::from_utf8(encoder.finish().unwrap().to_vec()).unwrap();
        let trailer = end.lines().find_map(|line| {
            let (name, value) = line.split_once(':')?;
            name.starts_with("x-amz-checksum-").then(|| (name.to_owned(), value.to_owned()))
        });
        Some((content, trailer))
    }

    fn serve(&mut self, mut task: HttpTask) -> Done {
        let Some((body, trailer)) = self.body(&mut task) else { return Done::SourceFailed };
        let seen = Seen::new(&task.request, body, trailer);
        let fate = (self.fates)(&seen);
        self.store.now = self.now.wall;
        let answer = match fate {
            Fate::Served => Some(self.store.handle(&seen)),
            Fate::Refused(status, code) => Some(refusal(status, code)),
            Fate::NotServed => None,
            Fate::Lost => {
                let _ = self.store.handle(&seen);
                None
            }
            Fate::ServedButRefused(status, code) => {
                let _ = self.store.handle(&seen);
                Some(refusal(status, code))
            }
        };
        self.seen.push(seen);
        Done::Http(answer)
    }

    fn deliver<M: Machine>(&mut self, machine: &mut M, id: TaskId, done: Done) {
        let now = self.now;
        let plan = match done {
            Done::SourceFailed => {
                let error = std::io::Error::from(std::io::ErrorKind::UnexpectedEof);
                machine.answer(now, id, Answer::SourceFailed(SourceError::new(error)))
            }
            Done::Filed(reply) => machine.answer(now, id, Answer::Filed(reply)),
            Done::Read(content) => machine.answer(now, id, Answer::File(Ok(content.map(Secret::new)))),
            Done::Filled(bytes) => machine.answer(now, id, Answer::Filled(Ok(bytes))),
            Done::Http(None) => {
                let cause = TransportError::new(TransportErrorKind::Closed, "the connection was closed");
                machine.answer(now, id, Answer::Failed { phase: Phase::Wait, cause })
            }
            Done::Http(Some((status, headers, body))) => {
                let names: Vec<(&'static str, String)> =
                    headers.into_iter().map(|(name, value)| (&*name.leak(), value)).collect();
                let plan = machine.answer(now, id, Answer::Head(head(status, &names).into()));
                if !matches!(plan, BodyPlan::Collect) {
                    assert!(matches!(plan, BodyPlan::Discard));
                    return;
                }
                let _ = machine.answer(now, id, Answer::Chunk(&body));
                machine.answer(now, id, Answer::End(None))
            }
        };
        assert!(matches!(plan, BodyPlan::Discard));
    }
}

/// Whether bytes of a part are held or sent for it.
fn is_part(work: &Work) -> bool {
    match work {
        Work::Http(task) => task.request.uri().query().is_some_and(|query| query.contains("partNumber")),
        Work::Fill(_) => true,
        _ => false,
    }
}
