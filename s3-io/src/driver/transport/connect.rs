//! From a URI to a connection: lookup, TCP, proxy, TLS, each with its time-out.

use std::io;
use std::marker::PhantomData;
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use http::Uri;
use hyper::rt::{Read, ReadBufCursor, Write};
use hyper_util::client::legacy::connect::{Connected, Connection};
use hyper_util::rt::TokioIo;
use s3_proto::{Instant, Phase, Timeouts};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tower_service::Service;

use super::Resolve;
use crate::driver::runtime::{Clock, Runtime};
use crate::failure::{self, Failure, timeout};
use crate::proxy::{ConnectAnswer, Proxy};
use crate::{Counts, Open, Target, share};

tokio::task_local! {
    /// The time-outs of the request that asks for a connection; hyper's pool hands on only the URI.
    pub(crate) static TIMEOUTS: ConnectTimeouts;
}

/// The time-outs that concern the connector alone.
#[derive(Clone, Copy)]
pub(crate) struct ConnectTimeouts {
    connect: Option<Duration>,
    tls: Option<Duration>,
}

impl From<Timeouts> for ConnectTimeouts {
    fn from(Timeouts { connect, tls, .. }: Timeouts) -> Self {
        Self { connect, tls }
    }
}

#[derive(Clone)]
pub(crate) struct Connector<R> {
    pub(crate) clock: Clock,
    pub(crate) resolver: Arc<dyn Resolve>,
    pub(crate) tls: TlsConnector,
    pub(crate) proxy: Option<Proxy>,
    pub(crate) counts: Arc<Counts>,
    pub(crate) runtime: PhantomData<fn() -> R>,
}

impl<R: Runtime> Service<Uri> for Connector<R> {
    type Response = Stream<R::Connection>;
    type Error = Failure;
    type Future = Pin<Box<dyn Future<Output = Result<Stream<R::Connection>, Failure>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Failure>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, uri: Uri) -> Self::Future {
        let timeouts = TIMEOUTS.try_with(|timeouts| *timeouts).unwrap_or_else(|_| Timeouts::default().into());
        let connector = self.clone();
        Box::pin(async move { connector.connect(&uri, timeouts).await })
    }
}

impl<R: Runtime> Connector<R> {
    async fn connect(&self, uri: &Uri, timeouts: ConnectTimeouts) -> Result<Stream<R::Connection>, Failure> {
        let target = Target::of(uri)?;
        // Plain HTTP is for stores nearby; what it is proxied by is none of our concern.
        let proxy = self.proxy.as_ref().filter(|proxy| target.secure && proxy.is_for(target.host));
        let tcp = match proxy {
            Some(proxy) => self.tcp(proxy.host(), proxy.port(), timeouts.connect).await?,
            None => self.tcp(target.host, target.port, timeouts.connect).await?,
        };
        let (open, wire) = (Open::new(&self.counts), Wire::new(&self.clock));
        let mut io = TokioIo::new(tcp);
        if let Some(proxy) = proxy {
            self.tunnel(&mut io, proxy, target, timeouts.connect).await?;
        }
        let io = if target.secure {
            Inner::Tls(Box::new(self.handshake(target, io, timeouts.tls).await?))
        } else {
            Inner::Plain(io.into_inner())
        };
        Ok(Stream { io, wire, read: 0, _open: open })
    }

    async fn tcp(&self, host: &str, port: u16, limit: Option<Duration>) -> Result<R::Connection, Failure> {
        let until = limit.map(|limit| self.clock.after(limit));
        let addresses = match host.parse::<IpAddr>() {
            Ok(ip) => vec![SocketAddr::new(ip, port)],
            Err(_) => self
                .clock
                .within(until, self.resolver.resolve(host, port))
                .await
                .ok_or_else(|| timeout(Phase::Resolve, format!("looking up the host name {host}"), limit))?
                .map_err(|error| failure::resolve(host, error))?,
        };
        let mut last = None;
        for (i, address) in addresses.iter().enumerate() {
            let until = until.map(|until| {
                let now = self.clock.now();
                now.saturating_add(share(until.since(now), addresses.len() - i))
            });
            match self.clock.within(until, R::connect(*address)).await {
                Some(Ok(stream)) => return Ok(stream),
                Some(Err(error)) => last = Some(failure::connect(host, error)),
                None => last = Some(timeout(Phase::Connect, format!("connecting to {host}"), limit)),
            }
        }
        Err(last.unwrap_or_else(|| failure::no_address(host)))
    }

    async fn tunnel(
        &self,
        io: &mut TokioIo<R::Connection>,
        proxy: &Proxy,
        to: Target<'_>,
        limit: Option<Duration>,
    ) -> Result<(), Failure> {
        let name = proxy.host();
        let until = limit.map(|limit| self.clock.after(limit));
        let opened = self.clock.within(until, async {
            io.write_all(proxy.connect(to.host, to.port).as_bytes()).await?;
            let mut answer = ConnectAnswer::default();
            while !answer.push(io.read_u8().await?)? {}
            Ok(())
        });
        match opened.await {
            Some(opened) => opened.map_err(|error: io::Error| failure::proxy(name, error)),
            None => Err(timeout(Phase::Connect, format!("connecting through the proxy {name}"), limit)),
        }
    }

    async fn handshake(
        &self,
        to: Target<'_>,
        io: TokioIo<R::Connection>,
        limit: Option<Duration>,
    ) -> Result<Secured<R::Connection>, Failure> {
        let (host, name) = (to.host, to.server_name()?);
        let until = limit.map(|limit| self.clock.after(limit));
        match self.clock.within(until, self.tls.connect(name, io)).await {
            Some(Ok(stream)) => Ok(TokioIo::new(stream)),
            Some(Err(error)) => Err(failure::handshake(host, error)),
            None => Err(timeout(Phase::Connect, format!("the TLS handshake with {host}"), limit)),
        }
    }
}

/// What is known of a connection from outside.
struct Wire {
    clock: Clock,
    /// Milliseconds on the clock at which bytes of a body were last written.
    written_at: AtomicU64,
}

impl Wire {
    fn new(clock: &Clock) -> Arc<Self> {
        let wire = Self { clock: clock.clone(), written_at: AtomicU64::new(0) };
        wire.wrote();
        Arc::new(wire)
    }

    fn wrote(&self) {
        let at = self.clock.now().since_origin().as_millis().try_into().unwrap_or(u64::MAX);
        self.written_at.store(at, Ordering::Relaxed);
    }
}

/// A longer write than this is one of a body. The frames that keep a connection of HTTP/2 alive and give it room are
/// shorter, and say nothing about any request.
const SIGN_OF_LIFE: usize = 64;

/// Found in the extensions of a captured connection.
#[derive(Clone)]
pub(crate) struct WireRef(Arc<Wire>);

impl WireRef {
    /// When bytes of a body were last written.
    pub(crate) fn written_at(&self) -> Instant {
        Instant::from_origin(Duration::from_millis(self.0.written_at.load(Ordering::Relaxed)))
    }
}

/// About how many bytes may come in a row before others get their turn.
const TURN: usize = 512 * 1024;

/// A connection, with or without TLS.
pub(crate) struct Stream<C> {
    io: Inner<C>,
    wire: Arc<Wire>,
    /// How many bytes at most have come in a row.
    read: usize,
    /// Dropped last.
    _open: Open,
}

enum Inner<C> {
    Plain(C),
    Tls(Box<Secured<C>>),
}

/// rustls speaks tokio's traits, whatever the runtime is.
type Secured<C> = TokioIo<TlsStream<TokioIo<C>>>;

impl<C: Read + Write + Unpin> Connection for Stream<C> {
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

impl<C> Stream<C> {
    fn wrote(&self, written: Poll<io::Result<usize>>) -> Poll<io::Result<usize>> {
        if matches!(written, Poll::Ready(Ok(SIGN_OF_LIFE..))) {
            self.wire.wrote();
        }
        written
    }
}

macro_rules! inner {
    ($this:expr, $io:ident => $call:expr) => {
        match &mut $this.io {
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

impl<C: Read + Write + Unpin> Read for Stream<C> {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: ReadBufCursor<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if this.read >= TURN {
            // hyper reads interim answers for as long as they come, and sees only in between that the request was
            // given up. Not every runtime stops it now and then by itself.
            this.read = 0;
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        let room = buf.remaining();
        let read = inner!(this, io => io.poll_read(cx, buf));
        this.read = if read.is_pending() { 0 } else { this.read.saturating_add(room) };
        read
    }
}

impl<C: Read + Write + Unpin> Write for Stream<C> {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let written = inner!(this, io => io.poll_write(cx, buf));
        this.wrote(written)
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        inner!(self.get_mut(), io => io.poll_flush(cx))
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        inner!(self.get_mut(), io => io.poll_shutdown(cx))
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
        let this = self.get_mut();
        let written = inner!(this, io => io.poll_write_vectored(cx, bufs));
        this.wrote(written)
    }
}
