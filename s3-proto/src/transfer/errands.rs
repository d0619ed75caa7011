//! Tasks of a transfer beside its requests: on files, mostly.

use std::collections::VecDeque;
use std::io;

use bytes::Bytes;

use crate::Secret;
use crate::error::SourceError;
use crate::files::{FileReply, FileTask};
use crate::machine::{Answer, Step, Task, TaskId};

/// Tasks of which so many at most run at a time, in order; each is known to its owner as `W`.
pub(crate) struct Errands<W> {
    most: usize,
    waiting: VecDeque<(W, Task)>,
    running: Vec<(TaskId, W)>,
    /// Those that were under way when they were forgotten.
    cancelled: VecDeque<TaskId>,
    done: VecDeque<(W, Outcome)>,
}

/// What a task came to.
pub(crate) enum Outcome {
    Filed(io::Result<FileReply>),
    Read(Result<Option<Secret<Vec<u8>>>, String>),
    Filled(Result<Bytes, SourceError>),
    /// The driver gave an answer to something else.
    Misfit,
}

impl<W> Errands<W> {
    pub(crate) fn new(most: usize) -> Self {
        Self {
            most,
            waiting: VecDeque::new(),
            running: Vec::new(),
            cancelled: VecDeque::new(),
            done: VecDeque::new(),
        }
    }

    pub(crate) fn add(&mut self, what: W, task: Task) {
        self.waiting.push_back((what, task));
    }

    pub(crate) fn file(&mut self, what: W, task: FileTask) {
        self.add(what, Task::File(task));
    }

    /// Which one the driver is to cancel, or to start if there is room; it is taken to do so.
    pub(crate) fn poll<I, T>(&mut self, new_id: impl FnOnce() -> TaskId) -> Option<Step<I, T>> {
        if let Some(id) = self.cancelled.pop_front() {
            return Some(Step::Cancel(id));
        }
        if self.running.len() >= self.most {
            return None;
        }
        let (what, task) = self.waiting.pop_front()?;
        let id = new_id();
        self.running.push((id, what));
        Some(Step::Start(id, task))
    }

    /// Notes the answer to one of them.
    pub(crate) fn take(&mut self, id: TaskId, answer: Answer<'_>) {
        let Some(index) = self.running.iter().position(|(running, _)| *running == id) else { return };
        let (_, what) = self.running.swap_remove(index);
        let outcome = match answer {
            Answer::Filed(result) => Outcome::Filed(result),
            Answer::File(content) => Outcome::Read(content),
            Answer::Filled(bytes) => Outcome::Filled(bytes),
            Answer::SourceFailed(error) => Outcome::Filled(Err(error)),
            _ => Outcome::Misfit,
        };
        self.done.push_back((what, outcome));
    }

    pub(crate) fn has(&self, id: TaskId) -> bool {
        self.running.iter().any(|(running, _)| *running == id)
    }

    pub(crate) fn next_done(&mut self) -> Option<(W, Outcome)> {
        self.done.pop_front()
    }

    /// Forgets what has not started, and all others unless they have to come to their end.
    pub(crate) fn forget(&mut self, has_to_end: impl Fn(&W) -> bool) {
        self.waiting.clear();
        self.done.retain(|(what, _)| has_to_end(what));
        let dropped = self.running.extract_if(.., |(_, what)| !has_to_end(what));
        self.cancelled.extend(dropped.map(|(id, _)| id));
    }

    /// Whether nothing is to be done, under way, or to be looked at.
    pub(crate) fn is_idle(&self) -> bool {
        self.waiting.is_empty()
            && self.running.is_empty()
            && self.cancelled.is_empty()
            && self.done.is_empty()
    }
}
