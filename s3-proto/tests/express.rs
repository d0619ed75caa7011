//! Directory buckets (S3 Express One Zone): sessions, and what is signed with their credentials.
// Helpers outside of `#[test]` may fail the test.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

mod support;

use std::time::Duration;

use http::Request;
use s3_proto::call::PresignCall;
use s3_proto::credentials::CredentialsSource;
use s3_proto::ops::*;
use s3_proto::{Answer, Call, Config, ErrorKind, Machine, Payload, Session, Step, Task, TransportErrorKind};
use support::cloud::time;
use support::*;

const BUCKET: &str = "logs--use1-az4--x-s3";

fn call(session: &Session) -> Call<DeleteObject> {
    Call::new(session.clone(), DeleteObject::new(BUCKET, "k"))
}

fn is_session(request: &Request<Payload>) -> bool {
    request.uri().query() == Some("session")
}

/// A session of five minutes from so many seconds after the start on.
fn begun(id: &str, from: i64) -> Reply {
    body(format!(
        "<CreateSessionResult><Credentials><SessionToken>{id}-token</SessionToken><SecretAccessKey>s</SecretAccessKey>\
         <AccessKeyId>{id}</AccessKeyId><Expiration>{}</Expiration></Credentials></CreateSessionResult>",
        time(from + 300)
    ))
}

/// Begins sessions in this way, and takes everything else.
fn sessions(session: Reply) -> impl FnMut(&Request<Payload>) -> Reply {
    move |request| if is_session(request) { session.clone() } else { ok() }
}

fn signer(sent: &Sent) -> &str {
    let authorization = sent.header("authorization").unwrap();
    authorization.split_once("Credential=").unwrap().1.split('/').next().unwrap()
}

/// Whose keys signed each request.
fn signers<I, T>(run: &Run<I, T>) -> Vec<&str> {
    run.sent.iter().map(signer).collect()
}

/// A world and a client that has a session with the bucket.
fn ready() -> (World, Session) {
    let (mut world, session) = (World::default(), session());
    let run = world.drive(call(&session), sessions(begun("FIRST", 0)));
    assert_eq!(signers(&run), [KEY_ID, "FIRST"]);
    (world, session)
}

#[test]
fn the_first_request_begins_a_session_and_is_signed_with_its_credentials() {
    let run = drive(call(&session()), sessions(begun("FIRST", 0)));
    assert!(run.result.is_ok());
    let [create, delete] = run.sent.as_slice() else { panic!("{} requests", run.sent.len()) };
    let host = "logs--use1-az4--x-s3.s3express-use1-az4.us-east-1.amazonaws.com";
    assert_eq!((create.host(), create.target()), (host, "/?session"));
    assert_eq!((delete.host(), delete.target()), (host, "/k"));
    for sent in [create, delete] {
        assert!(sent.header("authorization").unwrap().contains("/us-east-1/s3express/aws4_request"));
        assert_eq!(sent.header("x-amz-security-token"), None);
    }
    assert_eq!(create.header("x-amz-s3session-token"), None);
    assert_eq!(delete.header("x-amz-s3session-token"), Some("FIRST-token"));
    assert!(delete.signed_headers().contains(&"x-amz-s3session-token"));
    assert!(delete.headers()["x-amz-s3session-token"].is_sensitive());
}

#[test]
fn one_session_serves_many_calls_and_each_bucket_has_its_own() {
    let (mut world, session) = ready();
    for _ in 0..10 {
        let run = world.drive(call(&session), sessions(begun("NEXT", 0)));
        assert_eq!(signers(&run), ["FIRST"]);
    }
    let other = Call::new(session.clone(), DeleteObject::new("other--use1-az4--x-s3", "k"));
    assert_eq!(signers(&world.drive(other, sessions(begun("OTHER", 0)))), [KEY_ID, "OTHER"]);
    assert_eq!(signers(&world.drive(call(&session), sessions(begun("NEXT", 0)))), ["FIRST"]);
}

#[test]
fn calls_that_need_a_session_at_once_wait_for_the_one_that_begins_it() {
    let (mut world, session) = (World::default(), session());
    let mut first = call(&session);
    let Step::Start(id, Task::Http(create)) = first.poll(world.now) else { panic!("no session") };
    assert!(is_session(&create.request));
    let mut others: Vec<_> = (0..100).map(|_| call(&session)).collect();
    let mut waiting = Vec::new();
    for other in &mut others {
        let Step::Start(id, Task::AwaitCredentials(_)) = other.poll(world.now) else {
            panic!("a second session")
        };
        waiting.push(id);
    }
    let Reply::Answer(status, headers, body) = begun("FIRST", 0) else { panic!("no answer") };
    let _ = first.answer(world.now, id, Answer::Head(head(status, &headers).into()));
    let _ = first.answer(world.now, id, Answer::Chunk(&body));
    let _ = first.answer(world.now, id, Answer::End(None));
    assert_eq!(signers(&world.drive(first, |_| ok())), ["FIRST"]);
    for (mut other, id) in others.into_iter().zip(waiting) {
        let _ = other.answer(world.now, id, Answer::Ready);
        assert_eq!(signers(&world.drive_ref(&mut other, |_| ok())), ["FIRST"]);
    }
}

#[test]
fn a_session_is_replaced_in_its_last_minute() {
    let (mut world, session) = ready();
    world.pass(Duration::from_secs(239));
    assert_eq!(signers(&world.drive(call(&session), |_| ok())), ["FIRST"]);
    world.pass(Duration::from_secs(21));
    let run = world.drive(call(&session), sessions(begun("NEXT", 260)));
    assert_eq!(signers(&run), [KEY_ID, "NEXT"]);
}

#[test]
fn the_old_session_is_used_on_while_no_new_one_can_be_begun() {
    let (mut world, session) = ready();
    let outage = || sessions(error(500, "InternalError"));
    world.pass(Duration::from_secs(262));
    let run = world.drive(call(&session), outage());
    assert_eq!(signers(&run), [KEY_ID, KEY_ID, KEY_ID, "FIRST"]);
    assert!(run.result.is_ok());
    // Not every call tries again.
    assert_eq!(signers(&world.drive(call(&session), outage())), ["FIRST"]);
    world.pass(Duration::from_secs(40));
    let run = world.drive(call(&session), outage());
    assert_eq!(run.error().kind(), ErrorKind::ServiceUnavailable);
    assert_eq!((run.error().operation(), run.error().bucket()), (Some("CreateSession"), Some(BUCKET)));
}

#[test]
fn a_session_that_has_ended_is_followed_by_another() {
    let (mut world, session) = ready();
    world.pass(Duration::from_secs(3_600));
    let run = world.drive(call(&session), sessions(begun("NEXT", 3_600)));
    assert_eq!(signers(&run), [KEY_ID, "NEXT"]);
}

#[test]
fn a_session_that_is_refused_as_expired_is_replaced_once() {
    let (mut world, session) = ready();
    let run = world.drive(call(&session), |request| {
        let old = request.headers().get("x-amz-s3session-token").is_some_and(|token| token == "FIRST-token");
        match (is_session(request), old) {
            (true, _) => begun("NEXT", 0),
            (false, true) => error(400, "ExpiredToken"),
            (false, false) => ok(),
        }
    });
    assert_eq!(signers(&run), ["FIRST", KEY_ID, "NEXT"]);
    assert!(run.result.is_ok());
    let run = world.drive(call(&session), |request| {
        if is_session(request) { begun("LAST", 0) } else { error(400, "ExpiredToken") }
    });
    assert_eq!((run.error().kind(), signers(&run)), (ErrorKind::ExpiredToken, vec!["NEXT", KEY_ID, "LAST"]));
}

#[test]
fn a_session_that_cannot_be_begun_fails_the_call_and_says_why() {
    let run = drive(call(&session()), sessions(error(403, "AccessDenied")));
    let error = run.error();
    assert_eq!((error.kind(), run.sent.len()), (ErrorKind::AccessDenied, 1));
    let text = error.to_string();
    assert!(text.contains(BUCKET) && text.contains("allowed to do CreateSession here"), "{text}");
    for answer in [
        body("<CreateSessionResult/>"),
        body("no XML"),
        body(
            "<CreateSessionResult><Credentials><AccessKeyId/><SecretAccessKey>s</SecretAccessKey><SessionToken>t\
             </SessionToken><Expiration>2030-01-01T00:00:00Z</Expiration></Credentials></CreateSessionResult>",
        ),
    ] {
        let run = drive(call(&session()), sessions(answer));
        assert_eq!(run.error().kind(), ErrorKind::MalformedResponse, "{}", run.error());
    }
}

#[test]
fn the_accounts_credentials_are_fetched_before_the_session_and_anew_if_they_have_expired() {
    let mut config = Config::new("us-east-1").unwrap();
    config.credentials = CredentialsSource::Default(cloud::chain(&[]));
    let session = Session::new(config);
    let mut refused = false;
    let run = World::default().drive(call(&session), |request| {
        let host = request.uri().host().unwrap();
        if host == cloud::IMDS {
            return cloud::imds(request, &cloud::json_keys("ROLE", 3_600));
        }
        if is_session(request) && !std::mem::replace(&mut refused, true) {
            return error(400, "ExpiredToken");
        }
        if is_session(request) { begun("FIRST", 0) } else { ok() }
    });
    assert!(run.result.is_ok());
    let creates: Vec<_> = run.sent.iter().filter(|sent| is_session(&sent.request)).collect();
    assert_eq!(creates.len(), 2);
    for create in creates {
        assert_eq!(create.header("x-amz-security-token"), Some("SwOrDTOKEN"));
        assert_eq!(create.header("x-amz-s3session-token"), None);
    }
    let last = run.sent.last().unwrap();
    assert_eq!(last.header("x-amz-s3session-token"), Some("FIRST-token"));
    assert_eq!(last.header("x-amz-security-token"), None);
}

/// The requests of an operation on the bucket, each by whose keys signed it.
fn signed_by<O: Operation>(config: Config, op: O) -> Vec<String> {
    let run = drive(Call::new(Session::new(config), op), |request| {
        if is_session(request) { begun("SESSION", 0) } else { error(403, "Stop") }
    });
    signers(&run).into_iter().map(ToOwned::to_owned).collect()
}

#[test]
fn sessions_are_for_objects_and_not_for_copies_and_buckets() {
    let from = || CopySource::new("from", "k");
    let covered = [KEY_ID, "SESSION"];
    assert_eq!(signed_by(aws(), PutObject::new(BUCKET, "k", Payload::Empty)), covered);
    assert_eq!(signed_by(aws(), HeadObject::new(BUCKET, "k")), covered);
    assert_eq!(signed_by(aws(), ListObjectsV2::new(BUCKET)), covered);
    assert_eq!(signed_by(aws(), CreateMultipartUpload::new(BUCKET, "k")), covered);
    assert_eq!(signed_by(aws(), DeleteObjects::new(BUCKET, Delete::keys(["a"]))), covered);
    assert_eq!(signed_by(aws(), HeadObject::new("point--use1-az4--xa-s3", "k")), covered);
    assert_eq!(signed_by(aws(), CopyObject::new(BUCKET, "k", from())), [KEY_ID]);
    assert_eq!(signed_by(aws(), UploadPartCopy::new(BUCKET, "k", from(), 1u32, "id")), [KEY_ID]);
    assert_eq!(signed_by(aws(), HeadBucket::new(BUCKET)), [KEY_ID]);
    assert_eq!(signed_by(aws(), DeleteBucket::new(BUCKET)), [KEY_ID]);
    assert_eq!(signed_by(aws(), HeadObject::new("plain", "k")), [KEY_ID]);
}

#[test]
fn sessions_can_be_turned_off() {
    let mut config = aws();
    config.endpoint_options.express_session_auth = false;
    assert_eq!(signed_by(config, HeadObject::new(BUCKET, "k")), [KEY_ID]);
}

#[test]
fn an_anonymous_request_begins_no_session() {
    let mut config = aws();
    config.credentials = CredentialsSource::Anonymous;
    let run = drive(call(&Session::new(config)), |_| ok());
    assert_eq!((run.sent.len(), run.sent[0].header("authorization")), (1, None));
}

#[test]
fn a_presigned_url_holds_the_token_of_the_session_and_lives_no_longer() {
    let presign = PresignCall::new(session(), &GetObject::new(BUCKET, "k"), Duration::from_secs(3_600));
    let run = drive(presign, sessions(begun("FIRST", 0)));
    assert_eq!(run.sent.len(), 1);
    let presigned = run.result.unwrap();
    let query = presigned.uri.query().unwrap();
    assert!(query.contains("X-Amz-S3session-Token=FIRST-token&"), "{query}");
    assert!(query.contains("%2Fs3express%2Faws4_request") && !query.contains("Security-Token"), "{query}");
    assert_eq!(presigned.expires_in, Duration::from_secs(300));
    assert!(!format!("{presigned:?}").contains("FIRST-token"));
}

#[test]
fn a_session_of_ones_own_can_be_begun_and_does_not_show_its_secrets() {
    let mut op = CreateSession::new(BUCKET);
    op.session_mode = Some(SessionMode::ReadOnly);
    let run = drive(Call::new(session(), op), sessions(begun("OWN", 0)));
    assert_eq!(run.sent[0].header("x-amz-create-session-mode"), Some("ReadOnly"));
    let output = run.result.unwrap();
    assert_eq!(output.credentials.session_token.expose(), "OWN-token");
    assert!(!format!("{output:?}").contains("OWN-token"));
}

#[test]
fn a_call_that_is_cancelled_while_its_session_begins_cancels_that() {
    let (world, session) = (World::default(), session());
    let mut first = call(&session);
    let Step::Start(id, Task::Http(_)) = first.poll(world.now) else { panic!("no session") };
    first.cancel(world.now);
    assert!(matches!(first.poll(world.now), Step::Cancel(cancelled) if cancelled == id));
    assert!(matches!(first.poll(world.now), Step::Done(Err(error)) if error.kind() == ErrorKind::Cancelled));
    // The duty is the next one's.
    assert!(matches!(call(&session).poll(world.now), Step::Start(_, Task::Http(_))));
}

#[test]
fn a_session_is_begun_again_after_a_passing_failure() {
    let mut failed = false;
    let run = drive(call(&session()), |request| {
        if is_session(request) && !std::mem::replace(&mut failed, true) {
            return Reply::Fail(s3_proto::Phase::Wait, TransportErrorKind::Timeout);
        }
        if is_session(request) { begun("FIRST", 0) } else { ok() }
    });
    assert!(run.result.is_ok());
    assert_eq!(signers(&run), [KEY_ID, KEY_ID, "FIRST"]);
}
