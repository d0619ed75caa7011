//! A limit on connections per host, which ureq's pool does not have.

use std::collections::BTreeMap;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use s3_io::failure::{self, Failure};
use s3_io::{Cancel, Counts};
use s3_proto::observe::pool_waited;
use s3_proto::{Phase, TransportErrorKind};

use crate::run::wait;

/// Lets as many requests at a time to one host as it may have connections.
pub(crate) struct Gate(Arc<Inner>);

/// Requests on their way, by host; those without any are not in it.
type Busy = BTreeMap<String, usize>;

struct Inner {
    limit: usize,
    busy: Mutex<Busy>,
    freed: Condvar,
    counts: Arc<Counts>,
}

/// The right to one connection; released when it is dropped.
pub(crate) struct Permit {
    inner: Arc<Inner>,
    host: String,
}

impl Gate {
    pub(crate) fn new(limit: usize, counts: Arc<Counts>) -> Self {
        Self(Arc::new(Inner { limit, busy: Mutex::default(), freed: Condvar::new(), counts }))
    }

    pub(crate) fn counts(&self) -> &Counts {
        &self.0.counts
    }

    pub(crate) fn enter(
        &self,
        host: &str,
        patience: Option<Duration>,
        cancel: &Cancel,
    ) -> Result<Permit, Failure> {
        let inner = &self.0;
        let woken = inner.clone();
        let _registration = cancel.on_cancel(move || {
            // Whoever has looked and not yet slept holds the lock.
            drop(woken.lock());
            woken.freed.notify_all();
        });
        let busy = inner.lock();
        let began = inner.is_full(&busy, host).then(Instant::now);
        let entered = inner.wait(busy, host, patience, cancel);
        let entered = entered.map(|mut busy| *busy.entry(host.to_owned()).or_default() += 1);
        // Whoever listens does so without the lock.
        if let Some(began) = began {
            pool_waited(host, began.elapsed());
        }
        entered?;
        inner.counts.active.fetch_add(1, Ordering::Relaxed);
        Ok(Permit { inner: inner.clone(), host: host.to_owned() })
    }
}

impl Inner {
    fn is_full(&self, busy: &Busy, host: &str) -> bool {
        busy.get(host).is_some_and(|busy| *busy >= self.limit)
    }

    /// Waits until there is room, if there is none.
    fn wait<'a>(
        &'a self,
        mut busy: MutexGuard<'a, Busy>,
        host: &str,
        patience: Option<Duration>,
        cancel: &Cancel,
    ) -> Result<MutexGuard<'a, Busy>, Failure> {
        let mut until = None;
        while self.is_full(&busy, host) {
            if cancel.is_cancelled() {
                let message = "the call was cancelled while it waited for a connection";
                return Err(Failure::new(Phase::Connect, TransportErrorKind::PoolExhausted, message));
            }
            let until = *until.get_or_insert_with(|| patience.map(|patience| Instant::now() + patience));
            busy = wait(&self.freed, busy, until)
                .ok_or_else(|| failure::exhausted(self.limit, "connections", host, patience))?;
        }
        Ok(busy)
    }

    fn lock(&self) -> MutexGuard<'_, Busy> {
        self.busy.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        let mut busy = self.inner.lock();
        // Nobody waits otherwise, and waking nobody is a system call all the same.
        let was_full = self.inner.is_full(&busy, &self.host);
        if let Some(count) = busy.get_mut(&self.host) {
            *count -= 1;
            if *count == 0 {
                busy.remove(&self.host);
            }
        }
        drop(busy);
        self.inner.counts.active.fetch_sub(1, Ordering::Relaxed);
        if was_full {
            self.inner.freed.notify_all();
        }
    }
}
