//! One signed request with everything that policy knows about it.
//!
//! Credentials, signing for this attempt, retry with backoff, the region redirect, the refresh of expired
//! credentials, the correction of the clock, errors inside of 200 answers, writes whose answer was lost, breaker
//! and limiter: all of it is brought together here, and every machine embeds it. What decides is elsewhere, in
//! pure types: `retry`, `skew`, `ambiguity`, `breaker`, `limit`.
//!
//! Here are the states and how an attempt is sent; `credentials` says who signs, `answers` takes what comes back, and
//! `verdict` says what is put right and repeated.

mod answers;
mod credentials;
mod verdict;

use std::time::Duration;

use bytes::Bytes;
use http::uri::Authority;
use http::{HeaderValue, Method, response};

pub(crate) use answers::{content_length, parse_content_range, strong_etag};

use crate::ambiguity::{Look, Lost, keep_evidence};
use crate::body::BodyCheck;
use crate::breaker::Permit;
use crate::checksum::{Checksum, ChecksumAlgorithm};
use crate::client::polled_after_done;
use crate::config::Config;
use crate::credentials::{Generation, Ticket};
use crate::endpoint::Region;
use crate::machine::{Instant, Now, Sink, Task, TaskId};
use crate::observe::{AttemptWatch, Watch, events};
use crate::ops::{Draft, place_bucket};
use crate::prepare::{Plan, Prepared, check_draft, post, prepare, presign};
use crate::redirect::Redirects;
use crate::retry::{RetryStrategy, Rng};
use crate::session::{InvocationId, Session};
use crate::sign::{PostPolicy, Presigned, PresignedPost, Receipt, Signature};
use crate::skew::ClockSkew;
use crate::turn::Turn;
use crate::{Error, ErrorKind, Phase, Timestamp};
use credentials::{Fetching, Scope, Signer};

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
    /// The head of an answer whose body is longer than was wanted.
    Head(Box<response::Parts>),
    /// The streamed body has come as it should.
    Streamed,
    Presigned(Box<Presigned>),
    Posted(Box<PresignedPost>),
}

/// What becomes of the signed request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Goal {
    /// Sent, and the answer collected.
    Collect,
    /// Sent, and the body of the answer handed on.
    Stream(Delivery),
    /// Made into a URL.
    Presign(Duration),
    /// Made into a form.
    Post(Box<PostPolicy>),
}

impl Goal {
    fn sends(&self) -> bool {
        !matches!(self, Self::Presign(_) | Self::Post(_))
    }
}

/// How the body of an answer is handed on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Delivery {
    pub(crate) to: Sink,
    /// The place in the object that is the first of the sink.
    pub(crate) base: u64,
    /// What is computed of the bytes beside what the service names.
    pub(crate) hash: Option<ChecksumAlgorithm>,
    /// The answer is a part of a multipart object, and its checksum that of the part.
    pub(crate) is_part: bool,
}

impl Delivery {
    pub(crate) const TO_USER: Self = Self { to: Sink::User, base: 0, hash: None, is_part: false };
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
    retries: RetryStrategy,
    /// Names the call to the service, in all its attempts.
    invocation: Option<InvocationId>,
    /// A task that is of no use any more.
    dropped: Option<TaskId>,
    /// A longer body is not read: the head is all that is wanted then.
    most: Option<u64>,
    /// Heads whose body is not read either.
    declines: Option<fn(&response::Parts) -> bool>,
    /// The body that is being streamed.
    body: Option<Streamed>,
    /// What was sent by the last attempt, if that matters.
    receipt: Option<Receipt>,
    /// Why it was repeated, if the data to send should not have been touched.
    repeated: Option<Error>,
    /// The checksum of what was received, if one was computed.
    received: Option<Checksum>,
    throttled: bool,
    region: Region,
    redirects: Redirects,
    /// The call, while its bucket is being asked where it is.
    parked: Option<Box<Parked>>,
    /// The credentials that the service refused as expired; set once.
    rejected: Option<(Scope, Generation)>,
    /// This call has fetched others in their place: it does so once.
    replaced: bool,
    /// What the clock was corrected by for this call; the session learns it once that has helped.
    skew: Option<ClockSkew>,
    /// The first attempt whose answer was lost, if that matters.
    lost: Option<Lost>,
    /// Whether what a lost attempt may have done is looked at here, and not by whoever embeds this.
    looks: bool,
    /// Looks whether that attempt has done what was asked for; the request is the look's then.
    look: Option<Box<Look>>,
    /// The turn of the next attempt, if the rate is limited.
    turn: Option<Turn>,
    /// Whether the turn of the next attempt was asked for.
    paced: bool,
    /// When the last attempt was sent, by our clock.
    sent_at: Timestamp,
    watch: Watch,
    rng: Rng,
    deadline: Option<Instant>,
    started: bool,
}

enum State {
    /// To be signed and sent as soon as there are credentials.
    Ready,
    Fetching(Box<Fetching>),
    Waiting(Ticket, Option<TaskId>),
    /// Sent; the head has not come.
    Sent(Box<Attempt>),
    /// An answer is being collected.
    Collecting(Box<Attempt>, Box<response::Parts>, Vec<u8>),
    /// The head waits to be taken by the user; the body follows.
    Head(Box<Attempt>, Box<response::Parts>),
    Streaming(Box<Attempt>),
    /// The body is over before the head was taken.
    HeadThen(Box<response::Parts>, Box<State>),
    Backoff(Instant),
    Failed(Error),
    Finished(Outcome),
    Over,
}

/// A body on its way, as its first head described it.
#[derive(Debug)]
struct Streamed {
    /// Names this content and no other; without it a broken body cannot be resumed.
    etag: Option<HeaderValue>,
    /// The place of its first byte in the object.
    first: u64,
    len: Option<u64>,
    /// What saw the bytes that have come, if it broke off.
    check: Option<Box<BodyCheck>>,
    /// How many had come when it last broke off.
    came_before: u64,
}

/// What this attempt was signed with: that, and not what siblings have found out since, is what an answer
/// is compared with.
#[derive(Clone, Debug)]
struct Attempt {
    id: TaskId,
    region: Region,
    signer: Signer,
    signature: Option<Signature>,
    /// When it was sent, by our clock.
    sent: Timestamp,
    /// The time that was signed: ours, corrected by what was known of the service's.
    signed: Timestamp,
    /// What the breaker of this host gave.
    permit: Option<(Box<str>, Permit)>,
    watch: AttemptWatch,
}

/// A HEAD that was refused without a reason.
struct Parked {
    draft: Draft,
    attempt: Box<Attempt>,
    head: response::Parts,
    error: Error,
}

impl Exchange {
    pub(crate) fn new(
        session: Session,
        operation: &'static str,
        goal: Goal,
        draft: Result<Draft, Error>,
    ) -> Self {
        let (mut draft, mut state) = match draft {
            Ok(draft) => (draft, State::Ready),
            Err(error) => (Draft::new(Method::GET), State::Failed(error.with_phase(Phase::Sign))),
        };
        if matches!(state, State::Ready)
            && let Err(error) = complete(operation, &mut draft, session.config())
        {
            state = State::Failed(error);
        }
        let watch = Watch::new(operation, &draft, session.config());
        let rng = session.rng();
        let invocation = session.invocation_id(rng.clone().split());
        let retries = RetryStrategy::new(session.config().retry);
        Self {
            region: session.region_of(draft.bucket.as_deref()),
            rng,
            operation,
            goal,
            draft,
            state,
            next_id: 0,
            attempts: 0,
            retries,
            invocation,
            dropped: None,
            most: None,
            declines: None,
            body: None,
            receipt: None,
            repeated: None,
            received: None,
            throttled: false,
            redirects: Redirects::default(),
            parked: None,
            rejected: None,
            replaced: false,
            skew: None,
            lost: None,
            looks: true,
            look: None,
            turn: None,
            paced: false,
            sent_at: Timestamp::UNIX_EPOCH,
            watch,
            deadline: None,
            started: false,
            session,
        }
    }

    /// Does not read a body that is longer, but yields its head.
    pub(crate) fn at_most(mut self, most: u64) -> Self {
        self.most = Some(most);
        self
    }

    /// Does not read the body of a successful answer of which this is true, but yields its head.
    pub(crate) fn declining(mut self, declines: fn(&response::Parts) -> bool) -> Self {
        self.declines = Some(declines);
        self
    }

    /// Reports a refusal as it is, even if a lost attempt may be the reason.
    pub(crate) fn without_look(mut self) -> Self {
        self.looks = false;
        self
    }

    /// Computes a checksum of what is read from a source and sent.
    pub(crate) fn observe(mut self, algorithm: &ChecksumAlgorithm) -> Self {
        self.draft.observe = Some(algorithm.clone());
        self
    }

    /// The checksum that was to be [observed](Self::observe), once the request was sent.
    pub(crate) fn observed(&self) -> Option<Checksum> {
        self.receipt.as_ref().and_then(Receipt::checksum)
    }

    /// The checksum of the body, if one was computed, once it has come.
    pub(crate) fn received(&self) -> Option<&Checksum> {
        self.received.as_ref()
    }

    /// Whether the service asked to slow down.
    pub(crate) fn was_throttled(&self) -> bool {
        self.throttled
    }

    /// Whether it changes something at the service.
    pub(crate) fn is_write(&self) -> bool {
        !self.draft.method.is_safe()
    }

    /// How many requests were sent.
    pub(crate) fn attempts(&self) -> u32 {
        self.attempts
    }

    pub(crate) fn poll(&mut self, now: Now) -> Event {
        let span = self.watch.span();
        let _inside = span.enter();
        let was_over = matches!(self.state, State::Over);
        let event = self.step(now);
        if let Event::Done(result) = &event
            && !was_over
        {
            self.turn = None;
            let sends = self.goal.sends();
            self.watch.over(sends, now, self.attempts, result.as_ref().err());
        }
        event
    }

    fn step(&mut self, now: Now) -> Event {
        if let Some(id) = self.dropped.take() {
            return Event::Cancel(id);
        }
        if !self.started {
            self.started = true;
            self.watch.begin(now);
            self.deadline = self.session.config().operation_timeout.map(|t| now.mono.saturating_add(t));
        }
        self.check_deadline(now);
        if let Some(id) = self.dropped.take() {
            return Event::Cancel(id);
        }
        loop {
            match std::mem::replace(&mut self.state, State::Over) {
                State::Ready => {
                    if let Some(event) = self.start(now) {
                        return event;
                    }
                }
                State::Fetching(fetching) => {
                    if let Some(event) = self.fetch(now, fetching) {
                        return event;
                    }
                }
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
                // The question came to nothing.
                State::Failed(_) if self.parked.is_some() => self.unpark(now, None),
                State::Failed(error) => match self.look.take() {
                    Some(look) if error.kind() != ErrorKind::Cancelled => {
                        self.draft = look.write.clone();
                        self.state = self.after_look(look.not_found(&error));
                    }
                    look => {
                        let lost = error.is_ambiguous() || look.is_some() || self.lost.is_some();
                        return Event::Done(Err(self.describe(error.with_ambiguity(lost))));
                    }
                },
                State::Finished(outcome) => match (self.look.take(), outcome) {
                    (Some(look), Outcome::Reply(head, _)) => {
                        let skew = ClockSkew::from_answer(self.sent_at, now.wall, &head.headers);
                        self.draft = look.write.clone();
                        self.state = self.after_look(look.found(&head, skew.unwrap_or_default()));
                    }
                    (_, outcome) => return Event::Done(Ok(outcome)),
                },
                State::Over => return Event::Done(Err(polled_after_done())),
                busy => {
                    self.state = busy;
                    return Event::Wait(self.deadline);
                }
            }
        }
    }

    /// Ends the call if it has taken too long. The task that runs is cancelled first.
    fn check_deadline(&mut self, now: Now) {
        if self.deadline.is_none_or(|deadline| now.mono < deadline)
            || matches!(self.state, State::Failed(_) | State::Finished(_) | State::HeadThen(..) | State::Over)
        {
            return;
        }
        let limit = self.session.config().operation_timeout.unwrap_or_default();
        let message = format!("the call took longer than {limit:?} with all its attempts");
        let error = Error::new(ErrorKind::Timeout, message);
        match std::mem::replace(&mut self.state, State::Over) {
            // No answer for so long is a failure of the host, whoever gives up first.
            State::Sent(attempt) => {
                self.watch.attempt_over(now, &attempt.watch, Some(&error), 0);
                self.judge(now, &attempt, Some(&error));
                self.state = State::Sent(attempt);
            }
            state => self.state = state,
        }
        let phase = match &self.state {
            State::Fetching(..) | State::Waiting(..) => Phase::Credentials,
            State::Collecting(..) => Phase::Body,
            _ => Phase::Wait,
        };
        self.deadline = None;
        self.fail(error.with_phase(phase));
    }

    pub(crate) fn cancel(&mut self) {
        self.fail(Error::cancelled());
    }

    /// Ends the call with this error. The task that runs is cancelled first.
    pub(crate) fn fail(&mut self, error: Error) {
        if !matches!(self.state, State::Over) {
            if matches!(self.state, State::Sent(_) | State::Collecting(..)) {
                self.lose(&error);
            }
            self.dropped = self.running();
            if let Some(parked) = self.parked.take() {
                self.draft = parked.draft;
            }
            self.state = State::Failed(error);
        }
    }

    pub(crate) fn running(&self) -> Option<TaskId> {
        match &self.state {
            State::Fetching(fetching) => fetching.from.running().map(|id| id.offset(fetching.base)),
            State::Waiting(_, id) => *id,
            State::Sent(a) | State::Collecting(a, ..) | State::Head(a, _) | State::Streaming(a) => Some(a.id),
            _ => None,
        }
    }

    fn new_id(&mut self) -> TaskId {
        self.next_id += 1;
        TaskId::new(self.next_id)
    }

    /// Signs, and sends or presigns; or waits for its turn or gets credentials first.
    fn start(&mut self, now: Now) -> Option<Event> {
        if !self.paced && self.goal.sends() {
            self.pace(now)?;
        }
        let signer = self.signer(now)?;
        let plan = Plan {
            session: &self.session,
            operation: self.operation_now(),
            draft: &self.draft,
            credentials: signer.credentials.as_deref(),
            in_session: signer.scope == Scope::Bucket,
            region: &self.region,
            time: self.skew.map_or_else(|| self.session.service_time(now), |skew| skew.correct(now.wall)),
            attempt: self.retries.attempts() + 1,
            invocation: self.invocation,
        };
        let made = match &self.goal {
            Goal::Presign(expires) => Some(presign(&plan, *expires).map(|p| Outcome::Presigned(Box::new(p)))),
            Goal::Post(policy) => Some(post(&plan, policy).map(|p| Outcome::Posted(Box::new(p)))),
            Goal::Collect | Goal::Stream(_) => None,
        };
        if let Some(made) = made {
            self.state = match made {
                Ok(outcome) => State::Finished(outcome),
                Err(error) => State::Failed(error.with_phase(Phase::Sign)),
            };
            return None;
        }
        let signed = plan.time;
        match prepare(&plan) {
            Ok(Prepared { task, region, signature, receipt }) => {
                let uri = task.request.uri();
                let permit = match self.permit(now, uri.authority().map_or("", Authority::as_str)) {
                    Ok(permit) => permit,
                    Err(error) => {
                        self.state = State::Failed(error);
                        return None;
                    }
                };
                let bytes = self.draft.payload.len();
                let (method, attempts) = (task.request.method(), self.attempts + 1);
                let watch = self.watch.sending(now, (method, uri), attempts, &region, bytes);
                let id = self.new_id();
                self.attempts = attempts;
                self.retries.begin();
                self.receipt = receipt;
                self.paced = false;
                if let Some(turn) = self.turn.take() {
                    turn.spend();
                }
                let sent = now.wall;
                self.sent_at = sent;
                let attempt = Attempt { id, region, signer, signature, sent, signed, permit, watch };
                self.state = State::Sent(Box::new(attempt));
                Some(Event::Start(id, Task::Http(task)))
            }
            Err(error) => {
                self.state = State::Failed(error.with_phase(Phase::Sign));
                None
            }
        }
    }

    /// Takes the turn of the next attempt; `None` moves the state on to waiting for it.
    fn pace(&mut self, now: Now) -> Option<()> {
        match Turn::take(&self.session, now, self.draft.payload.len()) {
            Ok(turn) => self.turn = turn,
            Err(error) => {
                events::refused_by_limiter();
                self.state = State::Failed(error.with_phase(Phase::Connect));
                return None;
            }
        }
        self.paced = true;
        match &self.turn {
            Some(turn) if turn.at() > now.mono => {
                events::limited(turn.at().since(now.mono));
                self.state = State::Backoff(turn.at());
                None
            }
            _ => Some(()),
        }
    }

    /// Asks the breaker of the host, if there is one.
    fn permit(&self, now: Now, host: &str) -> Result<Option<(Box<str>, Permit)>, Error> {
        let asked = self.session.breaker(host, |breaker| {
            let before = breaker.state();
            let permit = breaker.permit(now.mono);
            (permit, (breaker.state() != before).then(|| breaker.state()))
        });
        let Some((permit, changed)) = asked else { return Ok(None) };
        if let Some(state) = changed {
            events::breaker_changed(host, state);
        }
        match permit {
            Ok(permit) => Ok(Some((host.into(), permit))),
            Err(until) => {
                let wait = until.since(now.mono);
                events::refused_by_breaker(host, wait);
                let message = format!("{host} keeps failing, so that nothing is sent there for {wait:?}");
                let error = Error::new(ErrorKind::CircuitOpen, message).with_retry_after(wait);
                Err(error.with_phase(Phase::Connect))
            }
        }
    }

    /// The service answered, or failed to: whoever decides by that is told.
    fn judge(&mut self, now: Now, attempt: &Attempt, error: Option<&Error>) {
        let throttled = error.is_some_and(|error| error.kind() == ErrorKind::SlowDown);
        if let Some(mut rate) = self.session.client_rate() {
            rate.answered(now.mono, throttled);
        }
        if let Some((host, permit)) = &attempt.permit {
            let success = !error.is_some_and(is_outage);
            let changed = self.session.breaker(host, |breaker| breaker.record(now.mono, *permit, success));
            if let Some(state) = changed.flatten() {
                events::breaker_changed(host, state);
            }
        }
    }

    /// What is sent now: the operation, the question to its bucket, or the look at what a lost attempt has done.
    fn operation_now(&self) -> &'static str {
        match (self.parked.is_some(), &self.look) {
            (true, _) => "HeadBucket",
            (false, Some(_)) => "HeadObject",
            (false, None) => self.operation,
        }
    }

    fn succeed(&mut self, outcome: Outcome) -> State {
        self.retries.succeeded(&mut self.session.quota());
        if let Some(skew) = self.skew {
            self.session.set_clock_skew(skew);
        }
        State::Finished(outcome)
    }

    /// Says what the error is about.
    pub(crate) fn describe(&self, error: Error) -> Error {
        error
            .with_target(self.operation, self.draft.bucket.as_deref(), self.draft.key.as_deref())
            .with_attempts(self.attempts)
    }
}

/// Adds to a draft what depends on the configuration, and checks it.
fn complete(operation: &str, draft: &mut Draft, config: &Config) -> Result<(), Error> {
    keep_evidence(operation, draft, config);
    if draft.makes_bucket {
        place_bucket(draft, config)?;
    }
    check_draft(draft, config)
}

fn earliest(a: Option<Instant>, b: Option<Instant>) -> Option<Instant> {
    [a, b].into_iter().flatten().min()
}

/// Whether the service is out of order, as far as this attempt tells: there is no answer, or one that says so.
/// That it refuses, or asks to slow down, it can do only while it works.
fn is_outage(error: &Error) -> bool {
    match error.kind() {
        ErrorKind::ServiceUnavailable | ErrorKind::Connect | ErrorKind::Dns | ErrorKind::Tls => true,
        ErrorKind::Timeout | ErrorKind::TruncatedBody => error.status().is_none_or(|s| !s.is_client_error()),
        _ => false,
    }
}
