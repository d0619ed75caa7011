//! Machines are moved and boxed, and a program may have thousands of them: their sizes are bounded, with
//! all features on.
#![allow(missing_docs)]

use std::mem::size_of;

use s3_proto::call::{Call, PresignCall, Stream};
use s3_proto::ops::{GetObject, GetObjectOutput, Object, PutObject};
use s3_proto::transfer::{Copy, Download, Upload};
use s3_proto::{Error, HttpTask, Step, Task};

#[test]
fn machines_and_what_they_yield_are_small() {
    let table = [
        ("Call<PutObject>", size_of::<Call<PutObject>>(), 8),
        ("Stream<GetObject>", size_of::<Stream<GetObject>>(), 8),
        ("PresignCall", size_of::<PresignCall>(), 1_300),
        ("Upload", size_of::<Upload>(), 3_600),
        ("Download", size_of::<Download>(), 3_800),
        ("Copy", size_of::<Copy>(), 4_000),
        ("Step<GetObjectOutput, ()>", size_of::<Step<GetObjectOutput, ()>>(), 900),
        ("HttpTask", size_of::<HttpTask>(), 800),
        ("Task", size_of::<Task>(), 64),
        ("Object", size_of::<Object>(), 248),
        ("Error", size_of::<Error>(), 8),
    ];
    let exceeded: Vec<_> = table.into_iter().filter(|(_, size, most)| size > most).collect();
    assert!(exceeded.is_empty(), "{exceeded:?}");
}
