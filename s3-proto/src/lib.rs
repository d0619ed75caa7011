//! The sans-IO core.
#![forbid(unsafe_code)]

pub mod checksum;
pub mod credentials;
pub mod encode;
pub mod endpoint;
mod error;
pub mod redact;
mod secret;
pub mod sign;
mod timestamp;
pub mod validate;
pub mod xml;

pub use credentials::Credentials;
pub use error::{Error, ErrorKind, Phase, SourceError, TransportError, TransportErrorKind};
pub use secret::Secret;
pub use timestamp::Timestamp;
