//! The loop that carries out what a machine asks for.

use std::collections::{BTreeSet, VecDeque};
use std::panic;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Instant;

use s3_io::clock::Clock;
use s3_io::{Cancel, Files, Registration, wait_until};
use s3_proto::{
    Answer, BodyCheck, BodyPlan, Error, ErrorKind, Machine, Now, Phase, Step, Task, TaskId, TransportError,
    TransportErrorKind,
};

use crate::source::Source;
use crate::transport::{Download, Transport};

/// A machine on its way.
pub(crate) struct Run<M: Machine + Send + 'static> {
    pub(crate) shared: Arc<Shared<M>>,
    crew: Crew,
}

/// Carries out what a machine asks for.
///
/// A task that is the only one, and that nothing but its own time-outs may end, is carried out right here.
/// Others get a thread each: how many there are at a time is up to the machine.
struct Crew {
    shared: Arc<Shared<dyn Answered>>,
    /// Asked for, but not begun.
    asked: VecDeque<(TaskId, Task)>,
    working: Vec<Worker>,
    /// Tasks that somebody else ends, without a thread of ours.
    awaited: BTreeSet<TaskId>,
    /// Taken away when the run is over.
    user: Option<Registration>,
}

/// A machine as those see it that carry out its tasks. Whatever it is for, they are compiled once.
pub(crate) trait Answered: Send {
    fn answer(&mut self, now: Now, id: TaskId, answer: Answer<'_>) -> BodyPlan;
    fn cancel(&mut self, now: Now);
}

impl<M: Machine + Send> Answered for M {
    fn answer(&mut self, now: Now, id: TaskId, answer: Answer<'_>) -> BodyPlan {
        Machine::answer(self, now, id, answer)
    }

    fn cancel(&mut self, now: Now) {
        Machine::cancel(self, now);
    }
}

/// What the threads of a run share.
pub(crate) struct Shared<M: ?Sized> {
    pub(crate) signal: Arc<Signal>,
    pub(crate) transport: Arc<Transport>,
    pub(crate) files: Files,
    pub(crate) source: Mutex<Option<Source>>,
    /// Whether there is a user to hand bodies to; without one they are read and checked here.
    pub(crate) deliver: bool,
    clock: Clock,
    /// What the user ends the call with.
    user: Cancel,
    /// The last, so that its type can be left open.
    machine: Mutex<M>,
}

struct Worker {
    id: TaskId,
    cancel: Cancel,
    thread: JoinHandle<()>,
}

/// A body for the user.
pub(crate) struct Delivery {
    pub(crate) id: TaskId,
    pub(crate) download: Download,
    pub(crate) check: Box<BodyCheck>,
    /// Closes its connection when the user ends the call.
    _registration: Registration,
}

/// What a machine has come to.
pub(crate) enum Progress<I, T> {
    Item(I),
    Body(Delivery),
    Done(Result<T, Error>),
}

/// What happened that the loop has to look at.
#[derive(Default)]
pub(crate) struct Signal {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    events: u64,
    /// Whether the loop waits for a change: waking nobody is a system call all the same.
    waiting: bool,
    /// Tasks that were awaited and have come about.
    ready: Vec<TaskId>,
    /// Threads that are at their end.
    ended: Vec<TaskId>,
    delivery: Option<Delivery>,
    /// The machine has yet to be told.
    cancelled: bool,
    /// What made us cancel.
    failed: Option<Error>,
}

impl<M: Machine + Send + 'static> Run<M> {
    pub(crate) fn new(
        machine: M,
        transport: Arc<Transport>,
        clock: Clock,
        cancel: Option<&Cancel>,
        source: Option<Source>,
        deliver: bool,
    ) -> Self {
        let signal = Arc::new(Signal::default());
        let user = cancel.map(|cancel| {
            let signal = signal.clone();
            cancel.on_cancel(move || signal.change(|state| state.cancelled = true))
        });
        let shared = Arc::new(Shared {
            signal,
            transport,
            files: Files::default(),
            source: Mutex::new(source),
            deliver,
            clock,
            user: cancel.cloned().unwrap_or_else(Cancel::never),
            machine: Mutex::new(machine),
        });
        let crew = Crew {
            shared: shared.clone(),
            asked: VecDeque::new(),
            working: Vec::new(),
            awaited: BTreeSet::new(),
            user,
        };
        Self { shared, crew }
    }

    /// An item that is there already.
    pub(crate) fn take_item(&mut self) -> Option<M::Item> {
        if self.shared.user.is_cancelled() { None } else { self.shared.machine().take_item() }
    }

    /// Goes on to the next thing that concerns the user.
    pub(crate) fn next(&mut self) -> Progress<M::Item, M::Output> {
        loop {
            let seen = self.crew.pass_on();
            if let Some(delivery) = self.shared.signal.lock().delivery.take() {
                return Progress::Body(delivery);
            }
            let step = self.shared.machine().poll(self.shared.clock.now());
            match step {
                Step::Start(id, task) => self.crew.start(id, task),
                Step::Cancel(id) => self.crew.abort(id),
                Step::Item(item) => return Progress::Item(item),
                Step::Done(result) => {
                    self.crew.leave();
                    return Progress::Done(self.shared.signal.lock().failed.take().map_or(result, Err));
                }
                Step::Wait(until) => {
                    if let Err(error) = self.crew.wait(until, seen) {
                        return Progress::Done(Err(error));
                    }
                }
            }
        }
    }
}

impl Crew {
    fn start(&mut self, id: TaskId, task: Task) {
        match task {
            Task::AwaitCredentials(ticket) => {
                self.awaited.insert(id);
                let signal = self.shared.signal.clone();
                ticket.on_ready(move || signal.change(|state| state.ready.push(id)));
            }
            task => self.asked.push_back((id, task)),
        }
    }

    /// Tells the machine what happened meanwhile; returns up to which event.
    fn pass_on(&mut self) -> u64 {
        let (seen, cancelled, ready, ended) = {
            let mut state = self.shared.signal.lock();
            let ended = std::mem::take(&mut state.ended);
            let ready = std::mem::take(&mut state.ready);
            (state.events, std::mem::take(&mut state.cancelled), ready, ended)
        };
        for worker in self.working.extract_if(.., |worker| ended.contains(&worker.id)) {
            // What panics in a user's reader panics where the user sees it.
            worker.thread.join().unwrap_or_else(|panic| panic::resume_unwind(panic));
        }
        for id in ready {
            if self.awaited.remove(&id) {
                self.shared.tell(id, Answer::Ready);
            }
        }
        if cancelled {
            self.shared.machine().cancel(self.shared.clock.now());
        }
        seen
    }

    /// Waits for something to happen after `seen`, at the longest until then.
    fn wait(&mut self, until: Option<s3_proto::Instant>, seen: u64) -> Result<(), Error> {
        let alone = self.working.is_empty() && self.asked.len() == 1 && self.awaited.is_empty();
        if alone && until.is_none() && self.user.is_none() {
            if let Some((id, task)) = self.asked.pop_front() {
                self.shared.carry_out(id, task, &Cancel::never());
            }
            return Ok(());
        }
        while let Some((id, task)) = self.asked.pop_front() {
            self.work(id, task);
        }
        if self.working.is_empty() && self.awaited.is_empty() && until.is_none() {
            return Err(Error::new(ErrorKind::ApiMisuse, "the machine waits, but nothing is under way"));
        }
        self.shared.signal.wait(seen, until.and_then(|until| self.shared.clock.at(until)));
        Ok(())
    }

    fn work(&mut self, id: TaskId, task: Task) {
        let (shared, cancel) = (self.shared.clone(), Cancel::new());
        let inside = cancel.clone();
        let work = move || {
            let _ended = Ended { signal: &shared.signal, id };
            shared.carry_out(id, task, &inside);
        };
        match thread::Builder::new().name("s3-task".to_owned()).spawn(work) {
            Ok(thread) => self.working.push(Worker { id, cancel, thread }),
            Err(error) => {
                let message = format!("no thread could be started: {error}");
                let cause = TransportError::new(TransportErrorKind::PoolExhausted, message);
                self.shared.tell(id, Answer::Failed { phase: Phase::Connect, cause });
            }
        }
    }

    fn abort(&mut self, id: TaskId) {
        self.asked.retain(|(other, _)| *other != id);
        self.awaited.remove(&id);
        for worker in self.working.iter().filter(|worker| worker.id == id) {
            worker.cancel.cancel();
        }
        self.shared.signal.lock().delivery.take_if(|delivery| delivery.id == id);
    }

    /// Ends what is still under way, and waits for it to end.
    fn leave(&mut self) {
        self.user = None;
        self.asked.clear();
        for worker in &self.working {
            worker.cancel.cancel();
        }
        for worker in self.working.drain(..) {
            // Whatever went wrong, nobody is interested any more.
            let _ = worker.thread.join();
        }
    }
}

impl Drop for Crew {
    fn drop(&mut self) {
        self.leave();
    }
}

impl<M: Answered + ?Sized> Shared<M> {
    fn machine(&self) -> MutexGuard<'_, M> {
        self.machine.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Hands the outcome of a task to the machine, from whatever thread.
    pub(crate) fn answer(&self, id: TaskId, answer: Answer<'_>) -> BodyPlan {
        let plan = self.machine().answer(self.clock.now(), id, answer);
        self.signal.change(|_| {});
        plan
    }

    /// [`answer`](Self::answer) where no body follows. What comes of it shows in the next steps.
    pub(crate) fn tell(&self, id: TaskId, answer: Answer<'_>) {
        let _ = self.answer(id, answer);
    }

    /// A task cannot be carried out. The machine may have something to put in order yet.
    pub(crate) fn fail(&self, error: Error) {
        self.signal.change(|state| {
            state.failed.get_or_insert(error);
            state.cancelled = true;
        });
    }

    /// Hands a body to the user.
    pub(crate) fn deliver(&self, id: TaskId, download: Download, check: Box<BodyCheck>, cancel: &Cancel) {
        let cancel = cancel.clone();
        let registration = self.user.on_cancel(move || cancel.cancel());
        let delivery = Delivery { id, download, check, _registration: registration };
        self.signal.change(|state| state.delivery = Some(delivery));
    }
}

impl Signal {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn change(&self, change: impl FnOnce(&mut State)) {
        let mut state = self.lock();
        state.events += 1;
        change(&mut state);
        let awaited = std::mem::take(&mut state.waiting);
        drop(state);
        if awaited {
            self.changed.notify_all();
        }
    }

    fn wait(&self, seen: u64, until: Option<Instant>) {
        let mut state = self.lock();
        while state.events == seen {
            state.waiting = true;
            let Some(changed) = wait_until(&self.changed, state, until) else { return };
            state = changed;
        }
    }
}

/// Says that a thread is at its end, also if it panics.
struct Ended<'a> {
    signal: &'a Signal,
    id: TaskId,
}

impl Drop for Ended<'_> {
    fn drop(&mut self) {
        self.signal.change(|state| state.ended.push(self.id));
    }
}
