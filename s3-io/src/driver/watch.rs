//! Noticing that a call was cancelled.

use std::sync::Arc;
use std::task::Context;

use futures_util::task::AtomicWaker;

use crate::{Cancel, Registration};

/// Wakes one task when the handle is used.
pub(crate) struct Watch {
    cancel: Cancel,
    waker: Arc<AtomicWaker>,
    _registration: Registration,
}

impl Watch {
    pub(crate) fn new(cancel: &Cancel) -> Self {
        let waker = Arc::new(AtomicWaker::new());
        let inside = waker.clone();
        let registration = cancel.on_cancel(move || inside.wake());
        Self { cancel: cancel.clone(), waker, _registration: registration }
    }

    /// Whether it was used; if not, the task is woken when it is.
    pub(crate) fn poll(&self, cx: &Context<'_>) -> bool {
        self.waker.register(cx.waker());
        self.is_cancelled()
    }

    pub(crate) fn is_cancelled(&self) -> bool {
        self.cancel.is_cancelled()
    }
}
