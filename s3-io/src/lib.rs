//! What the drivers share beside the protocol: files, clocks, TLS, and what went wrong below HTTP.
//!
//! The feature `hyper` adds what all drivers on async runtimes share.
//!
//! Internal to this family of packages; nothing here is promised to stay as it is.
#![forbid(unsafe_code)]

mod cancel;
pub mod clock;
#[cfg(feature = "hyper")]
pub mod driver;
pub mod effects;
pub mod failure;
pub mod files;
mod local;
mod open_files;
mod stats;
pub mod tls;

pub use cancel::{Cancel, Registration};
pub use failure::Failure;
pub use local::is_local;
pub use open_files::Files;
pub use stats::{Counts, PoolStats};
