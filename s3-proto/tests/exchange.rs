//! What becomes of a request: signing, retries, redirects, refreshes, time-outs.
// Helpers outside of `#[test]` may fail the test.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

mod support;

use std::collections::VecDeque;
use std::path::PathBuf;
use std::time::Duration;

use s3_proto::call::Call;
use s3_proto::credentials::Environment;
use s3_proto::ops::{
    CompleteMultipartUpload, CompletedPart, CopyObject, CopySource, DeleteObject, GetBucketLocation,
    HeadBucket, HeadObject, ListObjectsV2, PutObject,
};
use s3_proto::{
    Answer, BodyPlan, Config, Credentials, ErrorKind, Machine, Payload, Phase, Session, Step, Task,
    TransportErrorKind,
};
use support::*;

fn delete() -> DeleteObject {
    DeleteObject::new("bkt", "k")
}

fn call() -> Call<DeleteObject> {
    Call::new(session(), delete())
}

fn upload(replayable: bool) -> Call<PutObject> {
    Call::new(session(), PutObject::new("bkt", "k", Payload::source(10, replayable)))
}

fn complete() -> CompleteMultipartUpload {
    let mut op = CompleteMultipartUpload::new("bkt", "k", "id");
    op.multipart_upload = Some(vec![CompletedPart::new(1, "\"e\"")].into());
    op
}

const COMPLETED: &str = "<CompleteMultipartUploadResult><ETag>\"x\"</ETag></CompleteMultipartUploadResult>";

#[test]
fn a_call_sends_one_request_and_reads_the_answer() {
    let run = drive(call(), |_| ok().with("x-amz-version-id", "v7"));
    assert_eq!(run.result.unwrap().version_id.as_deref(), Some("v7"));
    assert_eq!((run.sent.len(), run.waits.len()), (1, 0));
    assert_eq!(run.sent[0].request.uri(), "https://bkt.s3.us-east-1.amazonaws.com/k");
}

#[test]
fn each_attempt_is_signed_anew() {
    let mut first = true;
    let mut world = World::default();
    let mut config = aws();
    config.seed = 3;
    let machine = Call::new(Session::new(config), delete());
    let slow = move |_: &http::Request<Payload>| {
        if std::mem::take(&mut first) {
            error(503, "SlowDown").with("x-amz-retry-after", "4000")
        } else {
            ok()
        }
    };
    let run = world.drive(machine, slow);
    assert_eq!(run.sent.len(), 2);
    for name in ["x-amz-date", "authorization"] {
        assert_ne!(run.sent[0].header(name), run.sent[1].header(name), "{name}");
    }
}

#[test]
fn the_third_failure_is_the_last() {
    let run = drive(call(), |_| error(500, "InternalError"));
    assert_eq!((run.error().attempts(), run.sent.len(), run.waits.len()), (3, 3, 2));
    assert_eq!(run.error().kind(), ErrorKind::ServiceUnavailable);
    assert_eq!(run.error().code(), Some("InternalError"));
    assert_eq!(run.error().operation(), Some("DeleteObject"));
}

#[test]
fn one_attempt_means_no_retry() {
    let session = Session::new(aws().with_max_attempts(1));
    let run = drive(Call::new(session, delete()), |_| error(500, "InternalError"));
    assert_eq!(run.sent.len(), 1);
}

#[test]
fn waits_are_bounded_by_reason_and_double() {
    for (status, code, base) in [(503, "SlowDown", 1_000), (500, "InternalError", 50)] {
        for seed in 0..50 {
            let mut config = aws();
            config.seed = seed;
            let run = drive(Call::new(Session::new(config), delete()), |_| error(status, code));
            for (wait, factor) in run.waits.iter().zip([1, 2]) {
                assert!(*wait <= Duration::from_millis(base * factor), "{code} {wait:?}");
            }
        }
    }
}

#[test]
fn the_service_says_how_long_to_wait() {
    let busy = error(503, "SlowDown").with("x-amz-retry-after", "3000");
    let run = drive(call(), in_turn(vec![busy, ok()]));
    assert_eq!(run.waits, [Duration::from_secs(3)]);
}

#[test]
fn the_same_seed_gives_the_same_waits() {
    let waits = |seed| {
        let mut config = aws();
        config.seed = seed;
        drive(Call::new(Session::new(config), delete()), |_| error(503, "SlowDown")).waits
    };
    assert_eq!(waits(11), waits(11));
    assert_ne!(waits(11), waits(12));
}

#[test]
fn what_cannot_get_better_is_not_repeated() {
    let cases = [
        (400, "InvalidArgument", ErrorKind::Service),
        (403, "AccessDenied", ErrorKind::AccessDenied),
        (403, "SignatureDoesNotMatch", ErrorKind::SignatureDoesNotMatch),
        (404, "NoSuchBucket", ErrorKind::NoSuchBucket),
        (404, "NoSuchKey", ErrorKind::NoSuchKey),
        (409, "BucketNotEmpty", ErrorKind::BucketNotEmpty),
        (409, "OperationAborted", ErrorKind::Conflict),
        (412, "PreconditionFailed", ErrorKind::PreconditionFailed),
        (501, "NotImplemented", ErrorKind::NotImplemented),
    ];
    for (status, code, kind) in cases {
        let run = drive(call(), |_| error(status, code));
        assert_eq!((run.error().kind(), run.sent.len()), (kind, 1), "{code}");
    }
}

#[test]
fn passing_troubles_are_repeated() {
    let failures = [
        error(500, "InternalError"),
        error(503, "ServiceUnavailable"),
        error(429, "TooManyRequests"),
        error(400, "RequestTimeout"),
        error(400, "BadDigest"),
        Reply::Answer(502, Vec::new(), b"<html>".to_vec()),
        Reply::Fail(Phase::Connect, TransportErrorKind::Refused),
        Reply::Fail(Phase::Connect, TransportErrorKind::Timeout),
        Reply::Fail(Phase::Connect, TransportErrorKind::TlsBroken),
        Reply::Fail(Phase::Resolve, TransportErrorKind::DnsTemporary),
        Reply::Fail(Phase::Connect, TransportErrorKind::PoolExhausted),
        Reply::Fail(Phase::Wait, TransportErrorKind::Closed),
        Reply::Fail(Phase::Send, TransportErrorKind::Closed),
    ];
    for (case, failure) in failures.into_iter().enumerate() {
        let run = drive(call(), in_turn(vec![failure, ok()]));
        assert!(run.result.is_ok(), "case {case}");
        assert_eq!(run.sent.len(), 2, "case {case}");
    }
}

#[test]
fn transport_failures_for_good_are_not_repeated() {
    let cases = [
        (Phase::Connect, TransportErrorKind::TlsRejected, ErrorKind::Tls),
        (Phase::Resolve, TransportErrorKind::DnsNotFound, ErrorKind::Dns),
        (Phase::Wait, TransportErrorKind::Protocol, ErrorKind::MalformedResponse),
    ];
    for (phase, cause, kind) in cases {
        let run = drive(call(), |_| Reply::Fail(phase, cause));
        assert_eq!((run.error().kind(), run.sent.len()), (kind, 1), "{cause:?}");
        assert_eq!(run.error().phase(), Some(phase), "{cause:?}");
    }
}

#[test]
fn data_that_is_gone_is_not_sent_again() {
    for failure in [Reply::Fail(Phase::Send, TransportErrorKind::Closed), error(500, "InternalError")] {
        let run = drive(upload(false), in_turn(vec![failure, ok()]));
        assert_eq!(run.sent.len(), 1);
        assert!(run.error().message().contains("cannot be read again"), "{}", run.error());
    }
}

#[test]
fn data_that_was_never_read_is_sent_by_the_next_attempt() {
    let refused = Reply::Fail(Phase::Connect, TransportErrorKind::Refused);
    let run = drive(upload(false), in_turn(vec![refused, ok()]));
    assert_eq!((run.sent.len(), run.result.is_ok()), (2, true));
}

#[test]
fn data_that_the_service_refused_before_it_was_read_is_sent_again() {
    let elsewhere = || error(301, "PermanentRedirect").with("x-amz-bucket-region", "eu-west-1");
    for refusal in [elsewhere(), error(503, "SlowDown")] {
        let mut world = World { refuses_early: true, ..World::default() };
        let run = world.drive(upload(false), in_turn(vec![refusal, ok()]));
        assert_eq!((run.sent.len(), run.result.is_ok()), (2, true));
    }
}

#[test]
fn a_driver_that_has_read_ahead_ends_the_call_with_what_was_wrong() {
    let mut world = World { refuses_early: true, ..World::default() };
    let run = world.drive(upload(false), in_turn(vec![error(503, "SlowDown"), Reply::SourceFailed]));
    assert_eq!((run.sent.len(), run.error().kind()), (2, ErrorKind::SlowDown));
    assert!(run.error().message().contains("cannot be read again"), "{}", run.error());
}

#[test]
fn data_that_can_be_read_again_is_sent_again() {
    let run = drive(upload(true), in_turn(vec![error(500, "InternalError"), ok()]));
    assert_eq!((run.sent.len(), run.result.is_ok()), (2, true));
}

#[test]
fn a_source_that_fails_ends_the_call() {
    let mut machine = upload(true);
    let now = World::default().now;
    let Step::Start(id, _) = machine.poll(now) else { panic!() };
    let cause = std::io::Error::other("disk").into();
    let _ = machine.answer(now, id, Answer::SourceFailed(cause));
    let Step::Done(Err(error)) = machine.poll(now) else { panic!() };
    assert_eq!((error.kind(), error.phase()), (ErrorKind::LocalIo, Some(Phase::Send)));
}

fn redirects() -> Vec<Reply> {
    let more = "<Region>eu-west-1</Region>";
    let answer = |status, code, more: &str| Reply::Answer(status, Vec::new(), error_document(code, more));
    vec![
        answer(301, "PermanentRedirect", "").with("x-amz-bucket-region", "eu-west-1"),
        answer(307, "TemporaryRedirect", "").with("x-amz-bucket-region", "eu-west-1"),
        answer(400, "AuthorizationHeaderMalformed", more),
        answer(400, "IllegalLocationConstraintException", "").with("x-amz-bucket-region", "eu-west-1"),
    ]
}

#[test]
fn the_region_that_the_service_names_is_followed() {
    for (case, redirect) in redirects().into_iter().enumerate() {
        let run = drive(call(), in_turn(vec![redirect, ok()]));
        assert!(run.result.is_ok(), "case {case}");
        assert_eq!(run.sent[1].host(), "bkt.s3.eu-west-1.amazonaws.com", "case {case}");
        assert!(run.sent[1].header("authorization").unwrap().contains("/eu-west-1/s3/"), "case {case}");
        assert!(run.waits.is_empty(), "case {case}");
    }
}

#[test]
fn a_head_request_is_redirected_by_headers_alone() {
    for status in [301, 400] {
        let redirect = Reply::Answer(status, Vec::new(), Vec::new()).with("x-amz-bucket-region", "eu-west-1");
        let machine = Call::new(session(), HeadBucket::new("bkt"));
        let run = drive(machine, in_turn(vec![redirect, ok()]));
        assert_eq!(run.sent[1].host(), "bkt.s3.eu-west-1.amazonaws.com", "{status}");
    }
}

fn to_region(region: &str) -> Reply {
    error(301, "PermanentRedirect").with("x-amz-bucket-region", region)
}

#[test]
fn three_redirects_are_followed_and_no_more() {
    let regions = ["eu-west-1", "eu-west-2", "eu-west-3", "eu-north-1", "eu-south-1"];
    let run = drive(call(), in_turn(regions.map(to_region).to_vec()));
    let hosts: Vec<_> = run.sent.iter().map(Sent::host).collect();
    assert_eq!(
        hosts,
        ["us-east-1", "eu-west-1", "eu-west-2", "eu-west-3"].map(|r| format!("bkt.s3.{r}.amazonaws.com"))
    );
    assert_eq!((run.error().kind(), run.error().region()), (ErrorKind::WrongRegion, Some("eu-north-1")));
}

#[test]
fn redirects_do_not_go_round() {
    for back in ["us-east-1", "eu-west-1"] {
        let run = drive(call(), in_turn(vec![to_region("eu-west-1"), to_region(back), ok()]));
        assert_eq!(run.sent.len(), 2, "{back}");
        assert_eq!((run.error().kind(), run.error().region()), (ErrorKind::WrongRegion, Some(back)));
    }
}

fn head_object() -> Call<HeadObject> {
    Call::new(session(), HeadObject::new("bkt", "k"))
}

fn silent(status: u16) -> Reply {
    Reply::Answer(status, Vec::new(), Vec::new())
}

#[test]
fn a_head_request_without_any_hint_asks_the_bucket_where_it_is() {
    for (status, told) in [(400, 400), (301, 200), (400, 403), (307, 404)] {
        let told = silent(told).with("x-amz-bucket-region", "eu-west-1");
        let run = drive(head_object(), in_turn(vec![silent(status), told, silent(200)]));
        assert!(run.result.is_ok(), "{status}: {:?}", run.result);
        let seen: Vec<_> =
            run.sent.iter().map(|s| (s.request.method().as_str(), s.host(), s.target())).collect();
        assert_eq!(
            seen,
            [
                ("HEAD", "bkt.s3.us-east-1.amazonaws.com", "/k"),
                ("HEAD", "bkt.s3.us-east-1.amazonaws.com", "/"),
                ("HEAD", "bkt.s3.eu-west-1.amazonaws.com", "/k"),
            ]
        );
    }
}

#[test]
fn a_bucket_that_does_not_tell_leaves_the_call_with_its_own_error() {
    let here = || silent(400).with("x-amz-bucket-region", "us-east-1");
    for told in [
        silent(400),
        silent(200),
        silent(404),
        here(),
        Reply::Fail(Phase::Connect, TransportErrorKind::Refused),
    ] {
        let replies = vec![silent(400), told.clone(), told.clone(), told.clone(), told];
        let run = drive(head_object(), in_turn(replies));
        let error = run.error();
        assert_eq!(error.status().map(|s| s.as_u16()), Some(400), "{error}");
        assert!(error.to_string().contains("HeadObject") && error.to_string().contains('k'), "{error}");
        assert!(run.sent.iter().filter(|s| s.target() == "/k").count() == 1, "the object is asked for once");
    }
}

#[test]
fn a_bucket_is_asked_only_for_what_may_be_a_matter_of_regions() {
    let run = drive(head_object(), |_| silent(404));
    assert_eq!(run.sent.len(), 1);
    let run = drive(Call::new(session(), HeadBucket::new("bkt")), |_| silent(400));
    assert_eq!(run.sent.len(), 1, "it was asked already");
    let run = drive(call(), |_| error(400, "InvalidRequest"));
    assert_eq!(run.sent.len(), 1, "a body would have said so");
}

#[test]
fn a_location_of_s3_is_followed_by_region_and_no_other_location_is() {
    let to = |url: &str| error(307, "TemporaryRedirect").with("location", url);
    let run = drive(call(), in_turn(vec![to("https://bkt.s3-us-west-2.amazonaws.com/k"), ok()]));
    assert_eq!(run.sent[1].host(), "bkt.s3.us-west-2.amazonaws.com");
    for other in
        ["https://evil.example/k", "http://169.254.169.254/", "https://s3.us-west-2.amazonaws.com.evil/"]
    {
        let run = drive(call(), in_turn(vec![to(other), ok()]));
        assert_eq!(run.sent.len(), 1, "{other}");
        assert!(run.result.is_err());
    }
}

#[test]
fn an_arn_is_not_moved_to_another_region() {
    let arn = "arn:aws:s3:eu-west-1:123456789012:accesspoint/reports";
    let run = drive(Call::new(session(), DeleteObject::new(arn, "k")), |_| to_region("eu-west-2"));
    assert_eq!((run.sent.len(), run.error().kind()), (1, ErrorKind::WrongRegion));
}

#[test]
fn a_redirect_to_where_we_are_is_an_error() {
    let here = error(301, "PermanentRedirect").with("x-amz-bucket-region", "us-east-1");
    let run = drive(call(), move |_| here.clone());
    assert_eq!((run.sent.len(), run.error().kind()), (1, ErrorKind::WrongRegion));
}

#[test]
fn a_region_that_cannot_be_a_host_name_is_not_followed() {
    for evil in ["evil.example.com/", "evil.example.com", "a@b", ""] {
        let run = drive(call(), move |_| to_region(evil));
        assert_eq!((run.sent.len(), run.error().kind()), (1, ErrorKind::WrongRegion), "{evil}");
    }
}

#[test]
fn the_session_remembers_the_region_of_a_bucket() {
    let session = session();
    let redirect = error(301, "PermanentRedirect").with("x-amz-bucket-region", "eu-west-1");
    drive(Call::new(session.clone(), delete()), in_turn(vec![redirect, ok()])).result.unwrap();
    let again = drive(Call::new(session.clone(), delete()), |_| ok());
    assert_eq!(again.sent[0].host(), "bkt.s3.eu-west-1.amazonaws.com");
    let other = drive(Call::new(session, DeleteObject::new("other", "k")), |_| ok());
    assert_eq!(other.sent[0].host(), "other.s3.us-east-1.amazonaws.com");
}

fn with_files(contents: &[&str]) -> (World, Session) {
    let variables = [
        ("AWS_CONFIG_FILE", "/c"),
        ("AWS_SHARED_CREDENTIALS_FILE", "/s"),
        ("HOME", "/h"),
        ("USERPROFILE", "/h"),
        ("AWS_EC2_METADATA_DISABLED", "true"),
    ];
    let config =
        Config::new("us-east-1").unwrap().with_default_credentials(Environment::from_iter(variables));
    let mut world = World::default();
    let versions: VecDeque<_> = contents
        .iter()
        .map(|id| format!("[default]\naws_access_key_id={id}\naws_secret_access_key=s\n").into_bytes())
        .collect();
    world.files.insert(PathBuf::from("/s"), versions);
    (world, Session::new(config))
}

#[test]
fn files_are_read_once_for_all_calls() {
    let (mut world, session) = with_files(&["AKONE"]);
    let first = world.drive(Call::new(session.clone(), delete()), |_| ok());
    let second = world.drive(Call::new(session, delete()), |_| ok());
    assert_eq!((first.files.len(), second.files.len()), (2, 0));
    assert!(second.sent[0].header("authorization").unwrap().contains("Credential=AKONE/"));
}

#[test]
fn expired_credentials_are_read_again() {
    let (mut world, session) = with_files(&["AKONE", "AKTWO"]);
    let run = world.drive(Call::new(session, delete()), in_turn(vec![error(400, "ExpiredToken"), ok()]));
    assert!(run.result.is_ok());
    assert_eq!(run.files.len(), 4);
    assert!(run.sent[1].header("authorization").unwrap().contains("Credential=AKTWO/"));
}

#[test]
fn credentials_are_read_again_only_once() {
    let (mut world, session) = with_files(&["AKONE", "AKTWO"]);
    let run = world.drive(Call::new(session, delete()), |_| error(400, "ExpiredToken"));
    assert_eq!((run.sent.len(), run.error().kind()), (2, ErrorKind::ExpiredToken));
}

#[test]
fn without_credentials_nothing_is_sent() {
    let (mut world, session) = with_files(&["AKONE"]);
    world.files.clear();
    let run = world.drive(Call::new(session, delete()), |_| ok());
    assert_eq!((run.sent.len(), run.error().kind()), (0, ErrorKind::NoCredentials));
    assert_eq!(run.error().phase(), Some(Phase::Credentials));
}

#[test]
fn two_calls_share_one_fetch() {
    let (mut world, session) = with_files(&["AKONE"]);
    let (mut one, mut two) = (Call::new(session.clone(), delete()), Call::new(session, delete()));
    let Step::Start(id, Task::ReadFile(_)) = one.poll(world.now) else { panic!() };
    let Step::Start(waiting, Task::AwaitCredentials(_)) = two.poll(world.now) else { panic!() };
    let _ = one.answer(world.now, id, Answer::File(Ok(None)));
    let first = world.drive_ref(&mut one, |_| ok());
    let _ = two.answer(world.now, waiting, Answer::Ready);
    let second = world.drive_ref(&mut two, |_| ok());
    assert_eq!((first.sent.len(), second.sent.len(), second.files.len()), (1, 1, 0));
}

#[test]
fn a_call_takes_over_from_one_that_was_dropped_while_it_fetched() {
    let (mut world, session) = with_files(&["AKONE"]);
    let (mut one, mut two) = (Call::new(session.clone(), delete()), Call::new(session, delete()));
    let Step::Start(..) = one.poll(world.now) else { panic!() };
    let Step::Start(waiting, Task::AwaitCredentials(_)) = two.poll(world.now) else { panic!() };
    drop(one);
    let _ = two.answer(world.now, waiting, Answer::Ready);
    let run = world.drive_ref(&mut two, |_| ok());
    assert_eq!((run.result.is_ok(), run.files.len()), (true, 2));
}

#[test]
fn static_credentials_that_expired_are_an_error() {
    let config = aws().with_credentials(credentials().with_session_token("t".to_owned()));
    let run = drive(Call::new(Session::new(config), delete()), |_| error(400, "ExpiredToken"));
    assert_eq!((run.sent.len(), run.error().kind()), (1, ErrorKind::ExpiredToken));
}

#[test]
fn a_clock_that_is_off_is_corrected_once() {
    let skewed = error(403, "RequestTimeTooSkewed").with("date", "Sun, 30 Aug 2015 13:36:00 GMT");
    let session = session();
    let run = drive(Call::new(session.clone(), delete()), in_turn(vec![skewed.clone(), ok()]));
    assert!(run.result.is_ok());
    assert_eq!(run.sent[1].header("x-amz-date"), Some("20150830T133600Z"));
    let next = drive(Call::new(session, delete()), move |_| skewed.clone());
    assert_eq!(next.sent[0].header("x-amz-date"), Some("20150830T133600Z"));
    assert_eq!((next.sent.len(), next.error().kind()), (2, ErrorKind::RequestTimeTooSkewed));
}

#[test]
fn the_date_of_a_cached_answer_corrects_nothing() {
    let skewed =
        error(403, "RequestTimeTooSkewed").with("date", "Sun, 30 Aug 2015 13:36:00 GMT").with("age", "60");
    let run = drive(call(), move |_| skewed.clone());
    assert_eq!((run.sent.len(), run.error().kind()), (1, ErrorKind::RequestTimeTooSkewed));
}

#[test]
fn an_error_inside_of_a_200_is_repeated() {
    for (case, prefix) in ["", "\n \n\t "].into_iter().enumerate() {
        let late = || body([prefix.as_bytes(), b"<Error><Code>InternalError</Code></Error>"].concat());
        let run = drive(Call::new(session(), complete()), in_turn(vec![late(), body(COMPLETED)]));
        assert_eq!((run.sent.len(), run.result.is_ok()), (2, true), "complete, case {case}");
        let copy = CopyObject::new("bkt", "k", CopySource::new("from", "k"));
        let done = body("<CopyObjectResult><ETag>\"x\"</ETag></CopyObjectResult>");
        let run = drive(Call::new(session(), copy), in_turn(vec![late(), done]));
        assert_eq!((run.sent.len(), run.result.is_ok()), (2, true), "copy, case {case}");
    }
}

#[test]
fn an_error_inside_of_a_200_that_is_final_is_final() {
    let late = body("<Error><Code>AccessDenied</Code><Message>no</Message></Error>");
    let run = drive(Call::new(session(), complete()), move |_| late.clone());
    assert_eq!((run.sent.len(), run.error().kind()), (1, ErrorKind::AccessDenied));
}

#[test]
fn white_space_before_the_document_is_skipped() {
    let text = format!("<?xml version=\"1.0\"?>\n  \n\n   {COMPLETED}");
    let run = drive(Call::new(session(), complete()), |_| body(&text));
    assert_eq!(run.result.unwrap().etag.unwrap().to_string(), "x");
}

#[test]
fn a_list_that_is_cut_off_is_asked_for_again() {
    let full = "<ListBucketResult></ListBucketResult>";
    let cuts = [
        body(&full[..9]).with("content-length", full.len().to_string()),
        Reply::Cut(200, Vec::new(), full.as_bytes()[..9].to_vec()),
    ];
    for cut in cuts {
        let machine = Call::new(session(), ListObjectsV2::new("bkt"));
        let run = drive(machine, in_turn(vec![cut.clone(), body(full)]));
        assert_eq!((run.sent.len(), run.result.is_ok()), (2, true));
        let for_good = drive(Call::new(session(), ListObjectsV2::new("bkt")), move |_| cut.clone());
        assert_eq!((for_good.error().kind(), for_good.sent.len()), (ErrorKind::TruncatedBody, 3));
    }
}

#[test]
fn the_length_of_a_head_answer_is_not_missed() {
    let machine = Call::new(session(), HeadObject::new("bkt", "k"));
    let run = drive(machine, |_| ok().with("content-length", "1234"));
    assert_eq!(run.result.unwrap().content_length, Some(1234));
}

#[test]
fn an_answer_over_the_limit_is_refused() {
    let mut config = aws();
    config.max_response = 100;
    let machine = Call::new(Session::new(config), ListObjectsV2::new("bkt"));
    let run = drive(machine, |_| body(vec![b' '; 101]));
    assert_eq!((run.error().kind(), run.sent.len()), (ErrorKind::MalformedResponse, 1));
}

#[test]
fn late_answers_to_a_dead_task_are_ignored() {
    let mut world = World::default();
    let mut machine = call();
    let Step::Start(dead, _) = machine.poll(world.now) else { panic!() };
    let refused = s3_proto::TransportError::new(TransportErrorKind::Refused, "refused");
    let _ = machine.answer(world.now, dead, Answer::Failed { phase: Phase::Connect, cause: refused });
    let plan = machine.answer(world.now, dead, Answer::Head(head(403, &[]).into()));
    assert!(matches!(plan, BodyPlan::Discard));
    let _ = machine.answer(world.now, dead, Answer::Ready);
    assert!(world.drive_ref(&mut machine, |_| ok()).result.is_ok());
}

#[test]
fn an_answer_that_does_not_fit_is_misuse() {
    let now = World::default().now;
    let mut machine = call();
    let Step::Start(id, _) = machine.poll(now) else { panic!() };
    let _ = machine.answer(now, id, Answer::Chunk(b"x"));
    let Step::Done(Err(error)) = machine.poll(now) else { panic!() };
    assert_eq!(error.kind(), ErrorKind::ApiMisuse);
}

#[test]
fn polling_after_the_end_is_misuse() {
    let mut world = World::default();
    let mut machine = call();
    world.drive_ref(&mut machine, |_| ok()).result.unwrap();
    let Step::Done(Err(error)) = machine.poll(world.now) else { panic!() };
    assert_eq!(error.kind(), ErrorKind::ApiMisuse);
}

#[test]
fn a_cancelled_call_says_so_in_every_state() {
    let now = World::default().now;
    for polls in 0..2 {
        let mut machine = call();
        for _ in 0..polls {
            let Step::Start(..) = machine.poll(now) else { panic!() };
        }
        machine.cancel(now);
        let last = loop {
            match machine.poll(now) {
                Step::Cancel(_) => {}
                Step::Done(result) => break result,
                other => panic!("{other:?}"),
            }
        };
        assert_eq!(last.unwrap_err().kind(), ErrorKind::Cancelled, "after {polls} polls");
    }
}

#[test]
fn a_call_that_takes_too_long_is_cancelled() {
    let mut config = aws();
    config.operation_timeout = Some(Duration::from_secs(10));
    let run = drive(Call::new(Session::new(config), delete()), |_| Reply::Silence);
    assert_eq!((run.error().kind(), run.error().phase()), (ErrorKind::Timeout, Some(Phase::Wait)));
    assert_eq!((run.waits, run.cancelled.len(), run.sent.len()), (vec![Duration::from_secs(10)], 1, 1));
}

#[test]
fn the_time_limit_counts_all_attempts() {
    let mut config = aws().with_max_attempts(1_000);
    config.operation_timeout = Some(Duration::from_secs(5));
    let busy = error(503, "SlowDown").with("x-amz-retry-after", "2000");
    let mut world = World::default();
    let begin = world.now.mono;
    let run = world.drive(Call::new(Session::new(config), delete()), move |_| busy.clone());
    assert_eq!(run.error().kind(), ErrorKind::Timeout);
    assert_eq!(world.now.mono.since(begin), Duration::from_secs(5));
}

#[test]
fn retries_are_limited_across_the_calls_of_a_session() {
    let session = session();
    let attempts: Vec<_> = (0..20)
        .map(|_| drive(Call::new(session.clone(), delete()), |_| error(500, "InternalError")).sent.len())
        .collect();
    assert_eq!(attempts[..17], [3; 17]);
    assert_eq!(attempts[17..], [2, 1, 1]);
}

#[test]
fn success_fills_the_quota_again() {
    let session = session();
    for _ in 0..20 {
        let _ = drive(Call::new(session.clone(), delete()), |_| error(500, "InternalError"));
    }
    for _ in 0..14 {
        drive(Call::new(session.clone(), delete()), |_| ok()).result.unwrap();
    }
    let run = drive(Call::new(session, delete()), |_| error(500, "InternalError"));
    assert_eq!(run.sent.len(), 2);
}

#[test]
fn an_answer_that_cannot_be_read_says_what_it_was() {
    let machine = Call::new(session(), GetBucketLocation::new("bkt"));
    let run = drive(machine, |_| body("<html><body>login</bo"));
    let error = run.error();
    assert_eq!((error.kind(), error.phase()), (ErrorKind::MalformedResponse, Some(Phase::Parse)));
    assert_eq!(
        (error.operation(), error.bucket(), error.attempts()),
        (Some("GetBucketLocation"), Some("bkt"), 1)
    );
    assert_eq!(error.status().unwrap(), 200);
}

#[test]
fn temporary_credentials_send_their_token() {
    let keys = Credentials::new("AKTEMP", "s".to_owned()).unwrap().with_session_token("tok".to_owned());
    let run = drive(Call::new(Session::new(aws().with_credentials(keys)), delete()), |_| ok());
    assert_eq!(run.sent[0].header("x-amz-security-token"), Some("tok"));
    assert!(run.sent[0].signed_headers().contains(&"x-amz-security-token"));
}
