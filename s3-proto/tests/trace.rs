//! What calls tell by spans and events, and that no secret is among it.
// Helpers outside of `#[test]` may fail the test.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

mod support;

use std::collections::BTreeMap;
use std::fmt::{Debug, Write as _};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use s3_proto::breaker::BreakerConfig;
use s3_proto::call::{Call, PresignCall};
use s3_proto::credentials::CredentialsProvider;
use s3_proto::limit::RateLimit;
use s3_proto::ops::{DeleteObject, PutObject, SseCustomerKey};
use s3_proto::{
    Answer, Config, ETag, Error, ErrorKind, Machine, Payload, Phase, Session, Step, TransportErrorKind,
};
use support::*;
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Dispatch, Event, Metadata, Subscriber};

/// Writes all down.
#[derive(Clone, Default)]
struct Collector(Arc<Inner>);

#[derive(Default)]
struct Inner {
    next: AtomicU64,
    spans: Mutex<BTreeMap<u64, Span>>,
    events: Mutex<Vec<String>>,
    inside: Mutex<Vec<u64>>,
}

#[derive(Clone, Default, Debug)]
struct Span {
    name: &'static str,
    parent: Option<u64>,
    fields: BTreeMap<&'static str, String>,
}

impl Visit for Span {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        self.fields.insert(field.name(), format!("{value:?}").trim_matches('"').to_owned());
    }
}

struct Text(String);

impl Visit for Text {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        write!(self.0, "{}={value:?} ", field.name()).unwrap();
    }
}

impl Subscriber for Collector {
    fn enabled(&self, _: &Metadata<'_>) -> bool {
        true
    }

    fn new_span(&self, attributes: &Attributes<'_>) -> Id {
        let id = self.0.next.fetch_add(1, Ordering::SeqCst) + 1;
        let mut span = Span { name: attributes.metadata().name(), ..Span::default() };
        span.parent = attributes.parent().map(Id::into_u64);
        attributes.record(&mut span);
        self.0.spans.lock().unwrap().insert(id, span);
        Id::from_u64(id)
    }

    fn record(&self, id: &Id, values: &Record<'_>) {
        values.record(self.0.spans.lock().unwrap().get_mut(&id.into_u64()).unwrap());
    }

    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn event(&self, event: &Event<'_>) {
        let mut text = Text(String::new());
        event.record(&mut text);
        self.0.events.lock().unwrap().push(text.0);
    }

    fn enter(&self, id: &Id) {
        self.0.inside.lock().unwrap().push(id.into_u64());
    }

    fn exit(&self, id: &Id) {
        assert_eq!(self.0.inside.lock().unwrap().pop(), Some(id.into_u64()), "left in order");
    }
}

impl Collector {
    fn run<T>(f: impl FnOnce() -> T) -> (T, Self) {
        let collector = Self::default();
        let result = tracing::dispatcher::with_default(&Dispatch::new(collector.clone()), f);
        assert!(collector.0.inside.lock().unwrap().is_empty(), "all spans were left");
        (result, collector)
    }

    fn spans(&self, name: &str) -> Vec<Span> {
        self.0.spans.lock().unwrap().values().filter(|span| span.name == name).cloned().collect()
    }

    fn events(&self) -> Vec<String> {
        self.0.events.lock().unwrap().clone()
    }

    /// All that was told.
    fn text(&self) -> String {
        format!("{:?}\n{}", self.0.spans.lock().unwrap(), self.events().join("\n"))
    }
}

impl Span {
    fn field(&self, name: &str) -> Option<&str> {
        self.fields.get(name).map(String::as_str)
    }
}

fn delete() -> DeleteObject {
    DeleteObject::new("bkt", "private-name")
}

#[test]
fn each_call_and_each_attempt_has_a_span_with_the_usual_names() {
    let busy = error(503, "SlowDown").with("x-amz-request-id", "REQ1");
    let fine = ok().with("x-amz-request-id", "REQ2").with("x-amz-id-2", "HOST2");
    let (run, told) = Collector::run(|| drive(Call::new(session(), delete()), in_turn(vec![busy, fine])));
    assert!(run.result.is_ok());

    let [call] = &told.spans("s3.call")[..] else { panic!("one call") };
    let expected = [
        ("rpc.system", "aws-api"),
        ("rpc.service", "S3"),
        ("rpc.method", "DeleteObject"),
        ("aws.s3.bucket", "bkt"),
        ("cloud.region", "us-east-1"),
        ("http.response.status_code", "200"),
        ("aws.request_id", "REQ2"),
        ("aws.extended_request_id", "HOST2"),
        ("attempts", "2"),
    ];
    for (name, value) in expected {
        assert_eq!(call.field(name), Some(value), "{name}");
    }
    let [first, second] = &told.spans("s3.attempt")[..] else { panic!("two attempts") };
    for (attempt, resends, status, id) in [(first, "0", "503", "REQ1"), (second, "1", "200", "REQ2")] {
        assert_eq!(attempt.parent, Some(1));
        assert_eq!(attempt.field("http.request.method"), Some("DELETE"));
        assert_eq!(attempt.field("server.address"), Some("bkt.s3.us-east-1.amazonaws.com"));
        assert_eq!(attempt.field("http.request.resend_count"), Some(resends));
        assert_eq!(attempt.field("http.response.status_code"), Some(status));
        assert_eq!(attempt.field("aws.request_id"), Some(id));
    }
    assert_eq!((first.field("error.type"), second.field("error.type")), (Some("SlowDown"), None));
}

#[test]
fn every_decision_is_an_event_with_its_reason() {
    let lost = Reply::Fail(Phase::Wait, TransportErrorKind::Closed);
    let redirect = error(301, "PermanentRedirect").with("x-amz-bucket-region", "eu-west-1");
    let skewed = error(403, "RequestTimeTooSkewed").with("date", "Sun, 30 Aug 2015 13:36:00 GMT");
    let mut put = PutObject::new("bkt", "k", Payload::Empty);
    put.if_none_match = Some(ETag::ANY);
    let mut breaker = BreakerConfig::default();
    breaker.min_volume = 1;
    let guarded = Session::new(aws().with_circuit_breaker(breaker).with_max_attempts(1));
    let limited = Session::new(aws().with_rate_limit(RateLimit::operations(1.0)));
    let refusing = RateLimit::operations(1.0).with_max_wait(Duration::ZERO);
    let refusing = Session::new(aws().with_rate_limit(refusing));

    let ((), told) = Collector::run(|| {
        let call = |session: &Session, script: Vec<Reply>| {
            drop(drive(Call::new(session.clone(), delete()), in_turn(script)));
        };
        call(&session(), vec![redirect, skewed, error(500, "InternalError")]);
        drop(drive(Call::new(session(), put), in_turn(vec![lost, error(412, "PreconditionFailed")])));
        for session in [guarded, limited, refusing] {
            call(&session, vec![error(500, "InternalError")]);
            call(&session, vec![ok()]);
        }
    });
    let expected: &[&[&str]] = &[
        &["redirected", "eu-west-1"],
        &["the clock is off", "seconds=3600"],
        &["trying again", "reason=\"transient\"", "error.code=\"InternalError\"", "wait="],
        &["not trying again", "last attempt"],
        &["looking at what is there", "PreconditionFailed"],
        &["the circuit breaker has changed", "state=\"open\"", "bkt.s3.us-east-1.amazonaws.com"],
        &["refused by the circuit breaker", "wait="],
        &["waiting for the turn", "wait="],
        &["refused by the rate limit"],
        &["failed", "error.kind=CircuitOpen"],
    ];
    let events = told.events();
    for parts in expected {
        let found = events.iter().any(|event| parts.iter().all(|part| event.contains(part)));
        assert!(found, "{parts:?} in {events:#?}");
    }
}

/// Does a step on a thread of its own, as a runtime may, and sees that it leaves all spans.
#[allow(clippy::disallowed_methods, reason = "the test is about threads")]
fn elsewhere<T: Send>(collector: &Collector, step: impl FnOnce() -> T + Send) -> (std::thread::ThreadId, T) {
    let dispatch = Dispatch::new(collector.clone());
    let run = || {
        let result = tracing::dispatcher::with_default(&dispatch, step);
        (std::thread::current().id(), result)
    };
    let result = std::thread::scope(|scope| scope.spawn(run).join().unwrap());
    assert!(collector.0.inside.lock().unwrap().is_empty(), "all spans were left");
    assert_ne!(result.0, std::thread::current().id());
    result
}

#[test]
fn spans_are_entered_only_while_the_machine_works() {
    let collector = Collector::default();
    let dispatch = Dispatch::new(collector.clone());
    let now = World::default().now;
    let mut machine = tracing::dispatcher::with_default(&dispatch, || Call::new(session(), delete()));
    let (_, first) = elsewhere(&collector, || machine.poll(now));
    let Step::Start(id, _) = first else { panic!() };
    let answer = || {
        let _ = machine.answer(now, id, Answer::Head(head(204, &[]).into()));
        let _ = machine.answer(now, id, Answer::End(None));
    };
    elsewhere(&collector, answer);
    let (_, last) = elsewhere(&collector, || machine.poll(now));
    assert!(matches!(last, Step::Done(Ok(_))));
    assert_eq!(collector.spans("s3.call")[0].field("http.response.status_code"), Some("204"));
}

/// A configuration full of what nobody may see.
fn secretive() -> Config {
    let keys = credentials().with_session_token("MARK-token".to_owned());
    aws().with_credentials(keys)
}

/// Calls that succeed, fail, are repeated and looked at.
fn busy(config: &Config) -> String {
    let ((), told) = Collector::run(|| {
        let session = Session::new(config.clone());
        let message = "the object private-name MARK-message is not there";
        let document = format!("<Error><Code>InternalError</Code><Message>{message}</Message></Error>");
        let failing = Reply::Answer(500, Vec::new(), document.into_bytes());
        let mut put = PutObject::new("bkt", "private-name", Payload::Bytes(Bytes::from_static(b"MARK-body")));
        put.sse_customer_key = Some(SseCustomerKey::new([b'M'; 32]));
        put.if_none_match = Some(ETag::ANY);
        let script = vec![failing.clone(), error(412, "PreconditionFailed"), failing];
        drop(drive(Call::new(session.clone(), put), in_turn(script)));
        drop(drive(PresignCall::new(session, &delete(), Duration::from_secs(60)), |_| ok()));
    });
    told.text()
}

#[test]
fn no_secret_is_told() {
    let told = busy(&secretive());
    assert!(told.contains("trying again") && told.contains("PutObject"), "something was told");
    let key = "TU1NTU1NTU1NTU1NTU1NTU1NTU1NTU1NTU1NTU1NTU0=";
    for secret in [SECRET, "MARK-token", "MARK-body", "MARK-message", key, "Signature", "AWS4-HMAC"] {
        assert!(!told.contains(secret), "{secret} in {told}");
    }
}

#[test]
fn a_refresh_that_fails_is_told_without_its_message() {
    let ((), told) = Collector::run(|| {
        let fetched = AtomicU64::new(0);
        let provider = CredentialsProvider::new("mine", move |tasks| {
            let is_first = fetched.fetch_add(1, Ordering::SeqCst) == 0;
            async move {
                if is_first {
                    return Ok(credentials()
                        .with_expiry(tasks.now().wall.saturating_add(Duration::from_secs(3_600))));
                }
                Err(Error::new(ErrorKind::CredentialsProvider, "MARK-message"))
            }
        });
        let session = Session::new(aws().with_credentials_provider(provider));
        let mut world = World::default();
        for _ in 0..2 {
            assert!(world.drive(Call::new(session.clone(), delete()), |_| ok()).result.is_ok());
            world.pass(Duration::from_secs(3_400));
        }
    });
    let told = told.text();
    assert!(told.contains("the old ones are used on") && told.contains("CredentialsProvider"), "{told}");
    assert!(!told.contains("MARK-message"), "{told}");
}

#[test]
fn keys_are_told_only_if_asked_for() {
    let mut config = secretive();
    assert!(!busy(&config).contains("private-name"));
    config.trace_keys = true;
    assert!(busy(&config).contains("private-name"));
}
