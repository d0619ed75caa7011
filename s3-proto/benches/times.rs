//! Times of each case, and of its floor in the same run. Nothing is asserted here: times are of one machine and one
//! moment. `tests/allocations.rs` and `instructions.rs` assert what does not depend on those.
//!
//! ```text
//! cargo bench -p s3-proto --bench times -- list
//! ```
#![forbid(unsafe_code)]

mod cases;

use cases::{Case, Work};
use divan::Bencher;
use divan::counter::BytesCount;

fn main() {
    divan::main();
}

#[divan::bench(args = cases::all())]
fn ours(bencher: Bencher<'_, '_>, case: &Case) {
    time(bencher, case, (case.work)());
}

#[divan::bench(args = cases::all())]
fn floor(bencher: Bencher<'_, '_>, case: &Case) {
    time(bencher, case, (case.floor)());
}

fn time(bencher: Bencher<'_, '_>, case: &Case, work: Work) {
    match case.bytes {
        0 => bencher.bench_local(work),
        bytes => bencher.counter(BytesCount::new(bytes)).bench_local(work),
    }
}
