//! How many connections there are.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// How many connections there are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct PoolStats {
    /// Requests on their way, until the last byte of their answer is read; on HTTP/1.1 each has a
    /// connection of its own.
    pub active: usize,
    /// Open connections that carry no request.
    pub idle: usize,
    /// Open connections.
    pub open: usize,
}

/// What [`PoolStats`] are computed from.
#[derive(Debug, Default)]
pub struct Counts {
    /// Open connections.
    pub open: AtomicUsize,
    /// Requests on their way.
    pub active: AtomicUsize,
    /// Those of them that share a connection with others.
    pub multiplexed: AtomicUsize,
}

impl Counts {
    /// What they say now.
    pub fn stats(&self) -> PoolStats {
        let open = self.open.load(Ordering::Relaxed);
        let active = self.active.load(Ordering::Relaxed);
        let multiplexed = self.multiplexed.load(Ordering::Relaxed);
        let busy = active.saturating_sub(multiplexed) + usize::from(multiplexed > 0);
        PoolStats { active, idle: open.saturating_sub(busy), open }
    }
}

/// Counts a connection as open while it lives.
#[derive(Debug)]
pub struct Open(Arc<Counts>);

impl Open {
    /// One more.
    pub fn new(counts: &Arc<Counts>) -> Self {
        counts.open.fetch_add(1, Ordering::Relaxed);
        Self(counts.clone())
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.0.open.fetch_sub(1, Ordering::Relaxed);
    }
}
