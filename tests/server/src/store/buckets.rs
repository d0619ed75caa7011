//! Buckets and their settings.

use s3s::dto::{
    Bucket as ListedBucket, BucketLocationConstraint, BucketVersioningStatus, CreateBucketInput,
    CreateBucketOutput, GetBucketLocationOutput, GetBucketVersioningOutput, HeadBucketOutput,
    ListBucketsInput, ListBucketsOutput, PutBucketVersioningInput, Timestamp,
};
use s3s::{S3Result, s3_error};

use super::model::{Bucket, Versioning};
use super::{Store, invalid_argument, owner};
use crate::checksum::{base64, from_base64};

/// Most buckets in one page of ListBuckets.
const MAX_BUCKETS: i32 = 10_000;

impl Store {
    pub(super) fn create(&self, input: CreateBucketInput) -> S3Result<CreateBucketOutput> {
        let constraint = input.create_bucket_configuration.and_then(|c| c.location_constraint);
        let region = match constraint.as_ref().map(BucketLocationConstraint::as_str) {
            None | Some("") => self.inner.config.region.clone(),
            // The name of eu-west-1 of old.
            Some("EU") => "eu-west-1".to_owned(),
            // The default region may not be named (CreateBucket, "LocationConstraint").
            Some("us-east-1") => return Err(s3_error!(InvalidLocationConstraint)),
            Some(region) => region.to_owned(),
        };
        let created = self.now();
        let mut state = self.state();
        if state.buckets.contains_key(&input.bucket) {
            return Err(s3_error!(BucketAlreadyOwnedByYou));
        }
        let location = format!("/{}", input.bucket);
        state.buckets.insert(input.bucket, Bucket::new(region, created));
        Ok(CreateBucketOutput { location: Some(location) })
    }

    pub(super) fn delete_bucket_if_empty(&self, name: &str) -> S3Result<()> {
        let mut state = self.state();
        let bucket = state.buckets.get(name).ok_or_else(|| s3_error!(NoSuchBucket))?;
        if !bucket.keys.is_empty() {
            return Err(if bucket.versioned() {
                s3_error!(
                    BucketNotEmpty,
                    "The bucket you tried to delete is not empty. You must delete all versions in the bucket."
                )
            } else {
                s3_error!(BucketNotEmpty)
            });
        }
        state.buckets.remove(name);
        Ok(())
    }

    pub(super) fn head(&self, name: &str) -> S3Result<HeadBucketOutput> {
        self.with_bucket(name, |bucket| {
            Ok(HeadBucketOutput { bucket_region: Some(bucket.region.clone()), ..HeadBucketOutput::default() })
        })
    }

    pub(super) fn location(&self, name: &str) -> S3Result<GetBucketLocationOutput> {
        self.with_bucket(name, |bucket| {
            let constraint = (bucket.region != "us-east-1").then(|| bucket.region.clone().into());
            Ok(GetBucketLocationOutput { location_constraint: constraint })
        })
    }

    pub(super) fn list(&self, input: &ListBucketsInput) -> S3Result<ListBucketsOutput> {
        let max = input.max_buckets.unwrap_or(MAX_BUCKETS);
        if !(1..=MAX_BUCKETS).contains(&max) {
            return Err(invalid_argument("Argument max-buckets must be an integer between 1 and 10000"));
        }
        let after = input.continuation_token.as_deref().map(from_token).transpose()?;
        let prefix = input.prefix.as_deref().unwrap_or_default();
        let state = self.state();
        let mut rest = state.buckets.iter().filter(|(name, bucket)| {
            name.starts_with(prefix)
                && after.as_ref().is_none_or(|after| *name > after)
                && input.bucket_region.as_ref().is_none_or(|region| *region == bucket.region)
        });
        let page: Vec<_> = rest.by_ref().take(usize::try_from(max).unwrap_or_default()).collect();
        let last = rest.next().and(page.last());
        Ok(ListBucketsOutput {
            continuation_token: last.map(|(name, _)| base64(name.as_bytes())),
            buckets: Some(page.iter().map(|(name, bucket)| listed(name, bucket)).collect()),
            owner: Some(owner()),
            prefix: input.prefix.clone(),
        })
    }

    pub(super) fn set_versioning(&self, input: &PutBucketVersioningInput) -> S3Result<()> {
        let status = input.versioning_configuration.status.as_ref().map(BucketVersioningStatus::as_str);
        let versioning = match status {
            Some(BucketVersioningStatus::ENABLED) => Versioning::Enabled,
            Some(BucketVersioningStatus::SUSPENDED) => Versioning::Suspended,
            Some(_) => return Err(s3_error!(MalformedXML)),
            None => return Err(s3_error!(IllegalVersioningConfigurationException)),
        };
        self.with_bucket(&input.bucket, |bucket| {
            bucket.versioning = versioning;
            Ok(())
        })
    }

    pub(super) fn versioning(&self, name: &str) -> S3Result<GetBucketVersioningOutput> {
        self.with_bucket(name, |bucket| {
            let status = match bucket.versioning {
                Versioning::Off => None,
                Versioning::Enabled => Some(BucketVersioningStatus::ENABLED),
                Versioning::Suspended => Some(BucketVersioningStatus::SUSPENDED),
            };
            let status = status.map(BucketVersioningStatus::from_static);
            Ok(GetBucketVersioningOutput { status, mfa_delete: None })
        })
    }
}

fn listed(name: &str, bucket: &Bucket) -> ListedBucket {
    ListedBucket {
        name: Some(name.to_owned()),
        creation_date: Some(Timestamp::from(bucket.created)),
        bucket_region: Some(bucket.region.clone()),
    }
}

fn from_token(token: &str) -> S3Result<String> {
    from_base64(token)
        .and_then(|bytes| String::from_utf8(bytes).ok())
        .ok_or_else(|| invalid_argument("The continuation token provided is incorrect"))
}
