//! What a mock answers.

use std::time::Duration;

use bytes::Bytes;
use http::header::{CONTENT_LENGTH, CONTENT_TYPE};
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};

use crate::{Phase, TransportErrorKind};

/// What a [`Mock`](super::Mock) answers. A number is an empty answer with that status.
#[derive(Clone, Debug)]
pub struct Reply {
    pub(super) kind: Kind,
    pub(super) after: Duration,
}

#[derive(Clone, Debug)]
pub(super) enum Kind {
    Answer { status: StatusCode, headers: HeaderMap, body: Bytes, breaks_after: Option<usize> },
    Failure { phase: Phase, kind: TransportErrorKind },
}

impl Reply {
    /// An answer with this status, such as 200. Its `content-length` is that of its body, if you set no other.
    ///
    /// # Panics
    /// When it is no status.
    #[track_caller]
    pub fn status(status: u16) -> Self {
        let Ok(status) = StatusCode::from_u16(status) else { panic!("{status} is no status of HTTP") };
        let kind = Kind::Answer { status, headers: HeaderMap::new(), body: Bytes::new(), breaks_after: None };
        Self { kind, after: Duration::ZERO }
    }

    /// An error answer as S3 writes it, such as `(404, "NoSuchKey")`; see "List of error codes" in its API reference.
    /// As an answer to HEAD it has no body, and so no code.
    ///
    /// # Panics
    /// When it is no status.
    #[track_caller]
    pub fn error(status: u16, code: &str) -> Self {
        let xml = "<?xml version=\"1.0\" encoding=\"UTF-8\"?>";
        let body = format!(
            "{xml}\n<Error><Code>{code}</Code><Message>{code}</Message><RequestId>MOCK</RequestId></Error>"
        );
        Self::status(status).header(CONTENT_TYPE.as_str(), "application/xml").body(body)
    }

    /// No answer: the network fails like this, when the request has got so far.
    pub fn failure(phase: Phase, kind: TransportErrorKind) -> Self {
        Self { kind: Kind::Failure { phase, kind }, after: Duration::ZERO }
    }

    /// No answer, ever: the call waits until its time-outs end it.
    pub fn never() -> Self {
        Self::status(200).after(Duration::MAX)
    }

    /// With this header.
    ///
    /// # Panics
    /// When it can be none.
    #[track_caller]
    pub fn header(mut self, name: &str, value: &str) -> Self {
        let (Ok(name), Ok(parsed)) = (HeaderName::try_from(name), HeaderValue::from_str(value)) else {
            panic!("{name}: {value} is no header")
        };
        if let Kind::Answer { headers, .. } = &mut self.kind {
            headers.insert(name, parsed);
        }
        self
    }

    /// With this body.
    pub fn body(mut self, bytes: impl Into<Bytes>) -> Self {
        if let Kind::Answer { body, .. } = &mut self.kind {
            *body = bytes.into();
        }
        self
    }

    /// The connection breaks off after so many bytes of the body.
    pub fn breaks_after(mut self, bytes: usize) -> Self {
        if let Kind::Answer { breaks_after, .. } = &mut self.kind {
            *breaks_after = Some(bytes);
        }
        self
    }

    /// So long after the request, by the mock's clock.
    pub fn after(mut self, time: Duration) -> Self {
        self.after = time;
        self
    }

    pub(super) fn content_length(&mut self) {
        if let Kind::Answer { headers, body, .. } = &mut self.kind {
            headers.entry(CONTENT_LENGTH).or_insert_with(|| HeaderValue::from(body.len()));
        }
    }
}

impl From<u16> for Reply {
    #[track_caller]
    fn from(status: u16) -> Self {
        Self::status(status)
    }
}

impl From<StatusCode> for Reply {
    fn from(status: StatusCode) -> Self {
        Self::status(status.as_u16())
    }
}
