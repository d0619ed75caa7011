//! A body that is read as it comes.

use std::io;
use std::ops::{Deref, DerefMut};
use std::path::Path;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use async_std::io::WriteExt as _;
use bytes::Bytes;
use futures_core::Stream;
use futures_io::{AsyncRead, AsyncWrite};
use s3_io::unwritten;
use s3_proto::Error;

use crate::AsyncStd;

/// The body of an answer. Nothing is read before it is asked for, and each byte is counted and hashed on
/// its way: a body that ends early or is not what the service said it is ends in an error.
///
/// It is a [`Stream`] of [`Bytes`] and an [`AsyncRead`].
///
/// ```no_run
/// # async fn f(client: s3_async_std::Client) -> Result<(), s3_async_std::Error> {
/// let mut body = client.get_object("bucket", "key").await?.body;
/// while let Some(chunk) = body.next().await {
///     println!("{} more bytes", chunk?.len());
/// }
/// # Ok(()) }
/// ```
#[derive(Debug)]
#[must_use = "a body is not read by itself"]
pub struct Body(s3_io::driver::Body);

impl Body {
    /// All of it, in memory.
    ///
    /// # Errors
    /// When it breaks off, stalls, or is not what the service said it is.
    pub async fn collect(self) -> Result<Bytes, Error> {
        self.0.collect().await
    }

    /// Writes all of it to `writer`, and says how many bytes there were. The writer is flushed, not closed.
    ///
    /// # Errors
    /// As [`collect`](Self::collect), and [`ErrorKind::LocalIo`](crate::ErrorKind) when writing fails.
    pub async fn copy_to<W: AsyncWrite + Unpin + ?Sized>(mut self, writer: &mut W) -> Result<u64, Error> {
        while let Some(chunk) = self.next().await.transpose()? {
            writer.write_all(&chunk).await.map_err(unwritten)?;
        }
        writer.flush().await.map_err(unwritten)?;
        Ok(self.received())
    }

    /// Writes all of it into a file, and says how many bytes there were. The file appears under its name when
    /// it is complete; until then it is called `.s3-<16 hexadecimal digits>.part`, beside it, and never the same
    /// twice. It is removed if it comes to nothing.
    ///
    /// # Errors
    /// As [`copy_to`](Self::copy_to).
    pub async fn into_file(self, path: impl AsRef<Path>) -> Result<u64, Error> {
        self.0.into_file::<AsyncStd>(path).await
    }
}

impl Deref for Body {
    type Target = s3_io::driver::Body;

    fn deref(&self) -> &Self::Target {
        &self.0
    }
}

impl DerefMut for Body {
    fn deref_mut(&mut self) -> &mut Self::Target {
        &mut self.0
    }
}

impl From<s3_io::driver::Body> for Body {
    fn from(body: s3_io::driver::Body) -> Self {
        Self(body)
    }
}

impl Stream for Body {
    type Item = Result<Bytes, Error>;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        Pin::new(&mut self.get_mut().0).poll_next(cx)
    }
}

impl AsyncRead for Body {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut [u8]) -> Poll<io::Result<usize>> {
        let bytes = ready!(self.get_mut().0.poll_read(cx, buffer.len()))?;
        if let Some(target) = buffer.get_mut(..bytes.len()) {
            target.copy_from_slice(&bytes);
        }
        Poll::Ready(Ok(bytes.len()))
    }
}
