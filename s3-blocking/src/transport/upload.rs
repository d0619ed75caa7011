//! The body of a request on its way out.

use std::io::{self, Read};
use std::sync::Arc;

use s3_io::FramedReader;
use s3_proto::SourceError;
use s3_proto::sign::BodyEncoder;

use super::wire::Exchange;
use crate::source::Reader;

/// The body, which ureq reads.
pub(crate) struct Upload {
    body: FramedReader<Reader>,
    /// Bytes that are still to be handed over, framing included.
    left: u64,
    exchange: Arc<Exchange>,
    error: Option<SourceError>,
}

impl Upload {
    pub(crate) fn new((reader, encoder): (Reader, BodyEncoder), exchange: Arc<Exchange>) -> Self {
        let body = FramedReader::new(reader, encoder);
        Self { left: body.encoded_len(), body, exchange, error: None }
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
            self.body.read(buffer).map_err(|error| {
                self.error = Some(error);
                io::Error::other("reading the data to send failed")
            })?
        };
        self.left = self.left.saturating_sub(read as u64);
        Ok(read)
    }
}
