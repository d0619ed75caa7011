//! Single operations and lists.

use std::time::Duration;

use s3_proto::call::{PresignCall, Stream};
use s3_proto::ops::{
    ByteRange, CompleteMultipartUpload, CopyObject, CreateBucket, CreateMultipartUpload, DeleteObject,
    DeleteObjects, GetBucketLocation, GetObject, GetObjectTagging, HeadBucket, HeadObject, ListBuckets,
    ListMultipartUploads, ListObjectVersions, ListObjectsV2, ListParts, ObjectIdentifier, PutObject,
};
use s3_proto::pages::Entries;
use s3_proto::{Call, Machine, Pages, Payload};

use super::{BUCKET, session};
use crate::driver::{World, drive};
use crate::input::Input;

const KEY: &str = "a/key";

fn end<M: Machine>(machine: M, input: &mut Input<'_>) {
    let world = World { source: 3_000, ..World::with_object(10_000) };
    drop(drive(machine, &world, input));
}

/// Single calls.
pub(crate) fn call(bytes: &[u8]) {
    let input = &mut Input::new(bytes);
    let session = session(input);
    match input.below(14) {
        0 => end(Call::new(session, HeadObject::new(BUCKET, KEY)), input),
        1 => end(Call::new(session, PutObject::new(BUCKET, KEY, Payload::source(3_000, true))), input),
        2 => end(Call::new(session, PutObject::new(BUCKET, KEY, Payload::source(3_000, false))), input),
        3 => end(Call::new(session, HeadBucket::new(BUCKET)), input),
        4 => end(Call::new(session, DeleteObject::new(BUCKET, KEY)), input),
        5 => {
            let objects = vec![ObjectIdentifier::new("a"), ObjectIdentifier::new("<&>")];
            end(Call::new(session, DeleteObjects::new(BUCKET, objects)), input);
        }
        6 => end(Call::new(session, CopyObject::new(BUCKET, KEY, ("other-bucket", "k"))), input),
        7 => end(Call::new(session, CreateMultipartUpload::new(BUCKET, KEY)), input),
        8 => end(Call::new(session, CompleteMultipartUpload::new(BUCKET, KEY, "an-upload")), input),
        9 => end(Call::new(session, CreateBucket::new(BUCKET)), input),
        10 => end(Call::new(session, GetObjectTagging::new(BUCKET, KEY)), input),
        11 => end(Call::new(session, ListBuckets::new()), input),
        12 => end(Call::new(session, GetBucketLocation::new(BUCKET)), input),
        _ => {
            let get = GetObject::new(BUCKET, KEY);
            end(PresignCall::new(session, &get, Duration::from_secs(u64::from(input.u16()))), input);
        }
    }
}

/// Calls whose body is streamed.
pub(crate) fn stream(bytes: &[u8]) {
    let input = &mut Input::new(bytes);
    let session = session(input);
    let mut get = GetObject::new(BUCKET, KEY);
    get.range = match input.below(4) {
        0 => None,
        1 => Some(ByteRange::Inclusive(u64::from(input.u16()), u64::from(input.u16()))),
        2 => Some(ByteRange::From(u64::from(input.u16()))),
        _ => Some(ByteRange::Last(u64::from(input.u16()))),
    };
    end(Stream::new(session, get), input);
}

/// Lists of several pages.
pub(crate) fn pages(bytes: &[u8]) {
    let input = &mut Input::new(bytes);
    let session = session(input);
    match input.below(6) {
        0 => end(Pages::new(session, ListObjectsV2::new(BUCKET)), input),
        1 => end(Entries::new(session, ListObjectsV2::new(BUCKET)), input),
        2 => end(Pages::new(session, ListObjectVersions::new(BUCKET)), input),
        3 => end(Entries::new(session, ListObjectVersions::new(BUCKET)), input),
        4 => end(Pages::new(session, ListParts::new(BUCKET, KEY, "an-upload")), input),
        _ => end(Pages::new(session, ListMultipartUploads::new(BUCKET)), input),
    }
}
