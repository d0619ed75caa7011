//! Transfers of any size.

#![allow(dead_code, reason = "what uploads and downloads are built on comes first")]

mod assembly;
mod checkpoint;
mod digest;
mod failure;
mod fleet;
mod plan;
mod progress;
mod requests;
mod resume;
mod upload;
mod window;

pub use checkpoint::{Checkpoint, CheckpointPart};
pub use failure::{Cleanup, FailedPart, UploadFailure};
pub use progress::Progress;
pub use upload::{Upload, UploadOptions, UploadReport};

/// How many parts are in flight if nothing else is said.
const DEFAULT_CONCURRENCY: usize = 8;
