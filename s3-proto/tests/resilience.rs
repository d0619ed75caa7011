//! What policy does with lost answers, endpoints that fail, limits, and clocks that are off.
// Helpers outside of `#[test]` may fail the test.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

mod support;

use std::time::Duration;

use bytes::Bytes;
use http::Request;
use proptest::prelude::*;
use s3_proto::breaker::BreakerConfig;
use s3_proto::call::Call;
use s3_proto::limit::RateLimit;
use s3_proto::ops::{
    AbortMultipartUpload, CompleteMultipartUpload, CompletedPart, CopyObject, CreateBucket, DeleteBucket,
    DeleteObject, HeadObject, PutObject,
};
use s3_proto::retry::{RetryClassifier, RetryDecision, RetryReason};
use s3_proto::{
    Answer, BodyPlan, Config, ETag, ErrorKind, Machine, Payload, Phase, RetryMode, Session, Step, Task,
    TransportError, TransportErrorKind,
};
use support::*;

const NOW: &str = "Sun, 30 Aug 2015 12:36:00 GMT";
/// The MD5 of "mine".
const MINE: &str = "\"918b81db5e91d031548b963c93845e5b\"";

fn delete() -> DeleteObject {
    DeleteObject::new("bkt", "k")
}

/// The answer to an attempt that reached the service gets lost.
fn lost() -> Reply {
    Reply::Fail(Phase::Wait, TransportErrorKind::Closed)
}

fn not_sent() -> Reply {
    Reply::Fail(Phase::Connect, TransportErrorKind::Refused)
}

fn put_new() -> PutObject {
    let mut put = PutObject::new("bkt", "k", Payload::Bytes(Bytes::from_static(b"mine")));
    put.if_none_match = Some(ETag::ANY);
    put
}

/// The head of an object.
fn object(etag: &str, len: usize) -> Reply {
    ok().with("etag", etag)
        .with("content-length", len.to_string())
        .with("last-modified", NOW)
        .with("date", NOW)
}

fn methods<I, T>(run: &Run<I, T>) -> Vec<&str> {
    run.sent.iter().map(|sent| sent.request.method().as_str()).collect()
}

#[test]
fn a_conditional_put_whose_answer_was_lost_finds_its_own_object() {
    for failure in [lost(), error(500, "InternalError"), Reply::Answer(504, Vec::new(), Vec::new())] {
        let there = object(MINE, 4).with("x-amz-version-id", "v1");
        let script = vec![failure, error(412, "PreconditionFailed"), there];
        let run = drive(Call::new(session(), put_new()), in_turn(script));
        let output = run.result.as_ref().unwrap();
        assert_eq!(
            (output.etag.as_ref().unwrap().to_string(), output.version_id.as_deref()),
            (mine(), Some("v1"))
        );
        assert_eq!(methods(&run), ["PUT", "PUT", "HEAD"]);
        assert_eq!(run.sent[2].header("x-amz-checksum-mode"), Some("ENABLED"));
    }
}

fn mine() -> String {
    MINE.trim_matches('"').to_owned()
}

#[test]
fn a_checksum_tells_better_than_an_etag() {
    let found = |crc: &str| object("\"anything\"", 4).with("x-amz-checksum-crc32", crc);
    for (crc, same) in [("aajTkw==", true), ("AAAAAA==", false)] {
        let script = vec![lost(), error(412, "PreconditionFailed"), found(crc)];
        let run = drive(Call::new(session(), put_new()), in_turn(script));
        assert_eq!(run.result.is_ok(), same, "{crc}");
    }
}

#[test]
fn what_is_not_ours_is_reported_as_the_service_said_it() {
    let there = || object(MINE, 4);
    let older =
        ok().with("etag", MINE).with("last-modified", "Sun, 30 Aug 2015 12:35:57 GMT").with("date", NOW);
    let cases = [
        ("another length", object(MINE, 5)),
        ("another content", object("\"b6d767d2f8ed5d21a44b0e5886680cb9\"", 4)),
        ("an older one", older),
        ("other metadata", there().with("x-amz-meta-owner", "somebody")),
        ("gone again", Reply::Answer(404, Vec::new(), Vec::new())),
        ("not to be seen", Reply::Answer(403, Vec::new(), Vec::new())),
    ];
    for (case, found) in cases {
        for refusal in [error(412, "PreconditionFailed"), error(409, "ConditionalRequestConflict")] {
            let kind = if matches!(refusal, Reply::Answer(412, ..)) {
                ErrorKind::PreconditionFailed
            } else {
                ErrorKind::Conflict
            };
            let run = drive(Call::new(session(), put_new()), in_turn(vec![lost(), refusal, found.clone()]));
            assert_eq!((run.error().kind(), methods(&run)), (kind, vec!["PUT", "PUT", "HEAD"]), "{case}");
            assert!(run.error().message().contains("earlier attempt was lost"), "{case}: {}", run.error());
            // An ETag that is another need not be an MD5.
            let unknown = ["another content", "not to be seen"].contains(&case);
            assert_eq!(run.error().is_ambiguous(), unknown, "{case}");
            assert_eq!((run.error().bucket(), run.error().key()), (Some("bkt"), Some("k")), "{case}");
        }
    }
}

#[test]
fn an_error_says_whether_a_write_may_have_been_done_all_the_same() {
    let put = || PutObject::new("bkt", "k", Payload::Bytes(Bytes::from_static(b"mine")));
    for (case, replies, ambiguous) in [
        ("the answers were lost", vec![lost(), lost(), lost()], true),
        ("the first was lost, and the next refused", vec![lost(), error(403, "AccessDenied")], true),
        ("the service failed", vec![error(500, "InternalError"); 3], true),
        ("it was never sent", vec![not_sent(); 3], false),
        ("it was refused", vec![error(403, "AccessDenied")], false),
        ("it was put off", vec![error(503, "SlowDown"); 3], false),
    ] {
        let run = drive(Call::new(session(), put()), in_turn(replies));
        assert_eq!(run.error().is_ambiguous(), ambiguous, "{case}: {}", run.error());
    }
    let read = drive(Call::new(session(), HeadObject::new("bkt", "k")), |_| lost());
    assert!(!read.error().is_ambiguous());
}

#[test]
fn a_write_that_is_given_up_under_way_may_have_been_done() {
    let world = World::default();
    let mut machine = Call::new(session(), delete());
    let before = Call::new(session(), delete());
    let Step::Start(..) = machine.poll(world.now) else { panic!() };

    let ended = [machine, before].map(|mut machine| {
        machine.cancel(world.now);
        loop {
            match machine.poll(world.now) {
                Step::Cancel(_) => {}
                Step::Done(Err(error)) => break (error.kind(), error.is_ambiguous()),
                step => panic!("{step:?}"),
            }
        }
    });

    assert_eq!(ended, [(ErrorKind::Cancelled, true), (ErrorKind::Cancelled, false)]);
}

#[test]
fn without_a_lost_answer_a_refusal_is_a_refusal() {
    for before in [None, Some(not_sent()), Some(error(503, "SlowDown")), Some(error(400, "BadDigest"))] {
        let script: Vec<_> = before.into_iter().chain([error(412, "PreconditionFailed")]).collect();
        let attempts = script.len();
        let run = drive(Call::new(session(), put_new()), in_turn(script));
        assert_eq!((run.sent.len(), run.error().kind()), (attempts, ErrorKind::PreconditionFailed));
    }
}

#[test]
fn a_put_without_a_condition_is_just_repeated() {
    let put = PutObject::new("bkt", "k", Payload::Bytes(Bytes::from_static(b"mine")));
    let run = drive(Call::new(session(), put), in_turn(vec![lost(), ok().with("etag", "\"e\"")]));
    assert_eq!((run.result.is_ok(), methods(&run)), (true, vec!["PUT", "PUT"]));
}

#[test]
fn data_from_a_source_is_recognised_by_what_was_sent() {
    // CRC64NVME of "123456789", and its MD5, for stores that have nothing else; the second of each is that of another
    // content.
    let other = || Session::new(local());
    for (session, etag, crc, same) in [
        (session(), "\"opaque\"", Some("rosUhgp5mIg="), true),
        (session(), "\"opaque\"", Some("AAAAAAAAAAA="), false),
        (other(), "\"25f9e794323b453885f5181f1b624d0b\"", None, true),
        (other(), "\"918b81db5e91d031548b963c93845e5b\"", None, false),
    ] {
        let mut put = PutObject::new("bkt", "k", Payload::source(9, true));
        put.if_none_match = Some(ETag::ANY);
        let mut world = World::default();
        let mut machine = Call::new(session, put);
        let Step::Start(id, Task::Http(task)) = machine.poll(world.now) else { panic!() };
        let mut encoder = task.encoder.unwrap();
        let _ = encoder.encode(b"123456789").unwrap();
        encoder.finish().unwrap();
        let cause = TransportError::new(TransportErrorKind::Closed, "closed");
        let _ = machine.answer(world.now, id, Answer::Failed { phase: Phase::Wait, cause });
        let found = object(etag, 9);
        let found = crc.map_or(found.clone(), |crc| found.with("x-amz-checksum-crc64nvme", crc));
        let run = world.drive_ref(&mut machine, in_turn(vec![error(412, "PreconditionFailed"), found]));
        assert_eq!((run.result.is_ok(), methods(&run)), (same, vec!["PUT", "HEAD"]), "{etag} {crc:?}");
    }
}

#[test]
fn deleting_what_a_lost_attempt_has_deleted_is_done() {
    let mut op = delete();
    op.if_match = Some(ETag::new("e"));
    let cases: [(&str, Vec<Reply>, bool); 4] = [
        ("not there", vec![error(404, "NoSuchKey")], true),
        (
            "refused and gone",
            vec![error(412, "PreconditionFailed"), Reply::Answer(404, vec![], vec![])],
            true,
        ),
        ("refused and there", vec![error(412, "PreconditionFailed"), object("\"new\"", 3)], false),
        (
            "refused and hidden",
            vec![error(412, "PreconditionFailed"), Reply::Answer(403, vec![], vec![])],
            false,
        ),
    ];
    for (case, then, done) in cases {
        let script = [vec![lost()], then].concat();
        let run = drive(Call::new(session(), op.clone()), in_turn(script));
        assert_eq!(run.result.is_ok(), done, "{case}");
    }
    let run = drive(Call::new(session(), op), |_| error(404, "NoSuchKey"));
    assert_eq!((run.error().kind(), run.sent.len()), (ErrorKind::NoSuchKey, 1));
}

#[test]
fn buckets_and_uploads_that_a_lost_attempt_made_or_removed_are_no_error() {
    fn check<O>(op: impl Fn() -> O, refusal: (u16, &str), kind: ErrorKind)
    where
        O: s3_proto::ops::Operation,
        O::Output: std::fmt::Debug,
    {
        let refused = || error(refusal.0, refusal.1);
        let run = drive(Call::new(session(), op()), in_turn(vec![lost(), refused()]));
        assert!(run.result.is_ok(), "{}: {:?}", O::NAME, run.result);
        let run = drive(Call::new(session(), op()), |_| refused());
        assert_eq!((run.error().kind(), run.sent.len()), (kind, 1), "{}", O::NAME);
    }
    let owned = ErrorKind::BucketAlreadyOwnedByYou;
    check(|| CreateBucket::new("bkt"), (409, "BucketAlreadyOwnedByYou"), owned);
    check(|| DeleteBucket::new("bkt"), (404, "NoSuchBucket"), ErrorKind::NoSuchBucket);
    let abort = || AbortMultipartUpload::new("bkt", "k", "id");
    check(abort, (404, "NoSuchUpload"), ErrorKind::NoSuchUpload);
}

#[test]
fn a_bucket_that_is_somebody_elses_is_an_error_all_the_same() {
    let script = vec![lost(), error(409, "BucketAlreadyExists")];
    let run = drive(Call::new(session(), CreateBucket::new("bkt")), in_turn(script));
    assert_eq!(run.error().kind(), ErrorKind::BucketAlreadyExists);
}

#[test]
fn an_upload_that_a_lost_attempt_completed_is_known_by_its_etag() {
    let complete = || {
        let mut op = CompleteMultipartUpload::new("bkt", "k", "id");
        let parts = ["0cc175b9c0f1b6a831c399e269772661", "92eb5ffee6ae2fec3ad71c777531578f"];
        let parts = parts.iter().zip(1u32..).map(|(etag, number)| CompletedPart::new(number, *etag));
        op.multipart_upload = Some(parts.collect::<Vec<_>>().into());
        op
    };
    let etag = "96e024ba2074fe77e8e965ba43a704be-2";
    for (there, done) in [(etag, true), ("96e024ba2074fe77e8e965ba43a704be-3", false)] {
        // Amazon S3 dates an object in parts by when its upload began.
        let found = ok()
            .with("etag", format!("\"{there}\""))
            .with("content-length", "2")
            .with("last-modified", "Sat, 29 Aug 2015 12:36:00 GMT")
            .with("date", NOW);
        let script = vec![lost(), error(404, "NoSuchUpload"), found];
        let run = drive(Call::new(session(), complete()), in_turn(script));
        assert_eq!(methods(&run), ["POST", "POST", "HEAD"]);
        match run.result {
            Ok(output) => {
                assert!(done);
                assert_eq!(output.etag.unwrap().as_str(), etag);
                assert_eq!((output.bucket.as_deref(), output.key.as_deref()), (Some("bkt"), Some("k")));
            }
            Err(error) => assert_eq!((error.kind(), done), (ErrorKind::NoSuchUpload, false)),
        }
    }
}

#[test]
fn a_conditional_copy_is_compared_with_its_source() {
    for (there, done) in [("\"e\"", true), ("\"other\"", false)] {
        let mut copy = CopyObject::new("bkt", "k", ("from", "a b"));
        copy.if_none_match = Some(ETag::ANY);
        let script = vec![lost(), error(412, "PreconditionFailed"), object("\"e\"", 3), object(there, 3)];
        let run = drive(Call::new(session(), copy), in_turn(script));
        let targets: Vec<_> = run.sent[2..].iter().map(|s| (s.host(), s.target())).collect();
        let (source, target) = ("from.s3.us-east-1.amazonaws.com", "bkt.s3.us-east-1.amazonaws.com");
        assert_eq!(targets, [(source, "/a%20b"), (target, "/k")]);
        match run.result {
            Ok(output) => {
                assert!(done);
                assert_eq!(output.copy_object_result.etag.unwrap().as_str(), "e");
            }
            Err(error) => assert_eq!((error.kind(), done), (ErrorKind::PreconditionFailed, false)),
        }
    }
}

/// Opens after 4 attempts of which half failed.
fn guarded() -> Session {
    let mut breaker = BreakerConfig::default();
    breaker.min_volume = 4;
    Session::new(aws().with_max_attempts(1).with_circuit_breaker(breaker))
}

#[test]
fn an_endpoint_that_keeps_failing_is_left_alone_until_a_probe_gets_through() {
    let (mut world, session) = (World::default(), guarded());
    let call = || Call::new(session.clone(), delete());
    for _ in 0..4 {
        assert_eq!(world.drive(call(), |_| error(500, "InternalError")).sent.len(), 1);
    }
    let refused = world.drive(call(), |_| ok());
    assert_eq!((refused.sent.len(), refused.error().kind()), (0, ErrorKind::CircuitOpen));
    assert_eq!(refused.error().retry_after(), Some(Duration::from_secs(5)));
    assert_eq!(refused.error().phase(), Some(Phase::Connect));

    // Another host is another matter.
    let other = world.drive(Call::new(session.clone(), DeleteObject::new("other", "k")), |_| ok());
    assert!(other.result.is_ok());

    world.pass(Duration::from_secs(5));
    let mut probe = call();
    let Step::Start(id, _) = probe.poll(world.now) else { panic!("the probe goes through") };
    let second = world.drive(call(), |_| ok());
    assert_eq!(second.error().kind(), ErrorKind::CircuitOpen, "one probe only");
    let _ = probe.answer(world.now, id, Answer::Head(head(204, &[]).into()));
    let _ = probe.answer(world.now, id, Answer::End(None));
    assert!(world.drive_ref(&mut probe, |_| ok()).result.is_ok());
    assert!(world.drive(call(), |_| ok()).result.is_ok(), "closed again");
}

#[test]
fn an_endpoint_that_does_not_answer_before_the_call_is_over_counts_as_failing() {
    let mut world = World::default();
    let mut breaker = BreakerConfig::default();
    breaker.min_volume = 4;
    let mut config = aws().with_circuit_breaker(breaker);
    config.operation_timeout = Some(Duration::from_secs(1));
    let session = Session::new(config);
    for _ in 0..4 {
        let mut call = Call::new(session.clone(), delete());
        let Step::Start(..) = call.poll(world.now) else { panic!() };
        world.pass(Duration::from_secs(1));
        assert!(matches!(call.poll(world.now), Step::Cancel(_)));
        assert!(matches!(call.poll(world.now), Step::Done(Err(_))));
    }

    let refused = world.drive(Call::new(session, delete()), |_| ok());

    assert_eq!((refused.sent.len(), refused.error().kind()), (0, ErrorKind::CircuitOpen));
}

#[test]
fn a_probe_that_fails_opens_it_again_and_one_that_is_dropped_does_not_block() {
    let (mut world, session) = (World::default(), guarded());
    let call = || Call::new(session.clone(), delete());
    for _ in 0..4 {
        world.drive(call(), |_| lost());
    }
    world.pass(Duration::from_secs(5));
    assert_eq!(world.drive(call(), |_| lost()).sent.len(), 1);
    assert_eq!(world.drive(call(), |_| ok()).error().kind(), ErrorKind::CircuitOpen);
    world.pass(Duration::from_secs(5));
    let mut dropped = call();
    let Step::Start(..) = dropped.poll(world.now) else { panic!() };
    drop(dropped);
    world.pass(Duration::from_secs(5));
    assert!(world.drive(call(), |_| ok()).result.is_ok());
}

#[test]
fn refusals_and_throttles_do_not_open_the_breaker() {
    let (mut world, session) = (World::default(), guarded());
    for (status, code) in [(404, "NoSuchKey"), (403, "AccessDenied"), (503, "SlowDown"), (412, "X")].repeat(5)
    {
        let run = world.drive(Call::new(session.clone(), delete()), |_| error(status, code));
        assert_eq!(run.sent.len(), 1, "{code}");
    }
}

#[test]
fn a_call_that_finds_the_breaker_open_when_it_would_repeat_says_so() {
    let mut breaker = BreakerConfig::default();
    breaker.min_volume = 2;
    let session = Session::new(aws().with_max_attempts(9).with_circuit_breaker(breaker));
    let run = drive(Call::new(session, delete()), |_| error(500, "InternalError"));
    assert_eq!((run.sent.len(), run.error().kind()), (2, ErrorKind::CircuitOpen));
}

#[test]
fn calls_wait_for_their_turn() {
    let session = Session::new(aws().with_rate_limit(RateLimit::operations(2.0)));
    let mut world = World::default();
    let mut waits = Vec::new();
    for _ in 0..4 {
        waits.extend(world.drive(Call::new(session.clone(), delete()), |_| ok()).waits);
    }
    assert_eq!(waits, [Duration::from_millis(500); 2]);
}

#[test]
fn bytes_of_answers_and_bodies_delay_what_follows() {
    let session = Session::new(aws().with_rate_limit(RateLimit::bytes(1_000.0)));
    let mut world = World::default();
    let put = PutObject::new("bkt", "k", Payload::Bytes(Bytes::from(vec![0; 3_000])));
    assert!(world.drive(Call::new(session.clone(), put), |_| ok()).waits.is_empty());
    let next = world
        .drive(Call::new(session.clone(), delete()), |_| body(vec![b' '; 500]).with("content-length", "500"));
    assert_eq!(next.waits, [Duration::from_secs(2)]);
    let last = world.drive(Call::new(session, delete()), |_| ok());
    assert_eq!(last.waits, [Duration::from_millis(500)]);
}

#[test]
fn whoever_does_not_want_to_wait_is_told_when_to_come_back() {
    let limit = RateLimit::operations(1.0).with_max_wait(Duration::ZERO);
    let session = Session::new(aws().with_rate_limit(limit));
    let mut world = World::default();
    assert!(world.drive(Call::new(session.clone(), delete()), |_| ok()).result.is_ok());
    let refused = world.drive(Call::new(session.clone(), delete()), |_| ok());
    assert_eq!((refused.sent.len(), refused.error().kind()), (0, ErrorKind::RateLimited));
    world.pass(refused.error().retry_after().unwrap());
    assert!(world.drive(Call::new(session, delete()), |_| ok()).result.is_ok());
}

#[test]
fn the_turn_of_a_call_that_was_dropped_or_cancelled_goes_to_the_next() {
    for cancel in [false, true] {
        let session = Session::new(aws().with_rate_limit(RateLimit::operations(1.0)));
        let mut world = World::default();
        world.drive(Call::new(session.clone(), delete()), |_| ok()).result.unwrap();
        let mut waiting = Call::new(session.clone(), delete());
        let Step::Wait(Some(_)) = waiting.poll(world.now) else { panic!() };
        if cancel {
            waiting.cancel(world.now);
            let Step::Done(Err(_)) = waiting.poll(world.now) else { panic!() };
        } else {
            drop(waiting);
        }
        let next = world.drive(Call::new(session, delete()), |_| ok());
        assert_eq!(next.waits, [Duration::from_secs(1)], "cancelled: {cancel}");
    }
}

#[test]
fn the_time_limit_of_a_call_counts_the_wait_for_its_turn() {
    let mut config = aws().with_rate_limit(RateLimit::operations(0.1));
    config.operation_timeout = Some(Duration::from_secs(3));
    let session = Session::new(config);
    let mut world = World::default();
    world.drive(Call::new(session.clone(), delete()), |_| ok()).result.unwrap();
    let run = world.drive(Call::new(session, delete()), |_| ok());
    assert_eq!((run.error().kind(), run.sent.len()), (ErrorKind::Timeout, 0));
    assert_eq!(run.waits, [Duration::from_secs(3)]);
}

#[test]
fn the_adaptive_mode_slows_down_all_calls_once_the_service_asks_for_it() {
    let waited = |mode: RetryMode| {
        let session = Session::new(aws().with_retry_mode(mode).with_max_attempts(1));
        let mut world = World::default();
        let mut go = |reply: Reply| {
            world.pass(Duration::from_millis(100));
            let run = world.drive(Call::new(session.clone(), delete()), move |_| reply.clone());
            run.waits.iter().sum::<Duration>()
        };
        let before: Duration = (0..30).map(|_| go(ok())).sum();
        let _ = go(error(503, "SlowDown"));
        let after: Duration = (0..30).map(|_| go(error(503, "SlowDown"))).sum();
        (before, after)
    };
    assert_eq!(waited(RetryMode::Standard), (Duration::ZERO, Duration::ZERO));
    let (before, after) = waited(RetryMode::Adaptive);
    assert_eq!(before, Duration::ZERO);
    assert!(after > Duration::from_secs(5), "{after:?}");
}

#[test]
fn turned_off_nothing_is_repeated_but_what_is_put_right() {
    let session = Session::new(aws().with_retry_mode(RetryMode::Off));
    let run = drive(Call::new(session.clone(), delete()), |_| error(500, "InternalError"));
    assert_eq!(run.sent.len(), 1);
    let redirect = error(301, "PermanentRedirect").with("x-amz-bucket-region", "eu-west-1");
    let run = drive(Call::new(session, delete()), in_turn(vec![redirect, ok()]));
    assert!(run.result.is_ok());
}

#[test]
fn a_classifier_decides_before_the_standard_rules() {
    let mut config = aws();
    config.retry_classifier = Some(RetryClassifier::new(|error| match error.code() {
        Some("Moving") => Some(RetryDecision::Retry(RetryReason::Throttling)),
        Some("InternalError") => Some(RetryDecision::Fail),
        _ => None,
    }));
    let session = Session::new(config);
    for (status, code, attempts) in [(400, "Moving", 3), (500, "InternalError", 1), (503, "SlowDown", 3)] {
        let run = drive(Call::new(session.clone(), delete()), |_| error(status, code));
        assert_eq!(run.sent.len(), attempts, "{code}");
    }
}

#[test]
fn stores_may_ask_for_a_wait_with_retry_after() {
    let busy = error(503, "SlowDown").with("retry-after", "7");
    let run = drive(Call::new(session(), delete()), in_turn(vec![busy, ok()]));
    assert_eq!(run.waits, [Duration::from_secs(7)]);
}

#[test]
fn a_signature_that_does_not_match_may_be_due_to_the_clock() {
    let wrong = |date: &str| error(403, "SignatureDoesNotMatch").with("date", date);
    for (date, attempts) in [("Sun, 30 Aug 2015 12:40:00 GMT", 2), ("Sun, 30 Aug 2015 12:39:59 GMT", 1)] {
        let run = drive(Call::new(session(), delete()), in_turn(vec![wrong(date), ok()]));
        assert_eq!((run.sent.len(), run.result.is_ok()), (attempts, attempts == 2), "{date}");
    }
}

#[test]
fn a_refused_head_request_may_be_due_to_the_clock() {
    let refused = Reply::Answer(403, Vec::new(), Vec::new()).with("date", "Sun, 30 Aug 2015 11:36:00 GMT");
    let run = drive(Call::new(session(), HeadObject::new("bkt", "k")), in_turn(vec![refused, ok()]));
    assert_eq!((run.sent.len(), run.result.is_ok()), (2, true));
    assert_eq!(run.sent[1].header("x-amz-date"), Some("20150830T113600Z"));
}

#[test]
fn a_correction_that_did_not_help_is_forgotten() {
    let session = session();
    let wrong = error(403, "SignatureDoesNotMatch").with("date", "Sun, 30 Aug 2015 13:36:00 GMT");
    let run = drive(Call::new(session.clone(), delete()), move |_| wrong.clone());
    assert_eq!(run.sent[1].header("x-amz-date"), Some("20150830T133600Z"));
    let next = drive(Call::new(session, delete()), |_| ok());
    assert_eq!(next.sent[0].header("x-amz-date"), Some("20150830T123600Z"));
}

#[test]
fn the_clock_is_compared_half_way_between_sending_and_answer() {
    let mut world = World::default();
    let mut machine = Call::new(session(), delete());
    let Step::Start(id, _) = machine.poll(world.now) else { panic!() };
    world.pass(Duration::from_secs(20));
    // 5 minutes ahead of when it was sent, but 4 minutes 50 of the middle: that is what is corrected.
    let late = [("date", "Sun, 30 Aug 2015 12:41:00 GMT".to_owned())];
    if let BodyPlan::Collect = machine.answer(world.now, id, Answer::Head(head(403, &late).into())) {
        let _ = machine.answer(world.now, id, Answer::Chunk(&error_document("RequestTimeTooSkewed", "")));
        let _ = machine.answer(world.now, id, Answer::End(None));
    }
    let run = world.drive_ref(&mut machine, |_| ok());
    assert_eq!(run.sent[0].header("x-amz-date"), Some("20150830T124110Z"));
}

#[test]
fn requests_say_which_attempt_they_are_without_signing_it() {
    let mut config = aws();
    config.seed = 5;
    let session = Session::new(config);
    let script = vec![error(500, "InternalError"), ok()];
    let run = drive(Call::new(session.clone(), delete()), in_turn(script));
    let info: Vec<_> = run.sent.iter().map(|s| s.header("amz-sdk-request").unwrap()).collect();
    assert_eq!(info, ["attempt=1; max=3", "attempt=2; max=3"]);
    let ids: Vec<_> = run.sent.iter().map(|s| s.header("amz-sdk-invocation-id").unwrap()).collect();
    assert_eq!((ids[0], ids[0].len()), (ids[1], 36));
    assert!(run.sent[0].signed_headers().iter().all(|name| !name.starts_with("amz-sdk")));
    let other = drive(Call::new(session, delete()), |_| ok());
    assert_ne!(other.sent[0].header("amz-sdk-invocation-id"), Some(ids[0]));
    let unseeded = drive(Call::new(support::session(), delete()), |_| ok());
    assert_eq!(unseeded.sent[0].header("amz-sdk-invocation-id"), None);
}

#[test]
fn a_slow_operation_that_is_given_up_says_by_which_limit() {
    let took_long = || Reply::Fail(Phase::Wait, TransportErrorKind::Timeout);
    let copy = drive(Call::new(session(), CopyObject::new("bkt", "k", ("a", "b"))), |_| took_long());
    assert_eq!((copy.error().kind(), copy.error().phase()), (ErrorKind::Timeout, Some(Phase::Wait)));
    assert!(copy.error().to_string().contains("`Timeouts::slow`"), "{}", copy.error());
    let plain = drive(Call::new(session(), delete()), |_| took_long());
    assert!(!plain.error().to_string().contains("`Timeouts::slow`"), "{}", plain.error());
}

fn replies() -> impl Strategy<Value = Reply> {
    let kinds = vec![
        TransportErrorKind::Closed,
        TransportErrorKind::Refused,
        TransportErrorKind::Timeout,
        TransportErrorKind::DnsTemporary,
        TransportErrorKind::TlsRejected,
        TransportErrorKind::PoolExhausted,
    ];
    let phases = vec![Phase::Resolve, Phase::Connect, Phase::Send, Phase::Wait];
    let codes = vec![
        (200, ""),
        (204, ""),
        (301, "PermanentRedirect"),
        (403, "RequestTimeTooSkewed"),
        (403, "SignatureDoesNotMatch"),
        (404, "NoSuchKey"),
        (409, "ConditionalRequestConflict"),
        (412, "PreconditionFailed"),
        (500, "InternalError"),
        (503, "SlowDown"),
    ];
    let headers = vec![
        ("date", "Sun, 30 Aug 2015 13:36:00 GMT"),
        ("etag", "\"e\""),
        ("retry-after", "99999"),
        ("x-amz-retry-after", "1"),
        ("x-amz-bucket-region", "eu-west-1"),
    ];
    let answer = (prop::sample::select(codes), prop::sample::subsequence(headers, 0..5)).prop_map(
        |((status, code), headers)| {
            let body = if code.is_empty() { Vec::new() } else { error_document(code, "") };
            let headers = headers.into_iter().map(|(n, v)| (n, v.to_owned())).collect();
            Reply::Answer(status, headers, body)
        },
    );
    let failure = (prop::sample::select(phases), prop::sample::select(kinds));
    prop_oneof![3 => answer, 1 => failure.prop_map(|(phase, kind)| Reply::Fail(phase, kind))]
}

/// Everything turned on at once.
fn everything(seed: u64) -> Config {
    let mut breaker = BreakerConfig::default();
    breaker.min_volume = 3;
    let limit = RateLimit::operations(5.0).and_bytes(1e3);
    let mut config = aws().with_circuit_breaker(breaker).with_rate_limit(limit);
    config.retry.mode = RetryMode::Adaptive;
    config.seed = seed;
    config
}

proptest! {
    /// Whatever the service does: each call ends, within its attempts, and never waits for the past (the driver
    /// sees to both); and the same seed gives the same run.
    #[test]
    fn calls_end_whatever_happens(script in prop::collection::vec(replies(), 1..40), seed in 1u64..9) {
        let run_all = || {
            let session = Session::new(everything(seed));
            let mut world = World::default();
            let mut replies = script.clone().into_iter().cycle();
            let mut seen = Vec::new();
            for n in 0..6 {
                let mut reply = |_: &Request<Payload>| replies.next().unwrap();
                let (sent, waits, ok) = if n % 2 == 0 {
                    let run = world.drive(Call::new(session.clone(), put_new()), &mut reply);
                    (run.sent.len(), run.waits, run.result.is_ok())
                } else {
                    let run = world.drive(Call::new(session.clone(), delete()), &mut reply);
                    (run.sent.len(), run.waits, run.result.is_ok())
                };
                // Three attempts at the call and three at a look; a redirect and a clock for each.
                assert!(sent <= 10, "{sent}");
                seen.push((sent, waits, ok));
            }
            seen
        };
        prop_assert_eq!(run_all(), run_all());
    }
}
