//! Runs the machines of `s3-proto` in a simulated world, from seeds:
//!
//! ```text
//! cargo run --release -p s3-tests --bin sim -- [--seeds N] [--seed S] [--trace] [--all] [--self-test]
//! ```
//!
//! Each seed is one world: jobs side by side on one session, a service with a memory, a network that delays,
//! reorders, repeats, cuts, resets, stalls and forgets, clocks that jump, credentials that are replaced, users that
//! cancel, and processes that crash and go on from their checkpoints. The same seed is the same run, to the last
//! byte. Whatever must hold is checked after every step and at the end. `--seed` is the first seed, `--trace` prints
//! each run, `--all` goes on after a violation, and `--self-test` plants faults and says how many seeds it took to find each.
#![forbid(unsafe_code)]
// It is a test: it may fail on what cannot be, and its lists have the bounds that it gave them.
#![allow(clippy::expect_used, clippy::print_stdout, reason = "it is a test and a program for the terminal")]

mod cloud;
mod content;
mod disk;
mod folder;
mod jobs;
mod planted;
mod rng;
mod run;
mod versions;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::ExitCode;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Instant;

use planted::Planted;
use run::{Report, Run};

/// So many lines of a run that failed are printed.
const TAIL: usize = 80;

#[derive(Debug, Default)]
struct Options {
    seeds: u64,
    first: u64,
    trace: bool,
    all: bool,
    self_test: bool,
}

impl Options {
    fn parse(mut args: impl Iterator<Item = String>) -> Result<Self, String> {
        let (mut options, mut seeds) = (Self::default(), None);
        while let Some(arg) = args.next() {
            let mut number = || {
                let text = args.next().ok_or_else(|| format!("{arg} needs a number"))?;
                text.replace('_', "").parse().map_err(|_| format!("{text} is no number"))
            };
            match arg.as_str() {
                "--seeds" => seeds = Some(number()?),
                "--seed" => options.first = number()?,
                "--trace" => options.trace = true,
                "--all" => options.all = true,
                "--self-test" => options.self_test = true,
                _ => return Err(format!("what is {arg}? --seeds N, --seed S, --trace, --all, --self-test")),
            }
        }
        options.seeds = seeds.unwrap_or(if options.trace { 1 } else { 1_000 });
        Ok(options)
    }
}

fn main() -> ExitCode {
    let options = match Options::parse(std::env::args().skip(1)) {
        Ok(options) => options,
        Err(why) => {
            println!("sim: {why}");
            return ExitCode::from(2);
        }
    };
    std::panic::set_hook(Box::new(|_| {}));
    if options.self_test { self_test() } else { search(&options) }
}

/// One seed. A panic is a violation like any other.
fn run(seed: u64, planted: Option<Planted>, traced: bool) -> Report {
    catch_unwind(AssertUnwindSafe(|| Run::new(seed, planted, traced).finish())).unwrap_or_else(|panic| {
        let text = panic.downcast_ref::<String>().map(String::as_str);
        let text = text.or(panic.downcast_ref::<&str>().copied()).unwrap_or_default();
        let failure = Some(format!("something panics: {text}"));
        Report { failure, trace: Vec::new(), requests: 0, jobs: 0, succeeded: 0 }
    })
}

/// Runs seeds on all cores until one fails, or to the end if all failures are wanted.
fn search(options: &Options) -> ExitCode {
    let begun = Instant::now();
    let threads = if options.trace { 1 } else { std::thread::available_parallelism().map_or(1, usize::from) };
    let (next, done) = (AtomicU64::new(0), AtomicU64::new(0));
    let (requests, jobs, succeeded) = (AtomicU64::new(0), AtomicU64::new(0), AtomicU64::new(0));
    let (failed, stop) = (AtomicU64::new(u64::MAX), AtomicBool::new(false));
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                while !stop.load(Ordering::Relaxed) {
                    let n = next.fetch_add(1, Ordering::Relaxed);
                    if n >= options.seeds {
                        break;
                    }
                    let seed = options.first + n;
                    let report = run(seed, None, options.trace);
                    done.fetch_add(1, Ordering::Relaxed);
                    requests.fetch_add(report.requests, Ordering::Relaxed);
                    jobs.fetch_add(report.jobs, Ordering::Relaxed);
                    succeeded.fetch_add(report.succeeded, Ordering::Relaxed);
                    if options.trace {
                        println!("seed {seed}\n{}", report.trace.join("\n"));
                    }
                    if let Some(what) = report.failure {
                        if options.all {
                            println!("sim: seed {seed} FAILED: {what}");
                        } else {
                            stop.store(true, Ordering::Relaxed);
                        }
                        failed.fetch_min(seed, Ordering::Relaxed);
                    }
                }
            });
        }
    });
    let done = done.into_inner();
    let seconds = begun.elapsed().as_secs_f64();
    let rate = f64::from(u32::try_from(done).unwrap_or(u32::MAX)) / seconds.max(0.001);
    let counts = format!(
        "{done} seeds in {seconds:.1} s ({rate:.0} seeds/s on {threads} threads), {} jobs of which {} succeeded, \
         {} requests",
        jobs.into_inner(),
        succeeded.into_inner(),
        requests.into_inner()
    );
    match failed.into_inner() {
        u64::MAX => {
            println!("sim: {counts}: no violation");
            ExitCode::SUCCESS
        }
        seed => {
            let report = run(seed, None, true);
            let from = report.trace.len().saturating_sub(TAIL);
            println!("{}", report.trace[from..].join("\n"));
            println!("sim: {counts}");
            println!("sim: seed {seed} FAILED: {}", report.failure.unwrap_or_default());
            println!("sim: again with: --seed {seed} --trace");
            ExitCode::FAILURE
        }
    }
}

/// The number of seeds that it takes to find the fault, and what is found.
fn find(planted: Planted, within: u64) -> Option<(u64, String)> {
    (0..within).find_map(|seed| Some((seed + 1, run(seed, Some(planted), false).failure?)))
}

fn self_test() -> ExitCode {
    let mut missed = 0;
    for &(planted, within) in Planted::ALL {
        if let Some((seeds, what)) = find(planted, within) {
            println!("{planted:?}: found within {seeds} of {within} seeds: {what}");
        } else {
            missed += 1;
            println!("{planted:?}: NOT found within {within} seeds");
        }
    }
    let all = Planted::ALL.len();
    println!("sim: {} of {all} planted faults found", all - missed);
    if missed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_violated_in_a_few_seeds() {
        for seed in 0..100 {
            assert_eq!(run(seed, None, false).failure, None, "seed {seed}");
        }
    }

    #[test]
    fn the_same_seed_is_the_same_run() {
        for seed in 0..20 {
            let (one, other) = (run(seed, None, true), run(seed, None, true));
            assert!(!one.trace.is_empty());
            assert_eq!(one.trace, other.trace, "seed {seed}");
        }
    }

    /// Those that take more seeds are for `--self-test`.
    #[test]
    fn each_planted_fault_that_shows_soon_is_found() {
        let soon: Vec<_> = Planted::ALL.iter().filter(|(_, within)| *within <= 200).collect();
        assert!(soon.len() >= 15);
        for &&(planted, within) in &soon {
            assert!(find(planted, within).is_some(), "{planted:?} was not found within {within} seeds");
        }
    }
}
