//! Who is measured.

mod drivers;
mod hyper;
mod ureq;

use crate::measure::{self, Sample};
use crate::workload::{Op, Workload, World};

/// A floor, or a driver.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Client {
    Hyper,
    Tokio,
    AsyncStd,
    Ureq,
    Blocking,
}

impl Client {
    pub(crate) const ALL: [Self; 5] = [Self::Hyper, Self::Tokio, Self::AsyncStd, Self::Ureq, Self::Blocking];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Hyper => "hyper",
            Self::Tokio => "s3-tokio",
            Self::AsyncStd => "s3-async-std",
            Self::Ureq => "ureq",
            Self::Blocking => "s3-blocking",
        }
    }

    /// What it is held against.
    pub(crate) fn floor(self) -> Self {
        match self {
            Self::Hyper | Self::Tokio | Self::AsyncStd => Self::Hyper,
            Self::Ureq | Self::Blocking => Self::Ureq,
        }
    }

    pub(crate) fn measure(self, workload: &Workload, world: &World) -> Sample {
        match self {
            Self::Hyper => measure::asynchronous::<hyper::Hyper>(workload, world),
            Self::Tokio => measure::asynchronous::<drivers::Tokio>(workload, world),
            Self::AsyncStd => measure::asynchronous::<drivers::AsyncStd>(workload, world),
            Self::Ureq => measure::blocking::<ureq::Ureq>(workload, world),
            Self::Blocking => measure::blocking::<drivers::Blocking>(workload, world),
        }
    }
}

/// A client on an async runtime.
pub(crate) trait Asynchronous: Clone + Send + Sync + 'static {
    fn new(world: &World) -> Self;

    /// What an operation comes to: bytes, or keys.
    fn call(&self, op: Op) -> impl Future<Output = u64> + Send;

    /// Runs on one thread, or on as many as there are processors.
    fn block_on<T>(spread: bool, future: impl Future<Output = T>) -> T;

    fn spawn<T: Send + 'static>(future: impl Future<Output = T> + Send + 'static) -> impl Future<Output = T>;
}

/// A client that blocks.
pub(crate) trait Blocking: Sync {
    fn new(world: &World) -> Self;

    /// What an operation comes to: bytes, or keys.
    fn call(&self, op: Op) -> u64;
}

/// The small object.
fn small_object(world: &World) -> bytes::Bytes {
    crate::object::piece(0, world.scale.small, usize::MAX)
}

fn block_on_tokio<T>(spread: bool, future: impl Future<Output = T>) -> T {
    let mut builder = if spread {
        tokio::runtime::Builder::new_multi_thread()
    } else {
        tokio::runtime::Builder::new_current_thread()
    };
    builder.enable_all().build().unwrap().block_on(future)
}

async fn spawn_on_tokio<T: Send + 'static>(future: impl Future<Output = T> + Send + 'static) -> T {
    tokio::spawn(future).await.unwrap()
}

/// Keys in the text of a page, and the token of the page that follows.
fn scan(page: &str) -> (u64, Option<&str>) {
    let next = page.split_once("<NextContinuationToken>").and_then(|(_, rest)| rest.split_once('<'));
    (page.matches("<Key>").count() as u64, next.map(|(token, _)| token))
}
