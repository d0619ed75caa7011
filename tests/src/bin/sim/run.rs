//! One run: a driver, a network and two clocks, all of it drawn from a seed.
//!
//! Nothing here is asynchronous: what is to happen lies in a queue by its time, and whatever comes first is
//! carried out. After every step the machine in question is polled until it waits, as its contract says.

mod network;

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use s3_proto::credentials::{CredentialsProvider, CredentialsSource};
use s3_proto::files::FileTask;
use s3_proto::transfer::SyncFailure;
use s3_proto::{
    Answer, BodyCheck, BodyPlan, Config, Credentials, Error, ErrorKind, Instant, Now, Phase, Secret, Session,
    Sink, SourceError, Step, Task, TaskId, Timestamp, TransportError, TransportErrorKind,
};

use crate::cloud::{Ask, Cloud, Reply};
use crate::disk::Disk;
use crate::jobs::{Job, Kind, Output, Running, Yield};
use crate::planted::Planted;
use crate::rng::Rng;
use crate::versions::Versions;

/// 2015-08-30T12:36:00Z
const START: i64 = 1_440_938_160;
/// The longest wait between two attempts: 20 s, and what a service may add to it.
const LONGEST_WAIT: Duration = Duration::from_secs(25);
const OPERATION_TIMEOUT: Duration = Duration::from_secs(40);
/// No job takes longer than this, whatever goes wrong.
const LONGEST_RUN: Duration = Duration::from_hours(3);
const MOST_EVENTS: usize = 50_000;
/// So many steps may a machine make without an answer and without time passing.
const MOST_STEPS: usize = 2_000;

/// What a seed says of the world.
#[derive(Debug)]
struct Weather {
    /// How many of a thousand requests go wrong.
    trouble: usize,
    /// How many of a thousand answers to dead tasks come all the same.
    late: usize,
    /// The credentials of the first generation end here, if they do.
    rotates_at: Option<Duration>,
    tells_expiry: bool,
    has_timeout: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fate {
    Fine,
    /// Nothing was sent.
    Refused(Phase, TransportErrorKind),
    /// The connection breaks, before or after the service has done it.
    Reset {
        served: bool,
    },
    /// There is no answer in time, before or after the service has done it, or it does it later.
    Silence {
        served: bool,
    },
    Late,
    /// The service says that it failed, which may not be so.
    Status(u16, &'static str, bool),
    /// The body of the answer breaks off, or stalls.
    Cut {
        stalls: bool,
    },
    /// A byte of the answer is another.
    Flipped,
    /// A byte of the request is another when it arrives.
    FlippedUp,
    /// The body is longer than it says.
    Longer,
}

#[derive(Debug)]
enum Event {
    Poll { slot: usize, epoch: u32 },
    Arrive(u64),
    Head { slot: usize, epoch: u32, id: TaskId, reply: Reply, fate: Fate },
    Piece { slot: usize, epoch: u32, id: TaskId },
    Failed { slot: usize, epoch: u32, id: TaskId, phase: Phase, kind: TransportErrorKind },
    File { slot: usize, epoch: u32, id: TaskId, task: FileTask },
    Read { slot: usize, epoch: u32, id: TaskId, path: PathBuf },
    Fill { slot: usize, epoch: u32, id: TaskId, len: usize },
    Ready { slot: usize, epoch: u32, id: TaskId },
    SourceFailed { slot: usize, epoch: u32, id: TaskId },
    Cancel(usize),
    Replace(usize),
    Jump(i64),
    Crash,
}

/// A request on its way to the service.
#[derive(Debug)]
struct Flight {
    slot: usize,
    epoch: u32,
    id: TaskId,
    ask: Ask,
    fate: Fate,
    name: String,
}

/// A body on its way to the machine.
struct Incoming {
    reply: Reply,
    fate: Fate,
    at: usize,
    has_stalled: bool,
    to: To,
}

enum To {
    Machine,
    Sink { sink: Sink, offset: u64, check: Box<BodyCheck> },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Doing {
    /// A request whose answer has not begun.
    Http,
    Body,
    Other,
}

struct Slot {
    job: Job,
    machine: Option<Running>,
    /// Counts the machines that the job has had.
    epoch: u32,
    runs: u32,
    tasks: BTreeMap<TaskId, Doing>,
    last_id: Option<TaskId>,
    incoming: BTreeMap<TaskId, Incoming>,
    /// How much of the source was read by a machine that reads it once.
    filled: usize,
    received: Vec<u8>,
    listed: Vec<String>,
    started: Duration,
    cancelled: bool,
    /// What may be the reason of a failure.
    excuses: BTreeSet<ErrorKind>,
    /// How often a request was sent, and how often it was refused for a reason that can be put right.
    sent: BTreeMap<String, (u32, u32)>,
    /// Uploads of which this machine knows.
    learned: BTreeSet<String>,
    /// Those that are in a checkpoint which was reported to be written.
    recorded: BTreeSet<String>,
    /// Those of runs that crashed before a checkpoint named them: to be found by when they began.
    unnamed: BTreeSet<String>,
    /// Something went wrong with an upload's beginning, or with looking for what was left: what is there then may
    /// be anybody's, and stays.
    blurred: bool,
    done: bool,
    acknowledged: bool,
}

pub(crate) struct Run {
    rng: Rng,
    weather: Weather,
    planted: Option<Planted>,
    now: Duration,
    /// How far the local clock is off, in seconds.
    off: i64,
    queue: BTreeMap<(Duration, u64), Event>,
    made: u64,
    cloud: Cloud,
    disk: Disk,
    slots: Vec<Slot>,
    session: Session,
    flights: BTreeMap<u64, Flight>,
    /// Calls for whom credentials have come.
    ready: Arc<Mutex<Vec<(usize, u32, TaskId)>>>,
    /// Uploads that nobody can be asked about: reported as kept, or of a process that is gone.
    excused: BTreeSet<String>,
    trace: Option<Vec<String>>,
    requests: u64,
    failure: Option<String>,
}

/// How a run went.
pub(crate) struct Report {
    pub(crate) failure: Option<String>,
    pub(crate) trace: Vec<String>,
    pub(crate) requests: u64,
    pub(crate) jobs: u64,
    pub(crate) succeeded: u64,
}

macro_rules! trace {
    ($run:expr, $($arg:tt)*) => {
        if $run.trace.is_some() {
            let line = format!($($arg)*);
            $run.note(&line);
        }
    };
}

use trace;

impl Run {
    pub(crate) fn new(seed: u64, planted: Option<Planted>, traced: bool) -> Self {
        let mut rng = Rng::new(seed ^ 0x5333_5333_5333_5333);
        let elsewhere = rng.chance(150);
        let region = if elsewhere { "eu-west-1" } else { "us-east-1" };
        let says_301 = rng.chance(500);
        let mut cloud = Cloud::new(region, says_301, rng.between(1, 12));
        if rng.chance(300) {
            cloud.versions = Some(Versions::default());
        }
        let mut disk = Disk::default();
        let trouble = rng.pick(&[0, 20, 100, 250]);
        let is_rough = trouble > 0;
        let rotates = rng.chance(300);
        let weather = Weather {
            trouble,
            late: rng.pick(&[0, 300, 1_000]),
            rotates_at: rotates.then(|| rng.time(Duration::from_secs(3))),
            tells_expiry: rng.chance(500),
            has_timeout: is_rough && rng.chance(200),
        };
        let large = rng.chance(250);
        let count = rng.between(1, 5);
        let jobs: Vec<Job> =
            (0..count).map(|n| Job::draw(n, &mut rng, large && n == 0, &mut cloud, &mut disk)).collect();
        (cloud.planted, disk.planted) = (planted, planted);
        let (jump, starts_off) = (rng.chance(100), rng.chance(100));
        let offset = |rng: &mut Rng| {
            let by = i64::try_from(rng.between(1_200, 90_000)).unwrap_or(0);
            if rng.chance(500) { by } else { -by }
        };
        let off = if starts_off && !jump { offset(&mut rng) } else { 0 };
        let config = config(&weather, rng.next());
        let mut run = Self {
            weather,
            planted,
            now: Duration::from_secs(100),
            off,
            queue: BTreeMap::new(),
            made: 0,
            cloud,
            disk,
            slots: Vec::new(),
            session: Session::new(config),
            flights: BTreeMap::new(),
            ready: Arc::default(),
            excused: BTreeSet::new(),
            trace: traced.then(Vec::new),
            requests: 0,
            failure: None,
            rng,
        };
        trace!(run, "{:?}, region {region}, clock off by {off} s", run.weather);
        for job in jobs {
            run.add(job);
        }
        if jump {
            let (at, by) = (run.rng.time(Duration::from_secs(2)), offset(&mut run.rng));
            run.after(at, Event::Jump(by));
        }
        if is_rough {
            for slot in 0..run.slots.len() {
                if run.rng.chance(120) {
                    let at = run.rng.time(Duration::from_secs(2));
                    run.after(at, Event::Cancel(slot));
                }
            }
            if run.rng.chance(200) {
                let at = run.rng.time(Duration::from_secs(3));
                run.after(at, Event::Crash);
            }
        }
        run
    }

    fn add(&mut self, job: Job) {
        let slot = self.slots.len();
        if job.other.is_some() {
            let at = self.rng.time(Duration::from_secs(1));
            self.after(at, Event::Replace(slot));
        }
        let machine = job.start(&self.session);
        trace!(
            self,
            "[{slot}] {:?} {} of {} bytes, checkpoint {}",
            job.kind,
            job.key,
            job.content.len(),
            job.checkpoint
        );
        self.slots.push(Slot {
            job,
            machine: Some(machine),
            epoch: 0,
            runs: 1,
            tasks: BTreeMap::new(),
            last_id: None,
            incoming: BTreeMap::new(),
            filled: 0,
            received: Vec::new(),
            listed: Vec::new(),
            started: self.now,
            cancelled: false,
            excuses: BTreeSet::new(),
            sent: BTreeMap::new(),
            learned: BTreeSet::new(),
            recorded: BTreeSet::new(),
            unnamed: BTreeSet::new(),
            blurred: false,
            done: false,
            acknowledged: false,
        });
        let at = self.rng.time(Duration::from_millis(200));
        self.after(at, Event::Poll { slot, epoch: 0 });
    }

    fn note(&mut self, line: &str) {
        let at = self.now.as_secs_f64();
        if let Some(trace) = &mut self.trace {
            trace.push(format!("{at:>12.6} {line}"));
        }
    }

    fn violated(&mut self, what: String) {
        trace!(self, "VIOLATION: {what}");
        self.failure.get_or_insert(what);
    }

    fn is(&self, planted: Planted) -> bool {
        self.planted == Some(planted)
    }

    fn after(&mut self, time: Duration, event: Event) {
        self.made += 1;
        self.queue.insert((self.now + time, self.made), event);
    }

    /// After a while that a network takes.
    fn soon(&mut self, event: Event) {
        let time = self.rng.time(Duration::from_millis(120));
        self.after(time, event);
    }

    /// The service's time, which is right.
    fn time(&self) -> Timestamp {
        Timestamp::from_unix(START, 0).unwrap_or(Timestamp::UNIX_EPOCH).saturating_add(self.now)
    }

    fn clocks(&self) -> Now {
        let by = Duration::from_secs(self.off.unsigned_abs());
        let wall = if self.off < 0 { self.time().saturating_sub(by) } else { self.time().saturating_add(by) };
        Now { mono: Instant::from_origin(self.now), wall }
    }

    /// The access key id that the service takes now.
    fn valid_key(&self) -> &'static str {
        let rotated = self.weather.rotates_at.is_some_and(|at| self.now >= Duration::from_secs(100) + at);
        if rotated { "AK1" } else { "AK0" }
    }

    pub(crate) fn finish(mut self) -> Report {
        let mut events = 0;
        while self.failure.is_none() {
            let Some(((at, _), event)) = self.queue.pop_first() else { break };
            self.now = at;
            events += 1;
            if events > MOST_EVENTS {
                self.violated("it goes round in circles".into());
            } else if at > LONGEST_RUN {
                self.violated("it does not come to an end".into());
            } else {
                self.carry_out(event);
                self.wake_the_ready();
            }
        }
        if self.failure.is_none() {
            self.check_end();
        }
        Report {
            failure: self.failure,
            trace: self.trace.unwrap_or_default(),
            requests: self.requests,
            jobs: self.slots.len() as u64,
            succeeded: self.slots.iter().filter(|slot| slot.acknowledged).count() as u64,
        }
    }

    fn carry_out(&mut self, event: Event) {
        match event {
            Event::Poll { slot, epoch } => {
                if self.slots[slot].epoch == epoch {
                    self.poll(slot);
                }
            }
            Event::Arrive(flight) => self.arrive(flight),
            Event::Head { slot, epoch, id, reply, fate } => self.head(slot, epoch, id, reply, fate),
            Event::Piece { slot, epoch, id } => {
                if self.slots[slot].epoch == epoch {
                    self.piece(slot, id);
                }
            }
            Event::Failed { slot, epoch, id, phase, kind } => {
                let cause = TransportError::new(kind, "it broke");
                self.answer(slot, epoch, id, Answer::Failed { phase, cause });
            }
            Event::File { slot, epoch, id, task } => self.file(slot, epoch, id, task),
            Event::Read { slot, epoch, id, path } => {
                let content = if path.starts_with("/keys") {
                    Some(self.keys_file().into_bytes())
                } else {
                    self.disk.read(&path)
                };
                self.answer(slot, epoch, id, Answer::File(Ok(content.map(Secret::new))));
            }
            Event::Fill { slot, epoch, id, len } => {
                let Slot { job, filled, epoch: current, .. } = &mut self.slots[slot];
                if *current == epoch {
                    let end = job.content.len().min(*filled + len);
                    let bytes = job.content.slice(*filled..end);
                    *filled = end;
                    self.answer(slot, epoch, id, Answer::Filled(Ok(bytes)));
                }
            }
            Event::Ready { slot, epoch, id } => self.answer(slot, epoch, id, Answer::Ready),
            Event::SourceFailed { slot, epoch, id } => {
                let error = std::io::Error::from(std::io::ErrorKind::NotFound);
                self.answer(slot, epoch, id, Answer::SourceFailed(SourceError::new(error)));
            }
            Event::Cancel(slot) => self.cancel(slot),
            Event::Replace(slot) => {
                let Job { key, other, version, .. } = self.slots[slot].job.clone();
                trace!(self, "somebody replaces {key}");
                self.cloud.store(&key, other.into_iter().collect());
                if version.is_none() {
                    self.slots[slot].excuses.insert(ErrorKind::PreconditionFailed);
                }
            }
            Event::Jump(by) => {
                trace!(self, "the clock jumps by {by} s");
                self.off = by;
                self.slots.iter_mut().for_each(|slot| slot.blurred = true);
            }
            Event::Crash => self.crash(),
        }
    }

    /// What the program that gives out credentials says now.
    fn keys_file(&self) -> String {
        let id = if self.is(Planted::CredentialsStale) { "AK0" } else { self.valid_key() };
        let at = if id == "AK0" { self.weather.rotates_at } else { Some(Duration::from_secs(40_000)) };
        match at.filter(|_| self.weather.tells_expiry) {
            Some(at) => {
                let at = i64::try_from(at.as_secs()).unwrap_or(0) + START + 100;
                format!("{id} {at}")
            }
            None => id.to_owned(),
        }
    }

    fn wake_the_ready(&mut self) {
        let ready = std::mem::take(&mut *self.ready.lock().unwrap_or_else(PoisonError::into_inner));
        for (slot, epoch, id) in ready {
            self.soon(Event::Ready { slot, epoch, id });
        }
    }

    /// Lets a machine go on until it waits or is done.
    fn poll(&mut self, slot: usize) {
        for step in 0..MOST_STEPS {
            let now = self.clocks();
            let Some(machine) = &mut self.slots[slot].machine else { return };
            // A driver may ask for items or leave it to polls, as it likes.
            let ready = if step % 2 == 0 { machine.take_item() } else { None };
            match ready.map_or_else(|| machine.poll(now), Step::Item) {
                Step::Start(id, task) => self.start(slot, id, task),
                Step::Cancel(id) => self.drop_task(slot, id),
                Step::Item(item) => {
                    self.item(slot, &item);
                    if self.rng.chance(50) {
                        // The user takes his time.
                        let time = self.rng.time(Duration::from_secs(2));
                        let epoch = self.slots[slot].epoch;
                        return self.after(time, Event::Poll { slot, epoch });
                    }
                }
                Step::Wait(until) => return self.wait(slot, until),
                Step::Done(result) => return self.done(slot, result),
            }
            if self.failure.is_some() {
                return;
            }
        }
        self.violated(format!("[{slot}] takes {MOST_STEPS} steps at once"));
    }

    fn wait(&mut self, slot: usize, mut until: Option<Instant>) {
        let now = Instant::from_origin(self.now);
        let idle = self.slots[slot].tasks.is_empty();
        match self.planted {
            Some(Planted::DeadlineDropped) if idle => until = None,
            Some(Planted::DeadlinePassed) => until = until.map(|_| now),
            _ => {}
        }
        match until {
            Some(until) if until <= now => {
                self.violated(format!("[{slot}] waits until a time that has passed"));
            }
            Some(until) if idle && until.since(now) > LONGEST_WAIT => {
                self.violated(format!("[{slot}] waits for {:?}", until.since(now)));
            }
            Some(until) => {
                // A timer may be late, but not early.
                let late = if self.rng.chance(100) {
                    self.rng.time(Duration::from_millis(20))
                } else {
                    Duration::ZERO
                };
                let epoch = self.slots[slot].epoch;
                self.after(until.since(now) + late, Event::Poll { slot, epoch });
            }
            None if idle => self.violated(format!("[{slot}] waits for nothing, for ever")),
            None => {}
        }
    }

    fn item(&mut self, slot: usize, item: &Yield) {
        let times = match self.planted {
            Some(Planted::ItemRepeated) => 2,
            Some(Planted::ItemLost) => 0,
            _ => 1,
        };
        let slot = &mut self.slots[slot];
        for _ in 0..times {
            match item {
                Yield::Other => {}
                Yield::Bytes(bytes) => slot.received.extend_from_slice(bytes),
                Yield::Keys(keys) => slot.listed.extend_from_slice(keys),
            }
        }
    }

    fn start(&mut self, slot: usize, id: TaskId, task: Task) {
        let Slot { epoch, last_id, tasks, .. } = &mut self.slots[slot];
        let epoch = *epoch;
        if tasks.contains_key(&id) || last_id.is_some_and(|last| id == last) {
            return self.violated(format!("[{slot}] uses {id:?} twice"));
        }
        *last_id = Some(id);
        let doing = if matches!(task, Task::Http(_)) { Doing::Http } else { Doing::Other };
        tasks.insert(id, doing);
        match task {
            Task::Http(task) => self.send(slot, id, *task),
            Task::File(task) => {
                trace!(self, "[{slot}] {id:?} {}", shown(&task));
                self.soon(Event::File { slot, epoch, id, task });
            }
            Task::ReadFile(path) => {
                trace!(self, "[{slot}] {id:?} reads {}", path.display());
                self.soon(Event::Read { slot, epoch, id, path });
            }
            Task::Fill { len } => self.soon(Event::Fill { slot, epoch, id, len }),
            Task::AwaitCredentials(ticket) => {
                let ready = Arc::clone(&self.ready);
                ticket.on_ready(move || {
                    ready.lock().unwrap_or_else(PoisonError::into_inner).push((slot, epoch, id));
                });
            }
            other => self.violated(format!("[{slot}] wants {other:?}")),
        }
    }

    /// The machine wants no more of this task; but what is on its way is on its way.
    fn drop_task(&mut self, slot: usize, id: TaskId) {
        trace!(self, "[{slot}] drops {id:?}");
        self.slots[slot].tasks.remove(&id);
        self.slots[slot].incoming.remove(&id);
        self.recall(|flight| flight.slot == slot && flight.id == id);
    }

    /// Requests whose sender is gone arrive, or do not.
    fn recall(&mut self, mut is_meant: impl FnMut(&Flight) -> bool) {
        let numbers: Vec<u64> =
            self.flights.iter().filter(|(_, flight)| is_meant(flight)).map(|(n, _)| *n).collect();
        for number in numbers {
            if self.rng.chance(500) {
                self.flights.remove(&number);
            }
        }
    }

    fn is_live(&self, slot: usize, epoch: u32, id: TaskId) -> bool {
        let slot = &self.slots[slot];
        slot.epoch == epoch && slot.tasks.contains_key(&id)
    }

    /// Whether the answer to a task that is over is given all the same.
    fn comes_late(&mut self, slot: usize, epoch: u32) -> bool {
        self.slots[slot].epoch == epoch
            && self.slots[slot].machine.is_some()
            && self.rng.chance(self.weather.late)
    }

    /// Gives an answer that ends its task.
    fn answer(&mut self, slot: usize, epoch: u32, id: TaskId, answer: Answer<'_>) {
        let live = self.is_live(slot, epoch, id);
        if !live && !self.comes_late(slot, epoch) {
            return;
        }
        trace!(self, "[{slot}] {id:?} comes to {}{}", brief(&answer), if live { "" } else { ", late" });
        let now = self.clocks();
        self.slots[slot].tasks.remove(&id);
        self.slots[slot].incoming.remove(&id);
        let Some(machine) = &mut self.slots[slot].machine else { return };
        if !matches!(machine.answer(now, id, answer), BodyPlan::Discard) {
            return self.violated(format!("[{slot}] wants a body where there is none"));
        }
        self.poll(slot);
    }

    fn file(&mut self, slot: usize, epoch: u32, id: TaskId, task: FileTask) {
        if self.slots[slot].epoch != epoch {
            return;
        }
        let recorded = match &task {
            FileTask::Save { content, .. } => upload_in(content.expose()),
            _ => None,
        };
        let committed = matches!(task, FileTask::Commit { .. });
        let lists = matches!(task, FileTask::List { .. });
        self.disk.now = Some(self.time());
        let result = self.disk.perform(slot, task);
        if let Err(error) = &result
            && !lists
        {
            self.violated(format!("[{slot}] {id:?} cannot be: {error}"));
        }
        if committed {
            self.check_files();
        }
        self.slots[slot].recorded.extend(recorded);
        self.answer(slot, epoch, id, Answer::Filed(result));
    }

    fn cancel(&mut self, slot: usize) {
        if self.slots[slot].done {
            return;
        }
        trace!(self, "[{slot}] is cancelled");
        let now = self.clocks();
        self.slots[slot].excuses.insert(ErrorKind::Cancelled);
        let swallowed = self.is(Planted::CancelSwallowed);
        if let Some(machine) = self.slots[slot].machine.as_mut().filter(|_| !swallowed) {
            machine.cancel(now);
        }
        self.slots[slot].cancelled = true;
        self.poll(slot);
    }

    /// The process is gone, and another begins where it was.
    fn crash(&mut self) {
        trace!(self, "the process crashes");
        self.session = Session::new(config(&self.weather, self.rng.next()));
        self.recall(|_| true);
        for slot in 0..self.slots.len() {
            self.disk.close(slot, true);
            if !self.slots[slot].done {
                let it = &mut self.slots[slot];
                if it.job.checkpoint {
                    it.unnamed.extend(it.learned.difference(&it.recorded).cloned());
                } else {
                    self.excused.extend(it.learned.iter().cloned());
                }
                self.excuse_ambiguity(slot);
                self.begin_again(slot);
            }
        }
    }

    fn begin_again(&mut self, slot: usize) {
        let machine = self.slots[slot].job.start(&self.session);
        let it = &mut self.slots[slot];
        it.epoch += 1;
        it.runs += 1;
        it.machine = Some(machine);
        it.tasks.clear();
        it.incoming.clear();
        it.sent.clear();
        it.received.clear();
        it.listed.clear();
        it.last_id = None;
        it.filled = 0;
        it.cancelled = false;
        it.started = self.now;
        let epoch = it.epoch;
        trace!(self, "[{slot}] begins again");
        self.soon(Event::Poll { slot, epoch });
    }

    fn done(&mut self, slot: usize, mut result: Result<Output, Error>) {
        if self.is(Planted::ErrorUntyped) {
            result = result.map_err(|_| Error::new(ErrorKind::Service, "something went wrong"));
        }
        if let Err(error) = &result {
            trace!(self, "[{slot}] fails: {:?} {error}", error.kind());
        } else {
            trace!(self, "[{slot}] is done");
        }
        self.slots[slot].machine = None;
        self.slots[slot].tasks.clear();
        self.slots[slot].incoming.clear();
        self.recall(|flight| flight.slot == slot);
        self.disk.close(slot, false);
        let it = &self.slots[slot];
        let took = self.now.saturating_sub(it.started);
        if self.weather.has_timeout && it.job.is_call() && took > OPERATION_TIMEOUT + Duration::from_secs(1) {
            return self.violated(format!("[{slot}] took {took:?} of {OPERATION_TIMEOUT:?}"));
        }
        match result {
            Ok(output) => {
                if let Err(what) =
                    it.job.check(&output, &it.received, &it.listed, &self.cloud, &self.disk, it.runs)
                {
                    return self.violated(format!("[{slot}] {what}"));
                }
                if let Output::Synced(report) = &output {
                    for SyncFailure { name, error, .. } in &report.failures {
                        let key = format!("{}/{name}", self.slots[slot].job.key);
                        let is_refused = self.cloud.refusals.contains_key(&key);
                        if !(is_refused && error.kind() == ErrorKind::AccessDenied) {
                            self.check_reason(slot, error);
                        }
                    }
                }
                let it = &self.slots[slot];
                let state = it.job.state_path();
                if self.disk.files.contains_key(std::path::Path::new(&state)) {
                    return self.violated(format!("[{slot}] leaves its checkpoint behind"));
                }
                let it = &mut self.slots[slot];
                (it.done, it.acknowledged) = (true, true);
                for id in &it.recorded {
                    self.excused.remove(id);
                }
            }
            Err(error) => self.failed(slot, &error),
        }
    }

    /// Whether it may have failed so, and what it leaves behind.
    fn check_reason(&mut self, slot: usize, error: &Error) {
        let it = &self.slots[slot];
        let timed_out = self.weather.has_timeout && error.kind() == ErrorKind::Timeout;
        if !it.excuses.contains(&error.kind()) && !timed_out {
            return self.violated(format!(
                "[{slot}] fails without a reason: {:?}: {error}; it could have been {:?}",
                error.kind(),
                it.excuses
            ));
        }
        let parts = error.sync_interrupted().map(|sync| sync.report.failures.as_slice()).unwrap_or_default();
        for error in parts.iter().map(|failure| &failure.error).chain([error]) {
            if let Some(failure) = error.upload_failure()
                && failure.is_left()
            {
                self.excused.insert(failure.upload_id.clone());
            }
        }
    }

    fn failed(&mut self, slot: usize, error: &Error) {
        self.check_reason(slot, error);
        let it = &self.slots[slot];
        if let Some(failure) = error.delete_failure()
            && let Err(what) = it.job.check_deleted(&failure.report, &self.cloud)
        {
            return self.violated(format!("[{slot}] {what}"));
        }
        let it = &mut self.slots[slot];
        // Whoever keeps a checkpoint tries again.
        if it.job.checkpoint && it.runs < 4 {
            self.begin_again(slot);
        } else {
            it.done = true;
        }
    }

    /// What has its name is whole.
    fn check_files(&mut self) {
        for slot in 0..self.slots.len() {
            let job = &self.slots[slot].job;
            let between = job.folder.as_ref().map(|folder| folder.check_between(&self.cloud, &self.disk));
            if let Some(Err(what)) = between {
                return self.violated(format!("[{slot}] {}: {what}", job.key));
            }
            let Some(file) = self.disk.files.get(std::path::Path::new(&job.path())) else { continue };
            let output = Output::Came { bytes: file.bytes().len() as u64 };
            if let Err(what) = job.check(&output, &[], &[], &self.cloud, &self.disk, 1) {
                return self.violated(format!("[{slot}] {what}"));
            }
        }
    }

    fn check_end(&mut self) {
        for slot in 0..self.slots.len() {
            let Slot { job, done, acknowledged, learned, unnamed, blurred, .. } = &self.slots[slot];
            if !done {
                return self.violated(format!("[{slot}] hangs: nothing is under way, and it is not done"));
            }
            // What a checkpoint names can be gone on with.
            let state = self.disk.files.get(std::path::Path::new(&job.state_path()));
            let state = state.and_then(|file| upload_in(file.bytes()));
            let left = self
                .cloud
                .uploads
                .iter()
                .filter(|(id, _)| learned.contains(*id) && !self.excused.contains(*id))
                // A run that failed has left its checkpoint, and whoever goes on finds them.
                .filter(|(id, _)| *acknowledged || state.as_ref() != Some(*id))
                .find(|(id, _)| !unnamed.contains(*id) || (*acknowledged && !blurred));
            if let Some((id, upload)) = left {
                return self.violated(format!("[{slot}] leaves {id} of {} behind", upload.key));
            }
            let stored = self.cloud.objects.get(&job.key);
            let writes = !matches!(
                job.kind,
                Kind::Get | Kind::DownloadFile | Kind::DownloadStream | Kind::DownloadMemory
            );
            let is_right = match stored {
                Some(object) if writes => crate::content::is(&object.pieces, &job.content),
                None => {
                    let is_there = writes && !job.deletes() && job.kind != Kind::List && job.folder.is_none();
                    !(*acknowledged && is_there)
                }
                Some(_) => true,
            };
            if !is_right {
                return self.violated(format!("[{slot}] {} is not what was sent", job.key));
            }
            if let Err(what) = job.check_kept(&self.cloud) {
                return self.violated(format!("[{slot}] {what}"));
            }
            if job.kind == Kind::List && !job.keys().iter().all(|key| self.cloud.objects.contains_key(key)) {
                return self.violated(format!("[{slot}] objects have gone"));
            }
        }
        self.check_files();
        if let Some(path) = self.disk.left_over() {
            self.violated(format!("{} is left behind", path.display()));
        }
    }
}

fn config(weather: &Weather, seed: u64) -> Config {
    let mut config = Config::new("us-east-1").expect("it is a region");
    config.credentials =
        CredentialsSource::Custom(CredentialsProvider::new("simulated", |tasks| async move {
            let file = tasks.read_file("/keys".into()).await?;
            let text =
                file.map(|file| String::from_utf8_lossy(file.expose()).into_owned()).unwrap_or_default();
            let (id, expiry) = text.split_once(' ').unwrap_or((&text, ""));
            let credentials = Credentials::new(id, "secret".to_owned())?.with_session_token("token");
            let expiry = expiry.parse().ok().and_then(|at| Timestamp::from_unix(at, 0));
            Ok(match expiry {
                Some(at) => credentials.with_expiry(at),
                None => credentials,
            })
        }));
    config.operation_timeout = weather.has_timeout.then_some(OPERATION_TIMEOUT);
    config.seed = seed;
    config
}

fn upload_in(text: &[u8]) -> Option<String> {
    let text = std::str::from_utf8(text).ok()?;
    let rest = text.split_once("<UploadId>")?.1;
    Some(rest.split('<').next()?.to_owned())
}

fn shown(task: &FileTask) -> String {
    let text = format!("{task:?}");
    text.chars().take(100).collect()
}

fn brief(answer: &Answer<'_>) -> String {
    match answer {
        Answer::Failed { phase, cause } => format!("a failure while {phase}: {:?}", cause.kind()),
        Answer::Filled(Ok(bytes)) => format!("{} bytes", bytes.len()),
        Answer::File(Ok(found)) => format!("a file: {}", found.is_some()),
        other => {
            let text = format!("{other:?}");
            text.chars().take(60).collect()
        }
    }
}
