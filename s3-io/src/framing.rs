//! From what a source gives to what is sent.

use std::collections::VecDeque;
use std::io;

use bytes::{Bytes, BytesMut};
use s3_proto::SourceError;
use s3_proto::sign::BodyEncoder;

/// How much is handed over at a time where the framing does not say, so that what has been sent can be told.
pub const SLICE: usize = 256 * 1024;

/// Cuts what a source gives into chunks of the length that the framing wants, and puts the framing around them.
/// Copies only where a chunk is put together from several pieces.
pub struct Framing {
    encoder: BodyEncoder,
    /// From the source, and not cut yet.
    ready: Bytes,
    partial: BytesMut,
    out: VecDeque<Bytes>,
    ended: bool,
}

impl Framing {
    /// Nothing has come yet.
    pub fn new(encoder: BodyEncoder) -> Self {
        Self { encoder, ready: Bytes::new(), partial: BytesMut::new(), out: VecDeque::new(), ended: false }
    }

    /// How many bytes there will be in the end.
    pub fn encoded_len(&self) -> u64 {
        self.encoder.encoded_len()
    }

    /// How much is best pushed at a time.
    pub fn piece_len(&self) -> usize {
        let whole = usize::try_from(self.encoder.decoded_len()).unwrap_or(SLICE);
        self.encoder.chunk_len().unwrap_or(SLICE).min(whole).max(1)
    }

    /// The next bytes to send; `None` if more is to be pushed first, or it is all over.
    ///
    /// # Errors
    /// When there is more than was announced.
    pub fn pull(&mut self) -> Result<Option<Bytes>, SourceError> {
        loop {
            if let Some(bytes) = self.out.pop_front() {
                return Ok(Some(bytes));
            }
            let Some(chunk) = self.cut() else { return Ok(None) };
            self.frame(chunk)?;
        }
    }

    /// Takes what the source gave, once there is nothing to send any more.
    pub fn push(&mut self, bytes: Bytes) {
        self.ready = bytes;
    }

    /// The source has no more.
    ///
    /// # Errors
    /// When it had less than was announced.
    pub fn end(&mut self) -> Result<(), SourceError> {
        self.ended = true;
        let last = self.partial.split().freeze();
        if !last.is_empty() {
            self.frame(last)?;
        }
        let end = self.encoder.finish().map_err(|error| wrong_length(&error))?;
        if !end.is_empty() {
            self.out.push_back(end);
        }
        Ok(())
    }

    /// Whether the source was said to have no more.
    pub fn is_ended(&self) -> bool {
        self.ended
    }

    fn cut(&mut self) -> Option<Bytes> {
        if self.ready.is_empty() {
            return None;
        }
        let Some(len) = self.encoder.chunk_len() else {
            return Some(self.ready.split_to(self.ready.len().min(SLICE)));
        };
        if self.partial.is_empty() && self.ready.len() >= len {
            return Some(self.ready.split_to(len));
        }
        let missing = len.saturating_sub(self.partial.len());
        let piece = self.ready.split_to(self.ready.len().min(missing));
        self.partial.reserve(missing);
        self.partial.extend_from_slice(&piece);
        (self.partial.len() == len).then(|| self.partial.split().freeze())
    }

    fn frame(&mut self, chunk: Bytes) -> Result<(), SourceError> {
        let frame = self.encoder.encode(&chunk).map_err(|error| wrong_length(&error))?;
        self.out.extend([frame.head, chunk, frame.tail].into_iter().filter(|bytes| !bytes.is_empty()));
        Ok(())
    }
}

pub(crate) fn wrong_length(error: &s3_proto::Error) -> SourceError {
    SourceError::new(io::Error::new(io::ErrorKind::InvalidData, error.message().to_owned()))
}
