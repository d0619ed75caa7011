//! A limit of a client's own on how fast it sends.
//!
//! Off by default; [`Config::with_rate_limit`](crate::Config::with_rate_limit) turns it on:
//!
//! ```
//! use s3_proto::Config;
//! use s3_proto::limit::RateLimit;
//!
//! // 100 requests and 10 MB a second; whoever comes too early waits.
//! let limit = RateLimit::operations(100.0).and_bytes(10e6);
//! let config = Config::new("us-east-1")?.with_rate_limit(limit);
//! # Ok::<(), s3_proto::Error>(())
//! ```

use std::time::Duration;

use crate::Instant;

/// How fast a client may send, and what happens to calls that come too early. Each attempt counts.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct RateLimit {
    /// Requests a second. A second's worth may be sent at once after a pause.
    pub operations_per_second: Option<f64>,
    /// Bytes of bodies a second, in both directions together. A request is let through once what went before
    /// it is paid for, however large it is itself; the body of an answer is counted when its head comes.
    pub bytes_per_second: Option<f64>,
    /// How long a call may wait for its turn before it fails with
    /// [`ErrorKind::RateLimited`](crate::ErrorKind::RateLimited). Zero: it fails at once. `None`, the default:
    /// it waits as long as it takes.
    pub max_wait: Option<Duration>,
}

impl RateLimit {
    /// So many requests a second.
    pub fn operations(per_second: f64) -> Self {
        Self { operations_per_second: Some(per_second), ..Self::default() }
    }

    /// So many bytes of bodies a second.
    pub fn bytes(per_second: f64) -> Self {
        Self::default().and_bytes(per_second)
    }

    /// And so many bytes of bodies a second.
    pub fn and_bytes(mut self, per_second: f64) -> Self {
        self.bytes_per_second = Some(per_second);
        self
    }

    /// Calls fail instead of waiting longer than this.
    pub fn with_max_wait(mut self, wait: Duration) -> Self {
        self.max_wait = Some(wait);
        self
    }
}

/// The state of a [`RateLimit`].
#[derive(Clone, Debug)]
pub struct RateLimiter {
    limit: RateLimit,
    operations: Option<TokenBucket>,
    bytes: Option<TokenBucket>,
    /// When the last turn that was put off is paid for. Until then turns come one after the other: the buckets count
    /// from when a turn was asked for, and what comes in while one limit holds it back would be a second's worth of
    /// the other for all that wait, at once.
    paid: Instant,
}

impl RateLimiter {
    /// With everything that may be sent at once still to be had.
    pub fn new(limit: RateLimit) -> Self {
        let bucket = |rate: f64| TokenBucket::new(rate, rate.max(1.0));
        Self {
            limit,
            operations: limit.operations_per_second.map(bucket),
            bytes: limit.bytes_per_second.map(bucket),
            paid: Instant::default(),
        }
    }

    /// Takes the turn of a request with a body of so many bytes; when it has come.
    ///
    /// # Errors
    /// When the turn would have come, if that is later than a call may wait. Nothing is taken then.
    pub fn reserve(&mut self, now: Instant, bytes: u64) -> Result<Instant, Instant> {
        let turn = [
            self.operations.as_mut().map(|bucket| bucket.ready(now, 1.0)),
            // Zero: what went before is paid for.
            self.bytes.as_mut().map(|bucket| bucket.ready(now, 0.0)),
        ];
        let turn = turn.into_iter().flatten().fold(now.max(self.paid), Instant::max);
        if self.limit.max_wait.is_some_and(|most| turn.since(now) > most) {
            return Err(turn);
        }
        if let Some(bucket) = &mut self.operations {
            bucket.reserve(now, 1.0);
        }
        self.charge(now, bytes);
        if turn > now {
            self.paid = turn.saturating_add(self.price(bytes));
        }
        Ok(turn)
    }

    /// How long it takes until a request with so many bytes is paid for.
    fn price(&self, bytes: u64) -> Duration {
        let operation = self.operations.as_ref().map(|bucket| bucket.time(1.0));
        let body = self.bytes.as_ref().map(|bucket| bucket.time(as_f64(bytes)));
        operation.max(body).unwrap_or_default()
    }

    /// Counts bytes that came without being asked first.
    pub fn charge(&mut self, now: Instant, bytes: u64) {
        if let Some(bucket) = &mut self.bytes {
            bucket.reserve(now, as_f64(bytes));
        }
    }

    /// Gives a turn back that was not used.
    pub fn give_back(&mut self, bytes: u64) {
        if let Some(bucket) = &mut self.operations {
            bucket.give_back(1.0);
        }
        if let Some(bucket) = &mut self.bytes {
            bucket.give_back(as_f64(bytes));
        }
        let earlier = self.paid.since_origin().saturating_sub(self.price(bytes));
        self.paid = Instant::from_origin(earlier);
    }
}

/// Tokens that come at a steady rate and are kept up to a capacity. More may be taken than are there: what
/// follows then waits until the debt is paid, each in its turn.
#[derive(Clone, Debug)]
pub struct TokenBucket {
    rate: f64,
    capacity: f64,
    tokens: f64,
    /// When `tokens` was right; `None` if nobody has looked yet.
    at: Option<Instant>,
}

impl TokenBucket {
    /// A rate that is no rate would divide by zero, and one without a limit by infinity; one token in 12 days is next
    /// to none.
    const RATES: (f64, f64) = (1e-6, f64::MAX);
    /// A debt is no longer than this, whatever has been taken: a year.
    const MAX_WAIT: f64 = 31_536_000.0;

    /// A full one, with so many tokens a second.
    pub fn new(rate: f64, capacity: f64) -> Self {
        Self { rate: Self::sound(rate), capacity, tokens: capacity, at: None }
    }

    fn sound(rate: f64) -> f64 {
        // Not `clamp`, which would let through what is not a number.
        rate.max(Self::RATES.0).min(Self::RATES.1)
    }

    /// Tokens a second.
    pub fn rate(&self) -> f64 {
        self.rate
    }

    /// How long so many tokens, not less than none, take to come in.
    fn time(&self, tokens: f64) -> Duration {
        Duration::from_secs_f64((tokens / self.rate).min(Self::MAX_WAIT))
    }

    /// When so many tokens could be taken.
    pub fn ready(&mut self, now: Instant, tokens: f64) -> Instant {
        self.refill(now);
        let missing = (tokens - self.tokens) / self.rate;
        if missing <= 0.0 {
            return now;
        }
        // A deadline that is not after `now` would be a busy loop.
        let wait = Duration::from_secs_f64(missing.min(Self::MAX_WAIT)).max(Duration::from_nanos(1));
        now.saturating_add(wait)
    }

    /// Takes so many tokens; when they are there.
    pub fn reserve(&mut self, now: Instant, tokens: f64) -> Instant {
        let at = self.ready(now, tokens);
        self.tokens -= tokens;
        at
    }

    /// Puts tokens back that were taken and not used.
    pub fn give_back(&mut self, tokens: f64) {
        self.tokens = (self.tokens + tokens).min(self.capacity);
    }

    /// From now on at this rate, up to this capacity.
    pub fn set_rate(&mut self, now: Instant, rate: f64, capacity: f64) {
        self.refill(now);
        self.rate = Self::sound(rate);
        self.capacity = capacity;
        self.tokens = self.tokens.min(capacity);
    }

    fn refill(&mut self, now: Instant) {
        let since = now.since(self.at.unwrap_or(now)).as_secs_f64();
        self.tokens = (self.tokens + since * self.rate).min(self.capacity);
        // Calls may look at the clock in another order than they come here.
        self.at = self.at.max(Some(now));
    }
}

/// Exact up to 2^53, and near enough beyond.
#[allow(clippy::cast_precision_loss)]
fn as_f64(bytes: u64) -> f64 {
    bytes as f64
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn at(millis: u64) -> Instant {
        Instant::from_origin(Duration::from_millis(millis))
    }

    #[test]
    fn a_seconds_worth_goes_at_once_and_the_rest_in_turn() {
        let mut limiter = RateLimiter::new(RateLimit::operations(10.0));
        let turns: Vec<_> = (0..12).map(|_| limiter.reserve(at(0), 0).unwrap()).collect();
        assert!(turns[..10].iter().all(|turn| *turn == at(0)));
        assert_eq!(turns[10..], [at(100), at(200)]);
    }

    #[test]
    fn a_large_body_delays_what_follows_and_not_itself() {
        let mut limiter = RateLimiter::new(RateLimit::bytes(1_000.0));
        assert_eq!(limiter.reserve(at(0), 5_000), Ok(at(0)));
        assert_eq!(limiter.reserve(at(0), 1), Ok(at(4_000)));
        limiter.charge(at(4_000), 999);
        assert_eq!(limiter.reserve(at(4_000), 0), Ok(at(5_000)));
    }

    #[test]
    fn whoever_would_wait_too_long_takes_nothing() {
        let limit = RateLimit::operations(1.0).with_max_wait(Duration::from_millis(500));
        let mut limiter = RateLimiter::new(limit);
        assert_eq!(limiter.reserve(at(0), 0), Ok(at(0)));
        for _ in 0..3 {
            assert_eq!(limiter.reserve(at(0), 0), Err(at(1_000)));
        }
        assert_eq!(limiter.reserve(at(600), 0), Ok(at(1_000)));
    }

    #[test]
    fn a_turn_that_was_not_used_goes_to_the_next() {
        let mut limiter = RateLimiter::new(RateLimit::operations(1.0));
        limiter.reserve(at(0), 0).unwrap();
        limiter.reserve(at(0), 0).unwrap();
        limiter.give_back(0);
        assert_eq!(limiter.reserve(at(0), 0), Ok(at(1_000)));
    }

    #[test]
    fn a_rate_without_a_limit_holds_nobody_up() {
        let mut limiter = RateLimiter::new(RateLimit::operations(f64::INFINITY).and_bytes(f64::INFINITY));
        let turns: Vec<_> = (0..9).map(|n| limiter.reserve(at(n), 1 << 40)).collect();
        assert_eq!(turns, (0..9).map(|n| Ok(at(n))).collect::<Vec<_>>());
    }

    #[test]
    fn calls_behind_a_debt_of_bytes_come_one_after_the_other() {
        let mut limiter = RateLimiter::new(RateLimit::operations(100.0).and_bytes(1_000.0));
        limiter.charge(at(0), 11_000);
        let turns: Vec<_> = (0..500).map(|_| limiter.reserve(at(0), 0).unwrap()).collect();
        let each: Vec<_> = (0..500).map(|n| at(10_000 + n * 10)).collect();
        assert_eq!(turns, each);
    }

    #[test]
    fn turns_that_were_given_back_hold_nobody_up() {
        let mut limiter = RateLimiter::new(RateLimit::operations(10.0).and_bytes(1_000.0));
        let bodies = [[5_000; 1].as_slice(), &[1_000; 20], &[0; 200]].concat();
        for bytes in &bodies {
            limiter.reserve(at(0), *bytes).unwrap();
        }
        for bytes in bodies {
            limiter.give_back(bytes);
        }
        assert_eq!(limiter.reserve(at(0), 0), Ok(at(0)));
    }

    proptest! {
        /// In any interval no more turns come than the rate gives and the capacity holds.
        #[test]
        fn the_rate_holds_over_every_interval(
            rate in 1u32..50,
            pauses in prop::collection::vec(0u64..300, 1..60),
        ) {
            let mut limiter = RateLimiter::new(RateLimit::operations(f64::from(rate)));
            let mut now = 0;
            let mut turns = Vec::new();
            for pause in pauses {
                now += pause;
                let turn = limiter.reserve(at(now), 0).unwrap();
                prop_assert!(turn >= at(now));
                turns.push(turn);
            }
            prop_assert!(turns.is_sorted());
            for (first, begin) in turns.iter().enumerate() {
                for (last, end) in turns.iter().enumerate().skip(first) {
                    let allowed = f64::from(rate) * (end.since(*begin).as_secs_f64() + 1.0);
                    prop_assert!(as_f64((last - first) as u64) <= allowed + 1e-3);
                }
            }
        }

        /// With both limits each holds over every interval, and nobody waits for longer than what went before takes.
        #[test]
        fn each_of_two_rates_holds_over_every_interval(
            operations in 1u32..50,
            bytes in 1u32..2_000,
            debt in 0u64..10_000,
            calls in prop::collection::vec((0u64..300, 0u64..3_000), 1..60),
        ) {
            let (operations, bytes) = (f64::from(operations), f64::from(bytes));
            let mut limiter = RateLimiter::new(RateLimit::operations(operations).and_bytes(bytes));
            limiter.charge(at(0), debt);
            let (mut now, mut before) = (0, as_f64(debt) / bytes);
            let mut turns = Vec::new();
            for (pause, body) in calls {
                now += pause;
                let turn = limiter.reserve(at(now), body).unwrap();
                prop_assert!(turn.since(at(now)).as_secs_f64() <= before + 1e-3);
                before += 1.0 / operations + as_f64(body) / bytes;
                turns.push((turn, body));
            }
            prop_assert!(turns.is_sorted_by_key(|(turn, _)| *turn));
            for (first, (begin, _)) in turns.iter().enumerate() {
                let mut sent = 0;
                for (last, (end, body)) in turns.iter().enumerate().skip(first) {
                    let seconds = end.since(*begin).as_secs_f64() + 1.0;
                    prop_assert!(as_f64((last - first) as u64) <= operations * seconds + 1e-3);
                    // The last is let through however large it is.
                    prop_assert!(as_f64(sent) <= bytes * seconds + 1e-1);
                    sent += body;
                }
            }
        }

        #[test]
        fn no_rate_and_no_number_of_bytes_breaks_it(
            rate in prop::sample::select(vec![0.0, -1.0, 1e-300, 1.0, 1e300, f64::INFINITY, f64::NAN]),
            bytes in any::<u64>(),
            times in prop::collection::vec(any::<u32>(), 1..20),
        ) {
            let mut limiter = RateLimiter::new(RateLimit::bytes(rate).and_bytes(rate));
            for time in times {
                let now = at(u64::from(time));
                prop_assert!(limiter.reserve(now, bytes).unwrap() >= now);
            }
        }
    }
}
