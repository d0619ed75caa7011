//! The body of an answer on its way in.

use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use http_body::Body as _;
use hyper::body::Incoming;
use s3_proto::{Instant, Phase, TransportError};

use super::errors;
use super::link::Link;
use super::pool::Permit;
use crate::failure::timeout;

/// A body that nobody wants is read to its end if that is near, so that the connection can be used again.
const DISCARD_LEN: usize = 64 * 1024;
const DISCARD_TIME: Duration = Duration::from_millis(250);

/// A time-out that is noticed this late was not being waited for: nobody was reading.
const NOBODY_READ: Duration = Duration::from_millis(500);

/// A body with the right to its connection.
#[derive(Debug)]
pub struct Download {
    incoming: Incoming,
    permit: Option<Permit>,
    idle: Option<Duration>,
    /// By when the next bytes are to come, since somebody waits for them.
    until: Option<Instant>,
}

impl Download {
    pub(crate) fn new(incoming: Incoming, permit: Permit, idle: Option<Duration>) -> Self {
        Self { incoming, permit: Some(permit), idle, until: None }
    }

    /// Whether all has come.
    pub(crate) fn is_over(&self) -> bool {
        self.incoming.is_end_stream()
    }

    pub(crate) fn poll_chunk(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, TransportError>>> {
        loop {
            match Pin::new(&mut self.incoming).poll_frame(cx) {
                Poll::Ready(Some(Ok(frame))) => {
                    self.until = None;
                    match frame.into_data() {
                        Ok(data) if !data.is_empty() => return Poll::Ready(Some(Ok(data))),
                        // Trailers, and empty pieces.
                        _ => {}
                    }
                }
                Poll::Ready(Some(Err(error))) => {
                    self.permit = None;
                    return Poll::Ready(Some(Err(errors::body(error))));
                }
                Poll::Ready(None) => {
                    if let Some(permit) = self.permit.take() {
                        permit.end();
                    }
                    return Poll::Ready(None);
                }
                Poll::Pending => return self.poll_idle(cx),
            }
        }
    }

    fn poll_idle(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, TransportError>>> {
        let Some(idle) = self.idle else { return Poll::Pending };
        let Some(alarm) = self.permit.as_mut().and_then(Permit::link).map(Link::alarm) else {
            return Poll::Pending;
        };
        let until = *self.until.get_or_insert_with(|| alarm.now().saturating_add(idle));
        ready!(alarm.poll(cx, until));
        if alarm.now().since(until) > NOBODY_READ {
            let until = *self.until.insert(alarm.now().saturating_add(idle));
            ready!(alarm.poll(cx, until));
        }
        self.permit = None;
        let failure = timeout(Phase::Body, "waiting for the next bytes of the body", Some(idle));
        Poll::Ready(Some(Err(failure.cause)))
    }

    /// The next piece; `None` at the end.
    ///
    /// # Errors
    /// When the connection breaks off, or nothing comes for too long.
    pub async fn chunk(&mut self) -> Option<Result<Bytes, TransportError>> {
        std::future::poll_fn(|cx| self.poll_chunk(cx)).await
    }

    /// Reads a short rest, within a short time.
    pub async fn discard(mut self) {
        let Some(clock) = self.permit.as_ref().map(|permit| permit.host().clock().clone()) else { return };
        let rest = async {
            let mut left = DISCARD_LEN;
            while let Some(Ok(chunk)) = self.chunk().await {
                let Some(rest) = left.checked_sub(chunk.len()) else { break };
                left = rest;
            }
        };
        // What is not read by then costs the connection, and nothing else.
        let _ = clock.within(Some(clock.after(DISCARD_TIME)), rest).await;
    }
}

impl Drop for Download {
    fn drop(&mut self) {
        // Whoever knows how much comes need not ask for the end.
        if self.is_over()
            && let Some(permit) = self.permit.take()
        {
            permit.end();
        }
    }
}
