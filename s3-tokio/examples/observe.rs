//! Watches a client at work: spans and events of each call, and its counters, on the console.
//!
//! ```text
//! cargo run -p s3-tokio --example observe
//! ```
//!
//! The server is an embedded one. In a program of yours, put the exporters that you use in the place of the two
//! that print here: `tracing-opentelemetry` for the spans, `metrics-exporter-prometheus` for the numbers.

// It is there to be watched.
#![allow(clippy::print_stdout)]

use std::collections::BTreeMap;
use std::error::Error;
use std::sync::{Arc, Mutex, PoisonError};

use metrics::{Counter, Gauge, Histogram, Key, KeyName, Metadata, Recorder, SharedString, Unit};
use s3_test_server::Server;
use s3_tokio::s3_proto::limit::RateLimit;
use s3_tokio::{Client, Config, Credentials};
use tracing::Level;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::fmt::format::FmtSpan;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    // Every span when it closes, with its fields and how long it took, and every event inside of it.
    let console = tracing_subscriber::fmt::layer()
        .with_span_events(FmtSpan::CLOSE)
        .with_target(false)
        .with_writer(std::io::stdout);
    // The server in this program has spans too.
    let ours = ["s3_proto", "s3_io", "s3_tokio"].map(|target| (target, Level::DEBUG));
    let ours = Targets::new().with_targets(ours);
    tracing_subscriber::registry().with(console).with(ours).init();
    let numbers = Numbers::default();
    metrics::set_global_recorder(numbers.clone())?;

    let server = Server::builder().credentials("AKIDOBSERVE", "not-much-of-a-secret").start().await?;
    let mut config = Config::new("us-east-1")?
        .with_endpoint(server.endpoint())?
        .with_credentials(Credentials::new("AKIDOBSERVE", "not-much-of-a-secret")?)
        // So that there is a decision to be seen: the fifth request has to wait.
        .with_rate_limit(RateLimit::operations(4.0));
    // Keys may be personal data, so that they are shown only if asked for.
    config.trace_keys = true;
    let client = Client::new(config)?;

    client.create_bucket("watched").await?;
    client.put_object("watched", "greeting.txt", "hello").await?;
    let body = client.get_object("watched", "greeting.txt").await?.body.collect().await?;
    println!("-- read {} bytes", body.len());
    let missing = client.head_object("watched", "nothing.txt").await;
    println!("-- {}", missing.map_or_else(|error| error.to_string(), |_| "found".to_owned()));
    client.delete_object("watched", "greeting.txt").await?;
    client.delete_bucket("watched").await?;

    println!("\n-- counters, and how often and for how long in all");
    for (name, cell) in &*lock(&numbers.0) {
        let (count, sum) = *lock(cell);
        println!("{name:<72} {count:>4} {sum:>12.6}");
    }
    Ok(())
}

/// How many there were, and their sum.
type Cell = Mutex<(u64, f64)>;

/// Keeps numbers by name and labels.
#[derive(Clone, Default)]
struct Numbers(Arc<Mutex<BTreeMap<String, Arc<Cell>>>>);

impl Numbers {
    fn cell(&self, key: &Key) -> Arc<One> {
        let labels: Vec<_> = key.labels().map(|label| format!("{}={}", label.key(), label.value())).collect();
        let name = format!("{} {}", key.name(), labels.join(" "));
        Arc::new(One(Arc::clone(lock(&self.0).entry(name).or_default())))
    }
}

struct One(Arc<Cell>);

impl One {
    fn add(&self, count: u64, value: f64) {
        let mut cell = lock(&self.0);
        *cell = (cell.0 + count, cell.1 + value);
    }
}

impl metrics::CounterFn for One {
    fn increment(&self, value: u64) {
        self.add(value, 0.0);
    }

    fn absolute(&self, value: u64) {
        *lock(&self.0) = (value, 0.0);
    }
}

impl metrics::GaugeFn for One {
    fn increment(&self, value: f64) {
        self.add(0, value);
    }

    fn decrement(&self, value: f64) {
        self.add(0, -value);
    }

    fn set(&self, value: f64) {
        *lock(&self.0) = (1, value);
    }
}

impl metrics::HistogramFn for One {
    fn record(&self, value: f64) {
        self.add(1, value);
    }
}

impl Recorder for Numbers {
    fn describe_counter(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}
    fn describe_gauge(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}
    fn describe_histogram(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}

    fn register_counter(&self, key: &Key, _: &Metadata<'_>) -> Counter {
        Counter::from_arc(self.cell(key))
    }

    fn register_gauge(&self, key: &Key, _: &Metadata<'_>) -> Gauge {
        Gauge::from_arc(self.cell(key))
    }

    fn register_histogram(&self, key: &Key, _: &Metadata<'_>) -> Histogram {
        Histogram::from_arc(self.cell(key))
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
