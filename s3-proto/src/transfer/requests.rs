//! The requests of uploads and copies, and what they have in common.

use super::digest::{Digest, DonePart, DoneParts};
use super::fleet::Fleet;
use crate::call::parse;
use crate::checksum::{Checksum, ChecksumAlgorithm, Hasher};
use crate::encode::hex;
use crate::etag::ETag;
use crate::exchange::{Exchange, Goal, Outcome};
use crate::machine::Payload;
use crate::ops::{
    AbortMultipartUpload, ChecksumMode, ChecksumType, CompleteMultipartUpload, CompletedMultipartUpload,
    CompletedPart, CopyObject, CreateMultipartUpload, GetObjectTagging, HeadObject, HeadObjectOutput,
    ListMultipartUploads, ListParts, MetadataDirective, Operation, PutObject, UploadPart, UploadPartCopy,
};
use crate::session::Session;
use crate::{Error, ErrorKind, Phase};

/// A request that is under way.
#[derive(Clone)]
pub(super) enum Job {
    Put(Box<PutObject>),
    Copy(Box<CopyObject>),
    Create(Box<CreateMultipartUpload>),
    Part(Box<UploadPart>),
    PartCopy(Box<UploadPartCopy>),
    Complete(Box<CompleteMultipartUpload>),
    /// Whether the object is there.
    Look(Box<HeadObject>),
    Abort(Box<AbortMultipartUpload>),
    /// Which parts are there.
    List(Box<ListParts>),
    /// Which uploads of the key there are.
    Uploads(Box<ListMultipartUploads>),
    /// Whether one of them has parts.
    Probe(Box<ListParts>),
    /// One that is nobody's any more.
    Sweep(Box<AbortMultipartUpload>),
    /// What is copied.
    Source(Box<HeadObject>),
    SourceTags(Box<GetObjectTagging>),
}

pub(super) type Requests = Fleet<Job>;

/// Starts an operation.
pub(super) fn ask<O: Operation>(requests: &mut Requests, session: &Session, op: O, job: fn(Box<O>) -> Job) {
    let mut exchange = Exchange::new(session.clone(), O::NAME, Goal::Collect, op.request());
    if O::NAME == "CompleteMultipartUpload" {
        // An upload knows more of what it has sent than its last request does, and looks itself.
        exchange = exchange.without_look();
    }
    requests.add(job(Box::new(op)), exchange);
}

/// Starts one with data from a source, of which a checksum is computed.
pub(super) fn ask_observed<O: Operation>(
    requests: &mut Requests,
    session: &Session,
    op: O,
    job: fn(Box<O>) -> Job,
    digest: &Digest,
) {
    let exchange = Exchange::new(session.clone(), O::NAME, Goal::Collect, op.request());
    requests.add(job(Box::new(op)), exchange.observe(&digest.algorithm));
}

/// What an operation came to.
pub(super) fn answer_of<O: Operation>(
    op: &O,
    exchange: &Exchange,
    result: Result<Outcome, Error>,
) -> Result<O::Output, Error> {
    match result? {
        Outcome::Reply(head, body) => parse(op, exchange, &head, &body),
        _ => Err(exchange.describe(Error::new(ErrorKind::ApiMisuse, "the answer was not collected"))),
    }
}

/// What the requests of an upload are made from.
#[derive(Clone, Debug)]
pub(super) struct Target {
    /// What an error that is not one of a request is about.
    pub(super) name: &'static str,
    /// Its members also go to the other requests that know them.
    pub(super) create: CreateMultipartUpload,
    pub(super) if_match: Option<ETag>,
    pub(super) if_none_match: Option<ETag>,
    /// The checksum that the whole must have.
    pub(super) expected: Option<Checksum>,
}

impl Target {
    /// Every member of PutObject is named here, so that none is forgotten when one is added.
    pub(super) fn of_put(put: &PutObject) -> Self {
        let PutObject {
            bucket,
            key,
            acl,
            cache_control,
            content_disposition,
            content_encoding,
            content_language,
            // These three keep an upload in one request.
            content_md5: _,
            write_offset_bytes: _,
            body: _,
            content_type,
            // See `Digest`.
            checksum_algorithm: _,
            checksum,
            expires,
            if_match,
            if_none_match,
            grant_full_control,
            grant_read,
            grant_read_acp,
            grant_write_acp,
            server_side_encryption,
            storage_class,
            website_redirect_location,
            sse_customer_key,
            sse_kms_key_id,
            sse_kms_encryption_context,
            bucket_key_enabled,
            request_payer,
            tagging,
            object_lock_mode,
            object_lock_retain_until_date,
            object_lock_legal_hold_status,
            object_lock_event_hold,
            object_lock_event_hold_duration_days,
            object_lock_event_hold_duration_years,
            expected_bucket_owner,
            metadata,
        } = put.clone();
        let create = CreateMultipartUpload {
            bucket,
            key,
            acl,
            cache_control,
            content_disposition,
            content_encoding,
            content_language,
            content_type,
            expires,
            grant_full_control,
            grant_read,
            grant_read_acp,
            grant_write_acp,
            server_side_encryption,
            storage_class,
            website_redirect_location,
            sse_customer_key,
            sse_kms_key_id,
            sse_kms_encryption_context,
            bucket_key_enabled,
            request_payer,
            tagging,
            object_lock_mode,
            object_lock_retain_until_date,
            object_lock_legal_hold_status,
            object_lock_event_hold,
            object_lock_event_hold_duration_days,
            object_lock_event_hold_duration_years,
            expected_bucket_owner,
            checksum_algorithm: None,
            checksum_type: None,
            metadata,
        };
        Self { name: "Upload", create, if_match, if_none_match, expected: checksum }
    }

    /// A copy in parts, with what CopyObject would take over from the source. As there, access, storage class,
    /// encryption, locks and the redirect are not taken over.
    pub(super) fn of_copy(copy: &CopyObject, source: &HeadObjectOutput, tags: Option<String>) -> Self {
        let CopyObject {
            bucket,
            key,
            acl,
            cache_control,
            content_disposition,
            content_encoding,
            content_language,
            content_type,
            expires,
            grant_full_control,
            grant_read,
            grant_read_acp,
            grant_write_acp,
            if_match,
            if_none_match,
            metadata_directive,
            server_side_encryption,
            storage_class,
            website_redirect_location,
            sse_customer_key,
            sse_kms_key_id,
            sse_kms_encryption_context,
            bucket_key_enabled,
            request_payer,
            tagging,
            object_lock_mode,
            object_lock_retain_until_date,
            object_lock_legal_hold_status,
            object_lock_event_hold,
            object_lock_event_hold_duration_days,
            object_lock_event_hold_duration_years,
            expected_bucket_owner,
            metadata,
            // See `Digest`.
            checksum_algorithm: _,
            // Those are of the source, or have been followed already.
            copy_source: _,
            copy_source_if_match: _,
            copy_source_if_modified_since: _,
            copy_source_if_none_match: _,
            copy_source_if_unmodified_since: _,
            copy_source_sse_customer_key: _,
            expected_source_bucket_owner: _,
            tagging_directive: _,
            // A multipart upload has no annotations.
            annotation_directive: _,
        } = copy.clone();
        let replace = metadata_directive == Some(MetadataDirective::Replace);
        let either =
            |own: Option<String>, theirs: &Option<String>| if replace { own } else { theirs.clone() };
        let create = CreateMultipartUpload {
            bucket,
            key,
            acl,
            cache_control: either(cache_control, &source.cache_control),
            content_disposition: either(content_disposition, &source.content_disposition),
            content_encoding: either(content_encoding, &source.content_encoding),
            content_language: either(content_language, &source.content_language),
            content_type: either(content_type, &source.content_type),
            expires: either(expires, &source.expires),
            metadata: if replace { metadata } else { source.metadata.clone() },
            grant_full_control,
            grant_read,
            grant_read_acp,
            grant_write_acp,
            server_side_encryption,
            storage_class,
            website_redirect_location,
            sse_customer_key,
            sse_kms_key_id,
            sse_kms_encryption_context,
            bucket_key_enabled,
            request_payer,
            tagging: tags.or(tagging),
            object_lock_mode,
            object_lock_retain_until_date,
            object_lock_legal_hold_status,
            object_lock_event_hold,
            object_lock_event_hold_duration_days,
            object_lock_event_hold_duration_years,
            expected_bucket_owner,
            checksum_algorithm: None,
            checksum_type: None,
        };
        let expected =
            source.checksum.clone().filter(|c| c.algorithm().is_crc() && c.composite_parts().is_none());
        Self { name: "Copy", create, if_match, if_none_match, expected }
    }

    /// A digest of all that an upload begins with and that stays with the object: another run must want the same.
    ///
    /// The customer's key is left out, since a digest of it is one to guess it by.
    pub(super) fn settings(&self) -> Result<String, Error> {
        let create = CreateMultipartUpload {
            sse_customer_key: None,
            request_payer: None,
            expected_bucket_owner: None,
            ..self.create.clone()
        };
        let draft = create.request()?;
        let mut headers: Vec<_> =
            draft.headers.iter().map(|(n, v)| [n.as_str().as_bytes(), v.as_bytes()]).collect();
        headers.sort_unstable();
        let mut hasher = Hasher::new(&ChecksumAlgorithm::Sha256)?;
        for text in headers.into_iter().flatten() {
            hasher.update(&(text.len() as u64).to_be_bytes());
            hasher.update(text);
        }
        Ok(hex(hasher.finish().bytes()))
    }

    pub(super) fn create(&self, digest: &Digest) -> CreateMultipartUpload {
        CreateMultipartUpload {
            checksum_algorithm: digest.sent().cloned(),
            checksum_type: digest.kind.clone(),
            ..self.create.clone()
        }
    }

    pub(super) fn part(&self, upload_id: &str, number: u32, body: Payload) -> UploadPart {
        let of = &self.create;
        UploadPart {
            sse_customer_key: of.sse_customer_key.clone(),
            request_payer: of.request_payer.clone(),
            expected_bucket_owner: of.expected_bucket_owner.clone(),
            ..UploadPart::new(&of.bucket, &of.key, number, upload_id, body)
        }
    }

    pub(super) fn part_copy(
        &self,
        upload_id: &str,
        number: u32,
        copy: &CopyObject,
        range: std::ops::Range<u64>,
    ) -> UploadPartCopy {
        let of = &self.create;
        UploadPartCopy {
            copy_source_if_match: copy.copy_source_if_match.clone(),
            copy_source_if_modified_since: copy.copy_source_if_modified_since,
            copy_source_if_none_match: copy.copy_source_if_none_match.clone(),
            copy_source_if_unmodified_since: copy.copy_source_if_unmodified_since,
            copy_source_range: Some(range.into()),
            sse_customer_key: of.sse_customer_key.clone(),
            copy_source_sse_customer_key: copy.copy_source_sse_customer_key.clone(),
            request_payer: of.request_payer.clone(),
            expected_bucket_owner: of.expected_bucket_owner.clone(),
            expected_source_bucket_owner: copy.expected_source_bucket_owner.clone(),
            ..UploadPartCopy::new(&of.bucket, &of.key, copy.copy_source.clone(), number, upload_id)
        }
    }

    pub(super) fn complete(
        &self,
        upload_id: &str,
        parts: &DoneParts,
        digest: &Digest,
    ) -> CompleteMultipartUpload {
        let of = &self.create;
        let sent = digest.sent().is_some();
        let full = digest.kind == Some(ChecksumType::FullObject);
        let size = parts.values().map(|part| part.len).sum();
        CompleteMultipartUpload {
            checksum: digest.whole(parts).filter(|_| full),
            checksum_type: digest.kind.clone(),
            mpu_object_size: sent.then_some(size),
            request_payer: of.request_payer.clone(),
            expected_bucket_owner: of.expected_bucket_owner.clone(),
            if_match: self.if_match.clone(),
            if_none_match: self.if_none_match.clone(),
            sse_customer_key: of.sse_customer_key.clone(),
            multipart_upload: Some(CompletedMultipartUpload { parts: completed(parts, sent) }),
            ..CompleteMultipartUpload::new(&of.bucket, &of.key, upload_id)
        }
    }

    pub(super) fn abort(&self, upload_id: &str) -> AbortMultipartUpload {
        let of = &self.create;
        AbortMultipartUpload {
            request_payer: of.request_payer.clone(),
            expected_bucket_owner: of.expected_bucket_owner.clone(),
            ..AbortMultipartUpload::new(&of.bucket, &of.key, upload_id)
        }
    }

    pub(super) fn list(&self, upload_id: &str) -> ListParts {
        let of = &self.create;
        ListParts {
            sse_customer_key: of.sse_customer_key.clone(),
            request_payer: of.request_payer.clone(),
            expected_bucket_owner: of.expected_bucket_owner.clone(),
            ..ListParts::new(&of.bucket, &of.key, upload_id)
        }
    }

    pub(super) fn uploads(&self) -> ListMultipartUploads {
        let of = &self.create;
        ListMultipartUploads {
            prefix: Some(of.key.clone()),
            request_payer: of.request_payer.clone(),
            expected_bucket_owner: of.expected_bucket_owner.clone(),
            ..ListMultipartUploads::new(&of.bucket)
        }
    }

    pub(super) fn look(&self) -> HeadObject {
        let of = &self.create;
        HeadObject {
            sse_customer_key: of.sse_customer_key.clone(),
            request_payer: of.request_payer.clone(),
            expected_bucket_owner: of.expected_bucket_owner.clone(),
            checksum_mode: Some(ChecksumMode::Enabled),
            ..HeadObject::new(&of.bucket, &of.key)
        }
    }

    /// Says which object an error is about, that is not one of a request.
    pub(super) fn describe(&self, error: Error) -> Error {
        error.with_target(self.name, Some(&self.create.bucket), Some(&self.create.key))
    }
}

/// The parts as CompleteMultipartUpload lists them.
pub(super) fn completed(parts: &DoneParts, with_checksums: bool) -> Vec<CompletedPart> {
    let part = |(number, part): (&u32, &DonePart)| CompletedPart {
        checksum: part.checksum.clone().filter(|_| with_checksums),
        ..CompletedPart::new(*number, part.etag.clone())
    };
    parts.iter().map(part).collect()
}

/// Whether two checksums of the same, as far as they can be compared, are the same.
pub(super) fn agree(ours: Option<&Checksum>, theirs: Option<&Checksum>) -> Result<(), Error> {
    let (Some(ours), Some(theirs)) = (ours, theirs) else { return Ok(()) };
    if ours == theirs || !are_comparable(ours, theirs) {
        return Ok(());
    }
    let message = format!(
        "the {} of what was sent is {ours}, but the service says that it is {theirs}",
        ours.algorithm()
    );
    Err(Error::new(ErrorKind::ChecksumMismatch, message).with_phase(Phase::Parse))
}

pub(super) fn are_comparable(a: &Checksum, b: &Checksum) -> bool {
    a.algorithm() == b.algorithm() && a.composite_parts() == b.composite_parts()
}
