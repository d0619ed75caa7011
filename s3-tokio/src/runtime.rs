//! tokio, as the shared part of the async drivers wants it.

use std::io;
use std::net::SocketAddr;

use hyper_util::rt::TokioIo;
use s3_io::driver::{Runtime, Sleeping, Time};
use s3_proto::Instant;
use tokio::net::TcpStream;

use crate::{Body, Source};

/// The runtime, with a clock that starts when this is made and can be paused as tokio's can.
#[derive(Clone, Copy, Debug)]
pub struct Tokio(tokio::time::Instant);

impl Default for Tokio {
    fn default() -> Self {
        Self(tokio::time::Instant::now())
    }
}

impl Time for Tokio {
    fn now(&self) -> Instant {
        Instant::from_origin(self.0.elapsed())
    }

    fn sleep_until(&self, at: Instant) -> Sleeping {
        match self.0.checked_add(at.since_origin()) {
            Some(at) => Box::pin(tokio::time::sleep_until(at)),
            None => Box::pin(std::future::pending()),
        }
    }
}

impl Runtime for Tokio {
    type Source = Source;
    type Body = Body;
    type Connection = TokioIo<TcpStream>;

    fn spawn(future: impl Future<Output = ()> + Send + 'static) {
        tokio::spawn(future);
    }

    fn blocking<T, W>(work: W) -> impl Future<Output = io::Result<T>> + Send + 'static
    where
        T: Send + 'static,
        W: FnOnce() -> T + Send + 'static,
    {
        let work = tokio::task::spawn_blocking(work);
        async { work.await.map_err(io::Error::other) }
    }

    async fn connect(to: SocketAddr) -> io::Result<Self::Connection> {
        let stream = TcpStream::connect(to).await?;
        if let Err(error) = stream.set_nodelay(true) {
            tracing::debug!(%error, "TCP_NODELAY could not be set");
        }
        Ok(TokioIo::new(stream))
    }
}
