//! What is uploaded, other than bytes in memory.

use std::fmt;
use std::fs::File;
use std::future::Future;
use std::io;
use std::marker::PhantomData;
use std::path::Path;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::{Bytes, BytesMut};
use futures_util::{Stream, StreamExt as _, stream};
use s3_proto::SourceError;

use super::runtime::Runtime;
use crate::pieces::too_many;
use crate::{Buffers, Once, files, read_already};

/// The pieces that a source gives.
pub type Reader = Pin<Box<dyn Stream<Item = io::Result<Bytes>> + Send>>;

/// How much is read at a time.
const PIECE: usize = 256 * 1024;

/// Data to upload that is not held in memory.
pub struct Source {
    len: Option<u64>,
    kind: Kind,
}

enum Kind {
    File(Arc<File>),
    Once(Once<Reader>),
}

impl Source {
    /// A file, as long as it is now.
    ///
    /// # Errors
    /// When it cannot be opened, or is no regular file.
    pub async fn file<R: Runtime>(path: impl AsRef<Path>) -> io::Result<Self> {
        let path = path.as_ref().to_owned();
        let (file, len) = R::blocking(move || files::open_source(&path)).await??;
        Ok(Self { len: Some(len), kind: Kind::File(Arc::new(file)) })
    }

    /// What `poll_read` puts into the buffers that it is given, until it gives none or `len` have come.
    pub fn reader<F>(poll_read: F, len: Option<u64>) -> Self
    where
        F: FnMut(&mut Context<'_>, &mut [u8]) -> Poll<io::Result<usize>> + Send + Unpin + 'static,
    {
        Self::once(ReaderPieces { poll_read, left: len, buffer: BytesMut::new() }, len)
    }

    /// A stream of `len` bytes.
    pub fn stream(stream: impl Stream<Item = io::Result<Bytes>> + Send + 'static, len: Option<u64>) -> Self {
        Self::once(StreamPieces { stream: Box::pin(stream), left: len }, len)
    }

    fn once(pieces: impl Stream<Item = io::Result<Bytes>> + Send + 'static, len: Option<u64>) -> Self {
        Self { len, kind: Kind::Once(Once::new(Box::pin(pieces))) }
    }

    /// How many bytes there are, if that is known.
    pub fn known_len(&self) -> Option<u64> {
        self.len
    }

    /// Whether any range can be read, as often as needed.
    pub fn is_replayable(&self) -> bool {
        matches!(self.kind, Kind::File(_))
    }

    /// Reads `len` bytes from `offset` on.
    ///
    /// # Errors
    /// When the data can be read once only, and that has been done, or only a part of it is wanted.
    pub fn range<R: Runtime>(&self, offset: u64, len: u64) -> io::Result<Reader> {
        match &self.kind {
            Kind::File(file) => Ok(file_range::<R>(file.clone(), offset, len)),
            Kind::Once(once) if offset == 0 && self.len.is_none_or(|all| all == len) => borrow(once),
            Kind::Once(_) => Err(read_already()),
        }
    }

    /// Reads all of it, in pieces that are asked for.
    pub(crate) fn filler<R: Runtime>(&self) -> io::Result<Filler> {
        let reader = match &self.kind {
            Kind::File(file) => file_range::<R>(file.clone(), 0, self.len.unwrap_or(u64::MAX)),
            Kind::Once(once) => borrow(once)?,
        };
        Ok(Filler { reader, rest: Bytes::new(), buffers: Buffers::default() })
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

/// Reads `len` bytes of a file from `offset` on.
pub(crate) fn file_range<R: Runtime>(file: Arc<File>, offset: u64, len: u64) -> Reader {
    let end = offset.saturating_add(len);
    Box::pin(FilePieces::<R> {
        file,
        at: offset,
        end,
        pending: None,
        buffers: Buffers::default(),
        runtime: PhantomData,
    })
}

fn borrow(once: &Once<Reader>) -> io::Result<Reader> {
    let mut borrowed = once.borrow()?;
    Ok(Box::pin(stream::poll_fn(move |cx| match borrowed.reader() {
        Ok(reader) => reader.as_mut().poll_next(cx),
        Err(error) => Poll::Ready(Some(Err(error))),
    })))
}

/// Reads where it is told, so that several requests can share an open file.
struct FilePieces<R> {
    file: Arc<File>,
    at: u64,
    end: u64,
    pending: Option<Pin<Box<dyn Future<Output = io::Result<Bytes>> + Send>>>,
    buffers: Buffers,
    runtime: PhantomData<fn() -> R>,
}

impl<R: Runtime> FilePieces<R> {
    fn read(&mut self) {
        let (file, at) = (self.file.clone(), self.at);
        let len = usize::try_from(self.end - self.at).unwrap_or(PIECE).min(PIECE);
        let mut buffer = self.buffers.take(len);
        let read = R::blocking(move || {
            let filled = files::read_full_at(&file, &mut buffer, at)?;
            buffer.truncate(filled);
            Ok(buffer.freeze())
        });
        self.pending = (len > 0).then(|| Box::pin(async move { read.await? }) as _);
    }
}

impl<R: Runtime> Stream for FilePieces<R> {
    type Item = io::Result<Bytes>;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = self.get_mut();
        if this.pending.is_none() && this.at < this.end {
            this.read();
        }
        let Some(pending) = &mut this.pending else { return Poll::Ready(None) };
        let bytes = ready!(pending.as_mut().poll(cx));
        this.pending = None;
        let bytes = bytes?;
        if bytes.is_empty() {
            this.at = this.end;
            return Poll::Ready(None);
        }
        this.at += bytes.len() as u64;
        if this.at < this.end {
            // The next piece is read while this one is sent.
            this.read();
            this.buffers.lend(&bytes);
        }
        Poll::Ready(Some(Ok(bytes)))
    }
}

struct ReaderPieces<F> {
    poll_read: F,
    left: Option<u64>,
    buffer: BytesMut,
}

impl<F> Stream for ReaderPieces<F>
where
    F: FnMut(&mut Context<'_>, &mut [u8]) -> Poll<io::Result<usize>> + Unpin,
{
    type Item = io::Result<Bytes>;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = self.get_mut();
        if this.left == Some(0) {
            return Poll::Ready(None);
        }
        let len = this.left.and_then(|left| usize::try_from(left).ok()).unwrap_or(PIECE).min(PIECE);
        if this.buffer.is_empty() {
            this.buffer.resize(len.max(8 * 1024), 0);
        }
        let window = this.buffer.len().min(len);
        let target = this.buffer.get_mut(..window).unwrap_or_default();
        let filled = ready!((this.poll_read)(cx, target))?.min(window);
        if filled == 0 {
            this.left = Some(0);
            return Poll::Ready(None);
        }
        this.left = this.left.map(|left| left - filled as u64);
        Poll::Ready(Some(Ok(this.buffer.split_to(filled).freeze())))
    }
}

struct StreamPieces {
    stream: Reader,
    left: Option<u64>,
}

impl Stream for StreamPieces {
    type Item = io::Result<Bytes>;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = self.get_mut();
        if this.left == Some(0) {
            return Poll::Ready(None);
        }
        let next = ready!(this.stream.as_mut().poll_next(cx));
        let (next, left) = match (next, this.left) {
            (Some(Ok(bytes)), Some(left)) => match left.checked_sub(bytes.len() as u64) {
                Some(left) => (Some(Ok(bytes)), Some(left)),
                // It is refused, rather than cut: whoever asks for as much as was announced would see no more of it.
                None => (Some(Err(too_many())), Some(0)),
            },
            (Some(Ok(bytes)), None) => (Some(Ok(bytes)), None),
            // Streams need not bear being asked after their end.
            (end, _) => (end, Some(0)),
        };
        this.left = left;
        Poll::Ready(next)
    }
}

/// Reads a source piece by piece, each as long as it is asked for.
pub(crate) struct Filler {
    reader: Reader,
    /// What was read beyond the last piece.
    rest: Bytes,
    buffers: Buffers,
}

impl Filler {
    /// The next `len` bytes, or fewer at the end.
    pub(crate) async fn fill(&mut self, len: usize) -> Result<Bytes, SourceError> {
        let mut filled = BytesMut::new();
        loop {
            let missing = len - filled.len();
            if filled.is_empty() && self.rest.len() >= missing {
                return Ok(self.rest.split_to(missing));
            }
            if filled.is_empty() && !self.rest.is_empty() {
                filled = self.buffers.take(len);
                filled.clear();
            }
            filled.extend_from_slice(&self.rest.split_to(self.rest.len().min(missing)));
            if filled.len() == len {
                break;
            }
            match self.reader.next().await.transpose()? {
                Some(bytes) => self.rest = bytes,
                None => break,
            }
        }
        let filled = filled.freeze();
        self.buffers.lend(&filled);
        Ok(filled)
    }
}
