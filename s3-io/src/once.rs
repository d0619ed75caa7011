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

    /// Takes the reader.
    ///
    /// # Errors
    /// When somebody has read of it.
    pub fn borrow(&self) -> io::Result<Borrowed<R>> {
        let reader = self.lock().take().ok_or_else(read_already)?;
        Ok(Borrowed { reader: Some(reader), home: Some(self.clone()) })
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

/// A reader that goes home unless something was read: an attempt that got no connection may be repeated.
pub struct Borrowed<R> {
    reader: Option<R>,
    home: Option<Once<R>>,
}

impl<R> Borrowed<R> {
    /// The reader, which does not go home any more.
    pub fn reader(&mut self) -> Option<&mut R> {
        self.home = None;
        self.reader.as_mut()
    }
}

impl<R> Drop for Borrowed<R> {
    fn drop(&mut self) {
        if let Some(home) = &self.home {
            *home.lock() = self.reader.take();
        }
    }
}
