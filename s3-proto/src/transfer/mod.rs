//! Transfers of any size.

#![allow(dead_code, reason = "what uploads and downloads are built on comes first")]

mod fleet;
mod progress;
mod window;

pub use progress::Progress;
