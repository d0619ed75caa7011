//! Files that outlive the process which wrote them.

use std::collections::BTreeMap;
use std::io::{Error, ErrorKind, Result};
use std::path::{Path, PathBuf};

use bytes::Bytes;
use s3_proto::Timestamp;
use s3_proto::files::{DirEntry, DirEntryKind, FileId, FileInfo, FileReply, FileTask};

use crate::content::crc;
use crate::planted::Planted;

/// What is in a file.
#[derive(Debug)]
pub(crate) enum File {
    /// A piece of the pattern.
    Given(Bytes),
    Written(Vec<u8>),
}

impl File {
    pub(crate) fn bytes(&self) -> &[u8] {
        match self {
            Self::Given(bytes) => bytes,
            Self::Written(bytes) => bytes,
        }
    }
}

/// A file that a machine has opened.
#[derive(Debug)]
struct Open {
    slot: usize,
    path: PathBuf,
    temporary: bool,
}

#[derive(Debug, Default)]
pub(crate) struct Disk {
    pub(crate) files: BTreeMap<PathBuf, File>,
    /// When they were changed, where that matters.
    pub(crate) times: BTreeMap<PathBuf, Timestamp>,
    pub(crate) now: Option<Timestamp>,
    open: BTreeMap<FileId, Open>,
    /// Files that have to go with the process that made them, unless it is killed.
    temporary: BTreeMap<PathBuf, usize>,
    pub(crate) planted: Option<Planted>,
    writes: u64,
}

impl Disk {
    fn is(&self, planted: Planted) -> bool {
        self.planted == Some(planted)
    }

    fn written(&mut self, id: FileId) -> Result<&mut Vec<u8>> {
        let missing = || Error::from(ErrorKind::NotFound);
        let path = &self.open.get(&id).ok_or_else(missing)?.path;
        match self.files.get_mut(path) {
            Some(File::Written(bytes)) => Ok(bytes),
            _ => Err(missing()),
        }
    }

    pub(crate) fn write(&mut self, id: FileId, offset: u64, bytes: &[u8]) -> Result<()> {
        self.writes += 1;
        if self.is(Planted::WriteLost) && self.writes == 2 {
            return Ok(());
        }
        let shift = usize::from(self.is(Planted::OffsetShifted) && offset > 0);
        let at = usize::try_from(offset).unwrap_or(usize::MAX) + shift;
        let file = self.written(id)?;
        if file.len() < at + bytes.len() {
            file.resize(at + bytes.len(), 0);
        }
        file[at..at + bytes.len()].copy_from_slice(bytes);
        Ok(())
    }

    /// A range of a file that is uploaded.
    pub(crate) fn range(&self, id: FileId, offset: u64, len: u64) -> Option<Bytes> {
        let at = usize::try_from(offset).ok()?;
        let end = at + usize::try_from(len).ok()?;
        match self.files.get(&self.open.get(&id)?.path)? {
            File::Given(bytes) => (end <= bytes.len()).then(|| bytes.slice(at..end)),
            File::Written(bytes) => bytes.get(at..end).map(Bytes::copy_from_slice),
        }
    }

    pub(crate) fn read(&self, path: &Path) -> Option<Vec<u8>> {
        if self.is(Planted::CheckpointIgnored) && path.starts_with("/state") {
            return None;
        }
        self.files.get(path).map(|file| file.bytes().to_vec())
    }

    pub(crate) fn perform(&mut self, slot: usize, task: FileTask) -> Result<FileReply> {
        let missing = || Error::from(ErrorKind::NotFound);
        match task {
            FileTask::Open { id, path } => {
                let len = self.files.get(&path).ok_or_else(missing)?.bytes().len() as u64;
                self.open.insert(id, Open { slot, path, temporary: false });
                return Ok(FileReply::Opened(FileInfo { len, modified: None }));
            }
            FileTask::Create { id, path, keep, temporary } => {
                let file = self.files.entry(path.clone()).or_insert(File::Written(Vec::new()));
                let len = file.bytes().len() as u64;
                if !keep {
                    *file = File::Written(Vec::new());
                }
                if temporary {
                    self.temporary.insert(path.clone(), slot);
                }
                self.open.insert(id, Open { slot, path, temporary });
                return Ok(FileReply::Opened(FileInfo { len, modified: None }));
            }
            FileTask::Resize { id, len } => {
                self.written(id)?.resize(usize::try_from(len).unwrap_or(0), 0);
            }
            FileTask::Hash { id, offset, len, .. } => {
                let bytes =
                    self.range(id, offset, len).ok_or_else(|| Error::from(ErrorKind::UnexpectedEof))?;
                return Ok(FileReply::Hashed(crc(&bytes)));
            }
            FileTask::Commit { id, from, to } => {
                self.open.remove(&id).ok_or_else(missing)?;
                let file = self.files.remove(&from).ok_or_else(missing)?;
                self.times.extend(self.now.map(|now| (to.clone(), now)));
                self.files.insert(to, file);
            }
            FileTask::Close { id } => {
                self.open.remove(&id).ok_or_else(missing)?;
            }
            FileTask::Save { path, content } => {
                let mut content = content.expose().clone();
                if self.is(Planted::SaveTorn) {
                    content.truncate(content.len() / 2);
                }
                if !self.is(Planted::SaveLost) {
                    self.files.insert(path, File::Written(content));
                }
            }
            FileTask::Remove { path } => {
                if !self.is(Planted::RemoveSkipped) {
                    self.files.remove(&path);
                }
            }
            FileTask::List { path } => return self.list(&path).map(FileReply::Listed),
            _ => return Err(Error::from(ErrorKind::Unsupported)),
        }
        Ok(FileReply::Done)
    }

    fn list(&self, folder: &Path) -> Result<Vec<DirEntry>> {
        let mut found = BTreeMap::new();
        for (path, file) in &self.files {
            let Ok(below) = path.strip_prefix(folder) else { continue };
            let mut names = below.iter();
            let Some(name) = names.next() else { continue };
            let kind = if names.next().is_some() { DirEntryKind::Dir } else { DirEntryKind::File };
            let info = FileInfo { len: file.bytes().len() as u64, modified: self.times.get(path).copied() };
            found.insert(name, DirEntry { name: name.to_owned(), kind, info });
        }
        if found.is_empty() {
            return Err(Error::from(ErrorKind::NotFound));
        }
        let skipped = usize::from(self.is(Planted::EntryUnlisted));
        Ok(found.into_values().skip(skipped).collect())
    }

    /// A temporary file that nobody has removed.
    pub(crate) fn left_over(&self) -> Option<&PathBuf> {
        self.temporary.keys().find(|path| self.files.contains_key(*path))
    }

    /// The machine is gone, and what it had open with it. Of a process that was killed, everything stays.
    pub(crate) fn close(&mut self, slot: usize, killed: bool) -> usize {
        if killed {
            self.temporary.retain(|_, owner| *owner != slot);
        }
        let mut closed = 0;
        for (_, file) in self.open.extract_if(.., |_, file| file.slot == slot) {
            closed += 1;
            if file.temporary && !killed {
                self.files.remove(&file.path);
            }
        }
        closed
    }
}
