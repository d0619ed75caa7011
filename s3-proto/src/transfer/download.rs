//! An object into a file.

use std::collections::VecDeque;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::download_checkpoint::{DownloadCheckpoint, DownloadedPart};
use super::errands::{Errands, Outcome};
use super::known::{Expected, combined};
use super::ranges::{Event, Layout, Part, Ranges, Target};
use super::{DEFAULT_CONCURRENCY, Progress};
use crate::body::verify;
use crate::checksum::{Checksum, ChecksumAlgorithm, Hasher};
use crate::client::polled_after_done;
use crate::encode::hex;
use crate::files::{FileId, FileReply, FileTask, part_name};
use crate::machine::{Answer, BodyPlan, Instant, Machine, Now, Step, Task, TaskId};
use crate::ops::{GetObject, GetObjectOutput};
use crate::session::Session;
use crate::{Error, ErrorKind, Secret};

/// How a download is carried out. Plain data: change any field.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct DownloadOptions {
    /// Bytes of a part, and of the first request, which is the only one for objects that are not longer.
    /// Default 8 MiB. In a file, parts are made longer where it would take more than 10,000.
    pub part_size: u64,
    /// How many parts are asked for at once, at most; fewer where the service asks to slow down. Default 8.
    pub concurrency: usize,
    /// Where to keep a [`DownloadCheckpoint`], from which the same download goes on if there is one. For files
    /// only.
    pub checkpoint: Option<PathBuf>,
    /// The longest object, in bytes, that is taken into memory whole. Default 1 GiB.
    pub max_in_memory: u64,
}

impl Default for DownloadOptions {
    fn default() -> Self {
        Self {
            part_size: 8 << 20,
            concurrency: DEFAULT_CONCURRENCY,
            checkpoint: None,
            max_in_memory: 1 << 30,
        }
    }
}

/// What a download came to.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct DownloadReport {
    /// What the service says of the object; `content_length` is that of all of it.
    pub object: GetObjectOutput,
    /// How many bytes were wanted, and are there now.
    pub bytes: u64,
    /// In how many parts they came.
    pub parts: u64,
    /// How many of the bytes were there already, from a download before this.
    pub resumed: u64,
    /// The service's checksum of the object, to which the bytes were compared. `None` if it has none, or none that
    /// can be computed here, if only a range was wanted, or if checksums are turned off.
    pub verified: Option<Checksum>,
    /// How many requests had to be repeated.
    pub retries: u64,
}

/// Downloads an object, or a range of it, into a file.
///
/// The first request asks for the first part, and tells of the object. The other parts are asked for in parallel, each
/// on the condition that the object still has the ETag of the first: one that changes meanwhile is an error
/// ([`ErrorKind::PreconditionFailed`]), and never a mixture. From a store without strong ETags all comes in one
/// request. A body that breaks off is gone on with from its last byte.
///
/// The bytes are written to a file of another name in the same folder, which takes its name once all of them are there
/// and have been found to be right; until then nothing is changed. If it fails, the unfinished file is removed.
///
/// The content is compared with the checksum that the service keeps. A CRC of the whole object follows from those
/// of the parts. For others the file is read again: for a hash of the whole object that was too long for one
/// request, and for one of its parts' checksums, each of which is compared as soon as its part is there.
///
/// With a [checkpoint](DownloadOptions::checkpoint) the unfinished file stays, with a small file beside it that says which
/// parts are there. Another download with the same path goes on from there: if the object is still the same, those
/// parts are hashed, and only what is missing or is not what was written is asked for. If the object has changed, it
/// begins anew. Both files are removed at the end, and if the content turns out to be wrong.
///
/// Its items are [`Progress`]. Cancelling it removes the unfinished file, unless it can be resumed.
pub struct Download {
    op: GetObject,
    path: PathBuf,
    /// What the file is called until it is complete.
    part_path: PathBuf,
    checkpoint: Option<PathBuf>,
    ranges: Ranges,
    file: FileId,
    is_open: bool,
    was_created: bool,
    /// It was not there before, or is not to be gone on with.
    is_new: bool,
    errands: Errands<What>,
    stage: Stage,
    parts: Vec<Slot>,
    /// The next part to ask for, if it is not there.
    next: u64,
    resized: bool,
    segments: Vec<Segment>,
    saving: Saving,
    resumed: u64,
    progress: Progress,
    items: VecDeque<Progress>,
    failure: Option<Error>,
}

/// What a file task is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum What {
    Load,
    Create,
    Resize,
    /// A part that is said to be there.
    Rehash(u64),
    /// A part that was hashed otherwise as it came.
    HashPart(u64),
    Segment(usize),
    Save,
    Commit,
    /// Part of the clean-up: how it goes is not looked at.
    Cleanup,
}

impl What {
    /// Whether it only reads, and may take long.
    fn is_hash(self) -> bool {
        matches!(self, Self::Rehash(_) | Self::HashPart(_) | Self::Segment(_))
    }
}

#[derive(Debug)]
enum Stage {
    /// Reading what is kept of a download before this.
    Loading,
    /// Asking whether the object is still that one.
    Looking(Box<DownloadCheckpoint>),
    Creating(Option<Box<DownloadCheckpoint>>),
    Rehashing(Box<DownloadCheckpoint>),
    Fetching,
    Committing,
    /// All is well; what was kept is removed.
    Removing,
    Cleaning(Clean),
    Over,
}

/// The steps after a failure.
#[derive(Clone, Copy, Debug)]
enum Clean {
    Save,
    Close,
    Remove,
    Forget,
    Done,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Slot {
    Missing,
    Asked,
    There(Option<Checksum>),
}

/// A range that is compared with a checksum of its own.
#[derive(Debug)]
struct Segment {
    range: Range<u64>,
    checksum: Checksum,
    state: SegmentState,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum SegmentState {
    Waiting,
    Hashing,
    Right,
}

/// Keeping account of what is there.
#[derive(Debug, Default)]
struct Saving {
    /// There is something that was not saved.
    due: bool,
    running: bool,
    last: Option<Instant>,
}

/// How often what is there is saved at most. What came since then is lost in a crash.
const SAVE_EVERY: Duration = Duration::from_millis(200);

/// How many tasks on files run at once.
const ERRANDS: usize = 4;

impl Download {
    /// A download that has not begun. `op` says which object, version and range, and carries keys and conditions.
    pub fn new(session: Session, op: GetObject, path: impl Into<PathBuf>, options: &DownloadOptions) -> Self {
        let path = path.into();
        let file = session.new_file();
        let DownloadOptions { part_size, concurrency, checkpoint, .. } = options.clone();
        let part_path = part_path(&session, &path, checkpoint.is_some());
        let mut ranges = Ranges::new(session, op.clone(), Target::File(file), part_size, concurrency);
        if checkpoint.is_some() {
            ranges.hash_parts();
        }
        let mut download = Self {
            part_path,
            op,
            path,
            checkpoint,
            ranges,
            file,
            is_open: false,
            was_created: false,
            is_new: true,
            errands: Errands::new(ERRANDS),
            stage: Stage::Loading,
            parts: Vec::new(),
            next: 0,
            resized: false,
            segments: Vec::new(),
            saving: Saving::default(),
            resumed: 0,
            progress: Progress::default(),
            items: VecDeque::new(),
            failure: None,
        };
        if let Some(error) = download.refusal() {
            download.fail(error);
        } else if let Some(state) = download.checkpoint.clone() {
            download.errands.add(What::Load, Task::ReadFile(state));
        } else {
            download.create(None);
        }
        download
    }

    fn refusal(&mut self) -> Option<Error> {
        if self.path.file_name().is_none() {
            let message = format!("{} does not name a file", self.path.display());
            return Some(Error::invalid_input(message));
        }
        self.ranges.take_refusal()
    }

    fn create(&mut self, before: Option<Box<DownloadCheckpoint>>) {
        let task = FileTask::Create {
            id: self.file,
            path: self.part_path.clone(),
            keep: before.is_some(),
            temporary: self.checkpoint.is_none(),
        };
        self.is_new = before.is_none();
        self.stage = Stage::Creating(before);
        self.errands.file(What::Create, task);
    }

    /// A task on files is over.
    fn filed(&mut self, what: What, outcome: Outcome) -> Result<(), Error> {
        if matches!(self.stage, Stage::Cleaning(_)) {
            if let (What::Create, Outcome::Filed(Ok(_))) = (what, outcome) {
                self.is_open = true;
                self.was_created = true;
            }
            return Ok(());
        }
        let reply = match (what, outcome) {
            (What::Cleanup, _) => return Ok(()),
            (What::Load, Outcome::Read(content)) => return self.loaded(content),
            (What::Create, Outcome::Filed(Ok(FileReply::Opened(info)))) => {
                self.is_open = true;
                self.was_created = true;
                return self.created(info.len);
            }
            (What::Create, Outcome::Filed(Err(error))) => {
                self.is_new = false;
                return Err(local("creating", &self.part_path, error));
            }
            (_, Outcome::Filed(Ok(reply))) => reply,
            (What::Save, Outcome::Filed(Err(error))) => {
                self.saving.running = false;
                let path = self.checkpoint.clone().unwrap_or_default();
                return Err(local("writing", &path, error));
            }
            (What::Rehash(index), Outcome::Filed(Err(error))) => {
                tracing::debug!(part = index, reason = %error, "a part cannot be read again");
                return Ok(());
            }
            (What::Commit, Outcome::Filed(Err(error))) => {
                return Err(local("finishing", &self.path, error));
            }
            (_, Outcome::Filed(Err(error))) => return Err(local("using", &self.part_path, error)),
            _ => return Err(Error::misfit()),
        };
        match (what, reply) {
            (What::Resize, FileReply::Done) => self.resized = true,
            (What::Rehash(index), FileReply::Hashed(checksum)) => {
                if let Stage::Rehashing(before) = &self.stage
                    && before.checksum(index) == Some(&checksum)
                    && self.ranges.hash() == Some(checksum.algorithm())
                {
                    let len = self.layout_len(index);
                    self.resumed += len;
                    self.there(index, Some(checksum));
                }
            }
            (What::HashPart(index), FileReply::Hashed(checksum)) => self.there(index, Some(checksum)),
            (What::Segment(index), FileReply::Hashed(checksum)) => {
                if let Some(segment) = self.segments.get_mut(index) {
                    verify(&checksum, &segment.checksum)?;
                    segment.state = SegmentState::Right;
                }
            }
            (What::Save, FileReply::Done) => self.saving.running = false,
            (What::Commit, FileReply::Done) => {
                self.is_open = false;
                self.stage = Stage::Removing;
                if let Some(path) = self.checkpoint.clone() {
                    self.errands.file(What::Cleanup, FileTask::Remove { path });
                }
            }
            _ => return Err(Error::misfit()),
        }
        Ok(())
    }

    /// What is kept of a download before this was read.
    fn loaded(&mut self, content: Result<Option<Secret<Vec<u8>>>, String>) -> Result<(), Error> {
        let path = self.checkpoint.clone().unwrap_or_default();
        match content {
            Ok(Some(text)) => {
                let checkpoint = DownloadCheckpoint::parse(text.expose());
                let checkpoint = checkpoint.and_then(|c| c.check_target(&self.op).map(|()| c));
                let checkpoint = checkpoint.map_err(|error| {
                    let message =
                        format!("{}: {} (the file was left as it is)", path.display(), error.message());
                    error.with_message(message)
                })?;
                self.stage = Stage::Looking(Box::new(checkpoint));
                self.ranges.look();
            }
            Ok(None) => self.create(None),
            Err(why) => {
                let message = format!("reading {} failed: {why}", path.display());
                return Err(Error::new(ErrorKind::LocalIo, message));
            }
        }
        Ok(())
    }

    fn created(&mut self, len_before: u64) -> Result<(), Error> {
        match std::mem::replace(&mut self.stage, Stage::Fetching) {
            Stage::Creating(Some(checkpoint)) => {
                self.cut(checkpoint.layout());
                let layout = self.ranges.layout();
                let usable = len_before == layout.total();
                for DownloadedPart { number, checksum } in checkpoint.parts.iter().filter(|_| usable) {
                    if let Some(checksum) = checksum {
                        let task = hash(self.file, layout.place(*number), checksum.algorithm());
                        self.errands.file(What::Rehash(*number), task);
                    }
                }
                self.stage = Stage::Rehashing(checkpoint);
            }
            Stage::Creating(None) => self.ranges.begin(),
            stage => {
                self.stage = stage;
                return Err(Error::misfit());
            }
        }
        Ok(())
    }

    /// Goes on with these parts.
    fn cut(&mut self, layout: Layout) {
        self.ranges.set_layout(layout);
        self.begin_parts();
    }

    fn begin_parts(&mut self) {
        let layout = self.ranges.layout();
        let (count, total) = (layout.count(), layout.total());
        self.parts = vec![Slot::Missing; usize::try_from(count).unwrap_or(0)];
        self.progress.total = Some(total);
        self.progress.total_parts = u32::try_from(count).ok();
        if count > 1 {
            self.errands.file(What::Resize, FileTask::Resize { id: self.file, len: total });
        } else {
            self.resized = true;
        }
    }

    /// The object is known.
    fn known(&mut self) {
        let Some(known) = self.ranges.known() else { return };
        if let Stage::Looking(before) = &self.stage {
            let same = known.etag.as_ref() == Some(&before.etag)
                && known.size == before.object_size
                && self.ranges.layout().wanted == before.layout().wanted;
            if same {
                let before = before.clone();
                self.create(Some(before));
            } else {
                tracing::info!("the object has changed: the download begins anew");
                self.ranges.forget();
                self.create(None);
            }
            return;
        }
        self.begin_parts();
        if let Some(slot) = self.parts.first_mut() {
            *slot = Slot::Asked;
        }
        self.next = 1;
        self.expect();
    }

    /// Notes what has to be read again to be compared.
    fn expect(&mut self) {
        let size = self.ranges.known().map_or(0, |known| known.size);
        let expected = self.ranges.expected();
        let by_crc = matches!(expected, Expected::Whole(checksum) if checksum.algorithm().is_crc());
        if !by_crc {
            let segment = |(range, checksum)| Segment { range, checksum, state: SegmentState::Waiting };
            self.segments = expected.segments(size).into_iter().map(segment).collect();
        }
    }

    fn arrived(&mut self, part: Part) {
        let Part { index, checksum, .. } = part;
        let mut was_compared = false;
        if self.parts.len() == 1
            && let Some(segment) = self.segments.first_mut()
            && checksum.as_ref() == Some(&segment.checksum)
        {
            segment.state = SegmentState::Right;
            was_compared = true;
        }
        match self.ranges.hash() {
            // The first part was asked for before anybody knew which checksum the object has.
            Some(algorithm)
                if !was_compared && checksum.as_ref().is_none_or(|c| c.algorithm() != algorithm) =>
            {
                let range = self.ranges.layout().place(index);
                self.errands.file(What::HashPart(index), hash(self.file, range, algorithm));
            }
            _ => self.there(index, checksum),
        }
    }

    fn layout_len(&self, index: u64) -> u64 {
        let place = self.ranges.layout().place(index);
        place.end - place.start
    }

    /// A part is in the file.
    fn there(&mut self, index: u64, checksum: Option<Checksum>) {
        let len = self.layout_len(index);
        let Some(slot) = slot(&mut self.parts, index) else { return };
        *slot = Slot::There(checksum);
        if !matches!(self.stage, Stage::Rehashing(_)) {
            self.saving.due = self.checkpoint.is_some();
        }
        self.progress.bytes += len;
        self.progress.parts += 1;
        self.progress.retries = u32::try_from(self.ranges.retries()).unwrap_or(u32::MAX);
        self.items.push_back(self.progress);
    }

    /// Does what can be done now that nothing else is to be done; says whether there was something.
    fn advance(&mut self, now: Now) -> Result<bool, Error> {
        match self.stage {
            Stage::Rehashing(_) if self.errands.is_idle() => {
                self.stage = Stage::Fetching;
                self.next = 0;
                self.expect();
                Ok(true)
            }
            Stage::Fetching if self.ranges.known().is_some() && !self.parts.is_empty() => {
                Ok(self.ask() | self.hash_segments() | self.save(now) || self.finish()?)
            }
            _ => Ok(false),
        }
    }

    fn ask(&mut self) -> bool {
        let mut asked = false;
        while self.ranges.has_room() {
            let Some(slot) = slot(&mut self.parts, self.next) else { break };
            if *slot == Slot::Missing {
                *slot = Slot::Asked;
                self.ranges.fetch(self.next);
                asked = true;
            }
            self.next += 1;
        }
        asked
    }

    /// Reads again what is complete and has a checksum of its own.
    fn hash_segments(&mut self) -> bool {
        let layout = self.ranges.layout().clone();
        let is_there = |range: &Range<u64>| {
            let overlaps = |index: u64| {
                let part = layout.part(index);
                part.start < range.end && range.start < part.end
            };
            (0..).zip(&self.parts).all(|(index, slot)| matches!(slot, Slot::There(_)) || !overlaps(index))
        };
        let mut ready = Vec::new();
        // In order, and a few at a time: each look at one costs a look at all parts.
        let waiting = self.segments.iter().enumerate().filter(|(_, s)| s.state == SegmentState::Waiting);
        for (index, segment) in waiting.take(ERRANDS) {
            if is_there(&segment.range) {
                ready.push(index);
            }
        }
        for index in &ready {
            if let Some(segment) = self.segments.get_mut(*index) {
                segment.state = SegmentState::Hashing;
                let task = hash(self.file, segment.range.clone(), segment.checksum.algorithm());
                self.errands.file(What::Segment(*index), task);
            }
        }
        !ready.is_empty()
    }

    /// When what is there is to be saved next.
    fn save_at(&self) -> Option<Instant> {
        let due = self.saving.due && !self.saving.running && matches!(self.stage, Stage::Fetching);
        due.then(|| self.saving.last.map_or(Instant::default(), |last| last.saturating_add(SAVE_EVERY)))
    }

    fn save(&mut self, now: Now) -> bool {
        if self.save_at().is_none_or(|at| at > now.mono) {
            return false;
        }
        self.saving.last = Some(now.mono);
        self.queue_save(What::Save)
    }

    fn queue_save(&mut self, what: What) -> bool {
        self.saving.due = false;
        let (Some(path), Some(known)) = (self.checkpoint.clone(), self.ranges.known()) else { return false };
        let Some(etag) = known.etag.clone().filter(|_| self.parts.len() > 1) else { return false };
        let mut checkpoint = DownloadCheckpoint::begin(&self.op, etag, known.size, self.ranges.layout());
        let there = |(number, slot): (u64, &Slot)| match slot {
            Slot::There(checksum) => Some(DownloadedPart { number, checksum: checksum.clone() }),
            _ => None,
        };
        checkpoint.parts = (0..).zip(&self.parts).filter_map(there).collect();
        let content = Secret::new(checkpoint.to_bytes());
        self.errands.file(what, FileTask::Save { path, content });
        self.saving.running = true;
        true
    }

    /// Gives the file its name, if all of it is there and right.
    fn finish(&mut self) -> Result<bool, Error> {
        let all_there = self.parts.iter().all(|slot| matches!(slot, Slot::There(_)));
        let all_right = self.segments.iter().all(|segment| segment.state == SegmentState::Right);
        if !(all_there && all_right && self.resized && self.errands.is_idle()) {
            return Ok(false);
        }
        if let Expected::Whole(expected) = self.ranges.expected()
            && expected.algorithm().is_crc()
        {
            let part = |(index, slot): (u64, &Slot)| match slot {
                Slot::There(Some(checksum)) => Some((self.layout_len(index), checksum.clone())),
                _ => None,
            };
            let parts: Option<Vec<_>> = (0..).zip(&self.parts).map(part).collect();
            let Some(actual) = parts.and_then(combined) else { return Err(Error::misfit()) };
            verify(&actual, expected)?;
        }
        self.stage = Stage::Committing;
        let (from, to) = (self.part_path.clone(), self.path.clone());
        self.errands.file(What::Commit, FileTask::Commit { id: self.file, from, to });
        Ok(true)
    }

    fn report(&self) -> Result<DownloadReport, Error> {
        let known = self.ranges.known().ok_or_else(Error::misfit)?;
        Ok(DownloadReport {
            object: known.output.clone(),
            bytes: self.ranges.layout().total(),
            parts: self.parts.len() as u64,
            resumed: self.resumed,
            verified: self.ranges.expected().checksum().cloned(),
            retries: self.ranges.retries(),
        })
    }

    fn fail(&mut self, error: Error) {
        if matches!(self.stage, Stage::Cleaning(_) | Stage::Removing | Stage::Over) {
            return;
        }
        self.ranges.clear();
        self.errands.forget(|what| !what.is_hash());
        self.items.clear();
        self.failure = Some(error.with_target("GetObject", Some(&self.op.bucket), Some(&self.op.key)));
        self.stage = Stage::Cleaning(Clean::Save);
    }

    /// Whether what is there can be gone on with.
    fn is_kept(&self) -> bool {
        let wrong = self.failure.as_ref().is_some_and(|e| e.kind() == ErrorKind::ChecksumMismatch);
        let some = self.parts.len() > 1 && self.parts.iter().any(|slot| matches!(slot, Slot::There(_)));
        self.checkpoint.is_some() && !wrong && (some || !self.is_new)
    }

    /// The next step of the clean-up; the error once there is none.
    fn clean(&mut self, step: Clean) -> Option<Error> {
        let next = match step {
            Clean::Save => {
                if self.saving.due && self.is_kept() {
                    self.queue_save(What::Cleanup);
                }
                Clean::Close
            }
            Clean::Close => {
                if std::mem::take(&mut self.is_open) {
                    self.errands.file(What::Cleanup, FileTask::Close { id: self.file });
                }
                Clean::Remove
            }
            Clean::Remove => {
                if self.was_created && !self.is_kept() {
                    let path = self.part_path.clone();
                    self.errands.file(What::Cleanup, FileTask::Remove { path });
                }
                Clean::Forget
            }
            Clean::Forget => {
                let wrong = self.failure.as_ref().is_some_and(|e| e.kind() == ErrorKind::ChecksumMismatch);
                if let Some(path) = self.checkpoint.clone().filter(|_| wrong) {
                    self.errands.file(What::Cleanup, FileTask::Remove { path });
                }
                Clean::Done
            }
            Clean::Done => {
                self.stage = Stage::Over;
                return Some(self.failure.take().unwrap_or_else(polled_after_done));
            }
        };
        self.stage = Stage::Cleaning(next);
        None
    }
}

impl Machine for Download {
    type Item = Progress;
    type Output = DownloadReport;

    fn poll(&mut self, now: Now) -> Step<Progress, DownloadReport> {
        loop {
            if let Some((what, outcome)) = self.errands.next_done() {
                if let Err(error) = self.filed(what, outcome) {
                    self.fail(error);
                }
                continue;
            }
            let ranges = &mut self.ranges;
            if let Some(step) = self.errands.poll(|| ranges.new_id()) {
                return step;
            }
            if let Some(progress) = self.items.pop_front() {
                return Step::Item(progress);
            }
            let until = match self.ranges.poll(now) {
                Event::Start(id, task) => return Step::Start(id, task),
                Event::Cancel(id) => return Step::Cancel(id),
                Event::Known => {
                    self.known();
                    continue;
                }
                Event::Part(part) => {
                    self.arrived(part);
                    continue;
                }
                Event::Failed(error) => {
                    self.fail(error);
                    continue;
                }
                Event::Wait(until) => until,
            };
            match self.stage {
                Stage::Over => return Step::Done(Err(polled_after_done())),
                Stage::Removing if self.errands.is_idle() => {
                    self.stage = Stage::Over;
                    return Step::Done(self.report());
                }
                Stage::Cleaning(step) if self.errands.is_idle() => {
                    if let Some(error) = self.clean(step) {
                        return Step::Done(Err(error));
                    }
                    continue;
                }
                _ => {}
            }
            match self.advance(now) {
                Ok(true) => {}
                Ok(false) => return Step::Wait([until, self.save_at()].into_iter().flatten().min()),
                Err(error) => self.fail(error),
            }
        }
    }

    fn answer(&mut self, now: Now, id: TaskId, answer: Answer<'_>) -> BodyPlan {
        if !self.errands.has(id) {
            return self.ranges.answer(now, id, answer);
        }
        self.errands.take(id, answer);
        BodyPlan::Discard
    }

    fn cancel(&mut self, _: Now) {
        // A file that is about to get its name gets it.
        if !matches!(self.stage, Stage::Committing) {
            self.fail(Error::cancelled());
        }
    }
}

fn local(doing: &str, path: &Path, error: std::io::Error) -> Error {
    Error::local_io(format_args!("{doing} {} failed", path.display()), error)
}

fn slot(parts: &mut [Slot], index: u64) -> Option<&mut Slot> {
    parts.get_mut(usize::try_from(index).ok()?)
}

fn hash(id: FileId, range: Range<u64>, algorithm: &ChecksumAlgorithm) -> FileTask {
    let len = range.end - range.start;
    FileTask::Hash { id, offset: range.start, len, algorithm: algorithm.clone() }
}

/// What the file is called until it is complete: never the same twice, or always the same if it is to be gone on
/// with. It does not grow with the name, which may be as long as names can be.
fn part_path(session: &Session, path: &Path, always_the_same: bool) -> PathBuf {
    let unique = if always_the_same {
        let mut hasher = Hasher::new(&ChecksumAlgorithm::Crc64Nvme).ok();
        if let Some(hasher) = &mut hasher {
            hasher.update(path.as_os_str().as_encoded_bytes());
        }
        hasher.map(|hasher| hex(hasher.finish().bytes())).unwrap_or_default()
    } else {
        let mut rng = session.rng();
        format!("{:016x}", rng.next_u64())
    };
    path.with_file_name(part_name(&unique))
}
