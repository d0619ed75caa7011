//! S3 on tokio: hyper, rustls, and the protocol of [`s3_proto`], which decides everything.
//!
//! ```no_run
//! # async fn f() -> Result<(), Box<dyn std::error::Error>> {
//! use s3_tokio::{Client, Source};
//!
//! let client = Client::from_env().await?;
//! client.put_object("bucket", "backup.tar", Source::file("backup.tar").await?).await?;
//!
//! let object = client.get_object("bucket", "backup.tar").await?;
//! println!("{:?} bytes", object.body.content_length());
//! object.body.into_file("restored.tar").await?;
//! # Ok(()) }
//! ```
//!
//! - [`Client`] has all operations; what concerns connections is set with [`Client::builder`].
//! - [`Source`] is what is uploaded other than bytes in memory: a file, a reader, a stream.
//! - [`Body`] is what is downloaded: a stream of bytes, a reader, or all at once.
//! - [`Items`] yields page after page of a list.
//! - [`Cancel`] ends calls from outside.
//!
//! All futures may be dropped at any point; the connection of a request that is dropped half-way is closed. Nothing can
//! be asked of the service any more then: a transfer that is dropped, such as `upload_file`, `upload`, `copy` or `sync`,
//! may leave an upload with its parts there, which are paid for until it is aborted. [`Cancel`] ends it in order.
//! A runtime with time and I/O enabled is needed.
#![forbid(unsafe_code)]

mod body;
mod runtime;
mod source;

pub use body::Body;
pub use runtime::Tokio;
pub use s3_io::driver::{Items, Resolve, Resolving, Sent};
pub use s3_io::{Cancel, PoolStats};
pub use s3_proto;
use s3_proto::credentials::Environment;
pub use s3_proto::{Config, Credentials, Error, ErrorKind, Phase};
pub use source::Source;

/// An S3 client on tokio. All operations are those of the core's [`Client`](s3_proto::client::Client), which
/// it derefs to. Cloning it is cheap; clones share connections and caches.
///
/// ```no_run
/// # async fn f() -> Result<(), s3_tokio::Error> {
/// let client = s3_tokio::Client::from_env().await?;
/// client.put_object("bucket", "hello.txt", "Hello!").content_type("text/plain").await?;
/// let body = client.get_object("bucket", "hello.txt").await?.body.collect().await?;
/// assert_eq!(body, "Hello!");
/// # Ok(()) }
/// ```
pub type Client = s3_io::driver::Client<Tokio>;

/// The driver, for functions that take requests which are not sent yet.
///
/// ```
/// use s3_tokio::Engine;
/// use s3_tokio::s3_proto::transfer::UploadRequest;
///
/// fn of_video(upload: UploadRequest<Engine>) -> UploadRequest<Engine> {
///     upload.content_type("video/mp4").part_size(64 << 20)
/// }
/// ```
pub type Engine = s3_io::driver::Engine<Tokio>;

/// Settings of connections.
///
/// ```
/// # fn f(config: s3_tokio::Config) -> Result<(), s3_tokio::Error> {
/// let client = s3_tokio::Client::builder(config).max_connections_per_host(16).no_proxy().build()?;
/// # Ok(()) }
/// ```
pub type Builder = s3_io::driver::Builder<Tokio>;

/// The system's resolver.
pub type SystemResolver = s3_io::driver::SystemResolver<Tokio>;

/// What these environment variables, and the profile files that they name, say about a client.
///
/// ```no_run
/// # async fn f() -> Result<(), s3_tokio::Error> {
/// use s3_tokio::Client;
///
/// let environment = std::env::vars().collect();
/// let config = s3_tokio::load_config(environment).await?.with_max_attempts(5);
/// let client = Client::builder(config).max_connections_per_host(16).build()?;
/// # Ok(()) }
/// ```
///
/// # Errors
/// Settings that are contradictory or cannot be understood, or no region.
pub async fn load_config(environment: Environment) -> Result<Config, Error> {
    s3_io::driver::load_config::<Tokio>(environment).await
}

/// A service by script, for tests of code that uses a [`Client`] (feature `testing`): no network, and waits that
/// take no time.
///
/// ```
/// use http::Method;
/// use s3_tokio::Client;
/// use s3_tokio::testing::{Mock, Reply};
///
/// // The code under test.
/// async fn publish(client: &Client, data: &'static str) -> Result<(), s3_tokio::Error> {
///     client.put_object("reports", "last.csv", data).await?;
///     Ok(())
/// }
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), s3_tokio::Error> {
/// let mock = Mock::new();
/// mock.expect(Method::PUT, "/reports/last.csv").reply(Reply::error(503, "SlowDown")).reply(200);
/// let client = Client::new(mock.config())?;
///
/// publish(&client, "a,b").await?;
///
/// mock.verify();
/// assert_eq!(mock.requests()[0].body, "a,b");
/// assert_eq!(mock.waits().len(), 1);
/// # Ok(()) }
/// ```
#[cfg(feature = "testing")]
pub mod testing {
    pub use s3_proto::testing::*;
}

#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
