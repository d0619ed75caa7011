//! One signed request with everything that policy knows about it.
//!
//! Credentials, signing for this attempt, retry with backoff, the region redirect, the refresh of expired
//! credentials, the correction of the clock, errors inside of 200 answers, writes whose answer was lost, breaker
//! and limiter: all of it is brought together here, and every machine embeds it. What decides is elsewhere, in
//! pure types: `retry`, `skew`, `ambiguity`, `breaker`, `limit`.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::header::{CONTENT_LENGTH, ETAG, IF_MATCH, RANGE};
use http::uri::Authority;
use http::{HeaderMap, HeaderValue, Method, StatusCode, response};

use crate::ambiguity::{Look, Lost, Next, keep_evidence, meaning_of};
use crate::body::{BodyCheck, truncated};
use crate::breaker::Permit;
use crate::call::Call;
use crate::checksum::{Checksum, ChecksumAlgorithm};
use crate::client::polled_after_done;
use crate::credentials::{
    Acquired, Cache, CredentialsProvider, CredentialsSource, Generation, Lease, Ticket, session_credentials,
};
use crate::endpoint::Region;
use crate::machine::{Answer, BodyPlan, Instant, Machine as _, Now, Payload, Sink, Step, Task, TaskId};
use crate::observe::{AttemptWatch, Watch, events};
use crate::ops::{CreateSession, Draft, FromHeaders};
use crate::prepare::{Plan, Prepared, check_draft, post, prepare, presign, wants_session};
use crate::redirect::{Redirects, bucket_region};
use crate::retry::{RetryHint, RetryReason, RetryStrategy, RetryVerdict, Rng};
use crate::script::Script;
use crate::session::{InvocationId, Session};
use crate::sign::{PostPolicy, Presigned, PresignedPost, Receipt, Signature};
use crate::skew::{ClockSkew, service_date};
use crate::turn::Turn;
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
    /// The checksum of what was sent, once it was.
    receipt: Option<Receipt>,
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

/// Credentials being fetched, for this call and for all that wait for them.
struct Fetching {
    from: Fetch,
    lease: Lease,
    /// What its ids are counted from.
    base: u32,
}

/// Where they are fetched from.
enum Fetch {
    Provider(Script<Credentials>),
    /// By the account's credentials, a session with the bucket.
    Session(Box<Call<CreateSession>>),
}

impl Fetch {
    fn poll(&mut self, now: Now) -> Step<(), Credentials> {
        match self {
            Self::Provider(script) => script.poll(now),
            Self::Session(call) => match call.poll(now) {
                Step::Start(id, task) => Step::Start(id, task),
                Step::Cancel(id) => Step::Cancel(id),
                Step::Wait(until) => Step::Wait(until),
                Step::Item(()) => Step::Item(()),
                Step::Done(result) => Step::Done(result.and_then(session_credentials)),
            },
        }
    }

    fn answer(&mut self, now: Now, id: TaskId, answer: Answer<'_>) -> BodyPlan {
        match self {
            Self::Provider(script) => script.answer(now, id, answer),
            Self::Session(call) => call.answer(now, id, answer),
        }
    }

    fn running(&self) -> Option<TaskId> {
        match self {
            Self::Provider(script) => script.running(),
            Self::Session(call) => call.running(),
        }
    }
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

/// Whose credentials sign.
#[derive(Clone, Debug)]
struct Signer {
    scope: Scope,
    /// None for an anonymous request.
    credentials: Option<Arc<Credentials>>,
    /// Which fetch they came from, if they were fetched.
    generation: Option<Generation>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Scope {
    Account,
    /// A session with a directory bucket.
    Bucket,
}

impl Attempt {
    /// Reads an error answer, without what the attempt was signed with, should the service repeat it.
    fn error(&self, head: &response::Parts, body: &[u8]) -> Error {
        let credentials = self.signer.credentials.as_deref();
        let key = credentials.map(|c| c.secret_access_key().expose().as_str());
        let token = credentials.and_then(Credentials::session_token).map(|token| token.expose().as_str());
        let signature = self.signature.as_ref().map(Signature::as_str);
        let secrets: Vec<&str> = [token, key, signature].into_iter().flatten().collect();
        error_answer::read(head, body, &secrets)
    }
}

impl Exchange {
    pub(crate) fn new(
        session: Session,
        operation: &'static str,
        goal: Goal,
        draft: Result<Draft, Error>,
    ) -> Self {
        let (draft, mut state) = match draft {
            Ok(mut draft) => {
                keep_evidence(operation, &mut draft);
                (draft, State::Ready)
            }
            Err(error) => (Draft::new(Method::GET), State::Failed(error.with_phase(Phase::Sign))),
        };
        if matches!(state, State::Ready)
            && let Err(error) = check_draft(&draft, session.config())
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
                    _ => return Event::Done(Err(self.describe(error))),
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
        let phase = match &self.state {
            State::Fetching(..) | State::Waiting(..) => Phase::Credentials,
            State::Collecting(..) => Phase::Body,
            _ => Phase::Wait,
        };
        self.deadline = None;
        self.fail(error.with_phase(phase));
    }

    pub(crate) fn cancel(&mut self) {
        self.fail(Error::new(ErrorKind::Cancelled, "cancelled by the caller"));
    }

    /// Ends the call with this error. The task that runs is cancelled first.
    pub(crate) fn fail(&mut self, error: Error) {
        if !matches!(self.state, State::Over) {
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

    /// Who signs now; `None` moves the state on to getting credentials.
    fn signer(&mut self, now: Now) -> Option<Signer> {
        let session = self.session.clone();
        let source = &session.config().credentials;
        if !matches!(source, CredentialsSource::Anonymous)
            && wants_session(&session, self.operation_now(), &self.draft, &self.region)
        {
            return self.fetched(now, Scope::Bucket, |exchange| {
                let op = CreateSession::new(exchange.draft.bucket.clone().unwrap_or_default());
                Fetch::Session(Box::new(Call::new(session.clone(), op)))
            });
        }
        let credentials = match source {
            CredentialsSource::Static(credentials) => Some(credentials.clone()),
            CredentialsSource::Anonymous => None,
            CredentialsSource::Custom(provider) => {
                return self.fetched(now, Scope::Account, |exchange| {
                    Fetch::Provider(provider.run(exchange.rng.split()))
                });
            }
            CredentialsSource::Default(chain) => {
                return self.fetched(now, Scope::Account, |exchange| {
                    let chain = chain.clone().or_region(session.config().region.clone());
                    Fetch::Provider(CredentialsProvider::default_chain(chain).run(exchange.rng.split()))
                });
            }
        };
        Some(Signer { scope: Scope::Account, credentials, generation: None })
    }

    /// Those of the cache, or of whoever fetches them for it.
    fn fetched(&mut self, now: Now, scope: Scope, fetch: impl FnOnce(&mut Self) -> Fetch) -> Option<Signer> {
        let rejected = self.rejected.filter(|(of, _)| *of == scope).map(|(_, generation)| generation);
        match self.cache(scope).acquire(self.service_now(now), rejected) {
            Acquired::Ready(credentials, generation) => {
                let (credentials, generation) = (Some(credentials), Some(generation));
                return Some(Signer { scope, credentials, generation });
            }
            Acquired::Fetch(lease) => {
                let (from, base) = (fetch(self), self.next_id + 1);
                self.state = State::Fetching(Box::new(Fetching { from, lease, base }));
            }
            Acquired::Wait(ticket) => self.state = State::Waiting(ticket, None),
        }
        None
    }

    fn cache(&self, scope: Scope) -> Cache {
        match (scope, &self.draft.bucket) {
            (Scope::Bucket, Some(bucket)) => self.session.bucket_credentials(bucket),
            _ => self.session.credentials().clone(),
        }
    }

    /// Goes on with fetching credentials.
    fn fetch(&mut self, now: Now, mut fetching: Box<Fetching>) -> Option<Event> {
        let event = match fetching.from.poll(self.service_now(now)) {
            Step::Start(id, task) => {
                let id = id.offset(fetching.base);
                self.next_id = self.next_id.max(id.number());
                Event::Start(id, task)
            }
            Step::Cancel(id) => Event::Cancel(id.offset(fetching.base)),
            Step::Wait(until) => Event::Wait(earliest(until, self.deadline)),
            Step::Item(()) => Event::Wait(self.deadline),
            Step::Done(result) => {
                let Fetching { lease, .. } = *fetching;
                self.replaced = self.rejected.is_some();
                let jitter = self.rng.fraction();
                let settled = lease.finish(result, self.service_now(now), jitter);
                events::credentials_fetched(settled.as_ref().err());
                self.state = match settled {
                    Ok(()) => State::Ready,
                    Err(error) => State::Failed(error.with_phase(Phase::Credentials)),
                };
                return None;
            }
        };
        self.state = State::Fetching(fetching);
        Some(event)
    }

    /// Both clocks, the wall's as the service has it: credentials expire by that.
    fn service_now(&self, now: Now) -> Now {
        Now { wall: self.session.service_time(now), ..now }
    }

    pub(crate) fn answer(&mut self, now: Now, id: TaskId, answer: Answer<'_>) -> BodyPlan {
        let span = self.watch.span();
        let _inside = span.enter();
        self.take(now, id, answer)
    }

    fn take(&mut self, now: Now, id: TaskId, answer: Answer<'_>) -> BodyPlan {
        if self.running() != Some(id) {
            // Late, for a task that is over: nobody waits for it.
            return BodyPlan::Discard;
        }
        let answer = match answer {
            // What broke off after the last byte is complete.
            Answer::Broken { check, .. } if check.expected_len() == Some(check.received()) => {
                Answer::End(Some(check))
            }
            answer => answer,
        };
        match (std::mem::replace(&mut self.state, State::Over), answer) {
            (State::Fetching(mut fetching), answer) => {
                let now = self.service_now(now);
                let plan = match id.since(fetching.base) {
                    Some(id) => fetching.from.answer(now, id, answer),
                    None => BodyPlan::Discard,
                };
                self.state = State::Fetching(fetching);
                return plan;
            }
            (State::Waiting(ticket, _), Answer::Ready) => {
                self.state = match ticket.failure() {
                    Some(error) => State::Failed(error.with_phase(Phase::Credentials)),
                    None => State::Ready,
                };
            }
            (State::Sent(attempt), Answer::Head(head)) => return self.head(now, attempt, head),
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
            (state @ (State::Head(..) | State::Streaming(_)), Answer::End(Some(check)))
                if check.is_short() =>
            {
                let error = truncated(check.received(), check.expected_len());
                self.streamed(now, &state, Some(&error), check.received());
                let then = self.resume_or_fail(now, error, check);
                self.state = state.body_over(then);
            }
            (state @ (State::Head(..) | State::Streaming(_)), Answer::End(Some(check))) => {
                self.streamed(now, &state, None, check.received());
                let then = match check.finish() {
                    Ok(received) => {
                        self.received = received;
                        self.succeed(Outcome::Streamed)
                    }
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
                self.streamed(now, &state, Some(&error), check.received());
                let then = self.resume_or_fail(now, error.with_source(cause), check);
                self.state = state.body_over(then);
            }
            (state @ (State::Head(..) | State::Streaming(_)), Answer::Failed { cause, .. }) => {
                let error = cause.into_error(Phase::Body);
                self.streamed(now, &state, Some(&error), 0);
                self.state = state.body_over(State::Failed(error));
            }
            (state, Answer::Failed { phase, cause }) => {
                let mut error = cause.into_error(phase);
                if self.draft.slow && error.kind() == ErrorKind::Timeout && phase >= Phase::Send {
                    let hint = "(`Timeouts::slow`); the service may still be at work on it";
                    let message = format!("{} {hint}", error.message());
                    error = error.with_message(message);
                }
                if let State::Sent(attempt) | State::Collecting(attempt, ..) = &state {
                    self.watch.attempt_over(now, &attempt.watch, Some(&error), 0);
                    self.judge(now, attempt, Some(&error));
                }
                self.state = self.repeat_or_fail(now, error, phase <= Phase::Connect, None);
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

    /// A streamed body is over, after so many bytes of the whole.
    fn streamed(&self, now: Now, state: &State, error: Option<&Error>, received: u64) {
        if let State::Head(attempt, _) | State::Streaming(attempt) = state {
            let before = self.body.as_ref().map_or(0, |body| body.came_before);
            self.watch.attempt_over(now, &attempt.watch, error, received.saturating_sub(before));
        }
    }

    fn head(&mut self, now: Now, attempt: Box<Attempt>, head: Box<response::Parts>) -> BodyPlan {
        self.watch.head(&attempt.watch, &head);
        if self.parked.is_some() {
            self.watch.attempt_over(now, &attempt.watch, None, 0);
            self.judge(now, &attempt, None);
            if head.status.is_success() || bucket_region(&head.headers).is_some() {
                self.unpark(now, Some((&attempt, &head)));
            } else {
                // The question was refused for a reason of its own, and may go better.
                let error = attempt.error(&head, &[]);
                self.refused(now, &attempt, &head, error);
            }
            return BodyPlan::Discard;
        }
        let len = content_length(&head.headers);
        let too_long = self.most.is_some_and(|most| len.is_none_or(|len| len > most));
        if head.status.is_success() && (too_long || self.declines.is_some_and(|declines| declines(&head))) {
            self.watch.attempt_over(now, &attempt.watch, None, 0);
            self.judge(now, &attempt, None);
            self.state = self.succeed(Outcome::Head(head));
            return BodyPlan::Discard;
        }
        if let (Some(mut limiter), true) = (self.session.rate_limiter(), self.draft.method != Method::HEAD) {
            limiter.charge(now.mono, len.unwrap_or(0));
        }
        let Goal::Stream(Delivery { to, base, .. }) = self.goal.clone() else {
            return self.collect(attempt, head);
        };
        if !head.status.is_success() {
            return self.collect(attempt, head);
        }
        self.judge(now, &attempt, None);
        let status = head.status;
        let delivered = match self.body.take() {
            None => self.first_delivery(&head, len).map(|(body, check)| {
                let at = body.first;
                self.body = Some(body);
                self.state = State::Head(attempt, head);
                (at, check)
            }),
            Some(body) => self.delivery(&head, len).and_then(|(at, rest)| {
                let delivered = continued(body, &head, at, &rest);
                self.state = State::Streaming(attempt);
                delivered.map(|(body, check)| {
                    self.body = Some(body);
                    (at, check)
                })
            }),
        };
        match delivered {
            Ok((at, check)) => BodyPlan::Deliver { to, offset: at.saturating_sub(base), check },
            Err(error) => {
                self.state = State::Failed(error.with_status(status).with_phase(Phase::Parse));
                BodyPlan::Discard
            }
        }
    }

    fn collect(&mut self, attempt: Box<Attempt>, head: Box<response::Parts>) -> BodyPlan {
        // Little is reserved on a mere promise. Where the caller has set a bound, all of it is: a part that grows while
        // it comes is copied, and leaves holes behind in the memory of a long transfer.
        let most = self.most.unwrap_or(1 << 20);
        let expected = content_length(&head.headers).unwrap_or(0).min(most);
        let body = Vec::with_capacity(usize::try_from(expected).unwrap_or(0));
        self.state = State::Collecting(attempt, head, body);
        BodyPlan::Collect
    }

    /// What there is to know of a body that begins.
    fn first_delivery(
        &self,
        head: &response::Parts,
        len: Option<u64>,
    ) -> Result<(Streamed, Box<BodyCheck>), Error> {
        let (first, check) = self.delivery(head, len)?;
        let etag = strong_etag(&head.headers).cloned();
        Ok((
            Streamed { etag, first, len: check.expected_len(), check: None, came_before: 0 },
            Box::new(check),
        ))
    }

    /// Where the body of a streamed answer, of this length, belongs, and what is known of it.
    fn delivery(&self, head: &response::Parts, len: Option<u64>) -> Result<(u64, BodyCheck), Error> {
        let (hash, is_part) = match &self.goal {
            Goal::Stream(delivery) => (delivery.hash.clone(), delivery.is_part),
            _ => (None, false),
        };
        let asked = self.draft.headers.get(RANGE).and_then(|v| v.to_str().ok());
        if head.status != StatusCode::PARTIAL_CONTENT {
            // Of an empty object there is no range: some stores send all of it, where S3 answers 416.
            if let Some(asked) = asked.filter(|asked| len != Some(0) || !asked.starts_with("bytes=0-")) {
                return malformed(format!(
                    "the range {asked} was asked for, but the answer is the whole object"
                ));
            }
            return Ok((0, BodyCheck::new(len, self.checksum(head)?, hash)));
        }
        let text = head.headers.get("content-range").and_then(|v| v.to_str().ok()).unwrap_or_default();
        let Some((first, last, size)) = parse_content_range(text) else {
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
        // A checksum that comes with a range is that of the whole object, if a store sends one at all.
        let is_whole = size == Some(span);
        let checksum = if is_part || is_whole { self.checksum(head)? } else { None };
        Ok((first, BodyCheck::new(Some(span), checksum, hash)))
    }

    /// The checksum that the service names, if the bytes can be compared with it as they pass: a composite
    /// one, of the parts' checksums, cannot.
    fn checksum(&self, head: &response::Parts) -> Result<Option<Checksum>, Error> {
        if !self.session.config().verify_checksums {
            return Ok(None);
        }
        let checksum = Option::<Checksum>::from_headers("", &head.headers)?;
        Ok(checksum.filter(|c| c.composite_parts().is_none() && c.algorithm().is_computed()))
    }

    fn collected(&mut self, now: Now, attempt: &Attempt, head: Box<response::Parts>, body: Vec<u8>) {
        let len = content_length(&head.headers);
        let expected = len.filter(|_| self.draft.method != Method::HEAD);
        if let Some(expected) = expected.filter(|expected| (body.len() as u64) < *expected)
            && head.status != StatusCode::NOT_MODIFIED
        {
            let error = truncated(body.len() as u64, Some(expected)).with_status(head.status);
            self.watch.attempt_over(now, &attempt.watch, Some(&error), body.len() as u64);
            self.judge(now, attempt, Some(&error));
            self.state = self.repeat_or_fail(now, error, false, Some(&head.headers));
            return;
        }
        // CompleteMultipartUpload, CopyObject and UploadPartCopy send 200 before they know how it ends.
        // An object's content is the user's own, whatever it looks like.
        let failed_late =
            head.status.is_success() && !self.draft.wants_checksum && xml::root_name(&body) == Some("Error");
        if head.status.is_success() && !failed_late {
            self.watch.attempt_over(now, &attempt.watch, None, body.len() as u64);
            self.judge(now, attempt, None);
            if self.draft.wants_checksum
                && let Err(error) = self.delivery(&head, len).and_then(|(_, mut check)| {
                    check.update(&body)?;
                    check.finish()
                })
            {
                self.state = self.repeat_or_fail(now, error.with_status(head.status), false, None);
                return;
            }
            self.state = self.succeed(Outcome::Reply(head, Bytes::from(body)));
            return;
        }
        let error = attempt.error(&head, &body);
        self.watch.attempt_over(now, &attempt.watch, Some(&error), body.len() as u64);
        self.judge(now, attempt, Some(&error));
        self.refused(now, attempt, &head, error);
    }

    fn succeed(&mut self, outcome: Outcome) -> State {
        self.retries.succeeded(&mut self.session.quota());
        if let Some(skew) = self.skew {
            self.session.set_clock_skew(skew);
        }
        State::Finished(outcome)
    }

    /// The service answered with an error: find out whether there is something to put right.
    fn refused(&mut self, now: Now, attempt: &Attempt, head: &response::Parts, error: Error) {
        if let Some(region) = self.redirects.follow(&attempt.region, &self.draft, &error) {
            return self.move_to(attempt, region, &error);
        }
        if error.kind() == ErrorKind::ExpiredToken && self.rejects(attempt) {
            return self.again_or_fail(&error);
        }
        // A HEAD may be silent about either: the region can be asked for, and credentials are replaced but once.
        if let Some(question) = self.redirects.question(&self.draft, &error) {
            let draft = std::mem::replace(&mut self.draft, question);
            self.parked = Some(Box::new(Parked {
                draft,
                attempt: Box::new(attempt.clone()),
                head: head.clone(),
                error,
            }));
            self.state = State::Ready;
            return;
        }
        if self.expired_silently(now, attempt, head, &error) && self.rejects(attempt) {
            return self.again_or_fail(&error);
        }
        if let Some(skew) = self.clock_skew(now, attempt, head, &error) {
            self.watch.clock_corrected(skew);
            self.skew = Some(skew);
            return self.again_or_fail(&error);
        }
        if let Some(meaning) =
            meaning_of(self.operation, error.kind()).filter(|_| self.looks && self.look.is_none())
            && let Some(lost) = self.lost.take()
        {
            events::looking(&error);
            let next = Look::begin(meaning, self.draft.clone(), error, lost);
            self.state = self.after_look(next);
            return;
        }
        if self.body.is_some() && error.kind() == ErrorKind::PreconditionFailed {
            let message = "the object was replaced while it was being read";
            self.state = State::Failed(error.with_message(message.to_owned()));
            return;
        }
        // A resume asks for what the first head has announced, so there is less than that.
        if error.kind() == ErrorKind::InvalidRange
            && let Some(Streamed { len, check: Some(check), .. }) = self.body.take()
        {
            let short = truncated(check.received(), len);
            let message = format!("{}, and the service has no more of them", short.message());
            self.state = State::Failed(short.with_message(message).with_source(error));
            return;
        }
        self.state = self.repeat_or_fail(now, error, false, Some(&head.headers));
    }

    /// Takes up the call again that its bucket was asked about: where the bucket is by this answer, or else with
    /// what remains to be put right.
    fn unpark(&mut self, now: Now, answer: Option<(&Attempt, &response::Parts)>) {
        let Some(parked) = self.parked.take() else { return };
        let Parked { draft, attempt, head, error } = *parked;
        self.draft = draft;
        let named = answer.and_then(|(asked, head)| Some((asked, bucket_region(&head.headers)?)));
        let found = named.and_then(|(asked, name)| Some((asked, self.redirects.go(&asked.region, name)?)));
        match found {
            Some((asked, region)) => {
                let error = Error::new(ErrorKind::WrongRegion, "the bucket is in another region");
                self.move_to(asked, region, &error);
            }
            None => self.refused(now, &attempt, &head, error),
        }
    }

    /// Gives up the credentials of this attempt, which have expired, for others: a call does so once.
    fn rejects(&mut self, attempt: &Attempt) -> bool {
        let Some(generation) = attempt.signer.generation else { return false };
        match self.rejected {
            // The question to the bucket was signed with the same or with later ones, and has met the same.
            Some((scope, rejected)) if scope == attempt.signer.scope && rejected >= generation => true,
            _ if self.replaced => false,
            // Others may have fetched the same once more in between, while they were still good.
            _ => {
                self.watch.credentials_refused();
                self.rejected = Some((attempt.signer.scope, generation));
                true
            }
        }
    }

    /// What a look leads to.
    fn after_look(&mut self, next: Next) -> State {
        match next {
            Next::Look(draft, look) => {
                self.draft = *draft;
                self.look = Some(look);
                self.region = self.session.region_of(self.draft.bucket.as_deref());
                self.redirects = Redirects::default();
                self.retries = RetryStrategy::new(self.session.config().retry);
                State::Ready
            }
            Next::Done(head, body) => {
                events::done_before();
                self.succeed(Outcome::Reply(head, Bytes::from(body)))
            }
            Next::Failed(error) => State::Failed(error),
        }
    }

    /// Whether a HEAD was refused because of an expired session token: that is answered by 400 without a body,
    /// like much else. So it counts only if the credentials had expired by the answer's own date, or somebody
    /// has replaced them since.
    fn expired_silently(&self, now: Now, attempt: &Attempt, head: &response::Parts, error: &Error) -> bool {
        let Signer { scope, credentials: Some(credentials), generation: Some(generation) } = &attempt.signer
        else {
            return false;
        };
        let is_silent = self.draft.method == Method::HEAD
            && head.status == StatusCode::BAD_REQUEST
            && error.code().is_none();
        if !is_silent || credentials.session_token().is_none() {
            return false;
        }
        // Not our own clock, which may have jumped since.
        let date = service_date(&head.headers).unwrap_or_else(|| self.session.service_time(now));
        // Dates of HTTP are whole seconds, and the servers of a service have a clock each.
        let date = date.saturating_add(Duration::from_secs(2));
        credentials.expires_at().is_some_and(|at| at <= date)
            || self.cache(*scope).has_newer_than(*generation)
    }

    /// Sends the request again, to where the bucket turned out to be.
    fn move_to(&mut self, attempt: &Attempt, region: Region, error: &Error) {
        self.watch.redirected(&attempt.region, &region);
        if let Some(bucket) = &self.draft.bucket {
            self.session.remember_region(bucket, region.clone());
        }
        self.region = region;
        self.again_or_fail(error);
    }

    /// How far our clock is off, if that is why this attempt was refused and none was corrected yet.
    fn clock_skew(
        &self,
        now: Now,
        attempt: &Attempt,
        head: &response::Parts,
        error: &Error,
    ) -> Option<ClockSkew> {
        if self.skew.is_some() || attempt.signer.credentials.is_none() {
            return None;
        }
        let total = ClockSkew::from_answer(attempt.sent, now.wall, &head.headers)?;
        // What is judged is the time that was signed, which may have been corrected already.
        let left = ClockSkew::between(attempt.signed, total.correct(attempt.sent));
        left.explains(error).then_some(total)
    }

    /// Sends the request again at once, unless its body is gone.
    fn again_or_fail(&mut self, error: &Error) {
        self.state = match self.draft.payload {
            Payload::Source { replayable: false, .. } => State::Failed(gone(error)),
            _ => State::Ready,
        };
    }

    /// Waits and sends the request again, if policy allows.
    fn repeat_or_fail(
        &mut self,
        now: Now,
        error: Error,
        not_sent: bool,
        headers: Option<&HeaderMap>,
    ) -> State {
        let reason = self.session.config().reason_to_retry(&error);
        self.throttled |= reason == Some(RetryReason::Throttling);
        if reason.is_some()
            && !not_sent
            && matches!(self.draft.payload, Payload::Source { replayable: false, .. })
        {
            return State::Failed(gone(&error));
        }
        let hint = headers.and_then(RetryHint::from_headers);
        let jitter = self.rng.fraction();
        let verdict = self.retries.failed(&mut self.session.quota(), reason, hint, jitter);
        let (wait, reason) = match (verdict, reason) {
            (RetryVerdict::Retry { wait }, Some(reason)) => (wait, reason),
            (RetryVerdict::QuotaExhausted, _) => {
                events::giving_up("the calls of this client have repeated too much lately", &error);
                return State::Failed(error);
            }
            (RetryVerdict::AttemptsExhausted, _) => {
                events::giving_up("that was the last attempt", &error);
                return State::Failed(error);
            }
            _ => return State::Failed(error),
        };
        self.watch.retrying(reason, wait, self.attempts, &error);
        if !not_sent && may_have_worked(&self.draft.method, &error) && self.look.is_none() {
            let sent = self.receipt.as_ref().and_then(Receipt::checksum);
            let lost = self.lost.get_or_insert(Lost { at: self.sent_at, sent: None });
            lost.sent = lost.sent.take().or(sent);
        }
        State::Backoff(now.mono.saturating_add(wait))
    }

    /// Asks for the rest of a body that broke off, if it can be told that it is the rest of the same.
    fn resume_or_fail(&mut self, now: Now, error: Error, check: Box<BodyCheck>) -> State {
        let Some(mut body) = self.body.take() else { return State::Failed(error) };
        let (Some(etag), Some(len)) = (&body.etag, body.len) else { return State::Failed(error) };
        let done = check.received();
        if done >= len {
            return State::Failed(error);
        }
        if body.came_before != done {
            // Whatever is wrong, it lets something through.
            self.retries.progressed();
        }
        // A length is known that may reach up to the last place there is.
        let (next, last) = (body.first.saturating_add(done), body.first.saturating_add(len - 1));
        let Ok(range) = HeaderValue::from_str(&format!("bytes={next}-{last}")) else {
            return State::Failed(error);
        };
        self.draft.headers.insert(RANGE, range);
        self.draft.headers.insert(IF_MATCH, etag.clone());
        // A range is one of the object, whichever part of it was asked for.
        self.draft.remove_query("partNumber");
        events::resuming(next);
        body.came_before = done;
        body.check = Some(check);
        self.body = Some(body);
        self.repeat_or_fail(now, error, false, None)
    }

    /// Says what the error is about.
    pub(crate) fn describe(&self, error: Error) -> Error {
        error
            .with_target(self.operation, self.draft.bucket.as_deref(), self.draft.key.as_deref())
            .with_attempts(self.attempts)
    }
}

/// Goes on with a body that broke off, if what comes now is its rest.
fn continued(
    mut body: Streamed,
    head: &response::Parts,
    at: u64,
    rest: &BodyCheck,
) -> Result<(Streamed, Box<BodyCheck>), Error> {
    let missing = body.check.as_ref().and_then(|check| Some(body.len? - check.received()));
    let is_the_rest = at == body.first + body.came_before && rest.expected_len() == missing;
    match body.check.take() {
        Some(check) if is_the_rest && head.headers.get(ETAG) == body.etag.as_ref() => Ok((body, check)),
        _ => {
            let message = "the rest of a body that broke off was asked for, but something else came";
            Err(Error::new(ErrorKind::MalformedResponse, message))
        }
    }
}

/// The error of a call that could be repeated if its data could be read again.
fn gone(error: &Error) -> Error {
    let message = format!("{} (not repeated: the data to send cannot be read again)", error.message());
    error.clone().with_message(message)
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

/// Whether an attempt at a write that ended so may have done its work all the same.
fn may_have_worked(method: &Method, error: &Error) -> bool {
    !method.is_safe()
        && error.kind() != ErrorKind::SlowDown
        && error.status().is_none_or(|status| !status.is_client_error())
}

fn earliest(a: Option<Instant>, b: Option<Instant>) -> Option<Instant> {
    [a, b].into_iter().flatten().min()
}

pub(crate) fn content_length(headers: &HeaderMap) -> Option<u64> {
    headers.get(CONTENT_LENGTH)?.to_str().ok()?.trim().parse().ok()
}

fn malformed<T>(message: String) -> Result<T, Error> {
    Err(Error::new(ErrorKind::MalformedResponse, message))
}

/// The ETag, if it names this content and no other.
pub(crate) fn strong_etag(headers: &HeaderMap) -> Option<&HeaderValue> {
    headers.get(ETAG).filter(|etag| !etag.is_empty() && !etag.as_bytes().starts_with(b"W/"))
}

/// `bytes 0-499/1234`: first and last byte, and how many there are, unless that is `*` (RFC 9110 section
/// 14.4).
pub(crate) fn parse_content_range(text: &str) -> Option<(u64, u64, Option<u64>)> {
    let (range, size) = text.strip_prefix("bytes ")?.split_once('/')?;
    let (first, last) = range.split_once('-')?;
    let (first, last): (u64, u64) = (first.parse().ok()?, last.parse().ok()?);
    let size: Option<u64> = if size == "*" { None } else { Some(size.parse().ok()?) };
    (first <= last && size.is_none_or(|size| last < size)).then_some((first, last, size))
}
