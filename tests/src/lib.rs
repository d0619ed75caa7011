//! Tests across the crates, and the tools that prove them.
#![forbid(unsafe_code)]
