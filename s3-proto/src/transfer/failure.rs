//! What is left of an upload that failed.

use std::fmt;

use crate::Error;
use crate::ops::CompletedPart;

/// What is left of a multipart upload or copy that failed: see [`Error::upload_failure`].
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct UploadFailure {
    /// The id of the upload.
    pub upload_id: String,
    /// The parts that the service has acknowledged.
    pub completed: Vec<CompletedPart>,
    /// Every part that failed in spite of all attempts.
    pub failed: Vec<FailedPart>,
    /// What has become of the upload.
    pub cleanup: Cleanup,
    /// What made it fail.
    pub cause: Error,
}

/// A part that failed in spite of all attempts.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct FailedPart {
    /// The number of the part.
    pub number: u32,
    /// Why it failed at last.
    pub error: Error,
}

/// What has become of an upload that failed.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Cleanup {
    /// It was aborted, or had gone already: nothing is left at the service.
    Aborted,
    /// It was kept, as the caller wanted, so that it can be gone on with.
    Kept,
    /// It could not be aborted: its parts are still stored, and paid for.
    Failed(Error),
}

impl UploadFailure {
    /// Whether its parts are still stored at the service, and paid for.
    pub fn is_left(&self) -> bool {
        !matches!(self.cleanup, Cleanup::Aborted)
    }

    /// What to do about what is left, if something is.
    pub(crate) fn suggestion(&self) -> Option<String> {
        let (id, parts) = (&self.upload_id, self.completed.len());
        match &self.cleanup {
            Cleanup::Aborted => None,
            Cleanup::Kept => Some(format!(
                "Upload '{id}' is kept with {parts} parts: go on with it, or abort it, as its parts are paid for"
            )),
            Cleanup::Failed(error) => Some(format!(
                "Aborting upload '{id}' failed too ({error}): abort it, as its parts are stored and paid for"
            )),
        }
    }

    /// The error that tells of it.
    pub(super) fn into_error(self) -> Error {
        let cause = self.cause.message();
        let message = match self.failed.as_slice() {
            [] => cause.to_owned(),
            [only] => format!("part {} failed: {cause}", only.number),
            [first, ..] => {
                format!("{} parts failed, part {} first: {cause}", self.failed.len(), first.number)
            }
        };
        self.cause.clone().with_message(message).with_cause(self)
    }
}

/// The first of many failures as the error of all: it says so, and how many more there are.
pub(super) fn first_of(first: &Error, message: &str, failed: u64, how: &str) -> Error {
    let more = match failed {
        0 | 1 => String::new(),
        failed => format!(" (and {} more {how})", failed - 1),
    };
    first.clone().with_message(format!("{message}{more}"))
}

impl fmt::Display for UploadFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "upload '{}' failed after {} parts: {}",
            self.upload_id,
            self.completed.len(),
            self.cause.message()
        )
    }
}

impl std::error::Error for UploadFailure {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        Some(&self.cause)
    }
}
