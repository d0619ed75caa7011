//! Uploads files to an S3 server and brings them back intact.
//!
//! ```text
//! cargo run --release -p s3-async-std --example quickstart [-- FILE...]
//! ```
//!
//! The server is an embedded one, which checks signatures, or the one at `S3_ENDPOINT_URL` or
//! `AWS_ENDPOINT_URL_S3`, with the credentials of the environment. The bucket that is made is removed again.

#![allow(clippy::print_stdout, clippy::print_stderr, reason = "it is there to be watched")]

use std::process::ExitCode;

use s3_async_std::{Client, Source, load_config};

#[path = "../../tests/quickstart/report.rs"]
mod report;
/// The calls.
#[path = "../../tests/quickstart/steps.rs"]
mod steps;

#[async_std::main]
async fn main() -> ExitCode {
    report::finish(steps::run().await)
}
