//! HTTP over hyper: a request in, a head and a body out, or how far it got.

mod connect;
mod download;
mod errors;
mod pool;
#[cfg(feature = "testing")]
mod scripted;
mod upload;

use std::marker::PhantomData;
use std::net::{SocketAddr, ToSocketAddrs as _};
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use http::header::{EXPECT, HeaderValue};
use http::uri::Authority;
use http::{Extensions, StatusCode};
use hyper_util::client::legacy::connect::{CaptureConnection, capture_connection};
use hyper_util::client::legacy::{Client, ResponseFuture};
use s3_proto::{Error, HttpTask, Instant, Payload, Phase, Timeouts, TransportErrorKind};
use tokio::task::futures::TaskLocalFuture;
use tokio_rustls::TlsConnector;

#[cfg(not(feature = "testing"))]
pub use download::Download;
#[cfg(feature = "testing")]
pub use scripted::Download;

use super::runtime::{Clock, Glue, Runtime};
use super::source::Reader;
use crate::failure::timeout;
use crate::{Counts, Failure, PoolStats, Settings, Unanswered};
use connect::{ConnectTimeouts, Connector, TIMEOUTS, WireRef};
use pool::{Gate, Limits};
use upload::{MAX_INTERIM, Progress, Stage, Upload};

/// How much of a body that nobody reads may come over HTTP/2. A connection has room for that of each of its
/// streams: bodies that wait for their readers must not stop the others.
const STREAM_WINDOW: u32 = 1024 * 1024;

/// How long nothing may come over HTTP/2 before the other side is asked whether it is there, and how long that may
/// take: one that is gone is known before the usual time-outs are over. HTTP/1.1 needs none of this, as whatever is given
/// up there takes its connection along.
const ASK_ALIVE: Duration = Duration::from_secs(10);

/// What timers can tell apart.
const TICK: Duration = Duration::from_millis(1);

/// The largest window of HTTP/2 (RFC 9113, 6.9.1).
const MAX_WINDOW: u32 = (1 << 31) - 1;

/// Looks up host names.
pub trait Resolve: Send + Sync + 'static {
    /// The addresses of `host`, in the order in which they should be tried; an
    /// [`io::ErrorKind::NotFound`](std::io::ErrorKind) means that there is no such name, other errors that it
    /// cannot be said.
    fn resolve(&self, host: &str, port: u16) -> Resolving;
}

/// What a [`Resolve`] returns.
pub type Resolving = Pin<Box<dyn Future<Output = std::io::Result<Vec<SocketAddr>>> + Send>>;

/// The system's resolver.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemResolver<R>(PhantomData<fn() -> R>);

impl<R: Runtime> Resolve for SystemResolver<R> {
    fn resolve(&self, host: &str, port: u16) -> Resolving {
        let host = host.to_owned();
        let look_up = R::blocking(move || Ok((host, port).to_socket_addrs()?.collect()));
        Box::pin(async move { look_up.await? })
    }
}

/// What can be set before the first connection.
pub struct Options {
    /// Looks up host names; the system's resolver if there is none.
    pub resolver: Option<Arc<dyn Resolve>>,
    /// What all drivers have.
    pub settings: Settings,
    /// How many requests at a time go to one host where it speaks HTTP/2.
    pub streams: usize,
    /// Whether to offer HTTP/2.
    pub h2: bool,
}

impl Default for Options {
    fn default() -> Self {
        Self { resolver: None, settings: Settings::default(), streams: 128, h2: true }
    }
}

/// Connections to all hosts that a client talks to.
pub struct Transport<R: Runtime> {
    client: Client<Connector<R>, Upload>,
    resolver: Arc<dyn Resolve>,
    gate: Gate,
    clock: Clock,
}

impl<R: Runtime> Transport<R> {
    /// Without any connection yet.
    ///
    /// # Errors
    /// [`ErrorKind::Configuration`](s3_proto::ErrorKind) if TLS cannot be set up as asked, or the proxy is none that
    /// can be used.
    pub fn new(runtime: R, options: Options) -> Result<Self, Error> {
        let clock = Clock::new(runtime);
        let Settings { trust, proxy, connections, idle_connections } = options.settings;
        let limits = Limits { connections, streams: options.streams };
        let counts = Arc::new(Counts::default());
        let resolver = options.resolver.unwrap_or_else(|| Arc::new(SystemResolver::<R>(PhantomData)));
        let connector = Connector {
            clock: clock.clone(),
            resolver: resolver.clone(),
            tls: TlsConnector::from(trust.config(options.h2)?),
            proxy: proxy?,
            counts: counts.clone(),
            runtime: PhantomData,
        };
        let streams = u32::try_from(limits.streams).unwrap_or(u32::MAX);
        let connection_window = STREAM_WINDOW.saturating_mul(streams).min(MAX_WINDOW);
        let glue = Glue::<R>::new(&clock);
        let client = Client::builder(glue.clone())
            .timer(glue.clone())
            .pool_timer(glue)
            .pool_idle_timeout(idle_connections)
            .pool_max_idle_per_host(connections)
            .http2_initial_stream_window_size(STREAM_WINDOW)
            .http2_initial_connection_window_size(connection_window)
            .http2_keep_alive_interval(ASK_ALIVE)
            .http2_keep_alive_timeout(ASK_ALIVE)
            .build(connector);
        Ok(Self { client, resolver, gate: Gate::new(limits, counts, clock.clone()), clock })
    }

    pub(crate) fn clock(&self) -> &Clock {
        &self.clock
    }

    pub(crate) fn resolve(&self, host: &str, port: u16) -> Resolving {
        self.resolver.resolve(host, port)
    }

    /// How many connections there are now.
    pub fn stats(&self) -> PoolStats {
        self.gate.stats()
    }

    /// Sends a request; `reader` gives the bytes of a [`Payload::Source`].
    ///
    /// # Errors
    /// How far the request got, and what failed; or that reading the source did.
    pub async fn send(
        &self,
        task: Box<HttpTask>,
        reader: Option<Reader>,
    ) -> Result<(http::response::Parts, Download), Unanswered> {
        #[cfg(feature = "testing")]
        if let Some(line) = s3_proto::testing::Line::of(&task) {
            return scripted::answer(line, *task, reader).await;
        }
        let timeouts = task.timeouts;
        let mut permit = self.gate.enter(host(&task), timeouts.pool).await?;
        let Under { response, captured, progress } = self.begin(task, reader, permit.may_be_h2())?;
        let answered = watch(&self.clock, response, captured.as_ref(), &progress, timeouts).await;
        if let (Err(failure), Some(captured)) = (&answered, &captured)
            && failure.phase != Phase::Connect
        {
            captured.poison();
        }
        if let Some(error) = progress.take_source_error() {
            return Err(Unanswered::Source(error));
        }
        let (head, incoming) = match answered? {
            Ok(response) => response.into_parts(),
            Err(error) => return Err(errors::request(error, progress.is_sent()).into()),
        };
        permit.answered(head.version);
        Ok((head, Download::new(&self.clock, incoming, permit, timeouts.idle)))
    }

    /// Gives a request to hyper. Not async: what it is made of is large, and would take as much room in the future.
    fn begin(
        &self,
        task: Box<HttpTask>,
        reader: Option<Reader>,
        may_be_h2: bool,
    ) -> Result<Under, Unanswered> {
        let HttpTask { request, encoder, timeouts, expect_continue } = *task;
        let (parts, payload) = request.into_parts();
        let body = match (payload, reader, encoder) {
            (Payload::Empty | Payload::Unsized, ..) => Upload::bytes(&self.clock, bytes::Bytes::new()),
            (Payload::Bytes(bytes), ..) => Upload::bytes(&self.clock, bytes),
            (Payload::Source { .. }, Some(reader), Some(encoder)) => {
                Upload::source(&self.clock, reader, encoder)
            }
            (Payload::Source { len, .. }, Some(reader), None) => {
                Upload::source(&self.clock, reader, s3_proto::sign::BodyEncoder::identity(len))
            }
            (Payload::Source { .. }, None, _) => {
                let error = std::io::Error::other("the request names a source, but none came with the call");
                return Err(Unanswered::Source(error.into()));
            }
        };
        let progress = body.progress();
        let mut request = http::Request::from_parts(parts, body);
        if expect_continue && !progress.is_sent() {
            request.headers_mut().insert(EXPECT, HeaderValue::from_static("100-continue"));
            request.body_mut().hold();
        }
        let heard = progress.clone();
        hyper::ext::on_informational(&mut request, move |head| {
            heard.interim(head.status() == StatusCode::CONTINUE);
        });
        let is_long = !request.body().is_short();
        let captured = (is_long || may_be_h2)
            .then(|| Captured { connection: capture_connection(&mut request), is_long });
        let response = TIMEOUTS.scope(timeouts.into(), Answered(self.client.request(request)));
        Ok(Under { response, captured, progress })
    }
}

/// Whom the request goes to.
fn host(task: &HttpTask) -> &str {
    task.request.uri().authority().map_or("", Authority::as_str)
}

/// A request under way.
struct Under {
    response: TaskLocalFuture<ConnectTimeouts, Answered>,
    /// Where there may be something to be asked of it: to capture it is dear.
    captured: Option<Captured>,
    progress: Arc<Progress>,
}

/// The connection that a request is given.
struct Captured {
    connection: CaptureConnection,
    /// Whether the network may be at work on the body for long.
    is_long: bool,
}

impl Captured {
    /// Whether there is one yet.
    fn is_there(&self) -> bool {
        self.connection.connection_metadata().is_some()
    }

    /// When bytes of the body may have gone out last.
    fn last_write(&self) -> Option<Instant> {
        let connection = self.connection.connection_metadata();
        let connected = (*connection).as_ref().filter(|_| self.is_long)?;
        let mut extras = Extensions::new();
        connected.get_extras(&mut extras);
        extras.get::<WireRef>().map(WireRef::written_at)
    }

    /// It may be dead: those that come later get another.
    fn poison(&self) {
        if let Some(connected) = &*self.connection.connection_metadata() {
            connected.poison();
        }
    }
}

/// Names the type of the future.
struct Answered(ResponseFuture);

impl Future for Answered {
    type Output = Result<http::Response<hyper::body::Incoming>, hyper_util::client::legacy::Error>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        Pin::new(&mut self.0).poll(cx)
    }
}

/// Waits for the answer, as long as bytes go out and then for the first byte to come in.
async fn watch<F: Future>(
    clock: &Clock,
    response: F,
    captured: Option<&Captured>,
    progress: &Progress,
    timeouts: Timeouts,
) -> Result<F::Output, Failure> {
    let mut response = pin!(response);
    let mut alarm = clock.alarm();
    let mut since = clock.now();
    // When it was noticed that there is a connection, which has yet to take the request.
    let mut queued_at = None;
    std::future::poll_fn(|cx| {
        if let Poll::Ready(answer) = response.as_mut().poll(cx) {
            return Poll::Ready(Ok(answer));
        }
        let (stage, moved_at) = progress.watch(cx.waker());
        if progress.is_flooded() {
            let message = format!("more than {MAX_INTERIM} interim answers came and no other");
            return Poll::Ready(Err(Failure::new(Phase::Wait, TransportErrorKind::Protocol, message)));
        }
        let (limit, phase, what) = match stage {
            Stage::Held => return Poll::Pending,
            Stage::Sending => (timeouts.idle, Phase::Send, "sending the next bytes of the body"),
            Stage::Sent => (timeouts.first_byte, Phase::Wait, "waiting for the answer"),
        };
        let patience = match moved_at {
            Some(_) => limit,
            None => [limit, timeouts.pool].into_iter().flatten().min(),
        };
        // Of none at all nothing would be left for a connection to come about.
        let Some(patience) = patience.map(|patience| patience.max(TICK)) else { return Poll::Pending };
        since = since.max(moved_at.unwrap_or_default());
        loop {
            ready!(alarm.poll(cx, since.saturating_add(patience)));
            // What may be a reason to wait on is dear to ask for, and so asked for only now.
            let later = match moved_at {
                None => {
                    let now = clock.now();
                    // Until there is a connection, pool and connector keep the time.
                    if captured.is_some_and(Captured::is_there) {
                        let since = *queued_at.get_or_insert(now);
                        if timeouts.pool.is_some_and(|pool| now.since(since) >= pool) {
                            return Poll::Ready(Err(no_room(timeouts.pool)));
                        }
                    }
                    Some(now)
                }
                Some(_) => captured.and_then(Captured::last_write),
            };
            match later {
                Some(later) if later > since => since = later,
                _ => return Poll::Ready(Err(timeout(phase, what, limit))),
            }
        }
    })
    .await
}

/// A connection of HTTP/2 carries as many streams as the other side allows.
fn no_room(patience: Option<Duration>) -> Failure {
    let patience = patience.unwrap_or_default().as_secs_f64();
    let message =
        format!("the connection had no room for another request for {patience} s; ask for less at a time");
    Failure::new(Phase::Connect, TransportErrorKind::PoolExhausted, message)
}
