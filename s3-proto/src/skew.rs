//! How far the local clock is from the service's.
//!
//! A signature names the time. If the service refuses one because of that, or may have, the clock is compared
//! with the `Date` of its answer, and the request is signed again by the service's clock.

use std::time::Duration;

use http::HeaderMap;
use http::header::{AGE, DATE};

use crate::{Error, Timestamp};

/// The service's time minus ours.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ClockSkew {
    ahead: Duration,
    behind: Duration,
}

/// Codes that say that the clock is off.
const DEFINITE: [&str; 3] = ["RequestTimeTooSkewed", "RequestExpired", "RequestInTheFuture"];
/// Codes that a clock that is off may cause, among other things.
const POSSIBLE: [&str; 3] = ["InvalidSignatureException", "SignatureDoesNotMatch", "AuthFailure"];

impl ClockSkew {
    /// From here on a clock that is off explains a failure: 4 minutes, as in the AWS SDKs. (S3 itself lets 15
    /// pass.)
    pub const THRESHOLD: Duration = Duration::from_secs(240);

    /// How far the service's clock is from the client's.
    pub fn between(client: Timestamp, service: Timestamp) -> Self {
        Self { ahead: service.since(client), behind: client.since(service) }
    }

    /// By the `Date` of an answer to a request that was sent at one moment and answered at another, both by our
    /// clock: the service wrote it about half-way between. `None` without a `Date`, or if a cache may have
    /// kept the answer (`Age`).
    pub fn from_answer(sent: Timestamp, received: Timestamp, headers: &HeaderMap) -> Option<Self> {
        Some(Self::between(sent.saturating_add(received.since(sent) / 2), service_date(headers)?))
    }

    /// Whether this explains the error, so that a request with a corrected time is worth sending. An error
    /// without a code, as HEAD requests get it, is judged by its status.
    pub fn explains(self, error: &Error) -> bool {
        let possible = match error.code() {
            Some(code) if DEFINITE.contains(&code) => return true,
            Some(code) => POSSIBLE.contains(&code),
            None => error.status().is_some_and(|status| matches!(status.as_u16(), 401 | 403)),
        };
        possible && self.ahead.max(self.behind) >= Self::THRESHOLD
    }

    /// The service's time when ours is `client`.
    #[must_use]
    pub fn correct(self, client: Timestamp) -> Timestamp {
        client.saturating_add(self.ahead).saturating_sub(self.behind)
    }

    /// In whole seconds; negative if the service is behind.
    pub fn as_secs(self) -> i64 {
        let seconds = |d: Duration| i64::try_from(d.as_secs()).unwrap_or(i64::MAX);
        seconds(self.ahead).saturating_sub(seconds(self.behind))
    }
}

/// The service's time when it answered, to the second. `None` without a `Date`, or if a cache may have kept the
/// answer (`Age`).
pub(crate) fn service_date(headers: &HeaderMap) -> Option<Timestamp> {
    let date = headers.get(DATE).filter(|_| !headers.contains_key(AGE))?;
    Timestamp::parse_http_date(date.to_str().ok()?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ErrorKind;
    use http::StatusCode;
    use proptest::prelude::*;

    fn unix(seconds: i64) -> Timestamp {
        Timestamp::from_unix(seconds, 0).unwrap()
    }

    fn dated(date: Timestamp) -> HeaderMap {
        let mut headers = HeaderMap::new();
        headers.insert(DATE, date.http_date().parse().unwrap());
        headers
    }

    #[test]
    fn the_service_wrote_its_date_half_way() {
        let skew = ClockSkew::from_answer(unix(1_000), unix(1_010), &dated(unix(1_305))).unwrap();
        assert_eq!(skew.as_secs(), 300);
    }

    #[test]
    fn an_answer_that_a_cache_may_have_kept_says_nothing() {
        let mut headers = dated(unix(5_000));
        headers.insert(AGE, "0".parse().unwrap());
        assert_eq!(ClockSkew::from_answer(unix(1_000), unix(1_000), &headers), None);
        assert_eq!(ClockSkew::from_answer(unix(1_000), unix(1_000), &HeaderMap::new()), None);
    }

    #[test]
    fn a_refused_head_request_may_be_due_to_the_clock() {
        let refused = Error::new(ErrorKind::AccessDenied, "").with_status(StatusCode::FORBIDDEN);
        let far = ClockSkew::between(unix(0), unix(-240));
        assert!(far.explains(&refused));
        assert!(!ClockSkew::between(unix(0), unix(239)).explains(&refused));
        assert!(!far.explains(&refused.with_code("AccessDenied")));
    }

    proptest! {
        #[test]
        fn correcting_by_the_skew_gives_the_services_time(client in 0i64..4_000_000_000, service in 0i64..4_000_000_000) {
            let skew = ClockSkew::between(unix(client), unix(service));
            prop_assert_eq!(skew.correct(unix(client)), unix(service));
            prop_assert_eq!(skew.as_secs(), service - client);
        }
    }
}
