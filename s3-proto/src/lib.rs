//! The sans-IO core.
#![forbid(unsafe_code)]

mod body;
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
mod machine;
pub mod ops;
pub mod pages;
mod prepare;
pub mod redact;
mod retry;
mod secret;
mod session;
pub mod sign;
mod timestamp;
pub mod validate;
pub mod xml;

pub use body::BodyCheck;
pub use call::Call;
pub use config::{Config, PayloadSigning};
pub use credentials::{Credentials, LoadConfig};
pub use error::{Error, ErrorKind, Phase, SourceError, TransportError, TransportErrorKind};
pub use etag::ETag;
pub use machine::{Answer, BodyPlan, HttpTask, Instant, Machine, Now, Payload, Step, Task, TaskId, Timeouts};
pub use pages::Pages;
pub use retry::RetryConfig;
pub use secret::Secret;
pub use session::Session;
pub use timestamp::Timestamp;
