//! The tests that all async drivers share, on async-std, and those of its idiom.

// Helpers of tests are not known to be tests.
#![allow(clippy::unwrap_used, clippy::panic, clippy::print_stdout)]

#[path = "../../tests/asynchronous/drops.rs"]
mod drops;
#[path = "../../tests/asynchronous/effects.rs"]
mod effects;
#[path = "shared/idiom.rs"]
mod idiom;
#[path = "../../tests/asynchronous/machines.rs"]
mod machines;
#[path = "../../tests/asynchronous/world.rs"]
mod world;

use std::time::Duration;

use s3_async_std::{Client, Source};

/// Under smol, whose programs are users too; the parity suite runs under async-std.
fn block_on(future: impl Future<Output = ()>) {
    smol::block_on(future);
}

async fn pause(duration: Duration) {
    smol::Timer::after(duration).await;
}

/// async-std does not tell.
fn tasks() -> usize {
    0
}
