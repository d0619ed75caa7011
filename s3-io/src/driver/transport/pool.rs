//! A limit on connections per host, which hyper's pool does not have.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use s3_proto::observe::pool_waited;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::driver::runtime::Clock;
use crate::failure::{self, Failure};
use crate::{Counts, PoolStats};

/// How many requests at a time go to one host.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    /// On HTTP/1.1: as many connections.
    pub(crate) connections: usize,
    /// On HTTP/2: as many streams, over a few connections.
    pub(crate) streams: usize,
}

#[derive(Debug)]
pub(crate) struct Gate {
    limits: Limits,
    hosts: Mutex<BTreeMap<String, Arc<Host>>>,
    counts: Arc<Counts>,
    clock: Clock,
}

#[derive(Debug)]
struct Host {
    connections: Arc<Semaphore>,
    streams: Arc<Semaphore>,
    /// Over which version the last answer came.
    version: AtomicU8,
}

const UNKNOWN: u8 = 0;
const H1: u8 = 1;
const H2: u8 = 2;

/// The right to one request; released when it is dropped.
#[derive(Debug)]
pub(crate) struct Permit {
    _slot: OwnedSemaphorePermit,
    host: Arc<Host>,
    counts: Arc<Counts>,
    multiplexed: bool,
}

impl Gate {
    pub(crate) fn new(limits: Limits, counts: Arc<Counts>, clock: Clock) -> Self {
        Self { limits, hosts: Mutex::default(), counts, clock }
    }

    pub(crate) async fn enter(&self, host: &str, patience: Option<Duration>) -> Result<Permit, Failure> {
        let entry = self.host(host);
        let h2 = entry.version.load(Ordering::Relaxed) == H2;
        let (semaphore, limit) = if h2 {
            (&entry.streams, self.limits.streams)
        } else {
            (&entry.connections, self.limits.connections)
        };
        let mut permit = semaphore.clone().try_acquire_owned().ok();
        if permit.is_none() {
            let began = Instant::now();
            let until = patience.map(|patience| self.clock.after(patience));
            let acquired = self.clock.within(until, semaphore.clone().acquire_owned()).await;
            pool_waited(host, began.elapsed());
            // It is never closed.
            permit = acquired.and_then(Result::ok);
        }
        let permit = permit.ok_or_else(|| {
            let what = if h2 { "streams" } else { "connections" };
            failure::exhausted(limit, what, host, patience)
        })?;
        self.counts.active.fetch_add(1, Ordering::Relaxed);
        Ok(Permit { _slot: permit, host: entry, counts: self.counts.clone(), multiplexed: false })
    }

    fn host(&self, host: &str) -> Arc<Host> {
        let mut hosts = self.hosts.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(entry) = hosts.get(host) {
            return entry.clone();
        }
        let entry = Arc::new(Host {
            connections: Arc::new(Semaphore::new(self.limits.connections)),
            streams: Arc::new(Semaphore::new(self.limits.streams)),
            version: AtomicU8::new(UNKNOWN),
        });
        // Hosts nobody is talking to: buckets are host names, and there may be many.
        if hosts.len() >= 1024 {
            hosts.retain(|_, entry| Arc::strong_count(entry) > 1);
        }
        hosts.insert(host.to_owned(), entry.clone());
        entry
    }

    pub(crate) fn stats(&self) -> PoolStats {
        self.counts.stats()
    }
}

impl Permit {
    /// Whether the request may share its connection with others, as far as is known.
    pub(crate) fn may_be_h2(&self) -> bool {
        self.host.version.load(Ordering::Relaxed) != H1
    }

    /// The answer has shown which version the host speaks.
    pub(crate) fn answered(&mut self, version: http::Version) {
        let h2 = version == http::Version::HTTP_2;
        self.host.version.store(if h2 { H2 } else { H1 }, Ordering::Relaxed);
        if h2 && !self.multiplexed {
            self.multiplexed = true;
            self.counts.multiplexed.fetch_add(1, Ordering::Relaxed);
        }
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        self.counts.active.fetch_sub(1, Ordering::Relaxed);
        if self.multiplexed {
            self.counts.multiplexed.fetch_sub(1, Ordering::Relaxed);
        }
    }
}
