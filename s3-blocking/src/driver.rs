//! [`Blocking`], what the core is driven by.

use std::fmt;
use std::sync::Arc;

use s3_io::clock::Clock;
use s3_io::{Cancel, PoolStats};
use s3_proto::client::{Driver, Streaming};
use s3_proto::{Error, ErrorKind, Machine, Session};

use crate::body::Body;
use crate::run::{Progress, Run};
use crate::source::Source;
use crate::transport::Transport;

/// Runs machines on the thread that calls, and on others if a machine does several things at a time.
#[derive(Clone)]
pub struct Blocking {
    session: Session,
    transport: Arc<Transport>,
    clock: Clock,
    cancel: Option<Cancel>,
}

/// What sending a request returns.
pub type Sent<T> = Result<T, Error>;

impl Blocking {
    pub(crate) fn new(session: Session, transport: Arc<Transport>, clock: Clock) -> Self {
        Self { session, transport, clock, cancel: None }
    }

    pub(crate) fn with_cancel(&self, cancel: &Cancel) -> Self {
        Self { cancel: Some(cancel.clone()), ..self.clone() }
    }

    pub(crate) fn pool_stats(&self) -> PoolStats {
        self.transport.stats()
    }

    fn start<M: Machine + Send + 'static>(
        &self,
        machine: M,
        source: Option<Source>,
        deliver: bool,
    ) -> Run<impl Machine<Item = M::Item, Output = M::Output> + Send + 'static + use<M>> {
        #[cfg(feature = "testing")]
        let machine = s3_proto::testing::Mocked::new(machine, &self.session);
        Run::new(machine, self.transport.clone(), self.clock, self.cancel.as_ref(), source, deliver)
    }
}

impl Driver for Blocking {
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
        finish(self.start(machine, source, false))
    }

    fn open<M>(&self, machine: M) -> Sent<Streaming<M::Item, Body>>
    where
        M: Machine<Output = ()> + Send + 'static,
    {
        let mut run = Box::new(self.start(machine, None, true));
        let (mut head, mut body) = (None, None);
        loop {
            match run.next() {
                Progress::Item(item) => head = Some(item),
                Progress::Body(delivery) => body = Some(delivery),
                Progress::Done(Err(error)) => return Err(error),
                Progress::Done(Ok(())) => {
                    return Err(Error::new(ErrorKind::ApiMisuse, "the machine ended without a body"));
                }
            }
            match (head, body) {
                (Some(head), Some(body)) => return Ok(Streaming::new(head, Body::new(body, run))),
                rest => (head, body) = rest,
            }
        }
    }

    fn items<M>(&self, machine: M) -> Items<M::Item>
    where
        M: Machine<Output = ()> + Send + 'static,
    {
        let mut run = Some(self.start(machine, None, false));
        Items(Box::new(std::iter::from_fn(move || {
            let running = run.as_mut()?;
            if let Some(item) = running.take_item() {
                return Some(Ok(item));
            }
            loop {
                match running.next() {
                    Progress::Item(item) => return Some(Ok(item)),
                    Progress::Body(_) => {}
                    Progress::Done(result) => {
                        run = None;
                        return result.err().map(Err);
                    }
                }
            }
        })))
    }
}

pub(crate) fn finish<M: Machine + Send>(mut run: Run<M>) -> Result<M::Output, Error> {
    loop {
        if let Progress::Done(result) = run.next() {
            return result;
        }
    }
}

impl fmt::Debug for Blocking {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Blocking").field("session", &self.session).finish_non_exhaustive()
    }
}

/// What a machine yields, as it is asked for. There is nothing after an error.
///
/// ```no_run
/// # fn f(client: s3_blocking::Client) -> Result<(), s3_blocking::Error> {
/// for object in client.list_all_objects("bucket") {
///     println!("{}", object?.key);
/// }
/// # Ok(()) }
/// ```
#[must_use = "nothing is asked for before the first item is"]
pub struct Items<T>(Box<dyn Iterator<Item = Result<T, Error>> + Send>);

impl<T> Iterator for Items<T> {
    type Item = Result<T, Error>;

    fn next(&mut self) -> Option<Self::Item> {
        self.0.next()
    }
}

impl<T> fmt::Debug for Items<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Items").finish_non_exhaustive()
    }
}
