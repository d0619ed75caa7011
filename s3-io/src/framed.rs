//! The framing of uploads that a thread reads and sends.

use std::io::{self, Read};

use bytes::{Buf as _, Bytes};
use s3_proto::SourceError;
use s3_proto::sign::{BodyEncoder, Frame};

use crate::files::read_full;
use crate::framing::wrong_length;

/// Room for what stands before and after a chunk.
const AROUND: usize = 256;

/// What is sent of a source. Each chunk is read to where it is sent from, and the framing is put around it there, so
/// that nothing is copied on the way.
pub struct FramedReader<R> {
    source: R,
    encoder: BodyEncoder,
    /// What the source has yet to give.
    left: u64,
    /// How much stood before the last chunk: it is the same before the next, unless that is shorter.
    head: usize,
    /// What there was no room for.
    rest: Bytes,
    ended: bool,
}

impl<R: Read> FramedReader<R> {
    /// Nothing has been read yet.
    pub fn new(source: R, encoder: BodyEncoder) -> Self {
        let left = encoder.decoded_len();
        Self { source, encoder, left, head: 0, rest: Bytes::new(), ended: false }
    }

    /// How many bytes there will be in the end.
    pub fn encoded_len(&self) -> u64 {
        self.encoder.encoded_len()
    }

    /// Reads what is to be sent next: as many chunks as there is room for, or what the source gives at once if it
    /// goes out as it is. 0 is the end.
    ///
    /// # Errors
    /// What the source fails with, and when it has less than was announced.
    pub fn read(&mut self, buffer: &mut [u8]) -> Result<usize, SourceError> {
        let room = self.encoder.chunk_len().map_or(buffer.len().max(1), |len| len + AROUND);
        if buffer.len() < room && self.rest.is_empty() && !self.ended {
            let mut frame = vec![0; room];
            let filled = self.fill(&mut frame)?;
            frame.truncate(filled);
            frame.extend_from_slice(&self.rest);
            self.rest = frame.into();
        }
        let mut filled = take(&mut self.rest, buffer);
        while let Some(free) = buffer.get_mut(filled..).filter(|free| free.len() >= room && !self.ended) {
            filled += self.fill(free)?;
        }
        Ok(filled)
    }

    fn fill(&mut self, buffer: &mut [u8]) -> Result<usize, SourceError> {
        let most = self.encoder.chunk_len().unwrap_or(buffer.len());
        let wanted = usize::try_from(self.left).unwrap_or(most).min(most);
        let whole = self.encoder.chunk_len().is_some();
        let chunk = buffer.get_mut(self.head..self.head + wanted).unwrap_or_default();
        let read = read_some(&mut self.source, chunk, whole)?;
        self.left -= read as u64;
        let chunk = chunk.get(..read).unwrap_or_default();
        let Frame { head, mut tail } = self.encoder.encode(chunk).map_err(|error| wrong_length(&error))?;
        if head.len() != self.head {
            buffer.copy_within(self.head..self.head + read, head.len());
            self.head = head.len();
        }
        if self.left == 0 || read == 0 {
            self.ended = true;
            self.rest = self.encoder.finish().map_err(|error| wrong_length(&error))?;
        }
        let (before, after) = buffer.split_at_mut(head.len());
        before.copy_from_slice(&head);
        let after = after.get_mut(read..).unwrap_or_default();
        let tail = take(&mut tail, after);
        let rest = take(&mut self.rest, after.get_mut(tail..).unwrap_or_default());
        Ok(head.len() + read + tail + rest)
    }
}

/// Reads what there is, or as much as there is room for if it is to be `whole`.
fn read_some(source: &mut impl Read, buffer: &mut [u8], whole: bool) -> io::Result<usize> {
    if whole {
        return read_full(buffer, |rest, _| source.read(rest));
    }
    loop {
        match source.read(buffer) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            read => return read,
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

#[cfg(test)]
mod tests {
    use super::*;
    use s3_proto::checksum::ChecksumAlgorithm;
    use s3_proto::sign::Trailer;

    /// Gives a few bytes at a time, after an interruption.
    struct Slow<'a>(&'a [u8], bool);

    impl Read for Slow<'_> {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            self.1 = !self.1;
            if self.1 {
                return Err(io::ErrorKind::Interrupted.into());
            }
            let most = buffer.len().min(3);
            self.0.read(&mut buffer[..most])
        }
    }

    fn framed(len: u64, chunk_len: usize) -> BodyEncoder {
        let trailers = vec![Trailer::checksum(&ChecksumAlgorithm::Crc32).unwrap()];
        BodyEncoder::unsigned_trailer(len, chunk_len, trailers).unwrap()
    }

    fn read_all(data: &[u8], encoder: BodyEncoder, room: usize) -> Result<Vec<u8>, SourceError> {
        let mut reader = FramedReader::new(Slow(data, false), encoder);
        let (len, mut all, mut buffer) = (reader.encoded_len(), Vec::new(), vec![0; room]);
        loop {
            match reader.read(&mut buffer)? {
                0 => break,
                read => all.extend_from_slice(&buffer[..read]),
            }
        }
        assert_eq!(all.len() as u64, len);
        Ok(all)
    }

    #[test]
    fn chunks_are_framed_however_much_room_there_is() {
        for room in [1, 2, 7, 300, 1000] {
            let all = read_all(b"0123456789abcdefXYZ", framed(19, 16), room).unwrap();
            let text = String::from_utf8(all).unwrap();
            let rest = text.strip_prefix("10\r\n0123456789abcdef\r\n3\r\nXYZ\r\n0\r\nx-amz-checksum-crc32:");
            assert!(rest.is_some_and(|rest| rest.ends_with("\r\n\r\n")), "{text:?}");

            let all = read_all(b"0123456789", BodyEncoder::identity(10), room).unwrap();
            assert_eq!(all, b"0123456789");
        }
        assert!(read_all(b"", framed(0, 16), 300).unwrap().starts_with(b"0\r\n"));
        assert!(read_all(b"0123456789abcdef", framed(16, 16), 300).unwrap().starts_with(b"10\r\n0123"));
    }

    #[test]
    fn all_that_there_is_room_for_comes_at_once() {
        let mut reader = FramedReader::new(&b"0123456789abcdefXYZ"[..], framed(19, 16));
        let len = reader.encoded_len();
        assert_eq!(reader.read(&mut [0; 1000]).unwrap() as u64, len);
        assert_eq!(reader.read(&mut [0; 1000]).unwrap(), 0);
    }

    #[test]
    fn what_ends_early_is_an_error() {
        for encoder in [framed(17, 16), framed(40, 16), BodyEncoder::identity(17)] {
            let error = read_all(b"0123456789abcdef", encoder, 300).unwrap_err();
            assert!(format!("{error:?}").contains("ended after 16"), "{error:?}");
        }
    }

    #[test]
    fn what_was_announced_is_not_read_beyond() {
        let mut data = &b"0123456789 and more"[..];
        let mut reader = FramedReader::new(&mut data, BodyEncoder::identity(10));
        let mut buffer = [0; 300];
        assert_eq!((reader.read(&mut buffer).unwrap(), reader.read(&mut buffer).unwrap()), (10, 0));
        assert_eq!(data, b" and more");
    }
}
