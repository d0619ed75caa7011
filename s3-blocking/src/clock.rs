//! Both clocks.

use std::time;

use s3_io::clock::wall;
use s3_proto::{Instant, Now};

/// Where the machines' clock starts.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Clock(time::Instant);

impl Clock {
    pub(crate) fn new() -> Self {
        Self(time::Instant::now())
    }

    pub(crate) fn now(self) -> Now {
        Now { mono: Instant::from_origin(self.0.elapsed()), wall: wall() }
    }

    /// When a machine's deadline is; `None` past the end of time.
    pub(crate) fn at(self, deadline: Instant) -> Option<time::Instant> {
        self.0.checked_add(deadline.since_origin())
    }
}
