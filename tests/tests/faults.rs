//! Real faults over sockets: a proxy between each driver and the embedded server, for every fault and operation.
//!
//! ```text
//! cargo test -p s3-tests --test faults [-- FAULT]
//! ```
//!
//! Each fault befalls the first request alone, and then every request. A call comes to its end within its deadline
//! either way: with success and the right bytes, or with an error that fits the fault. A table shows which.
#![allow(clippy::unwrap_used, clippy::panic, reason = "helpers of tests are not known to be tests")]
#![allow(clippy::unused_self, dead_code, reason = "the harness is that of the parity suite")]
#![allow(clippy::print_stdout, reason = "the table is what this is for")]

#[path = "parity/drivers.rs"]
mod drivers;
#[path = "parity/harness.rs"]
mod harness;
#[path = "faults/operations.rs"]
mod operations;
#[path = "faults/plan.rs"]
mod plan;

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::ExitCode;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, mpsc};
use std::thread;
use std::time::{Duration, Instant};

use s3_proto::{ErrorKind, Timeouts};
use s3_test_server::Proxy;

use drivers::{AsyncStd, Blocking, Smol, Tokio};
use harness::{Harness, Options, World};
use operations::{Operation, Pair};
use plan::{Case, FAULTS};

/// No cell may take longer; its calls have three attempts, with time-outs far below it where those are what ends them.
const DEADLINE: Duration = Duration::from_secs(30);

/// How long each phase may take where the fault is that nothing comes: much shorter than a person would wait.
const PATIENCE: Duration = Duration::from_millis(400);

/// A driver: its name, and how it does.
type Column = (&'static str, fn(&Case, usize) -> Cell);

const COLUMNS: [Column; 4] =
    [column::<Tokio>(), column::<Blocking>(), column::<AsyncStd>(), column::<Smol>()];

const fn column<H: Harness>() -> Column {
    (H::NAME, run::<H>)
}

/// How a call ended.
enum Cell {
    Succeeded,
    Failed(ErrorKind),
    Wrong(String),
}

fn run<H: Harness>(case: &Case, operation: usize) -> Cell {
    let outcome = catch_unwind(AssertUnwindSafe(|| {
        let (_, operation): Operation<H> = operations::all()[operation];
        let world = World::<H>::new();
        let proxy = Proxy::start(world.server().address()).unwrap();
        let client = world.client_with(|config, _: &mut Options| {
            *config = config.clone().with_endpoint(proxy.endpoint()).unwrap();
            let mut timeouts = Timeouts::default();
            let patience = Some(case.fault.patience);
            (timeouts.first_byte, timeouts.idle, timeouts.slow) = (patience, patience, patience);
            config.timeouts = timeouts;
            config.retry.max_attempts = if case.always { 2 } else { 3 };
            config.expect_continue = Some(64 << 10);
            config.max_response = 1 << 20;
        });
        let pair = Pair { world: &world, client: &client };
        pair.prepare();
        let (mut left, tamper) = (if case.always { usize::MAX } else { 1 }, case.tamper);
        proxy.on_request(move |_| {
            left = left.checked_sub(1)?;
            Some(tamper)
        });
        let result = operation(&pair);
        // What is left on a connection must not be taken for the answer to another request.
        proxy.clear_hook();
        pair.check_others();
        let none_is_left = || {
            let stats = H::pool_stats(&client);
            (stats.active, stats.open) == (0, stats.idle)
        };
        // What nobody wants of an answer is read beside everything else, and not for long.
        assert!(in_a_moment(none_is_left), "a connection is left: {:?}", H::pool_stats(&client));
        result
    }));
    match outcome {
        Ok(Ok(())) => Cell::Succeeded,
        Ok(Err(error)) => match case.unfit(&error) {
            None => Cell::Failed(error.kind()),
            Some(complaint) => Cell::Wrong(complaint),
        },
        Err(panic) => {
            let text = panic.downcast_ref::<String>().map(String::as_str);
            Cell::Wrong(text.or(panic.downcast_ref::<&str>().copied()).unwrap_or("it panicked").to_owned())
        }
    }
}

/// A cell on a thread of its own, so that a hang is seen.
fn guarded(case: Case, operation: usize, driver: usize) -> Cell {
    let (done, wait) = mpsc::channel();
    thread::spawn(move || {
        // Nobody waits any more if this fails.
        let _ = done.send(COLUMNS[driver].1(&case, operation));
    });
    wait.recv_timeout(DEADLINE).unwrap_or_else(|_| Cell::Wrong("HANG".to_owned()))
}

fn main() -> ExitCode {
    let began = Instant::now();
    // What else a test runner is told is not about names.
    let filter = std::env::args().skip(1).find(|argument| !argument.starts_with('-')).unwrap_or_default();
    let names: Vec<_> = operations::all::<Tokio>().into_iter().map(|(name, _)| name).collect();
    let cases: Vec<_> = FAULTS
        .iter()
        .filter(|fault| fault.name.contains(&filter))
        .flat_map(|fault| [false, true].map(|always| Case { fault, tamper: fault.tamper, always }))
        .collect();
    let mut cells = Vec::new();
    for (row, case) in cases.iter().enumerate() {
        for (operation, name) in names.iter().enumerate().filter(|(_, name)| case.concerns(name)) {
            cells.extend((0..COLUMNS.len()).map(|driver| (row, *case, operation, *name, driver)));
        }
    }
    let (next, done) = (AtomicUsize::new(0), Arc::new(Mutex::new(BTreeMap::new())));
    thread::scope(|scope| {
        for _ in 0..24 {
            scope.spawn(|| {
                while let Some((row, case, operation, name, driver)) =
                    cells.get(next.fetch_add(1, Ordering::Relaxed))
                {
                    let cell = guarded(*case, *operation, *driver);
                    if let Cell::Wrong(complaint) = &cell {
                        println!("{}, {name} ({}): {complaint}", case.title(), COLUMNS[*driver].0);
                    }
                    done.lock().unwrap().insert((*row, *operation, *driver), cell);
                }
            });
        }
    });
    let done = done.lock().unwrap();
    println!("\n{}", plan::LEGEND);
    println!(
        "{:<34}{}",
        "fault",
        names.iter().map(|name| format!("{name:>11}")).collect::<Vec<_>>().concat()
    );
    for (row, case) in cases.iter().enumerate() {
        let line = (0..names.len()).map(|operation| {
            let letters = (0..COLUMNS.len()).map(|driver| match done.get(&(row, operation, driver)) {
                None => '-',
                Some(Cell::Succeeded) => '.',
                Some(Cell::Failed(kind)) => plan::letter(*kind),
                Some(Cell::Wrong(_)) => '!',
            });
            format!("{:>11}", letters.collect::<String>())
        });
        println!("{:<34}{}", case.title(), line.collect::<Vec<_>>().concat());
    }
    let mut failed = done.values().filter(|cell| matches!(cell, Cell::Wrong(_))).count();
    match drivers_threads() {
        None => println!("\nskipped: this system does not tell which threads there are"),
        Some(0) => {}
        Some(threads) => {
            failed += 1;
            println!("\n{threads} threads of a driver are left");
        }
    }
    // As the others end, so that it is counted with them.
    let (word, passed, time) = (
        if failed == 0 { "ok" } else { "FAILED" },
        done.len().saturating_sub(failed),
        began.elapsed().as_secs_f64(),
    );
    println!(
        "\ntest result: {word}. {passed} passed; {failed} failed; 0 ignored; 0 measured; 0 filtered out; finished in {time:.2}s"
    );
    if failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// Threads that the blocking driver has started and that have not ended, a moment after the last call; `None` where
/// the system does not tell it as Linux does.
fn drivers_threads() -> Option<usize> {
    let count = || {
        let tasks = std::fs::read_dir("/proc/self/task").ok()?.flatten();
        let names = tasks.filter_map(|task| std::fs::read_to_string(task.path().join("comm")).ok());
        Some(names.filter(|name| ["s3-task", "s3-resolve"].contains(&name.trim())).count())
    };
    in_a_moment(|| count().is_none_or(|threads| threads == 0));
    count()
}

fn in_a_moment(is_so: impl Fn() -> bool) -> bool {
    let until = Instant::now() + Duration::from_secs(5);
    while !is_so() {
        if Instant::now() > until {
            return false;
        }
        thread::sleep(Duration::from_millis(10));
    }
    true
}
