//! What a client tells about itself: spans and events by `tracing`, numbers by `metrics`.
//!
//! One span for each call and one for each attempt in it, with the names that OpenTelemetry has for AWS and HTTP
//! (<https://opentelemetry.io/docs/specs/semconv/object-stores/s3/>); an event with its reason for each decision.
//! A machine may be polled on one thread and answered on another, so that spans are entered inside of its
//! functions only.
//!
//! Never in there: credentials, signatures, headers, bodies, and what an error message says, since stores put
//! keys into it. Keys only if [`Config::trace_keys`](crate::Config::trace_keys) says so.
//!
//! With the feature `metrics`:
//!
//! | Name | Kind | Labels |
//! |---|---|---|
//! | `s3_calls_total` | counter | `operation`, `outcome` (`ok`, or the kind of the error) |
//! | `s3_call_duration_seconds` | histogram | `operation` |
//! | `s3_attempts_total` | counter | `operation` |
//! | `s3_attempt_duration_seconds` | histogram | `operation` |
//! | `s3_retries_total` | counter | `operation`, `reason` |
//! | `s3_throttles_total` | counter | `operation` |
//! | `s3_sent_bytes_total`, `s3_received_bytes_total` | counter | `operation` |
//! | `s3_pool_wait_seconds` | histogram | none; of requests that had to wait for a connection |
//! | `s3_breaker_open` | gauge: 0 closed, 0.5 half-open, 1 open | `host` |
//! | `s3_credential_refreshes_total` | counter | `outcome` (`ok`, `error`) |

pub(crate) mod events;
mod meter;

use std::time::Duration;

use http::{Method, Uri, response};
use tracing::field::{Empty, debug, display};
use tracing::{Level, Span};

use crate::config::Config;
use crate::endpoint::Region;
use crate::ops::Draft;
use crate::retry::RetryReason;
use crate::skew::ClockSkew;
use crate::{Error, ErrorKind, Instant, Now};

/// A request had to wait this long for a connection that came free, or for nothing: for drivers, which alone know.
pub fn pool_waited(host: &str, waited: Duration) {
    meter::pool_wait(waited);
    tracing::debug!(server.address = host, wait = ?waited, "waited for a connection");
}

/// Tells about one call.
#[derive(Debug)]
pub(crate) struct Watch {
    operation: &'static str,
    span: Span,
    began: Option<Instant>,
}

/// Tells about one attempt. Its span ends when this is dropped.
#[derive(Clone, Debug)]
pub(crate) struct AttemptWatch {
    span: Span,
    began: Instant,
}

impl Watch {
    /// Inside of the span that is current where the call is made.
    pub(crate) fn new(operation: &'static str, draft: &Draft, config: &Config) -> Self {
        let span = tracing::info_span!(
            "s3.call",
            otel.kind = "client",
            rpc.system = "aws-api",
            rpc.service = "S3",
            rpc.method = operation,
            aws.s3.bucket = draft.bucket.as_deref(),
            aws.s3.key = draft.key.as_deref().filter(|_| config.trace_keys),
            cloud.region = Empty,
            http.response.status_code = Empty,
            aws.request_id = Empty,
            aws.extended_request_id = Empty,
            error.type = Empty,
            attempts = Empty,
        );
        Self { operation, span, began: None }
    }

    pub(crate) fn span(&self) -> Span {
        self.span.clone()
    }

    pub(crate) fn begin(&mut self, now: Now) {
        self.began.get_or_insert(now.mono);
    }

    /// A request goes out.
    pub(crate) fn sending(
        &self,
        now: Now,
        (method, uri): (&Method, &Uri),
        attempt: u32,
        region: &Region,
        bytes: u64,
    ) -> AttemptWatch {
        meter::attempt(self.operation, bytes);
        let span = tracing::debug_span!(
            parent: &self.span,
            "s3.attempt",
            http.request.method = method.as_str(),
            server.address = uri.host(),
            server.port = uri.port_u16(),
            http.request.resend_count = attempt.saturating_sub(1),
            http.request.body.size = bytes,
            cloud.region = region.as_str(),
            http.response.status_code = Empty,
            aws.request_id = Empty,
            aws.extended_request_id = Empty,
            error.type = Empty,
        );
        self.span.record("cloud.region", region.as_str());
        AttemptWatch { span, began: now.mono }
    }

    /// The head of an answer has come.
    pub(crate) fn head(&self, attempt: &AttemptWatch, head: &response::Parts) {
        if self.span.is_disabled() && attempt.span.is_disabled() {
            return;
        }
        let text = |name| head.headers.get(name).and_then(|v| v.to_str().ok());
        for span in [&self.span, &attempt.span] {
            span.record("http.response.status_code", head.status.as_u16());
            for (field, name) in
                [("aws.request_id", "x-amz-request-id"), ("aws.extended_request_id", "x-amz-id-2")]
            {
                if let Some(text) = text(name) {
                    span.record(field, text);
                }
            }
        }
    }

    /// An attempt is over, with so many bytes of an answer.
    pub(crate) fn attempt_over(&self, now: Now, attempt: &AttemptWatch, error: Option<&Error>, bytes: u64) {
        meter::attempt_over(self.operation, now.mono.since(attempt.began), bytes);
        if let Some(error) = error {
            record_error(&attempt.span, error);
            if error.kind() == ErrorKind::SlowDown {
                meter::throttled(self.operation);
            }
        }
    }

    pub(crate) fn retrying(&self, reason: RetryReason, wait: Duration, attempt: u32, error: &Error) {
        meter::retry(self.operation, reason.as_str());
        tracing::debug!(
            reason = reason.as_str(),
            wait = ?wait,
            attempt,
            error.kind = ?error.kind(),
            error.code = error.code(),
            "trying again"
        );
    }

    pub(crate) fn redirected(&self, from: &Region, to: &Region) {
        meter::retry(self.operation, "redirect");
        tracing::debug!(from = from.as_str(), to = to.as_str(), "redirected to the region of the bucket");
    }

    pub(crate) fn credentials_refused(&self) {
        meter::retry(self.operation, "expired_credentials");
        tracing::debug!("the credentials have expired: getting new ones");
    }

    pub(crate) fn clock_corrected(&self, skew: ClockSkew) {
        meter::retry(self.operation, "clock_skew");
        tracing::warn!(seconds = skew.as_secs(), "the clock is off: signing again by the service's");
    }

    /// The call is over; one that only makes a URL is not counted.
    pub(crate) fn over(&self, sends: bool, now: Now, attempts: u32, error: Option<&Error>) {
        if sends {
            let took = self.began.map_or(Duration::ZERO, |began| now.mono.since(began));
            meter::call(self.operation, took, error.map(Error::kind));
        }
        self.span.record("attempts", attempts);
        if let Some(error) = error {
            record_error(&self.span, error);
            if tracing::enabled!(Level::DEBUG) {
                tracing::debug!(error.kind = ?error.kind(), error.code = error.code(), attempts, "failed");
            }
        }
    }
}

fn record_error(span: &Span, error: &Error) {
    if span.is_disabled() {
        return;
    }
    match error.code() {
        Some(code) => span.record("error.type", display(code)),
        None => span.record("error.type", debug(error.kind())),
    };
}
