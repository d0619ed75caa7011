//! A handle that ends calls from outside.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Ends the calls of the clients that were given it: from another thread, another task, or the handler of
/// Ctrl-C. Clones are the same handle.
///
/// What has to be put in order first is, such as parts of an upload that are removed; then the calls fail with
/// [`ErrorKind::Cancelled`](s3_proto::ErrorKind). A handle that was used once stays used: calls that begin
/// later fail at once.
#[derive(Clone)]
pub struct Cancel(Option<Arc<Mutex<Inner>>>);

#[derive(Default)]
struct Inner {
    cancelled: bool,
    next: u64,
    wakers: BTreeMap<u64, Box<dyn FnOnce() + Send>>,
}

impl Cancel {
    /// A handle that nobody has used.
    pub fn new() -> Self {
        Self(Some(Arc::default()))
    }

    /// A handle that does nothing, for what nobody is to end.
    #[doc(hidden)]
    pub fn never() -> Self {
        Self(None)
    }

    /// Ends the calls.
    pub fn cancel(&self) {
        let Some(mut inner) = self.lock() else { return };
        inner.cancelled = true;
        let wakers = std::mem::take(&mut inner.wakers);
        drop(inner);
        for wake in wakers.into_values() {
            wake();
        }
    }

    /// Whether it was used.
    pub fn is_cancelled(&self) -> bool {
        self.lock().is_some_and(|inner| inner.cancelled)
    }

    /// Calls back when it is used, at once if it already was; not any more once the registration is dropped.
    pub fn on_cancel(&self, wake: impl FnOnce() + Send + 'static) -> Registration {
        let Some(mut inner) = self.lock() else { return Registration { of: Self(None), id: 0 } };
        let id = inner.next;
        inner.next += 1;
        if inner.cancelled {
            drop(inner);
            wake();
        } else {
            inner.wakers.insert(id, Box::new(wake));
        }
        Registration { of: self.clone(), id }
    }

    fn lock(&self) -> Option<MutexGuard<'_, Inner>> {
        Some(self.0.as_ref()?.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Default for Cancel {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for Cancel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Cancel").field("cancelled", &self.is_cancelled()).finish_non_exhaustive()
    }
}

/// Keeps a call-back registered with a [`Cancel`].
#[derive(Debug)]
#[must_use = "dropping it takes the call-back away"]
pub struct Registration {
    of: Cancel,
    id: u64,
}

impl Drop for Registration {
    fn drop(&mut self) {
        if let Some(mut inner) = self.of.lock() {
            inner.wakers.remove(&self.id);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicUsize, Ordering};

    fn counter() -> (Arc<AtomicUsize>, impl FnOnce() + Send + 'static) {
        let count = Arc::new(AtomicUsize::new(0));
        let inside = count.clone();
        let wake = move || {
            inside.fetch_add(1, Ordering::Relaxed);
        };
        (count, wake)
    }

    #[test]
    fn those_that_are_registered_are_called_once() {
        let cancel = Cancel::new();
        let (count, wake) = counter();
        let _registration = cancel.on_cancel(wake);
        cancel.cancel();
        cancel.clone().cancel();
        assert!(cancel.is_cancelled());
        assert_eq!(count.load(Ordering::Relaxed), 1);
    }

    #[test]
    fn those_that_went_away_are_not_called() {
        let cancel = Cancel::new();
        let (count, wake) = counter();
        drop(cancel.on_cancel(wake));
        cancel.cancel();
        assert_eq!(count.load(Ordering::Relaxed), 0);
    }

    #[test]
    fn whoever_comes_late_is_called_at_once() {
        let cancel = Cancel::new();
        cancel.cancel();
        let (count, wake) = counter();
        let _registration = cancel.on_cancel(wake);
        assert_eq!(count.load(Ordering::Relaxed), 1);
    }
}
