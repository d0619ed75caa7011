//! The same scenarios, written once, on every driver, over sockets: what one can do, each can.
//!
//! ```text
//! cargo test -p s3-tests --test parity [-- FILTER]
//! ```
//!
//! Prints a table of scenarios and drivers. Each cell has an embedded server of its own, or shares the service at
//! `S3_ENDPOINT_URL` with `AWS_ACCESS_KEY_ID`, `AWS_SECRET_ACCESS_KEY` and `AWS_REGION`. What such a store does not
//! implement is said and not held against it, and scenarios that need the embedded server are left out. With
//! `S3_SKIP_ODD_KEYS=1` keys are left out that stores with a file system below cannot hold.
#![allow(clippy::unwrap_used, clippy::panic, reason = "helpers of tests are not known to be tests")]
#![allow(
    clippy::unnecessary_wraps,
    clippy::unused_self,
    reason = "scenarios and what they use have one shape"
)]
#![allow(clippy::format_push_string, reason = "nothing here has to be fast")]
#![allow(clippy::print_stdout, reason = "the table is what this is for")]

#[path = "parity/buckets.rs"]
mod buckets;
#[path = "parity/credentials.rs"]
mod credentials;
#[path = "parity/downloads.rs"]
mod downloads;
#[path = "parity/drivers.rs"]
mod drivers;
#[path = "parity/faults.rs"]
mod faults;
#[path = "parity/harness.rs"]
mod harness;
#[path = "parity/listing.rs"]
mod listing;
#[path = "parity/mocks.rs"]
mod mocks;
#[path = "parity/multipart.rs"]
mod multipart;
#[path = "parity/objects.rs"]
mod objects;
#[path = "parity/signing.rs"]
mod signing;
#[path = "parity/streams.rs"]
mod streams;
#[path = "parity/tags.rs"]
mod tags;
#[path = "parity/transfers.rs"]
mod transfers;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::ExitCode;
use std::time::Instant;

use s3_proto::ErrorKind;

use drivers::{AsyncStd, Blocking, Smol, Tokio};
use harness::{Harness, Scenario, World};

/// A driver: its name, and how it does in a scenario.
type Column = (&'static str, fn(usize) -> Cell);

const COLUMNS: [Column; 4] =
    [column::<Tokio>(), column::<Blocking>(), column::<AsyncStd>(), column::<Smol>()];

const fn column<H: Harness>() -> Column {
    (H::NAME, |scenario| run(&scenarios::<H>()[scenario]))
}

fn scenarios<H: Harness>() -> Vec<Scenario<H>> {
    let mut all = [
        buckets::scenarios(),
        objects::scenarios(),
        listing::scenarios(),
        multipart::scenarios(),
        tags::scenarios(),
        signing::scenarios(),
        streams::scenarios(),
        transfers::scenarios(),
        downloads::scenarios(),
    ]
    .concat();
    if std::env::var_os("S3_ENDPOINT_URL").is_none() {
        all.extend(faults::scenarios());
        all.extend(credentials::scenarios());
        all.extend(mocks::scenarios());
    }
    all
}

/// How a driver did in a scenario.
enum Cell {
    Passed,
    /// The store does not have what it takes.
    NotImplemented,
    Failed(String),
}

fn run<H: Harness>((_, scenario): &Scenario<H>) -> Cell {
    let outcome = catch_unwind(AssertUnwindSafe(|| {
        let world = World::<H>::new();
        let outcome = catch_unwind(AssertUnwindSafe(|| scenario(&world)));
        world.clean_up();
        match outcome {
            Ok(Err(error)) if world.external && error.kind() == ErrorKind::NotImplemented => {
                Cell::NotImplemented
            }
            Ok(Err(error)) => Cell::Failed(error.to_string()),
            Ok(Ok(())) => Cell::Passed,
            Err(panic) => std::panic::resume_unwind(panic),
        }
    }));
    outcome.unwrap_or_else(|panic| {
        let text = panic.downcast_ref::<String>().map(String::as_str);
        Cell::Failed(text.or(panic.downcast_ref::<&str>().copied()).unwrap_or("it panicked").to_owned())
    })
}

fn main() -> ExitCode {
    let began = Instant::now();
    // What else a test runner is told is not about names.
    let filter = std::env::args().skip(1).find(|argument| !argument.starts_with('-')).unwrap_or_default();
    let names = scenarios::<Tokio>().into_iter().map(|(name, _)| name).enumerate();
    let mut table =
        format!("\n{:<70}{}\n", "scenario", COLUMNS.map(|(name, _)| format!("{name:>11}")).concat());
    let (mut passed, mut ignored, mut failures) = (0, 0, Vec::new());
    for (scenario, name) in names.filter(|(_, name)| name.contains(&filter)) {
        table.push_str(&format!("{:<70}", name.replace('_', " ")));
        for (driver, run) in COLUMNS {
            let word = match run(scenario) {
                Cell::Passed => {
                    passed += 1;
                    "ok"
                }
                Cell::NotImplemented => {
                    ignored += 1;
                    "-"
                }
                Cell::Failed(error) => {
                    failures.push(format!("{name} ({driver}): {error}"));
                    "FAILED"
                }
            };
            table.push_str(&format!("{word:>11}"));
        }
        table.push('\n');
    }
    println!("{table}");
    for failure in &failures {
        println!("{failure}\n");
    }
    // As the others end, so that it is counted with them.
    let (word, failed, time) =
        (if failures.is_empty() { "ok" } else { "FAILED" }, failures.len(), began.elapsed().as_secs_f64());
    println!(
        "test result: {word}. {passed} passed; {failed} failed; {ignored} ignored; 0 measured; 0 filtered out; finished in {time:.2}s"
    );
    if failures.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
