//! Both clocks.

use std::time::{Duration, SystemTime};

use s3_proto::{Instant, Now, Timestamp};

/// Where the machines' clock starts.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Clock(tokio::time::Instant);

impl Clock {
    pub(crate) fn new() -> Self {
        Self(tokio::time::Instant::now())
    }

    pub(crate) fn now(self) -> Now {
        Now { mono: Instant::from_origin(self.0.elapsed()), wall: wall() }
    }

    /// When a machine's deadline is; `None` past the end of time.
    pub(crate) fn at(self, deadline: Instant) -> Option<tokio::time::Instant> {
        self.0.checked_add(deadline.since_origin())
    }
}

fn wall() -> Timestamp {
    match SystemTime::now().duration_since(SystemTime::UNIX_EPOCH) {
        Ok(since) => Timestamp::UNIX_EPOCH.saturating_add(since),
        Err(before) => Timestamp::UNIX_EPOCH.saturating_sub(before.duration()),
    }
}

/// A number that differs from one client to the next, for jitter.
pub(crate) fn seed() -> u64 {
    use std::hash::{BuildHasher as _, Hasher as _};
    let mut hasher = std::hash::RandomState::new().build_hasher();
    hasher.write_u128(
        SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or(Duration::ZERO).as_nanos(),
    );
    hasher.finish()
}
