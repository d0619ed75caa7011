//! Uploads of any size, from any source, whatever goes wrong.
// Helpers outside of `#[test]` may fail the test.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

mod support;

use std::error::Error as _;
use std::time::Duration;

use bytes::Bytes;
use proptest::prelude::*;
use s3_proto::checksum::ChecksumAlgorithm as A;
use s3_proto::endpoint::ChecksumPolicy;
use s3_proto::ops::{PutObject, RequestPayer, ServerSideEncryption, SseCustomerKey, StorageClass};
use s3_proto::transfer::{Checkpoint, Cleanup, Progress, Upload, UploadOptions, UploadReport};
use s3_proto::{Config, ETag, ErrorKind, Machine, Payload, Session, Timestamp};
use support::store::{Open, Part, Seen, digest};
use support::yard::{Disk, Fate, Outcome, PATTERN, Yard, source};
use support::*;

const MIB: usize = 1 << 20;
/// The smallest that there are.
const PART: usize = 5 * MIB;
const FILE: &str = "/data/film";
const CHECKPOINT: &str = "/data/film.checkpoint";

fn put(body: impl Into<Payload>) -> PutObject {
    PutObject::new("bkt", "film", body)
}

/// Parts as small as can be, and one request only for what is smaller still.
fn small_parts() -> UploadOptions {
    let mut options = UploadOptions::default();
    (options.threshold, options.part_size, options.concurrency) = (PART as u64, PART as u64, 3);
    options
}

fn with_checkpoint() -> UploadOptions {
    let mut options = small_parts();
    options.checkpoint = Some(CHECKPOINT.into());
    options
}

fn of_file(options: UploadOptions) -> Upload {
    Upload::file(session(), put(Payload::Empty), FILE, options)
}

/// A store that knows no checksums.
fn plain() -> Config {
    let mut config = aws();
    config.request_checksums = Some(ChecksumPolicy::WhenRequired);
    config
}

/// A file of three parts and a bit.
fn content() -> Bytes {
    source(3 * PART + 7)
}

fn yard() -> Yard {
    Yard::new().with_file(FILE, content())
}

/// The first attempt for each part of this number has this fate.
fn first_attempt(number: u32, fate: Fate) -> impl FnMut(&Seen) -> Fate {
    let mut left = 1;
    move |seen| {
        let is_it = seen.part_number() == number && std::mem::replace(&mut left, 0) > 0;
        if is_it { fate } else { Fate::Served }
    }
}

fn always(operation: &'static str, fate: Fate) -> impl FnMut(&Seen) -> Fate {
    move |seen| if seen.operation == operation { fate } else { Fate::Served }
}

fn once(operation: &'static str, fate: Fate) -> impl FnMut(&Seen) -> Fate {
    let mut left = 1;
    move |seen| {
        let is_it = seen.operation == operation && std::mem::replace(&mut left, 0) > 0;
        if is_it { fate } else { Fate::Served }
    }
}

#[track_caller]
fn assert_holds(yard: &Yard, expected: &[u8]) {
    assert!(yard.store.objects["film"].is(expected), "the object has another content");
    assert!(yard.store.uploads.is_empty(), "an upload was left");
}

#[test]
fn every_size_arrives_whole_from_every_source() {
    let sizes = [0, 1, PART - 1, PART, PART + 1, 2 * PART, 2 * PART + 1, 7 * PART + 13];
    for size in sizes {
        let data = source(size);
        let machines: [(&str, Upload); 4] = [
            ("file", of_file(small_parts())),
            ("memory", Upload::new(session(), put(data.clone()), small_parts())),
            ("ranges", Upload::new(session(), put(Payload::source(size as u64, true)), small_parts())),
            ("known stream", Upload::new(session(), put(Payload::source(size as u64, false)), small_parts())),
        ];
        for (from, machine) in machines {
            let mut yard = Yard::new().with_file(FILE, data.clone());
            yard.call = data.clone();
            let report = yard.run(machine).ok();

            assert_holds(&yard, &data);
            let parts = if size <= PART { 1 } else { size.div_ceil(PART) };
            let told = (report.bytes, report.parts_sent, report.parts_found, report.upload_id.is_some());
            assert_eq!(
                told,
                (size as u64, u32::try_from(parts).unwrap(), 0, size > PART),
                "{from}, {size} bytes"
            );
            assert_eq!(yard.count("PutObject"), usize::from(size <= PART), "{from}, {size} bytes");
            assert_eq!(report.checksum, Some(digest(&A::Crc64Nvme, &data)), "{from}, {size} bytes");
        }
    }
}

#[test]
fn a_stream_that_ends_within_its_first_part_goes_in_one_request() {
    for size in [0, 1, PART - 1] {
        let mut yard = Yard::new();
        yard.call = source(size);
        yard.run(Upload::new(session(), put(Payload::Unsized), small_parts())).ok();
        assert_holds(&yard, &source(size));
        assert_eq!((yard.count("PutObject"), yard.seen.len()), (1, 1), "{size} bytes");
    }
}

#[test]
fn of_a_stream_no_more_is_held_than_may_be_in_flight() {
    for (size, concurrency) in [(PART, 1), (PART + 1, 1), (4 * PART, 2), (6 * PART + 1, 3)] {
        let mut yard = Yard::new();
        yard.call = source(size);
        let mut options = small_parts();
        options.concurrency = concurrency;
        let report = yard.run(Upload::new(session(), put(Payload::Unsized), options)).ok();
        assert_holds(&yard, &source(size));
        assert_eq!(report.bytes, size as u64);
        assert!(yard.in_flight.iter().all(|n| *n <= concurrency), "{:?}", yard.in_flight);
    }
}

#[test]
fn a_stream_shorter_than_it_said_is_an_error_and_leaves_nothing() {
    for said in [PART - 5, 3 * PART] {
        let mut yard = Yard::new();
        yard.call = source(said - 1);
        let error =
            yard.run(Upload::new(session(), put(Payload::source(said as u64, false)), small_parts())).error();
        assert_eq!(error.kind(), ErrorKind::LocalIo);
        assert!(yard.store.uploads.is_empty() && yard.store.objects.is_empty());
    }
}

#[test]
fn three_parts_may_be_answered_in_any_order() {
    for order in [[0, 0, 0], [0, 1, 0], [1, 0, 0], [1, 1, 0], [2, 0, 0], [2, 1, 0]] {
        let mut yard = Yard::new().with_file(FILE, source(3 * PART));
        let mut turns = order.into_iter().cycle();
        yard.pick = Box::new(move |n| if n > 1 { turns.next().unwrap() } else { 0 });
        yard.run(of_file(small_parts())).ok();
        assert_holds(&yard, &source(3 * PART));
    }
}

#[test]
fn a_part_that_fails_is_sent_again_alone() {
    for fate in
        [Fate::NotServed, Fate::Lost, Fate::Refused(500, "InternalError"), Fate::Refused(503, "SlowDown")]
    {
        let mut yard = yard().with_fates(first_attempt(2, fate));
        let report = yard.run(of_file(small_parts())).ok();
        assert_holds(&yard, &content());
        assert_eq!((report.retries, yard.count("UploadPart")), (1, 5), "{fate:?}");
    }
}

#[test]
fn a_part_that_fails_for_good_fails_the_upload_which_says_everything_and_is_aborted() {
    let mut yard =
        Yard::new().with_file(FILE, source(3 * PART)).with_fates(|seen| match seen.part_number() {
            2 => Fate::Refused(403, "AccessDenied"),
            _ => Fate::Served,
        });
    let error = yard.run(of_file(small_parts())).error();

    assert_eq!((error.kind(), error.key()), (ErrorKind::AccessDenied, Some("film")));
    assert!(error.message().starts_with("part 2 failed"), "{error}");
    let failure = error.upload_failure().unwrap();
    assert_eq!(failure.upload_id, "upload-1");
    let numbers: Vec<u32> = failure.completed.iter().map(|part| part.part_number).collect();
    assert_eq!(numbers, [1, 3]);
    let failed: Vec<_> = failure.failed.iter().map(|part| (part.number, part.error.kind())).collect();
    assert_eq!(failed, [(2, ErrorKind::AccessDenied)]);
    assert!(matches!(failure.cleanup, Cleanup::Aborted));
    assert!(error.source().unwrap().source().is_some(), "the cause cannot be reached");
    assert!(yard.store.uploads.is_empty());
    assert_eq!(yard.count("CompleteMultipartUpload"), 0);
}

#[test]
fn every_part_that_fails_is_named() {
    let mut yard = yard().with_fates(always("UploadPart", Fate::Refused(403, "AccessDenied")));
    let error = yard.run(of_file(small_parts())).error();
    let failure = error.upload_failure().unwrap();
    assert_eq!(failure.failed.iter().map(|part| part.number).collect::<Vec<_>>(), [1, 2, 3]);
    assert!(failure.completed.is_empty() && yard.store.uploads.is_empty());
    assert!(error.message().starts_with("3 parts failed, part 1 first"), "{error}");
}

#[test]
fn that_aborting_failed_too_is_said() {
    let mut yard = yard().with_fates(|seen| match seen.operation {
        "UploadPart" | "AbortMultipartUpload" => Fate::Refused(403, "AccessDenied"),
        _ => Fate::Served,
    });
    let error = yard.run(of_file(small_parts())).error();
    let Cleanup::Failed(why) = &error.upload_failure().unwrap().cleanup else { panic!("{error}") };
    assert_eq!((why.kind(), why.operation()), (ErrorKind::AccessDenied, Some("AbortMultipartUpload")));
    assert!(error.to_string().contains("Aborting upload 'upload-1' failed too"), "{error}");
    assert_eq!(yard.store.uploads.len(), 1);
}

#[test]
fn an_upload_that_is_to_be_kept_is_not_aborted() {
    let mut yard = yard().with_fates(first_attempt(2, Fate::Refused(403, "AccessDenied")));
    let mut options = small_parts();
    options.keep_on_failure = Some(true);
    let error = yard.run(of_file(options)).error();
    assert!(matches!(error.upload_failure().unwrap().cleanup, Cleanup::Kept));
    assert!(error.to_string().contains("Upload 'upload-1' is kept with 3 parts"), "{error}");
    assert_eq!((yard.count("AbortMultipartUpload"), yard.store.uploads.len()), (0, 1));
}

#[test]
fn cancelled_at_any_step_it_cleans_up() {
    let steps = yard().run(of_file(small_parts())).steps;
    for at in 0..=steps {
        let mut yard = yard();
        let result = yard.cancel(of_file(small_parts()), at).result.unwrap();
        assert!(yard.store.uploads.is_empty(), "an upload was left by cancelling at step {at}");
        match result {
            Ok(_) => assert!(yard.store.objects["film"].is(&content())),
            Err(error) => assert_eq!(error.kind(), ErrorKind::Cancelled, "step {at}"),
        }
    }
}

#[test]
fn cancelled_at_any_step_with_a_checkpoint_it_can_go_on() {
    let steps = yard().run(of_file(with_checkpoint())).steps;
    for at in 0..=steps {
        let mut yard = yard();
        let result = yard.cancel(of_file(with_checkpoint()), at).result.unwrap();
        if let Err(error) = result {
            assert_eq!(error.kind(), ErrorKind::Cancelled, "step {at}");
            let there = yard.store.uploads.values().map(|open| open.parts.len()).sum::<usize>();
            yard.seen.clear();
            let gone = yard.store.objects.contains_key("film");
            assert!(gone || yard.store.uploads.len() == usize::from(yard.disk.len() == 2), "step {at}");
            let report = yard.run(of_file(with_checkpoint())).ok();
            if !gone {
                assert_eq!(yard.count("UploadPart") + there, 4, "step {at}");
                assert_eq!(report.parts_found as usize, there, "step {at}");
            }
        }
        assert_holds(&yard, &content());
        assert_eq!(yard.disk.len(), 1, "the checkpoint was left by cancelling at step {at}");
    }
}

#[test]
fn a_crash_at_any_step_costs_only_what_was_not_there() {
    let stores = [("Amazon S3", true, true), ("MD5 tags", false, true), ("opaque tags", false, false)];
    for (store, checksums, md5) in stores {
        let config = || if checksums { aws() } else { plain() };
        let machine = || Upload::file(Session::new(config()), put(Payload::Empty), FILE, with_checkpoint());
        let fresh = || {
            let mut yard = yard();
            (yard.store.knows_checksums, yard.store.has_md5_tags) = (checksums, md5);
            yard
        };
        let steps = fresh().run(machine()).steps;
        for at in 0..steps {
            let mut yard = fresh();
            assert!(yard.crash(machine(), at).result.is_none());
            let last = yard.saves.last().map(|save| Checkpoint::parse(save).unwrap());
            let known = yard.disk.len() == 2 && last.as_ref().is_some_and(|last| !last.upload_id.is_empty());
            let saved = last.map_or(0, |last| last.parts.len());
            let there: usize = yard.store.uploads.values().map(|open| open.parts.len()).sum();
            let over = yard.store.objects.contains_key("film");
            assert!(known || there == 0, "{store}, step {at}: parts were sent that nobody knows of");
            yard.seen.clear();

            let report = yard.run(machine()).ok();

            assert!(yard.store.objects["film"].is(&content()), "{store}, step {at}");
            assert!(yard.store.uploads.is_empty(), "{store}, step {at}: an upload was left");
            assert_eq!(yard.disk.len(), 1, "{store}, step {at}: the checkpoint was left");
            if known {
                let found = match (over, md5) {
                    (true, true) => 4,
                    (true, false) => continue,
                    (false, true) => there,
                    (false, false) => saved,
                };
                assert_eq!(report.parts_found as usize, found, "{store}, step {at}");
                assert_eq!(yard.count("UploadPart"), 4 - found, "{store}, step {at}");
            }
        }
    }
}

/// After a crash between the creation of an upload and the news of it.
fn broken_off() -> Yard {
    let mut yard = yard();
    let steps = (0..20).find(|at| {
        let mut yard = self::yard();
        yard.crash(of_file(with_checkpoint()), *at);
        !yard.store.uploads.is_empty()
    });
    yard.crash(of_file(with_checkpoint()), steps.unwrap());
    assert_eq!((yard.store.uploads.len(), yard.disk.len()), (1, 2));
    yard.pass(Duration::from_secs(5));
    yard
}

#[test]
fn crash_after_crash_leaves_no_upload() {
    let mut yard = broken_off();
    for steps in 0..24 {
        yard.crash(of_file(with_checkpoint()), steps);
        yard.pass(Duration::from_mins(7));
    }
    yard.run(of_file(with_checkpoint())).ok();
    assert_holds(&yard, &content());
    assert_eq!(yard.disk.len(), 1);
}

#[test]
fn an_upload_that_may_be_somebody_elses_is_not_aborted() {
    type Change = fn(&mut Open);
    let others: [(&str, Change); 6] = [
        ("by another user", |open| open.initiator = "somebody"),
        ("of another key", |open| open.key.push('s')),
        ("with other checksums", |open| drop(open.headers.remove("x-amz-checksum-algorithm"))),
        ("from before", |open| open.initiated = open.initiated.saturating_sub(Duration::from_secs(61))),
        ("from later", |open| open.initiated = open.initiated.saturating_add(Duration::from_secs(61))),
        ("with a part", |open| {
            let part = Part { content: source(9), etag: "part".into(), checksum: None };
            open.parts.insert(1, part);
        }),
    ];
    for (what, change) in others {
        let mut yard = broken_off();
        let mut other = yard.store.uploads.values().next().unwrap().clone();
        change(&mut other);
        let other = yard.store.begin(other);

        yard.run(of_file(with_checkpoint())).ok();

        let left: Vec<_> = yard.store.uploads.keys().cloned().collect();
        assert_eq!(left, [other], "{what}");
    }
}

#[test]
fn of_more_uploads_than_runs_that_broke_off_none_is_aborted() {
    let mut yard = broken_off();
    let other = yard.store.uploads.values().next().unwrap().clone();
    yard.store.begin(other);
    yard.run(of_file(with_checkpoint())).ok();
    assert_eq!(yard.store.uploads.len(), 2);
    assert!(yard.store.objects["film"].is(&content()));
}

#[test]
fn an_upload_succeeds_though_what_was_left_cannot_be_found_or_aborted() {
    for refused in ["ListMultipartUploads", "ListParts", "AbortMultipartUpload"] {
        let mut yard = broken_off().with_fates(always(refused, Fate::Refused(403, "AccessDenied")));
        yard.run(of_file(with_checkpoint())).ok();
        assert_eq!((yard.store.uploads.len(), yard.disk.len()), (1, 1), "{refused}");
    }
}

#[test]
fn clocks_that_differ_do_not_hide_what_was_left() {
    let mut yard = broken_off();
    // The service has been an hour ahead all along.
    for open in yard.store.uploads.values_mut() {
        open.initiated = open.initiated.saturating_add(Duration::from_hours(1));
    }
    yard.store.ahead = Duration::from_hours(1);
    yard.run(of_file(with_checkpoint())).ok();
    assert_holds(&yard, &content());
}

#[test]
fn an_upload_that_is_refused_leaves_no_checkpoint_and_one_that_may_have_begun_does() {
    let create = |fate| yard().with_fates(always("CreateMultipartUpload", fate));
    let mut refused = create(Fate::Refused(403, "AccessDenied"));
    refused.run(of_file(with_checkpoint())).error();
    assert_eq!(refused.disk.len(), 1);

    let mut lost = create(Fate::Lost);
    lost.run(of_file(with_checkpoint())).error();
    assert_eq!((lost.store.uploads.len(), lost.disk.len()), (3, 2));
}

#[test]
fn a_source_that_has_changed_is_refused_and_nothing_is_touched() {
    type Change = fn(&mut Disk);
    let changes: [(&str, Change); 3] = [
        ("it had 15728647 bytes, and has 15728646 now", |disk| disk.content = source(3 * PART + 6)),
        ("it was last changed at", |disk| disk.modified = Timestamp::from_unix(START, 0)),
        ("the CRC64NVME of part 1 was", |disk| disk.content = PATTERN.slice(1..3 * PART + 8)),
    ];
    for (why, change) in changes {
        let mut yard = yard().with_fates(|seen| match seen.part_number() {
            3.. => Fate::Refused(403, "AccessDenied"),
            _ => Fate::Served,
        });
        yard.run(of_file(with_checkpoint())).error();
        let before = yard.disk[std::path::Path::new(CHECKPOINT)].content.clone();
        change(yard.file(FILE));
        yard.seen.clear();

        let error = yard.run(of_file(with_checkpoint())).error();

        assert_eq!(error.kind(), ErrorKind::InvalidInput);
        assert!(error.message().contains(why), "{error}");
        assert_eq!((yard.count("UploadPart"), yard.store.uploads.len()), (0, 1));
        assert_eq!(yard.file(CHECKPOINT).content, before);
    }
}

#[test]
fn a_checkpoint_of_something_else_is_refused() {
    let mut broken = yard();
    broken.run(of_file(with_checkpoint())).ok();
    let saved = String::from_utf8(broken.saves[2].to_vec()).unwrap();
    let cases = [
        (saved.replace("<Key>film<", "<Key>other<"), "of an upload to 'other'"),
        (saved.replace("CRC64NVME</", "CRC32</"), "began with CRC32 checksums"),
        (saved.replace("<Version>2<", "<Version>3<"), "its version is 3"),
        (saved[..saved.len() / 2].to_owned(), "cannot be used"),
        (String::new(), "cannot be used"),
    ];
    for (text, why) in cases {
        let mut yard = yard().with_file(CHECKPOINT, text.into());
        let mut op = put(Payload::Empty);
        op.checksum_algorithm = Some(A::Crc64Nvme);
        let error = yard.run(Upload::file(session(), op, FILE, with_checkpoint())).error();
        assert!(error.message().contains(why), "{error}");
        assert!(yard.seen.is_empty(), "{why}: something was sent");
    }
}

/// What may be set of an object, each beside `put`.
fn other_settings() -> Vec<PutObject> {
    let sets: [fn(&mut PutObject); 6] = [
        |op| op.content_type = Some("video/mp4".into()),
        |op| drop(op.metadata.insert("title".into(), "Night".into())),
        |op| op.acl = Some("bucket-owner-full-control".into()),
        |op| op.storage_class = Some(StorageClass::from("GLACIER_IR")),
        |op| op.tagging = Some("a=1".into()),
        |op| op.server_side_encryption = Some(ServerSideEncryption::from("aws:kms")),
    ];
    let of = |set: fn(&mut PutObject)| {
        let mut op = put(Payload::Empty);
        set(&mut op);
        op
    };
    sets.into_iter().map(of).collect()
}

#[test]
fn an_upload_with_other_settings_does_not_go_on() {
    for op in other_settings() {
        let mut yard = yard().with_fates(first_attempt(3, Fate::Refused(403, "AccessDenied")));
        yard.run(Upload::file(session(), op.clone(), FILE, with_checkpoint())).error();
        let before = yard.file(CHECKPOINT).content.clone();
        yard.seen.clear();

        let error = yard.run(of_file(with_checkpoint())).error();
        assert_eq!(error.kind(), ErrorKind::InvalidInput);
        assert!(error.message().contains("began with other settings"), "{error}");
        assert_eq!((yard.seen.len(), yard.store.uploads.len()), (0, 1));
        assert_eq!(yard.file(CHECKPOINT).content, before);

        let mut same = op;
        same.expected_bucket_owner = Some("111122223333".into());
        let report = yard.run(Upload::file(session(), same, FILE, with_checkpoint())).ok();
        assert!(report.parts_found > 0, "what does not concern the object kept it from going on");
    }
}

#[test]
fn a_checkpoint_that_does_not_say_the_settings_is_gone_on_with() {
    let mut yard = yard().with_fates(first_attempt(3, Fate::Refused(403, "AccessDenied")));
    yard.run(of_file(with_checkpoint())).error();
    let mut saved = Checkpoint::parse(&yard.file(CHECKPOINT).content).unwrap();
    assert!(saved.settings.take().is_some());
    yard.file(CHECKPOINT).content = saved.to_bytes();

    let report = yard.run(Upload::file(session(), other_settings().remove(0), FILE, with_checkpoint())).ok();

    assert!(report.parts_found > 0);
}

#[test]
fn a_checkpoint_does_not_depend_on_the_customers_key() {
    let settings = |key| {
        let mut op = put(Payload::Empty);
        op.sse_customer_key = Some(SseCustomerKey::new(key));
        let mut yard = yard().with_fates(first_attempt(3, Fate::Refused(403, "AccessDenied")));
        yard.run(Upload::file(session(), op, FILE, with_checkpoint())).error();
        Checkpoint::parse(&yard.file(CHECKPOINT).content).unwrap().settings
    };
    assert_eq!(settings([7; 32]), settings([8; 32]));
}

#[test]
fn an_upload_in_parts_does_not_go_on_where_only_one_request_would_do() {
    let mut first = yard().with_fates(first_attempt(3, Fate::Refused(403, "AccessDenied")));
    first.run(of_file(with_checkpoint())).error();
    let (md5, sum) = (digest(&A::Md5, &content()).to_string(), digest(&A::Crc32, &content()));
    for (why, set) in [
        (
            "one request",
            Box::new(|op: &mut PutObject| op.content_md5 = Some(md5)) as Box<dyn FnOnce(&mut PutObject)>,
        ),
        ("began with CRC64NVME checksums", Box::new(|op: &mut PutObject| op.checksum = Some(sum))),
    ] {
        first.seen.clear();
        let mut op = put(Payload::Empty);
        set(&mut op);
        let error = first.run(Upload::file(session(), op, FILE, with_checkpoint())).error();
        assert!(error.message().contains(why), "{error}");
        assert!(first.seen.is_empty(), "{why}: something was sent");
    }
}

#[test]
fn an_upload_that_is_gone_is_begun_again() {
    let mut yard = yard().with_fates(first_attempt(3, Fate::Refused(403, "AccessDenied")));
    yard.run(of_file(with_checkpoint())).error();
    yard.store.uploads.clear();
    let report = yard.run(of_file(with_checkpoint())).ok();
    assert_eq!((report.parts_sent, report.parts_found), (4, 0));
    assert_holds(&yard, &content());
}

#[test]
fn parts_that_are_there_are_no_longer_or_are_others_are_sent_again() {
    let mut yard = yard().with_fates(first_attempt(4, Fate::Refused(403, "AccessDenied")));
    yard.run(of_file(with_checkpoint())).error();
    let open = yard.store.uploads.values_mut().next().unwrap();
    open.parts.remove(&1);
    open.parts.get_mut(&2).unwrap().etag = "0".repeat(32);
    yard.seen.clear();
    let report = yard.run(of_file(with_checkpoint())).ok();
    let sent: Vec<u32> =
        yard.seen.iter().filter(|s| s.operation == "UploadPart").map(Seen::part_number).collect();
    // Part 2 has the right bytes, as its checksum says, whoever has sent it.
    assert_eq!((sent, report.parts_found), (vec![1, 4], 2));
    assert_holds(&yard, &content());
}

#[test]
fn a_checkpoint_that_cannot_be_written_fails_the_upload_before_it_is_relied_on() {
    let mut yard = yard();
    yard.fail_saves = true;
    let error = yard.run(of_file(with_checkpoint())).error();
    assert_eq!(error.kind(), ErrorKind::LocalIo);
    assert!(error.message().contains(CHECKPOINT), "{error}");
}

#[test]
fn a_checkpoint_names_only_what_was_acknowledged() {
    let mut yard = yard();
    yard.run(of_file(with_checkpoint())).ok();
    let counts: Vec<usize> =
        yard.saves.iter().map(|save| Checkpoint::parse(save).unwrap().parts.len()).collect();
    assert_eq!((counts.first(), counts.last()), (Some(&0), Some(&4)));
    assert!(counts.is_sorted(), "{counts:?}");
    assert_eq!(yard.disk.len(), 1);
}

#[test]
fn only_of_a_file_can_there_be_a_checkpoint() {
    let mut yard = Yard::new();
    let error = yard.run(Upload::new(session(), put(source(9)), with_checkpoint())).error();
    assert_eq!(error.kind(), ErrorKind::InvalidInput);
}

#[test]
fn a_lost_answer_to_the_completion_is_resolved_by_looking() {
    // Both attempts' answers are lost, or the second finds no upload any more, or hears of an error.
    type Fates = fn() -> Box<dyn FnMut(&Seen) -> Fate>;
    let fates: [(&str, Fates); 4] = [
        ("lost once", || Box::new(once("CompleteMultipartUpload", Fate::Lost))),
        ("lost each time", || Box::new(always("CompleteMultipartUpload", Fate::Lost))),
        ("refused though it worked", || {
            Box::new(always("CompleteMultipartUpload", Fate::ServedButRefused(500, "InternalError")))
        }),
        ("an error in an answer of success", || {
            Box::new(once("CompleteMultipartUpload", Fate::ServedButRefused(200, "InternalError")))
        }),
    ];
    for (what, fate) in fates {
        for checksums in [true, false] {
            let mut yard = yard().with_fates(fate());
            yard.store.knows_checksums = checksums;
            let config = if checksums { aws() } else { plain() };
            let report =
                yard.run(Upload::file(Session::new(config), put(Payload::Empty), FILE, small_parts())).ok();
            assert_holds(&yard, &content());
            assert_eq!(yard.count("HeadObject"), 1, "{what}");
            assert_eq!(report.etag, Some(ETag::new(&yard.store.objects["film"].etag)), "{what}");
        }
    }
}

#[test]
fn an_equal_object_from_before_leaves_no_upload_behind() {
    let mut yard = yard();
    let upload = || Upload::file(session(), put(Payload::Empty), FILE, small_parts());
    yard.run(upload()).ok();
    let mut yard = yard.with_fates(always("CompleteMultipartUpload", Fate::NotServed));
    // The completion does not come through, but what it was to make is there.
    yard.run(upload()).ok();
    assert_holds(&yard, &content());
}

#[test]
fn an_object_that_may_be_somebody_elses_is_not_taken_for_ours() {
    let other = |yard: &mut Yard, content: Bytes| {
        yard.run(Upload::new(session(), put(content), UploadOptions::default())).ok();
        yard.seen.clear();
    };
    for (what, there) in [("another size", source(9)), ("the same size", PATTERN.slice(8..3 * PART + 15))] {
        let mut yard = yard();
        other(&mut yard, there.clone());
        yard.fates = Box::new(always("CompleteMultipartUpload", Fate::NotServed));
        let error = yard.run(of_file(small_parts())).error();
        assert_eq!(error.kind(), ErrorKind::Connect, "{what}");
        assert!(matches!(error.upload_failure().unwrap().cleanup, Cleanup::Aborted));
        assert_holds(&yard, &there);
    }
}

#[test]
fn an_error_in_an_answer_of_success_is_repeated() {
    let mut yard = yard().with_fates(once("CompleteMultipartUpload", Fate::Refused(200, "InternalError")));
    yard.run(of_file(small_parts())).ok();
    assert_eq!((yard.count("CompleteMultipartUpload"), yard.count("HeadObject")), (2, 0));
    assert_holds(&yard, &content());
}

#[test]
fn a_completion_that_is_refused_fails_without_looking() {
    let mut yard = yard().with_fates(always("CompleteMultipartUpload", Fate::Refused(400, "InvalidPart")));
    let error = yard.run(of_file(small_parts())).error();
    assert_eq!((error.kind(), yard.count("HeadObject")), (ErrorKind::InvalidPart, 0));
    assert!(yard.store.uploads.is_empty());
}

#[test]
fn conditions_stand_on_the_request_that_makes_the_object() {
    for (size, operation) in [(1, "PutObject"), (2 * PART, "CompleteMultipartUpload")] {
        let mut yard = Yard::new();
        let new = || {
            let mut op = put(source(size));
            op.if_none_match = Some(ETag::ANY);
            Upload::new(session(), op, small_parts())
        };
        yard.run(new()).ok();
        assert_eq!(yard.last(operation).header("if-none-match"), Some("*"));
        let error = yard.run(new()).error();
        assert_eq!(error.kind(), ErrorKind::PreconditionFailed, "{operation}");
        assert_holds(&yard, &source(size));
    }
}

#[test]
fn a_conflict_starts_the_upload_again_once() {
    for (size, operation, times) in [(1, "PutObject", 2), (2 * PART, "CompleteMultipartUpload", 2)] {
        let conflict = Fate::Refused(409, "ConditionalRequestConflict");
        let new = || Upload::new(session(), put(source(size)), small_parts());
        let mut yard = Yard::new().with_fates(once(operation, conflict));
        yard.run(new()).ok();
        assert_holds(&yard, &source(size));
        assert_eq!(yard.count(operation), times);

        let mut yard = Yard::new().with_fates(always(operation, conflict));
        let error = yard.run(new()).error();
        assert_eq!((error.kind(), yard.count(operation)), (ErrorKind::Conflict, times));
        assert!(yard.store.uploads.is_empty());
    }
}

#[test]
fn a_stream_cannot_be_started_again_after_a_conflict() {
    let conflict = Fate::Refused(409, "ConditionalRequestConflict");
    let mut yard = Yard::new().with_fates(once("CompleteMultipartUpload", conflict));
    yard.call = source(2 * PART);
    let error = yard.run(Upload::new(session(), put(Payload::Unsized), small_parts())).error();
    assert_eq!(error.kind(), ErrorKind::Conflict);
    assert!(yard.store.uploads.is_empty());
}

#[test]
fn a_condition_that_fails_since_an_attempt_has_worked_is_no_failure() {
    for (size, operation) in [(1, "PutObject"), (2 * PART, "CompleteMultipartUpload")] {
        let mut yard = Yard::new().with_fates(once(operation, Fate::Lost));
        let mut op = put(source(size));
        op.if_none_match = Some(ETag::ANY);
        yard.run(Upload::new(session(), op, small_parts())).ok();
        assert_holds(&yard, &source(size));
    }
}

#[test]
fn what_is_set_reaches_the_right_calls_on_either_path() {
    let everywhere = ["x-amz-request-payer", "x-amz-expected-bucket-owner"];
    let key = "x-amz-server-side-encryption-customer-key";
    let object = [
        ("content-type", "video/mp4"),
        ("cache-control", "no-store"),
        ("x-amz-meta-title", "Night"),
        ("x-amz-tagging", "a=1&b=2"),
        ("x-amz-storage-class", "GLACIER_IR"),
        ("x-amz-acl", "bucket-owner-full-control"),
        ("x-amz-server-side-encryption", "aws:kms"),
        ("x-amz-server-side-encryption-aws-kms-key-id", "key-1"),
    ];
    for size in [1, 2 * PART] {
        let mut op = put(source(size));
        op.content_type = Some("video/mp4".into());
        op.cache_control = Some("no-store".into());
        op.metadata.insert("title".into(), "Night".into());
        op.tagging = Some("a=1&b=2".into());
        op.storage_class = Some(StorageClass::from("GLACIER_IR"));
        op.acl = Some("bucket-owner-full-control".into());
        op.server_side_encryption = Some(ServerSideEncryption::from("aws:kms"));
        op.sse_kms_key_id = Some("key-1".into());
        op.sse_customer_key = Some(SseCustomerKey::new([7; 32]));
        op.request_payer = Some(RequestPayer::from("requester"));
        op.expected_bucket_owner = Some("111122223333".into());
        let mut yard = Yard::new();
        yard.run(Upload::new(session(), op, small_parts())).ok();

        let first = &yard.seen[0];
        for (name, value) in object {
            assert_eq!(first.header(name), Some(value), "{}", first.operation);
        }
        for seen in &yard.seen {
            assert!(everywhere.iter().all(|name| seen.header(name).is_some()), "{}", seen.operation);
            assert!(seen.header(key).is_some(), "{}", seen.operation);
            let repeated = object.iter().filter(|(name, value)| seen.header(name) == Some(value)).count();
            assert!(repeated == 0 || std::ptr::eq(seen, first), "{}", seen.operation);
        }
    }
}

#[test]
fn checksums_are_of_the_whole_object_where_that_is_possible() {
    let cases = [
        (None, "CRC64NVME", "FULL_OBJECT"),
        (Some(A::Crc32), "CRC32", "FULL_OBJECT"),
        (Some(A::Crc32c), "CRC32C", "FULL_OBJECT"),
        (Some(A::Sha1), "SHA1", "COMPOSITE"),
        (Some(A::Sha256), "SHA256", "COMPOSITE"),
    ];
    for (chosen, name, kind) in cases {
        for from_file in [true, false] {
            let size = 2 * PART + 5;
            let mut yard = Yard::new().with_file(FILE, source(size));
            let mut op = put(source(size));
            op.checksum_algorithm.clone_from(&chosen);
            let machine = if from_file {
                Upload::file(session(), op, FILE, small_parts())
            } else {
                Upload::new(session(), op, small_parts())
            };
            let report = yard.run(machine).ok();

            assert_holds(&yard, &source(size));
            let create = yard.last("CreateMultipartUpload");
            assert_eq!(create.header("x-amz-checksum-algorithm"), Some(name));
            assert_eq!(create.header("x-amz-checksum-type"), Some(kind));
            let header = A::from(name).header_name().unwrap();
            for part in yard.seen.iter().filter(|seen| seen.operation == "UploadPart") {
                assert_eq!(part.trailer.is_some(), from_file);
                assert_eq!(part.headers.contains_key(&header), !from_file);
            }
            let complete = yard.last("CompleteMultipartUpload");
            assert_eq!(complete.headers.contains_key(&header), kind == "FULL_OBJECT", "{name}");
            assert_eq!(complete.header("x-amz-mp-object-size"), Some(size.to_string().as_str()));
            assert_eq!(report.checksum, yard.store.objects["film"].checksum, "{name}");
            assert_eq!(report.checksum.unwrap().composite_parts().is_some(), kind == "COMPOSITE", "{name}");
        }
    }
}

#[test]
fn a_store_without_checksums_is_sent_none() {
    let mut yard = yard();
    yard.store.knows_checksums = false;
    let config = plain();
    yard.run(Upload::file(Session::new(config), put(Payload::Empty), FILE, small_parts())).ok();
    assert_holds(&yard, &content());
    for seen in &yard.seen {
        let told = seen.headers.keys().any(|name| name.as_str().contains("checksum"));
        assert!(!told && seen.header("x-amz-mp-object-size").is_none(), "{}", seen.operation);
    }
}

#[test]
fn a_checksum_of_the_whole_is_compared_before_the_object_is_made() {
    let data = source(2 * PART);
    for (checksum, expected) in
        [(digest(&A::Crc32, &data), None), (digest(&A::Crc32, b"other"), Some(ErrorKind::BadDigest))]
    {
        let mut yard = Yard::new();
        let mut op = put(data.clone());
        op.checksum = Some(checksum);
        let result = yard.run(Upload::new(session(), op, small_parts())).result.unwrap();
        assert_eq!(result.err().map(|e| e.kind()), expected);
        assert!(yard.store.uploads.is_empty());
        assert_eq!(yard.store.objects.len(), usize::from(expected.is_none()));
    }
}

#[test]
fn what_only_a_single_request_can_do_is_done_by_one_of_any_size() {
    let data = source(3 * PART);
    let mut sha = put(data.clone());
    sha.checksum = Some(digest(&A::Sha256, &data));
    let mut md5 = put(data.clone());
    md5.content_md5 = Some(digest(&A::Md5, &data).to_string());
    for op in [sha, md5] {
        let mut yard = Yard::new();
        yard.run(Upload::new(session(), op, small_parts())).ok();
        assert_eq!((yard.count("PutObject"), yard.seen.len()), (1, 1));
        assert_holds(&yard, &data);
    }
    let mut endless = put(Payload::Unsized);
    endless.content_md5 = Some(digest(&A::Md5, &data).to_string());
    let mut yard = Yard::new();
    yard.call = data;
    let error = yard.run(Upload::new(session(), endless, small_parts())).error();
    assert_eq!((error.kind(), yard.seen.len()), (ErrorKind::InvalidInput, 0));
}

#[test]
fn a_part_that_arrived_wrong_is_found_by_what_the_service_says_of_it() {
    let mut yard = yard();
    yard.store.corrupts = 2;
    let error = yard.run(of_file(small_parts())).error();
    assert_eq!(error.kind(), ErrorKind::ChecksumMismatch, "{error}");
    let failed: Vec<u32> = error.upload_failure().unwrap().failed.iter().map(|part| part.number).collect();
    assert_eq!(failed, [2]);
    assert!(yard.store.uploads.is_empty());
}

#[test]
fn a_file_that_is_not_there_is_named() {
    let error = Yard::new().run(of_file(small_parts())).error();
    assert_eq!((error.kind(), error.operation()), (ErrorKind::LocalIo, Some("Upload")));
    assert!(error.message().contains(FILE), "{error}");
}

#[test]
fn a_file_that_shrinks_meanwhile_fails_the_upload() {
    let mut yard = yard();
    yard.meanwhile = Some((4, |yard| yard.file(FILE).content = source(PART)));
    let error = yard.run(of_file(small_parts())).error();
    assert_eq!(error.kind(), ErrorKind::LocalIo);
    assert!(yard.store.uploads.is_empty());
}

#[test]
fn being_asked_to_slow_down_lowers_how_many_parts_are_in_flight() {
    let mut slow = 3;
    let mut yard = Yard::new().with_file(FILE, source(12 * PART)).with_fates(move |seen| {
        if seen.operation == "UploadPart" && slow > 0 {
            slow -= 1;
            return Fate::Refused(503, "SlowDown");
        }
        Fate::Served
    });
    let mut options = small_parts();
    options.concurrency = 8;
    yard.run(of_file(options)).ok();
    assert_holds(&yard, &source(12 * PART));
    let (before, after) = yard.in_flight.split_at(8);
    assert_eq!(before, [1, 2, 3, 4, 5, 6, 7, 8]);
    // Half of that, and one more for each round of parts that went well.
    assert!(after.iter().all(|n| *n <= 6), "{after:?}");
}

#[test]
fn progress_never_goes_back_and_ends_with_all_of_it() {
    for size in [1, 4 * PART + 1] {
        let mut yard = Yard::new().with_file(FILE, source(size));
        let Outcome { items, .. } = yard.run(of_file(small_parts()));
        let bytes: Vec<u64> = items.iter().map(|p: &Progress| p.bytes).collect();
        assert!(bytes.is_sorted(), "{bytes:?}");
        let last = items.last().unwrap();
        let parts = u32::try_from(size.div_ceil(PART)).unwrap();
        assert_eq!((last.bytes, last.total), (size as u64, Some(size as u64)));
        assert_eq!((last.parts, last.total_parts), (parts, Some(parts)));
    }
}

#[test]
fn options_that_cannot_be_are_refused_before_anything_is_sent() {
    for part_size in [0, PART as u64 - 1, (5 << 30) + 1] {
        let mut options = small_parts();
        options.part_size = part_size;
        let mut yard = yard();
        let error = yard.run(of_file(options)).error();
        assert_eq!((error.kind(), yard.seen.len()), (ErrorKind::InvalidInput, 0));
    }
}

#[test]
fn polled_after_its_end_it_says_so() {
    let mut machine = of_file(small_parts());
    let mut yard = yard();
    yard.run_ref(&mut machine).ok();
    let s3_proto::Step::Done(Err(error)) = machine.poll(yard.now) else { panic!("not over") };
    assert_eq!(error.kind(), ErrorKind::ApiMisuse);
}

/// What may become of a request, by chance.
fn fate(roll: u8) -> Fate {
    match roll {
        0..=2 => Fate::NotServed,
        3..=5 => Fate::Lost,
        6..=7 => Fate::Refused(500, "InternalError"),
        8..=9 => Fate::Refused(503, "SlowDown"),
        10 => Fate::Refused(403, "AccessDenied"),
        11 => Fate::ServedButRefused(500, "InternalError"),
        12 => Fate::Refused(200, "InternalError"),
        13 => Fate::Refused(409, "ConditionalRequestConflict"),
        _ => Fate::Served,
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 16, ..ProptestConfig::default() })]

    #[test]
    fn whatever_happens_the_object_is_the_source_or_an_error_says_what_is_left(
        size in prop_oneof![0..3 * PART, (0..4usize).prop_map(|n| n * PART)],
        from in 0..4u8,
        concurrency in 1..5usize,
        checksums in any::<bool>(),
        rolls in prop::collection::vec(0..60u8, 0..40),
        turns in prop::collection::vec(0..8usize, 1..20),
    ) {
        let data = source(size);
        let mut yard = Yard::new().with_file(FILE, data.clone());
        yard.call = data.clone();
        yard.store.knows_checksums = checksums;
        let mut rolls = rolls.into_iter();
        yard.fates = Box::new(move |_| fate(rolls.next().unwrap_or(u8::MAX)));
        let mut turns = turns.into_iter().cycle();
        yard.pick = Box::new(move |_| turns.next().unwrap());
        let session = Session::new(if checksums { aws() } else { plain() });
        let mut options = small_parts();
        options.concurrency = concurrency;
        let machine = match from {
            0 => Upload::file(session, put(Payload::Empty), FILE, options),
            1 => Upload::new(session, put(data.clone()), options),
            2 => Upload::new(session, put(Payload::source(size as u64, true)), options),
            _ => Upload::new(session, put(Payload::Unsized), options),
        };

        let result = yard.run(machine).result.unwrap();

        let left: Vec<&String> = yard.store.uploads.keys().collect();
        match result {
            Ok(report) => {
                prop_assert!(yard.store.objects["film"].is(&data));
                prop_assert_eq!(report.bytes, size as u64);
                // One whose creation was answered by an error is not known of.
                prop_assert!(left.len() <= yard.count("CreateMultipartUpload").saturating_sub(1));
            }
            Err(error) => {
                let known = error.upload_failure().map(|failure| &failure.upload_id);
                let is_left = known.is_some_and(|id| left.contains(&id));
                let said = error.upload_failure().is_some_and(|f| matches!(f.cleanup, Cleanup::Failed(_)));
                prop_assert!(!is_left || said, "{}", error);
            }
        }
        if let Some(object) = yard.store.objects.get("film") {
            prop_assert!(object.is(&data), "what is there is not what was sent");
        }
        prop_assert!(yard.in_flight.iter().all(|n| *n <= concurrency));
    }

    #[test]
    fn after_any_crash_and_any_faults_the_same_upload_succeeds_in_the_end(
        crashes in prop::collection::vec(0..40usize, 0..4),
        rolls in prop::collection::vec(0..60u8, 0..40),
        turns in prop::collection::vec(0..8usize, 1..20),
    ) {
        let mut yard = yard();
        let mut rolls = rolls.into_iter();
        yard.fates = Box::new(move |_| fate(rolls.next().unwrap_or(u8::MAX)));
        let mut turns = turns.into_iter().cycle();
        yard.pick = Box::new(move |_| turns.next().unwrap());
        for steps in crashes {
            let _ = yard.crash(of_file(with_checkpoint()), steps);
        }
        yard.fates = Box::new(|_| Fate::Served);
        let report: UploadReport = yard.run(of_file(with_checkpoint())).ok();
        prop_assert!(yard.store.objects["film"].is(&content()));
        prop_assert_eq!(report.bytes, content().len() as u64);
        prop_assert_eq!(yard.disk.len(), 1);
    }
}
