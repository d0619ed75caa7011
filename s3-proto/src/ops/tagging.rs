//! Tags of objects and buckets.

#[allow(clippy::wildcard_imports)]
use super::types::*;
use super::{Description, Draft};
use crate::Error;
use crate::checksum::ChecksumAlgorithm;
use crate::validate::{TagTarget, check_tags};

operation! {
    /// Reads the tags of an object (`GetObjectTagging`).
    get_object_tagging GetObjectTagging: GET [bucket, key] "tagging" => Whole;
    query {
        /// The version of the object.
        version_id: Option<String> = "versionId",
    }
    header {
        /// Fail with `AccessDenied` unless this account owns the bucket.
        expected_bucket_owner: Option<String> = "x-amz-expected-bucket-owner",
        /// Confirms that the requester pays.
        request_payer: Option<RequestPayer> = "x-amz-request-payer",
    }
    output GetObjectTaggingOutput {
        header {
            /// The version of the object.
            version_id: Option<String> = "x-amz-version-id",
        }
        body {
            /// The tags.
            tag_set: Vec<Tag> = "TagSet/Tag",
        }
    }
}

operation! {
    /// Replaces the tags of an object (`PutObjectTagging`): up to 10.
    put_object_tagging PutObjectTagging: PUT [bucket, key] "tagging" => Whole;
    query {
        /// The version of the object.
        version_id: Option<String> = "versionId",
    }
    header {
        /// The base64 MD5 of the body, which the service checks.
        content_md5: Option<String> = "content-md5",
        /// The algorithm of the checksum that is computed.
        checksum_algorithm: Option<ChecksumAlgorithm> = "x-amz-sdk-checksum-algorithm",
        /// Fail with `AccessDenied` unless this account owns the bucket.
        expected_bucket_owner: Option<String> = "x-amz-expected-bucket-owner",
        /// Confirms that the requester pays.
        request_payer: Option<RequestPayer> = "x-amz-request-payer",
    }
    xml
        /// The tags.
        tagging: Tagging = "Tagging";
    prepare prepare_object_tags;
    output PutObjectTaggingOutput {
        header {
            /// The version of the object.
            version_id: Option<String> = "x-amz-version-id",
        }
    }
}

operation! {
    /// Removes all tags of an object (`DeleteObjectTagging`).
    delete_object_tagging DeleteObjectTagging: DELETE [bucket, key] "tagging" => Whole;
    query {
        /// The version of the object.
        version_id: Option<String> = "versionId",
    }
    header {
        /// Fail with `AccessDenied` unless this account owns the bucket.
        expected_bucket_owner: Option<String> = "x-amz-expected-bucket-owner",
    }
    output DeleteObjectTaggingOutput {
        header {
            /// The version of the object.
            version_id: Option<String> = "x-amz-version-id",
        }
    }
}

operation! {
    /// Reads the tags of a bucket (`GetBucketTagging`); without any it is `NoSuchTagSet`.
    get_bucket_tagging GetBucketTagging: GET [bucket] "tagging" => Whole;
    header {
        /// Fail with `AccessDenied` unless this account owns the bucket.
        expected_bucket_owner: Option<String> = "x-amz-expected-bucket-owner",
    }
    output GetBucketTaggingOutput {
        body {
            /// The tags.
            tag_set: Vec<Tag> = "TagSet/Tag",
        }
    }
}

operation! {
    /// Replaces the tags of a bucket (`PutBucketTagging`): up to 50.
    put_bucket_tagging PutBucketTagging: PUT [bucket] "tagging" => Whole;
    header {
        /// The base64 MD5 of the body, which the service checks.
        content_md5: Option<String> = "content-md5",
        /// The algorithm of the checksum that is computed.
        checksum_algorithm: Option<ChecksumAlgorithm> = "x-amz-sdk-checksum-algorithm",
        /// Fail with `AccessDenied` unless this account owns the bucket.
        expected_bucket_owner: Option<String> = "x-amz-expected-bucket-owner",
    }
    xml
        /// The tags.
        tagging: Tagging = "Tagging";
    prepare prepare_bucket_tags;
    output PutBucketTaggingOutput {
    }
}

operation! {
    /// Removes all tags of a bucket (`DeleteBucketTagging`).
    delete_bucket_tagging DeleteBucketTagging: DELETE [bucket] "tagging" => Whole;
    header {
        /// Fail with `AccessDenied` unless this account owns the bucket.
        expected_bucket_owner: Option<String> = "x-amz-expected-bucket-owner",
    }
    output DeleteBucketTaggingOutput {
    }
}

pub(super) fn tagging_operations(all: &mut Vec<Description>) {
    all.extend([
        GetObjectTagging::description(),
        PutObjectTagging::description(),
        DeleteObjectTagging::description(),
        GetBucketTagging::description(),
        PutBucketTagging::description(),
        DeleteBucketTagging::description(),
    ]);
}

fn prepare_object_tags(op: &PutObjectTagging, _: &mut Draft) -> Result<(), Error> {
    check_tags(op.tagging.pairs(), TagTarget::Object)
}

fn prepare_bucket_tags(op: &PutBucketTagging, _: &mut Draft) -> Result<(), Error> {
    check_tags(op.tagging.pairs(), TagTarget::Bucket)
}
