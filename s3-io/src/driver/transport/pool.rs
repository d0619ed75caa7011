//! The connections to all hosts, and a limit on how many requests are under way to each.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use http::Uri;
use http::uri::Scheme;
use s3_proto::Timeouts;
use s3_proto::observe::pool_waited;
use tokio::sync::Semaphore;

use super::connect::Connector;
use super::host::{Host, Lease, lock};
use super::link::Link;
use super::upload::Progress;
use crate::driver::runtime::Runtime;
use crate::failure::{self, Failure};
use crate::{Counts, PoolStats};

/// How many requests at a time go to one host, and how long connections are kept that carry none.
#[derive(Clone, Copy, Debug)]
pub(super) struct Limits {
    /// On HTTP/1.1: as many connections.
    pub(super) connections: usize,
    /// On HTTP/2: as many streams, over a few connections.
    pub(super) streams: usize,
    pub(super) idle: Duration,
}

/// The connections to all hosts.
pub(super) struct Pool<R> {
    limits: Limits,
    /// With TLS, and without.
    places: [Mutex<BTreeMap<String, Arc<Place>>>; 2],
    connector: Arc<Connector<R>>,
}

/// A host, and what may be asked of it at a time.
struct Place {
    host: Host,
    connections: Semaphore,
    streams: Semaphore,
    counts: Arc<Counts>,
}

/// The right to one request, with the connection that it is given. Both are given up when it is dropped.
pub(crate) struct Permit {
    place: Arc<Place>,
    /// Which limit it counts for.
    is_stream: bool,
    /// Set once the answer has begun to come.
    answered: Option<(Lease, Option<Arc<Progress>>)>,
    /// Whether it is counted as one that shares a connection.
    multiplexed: bool,
}

impl<R: Runtime> Pool<R> {
    pub(super) fn new(limits: Limits, connector: Connector<R>) -> Self {
        Self { limits, places: Default::default(), connector: Arc::new(connector) }
    }

    pub(super) fn stats(&self) -> PoolStats {
        self.connector.counts.stats()
    }

    /// Waits for the right to send a request there.
    pub(super) async fn enter(&self, uri: &Uri, patience: Option<Duration>) -> Result<Permit, Failure> {
        let place = self.place(uri)?;
        let is_stream = place.host.speaks_h2();
        match place.slots(is_stream).try_acquire() {
            Ok(slot) => slot.forget(),
            Err(_) => Box::pin(self.wait(&place, is_stream, patience)).await?,
        }
        place.counts.active.fetch_add(1, Ordering::Relaxed);
        Ok(Permit { place, is_stream, answered: None, multiplexed: false })
    }

    async fn wait(&self, place: &Place, is_stream: bool, patience: Option<Duration>) -> Result<(), Failure> {
        let (clock, name) = (place.host.clock(), place.host.name());
        let (began, until) = (clock.now(), patience.map(|patience| clock.after(patience)));
        let acquired = clock.within(until, place.slots(is_stream).acquire()).await;
        pool_waited(name, clock.now().since(began));
        // It is never closed.
        let slot = acquired.and_then(Result::ok).ok_or_else(|| {
            let (limit, what) = if is_stream {
                (self.limits.streams, "streams")
            } else {
                (self.limits.connections, "connections")
            };
            failure::exhausted(limit, what, name, patience)
        })?;
        slot.forget();
        Ok(())
    }

    fn place(&self, uri: &Uri) -> Result<Arc<Place>, Failure> {
        let name = uri.authority().map_or("", |authority| authority.as_str());
        let is_plain = uri.scheme() == Some(&Scheme::HTTP);
        let mut places = lock(&self.places[usize::from(is_plain)]);
        if let Some(place) = places.get(name) {
            return Ok(place.clone());
        }
        let Limits { connections, streams, idle } = self.limits;
        let place = Arc::new(Place {
            host: Host::new(uri, &self.connector, streams, idle)?,
            connections: Semaphore::new(connections),
            streams: Semaphore::new(streams),
            counts: self.connector.counts.clone(),
        });
        // Hosts nobody is talking to: buckets are host names, and there may be many.
        if places.len() >= 1024 {
            places.retain(|_, place| Arc::strong_count(place) > 1);
        }
        places.insert(name.to_owned(), place.clone());
        Ok(place)
    }
}

impl Place {
    fn slots(&self, is_stream: bool) -> &Semaphore {
        if is_stream { &self.streams } else { &self.connections }
    }
}

impl Permit {
    pub(super) fn host(&self) -> &Host {
        &self.place.host
    }

    /// A connection for the request.
    pub(super) async fn connect(&self, timeouts: Timeouts) -> Result<Lease, Failure> {
        self.place.host.connect(timeouts).await
    }

    /// An answer has begun to come over this connection, however far the body of the request has got.
    pub(super) fn answered(&mut self, mut lease: Lease, progress: Option<Arc<Progress>>) {
        lease.link().wire().answered();
        if lease.link().is_shared() {
            self.multiplexed = true;
            self.place.counts.multiplexed.fetch_add(1, Ordering::Relaxed);
        }
        self.answered = Some((lease, progress));
    }

    /// The connection over which the answer comes.
    pub(super) fn link(&mut self) -> Option<&mut Link> {
        self.answered.as_mut().map(|(lease, _)| lease.link())
    }

    /// The answer is complete. So its connection can carry another, if the service has taken all of the request.
    pub(super) fn end(mut self) {
        if let Some((mut lease, progress)) = self.answered.take()
            && progress.is_none_or(|progress| progress.is_sent())
        {
            lease.link().used(self.host().clock().now());
        }
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        // What waits for a connection finds this one.
        self.answered = None;
        self.place.counts.active.fetch_sub(1, Ordering::Relaxed);
        if self.multiplexed {
            self.place.counts.multiplexed.fetch_sub(1, Ordering::Relaxed);
        }
        self.place.slots(self.is_stream).add_permits(1);
    }
}

impl fmt::Debug for Permit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Permit").field("host", &self.host().name()).finish_non_exhaustive()
    }
}
