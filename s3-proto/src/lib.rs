//! The sans-IO core.
#![forbid(unsafe_code)]
