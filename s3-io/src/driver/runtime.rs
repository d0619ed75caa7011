//! What an async runtime has to offer, and what follows from it.

use std::fmt;
use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use futures_util::future::{AbortHandle, Abortable};
use hyper::rt::{Read, Write};
use s3_proto::{Instant, Now};
use tokio::sync::oneshot;

use crate::clock::wall;
use crate::driver::{Body, Source};

/// An async runtime, and the idiom of those who use it.
pub trait Runtime: Time + Clone + Default {
    /// What users upload from.
    type Source: s3_proto::client::Source + Into<Source>;
    /// What users read.
    type Body: fmt::Debug + From<Body> + Send + 'static;
    /// A TCP connection.
    type Connection: Read + Write + Unpin + Send + 'static;

    /// Runs a future beside everything else.
    fn spawn(future: impl Future<Output = ()> + Send + 'static);

    /// Runs what may block on a thread that may. It begins at once, and goes on if the future is dropped.
    fn blocking<T, W>(work: W) -> impl Future<Output = io::Result<T>> + Send + 'static
    where
        T: Send + 'static,
        W: FnOnce() -> T + Send + 'static;

    /// Connects, with `TCP_NODELAY` where that can be set.
    fn connect(to: SocketAddr) -> impl Future<Output = io::Result<Self::Connection>> + Send;
}

/// The clock that a runtime's timers go by.
pub trait Time: Send + Sync + 'static {
    /// The time since this clock was made.
    fn now(&self) -> Instant;

    /// Ends at `at`, or never if that is past the end of time.
    fn sleep_until(&self, at: Instant) -> Sleeping;
}

/// What [`Time::sleep_until`] returns.
pub type Sleeping = Pin<Box<dyn Future<Output = ()> + Send + Sync>>;

/// Both clocks, and what waits by them.
#[derive(Clone)]
pub(crate) struct Clock(Arc<dyn Time>);

impl Clock {
    pub(crate) fn new(time: impl Time) -> Self {
        Self(Arc::new(time))
    }

    pub(crate) fn now(&self) -> Instant {
        self.0.now()
    }

    pub(crate) fn both(&self) -> Now {
        Now { mono: self.now(), wall: wall() }
    }

    /// When `limit` is over that begins now.
    pub(crate) fn after(&self, limit: Duration) -> Instant {
        self.now().saturating_add(limit)
    }

    pub(crate) fn sleep_until(&self, at: Instant) -> Sleeping {
        self.0.sleep_until(at)
    }

    pub(crate) fn alarm(&self) -> Alarm {
        Alarm { clock: self.clone(), armed: None }
    }

    /// What the future comes to, unless that takes too long.
    pub(crate) async fn within<F: Future>(&self, until: Option<Instant>, future: F) -> Option<F::Output> {
        let mut future = pin!(future);
        let mut alarm = self.alarm();
        std::future::poll_fn(|cx| match future.as_mut().poll(cx) {
            Poll::Ready(output) => Poll::Ready(Some(output)),
            Poll::Pending => match until {
                Some(until) => alarm.poll(cx, until).map(|()| None),
                None => Poll::Pending,
            },
        })
        .await
    }
}

impl fmt::Debug for Clock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Clock").field(&self.now()).finish()
    }
}

/// A deadline that may be moved as often as one likes.
pub(crate) struct Alarm {
    clock: Clock,
    /// Rings then; not set anew as long as that is early enough.
    armed: Option<(Instant, Sleeping)>,
}

impl Alarm {
    /// What the clock shows that it goes by.
    pub(crate) fn now(&self) -> Instant {
        self.clock.now()
    }

    /// Another one by the same clock.
    pub(crate) fn another(&self) -> Self {
        self.clock.alarm()
    }

    /// Ready once it is `at`.
    pub(crate) fn poll(&mut self, cx: &mut Context<'_>, at: Instant) -> Poll<()> {
        // No clock is asked: that costs more than a timer that is set already, and timers and clocks may differ by the
        // smallest unit.
        loop {
            match &mut self.armed {
                Some((rings, sleep)) if *rings <= at => {
                    ready!(sleep.as_mut().poll(cx));
                    let is_due = *rings == at;
                    self.armed = None;
                    if is_due {
                        return Poll::Ready(());
                    }
                }
                _ => self.armed = Some((at, self.clock.sleep_until(at))),
            }
        }
    }
}

impl fmt::Debug for Alarm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Alarm").field("at", &self.armed.as_ref().map(|(at, _)| at)).finish_non_exhaustive()
    }
}

/// Runs a future on the runtime, so that it does not share a thread with whoever waits for it; it ends when
/// what is returned is dropped. `None` if the runtime has dropped it.
pub(crate) fn spawned<R: Runtime, T: Send + 'static>(
    future: impl Future<Output = T> + Send + 'static,
) -> impl Future<Output = Option<T>> + Send + 'static {
    struct AbortOnDrop(AbortHandle);
    impl Drop for AbortOnDrop {
        fn drop(&mut self) {
            self.0.abort();
        }
    }
    let (sender, receiver) = oneshot::channel();
    let (handle, registration) = AbortHandle::new_pair();
    let guard = AbortOnDrop(handle);
    R::spawn(async move {
        if let Ok(output) = Abortable::new(future, registration).await {
            // Nobody waits any more if this fails.
            let _ = sender.send(output);
        }
    });
    async move {
        let _guard = guard;
        receiver.await.ok()
    }
}

/// The runtime, as hyper wants it.
#[derive(Clone, Debug)]
pub(crate) struct Glue<R> {
    clock: Clock,
    /// What hyper takes for the moment at which the clock showed the other.
    anchor: (std::time::Instant, Instant),
    runtime: std::marker::PhantomData<fn() -> R>,
}

impl<R: Runtime> Glue<R> {
    pub(crate) fn new(clock: &Clock) -> Self {
        let anchor = (std::time::Instant::now(), clock.now());
        Self { clock: clock.clone(), anchor, runtime: std::marker::PhantomData }
    }
}

impl<R: Runtime, F: Future<Output: Send + 'static> + Send + 'static> hyper::rt::Executor<F> for Glue<R> {
    fn execute(&self, future: F) {
        R::spawn(async move {
            future.await;
        });
    }
}

impl<R: Runtime> hyper::rt::Timer for Glue<R> {
    fn sleep(&self, duration: Duration) -> Pin<Box<dyn hyper::rt::Sleep>> {
        Box::pin(HyperSleep(self.clock.sleep_until(self.clock.after(duration))))
    }

    fn sleep_until(&self, deadline: std::time::Instant) -> Pin<Box<dyn hyper::rt::Sleep>> {
        let (here, there) = self.anchor;
        let at = there.saturating_add(deadline.saturating_duration_since(here));
        Box::pin(HyperSleep(self.clock.sleep_until(at)))
    }

    fn now(&self) -> std::time::Instant {
        let (here, there) = self.anchor;
        here + self.clock.now().since(there)
    }
}

struct HyperSleep(Sleeping);

impl Future for HyperSleep {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        self.0.as_mut().poll(cx)
    }
}

impl hyper::rt::Sleep for HyperSleep {}
