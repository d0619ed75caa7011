//! An object on its way to the service: in one request, or in parts from their creation to their end.

use std::collections::BTreeMap;

use bytes::Bytes;

use super::Progress;
use super::digest::{Digest, DonePart, DoneParts, multipart_etag};
use super::failure::{Cleanup, FailedPart, UploadFailure};
use super::plan::Plan;
use super::requests::{
    Job, Requests, Target, agree, answer_of, are_comparable, ask, ask_observed, completed,
};
use super::window::Window;
use crate::checksum::Checksum;
use crate::etag::ETag;
use crate::exchange::{Exchange, Outcome};
use crate::machine::{Now, Payload, SourceId};
use crate::ops::{CopyObject, HeadObjectOutput};
use crate::session::Session;
use crate::{Error, ErrorKind, Phase};

/// What parts are made of.
#[derive(Debug)]
pub(super) enum Content {
    /// Ranges of a source that can be read anywhere.
    Ranges(SourceId),
    Memory(Bytes),
    /// Bytes that the owner brings, one part after the other; they are gone once they are sent.
    Stream,
    /// Ranges of another object.
    Object(Box<CopyObject>),
}

/// What an object has become.
#[derive(Clone, Debug, Default)]
pub(super) struct Assembled {
    pub(super) etag: Option<ETag>,
    pub(super) version_id: Option<String>,
    pub(super) source_version_id: Option<String>,
    pub(super) checksum: Option<Checksum>,
}

/// Decides which request comes next. Its owner runs them, and hands back what they came to.
pub(super) struct Assembly {
    session: Session,
    target: Target,
    content: Content,
    plan: Plan,
    digest: Digest,
    window: Window,
    stage: Stage,
    upload_id: Option<String>,
    /// An upload may be there whose id is not known.
    may_have_begun: bool,
    done: DoneParts,
    /// How many bytes those are.
    done_bytes: u64,
    /// How many of them were there before.
    found: u32,
    /// Parts on their way, with what is known of them.
    in_flight: BTreeMap<u32, Flight>,
    /// The first part that was not started yet.
    next: u32,
    failed: Vec<FailedPart>,
    retries: u32,
    /// It had to begin again; that happens once.
    restarted: bool,
    /// What is there stays if it fails.
    keep: bool,
}

struct Flight {
    len: u64,
    /// Known before, for bytes in memory.
    checksum: Option<Checksum>,
}

enum Stage {
    /// To be created, or put.
    New,
    Idle,
    /// All of it in one request, and what its checksum is if that is known before.
    Whole(Option<Checksum>),
    Creating {
        cancelled: bool,
    },
    Sending,
    Completing,
    /// The answer that counts was lost, or said so little that one has to look.
    Looking(Lost),
    Aborting(Ending),
    /// The upload that there was is gone without an object: the owner begins again.
    Gone,
    Over(Option<Result<Assembled, Error>>),
}

/// What it is that may be there.
struct Lost {
    error: Error,
    checksum: Option<Checksum>,
    etag: Option<ETag>,
    size: u64,
    /// It was sent by an earlier run.
    earlier: bool,
}

enum Ending {
    /// After this conflict.
    Restart(Error),
    Fail(Error),
    /// The object is there; its upload may be as well.
    Succeed(Box<Assembled>),
}

impl Assembly {
    pub(super) fn new(
        session: Session,
        target: Target,
        content: Content,
        plan: Plan,
        digest: Digest,
        concurrency: usize,
        keep: bool,
    ) -> Self {
        Self {
            session,
            target,
            content,
            plan,
            digest,
            window: Window::new(concurrency),
            stage: Stage::New,
            upload_id: None,
            may_have_begun: false,
            done: DoneParts::new(),
            done_bytes: 0,
            found: 0,
            in_flight: BTreeMap::new(),
            next: 1,
            failed: Vec::new(),
            retries: 0,
            restarted: false,
            keep,
        }
    }

    /// Sends all of it in this request.
    pub(super) fn put(&mut self, requests: &mut Requests, job: Job, checksum: Option<Checksum>) {
        match job {
            Job::Put(op) => ask_observed(requests, &self.session, *op, Job::Put, &self.digest),
            Job::Copy(op) => ask(requests, &self.session, *op, Job::Copy),
            _ => return,
        }
        self.stage = Stage::Whole(checksum);
    }

    /// Begins an upload in parts.
    pub(super) fn create(&mut self, requests: &mut Requests) {
        ask(requests, &self.session, self.target.create(&self.digest), Job::Create);
        self.stage = Stage::Creating { cancelled: false };
        self.may_have_begun = true;
    }

    /// Goes on with an upload that has these parts already.
    pub(super) fn resume(&mut self, upload_id: String, parts: DoneParts) {
        self.found = u32::try_from(parts.len()).unwrap_or(u32::MAX);
        self.done_bytes = parts.values().map(|part| part.len).sum();
        self.done = parts;
        self.upload_id = Some(upload_id);
        self.stage = Stage::Sending;
    }

    /// Looks whether the object of an upload that is gone is there, which had these parts.
    pub(super) fn look_for(
        &mut self,
        requests: &mut Requests,
        upload_id: String,
        parts: DoneParts,
        error: Error,
    ) {
        self.resume(upload_id, parts);
        self.look(requests, error, true);
    }

    /// Whether nothing was begun yet.
    pub(super) fn is_new(&self) -> bool {
        matches!(self.stage, Stage::New)
    }

    pub(super) fn may_have_begun(&self) -> bool {
        self.may_have_begun
    }

    /// Whether the parts can be told apart from what a store makes of them.
    pub(super) fn digest(&self) -> &Digest {
        &self.digest
    }

    pub(super) fn upload_id(&self) -> Option<&str> {
        self.upload_id.as_deref()
    }

    pub(super) fn done(&self) -> &DoneParts {
        &self.done
    }

    pub(super) fn found(&self) -> u32 {
        self.found
    }

    pub(super) fn plan(&self) -> Plan {
        self.plan
    }

    /// Whether parts are to be sent now.
    pub(super) fn is_sending(&self) -> bool {
        matches!(self.stage, Stage::Sending) && self.failed.is_empty()
    }

    /// The next part, if there is room for one more beside `held`, which the owner holds.
    pub(super) fn wants(&self, held: usize) -> Option<u32> {
        let has_room = self.is_sending() && self.in_flight.len() + held < self.window.allowed();
        has_room.then_some(self.next)
    }

    /// Whether every part is there.
    pub(super) fn has_all(&self) -> bool {
        self.is_sending() && self.plan.count().is_some_and(|count| self.done.len() as u64 == u64::from(count))
    }

    /// A stream turned out to have this many bytes.
    pub(super) fn end_of_stream(&mut self, len: u64) {
        self.plan.len = Some(len);
    }

    pub(super) fn is_gone(&self) -> bool {
        matches!(self.stage, Stage::Gone)
    }

    pub(super) fn take_result(&mut self) -> Option<Result<Assembled, Error>> {
        match &mut self.stage {
            Stage::Over(result) => result.take(),
            _ => None,
        }
    }

    pub(super) fn progress(&self, is_over: bool) -> Progress {
        let is_whole = self.upload_id.is_none() && is_over;
        let (bytes, parts) = match self.plan.len.filter(|_| is_whole) {
            Some(len) => (len, 1),
            None => (self.done_bytes, u32::try_from(self.done.len()).unwrap_or(u32::MAX)),
        };
        let total_parts = if is_whole { Some(1) } else { self.plan.count() };
        Progress { bytes, total: self.plan.len, parts, total_parts, objects: 0, retries: self.retries }
    }

    /// Starts as many parts as there is room for; those of a stream come from the owner.
    pub(super) fn send_parts(&mut self, requests: &mut Requests, now: Now) {
        if requests.take_throttled() {
            self.window.slow_down(now.mono);
        }
        let Some(count) = self.plan.count() else { return };
        while let Some(number) = self.wants(0).filter(|number| *number <= count) {
            if self.done.contains_key(&number) {
                self.next += 1;
                continue;
            }
            let (offset, len) = (self.plan.offset(number), self.plan.len_of(number));
            match &self.content {
                Content::Stream => return,
                Content::Memory(bytes) => {
                    let at = |place: u64| usize::try_from(place).unwrap_or(usize::MAX).min(bytes.len());
                    let bytes = bytes.slice(at(offset)..at(offset + len));
                    self.send_bytes(requests, bytes);
                }
                Content::Ranges(from) => {
                    let payload = Payload::Source { from: *from, offset, len, replayable: true };
                    self.send(requests, len, payload, None);
                }
                Content::Object(copy) => {
                    let id = self.upload_id.as_deref().unwrap_or_default();
                    let op = self.target.part_copy(id, number, copy, offset..offset + len);
                    ask(requests, &self.session, op, Job::PartCopy);
                    self.in_flight.insert(number, Flight { len, checksum: None });
                    self.next += 1;
                }
            }
        }
    }

    /// Starts the next part, with bytes in memory.
    pub(super) fn send_bytes(&mut self, requests: &mut Requests, bytes: Bytes) {
        match self.digest.of(&bytes) {
            Ok(checksum) => self.send(requests, bytes.len() as u64, Payload::Bytes(bytes), Some(checksum)),
            Err(error) => self.fail(requests, error),
        }
    }

    fn send(&mut self, requests: &mut Requests, len: u64, payload: Payload, checksum: Option<Checksum>) {
        let number = self.next;
        let id = self.upload_id.as_deref().unwrap_or_default();
        let mut op = self.target.part(id, number, payload);
        op.checksum_algorithm = self.digest.sent().cloned();
        if op.checksum_algorithm.is_some() {
            op.checksum.clone_from(&checksum);
        }
        ask_observed(requests, &self.session, op, Job::Part, &self.digest);
        self.in_flight.insert(number, Flight { len, checksum });
        self.next += 1;
    }

    /// Makes the object of its parts.
    pub(super) fn complete(&mut self, requests: &mut Requests) {
        let whole = self.digest.whole(&self.done);
        if let Err(error) = agree(whole.as_ref(), self.target.expected.as_ref()) {
            let message = error.message().replace("the service says that it is", "it was to be");
            return self.fail(requests, Error::new(ErrorKind::BadDigest, message).with_phase(Phase::Send));
        }
        let id = self.upload_id.as_deref().unwrap_or_default();
        ask(requests, &self.session, self.target.complete(id, &self.done, &self.digest), Job::Complete);
        self.stage = Stage::Completing;
    }

    /// Stops, and cleans up.
    pub(super) fn cancel(&mut self, requests: &mut Requests) {
        match &mut self.stage {
            // Its answer has the id that it takes to abort.
            Stage::Creating { cancelled } => *cancelled = true,
            Stage::Aborting(ending) => {
                if matches!(ending, Ending::Restart(_)) {
                    *ending = Ending::Fail(self.target.describe(Error::cancelled()));
                }
            }
            Stage::Over(_) => {}
            _ => {
                requests.clear();
                self.fail(requests, Error::cancelled());
            }
        }
    }

    /// Gives up: aborts what is there, unless it is to be kept.
    pub(super) fn fail(&mut self, requests: &mut Requests, error: Error) {
        requests.clear();
        self.in_flight.clear();
        let error = self.target.describe(error);
        match &self.upload_id {
            Some(id) if !self.keep => {
                ask(requests, &self.session, self.target.abort(id), Job::Abort);
                self.stage = Stage::Aborting(Ending::Fail(error));
            }
            Some(_) => self.over_failed(error, Cleanup::Kept),
            None => self.stage = Stage::Over(Some(Err(error))),
        }
    }

    fn over_failed(&mut self, cause: Error, cleanup: Cleanup) {
        let failure = UploadFailure {
            upload_id: self.upload_id.clone().unwrap_or_default(),
            completed: completed(&self.done, true),
            failed: std::mem::take(&mut self.failed),
            cleanup,
            cause,
        };
        self.stage = Stage::Over(Some(Err(failure.into_error())));
    }

    fn succeed(&mut self, assembled: Assembled) {
        self.stage = Stage::Over(Some(Ok(assembled)));
    }

    /// What a request came to.
    pub(super) fn finished(
        &mut self,
        requests: &mut Requests,
        job: Job,
        exchange: &Exchange,
        result: Result<Outcome, Error>,
    ) {
        self.retries = self.retries.saturating_add(exchange.attempts().saturating_sub(1));
        match job {
            Job::Put(op) => {
                let known = match &self.stage {
                    Stage::Whole(known) => known.clone(),
                    _ => None,
                };
                let checksum = known.or_else(|| exchange.observed());
                let result = answer_of(&*op, exchange, result).and_then(|out| {
                    agree(checksum.as_ref(), out.checksum.as_ref()).map_err(|e| exchange.describe(e))?;
                    let checksum = out.checksum.or(checksum.clone());
                    Ok(Assembled {
                        etag: out.etag,
                        version_id: out.version_id,
                        source_version_id: None,
                        checksum,
                    })
                });
                self.whole(requests, Job::Put(op), exchange, checksum, result);
            }
            Job::Copy(op) => {
                let result = answer_of(&*op, exchange, result).map(|out| Assembled {
                    etag: out.copy_object_result.etag,
                    version_id: out.version_id,
                    source_version_id: out.copy_source_version_id,
                    checksum: out.copy_object_result.checksum,
                });
                let checksum = self.target.expected.clone();
                self.whole(requests, Job::Copy(op), exchange, checksum, result);
            }
            Job::Create(op) => {
                let result = answer_of(&*op, exchange, result).and_then(|out| {
                    let id = out.upload_id.filter(|id| !id.is_empty());
                    id.ok_or_else(|| exchange.describe(missing("an upload id")))
                });
                self.may_have_begun = result.as_ref().is_err_and(|error| !is_refused(exchange, error));
                self.created(requests, result);
            }
            Job::Part(op) => {
                let result = answer_of(&*op, exchange, result).map(|out| (out.etag, out.checksum));
                self.part(requests, op.part_number, exchange, exchange.observed(), result);
            }
            Job::PartCopy(op) => {
                let result = answer_of(&*op, exchange, result)
                    .map(|out| (out.copy_part_result.etag, out.copy_part_result.checksum));
                self.part(requests, op.part_number, exchange, None, result);
            }
            Job::Complete(op) => {
                let whole = self.digest.whole(&self.done);
                let result = answer_of(&*op, exchange, result).and_then(|out| {
                    agree(whole.as_ref(), out.checksum.as_ref()).map_err(|e| exchange.describe(e))?;
                    let checksum = out.checksum.or(whole);
                    Ok(Assembled {
                        etag: out.etag,
                        version_id: out.version_id,
                        source_version_id: None,
                        checksum,
                    })
                });
                self.completed(requests, exchange, result);
            }
            Job::Look(op) => {
                let result = answer_of(&*op, exchange, result);
                self.looked(requests, result);
            }
            Job::Abort(op) => {
                let result = answer_of(&*op, exchange, result).map(drop);
                self.aborted(result);
            }
            // Those are the owner's.
            Job::List(_)
            | Job::Uploads(_)
            | Job::Probe(_)
            | Job::Sweep(_)
            | Job::Source(_)
            | Job::SourceTags(_) => {}
        }
    }

    fn whole(
        &mut self,
        requests: &mut Requests,
        job: Job,
        exchange: &Exchange,
        checksum: Option<Checksum>,
        result: Result<Assembled, Error>,
    ) {
        match result {
            Ok(assembled) => self.succeed(assembled),
            Err(error)
                if error.kind() == ErrorKind::Conflict && !self.restarted && can_be_sent_again(&job) =>
            {
                self.restarted = true;
                self.put(requests, job, checksum);
            }
            // The condition holds no more once it has worked.
            Err(error) if error.kind() == ErrorKind::PreconditionFailed && exchange.attempts() > 1 => {
                let size = self.plan.len.unwrap_or_default();
                let lost = Lost { error, checksum, etag: None, size, earlier: false };
                ask(requests, &self.session, self.target.look(), Job::Look);
                self.stage = Stage::Looking(lost);
            }
            Err(error) => self.stage = Stage::Over(Some(Err(error))),
        }
    }

    fn created(&mut self, requests: &mut Requests, result: Result<String, Error>) {
        let cancelled = matches!(self.stage, Stage::Creating { cancelled: true });
        match result {
            Ok(id) => {
                self.upload_id = Some(id);
                self.stage = Stage::Sending;
                if cancelled {
                    // Nothing is in it that would be worth keeping.
                    self.keep = false;
                    self.fail(requests, Error::cancelled());
                }
            }
            Err(_) if cancelled => self.fail(requests, Error::cancelled()),
            Err(error) => self.stage = Stage::Over(Some(Err(error.with_ambiguity(false)))),
        }
    }

    fn part(
        &mut self,
        requests: &mut Requests,
        number: u32,
        exchange: &Exchange,
        observed: Option<Checksum>,
        result: Result<(Option<ETag>, Option<Checksum>), Error>,
    ) {
        let Some(flight) = self.in_flight.remove(&number) else { return };
        let ours = flight.checksum.or(observed);
        let done = result.and_then(|(etag, theirs)| {
            agree(ours.as_ref(), theirs.as_ref()).map_err(|e| exchange.describe(e))?;
            let etag = etag.ok_or_else(|| exchange.describe(missing("an entity tag")))?;
            Ok(DonePart { len: flight.len, etag, checksum: ours.or(theirs) })
        });
        match done {
            Ok(part) => {
                self.window.went_well();
                self.done_bytes += part.len;
                self.done.insert(number, part);
            }
            Err(error) => self.failed.push(FailedPart { number, error }),
        }
        // The others that are under way go on to their end: what they bring need not be sent again.
        if self.in_flight.is_empty()
            && let Some(first) = self.failed.first()
        {
            // Nothing is an object before the upload is completed.
            let error = first.error.clone().with_ambiguity(false);
            self.fail(requests, error);
        }
    }

    fn completed(&mut self, requests: &mut Requests, exchange: &Exchange, result: Result<Assembled, Error>) {
        let error = match result {
            Ok(assembled) => return self.succeed(assembled),
            Err(error) => error,
        };
        let can_restart = !self.restarted && !matches!(self.content, Content::Stream);
        if error.kind() == ErrorKind::Conflict && can_restart {
            // "re-initiate the multipart upload with CreateMultipartUpload and re-upload each part"
            // (CompleteMultipartUpload in the API reference).
            self.restarted = true;
            let id = self.upload_id.as_deref().unwrap_or_default();
            ask(requests, &self.session, self.target.abort(id), Job::Abort);
            self.stage = Stage::Aborting(Ending::Restart(error));
            return;
        }
        let refused = is_refused(exchange, &error) && error.kind() != ErrorKind::NoSuchUpload;
        if refused || exchange.attempts() == 0 || error.kind() == ErrorKind::ChecksumMismatch {
            self.fail(requests, error);
        } else {
            self.look(requests, error, false);
        }
    }

    fn look(&mut self, requests: &mut Requests, error: Error, earlier: bool) {
        let lost = Lost {
            error,
            checksum: self.digest.whole(&self.done),
            etag: multipart_etag(&self.done),
            size: self.done_bytes,
            earlier,
        };
        ask(requests, &self.session, self.target.look(), Job::Look);
        self.stage = Stage::Looking(lost);
    }

    fn looked(&mut self, requests: &mut Requests, result: Result<HeadObjectOutput, Error>) {
        let Stage::Looking(lost) = std::mem::replace(&mut self.stage, Stage::Idle) else { return };
        let error = match result {
            Ok(head) if lost.is(&head) => {
                tracing::debug!("the answer was lost, but the object is there");
                let assembled = Assembled {
                    etag: head.etag,
                    version_id: head.version_id,
                    source_version_id: None,
                    checksum: lost.checksum.or(head.checksum),
                };
                // It may be there from before, and the upload still open.
                let open = self.upload_id.as_ref().filter(|_| lost.error.kind() != ErrorKind::NoSuchUpload);
                if let Some(id) = open {
                    ask(requests, &self.session, self.target.abort(id), Job::Abort);
                    self.stage = Stage::Aborting(Ending::Succeed(Box::new(assembled)));
                    return;
                }
                return self.succeed(assembled);
            }
            Ok(_) => lost.error.with_ambiguity(false),
            Err(e) if matches!(e.kind(), ErrorKind::NotFound | ErrorKind::NoSuchKey) => {
                lost.error.with_ambiguity(false)
            }
            Err(e) => {
                let message =
                    format!("{} (looking whether the object is there failed too: {e})", lost.error.message());
                lost.error.with_message(message).with_ambiguity(true)
            }
        };
        if lost.earlier {
            self.stage = Stage::Gone;
        } else if error.kind() == ErrorKind::NoSuchUpload {
            self.over_failed(error, Cleanup::Aborted);
        } else {
            self.fail(requests, error);
        }
    }

    fn aborted(&mut self, result: Result<(), Error>) {
        let Stage::Aborting(ending) = std::mem::replace(&mut self.stage, Stage::Idle) else { return };
        let cleanup = match result {
            Err(error) if error.kind() != ErrorKind::NoSuchUpload => Cleanup::Failed(error),
            _ => Cleanup::Aborted,
        };
        match (ending, cleanup) {
            (Ending::Restart(_), Cleanup::Aborted) => {
                tracing::debug!("somebody else changed the object in between, sending it again");
                self.upload_id = None;
                self.done.clear();
                self.done_bytes = 0;
                self.found = 0;
                self.next = 1;
                self.stage = Stage::New;
            }
            (Ending::Restart(error) | Ending::Fail(error), cleanup) => self.over_failed(error, cleanup),
            (Ending::Succeed(assembled), cleanup) => {
                if let Cleanup::Failed(error) = cleanup {
                    let upload_id = self.upload_id.as_deref();
                    tracing::warn!(
                        upload_id,
                        error.kind = ?error.kind(),
                        error.code = error.code(),
                        "the object is there, but its upload may be left behind"
                    );
                }
                self.succeed(*assembled);
            }
        }
    }
}

impl Lost {
    /// Whether an object is the one that was sent. Its size alone does not tell.
    fn is(&self, head: &HeadObjectOutput) -> bool {
        if head.content_length != Some(self.size) {
            return false;
        }
        if let (Some(ours), Some(theirs)) = (&self.checksum, &head.checksum)
            && are_comparable(ours, theirs)
        {
            return ours == theirs;
        }
        self.etag.is_some() && self.etag == head.etag
    }
}

/// Sent once and refused: nothing can have come of it. Otherwise, an attempt may have worked.
fn is_refused(exchange: &Exchange, error: &Error) -> bool {
    exchange.attempts() <= 1 && error.status().is_some_and(|status| status.is_client_error())
}

fn can_be_sent_again(job: &Job) -> bool {
    !matches!(job, Job::Put(op) if matches!(op.body, Payload::Source { replayable: false, .. }))
}

fn missing(what: &str) -> Error {
    Error::new(ErrorKind::MalformedResponse, format!("the answer lacks {what}")).with_phase(Phase::Parse)
}
