//! Objects into files, as a stream, and into memory.
// Helpers outside of `#[test]` may fail the test.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

mod support;

use std::path::PathBuf;

use http::Request;
use proptest::prelude::*;
use s3_proto::checksum::ChecksumAlgorithm as A;
use s3_proto::ops::{ByteRange, GetObject};
use s3_proto::transfer::{
    Download, DownloadOptions, DownloadReport, DownloadStream, DownloadToMemory, Progress,
};
use s3_proto::{Error, ErrorKind, Machine, Payload, Session, Step};
use support::sim::*;
use support::{World, aws, error_document, session};

const PART: u64 = 10;

fn options() -> DownloadOptions {
    let mut options = DownloadOptions::default();
    options.part_size = PART;
    options.concurrency = 3;
    options
}

fn resumable() -> DownloadOptions {
    let mut options = options();
    options.checkpoint = Some(PathBuf::from("dir/state"));
    options
}

fn op() -> GetObject {
    GetObject::new("bkt", "k")
}

fn to_file(options: &DownloadOptions) -> Download {
    Download::new(session(), op(), "dir/file", options)
}

/// Bytes of which no two parts are alike.
fn bytes(len: usize) -> Vec<u8> {
    (0..len).map(|n| u8::try_from((n * 7 + n / 256) % 251).unwrap()).collect()
}

/// A store with one object, with a CRC of all of it.
fn store(len: usize) -> Store {
    Store::with("k", Object::new(bytes(len)).with_checksum(A::Crc64Nvme))
}

fn file(disk: &Disk) -> Option<&Vec<u8>> {
    disk.files.get(&PathBuf::from("dir/file"))
}

fn parts_asked<'s>(sim: &'s Sim<'_>) -> Vec<&'s str> {
    sim.requests.iter().filter_map(|r| r.strip_prefix("GET /k bytes=")).collect()
}

fn is_part(request: &Request<Payload>, first: u64) -> bool {
    range_of(request).is_some_and(|(start, _)| start == first)
}

#[test]
fn an_object_of_any_size_becomes_the_file() {
    for len in [0, 1, 9, 10, 11, 19, 20, 21, 29, 30, 31, 95, 100] {
        for seed in 0..5 {
            let mut sim = Sim::new(store(len)).seeded(seed);
            let report = sim.run(to_file(&options())).output();
            assert_eq!(file(&sim.disk), Some(&bytes(len)), "{len} bytes, seed {seed}");
            assert_eq!(sim.disk.names(), ["dir/file"], "{len} bytes");
            assert_eq!((report.bytes, report.object.content_length), (len as u64, Some(len as u64)));
            assert_eq!(report.verified, Some(sum(&A::Crc64Nvme, &bytes(len))));
            assert_eq!(report.parts, (len as u64).div_ceil(PART).max(1));
        }
    }
}

#[test]
fn a_small_object_takes_one_request_unless_its_checksum_has_to_be_asked_for() {
    let mut sim = Sim::new(store(10));
    sim.run(to_file(&options())).output();
    assert_eq!(sim.requests, ["GET /k bytes=0-9", "HEAD /k "]);

    // Other stores than Amazon's name it with a range that is all of the object.
    let mut sim = Sim::new(store(10)).meddling(|_, store, reply| {
        reply.set("x-amz-checksum-crc64nvme", store.objects["k"].checksum.as_ref().unwrap().to_string());
    });
    let report = sim.run(to_file(&options())).output();
    assert_eq!(report.verified, store(10).objects["k"].checksum);
    assert_eq!(sim.requests, ["GET /k bytes=0-9"]);
}

#[test]
fn an_empty_object_takes_two_requests_and_becomes_an_empty_file() {
    let mut sim = Sim::new(store(0));
    sim.run(to_file(&options())).output();
    assert_eq!(sim.requests, ["GET /k bytes=0-9", "GET /k "]);
}

#[test]
fn a_store_that_answers_a_range_of_an_empty_object_with_nothing_is_understood() {
    let mut sim = Sim::new(store(0)).meddling(|request, _, reply| {
        if range_of(request).is_some() {
            *reply = Reply::new(200, vec![("content-length", "0".into()), ("etag", "\"e\"".into())], "");
        }
    });
    sim.run(to_file(&options())).output();
    assert_eq!((sim.requests.len(), file(&sim.disk)), (1, Some(&Vec::new())));
}

#[test]
fn parts_are_asked_for_in_parallel_and_only_of_the_same_object() {
    let etag = store(95).objects["k"].etag.clone();
    let mut conditions = Vec::new();
    let mut sim = Sim::new(store(95)).seeded(1).meddling(|request, _, _| {
        if request.method() == http::Method::GET {
            conditions.push(request.headers().get("if-match").map(|v| v.to_str().unwrap().to_owned()));
        }
    });
    sim.run(to_file(&options())).output();
    assert_eq!(sim.most_in_flight, 3);
    assert_eq!(parts_asked(&sim).len(), 10);
    drop(sim);
    assert_eq!(conditions.remove(0), None);
    assert!(conditions.iter().all(|c| c.as_ref() == Some(&etag)), "{conditions:?}");
}

#[test]
fn progress_adds_up() {
    let mut seen: Vec<Progress> = Vec::new();
    let mut sim = Sim::new(store(35)).seeded(3);
    sim.run_with(&mut to_file(&options()), |progress| seen.push(progress)).output();
    assert_eq!(seen.iter().map(|p| p.parts).collect::<Vec<_>>(), [1, 2, 3, 4]);
    let last = seen.last().unwrap();
    assert_eq!((last.bytes, last.total, last.total_parts), (35, Some(35), Some(4)));
    assert!(seen.windows(2).all(|pair| pair[0].bytes < pair[1].bytes));
}

#[test]
fn a_range_of_an_object_becomes_the_file() {
    let cases: [(ByteRange, std::ops::Range<usize>); 6] = [
        ((0..95).into(), 0..95),
        ((3..8).into(), 3..8),
        ((3..50).into(), 3..50),
        ((50..1_000).into(), 50..95),
        ((50..).into(), 50..95),
        ((94..).into(), 94..95),
    ];
    for (range, wanted) in cases {
        for seed in 0..3 {
            let mut op = op();
            op.range = Some(range);
            let mut sim = Sim::new(store(95)).seeded(seed);
            let report = sim.run(Download::new(session(), op, "dir/file", &options())).output();
            assert_eq!(file(&sim.disk).unwrap(), &bytes(95)[wanted.clone()], "{range}");
            assert_eq!(report.verified.is_some(), wanted == (0..95), "{range}");
        }
    }
}

#[test]
fn what_cannot_be_downloaded_in_parts_is_refused_before_anything_is_done() {
    let mut last = op();
    last.range = Some(ByteRange::last(5));
    let mut nothing = op();
    nothing.range = Some((5..5).into());
    let mut part = op();
    part.part_number = Some(1);
    for op in [last, nothing, part] {
        let mut sim = Sim::new(store(95));
        let error = sim.run(Download::new(session(), op.clone(), "dir/file", &options())).error();
        assert_eq!((error.kind(), error.key()), (ErrorKind::InvalidInput, Some("k")));
        assert!(sim.requests.is_empty() && sim.disk.files.is_empty());
        let error = sim.run(DownloadStream::new(session(), op, &options())).error();
        assert_eq!(error.kind(), ErrorKind::InvalidInput);
        assert!(sim.requests.is_empty());
    }
    let error = Sim::new(store(95)).run(Download::new(session(), op(), "dir/..", &options())).error();
    assert_eq!(error.kind(), ErrorKind::InvalidInput);
}

#[test]
fn the_version_and_the_key_of_the_user_go_with_every_request() {
    let mut op = op();
    op.version_id = Some("v7".into());
    op.sse_customer_key = Some(s3_proto::ops::SseCustomerKey::new([7; 32]));
    let mut all = true;
    let object = Object::new(bytes(35)).with_composite(&A::Sha256, 8);
    let mut sim = Sim::new(Store::with("k", object)).meddling(|request, _, reply| {
        all &= query(request, "versionId").as_deref() == Some("v7");
        all &= request.headers().contains_key("x-amz-server-side-encryption-customer-key");
        reply.set("x-amz-version-id", "v7");
    });
    sim.run(Download::new(session(), op, "dir/file", &options())).output();
    assert!(sim.requests.len() > 6, "{:?}", sim.requests);
    drop(sim);
    assert!(all);
}

#[test]
fn every_kind_of_checksum_is_compared() {
    let len = 95;
    let whole = |algorithm: A| Object::new(bytes(len)).with_checksum(algorithm);
    let parts = |algorithm: A, part| Object::new(bytes(len)).with_composite(&algorithm, part);
    let objects = [
        whole(A::Crc64Nvme),
        whole(A::Crc32),
        whole(A::Crc32c),
        whole(A::Sha1),
        whole(A::Sha256),
        parts(A::Sha256, 95),
        parts(A::Sha256, 25),
        parts(A::Crc32, 7),
        parts(A::Crc32c, 10),
        parts(A::Crc64Nvme, 33),
    ];
    for object in objects {
        for (part_size, seed) in [(10, 0), (10, 1), (10, 2), (200, 0), (95, 0)] {
            let [mut options, mut resumable] = [options(), resumable()];
            (options.part_size, resumable.part_size) = (part_size, part_size);
            let mut sim = Sim::new(Store::with("k", object.clone())).seeded(seed);
            for options in [&options, &resumable] {
                let report = sim.run(to_file(options)).output();
                assert_eq!(report.verified, object.checksum, "in parts of {part_size}");
            }
            let all = sim.run(DownloadToMemory::new(session(), op(), &options)).output();
            assert_eq!(all.report.verified, object.checksum, "in memory, in parts of {part_size}");
            assert_eq!(all.bytes, bytes(len));
        }
    }
}

#[test]
fn a_changed_byte_is_found_wherever_it_is_and_leaves_nothing() {
    let objects = [
        Object::new(bytes(35)).with_checksum(A::Crc64Nvme),
        Object::new(bytes(35)).with_checksum(A::Crc32),
        Object::new(bytes(35)).with_checksum(A::Sha256),
        Object::new(bytes(35)).with_composite(&A::Sha256, 8),
        Object::new(bytes(35)).with_composite(&A::Crc32c, 12),
    ];
    let corrupt = |at: u64| {
        move |request: &Request<Payload>, _: &mut Store, reply: &mut Reply| {
            let Some((first, _)) = range_of(request) else { return };
            if let Some(byte) =
                at.checked_sub(first).and_then(|n| reply.body.get_mut(usize::try_from(n).unwrap()))
            {
                *byte ^= 1;
            }
        }
    };
    for object in objects {
        for at in 0..35 {
            for part_size in [10, 50] {
                let mut options = resumable();
                options.part_size = part_size;
                let mut sim = Sim::new(Store::with("k", object.clone())).seeded(at).meddling(corrupt(at));
                let error = sim.run(to_file(&options)).error();
                assert_eq!(
                    (error.kind(), error.key()),
                    (ErrorKind::ChecksumMismatch, Some("k")),
                    "byte {at}"
                );
                assert!(sim.disk.files.is_empty(), "{:?} left", sim.disk.names());

                let mut came = Vec::new();
                let mut stream = DownloadStream::new(session(), op(), &options);
                let error = sim.run_with(&mut stream, |bytes| came.extend_from_slice(&bytes)).error();
                assert_eq!((error.kind(), error.bucket()), (ErrorKind::ChecksumMismatch, Some("bkt")));
                assert!(came.len() < 35, "all came before it was compared");
            }
        }
    }
}

#[test]
fn without_a_checksum_or_with_them_turned_off_nothing_is_compared_and_the_report_says_so() {
    let mut config = aws();
    config.verify_checksums = false;
    let off = Session::new(config);
    let cases = [(session(), Object::new(bytes(35))), (off, Object::new(bytes(35)).with_checksum(A::Crc32))];
    for (session, object) in cases {
        let mut sim = Sim::new(Store::with("k", object));
        let report = sim.run(Download::new(session, op(), "dir/file", &options())).output();
        assert_eq!((report.verified, file(&sim.disk)), (None, Some(&bytes(35))));
    }
}

#[test]
fn parts_whose_checksums_may_not_be_read_are_not_compared() {
    let object = Object::new(bytes(35)).with_composite(&A::Sha256, 8);
    let mut sim = Sim::new(Store::with("k", object)).meddling(|request, _, reply| {
        if query(request, "attributes").is_some() {
            *reply = Reply::error(403, "AccessDenied");
        }
    });
    let report = sim.run(to_file(&options())).output();
    assert_eq!((report.verified, file(&sim.disk)), (None, Some(&bytes(35))));
}

#[test]
fn checksums_of_parts_that_do_not_make_up_the_object_s_are_an_error() {
    let mut object = Object::new(bytes(35)).with_composite(&A::Sha256, 8);
    object.parts[1].1 = sum(&A::Sha256, b"other");
    let mut sim = Sim::new(Store::with("k", object));
    assert_eq!(sim.run(to_file(&options())).error().kind(), ErrorKind::ChecksumMismatch);
    assert!(sim.disk.files.is_empty());
}

#[test]
fn an_object_that_is_replaced_meanwhile_is_an_error_and_never_a_mixture() {
    for size in [35, 34, 12, 0] {
        for after in 1..5_u64 {
            let mut count = 0;
            let mut sim = Sim::new(store(35)).seeded(after).meddling(|_, store, _| {
                count += 1;
                if count == after {
                    let other = Object::new(vec![1; size]).with_checksum(A::Crc64Nvme);
                    store.objects.insert("k".into(), other);
                }
            });
            let error = sim.run(to_file(&options())).error();
            assert_eq!((error.kind(), error.key()), (ErrorKind::PreconditionFailed, Some("k")), "{error}");
            assert!(error.message().contains("replaced"), "{error}");
            assert!(sim.disk.files.is_empty());
        }
    }
}

#[test]
fn an_object_that_is_removed_meanwhile_is_an_error() {
    let mut sim = Sim::new(store(35)).meddling(|_, store, _| drop(store.objects.remove("k")));
    let error = sim.run(to_file(&options())).error();
    assert!(matches!(error.kind(), ErrorKind::NoSuchKey | ErrorKind::NotFound), "{error}");
    assert!(sim.disk.files.is_empty());
}

#[test]
fn a_missing_object_leaves_no_file() {
    let mut sim = Sim::new(Store::default());
    let error = sim.run(to_file(&resumable())).error();
    assert_eq!((error.kind(), error.key()), (ErrorKind::NoSuchKey, Some("k")));
    assert!(sim.disk.files.is_empty());
}

#[test]
fn an_answer_that_is_not_the_part_is_an_error() {
    type Change = (&'static str, fn(&mut Reply));
    let changes: [Change; 8] = [
        ("all of it", |r| {
            r.status = 200;
            r.body = bytes(35);
            r.set("content-length", "35");
        }),
        ("another place", |r| r.set("content-range", "bytes 11-20/35")),
        ("less than was asked for", |r| {
            r.body.truncate(5);
            r.set("content-length", "5");
            r.set("content-range", "bytes 10-14/35");
        }),
        ("no place", |r| r.headers.retain(|(name, _)| *name != "content-range")),
        ("another size", |r| r.set("content-range", "bytes 10-19/36")),
        ("no size", |r| r.set("content-range", "bytes 10-19/*")),
        ("another ETag", |r| r.set("etag", "\"other\"")),
        ("another version", |r| r.set("x-amz-version-id", "v2")),
    ];
    for (name, change) in changes {
        for in_memory in [false, true] {
            let mut sim = Sim::new(store(35)).meddling(|request, _, reply| {
                if is_part(request, 10) {
                    change(reply);
                }
            });
            let error = if in_memory {
                sim.run(DownloadToMemory::new(session(), op(), &options())).error()
            } else {
                sim.run(to_file(&options())).error()
            };
            let expected = [ErrorKind::MalformedResponse, ErrorKind::PreconditionFailed];
            assert!(expected.contains(&error.kind()), "{name}: {error}");
            assert_eq!((error.bucket(), error.key()), (Some("bkt"), Some("k")), "{name}");
            assert!(sim.disk.files.is_empty(), "{name}");
        }
    }
}

#[test]
fn a_first_answer_that_is_not_the_first_part_is_an_error() {
    type Change = (&'static str, fn(&mut Reply));
    let changes: [Change; 5] = [
        ("all of it", |r| {
            r.status = 200;
            r.body = bytes(35);
            r.set("content-length", "35");
            r.headers.retain(|(name, _)| *name != "content-range");
        }),
        ("another place", |r| r.set("content-range", "bytes 1-10/35")),
        ("less than was asked for", |r| {
            r.body.truncate(5);
            r.set("content-length", "5");
            r.set("content-range", "bytes 0-4/35");
        }),
        ("no size", |r| r.set("content-range", "bytes 0-9/*")),
        ("no place", |r| r.headers.retain(|(name, _)| *name != "content-range")),
    ];
    for (name, change) in changes {
        for in_memory in [false, true] {
            let mut sim = Sim::new(store(35)).meddling(|_, _, reply| change(reply));
            let error = if in_memory {
                sim.run(DownloadToMemory::new(session(), op(), &options())).error()
            } else {
                sim.run(to_file(&options())).error()
            };
            assert_eq!(error.kind(), ErrorKind::MalformedResponse, "{name}: {error}");
            assert!(sim.disk.files.is_empty(), "{name}");
        }
    }
}

#[test]
fn a_body_that_breaks_off_anywhere_goes_on_from_there() {
    for len in [8, 35] {
        for at in 0..10 {
            let mut broken = 0;
            let mut sim = Sim::new(store(len)).seeded(at as u64 + 1).meddling(|request, _, reply| {
                if request.method() == http::Method::GET && reply.body.len() > at && broken < 2 {
                    broken += 1;
                    reply.breaks_at = Some(at);
                }
            });
            let report = sim.run(to_file(&options())).output();
            assert_eq!(file(&sim.disk), Some(&bytes(len)), "broken after {at}");
            let expected = if len == 8 && at >= 8 { 0 } else { report.retries };
            assert_eq!(report.retries, expected);
            assert_eq!(sim.received, len as u64, "bytes came twice");
        }
    }
}

#[test]
fn a_part_that_fails_is_tried_again_alone() {
    let mut failed = 0;
    let mut sim = Sim::new(store(95)).seeded(5).meddling(|request, _, reply| {
        if is_part(request, 40) && failed < 2 {
            failed += 1;
            *reply = Reply::error(500, "InternalError");
        }
    });
    let report = sim.run(to_file(&options())).output();
    assert_eq!((report.retries, parts_asked(&sim).len()), (2, 12));
    assert_eq!(file(&sim.disk), Some(&bytes(95)));
}

#[test]
fn a_part_that_fails_for_good_fails_the_download_and_leaves_nothing() {
    for seed in 0..10 {
        let mut sim = Sim::new(store(95)).seeded(seed).meddling(|request, _, reply| {
            if is_part(request, 40) {
                reply.lost = true;
            }
        });
        let error = sim.run(to_file(&options())).error();
        assert_eq!((error.kind(), error.attempts()), (ErrorKind::Connect, 3), "{error}");
        assert!(sim.disk.files.is_empty(), "{:?}", sim.disk.names());
    }
}

#[test]
fn a_service_that_asks_to_slow_down_gets_fewer_requests_at_once() {
    let mut options = options();
    options.concurrency = 8;
    let mut count = 0;
    let mut sim = Sim::new(store(400)).seeded(2).meddling(|request, _, reply| {
        count += usize::from(range_of(request).is_some());
        if (5..8).contains(&count) {
            *reply = Reply::error(503, "SlowDown");
        }
    });
    sim.run(to_file(&options)).output();
    assert_eq!(file(&sim.disk), Some(&bytes(400)));
}

#[test]
fn without_a_strong_etag_all_comes_in_one_request() {
    for etag in ["", "W/\"weak\""] {
        let mut object = Object::new(bytes(35)).with_checksum(A::Crc32);
        object.etag = etag.into();
        for range in [None, Some(ByteRange::from(5..30)), Some(ByteRange::From(5))] {
            let mut op = op();
            op.range = range;
            let mut sim = Sim::new(Store::with("k", object.clone()));
            sim.run(Download::new(session(), op.clone(), "dir/file", &options())).output();
            let wanted = match range {
                None => 0..35,
                Some(ByteRange::From(_)) => 5..35,
                Some(_) => 5..30,
            };
            assert_eq!(file(&sim.disk).unwrap(), &bytes(35)[wanted.clone()]);
            assert_eq!((sim.requests.len(), sim.most_in_flight), (2, 1), "{:?}", sim.requests);
            let all = sim.run(DownloadToMemory::new(session(), op, &options())).output();
            assert_eq!(all.bytes, bytes(35)[wanted]);
        }
    }
}

#[test]
fn without_an_etag_an_object_that_is_too_long_for_memory_is_refused() {
    let mut config = aws();
    config.max_response = 20;
    let mut object = Object::new(bytes(35));
    object.etag.clear();
    let mut sim = Sim::new(Store::with("k", object));
    let error = sim.run(DownloadStream::new(Session::new(config), op(), &options())).error();
    assert_eq!(error.kind(), ErrorKind::NotImplemented);
    assert!(error.message().contains("35 bytes"), "{error}");
}

#[test]
fn cancelling_at_any_step_leaves_no_file() {
    for seed in 0..4 {
        for step in 0..60 {
            let mut sim = Sim::new(store(35)).seeded(seed);
            sim.cancel_after = Some(step);
            match sim.run(to_file(&options())) {
                End::Done(Err(error)) => {
                    assert_eq!(error.kind(), ErrorKind::Cancelled);
                    assert!(sim.disk.files.is_empty(), "step {step}: {:?}", sim.disk.names());
                }
                End::Done(Ok(_)) => assert_eq!(sim.disk.names(), ["dir/file"]),
                End::Stopped => panic!(),
            }
        }
    }
}

#[test]
fn dropping_it_at_any_step_leaves_no_file() {
    for step in 0..40 {
        let mut sim = Sim::new(store(35)).seeded(3);
        sim.stop_after = Some(step);
        if let End::Stopped = sim.run(to_file(&options())) {
            let disk = sim.disk.closed(false);
            assert!(disk.names().iter().all(|name| *name == "dir/file"), "{:?}", disk.names());
        }
    }
}

#[test]
fn what_is_in_the_way_stays_and_is_named() {
    let mut disk = Disk::with([("dir/file", "old")]);
    disk.read_only.insert("dir/file".into());
    let mut sim = Sim::new(store(35)).with_disk(disk);
    let error = sim.run(to_file(&options())).error();
    assert_eq!(error.kind(), ErrorKind::LocalIo);
    assert!(error.message().contains("dir/file"), "{error}");
    assert_eq!(sim.disk.names(), ["dir/file"]);
    assert_eq!(file(&sim.disk).unwrap(), b"old");
}

#[test]
fn a_file_that_is_there_is_replaced_only_at_the_end() {
    let disk = Disk::with([("dir/file", "old")]);
    for step in 0..100 {
        let mut sim = Sim::new(store(35)).with_disk(disk.clone()).seeded(8);
        sim.stop_after = Some(step);
        match sim.run(to_file(&options())) {
            End::Stopped => {
                let content = file(&sim.disk).unwrap();
                assert!(content == b"old" || *content == bytes(35), "step {step}: {content:?}");
            }
            End::Done(result) => {
                result.unwrap();
                return;
            }
        }
    }
    panic!("it does not end");
}

// Going on after a crash.

/// Runs until so many answers were given, and is killed.
fn killed_after(steps: usize, seed: u64, store: Store, disk: Disk) -> Result<DownloadReport, Box<Disk>> {
    let mut sim = Sim::new(store).seeded(seed).with_disk(disk);
    sim.stop_after = Some(steps);
    match sim.run(to_file(&resumable())) {
        End::Stopped => Err(Box::new(sim.disk.closed(true))),
        End::Done(result) => Ok(result.unwrap()),
    }
}

#[test]
fn after_a_crash_at_any_step_it_goes_on_with_what_is_there() {
    let mut resumed = 0;
    for seed in 0..4 {
        for steps in 0..200 {
            let Err(disk) = killed_after(steps, seed, store(95), Disk::default()) else { break };
            let mut sim = Sim::new(store(95)).seeded(seed).with_disk(*disk);
            let report = sim.run(to_file(&resumable())).output();
            assert_eq!(file(&sim.disk), Some(&bytes(95)), "killed after {steps}");
            assert_eq!(sim.disk.names(), ["dir/file"], "killed after {steps}");
            assert_eq!(sim.received + report.resumed, 95, "killed after {steps}");
            resumed = resumed.max(report.resumed);
        }
    }
    assert!(resumed >= 80, "{resumed} bytes at most were there already");
}

#[test]
fn it_goes_on_after_many_crashes() {
    let mut disk = Disk::default();
    for run in 1..100 {
        match killed_after(12 + usize::try_from(run).unwrap(), run, store(95), disk) {
            Err(left) => disk = *left,
            Ok(report) => {
                assert!(report.resumed > 0 && run > 2, "run {run}");
                return;
            }
        }
    }
    panic!("it makes no progress");
}

/// A disk with a download that is not complete.
fn unfinished() -> Disk {
    let disk = (20..80).find_map(|steps| {
        let disk = killed_after(steps, 1, store(95), Disk::default()).err()?;
        let state = disk.files.get(&PathBuf::from("dir/state"))?;
        (String::from_utf8_lossy(state).matches("<Part>").count() >= 4).then_some(*disk)
    });
    disk.expect("nothing was saved")
}

#[test]
fn what_was_damaged_meanwhile_is_asked_for_again() {
    let disk = unfinished();
    let part = disk.files.keys().find(|p| p.extension().is_some()).unwrap().clone();
    for at in 0..95 {
        let mut disk = disk.clone();
        disk.files.get_mut(&part).unwrap()[at] ^= 1;
        let mut sim = Sim::new(store(95)).with_disk(disk);
        sim.run(to_file(&resumable())).output();
        assert_eq!(file(&sim.disk), Some(&bytes(95)), "byte {at}");
    }
    for len in [0, 50, 200] {
        let mut disk = disk.clone();
        disk.files.get_mut(&part).unwrap().resize(len, 0);
        let mut sim = Sim::new(store(95)).with_disk(disk);
        let report = sim.run(to_file(&resumable())).output();
        assert_eq!((file(&sim.disk), report.resumed), (Some(&bytes(95)), 0), "{len} bytes");
    }
    let mut gone = disk;
    gone.files.remove(&part);
    let mut sim = Sim::new(store(95)).with_disk(gone);
    assert_eq!(sim.run(to_file(&resumable())).output().resumed, 0);
    assert_eq!(sim.disk.names(), ["dir/file"]);
}

#[test]
fn if_the_object_has_changed_it_begins_anew() {
    for size in [95, 40, 3, 0] {
        let other: Vec<u8> = bytes(size).iter().map(|b| b ^ 0x55).collect();
        let store = Store::with("k", Object::new(other.clone()).with_checksum(A::Crc32));
        let mut sim = Sim::new(store).seeded(2).with_disk(unfinished());
        let report = sim.run(to_file(&resumable())).output();
        assert_eq!((report.resumed, file(&sim.disk)), (0, Some(&other)), "{size} bytes");
        assert_eq!(sim.disk.names(), ["dir/file"]);
    }
}

#[test]
fn a_failure_keeps_what_is_there() {
    let mut sim = Sim::new(store(95)).seeded(4).meddling(|request, _, reply| {
        if is_part(request, 60) {
            *reply = Reply::error(403, "AccessDenied");
        }
    });
    assert_eq!(sim.run(to_file(&resumable())).error().kind(), ErrorKind::AccessDenied);
    let disk = std::mem::take(&mut sim.disk);
    assert_eq!(disk.files.len(), 2, "{:?}", disk.names());
    let mut sim = Sim::new(store(95)).with_disk(disk);
    let report = sim.run(to_file(&resumable())).output();
    assert!(report.resumed >= 40, "{} bytes", report.resumed);
    assert_eq!(sim.received + report.resumed, 95);
}

#[test]
fn cancelling_at_any_step_keeps_what_is_there() {
    for steps in 0..80 {
        let mut sim = Sim::new(store(95)).seeded(6);
        sim.cancel_after = Some(steps);
        let End::Done(Err(error)) = sim.run(to_file(&resumable())) else { break };
        assert_eq!(error.kind(), ErrorKind::Cancelled);
        let before = sim.received;
        let disk = std::mem::take(&mut sim.disk);
        let mut sim = Sim::new(store(95)).with_disk(disk);
        let report = sim.run(to_file(&resumable())).output();
        assert_eq!(file(&sim.disk), Some(&bytes(95)));
        // Each of three parts in flight may have been cut off.
        assert!(report.resumed + 30 >= before, "{} of {before} bytes were kept", report.resumed);
        assert_eq!(sim.disk.names(), ["dir/file"]);
    }
}

#[test]
fn cancelling_while_it_finds_out_what_is_there_loses_nothing() {
    let disk = unfinished();
    let kept = Sim::new(store(95)).with_disk(disk.clone()).run(to_file(&resumable())).output().resumed;
    for steps in 0..12 {
        let mut sim = Sim::new(store(95)).with_disk(disk.clone());
        sim.cancel_after = Some(steps);
        sim.run(to_file(&resumable())).error();
        let mut again = Sim::new(store(95)).with_disk(std::mem::take(&mut sim.disk));
        assert!(again.run(to_file(&resumable())).output().resumed >= kept, "cancelled after {steps}");
    }
}

#[test]
fn conditions_hold_for_what_is_gone_on_with() {
    let etag = s3_proto::ETag::new(&store(95).objects["k"].etag);
    let (mut unmet, mut met) = ([op(), op()], [op(), op()]);
    (unmet[0].if_match, met[0].if_match) = (Some("other".into()), Some(etag.clone()));
    (unmet[1].if_none_match, met[1].if_none_match) = (Some(etag), Some("other".into()));
    let kinds = [ErrorKind::PreconditionFailed, ErrorKind::NotModified];
    for ((unmet, met), kind) in unmet.into_iter().zip(met).zip(kinds) {
        let mut sim = Sim::new(store(95)).with_disk(unfinished());
        let before = sim.disk.files.clone();
        let error = sim.run(Download::new(session(), unmet, "dir/file", &resumable())).error();
        assert_eq!((error.kind(), error.key()), (kind, Some("k")), "{error}");
        assert!(!error.message().contains("replaced"), "{error}");
        assert_eq!(sim.disk.files, before);
        let report = sim.run(Download::new(session(), met, "dir/file", &resumable())).output();
        assert!(report.resumed > 0);
    }
}

#[test]
fn nothing_is_hashed_any_more_once_it_was_cancelled() {
    let hashed_whole = Store::with("k", Object::new(bytes(95)).with_checksum(A::Sha256));
    let hashed_again = Store::with("k", Object::new(bytes(8)).with_checksum(A::Crc32));
    for (store, disk) in
        [(hashed_whole, Disk::default()), (hashed_again, Disk::default()), (store(95), unfinished())]
    {
        let run = |stop, cancel| {
            let mut sim = Sim::new(store.clone()).with_disk(disk.clone());
            (sim.stop_after, sim.cancel_after) = (stop, cancel);
            let end = sim.run(to_file(&resumable()));
            (sim.disk.hashed, matches!(end, End::Done(Err(_))))
        };
        let (all, _) = run(None, None);
        assert!(all > 0);
        for step in 0..100 {
            let (before, _) = run(Some(step), None);
            let (after, was_cancelled) = run(None, Some(step));
            assert!(after == before || !was_cancelled, "{} more after step {step}", after - before);
        }
    }
}

#[test]
fn the_state_of_something_else_is_left_as_it_is() {
    let other_key = {
        let mut op = op();
        op.key = "other".into();
        op
    };
    let mut sim = Sim::new(store(95)).with_disk(unfinished());
    let before = sim.disk.names().len();
    let error = sim.run(Download::new(session(), other_key, "dir/file", &resumable())).error();
    assert_eq!(error.kind(), ErrorKind::InvalidInput);
    assert!(error.message().contains("another download"), "{error}");
    assert_eq!((sim.requests.len(), sim.disk.names().len()), (0, before));

    let mut sim = Sim::new(store(95)).with_disk(Disk::with([("dir/state", "my notes")]));
    let error = sim.run(to_file(&resumable())).error();
    assert_eq!(error.kind(), ErrorKind::InvalidInput);
    assert_eq!(sim.disk.names(), ["dir/state"]);
}

#[test]
fn what_cannot_be_saved_is_an_error() {
    let mut disk = Disk::default();
    disk.read_only.insert("dir/state".into());
    let mut sim = Sim::new(store(95)).with_disk(disk);
    let error = sim.run(to_file(&resumable())).error();
    assert_eq!(error.kind(), ErrorKind::LocalIo);
    assert!(error.message().contains("dir/state"), "{error}");
}

// As a stream, and into memory.

#[test]
fn a_stream_has_the_bytes_in_their_order_whatever_the_order_of_answers() {
    for len in [0, 1, 9, 10, 11, 20, 95, 100] {
        for seed in 0..6 {
            let mut sim = Sim::new(store(len)).seeded(seed);
            let mut all = Vec::new();
            let mut stream = DownloadStream::new(session(), op(), &options());
            sim.run_with(&mut stream, |bytes| all.extend_from_slice(&bytes)).output();
            assert_eq!(all, bytes(len), "seed {seed}");
            assert_eq!(stream.size(), Some(len as u64));
            assert!(sim.most_in_flight <= 3);
        }
    }
}

#[test]
fn a_stream_that_is_not_taken_from_reads_no_further_ahead_than_it_may() {
    use s3_proto::{Machine as _, Step};
    let mut sim = Sim::new(store(95));
    let mut stream = DownloadStream::new(session(), op(), &options());
    sim.stop_after = Some(5);
    assert!(matches!(sim.run_with(&mut stream, |_| {}), End::Stopped));
    let before = parts_asked(&sim).len();
    let mut items = 0;
    let mut started = 0;
    loop {
        match stream.poll(sim.world.now) {
            Step::Item(_) => items += 1,
            Step::Start(..) => started += 1,
            Step::Wait(_) => break,
            _ => panic!(),
        }
    }
    assert!(before + started <= items + 5 + 3, "{before} + {started} asked for, {items} taken");
}

#[test]
fn a_stream_ends_with_the_error_of_a_part() {
    for seed in 0..5 {
        let mut sim = Sim::new(store(95)).seeded(seed).meddling(|request, _, reply| {
            if is_part(request, 40) {
                *reply = Reply::error(403, "AccessDenied");
            }
        });
        let mut came = Vec::new();
        let mut stream = DownloadStream::new(session(), op(), &options());
        let error = sim.run_with(&mut stream, |bytes| came.extend_from_slice(&bytes)).error();
        assert_eq!(error.kind(), ErrorKind::AccessDenied);
        assert!(came.len() <= 40 && bytes(95).starts_with(&came));
    }
}

#[test]
fn an_object_that_looks_like_an_error_is_one_s_own() {
    let text = error_document("InternalError", "");
    let mut sim = Sim::new(Store::with("k", Object::new(text.clone())));
    let all = sim.run(DownloadToMemory::new(session(), op(), &DownloadOptions::default())).output();
    assert_eq!(all.bytes, text);
}

#[test]
fn more_than_may_be_taken_into_memory_is_refused_before_it_is_read() {
    let mut options = options();
    options.max_in_memory = 34;
    let mut sim = Sim::new(store(35));
    let error = sim.run(DownloadToMemory::new(session(), op(), &options)).error();
    assert_eq!((error.kind(), error.key()), (ErrorKind::InvalidInput, Some("k")));
    assert!(sim.received <= 10, "{} bytes came", sim.received);
    options.max_in_memory = 35;
    assert_eq!(sim.run(DownloadToMemory::new(session(), op(), &options)).output().bytes, bytes(35));
}

#[test]
fn what_is_too_long_for_memory_and_wrong_ends_once() {
    let mut sim = Sim::new(store(35)).meddling(|request, _, reply| {
        // The checksum comes with the answer to HEAD, as from Amazon S3.
        if request.method() == "GET" {
            reply.body[0] ^= 1;
            reply.headers.retain(|(name, _)| !name.starts_with("x-amz-checksum"));
        }
    });
    let mut options = DownloadOptions::default();
    options.max_in_memory = 34;
    let mut download = DownloadToMemory::new(session(), op(), &options);

    let first = sim.run_with(&mut download, drop).error();
    let second = sim.run_with(&mut download, drop).error();

    assert_eq!([first.kind(), second.kind()], [ErrorKind::ChecksumMismatch, ErrorKind::ApiMisuse], "{first}");
}

#[test]
fn a_cancelled_stream_ends() {
    for steps in 0..20 {
        let mut sim = Sim::new(store(95)).seeded(steps as u64);
        sim.cancel_after = Some(steps);
        let End::Done(Err(error)) = sim.run(DownloadToMemory::new(session(), op(), &options())) else {
            assert!(steps > 8, "cancelled after {steps}");
            return;
        };
        assert_eq!(error.kind(), ErrorKind::Cancelled, "{error}");
    }
}

// Anything at once.

#[derive(Clone, Debug)]
enum Fault {
    Busy,
    SlowDown,
    Lost,
    Break(usize),
    Corrupt(usize),
    Replace,
    WholeObject,
    WrongPlace,
}

fn fault() -> impl Strategy<Value = Fault> {
    prop_oneof![
        Just(Fault::Busy),
        Just(Fault::SlowDown),
        Just(Fault::Lost),
        (0_usize..20).prop_map(Fault::Break),
        (0_usize..20).prop_map(Fault::Corrupt),
        Just(Fault::Replace),
        Just(Fault::WholeObject),
        Just(Fault::WrongPlace),
    ]
}

fn apply(fault: &Fault, store: &mut Store, reply: &mut Reply) {
    match fault {
        Fault::Busy => *reply = Reply::error(500, "InternalError"),
        Fault::SlowDown => *reply = Reply::error(503, "SlowDown"),
        Fault::Lost => reply.lost = true,
        Fault::Break(at) => reply.breaks_at = Some(*at),
        Fault::Corrupt(at) => {
            if let Some(byte) = reply.body.get_mut(*at) {
                *byte ^= 0x20;
            }
        }
        Fault::Replace => {
            let object = store.objects.get_mut("k").unwrap();
            let changed: Vec<u8> = object.bytes.iter().map(|b| b ^ 1).collect();
            *object = Object::new(changed).with_checksum(A::Crc64Nvme);
        }
        Fault::WholeObject => {
            reply.status = 200;
            reply.body.clone_from(&store.objects["k"].bytes);
            let len = reply.body.len().to_string();
            reply.set("content-length", len);
        }
        Fault::WrongPlace => reply.set("content-range", "bytes 1-10/95"),
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1_000))]

    #[test]
    fn the_file_is_the_object_or_there_is_an_error(
        len in 0_usize..80,
        part in 1_u64..40,
        concurrency in 1_usize..5,
        seed in any::<u64>(),
        faults in prop::collection::vec((0_usize..14, fault()), 0..4),
        crash in prop::option::of(0_usize..60),
        in_memory in any::<bool>(),
    ) {
        let mut options = resumable();
        options.part_size = part;
        options.concurrency = concurrency;
        // What the object was at any time: a file must be one of these.
        let original = bytes(len);
        let replaced: Vec<u8> = original.iter().map(|b| b ^ 1).collect();
        let mut count = 0;
        let mut sim = Sim::new(store(len)).seeded(seed).meddling(|_, store, reply| {
            for (_, fault) in faults.iter().filter(|(at, _)| *at == count) {
                apply(fault, store, reply);
            }
            count += 1;
        });
        let is_right = |content: &[u8]| content == original || content == replaced;
        if in_memory {
            if let Ok(all) = sim.run(DownloadToMemory::new(session(), op(), &options)).result() {
                prop_assert!(is_right(&all.bytes));
            }
            return Ok(());
        }
        sim.stop_after = crash;
        let mut end = sim.run(to_file(&options));
        if let End::Stopped = end {
            sim.disk = std::mem::take(&mut sim.disk).closed(true);
            sim.stop_after = None;
            end = sim.run(to_file(&options));
        }
        let result: Result<DownloadReport, Error> = end.result();
        if let Some(content) = file(&sim.disk) {
            prop_assert!(is_right(content), "{:?}", sim.requests);
        }
        prop_assert!(crash.is_some() || result.is_ok() == file(&sim.disk).is_some());
        if result.is_ok() {
            prop_assert!(file(&sim.disk).is_some());
            prop_assert_eq!(sim.disk.names(), ["dir/file"]);
        }
    }
}

#[test]
fn a_stream_that_is_refused_ends_once_and_asks_nobody() {
    let mut op = GetObject::new("bkt", "k");
    op.range = Some((5..5).into());
    let mut machine = DownloadStream::new(session(), op, &DownloadOptions::default());
    let now = World::default().now;
    let kinds = [(); 2].map(|()| match machine.poll(now) {
        Step::Done(Err(error)) => error.kind(),
        step => panic!("it goes on: {step:?}"),
    });
    assert_eq!(kinds, [ErrorKind::InvalidInput, ErrorKind::ApiMisuse]);
}
