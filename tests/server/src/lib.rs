//! An honest S3 server for tests.
#![forbid(unsafe_code)]
