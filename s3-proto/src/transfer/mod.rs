//! Transfers: objects of any size, in parts side by side where that is needed.
//!
//! Each is a machine like any other, which yields its [`Progress`] on its way. In a driver they are reached
//! through [`upload_file`](crate::client::Client::upload_file) and the methods beside it.
//!
//! `concurrency` bounds the requests of one transfer, and becomes less for a while when the service asks to slow
//! down. What several transfers of a client have in flight together is bounded by the connections that its
//! driver opens to a host (`max_connections_per_host`): parts beyond that wait for one that comes free, and fail with
//! [`ErrorKind::PoolExhausted`](crate::ErrorKind::PoolExhausted) only if none does in time. How many requests they
//! send in a second is bounded by `Config::rate_limit`, if that is set. Memory is bounded by transfer alone.

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
mod leftovers;
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
mod sync_report;
mod upload;
mod window;

pub use checkpoint::{Checkpoint, CheckpointPart};
pub use copy::{Copy, CopyOptions, CopyReport};
pub use delete::{DeleteFailure, DeleteMany, DeleteManyFailure, DeleteOptions, DeleteReport};
pub use download::{Download, DownloadOptions, DownloadReport};
pub use download_checkpoint::{DownloadCheckpoint, DownloadedPart};
pub use failure::{Cleanup, FailedPart, UploadFailure};
pub use fluent::{CopyRequest, UploadRequest};
pub use fluent_download::{DeleteRequest, DownloadRequest, ToFile, ToMemory, ToStream};
pub use fluent_sync::SyncRequest;
pub use names::Filter;
pub use progress::Progress;
pub use stream::{DownloadStream, DownloadToMemory, Downloaded};
pub use sync::{Compare, Direction, Sync, SyncOptions};
pub use sync_report::{SyncAction, SyncFailure, SyncInterrupted, SyncReport};
pub use upload::{Upload, UploadOptions, UploadReport};

/// How many parts are in flight if nothing else is said.
const DEFAULT_CONCURRENCY: usize = 8;
