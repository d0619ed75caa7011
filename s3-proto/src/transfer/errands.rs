//! Tasks of a transfer beside its requests: on files, mostly.

use std::collections::VecDeque;
use std::io;

use crate::files::{FileReply, FileTask};
use crate::machine::{Answer, Task, TaskId};
use crate::{Error, ErrorKind, Secret};

/// Tasks of which so many at most run at a time, in order; each is known to its owner as `W`.
pub(crate) struct Errands<W> {
    most: usize,
    waiting: VecDeque<(W, Task)>,
    running: Vec<(TaskId, W)>,
    done: VecDeque<(W, Outcome)>,
}

/// What a task came to.
pub(crate) enum Outcome {
    Filed(io::Result<FileReply>),
    Read(Result<Option<Secret<Vec<u8>>>, String>),
}

impl<W> Errands<W> {
    pub(crate) fn new(most: usize) -> Self {
        Self { most, waiting: VecDeque::new(), running: Vec::new(), done: VecDeque::new() }
    }

    pub(crate) fn add(&mut self, what: W, task: Task) {
        self.waiting.push_back((what, task));
    }

    pub(crate) fn file(&mut self, what: W, task: FileTask) {
        self.add(what, Task::File(task));
    }

    /// The next to start, if there is one and there is room; it is taken to have started.
    pub(crate) fn start(&mut self, new_id: impl FnOnce() -> TaskId) -> Option<(TaskId, Task)> {
        if self.running.len() >= self.most {
            return None;
        }
        let (what, task) = self.waiting.pop_front()?;
        let id = new_id();
        self.running.push((id, what));
        Some((id, task))
    }

    /// Whether this is the answer to one of them; it is noted.
    pub(crate) fn take(&mut self, id: TaskId, answer: Answer<'_>) -> Result<(), Error> {
        let Some(index) = self.running.iter().position(|(running, _)| *running == id) else { return Ok(()) };
        let outcome = match answer {
            Answer::Filed(result) => Outcome::Filed(result),
            Answer::File(content) => Outcome::Read(content),
            Answer::SourceFailed(error) => Outcome::Filed(Err(io::Error::other(error.into_error()))),
            _ => {
                let message = "the driver gave an answer that does not fit the task";
                return Err(Error::new(ErrorKind::ApiMisuse, message));
            }
        };
        let (_, what) = self.running.swap_remove(index);
        self.done.push_back((what, outcome));
        Ok(())
    }

    pub(crate) fn has(&self, id: TaskId) -> bool {
        self.running.iter().any(|(running, _)| *running == id)
    }

    pub(crate) fn next_done(&mut self) -> Option<(W, Outcome)> {
        self.done.pop_front()
    }

    /// Forgets what has not started.
    pub(crate) fn forget_waiting(&mut self) {
        self.waiting.clear();
    }

    /// Whether nothing is to be done, under way, or to be looked at.
    pub(crate) fn is_idle(&self) -> bool {
        self.waiting.is_empty() && self.running.is_empty() && self.done.is_empty()
    }
}
