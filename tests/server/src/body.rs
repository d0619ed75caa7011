//! Bodies of answers.

use bytes::Bytes;
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt as _, Full};

/// Why a body broke off.
pub type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// The body of an answer: no reactor is needed to read it.
pub type Body = UnsyncBoxBody<Bytes, BoxError>;

/// A body that is here as a whole.
pub(crate) fn full(data: impl Into<Bytes>) -> Body {
    Full::new(data.into()).map_err(|never| match never {}).boxed_unsync()
}

/// A body whose length is not told beforehand.
pub(crate) fn unsized_body(data: impl Into<Bytes>) -> Body {
    let frame = http_body::Frame::data(data.into());
    let stream = futures_util::stream::iter([Ok::<_, BoxError>(frame)]);
    http_body_util::StreamBody::new(stream).boxed_unsync()
}
