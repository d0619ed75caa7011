//! Copies of any size.
// Helpers outside of `#[test]` may fail the test.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

mod support;

use bytes::Bytes;
use s3_proto::checksum::ChecksumAlgorithm as A;
use s3_proto::endpoint::Provider;
use s3_proto::ops::{CopyObject, CopySource, MetadataDirective, PutObject, SseCustomerKey, TaggingDirective};
use s3_proto::transfer::{Cleanup, Copy, CopyOptions, Upload, UploadOptions};
use s3_proto::{ETag, ErrorKind, Machine, Session, Step};
use support::store::digest;
use support::yard::{Fate, Yard, source};
use support::*;

const PART: usize = 5 << 20;

/// Above a part, in parts as small as can be.
fn small_parts() -> CopyOptions {
    let mut options = CopyOptions::default();
    (options.threshold, options.part_size, options.concurrency) = (PART as u64, PART as u64, 3);
    options
}

fn op() -> CopyObject {
    CopyObject::new("bkt", "copy", CopySource::new("bkt", "film"))
}

fn copy(op: CopyObject) -> Copy {
    Copy::new(session(), op, small_parts())
}

/// With this object to copy.
fn yard(content: Bytes) -> Yard {
    let mut yard = Yard::new();
    let mut put = PutObject::new("bkt", "film", content);
    put.content_type = Some("video/mp4".into());
    put.metadata.insert("title".into(), "Night".into());
    let mut options = UploadOptions::default();
    options.threshold = 64 << 20;
    yard.run(Upload::new(session(), put, options)).ok();
    yard.seen.clear();
    yard.in_flight.clear();
    yard
}

#[track_caller]
fn assert_copied(yard: &Yard, content: &[u8]) {
    assert!(yard.store.objects["copy"].is(content), "the copy has another content");
    assert!(yard.store.uploads.is_empty(), "an upload was left");
}

#[test]
fn one_request_copies_what_is_small_and_parts_what_is_large() {
    for size in [0, 1, PART, PART + 1, 4 * PART] {
        let content = source(size);
        let mut yard = yard(content.clone());
        let report = yard.run(copy(op())).ok();
        assert_copied(&yard, &content);
        let parts = size.div_ceil(PART).max(1);
        assert_eq!((report.bytes, report.parts as usize), (size as u64, parts), "{size} bytes");
        assert_eq!(
            (yard.count("CopyObject"), report.upload_id.is_some()),
            (usize::from(parts == 1), parts > 1)
        );
        assert_eq!(yard.count("UploadPartCopy"), if parts == 1 { 0 } else { parts });
        assert!(yard.in_flight.iter().all(|n| *n <= 3));
    }
}

#[test]
fn a_store_that_copies_no_parts_is_asked_for_the_whole() {
    let mut yard = yard(source(3 * PART));
    let mut store = Provider::AWS;
    store.part_copy = false;
    let session = Session::new(aws().with_provider(store));
    let report = yard.run(Copy::new(session, op(), small_parts())).ok();
    assert_eq!((report.upload_id, yard.count("CopyObject")), (None, 1));
}

#[test]
fn metadata_and_tags_are_taken_over_in_parts_too() {
    let mut yard = yard(source(2 * PART));
    yard.store.tags = vec![("a".into(), "1 + 1".into()), ("b".into(), String::new())];
    yard.run(copy(op())).ok();
    let create = yard.last("CreateMultipartUpload");
    assert_eq!(create.header("content-type"), Some("video/mp4"));
    assert_eq!(create.header("x-amz-meta-title"), Some("Night"));
    assert_eq!(create.header("x-amz-tagging"), Some("a=1%20%2B%201&b="));
    assert_eq!(create.header("x-amz-storage-class"), None);
}

#[test]
fn metadata_and_tags_are_replaced_where_that_is_wanted() {
    let mut yard = yard(source(2 * PART));
    yard.store.tags = vec![("a".into(), "1".into())];
    let mut op = op();
    op.metadata_directive = Some(MetadataDirective::Replace);
    op.metadata.insert("title".into(), "Day".into());
    op.tagging_directive = Some(TaggingDirective::Replace);
    op.tagging = Some("c=3".into());
    yard.run(copy(op)).ok();
    let create = yard.last("CreateMultipartUpload");
    assert_eq!((create.header("content-type"), create.header("x-amz-meta-title")), (None, Some("Day")));
    assert_eq!(create.header("x-amz-tagging"), Some("c=3"));
    assert_eq!(yard.count("GetObjectTagging"), 0);
}

#[test]
fn tags_that_cannot_be_read_are_not_lost_in_silence() {
    for (fate, expected) in [
        (Fate::Refused(403, "AccessDenied"), Some(ErrorKind::AccessDenied)),
        (Fate::Refused(501, "NotImplemented"), None),
        (Fate::Refused(404, "NoSuchTagSet"), None),
    ] {
        let mut yard = yard(source(2 * PART))
            .with_fates(move |seen| if seen.operation == "GetObjectTagging" { fate } else { Fate::Served });
        let result = yard.run(copy(op())).result.unwrap();
        assert_eq!(result.as_ref().err().map(s3_proto::Error::kind), expected);
        if let Err(error) = result {
            assert!(error.to_string().contains("would be lost"), "{error}");
            assert_eq!(yard.count("CreateMultipartUpload"), 0);
        }
    }
}

#[test]
fn a_source_that_changes_meanwhile_fails_the_copy() {
    let mut yard = yard(source(4 * PART));
    yard.meanwhile = Some((8, |yard| yard.store.objects.get_mut("film").unwrap().etag = "changed".into()));
    let error = yard.run(copy(op())).error();
    assert_eq!(error.kind(), ErrorKind::PreconditionFailed);
    assert!(!yard.store.objects.contains_key("copy") && yard.store.uploads.is_empty());
}

#[test]
fn each_part_is_bound_to_version_and_content_of_the_source() {
    let mut yard = yard(source(2 * PART));
    let etag = format!("\"{}\"", yard.store.objects["film"].etag);
    let mut op = CopyObject::new("bkt", "copy", CopySource::new("bkt", "film").version_id("v 1"));
    op.copy_source_sse_customer_key = Some(SseCustomerKey::new([7; 32]));
    yard.run(copy(op)).ok();
    assert!(yard.seen[0].query.contains_key("versionId"));
    assert!(yard.seen[0].header("x-amz-server-side-encryption-customer-key").is_some());
    for part in yard.seen.iter().filter(|seen| seen.operation == "UploadPartCopy") {
        assert_eq!(part.header("x-amz-copy-source"), Some("bkt/film?versionId=v%201"));
        assert_eq!(part.header("x-amz-copy-source-if-match"), Some(etag.as_str()));
        assert!(part.header("x-amz-copy-source-server-side-encryption-customer-key").is_some());
    }
}

#[test]
fn the_checksum_of_the_source_is_that_of_the_copy() {
    let content = source(2 * PART + 1);
    let expected = digest(&A::Crc64Nvme, &content);
    let mut yard = yard(content);
    let report = yard.run(copy(op())).ok();
    assert_eq!(report.checksum, Some(expected.clone()));
    let complete = yard.last("CompleteMultipartUpload");
    assert_eq!(complete.header("x-amz-checksum-crc64nvme"), Some(expected.to_string().as_str()));
}

#[test]
fn conditions_on_the_copy_stand_on_its_completion() {
    let mut yard = yard(source(2 * PART));
    let mut op = op();
    op.if_none_match = Some(ETag::ANY);
    yard.run(copy(op.clone())).ok();
    let error = yard.run(copy(op)).error();
    assert_eq!(error.kind(), ErrorKind::PreconditionFailed);
    assert_copied(&yard, &source(2 * PART));
}

#[test]
fn a_source_that_is_not_there_is_named() {
    let mut yard = Yard::new();
    let error = yard.run(copy(op())).error();
    assert_eq!(
        (error.kind(), error.key(), error.operation()),
        (ErrorKind::NotFound, Some("film"), Some("HeadObject"))
    );
}

#[test]
fn a_part_that_fails_for_good_fails_the_copy_and_it_is_aborted() {
    for keep in [false, true] {
        let mut yard = yard(source(3 * PART)).with_fates(|seen| match seen.part_number() {
            2 => Fate::Refused(403, "AccessDenied"),
            _ => Fate::Served,
        });
        let mut options = small_parts();
        options.keep_on_failure = keep;
        let error = yard.run(Copy::new(session(), op(), options)).error();
        let failure = error.upload_failure().unwrap();
        assert_eq!((failure.completed.len(), failure.failed.len()), (2, 1));
        assert_eq!(matches!(failure.cleanup, Cleanup::Kept), keep);
        assert_eq!(yard.store.uploads.len(), usize::from(keep));
    }
}

#[test]
fn an_error_in_an_answer_of_success_is_repeated() {
    for (size, operation) in [(1, "CopyObject"), (2 * PART, "UploadPartCopy")] {
        let mut left = 1;
        let mut yard = yard(source(size)).with_fates(move |seen| {
            if seen.operation == operation && std::mem::replace(&mut left, 0) > 0 {
                return Fate::Refused(200, "InternalError");
            }
            Fate::Served
        });
        let report = yard.run(copy(op())).ok();
        assert_copied(&yard, &source(size));
        assert_eq!(report.retries, 1, "{operation}");
    }
}

#[test]
fn cancelled_at_any_step_it_cleans_up() {
    let content = source(2 * PART);
    let steps = yard(content.clone()).run(copy(op())).steps;
    for at in 0..=steps {
        let mut yard = yard(content.clone());
        let result = yard.cancel(copy(op()), at).result.unwrap();
        assert!(yard.store.uploads.is_empty(), "an upload was left by cancelling at step {at}");
        if let Err(error) = result {
            assert_eq!(error.kind(), ErrorKind::Cancelled, "step {at}");
        }
    }
}

#[test]
fn after_the_end_nothing_comes_but_misuse() {
    let mut yard = yard(source(1));
    let mut machine = copy(op());
    yard.run_ref(&mut machine).ok();
    for _ in 0..2 {
        let Step::Done(Err(error)) = machine.poll(yard.now) else { panic!("it goes on") };
        assert_eq!(error.kind(), ErrorKind::ApiMisuse);
    }
}
