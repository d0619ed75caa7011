//! The body of a request on its way out.

use std::io::{self, Read};
use std::sync::Arc;

use bytes::{Buf as _, Bytes};
use s3_io::{Buffers, Framing};
use s3_proto::SourceError;
use s3_proto::sign::BodyEncoder;

use super::wire::Exchange;
use crate::source::Reader;

/// The body, which ureq reads.
pub(crate) struct Upload {
    data: Data,
    /// Bytes that are still to be handed over, framing included.
    left: u64,
    exchange: Arc<Exchange>,
    error: Option<SourceError>,
}

enum Data {
    Bytes(Bytes),
    Source(Box<Encoded>),
}

struct Encoded {
    reader: Reader,
    framing: Framing,
    /// What ureq has had no room for.
    rest: Bytes,
    buffers: Buffers,
}

impl Upload {
    pub(crate) fn bytes(bytes: Bytes, exchange: Arc<Exchange>) -> Self {
        Self { left: bytes.len() as u64, data: Data::Bytes(bytes), exchange, error: None }
    }

    pub(crate) fn source(reader: Reader, encoder: BodyEncoder, exchange: Arc<Exchange>) -> Self {
        let framing = Framing::new(encoder);
        let left = framing.encoded_len();
        let encoded = Encoded { reader, framing, rest: Bytes::new(), buffers: Buffers::default() };
        Self { data: Data::Source(Box::new(encoded)), left, exchange, error: None }
    }

    /// Why the data could not be read, if that is what went wrong, and whether the peer took all of it.
    pub(crate) fn end(self) -> (Option<SourceError>, bool) {
        (self.error, self.left == 0 && !self.exchange.is_cut())
    }
}

impl Read for Upload {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.exchange.cancel.is_cancelled() {
            return Err(io::Error::other("the call was cancelled"));
        }
        let read = if self.exchange.is_cut() {
            // The peer takes no more, so what is missing reaches nobody; but ureq asks for its answer only
            // when it believes that all is sent.
            usize::try_from(self.left).unwrap_or(buffer.len()).min(buffer.len())
        } else {
            let read = match &mut self.data {
                Data::Bytes(bytes) => Ok(take(bytes, buffer)),
                Data::Source(encoded) => encoded.read(buffer),
            };
            read.map_err(|error| {
                self.error = Some(error);
                io::Error::other("reading the data to send failed")
            })?
        };
        self.left = self.left.saturating_sub(read as u64);
        Ok(read)
    }
}

impl Encoded {
    fn read(&mut self, buffer: &mut [u8]) -> Result<usize, SourceError> {
        while self.rest.is_empty() {
            match self.framing.pull()? {
                Some(bytes) => self.rest = bytes,
                None if self.framing.is_ended() => break,
                None => self.refill()?,
            }
        }
        Ok(take(&mut self.rest, buffer))
    }

    /// A slow source is not waited for: what it has is enough.
    fn refill(&mut self) -> Result<(), SourceError> {
        let mut piece = self.buffers.take(self.framing.piece_len());
        match self.reader.read(&mut piece) {
            Ok(0) => self.framing.end(),
            Ok(read) => {
                piece.truncate(read);
                let piece = piece.freeze();
                self.buffers.lend(&piece);
                self.framing.push(piece);
                Ok(())
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => Ok(()),
            Err(error) => Err(error.into()),
        }
    }
}

/// Moves what fits from `bytes` to `buffer`.
fn take(bytes: &mut Bytes, buffer: &mut [u8]) -> usize {
    let taken = bytes.len().min(buffer.len());
    if let Some(target) = buffer.get_mut(..taken) {
        bytes.copy_to_slice(target);
    }
    taken
}
