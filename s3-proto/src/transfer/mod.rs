//! Transfers: objects of any size, in parts side by side where that is needed.
//!
//! Each is a machine like any other, which yields its [`Progress`] on its way. In a driver they are reached
//! through [`upload_file`](crate::client::Client::upload_file) and the methods beside it.

mod assembly;
mod checkpoint;
mod copy;
mod delete;
mod digest;
mod download;
mod download_checkpoint;
mod errands;
mod failure;
mod fleet;
mod fluent;
mod fluent_download;
mod fluent_sync;
mod known;
mod names;
mod nested;
mod plan;
mod progress;
mod ranges;
mod requests;
mod resume;
mod same;
mod stream;
mod sync;
mod upload;
mod window;

pub use checkpoint::{Checkpoint, CheckpointPart};
pub use copy::{Copy, CopyOptions, CopyReport};
pub use delete::{DeleteFailure, DeleteMany, DeleteOptions, DeleteReport};
pub use download::{Download, DownloadOptions, DownloadReport};
pub use download_checkpoint::{DownloadCheckpoint, DownloadedPart};
pub use failure::{Cleanup, FailedPart, UploadFailure};
pub use fluent::{CopyRequest, UploadRequest};
pub use fluent_download::{DeleteRequest, DownloadRequest, ToFile, ToMemory, ToStream};
pub use fluent_sync::SyncRequest;
pub use names::Filter;
pub use progress::Progress;
pub use stream::{DownloadStream, DownloadToMemory, Downloaded};
pub use sync::{Compare, Direction, Sync, SyncAction, SyncFailure, SyncOptions, SyncReport};
pub use upload::{Upload, UploadOptions, UploadReport};

/// How many parts are in flight if nothing else is said.
const DEFAULT_CONCURRENCY: usize = 8;
