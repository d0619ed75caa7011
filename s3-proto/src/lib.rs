//! S3 without I/O: every operation, signature and decision of a client as state machines that somebody else
//! drives.
//!
//! Most programs want a driver: `s3-tokio`, `s3-async-std` (which runs inside smol, too) or `s3-blocking`. Use this
//! crate itself to put S3 into an event loop of your own, or to write a driver.
//!
//! - [`ops`]: the operations, as plain data; [`client`] is the fluent form that all drivers share.
//! - [`Machine`], [`Step`], [`Task`], [`Answer`], [`BodyPlan`]: the contract between a machine and its driver.
//! - [`Call`], [`call::Stream`], [`Pages`]: one operation, one with a streamed body, all pages of a list.
//! - [`Session`] and [`Config`]: what the calls of a client share.
//! - [`retry`], [`skew`], [`breaker`], [`limit`]: policy, as pure types.
//! - [`sign`], [`credentials`], [`endpoint`], [`checksum`], [`xml`]: the parts, usable by themselves.
//!
//! # Driving a machine by hand
//!
//! Poll until the machine waits or is done; carry out what it asks for; answer. Here the network is a
//! function that knows one answer:
//!
//! ```
//! use std::time::Duration;
//! use s3_proto::ops::ListObjectsV2;
//! use s3_proto::{
//!     Answer, BodyPlan, Call, Config, Credentials, Instant, Machine, Now, Session, Step, Task, Timestamp,
//! };
//!
//! const PAGE: &[u8] = b"<ListBucketResult><IsTruncated>false</IsTruncated>\
//!     <Contents><Key>photo.jpg</Key><Size>1024</Size></Contents></ListBucketResult>";
//!
//! let config = Config::new("eu-central-1")?.with_credentials(Credentials::new("AKIDEXAMPLE", "secret")?);
//! let mut machine = Call::new(Session::new(config), ListObjectsV2::new("my-bucket"));
//! // A real driver reads both clocks.
//! let now = Now { mono: Instant::from_origin(Duration::ZERO), wall: Timestamp::UNIX_EPOCH };
//!
//! let page = loop {
//!     match machine.poll(now) {
//!         Step::Start(id, Task::Http(task)) => {
//!             // A real driver sends `task.request` and waits for the answer.
//!             assert_eq!(task.request.uri().host(), Some("my-bucket.s3.eu-central-1.amazonaws.com"));
//!             assert!(task.request.headers().contains_key("authorization"));
//!             let (head, ()) = http::Response::new(()).into_parts();
//!             if let BodyPlan::Collect = machine.answer(now, id, Answer::Head(head.into())) {
//!                 let _ = machine.answer(now, id, Answer::Chunk(PAGE));
//!                 let _ = machine.answer(now, id, Answer::End(None));
//!             }
//!         }
//!         Step::Done(result) => break result?,
//!         Step::Wait(until) => unreachable!("nothing is under way: sleep until {until:?}"),
//!         step => unreachable!("not asked for here: {step:?}"),
//!     }
//! };
//! assert_eq!(page.contents[0].key, "photo.jpg");
//! # Ok::<(), s3_proto::Error>(())
//! ```
//!
//! # What it never does
//!
//! It opens no socket or file, reads no clock and no environment, starts no thread, and has no randomness
//! but the seed in [`Config`]: the same inputs give the same outputs. Nothing that a server sends can make
//! it panic or hold memory without a bound.
//!
//! # Features
//!
//! - `json`: `get_object_json` and `put_object_json`, by serde.
//! - `sigv4a`: Signature V4a, for multi-region access points, by p256.
//! - `metrics`: counters and histograms by the facade of that name; spans and events by `tracing` are always
//!   there.
//! - `testing`: `testing::Mock`, a service by script for tests of code that uses a client.
#![forbid(unsafe_code)]

mod ambiguity;
mod body;
pub mod breaker;
pub mod call;
pub mod checksum;
pub mod client;
mod config;
pub mod credentials;
pub mod encode;
pub mod endpoint;
mod error;
mod error_answer;
mod etag;
mod exchange;
pub mod files;
pub mod limit;
mod machine;
pub mod observe;
pub mod ops;
pub mod pages;
mod prepare;
mod recent;
pub mod redact;
mod redirect;
pub mod retry;
mod script;
mod secret;
mod session;
mod shortcuts;
pub mod sign;
pub mod skew;
#[cfg(feature = "testing")]
pub mod testing;
mod timestamp;
pub mod transfer;
mod turn;
pub mod validate;
pub mod xml;

pub use body::BodyCheck;
pub use call::Call;
pub use config::{Config, PayloadSigning};
pub use credentials::{Credentials, LoadConfig};
pub use error::{Error, ErrorKind, Phase, SourceError, TransportError, TransportErrorKind};
pub use etag::ETag;
pub use machine::{
    Answer, BodyPlan, Exit, HttpTask, Instant, Machine, Now, Payload, Provide, Sink, SourceId, Step, Task,
    TaskId, Timeouts,
};
pub use pages::Pages;
pub use retry::{RetryConfig, RetryMode};
pub use script::Tasks;
pub use secret::Secret;
pub use session::Session;
pub use timestamp::Timestamp;
