//! What calls count.
// Helpers outside of `#[test]` may fail the test.
#![cfg(feature = "metrics")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

mod support;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use metrics::{
    Counter, CounterFn, Gauge, GaugeFn, Histogram, HistogramFn, Key, KeyName, Metadata, Recorder,
    SharedString, Unit,
};
use s3_proto::breaker::BreakerConfig;
use s3_proto::call::Call;
use s3_proto::ops::{DeleteObject, ListObjectsV2, PutObject};
use s3_proto::{Payload, Session};
use support::*;

/// The sums of counters and histograms, and what gauges show.
type Numbers = BTreeMap<String, f64>;

#[derive(Clone, Default)]
struct Book(Arc<Mutex<Numbers>>);

struct Line(Book, String);

impl Line {
    fn add(&self, value: f64) {
        *self.0.0.lock().unwrap().entry(self.1.clone()).or_default() += value;
    }

    fn put(&self, value: f64) {
        self.0.0.lock().unwrap().insert(self.1.clone(), value);
    }
}

#[allow(clippy::cast_precision_loss, reason = "small numbers")]
impl CounterFn for Line {
    fn increment(&self, value: u64) {
        self.add(value as f64);
    }

    fn absolute(&self, value: u64) {
        self.put(value as f64);
    }
}

impl GaugeFn for Line {
    fn increment(&self, value: f64) {
        self.add(value);
    }

    fn decrement(&self, value: f64) {
        self.add(-value);
    }

    fn set(&self, value: f64) {
        self.put(value);
    }
}

impl HistogramFn for Line {
    fn record(&self, value: f64) {
        self.add(value);
    }
}

impl Book {
    fn line(&self, key: &Key) -> Arc<Line> {
        let labels: Vec<_> = key.labels().map(|l| format!("{}={}", l.key(), l.value())).collect();
        Arc::new(Line(self.clone(), format!("{}{{{}}}", key.name(), labels.join(","))))
    }
}

impl Recorder for Book {
    fn describe_counter(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}
    fn describe_gauge(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}
    fn describe_histogram(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}

    fn register_counter(&self, key: &Key, _: &Metadata<'_>) -> Counter {
        Counter::from_arc(self.line(key))
    }

    fn register_gauge(&self, key: &Key, _: &Metadata<'_>) -> Gauge {
        Gauge::from_arc(self.line(key))
    }

    fn register_histogram(&self, key: &Key, _: &Metadata<'_>) -> Histogram {
        Histogram::from_arc(self.line(key))
    }
}

fn counted(f: impl FnOnce()) -> Numbers {
    let book = Book::default();
    metrics::with_local_recorder(&book, f);
    let numbers = book.0.lock().unwrap();
    numbers.clone()
}

fn expect(numbers: &Numbers, expected: &[(&str, f64)]) {
    for (name, value) in expected {
        let got = numbers.get(*name);
        assert!(got.is_some_and(|got| (got - value).abs() < 1e-9), "{name} {value} in {numbers:#?}");
    }
}

#[test]
fn calls_attempts_retries_and_bytes_are_counted() {
    let numbers = counted(|| {
        let mut world = World::default();
        let session = session();
        let put = PutObject::new("bkt", "k", Payload::Bytes(Bytes::from_static(b"12345")));
        let script = vec![error(500, "InternalError"), ok()];
        world.drive(Call::new(session.clone(), put), in_turn(script)).result.unwrap();
        let list = "<ListBucketResult></ListBucketResult>";
        let script = vec![error(503, "SlowDown").with("x-amz-retry-after", "2000"), body(list)];
        world.drive(Call::new(session.clone(), ListObjectsV2::new("bkt")), in_turn(script)).result.unwrap();
        let denied =
            world.drive(Call::new(session, DeleteObject::new("bkt", "k")), |_| error(403, "AccessDenied"));
        denied.result.unwrap_err();
    });
    let received = error_document("SlowDown", "").len() + "<ListBucketResult></ListBucketResult>".len();
    let put = error_document("InternalError", "").len();
    #[allow(clippy::cast_precision_loss, reason = "small numbers")]
    let (received, put) = (received as f64, put as f64);
    expect(
        &numbers,
        &[
            ("s3_calls_total{operation=PutObject,outcome=ok}", 1.0),
            ("s3_calls_total{operation=DeleteObject,outcome=AccessDenied}", 1.0),
            ("s3_attempts_total{operation=PutObject}", 2.0),
            ("s3_retries_total{operation=PutObject,reason=transient}", 1.0),
            ("s3_retries_total{operation=ListObjectsV2,reason=throttling}", 1.0),
            ("s3_throttles_total{operation=ListObjectsV2}", 1.0),
            ("s3_sent_bytes_total{operation=PutObject}", 10.0),
            ("s3_received_bytes_total{operation=ListObjectsV2}", received),
            ("s3_received_bytes_total{operation=PutObject}", put),
            ("s3_call_duration_seconds{operation=ListObjectsV2}", 2.0),
        ],
    );
}

#[test]
fn the_state_of_a_breaker_is_shown() {
    let mut breaker = BreakerConfig::default();
    breaker.min_volume = 1;
    let session = Session::new(aws().with_circuit_breaker(breaker).with_max_attempts(1));
    let mut world = World::default();
    let mut call = |reply: Reply| {
        let machine = Call::new(session.clone(), DeleteObject::new("bkt", "k"));
        let numbers = counted(|| drop(world.drive(machine, move |_| reply.clone())));
        world.pass(Duration::from_secs(5));
        numbers
    };
    let host = "s3_breaker_open{host=bkt.s3.us-east-1.amazonaws.com}";
    expect(&call(error(500, "InternalError")), &[(host, 1.0)]);
    expect(&call(ok()), &[(host, 0.0)]);
}

#[test]
fn a_wait_for_a_connection_is_recorded() {
    let numbers = counted(|| s3_proto::observe::pool_waited("bkt.example", Duration::from_millis(250)));
    expect(&numbers, &[("s3_pool_wait_seconds{}", 0.25)]);
}
