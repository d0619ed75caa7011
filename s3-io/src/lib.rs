//! What the drivers share beside the protocol: files, clocks, TLS, proxies, the framing of uploads, and what went
//! wrong below HTTP.
//!
//! The feature `hyper` adds what all drivers on async runtimes share; `testing` has scripts in place of the network.
//!
//! Internal to this family of packages; nothing here is promised to stay as it is.
#![forbid(unsafe_code)]

mod body;
mod buffers;
mod cancel;
#[cfg(feature = "testing")]
mod capture;
pub mod clock;
#[cfg(feature = "hyper")]
pub mod driver;
pub mod effects;
pub mod failure;
pub mod files;
mod framed;
mod framing;
mod gate;
mod local;
mod once;
mod open_files;
mod pieces;
pub mod proxy;
mod settings;
mod stats;
mod target;
pub mod tls;

pub use body::{Meter, PartFile, to_io, unwritten};
pub use buffers::Buffers;
pub use cancel::{Cancel, Registration};
#[cfg(feature = "testing")]
pub use capture::Capture;
pub use failure::{Failure, Unanswered};
pub use framed::FramedReader;
pub use framing::{Framing, SLICE};
pub use gate::{Gate, Permit, wait_until};
pub use local::is_local;
pub use once::{Borrowed, Once, read_already};
pub use open_files::Files;
pub use pieces::PieceReader;
pub use settings::{Settings, environment, no_certificates, session};
pub use stats::{Counts, Open, PoolStats};
pub use target::{Target, share};
