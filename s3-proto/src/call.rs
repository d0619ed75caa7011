//! One operation as a machine.

use std::time::Duration;

use http::{Method, response};

use crate::client::polled_after_done;
use crate::exchange::{Delivery, Event, Exchange, Goal, Outcome};
use crate::machine::{Answer, BodyPlan, Machine, Now, Step, TaskId};
use crate::ops::{Draft, Operation};
use crate::session::Session;
use crate::sign::{PostPolicy, Presigned, PresignedPost};
use crate::{Error, Phase};

/// Reads an answer in terms of its operation.
pub(crate) fn parse<O: Operation>(
    op: &O,
    exchange: &Exchange,
    head: &response::Parts,
    body: &[u8],
) -> Result<O::Output, Error> {
    op.response(head, body).map_err(|error| {
        let error = error.with_phase(Phase::Parse).with_status(head.status);
        exchange.describe(error.with_ambiguity(exchange.is_write()))
    })
}

/// An operation and what becomes of it. Machines are moved about by those who drive them, and this is large: calls keep
/// it in a box.
struct Work<O> {
    op: O,
    exchange: Exchange,
}

impl<O: Operation> Work<O> {
    fn new(session: Session, op: O, goal: Goal) -> Box<Self> {
        let exchange = Exchange::new(session, O::NAME, goal, op.request());
        Box::new(Self { op, exchange })
    }
}

/// One call of an operation whose answer is parsed whole.
pub struct Call<O: Operation>(Box<Work<O>>);

impl<O: Operation> Call<O> {
    /// A call that has not begun.
    pub fn new(session: Session, op: O) -> Self {
        Self(Work::new(session, op, Goal::Collect))
    }

    /// The task that is under way.
    pub(crate) fn running(&self) -> Option<TaskId> {
        self.0.exchange.running()
    }
}

impl<O: Operation> Machine for Call<O> {
    type Item = ();
    type Output = O::Output;

    fn poll(&mut self, now: Now) -> Step<(), O::Output> {
        match self.0.exchange.poll(now) {
            Event::Start(id, task) => Step::Start(id, task),
            Event::Cancel(id) => Step::Cancel(id),
            Event::Wait(until) => Step::Wait(until),
            Event::Done(Ok(Outcome::Reply(head, body))) => {
                Step::Done(parse(&self.0.op, &self.0.exchange, &head, &body))
            }
            Event::Done(Err(error)) => Step::Done(Err(error)),
            Event::Head(_) | Event::Done(Ok(_)) => Step::Done(Err(polled_after_done())),
        }
    }

    fn answer(&mut self, now: Now, id: TaskId, answer: Answer<'_>) -> BodyPlan {
        self.0.exchange.answer(now, id, answer)
    }

    fn cancel(&mut self, _: Now) {
        self.0.exchange.cancel();
    }
}

/// One call of an operation whose body is streamed: the head is its only item; it is done once the body has
/// come as it should.
pub struct Stream<O: Operation>(Box<Work<O>>);

impl<O: Operation> Stream<O> {
    /// A call that has not begun.
    pub fn new(session: Session, op: O) -> Self {
        Self(Work::new(session, op, Goal::Stream(Delivery::TO_USER)))
    }
}

impl<O: Operation> Machine for Stream<O> {
    type Item = O::Output;
    type Output = ();

    fn poll(&mut self, now: Now) -> Step<O::Output, ()> {
        loop {
            return match self.0.exchange.poll(now) {
                Event::Start(id, task) => Step::Start(id, task),
                Event::Cancel(id) => Step::Cancel(id),
                Event::Wait(until) => Step::Wait(until),
                Event::Head(head) => match parse(&self.0.op, &self.0.exchange, &head, &[]) {
                    Ok(output) => Step::Item(output),
                    Err(error) => {
                        self.0.exchange.fail(error);
                        continue;
                    }
                },
                Event::Done(Ok(_)) => Step::Done(Ok(())),
                Event::Done(Err(error)) => Step::Done(Err(error)),
            };
        }
    }

    fn answer(&mut self, now: Now, id: TaskId, answer: Answer<'_>) -> BodyPlan {
        self.0.exchange.answer(now, id, answer)
    }

    fn cancel(&mut self, _: Now) {
        self.0.exchange.cancel();
    }
}

/// Signs what somebody else sends; sends nothing, but may have to fetch credentials.
pub struct Signing<T> {
    exchange: Exchange,
    made: fn(Outcome) -> Option<T>,
}

/// Presigns an operation.
pub type PresignCall = Signing<Presigned>;

impl PresignCall {
    /// A URL that works for `expires`, at most 7 days.
    pub fn new<O: Operation>(session: Session, op: &O, expires: Duration) -> Self {
        let exchange = Exchange::new(session, O::NAME, Goal::Presign(expires), op.request());
        let made = |outcome| match outcome {
            Outcome::Presigned(presigned) => Some(*presigned),
            _ => None,
        };
        Self { exchange, made }
    }
}

/// Signs the form of a browser's upload.
pub type PostPolicyCall = Signing<PresignedPost>;

impl PostPolicyCall {
    /// A form that posts to this bucket, which becomes a condition if the policy has none on it.
    pub fn new(session: Session, bucket: impl Into<String>, policy: PostPolicy) -> Self {
        let draft = Draft::new(Method::POST).bucket(bucket);
        let goal = Goal::Post(Box::new(policy));
        let exchange = Exchange::new(session, "PostObject", goal, Ok(draft));
        let made = |outcome| match outcome {
            Outcome::Posted(post) => Some(*post),
            _ => None,
        };
        Self { exchange, made }
    }
}

impl<T: Send + 'static> Machine for Signing<T> {
    type Item = ();
    type Output = T;

    fn poll(&mut self, now: Now) -> Step<(), T> {
        match self.exchange.poll(now) {
            Event::Start(id, task) => Step::Start(id, task),
            Event::Cancel(id) => Step::Cancel(id),
            Event::Wait(until) => Step::Wait(until),
            Event::Done(Ok(outcome)) => Step::Done((self.made)(outcome).ok_or_else(polled_after_done)),
            Event::Done(Err(error)) => Step::Done(Err(error)),
            Event::Head(_) => Step::Done(Err(polled_after_done())),
        }
    }

    fn answer(&mut self, now: Now, id: TaskId, answer: Answer<'_>) -> BodyPlan {
        self.exchange.answer(now, id, answer)
    }

    fn cancel(&mut self, _: Now) {
        self.exchange.cancel();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ops::{GetObject, HeadObject, ListObjectsV2, PutObject};

    #[test]
    fn what_a_call_keeps_in_its_box_is_bounded() {
        let table = [
            ("PutObject", size_of::<Work<PutObject>>(), 2_000),
            ("HeadObject", size_of::<Work<HeadObject>>(), 1_600),
            ("GetObject", size_of::<Work<GetObject>>(), 1_600),
            ("ListObjectsV2", size_of::<Work<ListObjectsV2>>(), 1_400),
            ("nothing but the exchange", size_of::<Exchange>(), 1_200),
        ];
        let exceeded: Vec<_> = table.into_iter().filter(|(_, size, most)| size > most).collect();
        assert!(exceeded.is_empty(), "{exceeded:?}");
    }
}
