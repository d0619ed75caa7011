//! [`Tokio`], what the core is driven by.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use futures_core::Stream;
use s3_io::PoolStats;
use s3_proto::client::{Driver, Streaming};
use s3_proto::{Error, ErrorKind, Machine, Session};

use crate::body::Body;
use crate::clock::Clock;
use crate::drive::{Progress, Run};
use crate::source::Source;
use crate::transport::Transport;

/// Runs machines on tokio.
#[derive(Clone)]
pub struct Tokio {
    session: Session,
    transport: Arc<Transport>,
    clock: Clock,
}

/// What sending a request returns.
pub type Sent<T> = Pin<Box<dyn Future<Output = Result<T, Error>> + Send>>;

impl Tokio {
    pub(crate) fn new(session: Session, transport: Arc<Transport>, clock: Clock) -> Self {
        Self { session, transport, clock }
    }

    pub(crate) fn pool_stats(&self) -> PoolStats {
        self.transport.stats()
    }

    fn start<M: Machine>(&self, machine: M, source: Option<Source>, deliver: bool) -> Run<M> {
        Run::new(machine, self.transport.clone(), self.clock, source, deliver)
    }
}

impl Driver for Tokio {
    type Sent<T: Send + 'static> = Sent<T>;
    type Source = Source;
    type Body = Body;
    type Items<T: Send + 'static> = Items<T>;

    fn session(&self) -> &Session {
        &self.session
    }

    fn run<M>(&self, machine: M, source: Option<Source>) -> Sent<M::Output>
    where
        M: Machine + Send + 'static,
    {
        let run = self.start(machine, source, false);
        Box::pin(finish(run))
    }

    fn open<M>(&self, machine: M) -> Sent<Streaming<M::Item, Body>>
    where
        M: Machine<Output = ()> + Send + 'static,
    {
        let mut run = Box::new(self.start(machine, None, true));
        Box::pin(async move {
            let (mut head, mut body) = (None, None);
            loop {
                match run.next().await {
                    Progress::Item(item) => head = Some(item),
                    Progress::Body(delivery) => body = Some(delivery),
                    Progress::Done(Err(error)) => return Err(error),
                    Progress::Done(Ok(())) => {
                        let message = "the machine ended without a body";
                        return Err(Error::new(ErrorKind::ApiMisuse, message));
                    }
                }
                match (head, body) {
                    (Some(head), Some(body)) => return Ok(Streaming::new(head, Body::new(body, run))),
                    rest => (head, body) = rest,
                }
            }
        })
    }

    fn items<M>(&self, machine: M) -> Items<M::Item>
    where
        M: Machine<Output = ()> + Send + 'static,
    {
        let run = self.start(machine, None, false);
        let items = futures_util::stream::unfold(Some(run), |run| async move {
            let mut run = run?;
            loop {
                match run.next().await {
                    Progress::Item(item) => return Some((Ok(item), Some(run))),
                    Progress::Body(_) => {}
                    Progress::Done(Ok(())) => return None,
                    Progress::Done(Err(error)) => return Some((Err(error), None)),
                }
            }
        });
        Items(Box::pin(items))
    }
}

pub(crate) async fn finish<M: Machine>(mut run: Run<M>) -> Result<M::Output, Error> {
    loop {
        if let Progress::Done(result) = run.next().await {
            return result;
        }
    }
}

impl fmt::Debug for Tokio {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tokio").field("session", &self.session).finish_non_exhaustive()
    }
}

/// What a machine yields, as it is asked for: a [`Stream`]. There is nothing after an error.
#[must_use = "nothing is asked for before the first item is"]
pub struct Items<T>(Pin<Box<dyn Stream<Item = Result<T, Error>> + Send>>);

impl<T> Items<T> {
    /// The next one; `None` at the end.
    pub async fn next(&mut self) -> Option<Result<T, Error>> {
        std::future::poll_fn(|cx| self.0.as_mut().poll_next(cx)).await
    }

    /// All of them.
    ///
    /// # Errors
    /// The first error that comes.
    pub async fn collect(mut self) -> Result<Vec<T>, Error> {
        let mut all = Vec::new();
        while let Some(item) = self.next().await {
            all.push(item?);
        }
        Ok(all)
    }
}

impl<T> Stream for Items<T> {
    type Item = Result<T, Error>;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.get_mut().0.as_mut().poll_next(cx)
    }
}

impl<T> fmt::Debug for Items<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Items").finish_non_exhaustive()
    }
}
