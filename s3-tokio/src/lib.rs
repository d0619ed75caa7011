//! S3 on tokio.
#![forbid(unsafe_code)]
