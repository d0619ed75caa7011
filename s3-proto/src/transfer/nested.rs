//! A machine inside of another.

use std::collections::BTreeMap;

use crate::machine::{Answer, BodyPlan, Machine, Now, Step, TaskId};

/// A machine whose tasks have ids of the one that it is in.
pub(crate) struct Nested<M> {
    machine: M,
    /// The ids inside, by those outside, of the tasks that may still be answered.
    ids: BTreeMap<TaskId, TaskId>,
}

impl<M: Machine> Nested<M> {
    pub(crate) fn new(machine: M) -> Self {
        Self { machine, ids: BTreeMap::new() }
    }

    pub(crate) fn poll(&mut self, now: Now, new_id: impl FnOnce() -> TaskId) -> Step<M::Item, M::Output> {
        loop {
            match self.machine.poll(now) {
                Step::Start(inside, task) => {
                    let id = new_id();
                    self.ids.insert(id, inside);
                    return Step::Start(id, task);
                }
                Step::Cancel(inside) => {
                    let found = self.ids.iter().find(|(_, other)| **other == inside).map(|(id, _)| *id);
                    // One that is over by now needs no cancelling.
                    if let Some(id) = found {
                        self.ids.remove(&id);
                        return Step::Cancel(id);
                    }
                }
                step => return step,
            }
        }
    }

    pub(crate) fn owns(&self, id: TaskId) -> bool {
        self.ids.contains_key(&id)
    }

    pub(crate) fn answer(&mut self, now: Now, id: TaskId, answer: Answer<'_>) -> BodyPlan {
        let Some(inside) = self.ids.get(&id).copied() else { return BodyPlan::Discard };
        let plan = self.machine.answer(now, inside, answer);
        // Only a body that is wanted has more to come.
        if matches!(plan, BodyPlan::Discard) {
            self.ids.remove(&id);
        }
        plan
    }

    pub(crate) fn cancel(&mut self, now: Now) {
        self.machine.cancel(now);
    }
}
