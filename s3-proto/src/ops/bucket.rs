//! Buckets.

use super::field::document;
#[allow(clippy::wildcard_imports)]
use super::types::*;
use super::{Description, Draft};
use crate::Error;
use crate::config::Config;
use crate::endpoint::{Provider, is_express};
use crate::machine::Payload;
use crate::pages::Paginated;
use crate::validate::BucketRule;

operation! {
    /// Creates a bucket (`CreateBucket`), in the region of the client unless told otherwise. Of stores other than Amazon
    /// S3, each chooses for itself.
    create_bucket CreateBucket: PUT [bucket] "" => Whole;
    header {
        /// The canned ACL to apply.
        acl: Option<BucketCannedAcl> = "x-amz-acl",
        /// Who gets all rights, as `id=".."` or `uri=".."`.
        grant_full_control: Option<String> = "x-amz-grant-full-control",
        /// Who may read, as `id=".."` or `uri=".."`.
        grant_read: Option<String> = "x-amz-grant-read",
        /// Who may read the ACL.
        grant_read_acp: Option<String> = "x-amz-grant-read-acp",
        /// Who may create objects.
        grant_write: Option<String> = "x-amz-grant-write",
        /// Who may write the ACL.
        grant_write_acp: Option<String> = "x-amz-grant-write-acp",
        /// Whether object lock is on.
        object_lock_enabled_for_bucket: Option<bool> = "x-amz-bucket-object-lock-enabled",
        /// Who owns the objects that others write.
        object_ownership: Option<ObjectOwnership> = "x-amz-object-ownership",
        /// In which namespace the name is.
        bucket_namespace: Option<BucketNamespace> = "x-amz-bucket-namespace",
    }
    xml_optional
        /// The region and other properties of the bucket; without it, the region of the client.
        create_bucket_configuration: CreateBucketConfiguration = "CreateBucketConfiguration";
    prepare prepare_create;
    output CreateBucketOutput {
        header {
            /// Where it is.
            location: Option<String> = "location",
            /// The ARN of the bucket.
            bucket_arn: Option<String> = "x-amz-bucket-arn",
        }
    }
}

operation! {
    /// Deletes an empty bucket (`DeleteBucket`).
    delete_bucket DeleteBucket: DELETE [bucket] "" => Whole;
    header {
        /// Fail with `AccessDenied` unless this account owns the bucket.
        expected_bucket_owner: Option<String> = "x-amz-expected-bucket-owner",
    }
    output DeleteBucketOutput {
    }
}

operation! {
    /// Asks whether a bucket exists and may be accessed (`HeadBucket`).
    head_bucket HeadBucket: HEAD [bucket] "" => Whole;
    header {
        /// Fail with `AccessDenied` unless this account owns the bucket.
        expected_bucket_owner: Option<String> = "x-amz-expected-bucket-owner",
    }
    output HeadBucketOutput {
        header {
            /// The ARN of the bucket.
            bucket_arn: Option<String> = "x-amz-bucket-arn",
            /// The kind of place that a directory bucket is in.
            bucket_location_type: Option<LocationType> = "x-amz-bucket-location-type",
            /// The name of that place.
            bucket_location_name: Option<String> = "x-amz-bucket-location-name",
            /// The region of the bucket.
            bucket_region: Option<String> = "x-amz-bucket-region",
            /// Whether the name is the alias of an access point.
            access_point_alias: bool = "x-amz-access-point-alias",
        }
    }
}

operation! {
    /// Lists the buckets of the caller (`ListBuckets`).
    list_buckets ListBuckets: GET [] "" => Whole;
    query {
        /// At most so many buckets, 10,000 at most.
        max_buckets: Option<u32> = "max-buckets",
        /// Where to go on, from the page before.
        continuation_token: Option<String> = "continuation-token",
        /// Only what begins with this.
        prefix: Option<String> = "prefix",
        /// Only buckets in this region.
        bucket_region: Option<String> = "bucket-region",
    }
    output ListBucketsOutput {
        body {
            /// The buckets.
            buckets: Vec<Bucket> = "Buckets/Bucket",
            /// Who owns them.
            owner: Option<Owner> = "Owner",
            /// The `continuation_token` of this page, if there was one.
            continuation_token: Option<String> = "ContinuationToken",
            /// Only what begins with this.
            prefix: Option<String> = "Prefix",
        }
    }
}

impl Paginated for ListBuckets {
    type Entry = Bucket;

    /// The token alone says whether there is more: this list has no `IsTruncated`.
    fn next(&self, page: &ListBucketsOutput) -> Option<Self> {
        let token = page.continuation_token.clone().filter(|token| !token.is_empty())?;
        Some(Self { continuation_token: Some(token), ..self.clone() })
    }

    fn is_cut_short(_: &ListBucketsOutput) -> bool {
        false
    }

    fn entries(page: ListBucketsOutput) -> Vec<Bucket> {
        page.buckets
    }
}

operation! {
    /// Asks for the region of a bucket (`GetBucketLocation`).
    get_bucket_location GetBucketLocation: GET [bucket] "location" => Whole;
    header {
        /// Fail with `AccessDenied` unless this account owns the bucket.
        expected_bucket_owner: Option<String> = "x-amz-expected-bucket-owner",
    }
    output GetBucketLocationOutput {
        root {
            /// The region; empty means `us-east-1`.
            location_constraint: String = "LocationConstraint",
        }
    }
}

operation! {
    /// Begins a session of five minutes with a directory bucket (`CreateSession`). The client does so by itself
    /// before the first request that needs one.
    create_session CreateSession: GET [bucket] "session" => Whole;
    header {
        /// What the session may do; by default all that the caller may.
        session_mode: Option<SessionMode> = "x-amz-create-session-mode",
        /// How objects that are written in the session are encrypted.
        server_side_encryption: Option<ServerSideEncryption> = "x-amz-server-side-encryption",
        /// The KMS key that they are encrypted with.
        sse_kms_key_id: Option<String> = "x-amz-server-side-encryption-aws-kms-key-id",
        /// The context for KMS, as base64 of JSON.
        sse_kms_encryption_context: Option<String> = "x-amz-server-side-encryption-context",
        /// Whether the bucket's own key saves calls of KMS.
        bucket_key_enabled: Option<bool> = "x-amz-server-side-encryption-bucket-key-enabled",
    }
    output CreateSessionOutput {
        header {
            /// How objects that are written in the session are encrypted.
            server_side_encryption: Option<ServerSideEncryption> = "x-amz-server-side-encryption",
            /// The KMS key that they are encrypted with.
            sse_kms_key_id: Option<String> = "x-amz-server-side-encryption-aws-kms-key-id",
            /// The context for KMS, as base64 of JSON.
            sse_kms_encryption_context: Option<String> = "x-amz-server-side-encryption-context",
            /// Whether the bucket's own key saves calls of KMS.
            bucket_key_enabled: Option<bool> = "x-amz-server-side-encryption-bucket-key-enabled",
        }
        body {
            /// What the requests of the session are signed with.
            credentials: SessionCredentials = "Credentials",
        }
    }
}

pub(super) fn bucket_operations(all: &mut Vec<Description>) {
    all.extend([
        CreateBucket::description(),
        DeleteBucket::description(),
        HeadBucket::description(),
        ListBuckets::description(),
        GetBucketLocation::description(),
        CreateSession::description(),
    ]);
}

/// Amazon S3 creates buckets outside of us-east-1 only where the request goes there and names the region as well.
pub(crate) fn place_bucket(draft: &mut Draft, config: &Config) -> Result<(), Error> {
    let region = config.region.as_str();
    let needs_none = matches!(region, "us-east-1" | "aws-global")
        || config.provider().name != Provider::AWS.name
        || draft.bucket.as_deref().is_some_and(is_express);
    if needs_none || draft.payload != Payload::Empty {
        return Ok(());
    }
    draft.add_xml(document("CreateBucketConfiguration", &CreateBucketConfiguration::region(region)))
}

#[allow(clippy::unnecessary_wraps)]
fn prepare_create(_: &CreateBucket, draft: &mut Draft) -> Result<(), Error> {
    draft.bucket_rule = BucketRule::Create;
    draft.makes_bucket = true;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ops::Operation as _;

    #[test]
    fn the_location_is_read_wherever_a_store_puts_it() {
        let cases = [
            ("<LocationConstraint>eu-west-1</LocationConstraint>", "eu-west-1"),
            ("<LocationConstraint/>", ""),
            (
                "<CreateBucketConfiguration><LocationConstraint>a</LocationConstraint></CreateBucketConfiguration>",
                "a",
            ),
            ("<LocationConstraint><LocationConstraint>a</LocationConstraint></LocationConstraint>", "a"),
            ("<LocationConstraint>\n <LocationConstraint/>\n</LocationConstraint>", ""),
        ];
        let (head, ()) = http::Response::new(()).into_parts();
        for (body, expected) in cases {
            let output = GetBucketLocation::new("bucket").response(&head, body.as_bytes()).unwrap();
            assert_eq!(output.location_constraint, expected, "{body}");
        }
        for body in
            ["<LocationConstraint><Other/></LocationConstraint>", "<LocationConstraint>a", "", "no XML"]
        {
            assert!(GetBucketLocation::new("bucket").response(&head, body.as_bytes()).is_err(), "{body}");
        }
    }
}
