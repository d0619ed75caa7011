//! A limit on requests to one host, for threads.

use std::collections::BTreeMap;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use s3_proto::observe::pool_waited;
use s3_proto::{Phase, TransportErrorKind};

use crate::failure::{self, Failure};
use crate::{Cancel, Counts};

/// Lets as many requests at a time to one host as it may have connections.
pub struct Gate(Arc<Inner>);

#[derive(Default)]
struct Busy {
    /// Requests on their way, by host; those without any are not in it.
    hosts: BTreeMap<Arc<str>, usize>,
    /// Whether somebody waits for a change: waking nobody is a system call all the same.
    awaited: bool,
}

struct Inner {
    limit: usize,
    busy: Mutex<Busy>,
    freed: Condvar,
    counts: Arc<Counts>,
}

/// The right to one connection; released when it is dropped.
pub struct Permit {
    inner: Arc<Inner>,
    host: Arc<str>,
}

impl Gate {
    /// Nobody is on the way. Who is will be told to `counts`.
    pub fn new(limit: usize, counts: Arc<Counts>) -> Self {
        Self(Arc::new(Inner { limit, busy: Mutex::default(), freed: Condvar::new(), counts }))
    }

    /// What was told.
    pub fn counts(&self) -> &Counts {
        &self.0.counts
    }

    /// Waits until there is room, if there is none.
    ///
    /// # Errors
    /// [`TransportErrorKind::PoolExhausted`] when `patience` is over, or `cancel` was used.
    pub fn enter(&self, host: &str, patience: Option<Duration>, cancel: &Cancel) -> Result<Permit, Failure> {
        let admitted = self.0.admit(&mut self.0.lock(), host);
        if let Some(permit) = admitted {
            return Ok(permit);
        }
        let began = Instant::now();
        let permit = self.0.wait(host, patience, cancel);
        // Whoever listens does so without the lock.
        pool_waited(host, began.elapsed());
        permit
    }
}

impl Inner {
    fn admit(self: &Arc<Self>, busy: &mut Busy, host: &str) -> Option<Permit> {
        let known = busy.hosts.get_key_value(host).map(|(host, count)| (host.clone(), *count));
        let (host, count) = known.unwrap_or_else(|| (host.into(), 0));
        if count >= self.limit {
            return None;
        }
        busy.hosts.insert(host.clone(), count + 1);
        self.counts.active.fetch_add(1, Ordering::Relaxed);
        Some(Permit { inner: self.clone(), host })
    }

    fn wait(
        self: &Arc<Self>,
        host: &str,
        patience: Option<Duration>,
        cancel: &Cancel,
    ) -> Result<Permit, Failure> {
        let woken = self.clone();
        let _registration = cancel.on_cancel(move || {
            // Whoever has looked and not yet slept holds the lock.
            drop(woken.lock());
            woken.freed.notify_all();
        });
        let until = patience.and_then(|patience| Instant::now().checked_add(patience));
        let mut busy = self.lock();
        loop {
            if let Some(permit) = self.admit(&mut busy, host) {
                return Ok(permit);
            }
            if cancel.is_cancelled() {
                let message = "the call was cancelled while it waited for a connection";
                return Err(Failure::new(Phase::Connect, TransportErrorKind::PoolExhausted, message));
            }
            busy.awaited = true;
            busy = wait_until(&self.freed, busy, until)
                .ok_or_else(|| failure::exhausted(self.limit, "connections", host, patience))?;
        }
    }

    fn lock(&self) -> MutexGuard<'_, Busy> {
        self.busy.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        let mut busy = self.inner.lock();
        if let Some(count) = busy.hosts.get_mut(&self.host) {
            *count -= 1;
            if *count == 0 {
                busy.hosts.remove(&self.host);
            }
        }
        let awaited = std::mem::take(&mut busy.awaited);
        drop(busy);
        self.inner.counts.active.fetch_sub(1, Ordering::Relaxed);
        if awaited {
            self.inner.freed.notify_all();
        }
    }
}

/// Waits for a change; `None` if it is `until` already.
pub fn wait_until<'a, T>(
    changed: &Condvar,
    state: MutexGuard<'a, T>,
    until: Option<Instant>,
) -> Option<MutexGuard<'a, T>> {
    let Some(until) = until else { return Some(changed.wait(state).unwrap_or_else(PoisonError::into_inner)) };
    let left = until.saturating_duration_since(Instant::now());
    let waited = || changed.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0;
    (!left.is_zero()).then(waited)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patience_may_be_without_end() {
        let gate = Gate::new(1, Arc::default());
        let held = gate.enter("host", None, &Cancel::never()).unwrap();
        std::thread::scope(|scope| {
            let waits = scope.spawn(|| gate.enter("host", Some(Duration::MAX), &Cancel::never()).is_ok());
            while !gate.0.lock().awaited && !waits.is_finished() {
                std::thread::yield_now();
            }
            drop(held);
            assert!(waits.join().unwrap());
        });
    }
}
