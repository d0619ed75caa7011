//! Real bytes over sockets: against the embedded server, or against the service at `S3_ENDPOINT_URL` with
//! `AWS_ACCESS_KEY_ID`, `AWS_SECRET_ACCESS_KEY` and `AWS_REGION`.
//!
//! What another store does not implement is said in a line of output and not held against it. With
//! `S3_SKIP_ODD_KEYS=1` keys are left out that stores with a file system below cannot hold.
#![allow(clippy::unwrap_used, clippy::panic, reason = "helpers of tests are not known to be tests")]
#![allow(clippy::print_stdout, reason = "what is left out must be seen")]

#[path = "integration/buckets.rs"]
mod buckets;
#[path = "integration/listing.rs"]
mod listing;
#[path = "integration/multipart.rs"]
mod multipart;
#[path = "integration/objects.rs"]
mod objects;
#[path = "integration/signing.rs"]
mod signing;
#[path = "integration/support.rs"]
mod support;
#[path = "integration/tags.rs"]
mod tags;
