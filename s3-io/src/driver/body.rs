//! A body that is read as it comes.

use std::fmt;
use std::io;
use std::path::Path;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::{Bytes, BytesMut};
use futures_util::Stream;
use s3_proto::{Answer, Error, Machine, TaskId, TransportError};

use super::run::{Delivery, Progress, Run};
use super::runtime::Runtime;
use super::sink::Writer;
use crate::{Meter, PartFile, to_io, unwritten};

/// The body of an answer. Nothing is read before it is asked for, and each byte is counted and hashed on
/// its way: a body that ends early or is not what the service said it is ends in an error.
///
/// It is a [`Stream`] of [`Bytes`]; what a driver makes of it is a reader, too.
#[must_use = "a body is not read by itself"]
pub struct Body {
    state: State,
    /// What a reader has had no room for of a chunk.
    rest: Bytes,
    meter: Meter,
}

enum State {
    Reading(Delivery, Box<dyn Continue>),
    /// The machine is making up its mind.
    Ending(Box<dyn Continue>),
    Over,
}

/// What follows the end of a body.
pub(crate) enum Next {
    /// The rest of it, over another connection.
    More(Delivery),
    End(Result<(), Error>),
}

/// A machine whose body is being read.
pub(crate) trait Continue: Send {
    /// Whether the user wants no more; if not yet, the task is woken then.
    fn poll_cancelled(&self, cx: &Context<'_>) -> bool;
    /// Tells the machine how the body ended.
    fn end(&mut self, id: TaskId, answer: Answer<'static>);
    /// What follows.
    fn poll_on(&mut self, cx: &mut Context<'_>) -> Poll<Next>;
}

/// How a body ended.
enum Ended {
    Complete,
    Broken(TransportError),
    /// The user wants no more.
    Cancelled,
}

impl<R: Runtime, M: Machine<Output = ()> + Send + 'static> Continue for Run<R, M> {
    fn poll_cancelled(&self, cx: &Context<'_>) -> bool {
        self.poll_cancelled(cx)
    }

    fn end(&mut self, id: TaskId, answer: Answer<'static>) {
        self.answer(id, answer);
    }

    fn poll_on(&mut self, cx: &mut Context<'_>) -> Poll<Next> {
        loop {
            match ready!(self.poll_next(cx)) {
                Progress::Item(_) => {}
                Progress::Body(delivery) => return Poll::Ready(Next::More(delivery)),
                Progress::Done(result) => return Poll::Ready(Next::End(result)),
            }
        }
    }
}

impl Body {
    pub(crate) fn new(delivery: Delivery, machine: Box<dyn Continue>) -> Self {
        let meter = Meter::new(&delivery.check);
        Self { state: State::Reading(delivery, machine), rest: Bytes::new(), meter }
    }

    /// How many bytes the body has, if the service has said so.
    pub fn content_length(&self) -> Option<u64> {
        self.meter.expected
    }

    /// How many bytes have come so far.
    pub fn received(&self) -> u64 {
        self.meter.received
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
        let mut all = BytesMut::with_capacity(first.len() + second.len() + self.meter.reserve());
        all.extend_from_slice(&first);
        all.extend_from_slice(&second);
        while let Some(chunk) = self.next().await.transpose()? {
            all.extend_from_slice(&chunk);
        }
        Ok(all.freeze())
    }

    /// Writes all of it into a file, and says how many bytes there were. The file appears under its name when
    /// it is complete; until then it is called `.s3-<16 hexadecimal digits>.part`, beside it, and never the same twice.
    ///
    /// # Errors
    /// As [`next`](Self::next), and [`ErrorKind::LocalIo`](s3_proto::ErrorKind) when writing fails. The unfinished file is removed.
    pub async fn into_file<R: Runtime>(mut self, path: impl AsRef<Path>) -> Result<u64, Error> {
        let path = path.as_ref().to_owned();
        let part = R::blocking(move || PartFile::create(&path)).await.map_err(unwritten)??;
        let mut writer = Writer::<R>::new(part.file()?, 0);
        while let Some(chunk) = self.next().await.transpose()? {
            writer.write(chunk).await.map_err(|error| part.failed(error))?;
        }
        writer.finish().await.map_err(|error| part.failed(error))?;
        R::blocking(move || part.commit()).await.map_err(unwritten)??;
        Ok(self.meter.received)
    }

    /// The next bytes, at most as many as there is room for; none at the end.
    ///
    /// # Errors
    /// As [`next`](Self::next), as an error of I/O.
    pub fn poll_read(&mut self, cx: &mut Context<'_>, room: usize) -> Poll<io::Result<Bytes>> {
        if room == 0 {
            return Poll::Ready(Ok(Bytes::new()));
        }
        let mut chunk = ready!(self.poll_chunk(cx)).transpose().map_err(to_io)?.unwrap_or_default();
        let taken = chunk.split_to(chunk.len().min(room));
        self.rest = chunk;
        Poll::Ready(Ok(taken))
    }

    fn poll_chunk(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, Error>>> {
        if !self.rest.is_empty() {
            return Poll::Ready(Some(Ok(std::mem::take(&mut self.rest))));
        }
        loop {
            let ended = match &mut self.state {
                State::Reading(_, machine) if machine.poll_cancelled(cx) => Ended::Cancelled,
                State::Over => return Poll::Ready(None),
                State::Ending(machine) => {
                    let next = ready!(machine.poll_on(cx));
                    let State::Ending(machine) = std::mem::replace(&mut self.state, State::Over) else {
                        return Poll::Ready(None);
                    };
                    match next {
                        Next::More(delivery) => {
                            self.state = State::Reading(delivery, machine);
                            continue;
                        }
                        Next::End(result) => return Poll::Ready(result.err().map(Err)),
                    }
                }
                State::Reading(delivery, _) => match ready!(delivery.download.poll_chunk(cx)) {
                    Some(Ok(chunk)) => {
                        if delivery.check.update(&chunk).is_ok() {
                            self.meter.received += chunk.len() as u64;
                            return Poll::Ready(Some(Ok(chunk)));
                        }
                        // The machine finds the same in the check, and says of which object.
                        Ended::Complete
                    }
                    Some(Err(cause)) => Ended::Broken(cause),
                    None => Ended::Complete,
                },
            };
            let State::Reading(delivery, mut machine) = std::mem::replace(&mut self.state, State::Over)
            else {
                return Poll::Ready(None);
            };
            let Delivery { id, check, .. } = delivery;
            match ended {
                Ended::Complete => machine.end(id, Answer::End(Some(check))),
                Ended::Broken(cause) => machine.end(id, Answer::Broken { check, cause }),
                // The machine is told as soon as it goes on.
                Ended::Cancelled => {}
            }
            self.state = State::Ending(machine);
        }
    }
}

impl Stream for Body {
    type Item = Result<Bytes, Error>;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.get_mut().poll_chunk(cx)
    }
}

impl Drop for Body {
    fn drop(&mut self) {
        if matches!(self.state, State::Reading(..)) {
            self.meter.dropped();
        }
    }
}

impl fmt::Debug for Body {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Body").field("meter", &self.meter).finish_non_exhaustive()
    }
}
