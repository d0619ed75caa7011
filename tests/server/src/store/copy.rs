//! CopyObject, and the source of UploadPartCopy.

use std::sync::Arc;

use http::HeaderMap;
use s3s::dto::{
    ChecksumAlgorithm, ChecksumType, CopyObjectInput, CopyObjectOutput, CopyObjectResult, CopySource,
    ETagCondition, MetadataDirective, TaggingDirective, Timestamp,
};
use s3s::{S3Request, S3Result, s3_error};

use super::conditions::{ReadConditions, check_write, failed};
use super::model::{Content, Encryption, Object};
use super::objects::{Found, attributes_of, check_customer_key, encryption_of, full_object_digest};
use super::receive::etag;
use super::{Store, injected, invalid_request, tagging};
use crate::checksum::{Algorithm, Checksum, Kind, base64, set_checksum};

/// Bucket, key and version id of a source.
pub(super) fn source(source: &CopySource) -> S3Result<(&str, &str, Option<&str>)> {
    match source {
        CopySource::Bucket { bucket, key, version_id } => Ok((bucket, key, version_id.as_deref())),
        _ => Err(s3_error!(NotImplemented, "Access points are not implemented")),
    }
}

/// The object to copy from, checked against the conditions and key of the request. Both copies have the same inputs.
macro_rules! copy_source {
    ($store:expr, $input:expr) => {{
        let conditions = $crate::store::conditions::ReadConditions {
            if_match: $input.copy_source_if_match.as_ref(),
            if_none_match: $input.copy_source_if_none_match.as_ref(),
            if_modified_since: $input.copy_source_if_modified_since.as_ref(),
            if_unmodified_since: $input.copy_source_if_unmodified_since.as_ref(),
        };
        let key_md5 = $crate::store::objects::customer_key_md5(
            $input.copy_source_sse_customer_algorithm.as_deref(),
            $input.copy_source_sse_customer_key.as_deref(),
            $input.copy_source_sse_customer_key_md5.as_deref(),
        );
        key_md5.and_then(|key| $store.find_source(&$input.copy_source, &conditions, key.as_deref()))
    }};
}

pub(super) use copy_source;

impl Store {
    pub(super) fn find_source(
        &self,
        copy_source: &CopySource,
        conditions: &ReadConditions<'_>,
        key_md5: Option<&str>,
    ) -> S3Result<Found> {
        let (bucket, key, version_id) = source(copy_source)?;
        let found = self.find(bucket, key, version_id).map_err(|error| {
            if *error.code() == s3s::S3ErrorCode::MethodNotAllowed {
                return invalid_request(
                    "The source of a copy request may not specifically refer to a delete marker by version id.",
                );
            }
            error
        })?;
        check_customer_key(&found.object, key_md5)?;
        // Any condition that does not hold is 412 here (CopyObject, "x-amz-copy-source-if-*").
        conditions.check(&found.object.etag, found.modified).map_err(|_| failed("x-amz-copy-source-If"))?;
        Ok(found)
    }

    pub(super) fn copy(&self, req: S3Request<CopyObjectInput>) -> S3Result<CopyObjectOutput> {
        injected(&self.inner.failing_copies)?;
        let S3Request { input, headers, .. } = req;
        let found = copy_source!(self, input)?;
        if found.object.blob.len() > self.inner.config.max_put_size {
            return Err(invalid_request(format!(
                "The specified copy source is larger than the maximum allowable size for a copy source: {}",
                self.inner.config.max_put_size
            )));
        }
        self.with_bucket(&input.bucket, |_| Ok(()))?;
        let replace = replaces(&input)?;
        check_self_copy(&input, &found.object, replace)?;
        let tags = self.copied_tags(&input)?;
        let mut attributes = attributes_of!(input)?;
        if !replace {
            // Neither the storage class nor the redirect is copied.
            let (class, redirect) = (attributes.storage_class, attributes.website_redirect);
            attributes = found.object.attributes.clone();
            (attributes.storage_class, attributes.website_redirect) = (class, redirect);
        }
        let object = copied(&found.object, &input, attributes, encryption_of!(input)?)?;

        let (now, id) = (self.now(), self.inner.ids.version());
        let mut result = CopyObjectResult {
            e_tag: Some(object.etag()),
            last_modified: Some(Timestamp::from(now)),
            ..CopyObjectResult::default()
        };
        if let Some(Checksum { algorithm, value, kind }) = object.checksum.clone() {
            set_checksum!(result, algorithm, value);
            result.checksum_type = Some(ChecksumType::from_static(kind.name()));
        }
        let mut output = CopyObjectOutput {
            copy_object_result: Some(result),
            copy_source_version_id: found.version_id,
            server_side_encryption: object.encryption.algorithm(),
            ssekms_key_id: object.encryption.kms_key(),
            sse_customer_algorithm: object.encryption.customer_algorithm(),
            sse_customer_key_md5: object.encryption.customer_key_md5(),
            ..CopyObjectOutput::default()
        };
        let (if_match, if_none_match) =
            (condition(&headers, "if-match")?, condition(&headers, "if-none-match")?);
        self.with_bucket(&input.bucket, |bucket| {
            check_write(if_match.as_ref(), if_none_match.as_ref(), bucket.current_etag(&input.key))?;
            output.version_id = bucket.insert(&input.key, Content::Object(Arc::new(object)), tags, now, id);
            Ok(output)
        })
    }

    fn copied_tags(&self, input: &CopyObjectInput) -> S3Result<super::model::Tags> {
        match input.tagging_directive.as_ref().map(TaggingDirective::as_str) {
            Some(TaggingDirective::REPLACE) => tagging::from_header(input.tagging.as_deref()),
            None | Some(TaggingDirective::COPY) => {
                let (bucket, key, version_id) = source(&input.copy_source)?;
                self.with_bucket(bucket, |bucket| Ok(bucket.version(key, version_id)?.tags.clone()))
            }
            Some(_) => Err(super::invalid_argument("Unknown tagging directive.")),
        }
    }
}

/// Conditions on the target; the protocol front does not give them for this operation.
fn condition(headers: &HeaderMap, name: &str) -> S3Result<Option<ETagCondition>> {
    let value = headers.get(name).map(|value| ETagCondition::parse_http_header(value.as_bytes()));
    value.transpose().map_err(|_| super::invalid_argument(format!("invalid header: {name}")))
}

fn replaces(input: &CopyObjectInput) -> S3Result<bool> {
    match input.metadata_directive.as_ref().map(MetadataDirective::as_str) {
        None | Some(MetadataDirective::COPY) => Ok(false),
        Some(MetadataDirective::REPLACE) => Ok(true),
        Some(_) => Err(super::invalid_argument("Unknown metadata directive.")),
    }
}

fn check_self_copy(input: &CopyObjectInput, object: &Object, replace: bool) -> S3Result<()> {
    let (bucket, key, version_id) = source(&input.copy_source)?;
    let same = bucket == input.bucket && key == input.key && version_id.is_none();
    let changes = replace
        || input.storage_class.as_ref().is_some_and(|class| class.as_str() != object.storage_class())
        || input.website_redirect_location.is_some()
        || input.server_side_encryption.is_some()
        || input.sse_customer_key_md5.is_some()
        || object.encryption.customer_key_md5().is_some();
    if same && !changes {
        return Err(invalid_request(
            "This copy request is illegal because it is trying to copy an object to itself without changing the object's metadata, storage class, website redirect location or encryption attributes.",
        ));
    }
    Ok(())
}

/// The copy is one object without parts, whatever the source was; so its ETag is a plain MD5 again.
fn copied(
    from: &Object,
    input: &CopyObjectInput,
    attributes: super::model::Attributes,
    encryption: Encryption,
) -> S3Result<Object> {
    let asked = match input.checksum_algorithm.as_ref().map(ChecksumAlgorithm::as_str) {
        None => None,
        Some(name) => Some(
            Algorithm::from_name(name)
                .ok_or_else(|| invalid_request("Checksum algorithm provided is unsupported."))?,
        ),
    };
    let kept = from.checksum.as_ref().map_or(Algorithm::Crc64Nvme, |c| c.algorithm);
    let algorithm = asked.unwrap_or(kept);
    let known = full_object_digest(from).filter(|(a, _)| *a == algorithm);
    let plain = from.parts.is_empty() && from.encryption == Encryption::S3 && encryption == Encryption::S3;
    let (etag, digest) = match known {
        Some((_, digest)) if plain => (from.etag.clone(), digest),
        _ => {
            let read = Store::digest(from.blob.clone(), algorithm)?;
            (etag(&read.md5, &encryption), read.digest)
        }
    };
    Ok(Object {
        blob: from.blob.clone(),
        etag,
        checksum: Some(Checksum { algorithm, value: base64(&digest), kind: Kind::FullObject }),
        attributes,
        encryption,
        parts: Vec::new(),
    })
}

/// The bytes that `x-amz-copy-source-range` names: `bytes=first-last`, both given and within the source.
pub(super) fn source_range(header: Option<&str>, len: u64) -> S3Result<std::ops::Range<u64>> {
    let Some(header) = header else { return Ok(0..len) };
    let parsed = header.strip_prefix("bytes=").and_then(|range| range.split_once('-'));
    let parsed =
        parsed.and_then(|(first, last)| Some((first.parse::<u64>().ok()?, last.parse::<u64>().ok()?)));
    match parsed {
        Some((first, last)) if first <= last && last < len => Ok(first..last + 1),
        Some((first, last)) if first <= last => Err(super::invalid_argument(format!(
            "Range specified is not valid for source object of size: {len}"
        ))),
        _ => Err(super::invalid_argument(
            "The x-amz-copy-source-range value must be of the form bytes=first-last where first and last are the zero-based offsets of the first and last bytes to copy",
        )),
    }
}
