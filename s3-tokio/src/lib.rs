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
//!
//! All futures may be dropped at any point; the connection of a request that is dropped half-way is closed.
//! A runtime with time and I/O enabled is needed.
#![forbid(unsafe_code)]

mod body;
mod client;
mod clock;
mod drive;
mod driver;
mod source;
mod transport;

pub use body::Body;
pub use client::{Builder, Client, load_config};
pub use driver::{Items, Sent, Tokio};
pub use s3_io::PoolStats;
pub use s3_proto;
pub use s3_proto::{Config, Credentials, Error, ErrorKind, Phase};
pub use source::Source;
pub use transport::{Resolve, Resolving, SystemResolver};
