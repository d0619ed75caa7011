//! Many calls at once on a server that fails one request in ten: each succeeds or is reported, none has an effect
//! that nobody knows of, and memory stays flat.
//!
//! `S3_LOAD=10000` sets how many calls each driver makes, 256 at a time; 2,000 if it is not set.
#![allow(clippy::unwrap_used, clippy::panic, reason = "helpers of tests are not known to be tests")]
#![allow(clippy::unused_self, dead_code, reason = "the harness is that of the parity suite")]
#![allow(clippy::print_stdout, reason = "the figures are what this is for")]

#[path = "parity/drivers.rs"]
mod drivers;
#[path = "parity/harness.rs"]
mod harness;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Instant;

use s3_test_server::Fault;

use drivers::{AsyncStd, Blocking, Smol, Tokio};
use harness::{Harness, World};

const AT_ONCE: usize = 256;

/// How much more memory, in KiB, there may be after a third of all calls than before it: what the server stores of each
/// call, and what the allocator holds back.
fn growth(calls: usize) -> u64 {
    4 * 1024 + 2 * (calls as u64).div_ceil(3)
}

/// Memory in use, in KiB, the server's included, where the system tells it as Linux does.
fn resident() -> Option<u64> {
    let statm = std::fs::read_to_string("/proc/self/statm").ok()?;
    // In pages of 4 KiB.
    Some(statm.split(' ').nth(1)?.parse::<u64>().ok()? * 4)
}

fn load<H: Harness>(calls: usize) {
    let world = World::<H>::new();
    let client = world.client_with(|config, options| {
        config.retry.max_attempts = 5;
        options.max_connections = Some(AT_ONCE);
    });
    // Every tenth request, in turn: not done and said so, not done, and done but not said.
    let seen = Arc::new(Mutex::new(BTreeMap::<String, u32>::new()));
    let (log, mut count) = (Arc::clone(&seen), 0_u32);
    world.server().on_request(move |head| {
        let path = head.target.split('?').next().unwrap_or_default();
        *log.lock().unwrap().entry(path.to_owned()).or_default() += 1;
        count += 1;
        match count % 40 {
            10 => Some(Fault::error(500, "InternalError")),
            20 => Some(Fault::error(503, "ServiceUnavailable")),
            30 => Some(Fault::Close),
            0 => Some(Fault::LoseResponse),
            _ => None,
        }
    });
    let (began, mut reported, mut marks) = (Instant::now(), 0, [None; 3]);
    let (mut requests, mut most) = (0, 0);
    let numbers: Vec<usize> = (0..calls).collect();
    for wave in numbers.chunks(AT_ONCE) {
        let puts =
            wave.iter().map(|n| client.put_object(&world.bucket, format!("key-{n}"), format!("content {n}")));
        let results = H::send_all(puts.collect());
        assert_eq!(results.len(), wave.len());
        let seen = std::mem::take(&mut *seen.lock().unwrap());
        for (n, result) in wave.iter().zip(results) {
            let attempts = seen[&format!("/{}/key-{n}", world.bucket)];
            let stored = world.server().store().read(&world.bucket, &format!("key-{n}"));
            assert!(attempts <= 5, "{attempts} attempts");
            assert!(stored.as_ref().is_none_or(|stored| *stored == format!("content {n}")), "other content");
            match result {
                Ok(_) => assert!(stored.is_some(), "what was acknowledged is not there"),
                Err(error) => {
                    assert!(error.is_retryable(), "{error}");
                    assert_eq!(error.attempts(), attempts, "{error}");
                    reported += 1;
                }
            }
            requests += attempts;
            most = most.max(attempts);
        }
        world.server().clear_requests();
        for mark in marks.iter_mut().skip(wave[0] * 3 / calls) {
            *mark = resident();
        }
    }
    let seconds = began.elapsed().as_secs_f64();
    println!(
        "{:<10} {calls} calls, {requests} requests, at most {most} for one, {reported} failures reported, {seconds:.1} s",
        H::NAME
    );
    if let [Some(warm), Some(later), Some(last)] = marks {
        println!(
            "{:<10} {warm} KiB after a third of the calls, {later} after two, {last} at the end",
            H::NAME
        );
        // The first third is to warm up. What is lost with each call shows in both others; the threads' first use of
        // the allocator comes in a leap.
        let least = later.saturating_sub(warm).min(last.saturating_sub(later));
        assert!(least <= growth(calls), "memory grows by {least} KiB in a third of the calls");
    } else {
        println!("skipped: this system does not tell how much memory is in use");
    }
    // One request in ten fails; that all attempts of a call do is one in 100,000, and the quota may end a few more.
    assert!(reported * 50 <= calls, "{reported} failures of {calls} calls");
}

fn main() {
    let calls = std::env::var("S3_LOAD").map_or(2_000, |calls| calls.parse().unwrap());
    load::<Tokio>(calls);
    load::<Blocking>(calls);
    load::<AsyncStd>(calls);
    load::<Smol>(calls);
    println!("\ntest result: ok. 4 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out");
}
