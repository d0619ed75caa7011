//! HTTP over hyper: a request in, a head and a body out, or how far it got.

mod connect;
mod download;
mod errors;
mod pool;
mod upload;

use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use http::header::{EXPECT, HeaderValue};
use http::{Extensions, StatusCode};
use hyper_util::client::legacy::connect::{CaptureConnection, capture_connection};
use hyper_util::client::legacy::{Client, ResponseFuture};
use hyper_util::client::proxy::matcher::Matcher;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use s3_io::failure::timeout;
use s3_io::tls::Trust;
use s3_io::{Counts, Failure, PoolStats};
use s3_proto::{Error, HttpTask, Payload, Phase, SourceError, Timeouts};
use tokio::time::Instant;
use tokio_rustls::TlsConnector;

pub use connect::{Resolve, Resolving, SystemResolver};
pub(crate) use download::Download;
pub(crate) use pool::Limits;

use crate::source::Reader;
use connect::{Connector, TIMEOUTS, WireRef};
use pool::Gate;
use upload::{Progress, Stage, Upload};

/// How much of a body that nobody reads may come over HTTP/2. A connection has room for that of each of its
/// streams: bodies that wait for their readers must not stop the others.
const STREAM_WINDOW: u32 = 1024 * 1024;

/// The largest window of HTTP/2 (RFC 9113, 6.9.1).
const MAX_WINDOW: u32 = (1 << 31) - 1;

/// What can be set before the first connection.
pub(crate) struct Options {
    pub(crate) resolver: Arc<dyn Resolve>,
    pub(crate) trust: Trust,
    pub(crate) proxies: Option<Arc<Matcher>>,
    pub(crate) limits: Limits,
    pub(crate) idle_connections: Duration,
    pub(crate) h2: bool,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            resolver: Arc::new(SystemResolver),
            trust: Trust::default(),
            proxies: None,
            limits: Limits { connections: 64, streams: 128 },
            // S3 closes connections that have been idle for some 20 s; one that we close first is not used at
            // the very moment at which it goes away.
            idle_connections: Duration::from_secs(15),
            h2: true,
        }
    }
}

/// Connections to all hosts that a client talks to.
pub(crate) struct Transport {
    client: Client<Connector, Upload>,
    gate: Gate,
}

/// A request that got no answer.
#[derive(Debug)]
pub(crate) enum Unanswered {
    Failed(Failure),
    Source(SourceError),
}

impl From<Failure> for Unanswered {
    fn from(failure: Failure) -> Self {
        Self::Failed(failure)
    }
}

impl Transport {
    pub(crate) fn new(options: Options) -> Result<Self, Error> {
        let counts = Arc::new(Counts::default());
        let connector = Connector {
            resolver: options.resolver,
            tls: TlsConnector::from(options.trust.config(options.h2)?),
            proxies: options.proxies,
            counts: counts.clone(),
        };
        let streams = u32::try_from(options.limits.streams).unwrap_or(u32::MAX);
        let connection_window = STREAM_WINDOW.saturating_mul(streams).min(MAX_WINDOW);
        let client = Client::builder(TokioExecutor::new())
            .timer(TokioTimer::new())
            .pool_timer(TokioTimer::new())
            .pool_idle_timeout(options.idle_connections)
            .pool_max_idle_per_host(options.limits.connections)
            .http2_initial_stream_window_size(STREAM_WINDOW)
            .http2_initial_connection_window_size(connection_window)
            .build(connector);
        Ok(Self { client, gate: Gate::new(options.limits, counts) })
    }

    pub(crate) fn stats(&self) -> PoolStats {
        self.gate.stats()
    }

    /// Sends a request; `reader` gives the bytes of a [`Payload::Source`].
    pub(crate) async fn send(
        &self,
        task: HttpTask,
        reader: Option<Reader>,
    ) -> Result<(http::response::Parts, Download), Unanswered> {
        let timeouts = task.timeouts;
        let host = task.request.uri().authority().map(http::uri::Authority::as_str).unwrap_or_default();
        let mut permit = self.gate.enter(host, timeouts.pool).await?;
        let (parts, payload) = task.request.into_parts();
        let body = match (payload, reader, task.encoder) {
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
        let progress = body.progress();
        let mut request = http::Request::from_parts(parts, body);
        if task.expect_continue && !progress.is_sent() {
            request.headers_mut().insert(EXPECT, HeaderValue::from_static("100-continue"));
            request.body_mut().hold();
            let progress = progress.clone();
            hyper::ext::on_informational(&mut request, move |head| {
                if head.status() == StatusCode::CONTINUE {
                    progress.go_ahead();
                }
            });
        }
        let captured = capture_connection(&mut request);
        let response = TIMEOUTS.scope(timeouts, Answered(self.client.request(request)));
        let answered = watch(response, &captured, &progress, timeouts).await;
        if let Some(error) = progress.take_source_error() {
            return Err(Unanswered::Source(error));
        }
        let (head, incoming) = match answered? {
            Ok(response) => response.into_parts(),
            Err(error) => return Err(errors::request(error, progress.is_sent()).into()),
        };
        permit.answered(head.version);
        Ok((head, Download::new(incoming, permit, timeouts.idle)))
    }
}

/// Names the type of the future.
struct Answered(ResponseFuture);

impl Future for Answered {
    type Output = Result<http::Response<hyper::body::Incoming>, hyper_util::client::legacy::Error>;

    fn poll(mut self: std::pin::Pin<&mut Self>, cx: &mut std::task::Context<'_>) -> Poll<Self::Output> {
        std::pin::Pin::new(&mut self.0).poll(cx)
    }
}

/// Waits for the answer, as long as bytes go out and then for the first byte to come in.
async fn watch<F: Future>(
    response: F,
    captured: &CaptureConnection,
    progress: &Progress,
    timeouts: Timeouts,
) -> Result<F::Output, Failure> {
    let mut response = pin!(response);
    let mut sleep = pin!(tokio::time::sleep(Duration::ZERO));
    let mut connected_at = None;
    std::future::poll_fn(|cx| {
        if let Poll::Ready(answer) = response.as_mut().poll(cx) {
            return Poll::Ready(Ok(answer));
        }
        loop {
            // Until there is a connection, pool and connector keep the time.
            let Some(written_at) = last_write(captured) else { return Poll::Pending };
            let connected_at = *connected_at.get_or_insert_with(Instant::now);
            let (stage, moved_at) = progress.watch(cx.waker());
            let limit = match stage {
                Stage::Held => None,
                Stage::Sending => timeouts.idle,
                Stage::Sent => timeouts.first_byte,
            };
            let Some(limit) = limit else { return Poll::Pending };
            let deadline = connected_at.max(moved_at).max(written_at) + limit;
            if Instant::now() >= deadline {
                let (phase, what) = match stage {
                    Stage::Sent => (Phase::Wait, "waiting for the answer"),
                    _ => (Phase::Send, "sending the next bytes of the body"),
                };
                return Poll::Ready(Err(timeout(phase, what, Some(limit))));
            }
            sleep.as_mut().reset(deadline);
            if sleep.as_mut().poll(cx).is_pending() {
                return Poll::Pending;
            }
        }
    })
    .await
}

/// When bytes last went out over the connection that the request was given, if it was given one.
fn last_write(captured: &CaptureConnection) -> Option<Instant> {
    let connection = captured.connection_metadata();
    let connected = (*connection).as_ref()?;
    let mut extras = Extensions::new();
    connected.get_extras(&mut extras);
    extras.get::<WireRef>().map(|wire| wire.0.written_at())
}

#[cfg(test)]
mod tests;
