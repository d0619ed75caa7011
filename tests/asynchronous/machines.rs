//! Machines of a test's own, which ask for what transfers ask for.

use std::collections::VecDeque;

use s3_proto::files::{FileId, FileTask};
use s3_proto::{
    Answer, BodyPlan, Error, ErrorKind, Instant, Machine, Now, Payload, Sink, SourceId, Step, Task, TaskId,
};

/// Asks for one thing after the other, and keeps what was answered, as text.
pub(crate) struct Script {
    tasks: VecDeque<Task>,
    next_id: u32,
    running: bool,
    answers: Vec<String>,
}

impl Script {
    pub(crate) fn new(tasks: impl IntoIterator<Item = Task>) -> Self {
        Self { tasks: tasks.into_iter().collect(), next_id: 0, running: false, answers: Vec::new() }
    }
}

impl Machine for Script {
    type Item = ();
    type Output = Vec<String>;

    fn poll(&mut self, _: Now) -> Step<(), Vec<String>> {
        if self.running {
            return Step::Wait(None);
        }
        match self.tasks.pop_front() {
            Some(task) => {
                self.running = true;
                self.next_id += 1;
                Step::Start(TaskId::new(self.next_id), task)
            }
            None => Step::Done(Ok(std::mem::take(&mut self.answers))),
        }
    }

    fn answer(&mut self, _: Now, id: TaskId, answer: Answer<'_>) -> BodyPlan {
        assert_eq!(id, TaskId::new(self.next_id));
        self.running = false;
        self.answers.push(match answer {
            Answer::Filled(Ok(bytes)) => format!("filled {:?}", String::from_utf8_lossy(&bytes)),
            Answer::File(Ok(Some(content))) => {
                format!("file {:?}", String::from_utf8_lossy(content.expose()))
            }
            Answer::Exited(Ok(exit)) => {
                format!("exit {:?} {:?}", exit.code, String::from_utf8_lossy(exit.stdout.expose()))
            }
            other => format!("{other:?}"),
        });
        BodyPlan::Discard
    }

    fn cancel(&mut self, _: Now) {
        self.tasks.clear();
    }
}

/// The file of a [`Transfer`].
pub(crate) const FILE: FileId = FileId::new(7);

/// Opens a file, runs calls at once, whose bodies go into it, and does something with the file at the end.
pub(crate) struct Transfer<M> {
    before: VecDeque<FileTask>,
    calls: Vec<Option<M>>,
    after: VecDeque<FileTask>,
    /// What each task belongs to: a call and its own name for it, or none for a task on files.
    owners: Vec<Option<(usize, TaskId)>>,
    on_files: bool,
    failed: Option<Error>,
}

impl<M> Transfer<M> {
    pub(crate) fn new(before: FileTask, calls: impl IntoIterator<Item = M>, after: FileTask) -> Self {
        Self {
            before: [before].into(),
            calls: calls.into_iter().map(Some).collect(),
            after: [after].into(),
            owners: Vec::new(),
            on_files: false,
            failed: None,
        }
    }

    fn start<I>(&mut self, owner: Option<(usize, TaskId)>, task: Task) -> Step<I, ()> {
        let id = TaskId::new(u32::try_from(self.owners.len()).unwrap());
        self.owners.push(owner);
        Step::Start(id, task)
    }

    fn owner(&self, id: TaskId) -> Option<(usize, TaskId)> {
        (0..).zip(&self.owners).find(|(n, _)| TaskId::new(*n) == id).and_then(|(_, owner)| *owner)
    }
}

impl<M: Machine> Machine for Transfer<M> {
    type Item = ();
    type Output = ();

    fn poll(&mut self, now: Now) -> Step<(), ()> {
        if let Some(error) = self.failed.take() {
            return Step::Done(Err(error));
        }
        if self.on_files {
            return Step::Wait(None);
        }
        if let Some(task) = self.before.pop_front() {
            self.on_files = true;
            return self.start(None, Task::File(task));
        }
        let mut until: Option<Instant> = None;
        for n in 0..self.calls.len() {
            while let Some(call) = &mut self.calls[n] {
                match call.poll(now) {
                    Step::Start(id, task) => return self.start(Some((n, id)), task),
                    Step::Cancel(id) => {
                        let at = self.owners.iter().position(|owner| *owner == Some((n, id))).unwrap();
                        return Step::Cancel(TaskId::new(u32::try_from(at).unwrap()));
                    }
                    Step::Item(_) => {}
                    Step::Wait(at) => {
                        until = [until, at].into_iter().flatten().min();
                        break;
                    }
                    Step::Done(Ok(_)) => self.calls[n] = None,
                    Step::Done(Err(error)) => return Step::Done(Err(error)),
                }
            }
        }
        if self.calls.iter().any(Option::is_some) {
            return Step::Wait(until);
        }
        match self.after.pop_front() {
            Some(task) => {
                self.on_files = true;
                self.start(None, Task::File(task))
            }
            None => Step::Done(Ok(())),
        }
    }

    fn answer(&mut self, now: Now, id: TaskId, answer: Answer<'_>) -> BodyPlan {
        if let Some((n, id)) = self.owner(id) {
            let Some(call) = &mut self.calls[n] else { return BodyPlan::Discard };
            return match call.answer(now, id, answer) {
                BodyPlan::Deliver { offset, check, .. } => {
                    BodyPlan::Deliver { to: Sink::File(FILE), offset, check }
                }
                plan => plan,
            };
        }
        self.on_files = false;
        if let Answer::Filed(Err(error)) = answer {
            self.failed = Some(Error::new(ErrorKind::LocalIo, error.to_string()));
        }
        BodyPlan::Discard
    }

    fn cancel(&mut self, now: Now) {
        for call in self.calls.iter_mut().flatten() {
            call.cancel(now);
        }
    }
}

/// A part of a source that can be read anywhere.
pub(crate) fn part(from: SourceId, offset: u64, len: u64) -> Payload {
    Payload::Source { from, offset, len, replayable: true }
}
