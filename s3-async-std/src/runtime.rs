//! async-std, as the shared part of the async drivers wants it.

use std::io;
use std::net::SocketAddr;
use std::time::Instant as StdInstant;

use async_std::task;
use hyper_util::rt::TokioIo;
use s3_io::driver::{Runtime, Sleeping, Time};
use s3_proto::Instant;

use crate::connection::Connection;
use crate::timers::Sleep;
use crate::{Body, Source};

/// async-std's executor, reactor and thread pool, which start when they are first used: also under another
/// executor, such as smol's. The clock starts when this is made.
#[derive(Clone, Copy, Debug)]
pub struct AsyncStd(StdInstant);

impl Default for AsyncStd {
    fn default() -> Self {
        Self(StdInstant::now())
    }
}

impl Time for AsyncStd {
    fn now(&self) -> Instant {
        Instant::from_origin(self.0.elapsed())
    }

    fn sleep_until(&self, at: Instant) -> Sleeping {
        match self.0.checked_add(at.since_origin()) {
            Some(at) => Box::pin(Sleep::until(at)),
            None => Box::pin(std::future::pending()),
        }
    }
}

impl Runtime for AsyncStd {
    type Source = Source;
    type Body = Body;
    type Connection = TokioIo<Connection>;

    fn spawn(future: impl Future<Output = ()> + Send + 'static) {
        task::spawn(future);
    }

    fn blocking<T, W>(work: W) -> impl Future<Output = io::Result<T>> + Send + 'static
    where
        T: Send + 'static,
        W: FnOnce() -> T + Send + 'static,
    {
        let work = task::spawn_blocking(work);
        async { Ok(work.await) }
    }

    async fn connect(to: SocketAddr) -> io::Result<Self::Connection> {
        Connection::open(to).await.map(TokioIo::new)
    }
}
