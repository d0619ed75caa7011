//! Answers by script in place of the network (feature `testing`).

use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use futures_util::StreamExt as _;
use hyper::body::Incoming;
use s3_proto::testing::{Line, ScriptedBody};
use s3_proto::{HttpTask, Payload, TransportError};

use super::download;
use super::pool::Permit;
use crate::driver::source::Reader;
use crate::{Capture, Failure, Unanswered};

/// The body of an answer, wherever it comes from.
#[derive(Debug)]
pub enum Download {
    /// From the network.
    Wire(download::Download),
    /// From a script.
    Script(ScriptedBody),
}

impl Download {
    pub(crate) fn new(incoming: Incoming, permit: Permit, idle: Option<Duration>) -> Self {
        Self::Wire(download::Download::new(incoming, permit, idle))
    }

    /// Whether all has come.
    pub(crate) fn is_over(&self) -> bool {
        match self {
            Self::Wire(download) => download.is_over(),
            Self::Script(_) => false,
        }
    }

    pub(crate) fn poll_chunk(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, TransportError>>> {
        match self {
            Self::Wire(download) => download.poll_chunk(cx),
            Self::Script(body) => Poll::Ready(body.next()),
        }
    }

    /// The next piece; `None` at the end.
    ///
    /// # Errors
    /// When the body breaks off.
    pub async fn chunk(&mut self) -> Option<Result<Bytes, TransportError>> {
        std::future::poll_fn(|cx| self.poll_chunk(cx)).await
    }

    /// Reads a short rest, within a short time.
    pub async fn discard(self) {
        if let Self::Wire(download) = self {
            download.discard().await;
        }
    }
}

pub(super) async fn answer(
    line: Line,
    task: HttpTask,
    reader: Option<Reader>,
) -> Result<(http::response::Parts, Download), Unanswered> {
    let (request, payload) = task.request.into_parts();
    let body = match (payload, reader) {
        (Payload::Bytes(bytes), _) => bytes,
        (Payload::Source { len, .. }, Some(mut reader)) => {
            let mut capture = Capture::new(task.encoder, len);
            while let Some(piece) = reader.next().await {
                let piece = piece.map_err(|error| Unanswered::Source(error.into()))?;
                capture.push(piece).map_err(Unanswered::Source)?;
            }
            capture.finish().map_err(Unanswered::Source)?
        }
        _ => Bytes::new(),
    };
    match line.answer(request, &task.timeouts, body) {
        Ok((head, body)) => Ok((head, Download::Script(body))),
        Err((phase, cause)) => Err(Failure { phase, cause }.into()),
    }
}
