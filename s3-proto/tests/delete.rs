//! Many objects deleted.
// Helpers outside of `#[test]` may fail the test.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

mod support;

use s3_proto::ops::{Delete, DeleteObjects, ObjectIdentifier};
use s3_proto::transfer::{DeleteMany, DeleteOptions, DeleteReport};
use s3_proto::{ErrorKind, Payload};
use support::session;
use support::sim::*;

fn options() -> DeleteOptions {
    let mut options = DeleteOptions::default();
    options.batch = 10;
    options.concurrency = 3;
    options
}

fn op(keys: impl IntoIterator<Item = String>) -> DeleteObjects {
    DeleteObjects::new("bkt", Delete::keys(keys))
}

fn keys(count: usize) -> Vec<String> {
    (0..count).map(|n| format!("a/{n:04}")).collect()
}

/// These objects, and one that is to stay.
fn store(count: usize) -> Store {
    let mut store = Store::of([("b", "stays")]);
    store.objects.extend(keys(count).into_iter().map(|key| (key, Object::new("x"))));
    store.page = 7;
    store
}

fn prefix(options: DeleteOptions) -> DeleteMany {
    DeleteMany::prefix(session(), op([]), "a/", options)
}

fn batches(sim: &Sim<'_>) -> usize {
    sim.requests.iter().filter(|r| r.starts_with("POST")).count()
}

fn lists(sim: &Sim<'_>) -> usize {
    sim.requests.iter().filter(|r| r.starts_with("GET")).count()
}

#[test]
fn any_number_of_keys_is_deleted_in_batches_side_by_side() {
    for (count, expected) in [(0, 0), (1, 1), (10, 1), (11, 2), (95, 10)] {
        let mut sim = Sim::new(store(count)).seeded(3);
        let report = sim.run(DeleteMany::new(session(), op(keys(count)), options())).output();
        assert_eq!((report.deleted, report.failed), (count as u64, 0));
        assert_eq!(batches(&sim), expected);
        assert!(sim.most_in_flight <= 3);
        assert_eq!(sim.store.objects.keys().collect::<Vec<_>>(), ["b"]);
    }
}

#[test]
fn a_batch_has_at_most_a_thousand() {
    let mut options = options();
    options.batch = 5_000;
    let mut sim = Sim::new(store(2_500));
    assert_eq!(sim.run(DeleteMany::new(session(), op(keys(2_500)), options)).output().deleted, 2_500);
    assert_eq!(batches(&sim), 3);
}

#[test]
fn all_below_a_prefix_is_deleted_while_it_is_listed() {
    for count in [0, 1, 7, 10, 70, 95] {
        for seed in 0..5 {
            let mut sim = Sim::new(store(count)).seeded(seed);
            let report = sim.run(prefix(options())).output();
            assert_eq!((report.deleted, report.failed), (count as u64, 0), "seed {seed}");
            assert_eq!(sim.store.objects.keys().collect::<Vec<_>>(), ["b"]);
            assert_eq!(batches(&sim), count.div_ceil(10));
        }
    }
}

#[test]
fn the_list_does_not_run_ahead_of_the_deletion() {
    let mut sim = Sim::new(store(1_000));
    let mut most = 0;
    let mut options = options();
    options.concurrency = 1;
    let _ = sim.run_with(&mut prefix(options), |_| {}).output();
    let mut listed: usize = 0;
    for request in &sim.requests {
        if request.starts_with("GET") {
            listed += 7;
        } else {
            listed = listed.saturating_sub(10);
        }
        most = most.max(listed);
    }
    assert!(most <= 40, "{most} keys were held");
}

#[test]
fn versions_and_delete_markers_are_deleted_if_asked_for() {
    let mut store = store(0);
    for n in 0..30 {
        store.versions.push((format!("a/{n:02}"), "v1".into(), n % 3 == 0));
        store.versions.push((format!("a/{n:02}"), "v2".into(), n % 4 == 0));
    }
    store.versions.push(("b".into(), "v1".into(), false));
    let mut options = options();
    options.versions = true;
    let mut sim = Sim::new(store).seeded(5);
    assert_eq!(sim.run(prefix(options)).output().deleted, 60);
    assert_eq!(sim.store.versions, [("b".to_owned(), "v1".to_owned(), false)]);
}

#[test]
fn named_versions_are_deleted_and_no_others() {
    let mut store = store(0);
    store.versions = vec![("a".into(), "v1".into(), false), ("a".into(), "v2".into(), false)];
    let mut object = ObjectIdentifier::new("a");
    object.version_id = Some("v1".into());
    let mut sim = Sim::new(store);
    let op = DeleteObjects::new("bkt", vec![object]);
    assert_eq!(sim.run(DeleteMany::new(session(), op, options())).output().deleted, 1);
    assert_eq!(sim.store.versions, [("a".to_owned(), "v2".to_owned(), false)]);
}

#[test]
fn what_cannot_be_deleted_is_in_the_report_and_the_rest_is_deleted() {
    let mut store = store(25);
    store.undeletable = [("a/0003".into(), "AccessDenied"), ("a/0017".into(), "SomethingNew")].into();
    let mut sim = Sim::new(store).seeded(2);
    let report: DeleteReport = sim.run(prefix(options())).output();
    assert_eq!((report.deleted, report.failed, sim.store.objects.len()), (23, 2, 3));
    let mut failures: Vec<_> =
        report.failures.iter().map(|f| (f.key.as_str(), f.error.kind(), f.error.code().unwrap())).collect();
    failures.sort_unstable();
    assert_eq!(
        failures,
        [("a/0003", ErrorKind::AccessDenied, "AccessDenied"), ("a/0017", ErrorKind::Service, "SomethingNew")]
    );
    let error = report.into_result().unwrap_err();
    assert_eq!(error.bucket(), Some("bkt"));
    assert!(error.message().contains("and 1 more"), "{error}");
}

#[test]
fn failures_are_kept_up_to_a_thousand_and_counted_beyond() {
    let mut store = store(1_500);
    store.undeletable = keys(1_500).into_iter().map(|key| (key, "AccessDenied")).collect();
    let mut sim = Sim::new(store);
    let report = sim.run(DeleteMany::new(session(), op(keys(1_500)), options())).output();
    assert_eq!((report.failed, report.failures.len(), report.deleted), (1_500, 1_000, 0));
}

#[test]
fn what_fails_for_a_passing_reason_is_tried_again_after_a_while() {
    for code in ["InternalError", "SlowDown", "ServiceUnavailable"] {
        for times in 1..4 {
            let mut posts = 0;
            let mut at = Vec::new();
            let mut start = store(25);
            start.undeletable = [("a/0003".to_owned(), code)].into();
            let mut sim = Sim::new(start).meddling(|request, store, _| {
                if let Payload::Bytes(body) = request.body()
                    && String::from_utf8_lossy(body).contains("a/0003")
                {
                    posts += 1;
                    at.push(body.len());
                    if posts == times {
                        store.undeletable.clear();
                    }
                }
            });
            let report = sim.run(prefix(options())).output();
            // Three attempts in all.
            let is_deleted = times < 3;
            assert_eq!(
                (report.failed == 0, report.deleted == 25),
                (is_deleted, is_deleted),
                "{code} {times}"
            );
            assert_eq!(report.retries, times.min(2), "{code}");
            drop(sim);
            assert_eq!(posts, (times + 1).min(3), "{code} {times}");
            assert!(at[1] < at[0], "the whole batch was sent again");
        }
    }
}

#[test]
fn a_request_that_fails_as_a_whole_ends_it_and_says_how_far_it_came() {
    let mut count = 0;
    let mut sim = Sim::new(store(95)).meddling(|request, _, reply| {
        count += usize::from(request.method() == http::Method::POST);
        if count == 4 {
            *reply = Reply::error(403, "AccessDenied");
        }
    });
    let error = sim.run(DeleteMany::new(session(), op(keys(95)), options())).error();
    assert_eq!((error.kind(), error.bucket()), (ErrorKind::AccessDenied, Some("bkt")));
    assert!(error.message().contains("after 30 objects were deleted"), "{error}");
    let failure = error.delete_failure().unwrap();
    assert_eq!((failure.report.deleted, failure.report.failed), (30, 0));
    assert_eq!(failure.cause.kind(), error.kind());
}

#[test]
fn a_batch_that_fails_ends_the_list_too() {
    for seed in 0..20 {
        let mut sim = Sim::new(store(95)).seeded(seed).meddling(|request, _, reply| {
            if request.method() == http::Method::POST {
                *reply = Reply::error(403, "AccessDenied");
            }
        });
        assert_eq!(sim.run(prefix(options())).error().kind(), ErrorKind::AccessDenied);
    }
}

#[test]
fn a_list_that_fails_ends_it() {
    let mut sim = Sim::new(store(95)).meddling(|request, _, reply| {
        if query(request, "continuation-token").is_some() {
            *reply = Reply::error(403, "AccessDenied");
        }
    });
    let error = sim.run(prefix(options())).error();
    assert_eq!(error.kind(), ErrorKind::AccessDenied);
    assert!(lists(&sim) == 2);
}

#[test]
fn an_answer_that_names_strange_keys_neither_panics_nor_counts_twice() {
    let mut sim = Sim::new(store(5)).meddling(|request, _, reply| {
        if request.method() == http::Method::POST {
            let error = "<Error><Key>never heard of</Key><Code>InternalError</Code></Error>";
            *reply = Reply::new(
                200,
                Vec::new(),
                format!("<DeleteResult>{}<Error/></DeleteResult>", error.repeat(9)),
            );
        }
    });
    let report = sim.run(DeleteMany::new(session(), op(keys(5)), options())).output();
    assert_eq!((report.deleted, report.failed), (0, 10));
}

#[test]
fn progress_counts_objects() {
    let mut seen = Vec::new();
    let mut sim = Sim::new(store(35));
    let _ = sim.run_with(&mut prefix(options()), |progress| seen.push(progress.objects)).output();
    assert_eq!(seen, [10, 20, 30, 35]);
}

#[test]
fn cancelling_at_any_step_starts_nothing_more() {
    for seed in 0..3 {
        for step in 0..40 {
            let mut sim = Sim::new(store(95)).seeded(seed);
            sim.cancel_after = Some(step);
            match sim.run(prefix(options())) {
                End::Done(Err(error)) => assert_eq!(error.kind(), ErrorKind::Cancelled, "{error}"),
                End::Done(Ok(report)) => assert_eq!(report.deleted, 95),
                End::Stopped => panic!(),
            }
        }
    }
}
