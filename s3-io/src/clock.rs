//! The clock on the wall, and a seed.

use std::time::{Duration, SystemTime};

use s3_proto::Timestamp;

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
