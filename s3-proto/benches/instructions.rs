//! Instructions of each case, counted by valgrind and compared with those of its floor in the same run. Fails where a
//! case takes more than it may.
//!
//! Valgrind shows programs a processor without SHA extensions, so all hashing is counted as software does it, on
//! every machine.
//!
//! ```text
//! cargo bench -p s3-proto --bench instructions
//! ```
#![forbid(unsafe_code)]
// A program of the workshop: it reports, and runs another program.
#![allow(clippy::print_stdout, clippy::disallowed_types, clippy::unwrap_used, clippy::panic)]

mod cases;

use std::io::ErrorKind;
use std::process::{Command, ExitCode};

use cases::{Case, Work};

/// So often each piece of work is done under the counter.
const TIMES: u64 = 10;

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    match args.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["work", name] => run(name, |case| (case.work)()),
        ["floor", name] => run(name, |case| (case.floor)()),
        _ => return compare_all(),
    }
    ExitCode::SUCCESS
}

fn run(name: &str, work: fn(&Case) -> Work) {
    let all = cases::all();
    let mut work = work(all.iter().find(|case| case.name == name).unwrap());
    // The first time fills caches.
    work();
    measured(work);
}

/// Valgrind is told to count in here alone.
#[inline(never)]
fn measured(mut work: Work) {
    (0..TIMES).for_each(|_| work());
}

fn compare_all() -> ExitCode {
    if Command::new("valgrind").arg("--version").output().is_err_and(|e| e.kind() == ErrorKind::NotFound) {
        println!("skipped: valgrind is not installed");
        return ExitCode::SUCCESS;
    }
    let mut failed = false;
    for case in cases::all() {
        let (work, floor) = (instructions("work", &case), instructions("floor", &case));
        #[allow(clippy::cast_precision_loss, reason = "a ratio for people")]
        let times = work as f64 / floor as f64;
        let verdict = if times > case.times { "  TOO MANY" } else { "" };
        println!(
            "{case}: {work}, {times:.2} times the {floor} of its floor (at most {}){verdict}",
            case.times
        );
        failed |= times > case.times;
    }
    if failed { ExitCode::FAILURE } else { ExitCode::SUCCESS }
}

fn instructions(which: &str, case: &Case) -> u64 {
    let output = Command::new("valgrind")
        .args(["--tool=callgrind", "--callgrind-out-file=/dev/null", "--toggle-collect=*measured*"])
        .arg(std::env::current_exe().unwrap())
        .args([which, case.name])
        .output()
        .unwrap();
    let report = String::from_utf8_lossy(&output.stderr);
    let counted =
        report.lines().find_map(|line| line.split_once("Collected :")?.1.trim().parse::<u64>().ok());
    match counted {
        Some(counted) if counted > 0 => counted / TIMES,
        _ => panic!("valgrind says: {report}"),
    }
}
