//! What a machine has under way.

use std::pin::Pin;
use std::task::{Context, Poll};

use futures_util::StreamExt as _;
use futures_util::future::{AbortHandle, Abortable};
use futures_util::stream::FuturesUnordered;
use s3_proto::TaskId;

type Work<T> = Pin<Box<dyn Future<Output = T> + Send>>;

/// Tasks side by side. A call has one at a time, which needs no queue; what comes beside another does, for all to have
/// their turn.
pub(crate) struct Tasks<T> {
    first: Option<Task<T>>,
    others: Option<Queue<T>>,
}

struct Task<T> {
    id: TaskId,
    work: Work<T>,
}

struct Queue<T> {
    tasks: FuturesUnordered<Abortable<Task<T>>>,
    handles: Vec<(TaskId, AbortHandle)>,
}

impl<T> Tasks<T> {
    pub(crate) const fn new() -> Self {
        Self { first: None, others: None }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.first.is_none() && self.others.as_ref().is_none_or(|others| others.tasks.is_empty())
    }

    pub(crate) fn push(&mut self, id: TaskId, work: impl Future<Output = T> + Send + 'static) {
        let task = Task { id, work: Box::pin(work) };
        if self.is_empty() {
            self.first = Some(task);
            return;
        }
        let empty = || Queue { tasks: FuturesUnordered::new(), handles: Vec::new() };
        let others = self.others.get_or_insert_with(empty);
        let (handle, registration) = AbortHandle::new_pair();
        others.handles.push((id, handle));
        others.tasks.push(Abortable::new(task, registration));
    }

    pub(crate) fn abort(&mut self, id: TaskId) {
        self.first.take_if(|task| task.id == id);
        if let Some(others) = &mut self.others {
            for (_, handle) in others.handles.extract_if(.., |(other, _)| *other == id) {
                handle.abort();
            }
        }
    }

    /// The next one that has come to something; `None` if one was aborted.
    pub(crate) fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Option<(TaskId, T)>> {
        if let Some(first) = &mut self.first
            && let Poll::Ready(done) = Pin::new(first).poll(cx)
        {
            self.first = None;
            return Poll::Ready(Some(done));
        }
        let Some(others) = &mut self.others else { return Poll::Pending };
        match others.tasks.poll_next_unpin(cx) {
            Poll::Ready(Some(done)) => {
                if let Ok((id, _)) = &done {
                    others.handles.retain(|(other, _)| other != id);
                }
                Poll::Ready(done.ok())
            }
            // `None` is an empty set.
            _ => Poll::Pending,
        }
    }
}

impl<T> Future for Task<T> {
    type Output = (TaskId, T);

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let id = self.id;
        self.work.as_mut().poll(cx).map(|outcome| (id, outcome))
    }
}

#[cfg(test)]
mod tests {
    use std::future::{pending, ready};
    use std::task::Waker;

    use super::*;

    fn next(tasks: &mut Tasks<u8>) -> Poll<Option<(TaskId, u8)>> {
        tasks.poll_next(&mut Context::from_waker(Waker::noop()))
    }

    fn id(number: u8) -> TaskId {
        TaskId::new(number.into())
    }

    #[test]
    fn whichever_comes_to_something_is_told_with_its_name() {
        for busy in 0..3 {
            let mut tasks = Tasks::new();
            for number in 0..3 {
                if number == busy {
                    tasks.push(id(number), pending());
                } else {
                    tasks.push(id(number), ready(number));
                }
            }

            let mut done = [next(&mut tasks), next(&mut tasks)];
            done.sort();

            let expected = (0..3).filter(|number| *number != busy).map(|number| (id(number), number));
            assert!(expected.map(|done| Poll::Ready(Some(done))).eq(done));
            assert!(next(&mut tasks).is_pending());
            assert!(!tasks.is_empty());
        }
    }

    #[test]
    fn what_is_aborted_comes_to_nothing() {
        let mut tasks = Tasks::new();
        for number in 0..3 {
            tasks.push(id(number), pending());
        }

        for number in 0..3 {
            tasks.abort(id(number));
        }

        while next(&mut tasks).is_ready() {}
        assert!(tasks.is_empty());
    }
}
