//! Counters and histograms, by the `metrics` facade if the feature of that name is on; nothing otherwise.

pub(super) use imp::*;

#[cfg(feature = "metrics")]
mod imp {
    use std::time::Duration;

    use metrics::{counter, gauge, histogram};

    use crate::ErrorKind;
    use crate::breaker::BreakerState;

    pub(in super::super) fn call(operation: &'static str, took: Duration, error: Option<ErrorKind>) {
        let outcome = error.map_or_else(|| "ok".to_owned(), |kind| format!("{kind:?}"));
        counter!("s3_calls_total", "operation" => operation, "outcome" => outcome).increment(1);
        histogram!("s3_call_duration_seconds", "operation" => operation).record(took);
    }

    pub(in super::super) fn attempt(operation: &'static str, bytes: u64) {
        counter!("s3_attempts_total", "operation" => operation).increment(1);
        counter!("s3_sent_bytes_total", "operation" => operation).increment(bytes);
    }

    pub(in super::super) fn attempt_over(operation: &'static str, took: Duration, bytes: u64) {
        histogram!("s3_attempt_duration_seconds", "operation" => operation).record(took);
        counter!("s3_received_bytes_total", "operation" => operation).increment(bytes);
    }

    pub(in super::super) fn pool_wait(waited: Duration) {
        histogram!("s3_pool_wait_seconds").record(waited);
    }

    pub(in super::super) fn retry(operation: &'static str, reason: &'static str) {
        counter!("s3_retries_total", "operation" => operation, "reason" => reason).increment(1);
    }

    pub(in super::super) fn throttled(operation: &'static str) {
        counter!("s3_throttles_total", "operation" => operation).increment(1);
    }

    pub(in super::super) fn refresh(success: bool) {
        let outcome = if success { "ok" } else { "error" };
        counter!("s3_credential_refreshes_total", "outcome" => outcome).increment(1);
    }

    pub(in super::super) fn breaker(host: &str, state: BreakerState) {
        let open = match state {
            BreakerState::Closed => 0.0,
            BreakerState::HalfOpen => 0.5,
            BreakerState::Open => 1.0,
        };
        gauge!("s3_breaker_open", "host" => host.to_owned()).set(open);
    }
}

#[cfg(not(feature = "metrics"))]
mod imp {
    use std::time::Duration;

    use crate::ErrorKind;
    use crate::breaker::BreakerState;

    pub(in super::super) fn call(_: &'static str, _: Duration, _: Option<ErrorKind>) {}
    pub(in super::super) fn attempt(_: &'static str, _: u64) {}
    pub(in super::super) fn attempt_over(_: &'static str, _: Duration, _: u64) {}
    pub(in super::super) fn pool_wait(_: Duration) {}
    pub(in super::super) fn retry(_: &'static str, _: &'static str) {}
    pub(in super::super) fn throttled(_: &'static str) {}
    pub(in super::super) fn refresh(_: bool) {}
    pub(in super::super) fn breaker(_: &str, _: BreakerState) {}
}
