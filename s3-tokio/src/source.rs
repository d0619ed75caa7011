//! What is uploaded, other than bytes in memory.

use std::fmt;
use std::fs::File;
use std::future::Future;
use std::io;
use std::path::Path;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::{Bytes, BytesMut};
use futures_core::Stream;
use s3_io::files;
use s3_proto::client::Source as ProtoSource;
use tokio::io::{AsyncRead, ReadBuf};
use tokio::task::JoinHandle;

/// The pieces that a source gives.
pub(crate) type Reader = Pin<Box<dyn Stream<Item = io::Result<Bytes>> + Send>>;

/// How much of a file is read at a time.
const PIECE: usize = 256 * 1024;

/// Data to upload that is not held in memory: a file, a reader or a stream.
///
/// ```no_run
/// # async fn f() -> std::io::Result<()> {
/// let source = s3_tokio::Source::file("backup.tar").await?;
/// # Ok(()) }
/// ```
pub struct Source {
    len: u64,
    kind: Kind,
}

enum Kind {
    File(Arc<File>),
    Once(Option<Reader>),
}

impl Source {
    /// A file, as long as it is now. It can be read again, so a failed attempt is repeated.
    ///
    /// # Errors
    /// When it cannot be opened, or is no file.
    pub async fn file(path: impl AsRef<Path>) -> io::Result<Self> {
        let path = path.as_ref().to_owned();
        blocking(move || {
            let (file, len) = files::open_source(&path)?;
            Ok(Self { len, kind: Kind::File(Arc::new(file)) })
        })
        .await
    }

    /// The next `len` bytes of a reader. They can be read once, so a failed attempt is repeated only if
    /// nothing had been read.
    pub fn reader(reader: impl AsyncRead + Send + 'static, len: u64) -> Self {
        let pieces = ReaderPieces { reader: Box::pin(reader), left: len, buffer: BytesMut::new() };
        Self { len, kind: Kind::Once(Some(Box::pin(pieces))) }
    }

    /// A stream of `len` bytes. It can be read once, so a failed attempt is repeated only if nothing had
    /// been read.
    pub fn stream(stream: impl Stream<Item = io::Result<Bytes>> + Send + 'static, len: u64) -> Self {
        let pieces = StreamPieces { stream: Box::pin(stream), left: len };
        Self { len, kind: Kind::Once(Some(Box::pin(pieces))) }
    }

    /// Starts reading from the first byte.
    pub(crate) fn start(&mut self) -> io::Result<Reader> {
        match &mut self.kind {
            Kind::File(file) => {
                Ok(Box::pin(FilePieces { file: file.clone(), at: 0, len: self.len, pending: None }))
            }
            Kind::Once(reader) => {
                reader.take().ok_or_else(|| io::Error::other("the data can be read only once"))
            }
        }
    }
}

impl ProtoSource for Source {
    fn known_len(&self) -> Option<u64> {
        Some(self.len)
    }

    fn is_replayable(&self) -> bool {
        matches!(self.kind, Kind::File(_))
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

pub(crate) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> io::Result<T> + Send + 'static,
) -> io::Result<T> {
    tokio::task::spawn_blocking(work).await.map_err(io::Error::other)?
}

/// Reads where it is told, so that several attempts can share an open file.
struct FilePieces {
    file: Arc<File>,
    at: u64,
    len: u64,
    pending: Option<JoinHandle<io::Result<Bytes>>>,
}

impl FilePieces {
    fn read(&self) -> JoinHandle<io::Result<Bytes>> {
        let (file, at) = (self.file.clone(), self.at);
        let len = usize::try_from(self.len - self.at).unwrap_or(PIECE).min(PIECE);
        tokio::task::spawn_blocking(move || {
            let mut buffer = vec![0; len];
            let filled = files::read_full_at(&file, &mut buffer, at)?;
            buffer.truncate(filled);
            Ok(Bytes::from(buffer))
        })
    }
}

impl Stream for FilePieces {
    type Item = io::Result<Bytes>;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = self.get_mut();
        if this.pending.is_none() {
            if this.at >= this.len {
                return Poll::Ready(None);
            }
            this.pending = Some(this.read());
        }
        let Some(pending) = &mut this.pending else { return Poll::Ready(None) };
        let read = ready!(Pin::new(pending).poll(cx));
        this.pending = None;
        let bytes = read.map_err(io::Error::other)??;
        if bytes.is_empty() {
            this.at = this.len;
            return Poll::Ready(None);
        }
        this.at += bytes.len() as u64;
        if this.at < this.len {
            // The next piece is read while this one is sent.
            this.pending = Some(this.read());
        }
        Poll::Ready(Some(Ok(bytes)))
    }
}

struct ReaderPieces {
    reader: Pin<Box<dyn AsyncRead + Send>>,
    left: u64,
    buffer: BytesMut,
}

impl Stream for ReaderPieces {
    type Item = io::Result<Bytes>;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = self.get_mut();
        if this.left == 0 {
            return Poll::Ready(None);
        }
        let len = usize::try_from(this.left).unwrap_or(PIECE).min(PIECE);
        if this.buffer.is_empty() {
            this.buffer.resize(PIECE.min(len.max(8 * 1024)), 0);
        }
        let window = this.buffer.len().min(len);
        let mut target = ReadBuf::new(this.buffer.get_mut(..window).unwrap_or_default());
        ready!(this.reader.as_mut().poll_read(cx, &mut target))?;
        let filled = target.filled().len();
        if filled == 0 {
            this.left = 0;
            return Poll::Ready(None);
        }
        this.left -= filled as u64;
        Poll::Ready(Some(Ok(this.buffer.split_to(filled).freeze())))
    }
}

struct StreamPieces {
    stream: Reader,
    left: u64,
}

impl Stream for StreamPieces {
    type Item = io::Result<Bytes>;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = self.get_mut();
        if this.left == 0 {
            return Poll::Ready(None);
        }
        let next = ready!(this.stream.as_mut().poll_next(cx));
        if let Some(Ok(bytes)) = &next {
            // A piece that goes past the length is refused by whoever counts.
            this.left = this.left.saturating_sub(bytes.len() as u64);
        }
        Poll::Ready(next)
    }
}
