//! What a transfer asks its driver to do with files.

use std::ffi::OsString;
use std::path::PathBuf;

use crate::checksum::{Checksum, ChecksumAlgorithm};
use crate::{Secret, Timestamp};

/// An open file, named by the machine that opens it; unique among the machines of a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FileId(u64);

impl FileId {
    /// The file number `n`.
    pub const fn new(n: u64) -> Self {
        Self(n)
    }
}

/// Work on files, for transfers. Each may block.
#[derive(Debug)]
#[non_exhaustive]
pub enum FileTask {
    /// Open a regular file to read from. Answer: [`FileReply::Opened`].
    Open {
        /// What the machine calls it from now on.
        id: FileId,
        /// Where it is.
        path: PathBuf,
    },
    /// Create a file to write to, and the folders that it is in. Answer: [`FileReply::Opened`], with the
    /// length that it had before.
    Create {
        /// What the machine calls it from now on.
        id: FileId,
        /// Where it is to be.
        path: PathBuf,
        /// Keep what is in it already, rather than emptying it.
        keep: bool,
        /// Remove it when the machine goes away before the file is committed or closed.
        temporary: bool,
    },
    /// Make an open file this long, by cutting it off or with zeros. Answer: [`FileReply::Done`].
    Resize {
        /// Which file.
        id: FileId,
        /// Bytes.
        len: u64,
    },
    /// Compute the checksum of a range of an open file. Answer: [`FileReply::Hashed`]. If the file is closed meanwhile,
    /// nobody wants it any more, and it had better end early.
    Hash {
        /// Which file.
        id: FileId,
        /// The place of the first byte.
        offset: u64,
        /// How many bytes; that there are fewer is an error.
        len: u64,
        /// What is computed.
        algorithm: ChecksumAlgorithm,
    },
    /// Close a file that was written to, and give it another name in one step. Answer: [`FileReply::Done`].
    Commit {
        /// Which file.
        id: FileId,
        /// Its name so far.
        from: PathBuf,
        /// Its name from now on; a file that has it is replaced.
        to: PathBuf,
    },
    /// Close a file. Answer: [`FileReply::Done`].
    Close {
        /// Which file.
        id: FileId,
    },
    /// Write a small file so that, whatever happens, either its old or its new content is there; nobody but
    /// its owner may read it. Answer: [`FileReply::Done`].
    Save {
        /// Where it is.
        path: PathBuf,
        /// All of it, which may be secret.
        content: Secret<Vec<u8>>,
    },
    /// Remove a file; that there is none is no error. Answer: [`FileReply::Done`].
    Remove {
        /// Where it is.
        path: PathBuf,
    },
    /// List a folder, without what is below its folders. Answer: [`FileReply::Listed`].
    List {
        /// Where it is.
        path: PathBuf,
    },
}

/// What a [`FileTask`] comes to.
#[derive(Debug)]
#[non_exhaustive]
pub enum FileReply {
    /// It is open.
    Opened(FileInfo),
    /// The checksum.
    Hashed(Checksum),
    /// What is in the folder, in any order.
    Listed(Vec<DirEntry>),
    /// It is done.
    Done,
}

/// What is known of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FileInfo {
    /// Bytes.
    pub len: u64,
    /// When it was last changed, where the system knows.
    pub modified: Option<Timestamp>,
}

/// An entry of a folder.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DirEntry {
    /// Its name, without the folder's.
    pub name: OsString,
    /// What it is.
    pub kind: DirEntryKind,
    /// What is known of it; of the target, for a symbolic link that leads to something.
    pub info: FileInfo,
}

/// What an entry of a folder is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DirEntryKind {
    /// A regular file.
    File,
    /// A folder.
    Dir,
    /// A symbolic link to a regular file.
    LinkToFile,
    /// A symbolic link to a folder.
    LinkToDir,
    /// A device, a pipe, a link that leads nowhere.
    Other,
}

/// What a download is called until it is complete. It does not grow with the name that it gets then, which may be as
/// long as names can be.
#[doc(hidden)]
pub fn part_name(unique: &str) -> String {
    format!("{PART_PREFIX}{unique}{PART_SUFFIX}")
}

const PART_PREFIX: &str = ".s3-";
const PART_SUFFIX: &str = ".part";

/// Whether a file of this name is a download that is not complete.
pub(crate) fn is_part_name(name: &str) -> bool {
    name.starts_with(PART_PREFIX) && name.ends_with(PART_SUFFIX)
}
