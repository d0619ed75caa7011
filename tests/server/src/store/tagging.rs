//! Tags of buckets and objects.

use std::collections::BTreeSet;

use percent_encoding::percent_decode_str;
use s3s::dto::Tag;
use s3s::{S3Error, S3ErrorCode, S3Result, s3_error};

use super::model::Tags;
use super::{Store, custom, invalid_argument};

/// Most tags of an object, and of a bucket ("Categorizing your storage using tags").
const MAX_OBJECT_TAGS: usize = 10;
const MAX_BUCKET_TAGS: usize = 50;
/// In characters.
const MAX_KEY: usize = 128;
const MAX_VALUE: usize = 256;

impl Store {
    pub(super) fn set_bucket_tags(&self, bucket: &str, tags: Option<Vec<Tag>>) -> S3Result<()> {
        let tags = tags.map(|tags| checked(from_dto(tags)?, MAX_BUCKET_TAGS)).transpose()?;
        self.with_bucket(bucket, |bucket| {
            bucket.tags = tags.filter(|tags| !tags.is_empty());
            Ok(())
        })
    }

    pub(super) fn bucket_tags(&self, bucket: &str) -> S3Result<Vec<Tag>> {
        self.with_bucket(bucket, |bucket| match &bucket.tags {
            Some(tags) => Ok(to_dto(tags)),
            None => Err(s3_error!(NoSuchTagSet)),
        })
    }

    /// Gives the version id for the answer.
    pub(super) fn set_object_tags(
        &self,
        bucket: &str,
        key: &str,
        version_id: Option<&str>,
        tags: Vec<Tag>,
    ) -> S3Result<Option<String>> {
        let tags = checked(from_dto(tags)?, MAX_OBJECT_TAGS)?;
        self.with_bucket(bucket, |bucket| {
            let version = bucket.version_mut(key, version_id)?;
            if version.object().is_none() {
                return Err(s3_error!(MethodNotAllowed));
            }
            version.tags = tags;
            let id = version.id.clone();
            Ok(bucket.shown(&id))
        })
    }

    pub(super) fn object_tags(
        &self,
        bucket: &str,
        key: &str,
        version_id: Option<&str>,
    ) -> S3Result<(Vec<Tag>, Option<String>)> {
        self.with_bucket(bucket, |bucket| {
            let version = bucket.version(key, version_id)?;
            if version.object().is_none() {
                return Err(s3_error!(MethodNotAllowed));
            }
            Ok((to_dto(&version.tags), bucket.shown(&version.id)))
        })
    }
}

/// The tags of an `x-amz-tagging` header: URL query parameters.
pub(super) fn from_header(header: Option<&str>) -> S3Result<Tags> {
    let mut tags = Vec::new();
    for pair in header.unwrap_or_default().split('&').filter(|pair| !pair.is_empty()) {
        let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
        tags.push((decode(key)?, decode(value)?));
    }
    checked(tags, MAX_OBJECT_TAGS)
}

fn decode(text: &str) -> S3Result<String> {
    let text = text.replace('+', " ");
    let decoded = percent_decode_str(&text).decode_utf8();
    decoded.map(std::borrow::Cow::into_owned).map_err(|_| {
        invalid_argument("The header 'x-amz-tagging' shall be encoded as UTF-8 then URLEncoded URL query parameters without tag name duplicates.")
    })
}

fn from_dto(tags: Vec<Tag>) -> S3Result<Tags> {
    tags.into_iter()
        .map(|tag| match (tag.key, tag.value) {
            (Some(key), Some(value)) => Ok((key, value)),
            _ => Err(s3_error!(MalformedXML)),
        })
        .collect()
}

fn to_dto(tags: &Tags) -> Vec<Tag> {
    tags.iter().map(|(key, value)| Tag { key: Some(key.clone()), value: Some(value.clone()) }).collect()
}

fn checked(tags: Tags, max: usize) -> S3Result<Tags> {
    if tags.len() > max {
        let message = if max == MAX_OBJECT_TAGS {
            "Object tags cannot be greater than 10"
        } else {
            "Bucket tag count cannot be greater than 50"
        };
        return Err(custom("BadRequest", http::StatusCode::BAD_REQUEST, message));
    }
    let mut names = BTreeSet::new();
    for (key, value) in &tags {
        if key.is_empty() || key.chars().count() > MAX_KEY {
            return Err(invalid_tag("The TagKey you have provided is invalid"));
        }
        if value.chars().count() > MAX_VALUE {
            return Err(invalid_tag("The TagValue you have provided is invalid"));
        }
        if key.starts_with("aws:") {
            return Err(invalid_tag("System tags cannot be added/updated by requester"));
        }
        if !names.insert(key.as_str()) {
            return Err(invalid_tag("Cannot provide multiple Tags with the same key"));
        }
    }
    Ok(tags)
}

fn invalid_tag(message: &'static str) -> S3Error {
    S3Error::with_message(S3ErrorCode::InvalidTag, message)
}
