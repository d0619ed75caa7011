//! The sans-IO core.
#![forbid(unsafe_code)]

pub mod credentials;
pub mod endpoint;
mod error;
mod secret;
mod timestamp;
pub mod validate;

pub use credentials::Credentials;
pub use error::{Error, ErrorKind, Phase, SourceError, TransportError, TransportErrorKind};
pub use secret::Secret;
pub use timestamp::Timestamp;
