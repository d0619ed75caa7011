//! What the bodies of all drivers have in common.

use std::fmt;
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use s3_proto::files::{FileId, FileTask, part_name};
use s3_proto::{BodyCheck, Error, ErrorKind};

use crate::Files;
use crate::clock::seed;

/// How much of a body has come, of how much.
#[derive(Clone, Copy, Debug)]
pub struct Meter {
    /// How many bytes have come.
    pub received: u64,
    /// How many there are, if the service has said so.
    pub expected: Option<u64>,
}

impl Meter {
    /// At the beginning of the body that `check` is for.
    pub fn new(check: &BodyCheck) -> Self {
        Self { received: 0, expected: check.expected_len() }
    }

    /// What to reserve for the rest: what was announced, but no more on a mere promise than a server could be
    /// lying about.
    pub fn reserve(&self) -> usize {
        const MOST: u64 = 64 * 1024 * 1024;
        let rest = self.expected.unwrap_or_default().saturating_sub(self.received);
        usize::try_from(rest.min(MOST)).unwrap_or_default()
    }

    /// Whoever was reading wants no more.
    pub fn dropped(&self) {
        if self.expected != Some(self.received) {
            let expected = self.expected.map_or_else(|| "unknown".to_owned(), |len| len.to_string());
            tracing::debug!(received = self.received, expected, "body dropped half-way");
        }
    }
}

/// What is wrong with a body, for those who read it as a file.
pub fn to_io(error: Error) -> io::Error {
    let kind = match error.kind() {
        ErrorKind::TruncatedBody => io::ErrorKind::UnexpectedEof,
        ErrorKind::Timeout => io::ErrorKind::TimedOut,
        ErrorKind::ChecksumMismatch | ErrorKind::MalformedResponse => io::ErrorKind::InvalidData,
        _ => io::ErrorKind::Other,
    };
    io::Error::new(kind, error)
}

/// The error of a user's writer that a body was copied to.
pub fn unwritten(error: io::Error) -> Error {
    local("writing the body", error)
}

fn local(what: impl fmt::Display, error: io::Error) -> Error {
    Error::new(ErrorKind::LocalIo, format!("{what} failed: {error}")).with_source(error)
}

/// A file that appears under its name when it is complete; until then it has a name of its own beside it, and is
/// removed if it comes to nothing.
pub struct PartFile {
    files: Files,
    from: PathBuf,
    to: PathBuf,
}

const ID: FileId = FileId::new(0);

impl PartFile {
    /// An empty one, in a folder that is made if it is missing.
    ///
    /// # Errors
    /// [`ErrorKind::LocalIo`], or [`ErrorKind::InvalidInput`] if the path does not name a file.
    pub fn create(path: &Path) -> Result<Self, Error> {
        if path.file_name().is_none() {
            return Err(Error::invalid_input(format!("{} does not name a file", path.display())));
        }
        // Others may be writing a file of the same name: each fills one of its own, and the last to be complete stays.
        let from = path.with_file_name(part_name(&format!("{:016x}", seed())));
        let created = Self { files: Files::default(), from, to: path.to_owned() };
        created.files.create_new(ID, &created.from).map_err(|error| created.failed(error))?;
        Ok(created)
    }

    /// To be written to.
    ///
    /// # Errors
    /// None that could come about.
    pub fn file(&self) -> Result<Arc<File>, Error> {
        self.files.get(ID).map_err(|error| self.failed(error))
    }

    /// Gives it its name.
    ///
    /// # Errors
    /// [`ErrorKind::LocalIo`].
    pub fn commit(self) -> Result<(), Error> {
        self.perform(FileTask::Commit { id: ID, from: self.from.clone(), to: self.to.clone() })
    }

    /// Writing it has failed.
    pub fn failed(&self, error: io::Error) -> Error {
        local(format_args!("writing {}", self.to.display()), error)
    }

    fn perform(&self, task: FileTask) -> Result<(), Error> {
        self.files.perform(task).map(|_| ()).map_err(|error| self.failed(error))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write as _;

    #[test]
    fn two_files_of_one_name_are_not_mixed() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("new/name");
        let (first, second) = (PartFile::create(&path).unwrap(), PartFile::create(&path).unwrap());
        let third = PartFile::create(&path).unwrap();
        for (part, content) in
            [(&first, "the first, which is longer"), (&second, "the second"), (&third, "-")]
        {
            (&*part.file().unwrap()).write_all(content.as_bytes()).unwrap();
        }

        first.commit().unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), b"the first, which is longer");
        drop(third);
        second.commit().unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), b"the second");
        assert_eq!(std::fs::read_dir(path.parent().unwrap()).unwrap().count(), 1);
    }

    #[test]
    fn a_name_may_be_as_long_as_names_can_be() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("n".repeat(255));
        PartFile::create(&path).unwrap().commit().unwrap();
        assert!(path.exists());
    }
}
