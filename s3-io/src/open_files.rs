//! The files that a machine has open.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::fs::{self, File, Metadata, OpenOptions};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use s3_proto::Secret;
use s3_proto::checksum::{ChecksumAlgorithm, Hasher};
use s3_proto::files::{DirEntry, DirEntryKind, FileId, FileInfo, FileReply, FileTask};

use crate::files::{open_source, read_full_at};

/// The files that one machine has open, under the names that it gives them. Clones share them.
///
/// Temporary ones that are still open when the last clone goes are removed.
#[derive(Clone, Debug, Default)]
pub struct Files(Arc<Table>);

#[derive(Debug, Default)]
struct Table(Mutex<BTreeMap<FileId, Open>>);

#[derive(Debug)]
struct Open {
    file: Arc<File>,
    /// What to remove if the machine goes away.
    temporary: Option<PathBuf>,
}

/// How much is read at a time to be hashed.
const PIECE: usize = 256 * 1024;

impl Files {
    /// An open file.
    ///
    /// # Errors
    /// [`io::ErrorKind::NotFound`] if the machine has opened none of this name.
    pub fn get(&self, id: FileId) -> io::Result<Arc<File>> {
        let missing = || io::Error::new(io::ErrorKind::NotFound, "the machine has not opened this file");
        self.0.lock().get(&id).map(|open| open.file.clone()).ok_or_else(missing)
    }

    /// Carries out a task; blocks until it is done.
    ///
    /// # Errors
    /// Whatever the system says, with the path where that is not known from the task.
    pub fn perform(&self, task: FileTask) -> io::Result<FileReply> {
        match task {
            FileTask::Open { id, path } => {
                let (file, _) = open_source(&path)?;
                let info = info(&file.metadata()?);
                self.insert(id, file, None);
                return Ok(FileReply::Opened(info));
            }
            FileTask::Create { id, path, keep, temporary } => {
                let file = create(&path, OpenOptions::new().create(true).truncate(!keep))?;
                let info = info(&file.metadata()?);
                self.insert(id, file, temporary.then_some(path));
                return Ok(FileReply::Opened(info));
            }
            FileTask::Resize { id, len } => self.get(id)?.set_len(len)?,
            FileTask::Hash { id, offset, len, algorithm } => {
                return hash(|| self.get(id), offset, len, &algorithm);
            }
            FileTask::Commit { id, from, to } => {
                // On the disk before it has its name: after a crash of the system the name means whole content.
                self.get(id)?.sync_data()?;
                fs::rename(&from, &to)?;
                // Closed only now, since a name that could not be given leaves a temporary file to be removed.
                self.0.lock().remove(&id);
            }
            FileTask::Close { id } => {
                self.0.lock().remove(&id);
            }
            FileTask::Save { path, content } => save(&path, &content)?,
            FileTask::Remove { path } => match fs::remove_file(path) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                _ => {}
            },
            FileTask::List { path } => return list(&path).map(FileReply::Listed),
            other => {
                let message = format!("this driver cannot carry out {other:?}");
                return Err(io::Error::new(io::ErrorKind::Unsupported, message));
            }
        }
        Ok(FileReply::Done)
    }

    /// A temporary file, and the folders that it is in.
    ///
    /// # Errors
    /// Whatever the system says, also if there is a file of this name.
    pub(crate) fn create_new(&self, id: FileId, path: &Path) -> io::Result<()> {
        let file = create(path, OpenOptions::new().create_new(true))?;
        self.insert(id, file, Some(path.to_owned()));
        Ok(())
    }

    fn insert(&self, id: FileId, file: File, temporary: Option<PathBuf>) {
        self.0.lock().insert(id, Open { file: Arc::new(file), temporary });
    }
}

impl Table {
    fn lock(&self) -> MutexGuard<'_, BTreeMap<FileId, Open>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Table {
    fn drop(&mut self) {
        for path in self.lock().values().filter_map(|open| open.temporary.as_ref()) {
            if let Err(error) = fs::remove_file(path) {
                tracing::warn!(path = %path.display(), %error, "an unfinished file could not be removed");
            }
        }
    }
}

fn create(path: &Path, options: &mut OpenOptions) -> io::Result<File> {
    if let Some(folder) = path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
        fs::create_dir_all(folder)?;
    }
    // To be read as well: what is kept is hashed before it is relied on.
    options.read(true).write(true).open(path)
}

/// The file is looked up for each piece: closing it ends what nobody waits for any more.
fn hash(
    file: impl Fn() -> io::Result<Arc<File>>,
    offset: u64,
    len: u64,
    algorithm: &ChecksumAlgorithm,
) -> io::Result<FileReply> {
    let mut hasher = Hasher::new(algorithm).map_err(io::Error::other)?;
    let mut buffer = vec![0; usize::try_from(len).unwrap_or(PIECE).min(PIECE)];
    let (mut at, end) = (offset, offset.saturating_add(len));
    while at < end {
        let wanted = usize::try_from(end - at).unwrap_or(PIECE).min(buffer.len());
        let piece = buffer.get_mut(..wanted).unwrap_or_default();
        if read_full_at(&*file()?, piece, at)? < wanted {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        hasher.update(piece);
        at += wanted as u64;
    }
    Ok(FileReply::Hashed(hasher.finish()))
}

fn save(path: &Path, content: &Secret<Vec<u8>>) -> io::Result<()> {
    let beside = beside(path, ".new")?;
    // A file that an earlier run left may be readable for others.
    match fs::remove_file(&beside) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let written = (|| {
        let mut options = OpenOptions::new();
        options.write(true).create_new(true);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        let mut file = options.open(&beside)?;
        file.write_all(content.expose())?;
        file.sync_data()?;
        fs::rename(&beside, path)
    })();
    if written.is_err() {
        // Whatever keeps it there is less than what went wrong before.
        let _ = fs::remove_file(&beside);
    }
    written
}

fn beside(path: &Path, ending: &str) -> io::Result<PathBuf> {
    let no_file = || io::Error::new(io::ErrorKind::InvalidInput, "this does not name a file");
    let name: &OsStr = path.file_name().ok_or_else(no_file)?;
    let mut name: OsString = name.to_owned();
    name.push(ending);
    Ok(path.with_file_name(name))
}

fn list(path: &Path) -> io::Result<Vec<DirEntry>> {
    let mut entries = Vec::new();
    for entry in fs::read_dir(path)? {
        let entry = entry?;
        let own = match entry.metadata() {
            Ok(own) => own,
            // Gone since.
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            Err(error) => return Err(error),
        };
        let is_link = own.is_symlink();
        // A link that leads nowhere is neither a file nor a folder.
        let metadata = if is_link { fs::metadata(entry.path()).unwrap_or(own) } else { own };
        let kind = match (metadata.is_file(), metadata.is_dir(), is_link) {
            (true, _, false) => DirEntryKind::File,
            (true, _, true) => DirEntryKind::LinkToFile,
            (_, true, false) => DirEntryKind::Dir,
            (_, true, true) => DirEntryKind::LinkToDir,
            _ => DirEntryKind::Other,
        };
        entries.push(DirEntry { name: entry.file_name(), kind, info: info(&metadata) });
    }
    Ok(entries)
}

fn info(metadata: &Metadata) -> FileInfo {
    FileInfo { len: metadata.len(), modified: metadata.modified().ok().map(crate::clock::timestamp) }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;

    const ID: FileId = FileId::new(1);

    fn folder() -> tempfile::TempDir {
        tempfile::tempdir().unwrap()
    }

    fn create(files: &Files, path: &Path, temporary: bool) {
        let task = FileTask::Create { id: ID, path: path.to_owned(), keep: false, temporary };
        files.perform(task).unwrap();
    }

    #[test]
    fn what_is_committed_has_its_name_and_its_content() {
        let (folder, files) = (folder(), Files::default());
        let (from, to) = (folder.path().join("new/a.part"), folder.path().join("new/a"));
        create(&files, &from, true);
        crate::files::write_all_at(&files.get(ID).unwrap(), b"tail", 4).unwrap();
        crate::files::write_all_at(&files.get(ID).unwrap(), b"head", 0).unwrap();

        files.perform(FileTask::Commit { id: ID, from: from.clone(), to: to.clone() }).unwrap();
        drop(files);

        assert_eq!((fs::read(to).unwrap(), from.exists()), (b"headtail".to_vec(), false));
    }

    #[test]
    fn a_temporary_file_goes_with_its_machine_and_another_stays() {
        for temporary in [true, false] {
            let (folder, files) = (folder(), Files::default());
            let path = folder.path().join("a.part");
            create(&files, &path, temporary);
            drop(files.clone());
            assert!(path.exists(), "a clone is not the last");
            drop(files);
            assert_eq!(path.exists(), !temporary);
        }
    }

    #[test]
    fn a_range_is_hashed_and_a_file_that_is_too_short_is_an_error() {
        let (folder, files) = (folder(), Files::default());
        let path = folder.path().join("a");
        fs::write(&path, "__123456789__").unwrap();
        files.perform(FileTask::Open { id: ID, path }).unwrap();
        let hash = |len| {
            files.perform(FileTask::Hash { id: ID, offset: 2, len, algorithm: ChecksumAlgorithm::Crc32 })
        };

        let Ok(FileReply::Hashed(checksum)) = hash(9) else { panic!("no checksum") };
        assert_eq!(checksum.bytes(), 0xCBF4_3926_u32.to_be_bytes());
        assert_eq!(hash(12).unwrap_err().kind(), io::ErrorKind::UnexpectedEof);
    }

    #[test]
    fn closing_a_file_ends_its_hashing_at_the_next_piece() {
        let file = Arc::new(tempfile::tempfile().unwrap());
        let len = 10 * PIECE as u64;
        file.set_len(len).unwrap();
        let looks = Cell::new(0);
        let open_for_three = || {
            looks.set(looks.get() + 1);
            if looks.get() <= 3 { Ok(file.clone()) } else { Err(io::ErrorKind::NotFound.into()) }
        };

        let error = hash(open_for_three, 0, len, &ChecksumAlgorithm::Crc32).unwrap_err();

        assert_eq!((error.kind(), looks.get()), (io::ErrorKind::NotFound, 4));
    }

    #[test]
    #[cfg(unix)]
    fn what_is_saved_replaces_what_was_there_and_is_for_its_owner_only() {
        use std::os::unix::fs::PermissionsExt as _;
        let (folder, files) = (folder(), Files::default());
        let path = folder.path().join("token.json");
        fs::write(&path, "old").unwrap();
        fs::write(folder.path().join("token.json.new"), "left by a crash").unwrap();

        let content = Secret::new(b"new".to_vec());
        files.perform(FileTask::Save { path: path.clone(), content }).unwrap();

        assert_eq!(fs::read(&path).unwrap(), b"new");
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    #[test]
    #[cfg(unix)]
    fn a_folder_is_listed_with_what_its_links_lead_to() {
        let (folder, files) = (folder(), Files::default());
        let path = folder.path();
        fs::write(path.join("file"), "12345").unwrap();
        fs::create_dir(path.join("dir")).unwrap();
        for (target, link) in [("file", "to-file"), ("dir", "to-dir"), ("nothing", "to-nothing")] {
            std::os::unix::fs::symlink(target, path.join(link)).unwrap();
        }

        let Ok(FileReply::Listed(mut entries)) = files.perform(FileTask::List { path: path.to_owned() })
        else {
            panic!("not listed")
        };

        entries.sort_by(|a, b| a.name.cmp(&b.name));
        let kinds: Vec<_> = entries.iter().map(|e| (e.name.to_str().unwrap(), e.kind)).collect();
        let expected = [
            ("dir", DirEntryKind::Dir),
            ("file", DirEntryKind::File),
            ("to-dir", DirEntryKind::LinkToDir),
            ("to-file", DirEntryKind::LinkToFile),
            ("to-nothing", DirEntryKind::Other),
        ];
        assert_eq!(kinds, expected);
        assert_eq!(entries[3].info.len, 5);
    }

    #[test]
    fn removing_what_is_not_there_is_no_error() {
        let path = folder().path().join("never");
        assert!(matches!(Files::default().perform(FileTask::Remove { path }), Ok(FileReply::Done)));
    }
}
