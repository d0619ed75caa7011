//! One signed request with everything that policy knows about it.
//!
//! Credentials, signing for this attempt, retry with backoff, the region redirect, the refresh of expired
//! credentials, the correction of the clock, errors inside of 200 answers: all of it lives here, and every
//! machine embeds it.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::header::{CONTENT_LENGTH, DATE, RANGE};
use http::{HeaderMap, Method, StatusCode, response};

use crate::body::{BodyCheck, truncated};
use crate::client::polled_after_done;
use crate::credentials::{CredentialsSource, FetchCredentials, Generation, Need, Ticket, need};
use crate::endpoint::Region;
use crate::machine::{Answer, BodyPlan, Instant, Now, Payload, Task, TaskId};
use crate::ops::{Draft, FromHeaders};
use crate::prepare::{Plan, Prepared, check_draft, prepare, presign};
use crate::retry::{Reason, Rng, backoff};
use crate::session::Session;
use crate::sign::Presigned;
use crate::{Credentials, Error, ErrorKind, Phase, Timestamp, TransportErrorKind};
use crate::{error_answer, xml};

/// What an exchange wants, or what it has come to.
#[derive(Debug)]
pub(crate) enum Event {
    Start(TaskId, Task),
    Cancel(TaskId),
    Wait(Option<Instant>),
    /// The head of a streamed answer; the body is under way.
    Head(Box<response::Parts>),
    Done(Result<Outcome, Error>),
}

#[derive(Debug)]
pub(crate) enum Outcome {
    Reply(Box<response::Parts>, Bytes),
    /// The streamed body has come as it should.
    Streamed,
    Presigned(Box<Presigned>),
}

/// What becomes of the signed request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Goal {
    /// Sent, and the answer collected.
    Collect,
    /// Sent, and the body of the answer handed to the user.
    Stream,
    /// Made into a URL.
    Presign(Duration),
}

pub(crate) struct Exchange {
    session: Session,
    operation: &'static str,
    goal: Goal,
    draft: Draft,
    state: State,
    next_id: u32,
    /// Requests sent.
    attempts: u32,
    region: Region,
    redirected: bool,
    /// The credentials that the service refused as expired; set once.
    rejected: Option<Generation>,
    clock_corrected: bool,
    /// What the last repetition took from the quota.
    taken: Option<u32>,
    rng: Rng,
    deadline: Option<Instant>,
    started: bool,
}

enum State {
    /// To be signed and sent as soon as there are credentials.
    Ready,
    Fetching(FetchCredentials, Option<TaskId>),
    Waiting(Ticket, Option<TaskId>),
    /// Sent; the head has not come.
    Sent(Attempt),
    /// An answer is being collected.
    Collecting(Attempt, Box<response::Parts>, Vec<u8>),
    /// The head waits to be taken by the user; the body follows.
    Head(Attempt, Box<response::Parts>),
    Streaming(Attempt),
    /// The body is over before the head was taken.
    HeadThen(Box<response::Parts>, Box<State>),
    Backoff(Instant),
    Failed(Error),
    Finished(Outcome),
    Over,
}

impl State {
    /// What comes after a streamed body: the user gets the head first, if it was not taken yet.
    fn body_over(self, then: Self) -> Self {
        match self {
            Self::Head(_, head) => Self::HeadThen(head, Box::new(then)),
            _ => then,
        }
    }
}

/// What this attempt was signed with: that, and not what siblings have found out since, is what an answer
/// is compared with.
#[derive(Clone, Debug)]
struct Attempt {
    id: TaskId,
    region: Region,
    generation: Option<Generation>,
}

impl Exchange {
    pub(crate) fn new(
        session: Session,
        operation: &'static str,
        goal: Goal,
        draft: Result<Draft, Error>,
    ) -> Self {
        let (draft, mut state) = match draft {
            Ok(draft) => (draft, State::Ready),
            Err(error) => (Draft::new(Method::GET), State::Failed(error.with_phase(Phase::Sign))),
        };
        if matches!(state, State::Ready)
            && let Err(error) = check_draft(&draft, session.config())
        {
            state = State::Failed(error);
        }
        Self {
            region: session.region_of(draft.bucket.as_deref()),
            rng: session.rng(),
            session,
            operation,
            goal,
            draft,
            state,
            next_id: 0,
            attempts: 0,
            redirected: false,
            rejected: None,
            clock_corrected: false,
            taken: None,
            deadline: None,
            started: false,
        }
    }

    pub(crate) fn poll(&mut self, now: Now) -> Event {
        if !self.started {
            self.started = true;
            self.deadline = self.session.config().operation_timeout.map(|t| now.mono.saturating_add(t));
        }
        if let Some(event) = self.check_deadline(now) {
            return event;
        }
        loop {
            match std::mem::replace(&mut self.state, State::Over) {
                State::Ready => {
                    if let Some(event) = self.start(now) {
                        return event;
                    }
                }
                State::Fetching(mut fetch, None) => match fetch.next() {
                    Some(task) => {
                        let id = self.new_id();
                        self.state = State::Fetching(fetch, Some(id));
                        return Event::Start(id, task);
                    }
                    None => {
                        self.state = match fetch.settle() {
                            Ok(()) => State::Ready,
                            Err(error) => State::Failed(error.with_phase(Phase::Credentials)),
                        }
                    }
                },
                State::Waiting(ticket, None) => {
                    let id = self.new_id();
                    let task = Task::AwaitCredentials(ticket.share());
                    self.state = State::Waiting(ticket, Some(id));
                    return Event::Start(id, task);
                }
                State::Backoff(until) if until <= now.mono => self.state = State::Ready,
                State::Backoff(until) => {
                    self.state = State::Backoff(until);
                    return Event::Wait(earliest(Some(until), self.deadline));
                }
                State::Head(attempt, head) => {
                    self.state = State::Streaming(attempt);
                    // From here on it is up to the user how long the body takes.
                    self.deadline = None;
                    return Event::Head(head);
                }
                State::HeadThen(head, then) => {
                    self.state = *then;
                    self.deadline = None;
                    return Event::Head(head);
                }
                State::Failed(error) => return Event::Done(Err(self.describe(error))),
                State::Finished(outcome) => return Event::Done(Ok(outcome)),
                State::Over => return Event::Done(Err(polled_after_done())),
                busy => {
                    self.state = busy;
                    return Event::Wait(self.deadline);
                }
            }
        }
    }

    /// Ends the call if it has taken too long. The task that runs is cancelled first.
    fn check_deadline(&mut self, now: Now) -> Option<Event> {
        self.deadline.filter(|deadline| *deadline <= now.mono)?;
        if matches!(self.state, State::Failed(_) | State::Finished(_) | State::HeadThen(..) | State::Over) {
            return None;
        }
        self.deadline = None;
        let limit = self.session.config().operation_timeout.unwrap_or_default();
        let message = format!("the call took longer than {limit:?} with all its attempts");
        let error = Error::new(ErrorKind::Timeout, message);
        let phase = match &self.state {
            State::Fetching(..) | State::Waiting(..) => Phase::Credentials,
            State::Collecting(..) => Phase::Body,
            _ => Phase::Wait,
        };
        let running = self.running();
        self.state = State::Failed(error.with_phase(phase));
        running.map(Event::Cancel)
    }

    pub(crate) fn cancel(&mut self) {
        if !matches!(self.state, State::Over) {
            // A task that runs is dropped by the driver together with the machine; answers that still come
            // find no state that waits for them.
            self.state = State::Failed(Error::new(ErrorKind::Cancelled, "cancelled by the caller"));
        }
    }

    fn running(&self) -> Option<TaskId> {
        match &self.state {
            State::Fetching(_, id) | State::Waiting(_, id) => *id,
            State::Sent(a) | State::Collecting(a, ..) | State::Head(a, _) | State::Streaming(a) => Some(a.id),
            _ => None,
        }
    }

    fn new_id(&mut self) -> TaskId {
        self.next_id += 1;
        TaskId::new(self.next_id)
    }

    /// Signs, and sends or presigns; or gets credentials first.
    fn start(&mut self, now: Now) -> Option<Event> {
        let (credentials, generation) = self.current_credentials(now)?;
        let plan = Plan {
            session: &self.session,
            draft: &self.draft,
            credentials: credentials.as_deref(),
            region: &self.region,
            time: self.session.service_time(now),
        };
        if let Goal::Presign(expires) = self.goal {
            self.state = match presign(&plan, expires) {
                Ok(presigned) => State::Finished(Outcome::Presigned(Box::new(presigned))),
                Err(error) => State::Failed(error.with_phase(Phase::Sign)),
            };
            return None;
        }
        match prepare(&plan) {
            Ok(Prepared { task, region }) => {
                let id = self.new_id();
                self.attempts += 1;
                tracing::trace!(
                    operation = self.operation,
                    attempt = self.attempts,
                    region = region.as_str(),
                    "sending"
                );
                self.state = State::Sent(Attempt { id, region, generation });
                Some(Event::Start(id, Task::Http(Box::new(task))))
            }
            Err(error) => {
                self.state = State::Failed(error.with_phase(Phase::Sign));
                None
            }
        }
    }

    /// Those to sign with now; `None` moves the state on to getting them.
    #[allow(clippy::type_complexity)]
    fn current_credentials(&mut self, now: Now) -> Option<(Option<Arc<Credentials>>, Option<Generation>)> {
        match &self.session.config().credentials {
            CredentialsSource::Static(credentials) => Some((Some(Arc::new(credentials.clone())), None)),
            CredentialsSource::Anonymous => Some((None, None)),
            CredentialsSource::Default(environment) => {
                match need(self.session.credentials(), environment, now.wall, self.rejected) {
                    Need::Ready(credentials, generation) => Some((Some(credentials), Some(generation))),
                    Need::Fetch(fetch) => {
                        self.state = State::Fetching(fetch, None);
                        None
                    }
                    Need::Wait(ticket) => {
                        self.state = State::Waiting(ticket, None);
                        None
                    }
                }
            }
        }
    }

    pub(crate) fn answer(&mut self, now: Now, id: TaskId, answer: Answer<'_>) -> BodyPlan {
        if self.running() != Some(id) {
            // Late, for a task that is over: nobody waits for it.
            return BodyPlan::Discard;
        }
        match (std::mem::replace(&mut self.state, State::Over), answer) {
            (State::Fetching(mut fetch, _), Answer::File(content)) => {
                fetch.take(content);
                self.state = State::Fetching(fetch, None);
            }
            (State::Waiting(ticket, _), Answer::Ready) => {
                self.state = match ticket.failure() {
                    Some(error) => State::Failed(error.with_phase(Phase::Credentials)),
                    None => State::Ready,
                };
            }
            (State::Sent(attempt), Answer::Head(head)) => return self.head(attempt, head),
            (State::Collecting(attempt, head, mut body), Answer::Chunk(chunk)) => {
                let limit = self.session.config().max_response;
                if body.len() + chunk.len() > limit {
                    let message = format!("the answer is longer than the limit of {limit} bytes");
                    self.state = State::Failed(
                        Error::new(ErrorKind::MalformedResponse, message).with_phase(Phase::Body),
                    );
                    return BodyPlan::Discard;
                }
                body.extend_from_slice(chunk);
                self.state = State::Collecting(attempt, head, body);
                return BodyPlan::Collect;
            }
            (State::Collecting(attempt, head, body), Answer::End(_)) => {
                self.collected(now, &attempt, head, body);
            }
            (state @ (State::Head(..) | State::Streaming(_)), Answer::End(Some(check))) => {
                let then = match check.finish() {
                    Ok(()) => self.succeed(Outcome::Streamed),
                    Err(error) => State::Failed(error),
                };
                self.state = state.body_over(then);
            }
            (state @ (State::Head(..) | State::Streaming(_)), Answer::Broken { check, cause }) => {
                let error = if cause.kind() == TransportErrorKind::Closed {
                    truncated(check.received(), check.expected_len())
                } else {
                    cause.clone().into_error(Phase::Body)
                };
                self.state = state.body_over(State::Failed(error.with_source(cause)));
            }
            (state @ (State::Head(..) | State::Streaming(_)), Answer::Failed { cause, .. }) => {
                self.state = state.body_over(State::Failed(cause.into_error(Phase::Body)));
            }
            (_, Answer::Failed { phase, cause }) => {
                let error = cause.into_error(phase);
                self.repeat_or_fail(now, error, phase <= Phase::Connect, None);
            }
            (_, Answer::SourceFailed(error)) => self.state = State::Failed(error.into_error()),
            (state, _) => {
                self.state = state;
                if !matches!(self.state, State::Sent(_) | State::Collecting(..) | State::Streaming(_)) {
                    return BodyPlan::Discard;
                }
                let message = "the driver gave an answer that does not fit the task";
                self.state = State::Failed(Error::new(ErrorKind::ApiMisuse, message));
            }
        }
        BodyPlan::Discard
    }

    fn head(&mut self, attempt: Attempt, head: &response::Parts) -> BodyPlan {
        if self.goal != Goal::Stream || !head.status.is_success() {
            let expected = content_length(&head.headers).unwrap_or(0).min(1 << 20);
            let body = Vec::with_capacity(usize::try_from(expected).unwrap_or(0));
            self.state = State::Collecting(attempt, Box::new(head.clone()), body);
            return BodyPlan::Collect;
        }
        match self.delivery(head) {
            Ok((offset, check)) => {
                self.state = State::Head(attempt, Box::new(head.clone()));
                BodyPlan::Deliver { offset, check: Box::new(check) }
            }
            Err(error) => {
                self.state = State::Failed(error.with_status(head.status).with_phase(Phase::Parse));
                BodyPlan::Discard
            }
        }
    }

    /// Where the body of a streamed answer belongs, and what is known of it.
    fn delivery(&self, head: &response::Parts) -> Result<(u64, BodyCheck), Error> {
        let malformed = |message: String| Err(Error::new(ErrorKind::MalformedResponse, message));
        let len = content_length(&head.headers);
        let asked = self.draft.headers.get(RANGE).and_then(|v| v.to_str().ok());
        if head.status != StatusCode::PARTIAL_CONTENT {
            if let Some(asked) = asked {
                return malformed(format!(
                    "the range {asked} was asked for, but the answer is the whole object"
                ));
            }
            let checksum =
                self.session.config().verify_checksums.then(|| Option::from_headers("", &head.headers));
            // A composite checksum is of the parts: it cannot be compared with the bytes as they pass.
            let checksum = checksum.transpose()?.flatten().filter(|c: &crate::checksum::Checksum| {
                c.composite_parts().is_none() && c.algorithm().is_computed()
            });
            return Ok((0, BodyCheck::new(len, checksum)));
        }
        let text = head.headers.get("content-range").and_then(|v| v.to_str().ok()).unwrap_or_default();
        let Some((first, last)) = parse_content_range(text) else {
            return malformed(format!("a part was answered without saying which: Content-Range is '{text}'"));
        };
        let wanted_first =
            asked.and_then(|a| a.strip_prefix("bytes=")?.split_once('-')?.0.parse::<u64>().ok());
        if wanted_first.is_some_and(|wanted| wanted != first) {
            return malformed(format!("{} was asked for, but '{text}' came", asked.unwrap_or_default()));
        }
        let span = (last - first).saturating_add(1);
        let wanted_most = asked.and_then(|a| match a.strip_prefix("bytes=")?.split_once('-')? {
            ("", suffix) => suffix.parse::<u64>().ok(),
            (from, to) => to.parse::<u64>().ok()?.checked_sub(from.parse().ok()?)?.checked_add(1),
        });
        if wanted_most.is_some_and(|most| span > most) {
            return malformed(format!("{} was asked for, but '{text}' came", asked.unwrap_or_default()));
        }
        if len.is_some_and(|len| len != span) {
            return malformed(format!("Content-Range '{text}' and Content-Length do not agree"));
        }
        // A checksum that comes with a part is that of the whole object, if a store sends one at all.
        Ok((first, BodyCheck::new(Some(span), None)))
    }

    fn collected(&mut self, now: Now, attempt: &Attempt, head: Box<response::Parts>, body: Vec<u8>) {
        let expected = content_length(&head.headers).filter(|_| self.draft.method != Method::HEAD);
        if let Some(expected) = expected.filter(|expected| (body.len() as u64) < *expected)
            && head.status != StatusCode::NOT_MODIFIED
        {
            let error = truncated(body.len() as u64, Some(expected)).with_status(head.status);
            return self.repeat_or_fail(now, error, false, Some(&head.headers));
        }
        // CompleteMultipartUpload, CopyObject and UploadPartCopy send 200 before they know how it ends.
        // An object's content is the user's own, whatever it looks like.
        let failed_late =
            head.status.is_success() && !self.draft.wants_checksum && xml::root_name(&body) == Some("Error");
        if head.status.is_success() && !failed_late {
            if self.draft.wants_checksum
                && let Err(error) = self.delivery(&head).and_then(|(_, mut check)| {
                    check.update(&body)?;
                    check.finish()
                })
            {
                return self.repeat_or_fail(now, error.with_status(head.status), false, None);
            }
            self.state = self.succeed(Outcome::Reply(head, Bytes::from(body)));
            return;
        }
        let error = error_answer::read(&head, &body);
        self.refused(now, attempt, &head, error);
    }

    fn succeed(&mut self, outcome: Outcome) -> State {
        self.session.quota().give_back(self.taken.take());
        State::Finished(outcome)
    }

    /// The service answered with an error: find out whether there is something to put right.
    fn refused(&mut self, now: Now, attempt: &Attempt, head: &response::Parts, error: Error) {
        if let Some(region) = self.other_region(attempt, &error) {
            tracing::debug!(
                operation = self.operation,
                from = attempt.region.as_str(),
                to = region.as_str(),
                "redirected"
            );
            self.redirected = true;
            if let Some(bucket) = &self.draft.bucket {
                self.session.remember_region(bucket, region.clone());
            }
            self.region = region;
            return self.again_or_fail(&error);
        }
        if error.kind() == ErrorKind::ExpiredToken && self.rejected.is_none() && attempt.generation.is_some()
        {
            tracing::debug!(operation = self.operation, "credentials expired, fetching new ones");
            self.rejected = attempt.generation;
            return self.again_or_fail(&error);
        }
        if error.kind() == ErrorKind::RequestTimeTooSkewed
            && !self.clock_corrected
            && let Some(service) = service_date(&head.headers)
        {
            tracing::warn!(operation = self.operation, service = %service, here = %now.wall, "the clock is off, corrected by the service's");
            self.clock_corrected = true;
            self.session.set_service_time(now, service);
            return self.again_or_fail(&error);
        }
        self.repeat_or_fail(now, error, false, Some(&head.headers));
    }

    /// The region that the service names, if this attempt was not signed for it and none was followed yet.
    fn other_region(&self, attempt: &Attempt, error: &Error) -> Option<Region> {
        let redirect = error.kind() == ErrorKind::WrongRegion
            || matches!(error.status().map(|s| s.as_u16()), Some(301 | 307 | 308 | 400));
        let region = Region::new(error.region().filter(|_| redirect && !self.redirected)?).ok()?;
        (region != attempt.region).then_some(region)
    }

    /// Sends the request again at once, unless its body is gone.
    fn again_or_fail(&mut self, error: &Error) {
        self.state = match self.draft.payload {
            Payload::Source { replayable: false, .. } => State::Failed(gone(error)),
            _ => State::Ready,
        };
    }

    /// Waits and sends the request again, if policy allows.
    fn repeat_or_fail(&mut self, now: Now, error: Error, not_sent: bool, headers: Option<&HeaderMap>) {
        let Some(reason) = Reason::of(&error) else {
            self.state = State::Failed(error);
            return;
        };
        if !not_sent && matches!(self.draft.payload, Payload::Source { replayable: false, .. }) {
            self.state = State::Failed(gone(&error));
            return;
        }
        let config = &self.session.config().retry;
        let taken =
            (self.attempts < config.max_attempts).then(|| self.session.quota().take(reason)).flatten();
        if taken.is_none() {
            self.state = State::Failed(error);
            return;
        }
        self.taken = taken;
        let wait = backoff(config, reason, self.attempts, self.rng.fraction(), headers);
        tracing::debug!(operation = self.operation, attempt = self.attempts, ?wait, reason = %error, "trying again");
        self.state = State::Backoff(now.mono.saturating_add(wait));
    }

    /// Says what the error is about.
    pub(crate) fn describe(&self, error: Error) -> Error {
        error
            .with_target(self.operation, self.draft.bucket.as_deref(), self.draft.key.as_deref())
            .with_attempts(self.attempts)
    }
}

/// The error of a call that could be repeated if its data could be read again.
fn gone(error: &Error) -> Error {
    let message = format!("{} (not repeated: the data to send cannot be read again)", error.message());
    error.clone().with_message(message)
}

fn earliest(a: Option<Instant>, b: Option<Instant>) -> Option<Instant> {
    [a, b].into_iter().flatten().min()
}

fn content_length(headers: &HeaderMap) -> Option<u64> {
    headers.get(CONTENT_LENGTH)?.to_str().ok()?.trim().parse().ok()
}

/// The service's time, unless a cache may have kept the answer (`Age`).
fn service_date(headers: &HeaderMap) -> Option<Timestamp> {
    if headers.contains_key("age") {
        return None;
    }
    Timestamp::parse_http_date(headers.get(DATE)?.to_str().ok()?)
}

/// `bytes 0-499/1234`: first and last byte (RFC 9110 section 14.4).
fn parse_content_range(text: &str) -> Option<(u64, u64)> {
    let (range, size) = text.strip_prefix("bytes ")?.split_once('/')?;
    let (first, last) = range.split_once('-')?;
    let (first, last): (u64, u64) = (first.parse().ok()?, last.parse().ok()?);
    let size: Option<u64> = if size == "*" { None } else { Some(size.parse().ok()?) };
    (first <= last && size.is_none_or(|size| last < size)).then_some((first, last))
}
