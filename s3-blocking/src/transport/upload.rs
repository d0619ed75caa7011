//! The body of a request on its way out.

use std::collections::VecDeque;
use std::io::{self, Read};
use std::sync::Arc;

use bytes::{Buf as _, Bytes};
use s3_proto::SourceError;
use s3_proto::sign::BodyEncoder;

use super::wire::Exchange;
use crate::source::Reader;

/// How much of the source is read at a time where the framing does not say.
const PIECE: usize = 64 * 1024;

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
    encoder: BodyEncoder,
    /// Bytes that are still to be read.
    left: u64,
    out: VecDeque<Bytes>,
}

impl Upload {
    pub(crate) fn bytes(bytes: Bytes, exchange: Arc<Exchange>) -> Self {
        Self { left: bytes.len() as u64, data: Data::Bytes(bytes), exchange, error: None }
    }

    pub(crate) fn source(
        reader: Reader,
        encoder: BodyEncoder,
        exchange: Arc<Exchange>,
    ) -> Result<Self, SourceError> {
        let (left, len) = (encoder.encoded_len(), encoder.decoded_len());
        let mut encoded = Encoded { reader, encoder, left: len, out: VecDeque::new() };
        if len == 0 {
            // Nobody may ask for a body of no bytes.
            encoded.end()?;
        }
        Ok(Self { data: Data::Source(Box::new(encoded)), left, exchange, error: None })
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
        loop {
            if let Some(front) = self.out.front_mut() {
                let taken = take(front, buffer);
                if front.is_empty() {
                    self.out.pop_front();
                }
                return Ok(taken);
            }
            if self.left == 0 {
                return Ok(0);
            }
            let framed = self.encoder.chunk_len();
            let len = framed.unwrap_or(PIECE);
            let mut chunk = vec![0; usize::try_from(self.left).unwrap_or(len).min(len)];
            let mut filled = self.read_some(&mut chunk)?;
            // Without framing a slow source is not waited for.
            while framed.is_some() && filled < chunk.len() {
                filled += self.read_some(chunk.get_mut(filled..).unwrap_or_default())?;
            }
            chunk.truncate(filled);
            let frame = self.encoder.encode(&chunk).map_err(|error| wrong(&error))?;
            let pieces = [frame.head, chunk.into(), frame.tail];
            self.out.extend(pieces.into_iter().filter(|piece| !piece.is_empty()));
            self.left = self.left.saturating_sub(filled as u64);
            if self.left == 0 {
                self.end()?;
            }
        }
    }

    fn read_some(&mut self, buffer: &mut [u8]) -> Result<usize, SourceError> {
        loop {
            match self.reader.read(buffer) {
                // The encoder knows what is missing.
                Ok(0) => self.end()?,
                Ok(read) => return Ok(read),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(error.into()),
            }
            return Err(io::Error::from(io::ErrorKind::UnexpectedEof).into());
        }
    }

    fn end(&mut self) -> Result<(), SourceError> {
        let end = self.encoder.finish().map_err(|error| wrong(&error))?;
        if !end.is_empty() {
            self.out.push_back(end);
        }
        Ok(())
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

fn wrong(error: &s3_proto::Error) -> SourceError {
    SourceError::new(io::Error::new(io::ErrorKind::InvalidData, error.message().to_owned()))
}
