//! What is uploaded, other than bytes in memory.

use std::fmt;
use std::fs::File;
use std::io::{self, Read};
use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use s3_io::{Borrowed, Buffers, Once, PieceReader, files, read_already};
use s3_proto::client::Source as ProtoSource;

/// Data to upload that is not held in memory: a file, a reader or an iterator.
///
/// ```no_run
/// # fn f() -> std::io::Result<()> {
/// let source = s3_blocking::Source::file("backup.tar")?;
/// # Ok(()) }
/// ```
pub struct Source {
    len: Option<u64>,
    kind: Kind,
    /// What parts are filled into.
    buffers: Buffers,
}

enum Kind {
    /// With the place from which pieces are filled.
    File(Arc<File>, u64),
    Once(Once<Boxed>),
}

type Boxed = Box<dyn Read + Send>;

impl Source {
    /// A file, as long as it is now. It can be read again, so a failed attempt is repeated.
    ///
    /// # Errors
    /// When it cannot be opened, or is no file.
    pub fn file(path: impl AsRef<Path>) -> io::Result<Self> {
        let (file, len) = files::open_source(path.as_ref())?;
        Ok(Self::new(Some(len), Kind::File(Arc::new(file), 0)))
    }

    /// The next `len` bytes of a reader. They can be read once, so a failed attempt is repeated only if
    /// nothing had been read.
    ///
    /// A reader that blocks cannot be interrupted: a call that is cancelled ends when it returns.
    pub fn reader(reader: impl Read + Send + 'static, len: u64) -> Self {
        Self::new(Some(len), once(reader.take(len)))
    }

    /// All that a reader gives, however much that is. S3 wants to know the length of a body, so this is for
    /// uploads in parts, which read it part by part; a single request refuses it.
    pub fn unsized_reader(reader: impl Read + Send + 'static) -> Self {
        Self::new(None, once(reader))
    }

    /// An iterator over `len` bytes, piece by piece. They can be read once, as those of a
    /// [`reader`](Self::reader).
    pub fn pieces(pieces: impl Iterator<Item = io::Result<Bytes>> + Send + 'static, len: u64) -> Self {
        Self::new(Some(len), once(PieceReader::new(pieces, len)))
    }

    /// An iterator to its end, wherever that is: for uploads in parts, as
    /// [`unsized_reader`](Self::unsized_reader).
    pub fn unsized_pieces(pieces: impl Iterator<Item = io::Result<Bytes>> + Send + 'static) -> Self {
        Self::new(None, once(PieceReader::new(pieces, u64::MAX)))
    }

    fn new(len: Option<u64>, kind: Kind) -> Self {
        Self { len, kind, buffers: Buffers::default() }
    }

    /// Starts reading this range.
    pub(crate) fn range(&mut self, offset: u64, len: u64) -> io::Result<Reader> {
        match &mut self.kind {
            Kind::File(file, _) => Ok(Reader::file(file.clone(), offset, len)),
            Kind::Once(once) if offset == 0 => once.borrow().map(Reader::Once),
            Kind::Once(_) => Err(read_already()),
        }
    }

    /// The next bytes: as many as this, or fewer where the source ends.
    pub(crate) fn fill(&mut self, len: usize) -> io::Result<Bytes> {
        let mut bytes = self.buffers.take(len);
        let filled = match &mut self.kind {
            Kind::File(file, at) => {
                let left = self.len.unwrap_or_default().saturating_sub(*at);
                let wanted = usize::try_from(left).unwrap_or(len).min(len);
                let filled = files::read_full_at(file, bytes.get_mut(..wanted).unwrap_or_default(), *at)?;
                *at += filled as u64;
                filled
            }
            Kind::Once(once) => {
                once.read_on(|reader| files::read_full(&mut bytes, |rest, _| reader.read(rest)))?
            }
        };
        bytes.truncate(filled);
        let bytes = bytes.freeze();
        self.buffers.lend(&bytes);
        Ok(bytes)
    }
}

fn once(reader: impl Read + Send + 'static) -> Kind {
    Kind::Once(Once::new(Box::new(reader)))
}

impl ProtoSource for Source {
    fn known_len(&self) -> Option<u64> {
        self.len
    }

    fn is_replayable(&self) -> bool {
        matches!(self.kind, Kind::File(..))
    }
}

impl fmt::Debug for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Source")
            .field("len", &self.len)
            .field("replayable", &self.is_replayable())
            .finish_non_exhaustive()
    }
}

/// The bytes that a request sends.
pub(crate) enum Reader {
    Bytes(bytes::buf::Reader<Bytes>),
    File { file: Arc<File>, at: u64, left: u64 },
    Once(Borrowed<Boxed>),
}

impl Reader {
    /// A range of a file. The file's own position is not used, so that several attempts can share it.
    pub(crate) fn file(file: Arc<File>, offset: u64, len: u64) -> Self {
        Self::File { file, at: offset, left: len }
    }
}

impl Read for Reader {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Bytes(bytes) => bytes.read(buffer),
            Self::File { file, at, left } => {
                let wanted = usize::try_from(*left).unwrap_or(buffer.len()).min(buffer.len());
                let read = files::read_full_at(file, buffer.get_mut(..wanted).unwrap_or_default(), *at)?;
                *at += read as u64;
                *left -= read as u64;
                Ok(read)
            }
            Self::Once(borrowed) => borrowed.reader()?.read(buffer),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_are_filled_until_the_end() {
        let path = std::env::temp_dir().join(format!("s3-blocking-fill-{}", std::process::id()));
        std::fs::write(&path, "0123456789").unwrap();
        let sources = [
            Source::file(&path).unwrap(),
            Source::reader(&b"0123456789"[..], 10),
            Source::reader(&b"0123456789 and more"[..], 10),
            Source::unsized_reader(&b"0123456789"[..]),
            Source::pieces(["012", "", "3456789"].map(|piece| Ok(piece.into())).into_iter(), 10),
            Source::unsized_pieces(["0123456", "789"].map(|piece| Ok(piece.into())).into_iter()),
        ];
        std::fs::remove_file(&path).unwrap();
        for mut source in sources {
            let pieces: Vec<_> = (0..4).map(|_| source.fill(4).unwrap()).collect();
            assert_eq!(pieces, ["0123", "4567", "89", ""]);
        }
    }

    #[test]
    fn a_reader_is_started_once_and_a_file_anywhere() {
        let mut reader = Source::reader(&b"data"[..], 4);
        assert!(reader.range(0, 4).is_ok());
        assert_eq!(reader.range(0, 4).unwrap().read(&mut [0; 2]).unwrap(), 2);
        assert!(reader.range(0, 4).is_err(), "something was read");
        assert!(reader.fill(4).is_err());

        let path = std::env::temp_dir().join(format!("s3-blocking-range-{}", std::process::id()));
        std::fs::write(&path, "0123456789").unwrap();
        let mut file = Source::file(&path).unwrap();
        std::fs::remove_file(&path).unwrap();
        for (offset, len, expected) in [(0, 10, "0123456789"), (3, 4, "3456"), (10, 0, "")] {
            let mut text = String::new();
            file.range(offset, len).unwrap().read_to_string(&mut text).unwrap();
            assert_eq!(text, expected);
        }
    }
}
