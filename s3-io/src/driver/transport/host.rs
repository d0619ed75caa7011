//! The connections to one host, in hyper-util's pool.

use std::future::poll_fn;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use futures_util::future::{Either, select};
use http::uri::{Parts, PathAndQuery, Scheme};
use http::{HeaderValue, Request, Uri, header};
use hyper_util::client::pool::cache;
use s3_proto::{Instant, Phase, Timeouts, TransportErrorKind};
use tokio::sync::oneshot;
use tower_service::Service;

use super::connect::Connector;
use super::link::{Link, Over};
use super::upload::Upload;
use crate::driver::runtime::{Clock, Glue, Runtime};
use crate::failure::Failure;

/// The shortest time between two looks for connections that have been idle for too long.
const BETWEEN_LOOKS: Duration = Duration::from_millis(50);

/// How long hyper may take to be done with an answer that has come. It is at once, unless it is on a runtime that nobody
/// drives any more.
const AFTERMATH: Duration = Duration::from_millis(500);

/// The connections to one host.
pub(super) struct Host {
    /// Its URI without a path.
    origin: Uri,
    /// What stands in the header `host`.
    header: HeaderValue,
    /// Takes a connection from the pool, or makes one.
    lease: Box<dyn Fn(Timeouts) -> Leasing + Send + Sync>,
    shared: Arc<Shared>,
    /// Whether the last connection that was made speaks HTTP/2.
    speaks_h2: AtomicBool,
    clock: Clock,
    /// How long connections are kept that carry no request.
    idle: Duration,
    /// Ends the look for those that were idle for longer.
    _looking: oneshot::Sender<()>,
}

type Leasing = Pin<Box<dyn Future<Output = Result<Lease, Failure>> + Send>>;

impl Host {
    /// As `uri` names it; HTTP/2 is to have room for so many `streams`.
    pub(super) fn new<R: Runtime>(
        uri: &Uri,
        connector: &Arc<Connector<R>>,
        streams: usize,
        idle: Duration,
    ) -> Result<Self, Failure> {
        let (Some(origin), Some(header)) = (origin(uri), host_header(uri)) else {
            let message = "the address has no host name";
            return Err(Failure::new(Phase::Resolve, TransportErrorKind::DnsNotFound, message));
        };
        let clock = connector.clock.clone();
        let shared = Arc::<Shared>::default();
        let (connector, to) = (connector.clone(), origin.clone());
        let dial = Dial { connector, to, streams, shared: shared.clone() };
        let cache = cache::builder().executor(Glue::<R>::new(&clock)).build(dial);

        let (looking, mut forgotten) = oneshot::channel();
        let (mut looked_at, looked_at_too, ticks) = (cache.clone(), shared.clone(), clock.clone());
        R::spawn(async move {
            let period = idle.max(BETWEEN_LOOKS);
            while let Either::Right(_) = select(&mut forgotten, ticks.sleep_until(ticks.after(period))).await
            {
                let now = ticks.now();
                looked_at.retain(|link| link.idle(now) < idle);
                looked_at_too.close_idle(now, idle);
            }
        });

        let lease = move |timeouts| -> Leasing {
            let mut cache = cache.clone();
            Box::pin(async move {
                poll_fn(|cx| cache.poll_ready(cx)).await?;
                let cached = cache.call(timeouts).await?;
                Ok(Box::new(Held { cached, link: |cached| cached.inner_mut() }) as Lease)
            })
        };
        Ok(Self {
            origin,
            header,
            lease: Box::new(lease),
            shared,
            speaks_h2: AtomicBool::new(false),
            clock,
            idle,
            _looking: looking,
        })
    }

    pub(super) fn name(&self) -> &str {
        self.origin.authority().map_or("", |authority| authority.as_str())
    }

    pub(super) fn clock(&self) -> &Clock {
        &self.clock
    }

    /// Whether requests to it share a connection, as far as is known.
    pub(super) fn speaks_h2(&self) -> bool {
        self.speaks_h2.load(Ordering::Relaxed)
    }

    /// A connection that can take a request: one that comes free, or a new one.
    pub(super) async fn connect(&self, timeouts: Timeouts) -> Result<Lease, Failure> {
        loop {
            if let Some(link) = self.shared.get(self.clock.now()) {
                return Ok(Box::new(link));
            }
            let mut leased = (self.lease)(timeouts).await?;
            let link = leased.link();
            if link.is_kept() && !self.is_good(link).await {
                continue;
            }
            self.speaks_h2.store(link.is_shared(), Ordering::Relaxed);
            return Ok(match link.share() {
                // What is leased goes back, so that the next one who waits for a connection gets it, too.
                Some(link) => Box::new(link),
                None => leased,
            });
        }
    }

    /// Whether one from the pool can be used: the service may have closed it.
    async fn is_good(&self, link: &mut Link) -> bool {
        let now = self.clock.now();
        if link.idle(now) < self.idle {
            let until = Some(now.saturating_add(AFTERMATH));
            if let Some(Ok(())) = self.clock.within(until, poll_fn(|cx| link.poll_ready(cx))).await {
                return true;
            }
        }
        link.wire().retire();
        false
    }

    /// Names the host in a request in the way of the connection that it goes over.
    pub(super) fn address(&self, request: &mut Request<Upload>, over: &Link) {
        let mut address = std::mem::take(request.uri_mut()).into_parts();
        if over.is_shared() {
            let origin = self.origin.clone().into_parts();
            (address.scheme, address.authority) = (origin.scheme, origin.authority);
        } else {
            (address.scheme, address.authority) = (None, None);
            request.headers_mut().entry(header::HOST).or_insert_with(|| self.header.clone());
        }
        // Parts of what was a URI, or of two, are one again.
        *request.uri_mut() = address.try_into().unwrap_or_default();
    }
}

pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The URI without path and query.
fn origin(uri: &Uri) -> Option<Uri> {
    let Parts { scheme, authority, .. } = uri.clone().into_parts();
    let mut parts = Parts::default();
    (parts.scheme, parts.authority) = (scheme, authority);
    parts.path_and_query = Some(PathAndQuery::from_static("/"));
    Uri::from_parts(parts).ok()
}

/// Without user, and without the port that goes without saying.
fn host_header(uri: &Uri) -> Option<HeaderValue> {
    let host = uri.host().filter(|host| !host.is_empty())?;
    let default = if uri.scheme() == Some(&Scheme::HTTP) { 80 } else { 443 };
    match uri.port_u16().filter(|port| *port != default) {
        Some(port) => HeaderValue::try_from(format!("{host}:{port}")).ok(),
        None => HeaderValue::from_str(host).ok(),
    }
}

/// The connection over which all requests go, where it speaks HTTP/2.
#[derive(Default)]
struct Shared(Mutex<Option<Link>>);

impl Shared {
    fn get(&self, now: Instant) -> Option<Link> {
        let mut shared = lock(&self.0);
        shared.take_if(|link| link.is_over());
        let link = shared.as_mut()?;
        link.keep();
        link.used(now);
        link.share()
    }

    fn set(&self, link: Option<Link>) {
        *lock(&self.0) = link;
    }

    /// Requests that are on it keep it open until they are done.
    fn close_idle(&self, now: Instant, idle: Duration) {
        lock(&self.0).take_if(|link| link.idle(now) >= idle);
    }
}

/// Makes connections for the pool.
struct Dial<R> {
    connector: Arc<Connector<R>>,
    to: Uri,
    streams: usize,
    shared: Arc<Shared>,
}

impl<R> Clone for Dial<R> {
    fn clone(&self) -> Self {
        let Self { connector, to, streams, shared } = self;
        Self { connector: connector.clone(), to: to.clone(), streams: *streams, shared: shared.clone() }
    }
}

impl<R: Runtime> Service<Timeouts> for Dial<R> {
    type Response = Link;
    type Error = Failure;
    type Future = Pin<Box<dyn Future<Output = Result<Link, Failure>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Failure>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, timeouts: Timeouts) -> Self::Future {
        let Self { connector, to, streams, shared } = self.clone();
        Box::pin(async move {
            let stream = connector.connect(&to, timeouts).await?;
            let clock = &connector.clock;
            // Many requests may have set out at once to make one.
            if stream.speaks_h2()
                && let Some(link) = shared.get(clock.now())
            {
                return Ok(link);
            }
            let link = Link::open::<R>(stream, clock, streams).await?;
            shared.set(link.share());
            Ok(link)
        })
    }
}

/// The connection that a request is given.
pub(super) type Lease = Box<dyn Leased>;

pub(super) trait Leased: Send + Sync {
    fn link(&mut self) -> &mut Link;
}

/// One that others use, too.
impl Leased for Link {
    fn link(&mut self) -> &mut Link {
        self
    }
}

/// One from the pool, in a type that has no name. It goes back when it is dropped, unless it is of no more use.
struct Held<C: Service<(), Error = Over>> {
    cached: C,
    link: fn(&mut C) -> &mut Link,
}

impl<C: Service<(), Error = Over> + Send + Sync> Leased for Held<C> {
    fn link(&mut self) -> &mut Link {
        (self.link)(&mut self.cached)
    }
}

impl<C: Service<(), Error = Over>> Drop for Held<C> {
    fn drop(&mut self) {
        (self.link)(&mut self.cached).keep();
        // The pool forgets what says here that it is over.
        let _ = self.cached.poll_ready(&mut Context::from_waker(Waker::noop()));
    }
}
