//! Decisions, each as an event inside of the span of its call.

use std::time::Duration;

use super::meter;
use crate::Error;
use crate::breaker::BreakerState;

pub(crate) fn giving_up(why: &'static str, error: &Error) {
    tracing::debug!(why, error.kind = ?error.kind(), error.code = error.code(), "not trying again");
}

pub(crate) fn credentials_fetched(error: Option<&Error>) {
    meter::refresh(error.is_none());
    match error {
        None => tracing::debug!("got credentials"),
        Some(error) => tracing::warn!(error.kind = ?error.kind(), "got no credentials"),
    }
}

pub(crate) fn resuming(from: u64) {
    tracing::debug!(from, "the body broke off: asking for the rest");
}

pub(crate) fn looking(error: &Error) {
    tracing::debug!(
        error.kind = ?error.kind(),
        error.code = error.code(),
        "refused, but an earlier attempt may have done it: looking at what is there"
    );
}

pub(crate) fn done_before() {
    tracing::debug!("an earlier attempt, whose answer was lost, has done it");
}

pub(crate) fn limited(wait: Duration) {
    tracing::debug!(wait = ?wait, "waiting for the turn that the rate limit gives");
}

pub(crate) fn refused_by_limiter() {
    tracing::debug!("refused by the rate limit");
}

pub(crate) fn refused_by_breaker(host: &str, wait: Duration) {
    tracing::debug!(server.address = host, wait = ?wait, "refused by the circuit breaker");
}

pub(crate) fn breaker_changed(host: &str, state: BreakerState) {
    meter::breaker(host, state);
    tracing::warn!(server.address = host, state = state.as_str(), "the circuit breaker has changed");
}
