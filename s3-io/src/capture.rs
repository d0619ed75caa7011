//! The data of a request that is not sent (feature `testing`).

use bytes::{Bytes, BytesMut};
use s3_proto::SourceError;
use s3_proto::sign::BodyEncoder;

use crate::Framing;

/// Keeps what a source gives, and has it counted and hashed as if it were sent.
pub struct Capture {
    framing: Framing,
    data: BytesMut,
}

impl Capture {
    /// Nothing has come yet of a source of this length.
    pub fn new(encoder: Option<BodyEncoder>, len: u64) -> Self {
        let encoder = encoder.unwrap_or_else(|| BodyEncoder::identity(len));
        Self { framing: Framing::new(encoder), data: BytesMut::new() }
    }

    /// Takes what the source gave.
    ///
    /// # Errors
    /// When there is more than was announced.
    pub fn push(&mut self, piece: Bytes) -> Result<(), SourceError> {
        self.data.extend_from_slice(&piece);
        self.framing.push(piece);
        while self.framing.pull()?.is_some() {}
        Ok(())
    }

    /// All that the source gave.
    ///
    /// # Errors
    /// When it had less than was announced.
    pub fn finish(mut self) -> Result<Bytes, SourceError> {
        self.framing.end()?;
        Ok(self.data.freeze())
    }
}
