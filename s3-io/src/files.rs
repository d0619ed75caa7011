//! Single accesses to files, on whatever thread may block.

use std::fs::File;
use std::io::{self, Read as _};
use std::path::Path;

use s3_proto::Secret;

/// The most that is read of a file that a machine asks for.
const MAX_FILE: u64 = 4 * 1024 * 1024;

/// The outcome of [`Task::ReadFile`](s3_proto::Task): the content, which may be secret, `None` if there is no
/// such file, or why it could not be read.
///
/// # Errors
/// A sentence for a person, also if the file is longer than 4 MiB.
pub fn read_small(path: &Path) -> Result<Option<Secret<Vec<u8>>>, String> {
    let read = || {
        let file = File::open(path)?;
        // All at once, so that growing leaves no copies of secrets behind.
        let len = file.metadata()?.len().min(MAX_FILE);
        let mut contents = Vec::with_capacity(usize::try_from(len).unwrap_or_default() + 1);
        file.take(MAX_FILE + 1).read_to_end(&mut contents)?;
        if contents.len() as u64 > MAX_FILE {
            return Err(io::Error::new(io::ErrorKind::FileTooLarge, "it is longer than 4 MiB"));
        }
        Ok(Secret::new(contents))
    };
    match read() {
        Ok(contents) => Ok(Some(contents)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error.to_string()),
    }
}

/// Opens a file to upload from, and tells how long it is now.
///
/// # Errors
/// When it cannot be opened, or is no regular file.
pub fn open_source(path: &Path) -> io::Result<(File, u64)> {
    let file = File::open(path)?;
    let metadata = file.metadata()?;
    if !metadata.is_file() {
        let message = format!("{} is not a regular file", path.display());
        return Err(io::Error::new(io::ErrorKind::InvalidInput, message));
    }
    Ok((file, metadata.len()))
}

/// Fills the buffer from this place of the file, and says how much there was. The file's own position is not
/// used, so that several readers can share it.
///
/// # Errors
/// When reading fails.
pub fn read_full_at(file: &File, buffer: &mut [u8], at: u64) -> io::Result<usize> {
    read_full(buffer, |rest, filled| read_at(file, rest, at + filled as u64))
}

/// Fills the buffer with what `read` puts into the rest of it, told how much there is; says how much there was.
///
/// # Errors
/// When reading fails.
pub fn read_full(
    buffer: &mut [u8],
    mut read: impl FnMut(&mut [u8], usize) -> io::Result<usize>,
) -> io::Result<usize> {
    let mut filled = 0;
    while let Some(rest) = buffer.get_mut(filled..).filter(|rest| !rest.is_empty()) {
        match read(rest, filled) {
            Ok(0) => break,
            Ok(n) => filled += n,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(filled)
}

#[cfg(unix)]
fn read_at(file: &File, buffer: &mut [u8], at: u64) -> io::Result<usize> {
    std::os::unix::fs::FileExt::read_at(file, buffer, at)
}

#[cfg(windows)]
fn read_at(file: &File, buffer: &mut [u8], at: u64) -> io::Result<usize> {
    std::os::windows::fs::FileExt::seek_read(file, buffer, at)
}

/// Writes all of it to this place of the file. The file's own position is not used, so that several writers can
/// share it.
///
/// # Errors
/// When writing fails.
pub fn write_all_at(file: &File, mut bytes: &[u8], mut at: u64) -> io::Result<()> {
    while !bytes.is_empty() {
        match write_at(file, bytes, at) {
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            Ok(n) => {
                bytes = bytes.get(n..).unwrap_or_default();
                at += n as u64;
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

#[cfg(unix)]
fn write_at(file: &File, bytes: &[u8], at: u64) -> io::Result<usize> {
    std::os::unix::fs::FileExt::write_at(file, bytes, at)
}

#[cfg(windows)]
fn write_at(file: &File, bytes: &[u8], at: u64) -> io::Result<usize> {
    std::os::windows::fs::FileExt::seek_write(file, bytes, at)
}
