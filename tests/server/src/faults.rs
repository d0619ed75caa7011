//! Faults that a test puts on the wire.

use std::fmt;
use std::pin::Pin;
use std::sync::{Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http::request::Parts;
use http::{HeaderMap, Method, StatusCode};
use http_body::{Frame, SizeHint};

use crate::body::{Body, BoxError};

/// What to do instead of answering a request as S3 would.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum Fault {
    /// Read the request to its end, do nothing, and answer this.
    Respond {
        /// Status of the answer.
        status: StatusCode,
        /// Headers of the answer; `Content-Length` and `Date` are added.
        headers: HeaderMap,
        /// Body of the answer.
        body: Bytes,
    },
    /// Close the connection without reading the body and without doing anything.
    Close,
    /// Do what is asked, then close the connection without an answer.
    LoseResponse,
    /// Do what is asked, and close the connection after so many bytes of the body of the answer.
    CutBody(u64),
    /// Do what is asked, and send nothing more after so many bytes of the body of the answer.
    StallBody(u64),
    /// Never answer, and do nothing.
    Stall,
    /// Wait, then do what is asked.
    Delay(Duration),
}

impl Fault {
    /// An error answer with an XML body as S3 writes it, such as `(503, "SlowDown")`.
    pub fn error(status: u16, code: &str) -> Self {
        let body = format!(
            "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<Error><Code>{code}</Code><Message>{code}</Message><RequestId>FAULT</RequestId><HostId>FAULT</HostId></Error>"
        );
        let mut headers = HeaderMap::new();
        headers.insert(http::header::CONTENT_TYPE, http::HeaderValue::from_static("application/xml"));
        let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        Self::Respond { status, headers, body: body.into() }
    }
}

/// A request as it was on the wire.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct RequestHead {
    /// The method.
    pub method: Method,
    /// Path and query as they were sent.
    pub target: String,
    /// All headers.
    pub headers: HeaderMap,
}

impl RequestHead {
    pub(crate) fn new(parts: &Parts) -> Self {
        let target = parts.uri.path_and_query().map_or("", http::uri::PathAndQuery::as_str).to_owned();
        Self { method: parts.method.clone(), target, headers: parts.headers.clone() }
    }

    /// A header as text; `None` when it is missing or no text.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }
}

type Hook = Box<dyn FnMut(&RequestHead) -> Option<Fault> + Send>;

/// The log, and the hook that chooses faults.
#[derive(Default)]
pub(crate) struct Faults {
    hook: Mutex<Option<Hook>>,
    log: Mutex<Vec<RequestHead>>,
}

impl fmt::Debug for Faults {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Faults").finish_non_exhaustive()
    }
}

impl Faults {
    pub(crate) fn set(&self, hook: Option<Hook>) {
        *self.hook.lock().unwrap_or_else(PoisonError::into_inner) = hook;
    }

    /// Logs the request and asks the hook.
    pub(crate) fn choose(&self, head: RequestHead) -> Option<Fault> {
        let mut hook = self.hook.lock().unwrap_or_else(PoisonError::into_inner);
        let fault = hook.as_mut().and_then(|hook| hook(&head));
        self.log.lock().unwrap_or_else(PoisonError::into_inner).push(head);
        fault
    }

    pub(crate) fn log(&self) -> Vec<RequestHead> {
        self.log.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(crate) fn clear_log(&self) {
        self.log.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }
}

/// How long a broken body waits for what was written before to get out.
const LINGER: Duration = Duration::from_millis(20);

/// A body that ends early, or goes on for ever.
pub(crate) struct BrokenBody {
    inner: Body,
    left: u64,
    stall: bool,
    linger: Option<Pin<Box<tokio::time::Sleep>>>,
}

impl BrokenBody {
    pub(crate) fn cut(inner: Body, after: u64) -> Self {
        Self { inner, left: after, stall: false, linger: None }
    }

    pub(crate) fn stall(inner: Body, after: u64) -> Self {
        Self { inner, left: after, stall: true, linger: None }
    }

    fn break_off(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        if self.stall {
            return Poll::Pending;
        }
        let linger = self.linger.get_or_insert_with(|| Box::pin(tokio::time::sleep(LINGER)));
        linger.as_mut().poll(cx).map(|()| Some(Err("the body is cut off here".into())))
    }
}

impl http_body::Body for BrokenBody {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        if self.left == 0 {
            return self.break_off(cx);
        }
        let frame = std::task::ready!(Pin::new(&mut self.inner).poll_frame(cx));
        Poll::Ready(frame.map(|frame| {
            let frame = frame?;
            let Ok(mut data) = frame.into_data() else { return Ok(Frame::data(Bytes::new())) };
            data.truncate(usize::try_from(self.left).unwrap_or(usize::MAX));
            self.left -= data.len() as u64;
            Ok(Frame::data(data))
        }))
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}
