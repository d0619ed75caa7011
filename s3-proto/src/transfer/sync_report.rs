//! What became of a folder and the objects below a prefix.

use std::fmt;

use super::UploadFailure;
use super::failure::first_of;
use crate::Error;

const MAX_FAILURES: usize = 1_000;
const MAX_ACTIONS: usize = 10_000;

/// What became of the files and objects; in a dry run, what would.
#[derive(Clone, Debug, Default)]
#[must_use = "some may not have been transferred"]
#[non_exhaustive]
pub struct SyncReport {
    /// How many were transferred.
    pub transferred: u64,
    /// How many bytes these have.
    pub bytes: u64,
    /// How many were left as they are, since both sides are the same.
    pub unchanged: u64,
    /// How many were deleted at the destination.
    pub deleted: u64,
    /// How many the patterns left out.
    pub left_out: u64,
    /// How many failed.
    pub failed: u64,
    /// Which these are and why: the first 1,000.
    pub failures: Vec<SyncFailure>,
    /// What a dry run would do: the first 10,000 actions.
    pub actions: Vec<SyncAction>,
}

impl SyncReport {
    /// The first failure as an error, if there was one.
    ///
    /// # Errors
    /// The error of the first that failed, which says how many more there are.
    pub fn into_result(self) -> Result<Self, Error> {
        let Some(first) = self.failures.first() else { return Ok(self) };
        let message = format!("'{}': {}", first.name, first.error.message());
        Err(first_of(&first.error, &message, self.failed, "failed"))
    }

    pub(super) fn fail(&mut self, name: String, error: Error) {
        self.failed += 1;
        if self.failures.len() < MAX_FAILURES {
            self.failures.push(SyncFailure { name, error });
        }
    }

    pub(super) fn would(&mut self, action: SyncAction) {
        if self.actions.len() < MAX_ACTIONS {
            self.actions.push(action);
        }
    }
}

/// A file or an object that could not be transferred or deleted, or a folder that could not be read.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct SyncFailure {
    /// Its name, from the folder or the prefix on.
    pub name: String,
    /// Why.
    pub error: Error,
}

/// What became of a transfer of folders that ended with an error: see [`Error::sync_interrupted`].
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct SyncInterrupted {
    /// What was done until then. Among its failures are those that leave an upload behind.
    pub report: SyncReport,
    /// What ended it.
    pub cause: Error,
}

impl fmt::Display for SyncInterrupted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.cause.message())
    }
}

impl SyncInterrupted {
    /// The failures that leave parts of an upload stored at the service, and paid for.
    pub fn uploads_left(&self) -> impl Iterator<Item = &SyncFailure> {
        let is_left =
            |failure: &&SyncFailure| failure.error.upload_failure().is_some_and(UploadFailure::is_left);
        self.report.failures.iter().filter(is_left)
    }
}

impl std::error::Error for SyncInterrupted {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        Some(&self.cause)
    }
}

/// What would be done.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum SyncAction {
    /// Transfer what has this name.
    Transfer(String),
    /// Delete what has this name at the destination.
    Delete(String),
}
