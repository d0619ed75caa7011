//! The fluent API, the same in every driver.

use std::fmt;
use std::future::IntoFuture;
use std::time::Duration;

use bytes::Bytes;

use crate::call::{Call, PostPolicyCall, PresignCall};
use crate::machine::{Machine, Payload};
use crate::ops::Operation;
use crate::pages::{Entries, Pages, Paginated};
use crate::session::Session;
use crate::sign::{PostPolicy, Presigned, PresignedPost};
use crate::{Error, ErrorKind};

/// What a driver is to the core: how it runs a machine, and what its users upload from and read.
pub trait Driver: Clone + Send + 'static {
    /// What `send` returns: a boxed future of the result in an async driver, the result itself in a
    /// blocking one.
    type Sent<T: Send + 'static>;
    /// What a user uploads from, other than bytes in memory.
    type Source: Source;
    /// What a user reads a streamed body from.
    type Body: fmt::Debug + Send + 'static;
    /// What yields the items of a machine: a `Stream` or an `Iterator` of results.
    type Items<T: Send + 'static>;

    /// What all calls of this client share.
    fn session(&self) -> &Session;

    /// Runs a machine to its end; its items are dropped.
    fn run<M>(&self, machine: M, source: Option<Self::Source>) -> Self::Sent<M::Output>
    where
        M: Machine + Send + 'static;

    /// Runs a machine to its first item, the head of the answer; the body goes on from there.
    fn open<M>(&self, machine: M) -> Self::Sent<Streaming<M::Item, Self::Body>>
    where
        M: Machine<Output = ()> + Send + 'static;

    /// Yields the items of a machine as they are asked for.
    fn items<M>(&self, machine: M) -> Self::Items<M::Item>
    where
        M: Machine<Output = ()> + Send + 'static;
}

/// Data to upload that is not held in memory.
pub trait Source: Send + 'static {
    /// How many bytes it will give, if it knows. It must give exactly as many.
    fn known_len(&self) -> Option<u64>;

    /// Whether any range of it can be read, as often as needed, so that a failed attempt can be repeated and
    /// parts can be read at once.
    fn is_replayable(&self) -> bool;
}

/// The data of an upload: bytes in memory, or what the driver can read.
#[derive(Debug)]
pub enum Data<S> {
    /// In memory.
    Bytes(Bytes),
    /// Read as it is sent.
    Source(S),
}

macro_rules! from_bytes {
    ($($type:ty),*) => {$(
        impl<S> From<$type> for Data<S> {
            fn from(data: $type) -> Self {
                Self::Bytes(Bytes::from(data))
            }
        }
    )*};
}
from_bytes!(Bytes, Vec<u8>, String, &'static str, &'static [u8]);

impl<S, const N: usize> From<&'static [u8; N]> for Data<S> {
    fn from(data: &'static [u8; N]) -> Self {
        Self::Bytes(Bytes::from_static(data))
    }
}

impl<S: Source> From<S> for Data<S> {
    fn from(source: S) -> Self {
        Self::Source(source)
    }
}

impl<S: Source> Data<S> {
    /// How the request names this data, and the source that travels beside it.
    pub(crate) fn into_payload(self) -> (Payload, Option<S>) {
        match self {
            Self::Bytes(bytes) => (Payload::Bytes(bytes), None),
            Self::Source(source) => {
                let replayable = source.is_replayable();
                let payload =
                    source.known_len().map_or(Payload::Unsized, |len| Payload::source(len, replayable));
                (payload, Some(source))
            }
        }
    }
}

/// An answer whose body is read as it comes.
#[derive(Debug)]
#[non_exhaustive]
pub struct Streaming<T, B> {
    /// What the headers say.
    pub head: T,
    /// The bytes, not yet read.
    pub body: B,
}

impl<T, B> Streaming<T, B> {
    /// For drivers.
    pub fn new(head: T, body: B) -> Self {
        Self { head, body }
    }
}

/// The headers' members can be reached without naming [`head`](Streaming::head).
impl<T, B> std::ops::Deref for Streaming<T, B> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.head
    }
}

/// How the answer to an operation reaches the user.
pub trait Reply: Sized {
    /// What `send` yields for an operation with output `T` on a driver with body `B`.
    type Of<T: Send + 'static, B: Send + 'static>: Send + 'static;

    /// Starts the call.
    fn start<O, D>(driver: &D, op: O, source: Option<D::Source>) -> D::Sent<Self::Of<O::Output, D::Body>>
    where
        O: Operation<Reply = Self>,
        D: Driver;
}

/// The whole answer is parsed before it is handed over.
#[derive(Debug)]
pub enum Whole {}

/// The head is handed over at once, the body is read by the user.
#[derive(Debug)]
pub enum Streamed {}

impl Reply for Whole {
    type Of<T: Send + 'static, B: Send + 'static> = T;

    fn start<O, D>(driver: &D, op: O, source: Option<D::Source>) -> D::Sent<O::Output>
    where
        O: Operation<Reply = Self>,
        D: Driver,
    {
        driver.run(Call::new(driver.session().clone(), op), source)
    }
}

impl Reply for Streamed {
    type Of<T: Send + 'static, B: Send + 'static> = Streaming<T, B>;

    fn start<O, D>(driver: &D, op: O, _: Option<D::Source>) -> D::Sent<Streaming<O::Output, D::Body>>
    where
        O: Operation<Reply = Self>,
        D: Driver,
    {
        driver.open(crate::call::Stream::new(driver.session().clone(), op))
    }
}

/// What operation `O` yields on driver `D`: its output, with the body beside it if that is streamed.
pub type Answered<O, D> =
    <<O as Operation>::Reply as Reply>::Of<<O as Operation>::Output, <D as Driver>::Body>;

/// An operation on its way: set what you like, then [`send`](Request::send) or `.await` it.
///
/// What is required are arguments of the method that makes it, so that what lacks one does not compile:
///
/// ```
/// # use s3_proto::client::{Client, Driver, Request};
/// # use s3_proto::ops::GetObject;
/// fn first_kilobyte<D: Driver>(client: &Client<D>) -> Request<GetObject, D> {
///     client.get_object("bucket", "key").range(0..1024)
/// }
/// ```
///
/// ```compile_fail,E0061
/// # use s3_proto::client::{Client, Driver, Request};
/// # use s3_proto::ops::GetObject;
/// fn of_no_key<D: Driver>(client: &Client<D>) -> Request<GetObject, D> {
///     client.get_object("bucket").range(0..1024)
/// }
/// ```
#[must_use = "a request does nothing until it is sent"]
pub struct Request<O, D: Driver> {
    /// The operation, as plain data.
    pub op: O,
    pub(crate) driver: D,
    pub(crate) source: Option<D::Source>,
}

impl<O: Operation, D: Driver> Request<O, D> {
    /// Sends it.
    ///
    /// # Errors
    /// Whatever [`Error`] describes; what can be known to be wrong is refused before anything is sent.
    pub fn send(self) -> D::Sent<Answered<O, D>> {
        O::Reply::start(&self.driver, self.op, self.source)
    }

    /// Makes a URL that lets anybody do this until `expires` from now, at most 7 days, and not longer than
    /// temporary credentials live.
    ///
    /// The body of an upload is left open (`UNSIGNED-PAYLOAD`), unless
    /// [`PayloadSigning::Always`](crate::PayloadSigning) is set and the data is in memory: then it must be that.
    pub fn presign(self, expires: Duration) -> D::Sent<Presigned> {
        let machine = PresignCall::new(self.driver.session().clone(), &self.op, expires);
        self.driver.run(machine, None)
    }
}

impl<O: Paginated, D: Driver> Request<O, D> {
    /// Asks for page after page, as they are taken.
    pub fn pages(self) -> D::Items<O::Output> {
        self.driver.items(Pages::new(self.driver.session().clone(), self.op))
    }

    /// Asks for page after page, and yields their entries one by one: objects, versions, uploads, parts.
    ///
    /// What pages have beside them, common prefixes and delete markers, is in [`pages`](Self::pages) alone.
    pub fn entries(self) -> D::Items<O::Entry> {
        self.driver.items(Entries::new(self.driver.session().clone(), self.op))
    }
}

impl<O: Operation, D: Driver> IntoFuture for Request<O, D>
where
    D::Sent<Answered<O, D>>: Future<Output = Result<Answered<O, D>, Error>>,
{
    type Output = Result<Answered<O, D>, Error>;
    type IntoFuture = D::Sent<Answered<O, D>>;

    fn into_future(self) -> Self::IntoFuture {
        self.send()
    }
}

impl<O: fmt::Debug, D: Driver> fmt::Debug for Request<O, D> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.op.fmt(f)
    }
}

/// All operations of S3, on some driver.
#[derive(Clone, Debug)]
pub struct Client<D> {
    driver: D,
}

impl<D: Driver> Client<D> {
    /// For drivers; their own `Client` derefs to this one.
    pub fn new(driver: D) -> Self {
        Self { driver }
    }

    /// The driver below.
    pub fn driver(&self) -> &D {
        &self.driver
    }

    /// Configuration and caches of this client.
    pub fn session(&self) -> &Session {
        self.driver.session()
    }

    /// Any operation, also one of your own.
    pub fn request<O: Operation>(&self, op: O) -> Request<O, D> {
        Request { op, driver: self.driver.clone(), source: None }
    }

    /// Signs the form by which a browser uploads to a bucket (POST Object), with this client's credentials.
    ///
    /// ```
    /// # use std::time::Duration;
    /// # use s3_proto::client::{Client, Driver};
    /// # use s3_proto::sign::{PostPolicy, PresignedPost};
    /// fn upload_form<D: Driver>(client: &Client<D>) -> D::Sent<PresignedPost> {
    ///     let policy = PostPolicy::lasting(Duration::from_secs(3_600))
    ///         .key_starts_with("user/eve/")
    ///         .content_length_range(1, 10 * 1024 * 1024);
    ///     client.post_policy("bucket", policy)
    /// }
    /// ```
    ///
    /// # Errors
    /// As [`PostPolicy::sign`]; also for an anonymous client, and for directory buckets, which take no forms.
    pub fn post_policy(&self, bucket: impl Into<String>, policy: PostPolicy) -> D::Sent<PresignedPost> {
        self.driver.run(PostPolicyCall::new(self.session().clone(), bucket, policy), None)
    }

    /// Any operation with data that is not in memory; the operation's payload must name it.
    pub fn request_with_source<O: Operation>(&self, op: O, source: D::Source) -> Request<O, D> {
        Request { op, driver: self.driver.clone(), source: Some(source) }
    }
}

/// An error for a machine that is polled after its end.
pub(crate) fn polled_after_done() -> Error {
    Error::new(ErrorKind::ApiMisuse, "the machine was polled after it was done")
}
