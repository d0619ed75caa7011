//! The standard mode: attempts, waits, and the quota that the calls of a client share.

use std::time::Duration;

use http::HeaderMap;

use super::{RetryConfig, RetryReason};
use crate::Timestamp;

/// What a failed attempt leads to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub enum RetryVerdict {
    /// Begin another attempt after this long.
    Retry {
        /// How long to wait.
        wait: Duration,
    },
    /// Give up: another attempt would go no better.
    NotRetryable,
    /// Give up: this was the last attempt.
    AttemptsExhausted,
    /// Give up: the calls of this client have repeated too much lately.
    QuotaExhausted,
}

/// The retries of one call.
#[derive(Clone, Debug)]
pub struct RetryStrategy {
    config: RetryConfig,
    attempts: u32,
    /// What the last repetition took from the quota.
    taken: Option<u32>,
}

impl RetryStrategy {
    /// A call without an attempt yet.
    pub fn new(config: RetryConfig) -> Self {
        Self { config, attempts: 0, taken: None }
    }

    /// An attempt begins; its number, from 1 on.
    pub fn begin(&mut self) -> u32 {
        self.attempts = self.attempts.saturating_add(1);
        self.attempts
    }

    /// How many attempts have begun.
    pub fn attempts(&self) -> u32 {
        self.attempts
    }

    /// The attempt brought a part of what is wanted, so that what follows counts anew from it.
    pub fn progressed(&mut self) {
        self.attempts = 1;
    }

    /// The attempt failed, for this reason if it may be repeated at all. `jitter`, a random number between 0
    /// and 1, says which part of the wait is waited; `hint` is what the service asked for.
    pub fn failed(
        &mut self,
        quota: &mut RetryQuota,
        reason: Option<RetryReason>,
        hint: Option<RetryHint>,
        jitter: f64,
    ) -> RetryVerdict {
        let Some(reason) = reason else { return RetryVerdict::NotRetryable };
        if self.attempts >= self.config.attempts() {
            return RetryVerdict::AttemptsExhausted;
        }
        let cost = self.config.spec.cost(reason);
        if !quota.take(cost) {
            return RetryVerdict::QuotaExhausted;
        }
        self.taken = Some(cost);
        RetryVerdict::Retry { wait: backoff(&self.config, reason, self.attempts, jitter, hint) }
    }

    /// The call succeeded: what its last repetition took from the quota goes back, or 1 if it needed none.
    pub fn succeeded(&mut self, quota: &mut RetryQuota) {
        quota.give_back(self.taken.take().unwrap_or(1));
    }
}

/// How long to wait after attempt number `attempt`: the part `jitter`, between 0 and 1, of a time that doubles
/// with each attempt up to the cap. What the service asks for is kept to, within the bounds of [`RetryHint`].
pub fn backoff(
    config: &RetryConfig,
    reason: RetryReason,
    attempt: u32,
    jitter: f64,
    hint: Option<RetryHint>,
) -> Duration {
    let doubled = config.spec.base(reason).saturating_mul(2u32.saturating_pow(attempt.saturating_sub(1)));
    let ours = doubled.min(config.max_backoff).mul_f64(jitter.clamp(0.0, 1.0));
    match hint {
        None => ours,
        Some(RetryHint::Amz(asked)) => asked.clamp(ours, ours + RetryHint::AMZ_MOST),
        Some(RetryHint::Http(asked)) => asked.clamp(ours, ours.max(config.max_backoff)),
    }
}

/// How long the service asks to wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RetryHint {
    /// By `x-amz-retry-after`: taken between what would have been waited anyway and 5 s more.
    Amz(Duration),
    /// By `Retry-After` (RFC 9110 section 10.2.3), as other stores and proxies do: taken between what would
    /// have been waited anyway and [`RetryConfig::max_backoff`].
    Http(Duration),
}

impl RetryHint {
    const AMZ_MOST: Duration = Duration::from_secs(5);

    /// What the headers of an answer ask for: `x-amz-retry-after` in milliseconds, else `Retry-After` in
    /// seconds or as a date, which is compared with the answer's own `Date`. What cannot be read is not
    /// there.
    pub fn from_headers(headers: &HeaderMap) -> Option<Self> {
        let text = |name| headers.get(name).and_then(|v| v.to_str().ok()).map(str::trim);
        if let Some(millis) = text("x-amz-retry-after").and_then(|text| text.parse().ok()) {
            return Some(Self::Amz(Duration::from_millis(millis)));
        }
        let after = text("retry-after")?;
        if let Ok(seconds) = after.parse() {
            return Some(Self::Http(Duration::from_secs(seconds)));
        }
        let (until, now) = (Timestamp::parse_http_date(after)?, Timestamp::parse_http_date(text("date")?)?);
        Some(Self::Http(until.since(now)))
    }
}

/// What all calls of a client may spend on repetitions, so that a service in trouble is not flooded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RetryQuota {
    left: u32,
}

impl RetryQuota {
    /// What is in a full quota.
    pub const CAPACITY: u32 = 500;

    /// With so much left, at most [`CAPACITY`](Self::CAPACITY).
    pub fn new(left: u32) -> Self {
        Self { left: left.min(Self::CAPACITY) }
    }

    /// How much is left.
    pub fn left(&self) -> u32 {
        self.left
    }

    /// Takes the cost of a repetition, if so much is left.
    pub(crate) fn take(&mut self, cost: u32) -> bool {
        let rest = self.left.checked_sub(cost);
        self.left = rest.unwrap_or(self.left);
        rest.is_some()
    }

    fn give_back(&mut self, tokens: u32) {
        self.left = self.left.saturating_add(tokens).min(Self::CAPACITY);
    }
}

/// A full quota.
impl Default for RetryQuota {
    fn default() -> Self {
        Self::new(Self::CAPACITY)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::retry::{RetryMode, RetrySpec};
    use proptest::prelude::*;

    #[test]
    fn waits_double_up_to_the_cap() {
        let wait = |spec, reason, attempt| {
            let config = RetryConfig { spec, ..RetryConfig::default() };
            backoff(&config, reason, attempt, 1.0, None).as_millis()
        };
        assert_eq!(wait(RetrySpec::V2_1, RetryReason::Transient, 1), 50);
        assert_eq!(wait(RetrySpec::V2_1, RetryReason::Transient, 3), 200);
        assert_eq!(wait(RetrySpec::V2_1, RetryReason::Throttling, 1), 1_000);
        assert_eq!(wait(RetrySpec::V2_1, RetryReason::Throttling, 30), 20_000);
        assert_eq!(wait(RetrySpec::V2_0, RetryReason::Transient, 2), 2_000);
    }

    #[test]
    fn the_service_may_ask_for_more_within_bounds() {
        let cases: &[(&[(&str, &str)], u64)] = &[
            (&[("x-amz-retry-after", "1500")], 1_500),
            (&[("x-amz-retry-after", "0")], 50),
            (&[("x-amz-retry-after", "60000")], 5_050),
            (&[("x-amz-retry-after", "x")], 50),
            (&[("x-amz-retry-after", "200"), ("retry-after", "9")], 200),
            (&[("retry-after", "9")], 9_000),
            (&[("retry-after", "3600")], 20_000),
            (&[("retry-after", "Sun, 30 Aug 2015 12:36:07 GMT")], 50),
            (
                &[
                    ("retry-after", "Sun, 30 Aug 2015 12:36:07 GMT"),
                    ("date", "Sun, 30 Aug 2015 12:36:00 GMT"),
                ],
                7_000,
            ),
        ];
        for (headers, expected) in cases {
            let headers: HeaderMap =
                headers.iter().map(|(n, v)| (n.parse().unwrap(), v.parse().unwrap())).collect();
            let hint = RetryHint::from_headers(&headers);
            let wait = backoff(&RetryConfig::default(), RetryReason::Transient, 1, 1.0, hint);
            assert_eq!(wait, Duration::from_millis(*expected), "{headers:?}");
        }
    }

    #[test]
    fn a_time_out_is_dearer_in_version_2_0() {
        let mut quota = RetryQuota::default();
        let config = RetryConfig { spec: RetrySpec::V2_0, ..RetryConfig::default() };
        let mut call = RetryStrategy::new(config);
        call.begin();
        let _ = call.failed(&mut quota, Some(RetryReason::Timeout), None, 1.0);
        assert_eq!(quota.left(), 490);
        call.begin();
        let _ = call.failed(&mut quota, Some(RetryReason::Transient), None, 1.0);
        assert_eq!(quota.left(), 485);
    }

    #[test]
    fn turned_off_means_one_attempt() {
        let config = RetryConfig { mode: RetryMode::Off, max_attempts: 9, ..RetryConfig::default() };
        let mut call = RetryStrategy::new(config);
        call.begin();
        let verdict = call.failed(&mut RetryQuota::default(), Some(RetryReason::Transient), None, 1.0);
        assert_eq!(verdict, RetryVerdict::AttemptsExhausted);
    }

    fn reasons() -> impl Strategy<Value = Option<RetryReason>> {
        prop::sample::select(vec![
            None,
            Some(RetryReason::Transient),
            Some(RetryReason::Timeout),
            Some(RetryReason::Throttling),
        ])
    }

    proptest! {
        /// Whatever happens in whatever order to many calls: the quota is within its bounds, and each call
        /// makes no more attempts and waits no longer than it is allowed to.
        #[test]
        fn calls_keep_within_attempts_quota_and_waits(
            old in any::<bool>(),
            max_attempts in 0u32..6,
            begin_with in 0u32..600,
            events in prop::collection::vec((0usize..4, reasons(), 0.0f64..=1.0, prop::option::of(0u64..60_000)), 0..200),
        ) {
            let spec = if old { RetrySpec::V2_0 } else { RetrySpec::V2_1 };
            let config = RetryConfig { spec, max_attempts, ..RetryConfig::default() };
            let mut quota = RetryQuota::new(begin_with);
            let mut calls = vec![RetryStrategy::new(config); 4];
            let mut begun = [0; 4];
            for (index, reason, jitter, asked) in events {
                let call = &mut calls[index];
                begun[index] += 1;
                prop_assert_eq!(call.begin(), begun[index]);
                prop_assert!(begun[index] <= max_attempts.max(1));
                let before = quota.left();
                let hint = asked.map(|ms| RetryHint::Amz(Duration::from_millis(ms)));
                if let RetryVerdict::Retry { wait } = call.failed(&mut quota, reason, hint, jitter) {
                    prop_assert!(quota.left() < before);
                    prop_assert!(wait <= config.max_backoff + Duration::from_secs(5));
                } else {
                    prop_assert_eq!(quota.left(), before);
                    *call = RetryStrategy::new(config);
                    begun[index] = 0;
                }
                prop_assert!(quota.left() <= RetryQuota::CAPACITY);
            }
        }
    }
}
