//! Folders and the objects below a prefix.
// Helpers outside of `#[test]` may fail the test.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

mod support;

use std::path::PathBuf;

use proptest::prelude::*;
use s3_proto::ErrorKind;
use s3_proto::checksum::ChecksumAlgorithm as A;
use s3_proto::transfer::{Compare, Direction, Sync, SyncAction, SyncOptions, SyncReport};
use support::session;
use support::sim::*;

fn copying() -> SyncOptions {
    let mut options = SyncOptions::default();
    options.compare = Compare::Never;
    options.download.part_size = 4;
    options
}

fn comparing(compare: Compare) -> SyncOptions {
    copying().with(|options| options.compare = compare)
}

trait With: Sized {
    fn with(self, set: impl FnOnce(&mut Self)) -> Self;
}

impl With for SyncOptions {
    fn with(mut self, set: impl FnOnce(&mut Self)) -> Self {
        set(&mut self);
        self
    }
}

fn sync(direction: Direction, options: SyncOptions) -> Sync {
    Sync::new(session(), direction, "dir", "bkt", "p", options)
}

fn down(options: SyncOptions) -> Sync {
    sync(Direction::Download, options)
}

fn up(options: SyncOptions) -> Sync {
    sync(Direction::Upload, options)
}

fn objects(sim: &Sim<'_>) -> Vec<(String, String)> {
    let text = |o: &Object| String::from_utf8(o.bytes.clone()).unwrap();
    sim.store.objects.iter().map(|(key, object)| (key.clone(), text(object))).collect()
}

fn files(sim: &Sim<'_>) -> Vec<(String, String)> {
    let text = |bytes: &Vec<u8>| String::from_utf8(bytes.clone()).unwrap();
    sim.disk.files.iter().map(|(path, bytes)| (path.to_str().unwrap().to_owned(), text(bytes))).collect()
}

fn pairs(expected: &[(&str, &str)]) -> Vec<(String, String)> {
    expected.iter().map(|(a, b)| ((*a).to_owned(), (*b).to_owned())).collect()
}

fn names(report: &SyncReport) -> Vec<&str> {
    let mut names: Vec<_> = report.failures.iter().map(|f| f.name.as_str()).collect();
    names.sort_unstable();
    names
}

const TREE: [(&str, &str); 4] =
    [("dir/a", "first"), ("dir/b/c", "second file"), ("dir/b/d/e", ""), ("dir/ü & <b>", "x")];
const OBJECTS: [(&str, &str); 4] =
    [("p/a", "first"), ("p/b/c", "second file"), ("p/b/d/e", ""), ("p/ü & <b>", "x")];

#[test]
fn a_folder_becomes_objects() {
    for seed in 0..5 {
        let mut sim = Sim::new(Store::of([("q", "stays")])).with_disk(Disk::with(TREE)).seeded(seed);
        let report = sim.run(up(copying())).output();
        assert_eq!((report.transferred, report.bytes, report.failed), (4, 17, 0), "{:?}", report.failures);
        assert_eq!(objects(&sim), [pairs(&OBJECTS), pairs(&[("q", "stays")])].concat());
        assert!(sim.requests.iter().all(|r| r.starts_with("PUT")), "{:?}", sim.requests);
    }
}

#[test]
fn objects_become_a_folder() {
    for seed in 0..5 {
        let mut store = Store::of(OBJECTS);
        store.objects.insert("pq".into(), Object::new("another prefix"));
        store.page = 2;
        let mut sim = Sim::new(store).seeded(seed);
        let report = sim.run(down(copying())).output();
        assert_eq!((report.transferred, report.bytes, report.failed), (4, 17, 0), "{:?}", report.failures);
        assert_eq!(files(&sim), pairs(&TREE));
    }
}

#[test]
fn a_bucket_becomes_a_folder_without_a_prefix() {
    let mut sim = Sim::new(Store::of([("a", "1"), ("b/c", "2")]));
    let machine = Sync::new(session(), Direction::Download, "dir", "bkt", "", copying());
    assert_eq!(sim.run(machine).output().transferred, 2);
    assert_eq!(files(&sim), pairs(&[("dir/a", "1"), ("dir/b/c", "2")]));
}

#[test]
fn no_more_objects_are_under_way_than_may_be() {
    let store = Store {
        objects: (0..50).map(|n| (format!("p/{n}"), Object::new("text"))).collect(),
        page: 1_000,
        ..Store::default()
    };
    let mut sim = Sim::new(store).seeded(9);
    let report = sim.run(down(copying().with(|o| o.objects = 3))).output();
    assert_eq!(report.transferred, 50);
    // A part and the question for the checksum of each, and the list.
    assert!(sim.most_in_flight <= 3 * 2 + 1, "{} requests", sim.most_in_flight);
}

#[test]
fn keys_that_make_no_safe_name_fail_alone() {
    let hostile =
        ["../x", "a/../../x", "/etc/passwd", "C:/x", "a\\..\\x", "a//b", "./x", "nul\0x", "folder/"];
    let mut store = Store::of([("p/good", "1"), ("p/marker/", "")]);
    for key in hostile {
        store.objects.insert(format!("p/{key}"), Object::new("evil"));
    }
    let mut sim = Sim::new(store).seeded(4);
    let report = sim.run(down(copying())).output();
    let mut expected = hostile.to_vec();
    expected.sort_unstable();
    assert_eq!(names(&report), expected);
    assert_eq!((report.transferred, report.failed), (1, 9));
    assert!(
        report.failures.iter().all(|f| f.error.kind() == ErrorKind::InvalidInput && f.error.key().is_some())
    );
    assert_eq!(files(&sim), pairs(&[("dir/good", "1")]));
    let error = report.into_result().unwrap_err();
    assert!(error.message().contains("and 8 more"), "{error}");
}

#[test]
fn a_key_and_a_folder_of_the_same_name_fail_alone() {
    for seed in 0..8 {
        let mut sim = Sim::new(Store::of([("p/a", "file"), ("p/a/b", "below"), ("p/c", "1")])).seeded(seed);
        let report = sim.run(down(copying())).output();
        assert_eq!((report.transferred, report.failed), (2, 1), "seed {seed}");
        assert_eq!(report.failures[0].error.kind(), ErrorKind::LocalIo);
        assert_eq!(sim.disk.files.len(), 2, "{:?}", sim.disk.names());
    }
}

#[test]
fn an_object_that_fails_fails_alone() {
    let mut sim = Sim::new(Store::of(OBJECTS)).seeded(2).meddling(|request, _, reply| {
        if key_of(request) == "p/b/c" {
            *reply = Reply::error(403, "AccessDenied");
        }
    });
    let report = sim.run(down(copying())).output();
    assert_eq!((report.transferred, names(&report)), (3, vec!["b/c"]));
    assert_eq!(report.failures[0].error.kind(), ErrorKind::AccessDenied);
    assert_eq!(sim.disk.files.len(), 3);
}

#[test]
fn a_file_that_cannot_be_sent_fails_alone() {
    let mut sim = Sim::new(Store::default()).with_disk(Disk::with(TREE)).meddling(|request, store, reply| {
        if key_of(request) == "p/a" {
            store.objects.remove("p/a");
            *reply = Reply::error(403, "AccessDenied");
        }
    });
    let report = sim.run(up(copying())).output();
    assert_eq!((report.transferred, names(&report)), (3, vec!["a"]));
}

#[test]
fn links_are_left_alone_unless_they_are_to_be_followed() {
    let disk = || {
        let mut disk = Disk::with([("dir/a", "1"), ("other/x", "2"), ("other/sub/y", "3")]);
        disk.links.insert("dir/file".into(), "other/x".into());
        disk.links.insert("dir/folder".into(), "other/sub".into());
        disk.links.insert("dir/dangling".into(), "nowhere".into());
        disk
    };
    let mut sim = Sim::new(Store::default()).with_disk(disk());
    let _ = sim.run(up(copying())).output();
    assert_eq!(objects(&sim), pairs(&[("p/a", "1")]));
    let mut sim = Sim::new(Store::default()).with_disk(disk());
    let report = sim.run(up(copying().with(|o| o.follow_links = true))).output();
    assert_eq!(report.transferred, 3, "{:?}", report.failures);
    assert!(sim.store.objects.contains_key("p/file") && sim.store.objects.contains_key("p/folder/y"));
}

#[test]
fn links_that_lead_back_come_to_an_end() {
    let mut disk = Disk::with([("dir/a", "1")]);
    disk.links.insert("dir/again".into(), "dir".into());
    let mut sim = Sim::new(Store::default()).with_disk(disk);
    let report = sim.run(up(copying().with(|o| o.follow_links = true))).output();
    assert!(
        report.failures.iter().any(|f| f.error.message().contains("leads back")),
        "{:?}",
        report.failures
    );
}

#[test]
fn nothing_is_written_through_a_link() {
    let mut disk = Disk::with([("secret/x", "old")]);
    disk.links.insert("dir/sub".into(), "secret".into());
    for follow in [false, true] {
        let mut sim = Sim::new(Store::of([("p/sub/x", "evil"), ("p/sub/deep/y", "evil"), ("p/subway", "1")]))
            .with_disk(disk.clone());
        let report = sim.run(down(copying().with(|o| o.follow_links = follow))).output();
        let expected = if follow { vec![] } else { vec!["sub/deep/y", "sub/x"] };
        assert_eq!(names(&report), expected);
    }
}

#[test]
fn patterns_say_what_takes_part() {
    let disk =
        Disk::with([("dir/a.rs", "1"), ("dir/b.txt", "2"), ("dir/target/c.rs", "3"), ("dir/src/d.rs", "4")]);
    let options = copying().with(|o| {
        o.include = vec!["*.rs".into()];
        o.exclude = vec!["target".into()];
    });
    let mut sim = Sim::new(Store::default()).with_disk(disk);
    let report = sim.run(up(options.clone())).output();
    assert_eq!((report.transferred, report.left_out), (2, 2));
    assert_eq!(objects(&sim), pairs(&[("p/a.rs", "1"), ("p/src/d.rs", "4")]));

    let mut sim = Sim::new(Store::of([("p/a.rs", "1"), ("p/b.txt", "2"), ("p/target/c.rs", "3")]));
    let report = sim.run(down(options)).output();
    assert_eq!((report.transferred, report.left_out), (1, 2));
    assert_eq!(files(&sim), pairs(&[("dir/a.rs", "1")]));
}

/// The same on both sides, longer here, older here, newer here, only here; and only there.
fn differing() -> (Store, Disk) {
    let mut store = Store::of([
        ("p/same", "text"),
        ("p/longer", "tex"),
        ("p/older", "text"),
        ("p/newer", "TEXT"),
        ("p/there", "text"),
        ("q", "stays"),
    ]);
    store.objects.get_mut("p/older").unwrap().modified = modified_at(10);
    let mut disk = Disk::with([
        ("dir/same", "text"),
        ("dir/longer", "text"),
        ("dir/older", "TEXT"),
        ("dir/newer", "text"),
        ("dir/here", "text"),
        ("other", "stays"),
    ]);
    disk.modified.insert("dir/newer".into(), modified_at(10));
    (store, disk)
}

fn transfers(report: &SyncReport) -> Vec<&str> {
    let mut names: Vec<_> = report
        .actions
        .iter()
        .filter_map(|action| match action {
            SyncAction::Transfer(name) => Some(name.as_str()),
            _ => None,
        })
        .collect();
    names.sort_unstable();
    names
}

#[test]
fn what_differs_is_found_by_size_and_time_or_by_checksum() {
    use Compare::{Checksum, SizeAndTime};
    let cases: [(Direction, Compare, Vec<&str>); 4] = [
        (Direction::Upload, SizeAndTime, vec!["here", "longer", "newer"]),
        (Direction::Download, SizeAndTime, vec!["longer", "older", "there"]),
        (Direction::Upload, Checksum, vec!["here", "longer", "newer", "older"]),
        (Direction::Download, Checksum, vec!["longer", "newer", "older", "there"]),
    ];
    for (direction, compare, expected) in cases {
        let (mut store, disk) = differing();
        for object in store.objects.values_mut() {
            *object = object.clone().with_checksum(A::Crc32c);
        }
        let before = store.objects.clone();
        let mut sim = Sim::new(store).with_disk(disk).seeded(5);
        let report = sim.run(sync(direction, comparing(compare).with(|o| o.dry_run = true))).output();
        assert_eq!(transfers(&report), expected, "{direction:?} {compare:?}");
        assert_eq!(report.transferred, expected.len() as u64);
        assert_eq!(report.deleted, 0);
        assert_eq!(sim.store.objects.len(), before.len());
        assert_eq!(sim.disk.files.len(), 6, "a dry run wrote something");
    }
}

#[test]
fn an_md5_in_an_etag_serves_as_checksum_and_without_one_all_is_transferred() {
    let mut object = Object::new("text");
    object.etag = "\"1cb251ec0d568de6a929b520c4aed8d1\"".into();
    let disk = Disk::with([("dir/a", "text")]);
    let mut sim = Sim::new(Store::with("p/a", object.clone())).with_disk(disk.clone());
    assert_eq!(sim.run(down(comparing(Compare::Checksum))).output().unchanged, 1);
    object.etag = "\"1cb251ec0d568de6a929b520c4aed8d2\"".into();
    let mut sim = Sim::new(Store::with("p/a", object.clone())).with_disk(disk.clone());
    assert_eq!(sim.run(down(comparing(Compare::Checksum))).output().transferred, 1);
    object.etag = "\"opaque\"".into();
    let mut sim = Sim::new(Store::with("p/a", object)).with_disk(disk);
    assert_eq!(sim.run(down(comparing(Compare::Checksum))).output().transferred, 1);
}

#[test]
fn both_sides_are_the_same_afterwards() {
    for compare in [Compare::SizeAndTime, Compare::Checksum, Compare::Never] {
        let options = comparing(compare).with(|o| o.delete = true);
        let (store, disk) = differing();
        let mut sim = Sim::new(store).with_disk(disk).seeded(3);
        let report = sim.run(up(options.clone())).output();
        assert_eq!((report.deleted, report.failed), (1, 0), "{compare:?}");
        let keys: Vec<_> = sim.store.objects.keys().map(String::as_str).collect();
        assert_eq!(keys, ["p/here", "p/longer", "p/newer", "p/older", "p/same", "q"]);

        let (store, disk) = differing();
        let mut sim = Sim::new(store).with_disk(disk).seeded(3);
        let report = sim.run(down(options)).output();
        assert_eq!((report.deleted, report.failed), (1, 0), "{compare:?}");
        let expected = ["dir/longer", "dir/newer", "dir/older", "dir/same", "dir/there", "other"];
        assert_eq!(sim.disk.names(), expected);
    }
}

#[test]
fn a_second_run_finds_nothing_to_do() {
    for direction in [Direction::Upload, Direction::Download] {
        let (store, disk) = differing();
        let mut sim = Sim::new(store).with_disk(disk);
        let _ = sim.run(sync(direction, comparing(Compare::SizeAndTime).with(|o| o.delete = true))).output();
        for object in sim.store.objects.values_mut() {
            *object = object.clone().with_checksum(A::Crc32);
        }
        let report =
            sim.run(sync(direction, comparing(Compare::Checksum).with(|o| o.delete = true))).output();
        let left = if direction == Direction::Upload { "older" } else { "newer" };
        // By size and time, what is newer at the destination stays as it is.
        assert_eq!((report.transferred, report.unchanged, report.deleted), (1, 4, 0), "{left}");
    }
}

#[test]
fn a_dry_run_names_what_it_would_delete() {
    for (direction, expected) in [(Direction::Upload, "there"), (Direction::Download, "here")] {
        let (store, disk) = differing();
        let mut sim = Sim::new(store).with_disk(disk);
        let options = comparing(Compare::SizeAndTime).with(|o| (o.delete, o.dry_run) = (true, true));
        let report = sim.run(sync(direction, options)).output();
        assert_eq!(report.deleted, 1);
        assert!(report.actions.contains(&SyncAction::Delete(expected.into())), "{:?}", report.actions);
        assert_eq!((sim.store.objects.len(), sim.disk.files.len()), (6, 6));
    }
}

#[test]
fn what_is_left_out_is_not_deleted() {
    let options = comparing(Compare::SizeAndTime).with(|o| {
        o.delete = true;
        o.exclude = vec!["there".into(), "here".into()];
    });
    for direction in [Direction::Upload, Direction::Download] {
        let (store, disk) = differing();
        let mut sim = Sim::new(store).with_disk(disk);
        let report = sim.run(sync(direction, options.clone())).output();
        assert_eq!(report.deleted, 0);
        assert!(sim.store.objects.contains_key("p/there"));
        assert!(sim.disk.files.contains_key(&PathBuf::from("dir/here")));
    }
}

#[test]
fn nothing_is_deleted_if_not_all_of_the_folder_could_be_read() {
    let (store, mut disk) = differing();
    // A folder that is gone by the time that it is read.
    disk.links.insert("dir/sub".into(), "elsewhere".into());
    disk.folders.insert("elsewhere".into());
    disk.unreadable.insert("dir/sub".into());
    let mut sim = Sim::new(store).with_disk(disk);
    let options = comparing(Compare::SizeAndTime).with(|o| (o.delete, o.follow_links) = (true, true));
    let report = sim.run(up(options)).output();
    assert_eq!((report.deleted, names(&report)), (0, vec!["sub"]));
    assert!(sim.store.objects.contains_key("p/there"));
}

#[test]
fn a_folder_that_is_not_there_is_an_error_to_upload_and_none_to_download() {
    let options = comparing(Compare::SizeAndTime).with(|o| o.delete = true);
    let mut sim = Sim::new(Store::of(OBJECTS));
    let error = sim.run(up(options.clone())).error();
    assert_eq!(error.kind(), ErrorKind::LocalIo);
    assert_eq!(sim.store.objects.len(), 4, "it was taken for an empty folder");
    assert_eq!(sim.run(down(options)).output().transferred, 4);
}

#[test]
fn a_list_that_fails_fails_it_and_deletes_nothing() {
    for direction in [Direction::Upload, Direction::Download] {
        let (mut store, disk) = differing();
        store.page = 2;
        let mut sim = Sim::new(store).with_disk(disk).meddling(|request, _, reply| {
            if query(request, "continuation-token").is_some() {
                *reply = Reply::error(403, "AccessDenied");
            }
        });
        let error =
            sim.run(sync(direction, comparing(Compare::SizeAndTime).with(|o| o.delete = true))).error();
        assert_eq!(error.kind(), ErrorKind::AccessDenied);
        assert!(sim.store.objects.contains_key("p/there"));
        assert!(sim.disk.files.contains_key(&PathBuf::from("dir/here")));
    }
}

#[test]
fn a_list_that_fails_ends_what_is_under_way_and_what_was_done_is_told() {
    let long = "0123456789abcdef0123456789";
    let (mut done, mut ended) = (0, 0);
    for seed in 0..20 {
        let mut store = Store::of([("p/a", "1"), ("p/b", long), ("p/c", "2"), ("p/d", long), ("p/e", "3")]);
        store.page = 4;
        let mut has_failed = false;
        let mut sim = Sim::new(store).seeded(seed).meddling(move |request, _, reply| {
            if query(request, "continuation-token").is_some() {
                *reply = Reply::error(403, "AccessDenied");
                has_failed = true;
            } else if has_failed && key_of(request) == "p/c" {
                *reply = Reply::error(403, "AccessDenied");
            }
        });
        let error = sim.run(down(copying())).error();
        assert_eq!(error.kind(), ErrorKind::AccessDenied);
        let report = &error.sync_interrupted().unwrap().report;
        let names = sim.disk.names();
        assert_eq!(report.transferred, names.len() as u64, "{names:?}");
        assert!(!names.iter().any(|name| name.contains(".part")), "{names:?}");
        assert!(report.failures.iter().all(|f| f.error.kind() == ErrorKind::AccessDenied));
        assert_eq!(report.failed, report.failures.len() as u64);
        done += report.transferred;
        ended += 4 - report.transferred - report.failed;
    }
    assert!(done > 0 && ended > 0, "{done} were done, and {ended} ended");
}

#[test]
fn what_was_deleted_before_it_was_cancelled_is_told() {
    let here = [("dir/1", ""), ("dir/2", ""), ("dir/3", ""), ("dir/4", ""), ("dir/5", ""), ("dir/6", "")];
    let mut told = 0;
    for step in 0..20 {
        let mut sim = Sim::new(Store::default()).with_disk(Disk::with(here));
        sim.cancel_after = Some(step);
        let options = comparing(Compare::SizeAndTime).with(|o| o.delete = true);
        let End::Done(Err(error)) = sim.run(down(options)) else { continue };
        let deleted = error.sync_interrupted().unwrap().report.deleted;
        assert_eq!(deleted, 6 - sim.disk.files.len() as u64, "step {step}");
        told += deleted;
    }
    assert!(told > 0);
}

#[test]
fn no_file_is_hashed_any_more_once_all_was_cancelled() {
    let (mut store, disk) = differing();
    for object in store.objects.values_mut() {
        *object = object.clone().with_checksum(A::Crc32c);
    }
    let run = |stop, cancel| {
        let mut sim = Sim::new(store.clone()).with_disk(disk.clone());
        (sim.stop_after, sim.cancel_after) = (stop, cancel);
        let end = sim.run(up(comparing(Compare::Checksum)));
        (sim.disk.hashed, matches!(end, End::Done(Err(_))))
    };
    assert!(run(None, None).0 > 0);
    for step in 0..40 {
        let ((before, _), (after, was_cancelled)) = (run(Some(step), None), run(None, Some(step)));
        assert!(after == before || !was_cancelled, "step {step}");
    }
}

#[test]
fn downloads_that_were_not_completed_are_no_files() {
    let disk = Disk::with([("dir/a", "1"), ("dir/.s3-0123456789abcdef.part", "half")]);
    let mut sim = Sim::new(Store::default()).with_disk(disk);
    assert_eq!(sim.run(up(copying())).output().transferred, 1);
}

#[test]
fn progress_counts_objects_and_bytes() {
    let mut seen = Vec::new();
    let mut sim = Sim::new(Store::of(OBJECTS)).seeded(3);
    let _ = sim.run_with(&mut down(copying()), |progress| seen.push(progress)).output();
    let last = seen.last().unwrap();
    assert_eq!((last.objects, last.bytes), (4, 17));
}

#[test]
fn cancelling_at_any_step_leaves_whole_files_only() {
    for seed in 0..3 {
        for step in 0..60 {
            let mut sim = Sim::new(Store::of(OBJECTS)).seeded(seed);
            sim.cancel_after = Some(step);
            if let End::Done(Err(error)) = sim.run(down(copying())) {
                assert_eq!(error.kind(), ErrorKind::Cancelled);
                let report = &error.sync_interrupted().unwrap().report;
                assert_eq!(report.transferred, files(&sim).len() as u64, "step {step}");
                assert_eq!(report.failed, 0, "{:?}", report.failures);
            }
            let all = pairs(&TREE);
            assert!(files(&sim).iter().all(|file| all.contains(file)), "step {step}: {:?}", sim.disk.names());
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn after_a_sync_with_deletion_both_sides_have_the_same_names(
        here in prop::collection::btree_map("[ab]{1,2}(/[cd]{1,2})?", "[x]{0,9}", 0..8),
        there in prop::collection::btree_map("[ab]{1,2}(/[cd]{1,2})?", "[x]{0,9}", 0..8),
        upload in any::<bool>(),
        seed in any::<u64>(),
    ) {
        // Where a file is in the way of a folder there is no way to be the same.
        let names: Vec<&String> = here.keys().chain(there.keys()).collect();
        let in_the_way = |a: &str| names.iter().any(|b| b.starts_with(&format!("{a}/")));
        prop_assume!(!names.iter().any(|name| in_the_way(name)));
        let mut store = Store { page: 3, ..Store::default() };
        store.objects = there.iter().map(|(k, v)| (format!("p/{k}"), Object::new(v.as_bytes()))).collect();
        let mut disk = Disk::default();
        disk.folders.insert("dir".into());
        disk.files = here.iter().map(|(k, v)| (PathBuf::from(format!("dir/{k}")), v.as_bytes().to_vec())).collect();
        let direction = if upload { Direction::Upload } else { Direction::Download };
        let mut sim = Sim::new(store).with_disk(disk).seeded(seed);
        let report = sim.run(sync(direction, comparing(Compare::SizeAndTime).with(|o| o.delete = true))).output();
        prop_assert_eq!(report.failed, 0);
        let expected = if upload { &here } else { &there };
        let local: Vec<_> = files(&sim).into_iter().map(|(k, v)| (k.replacen("dir/", "", 1), v)).collect();
        let remote: Vec<_> = objects(&sim).into_iter().map(|(k, v)| (k.replacen("p/", "", 1), v)).collect();
        let expected: Vec<_> = expected.clone().into_iter().collect();
        prop_assert_eq!(&local, &expected);
        prop_assert_eq!(&remote, &expected);
    }
}

#[test]
fn an_upload_that_cannot_be_aborted_is_told_of_when_all_is_cancelled() {
    let mut told = 0;
    for step in 0..30 {
        let options = copying().with(|options| options.upload.threshold = 0);
        let mut began = 0;
        let mut sim = Sim::new(Store::default()).with_disk(Disk::with(TREE)).meddling(|request, _, reply| {
            if query(request, "uploads").is_some() {
                began += 1;
                let answer =
                    "<InitiateMultipartUploadResult><UploadId>u</UploadId></InitiateMultipartUploadResult>";
                *reply = Reply::new(200, Vec::new(), answer);
            }
        });
        sim.cancel_after = Some(step);
        let End::Done(Err(error)) = sim.run(up(options)) else { continue };
        drop(sim);
        assert_eq!(error.kind(), ErrorKind::Cancelled, "{error}");
        let report = &error.sync_interrupted().unwrap().report;
        let left = report.failures.iter().filter(|failure| failure.error.upload_failure().is_some()).count();
        assert_eq!(left, began, "step {step}: {error}");
        told += left;
    }
    assert!(told > 0);
}
