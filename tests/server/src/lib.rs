//! An honest S3 server for tests, to be embedded in them.
//!
//! - [`Store`] holds buckets and objects in memory and does with them what S3 does: versions, conditions, checksums,
//!   tags, multipart uploads, lists in pages.
//! - [`Service`] is a function from HTTP request to HTTP response around it. It needs no socket and no runtime, so a
//!   simulator can call it; ids and times come from a seed and a clock that it is given.
//! - [`Server`] puts it on a socket, with a log of the requests, and with faults on demand.
//!
//! The crate `s3s` reads requests, checks their signatures and writes answers; so what is tested against this server
//! is held against signature and XML code of other authors. What `s3s` lacks of S3's behaviour stands in [`Service`].
//!
//! ```
//! use s3_test_server::{Fault, Server};
//!
//! let server = Server::builder().credentials("AKID", "SECRET").start_in_thread()?;
//! server.store().put("bucket", "key", "value");
//! server.on_request(|head| head.target.starts_with("/bucket/slow").then(|| Fault::error(503, "SlowDown")));
//! println!("{}", server.endpoint());
//! # Ok::<(), std::io::Error>(())
//! ```
//!
//! Nothing is checked of access rights: each key pair may do everything. ACLs, policies, lifecycle, object lock,
//! replication, select and S3 Express sessions are not implemented (501).
#![forbid(unsafe_code)]

mod auth;
mod blob;
mod body;
mod builder;
mod checksum;
mod chunked;
mod errors;
mod faults;
mod ids;
mod proxy;
mod server;
mod service;
mod store;

pub use crate::auth::Credentials;
pub use crate::body::{Body, BoxError};
pub use crate::builder::Builder;
pub use crate::faults::{Fault, RequestHead};
pub use crate::proxy::{Direction, Proxy, Tamper};
pub use crate::server::Server;
pub use crate::service::{CompleteWhitespace, Service, WrongRegion};
pub use crate::store::{Clock, Store, StoreConfig};
