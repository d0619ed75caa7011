//! Checkpoints of uploads and downloads.

use s3_proto::transfer::{Checkpoint, DownloadCheckpoint};

/// What was read is read again from what is written of it.
pub(crate) fn run(bytes: &[u8]) {
    if let Ok(checkpoint) = Checkpoint::parse(bytes) {
        assert_eq!(Checkpoint::parse(&checkpoint.to_bytes()).unwrap(), checkpoint);
    }
    if let Ok(checkpoint) = DownloadCheckpoint::parse(bytes) {
        assert_eq!(DownloadCheckpoint::parse(&checkpoint.to_bytes()).unwrap(), checkpoint);
    }
}
