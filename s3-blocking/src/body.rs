//! A body that is read as it comes.

use std::fmt;
use std::io::{self, Read, Write};
use std::path::Path;

use bytes::Bytes;
use s3_io::{Meter, PartFile, to_io, unwritten};
use s3_proto::{Answer, Error, Machine};

use crate::run::{Delivery, Progress, Run};
use crate::transport::PIECE;

/// The body of an answer. Nothing is read before it is asked for, and each byte is counted and hashed on
/// its way: a body that ends early or is not what the service said it is ends in an error.
///
/// It is a [`Read`], and an iterator over pieces:
///
/// ```no_run
/// # fn f(client: s3_blocking::Client) -> Result<(), s3_blocking::Error> {
/// for piece in client.get_object("bucket", "key").send()?.body {
///     println!("{} bytes", piece?.len());
/// }
/// # Ok(()) }
/// ```
#[must_use = "a body is not read by itself"]
pub struct Body {
    reading: Option<(Delivery, Box<dyn Continue>)>,
    meter: Meter,
}

/// A machine whose body is being read.
pub(crate) trait Continue: Send {
    /// Tells how the body ended, and returns the rest of it, over another connection, if there is one.
    fn go_on(&mut self, delivery: Delivery, end: End) -> Result<Option<Delivery>, Error>;
}

/// How a body ended.
pub(crate) enum End {
    Complete,
    Broken(s3_proto::TransportError),
}

impl<M: Machine<Output = ()> + Send + 'static> Continue for Run<M> {
    fn go_on(&mut self, delivery: Delivery, end: End) -> Result<Option<Delivery>, Error> {
        let Delivery { id, check, download, .. } = delivery;
        // The connection is closed before another is made.
        drop(download);
        self.shared.tell(
            id,
            match end {
                End::Complete => Answer::End(Some(check)),
                End::Broken(cause) => Answer::Broken { check, cause },
            },
        );
        loop {
            match self.next() {
                Progress::Item(_) => {}
                Progress::Body(delivery) => return Ok(Some(delivery)),
                Progress::Done(result) => return result.map(|()| None),
            }
        }
    }
}

impl Body {
    pub(crate) fn new(delivery: Delivery, machine: Box<dyn Continue>) -> Self {
        let meter = Meter::new(&delivery.check);
        Self { reading: Some((delivery, machine)), meter }
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
    #[allow(clippy::should_implement_trait)] // An `Iterator` would make `Read::take` and others ambiguous.
    pub fn next(&mut self) -> Option<Result<Bytes, Error>> {
        let len = if self.meter.expected.is_some() { self.meter.reserve().clamp(1, PIECE) } else { PIECE };
        let mut piece = vec![0; len];
        match self.take_in(&mut piece) {
            Ok(0) => None,
            Ok(read) => {
                piece.truncate(read);
                Some(Ok(piece.into()))
            }
            Err(error) => Some(Err(error)),
        }
    }

    /// All of it, in memory.
    ///
    /// # Errors
    /// As [`next`](Self::next).
    pub fn collect(mut self) -> Result<Bytes, Error> {
        // With room to find that there is nothing behind it.
        let mut all = vec![0; self.meter.reserve() + 1];
        let mut filled = 0;
        loop {
            match self.take_in(all.get_mut(filled..).unwrap_or_default())? {
                0 => break,
                read => filled += read,
            }
            if filled == all.len() {
                all.resize(filled + filled.max(PIECE), 0);
            }
        }
        all.truncate(filled);
        Ok(all.into())
    }

    /// Writes all of it to `writer`, and says how many bytes there were. The writer is flushed.
    ///
    /// # Errors
    /// As [`next`](Self::next), and [`ErrorKind::LocalIo`](crate::ErrorKind) when writing fails.
    pub fn copy_to<W: Write + ?Sized>(mut self, writer: &mut W) -> Result<u64, Error> {
        while let Some(piece) = self.next().transpose()? {
            writer.write_all(&piece).map_err(unwritten)?;
        }
        writer.flush().map_err(unwritten)?;
        Ok(self.meter.received)
    }

    /// Writes all of it into a file, and says how many bytes there were. The file appears under its name when
    /// it is complete; until then it is called `.s3-<16 hexadecimal digits>.part`, beside it, and never the same twice.
    ///
    /// # Errors
    /// As [`copy_to`](Self::copy_to). The unfinished file is removed.
    pub fn into_file(self, path: impl AsRef<Path>) -> Result<u64, Error> {
        let part = PartFile::create(path.as_ref())?;
        let copied = self.copy_to(&mut &*part.file()?)?;
        part.commit()?;
        Ok(copied)
    }

    /// Reads what comes next, also over another connection; 0 is the end.
    fn take_in(&mut self, buffer: &mut [u8]) -> Result<usize, Error> {
        if buffer.is_empty() {
            return Ok(0);
        }
        while let Some((delivery, _)) = &mut self.reading {
            let end = match delivery.download.read(buffer) {
                Ok(0) => End::Complete,
                Ok(read) => {
                    if delivery.check.update(buffer.get(..read).unwrap_or_default()).is_ok() {
                        self.meter.received += read as u64;
                        return Ok(read);
                    }
                    // The machine finds the same in the check, and says of which object.
                    End::Complete
                }
                Err(cause) => End::Broken(cause),
            };
            let Some((delivery, mut machine)) = self.reading.take() else { break };
            self.reading = machine.go_on(delivery, end)?.map(|delivery| (delivery, machine));
        }
        Ok(0)
    }
}

impl Read for Body {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.take_in(buffer).map_err(to_io)
    }
}

impl IntoIterator for Body {
    type Item = Result<Bytes, Error>;
    type IntoIter = Pieces;

    fn into_iter(self) -> Pieces {
        Pieces(self)
    }
}

/// The pieces of a [`Body`], as they come. There is nothing after an error.
#[derive(Debug)]
#[must_use = "a body is not read by itself"]
pub struct Pieces(Body);

impl Iterator for Pieces {
    type Item = Result<Bytes, Error>;

    fn next(&mut self) -> Option<Self::Item> {
        self.0.next()
    }
}

impl Drop for Body {
    fn drop(&mut self) {
        if self.reading.is_some() {
            self.meter.dropped();
        }
    }
}

impl fmt::Debug for Body {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Body").field("meter", &self.meter).finish_non_exhaustive()
    }
}
