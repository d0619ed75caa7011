//! The adaptive mode: a rate for the whole client that follows what the service takes.

use crate::Instant;
use crate::limit::TokenBucket;

/// How a rate falls when the service asks to slow down and grows again: the CUBIC function of TCP
/// (RFC 9438), with the constants of the AWS SDKs. Rates are requests a second.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Cubic {
    last_max_rate: f64,
    last_throttle: Instant,
}

impl Cubic {
    /// What is left of a rate when the service asks to slow down.
    const BETA: f64 = 0.7;
    const SCALE: f64 = 0.4;

    /// As after a throttle at `last_throttle`, before which the rate was `last_max_rate`.
    pub fn new(last_max_rate: f64, last_throttle: Instant) -> Self {
        Self { last_max_rate, last_throttle }
    }

    /// The service asked to slow down when the rate was `rate`; the new one.
    pub fn throttled(&mut self, now: Instant, rate: f64) -> f64 {
        *self = Self::new(rate, now);
        rate * Self::BETA
    }

    /// The service took a request; the new rate: flat around the last one that was too high, steep far from it.
    pub fn succeeded(&self, now: Instant) -> f64 {
        let window = (self.last_max_rate * (1.0 - Self::BETA) / Self::SCALE).cbrt();
        let since = now.since(self.last_throttle).as_secs_f64();
        Self::SCALE * (since - window).powi(3) + self.last_max_rate
    }
}

/// The rate at which a client sends in adaptive mode. There is none until the service first asks to slow down.
#[derive(Clone, Debug)]
pub struct ClientRate {
    cubic: Cubic,
    bucket: TokenBucket,
    limited: bool,
    measured: f64,
    /// Requests since `counted_from`, in half seconds since the clock's origin.
    count: u32,
    counted_from: Option<f64>,
}

impl ClientRate {
    const MIN_RATE: f64 = 0.5;
    const MIN_CAPACITY: f64 = 1.0;
    /// The weight of the newest measurement.
    const SMOOTH: f64 = 0.8;

    /// Not limited yet.
    pub fn new() -> Self {
        Self {
            cubic: Cubic::new(0.0, Instant::default()),
            bucket: TokenBucket::new(Self::MIN_RATE, Self::MIN_CAPACITY),
            limited: false,
            measured: 0.0,
            count: 0,
            counted_from: None,
        }
    }

    /// Takes the turn of one request; when it has come.
    pub fn reserve(&mut self, now: Instant) -> Instant {
        if self.limited { self.bucket.reserve(now, 1.0) } else { now }
    }

    /// Gives a turn back that was not used.
    pub fn give_back(&mut self) {
        if self.limited {
            self.bucket.give_back(1.0);
        }
    }

    /// The service answered a request: adapts the rate.
    pub fn answered(&mut self, now: Instant, throttled: bool) {
        self.measure(now);
        let rate = if throttled {
            let rate = if self.limited { self.measured.min(self.bucket.rate()) } else { self.measured };
            self.limited = true;
            self.cubic.throttled(now, rate)
        } else {
            self.cubic.succeeded(now)
        };
        let rate = rate.min(2.0 * self.measured);
        self.bucket.set_rate(now, rate.max(Self::MIN_RATE), rate.max(Self::MIN_CAPACITY));
    }

    /// Counts a request; each half second gives a measurement.
    fn measure(&mut self, now: Instant) {
        let half = (now.since_origin().as_secs_f64() * 2.0).floor() / 2.0;
        let from = *self.counted_from.get_or_insert(half);
        self.count = self.count.saturating_add(1);
        if half > from {
            let rate = f64::from(self.count) / (half - from);
            self.measured = rate * Self::SMOOTH + self.measured * (1.0 - Self::SMOOTH);
            self.count = 0;
            self.counted_from = Some(half);
        }
    }

    /// Requests a second that are let through, once there is a limit.
    pub fn rate(&self) -> f64 {
        self.bucket.rate()
    }

    /// Whether the service has asked to slow down.
    pub fn is_limited(&self) -> bool {
        self.limited
    }

    /// Requests a second that were answered lately.
    pub fn measured(&self) -> f64 {
        self.measured
    }
}

impl Default for ClientRate {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::time::Duration;

    fn at(millis: u64) -> Instant {
        Instant::from_origin(Duration::from_millis(millis))
    }

    #[test]
    fn nothing_waits_before_the_service_asks_for_it() {
        let mut rate = ClientRate::new();
        for _ in 0..1_000 {
            assert_eq!(rate.reserve(at(10)), at(10));
            rate.answered(at(10), false);
        }
        rate.answered(at(20), true);
        assert_eq!(rate.reserve(at(20)), at(20), "there is room for one");
        assert!(rate.reserve(at(20)) > at(20));
    }

    #[test]
    fn the_rate_falls_with_each_throttle_and_grows_back() {
        let mut rate = ClientRate::new();
        for ms in (0..10_000).step_by(100) {
            rate.answered(at(ms), false);
        }
        rate.answered(at(10_000), true);
        let first = rate.rate();
        rate.answered(at(10_001), true);
        let second = rate.rate();
        assert!(second < first, "{second} {first}");
        for ms in (10_100..30_000).step_by(100) {
            rate.answered(at(ms), false);
        }
        assert!(rate.rate() > first);
    }

    proptest! {
        #[test]
        fn the_rate_stays_sane(events in prop::collection::vec((0u64..5_000, any::<bool>()), 1..200)) {
            let mut rate = ClientRate::new();
            let mut now = 0;
            for (pass, throttled) in events {
                now += pass;
                prop_assert!(rate.reserve(at(now)) >= at(now));
                rate.answered(at(now), throttled);
                prop_assert!(rate.rate().is_finite() && rate.rate() >= ClientRate::MIN_RATE);
                prop_assert!(rate.measured().is_finite() && rate.measured() >= 0.0);
            }
        }
    }
}
