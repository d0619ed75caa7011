//! Multipart uploads.

use super::field::IsoTimestamp;
use super::listing::{decode, url_encode_keys};
use super::object::check_tag_query;
#[allow(clippy::wildcard_imports)]
use super::types::*;
use super::{Description, Draft};
use crate::checksum::{Checksum, ChecksumAlgorithm};
use crate::encode::uri_decode_query;
use crate::etag::ETag;
use crate::pages::Paginated;
use crate::validate::{check_part_number, check_put_size};
use crate::{Error, Timestamp};

operation! {
    /// Starts a multipart upload (`CreateMultipartUpload`).
    ///
    /// Complete or abort it: its parts are stored, and paid for, until then.
    create_multipart_upload CreateMultipartUpload: POST [bucket, key] "uploads" => Whole;
    header {
        /// The canned ACL to apply.
        acl: Option<ObjectCannedAcl> = "x-amz-acl",
        /// What caches may do (`Cache-Control`).
        cache_control: Option<String> = "cache-control",
        /// How to present the object (`Content-Disposition`).
        content_disposition: Option<String> = "content-disposition",
        /// How the content is encoded (`Content-Encoding`), such as `gzip`.
        content_encoding: Option<String> = "content-encoding",
        /// The language of the content (`Content-Language`).
        content_language: Option<String> = "content-language",
        /// The media type (`Content-Type`); S3 takes `binary/octet-stream` if there is none.
        content_type: Option<String> = "content-type",
        /// When the object is no longer to be cached (`Expires`), as text.
        expires: Option<String> = "expires",
        /// Who gets all rights, as `id=".."` or `uri=".."`.
        grant_full_control: Option<String> = "x-amz-grant-full-control",
        /// Who may read, as `id=".."` or `uri=".."`.
        grant_read: Option<String> = "x-amz-grant-read",
        /// Who may read the ACL.
        grant_read_acp: Option<String> = "x-amz-grant-read-acp",
        /// Who may write the ACL.
        grant_write_acp: Option<String> = "x-amz-grant-write-acp",
        /// How the service encrypts the object.
        server_side_encryption: Option<ServerSideEncryption> = "x-amz-server-side-encryption",
        /// The storage class; S3 takes `STANDARD` if there is none.
        storage_class: Option<StorageClass> = "x-amz-storage-class",
        /// Where a website endpoint redirects requests for the object.
        website_redirect_location: Option<String> = "x-amz-website-redirect-location",
        /// The key of your own that the service encrypts the object with (SSE-C).
        sse_customer_key: Option<SseCustomerKey> = "x-amz-server-side-encryption-customer-",
        /// The KMS key that encrypts the object.
        sse_kms_key_id: Option<String> = "x-amz-server-side-encryption-aws-kms-key-id",
        /// The KMS encryption context, base64 of JSON.
        sse_kms_encryption_context: Option<String> = "x-amz-server-side-encryption-context",
        /// Whether an S3 bucket key is used with KMS.
        bucket_key_enabled: Option<bool> = "x-amz-server-side-encryption-bucket-key-enabled",
        /// Confirms that the requester pays.
        request_payer: Option<RequestPayer> = "x-amz-request-payer",
        /// The tags, as a URL query: `a=1&b=2`.
        tagging: Option<String> = "x-amz-tagging",
        /// The retention mode of object lock.
        object_lock_mode: Option<ObjectLockMode> = "x-amz-object-lock-mode",
        /// Until when object lock keeps the object.
        object_lock_retain_until_date: Option<IsoTimestamp> = "x-amz-object-lock-retain-until-date",
        /// Whether a legal hold is on.
        object_lock_legal_hold_status: Option<ObjectLockLegalHoldStatus> = "x-amz-object-lock-legal-hold",
        /// Whether an event hold is on.
        object_lock_event_hold: Option<ObjectLockEventHold> = "x-amz-object-lock-event-hold",
        /// For how many days retention lasts once the event hold ends.
        object_lock_event_hold_duration_days: Option<u32> = "x-amz-object-lock-event-hold-duration-days",
        /// For how many years retention lasts once the event hold ends.
        object_lock_event_hold_duration_years: Option<u32> = "x-amz-object-lock-event-hold-duration-years",
        /// Fail with `AccessDenied` unless this account owns the bucket.
        expected_bucket_owner: Option<String> = "x-amz-expected-bucket-owner",
        /// The algorithm of the checksum that is computed.
        checksum_algorithm: Option<ChecksumAlgorithm> = "x-amz-checksum-algorithm",
        /// Whether the checksum is of the whole object or of its parts.
        checksum_type: Option<ChecksumType> = "x-amz-checksum-type",
    }
    metadata metadata = "x-amz-meta-";
    prepare prepare_upload;
    output CreateMultipartUploadOutput {
        header {
            /// When a lifecycle rule will abort the upload.
            abort_date: Option<Timestamp> = "x-amz-abort-date",
            /// Which lifecycle rule will abort the upload.
            abort_rule_id: Option<String> = "x-amz-abort-rule-id",
            /// How the service encrypts the object.
            server_side_encryption: Option<ServerSideEncryption> = "x-amz-server-side-encryption",
            /// The algorithm of the SSE-C key.
            sse_customer_algorithm: Option<String> = "x-amz-server-side-encryption-customer-algorithm",
            /// The base64 MD5 of the SSE-C key.
            sse_customer_key_md5: Option<String> = "x-amz-server-side-encryption-customer-key-md5",
            /// The KMS key that encrypts the object.
            sse_kms_key_id: Option<String> = "x-amz-server-side-encryption-aws-kms-key-id",
            /// The KMS encryption context, base64 of JSON.
            sse_kms_encryption_context: Option<String> = "x-amz-server-side-encryption-context",
            /// Whether an S3 bucket key is used with KMS.
            bucket_key_enabled: bool = "x-amz-server-side-encryption-bucket-key-enabled",
            /// Whether the requester was charged.
            request_charged: Option<RequestCharged> = "x-amz-request-charged",
            /// The algorithm of the checksum that is computed.
            checksum_algorithm: Option<ChecksumAlgorithm> = "x-amz-checksum-algorithm",
            /// Whether the checksum is of the whole object or of its parts.
            checksum_type: Option<ChecksumType> = "x-amz-checksum-type",
            /// The version of the object.
            version_id: Option<String> = "x-amz-version-id",
        }
        body {
            /// The bucket.
            bucket: Option<String> = "Bucket",
            /// The key of the object.
            key: Option<String> = "Key",
            /// The id of the upload.
            upload_id: Option<String> = "UploadId",
        }
    }
}

operation! {
    /// Uploads a part (`UploadPart`): 5 MiB to 5 GiB, the last may be smaller.
    upload_part UploadPart: PUT [bucket, key] "" => Whole;
    required {
        query {
            /// The number of the part, 1 to 10,000.
            part_number: u32 = "partNumber",
            /// The id of the upload.
            upload_id: String = "uploadId",
        }
    }
    header {
        /// The base64 MD5 of the body, which the service checks.
        content_md5: Option<String> = "content-md5",
        /// The algorithm of the checksum that is computed.
        checksum_algorithm: Option<ChecksumAlgorithm> = "x-amz-sdk-checksum-algorithm",
        /// The checksum of the body, if you have computed it.
        checksum: Option<Checksum> = "x-amz-checksum-",
        /// The key of your own that the service encrypts the object with (SSE-C).
        sse_customer_key: Option<SseCustomerKey> = "x-amz-server-side-encryption-customer-",
        /// Confirms that the requester pays.
        request_payer: Option<RequestPayer> = "x-amz-request-payer",
        /// Fail with `AccessDenied` unless this account owns the bucket.
        expected_bucket_owner: Option<String> = "x-amz-expected-bucket-owner",
    }
    payload
        /// The data.
        body = "Body";
    prepare prepare_part;
    output UploadPartOutput {
        header {
            /// How the service encrypts the object.
            server_side_encryption: Option<ServerSideEncryption> = "x-amz-server-side-encryption",
            /// The entity tag.
            etag: Option<ETag> = "etag",
            /// The checksum that the service keeps.
            checksum: Option<Checksum> = "x-amz-checksum-",
            /// The algorithm of the SSE-C key.
            sse_customer_algorithm: Option<String> = "x-amz-server-side-encryption-customer-algorithm",
            /// The base64 MD5 of the SSE-C key.
            sse_customer_key_md5: Option<String> = "x-amz-server-side-encryption-customer-key-md5",
            /// The KMS key that encrypts the object.
            sse_kms_key_id: Option<String> = "x-amz-server-side-encryption-aws-kms-key-id",
            /// Whether an S3 bucket key is used with KMS.
            bucket_key_enabled: bool = "x-amz-server-side-encryption-bucket-key-enabled",
            /// Whether the requester was charged.
            request_charged: Option<RequestCharged> = "x-amz-request-charged",
            /// The version of the object.
            version_id: Option<String> = "x-amz-version-id",
        }
    }
}

operation! {
    /// Copies a part from another object (`UploadPartCopy`).
    upload_part_copy UploadPartCopy: PUT [bucket, key] "" => Whole;
    required {
        header {
            /// Where to copy from.
            copy_source: CopySource = "x-amz-copy-source",
        }
        query {
            /// The number of the part, 1 to 10,000.
            part_number: u32 = "partNumber",
            /// The id of the upload.
            upload_id: String = "uploadId",
        }
    }
    header {
        /// Only if the source has this ETag.
        copy_source_if_match: Option<ETag> = "x-amz-copy-source-if-match",
        /// Only if the source changed after this.
        copy_source_if_modified_since: Option<Timestamp> = "x-amz-copy-source-if-modified-since",
        /// Only if the source has another ETag.
        copy_source_if_none_match: Option<ETag> = "x-amz-copy-source-if-none-match",
        /// Only if the source has not changed after this.
        copy_source_if_unmodified_since: Option<Timestamp> = "x-amz-copy-source-if-unmodified-since",
        /// The bytes of the source, first and last; absent: all.
        copy_source_range: Option<CopySourceRange> = "x-amz-copy-source-range",
        /// The key of your own that the service encrypts the object with (SSE-C).
        sse_customer_key: Option<SseCustomerKey> = "x-amz-server-side-encryption-customer-",
        /// The key of your own that the source is encrypted with (SSE-C).
        copy_source_sse_customer_key: Option<SseCustomerKey> = "x-amz-copy-source-server-side-encryption-customer-",
        /// Confirms that the requester pays.
        request_payer: Option<RequestPayer> = "x-amz-request-payer",
        /// Fail with `AccessDenied` unless this account owns the bucket.
        expected_bucket_owner: Option<String> = "x-amz-expected-bucket-owner",
        /// Fail with `AccessDenied` unless this account owns the source bucket.
        expected_source_bucket_owner: Option<String> = "x-amz-source-expected-bucket-owner",
    }
    prepare prepare_part_copy;
    output UploadPartCopyOutput {
        header {
            /// The version that was copied.
            copy_source_version_id: Option<String> = "x-amz-copy-source-version-id",
            /// How the service encrypts the object.
            server_side_encryption: Option<ServerSideEncryption> = "x-amz-server-side-encryption",
            /// The algorithm of the SSE-C key.
            sse_customer_algorithm: Option<String> = "x-amz-server-side-encryption-customer-algorithm",
            /// The base64 MD5 of the SSE-C key.
            sse_customer_key_md5: Option<String> = "x-amz-server-side-encryption-customer-key-md5",
            /// The KMS key that encrypts the object.
            sse_kms_key_id: Option<String> = "x-amz-server-side-encryption-aws-kms-key-id",
            /// Whether an S3 bucket key is used with KMS.
            bucket_key_enabled: bool = "x-amz-server-side-encryption-bucket-key-enabled",
            /// Whether the requester was charged.
            request_charged: Option<RequestCharged> = "x-amz-request-charged",
            /// The version of the object.
            version_id: Option<String> = "x-amz-version-id",
        }
        root {
            /// What the copied part is.
            copy_part_result: CopyPartResult = "CopyPartResult",
        }
    }
}

operation! {
    /// Makes the object of its parts (`CompleteMultipartUpload`).
    complete_multipart_upload CompleteMultipartUpload: POST [bucket, key] "" => Whole;
    required {
        query {
            /// The id of the upload.
            upload_id: String = "uploadId",
        }
    }
    header {
        /// The checksum of the object, if you have computed it.
        checksum: Option<Checksum> = "x-amz-checksum-",
        /// Whether the checksum is of the whole object or of its parts.
        checksum_type: Option<ChecksumType> = "x-amz-checksum-type",
        /// The size that the object must have, in bytes.
        mpu_object_size: Option<u64> = "x-amz-mp-object-size",
        /// Confirms that the requester pays.
        request_payer: Option<RequestPayer> = "x-amz-request-payer",
        /// Fail with `AccessDenied` unless this account owns the bucket.
        expected_bucket_owner: Option<String> = "x-amz-expected-bucket-owner",
        /// Only if the object has this ETag now; otherwise `PreconditionFailed`.
        if_match: Option<ETag> = "if-match",
        /// Only if the object has another ETag; `ETag::ANY`: only if there is none.
        if_none_match: Option<ETag> = "if-none-match",
        /// The key of your own that the service encrypts the object with (SSE-C).
        sse_customer_key: Option<SseCustomerKey> = "x-amz-server-side-encryption-customer-",
    }
    xml_optional
        /// The parts that the object is made of, in ascending order.
        multipart_upload: CompletedMultipartUpload = "CompleteMultipartUpload";
    prepare prepare_complete;
    output CompleteMultipartUploadOutput {
        header {
            /// Which lifecycle rule expires the object, and when.
            expiration: Option<String> = "x-amz-expiration",
            /// How the service encrypts the object.
            server_side_encryption: Option<ServerSideEncryption> = "x-amz-server-side-encryption",
            /// The version of the object.
            version_id: Option<String> = "x-amz-version-id",
            /// The KMS key that encrypts the object.
            sse_kms_key_id: Option<String> = "x-amz-server-side-encryption-aws-kms-key-id",
            /// Whether an S3 bucket key is used with KMS.
            bucket_key_enabled: bool = "x-amz-server-side-encryption-bucket-key-enabled",
            /// Whether the requester was charged.
            request_charged: Option<RequestCharged> = "x-amz-request-charged",
        }
        body {
            /// Where it is.
            location: Option<String> = "Location",
            /// The bucket.
            bucket: Option<String> = "Bucket",
            /// The key of the object.
            key: Option<String> = "Key",
            /// The entity tag.
            etag: Option<ETag> = "ETag",
            /// The checksum that the service keeps.
            checksum: Option<Checksum> = "checksum",
            /// Whether the checksum is of the whole object or of its parts.
            checksum_type: Option<ChecksumType> = "ChecksumType",
        }
    }
}

operation! {
    /// Drops an upload and its parts (`AbortMultipartUpload`).
    abort_multipart_upload AbortMultipartUpload: DELETE [bucket, key] "" => Whole;
    required {
        query {
            /// The id of the upload.
            upload_id: String = "uploadId",
        }
    }
    header {
        /// Confirms that the requester pays.
        request_payer: Option<RequestPayer> = "x-amz-request-payer",
        /// Fail with `AccessDenied` unless this account owns the bucket.
        expected_bucket_owner: Option<String> = "x-amz-expected-bucket-owner",
        /// Only if the upload was started then (directory buckets).
        if_match_initiated_time: Option<Timestamp> = "x-amz-if-match-initiated-time",
    }
    output AbortMultipartUploadOutput {
        header {
            /// Whether the requester was charged.
            request_charged: Option<RequestCharged> = "x-amz-request-charged",
            /// The version of the object.
            version_id: Option<String> = "x-amz-version-id",
        }
    }
}

operation! {
    /// Lists the uploads in progress (`ListMultipartUploads`).
    list_multipart_uploads ListMultipartUploads: GET [bucket] "uploads" => Whole;
    query {
        /// Keys are grouped up to this text after the prefix.
        delimiter: Option<String> = "delimiter",
        /// How keys are encoded in the answer; by default `url`, and decoded here.
        encoding_type: Option<EncodingType> = "encoding-type",
        /// Only what comes after this key.
        key_marker: Option<String> = "key-marker",
        /// At most so many uploads, 1,000 at most.
        max_uploads: Option<u32> = "max-uploads",
        /// Only what begins with this.
        prefix: Option<String> = "prefix",
        /// Only what comes after this upload; goes with `key_marker`.
        upload_id_marker: Option<String> = "upload-id-marker",
    }
    header {
        /// Fail with `AccessDenied` unless this account owns the bucket.
        expected_bucket_owner: Option<String> = "x-amz-expected-bucket-owner",
        /// Confirms that the requester pays.
        request_payer: Option<RequestPayer> = "x-amz-request-payer",
    }
    prepare url_encode_keys;
    finish decode_uploads;
    output ListMultipartUploadsOutput {
        header {
            /// Whether the requester was charged.
            request_charged: Option<RequestCharged> = "x-amz-request-charged",
        }
        body {
            /// The bucket.
            bucket: Option<String> = "Bucket",
            /// Only what comes after this key.
            key_marker: Option<String> = "KeyMarker",
            /// Only what comes after this upload; goes with `key_marker`.
            upload_id_marker: Option<String> = "UploadIdMarker",
            /// What to give as `key_marker` for the next page.
            next_key_marker: Option<String> = "NextKeyMarker",
            /// Only what begins with this.
            prefix: Option<String> = "Prefix",
            /// Keys are grouped up to this text after the prefix.
            delimiter: Option<String> = "Delimiter",
            /// What to give as `upload_id_marker` for the next page.
            next_upload_id_marker: Option<String> = "NextUploadIdMarker",
            /// At most so many uploads, 1,000 at most.
            max_uploads: Option<u32> = "MaxUploads",
            /// Whether there is more.
            is_truncated: Option<bool> = "IsTruncated",
            /// The uploads in progress.
            uploads: Vec<MultipartUpload> = "Upload",
            /// The groups that `delimiter` makes.
            common_prefixes: Vec<CommonPrefix> = "CommonPrefixes",
            /// How keys are encoded in the answer; by default `url`, and decoded here.
            encoding_type: Option<EncodingType> = "EncodingType",
        }
    }
}

operation! {
    /// Lists the parts of an upload (`ListParts`).
    list_parts ListParts: GET [bucket, key] "" => Whole;
    required {
        query {
            /// The id of the upload.
            upload_id: String = "uploadId",
        }
    }
    query {
        /// At most so many parts, 1,000 at most.
        max_parts: Option<u32> = "max-parts",
        /// Only parts after this number.
        part_number_marker: Option<u32> = "part-number-marker",
    }
    header {
        /// Confirms that the requester pays.
        request_payer: Option<RequestPayer> = "x-amz-request-payer",
        /// Fail with `AccessDenied` unless this account owns the bucket.
        expected_bucket_owner: Option<String> = "x-amz-expected-bucket-owner",
        /// The key of your own that the service encrypts the object with (SSE-C).
        sse_customer_key: Option<SseCustomerKey> = "x-amz-server-side-encryption-customer-",
    }
    output ListPartsOutput {
        header {
            /// When a lifecycle rule will abort the upload.
            abort_date: Option<Timestamp> = "x-amz-abort-date",
            /// Which lifecycle rule will abort the upload.
            abort_rule_id: Option<String> = "x-amz-abort-rule-id",
            /// Whether the requester was charged.
            request_charged: Option<RequestCharged> = "x-amz-request-charged",
            /// The version of the object.
            version_id: Option<String> = "x-amz-version-id",
        }
        body {
            /// The bucket.
            bucket: Option<String> = "Bucket",
            /// The key of the object.
            key: Option<String> = "Key",
            /// The id of the upload.
            upload_id: Option<String> = "UploadId",
            /// Only parts after this number.
            part_number_marker: Option<u32> = "PartNumberMarker",
            /// What to give as `part_number_marker` for the next page.
            next_part_number_marker: Option<u32> = "NextPartNumberMarker",
            /// At most so many parts, 1,000 at most.
            max_parts: Option<u32> = "MaxParts",
            /// Whether there is more.
            is_truncated: Option<bool> = "IsTruncated",
            /// The parts.
            parts: Vec<Part> = "Part",
            /// Who started the upload.
            initiator: Option<Initiator> = "Initiator",
            /// Who owns it.
            owner: Option<Owner> = "Owner",
            /// The storage class.
            storage_class: Option<StorageClass> = "StorageClass",
            /// The algorithm of the checksum that is computed.
            checksum_algorithm: Option<ChecksumAlgorithm> = "ChecksumAlgorithm",
            /// Whether the checksum is of the whole object or of its parts.
            checksum_type: Option<ChecksumType> = "ChecksumType",
        }
    }
}

pub(super) fn multipart_operations(all: &mut Vec<Description>) {
    all.extend([
        CreateMultipartUpload::description(),
        UploadPart::description(),
        UploadPartCopy::description(),
        CompleteMultipartUpload::description(),
        AbortMultipartUpload::description(),
        ListMultipartUploads::description(),
        ListParts::description(),
    ]);
}

fn prepare_upload(op: &CreateMultipartUpload, _: &mut Draft) -> Result<(), Error> {
    check_tag_query(op.tagging.as_deref())
}

fn prepare_part(op: &UploadPart, draft: &mut Draft) -> Result<(), Error> {
    check_part_number(op.part_number)?;
    // The minimum of 5 MiB cannot be checked here: the last part may be smaller.
    check_put_size(draft.payload.len())?;
    draft.is_data = true;
    Ok(())
}

fn prepare_part_copy(op: &UploadPartCopy, draft: &mut Draft) -> Result<(), Error> {
    draft.slow = true;
    check_part_number(op.part_number)
}

fn prepare_complete(op: &CompleteMultipartUpload, draft: &mut Draft) -> Result<(), Error> {
    draft.slow = true;
    let parts = op.multipart_upload.as_ref().map_or(&[][..], |upload| &upload.parts);
    if parts.is_empty() {
        return Err(Error::invalid_input(
            "a multipart upload is completed with the parts that it has: none were given",
        ));
    }
    for pair in parts.windows(2) {
        if pair[0].part_number >= pair[1].part_number {
            return Err(Error::invalid_input(format!(
                "the parts must be in ascending order, but part {} comes before part {}",
                pair[0].part_number, pair[1].part_number
            )));
        }
    }
    parts.iter().try_for_each(|part| check_part_number(part.part_number))
}

fn decode_uploads(_: &ListMultipartUploads, out: &mut ListMultipartUploadsOutput) -> Result<(), Error> {
    decode!(out:
        out.uploads.iter_mut().map(|u| &mut u.key),
        out.common_prefixes.iter_mut().map(|p| &mut p.prefix),
        out.next_key_marker.iter_mut();
        echoed prefix delimiter key_marker
    );
    Ok(())
}

impl Paginated for ListMultipartUploads {
    type Entry = MultipartUpload;

    fn next(&self, page: &ListMultipartUploadsOutput) -> Option<Self> {
        let key_marker = page.next_key_marker.clone().filter(|_| page.is_truncated == Some(true))?;
        let upload_id_marker = page.next_upload_id_marker.clone().filter(|id| !id.is_empty());
        Some(Self { key_marker: Some(key_marker), upload_id_marker, ..self.clone() })
    }

    fn is_cut_short(page: &ListMultipartUploadsOutput) -> bool {
        page.is_truncated == Some(true)
    }

    fn entries(page: ListMultipartUploadsOutput) -> Vec<MultipartUpload> {
        page.uploads
    }
}

impl Paginated for ListParts {
    type Entry = Part;

    fn next(&self, page: &ListPartsOutput) -> Option<Self> {
        let marker = page.next_part_number_marker.filter(|_| page.is_truncated == Some(true))?;
        Some(Self { part_number_marker: Some(marker), ..self.clone() })
    }

    fn is_cut_short(page: &ListPartsOutput) -> bool {
        page.is_truncated == Some(true)
    }

    fn entries(page: ListPartsOutput) -> Vec<Part> {
        page.parts
    }
}
