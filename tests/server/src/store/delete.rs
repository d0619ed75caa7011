//! DeleteObject and DeleteObjects.

use std::time::SystemTime;

use s3s::dto::{
    DeleteObjectInput, DeleteObjectOutput, DeleteObjectsInput, DeleteObjectsOutput, DeletedObject,
    ETagCondition, Error as DeleteError, ObjectIdentifier,
};
use s3s::{S3Error, S3Result, s3_error};

use super::Store;
use super::conditions::{failed, matches};
use super::model::{Bucket, Content, NULL, Versioning, check_version_id};
use crate::ids::Ids;

/// Most keys of one DeleteObjects.
const MAX_KEYS: usize = 1000;

/// What a deletion did.
#[derive(Default)]
struct Deleted {
    /// A marker was made, or the version that was removed is one.
    marker: bool,
    version_id: Option<String>,
}

impl Store {
    pub(super) fn delete_one(&self, input: &DeleteObjectInput) -> S3Result<DeleteObjectOutput> {
        let now = self.now();
        let deleted = self.with_bucket(&input.bucket, |bucket| {
            let version_id = input.version_id.as_deref();
            delete(bucket, &input.key, version_id, input.if_match.as_ref(), now, &self.inner.ids)
        })?;
        Ok(DeleteObjectOutput {
            delete_marker: deleted.marker.then_some(true),
            version_id: deleted.version_id,
            ..DeleteObjectOutput::default()
        })
    }

    pub(super) fn delete_many(&self, input: DeleteObjectsInput) -> S3Result<DeleteObjectsOutput> {
        let count = input.delete.objects.len();
        if count == 0 || count > MAX_KEYS {
            return Err(s3_error!(MalformedXML));
        }
        let quiet = input.delete.quiet == Some(true);
        let now = self.now();
        let (mut deleted, mut errors) = (Vec::new(), Vec::new());
        self.with_bucket(&input.bucket, |bucket| {
            for object in input.delete.objects {
                let condition = object.e_tag.clone().map(|etag| match etag.value() {
                    "*" => ETagCondition::Any,
                    _ => ETagCondition::ETag(etag),
                });
                let version_id = object.version_id.as_deref();
                match delete(bucket, &object.key, version_id, condition.as_ref(), now, &self.inner.ids) {
                    Ok(done) => deleted.push(entry(object, done)),
                    Err(error) => errors.push(error_entry(object, &error)),
                }
            }
            Ok(())
        })?;
        Ok(DeleteObjectsOutput {
            deleted: (!quiet).then_some(deleted),
            errors: Some(errors),
            ..DeleteObjectsOutput::default()
        })
    }
}

fn entry(object: ObjectIdentifier, done: Deleted) -> DeletedObject {
    DeletedObject {
        key: Some(object.key),
        delete_marker: done.marker.then_some(true),
        delete_marker_version_id: done.version_id.filter(|_| done.marker),
        version_id: object.version_id,
    }
}

fn error_entry(object: ObjectIdentifier, error: &S3Error) -> DeleteError {
    let code = error.code().as_str().to_owned();
    let message = error.message().map_or_else(|| crate::errors::message(&code).to_owned(), str::to_owned);
    DeleteError {
        code: Some(code),
        key: Some(object.key),
        message: Some(message),
        version_id: object.version_id,
    }
}

fn delete(
    bucket: &mut Bucket,
    key: &str,
    version_id: Option<&str>,
    if_match: Option<&ETagCondition>,
    now: SystemTime,
    ids: &Ids,
) -> S3Result<Deleted> {
    if key.len() > 1024 {
        return Err(s3_error!(KeyTooLongError));
    }
    if let Some(condition) = if_match {
        match bucket.current_etag(key) {
            None => return Err(s3_error!(NoSuchKey)),
            Some(etag) if matches(condition, etag) => {}
            Some(_) => return Err(failed("If-Match")),
        }
    }
    if let Some(id) = version_id {
        check_version_id(id)?;
        let removed = bucket.remove(key, id);
        let marker = removed.is_some_and(|version| version.object().is_none());
        return Ok(Deleted { marker, version_id: Some(id.to_owned()) });
    }
    if bucket.versioning == Versioning::Off {
        bucket.remove(key, NULL);
        return Ok(Deleted::default());
    }
    let id = bucket.insert(key, Content::DeleteMarker, Vec::new(), now, ids.version());
    Ok(Deleted { marker: true, version_id: id })
}
