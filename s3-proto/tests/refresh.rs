//! Credentials that calls share: when they are fetched anew, by whom, and what happens if that fails.
// Helpers outside of `#[test]` may fail the test.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

mod support;

use std::cell::Cell;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use http::Request;
use s3_proto::credentials::{CredentialsProvider, CredentialsSource};
use s3_proto::ops::{DeleteObject, HeadObject, HeadObjectOutput};
use s3_proto::{
    Answer, Call, Config, Credentials, ErrorKind, Machine, Payload, Phase, Session, Step, Task, TaskId,
    Timestamp,
};
use support::cloud::*;
use support::*;

const HOUR: i64 = 3_600;

/// In the last minutes: after all jitter, and before the keys expire.
const LATE: Duration = Duration::from_secs(3_400);

fn session() -> Session {
    let mut config = Config::new("us-east-1").unwrap();
    config.credentials = CredentialsSource::Default(chain(&[]));
    Session::new(config)
}

fn call(session: &Session) -> Call<DeleteObject> {
    Call::new(session.clone(), DeleteObject::new("bkt", "k"))
}

fn instance(keys: Reply) -> impl FnMut(&Request<Payload>) -> Reply {
    s3_and(move |request| imds(request, &keys))
}

fn outage() -> impl FnMut(&Request<Payload>) -> Reply {
    s3_and(|_| Reply::Answer(500, Vec::new(), Vec::new()))
}

/// Whose keys signed the last request.
fn signer<I, T>(run: &Run<I, T>) -> &str {
    let authorization = run.sent.last().unwrap().header("authorization").unwrap();
    authorization.split_once("Credential=").unwrap().1.split('/').next().unwrap()
}

/// How many requests went to the instance metadata service.
fn asked<I, T>(run: &Run<I, T>) -> usize {
    run.sent.iter().filter(|sent| sent.host() == IMDS).count()
}

/// A world and a session that has keys for an hour.
fn begun() -> (World, Session) {
    let (mut world, session) = (World::default(), session());
    let run = world.drive(call(&session), instance(json_keys("OLD", HOUR)));
    assert_eq!((signer(&run), asked(&run)), ("OLD", 3));
    (world, session)
}

#[test]
fn keys_are_used_until_their_last_minutes() {
    let (mut world, session) = begun();
    world.pass(Duration::from_secs(3_299));
    let run = world.drive(call(&session), outage());
    assert_eq!((signer(&run), asked(&run)), ("OLD", 0));
}

#[test]
fn in_the_last_minutes_one_call_fetches_and_the_others_go_on() {
    let (mut world, session) = begun();
    world.pass(LATE);
    let (first, _) = fetching(&world, &session);
    let other = world.drive(call(&session), outage());
    assert_eq!((signer(&other), asked(&other)), ("OLD", 0));
    // The call that fetched is gone: that is as if it had failed.
    drop(first);
    let next = world.drive(call(&session), outage());
    assert_eq!((signer(&next), asked(&next)), ("OLD", 0));
    world.pass(Duration::from_secs(60));
    let later = world.drive(call(&session), instance(json_keys("NEW", 2 * HOUR)));
    assert_eq!((signer(&later), asked(&later)), ("NEW", 2));
    let after = world.drive(call(&session), outage());
    assert_eq!((signer(&after), asked(&after)), ("NEW", 0));
}

#[test]
fn an_outage_during_a_refresh_harms_nobody_while_the_keys_last() {
    let (mut world, session) = begun();
    world.pass(LATE);
    let refreshing = world.drive(call(&session), outage());
    assert_eq!((refreshing.result.is_ok(), signer(&refreshing), asked(&refreshing)), (true, "OLD", 3));
    // Not every call tries again.
    let next = world.drive(call(&session), outage());
    assert_eq!((signer(&next), asked(&next)), ("OLD", 0));
    world.pass(Duration::from_secs(60));
    let later = world.drive(call(&session), instance(json_keys("NEW", 2 * HOUR)));
    assert_eq!(signer(&later), "NEW");
}

/// With the default chain, and so many seconds for a call.
fn hasty(seconds: u64) -> Session {
    let mut config = Config::new("us-east-1").unwrap();
    config.credentials = CredentialsSource::Default(chain(&[]));
    config.operation_timeout = Some(Duration::from_secs(seconds));
    Session::new(config)
}

#[test]
fn a_refresh_that_hangs_harms_one_call_and_not_the_next() {
    let (mut world, session) = (World::default(), hasty(90));
    world.drive(call(&session), instance(json_keys("OLD", HOUR)));
    world.pass(LATE);
    let hung = world.drive(call(&session), s3_and(|_| Reply::Silence));
    assert_eq!((hung.error().kind(), hung.error().phase()), (ErrorKind::Timeout, Some(Phase::Credentials)));
    let next = world.drive(call(&session), outage());
    assert_eq!((next.result.is_ok(), signer(&next), asked(&next)), (true, "OLD", 0));
    world.pass(Duration::from_secs(60));
    let later = world.drive(call(&session), instance(json_keys("NEW", 2 * HOUR)));
    assert_eq!((signer(&later), asked(&later)), ("NEW", 2));
}

#[test]
fn an_outage_after_the_keys_have_expired_is_the_calls_failure() {
    let (mut world, session) = begun();
    world.pass(Duration::from_secs(3_600));
    let run = world.drive(call(&session), outage());
    let error = run.error();
    assert_eq!((error.kind(), error.phase()), (ErrorKind::CredentialsProvider, Some(Phase::Wait)));
    assert_eq!((error.operation(), error.bucket()), (Some("DeleteObject"), Some("bkt")));
    assert!(error.to_string().contains("instance metadata service at 169.254.169.254"), "{error}");
    let next = world.drive(call(&session), instance(json_keys("NEW", 2 * HOUR)));
    assert_eq!(signer(&next), "NEW");
}

#[test]
fn expired_keys_are_fetched_anew_once_and_the_same_request_is_sent_again() {
    let (mut world, session) = begun();
    let refused = Cell::new(0);
    let keys = json_keys("NEW", HOUR);
    let run = world.drive(call(&session), |request| {
        if host(request) == IMDS {
            return imds(request, &keys);
        }
        let old = request.headers()["authorization"].to_str().unwrap().contains("OLD/");
        refused.set(refused.get() + usize::from(old));
        if old { error(400, "ExpiredToken") } else { ok() }
    });
    assert_eq!((run.result.is_ok(), refused.get(), signer(&run)), (true, 1, "NEW"));
}

fn silent() -> Reply {
    Reply::Answer(400, Vec::new(), Vec::new())
}

/// A HEAD with keys that last an hour, answered by a bare 400 with this date until there are other keys.
fn bare_400(date: i64, after: Duration, keys: &Reply) -> (Run<(), HeadObjectOutput>, usize) {
    let (mut world, session) = begun();
    world.pass(after);
    let date = Timestamp::from_unix(START + date, 0).unwrap().http_date();
    let call = Call::new(session, HeadObject::new("bkt", "k"));
    let run = world.drive(call, |request| {
        if host(request) == IMDS {
            return imds(request, keys);
        }
        let is_old = request.headers()["authorization"].to_str().unwrap().contains("OLD/");
        if is_old { silent().with("date", date.clone()) } else { ok() }
    });
    let asked = asked(&run);
    (run, asked)
}

#[test]
fn a_head_that_is_refused_without_a_reason_after_the_keys_expired_by_the_services_clock_is_sent_with_others()
{
    let (run, asked) = bare_400(HOUR + 1, Duration::from_secs(60), &json_keys("NEW", 2 * HOUR));
    assert_eq!((run.result.is_ok(), asked, signer(&run)), (true, 2, "NEW"));
}

#[test]
fn a_head_that_is_refused_without_a_reason_while_the_keys_are_good_asks_for_no_others() {
    let (run, asked) = bare_400(60, Duration::from_secs(60), &json_keys("NEW", 2 * HOUR));
    let error = run.error();
    assert_eq!((error.kind(), asked), (ErrorKind::Service, 0));
    assert!(error.suggestion().unwrap().contains("GET"), "{error}");
}

#[test]
fn a_head_that_is_refused_without_a_reason_takes_keys_that_a_sibling_has_got_since() {
    let (mut world, session) = begun();
    let mut head = Call::new(session.clone(), HeadObject::new("bkt", "k"));
    let Step::Start(id, Task::Http(_)) = head.poll(world.now) else { panic!("not sent") };
    let mut refused = false;
    let keys = json_keys("NEW", HOUR);
    let sibling = world.drive(call(&session), |request| match host(request) {
        IMDS => imds(request, &keys),
        _ if std::mem::replace(&mut refused, true) => ok(),
        _ => error(400, "ExpiredToken"),
    });
    assert_eq!(signer(&sibling), "NEW");
    let _ = head.answer(world.now, id, Answer::Head(support::head(400, &[]).into()));
    let _ = head.answer(world.now, id, Answer::End(None));
    let run = world.drive_ref(&mut head, outage());
    assert_eq!((run.result.is_ok(), signer(&run), asked(&run)), (true, "NEW", 0));
}

/// A HEAD for a bucket in Ireland, sent in Virginia a second before its keys end by the service's clock. The object
/// is not answered with a reason, and its bucket with `told`, while the keys are the old ones or the region is wrong.
fn bare_400_at_the_end(session: Session, mut world: World, told: &Reply) -> (Vec<String>, usize) {
    world.pass(Duration::from_secs(60));
    let date = Timestamp::from_unix(START + HOUR - 1, 0).unwrap().http_date();
    let keys = json_keys("NEW", 2 * HOUR);
    let run = world.drive(Call::new(session, HeadObject::new("bkt", "k")), |request| {
        let authorization = request.headers().get("authorization").map(|v| v.to_str().unwrap());
        match authorization {
            _ if host(request) == IMDS => imds(request, &keys),
            Some(signed) if signed.contains("NEW/") && signed.contains("/eu-west-1/") => ok(),
            _ if request.uri().path() == "/" => told.clone().with("date", date.clone()),
            _ => silent().with("date", date.clone()),
        }
    });
    assert!(run.result.is_ok(), "{:?}", run.result);
    let to_s3 = run.sent.iter().filter(|sent| sent.host() != IMDS);
    let to_s3 = to_s3.map(|sent| {
        let signed = sent.header("authorization").unwrap();
        let keys = if signed.contains("OLD/") { "old" } else { "new" };
        let region = if signed.contains("/eu-west-1/") { "eu" } else { "us" };
        format!("{} {keys} {region}", sent.target())
    });
    (to_s3.collect(), asked(&run))
}

#[test]
fn a_head_in_the_wrong_region_at_the_end_of_its_keys_has_a_refresh_left_after_it_has_moved() {
    let (world, session) = begun();
    let told = silent().with("x-amz-bucket-region", "eu-west-1");
    let (sent, asked) = bare_400_at_the_end(session, world, &told);
    assert_eq!(
        (sent, asked),
        (["/k old us", "/ old us", "/k old eu", "/k new eu"].map(String::from).into(), 2)
    );
}

#[test]
fn a_head_whose_bucket_is_where_it_was_asked_for_is_sent_again_with_other_keys() {
    let here = silent().with("x-amz-bucket-region", "eu-west-1");
    // A bucket that does not tell either is asked with other keys as well.
    for (told, asks) in [(here, &["/ old eu"][..]), (silent(), &["/ old eu", "/ new eu"])] {
        let mut config = Config::new("eu-west-1").unwrap();
        config.credentials = CredentialsSource::Default(chain(&[]));
        let (mut world, session) = (World::default(), Session::new(config));
        world.drive(call(&session), instance(json_keys("OLD", HOUR)));
        let (sent, asked) = bare_400_at_the_end(session, world, &told);
        let expected = [&["/k old eu"], asks, &["/k new eu"]].concat();
        assert_eq!((sent, asked), (expected.into_iter().map(String::from).collect(), 2));
    }
}

#[test]
fn a_call_that_ends_while_its_bucket_is_asked_says_why_and_what_it_was() {
    let (mut world, session) = (World::default(), hasty(2));
    let run = world.drive(Call::new(session, HeadObject::new("bkt", "k")), |request| match host(request) {
        IMDS => imds(request, &json_keys("A", HOUR)),
        _ if request.uri().path() == "/" => Reply::Silence,
        _ => silent(),
    });
    let error = run.error();
    assert_eq!((error.kind(), error.key()), (ErrorKind::Timeout, Some("k")));
}

#[test]
fn keys_that_are_refused_again_are_the_end() {
    let (mut world, session) = begun();
    let keys = json_keys("NEW", HOUR);
    let run = world.drive(call(&session), |request| {
        if host(request) == IMDS { imds(request, &keys) } else { error(400, "ExpiredToken") }
    });
    assert_eq!((run.error().kind(), asked(&run)), (ErrorKind::ExpiredToken, 2));
}

#[test]
fn refused_keys_are_not_used_on_if_there_are_no_others() {
    let (mut world, session) = begun();
    let run = world.drive(call(&session), |request| {
        if host(request) == IMDS {
            Reply::Answer(500, Vec::new(), Vec::new())
        } else {
            error(400, "ExpiredToken")
        }
    });
    assert_eq!(run.error().kind(), ErrorKind::CredentialsProvider);
}

#[test]
fn keys_rotate_over_a_day() {
    let (mut world, session) = (World::default(), session());
    let mut signers = Vec::new();
    for hour in 0i64..24 {
        for minute in [1, 20, 58] {
            world.now = World::default().now;
            world.pass(Duration::from_secs(u64::try_from(hour * HOUR + minute * 60).unwrap()));
            // Each lasts until an hour after the full one, and is there before.
            let next = if minute == 58 { hour + 1 } else { hour };
            let keys = json_keys(&format!("KEYS{next}"), (next + 1) * HOUR);
            let run = world.drive(call(&session), instance(keys));
            signers.push(signer(&run).to_owned());
        }
    }
    assert_eq!(signers.first().map(String::as_str), Some("KEYS0"));
    assert_eq!(signers.last().map(String::as_str), Some("KEYS24"));
    signers.dedup();
    assert_eq!(signers.len(), 25);
}

#[test]
fn keys_that_come_expired_are_tried_and_not_fetched_for_ever() {
    let (mut world, session) = (World::default(), session());
    let run = world.drive(call(&session), instance(json_keys("STALE", -10)));
    assert_eq!((run.result.is_ok(), signer(&run), asked(&run)), (true, "STALE", 3));
    let run = world.drive(call(&session), |request| {
        if host(request) == IMDS {
            imds(request, &json_keys("STALE", -10))
        } else {
            error(400, "ExpiredToken")
        }
    });
    assert_eq!((run.error().kind(), asked(&run)), (ErrorKind::ExpiredToken, 2));
}

/// A call that has begun to fetch, by reading the first of its files.
fn fetching(world: &World, session: &Session) -> (Call<DeleteObject>, TaskId) {
    let mut call = call(session);
    let Step::Start(id, Task::ReadFile(_)) = call.poll(world.now) else { panic!("no fetch") };
    (call, id)
}

/// A thousand calls at once, of which the first fetches; says how many requests were made for credentials.
fn thousand(keys: &Reply) -> (usize, Vec<Result<(), s3_proto::Error>>) {
    let (mut world, session) = (World::default(), session());
    let (mut first, id) = fetching(&world, &session);
    let woken = Arc::<AtomicUsize>::default();
    let mut others = Vec::new();
    for _ in 1..1_000 {
        let mut other = call(&session);
        let Step::Start(id, Task::AwaitCredentials(ticket)) = other.poll(world.now) else {
            panic!("a second fetch")
        };
        let woken = Arc::clone(&woken);
        ticket.on_ready(move || {
            woken.fetch_add(1, Ordering::SeqCst);
        });
        others.push((other, id));
    }
    let _ = first.answer(world.now, id, Answer::File(Ok(None)));
    assert_eq!(woken.load(Ordering::SeqCst), 0);
    let run = world.drive_ref(&mut first, instance(keys.clone()));
    assert_eq!(woken.load(Ordering::SeqCst), 999);
    let mut requests = asked(&run);
    let mut results = vec![run.result.map(drop)];
    for (mut other, id) in others {
        let _ = other.answer(world.now, id, Answer::Ready);
        let run = world.drive_ref(&mut other, instance(keys.clone()));
        requests += asked(&run);
        results.push(run.result.map(drop));
    }
    (requests, results)
}

#[test]
fn a_thousand_calls_make_one_fetch() {
    let (requests, results) = thousand(&json_keys("A", HOUR));
    assert_eq!((requests, results.len()), (3, 1_000));
    assert!(results.iter().all(Result::is_ok));
}

#[test]
fn a_fetch_that_fails_fails_once_for_all_that_waited() {
    let (requests, results) = thousand(&body(r#"{"Code": "Failed", "Message": "no trust"}"#));
    assert_eq!((requests, results.len()), (3, 1_000));
    for error in results.into_iter().map(Result::unwrap_err) {
        assert_eq!(error.kind(), ErrorKind::CredentialsProvider);
        assert!(error.message().ends_with("failed: Failed: no trust"), "{error}");
    }
}

#[test]
fn a_call_that_is_cancelled_while_it_fetches_cancels_its_task_and_leaves_the_duty() {
    let (mut world, session) = (World::default(), session());
    let (mut first, id) = fetching(&world, &session);
    let mut second = call(&session);
    let Step::Start(waiting, Task::AwaitCredentials(_)) = second.poll(world.now) else {
        panic!("a second fetch")
    };
    first.cancel(world.now);
    assert!(matches!(first.poll(world.now), Step::Cancel(cancelled) if cancelled == id));
    assert!(matches!(first.poll(world.now), Step::Done(Err(e)) if e.kind() == ErrorKind::Cancelled));
    let _ = second.answer(world.now, waiting, Answer::Ready);
    let run = world.drive_ref(&mut second, instance(json_keys("A", HOUR)));
    assert_eq!((run.result.is_ok(), asked(&run)), (true, 3));
}

#[test]
fn the_time_limit_of_a_call_holds_while_it_fetches() {
    let mut config = Config::new("us-east-1").unwrap();
    config.credentials = CredentialsSource::Default(chain(&[]));
    config.operation_timeout = Some(Duration::from_secs(2));
    let run = World::default().drive(call(&Session::new(config)), |_| Reply::Silence);
    assert_eq!((run.error().kind(), run.error().phase()), (ErrorKind::Timeout, Some(Phase::Credentials)));
    assert_eq!((run.waits.as_slice(), run.cancelled.len()), (&[Duration::from_secs(2)][..], 1));
}

#[test]
fn a_custom_provider_is_cached_like_every_other() {
    let fetched = Arc::<AtomicUsize>::default();
    let count = Arc::clone(&fetched);
    let provider = CredentialsProvider::from_future("mine", move || {
        let count = Arc::clone(&count);
        async move {
            let n = count.fetch_add(1, Ordering::SeqCst);
            Credentials::new(format!("MINE{n}"), "s")
        }
    });
    let mut config = Config::new("us-east-1").unwrap();
    config.credentials = CredentialsSource::Custom(provider);
    let (mut world, session) = (World::default(), Session::new(config));
    assert_eq!(signer(&world.drive(call(&session), |_| ok())), "MINE0");
    assert_eq!(signer(&world.drive(call(&session), |_| ok())), "MINE0");
    let run = world.drive(call(&session), in_turn(vec![error(400, "ExpiredToken"), ok()]));
    assert_eq!((signer(&run), fetched.load(Ordering::SeqCst)), ("MINE1", 2));
}

#[test]
fn the_same_seed_asks_at_the_same_times() {
    let times = || {
        let mut world = World::default();
        let run = world.drive(call(&session()), outage());
        run.sent.iter().map(|sent| sent.at.mono).collect::<Vec<_>>()
    };
    assert_eq!(times(), times());
}
