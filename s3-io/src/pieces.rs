//! Pieces, for those who read bytes.

use std::io::{self, Read};

use bytes::{Buf as _, Bytes};

/// Pieces as a reader. One that goes past the length is refused, rather than cut.
pub struct PieceReader<I> {
    pieces: I,
    rest: Bytes,
    left: u64,
}

impl<I: Iterator<Item = io::Result<Bytes>>> PieceReader<I> {
    /// At most `len` bytes.
    pub fn new(pieces: I, len: u64) -> Self {
        Self { pieces, rest: Bytes::new(), left: len }
    }
}

impl<I: Iterator<Item = io::Result<Bytes>>> Read for PieceReader<I> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while self.rest.is_empty() {
            let Some(piece) = self.pieces.next().transpose()? else { return Ok(0) };
            self.left = self.left.checked_sub(piece.len() as u64).ok_or_else(too_many)?;
            self.rest = piece;
        }
        (&mut self.rest).reader().read(buffer)
    }
}

/// A piece goes past the length.
pub(crate) fn too_many() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, "there are more bytes than were announced")
}
