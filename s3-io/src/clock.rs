//! Both clocks, and a seed.

use std::time::{self, Duration, SystemTime};

use s3_proto::{Instant, Now, Timestamp};

/// The system's clocks; the machines' time starts when this is made.
#[derive(Clone, Copy, Debug)]
pub struct Clock(time::Instant);

impl Clock {
    /// Starts now.
    pub fn start() -> Self {
        Self(time::Instant::now())
    }

    /// What both clocks say.
    pub fn now(self) -> Now {
        Now { mono: self.elapsed(), wall: wall() }
    }

    /// The time since it was started.
    pub fn elapsed(self) -> Instant {
        Instant::from_origin(self.0.elapsed())
    }

    /// When a machine's deadline is; `None` past the end of time.
    pub fn at(self, deadline: Instant) -> Option<time::Instant> {
        self.0.checked_add(deadline.since_origin())
    }
}

/// What the system's clock says.
pub fn wall() -> Timestamp {
    timestamp(SystemTime::now())
}

/// A time of the system's clock.
pub fn timestamp(time: SystemTime) -> Timestamp {
    match time.duration_since(SystemTime::UNIX_EPOCH) {
        Ok(since) => Timestamp::UNIX_EPOCH.saturating_add(since),
        Err(before) => Timestamp::UNIX_EPOCH.saturating_sub(before.duration()),
    }
}

/// A number that differs from one client to the next, for jitter.
pub fn seed() -> u64 {
    use std::hash::{BuildHasher as _, Hasher as _};
    let mut hasher = std::hash::RandomState::new().build_hasher();
    hasher.write_u128(
        SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or(Duration::ZERO).as_nanos(),
    );
    hasher.finish()
}
