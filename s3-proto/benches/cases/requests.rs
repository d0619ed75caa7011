//! Requests of each kind, before a host is chosen, beside the hashing of one signature.

use std::hint::black_box;

use s3_proto::Payload;
use s3_proto::ops::{
    CompleteMultipartUpload, CompletedPart, CopyObject, CopySource, CreateMultipartUpload, Delete,
    DeleteObject, DeleteObjects, GetObject, HeadObject, ListObjectsV2, Operation, PutObject, UploadPart,
};

use super::{Case, Work, signing};

pub fn cases() -> Vec<Case> {
    let case = |name, allocations, times, work| Case {
        name,
        work,
        allocations,
        floor: signing::hash_a_get,
        times,
        bytes: 0,
    };
    vec![
        case("build GetObject", 2, 0.1, || build(GetObject::new("bucket", "key"))),
        case("build GetObject of a range", 7, 0.2, || {
            let mut op = GetObject::new("bucket", "key");
            op.range = Some((0..1_024).into());
            build(op)
        }),
        case("build HeadObject", 2, 0.1, || build(HeadObject::new("bucket", "key"))),
        case("build PutObject", 12, 0.3, || {
            let mut op = PutObject::new("bucket", "key", Payload::Bytes("Hello".into()));
            op.content_type = Some("text/plain".to_owned());
            op.metadata.insert("author".to_owned(), "me".to_owned());
            build(op)
        }),
        case("build CopyObject", 7, 0.2, || {
            build(CopyObject::new("bucket", "key", CopySource::new("from", "key")))
        }),
        case("build DeleteObject", 2, 0.1, || build(DeleteObject::new("bucket", "key"))),
        case("build DeleteObjects of 1,000 keys", 17, 45.0, || {
            build(DeleteObjects::new("bucket", Delete::keys((0..1_000).map(|n| format!("key-{n}")))))
        }),
        case("build ListObjectsV2", 6, 0.2, || {
            let mut op = ListObjectsV2::new("bucket");
            op.prefix = Some("photos/2025/".to_owned());
            op.continuation_token = Some("1ueGcxLPRx1Tr/XYExHnhbYLgveDs2J/wm36Hy4vbOwM=".to_owned());
            build(op)
        }),
        case("build CreateMultipartUpload", 3, 0.1, || build(CreateMultipartUpload::new("bucket", "key"))),
        case("build UploadPart", 6, 0.2, || {
            build(UploadPart::new("bucket", "key", 1_u32, "upload", Payload::source(8 << 20, true)))
        }),
        case("build CompleteMultipartUpload of 1,000 parts", 4_020, 180.0, || {
            let mut op = CompleteMultipartUpload::new("bucket", "key", "upload");
            let parts = (1..=1_000).map(|n| CompletedPart::new(n, "9b2cf535f27731c974343645a3985328"));
            op.multipart_upload = Some(parts.collect::<Vec<_>>().into());
            build(op)
        }),
    ]
}

fn build<O: Operation>(op: O) -> Work {
    Box::new(move || drop(black_box(op.request().unwrap())))
}
