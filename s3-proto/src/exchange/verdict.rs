//! What becomes of an exchange whose attempt was refused, or failed.

use std::time::Duration;

use bytes::Bytes;
use http::header::{IF_MATCH, RANGE};
use http::{HeaderMap, HeaderValue, Method, StatusCode, response};

use super::credentials::Signer;
use super::{Attempt, Exchange, Outcome, Parked, State, Streamed};
use crate::ambiguity::{Look, Lost, Next, meaning_of};
use crate::body::{BodyCheck, truncated};
use crate::endpoint::Region;
use crate::machine::Now;
use crate::observe::events;
use crate::redirect::{Redirects, bucket_region};
use crate::retry::{RetryHint, RetryReason, RetryStrategy, RetryVerdict};
use crate::sign::Receipt;
use crate::skew::{ClockSkew, service_date};
use crate::{Error, ErrorKind};

impl Exchange {
    /// The service answered with an error: find out whether there is something to put right.
    pub(super) fn refused(&mut self, now: Now, attempt: &Attempt, head: &response::Parts, error: Error) {
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
    pub(super) fn unpark(&mut self, now: Now, answer: Option<(&Attempt, &response::Parts)>) {
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

    /// What a look leads to.
    pub(super) fn after_look(&mut self, next: Next) -> State {
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
        self.state = if self.can_send_again(error) { State::Ready } else { State::Failed(gone(error)) };
    }

    /// Whether the data to send is there for another attempt: what can be read once may not have been touched, as
    /// the service was asked before.
    fn can_send_again(&mut self, error: &Error) -> bool {
        if self.draft.payload.is_replayable() {
            return true;
        }
        self.repeated = Some(error.clone());
        self.receipt.as_ref().is_some_and(|receipt| !receipt.is_begun())
    }

    /// Waits and sends the request again, if policy allows.
    pub(super) fn repeat_or_fail(
        &mut self,
        now: Now,
        error: Error,
        not_sent: bool,
        headers: Option<&HeaderMap>,
    ) -> State {
        if !not_sent {
            self.lose(&error);
        }
        let reason = self.session.config().reason_to_retry(&error);
        self.throttled |= reason == Some(RetryReason::Throttling);
        if reason.is_some() && !not_sent && !self.can_send_again(&error) {
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
        State::Backoff(now.mono.saturating_add(wait))
    }

    /// The attempt that was sent has failed with this: if it is a write, it may have done its work.
    pub(super) fn lose(&mut self, error: &Error) {
        if may_have_worked(&self.draft.method, error) && self.look.is_none() {
            let sent = self.receipt.as_ref().and_then(Receipt::checksum);
            let lost = self.lost.get_or_insert(Lost { at: self.sent_at, sent: None });
            lost.sent = lost.sent.take().or(sent);
        }
    }

    /// Asks for the rest of a body that broke off, if it can be told that it is the rest of the same.
    pub(super) fn resume_or_fail(&mut self, now: Now, error: Error, check: Box<BodyCheck>) -> State {
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
}

/// The error of a call that could be repeated if its data could be read again.
pub(super) fn gone(error: &Error) -> Error {
    let message = format!("{} (not repeated: the data to send cannot be read again)", error.message());
    error.clone().with_message(message)
}

/// Whether an attempt at a write that ended so may have done its work all the same.
fn may_have_worked(method: &Method, error: &Error) -> bool {
    !method.is_safe()
        && error.kind() != ErrorKind::SlowDown
        && error.kind() != ErrorKind::NotImplemented
        && error.status().is_none_or(|status| status.is_success() || status.is_server_error())
}
