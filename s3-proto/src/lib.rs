//! The sans-IO core.
#![forbid(unsafe_code)]

pub mod credentials;
mod error;
mod secret;
mod timestamp;

pub use credentials::Credentials;
pub use error::{Error, ErrorKind, Phase, SourceError, TransportError, TransportErrorKind};
pub use secret::Secret;
pub use timestamp::Timestamp;
