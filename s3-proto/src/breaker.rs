//! A circuit breaker: an endpoint that fails most of the time is left alone for a while.
//!
//! Off by default; [`Config::with_circuit_breaker`](crate::Config::with_circuit_breaker) turns it on, for each
//! host by itself. A call that it refuses fails at once with
//! [`ErrorKind::CircuitOpen`](crate::ErrorKind::CircuitOpen), and
//! [`Error::retry_after`](crate::Error::retry_after) says how long.
//!
//! ```
//! use s3_proto::Config;
//! use s3_proto::breaker::BreakerConfig;
//!
//! let config = Config::new("us-east-1")?.with_circuit_breaker(BreakerConfig::default());
//! # Ok::<(), s3_proto::Error>(())
//! ```

use std::time::Duration;

use crate::Instant;

/// When a breaker opens, and for how long.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub struct BreakerConfig {
    /// Over how long attempts are counted. Default 10 s.
    pub window: Duration,
    /// With fewer attempts in the window it does not open. Default 20.
    pub min_volume: u32,
    /// It opens if at least this part of the attempts in the window failed, from 0 to 1. Default 0.5.
    ///
    /// An attempt fails if there is no answer or the service says that it is out of order (5xx). That it asks
    /// to slow down is no failure, nor is any other error that it answers.
    pub failure_ratio: f64,
    /// How long it stays open before one attempt is let through as a probe. Default 5 s.
    pub cool_down: Duration,
}

impl Default for BreakerConfig {
    fn default() -> Self {
        Self {
            window: Duration::from_secs(10),
            min_volume: 20,
            failure_ratio: 0.5,
            cool_down: Duration::from_secs(5),
        }
    }
}

/// What a breaker does with attempts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum BreakerState {
    /// All go through.
    Closed,
    /// None goes through.
    Open,
    /// One goes through, and what becomes of it decides.
    HalfOpen,
}

impl BreakerState {
    /// One word for logs.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Closed => "closed",
            Self::Open => "open",
            Self::HalfOpen => "half-open",
        }
    }
}

/// Lets one attempt through. What becomes of it is told with [`CircuitBreaker::record`]; a permit that is
/// dropped blocks nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub struct Permit {
    /// Results of attempts that began before the state last changed are of no interest.
    generation: u64,
}

/// A breaker for one endpoint.
#[derive(Clone, Debug)]
pub struct CircuitBreaker {
    config: BreakerConfig,
    state: State,
    generation: u64,
}

#[derive(Clone, Debug)]
#[allow(clippy::large_enum_variant, reason = "nearly all are closed, and there are few")]
enum State {
    Closed(Window),
    Open {
        until: Instant,
    },
    /// The probe that is under way counts as lost at `until`, and another may be tried.
    HalfOpen {
        until: Instant,
    },
}

impl CircuitBreaker {
    /// A closed one.
    pub fn new(config: BreakerConfig) -> Self {
        Self { config, state: State::Closed(Window::default()), generation: 0 }
    }

    /// Whether an attempt may begin.
    ///
    /// # Errors
    /// When it is worth asking again, strictly after `now`.
    pub fn permit(&mut self, now: Instant) -> Result<Permit, Instant> {
        match self.state {
            State::Open { until } | State::HalfOpen { until } if now < until => return Err(until),
            State::Open { .. } | State::HalfOpen { .. } => {
                // At least a nanosecond, so that there is one probe for each moment.
                let patience = self.config.cool_down.max(Duration::from_nanos(1));
                self.change(State::HalfOpen { until: now.saturating_add(patience) });
            }
            State::Closed(_) => {}
        }
        Ok(Permit { generation: self.generation })
    }

    /// What became of an attempt; the new state, if it changes.
    pub fn record(&mut self, now: Instant, permit: Permit, success: bool) -> Option<BreakerState> {
        if permit.generation != self.generation {
            return None;
        }
        let opens = match &mut self.state {
            State::Closed(window) => {
                window.count(now, self.config.window, success);
                let (all, failed) = window.sums(now, self.config.window);
                if success || all < self.config.min_volume.max(1) {
                    return None;
                }
                f64::from(failed) >= self.config.failure_ratio * f64::from(all)
            }
            State::HalfOpen { .. } => !success,
            State::Open { .. } => return None,
        };
        match (opens, &self.state) {
            (true, _) => self.change(State::Open { until: now.saturating_add(self.config.cool_down) }),
            (false, State::HalfOpen { .. }) => self.change(State::Closed(Window::default())),
            (false, _) => return None,
        }
        Some(self.state())
    }

    /// What it does with attempts. It turns half-open only when the first one comes after the cool-down.
    pub fn state(&self) -> BreakerState {
        match self.state {
            State::Closed(_) => BreakerState::Closed,
            State::Open { .. } => BreakerState::Open,
            State::HalfOpen { .. } => BreakerState::HalfOpen,
        }
    }

    fn change(&mut self, state: State) {
        self.state = state;
        self.generation = self.generation.wrapping_add(1);
    }
}

/// Counts over a window that slides in ten steps.
#[derive(Clone, Debug, Default)]
struct Window([Slot; SLOTS as usize]);

const SLOTS: u32 = 10;

#[derive(Clone, Copy, Debug, Default)]
struct Slot {
    /// Which step of the clock it counts.
    step: u128,
    all: u32,
    failed: u32,
}

impl Window {
    fn step(now: Instant, len: Duration) -> u128 {
        now.since_origin().as_nanos() / (len / SLOTS).as_nanos().max(1)
    }

    fn count(&mut self, now: Instant, len: Duration, success: bool) {
        let step = Self::step(now, len);
        let index = usize::try_from(step % u128::from(SLOTS)).unwrap_or(0);
        let Some(slot) = self.0.get_mut(index) else { return };
        if slot.step != step {
            *slot = Slot { step, all: 0, failed: 0 };
        }
        slot.all = slot.all.saturating_add(1);
        slot.failed = slot.failed.saturating_add(u32::from(!success));
    }

    fn sums(&self, now: Instant, len: Duration) -> (u32, u32) {
        let step = Self::step(now, len);
        let inside = self.0.iter().filter(|slot| slot.step + u128::from(SLOTS) > step);
        inside.fold((0, 0), |(all, failed): (u32, u32), slot| {
            (all.saturating_add(slot.all), failed.saturating_add(slot.failed))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn at(millis: u64) -> Instant {
        Instant::from_origin(Duration::from_millis(millis))
    }

    fn run(breaker: &mut CircuitBreaker, now: Instant, success: bool) -> Option<BreakerState> {
        let permit = breaker.permit(now).unwrap();
        breaker.record(now, permit, success)
    }

    fn opened() -> CircuitBreaker {
        let mut breaker = CircuitBreaker::new(BreakerConfig::default());
        for _ in 0..20 {
            let _ = run(&mut breaker, at(0), false);
        }
        assert_eq!(breaker.state(), BreakerState::Open);
        breaker
    }

    #[test]
    fn it_opens_with_enough_failures_among_enough_attempts() {
        let mut breaker = CircuitBreaker::new(BreakerConfig::default());
        for _ in 0..19 {
            assert_eq!(run(&mut breaker, at(0), false), None);
        }
        assert_eq!(run(&mut breaker, at(0), false), Some(BreakerState::Open));
        assert_eq!(breaker.permit(at(1)), Err(at(5_000)));
    }

    #[test]
    fn it_stays_closed_below_the_ratio() {
        let mut breaker = CircuitBreaker::new(BreakerConfig::default());
        for n in 0..300 {
            assert_eq!(run(&mut breaker, at(n), n % 3 == 0), None, "{n}");
            let _ = run(&mut breaker, at(n), true);
        }
    }

    #[test]
    fn failures_of_long_ago_do_not_count() {
        let mut breaker = CircuitBreaker::new(BreakerConfig::default());
        for _ in 0..19 {
            let _ = run(&mut breaker, at(0), false);
        }
        assert_eq!(run(&mut breaker, at(10_000), false), None);
    }

    #[test]
    fn one_probe_decides() {
        for (success, state) in [(true, BreakerState::Closed), (false, BreakerState::Open)] {
            let mut breaker = opened();
            let probe = breaker.permit(at(5_000)).unwrap();
            assert_eq!(breaker.state(), BreakerState::HalfOpen);
            assert!(breaker.permit(at(5_001)).is_err(), "one probe only");
            assert_eq!(breaker.record(at(5_002), probe, success), Some(state));
        }
    }

    #[test]
    fn a_probe_that_never_reports_does_not_block_for_ever() {
        let mut breaker = opened();
        let _lost = breaker.permit(at(5_000)).unwrap();
        assert_eq!(breaker.permit(at(9_999)), Err(at(10_000)));
        assert!(breaker.permit(at(10_000)).is_ok());
    }

    #[test]
    fn late_results_change_nothing() {
        let mut breaker = CircuitBreaker::new(BreakerConfig::default());
        let before = breaker.permit(at(0)).unwrap();
        for _ in 0..20 {
            let _ = run(&mut breaker, at(0), false);
        }
        let probe = breaker.permit(at(5_000)).unwrap();
        assert_eq!(breaker.record(at(5_000), before, true), None);
        assert_eq!(breaker.state(), BreakerState::HalfOpen);
        assert_eq!(breaker.record(at(5_001), probe, true), Some(BreakerState::Closed));
    }

    proptest! {
        /// A refusal always names a moment to come; at that moment at the latest an attempt goes through; and
        /// without failures it never opens.
        #[test]
        fn it_never_locks_anybody_out_for_good(
            volume in 0u32..5,
            ratio in 0.0f64..1.5,
            cool_down in 0u64..2_000,
            events in prop::collection::vec((0u64..3_000, any::<bool>(), any::<bool>()), 0..100),
            healthy in any::<bool>(),
        ) {
            let config = BreakerConfig {
                min_volume: volume,
                failure_ratio: ratio,
                cool_down: Duration::from_millis(cool_down),
                ..BreakerConfig::default()
            };
            let mut breaker = CircuitBreaker::new(config);
            let mut now = 0;
            for (pass, success, reports) in events {
                now += pass;
                match breaker.permit(at(now)) {
                    Ok(permit) if reports => drop(breaker.record(at(now), permit, success || healthy)),
                    Ok(_) => {}
                    Err(until) => {
                        prop_assert!(until > at(now) && !healthy);
                        prop_assert!(breaker.clone().permit(until).is_ok());
                    }
                }
            }
        }
    }
}
