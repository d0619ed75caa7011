//! Between a driver and a mock: what a driver asks instead of the network, and a machine that has the mock's time.

use std::collections::{BTreeSet, VecDeque};
use std::fmt;
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use http::{Method, Response, request, response};

use super::reply::{Kind, Reply};
use super::{About, Mock, Sent};
use crate::machine::{Answer, BodyPlan, HttpTask, Instant, Machine, Now, Step, Task, TaskId, Timeouts};
use crate::session::{Session, lock};
use crate::{Error, ErrorKind, Phase, TransportError, TransportErrorKind};

/// A call's line to its mock: for drivers, which ask it instead of the network.
#[derive(Clone)]
pub struct Line {
    mock: Mock,
    call: Arc<Mutex<Call>>,
}

#[derive(Default)]
struct Call {
    /// Until when the machine waits.
    until: Option<Instant>,
    /// The first request that was not expected.
    unexpected: Option<Error>,
}

/// A head and a body, or how far the request got.
pub type Scripted = Result<(response::Parts, ScriptedBody), (Phase, TransportError)>;

impl Line {
    /// Whether this request is for a mock.
    pub fn of(task: &HttpTask) -> Option<Self> {
        task.request.extensions().get::<Self>().cloned()
    }

    /// Answers a request, whose data was read without its framing. Nothing is waited for: it is as late as it would be
    /// by now.
    pub fn answer(&self, request: request::Parts, timeouts: &Timeouts, body: Bytes) -> Scripted {
        let about = request.extensions.get::<About>();
        let sent = Sent {
            operation: about.map(|about| about.operation),
            bucket: about.and_then(|about| about.bucket.clone()),
            key: about.and_then(|about| about.key.clone()),
            method: request.method,
            uri: request.uri,
            headers: request.headers,
            body,
        };
        let respond = {
            let mut state = self.mock.state();
            state.sent.push(sent.clone());
            state.rules.iter_mut().find_map(|rule| rule.take(&sent))
        };
        match respond {
            // It may ask the mock something itself.
            Some(respond) => self.give(respond(&sent), &sent, timeouts),
            None => Err(self.refuse(&sent)),
        }
    }

    fn give(&self, mut reply: Reply, sent: &Sent, timeouts: &Timeouts) -> Scripted {
        self.pass(&reply, timeouts)?;
        if sent.method != Method::HEAD {
            reply.content_length();
        }
        match reply.kind {
            Kind::Failure { phase, kind } => {
                Err((phase, TransportError::new(kind, format!("the script says so, while {phase}"))))
            }
            Kind::Answer { status, headers, body, breaks_after } => {
                let mut response = Response::new(());
                *response.status_mut() = status;
                *response.headers_mut() = headers;
                let body = if sent.method == Method::HEAD { Bytes::new() } else { body };
                let kept = body.slice(..breaks_after.map_or(body.len(), |after| after.min(body.len())));
                let broken = breaks_after.map(|_| {
                    TransportError::new(TransportErrorKind::Closed, "the script breaks the body off")
                });
                let pieces = [
                    Some(Ok(kept)).filter(|kept| kept.as_ref().is_ok_and(|b| !b.is_empty())),
                    broken.map(Err),
                ];
                Ok((response.into_parts().0, ScriptedBody(pieces.into_iter().flatten().collect())))
            }
        }
    }

    /// Lets the time pass that the reply takes, or that the call has for it.
    fn pass(&self, reply: &Reply, timeouts: &Timeouts) -> Result<(), (Phase, TransportError)> {
        if reply.after.is_zero() {
            return Ok(());
        }
        let mut state = self.mock.state();
        let now = state.now().mono;
        let comes = now.saturating_add(reply.after);
        let patience = timeouts.first_byte.map(|limit| now.saturating_add(limit));
        let Some(given_up) =
            [patience, lock(&self.call).until].into_iter().flatten().min().filter(|at| *at < comes)
        else {
            state.wait_until(comes);
            return Ok(());
        };
        state.wait_until(given_up);
        Err((
            Phase::Wait,
            TransportError::new(TransportErrorKind::Timeout, "the script has no answer in time"),
        ))
    }

    fn refuse(&self, sent: &Sent) -> (Phase, TransportError) {
        let mut state = self.mock.state();
        let expected: Vec<_> = state.missing().collect();
        let expected = if expected.is_empty() { "nothing more".to_owned() } else { expected.join("; ") };
        let message = format!("the mock did not expect {sent}; it expects {expected}");
        state.unexpected.push(sent.to_string());
        let error = Error::new(ErrorKind::ApiMisuse, message.clone());
        lock(&self.call).unexpected.get_or_insert(error);
        (Phase::Connect, TransportError::new(TransportErrorKind::Protocol, message))
    }
}

impl fmt::Debug for Line {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Line")
    }
}

/// The body of a scripted answer: what comes of it, piece by piece, and perhaps how it breaks off.
#[derive(Debug)]
pub struct ScriptedBody(VecDeque<Result<Bytes, TransportError>>);

impl Iterator for ScriptedBody {
    type Item = Result<Bytes, TransportError>;

    fn next(&mut self) -> Option<Self::Item> {
        self.0.pop_front()
    }
}

/// A machine whose time is that of the mock that its session has, if it has one. Its requests know the mock.
///
/// Time stands still while the driver is at work, and jumps when the machine has nothing to do but wait.
pub struct Mocked<M: Machine> {
    machine: M,
    line: Option<Line>,
    under_way: BTreeSet<TaskId>,
    /// What the machine said before an answer that came later than its deadline.
    due: VecDeque<Step<M::Item, M::Output>>,
}

impl<M: Machine> Mocked<M> {
    /// Around a machine of this session.
    pub fn new(machine: M, session: &Session) -> Self {
        let line = session.config().mock.clone().map(|mock| Line { mock, call: Arc::default() });
        Self { machine, line, under_way: BTreeSet::new(), due: VecDeque::new() }
    }
}

impl<M: Machine> Machine for Mocked<M> {
    type Item = M::Item;
    type Output = M::Output;

    fn poll(&mut self, now: Now) -> Step<M::Item, M::Output> {
        let Some(line) = self.line.clone() else { return self.machine.poll(now) };
        loop {
            let now = line.mock.state().now();
            match self.due.pop_front().unwrap_or_else(|| self.machine.poll(now)) {
                Step::Start(id, mut task) => {
                    self.under_way.insert(id);
                    if let Task::Http(task) = &mut task {
                        task.request.extensions_mut().insert(line);
                    }
                    return Step::Start(id, task);
                }
                Step::Cancel(id) => {
                    self.under_way.remove(&id);
                    return Step::Cancel(id);
                }
                Step::Wait(until) => {
                    lock(&line.call).until = until;
                    match until {
                        Some(until) if self.under_way.is_empty() => line.mock.state().wait_until(until),
                        _ => return Step::Wait(None),
                    }
                }
                Step::Done(result) => {
                    let unexpected = lock(&line.call).unexpected.take();
                    return Step::Done(unexpected.map_or(result, Err));
                }
                Step::Item(item) => return Step::Item(item),
            }
        }
    }

    fn take_item(&mut self) -> Option<M::Item> {
        // What is due comes first.
        if self.due.is_empty() { self.machine.take_item() } else { None }
    }

    fn answer(&mut self, now: Now, id: TaskId, answer: Answer<'_>) -> BodyPlan {
        let Some(line) = &self.line else { return self.machine.answer(now, id, answer) };
        let now = line.mock.state().now();
        if lock(&line.call).until.take_if(|until| *until <= now.mono).is_some() {
            // The deadline came first.
            loop {
                match self.machine.poll(now) {
                    Step::Wait(_) => break,
                    step => {
                        let is_end = matches!(step, Step::Done(_));
                        self.due.push_back(step);
                        if is_end {
                            break;
                        }
                    }
                }
            }
        }
        let goes_on = matches!(answer, Answer::Head(_) | Answer::Chunk(_));
        let plan = self.machine.answer(now, id, answer);
        if !goes_on || matches!(plan, BodyPlan::Discard) {
            self.under_way.remove(&id);
        }
        if lock(&line.call).unexpected.is_some() {
            // There is no use in trying again; what has to be put in order is.
            self.machine.cancel(now);
        }
        plan
    }

    fn cancel(&mut self, now: Now) {
        let now = self.line.as_ref().map_or(now, |line| line.mock.state().now());
        self.machine.cancel(now);
    }
}

impl<M: Machine> fmt::Debug for Mocked<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Mocked").field("line", &self.line).finish_non_exhaustive()
    }
}
