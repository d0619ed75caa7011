//! When to try again, and after how long: pure types, which the machines use and which can be used without
//! them.
//!
//! Source: "Retry behavior" in the AWS SDKs and Tools Reference Guide
//! (<https://docs.aws.amazon.com/sdkref/latest/guide/feature-retry-behavior.html>), standard and adaptive
//! mode, in its versions 2.0 and 2.1.
//!
//! ```
//! use std::time::Duration;
//! use s3_proto::retry::{RetryConfig, RetryQuota, RetryReason, RetryStrategy, RetryVerdict};
//!
//! let mut quota = RetryQuota::default(); // shared by all calls of a client
//! let mut call = RetryStrategy::new(RetryConfig::default());
//! call.begin();
//! // The first attempt failed. `jitter` comes from a random source: 1.0 waits longest.
//! let verdict = call.failed(&mut quota, Some(RetryReason::Throttling), None, 1.0);
//! assert_eq!(verdict, RetryVerdict::Retry { wait: Duration::from_secs(1) });
//! call.begin();
//! call.succeeded(&mut quota);
//! assert_eq!(quota.left(), 500);
//! ```

mod adaptive;
mod classify;
mod rng;
mod strategy;

use std::time::Duration;

pub use adaptive::{ClientRate, Cubic};
pub use classify::{RetryClassifier, RetryDecision, RetryReason};
pub(crate) use rng::Rng;
pub use strategy::{RetryHint, RetryQuota, RetryStrategy, RetryVerdict, backoff};

/// How often and how patiently a call is repeated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct RetryConfig {
    /// Whether to repeat at all, and whether to slow down before the service asks for it.
    pub mode: RetryMode,
    /// Which version of AWS's rules sets costs and waits. Default 2.1.
    pub spec: RetrySpec,
    /// How many attempts a call may make in all; 1 turns retries off. Default 3.
    pub max_attempts: u32,
    /// The most that is waited between two attempts. Default 20 s.
    pub max_backoff: Duration,
}

impl Default for RetryConfig {
    fn default() -> Self {
        Self {
            mode: RetryMode::Standard,
            spec: RetrySpec::V2_1,
            max_attempts: 3,
            max_backoff: Duration::from_secs(20),
        }
    }
}

impl RetryConfig {
    /// How many attempts a call may make, whatever the mode.
    pub fn attempts(&self) -> u32 {
        match self.mode {
            RetryMode::Off => 1,
            RetryMode::Standard | RetryMode::Adaptive => self.max_attempts.max(1),
        }
    }
}

/// How calls are repeated.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum RetryMode {
    /// With growing waits, within a quota that all calls of a client share.
    #[default]
    Standard,
    /// As standard; and once the service has asked to slow down, all requests of the client, first attempts
    /// too, are sent at a rate that adapts to what the service takes ([`ClientRate`]). For programs that use
    /// one bucket heavily: one that is throttled there is slowed down everywhere.
    Adaptive,
    /// Not at all. A region redirect, expired credentials and a wrong clock are still put right.
    Off,
}

/// A version of AWS's retry rules.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum RetrySpec {
    /// Waits from 1 s on; a retry costs 5 of 500, and 10 after a time-out.
    V2_0,
    /// Waits from 50 ms on, but from 1 s on if the service asks to slow down; a retry costs 14, and 5 if the
    /// service asks to slow down. AWS's default since November 2026.
    #[default]
    V2_1,
}

impl RetrySpec {
    /// What a repetition takes from the quota.
    pub const fn cost(self, reason: RetryReason) -> u32 {
        match (self, reason) {
            (Self::V2_0, RetryReason::Timeout) => 10,
            (Self::V2_0, _) | (Self::V2_1, RetryReason::Throttling) => 5,
            (Self::V2_1, _) => 14,
        }
    }

    /// The wait after the first attempt, at the longest; it doubles with each further one.
    pub const fn base(self, reason: RetryReason) -> Duration {
        match (self, reason) {
            (Self::V2_0, _) | (Self::V2_1, RetryReason::Throttling) => Duration::from_secs(1),
            (Self::V2_1, _) => Duration::from_millis(50),
        }
    }
}
