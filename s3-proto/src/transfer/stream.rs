//! An object as bytes in their order, read ahead in parallel.

use std::collections::{BTreeMap, VecDeque};
use std::ops::Range;

use bytes::{Bytes, BytesMut};

use super::Progress;
use super::download::{DownloadOptions, DownloadReport};
use super::ranges::{Event, Ranges, Target};
use crate::body::verify;
use crate::checksum::{Checksum, Hasher};
use crate::client::polled_after_done;
use crate::machine::{Answer, BodyPlan, Machine, Now, Step, TaskId};
use crate::ops::GetObject;
use crate::session::Session;
use crate::{Error, ErrorKind};

/// Downloads an object, or a range of it, as bytes: its items are the parts, in their order.
///
/// As a [`Download`](super::Download), it asks for parts in parallel and on the condition that the object stays the
/// same. At most [`concurrency`](DownloadOptions::concurrency) parts are held at a time, and no more are asked for
/// before one has been taken; a part cannot be longer than `max_response` of the configuration. From a store without
/// strong ETags the object must fit into one answer of that length.
///
/// The content is compared with the checksum of the object, whatever its kind, as the parts pass. The last bytes
/// that a checksum is of come out only if they are right: whoever has got all parts, and then the end without an error,
/// has got the object.
pub struct DownloadStream {
    ranges: Ranges,
    /// Parts that may be in flight or wait to be taken.
    most: u64,
    /// The next part to ask for, and the next to come out.
    next: u64,
    out: u64,
    ready: BTreeMap<u64, Bytes>,
    comparison: Comparison,
    known: bool,
    over: bool,
}

impl DownloadStream {
    /// A download that has not begun. `op` says which object, version and range, and carries keys and conditions.
    pub fn new(session: Session, op: GetObject, options: &DownloadOptions) -> Self {
        let part_size = options.part_size.min(session.config().max_response as u64);
        let most = options.concurrency.max(1);
        let mut ranges = Ranges::new(session, op, Target::Memory, part_size, most);
        ranges.begin();
        Self {
            ranges,
            most: most as u64,
            next: 1,
            out: 0,
            ready: BTreeMap::new(),
            comparison: Comparison::default(),
            known: false,
            over: false,
        }
    }

    /// How many bytes will come, once that is known.
    pub fn size(&self) -> Option<u64> {
        self.known.then(|| self.ranges.layout().total())
    }

    /// What is known of the download by now.
    fn report(&self) -> Result<DownloadReport, Error> {
        let known = self.ranges.known().ok_or_else(polled_after_done)?;
        Ok(DownloadReport {
            object: known.output.clone(),
            bytes: self.ranges.layout().total(),
            parts: self.ranges.layout().count(),
            resumed: 0,
            verified: self.ranges.expected().checksum().cloned(),
            retries: self.ranges.retries(),
        })
    }

    /// Asks for more parts, as many as may be held.
    fn ask(&mut self) -> bool {
        let mut asked = false;
        while self.known
            && self.next < self.ranges.layout().count()
            && self.next - self.out < self.most
            && self.ranges.has_room()
        {
            self.ranges.fetch(self.next);
            self.next += 1;
            asked = true;
        }
        asked
    }
}

impl Machine for DownloadStream {
    type Item = Bytes;
    type Output = ();

    fn poll(&mut self, now: Now) -> Step<Bytes, ()> {
        loop {
            if let Some(error) = self.ranges.take_refusal() {
                self.ranges.stop(error);
            }
            let until = match self.ranges.poll(now) {
                Event::Start(id, task) => return Step::Start(id, task),
                Event::Cancel(id) => return Step::Cancel(id),
                Event::Known => {
                    self.known = true;
                    let layout = self.ranges.layout();
                    self.comparison = Comparison::new(self.ranges.expected().segments(layout.wanted.end));
                    continue;
                }
                Event::Part(part) => {
                    self.ready.insert(part.index, part.bytes);
                    continue;
                }
                Event::Failed(error) => {
                    self.over = true;
                    return Step::Done(Err(error));
                }
                Event::Wait(until) => until,
            };
            if self.over {
                return Step::Done(Err(polled_after_done()));
            }
            if self.ask() {
                continue;
            }
            if self.known && self.out == self.ranges.layout().count() {
                self.over = true;
                return Step::Done(Ok(()));
            }
            let Some(bytes) = self.ready.remove(&self.out) else { return Step::Wait(until) };
            if let Err(error) = self.comparison.update(&bytes) {
                self.ranges.stop(error);
                continue;
            }
            self.out += 1;
            if !bytes.is_empty() {
                return Step::Item(bytes);
            }
        }
    }

    fn answer(&mut self, now: Now, id: TaskId, answer: Answer<'_>) -> BodyPlan {
        self.ranges.answer(now, id, answer)
    }

    fn cancel(&mut self, _: Now) {
        if !self.over {
            self.ready.clear();
            self.ranges.stop(Error::cancelled());
        }
    }
}

/// Bytes that pass in order, compared with checksums of ranges that follow one another.
#[derive(Debug, Default)]
struct Comparison {
    segments: VecDeque<(Range<u64>, Checksum)>,
    at: u64,
    hasher: Option<Hasher>,
}

impl Comparison {
    fn new(segments: Vec<(Range<u64>, Checksum)>) -> Self {
        Self { segments: segments.into(), at: 0, hasher: None }
    }

    fn update(&mut self, mut bytes: &[u8]) -> Result<(), Error> {
        while let Some((range, checksum)) = self.segments.front() {
            let mut hasher = match self.hasher.take() {
                Some(hasher) => hasher,
                None => Hasher::new(checksum.algorithm())?,
            };
            let left = usize::try_from(range.end - self.at).unwrap_or(usize::MAX);
            let (these, rest) = bytes.split_at(left.min(bytes.len()));
            hasher.update(these);
            self.at += these.len() as u64;
            if self.at < range.end {
                self.hasher = Some(hasher);
                return Ok(());
            }
            verify(&hasher.finish(), checksum)?;
            self.segments.pop_front();
            bytes = rest;
        }
        Ok(())
    }
}

/// An object that was taken into memory.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Downloaded {
    /// The bytes.
    pub bytes: Bytes,
    /// How they came.
    pub report: DownloadReport,
}

/// Downloads an object, or a range of it, into memory: a [`DownloadStream`] to its end.
pub struct DownloadToMemory {
    stream: DownloadStream,
    most: u64,
    bytes: BytesMut,
    failure: Option<Error>,
}

/// What is reserved on a mere promise.
const RESERVE: u64 = 64 << 20;

impl DownloadToMemory {
    /// A download that has not begun. `op` says which object, version and range, and carries keys and conditions.
    pub fn new(session: Session, op: GetObject, options: &DownloadOptions) -> Self {
        let stream = DownloadStream::new(session, op, options);
        Self { stream, most: options.max_in_memory, bytes: BytesMut::new(), failure: None }
    }

    /// Stops before more is asked for than may be taken.
    fn check_size(&mut self) {
        let Some(size) = self.stream.size().filter(|_| self.failure.is_none() && !self.stream.over) else {
            return;
        };
        if size > self.most {
            let message = format!(
                "with {size} bytes it is longer than the {} that are taken into memory: raise the limit, download \
                 it into a file, or as a stream",
                self.most
            );
            let error = self.stream.ranges.describe(Error::new(ErrorKind::InvalidInput, message));
            self.stream.ranges.stop(error.clone());
            self.failure = Some(error);
        } else if self.bytes.capacity() == 0 {
            self.bytes.reserve(usize::try_from(size.min(RESERVE)).unwrap_or(0));
        }
    }
}

impl DownloadToMemory {
    fn progress(&self) -> Progress {
        let parts = |n: u64| u32::try_from(n).unwrap_or(u32::MAX);
        Progress {
            bytes: self.bytes.len() as u64,
            total: self.stream.size(),
            parts: parts(self.stream.out),
            total_parts: self.stream.known.then(|| parts(self.stream.ranges.layout().count())),
            retries: parts(self.stream.ranges.retries()),
            ..Progress::default()
        }
    }
}

impl Machine for DownloadToMemory {
    type Item = Progress;
    type Output = Downloaded;

    fn poll(&mut self, now: Now) -> Step<Progress, Downloaded> {
        loop {
            let step = self.stream.poll(now);
            self.check_size();
            match step {
                Step::Item(bytes) => {
                    self.bytes.extend_from_slice(&bytes);
                    return Step::Item(self.progress());
                }
                Step::Start(id, task) => return Step::Start(id, task),
                Step::Cancel(id) => return Step::Cancel(id),
                Step::Wait(_) if self.failure.is_some() && !self.stream.over => {}
                Step::Wait(until) => return Step::Wait(until),
                Step::Done(result) => {
                    return Step::Done(result.and_then(|()| {
                        let bytes = std::mem::take(&mut self.bytes).freeze();
                        Ok(Downloaded { bytes, report: self.stream.report()? })
                    }));
                }
            }
        }
    }

    fn answer(&mut self, now: Now, id: TaskId, answer: Answer<'_>) -> BodyPlan {
        self.stream.answer(now, id, answer)
    }

    fn cancel(&mut self, now: Now) {
        self.stream.cancel(now);
    }
}
