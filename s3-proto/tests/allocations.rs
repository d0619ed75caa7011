//! What work on the path of every request takes from the allocator is counted.
#![allow(missing_docs)]

#[path = "../benches/cases/mod.rs"]
mod cases;

#[test]
fn no_work_takes_more_allocations_than_it_is_known_to() {
    let mut exceeded = Vec::new();
    for case in cases::all() {
        let mut work = (case.work)();
        // The first time fills caches.
        work();
        let counted = allocation_counter::measure(work).count_total;
        if counted > case.allocations {
            exceeded.push(format!("{case}: {counted}, at most {} are known", case.allocations));
        }
    }
    assert!(exceeded.is_empty(), "{exceeded:#?}");
}
