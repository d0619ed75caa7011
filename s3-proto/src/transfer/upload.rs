//! Uploads of any size.

use std::path::PathBuf;

use bytes::Bytes;

use super::assembly::{Assembled, Assembly, Content};
use super::checkpoint::Checkpoint;
use super::digest::{Digest, DoneParts};
use super::errands::{Errands, Outcome as Done};
use super::failure::Cleanup;
use super::fleet::Event;
use super::leftovers::Leftovers;
use super::plan::Plan;
use super::requests::{Job, Requests, Target, answer_of, ask};
use super::resume::{Candidate, all_parts, candidates, changed, changed_settings, check_source};
use super::{DEFAULT_CONCURRENCY, Progress};
use crate::checksum::Checksum;
use crate::client::polled_after_done;
use crate::etag::ETag;
use crate::exchange::{Exchange, Outcome};
use crate::files::{FileId, FileInfo, FileReply, FileTask};
use crate::machine::{Answer, BodyPlan, Machine, Now, Payload, SourceId, Step, Task, TaskId};
use crate::ops::{ListParts, ListPartsOutput, Part, PutObject};
use crate::pages::Paginated;
use crate::session::Session;
use crate::validate::{MAX_PART_NUMBER, MAX_PUT_SIZE};
use crate::{Error, ErrorKind, Phase, Secret, Timestamp};

/// How an upload is carried out. Plain data: change any field.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct UploadOptions {
    /// Up to this many bytes go in one request, all larger ones in parts; 5 GiB at most. Default 16 MiB.
    /// A source that can be read only once goes in one request if it ends within its first part.
    pub threshold: u64,
    /// Bytes of each part but the last: 5 MiB to 5 GiB. It grows where 10,000 parts would not be enough,
    /// which takes that the length is known. Otherwise 10,000 parts of this size are the most that can be uploaded (78 GiB
    /// by default; less where a store takes fewer parts), and a longer source is an error. Default 8 MiB.
    pub part_size: u64,
    /// How many parts may be in flight; fewer for a while if the service asks to slow down. Default 8.
    pub concurrency: usize,
    /// Where to keep a [`Checkpoint`], from which the same upload goes on if there is one. For files only.
    ///
    /// If the file has changed since then, or what is set of the object, such as its metadata, that is an error
    /// ([`ErrorKind::InvalidInput`]), and nothing is sent.
    ///
    /// If the run before was killed when it had just begun an upload, before the checkpoint could name it, that upload
    /// is looked for and aborted: it was begun by the same user within a minute of the time in the checkpoint, and
    /// has no parts. That takes the permissions `s3:ListBucketMultipartUploads`, `s3:ListMultipartUploadParts` and
    /// `s3:AbortMultipartUpload`; without them a warning is logged, and the upload goes on.
    pub checkpoint: Option<PathBuf>,
    /// Whether a multipart upload that fails or is cancelled is kept, so that it can be gone on with, rather
    /// than aborted. By default it is if there is a checkpoint.
    pub keep_on_failure: Option<bool>,
}

impl Default for UploadOptions {
    fn default() -> Self {
        Self {
            threshold: 16 << 20,
            part_size: 8 << 20,
            concurrency: DEFAULT_CONCURRENCY,
            checkpoint: None,
            keep_on_failure: None,
        }
    }
}

/// What an upload came to.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct UploadReport {
    /// The entity tag of the object.
    pub etag: Option<ETag>,
    /// Its version, in a bucket that has versions.
    pub version_id: Option<String>,
    /// Its checksum: the service's, or else the one that was computed here.
    pub checksum: Option<Checksum>,
    /// The id of the upload; `None` if it went in one request.
    pub upload_id: Option<String>,
    /// Bytes of the object.
    pub bytes: u64,
    /// Parts that were sent.
    pub parts_sent: u32,
    /// Parts that were there already, from an earlier run.
    pub parts_found: u32,
    /// Requests that had to be repeated.
    pub retries: u32,
}

/// Uploads an object: in one request if it is small, in parts side by side otherwise.
///
/// What is set in the [`PutObject`] holds either way, as far as S3 has it for both: an upload with
/// `content_md5`, with `write_offset_bytes`, or with a checksum of the whole that does not follow from its
/// parts' (anything but a CRC) goes in one request, of 5 GiB at most.
///
/// A multipart upload that fails or is cancelled is aborted, unless it is to be kept; the error tells
/// ([`Error::upload_failure`]). A machine that is dropped cannot abort anything: cancel it and go on driving
/// it.
pub struct Upload {
    session: Session,
    put: PutObject,
    options: UploadOptions,
    source: Source,
    requests: Requests,
    errands: Errands<Errand>,
    stage: Stage,
    assembly: Option<Assembly>,
    saver: Option<Saver>,
    leftovers: Leftovers,
    told: Progress,
}

enum Source {
    File { id: FileId, path: PathBuf, info: Option<FileInfo> },
    Memory(Bytes),
    Ranges(u64),
    Stream(Stream),
}

/// A source that is read once, from its beginning to its end.
#[derive(Default)]
struct Stream {
    /// How long it is to be, if it says.
    len: Option<u64>,
    read: u64,
    /// Bytes that wait for the upload to be created.
    held: Option<Bytes>,
    reading: bool,
    ended: bool,
}

/// A task of our own.
enum Errand {
    Open,
    ReadCheckpoint,
    Hash(Candidate),
    Save,
    Remove,
    Close,
    /// With how many bytes were asked for.
    Fill(usize),
}

enum Stage {
    New,
    /// A task of our own is under way, whose answer says how to go on.
    Preparing,
    Listing(Box<Checkpoint>, Vec<Part>),
    Checking(Box<Checking>),
    Sending,
    Ending(Ending),
    Over,
}

/// Parts that an earlier run sent are compared with the source.
struct Checking {
    checkpoint: Checkpoint,
    good: DoneParts,
}

struct Ending {
    result: Result<UploadReport, Error>,
    /// The checkpoint is as it should be.
    settled: bool,
    closed: bool,
}

/// Keeps the checkpoint up to date.
struct Saver {
    path: PathBuf,
    /// The upload and the number of parts that it was last written for.
    written: Option<(String, usize)>,
    /// It is being written.
    busy: bool,
    /// It has been there.
    exists: bool,
    /// The upload that it is of; empty if one is about to begin.
    known: Option<String>,
}

impl Upload {
    /// Of what the operation's payload names: bytes, or the source that travels with the call.
    pub fn new(session: Session, put: PutObject, options: UploadOptions) -> Self {
        let source = match &put.body {
            Payload::Empty => Source::Memory(Bytes::new()),
            Payload::Bytes(bytes) => Source::Memory(bytes.clone()),
            Payload::Source { len, replayable: true, .. } => Source::Ranges(*len),
            Payload::Source { len, .. } => Source::Stream(Stream { len: Some(*len), ..Stream::default() }),
            Payload::Unsized => Source::Stream(Stream::default()),
        };
        Self::of(session, put, source, options)
    }

    /// Of the file at this path, in place of the operation's payload.
    pub fn file(session: Session, put: PutObject, path: impl Into<PathBuf>, options: UploadOptions) -> Self {
        let source = Source::File { id: session.new_file(), path: path.into(), info: None };
        Self::of(session, put, source, options)
    }

    fn of(session: Session, put: PutObject, source: Source, options: UploadOptions) -> Self {
        let saver = options.checkpoint.clone().map(Saver::new);
        Self {
            session,
            put,
            errands: Errands::new(options.concurrency.max(1)),
            options,
            source,
            requests: Requests::new(),
            stage: Stage::New,
            assembly: None,
            saver,
            leftovers: Leftovers::default(),
            told: Progress::default(),
        }
    }

    /// Drops our own tasks, but for a checkpoint that is being written.
    fn drop_own(&mut self) {
        self.errands.forget(|errand| matches!(errand, Errand::Save));
    }

    /// Does what can be done without an answer; `false` if there was nothing.
    fn advance(&mut self, now: Now) -> bool {
        match std::mem::replace(&mut self.stage, Stage::Preparing) {
            Stage::New => {
                self.start();
                true
            }
            Stage::Checking(checking) if self.errands.is_idle() => self.parts_checked(*checking),
            Stage::Sending => self.go_on(now),
            Stage::Ending(ending) => self.settle(ending),
            other => {
                self.stage = other;
                false
            }
        }
    }

    fn start(&mut self) {
        if self.saver.is_some() && !matches!(self.source, Source::File { .. }) {
            let message =
                "a checkpoint is of a file: of nothing else can be told later whether it is the same";
            return self.end(Err(Error::invalid_input(message)));
        }
        match &self.source {
            Source::File { id, path, .. } => {
                let task = FileTask::Open { id: *id, path: path.clone() };
                self.errands.file(Errand::Open, task);
            }
            Source::Memory(bytes) => self.begin(bytes.len() as u64),
            Source::Ranges(len) => self.begin(*len),
            Source::Stream(Stream { len: Some(0), .. }) => self.put_bytes(&Bytes::new()),
            Source::Stream(Stream { len: Some(len), .. }) if self.must_be_whole() => {
                self.send_whole(self.put.body.clone(), *len, None);
            }
            Source::Stream(stream) => {
                let part_size = self.plan(stream.len).map(|plan| plan.part_size);
                match part_size {
                    Ok(part_size) => self.fill(part_size),
                    Err(error) => self.end(Err(error)),
                }
            }
        }
    }

    /// Whether S3 can do what is wanted only with a single request.
    fn must_be_whole(&self) -> bool {
        let follows = |c: &Checksum| c.algorithm().is_crc() && c.composite_parts().is_none();
        self.put.content_md5.is_some()
            || self.put.write_offset_bytes.is_some()
            || self.put.checksum.as_ref().is_some_and(|checksum| !follows(checksum))
    }

    /// Begins with nothing that is there already.
    fn begin(&mut self, len: u64) {
        if !self.must_be_whole() && len > self.options.threshold.min(MAX_PUT_SIZE) {
            return self.send_in_parts(Some(len));
        }
        let (payload, checksum) = match &self.source {
            Source::File { id, .. } => (whole_of(SourceId::File(*id), len), None),
            Source::Memory(bytes) => {
                let bytes = bytes.clone();
                return self.put_bytes(&bytes);
            }
            _ => (whole_of(SourceId::Call, len), None),
        };
        match payload {
            Payload::Bytes(bytes) => self.put_bytes(&bytes),
            payload => self.send_whole(payload, len, checksum),
        }
    }

    fn put_bytes(&mut self, bytes: &Bytes) {
        let checksum = self.digest().and_then(|digest| Ok((digest.of(bytes)?, digest.sent().is_some())));
        match checksum {
            Ok((checksum, sent)) => {
                if sent && self.put.content_md5.is_none() && self.put.checksum.is_none() {
                    self.put.checksum = Some(checksum.clone());
                }
                self.send_whole(Payload::Bytes(bytes.clone()), bytes.len() as u64, Some(checksum));
            }
            Err(error) => self.end(Err(error)),
        }
    }

    fn send_whole(&mut self, payload: Payload, len: u64, checksum: Option<Checksum>) {
        let put = PutObject { body: payload, ..self.put.clone() };
        self.leftovers.forget("the object goes in one request now");
        if let Some(mut assembly) = self.assemble(Plan { part_size: len.max(1), len: Some(len) }, None) {
            assembly.put(&mut self.requests, Job::Put(Box::new(put)), checksum);
            self.assembly = Some(assembly);
            self.stage = Stage::Sending;
        }
    }

    fn send_in_parts(&mut self, len: Option<u64>) {
        let plan = match self.plan(len) {
            Ok(plan) => plan,
            Err(error) => return self.end(Err(error)),
        };
        if let Some(assembly) = self.assemble(plan, None) {
            self.assembly = Some(assembly);
            self.stage = Stage::Sending;
        }
    }

    fn plan(&self, len: Option<u64>) -> Result<Plan, Error> {
        Plan::new(len, self.options.part_size, &self.session.config().provider())
    }

    fn digest(&self) -> Result<Digest, Error> {
        let given = self.put.checksum.as_ref().map(Checksum::algorithm);
        let given = given.filter(|_| !self.must_be_whole());
        Digest::new(given.or(self.put.checksum_algorithm.as_ref()), self.session.config())
    }

    /// `None` if it cannot be; then this is the end.
    fn assemble(&mut self, plan: Plan, digest: Option<Digest>) -> Option<Assembly> {
        let digest = match digest.map_or_else(|| self.digest(), Ok) {
            Ok(digest) => digest,
            Err(error) => {
                self.end(Err(error));
                return None;
            }
        };
        let content = match &self.source {
            Source::File { id, .. } => Content::Ranges(SourceId::File(*id)),
            Source::Memory(bytes) => Content::Memory(bytes.clone()),
            Source::Ranges(_) => Content::Ranges(SourceId::Call),
            Source::Stream(_) => Content::Stream,
        };
        let keep = self.options.keep_on_failure.unwrap_or(self.saver.is_some());
        let (session, target) = (self.session.clone(), Target::of_put(&self.put));
        Some(Assembly::new(session, target, content, plan, digest, self.options.concurrency, keep))
    }

    /// The file is open.
    fn opened(&mut self, opened: FileInfo) {
        if let Source::File { info, .. } = &mut self.source {
            *info = Some(opened);
        }
        match &self.saver {
            Some(saver) => self.errands.add(Errand::ReadCheckpoint, Task::ReadFile(saver.path.clone())),
            None => self.begin(opened.len),
        }
    }

    /// The bytes of a source that is read once.
    fn filled(&mut self, asked: usize, bytes: Bytes) {
        let must_be_whole = self.must_be_whole();
        let Source::Stream(stream) = &mut self.source else { return };
        stream.reading = false;
        stream.read += bytes.len() as u64;
        stream.ended = bytes.len() < asked || stream.len == Some(stream.read);
        let (read, ended) = (stream.read, stream.ended);
        if let Some(len) = stream.len.filter(|len| ended && read < *len) {
            let message = format!("the source ended after {read} of the {len} bytes that it was to have");
            return self.give_up(Error::new(ErrorKind::LocalIo, message).with_phase(Phase::Send));
        }
        match &mut self.assembly {
            None if ended => self.put_bytes(&bytes),
            None if must_be_whole => {
                let message = "an upload with Content-MD5, with a checksum of the whole that is no CRC, or at an \
                               offset goes in one request, but the source is longer than a part and does not \
                               say how long";
                self.end(Err(Error::invalid_input(message)));
            }
            None => {
                stream.held = Some(bytes);
                let len = stream.len;
                self.send_in_parts(len);
            }
            Some(assembly) => {
                if ended {
                    assembly.end_of_stream(read);
                }
                if !bytes.is_empty() && assembly.is_sending() {
                    assembly.send_bytes(&mut self.requests, bytes);
                }
            }
        }
    }

    fn fill(&mut self, len: u64) {
        let Source::Stream(stream) = &mut self.source else { return };
        let left = stream.len.map_or(len, |total| total - stream.read).min(len);
        let len = usize::try_from(left).unwrap_or(usize::MAX);
        stream.reading = true;
        self.errands.add(Errand::Fill(len), Task::Fill { len });
    }

    /// A checkpoint was found: sees what of its upload is there.
    fn found_checkpoint(&mut self, content: &[u8]) {
        let Source::File { info: Some(info), .. } = &self.source else { return };
        let given = self.put.checksum.as_ref().map(Checksum::algorithm);
        let (info, chosen) = (*info, given.or(self.put.checksum_algorithm.as_ref()));
        let must_be_whole = self.must_be_whole();
        let usable = Checkpoint::parse(content).and_then(|checkpoint| {
            if (&checkpoint.bucket, &checkpoint.key) != (&self.put.bucket, &self.put.key) {
                let message = format!(
                    "the checkpoint is of an upload to '{}' in bucket '{}'",
                    checkpoint.key.escape_debug(),
                    checkpoint.bucket
                );
                return Err(Error::invalid_input(message));
            }
            if checkpoint.upload_id.is_empty() {
                return Ok(checkpoint);
            }
            if must_be_whole {
                let message = "what is set takes that the object goes in one request, but there is a checkpoint \
                               of an upload in parts: abort that, and remove the checkpoint";
                return Err(Error::invalid_input(message));
            }
            if let Some(chosen) = chosen.filter(|chosen| **chosen != checkpoint.checksum_algorithm) {
                let began = &checkpoint.checksum_algorithm;
                let message =
                    format!("the upload of the checkpoint began with {began} checksums, not {chosen}");
                return Err(Error::invalid_input(message));
            }
            let settings = Target::of_put(&self.put).settings()?;
            if checkpoint.settings.as_ref().is_some_and(|began| *began != settings) {
                return Err(changed_settings(&checkpoint));
            }
            check_source(&checkpoint, &info)?;
            Ok(checkpoint)
        });
        match usable {
            Ok(mut checkpoint) => {
                let is_known = !checkpoint.upload_id.is_empty();
                self.leftovers.load(std::mem::take(&mut checkpoint.begun), is_known);
                if let Some(saver) = &mut self.saver {
                    saver.exists = true;
                    saver.known = Some(checkpoint.upload_id.clone()).filter(|_| is_known);
                }
                if !is_known {
                    return self.begin(info.len);
                }
                let list = Target::of_put(&self.put).list(&checkpoint.upload_id);
                ask(&mut self.requests, &self.session, list, Job::List);
                self.stage = Stage::Listing(Box::new(checkpoint), Vec::new());
            }
            Err(error) => self.end(Err(error)),
        }
    }

    /// A page of the parts that are there.
    fn listed(&mut self, op: &ListParts, result: Result<ListPartsOutput, Error>) {
        let Stage::Listing(checkpoint, mut parts) = std::mem::replace(&mut self.stage, Stage::Preparing)
        else {
            return;
        };
        match result {
            Ok(page) => {
                let next = op.next(&page).filter(|next| next.part_number_marker > op.part_number_marker);
                let cut_short = ListParts::is_cut_short(&page);
                parts.extend(page.parts);
                match next {
                    Some(next) if parts.len() <= MAX_PART_NUMBER as usize => {
                        ask(&mut self.requests, &self.session, next, Job::List);
                        self.stage = Stage::Listing(checkpoint, parts);
                    }
                    None if !cut_short => {
                        self.check_parts(*checkpoint, &parts);
                    }
                    _ => {
                        let message = "the list of parts does not come to an end";
                        self.end(Err(Error::new(ErrorKind::MalformedResponse, message)));
                    }
                }
            }
            Err(error) if matches!(error.kind(), ErrorKind::NoSuchUpload | ErrorKind::NotFound) => {
                self.upload_is_gone(*checkpoint, error);
            }
            Err(error) => self.end(Err(error)),
        }
    }

    /// Either it was completed just before the crash, or somebody has aborted it.
    fn upload_is_gone(&mut self, checkpoint: Checkpoint, error: Error) {
        match all_parts(&checkpoint) {
            Some(parts) => {
                if let Some(mut assembly) = self.assemble(checkpoint.plan(), Some(digest_of(&checkpoint))) {
                    assembly.look_for(&mut self.requests, checkpoint.upload_id, parts, error);
                    self.assembly = Some(assembly);
                    self.stage = Stage::Sending;
                }
            }
            None => self.start_afresh(&checkpoint.upload_id),
        }
    }

    fn start_afresh(&mut self, upload_id: &str) {
        tracing::warn!(upload_id, "the upload that was to go on is gone, starting a new one");
        self.assembly = None;
        if let Source::File { info: Some(info), .. } = &self.source {
            self.begin(info.len);
        }
    }

    /// Compares parts with the source.
    fn check_parts(&mut self, checkpoint: Checkpoint, parts: &[Part]) {
        let Source::File { id: file, .. } = self.source else { return };
        let plan = checkpoint.plan();
        for candidate in candidates(&checkpoint, parts) {
            let task = FileTask::Hash {
                id: file,
                offset: plan.offset(candidate.number),
                len: candidate.part.len,
                algorithm: candidate.checksum.algorithm().clone(),
            };
            self.errands.file(Errand::Hash(candidate), task);
        }
        self.stage = Stage::Checking(Box::new(Checking { checkpoint, good: DoneParts::new() }));
    }

    fn parts_checked(&mut self, Checking { checkpoint, good }: Checking) -> bool {
        if let Some(mut assembly) = self.assemble(checkpoint.plan(), Some(digest_of(&checkpoint))) {
            assembly.resume(checkpoint.upload_id, good);
            self.assembly = Some(assembly);
            self.stage = Stage::Sending;
        }
        true
    }

    fn checked(&mut self, candidate: Candidate, actual: &Checksum) {
        let Stage::Checking(checking) = &mut self.stage else { return };
        if *actual == candidate.checksum {
            checking.good.insert(candidate.number, candidate.part);
        } else if candidate.is_ours {
            let (number, was) = (candidate.number, &candidate.checksum);
            let how = format!("the {} of part {number} was {was}, and is {actual} now", was.algorithm());
            let error = changed(&checking.checkpoint, &how);
            self.end(Err(error));
        }
    }

    /// The bytes are on their way.
    fn go_on(&mut self, now: Now) -> bool {
        self.stage = Stage::Sending;
        let Some(assembly) = &mut self.assembly else { return false };
        if let Some(result) = assembly.take_result() {
            let report = result.map(|assembled| report(assembly, assembled));
            self.end(report);
            return true;
        }
        if assembly.is_gone() {
            let id = assembly.upload_id().unwrap_or_default().to_owned();
            self.start_afresh(&id);
            return true;
        }
        if assembly.is_new() {
            return self.create(now);
        }
        let before = self.requests.len();
        // Whoever dies before the upload is known to the checkpoint leaves one without parts, which can be told.
        if self.saver.as_ref().is_none_or(|saver| saver.known.as_deref() == assembly.upload_id()) {
            if assembly.is_sending() && self.leftovers.are_there() {
                self.leftovers.look((&mut self.requests, &self.session, &Target::of_put(&self.put)));
                return self.requests.len() != before;
            }
            assembly.send_parts(&mut self.requests, now);
        }
        if let Source::Stream(stream) = &mut self.source {
            match stream.held.take() {
                Some(bytes) if assembly.wants(0).is_some() => {
                    if stream.ended {
                        assembly.end_of_stream(stream.read);
                    }
                    assembly.send_bytes(&mut self.requests, bytes);
                }
                held => stream.held = held,
            }
            let held = usize::from(stream.held.is_some() || stream.reading);
            if let Some(number) = assembly.wants(held).filter(|_| held == 0 && !stream.ended) {
                let part_size = assembly.plan().part_size;
                let most = self.session.config().provider().max_parts;
                if number > most {
                    let message = format!(
                        "the source is longer than {most} parts of {part_size} bytes: set a larger part size"
                    );
                    assembly.fail(&mut self.requests, Error::invalid_input(message));
                } else {
                    self.fill(part_size);
                }
                return true;
            }
        }
        let saving = self.save(false);
        let Some(assembly) = &mut self.assembly else { return saving };
        if assembly.has_all() {
            // A crash from here on finds every part in the checkpoint, and can tell whose the object is.
            if self.saver.as_ref().is_some_and(|saver| saver.busy) || self.save(true) {
                return saving || self.requests.len() != before;
            }
            if let Some(assembly) = &mut self.assembly {
                assembly.complete(&mut self.requests);
            }
            return true;
        }
        saving || self.requests.len() != before
    }

    /// Begins an upload, once the checkpoint says that one is about to.
    fn create(&mut self, now: Now) -> bool {
        let Some(assembly) = &mut self.assembly else { return false };
        match &self.saver {
            Some(saver) if saver.busy => false,
            Some(saver) if saver.known.as_deref() != Some("") => {
                self.leftovers.begin(now.wall);
                self.write(String::new(), self.leftovers.times());
                true
            }
            _ => {
                assembly.create(&mut self.requests);
                true
            }
        }
    }

    /// Writes the checkpoint, if that is due, or if it is wanted and anything has changed.
    fn save(&mut self, wanted: bool) -> bool {
        let (Some(saver), Some(assembly)) = (&self.saver, &self.assembly) else { return false };
        let Some(upload_id) = assembly.upload_id().map(ToOwned::to_owned) else { return false };
        if saver.busy || !saver.is_due(&upload_id, assembly.done().len(), wanted) {
            return false;
        }
        let begun = if self.leftovers.are_there() { self.leftovers.times() } else { Vec::new() };
        self.write(upload_id, begun);
        true
    }

    fn write(&mut self, upload_id: String, begun: Vec<Timestamp>) {
        let (Some(saver), Some(assembly), Source::File { info, .. }) =
            (&mut self.saver, &self.assembly, &self.source)
        else {
            return;
        };
        let digest = assembly.digest();
        let mut checkpoint = Checkpoint::begin(&self.put.bucket, &self.put.key, &upload_id, assembly.plan());
        checkpoint.begun = begun;
        checkpoint.source_modified = info.and_then(|info| info.modified);
        checkpoint.checksum_algorithm = digest.algorithm.clone();
        checkpoint.checksum_type.clone_from(&digest.kind);
        checkpoint.settings = Target::of_put(&self.put).settings().ok();
        checkpoint.set_parts(assembly.done());
        saver.written = Some((upload_id, assembly.done().len()));
        saver.busy = true;
        let content = Secret::new(checkpoint.to_bytes().to_vec());
        let task = FileTask::Save { path: saver.path.clone(), content };
        self.errands.file(Errand::Save, task);
    }

    fn saved(&mut self, result: std::io::Result<FileReply>) {
        let Some(saver) = &mut self.saver else { return };
        saver.busy = false;
        match result {
            Ok(_) => {
                saver.exists = true;
                saver.known = saver.written.as_ref().map(|(upload_id, _)| upload_id.clone());
            }
            // An older one of the same upload will do.
            Err(error)
                if saver.known == saver.written.as_ref().map(|(upload_id, _)| upload_id.clone())
                    || matches!(self.stage, Stage::Ending(_)) =>
            {
                tracing::warn!(%error, path = %saver.path.display(), "the checkpoint could not be written");
            }
            Err(error) => {
                let what = format!("the checkpoint '{}' cannot be written", saver.path.display());
                self.give_up(Error::local_io(what, error));
            }
        }
    }

    /// Fails, from wherever it is.
    fn give_up(&mut self, error: Error) {
        match (&mut self.assembly, &self.stage) {
            (_, Stage::Ending(_) | Stage::Over) => {}
            (Some(assembly), Stage::Sending) => assembly.fail(&mut self.requests, error),
            _ => self.end(Err(error)),
        }
    }

    fn end(&mut self, result: Result<UploadReport, Error>) {
        self.requests.clear();
        self.drop_own();
        let result = result.map_err(|error| Target::of_put(&self.put).describe(error));
        self.stage = Stage::Ending(Ending { result, settled: false, closed: false });
    }

    /// Leaves the files as they should be.
    fn settle(&mut self, mut ending: Ending) -> bool {
        if self.saver.as_ref().is_some_and(|saver| saver.busy) {
            self.stage = Stage::Ending(ending);
            return false;
        }
        if !ending.settled {
            let left = ending.result.as_ref().map_err(Error::upload_failure);
            let may_have_begun = self.assembly.as_ref().is_some_and(Assembly::may_have_begun);
            let is_about_to = self.saver.as_ref().is_some_and(|saver| saver.known.as_deref() == Some(""));
            let remove = !self.leftovers.are_there()
                && match left {
                    Ok(_) => true,
                    Err(Some(failure)) => !failure.is_left(),
                    Err(None) => is_about_to && !may_have_begun,
                };
            let kept = matches!(left, Err(Some(failure)) if matches!(failure.cleanup, Cleanup::Kept));
            ending.settled = true;
            if kept && self.save(true) {
                self.stage = Stage::Ending(ending);
                return true;
            }
            if let Some(saver) = self.saver.as_ref().filter(|saver| remove && saver.exists) {
                let task = FileTask::Remove { path: saver.path.clone() };
                self.errands.file(Errand::Remove, task);
            }
        }
        let was_closed = std::mem::replace(&mut ending.closed, true);
        if !was_closed && let Source::File { id, info: Some(_), .. } = self.source {
            self.errands.file(Errand::Close, FileTask::Close { id });
        }
        self.stage = Stage::Ending(ending);
        !was_closed
    }

    fn finished(&mut self, job: Job, exchange: &Exchange, result: Result<Outcome, Error>) {
        match (job, &mut self.assembly) {
            (Job::List(op), _) => {
                let result = answer_of(&*op, exchange, result);
                self.listed(&op, result);
            }
            (Job::Uploads(op), Some(assembly)) => {
                let result = answer_of(&*op, exchange, result);
                let (own, target) = (assembly.upload_id(), Target::of_put(&self.put));
                self.leftovers.listed((&mut self.requests, &self.session, &target), &op, result, own);
            }
            (Job::Probe(op), _) => {
                let result = answer_of(&*op, exchange, result);
                let target = Target::of_put(&self.put);
                self.leftovers.probed((&mut self.requests, &self.session, &target), &op.upload_id, result);
            }
            (Job::Sweep(op), _) => {
                let result = answer_of(&*op, exchange, result).map(drop);
                let target = Target::of_put(&self.put);
                self.leftovers.swept((&mut self.requests, &self.session, &target), &op.upload_id, result);
            }
            (job, Some(assembly)) => {
                assembly.finished(&mut self.requests, job, exchange, result);
                if !assembly.is_sending() {
                    self.drop_own();
                    if let Source::Stream(stream) = &mut self.source {
                        stream.reading = false;
                    }
                }
            }
            (_, None) => {}
        }
    }

    /// A task of our own is over.
    fn errand_done(&mut self, errand: Errand, outcome: Done) {
        let path = |path: &PathBuf| path.display().to_string();
        match (errand, outcome) {
            (Errand::Open, Done::Filed(Ok(FileReply::Opened(info)))) => self.opened(info),
            (Errand::Open, Done::Filed(Err(error))) => {
                let name = match &self.source {
                    Source::File { path: file, .. } => path(file),
                    _ => String::new(),
                };
                self.end(Err(Error::local_io(format!("the file '{name}' cannot be opened"), error)));
            }
            (Errand::ReadCheckpoint, Done::Read(Ok(None))) => {
                if let Source::File { info: Some(info), .. } = &self.source {
                    self.begin(info.len);
                }
            }
            (Errand::ReadCheckpoint, Done::Read(Ok(Some(content)))) => {
                self.found_checkpoint(content.expose());
            }
            (Errand::ReadCheckpoint, Done::Read(Err(why))) => {
                let message = format!("the checkpoint cannot be read: {why}");
                self.end(Err(Error::new(ErrorKind::LocalIo, message)));
            }
            (Errand::Hash(candidate), Done::Filed(Ok(FileReply::Hashed(actual)))) => {
                self.checked(candidate, &actual);
            }
            (Errand::Hash(candidate), Done::Filed(Err(error))) => {
                let what = format!("part {} of the file cannot be read", candidate.number);
                self.end(Err(Error::local_io(what, error)));
            }
            (Errand::Save, Done::Filed(result)) => self.saved(result),
            (Errand::Remove, Done::Filed(Err(error))) => {
                tracing::warn!(%error, "the checkpoint could not be removed");
            }
            (Errand::Remove | Errand::Close, Done::Filed(_)) => {}
            (Errand::Fill(asked), Done::Filled(Ok(bytes))) if bytes.len() <= asked => {
                self.filled(asked, bytes);
            }
            (Errand::Fill(_), Done::Filled(Err(error))) => self.give_up(error.into_error()),
            (errand, _) => {
                if let (Errand::Save, Some(saver)) = (&errand, &mut self.saver) {
                    saver.busy = false;
                }
                self.give_up(Error::misfit());
            }
        }
    }

    /// Anything new to tell.
    fn news(&mut self) -> Option<Progress> {
        let is_over = matches!(&self.stage, Stage::Ending(ending) if ending.result.is_ok());
        let progress = self.assembly.as_ref()?.progress(is_over);
        (progress != self.told).then(|| {
            self.told = progress;
            progress
        })
    }
}

impl Machine for Upload {
    type Item = Progress;
    type Output = UploadReport;

    fn poll(&mut self, now: Now) -> Step<Progress, UploadReport> {
        loop {
            if let Some((errand, outcome)) = self.errands.next_done() {
                self.errand_done(errand, outcome);
                continue;
            }
            let requests = &mut self.requests;
            if let Some(step) = self.errands.poll(|| requests.new_id()) {
                return step;
            }
            match self.requests.poll(now) {
                Event::Start(id, task) => return Step::Start(id, task),
                Event::Cancel(id) => return Step::Cancel(id),
                Event::Head(..) => {}
                Event::Done(job, exchange, result) => self.finished(job, &exchange, result),
                Event::Wait(until) => {
                    if matches!(self.stage, Stage::Over) {
                        return Step::Done(Err(polled_after_done()));
                    }
                    if self.advance(now) {
                        continue;
                    }
                    if let Some(progress) = self.news() {
                        return Step::Item(progress);
                    }
                    if self.errands.is_idle()
                        && let Stage::Ending(_) = &self.stage
                        && let Stage::Ending(ending) = std::mem::replace(&mut self.stage, Stage::Over)
                    {
                        return Step::Done(ending.result);
                    }
                    return Step::Wait(until);
                }
            }
        }
    }

    fn answer(&mut self, now: Now, id: TaskId, answer: Answer<'_>) -> BodyPlan {
        if !self.errands.has(id) {
            return self.requests.answer(now, id, answer);
        }
        self.errands.take(id, answer);
        BodyPlan::Discard
    }

    fn cancel(&mut self, _: Now) {
        match (&mut self.assembly, &self.stage) {
            (_, Stage::Ending(_) | Stage::Over) => {}
            (Some(assembly), Stage::Sending) => {
                assembly.cancel(&mut self.requests);
                self.drop_own();
            }
            _ => self.end(Err(Error::cancelled())),
        }
    }
}

impl Saver {
    fn new(path: PathBuf) -> Self {
        Self { path, written: None, busy: false, exists: false, known: None }
    }

    /// Once for each part while there are few, and for a growing number of them when there are many: all that
    /// is written stays in proportion to what it is about.
    fn is_due(&self, upload_id: &str, parts: usize, wanted: bool) -> bool {
        match &self.written {
            Some((id, written)) if id == upload_id => {
                let new = parts.saturating_sub(*written);
                new > written / 64 || (wanted && new > 0)
            }
            _ => true,
        }
    }
}

fn digest_of(checkpoint: &Checkpoint) -> Digest {
    Digest { algorithm: checkpoint.checksum_algorithm.clone(), kind: checkpoint.checksum_type.clone() }
}

/// All of a source; nothing at all is better sent from memory.
fn whole_of(from: SourceId, len: u64) -> Payload {
    match len {
        0 => Payload::Bytes(Bytes::new()),
        len => Payload::Source { from, offset: 0, len, replayable: true },
    }
}

fn report(assembly: &Assembly, assembled: Assembled) -> UploadReport {
    let Progress { bytes, parts, retries, .. } = assembly.progress(true);
    UploadReport {
        etag: assembled.etag,
        version_id: assembled.version_id,
        checksum: assembled.checksum,
        upload_id: assembly.upload_id().map(ToOwned::to_owned),
        bytes,
        parts_sent: parts.saturating_sub(assembly.found()),
        parts_found: assembly.found(),
        retries,
    }
}
