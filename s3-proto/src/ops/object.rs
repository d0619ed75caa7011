//! Objects: put, get, head, copy, delete.

use super::field::{HttpDate, IsoTimestamp};
#[allow(clippy::wildcard_imports)]
use super::types::*;
use super::{Description, Draft};
use crate::checksum::{Checksum, ChecksumAlgorithm};
use crate::etag::ETag;
use crate::validate::{
    TagTarget, check_delete_count, check_key, check_part_number, check_put_size, check_tags,
};
use crate::{Error, Timestamp};

operation! {
    /// Adds an object in one request (`PutObject`): up to 5 GiB.
    put_object PutObject: PUT [bucket, key] "" => Whole;
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
        /// The base64 MD5 of the body, which the service checks.
        content_md5: Option<String> = "content-md5",
        /// The media type (`Content-Type`); S3 takes `binary/octet-stream` if there is none.
        content_type: Option<String> = "content-type",
        /// The algorithm of the checksum that is computed.
        checksum_algorithm: Option<ChecksumAlgorithm> = "x-amz-sdk-checksum-algorithm",
        /// The checksum of the body, if you have computed it.
        checksum: Option<Checksum> = "x-amz-checksum-",
        /// When the object is no longer to be cached (`Expires`), as text.
        expires: Option<String> = "expires",
        /// Only if the object has this ETag now; otherwise `PreconditionFailed`.
        if_match: Option<ETag> = "if-match",
        /// Only if the object has another ETag; `ETag::ANY`: only if there is none.
        if_none_match: Option<ETag> = "if-none-match",
        /// Who gets all rights, as `id=".."` or `uri=".."`.
        grant_full_control: Option<String> = "x-amz-grant-full-control",
        /// Who may read, as `id=".."` or `uri=".."`.
        grant_read: Option<String> = "x-amz-grant-read",
        /// Who may read the ACL.
        grant_read_acp: Option<String> = "x-amz-grant-read-acp",
        /// Who may write the ACL.
        grant_write_acp: Option<String> = "x-amz-grant-write-acp",
        /// Append at this offset in bytes (directory buckets).
        write_offset_bytes: Option<u64> = "x-amz-write-offset-bytes",
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
    }
    metadata metadata = "x-amz-meta-";
    payload
        /// The data.
        body = "Body";
    prepare prepare_put;
    output PutObjectOutput {
        header {
            /// Which lifecycle rule expires the object, and when.
            expiration: Option<String> = "x-amz-expiration",
            /// The entity tag.
            etag: Option<ETag> = "etag",
            /// The checksum that the service keeps.
            checksum: Option<Checksum> = "x-amz-checksum-",
            /// Whether the checksum is of the whole object or of its parts.
            checksum_type: Option<ChecksumType> = "x-amz-checksum-type",
            /// How the service encrypts the object.
            server_side_encryption: Option<ServerSideEncryption> = "x-amz-server-side-encryption",
            /// The version of the object.
            version_id: Option<String> = "x-amz-version-id",
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
            /// The size of the object in bytes, if something was appended to it (directory buckets).
            size: Option<u64> = "x-amz-object-size",
            /// Whether the requester was charged.
            request_charged: Option<RequestCharged> = "x-amz-request-charged",
        }
    }
}

operation! {
    /// Reads an object or a range of it (`GetObject`); the body is streamed.
    get_object GetObject: GET [bucket, key] "" => Streamed;
    query {
        /// Overrides `Cache-Control` of the answer.
        response_cache_control: Option<String> = "response-cache-control",
        /// Overrides `Content-Disposition` of the answer.
        response_content_disposition: Option<String> = "response-content-disposition",
        /// Overrides `Content-Encoding` of the answer.
        response_content_encoding: Option<String> = "response-content-encoding",
        /// Overrides `Content-Language` of the answer.
        response_content_language: Option<String> = "response-content-language",
        /// Overrides `Content-Type` of the answer.
        response_content_type: Option<String> = "response-content-type",
        /// Overrides `Expires` of the answer.
        response_expires: Option<HttpDate> = "response-expires",
        /// The version of the object.
        version_id: Option<String> = "versionId",
        /// The number of the part, 1 to 10,000.
        part_number: Option<u32> = "partNumber",
    }
    header {
        /// Only if the object has this ETag now; otherwise `PreconditionFailed`.
        if_match: Option<ETag> = "if-match",
        /// Only if changed after this; otherwise `NotModified`.
        if_modified_since: Option<Timestamp> = "if-modified-since",
        /// Only if the object has another ETag; `ETag::ANY`: only if there is none.
        if_none_match: Option<ETag> = "if-none-match",
        /// Only if not changed after this; otherwise `PreconditionFailed`.
        if_unmodified_since: Option<Timestamp> = "if-unmodified-since",
        /// The bytes wanted.
        range: Option<ByteRange> = "range",
        /// The key of your own that the service encrypts the object with (SSE-C).
        sse_customer_key: Option<SseCustomerKey> = "x-amz-server-side-encryption-customer-",
        /// Confirms that the requester pays.
        request_payer: Option<RequestPayer> = "x-amz-request-payer",
        /// Fail with `AccessDenied` unless this account owns the bucket.
        expected_bucket_owner: Option<String> = "x-amz-expected-bucket-owner",
        /// Whether the service is to send its checksum.
        checksum_mode: Option<ChecksumMode> = "x-amz-checksum-mode",
    }
    prepare prepare_get;
    finish finish_get;
    output GetObjectOutput {
        header {
            /// Whether this is a delete marker.
            delete_marker: bool = "x-amz-delete-marker",
            /// The unit of ranges, `bytes`.
            accept_ranges: Option<String> = "accept-ranges",
            /// Which lifecycle rule expires the object, and when.
            expiration: Option<String> = "x-amz-expiration",
            /// The state of a restore from an archive class.
            restore: Option<String> = "x-amz-restore",
            /// When it was last changed.
            last_modified: Option<Timestamp> = "last-modified",
            /// The length of the body in bytes.
            content_length: Option<u64> = "content-length",
            /// The entity tag.
            etag: Option<ETag> = "etag",
            /// The checksum that the service keeps.
            checksum: Option<Checksum> = "x-amz-checksum-",
            /// Whether the checksum is of the whole object or of its parts.
            checksum_type: Option<ChecksumType> = "x-amz-checksum-type",
            /// How many entries of metadata could not be sent as headers.
            missing_meta: Option<u32> = "x-amz-missing-meta",
            /// The version of the object.
            version_id: Option<String> = "x-amz-version-id",
            /// What caches may do (`Cache-Control`).
            cache_control: Option<String> = "cache-control",
            /// How to present the object (`Content-Disposition`).
            content_disposition: Option<String> = "content-disposition",
            /// How the content is encoded (`Content-Encoding`), such as `gzip`.
            content_encoding: Option<String> = "content-encoding",
            /// The language of the content (`Content-Language`).
            content_language: Option<String> = "content-language",
            /// Which bytes of how many the body is.
            content_range: Option<String> = "content-range",
            /// The media type (`Content-Type`); S3 takes `binary/octet-stream` if there is none.
            content_type: Option<String> = "content-type",
            /// When the object is no longer to be cached (`Expires`), as text.
            expires: Option<String> = "expires",
            /// Where a website endpoint redirects requests for the object.
            website_redirect_location: Option<String> = "x-amz-website-redirect-location",
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
            /// The storage class; S3 leaves it out for `STANDARD`.
            storage_class: Option<StorageClass> = "x-amz-storage-class",
            /// Whether the requester was charged.
            request_charged: Option<RequestCharged> = "x-amz-request-charged",
            /// How far replication is.
            replication_status: Option<ReplicationStatus> = "x-amz-replication-status",
            /// How many parts the object has; only with `part_number`.
            parts_count: Option<u32> = "x-amz-mp-parts-count",
            /// How many tags the object has.
            tag_count: Option<u32> = "x-amz-tagging-count",
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
        }
        metadata metadata = "x-amz-meta-";
    }
}

operation! {
    /// Reads what is known of an object, without its content (`HeadObject`).
    ///
    /// A missing object is [`ErrorKind::NotFound`](crate::ErrorKind), since the answer has no body that says more.
    head_object HeadObject: HEAD [bucket, key] "" => Whole;
    query {
        /// Overrides `Cache-Control` of the answer.
        response_cache_control: Option<String> = "response-cache-control",
        /// Overrides `Content-Disposition` of the answer.
        response_content_disposition: Option<String> = "response-content-disposition",
        /// Overrides `Content-Encoding` of the answer.
        response_content_encoding: Option<String> = "response-content-encoding",
        /// Overrides `Content-Language` of the answer.
        response_content_language: Option<String> = "response-content-language",
        /// Overrides `Content-Type` of the answer.
        response_content_type: Option<String> = "response-content-type",
        /// Overrides `Expires` of the answer.
        response_expires: Option<HttpDate> = "response-expires",
        /// The version of the object.
        version_id: Option<String> = "versionId",
        /// The number of the part, 1 to 10,000.
        part_number: Option<u32> = "partNumber",
    }
    header {
        /// Only if the object has this ETag now; otherwise `PreconditionFailed`.
        if_match: Option<ETag> = "if-match",
        /// Only if changed after this; otherwise `NotModified`.
        if_modified_since: Option<Timestamp> = "if-modified-since",
        /// Only if the object has another ETag; `ETag::ANY`: only if there is none.
        if_none_match: Option<ETag> = "if-none-match",
        /// Only if not changed after this; otherwise `PreconditionFailed`.
        if_unmodified_since: Option<Timestamp> = "if-unmodified-since",
        /// The bytes wanted.
        range: Option<ByteRange> = "range",
        /// The key of your own that the service encrypts the object with (SSE-C).
        sse_customer_key: Option<SseCustomerKey> = "x-amz-server-side-encryption-customer-",
        /// Confirms that the requester pays.
        request_payer: Option<RequestPayer> = "x-amz-request-payer",
        /// Fail with `AccessDenied` unless this account owns the bucket.
        expected_bucket_owner: Option<String> = "x-amz-expected-bucket-owner",
        /// Whether the service is to send its checksum.
        checksum_mode: Option<ChecksumMode> = "x-amz-checksum-mode",
    }
    prepare prepare_head;
    finish finish_head;
    output HeadObjectOutput {
        header {
            /// Whether this is a delete marker.
            delete_marker: bool = "x-amz-delete-marker",
            /// The unit of ranges, `bytes`.
            accept_ranges: Option<String> = "accept-ranges",
            /// Which lifecycle rule expires the object, and when.
            expiration: Option<String> = "x-amz-expiration",
            /// The state of a restore from an archive class.
            restore: Option<String> = "x-amz-restore",
            /// In which archive tier the object is.
            archive_status: Option<ArchiveStatus> = "x-amz-archive-status",
            /// When it was last changed.
            last_modified: Option<Timestamp> = "last-modified",
            /// The size of the object, or of what was asked for of it, in bytes.
            content_length: Option<u64> = "content-length",
            /// The checksum that the service keeps.
            checksum: Option<Checksum> = "x-amz-checksum-",
            /// Whether the checksum is of the whole object or of its parts.
            checksum_type: Option<ChecksumType> = "x-amz-checksum-type",
            /// The entity tag.
            etag: Option<ETag> = "etag",
            /// How many entries of metadata could not be sent as headers.
            missing_meta: Option<u32> = "x-amz-missing-meta",
            /// The version of the object.
            version_id: Option<String> = "x-amz-version-id",
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
            /// Which bytes of how many were asked for.
            content_range: Option<String> = "content-range",
            /// When the object is no longer to be cached (`Expires`), as text.
            expires: Option<String> = "expires",
            /// Where a website endpoint redirects requests for the object.
            website_redirect_location: Option<String> = "x-amz-website-redirect-location",
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
            /// The storage class; S3 leaves it out for `STANDARD`.
            storage_class: Option<StorageClass> = "x-amz-storage-class",
            /// Whether the requester was charged.
            request_charged: Option<RequestCharged> = "x-amz-request-charged",
            /// How far replication is.
            replication_status: Option<ReplicationStatus> = "x-amz-replication-status",
            /// How many parts the object has; only with `part_number`.
            parts_count: Option<u32> = "x-amz-mp-parts-count",
            /// How many tags the object has.
            tag_count: Option<u32> = "x-amz-tagging-count",
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
        }
        metadata metadata = "x-amz-meta-";
    }
}

operation! {
    /// Deletes an object or a version (`DeleteObject`); it is no error if there is none.
    delete_object DeleteObject: DELETE [bucket, key] "" => Whole;
    query {
        /// The version of the object.
        version_id: Option<String> = "versionId",
    }
    header {
        /// The serial number and code of the MFA device, for buckets that ask for it.
        mfa: Option<String> = "x-amz-mfa",
        /// Confirms that the requester pays.
        request_payer: Option<RequestPayer> = "x-amz-request-payer",
        /// Delete in spite of governance retention.
        bypass_governance_retention: Option<bool> = "x-amz-bypass-governance-retention",
        /// Fail with `AccessDenied` unless this account owns the bucket.
        expected_bucket_owner: Option<String> = "x-amz-expected-bucket-owner",
        /// Only if the object has this ETag now; otherwise `PreconditionFailed`.
        if_match: Option<ETag> = "if-match",
        /// Only if it was last changed then (directory buckets).
        if_match_last_modified_time: Option<Timestamp> = "x-amz-if-match-last-modified-time",
        /// Only if it has this size in bytes (directory buckets).
        if_match_size: Option<u64> = "x-amz-if-match-size",
    }
    output DeleteObjectOutput {
        header {
            /// Whether a delete marker was made or deleted.
            delete_marker: bool = "x-amz-delete-marker",
            /// The version that was deleted, or that of the delete marker that was made.
            version_id: Option<String> = "x-amz-version-id",
            /// Whether the requester was charged.
            request_charged: Option<RequestCharged> = "x-amz-request-charged",
        }
    }
}

operation! {
    /// Deletes up to 1,000 objects in one request (`DeleteObjects`).
    ///
    /// Success says only that the service has tried: look at [`DeleteObjectsOutput::errors`].
    delete_objects DeleteObjects: POST [bucket] "delete" => Whole;
    header {
        /// The serial number and code of the MFA device, for buckets that ask for it.
        mfa: Option<String> = "x-amz-mfa",
        /// Confirms that the requester pays.
        request_payer: Option<RequestPayer> = "x-amz-request-payer",
        /// Delete in spite of governance retention.
        bypass_governance_retention: Option<bool> = "x-amz-bypass-governance-retention",
        /// Fail with `AccessDenied` unless this account owns the bucket.
        expected_bucket_owner: Option<String> = "x-amz-expected-bucket-owner",
        /// The algorithm of the checksum that is computed.
        checksum_algorithm: Option<ChecksumAlgorithm> = "x-amz-sdk-checksum-algorithm",
    }
    xml
        /// What to delete.
        delete: Delete = "Delete";
    prepare prepare_delete_objects;
    output DeleteObjectsOutput {
        header {
            /// Whether the requester was charged.
            request_charged: Option<RequestCharged> = "x-amz-request-charged",
        }
        body {
            /// What was deleted; empty in quiet mode.
            deleted: Vec<DeletedObject> = "Deleted",
            /// What could not be deleted, and why.
            errors: Vec<DeleteError> = "Error",
        }
    }
}

operation! {
    /// Copies an object of up to 5 GiB inside the service (`CopyObject`).
    copy_object CopyObject: PUT [bucket, key] "" => Whole;
    required {
        header {
            /// Where to copy from.
            copy_source: CopySource = "x-amz-copy-source",
        }
    }
    header {
        /// The canned ACL to apply.
        acl: Option<ObjectCannedAcl> = "x-amz-acl",
        /// What caches may do (`Cache-Control`).
        cache_control: Option<String> = "cache-control",
        /// The algorithm of the checksum that is computed.
        checksum_algorithm: Option<ChecksumAlgorithm> = "x-amz-checksum-algorithm",
        /// How to present the object (`Content-Disposition`).
        content_disposition: Option<String> = "content-disposition",
        /// How the content is encoded (`Content-Encoding`), such as `gzip`.
        content_encoding: Option<String> = "content-encoding",
        /// The language of the content (`Content-Language`).
        content_language: Option<String> = "content-language",
        /// The media type (`Content-Type`); S3 takes `binary/octet-stream` if there is none.
        content_type: Option<String> = "content-type",
        /// Only if the source has this ETag.
        copy_source_if_match: Option<ETag> = "x-amz-copy-source-if-match",
        /// Only if the source changed after this.
        copy_source_if_modified_since: Option<Timestamp> = "x-amz-copy-source-if-modified-since",
        /// Only if the source has another ETag.
        copy_source_if_none_match: Option<ETag> = "x-amz-copy-source-if-none-match",
        /// Only if the source has not changed after this.
        copy_source_if_unmodified_since: Option<Timestamp> = "x-amz-copy-source-if-unmodified-since",
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
        /// Only if the object has this ETag now; otherwise `PreconditionFailed`.
        if_match: Option<ETag> = "if-match",
        /// Only if the object has another ETag; `ETag::ANY`: only if there is none.
        if_none_match: Option<ETag> = "if-none-match",
        /// Whether metadata is copied or replaced.
        metadata_directive: Option<MetadataDirective> = "x-amz-metadata-directive",
        /// Whether tags are copied or replaced.
        tagging_directive: Option<TaggingDirective> = "x-amz-tagging-directive",
        /// Whether annotations are copied or left out.
        annotation_directive: Option<AnnotationDirective> = "x-amz-object-annotation-directive",
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
        /// The key of your own that the source is encrypted with (SSE-C).
        copy_source_sse_customer_key: Option<SseCustomerKey> = "x-amz-copy-source-server-side-encryption-customer-",
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
        /// Fail with `AccessDenied` unless this account owns the source bucket.
        expected_source_bucket_owner: Option<String> = "x-amz-source-expected-bucket-owner",
    }
    metadata metadata = "x-amz-meta-";
    prepare prepare_copy;
    output CopyObjectOutput {
        header {
            /// Which lifecycle rule expires the object, and when.
            expiration: Option<String> = "x-amz-expiration",
            /// The version that was copied.
            copy_source_version_id: Option<String> = "x-amz-copy-source-version-id",
            /// The version of the object.
            version_id: Option<String> = "x-amz-version-id",
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
        }
        root {
            /// What the copy is.
            copy_object_result: CopyObjectResult = "CopyObjectResult",
        }
    }
}

operation! {
    /// Reads chosen attributes of an object (`GetObjectAttributes`).
    get_object_attributes GetObjectAttributes: GET [bucket, key] "attributes" => Whole;
    required {
        header {
            /// What to tell.
            object_attributes: Vec<ObjectAttributes> = "x-amz-object-attributes",
        }
    }
    query {
        /// The version of the object.
        version_id: Option<String> = "versionId",
    }
    header {
        /// At most so many parts, 1,000 at most.
        max_parts: Option<u32> = "x-amz-max-parts",
        /// Only parts after this number.
        part_number_marker: Option<u32> = "x-amz-part-number-marker",
        /// The key of your own that the service encrypts the object with (SSE-C).
        sse_customer_key: Option<SseCustomerKey> = "x-amz-server-side-encryption-customer-",
        /// Confirms that the requester pays.
        request_payer: Option<RequestPayer> = "x-amz-request-payer",
        /// Fail with `AccessDenied` unless this account owns the bucket.
        expected_bucket_owner: Option<String> = "x-amz-expected-bucket-owner",
    }
    prepare prepare_attributes;
    output GetObjectAttributesOutput {
        header {
            /// Whether this is a delete marker.
            delete_marker: bool = "x-amz-delete-marker",
            /// When it was last changed.
            last_modified: Option<Timestamp> = "last-modified",
            /// The version of the object.
            version_id: Option<String> = "x-amz-version-id",
            /// Whether the requester was charged.
            request_charged: Option<RequestCharged> = "x-amz-request-charged",
        }
        body {
            /// The entity tag.
            etag: Option<ETag> = "ETag",
            /// The checksum of the object.
            checksum: Option<ObjectChecksum> = "Checksum",
            /// The parts of the object.
            object_parts: Option<GetObjectAttributesParts> = "ObjectParts",
            /// The storage class; S3 leaves it out for `STANDARD`.
            storage_class: Option<StorageClass> = "StorageClass",
            /// The size of the object in bytes.
            object_size: Option<u64> = "ObjectSize",
        }
    }
}

pub(super) fn object_operations(all: &mut Vec<Description>) {
    all.extend([
        PutObject::description(),
        GetObject::description(),
        HeadObject::description(),
        DeleteObject::description(),
        DeleteObjects::description(),
        CopyObject::description(),
        GetObjectAttributes::description(),
    ]);
}

fn prepare_put(op: &PutObject, draft: &mut Draft) -> Result<(), Error> {
    check_put_size(draft.payload.len())?;
    check_tag_query(op.tagging.as_deref())?;
    draft.is_data = true;
    Ok(())
}

/// A tag set in the form of a URL query, as `x-amz-tagging` has it.
pub(super) fn check_tag_query(tags: Option<&str>) -> Result<(), Error> {
    let decoded: Vec<(String, String)> = tags
        .unwrap_or_default()
        .split('&')
        .filter(|pair| !pair.is_empty())
        .map(|pair| {
            let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
            (crate::encode::uri_decode(key), crate::encode::uri_decode(value))
        })
        .collect();
    check_tags(decoded.iter().map(|(k, v)| (k.as_str(), v.as_str())), TagTarget::Object)
}

/// Asks for the service's checksum, which is verified as the body is read. A range has none of its own:
/// some stores send that of the whole object with it, so it is not asked for there.
fn prepare_get(op: &GetObject, draft: &mut Draft) -> Result<(), Error> {
    if op.checksum_mode.is_none() && op.range.is_none() {
        draft.wants_checksum = true;
    }
    op.part_number.map_or(Ok(()), check_part_number)
}

fn prepare_head(op: &HeadObject, _: &mut Draft) -> Result<(), Error> {
    op.part_number.map_or(Ok(()), check_part_number)
}

#[allow(clippy::unnecessary_wraps)]
fn finish_get(_: &GetObject, output: &mut GetObjectOutput) -> Result<(), Error> {
    output.content_encoding = without_transfer_coding(output.content_encoding.take());
    Ok(())
}

#[allow(clippy::unnecessary_wraps)]
fn finish_head(_: &HeadObject, output: &mut HeadObjectOutput) -> Result<(), Error> {
    output.content_encoding = without_transfer_coding(output.content_encoding.take());
    Ok(())
}

/// `aws-chunked` is how an upload travels and no property of the object, but some stores keep it.
fn without_transfer_coding(encoding: Option<String>) -> Option<String> {
    let encoding = encoding?;
    if !encoding.contains("aws-chunked") {
        return Some(encoding);
    }
    let own: Vec<_> = encoding.split(',').map(str::trim).filter(|coding| *coding != "aws-chunked").collect();
    (!own.is_empty()).then(|| own.join(","))
}

fn prepare_copy(op: &CopyObject, draft: &mut Draft) -> Result<(), Error> {
    draft.slow = true;
    check_tag_query(op.tagging.as_deref())
}

fn prepare_attributes(op: &GetObjectAttributes, _: &mut Draft) -> Result<(), Error> {
    if op.object_attributes.is_empty() {
        return Err(Error::invalid_input("no attribute was asked for: name at least one"));
    }
    Ok(())
}

fn prepare_delete_objects(op: &DeleteObjects, _: &mut Draft) -> Result<(), Error> {
    check_delete_count(op.delete.objects.len())?;
    for object in &op.delete.objects {
        check_key(&object.key)?;
        if object.version_id.as_deref() == Some("") {
            let message = format!(
                "the version of '{}' to delete is empty, which some stores take for the current one",
                object.key.escape_debug()
            );
            return Err(Error::invalid_input(message));
        }
    }
    Ok(())
}
