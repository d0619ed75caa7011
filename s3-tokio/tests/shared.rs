//! The tests that all async drivers share, on tokio.

// Helpers of tests are not known to be tests.
#![allow(clippy::unwrap_used, clippy::panic, clippy::print_stdout)]

#[path = "../../tests/asynchronous/drops.rs"]
mod drops;
#[path = "../../tests/asynchronous/effects.rs"]
mod effects;
#[path = "../../tests/asynchronous/machines.rs"]
mod machines;
#[path = "../../tests/asynchronous/world.rs"]
mod world;

use std::time::Duration;

use s3_tokio::{Client, Source};

/// On one thread, so that there are many points at which a call waits; the parity suite uses several.
fn block_on(future: impl Future<Output = ()>) {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(future);
}

async fn pause(duration: Duration) {
    tokio::time::sleep(duration).await;
}

/// How many tasks the runtime has.
fn tasks() -> usize {
    tokio::runtime::Handle::current().metrics().num_alive_tasks()
}
