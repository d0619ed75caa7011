//! The body of an answer on its way in.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http_body::Body as _;
use hyper::body::Incoming;
use s3_io::failure::timeout;
use s3_proto::{Phase, TransportError};
use tokio::time::{Instant, Sleep};

use super::errors;
use super::pool::Permit;

/// A body that nobody wants is read to its end if that is near, so that the connection can be used again.
const DISCARD_LEN: usize = 64 * 1024;
const DISCARD_TIME: Duration = Duration::from_millis(250);

/// A time-out that is noticed this late was not being waited for: nobody was reading.
const NOBODY_READ: Duration = Duration::from_millis(500);

/// A body with the right to its connection.
#[derive(Debug)]
pub(crate) struct Download {
    incoming: Incoming,
    permit: Option<Permit>,
    idle: Option<Duration>,
    sleep: Option<Pin<Box<Sleep>>>,
}

impl Download {
    pub(crate) fn new(incoming: Incoming, permit: Permit, idle: Option<Duration>) -> Self {
        Self { incoming, permit: Some(permit), idle, sleep: None }
    }

    pub(crate) fn poll_chunk(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, TransportError>>> {
        loop {
            match Pin::new(&mut self.incoming).poll_frame(cx) {
                Poll::Ready(Some(Ok(frame))) => {
                    self.sleep = None;
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
                    self.permit = None;
                    return Poll::Ready(None);
                }
                Poll::Pending => return self.poll_idle(cx),
            }
        }
    }

    fn poll_idle(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, TransportError>>> {
        let Some(idle) = self.idle else { return Poll::Pending };
        let sleep = self.sleep.get_or_insert_with(|| Box::pin(tokio::time::sleep(idle)));
        if sleep.as_mut().poll(cx).is_pending() {
            return Poll::Pending;
        }
        if sleep.deadline().elapsed() > NOBODY_READ {
            sleep.as_mut().reset(Instant::now() + idle);
            if sleep.as_mut().poll(cx).is_pending() {
                return Poll::Pending;
            }
        }
        self.permit = None;
        let failure = timeout(Phase::Body, "waiting for the next bytes of the body", Some(idle));
        Poll::Ready(Some(Err(failure.cause)))
    }

    pub(crate) async fn chunk(&mut self) -> Option<Result<Bytes, TransportError>> {
        std::future::poll_fn(|cx| self.poll_chunk(cx)).await
    }

    /// Reads a short rest, within a short time.
    pub(crate) async fn discard(mut self) {
        if self.incoming.is_end_stream() {
            return;
        }
        let rest = async {
            let mut left = DISCARD_LEN;
            while let Some(Ok(chunk)) = self.chunk().await {
                let Some(rest) = left.checked_sub(chunk.len()) else { break };
                left = rest;
            }
        };
        // What is not read by then costs the connection, and nothing else.
        let _ = tokio::time::timeout(DISCARD_TIME, rest).await;
    }
}
