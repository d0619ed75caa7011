//! Which failures are worth another attempt.

use std::fmt;
use std::sync::Arc;

use crate::{Error, ErrorKind};

/// Why a call is repeated: decides cost and wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum RetryReason {
    /// The network or the service failed for a moment.
    Transient,
    /// Nothing came in time: transient too, but version 2.0 of the rules makes it dearer.
    Timeout,
    /// The service asks to slow down.
    Throttling,
}

impl RetryReason {
    /// What an error is to the standard rules; `None` if repeating is of no use.
    pub fn of(error: &Error) -> Option<Self> {
        match error.kind() {
            ErrorKind::SlowDown => Some(Self::Throttling),
            // Somebody else is at work on the object: what to do about that is the caller's decision. And who
            // set up a breaker or a limiter that fails wants to hear of it at once.
            ErrorKind::Conflict | ErrorKind::CircuitOpen | ErrorKind::RateLimited => None,
            // An answer that says so (`RequestTimeout`) is not the silence that version 2.0 means.
            ErrorKind::Timeout if error.status().is_none() => error.is_retryable().then_some(Self::Timeout),
            _ => error.is_retryable().then_some(Self::Transient),
        }
    }

    /// One word for logs and counters.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Transient => "transient",
            Self::Timeout => "timeout",
            Self::Throttling => "throttling",
        }
    }
}

impl fmt::Display for RetryReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// What a classifier decides about an error.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum RetryDecision {
    /// Repeat, for this reason, as far as attempts and quota allow.
    Retry(RetryReason),
    /// Give up at once.
    Fail,
}

/// A rule of the user's own, asked before the standard ones: `None` leaves it to them.
///
/// ```
/// use s3_proto::Config;
/// use s3_proto::retry::{RetryClassifier, RetryDecision, RetryReason};
///
/// let mut config = Config::new("us-east-1")?;
/// // This store answers so while it moves a bucket.
/// config.retry_classifier = Some(RetryClassifier::new(|error| {
///     (error.code() == Some("BucketMoving")).then_some(RetryDecision::Retry(RetryReason::Throttling))
/// }));
/// # Ok::<(), s3_proto::Error>(())
/// ```
#[derive(Clone)]
pub struct RetryClassifier(Arc<Rule>);

type Rule = dyn Fn(&Error) -> Option<RetryDecision> + Send + Sync;

impl RetryClassifier {
    /// Decides by this function. It is asked about failed attempts only, and should be quick.
    pub fn new(rule: impl Fn(&Error) -> Option<RetryDecision> + Send + Sync + 'static) -> Self {
        Self(Arc::new(rule))
    }

    /// Why to repeat after this error, or `None`.
    pub fn reason(&self, error: &Error) -> Option<RetryReason> {
        match (self.0)(error) {
            Some(RetryDecision::Retry(reason)) => Some(reason),
            Some(RetryDecision::Fail) => None,
            None => RetryReason::of(error),
        }
    }
}

impl fmt::Debug for RetryClassifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("RetryClassifier(..)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_classifier_goes_before_the_standard_rules() {
        let classifier = RetryClassifier::new(|error| match error.code() {
            Some("Odd") => Some(RetryDecision::Retry(RetryReason::Throttling)),
            Some("Broken") => Some(RetryDecision::Fail),
            _ => None,
        });
        let cases = [
            (ErrorKind::Service, "Odd", Some(RetryReason::Throttling)),
            (ErrorKind::ServiceUnavailable, "Broken", None),
            (ErrorKind::ServiceUnavailable, "InternalError", Some(RetryReason::Transient)),
            (ErrorKind::AccessDenied, "AccessDenied", None),
        ];
        for (kind, code, expected) in cases {
            let error = Error::new(kind, "").with_code(code);
            assert_eq!(classifier.reason(&error), expected, "{code}");
        }
    }

    #[test]
    fn silence_is_a_timeout_but_an_answer_that_names_one_is_not() {
        let silence = Error::new(ErrorKind::Timeout, "");
        let answer = silence.clone().with_status(http::StatusCode::BAD_REQUEST);
        assert_eq!(RetryReason::of(&silence), Some(RetryReason::Timeout));
        assert_eq!(RetryReason::of(&answer), Some(RetryReason::Transient));
    }
}
