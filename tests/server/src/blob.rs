//! The bytes of objects and parts: in memory when small, in an anonymous temporary file when large.

use std::fs::File;
use std::io;
use std::ops::Range;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::{Bytes, BytesMut};
use futures_util::Stream;
use s3s::StdError;
use s3s::stream::{ByteStream, RemainingLength};

/// How much one read of a blob gives at most.
const CHUNK: u64 = 64 * 1024;

#[derive(Debug, Clone)]
enum Piece {
    Memory(Bytes),
    File { file: Arc<File>, offset: u64, len: u64 },
}

impl Piece {
    fn len(&self) -> u64 {
        match self {
            Self::Memory(data) => data.len() as u64,
            Self::File { len, .. } => *len,
        }
    }

    /// The part of this piece that `range` (within the piece) names.
    fn slice(&self, range: Range<u64>) -> Self {
        match self {
            Self::Memory(data) => Self::Memory(data.slice(to_usize(range.start)..to_usize(range.end))),
            Self::File { file, offset, .. } => Self::File {
                file: Arc::clone(file),
                offset: offset + range.start,
                len: range.end - range.start,
            },
        }
    }

    fn read(&self, range: Range<u64>) -> io::Result<Bytes> {
        match self {
            Self::Memory(data) => Ok(data.slice(to_usize(range.start)..to_usize(range.end))),
            Self::File { file, offset, .. } => {
                let mut buffer = vec![0; to_usize(range.end - range.start)];
                read_exact_at(file, &mut buffer, offset + range.start)?;
                Ok(buffer.into())
            }
        }
    }
}

/// Immutable bytes. Copies and slices share the storage.
#[derive(Debug, Clone, Default)]
pub(crate) struct Blob {
    pieces: Vec<Piece>,
    len: u64,
}

impl Blob {
    pub(crate) fn len(&self) -> u64 {
        self.len
    }

    /// Puts blobs together without copying.
    pub(crate) fn concat<'a>(blobs: impl IntoIterator<Item = &'a Blob>) -> Self {
        let mut whole = Self::default();
        for blob in blobs {
            whole.pieces.extend(blob.pieces.iter().cloned());
            whole.len += blob.len;
        }
        whole
    }

    /// `range` must lie within the blob.
    pub(crate) fn slice(&self, range: Range<u64>) -> Self {
        let mut out = Self { pieces: Vec::new(), len: range.end - range.start };
        let mut start = 0;
        for piece in &self.pieces {
            let end = start + piece.len();
            let (from, to) = (range.start.max(start), range.end.min(end));
            if from < to {
                out.pieces.push(piece.slice(from - start..to - start));
            }
            start = end;
        }
        out
    }

    /// The bytes, chunk by chunk.
    pub(crate) fn chunks(&self) -> Chunks {
        Chunks { blob: self.clone(), piece: 0, offset: 0, remaining: self.len }
    }

    /// All bytes at once.
    pub(crate) fn read(&self) -> io::Result<Bytes> {
        let mut out = BytesMut::with_capacity(to_usize(self.len));
        for chunk in self.chunks() {
            out.extend_from_slice(&chunk?);
        }
        Ok(out.freeze())
    }
}

impl From<Bytes> for Blob {
    fn from(data: Bytes) -> Self {
        Self { len: data.len() as u64, pieces: vec![Piece::Memory(data)] }
    }
}

/// Reads a blob from its beginning; also a response body.
pub(crate) struct Chunks {
    blob: Blob,
    piece: usize,
    offset: u64,
    remaining: u64,
}

impl Iterator for Chunks {
    type Item = io::Result<Bytes>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            let piece = self.blob.pieces.get(self.piece)?;
            let end = piece.len().min(self.offset + CHUNK);
            if self.offset == end {
                self.piece += 1;
                self.offset = 0;
                continue;
            }
            let read = piece.read(self.offset..end);
            self.remaining -= end - self.offset;
            self.offset = end;
            return Some(read);
        }
    }
}

impl Stream for Chunks {
    type Item = Result<Bytes, StdError>;

    fn poll_next(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        Poll::Ready(self.next().map(|chunk| chunk.map_err(Into::into)))
    }
}

impl ByteStream for Chunks {
    fn remaining_length(&self) -> RemainingLength {
        RemainingLength::new_exact(to_usize(self.remaining))
    }
}

/// Takes the bytes of an upload.
pub(crate) struct Sink {
    spill_over: u64,
    memory: BytesMut,
    file: Option<File>,
    len: u64,
}

impl Sink {
    /// A blob of more than `spill_over` bytes goes to a file.
    pub(crate) fn new(spill_over: u64) -> Self {
        Self { spill_over, memory: BytesMut::new(), file: None, len: 0 }
    }

    pub(crate) fn len(&self) -> u64 {
        self.len
    }

    pub(crate) fn write(&mut self, data: &[u8]) -> io::Result<()> {
        if self.file.is_none() && self.len + data.len() as u64 > self.spill_over {
            let file = tempfile::tempfile()?;
            write_sparse_at(&file, &self.memory, 0)?;
            self.memory = BytesMut::new();
            self.file = Some(file);
        }
        match &self.file {
            Some(file) => write_sparse_at(file, data, self.len)?,
            None => self.memory.extend_from_slice(data),
        }
        self.len += data.len() as u64;
        Ok(())
    }

    pub(crate) fn finish(self) -> io::Result<Blob> {
        let Some(file) = self.file else { return Ok(self.memory.freeze().into()) };
        file.set_len(self.len)?;
        let piece = Piece::File { file: Arc::new(file), offset: 0, len: self.len };
        Ok(Blob { pieces: vec![piece], len: self.len })
    }
}

/// Leaves a hole for zeros, so that uploads of gigabytes of zeros take no room.
fn write_sparse_at(file: &File, data: &[u8], offset: u64) -> io::Result<()> {
    if data.iter().all(|b| *b == 0) {
        return Ok(());
    }
    write_all_at(file, data, offset)
}

#[cfg(unix)]
fn write_all_at(file: &File, data: &[u8], offset: u64) -> io::Result<()> {
    std::os::unix::fs::FileExt::write_all_at(file, data, offset)
}

#[cfg(unix)]
fn read_exact_at(file: &File, buffer: &mut [u8], offset: u64) -> io::Result<()> {
    std::os::unix::fs::FileExt::read_exact_at(file, buffer, offset)
}

#[cfg(windows)]
fn write_all_at(file: &File, mut data: &[u8], mut offset: u64) -> io::Result<()> {
    while !data.is_empty() {
        let n = std::os::windows::fs::FileExt::seek_write(file, data, offset)?;
        data = &data[n..];
        offset += n as u64;
    }
    Ok(())
}

#[cfg(windows)]
fn read_exact_at(file: &File, mut buffer: &mut [u8], mut offset: u64) -> io::Result<()> {
    while !buffer.is_empty() {
        let n = std::os::windows::fs::FileExt::seek_read(file, buffer, offset)?;
        if n == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        buffer = &mut buffer[n..];
        offset += n as u64;
    }
    Ok(())
}

/// Lengths that are held in memory, or read as one chunk, fit.
fn to_usize(n: u64) -> usize {
    usize::try_from(n).unwrap_or(usize::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sink(data: &[u8], spill_over: u64) -> Blob {
        let mut sink = Sink::new(spill_over);
        for chunk in data.chunks(1000) {
            sink.write(chunk).unwrap();
        }
        sink.finish().unwrap()
    }

    #[test]
    fn memory_and_file_read_alike() {
        let data: Vec<u8> = (0..200_000_u32).map(|i| (i % 251) as u8).collect();
        for spill_over in [0, 1500, 1 << 20] {
            let blob = sink(&data, spill_over);
            assert_eq!(blob.read().unwrap(), data);
            assert_eq!(blob.slice(70_000..140_001).read().unwrap(), data[70_000..140_001]);
            let twice = Blob::concat([&blob, &blob]);
            let joint = twice.slice(199_999..200_002).read().unwrap();
            assert_eq!(joint[..], [data[199_999], data[0], data[1]]);
        }
    }

    #[test]
    fn zeros_are_holes_that_read_as_zeros() {
        let mut data = vec![0; 10_000];
        data[5_500] = 1;
        assert_eq!(sink(&data, 100).read().unwrap(), data);
        assert_eq!(sink(&vec![0; 3_000], 100).read().unwrap(), vec![0; 3_000]);
    }
}
