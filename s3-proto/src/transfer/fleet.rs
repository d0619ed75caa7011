//! Several signed requests at once, under one set of task ids.

use std::collections::VecDeque;

use http::response;

use crate::Error;
use crate::exchange::{self, Exchange, Outcome};
use crate::machine::{Answer, BodyPlan, Instant, Now, Task, TaskId};

/// What a fleet wants, or what one of its exchanges has come to.
pub(crate) enum Event<K> {
    Start(TaskId, Task),
    Cancel(TaskId),
    /// The head of a streamed answer; its body is under way.
    Head(K, Box<response::Parts>),
    /// One is over. It comes back, since it knows what was sent and received.
    Done(K, Box<Exchange>, Result<Outcome, Error>),
    Wait(Option<Instant>),
}

/// Exchanges that run side by side, each under a key of its owner's choosing.
///
/// How many there are is up to the owner. It may hand out ids for tasks of its own: they are never those of
/// an exchange.
pub(crate) struct Fleet<K> {
    members: Vec<Member<K>>,
    /// Tasks of exchanges that were dropped.
    dropped: VecDeque<TaskId>,
    last_id: u32,
    throttled: bool,
}

struct Member<K> {
    key: K,
    exchange: Box<Exchange>,
    /// The id of its latest task, outside and inside.
    task: Option<(TaskId, TaskId)>,
    next: Next,
    throttled: bool,
}

/// When to poll a member again.
#[derive(Clone, Copy)]
enum Next {
    Now,
    /// Then, or when an answer comes.
    At(Instant),
    WithAnswer,
}

impl<K: Clone> Fleet<K> {
    pub(crate) fn new() -> Self {
        Self { members: Vec::new(), dropped: VecDeque::new(), last_id: 0, throttled: false }
    }

    pub(crate) fn add(&mut self, key: K, exchange: Exchange) {
        self.members.push(Member {
            key,
            exchange: Box::new(exchange),
            task: None,
            next: Next::Now,
            throttled: false,
        });
    }

    /// How many are under way.
    pub(crate) fn len(&self) -> usize {
        self.members.len()
    }

    /// An id for a task of the owner's own.
    pub(crate) fn new_id(&mut self) -> TaskId {
        self.last_id += 1;
        TaskId::new(self.last_id)
    }

    /// Whether the service asked any of them to slow down since this was asked last; each counts once.
    pub(crate) fn take_throttled(&mut self) -> bool {
        std::mem::take(&mut self.throttled)
    }

    /// Drops all of them; what they have under way is cancelled by the next polls.
    pub(crate) fn clear(&mut self) {
        let running = |member: Member<K>| Some(member.task?.0);
        self.dropped.extend(self.members.drain(..).filter_map(running));
    }

    pub(crate) fn poll(&mut self, now: Now) -> Event<K> {
        if let Some(id) = self.dropped.pop_front() {
            return Event::Cancel(id);
        }
        let mut earliest: Option<Instant> = None;
        let mut index = 0;
        while let Some(member) = self.members.get_mut(index) {
            match member.next {
                Next::At(at) if at > now.mono => {
                    earliest = Some(earliest.map_or(at, |earliest| earliest.min(at)));
                    index += 1;
                    continue;
                }
                Next::WithAnswer => {
                    index += 1;
                    continue;
                }
                Next::At(_) | Next::Now => {}
            }
            match member.exchange.poll(now) {
                exchange::Event::Start(inside, task) => {
                    self.last_id += 1;
                    let id = TaskId::new(self.last_id);
                    member.task = Some((id, inside));
                    return Event::Start(id, task);
                }
                exchange::Event::Cancel(_) => {
                    if let Some((id, _)) = member.task.take() {
                        return Event::Cancel(id);
                    }
                }
                exchange::Event::Head(head) => return Event::Head(member.key.clone(), head),
                exchange::Event::Wait(until) => {
                    member.next = until.map_or(Next::WithAnswer, Next::At);
                }
                exchange::Event::Done(result) => {
                    let Member { key, exchange, .. } = self.members.remove(index);
                    return Event::Done(key, exchange, result);
                }
            }
        }
        Event::Wait(earliest)
    }

    /// Hands an answer to whose task it is; one to a task that nobody has is not wanted.
    pub(crate) fn answer(&mut self, now: Now, id: TaskId, answer: Answer<'_>) -> BodyPlan {
        let whose = |member: &&mut Member<K>| member.task.is_some_and(|(outside, _)| outside == id);
        let Some(member) = self.members.iter_mut().find(whose) else { return BodyPlan::Discard };
        let Some((_, inside)) = member.task else { return BodyPlan::Discard };
        member.next = Next::Now;
        let plan = member.exchange.answer(now, inside, answer);
        if !member.throttled && member.exchange.was_throttled() {
            member.throttled = true;
            self.throttled = true;
        }
        plan
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use http::Method;

    use super::*;
    use crate::exchange::{Delivery, Goal};
    use crate::ops::Draft;
    use crate::{Config, ErrorKind, Phase, Session, Timestamp, TransportError, TransportErrorKind};

    fn at(seconds: u64) -> Now {
        Now {
            mono: Instant::from_origin(Duration::from_secs(seconds)),
            wall: Timestamp::from_unix(1_440_938_160, 0).unwrap(),
        }
    }

    fn session() -> Session {
        Session::new(Config::new("us-east-1").unwrap())
    }

    fn exchange(session: &Session, goal: Goal) -> Exchange {
        let draft = Draft::new(Method::GET).bucket("bucket").key("key");
        Exchange::new(session.clone(), "GetObject", goal, Ok(draft))
    }

    /// One exchange for each key, and the ids of their first tasks.
    fn started(keys: &[&'static str]) -> (Fleet<&'static str>, Vec<TaskId>) {
        let session = session();
        let mut fleet = Fleet::new();
        for key in keys {
            fleet.add(*key, exchange(&session, Goal::Collect));
        }
        let ids = keys.iter().map(|_| start(&mut fleet)).collect();
        (fleet, ids)
    }

    fn start(fleet: &mut Fleet<&'static str>) -> TaskId {
        match fleet.poll(at(1)) {
            Event::Start(id, Task::Http(_)) => id,
            _ => panic!("not a request"),
        }
    }

    fn reply(fleet: &mut Fleet<&'static str>, id: TaskId, status: u16, body: &[u8]) {
        let (head, ()) = http::Response::builder().status(status).body(()).unwrap().into_parts();
        assert!(matches!(fleet.answer(at(1), id, Answer::Head(head.into())), BodyPlan::Collect));
        let _ = fleet.answer(at(1), id, Answer::Chunk(body));
        let _ = fleet.answer(at(1), id, Answer::End(None));
    }

    fn failed(kind: TransportErrorKind) -> Answer<'static> {
        Answer::Failed { phase: Phase::Send, cause: TransportError::new(kind, "broken") }
    }

    #[test]
    fn answers_reach_the_exchange_whose_task_it_is_in_any_order() {
        let (mut fleet, ids) = started(&["a", "b", "c"]);
        assert!(matches!(fleet.poll(at(1)), Event::Wait(None)));
        for (id, key) in [(ids[1], "b"), (ids[2], "c"), (ids[0], "a")] {
            reply(&mut fleet, id, 200, key.as_bytes());
            match fleet.poll(at(1)) {
                Event::Done(whose, _, Ok(Outcome::Reply(_, body))) => {
                    assert_eq!((whose, &body[..]), (key, key.as_bytes()));
                }
                _ => panic!("not over"),
            }
        }
        assert_eq!(fleet.len(), 0);
        assert!(matches!(fleet.poll(at(1)), Event::Wait(None)));
    }

    #[test]
    fn one_that_waits_to_try_again_does_not_hold_up_the_others() {
        let (mut fleet, ids) = started(&["a", "b"]);
        let _ = fleet.answer(at(1), ids[0], failed(TransportErrorKind::Closed));
        let Event::Wait(Some(until)) = fleet.poll(at(1)) else { panic!("no wait") };
        assert!(until > at(1).mono);

        reply(&mut fleet, ids[1], 200, b"");
        assert!(matches!(fleet.poll(at(1)), Event::Done("b", _, Ok(_))));

        let Event::Start(again, _) = fleet.poll(Now { mono: until, ..at(1) }) else {
            panic!("no repetition")
        };
        assert!(!ids.contains(&again), "an id was used twice");
    }

    #[test]
    fn an_answer_to_a_task_that_is_over_is_ignored() {
        let (mut fleet, ids) = started(&["a"]);
        let own = fleet.new_id();
        assert!(!ids.contains(&own));
        assert!(matches!(fleet.answer(at(1), own, Answer::End(None)), BodyPlan::Discard));
        reply(&mut fleet, ids[0], 200, b"");
        assert!(matches!(fleet.poll(at(1)), Event::Done("a", ..)));
        assert!(matches!(fleet.answer(at(1), ids[0], Answer::End(None)), BodyPlan::Discard));
    }

    #[test]
    fn clearing_cancels_what_is_under_way() {
        let (mut fleet, ids) = started(&["a", "b"]);
        fleet.clear();
        assert_eq!(fleet.len(), 0);
        for expected in ids {
            assert!(matches!(fleet.poll(at(1)), Event::Cancel(id) if id == expected));
        }
        assert!(matches!(fleet.poll(at(1)), Event::Wait(None)));
    }

    #[test]
    fn a_plea_to_slow_down_is_passed_on_once() {
        let (mut fleet, ids) = started(&["a"]);
        reply(&mut fleet, ids[0], 503, b"<Error><Code>SlowDown</Code></Error>");
        assert!(fleet.take_throttled());
        assert!(!fleet.take_throttled());
    }

    #[test]
    fn a_failure_comes_with_its_exchange() {
        let (mut fleet, ids) = started(&["a"]);
        reply(&mut fleet, ids[0], 403, b"<Error><Code>AccessDenied</Code></Error>");
        let Event::Done("a", exchange, Err(error)) = fleet.poll(at(1)) else { panic!("not over") };
        assert_eq!((error.kind(), exchange.attempts()), (ErrorKind::AccessDenied, 1));
    }

    #[test]
    fn a_streamed_answer_shows_its_head_under_its_key() {
        let mut fleet = Fleet::new();
        fleet.add("a", exchange(&session(), Goal::Stream(Delivery::TO_USER)));
        let id = start(&mut fleet);
        let (head, ()) =
            http::Response::builder().header("content-length", "0").body(()).unwrap().into_parts();
        let BodyPlan::Deliver { check, .. } = fleet.answer(at(1), id, Answer::Head(head.into())) else {
            panic!("not delivered")
        };
        assert!(matches!(fleet.poll(at(1)), Event::Head("a", _)));
        let _ = fleet.answer(at(1), id, Answer::End(Some(check)));
        assert!(matches!(fleet.poll(at(1)), Event::Done("a", _, Ok(Outcome::Streamed))));
    }
}
