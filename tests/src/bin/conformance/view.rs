//! Operations by name, and their outputs as trees to compare.

use s3_proto::call::Stream;
use s3_proto::checksum::{Checksum, ChecksumAlgorithm};
#[allow(clippy::wildcard_imports)] // Nearly all of it.
use s3_proto::ops::*;
use s3_proto::{Call, ETag, Payload, Timestamp};
use serde_json::Value;

use crate::drive::{Came, Response, drive, session};
use crate::tally::{Outcome, Verdict, fail};

/// An output, or a part of one.
#[derive(Debug)]
pub(crate) enum View {
    Absent,
    Text(String),
    Time(Timestamp),
    Tag(ETag),
    List(Vec<Self>),
    Members(Vec<(String, Self)>),
}

/// A name without the marks by which S3's differ from Rust's.
pub(crate) fn plain(name: &str) -> String {
    name.chars().filter(|c| *c != '_' && *c != '-').flat_map(char::to_lowercase).collect()
}

impl View {
    /// The member of this name, in whichever spelling.
    pub(crate) fn member(&self, name: &str) -> Option<&Self> {
        let Self::Members(members) = self else { return None };
        let wanted = if name == "Type" { "kind".to_owned() } else { plain(name) };
        members.iter().find(|(name, _)| plain(name) == wanted).map(|(_, view)| view)
    }

    /// All that is expected is there. What is there besides is not looked at: peers show less.
    pub(crate) fn compare(&self, path: &str, expected: &Value) -> Outcome {
        let differs = || Err(fail(format!("{path} = {expected}"), format!("{self:?}")));
        match (self, expected) {
            (Self::List(got), Value::Array(expected)) => {
                if got.len() != expected.len() {
                    return differs();
                }
                let mut pairs = got.iter().zip(expected).enumerate();
                pairs.try_for_each(|(i, (got, expected))| got.compare(&format!("{path}[{i}]"), expected))
            }
            (Self::Members(_), Value::Object(expected)) => expected
                .iter()
                .filter(|(name, _)| *name != "ResponseMetadata")
                .try_for_each(|(name, expected)| match self.member(name) {
                    Some(got) => got.compare(&format!("{path}.{name}"), expected),
                    None if expected.is_null() => Ok(()),
                    None => Err(fail(format!("{path}.{name}"), "no such member")),
                }),
            (Self::Time(got), Value::String(text)) if Timestamp::parse(text) == Some(*got) => Ok(()),
            (Self::Time(got), Value::Number(seconds))
                if seconds.as_i64().and_then(|s| Timestamp::from_unix(s, 0)) == Some(*got) =>
            {
                Ok(())
            }
            (Self::Tag(got), Value::String(text)) if ETag::new(text) == *got => Ok(()),
            (Self::Text(got), Value::String(text)) if got == text => Ok(()),
            (Self::Text(got), Value::Number(_) | Value::Bool(_))
                if serde_json::from_str::<Value>(got).is_ok_and(|got| got == *expected) =>
            {
                Ok(())
            }
            // Nothing is the same as an empty list, and as a flag that is off.
            (Self::Absent, Value::Array(list)) if list.is_empty() => Ok(()),
            (Self::Absent, Value::Null | Value::Bool(false)) => Ok(()),
            (Self::List(list), Value::Null) if list.is_empty() => Ok(()),
            _ => differs(),
        }
    }
}

trait Show {
    fn show(&self) -> View;
}

impl<T: Show> Show for Option<T> {
    fn show(&self) -> View {
        self.as_ref().map_or(View::Absent, Show::show)
    }
}

impl<T: Show> Show for Vec<T> {
    fn show(&self) -> View {
        View::List(self.iter().map(Show::show).collect())
    }
}

impl Show for Timestamp {
    fn show(&self) -> View {
        View::Time(*self)
    }
}

impl Show for IsoTimestamp {
    fn show(&self) -> View {
        View::Time(self.0)
    }
}

impl Show for ETag {
    fn show(&self) -> View {
        View::Tag(self.clone())
    }
}

impl Show for Metadata {
    fn show(&self) -> View {
        View::Members(self.iter().map(|(name, value)| (name.clone(), View::Text(value.clone()))).collect())
    }
}

macro_rules! texts {
    ($($type:ty),* $(,)?) => {$(
        impl Show for $type {
            fn show(&self) -> View {
                View::Text(Text::text(self).into_owned())
            }
        }
    )*};
}
texts!(
    String,
    bool,
    u32,
    u64,
    ArchiveStatus,
    ChecksumAlgorithm,
    ChecksumType,
    EncodingType,
    LocationType,
    ObjectLockEventHold,
    ObjectLockLegalHoldStatus,
    ObjectLockMode,
    ObjectStorageClass,
    ObjectVersionStorageClass,
    ReplicationStatus,
    RequestCharged,
    ServerSideEncryption,
    StorageClass,
);

/// The members of a structure. A checksum has the name of its algorithm.
macro_rules! shows {
    ($($type:ident { $($field:ident),* $(,)? } $($checksum:ident)?;)*) => {$(
        impl Show for $type {
            fn show(&self) -> View {
                #[allow(unused_mut)]
                let mut members: Vec<(String, View)> =
                    vec![$((stringify!($field).to_owned(), self.$field.show())),*];
                $(if let Some((name, value)) = self.$checksum.as_ref().map(named) {
                    members.push((name, View::Text(value)));
                })?
                View::Members(members)
            }
        }
    )*};
}

fn named(checksum: &Checksum) -> (String, String) {
    (format!("Checksum{}", checksum.algorithm()), checksum.to_string())
}

shows! {
    Object {
        key, last_modified, etag, checksum_algorithm, checksum_type, size, storage_class, owner,
        restore_status,
    };
    CommonPrefix { prefix };
    Owner { display_name, id };
    Initiator { id, display_name };
    RestoreStatus { is_restore_in_progress, restore_expiry_date };
    ObjectVersion {
        etag, checksum_algorithm, checksum_type, size, storage_class, key, version_id, is_latest,
        last_modified, owner, restore_status,
    };
    DeleteMarkerEntry { owner, key, version_id, is_latest, last_modified };
    Bucket { name, creation_date, bucket_region, bucket_arn };
    DeletedObject { key, version_id, delete_marker, delete_marker_version_id };
    DeleteError { key, version_id, code, message };
    CopyObjectResult { etag, last_modified, checksum_type } checksum;
    CopyPartResult { etag, last_modified } checksum;
    MultipartUpload {
        upload_id, key, initiated, storage_class, owner, initiator, checksum_algorithm, checksum_type,
        version_id,
    };
    Part { part_number, last_modified, etag, size } checksum;
    GetObjectAttributesParts {
        total_parts_count, part_number_marker, next_part_number_marker, max_parts, is_truncated, parts,
    };
    ObjectPart { part_number, size } checksum;
    ObjectChecksum { checksum_type } checksum;
    Tag { key, value };
    PutObjectOutput {
        expiration, etag, checksum_type, server_side_encryption, version_id, sse_customer_algorithm,
        sse_customer_key_md5, sse_kms_key_id, sse_kms_encryption_context, bucket_key_enabled, size,
        request_charged,
    } checksum;
    GetObjectOutput {
        delete_marker, accept_ranges, expiration, restore, last_modified, content_length, etag,
        checksum_type, missing_meta, version_id, cache_control, content_disposition, content_encoding,
        content_language, content_range, content_type, expires, website_redirect_location,
        server_side_encryption, sse_customer_algorithm, sse_customer_key_md5, sse_kms_key_id,
        bucket_key_enabled, storage_class, request_charged, replication_status, parts_count, tag_count,
        object_lock_mode, object_lock_retain_until_date, object_lock_legal_hold_status,
        object_lock_event_hold, object_lock_event_hold_duration_days,
        object_lock_event_hold_duration_years, metadata,
    } checksum;
    HeadObjectOutput {
        delete_marker, accept_ranges, expiration, restore, archive_status, last_modified, content_length,
        checksum_type, etag, missing_meta, version_id, cache_control, content_disposition,
        content_encoding, content_language, content_type, content_range, expires,
        website_redirect_location, server_side_encryption, sse_customer_algorithm, sse_customer_key_md5,
        sse_kms_key_id, bucket_key_enabled, storage_class, request_charged, replication_status,
        parts_count, tag_count, object_lock_mode, object_lock_retain_until_date,
        object_lock_legal_hold_status, object_lock_event_hold, object_lock_event_hold_duration_days,
        object_lock_event_hold_duration_years, metadata,
    } checksum;
    DeleteObjectOutput { delete_marker, version_id, request_charged };
    DeleteObjectsOutput { request_charged, deleted, errors };
    CopyObjectOutput {
        expiration, copy_source_version_id, version_id, server_side_encryption, sse_customer_algorithm,
        sse_customer_key_md5, sse_kms_key_id, sse_kms_encryption_context, bucket_key_enabled,
        request_charged, copy_object_result,
    };
    GetObjectAttributesOutput {
        delete_marker, last_modified, version_id, request_charged, etag, checksum, object_parts,
        storage_class, object_size,
    };
    CreateBucketOutput { location, bucket_arn };
    DeleteBucketOutput {};
    HeadBucketOutput {
        bucket_arn, bucket_location_type, bucket_location_name, bucket_region, access_point_alias,
    };
    ListBucketsOutput { buckets, owner, continuation_token, prefix };
    GetBucketLocationOutput { location_constraint };
    ListObjectsV2Output {
        request_charged, is_truncated, contents, name, prefix, delimiter, max_keys, common_prefixes,
        encoding_type, key_count, continuation_token, next_continuation_token, start_after,
    };
    ListObjectsOutput {
        request_charged, is_truncated, marker, next_marker, contents, name, prefix, delimiter, max_keys,
        common_prefixes, encoding_type,
    };
    ListObjectVersionsOutput {
        request_charged, is_truncated, key_marker, version_id_marker, next_key_marker,
        next_version_id_marker, versions, delete_markers, name, prefix, delimiter, max_keys,
        common_prefixes, encoding_type,
    };
    CreateMultipartUploadOutput {
        abort_date, abort_rule_id, server_side_encryption, sse_customer_algorithm, sse_customer_key_md5,
        sse_kms_key_id, sse_kms_encryption_context, bucket_key_enabled, request_charged,
        checksum_algorithm, checksum_type, version_id, bucket, key, upload_id,
    };
    UploadPartOutput {
        server_side_encryption, etag, sse_customer_algorithm, sse_customer_key_md5, sse_kms_key_id,
        bucket_key_enabled, request_charged, version_id,
    } checksum;
    UploadPartCopyOutput {
        copy_source_version_id, server_side_encryption, sse_customer_algorithm, sse_customer_key_md5,
        sse_kms_key_id, bucket_key_enabled, request_charged, version_id, copy_part_result,
    };
    CompleteMultipartUploadOutput {
        expiration, server_side_encryption, version_id, sse_kms_key_id, bucket_key_enabled,
        request_charged, location, bucket, key, etag, checksum_type,
    } checksum;
    AbortMultipartUploadOutput { request_charged, version_id };
    ListMultipartUploadsOutput {
        request_charged, bucket, key_marker, upload_id_marker, next_key_marker, prefix, delimiter,
        next_upload_id_marker, max_uploads, is_truncated, uploads, common_prefixes, encoding_type,
    };
    ListPartsOutput {
        abort_date, abort_rule_id, request_charged, version_id, bucket, key, upload_id,
        part_number_marker, next_part_number_marker, max_parts, is_truncated, parts, initiator, owner,
        storage_class, checksum_algorithm, checksum_type,
    };
    GetObjectTaggingOutput { version_id, tag_set };
    PutObjectTaggingOutput { version_id };
    DeleteObjectTaggingOutput { version_id };
    GetBucketTaggingOutput { tag_set };
    PutBucketTaggingOutput {};
    DeleteBucketTaggingOutput {};
}

/// What a call of the operation of this name comes to with this answer; `None` if there is no such operation.
pub(crate) fn answer_to(
    operation: &str,
    answer: &Response,
) -> Result<Option<Result<View, s3_proto::Error>>, Verdict> {
    let came = match operation {
        "AbortMultipartUpload" => whole(AbortMultipartUpload::new("bucket", "key", "id"), answer)?,
        "CompleteMultipartUpload" => whole(complete(), answer)?,
        "CopyObject" => whole(CopyObject::new("bucket", "key", ("source", "key")), answer)?,
        "CreateBucket" => whole(CreateBucket::new("bucket"), answer)?,
        "CreateMultipartUpload" => whole(CreateMultipartUpload::new("bucket", "key"), answer)?,
        "DeleteBucket" => whole(DeleteBucket::new("bucket"), answer)?,
        "DeleteBucketTagging" => whole(DeleteBucketTagging::new("bucket"), answer)?,
        "DeleteObject" => whole(DeleteObject::new("bucket", "key"), answer)?,
        "DeleteObjectTagging" => whole(DeleteObjectTagging::new("bucket", "key"), answer)?,
        "DeleteObjects" => whole(DeleteObjects::new("bucket", Delete::keys(["key"])), answer)?,
        "GetBucketLocation" => whole(GetBucketLocation::new("bucket"), answer)?,
        "GetBucketTagging" => whole(GetBucketTagging::new("bucket"), answer)?,
        "GetObjectAttributes" => {
            whole(GetObjectAttributes::new("bucket", "key", [ObjectAttributes::ETag]), answer)?
        }
        "GetObjectTagging" => whole(GetObjectTagging::new("bucket", "key"), answer)?,
        "HeadBucket" => whole(HeadBucket::new("bucket"), answer)?,
        "HeadObject" => whole(HeadObject::new("bucket", "key"), answer)?,
        "ListBuckets" => whole(ListBuckets::new(), answer)?,
        "ListMultipartUploads" => whole(ListMultipartUploads::new("bucket"), answer)?,
        "ListObjectVersions" => whole(ListObjectVersions::new("bucket"), answer)?,
        "ListObjects" => whole(ListObjects::new("bucket"), answer)?,
        "ListObjectsV2" => whole(ListObjectsV2::new("bucket"), answer)?,
        "ListParts" => whole(ListParts::new("bucket", "key", "id"), answer)?,
        "PutBucketTagging" => whole(PutBucketTagging::new("bucket", [("a", "b")]), answer)?,
        "PutObject" => whole(PutObject::new("bucket", "key", Payload::Empty), answer)?,
        "PutObjectTagging" => whole(PutObjectTagging::new("bucket", "key", [("a", "b")]), answer)?,
        "UploadPart" => whole(UploadPart::new("bucket", "key", 1_u32, "id", Payload::Empty), answer)?,
        "UploadPartCopy" => {
            whole(UploadPartCopy::new("bucket", "key", ("source", "key"), 1_u32, "id"), answer)?
        }
        "GetObject" => match drive(Stream::new(session()?, GetObject::new("bucket", "key")), answer)? {
            Ok(Came::Item(output)) => Ok(output.show()),
            Ok(Came::Output(())) => return Err(fail("the head of the answer", "nothing")),
            Err(error) => Err(error),
        },
        _ => return Ok(None),
    };
    Ok(Some(came))
}

fn whole<O: Operation>(op: O, answer: &Response) -> Result<Result<View, s3_proto::Error>, Verdict>
where
    O::Output: Show,
{
    Ok(match drive(Call::new(session()?, op), answer)? {
        Ok(Came::Output(output)) => Ok(output.show()),
        Ok(Came::Item(())) => return Err(fail("an output", "an item")),
        Err(error) => Err(error),
    })
}

fn complete() -> CompleteMultipartUpload {
    let mut op = CompleteMultipartUpload::new("bucket", "key", "id");
    op.multipart_upload = Some(vec![CompletedPart::new(1, "etag")].into());
    op
}
