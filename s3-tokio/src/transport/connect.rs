//! From a URI to a connection: lookup, TCP, proxy, TLS, each with its time-out.

use std::future::Future;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use http::Uri;
use hyper::rt::{Read, ReadBufCursor, Write};
use hyper_util::client::legacy::connect::proxy::Tunnel;
use hyper_util::client::legacy::connect::{Connected, Connection};
use hyper_util::client::proxy::matcher::{Intercept, Matcher};
use hyper_util::rt::TokioIo;
use rustls::pki_types::ServerName;
use s3_proto::{Phase, Timeouts, TransportErrorKind};
use tokio::net::TcpStream;
use tokio::time::Instant;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tower_service::Service;

use s3_io::Counts;
use s3_io::failure::{self, Failure, timeout};

/// Looks up host names.
pub trait Resolve: Send + Sync + 'static {
    /// The addresses of `host`, in the order in which they should be tried; an
    /// [`io::ErrorKind::NotFound`] means that there is no such name, other errors that it cannot be said.
    fn resolve(&self, host: &str, port: u16) -> Resolving;
}

/// What a [`Resolve`] returns.
pub type Resolving = Pin<Box<dyn Future<Output = io::Result<Vec<SocketAddr>>> + Send>>;

/// The system's resolver.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemResolver;

impl Resolve for SystemResolver {
    fn resolve(&self, host: &str, port: u16) -> Resolving {
        let host = host.to_owned();
        Box::pin(async move { Ok(tokio::net::lookup_host((host, port)).await?.collect()) })
    }
}

tokio::task_local! {
    /// The time-outs of the request that asks for a connection; hyper's pool hands on only the URI.
    pub(crate) static TIMEOUTS: Timeouts;
}

#[derive(Clone)]
pub(crate) struct Connector {
    pub(crate) resolver: Arc<dyn Resolve>,
    pub(crate) tls: TlsConnector,
    pub(crate) proxies: Option<Arc<Matcher>>,
    pub(crate) counts: Arc<Counts>,
}

impl Service<Uri> for Connector {
    type Response = Stream;
    type Error = Failure;
    type Future = Pin<Box<dyn Future<Output = Result<Stream, Failure>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Failure>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, uri: Uri) -> Self::Future {
        let timeouts = TIMEOUTS.try_with(|timeouts| *timeouts).unwrap_or_default();
        let connector = self.clone();
        Box::pin(async move { connector.connect(&uri, timeouts).await })
    }
}

impl Connector {
    async fn connect(&self, uri: &Uri, timeouts: Timeouts) -> Result<Stream, Failure> {
        let secure = uri.scheme_str() != Some("http");
        // Plain HTTP is for stores nearby; what it is proxied by is none of our concern.
        let proxy =
            if secure { self.proxies.as_ref().and_then(|proxies| proxies.intercept(uri)) } else { None };
        let tcp = match proxy {
            Some(proxy) => self.tunnel(uri, &proxy, timeouts).await?,
            None => self.tcp(uri, timeouts.connect).await?,
        };
        if !secure {
            return Ok(tcp);
        }
        let Stream { io: Inner::Plain(io), wire, _open: open } = tcp else {
            // A tunnel through a proxy that itself speaks TLS is not offered.
            return Err(Failure::new(Phase::Connect, TransportErrorKind::Proxy, "TLS within TLS"));
        };
        let host = bare_host(uri)?;
        let io = Inner::Tls(Box::new(TokioIo::new(self.handshake(host, io, timeouts.tls).await?)));
        Ok(Stream { io, wire, _open: open })
    }

    async fn tcp(&self, uri: &Uri, limit: Option<Duration>) -> Result<Stream, Failure> {
        let host = bare_host(uri)?;
        let port = uri.port_u16().unwrap_or(if uri.scheme_str() == Some("http") { 80 } else { 443 });
        let until = limit.map(|limit| Instant::now() + limit);
        let addresses = match host.parse::<IpAddr>() {
            Ok(ip) => vec![SocketAddr::new(ip, port)],
            Err(_) => within(until, self.resolver.resolve(host, port))
                .await
                .ok_or_else(|| timeout(Phase::Resolve, format!("looking up the host name {host}"), limit))?
                .map_err(|error| failure::resolve(host, error))?,
        };
        let mut last = None;
        for (i, address) in addresses.iter().enumerate() {
            // Addresses that do not answer leave the others their share of the time.
            let left = u32::try_from(addresses.len() - i).unwrap_or(u32::MAX);
            let share = until.map(|until| {
                let now = Instant::now();
                now + until.saturating_duration_since(now) / left
            });
            match within(share, TcpStream::connect(*address)).await {
                Some(Ok(stream)) => {
                    let nodelay = stream.set_nodelay(true);
                    if let Err(error) = nodelay {
                        tracing::debug!(%error, "TCP_NODELAY could not be set");
                    }
                    let io = Inner::Plain(TokioIo::new(stream));
                    return Ok(Stream { io, wire: Wire::new(), _open: Open::new(&self.counts) });
                }
                Some(Err(error)) => last = Some(failure::connect(host, error)),
                None => last = Some(timeout(Phase::Connect, format!("connecting to {host}"), limit)),
            }
        }
        Err(last.unwrap_or_else(|| {
            let message = format!("the host name {host} has no addresses");
            Failure::new(Phase::Resolve, TransportErrorKind::DnsNotFound, message)
        }))
    }

    async fn tunnel(&self, to: &Uri, proxy: &Intercept, timeouts: Timeouts) -> Result<Stream, Failure> {
        let name = proxy.uri().host().unwrap_or_default();
        let tcp = Tcp { connector: self.clone(), limit: timeouts.connect };
        let mut tunnel = Tunnel::new(proxy.uri().clone(), tcp);
        if let Some(auth) = proxy.basic_auth() {
            tunnel = tunnel.with_auth(auth.clone());
        }
        let until = timeouts.connect.map(|limit| Instant::now() + limit);
        match within(until, tunnel.call(to.clone())).await {
            Some(Ok(stream)) => Ok(stream),
            Some(Err(error)) => Err(failure::proxy(name, error)),
            None => {
                Err(timeout(Phase::Connect, format!("connecting through the proxy {name}"), timeouts.connect))
            }
        }
    }

    async fn handshake(
        &self,
        host: &str,
        io: TokioIo<TcpStream>,
        limit: Option<Duration>,
    ) -> Result<TlsStream<TcpStream>, Failure> {
        let name = ServerName::try_from(host.to_owned()).map_err(|_| {
            let message = format!("no certificate can be for the host name {host}");
            Failure::new(Phase::Connect, TransportErrorKind::TlsRejected, message)
        })?;
        let until = limit.map(|limit| Instant::now() + limit);
        match within(until, self.tls.connect(name, io.into_inner())).await {
            Some(Ok(stream)) => Ok(stream),
            Some(Err(error)) => Err(failure::handshake(host, error)),
            None => Err(timeout(Phase::Connect, format!("the TLS handshake with {host}"), limit)),
        }
    }
}

/// The connection to a proxy.
struct Tcp {
    connector: Connector,
    limit: Option<Duration>,
}

impl Service<Uri> for Tcp {
    type Response = Stream;
    type Error = Failure;
    type Future = Pin<Box<dyn Future<Output = Result<Stream, Failure>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Failure>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, uri: Uri) -> Self::Future {
        let (connector, limit) = (self.connector.clone(), self.limit);
        Box::pin(async move { connector.tcp(&uri, limit).await })
    }
}

fn bare_host(uri: &Uri) -> Result<&str, Failure> {
    let host = uri.host().ok_or_else(|| {
        Failure::new(Phase::Resolve, TransportErrorKind::DnsNotFound, "the address has no host name")
    })?;
    Ok(host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host))
}

pub(crate) async fn within<F: Future>(until: Option<Instant>, future: F) -> Option<F::Output> {
    match until {
        Some(until) => tokio::time::timeout_at(until, future).await.ok(),
        None => Some(future.await),
    }
}

/// What is known of a connection from outside.
#[derive(Debug)]
pub(crate) struct Wire {
    origin: Instant,
    /// Milliseconds after the origin at which bytes were last written.
    written_at: AtomicU64,
}

impl Wire {
    fn new() -> Arc<Self> {
        Arc::new(Self { origin: Instant::now(), written_at: AtomicU64::new(0) })
    }

    /// When bytes were last written.
    pub(crate) fn written_at(&self) -> Instant {
        self.origin + Duration::from_millis(self.written_at.load(Ordering::Relaxed))
    }

    fn wrote(&self, written: &Poll<io::Result<usize>>) {
        if matches!(written, Poll::Ready(Ok(1..))) {
            let at = self.origin.elapsed().as_millis().try_into().unwrap_or(u64::MAX);
            self.written_at.store(at, Ordering::Relaxed);
        }
    }
}

/// Found in the extensions of a captured connection.
#[derive(Clone)]
pub(crate) struct WireRef(pub(crate) Arc<Wire>);

/// A connection, with or without TLS.
pub(crate) struct Stream {
    io: Inner,
    wire: Arc<Wire>,
    /// Dropped last.
    _open: Open,
}

enum Inner {
    Plain(TokioIo<TcpStream>),
    Tls(Box<TokioIo<TlsStream<TcpStream>>>),
}

/// Counts the connection as open while it lives.
struct Open(Arc<Counts>);

impl Drop for Open {
    fn drop(&mut self) {
        self.0.open.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Open {
    fn new(counts: &Arc<Counts>) -> Self {
        counts.open.fetch_add(1, Ordering::Relaxed);
        Self(counts.clone())
    }
}

impl Connection for Stream {
    fn connected(&self) -> Connected {
        let connected = Connected::new().extra(WireRef(self.wire.clone()));
        match &self.io {
            Inner::Tls(tls) if tls.inner().get_ref().1.alpn_protocol() == Some(b"h2") => {
                connected.negotiated_h2()
            }
            _ => connected,
        }
    }
}

macro_rules! inner {
    ($self:ident, $io:ident => $call:expr) => {
        match &mut $self.get_mut().io {
            Inner::Plain(io) => {
                let $io = Pin::new(io);
                $call
            }
            Inner::Tls(io) => {
                let $io = Pin::new(&mut **io);
                $call
            }
        }
    };
}

impl Read for Stream {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: ReadBufCursor<'_>) -> Poll<io::Result<()>> {
        inner!(self, io => io.poll_read(cx, buf))
    }
}

impl Write for Stream {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let wire = self.wire.clone();
        let written = inner!(self, io => io.poll_write(cx, buf));
        wire.wrote(&written);
        written
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        inner!(self, io => io.poll_flush(cx))
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        inner!(self, io => io.poll_shutdown(cx))
    }

    fn is_write_vectored(&self) -> bool {
        match &self.io {
            Inner::Plain(io) => io.is_write_vectored(),
            Inner::Tls(io) => io.is_write_vectored(),
        }
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let wire = self.wire.clone();
        let written = inner!(self, io => io.poll_write_vectored(cx, bufs));
        wire.wrote(&written);
        written
    }
}
