//! What is known of an object that is being downloaded, and whether an answer belongs to it.

use std::ops::Range;

use http::{StatusCode, response};

use crate::checksum::{Checksum, combine};
use crate::exchange::{content_length, parse_content_range, strong_etag};
use crate::ops::{GetObject, GetObjectOutput, Operation};
use crate::{ETag, Error, ErrorKind, Phase};

/// An object, as its first answer described it.
#[derive(Clone, Debug)]
pub(crate) struct Known {
    /// `None` unless it is strong: then nothing tells whether two answers are of the same content.
    pub(crate) etag: Option<ETag>,
    /// Bytes of all of it.
    pub(crate) size: u64,
    pub(crate) output: GetObjectOutput,
}

/// What the content is compared with.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) enum Expected {
    /// The service has no checksum, or none that can be computed here.
    #[default]
    Nothing,
    /// One of all bytes.
    Whole(Checksum),
    /// One for each of the parts that it was uploaded in, with their lengths, and one over these.
    Parts(Vec<(u64, Checksum)>, Checksum),
}

impl Expected {
    /// The checksum that the service names for the object.
    pub(crate) fn checksum(&self) -> Option<&Checksum> {
        match self {
            Self::Nothing => None,
            Self::Whole(checksum) | Self::Parts(_, checksum) => Some(checksum),
        }
    }

    /// The ranges that have a checksum of their own.
    pub(crate) fn segments(&self, size: u64) -> Vec<(Range<u64>, Checksum)> {
        match self {
            Self::Nothing => Vec::new(),
            Self::Whole(checksum) => vec![(0..size, checksum.clone())],
            Self::Parts(parts, _) => {
                let mut start = 0;
                let placed = |(len, checksum): &(u64, Checksum)| {
                    let range = start..start + len;
                    start = range.end;
                    (range, checksum.clone())
                };
                parts.iter().map(placed).collect()
            }
        }
    }
}

impl Known {
    /// Reads the head of an answer without a range, or of HeadObject.
    pub(crate) fn of_whole(op: &GetObject, head: &response::Parts) -> Result<Self, Error> {
        let Some(size) = content_length(&head.headers) else {
            return malformed("the service does not say how long the object is");
        };
        Self::new(op, head, size)
    }

    /// Reads the head of an answer to a range, which must be all of `asked` that the object has.
    pub(crate) fn of_range(
        op: &GetObject,
        head: &response::Parts,
        asked: &Range<u64>,
    ) -> Result<(Self, Range<u64>), Error> {
        if head.status != StatusCode::PARTIAL_CONTENT {
            if content_length(&head.headers) == Some(0) {
                return Ok((Self::new(op, head, 0)?, 0..0));
            }
            return not_a_range(asked);
        }
        let (got, size) = content_range(head)?;
        if got.start != asked.start || got.end != asked.end.min(size) {
            return malformed(format!(
                "bytes {} to {} of {size} were asked for, but bytes {} to {} came",
                asked.start,
                asked.end.min(size),
                got.start,
                got.end
            ));
        }
        Ok((Self::new(op, head, size)?, got))
    }

    fn new(op: &GetObject, head: &response::Parts, size: u64) -> Result<Self, Error> {
        let etag = strong_etag(&head.headers).and_then(|v| v.to_str().ok()).map(ETag::new);
        let mut output = op.response(head, &[]).map_err(|e| e.with_phase(Phase::Parse))?;
        output.content_length = Some(size);
        output.content_range = None;
        Ok(Self { etag, size, output })
    }

    /// Whether the answer is to a range that is less than the object.
    pub(crate) fn is_a_piece(head: &response::Parts) -> bool {
        head.status == StatusCode::PARTIAL_CONTENT
            && content_range(head).is_ok_and(|(got, size)| got != (0..size))
    }

    /// Whether this is the head of that range of the same content.
    pub(crate) fn check_range(&self, head: &response::Parts, asked: &Range<u64>) -> Result<(), Error> {
        if head.status != StatusCode::PARTIAL_CONTENT {
            return not_a_range(asked);
        }
        let (got, size) = content_range(head)?;
        if got != *asked {
            return malformed(format!(
                "bytes {} to {} were asked for, but bytes {} to {} came",
                asked.start, asked.end, got.start, got.end
            ));
        }
        self.check_same(head, size)
    }

    /// Whether this head, of an object of this size, is of the same content.
    pub(crate) fn check_same(&self, head: &response::Parts, size: u64) -> Result<(), Error> {
        let etag = strong_etag(&head.headers).and_then(|v| v.to_str().ok()).map(ETag::new);
        let version = head.headers.get("x-amz-version-id").and_then(|v| v.to_str().ok());
        if size == self.size && etag == self.etag && version == self.output.version_id.as_deref() {
            Ok(())
        } else {
            Err(replaced(Error::new(ErrorKind::PreconditionFailed, "").with_status(head.status)))
        }
    }
}

/// The error of an object that is not the same any more.
pub(crate) fn replaced(error: Error) -> Error {
    error.with_message("the object was replaced while it was being read".to_owned())
}

/// The checksum that parts of these lengths make together, if theirs can be combined.
pub(crate) fn combined(parts: impl IntoIterator<Item = (u64, Checksum)>) -> Option<Checksum> {
    let mut parts = parts.into_iter();
    let (_, first) = parts.next()?;
    parts.try_fold(first, |sum, (len, part)| combine(&sum, &part, len).ok())
}

fn not_a_range<T>(asked: &Range<u64>) -> Result<T, Error> {
    malformed(format!(
        "bytes {} to {} were asked for, but the answer is the whole object",
        asked.start, asked.end
    ))
}

fn content_range(head: &response::Parts) -> Result<(Range<u64>, u64), Error> {
    let text = head.headers.get("content-range").and_then(|v| v.to_str().ok()).unwrap_or_default();
    match parse_content_range(text) {
        Some((first, last, Some(size))) => Ok((first..last + 1, size)),
        Some((_, _, None)) => {
            malformed(format!("the service does not say how long the object is: Content-Range is '{text}'"))
        }
        None => malformed(format!("a range was answered without saying which: Content-Range is '{text}'")),
    }
}

pub(crate) fn malformed<T>(message: impl Into<std::borrow::Cow<'static, str>>) -> Result<T, Error> {
    Err(Error::new(ErrorKind::MalformedResponse, message).with_phase(Phase::Parse))
}
