//! HTTP over hyper: a request in, a head and a body out, or how far it got.

mod connect;
mod download;
mod errors;
mod host;
mod link;
mod pool;
#[cfg(feature = "testing")]
mod scripted;
mod upload;
mod wire;

use std::future::poll_fn;
use std::marker::PhantomData;
use std::net::{SocketAddr, ToSocketAddrs as _};
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use http::header::{EXPECT, HeaderValue};
use http::{Request, StatusCode};
use hyper::client::conn::TrySendError;
use s3_proto::{Error, HttpTask, Instant, Payload, Phase, Timeouts, TransportErrorKind};
use tokio_rustls::TlsConnector;

#[cfg(not(feature = "testing"))]
pub use download::Download;
#[cfg(feature = "testing")]
pub use scripted::Download;

use super::runtime::{Alarm, Clock, Runtime};
use super::source::Reader;
use crate::failure::timeout;
use crate::{Counts, Failure, PoolStats, Settings, Unanswered};
use connect::Connector;
use link::Link;
use pool::{Limits, Pool};
use upload::{Progress, Stage, Upload};
use wire::Wire;

/// What timers can tell apart.
const TICK: Duration = Duration::from_millis(1);

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
    pool: Pool<R>,
    resolver: Arc<dyn Resolve>,
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
        let limits = Limits { connections, streams: options.streams, idle: idle_connections };
        let resolver = options.resolver.unwrap_or_else(|| Arc::new(SystemResolver::<R>(PhantomData)));
        let connector = Connector {
            clock: clock.clone(),
            resolver: resolver.clone(),
            tls: TlsConnector::from(trust.config(options.h2)?),
            proxy: proxy?,
            counts: Arc::new(Counts::default()),
            runtime: PhantomData,
        };
        Ok(Self { pool: Pool::new(limits, connector), resolver, clock })
    }

    pub(crate) fn clock(&self) -> &Clock {
        &self.clock
    }

    pub(crate) fn resolve(&self, host: &str, port: u16) -> Resolving {
        self.resolver.resolve(host, port)
    }

    /// How many connections there are now.
    pub fn stats(&self) -> PoolStats {
        self.pool.stats()
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
        let mut permit = self.pool.enter(task.request.uri(), timeouts.pool).await?;
        let mut lease = permit.connect(timeouts).await?;
        let (mut request, progress) = self.request(task, reader, lease.link().is_shared())?;
        loop {
            let link = lease.link();
            permit.host().address(&mut request, link);
            let mut answer = pin!(link.send(request));
            let was_kept = link.is_kept();
            let mut watch = Watch::new(link, progress.as_deref(), timeouts);
            let answered = poll_fn(|cx| watch.poll(cx, answer.as_mut())).await;
            if let Some(error) = progress.as_deref().and_then(Progress::take_source_error) {
                return Err(Unanswered::Source(error));
            }
            let error = match answered {
                Ok(Ok(response)) => {
                    let (head, incoming) = response.into_parts();
                    permit.answered(lease, progress);
                    return Ok((head, Download::new(incoming, permit, timeouts.idle)));
                }
                Ok(Err(error)) => error,
                Err(failure) => {
                    // On HTTP/2 others are on the connection, and it may be dead.
                    if failure.phase != Phase::Connect {
                        lease.link().wire().retire();
                    }
                    return Err(failure.into());
                }
            };
            request = not_begun(error, was_kept, progress.as_deref())?;
            lease.link().wire().retire();
            lease = permit.connect(timeouts).await?;
        }
    }

    /// The request as hyper takes it, and how far its body has got, unless that goes out with the head. Not async: what
    /// it is made of is large, and would take as much room in the future.
    fn request(
        &self,
        task: Box<HttpTask>,
        reader: Option<Reader>,
        is_shared: bool,
    ) -> Result<Tracked, Unanswered> {
        let HttpTask { request, encoder, expect_continue, .. } = *task;
        let (parts, payload) = request.into_parts();
        let body = match (payload, reader, encoder) {
            (Payload::Empty | Payload::Unsized, ..) => Upload::bytes(bytes::Bytes::new()),
            (Payload::Bytes(bytes), ..) => Upload::bytes(bytes),
            (Payload::Source { .. }, Some(reader), Some(encoder)) => Upload::source(reader, encoder),
            (Payload::Source { len, .. }, Some(reader), None) => {
                Upload::source(reader, s3_proto::sign::BodyEncoder::identity(len))
            }
            (Payload::Source { .. }, None, _) => {
                let error = std::io::Error::other("the request names a source, but none came with the call");
                return Err(Unanswered::Source(error.into()));
            }
        };
        let mut request = Request::from_parts(parts, body);
        let waits = expect_continue && !request.body().is_empty();
        // On a connection that others use, too, even the head may have to wait for its turn.
        if !waits && !is_shared && request.body().is_short() {
            return Ok((request, None));
        }
        let progress = request.body_mut().track(&self.clock);
        if waits {
            request.headers_mut().insert(EXPECT, HeaderValue::from_static("100-continue"));
            request.body_mut().hold(&progress);
            let heard = progress.clone();
            hyper::ext::on_informational(&mut request, move |head| {
                if head.status() == StatusCode::CONTINUE {
                    heard.go_ahead();
                }
            });
        }
        Ok((request, Some(progress)))
    }
}

/// A request, and how far its body has got.
type Tracked = (Request<Upload>, Option<Arc<Progress>>);

/// The request, if the service has closed a connection before it was begun that was kept from before: that is its
/// right, and concerns nobody.
fn not_begun(
    mut error: TrySendError<Request<Upload>>,
    was_kept: bool,
    progress: Option<&Progress>,
) -> Result<Request<Upload>, Failure> {
    match error.take_message().filter(|_| was_kept) {
        Some(request) => Ok(request),
        None => Err(errors::request(error.into_error(), progress.is_none_or(Progress::is_sent))),
    }
}

/// Waits for an answer, as long as bytes go out and then for the first byte to come in.
struct Watch<'a> {
    alarm: &'a mut Alarm,
    /// How far the body has got, and the connection; if the network may be at work on it for long.
    body: Option<(&'a Progress, Arc<Wire>)>,
    timeouts: Timeouts,
    since: Instant,
}

impl<'a> Watch<'a> {
    fn new(link: &'a mut Link, progress: Option<&'a Progress>, timeouts: Timeouts) -> Self {
        let body = progress.map(|progress| (progress, link.wire().clone()));
        if let Some((_, wire)) = &body {
            wire.watch();
        }
        let alarm = link.alarm();
        Self { since: alarm.now(), alarm, body, timeouts }
    }

    fn poll<F: Future>(
        &mut self,
        cx: &mut Context<'_>,
        answer: Pin<&mut F>,
    ) -> Poll<Result<F::Output, Failure>> {
        if let Poll::Ready(answer) = answer.poll(cx) {
            return Poll::Ready(Ok(answer));
        }
        // What goes out with the head is sent.
        let sent = (Stage::Sent, Some(self.since));
        let (stage, moved_at) = self.body.as_ref().map_or(sent, |(progress, _)| progress.watch(cx.waker()));
        let limit = match stage {
            _ if moved_at.is_none() => self.timeouts.pool,
            Stage::Held => return Poll::Pending,
            Stage::Sending => self.timeouts.idle,
            Stage::Sent => self.timeouts.first_byte,
        };
        // Of none at all nothing would be left for an answer to come about.
        let Some(patience) = limit.map(|limit| limit.max(TICK)) else { return Poll::Pending };
        self.since = self.since.max(moved_at.unwrap_or_default());
        loop {
            ready!(self.alarm.poll(cx, self.since.saturating_add(patience)));
            // What may be a reason to wait on is dear to ask for, and so asked for only now.
            match self.body.as_ref().map(|(_, wire)| wire.written_at()) {
                Some(later) if later > self.since && moved_at.is_some() => self.since = later,
                _ => break,
            }
        }
        Poll::Ready(Err(match stage {
            _ if moved_at.is_none() => no_room(limit),
            Stage::Sent => timeout(Phase::Wait, "waiting for the answer", limit),
            _ => timeout(Phase::Send, "sending the next bytes of the body", limit),
        }))
    }
}

/// A connection of HTTP/2 carries as many streams as the other side allows.
fn no_room(patience: Option<Duration>) -> Failure {
    let patience = patience.unwrap_or_default().as_secs_f64();
    let message =
        format!("the connection had no room for another request for {patience} s; ask for less at a time");
    Failure::new(Phase::Connect, TransportErrorKind::PoolExhausted, message)
}
