//! How far a transfer is, and who wants to know.

use crate::machine::{Answer, BodyPlan, Machine, Now, Step, TaskId};

/// How far a transfer is: what its machine yields on its way, whenever something has changed.
///
/// The numbers never go down, unless an upload has to begin again. Nothing is said of the rate: whoever
/// shows it has a clock.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Progress {
    /// Bytes that are where they belong.
    pub bytes: u64,
    /// Bytes there are in all, if that is known.
    pub total: Option<u64>,
    /// Parts that are done; a transfer in one request has one.
    pub parts: u32,
    /// Parts there are in all, if that is known.
    pub total_parts: Option<u32>,
    /// Objects that are done, in a transfer of several.
    pub objects: u64,
    /// Requests that had to be repeated.
    pub retries: u32,
}

/// Who is told.
pub(crate) type OnProgress = Box<dyn FnMut(&Progress) + Send>;

/// A transfer whose progress is told to somebody.
pub(crate) struct Watched<M> {
    machine: M,
    tell: Option<OnProgress>,
}

impl<M> Watched<M> {
    pub(crate) fn new(machine: M, tell: Option<OnProgress>) -> Self {
        Self { machine, tell }
    }
}

impl<M: Machine<Item = Progress>> Machine for Watched<M> {
    type Item = ();
    type Output = M::Output;

    fn poll(&mut self, now: Now) -> Step<(), M::Output> {
        loop {
            return match self.machine.poll(now) {
                Step::Item(progress) => {
                    if let Some(tell) = &mut self.tell {
                        tell(&progress);
                    }
                    continue;
                }
                Step::Start(id, task) => Step::Start(id, task),
                Step::Cancel(id) => Step::Cancel(id),
                Step::Wait(until) => Step::Wait(until),
                Step::Done(result) => Step::Done(result),
            };
        }
    }

    fn answer(&mut self, now: Now, id: TaskId, answer: Answer<'_>) -> BodyPlan {
        self.machine.answer(now, id, answer)
    }

    fn cancel(&mut self, now: Now) {
        self.machine.cancel(now);
    }
}
