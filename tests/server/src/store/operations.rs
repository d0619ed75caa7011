//! The operations as the protocol front calls them.

use s3s::dto::{
    AbortMultipartUploadInput, AbortMultipartUploadOutput, CompleteMultipartUploadInput,
    CompleteMultipartUploadOutput, CopyObjectInput, CopyObjectOutput, CreateBucketInput, CreateBucketOutput,
    CreateMultipartUploadInput, CreateMultipartUploadOutput, DeleteBucketInput, DeleteBucketOutput,
    DeleteBucketTaggingInput, DeleteBucketTaggingOutput, DeleteObjectInput, DeleteObjectOutput,
    DeleteObjectTaggingInput, DeleteObjectTaggingOutput, DeleteObjectsInput, DeleteObjectsOutput,
    GetBucketLocationInput, GetBucketLocationOutput, GetBucketTaggingInput, GetBucketTaggingOutput,
    GetBucketVersioningInput, GetBucketVersioningOutput, GetObjectAttributesInput, GetObjectAttributesOutput,
    GetObjectInput, GetObjectOutput, GetObjectTaggingInput, GetObjectTaggingOutput, HeadBucketInput,
    HeadBucketOutput, HeadObjectInput, HeadObjectOutput, ListBucketsInput, ListBucketsOutput,
    ListMultipartUploadsInput, ListMultipartUploadsOutput, ListObjectVersionsInput, ListObjectVersionsOutput,
    ListObjectsInput, ListObjectsOutput, ListObjectsV2Input, ListObjectsV2Output, ListPartsInput,
    ListPartsOutput, PutBucketTaggingInput, PutBucketTaggingOutput, PutBucketVersioningInput,
    PutBucketVersioningOutput, PutObjectInput, PutObjectOutput, PutObjectTaggingInput,
    PutObjectTaggingOutput, UploadPartCopyInput, UploadPartCopyOutput, UploadPartInput, UploadPartOutput,
};
use s3s::{S3, S3Request, S3Response, S3Result};

use super::Store;
use super::objects::head_output;

/// An operation that needs nothing but its input.
macro_rules! plain {
    ($($name:ident, $input:ident => $output:ident, |$store:ident, $arg:ident| $call:expr;)*) => {
        #[async_trait::async_trait]
        impl S3 for Store {
            $(async fn $name(&self, req: S3Request<$input>) -> S3Result<S3Response<$output>> {
                let ($store, $arg) = (self, req.input);
                Ok(S3Response::new($call))
            })*

            async fn put_object(&self, req: S3Request<PutObjectInput>) -> S3Result<S3Response<PutObjectOutput>> {
                Ok(S3Response::new(self.put_one(req).await?))
            }

            async fn upload_part(&self, req: S3Request<UploadPartInput>) -> S3Result<S3Response<UploadPartOutput>> {
                Ok(S3Response::new(self.put_part(req).await?))
            }

            async fn copy_object(&self, req: S3Request<CopyObjectInput>) -> S3Result<S3Response<CopyObjectOutput>> {
                Ok(S3Response::new(self.copy(req)?))
            }

            async fn get_object(&self, req: S3Request<GetObjectInput>) -> S3Result<S3Response<GetObjectOutput>> {
                self.get(&req.input, true)
            }

            async fn head_object(&self, req: S3Request<HeadObjectInput>) -> S3Result<S3Response<HeadObjectOutput>> {
                Ok(self.get(&as_get(req.input), false)?.map_output(head_output))
            }
        }
    };
}

plain! {
    create_bucket, CreateBucketInput => CreateBucketOutput, |store, input| store.create(input)?;
    delete_bucket, DeleteBucketInput => DeleteBucketOutput, |store, input| {
        store.delete_bucket_if_empty(&input.bucket)?;
        DeleteBucketOutput {}
    };
    head_bucket, HeadBucketInput => HeadBucketOutput, |store, input| store.head(&input.bucket)?;
    list_buckets, ListBucketsInput => ListBucketsOutput, |store, input| store.list(&input)?;
    get_bucket_location, GetBucketLocationInput => GetBucketLocationOutput, |store, input| {
        store.location(&input.bucket)?
    };
    put_bucket_versioning, PutBucketVersioningInput => PutBucketVersioningOutput, |store, input| {
        store.set_versioning(&input)?;
        PutBucketVersioningOutput {}
    };
    get_bucket_versioning, GetBucketVersioningInput => GetBucketVersioningOutput, |store, input| {
        store.versioning(&input.bucket)?
    };
    put_bucket_tagging, PutBucketTaggingInput => PutBucketTaggingOutput, |store, input| {
        store.set_bucket_tags(&input.bucket, Some(input.tagging.tag_set))?;
        PutBucketTaggingOutput {}
    };
    get_bucket_tagging, GetBucketTaggingInput => GetBucketTaggingOutput, |store, input| {
        GetBucketTaggingOutput { tag_set: store.bucket_tags(&input.bucket)? }
    };
    delete_bucket_tagging, DeleteBucketTaggingInput => DeleteBucketTaggingOutput, |store, input| {
        store.set_bucket_tags(&input.bucket, None)?;
        DeleteBucketTaggingOutput {}
    };
    put_object_tagging, PutObjectTaggingInput => PutObjectTaggingOutput, |store, input| {
        let tags = input.tagging.tag_set;
        let version_id = store.set_object_tags(&input.bucket, &input.key, input.version_id.as_deref(), tags)?;
        PutObjectTaggingOutput { version_id }
    };
    get_object_tagging, GetObjectTaggingInput => GetObjectTaggingOutput, |store, input| {
        let (tag_set, version_id) =
            store.object_tags(&input.bucket, &input.key, input.version_id.as_deref())?;
        GetObjectTaggingOutput { tag_set, version_id }
    };
    delete_object_tagging, DeleteObjectTaggingInput => DeleteObjectTaggingOutput, |store, input| {
        let version_id = input.version_id.as_deref();
        let version_id = store.set_object_tags(&input.bucket, &input.key, version_id, Vec::new())?;
        DeleteObjectTaggingOutput { version_id }
    };
    get_object_attributes, GetObjectAttributesInput => GetObjectAttributesOutput, |store, input| {
        store.attributes(&input)?
    };
    delete_object, DeleteObjectInput => DeleteObjectOutput, |store, input| store.delete_one(&input)?;
    delete_objects, DeleteObjectsInput => DeleteObjectsOutput, |store, input| store.delete_many(input)?;
    list_objects, ListObjectsInput => ListObjectsOutput, |store, input| store.list_v1(&input)?;
    list_objects_v2, ListObjectsV2Input => ListObjectsV2Output, |store, input| store.list_v2(&input)?;
    list_object_versions, ListObjectVersionsInput => ListObjectVersionsOutput, |store, input| {
        store.versions(&input)?
    };
    create_multipart_upload, CreateMultipartUploadInput => CreateMultipartUploadOutput, |store, input| {
        store.create_upload(input)?
    };
    upload_part_copy, UploadPartCopyInput => UploadPartCopyOutput, |store, input| store.copy_part(&input)?;
    complete_multipart_upload, CompleteMultipartUploadInput => CompleteMultipartUploadOutput, |store, input| {
        store.complete(&input)?
    };
    abort_multipart_upload, AbortMultipartUploadInput => AbortMultipartUploadOutput, |store, input| {
        store.abort(&input.bucket, &input.key, &input.upload_id)?;
        AbortMultipartUploadOutput::default()
    };
    list_parts, ListPartsInput => ListPartsOutput, |store, input| store.parts(&input)?;
    list_multipart_uploads, ListMultipartUploadsInput => ListMultipartUploadsOutput, |store, input| {
        store.list_uploads(&input)?
    };
}

fn as_get(x: HeadObjectInput) -> GetObjectInput {
    GetObjectInput {
        bucket: x.bucket,
        checksum_mode: x.checksum_mode,
        expected_bucket_owner: x.expected_bucket_owner,
        if_match: x.if_match,
        if_modified_since: x.if_modified_since,
        if_none_match: x.if_none_match,
        if_unmodified_since: x.if_unmodified_since,
        key: x.key,
        part_number: x.part_number,
        range: x.range,
        request_payer: x.request_payer,
        response_cache_control: x.response_cache_control,
        response_content_disposition: x.response_content_disposition,
        response_content_encoding: x.response_content_encoding,
        response_content_language: x.response_content_language,
        response_content_type: x.response_content_type,
        response_expires: x.response_expires,
        sse_customer_algorithm: x.sse_customer_algorithm,
        sse_customer_key: x.sse_customer_key,
        sse_customer_key_md5: x.sse_customer_key_md5,
        version_id: x.version_id,
    }
}
