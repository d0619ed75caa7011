//! Data that can be read once.

use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Where a reader is while nobody reads from it.
pub struct Once<R>(Arc<Mutex<Option<R>>>);

impl<R> Clone for Once<R> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<R> Once<R> {
    /// Nothing of it has been read.
    pub fn new(reader: R) -> Self {
        Self(Arc::new(Mutex::new(Some(reader))))
    }

    /// The reader, for an attempt that may come to nothing before it reads.
    ///
    /// # Errors
    /// When somebody has read of it.
    pub fn borrow(&self) -> io::Result<Borrowed<R>> {
        if self.lock().is_none() {
            return Err(read_already());
        }
        Ok(Borrowed { home: self.clone(), reader: None })
    }

    /// Reads on from where whoever was here before has stopped.
    ///
    /// # Errors
    /// When the reader was taken, or what `read` fails with.
    pub fn read_on<T>(&self, read: impl FnOnce(&mut R) -> io::Result<T>) -> io::Result<T> {
        self.lock().as_mut().ok_or_else(read_already).and_then(read)
    }

    fn lock(&self) -> MutexGuard<'_, Option<R>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The data is gone, or a part of it is asked for.
pub fn read_already() -> io::Error {
    io::Error::other("the data can be read only once, from beginning to end")
}

/// A reader that stays where it is until something is read: an attempt that got no connection, or was refused before its
/// body, may be repeated, even while it is being cleared away.
pub struct Borrowed<R> {
    home: Once<R>,
    reader: Option<R>,
}

impl<R> Borrowed<R> {
    /// The reader, which nobody else gets any more.
    ///
    /// # Errors
    /// When somebody else has read of it.
    pub fn reader(&mut self) -> io::Result<&mut R> {
        if self.reader.is_none() {
            self.reader = self.home.lock().take();
        }
        self.reader.as_mut().ok_or_else(read_already)
    }
}
