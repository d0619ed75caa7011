//! Does a workload, and says what it took.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::clients::{Asynchronous, Blocking};
use crate::machine::{cpu_time, peak_memory};
use crate::object;
use crate::workload::{Op, Workload, World};

/// What a workload took in one process.
#[derive(Clone, Debug)]
pub(crate) struct Sample {
    /// Operations a second.
    pub(crate) ops: f64,
    /// Megabytes a second.
    pub(crate) mb: f64,
    /// Latencies in seconds.
    pub(crate) p50: f64,
    pub(crate) p99: f64,
    /// Seconds of processor time an operation, user's and system's.
    pub(crate) cpu: f64,
    /// The most memory of the process, in bytes.
    pub(crate) memory: f64,
}

impl Sample {
    fn new(results: Vec<Duration>, wall: Duration, cpu: Duration, bytes: u64) -> Self {
        let mut latencies = results;
        latencies.sort_unstable();
        let count = latencies.len();
        let at = |percent: usize| latencies[(count * percent / 100).min(count - 1)].as_secs_f64();
        Self {
            ops: count as f64 / wall.as_secs_f64(),
            mb: bytes as f64 / 1e6 / wall.as_secs_f64(),
            p50: at(50),
            p99: at(99),
            cpu: cpu.as_secs_f64() / count as f64,
            memory: peak_memory() as f64,
        }
    }

    pub(crate) fn to_json(&self) -> Value {
        let Self { ops, mb, p50, p99, cpu, memory } = self;
        json!({"ops": ops, "mb": mb, "p50": p50, "p99": p99, "cpu": cpu, "memory": memory})
    }

    pub(crate) fn from_json(text: &str) -> Self {
        let value: Value = serde_json::from_str(text).unwrap();
        let number = |name: &str| value[name].as_f64().unwrap();
        Self {
            ops: number("ops"),
            mb: number("mb"),
            p50: number("p50"),
            p99: number("p99"),
            cpu: number("cpu"),
            memory: number("memory"),
        }
    }
}

/// Operations that are still to be done, by whoever comes first.
#[derive(Clone)]
struct Left(Arc<AtomicU64>);

impl Left {
    fn new(operations: u64) -> Self {
        Self(Arc::new(AtomicU64::new(operations)))
    }

    fn take(&self) -> bool {
        self.0.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(1)).is_ok()
    }
}

/// How often small operations are done before the clock starts.
fn warm_up(operations: u64) -> u64 {
    if operations == 1 { 0 } else { operations / 10 }
}

pub(crate) fn asynchronous<C: Asynchronous>(workload: &Workload, world: &World) -> Sample {
    C::block_on(world.spread, async {
        let (operations, expected) = (world.scale.operations(workload), world.scale.expected(workload.op));
        let client = C::new(world);
        side_by_side(&client, workload, expected, warm_up(operations)).await;
        let (cpu, begun) = (cpu_time(), Instant::now());
        let latencies = side_by_side(&client, workload, expected, operations).await;
        end(workload, world, latencies, begun.elapsed(), cpu_time().saturating_sub(cpu))
    })
}

async fn side_by_side<C: Asynchronous>(
    client: &C,
    workload: &Workload,
    expected: u64,
    operations: u64,
) -> Vec<Duration> {
    let (left, op) = (Left::new(operations), workload.op);
    let tasks: Vec<_> = (0..workload.in_flight)
        .map(|_| {
            let (client, left) = (client.clone(), left.clone());
            C::spawn(async move {
                let mut latencies = Vec::new();
                while left.take() {
                    let begun = Instant::now();
                    assert_eq!(client.call(op).await, expected);
                    latencies.push(begun.elapsed());
                }
                latencies
            })
        })
        .collect();
    futures_util::future::join_all(tasks).await.concat()
}

pub(crate) fn blocking<C: Blocking>(workload: &Workload, world: &World) -> Sample {
    let (operations, expected) = (world.scale.operations(workload), world.scale.expected(workload.op));
    let client = C::new(world);
    on_threads(&client, workload, expected, warm_up(operations));
    let (cpu, begun) = (cpu_time(), Instant::now());
    let latencies = on_threads(&client, workload, expected, operations);
    end(workload, world, latencies, begun.elapsed(), cpu_time().saturating_sub(cpu))
}

fn on_threads<C: Blocking>(client: &C, workload: &Workload, expected: u64, operations: u64) -> Vec<Duration> {
    let left = Left::new(operations);
    let work = || {
        let mut latencies = Vec::new();
        while left.take() {
            let begun = Instant::now();
            assert_eq!(client.call(workload.op), expected);
            latencies.push(begun.elapsed());
        }
        latencies
    };
    thread::scope(|scope| {
        let threads: Vec<_> = (0..workload.in_flight).map(|_| scope.spawn(work)).collect();
        threads.into_iter().flat_map(|thread| thread.join().unwrap()).collect()
    })
}

fn end(
    workload: &Workload,
    world: &World,
    latencies: Vec<Duration>,
    wall: Duration,
    cpu: Duration,
) -> Sample {
    let bytes = match workload.op {
        Op::List => 0,
        op => world.scale.expected(op) * latencies.len() as u64,
    };
    let sample = Sample::new(latencies, wall, cpu, bytes);
    if workload.op == Op::Download {
        object::verify(&world.target, world.scale.object);
        std::fs::remove_file(&world.target).unwrap();
    }
    sample
}
