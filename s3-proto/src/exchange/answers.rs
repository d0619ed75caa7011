//! What comes back for an attempt.

use bytes::Bytes;
use http::header::{CONTENT_LENGTH, ETAG, RANGE};
use http::{HeaderMap, HeaderValue, Method, StatusCode, response};

use super::verdict::gone;
use super::{Attempt, Delivery, Exchange, Goal, Outcome, State, Streamed};
use crate::body::{BodyCheck, truncated};
use crate::checksum::Checksum;
use crate::machine::{Answer, BodyPlan, Now, TaskId};
use crate::ops::FromHeaders;
use crate::redirect::bucket_region;
use crate::sign::{Receipt, Signature};
use crate::{Credentials, Error, ErrorKind, Phase, TransportErrorKind, error_answer, xml};

impl State {
    /// What comes after a streamed body: the user gets the head first, if it was not taken yet.
    fn body_over(self, then: Self) -> Self {
        match self {
            Self::Head(_, head) => Self::HeadThen(head, Box::new(then)),
            _ => then,
        }
    }
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
            (_, Answer::SourceFailed(error)) => {
                let begun = self.receipt.as_ref().is_some_and(Receipt::is_begun);
                self.state = State::Failed(match self.repeated.take().filter(|_| !begun) {
                    // It was asked for once more, and had been read ahead.
                    Some(reason) => gone(&reason),
                    None => error.into_error(),
                });
            }
            // Whoever embeds this takes the task for over: nothing more may be waited for.
            (state, _) => self.state = state.body_over(State::Failed(Error::misfit())),
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
