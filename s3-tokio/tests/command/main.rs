//! The example `s3`, as a process of its own, against the embedded server.
//!
//! `S3_KILLS=20` sets how often a transfer is killed in each direction; 4 if it is not set. `S3_SEED` sets from
//! what the moments are drawn. `S3_SIZE=5368709120` moves an object of so many bytes, too, which needs as much room for
//! temporary files three times over.

// Helpers of tests are not known to be tests.
#![allow(clippy::unwrap_used, clippy::panic, clippy::print_stdout)]

mod commands;
mod interrupts;
mod kills;
#[path = "../support/random.rs"]
mod random;
mod sizes;
mod world;
