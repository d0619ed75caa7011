//! A connection, as those see it who send requests over it.

use std::future::{Ready, ready};
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use futures_util::future::Either;
use http::Request;
use hyper::body::Incoming;
use hyper::client::conn::{TrySendError, http1, http2};
use s3_proto::Instant;
use tower_service::Service;

use super::errors;
use super::upload::Upload;
use super::wire::{Stream, Wire};
use crate::driver::runtime::{Alarm, Clock, Glue, Runtime};
use crate::failure::Failure;

/// How much of a body that nobody reads may come over HTTP/2. A connection has room for that of each of its
/// streams: bodies that wait for their readers must not stop the others.
const STREAM_WINDOW: u32 = 1024 * 1024;

/// The largest window of HTTP/2 (RFC 9113, 6.9.1).
const MAX_WINDOW: u32 = (1 << 31) - 1;

/// How long nothing may come over HTTP/2 before the other side is asked whether it is there, and how long that may
/// take: one that is gone is known before the usual time-outs are over. HTTP/1.1 needs none of this, as whatever is given
/// up there takes its connection along.
const ASK_ALIVE: Duration = Duration::from_secs(10);

/// A connection. hyper does its work on a task of its own, which ends with the last link to it.
pub(super) struct Link {
    sender: Sender,
    wire: Arc<Wire>,
    /// For the time-outs of the request that is under way. It is left as it is until the next: setting timers is dear,
    /// and hardly one of them ever rings.
    alarm: Alarm,
    /// When it was made, or last given back.
    used_at: Instant,
    /// Whether it was there before the request that it is for.
    is_kept: bool,
    /// Whether a request is on it, or was given up.
    is_busy: bool,
}

enum Sender {
    /// For one request at a time.
    Http1(http1::SendRequest<Upload>),
    Http2(http2::SendRequest<Upload>),
}

/// What a request comes to; one that was not begun comes back.
pub(super) type Answered = Result<http::Response<Incoming>, TrySendError<Request<Upload>>>;

impl Link {
    /// Begins to speak HTTP, for so many requests at a time where they share connections.
    pub(super) async fn open<R: Runtime>(
        stream: Stream<R::Connection>,
        clock: &Clock,
        streams: usize,
    ) -> Result<Self, Failure> {
        let wire = stream.wire().clone();
        let sender = if stream.speaks_h2() {
            let streams = u32::try_from(streams).unwrap_or(u32::MAX);
            let glue = Glue::<R>::new(clock);
            let (sender, connection) = http2::Builder::new(glue.clone())
                .timer(glue)
                .initial_stream_window_size(STREAM_WINDOW)
                .initial_connection_window_size(STREAM_WINDOW.saturating_mul(streams).min(MAX_WINDOW))
                .keep_alive_interval(ASK_ALIVE)
                .keep_alive_timeout(ASK_ALIVE)
                .handshake(stream)
                .await
                .map_err(errors::handshake)?;
            R::spawn(run(connection));
            Sender::Http2(sender)
        } else {
            let (sender, connection) = http1::handshake(stream).await.map_err(errors::handshake)?;
            R::spawn(run(connection));
            Sender::Http1(sender)
        };
        Ok(Self { sender, wire, alarm: clock.alarm(), used_at: clock.now(), is_kept: false, is_busy: false })
    }

    /// The same connection once more, if requests may share it.
    pub(super) fn share(&self) -> Option<Self> {
        let Sender::Http2(sender) = &self.sender else { return None };
        Some(Self {
            sender: Sender::Http2(sender.clone()),
            wire: self.wire.clone(),
            alarm: self.alarm.another(),
            ..*self
        })
    }

    pub(super) fn is_shared(&self) -> bool {
        matches!(self.sender, Sender::Http2(_))
    }

    /// Whether no other request may go over it.
    pub(super) fn is_over(&self) -> bool {
        let is_closed = match &self.sender {
            Sender::Http1(sender) => sender.is_closed(),
            Sender::Http2(sender) => sender.is_closed(),
        };
        self.is_busy || is_closed || self.wire.is_retired()
    }

    pub(super) fn is_kept(&self) -> bool {
        self.is_kept
    }

    /// It will be there for the next request, too.
    pub(super) fn keep(&mut self) {
        self.is_kept = true;
    }

    /// For how long nobody has used it.
    pub(super) fn idle(&self, now: Instant) -> Duration {
        now.since(self.used_at)
    }

    /// Somebody has use for it, or has had.
    pub(super) fn used(&mut self, now: Instant) {
        self.used_at = now;
        self.is_busy = false;
    }

    pub(super) fn wire(&self) -> &Arc<Wire> {
        &self.wire
    }

    pub(super) fn alarm(&mut self) -> &mut Alarm {
        &mut self.alarm
    }

    pub(super) fn send(&mut self, request: Request<Upload>) -> impl Future<Output = Answered> + Send + use<> {
        match &mut self.sender {
            Sender::Http1(sender) => {
                self.is_busy = true;
                self.wire.await_answer();
                Either::Left(sender.try_send_request(request))
            }
            Sender::Http2(sender) => Either::Right(sender.try_send_request(request)),
        }
    }
}

/// A connection is of no more use.
pub(super) struct Over;

/// What a pool wants to know: whether the next request can be sent. Which one does not matter.
impl Service<()> for Link {
    type Response = ();
    type Error = Over;
    type Future = Ready<Result<(), Over>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Over>> {
        if self.is_over() {
            return Poll::Ready(Err(Over));
        }
        match &mut self.sender {
            Sender::Http1(sender) => sender.poll_ready(cx).map_err(|_| Over),
            Sender::Http2(sender) => sender.poll_ready(cx).map_err(|_| Over),
        }
    }

    fn call(&mut self, (): ()) -> Self::Future {
        ready(Ok(()))
    }
}

/// Whoever waits for something of the connection is told how it ended.
async fn run(connection: impl Future<Output = hyper::Result<()>>) {
    if let Err(error) = connection.await {
        tracing::debug!(%error, "a connection broke");
    }
}
