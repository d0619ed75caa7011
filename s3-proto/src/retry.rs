//! When to try again, and after how long.
//!
//! Source: the retry behaviour of the AWS SDKs and Tools Reference Guide, standard mode, version 2.1.

use std::sync::Mutex;
use std::time::Duration;

use http::HeaderMap;

use crate::{Error, ErrorKind};

/// How often and how patiently a call is repeated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct RetryConfig {
    /// How many attempts a call may make in all; 1 turns retries off. Default 3.
    pub max_attempts: u32,
    /// The most that is waited between two attempts. Default 20 s.
    pub max_backoff: Duration,
}

impl Default for RetryConfig {
    fn default() -> Self {
        Self { max_attempts: 3, max_backoff: Duration::from_secs(20) }
    }
}

/// Why a call is repeated: decides cost and wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reason {
    /// The network or the service failed for a moment.
    Transient,
    /// The service asks to slow down.
    Throttling,
}

impl Reason {
    /// What an error is to retry policy; `None` if repeating is of no use.
    pub(crate) fn of(error: &Error) -> Option<Self> {
        match error.kind() {
            ErrorKind::SlowDown => Some(Self::Throttling),
            // Somebody else is at work on the object: what to do about that is the caller's decision.
            ErrorKind::Conflict => None,
            _ => error.is_retryable().then_some(Self::Transient),
        }
    }

    /// What a repetition takes from the quota.
    fn cost(self) -> u32 {
        match self {
            Self::Transient => 14,
            Self::Throttling => 5,
        }
    }

    fn base(self) -> Duration {
        match self {
            Self::Transient => Duration::from_millis(50),
            Self::Throttling => Duration::from_secs(1),
        }
    }
}

/// How long to wait before attempt number `attempt + 1`: a random part (`jitter`, below 1) of a time that
/// doubles with each attempt. A server's `x-amz-retry-after` in milliseconds is kept to, within 5 s more
/// than we would have waited.
pub(crate) fn backoff(
    config: &RetryConfig,
    reason: Reason,
    attempt: u32,
    jitter: f64,
    headers: Option<&HeaderMap>,
) -> Duration {
    let doubled = reason.base().saturating_mul(2u32.saturating_pow(attempt.saturating_sub(1)));
    let ours = doubled.min(config.max_backoff).mul_f64(jitter.clamp(0.0, 1.0));
    let asked = headers
        .and_then(|h| h.get("x-amz-retry-after"))
        .and_then(|v| v.to_str().ok()?.trim().parse().ok())
        .map(Duration::from_millis);
    asked.map_or(ours, |asked| asked.clamp(ours, ours + Duration::from_secs(5)))
}

/// What all calls of a client may spend on repetitions, so that a service in trouble is not flooded.
#[derive(Debug)]
pub(crate) struct Quota(Mutex<u32>);

const CAPACITY: u32 = 500;

impl Quota {
    pub(crate) fn new() -> Self {
        Self(Mutex::new(CAPACITY))
    }

    /// Takes the cost of a repetition; `None` if there is not enough left.
    pub(crate) fn take(&self, reason: Reason) -> Option<u32> {
        let mut left = crate::session::lock(&self.0);
        *left = left.checked_sub(reason.cost())?;
        Some(reason.cost())
    }

    /// Gives back what the last repetition of a call that succeeded took, or 1 for one that needed none.
    pub(crate) fn give_back(&self, taken: Option<u32>) {
        let mut left = crate::session::lock(&self.0);
        *left = (*left + taken.unwrap_or(1)).min(CAPACITY);
    }
}

/// SplitMix64: small, seeded, and good enough to spread waits (Steele, Lea and Flood 2014).
#[derive(Clone, Debug)]
pub(crate) struct Rng(u64);

impl Rng {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// Another generator, that draws other numbers.
    pub(crate) fn split(&mut self) -> Self {
        Self(self.next_u64())
    }

    pub(crate) fn next_u64(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    /// Between 0 and 1.
    pub(crate) fn fraction(&mut self) -> f64 {
        let high = u32::try_from(self.next_u64() >> 32).unwrap_or(0);
        f64::from(high) / f64::from(u32::MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_up_to_the_cap() {
        let config = RetryConfig::default();
        let wait = |reason, attempt| backoff(&config, reason, attempt, 1.0, None);
        assert_eq!(wait(Reason::Transient, 1), Duration::from_millis(50));
        assert_eq!(wait(Reason::Transient, 3), Duration::from_millis(200));
        assert_eq!(wait(Reason::Throttling, 1), Duration::from_secs(1));
        assert_eq!(wait(Reason::Throttling, 30), Duration::from_secs(20));
    }

    #[test]
    fn the_service_may_ask_for_more_within_bounds() {
        let config = RetryConfig::default();
        for (asked, jitter, expected) in
            [("1500", 1.0, 1_500), ("0", 1.0, 50), ("60000", 1.0, 5_050), ("x", 1.0, 50)]
        {
            let mut headers = HeaderMap::new();
            headers.insert("x-amz-retry-after", asked.parse().unwrap());
            let wait = backoff(&config, Reason::Transient, 1, jitter, Some(&headers));
            assert_eq!(wait, Duration::from_millis(expected), "{asked}");
        }
    }

    #[test]
    fn the_quota_runs_out_and_comes_back() {
        let quota = Quota::new();
        let taken = (0..).map_while(|_| quota.take(Reason::Transient)).count();
        assert_eq!(taken, 35);
        quota.give_back(Some(14));
        assert_eq!(quota.take(Reason::Transient), Some(14));
        assert_eq!(quota.take(Reason::Transient), None);
        assert_eq!(quota.take(Reason::Throttling), Some(5));
    }

    #[test]
    fn the_same_seed_gives_the_same_waits() {
        let draw = |seed| {
            let mut rng = Rng::new(seed);
            [rng.fraction(), rng.fraction(), rng.fraction()].map(f64::to_bits)
        };
        assert_eq!(draw(7), draw(7));
        assert_ne!(draw(7), draw(8));
        assert!(draw(7).iter().all(|f| (0.0..=1.0).contains(&f64::from_bits(*f))));
    }
}
