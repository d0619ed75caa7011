//! S3 for programs that block: ureq, rustls, and the protocol of [`s3_proto`], which decides everything. There
//! is no async runtime in it.
//!
//! ```no_run
//! # fn f() -> Result<(), Box<dyn std::error::Error>> {
//! use s3_blocking::{Client, Source};
//!
//! let client = Client::from_env()?;
//! client.put_object("bucket", "backup.tar", Source::file("backup.tar")?).send()?;
//!
//! let object = client.get_object("bucket", "backup.tar").send()?;
//! println!("{:?} bytes", object.body.content_length());
//! object.body.into_file("restored.tar")?;
//! # Ok(()) }
//! ```
//!
//! - [`Client`] has all operations; what concerns connections is set with [`Client::builder`].
//! - [`Source`] is what is uploaded other than bytes in memory: a file, a reader, an iterator.
//! - [`Body`] is what is downloaded: a reader, pieces one by one, or all at once.
//! - [`Items`] iterates over page after page of a list.
//! - [`Cancel`] ends calls from another thread, or from the handler of Ctrl-C.
//!
//! # Threads
//!
//! A call does its work on the thread that makes it. Transfers of many parts, calls that may be cancelled and calls
//! with an `operation_timeout` start a thread for each request on its way; all of them are gone when the call
//! returns. Host names are looked up in a thread, since the system's resolver knows no time-out; if that runs out,
//! the thread is left to itself until the resolver gives up.
//!
//! # Cancellation
//!
//! ```no_run
//! # fn f() -> Result<(), s3_blocking::Error> {
//! use s3_blocking::{Cancel, Client};
//!
//! let cancel = Cancel::new();
//! let client = Client::from_env()?.with_cancel(&cancel);
//! std::thread::spawn(move || {
//!     std::thread::sleep(std::time::Duration::from_secs(60));
//!     cancel.cancel();
//! });
//! client.list_buckets().send()?;
//! # Ok(()) }
//! ```
//!
//! It closes the connections of a call, whether it is reading or writing. Connecting takes as long as its time-out
//! allows, and so does a reader of yours that blocks.
//!
//! # Logs
//!
//! ureq writes through the `log` crate; at level `trace`, and only there, `ureq_proto` writes down heads of requests
//! as they are, signatures and session tokens included. Do not turn that on where logs are kept.
#![forbid(unsafe_code)]

mod body;
mod client;
mod driver;
mod run;
mod source;
mod task;
mod transport;

pub use body::{Body, Pieces};
pub use client::{Builder, Client, load_config};
pub use driver::{Blocking, Items, Sent};
pub use s3_io::{Cancel, PoolStats};
pub use s3_proto;
pub use s3_proto::{Config, Credentials, Error, ErrorKind, Phase};
pub use source::Source;
pub use transport::{Resolve, SystemResolver};

/// A service by script, for tests of code that uses a [`Client`] (feature `testing`): no network, and waits that
/// take no time.
///
/// ```
/// use http::Method;
/// use s3_blocking::Client;
/// use s3_blocking::testing::{Mock, Reply};
///
/// // The code under test.
/// fn publish(client: &Client, data: &'static str) -> Result<(), s3_blocking::Error> {
///     client.put_object("reports", "last.csv", data).send()?;
///     Ok(())
/// }
///
/// let mock = Mock::new();
/// mock.expect(Method::PUT, "/reports/last.csv").reply(Reply::error(503, "SlowDown")).reply(200);
/// let client = Client::new(mock.config())?;
///
/// publish(&client, "a,b")?;
///
/// mock.verify();
/// assert_eq!(mock.requests()[0].body, "a,b");
/// assert_eq!(mock.waits().len(), 1);
/// # Ok::<(), s3_blocking::Error>(())
/// ```
#[cfg(feature = "testing")]
pub mod testing {
    pub use s3_proto::testing::*;
}

/// Its examples are compiled as well.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
