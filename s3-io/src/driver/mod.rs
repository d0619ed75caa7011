//! Everything that two async drivers share: all but the runtime itself, and the traits by which its users read
//! and write.
//!
//! A driver implements [`Runtime`], names its `Client` and `Builder`, and wraps [`Source`] and [`Body`] in
//! types of its own, which speak the idiom of its users.

mod body;
mod client;
mod engine;
mod run;
mod runtime;
mod sink;
mod source;
mod tasks;
pub mod transport;
mod watch;

pub use body::Body;
pub use client::{Builder, Client, load_config};
pub use engine::{Engine, Items, Sent};
pub use runtime::{Runtime, Sleeping, Time};
pub use source::{Reader, Source};
pub use transport::{Resolve, Resolving, SystemResolver};
