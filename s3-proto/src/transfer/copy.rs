//! Copies of any size, inside of the service.

use super::assembly::{Assembled, Assembly, Content};
use super::digest::Digest;
use super::fleet::Event;
use super::plan::Plan;
use super::requests::{Job, Requests, Target, answer_of, ask};
use super::{DEFAULT_CONCURRENCY, Progress};
use crate::checksum::Checksum;
use crate::client::polled_after_done;
use crate::encode::uri_encode;
use crate::etag::ETag;
use crate::exchange::{Exchange, Outcome};
use crate::machine::{Answer, BodyPlan, Machine, Now, Step, TaskId};
use crate::ops::{
    ChecksumMode, ChecksumType, CopyObject, GetObjectTagging, HeadObject, HeadObjectOutput,
    MetadataDirective, Tag, TaggingDirective,
};
use crate::session::Session;
use crate::validate::MAX_PUT_SIZE;
use crate::{Error, ErrorKind, Phase};

/// How a copy is carried out. Plain data: change any field.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct CopyOptions {
    /// Up to this many bytes are copied by one request, all larger objects in parts. Default and most: 5 GiB.
    pub threshold: u64,
    /// Bytes of each part but the last: 5 MiB to 5 GiB; more where 10,000 parts would not be enough. Default
    /// 128 MiB.
    pub part_size: u64,
    /// How many parts may be in flight; fewer for a while if the service asks to slow down. Default 8.
    pub concurrency: usize,
    /// Whether a multipart upload that fails or is cancelled is kept rather than aborted. Default: no.
    pub keep_on_failure: bool,
}

impl Default for CopyOptions {
    fn default() -> Self {
        Self {
            threshold: MAX_PUT_SIZE,
            part_size: 128 << 20,
            concurrency: DEFAULT_CONCURRENCY,
            keep_on_failure: false,
        }
    }
}

/// What a copy came to.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct CopyReport {
    /// The entity tag of the copy.
    pub etag: Option<ETag>,
    /// Its version, in a bucket that has versions.
    pub version_id: Option<String>,
    /// The version that was copied.
    pub source_version_id: Option<String>,
    /// The checksum of the copy, if the service said.
    pub checksum: Option<Checksum>,
    /// The id of the upload; `None` if it was copied by one request.
    pub upload_id: Option<String>,
    /// Bytes of the object.
    pub bytes: u64,
    /// Parts that were copied; 1 if it was copied by one request.
    pub parts: u32,
    /// Requests that had to be repeated.
    pub retries: u32,
}

/// Copies an object: by CopyObject up to 5 GiB, in parts side by side above.
///
/// Metadata and tags are taken over or replaced as CopyObject would. The parts are all of the content that
/// the source has at the beginning: if it changes meanwhile, the copy fails with
/// [`ErrorKind::PreconditionFailed`].
pub struct Copy {
    session: Session,
    op: CopyObject,
    options: CopyOptions,
    requests: Requests,
    stage: Stage,
    source: Option<HeadObjectOutput>,
    assembly: Option<Assembly>,
    told: Progress,
}

enum Stage {
    New,
    Asking,
    Sending,
    Ending(Box<Result<CopyReport, Error>>),
    Over,
}

impl Copy {
    /// As the operation says, whatever the size of its source.
    pub fn new(session: Session, op: CopyObject, options: CopyOptions) -> Self {
        Self {
            session,
            op,
            options,
            requests: Requests::new(),
            stage: Stage::New,
            source: None,
            assembly: None,
            told: Progress::default(),
        }
    }

    fn ask_for_source(&mut self) {
        let (bucket, key, version_id) = self.op.copy_source.parts();
        let head = HeadObject {
            version_id: version_id.cloned(),
            sse_customer_key: self.op.copy_source_sse_customer_key.clone(),
            request_payer: self.op.request_payer.clone(),
            expected_bucket_owner: self.op.expected_source_bucket_owner.clone(),
            checksum_mode: self.session.config().sends_checksums().then_some(ChecksumMode::Enabled),
            ..HeadObject::new(bucket, key)
        };
        ask(&mut self.requests, &self.session, head, Job::Source);
        self.stage = Stage::Asking;
    }

    fn found_source(&mut self, head: HeadObjectOutput) {
        let Some(len) = head.content_length else {
            let message = "the service does not say how long the object to copy is";
            return self.end(Err(Error::new(ErrorKind::MalformedResponse, message).with_phase(Phase::Parse)));
        };
        let tag_count = head.tag_count;
        let lost = head.missing_meta.filter(|n| *n > 0);
        self.source = Some(head);
        // A store that copies no parts knows by itself how much it copies at once.
        let fits = len <= self.options.threshold.min(MAX_PUT_SIZE);
        if fits || !self.session.config().provider().part_copy {
            return self.copy_whole(len);
        }
        if let Some(lost) = lost.filter(|_| self.op.metadata_directive != Some(MetadataDirective::Replace)) {
            let message = format!(
                "{lost} entries of the source's metadata cannot be read, so that a copy in parts would lose them: \
                 give the metadata, with the directive to replace it"
            );
            return self.end(Err(Error::invalid_input(message)));
        }
        if self.op.tagging_directive == Some(TaggingDirective::Replace) || tag_count == Some(0) {
            return self.copy_in_parts(None);
        }
        let (bucket, key, version_id) = self.op.copy_source.parts();
        let tags = GetObjectTagging {
            version_id: version_id.cloned(),
            expected_bucket_owner: self.op.expected_source_bucket_owner.clone(),
            request_payer: self.op.request_payer.clone(),
            ..GetObjectTagging::new(bucket, key)
        };
        ask(&mut self.requests, &self.session, tags, Job::SourceTags);
    }

    fn found_tags(&mut self, result: Result<Vec<Tag>, Error>) {
        match result {
            Ok(tags) if tags.is_empty() => self.copy_in_parts(None),
            Ok(tags) => {
                let pair = |tag: &Tag| format!("{}={}", uri_encode(&tag.key), uri_encode(&tag.value));
                self.copy_in_parts(Some(tags.iter().map(pair).collect::<Vec<_>>().join("&")));
            }
            // There are none, or the store does not have such a thing.
            Err(error) if has_no_tags(&error) => self.copy_in_parts(None),
            Err(error) => {
                let message = format!(
                    "the tags of the source cannot be read, and would be lost ({}): allow it, or give the tags, \
                     with the directive to replace them",
                    error.message()
                );
                self.end(Err(error.with_message(message)));
            }
        }
    }

    fn copy_whole(&mut self, len: u64) {
        let plan = Plan { part_size: len.max(1), len: Some(len) };
        if let Some(mut assembly) = self.assemble(plan, None) {
            assembly.put(&mut self.requests, Job::Copy(Box::new(self.op.clone())), None);
            self.assembly = Some(assembly);
        }
    }

    fn copy_in_parts(&mut self, tags: Option<String>) {
        let len = self.source.as_ref().and_then(|source| source.content_length);
        match Plan::new(len, self.options.part_size, &self.session.config().provider()) {
            Ok(plan) => {
                if let Some(assembly) = self.assemble(plan, tags) {
                    self.assembly = Some(assembly);
                }
            }
            Err(error) => self.end(Err(error)),
        }
    }

    /// `None` if it cannot be; then this is the end.
    fn assemble(&mut self, plan: Plan, tags: Option<String>) -> Option<Assembly> {
        let source = self.source.as_ref()?;
        let mut target = Target::of_copy(&self.op, source, tags);
        if source.checksum_type == Some(ChecksumType::Composite) {
            target.expected = None;
        }
        let config = self.session.config();
        // With the checksum of the source, the service compares the copy with it.
        let theirs = target.expected.as_ref().map(Checksum::algorithm).filter(|_| config.sends_checksums());
        let digest = match Digest::new(self.op.checksum_algorithm.as_ref().or(theirs), config) {
            Ok(digest) => digest,
            Err(error) => {
                self.end(Err(error));
                return None;
            }
        };
        let mut op = self.op.clone();
        op.copy_source_if_match = op.copy_source_if_match.or_else(|| source.etag.clone());
        let content = Content::Object(Box::new(op));
        let (concurrency, keep) = (self.options.concurrency, self.options.keep_on_failure);
        self.stage = Stage::Sending;
        Some(Assembly::new(self.session.clone(), target, content, plan, digest, concurrency, keep))
    }

    fn end(&mut self, result: Result<CopyReport, Error>) {
        self.requests.clear();
        let (bucket, key) = (&self.op.bucket, &self.op.key);
        let result = result.map_err(|error| error.with_target("Copy", Some(bucket), Some(key)));
        self.stage = Stage::Ending(Box::new(result));
    }

    fn finished(&mut self, job: Job, exchange: &Exchange, result: Result<Outcome, Error>) {
        match (job, &mut self.assembly) {
            (Job::Source(op), _) => match answer_of(&*op, exchange, result) {
                Ok(head) => self.found_source(head),
                Err(error) => self.end(Err(error)),
            },
            (Job::SourceTags(op), _) => {
                self.found_tags(answer_of(&*op, exchange, result).map(|out| out.tag_set));
            }
            (job, Some(assembly)) => assembly.finished(&mut self.requests, job, exchange, result),
            (_, None) => {}
        }
    }

    /// Does what can be done without an answer; `false` if there was nothing.
    fn advance(&mut self, now: Now) -> bool {
        match (&self.stage, &mut self.assembly) {
            (Stage::New, _) => {
                self.ask_for_source();
                true
            }
            (Stage::Sending, Some(assembly)) => {
                if let Some(result) = assembly.take_result() {
                    let version = self.source.as_ref().and_then(|source| source.version_id.clone());
                    let report = result.map(|assembled| report(assembly, assembled, version));
                    self.end(report);
                    return true;
                }
                if assembly.is_new() {
                    assembly.create(&mut self.requests);
                    return true;
                }
                if assembly.has_all() {
                    assembly.complete(&mut self.requests);
                    return true;
                }
                let before = self.requests.len();
                assembly.send_parts(&mut self.requests, now);
                self.requests.len() != before
            }
            _ => false,
        }
    }

    /// Anything new to tell.
    fn news(&mut self) -> Option<Progress> {
        if matches!(self.stage, Stage::Over) {
            return None;
        }
        let is_over = matches!(&self.stage, Stage::Ending(result) if result.is_ok());
        let progress = self.assembly.as_ref()?.progress(is_over);
        (progress != self.told).then(|| {
            self.told = progress;
            progress
        })
    }
}

impl Machine for Copy {
    type Item = Progress;
    type Output = CopyReport;

    fn poll(&mut self, now: Now) -> Step<Progress, CopyReport> {
        loop {
            match self.requests.poll(now) {
                Event::Start(id, task) => return Step::Start(id, task),
                Event::Cancel(id) => return Step::Cancel(id),
                Event::Head(..) => {}
                Event::Done(job, exchange, result) => self.finished(job, &exchange, result),
                Event::Wait(until) => {
                    if self.advance(now) {
                        continue;
                    }
                    if let Some(progress) = self.news() {
                        return Step::Item(progress);
                    }
                    if !matches!(self.stage, Stage::Ending(_) | Stage::Over) {
                        return Step::Wait(until);
                    }
                    return Step::Done(match std::mem::replace(&mut self.stage, Stage::Over) {
                        Stage::Ending(result) => *result,
                        _ => Err(polled_after_done()),
                    });
                }
            }
        }
    }

    fn answer(&mut self, now: Now, id: TaskId, answer: Answer<'_>) -> BodyPlan {
        self.requests.answer(now, id, answer)
    }

    fn cancel(&mut self, _: Now) {
        match (&mut self.assembly, &self.stage) {
            (_, Stage::Ending(_) | Stage::Over) => {}
            (Some(assembly), Stage::Sending) => assembly.cancel(&mut self.requests),
            _ => self.end(Err(Error::cancelled())),
        }
    }
}

fn has_no_tags(error: &Error) -> bool {
    let unknown = error.status().is_some_and(|status| matches!(status.as_u16(), 405 | 501));
    unknown || matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotImplemented)
}

fn report(assembly: &Assembly, assembled: Assembled, version: Option<String>) -> CopyReport {
    let Progress { bytes, parts, retries, .. } = assembly.progress(true);
    CopyReport {
        etag: assembled.etag,
        version_id: assembled.version_id,
        source_version_id: assembled.source_version_id.or(version),
        checksum: assembled.checksum,
        upload_id: assembly.upload_id().map(ToOwned::to_owned),
        bytes,
        parts,
        retries,
    }
}
