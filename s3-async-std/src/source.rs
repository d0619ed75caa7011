//! What is uploaded, other than bytes in memory.

use std::io;
use std::path::Path;

use bytes::Bytes;
use futures_core::Stream;
use futures_io::AsyncRead;

use crate::AsyncStd;

/// Data to upload that is not held in memory: a file, a reader or a stream.
///
/// ```no_run
/// # async fn f() -> std::io::Result<()> {
/// let source = s3_async_std::Source::file("backup.tar").await?;
/// # Ok(()) }
/// ```
#[derive(Debug)]
pub struct Source(s3_io::driver::Source);

impl Source {
    /// A file, as long as it is now. It can be read again, so a failed attempt is repeated.
    ///
    /// # Errors
    /// When it cannot be opened, or is no file.
    pub async fn file(path: impl AsRef<Path>) -> io::Result<Self> {
        s3_io::driver::Source::file::<AsyncStd>(path).await.map(Self)
    }

    /// The next `len` bytes of a reader. They can be read once, so a failed attempt is repeated only if
    /// nothing had been read.
    pub fn reader(reader: impl AsyncRead + Send + 'static, len: u64) -> Self {
        Self::read(reader, Some(len))
    }

    /// A reader to its end, wherever that is: for transfers that send an object in parts. A single request
    /// must say how long it is.
    pub fn unsized_reader(reader: impl AsyncRead + Send + 'static) -> Self {
        Self::read(reader, None)
    }

    /// A stream of `len` bytes. It can be read once, so a failed attempt is repeated only if nothing had
    /// been read.
    pub fn stream(stream: impl Stream<Item = io::Result<Bytes>> + Send + 'static, len: u64) -> Self {
        Self(s3_io::driver::Source::stream(stream, Some(len)))
    }

    /// A stream to its end, wherever that is: for transfers, as [`unsized_reader`](Self::unsized_reader).
    pub fn unsized_stream(stream: impl Stream<Item = io::Result<Bytes>> + Send + 'static) -> Self {
        Self(s3_io::driver::Source::stream(stream, None))
    }

    fn read(reader: impl AsyncRead + Send + 'static, len: Option<u64>) -> Self {
        let mut reader = Box::pin(reader);
        Self(s3_io::driver::Source::reader(move |cx, buffer| reader.as_mut().poll_read(cx, buffer), len))
    }
}

impl s3_proto::client::Source for Source {
    fn known_len(&self) -> Option<u64> {
        self.0.known_len()
    }

    fn is_replayable(&self) -> bool {
        self.0.is_replayable()
    }
}

impl From<Source> for s3_io::driver::Source {
    fn from(source: Source) -> Self {
        source.0
    }
}
