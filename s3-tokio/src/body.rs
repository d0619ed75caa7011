//! A body that is read as it comes.

use std::fmt;
use std::future::Future;
use std::io;
use std::path::Path;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::{Buf as _, Bytes, BytesMut};
use futures_core::Stream;
use s3_proto::{Answer, BodyCheck, Error, ErrorKind, Machine, TaskId, TransportError};
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt as _, ReadBuf};

use crate::drive::{Delivery, Progress, Run};

/// The body of an answer. Nothing is read before it is asked for, and each byte is counted and hashed on
/// its way: a body that ends early or is not what the service said it is ends in an error.
///
/// It is a [`Stream`] of [`Bytes`] and an [`AsyncRead`].
#[must_use = "a body is not read by itself"]
pub struct Body {
    state: State,
    /// What [`AsyncRead`] has not handed over of a chunk.
    rest: Bytes,
    received: u64,
    expected: Option<u64>,
}

enum State {
    Reading(Delivery, Box<dyn Continue>),
    /// The machine is making up its mind.
    Ending(Pin<Box<dyn Future<Output = Next> + Send>>),
    Over,
}

/// What follows the end of a body.
pub(crate) enum Next {
    /// The rest of it, over another connection.
    More(Delivery, Box<dyn Continue>),
    End(Result<(), Error>),
}

/// A machine whose body is being read.
pub(crate) trait Continue: Send {
    fn go_on(self: Box<Self>, id: TaskId, end: End) -> Pin<Box<dyn Future<Output = Next> + Send>>;
}

/// How a body ended.
pub(crate) enum End {
    Complete(Box<BodyCheck>),
    Broken(Box<BodyCheck>, TransportError),
}

impl<M: Machine<Output = ()> + Send + 'static> Continue for Run<M> {
    fn go_on(mut self: Box<Self>, id: TaskId, end: End) -> Pin<Box<dyn Future<Output = Next> + Send>> {
        self.delivered(
            id,
            match end {
                End::Complete(check) => Answer::End(Some(check)),
                End::Broken(check, cause) => Answer::Broken { check, cause },
            },
        );
        Box::pin(async move {
            loop {
                match self.next().await {
                    Progress::Item(_) => {}
                    Progress::Body(delivery) => return Next::More(delivery, self),
                    Progress::Done(result) => return Next::End(result),
                }
            }
        })
    }
}

impl Body {
    pub(crate) fn new(delivery: Delivery, machine: Box<dyn Continue>) -> Self {
        let expected = delivery.check.expected_len();
        Self { state: State::Reading(delivery, machine), rest: Bytes::new(), received: 0, expected }
    }

    /// How many bytes the body has, if the service has said so.
    pub fn content_length(&self) -> Option<u64> {
        self.expected
    }

    /// How many bytes have come so far.
    pub fn received(&self) -> u64 {
        self.received
    }

    /// The next piece; `None` when all has come, and has been found to be right.
    ///
    /// # Errors
    /// When the body breaks off, stalls, or is not what the service said it is. There is nothing after an
    /// error.
    pub async fn next(&mut self) -> Option<Result<Bytes, Error>> {
        std::future::poll_fn(|cx| self.poll_chunk(cx)).await
    }

    /// All of it, in memory.
    ///
    /// # Errors
    /// As [`next`](Self::next).
    pub async fn collect(mut self) -> Result<Bytes, Error> {
        let Some(first) = self.next().await.transpose()? else { return Ok(Bytes::new()) };
        let Some(second) = self.next().await.transpose()? else { return Ok(first) };
        let mut all = BytesMut::with_capacity(self.capacity(first.len() + second.len()));
        all.extend_from_slice(&first);
        all.extend_from_slice(&second);
        while let Some(chunk) = self.next().await.transpose()? {
            all.extend_from_slice(&chunk);
        }
        Ok(all.freeze())
    }

    /// What to reserve: what was announced, but no more on a mere promise than a server could be lying about.
    fn capacity(&self, least: usize) -> usize {
        const MOST: u64 = 64 * 1024 * 1024;
        let announced = self.expected.unwrap_or_default().min(MOST);
        usize::try_from(announced).unwrap_or_default().max(least)
    }

    /// Writes all of it to `writer`, and says how many bytes there were. The writer is flushed, not shut
    /// down.
    ///
    /// # Errors
    /// As [`next`](Self::next), and [`ErrorKind::LocalIo`] when writing fails.
    pub async fn copy_to<W: AsyncWrite + Unpin + ?Sized>(mut self, writer: &mut W) -> Result<u64, Error> {
        let mut copied = 0;
        while let Some(chunk) = self.next().await.transpose()? {
            writer.write_all(&chunk).await.map_err(|error| local("writing the body", error))?;
            copied += chunk.len() as u64;
        }
        writer.flush().await.map_err(|error| local("writing the body", error))?;
        Ok(copied)
    }

    /// Writes all of it into a file, and says how many bytes there were. The file appears under its name when
    /// it is complete; until then it is called `<name>.part`.
    ///
    /// # Errors
    /// As [`copy_to`](Self::copy_to). The unfinished file is removed.
    pub async fn into_file(self, path: impl AsRef<Path>) -> Result<u64, Error> {
        let path = path.as_ref();
        let Some(name) = path.file_name() else {
            return Err(Error::invalid_input(format!("{} does not name a file", path.display())));
        };
        let mut part = name.to_owned();
        part.push(".part");
        let part = path.with_file_name(part);
        let what = || format!("writing {}", path.display());
        let copied = async {
            let mut file = tokio::fs::File::create(&part).await.map_err(|error| local(what(), error))?;
            let copied = self.copy_to(&mut file).await?;
            drop(file);
            tokio::fs::rename(&part, path).await.map_err(|error| local(what(), error))?;
            Ok(copied)
        }
        .await;
        if copied.is_err() {
            // Whatever keeps it there is less than what went wrong before.
            let _ = tokio::fs::remove_file(&part).await;
        }
        copied
    }

    fn poll_chunk(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, Error>>> {
        if !self.rest.is_empty() {
            return Poll::Ready(Some(Ok(std::mem::take(&mut self.rest))));
        }
        loop {
            let end = match &mut self.state {
                State::Over => return Poll::Ready(None),
                State::Ending(ending) => match ready!(ending.as_mut().poll(cx)) {
                    Next::More(delivery, machine) => {
                        self.state = State::Reading(delivery, machine);
                        continue;
                    }
                    Next::End(result) => {
                        self.state = State::Over;
                        return Poll::Ready(result.err().map(Err));
                    }
                },
                State::Reading(delivery, _) => match ready!(delivery.download.poll_chunk(cx)) {
                    Some(Ok(chunk)) => {
                        if delivery.check.update(&chunk).is_ok() {
                            self.received += chunk.len() as u64;
                            return Poll::Ready(Some(Ok(chunk)));
                        }
                        // The machine finds the same in the check, and says of which object.
                        None
                    }
                    Some(Err(cause)) => Some(cause),
                    None => None,
                },
            };
            let State::Reading(delivery, machine) = std::mem::replace(&mut self.state, State::Over) else {
                return Poll::Ready(None);
            };
            let Delivery { id, check, .. } = delivery;
            let end = match end {
                None => End::Complete(check),
                Some(cause) => End::Broken(check, cause),
            };
            self.state = State::Ending(machine.go_on(id, end));
        }
    }
}

fn local(what: impl fmt::Display, error: io::Error) -> Error {
    Error::new(ErrorKind::LocalIo, format!("{what} failed: {error}")).with_source(error)
}

impl Stream for Body {
    type Item = Result<Bytes, Error>;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.get_mut().poll_chunk(cx)
    }
}

impl AsyncRead for Body {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if buffer.remaining() == 0 {
            return Poll::Ready(Ok(()));
        }
        let Some(mut chunk) = ready!(this.poll_chunk(cx)).transpose().map_err(to_io)? else {
            return Poll::Ready(Ok(()));
        };
        let taken = chunk.len().min(buffer.remaining());
        buffer.put_slice(chunk.get(..taken).unwrap_or_default());
        chunk.advance(taken);
        this.rest = chunk;
        Poll::Ready(Ok(()))
    }
}

fn to_io(error: Error) -> io::Error {
    let kind = match error.kind() {
        ErrorKind::TruncatedBody => io::ErrorKind::UnexpectedEof,
        ErrorKind::Timeout => io::ErrorKind::TimedOut,
        ErrorKind::ChecksumMismatch | ErrorKind::MalformedResponse => io::ErrorKind::InvalidData,
        _ => io::ErrorKind::Other,
    };
    io::Error::new(kind, error)
}

impl Drop for Body {
    fn drop(&mut self) {
        let unread = matches!(self.state, State::Reading(..)) && self.expected != Some(self.received);
        if unread {
            let expected = self.expected.map_or_else(|| "unknown".to_owned(), |len| len.to_string());
            tracing::debug!(received = self.received, expected, "body dropped half-way");
        }
    }
}

impl fmt::Debug for Body {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Body")
            .field("received", &self.received)
            .field("expected", &self.expected)
            .finish_non_exhaustive()
    }
}
