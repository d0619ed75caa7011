//! [`Engine`], what the core is driven by.

use std::fmt;
use std::future::poll_fn;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use futures_util::{Stream, stream};
use s3_proto::client::{Driver, Streaming};
use s3_proto::{Error, ErrorKind, Machine, Session};

use super::body::Body;
use super::run::{Progress, Run};
use super::runtime::Runtime;
use super::source::Source;
use super::transport::Transport;
use crate::Cancel;

/// Runs machines on an async runtime.
#[derive(Clone)]
pub struct Engine<R: Runtime> {
    session: Session,
    transport: Arc<Transport<R>>,
    cancel: Option<Cancel>,
}

/// What sending a request returns.
pub type Sent<T> = Pin<Box<dyn Future<Output = Result<T, Error>> + Send>>;

impl<R: Runtime> Engine<R> {
    pub(crate) fn new(session: Session, transport: Transport<R>) -> Self {
        Self { session, transport: Arc::new(transport), cancel: None }
    }

    /// The same, but its calls end when the handle is used.
    pub(crate) fn with_cancel(&self, cancel: &Cancel) -> Self {
        Self { cancel: Some(cancel.clone()), ..self.clone() }
    }

    pub(crate) fn transport(&self) -> &Transport<R> {
        &self.transport
    }

    fn start<M: Machine + Send + 'static>(
        &self,
        machine: M,
        source: Option<Source>,
        deliver: bool,
    ) -> Run<R, impl Machine<Item = M::Item, Output = M::Output> + Send + 'static + use<R, M>> {
        #[cfg(feature = "testing")]
        let machine = s3_proto::testing::Mocked::new(machine, &self.session);
        Run::new(machine, self.transport.clone(), source, self.cancel.as_ref(), deliver)
    }
}

impl<R: Runtime> Driver for Engine<R> {
    type Sent<T: Send + 'static> = Sent<T>;
    type Source = R::Source;
    type Body = R::Body;
    type Items<T: Send + 'static> = Items<T>;

    fn session(&self) -> &Session {
        &self.session
    }

    fn run<M>(&self, machine: M, source: Option<R::Source>) -> Sent<M::Output>
    where
        M: Machine + Send + 'static,
    {
        Box::pin(self.start(machine, source.map(Into::into), false).finish())
    }

    fn open<M>(&self, machine: M) -> Sent<Streaming<M::Item, R::Body>>
    where
        M: Machine<Output = ()> + Send + 'static,
    {
        let mut run = Some(Box::new(self.start(machine, None, true)));
        let (mut head, mut body) = (None, None);
        Box::pin(poll_fn(move |cx| {
            loop {
                let Some(running) = &mut run else { return Poll::Ready(Err(no_body())) };
                match ready!(running.poll_next(cx)) {
                    Progress::Item(item) => head = Some(item),
                    Progress::Body(delivery) => body = Some(delivery),
                    Progress::Done(result) => return Poll::Ready(Err(result.err().unwrap_or_else(no_body))),
                }
                if let Some(delivery) = body.take_if(|_| head.is_some())
                    && let (Some(head), Some(run)) = (head.take(), run.take())
                {
                    return Poll::Ready(Ok(Streaming::new(head, Body::new(delivery, run).into())));
                }
            }
        }))
    }

    fn items<M>(&self, machine: M) -> Items<M::Item>
    where
        M: Machine<Output = ()> + Send + 'static,
    {
        let mut run = Some(self.start(machine, None, false));
        let items = stream::poll_fn(move |cx| {
            let Some(running) = &mut run else { return Poll::Ready(None) };
            if let Some(item) = running.take_item() {
                return Poll::Ready(Some(Ok(item)));
            }
            loop {
                match ready!(running.poll_next(cx)) {
                    Progress::Item(item) => return Poll::Ready(Some(Ok(item))),
                    Progress::Body(_) => {}
                    Progress::Done(result) => {
                        run = None;
                        return Poll::Ready(result.err().map(Err));
                    }
                }
            }
        });
        Items(Box::pin(items))
    }
}

fn no_body() -> Error {
    Error::new(ErrorKind::ApiMisuse, "the machine ended without a body")
}

impl<R: Runtime> fmt::Debug for Engine<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Engine").field("session", &self.session).finish_non_exhaustive()
    }
}

/// What a machine yields, as it is asked for: a [`Stream`]. There is nothing after an error.
#[must_use = "nothing is asked for before the first item is"]
pub struct Items<T>(Pin<Box<dyn Stream<Item = Result<T, Error>> + Send>>);

impl<T> Items<T> {
    /// The next one; `None` at the end.
    pub async fn next(&mut self) -> Option<Result<T, Error>> {
        poll_fn(|cx| self.0.as_mut().poll_next(cx)).await
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
