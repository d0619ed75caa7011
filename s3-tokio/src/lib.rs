//! S3 on tokio.
#![forbid(unsafe_code)]

mod body;
mod clock;
mod drive;
mod driver;
mod source;
mod transport;

pub use body::Body;
pub use driver::{Items, Sent, Tokio};
pub use source::Source;
pub use transport::{PoolStats, Resolve, Resolving, SystemResolver};
