//! The drivers, made to wait.

use std::future::Future;
use std::path::Path;
use std::sync::OnceLock;

use bytes::Bytes;
use futures_util::future::join_all;
use futures_util::stream;
use s3_io::PoolStats;
use s3_io::driver::Engine;
use s3_proto::client::{Answered, Request};
use s3_proto::ops::Operation;
use s3_proto::{Config, Error};

use crate::harness::{Body, Harness, Items, Options, Sent, Source};

pub(crate) struct Tokio;
pub(crate) struct AsyncStd;
/// The driver for async-std in a program on smol.
pub(crate) struct Smol;

/// Runs a future on tokio. One runtime for all, since connections belong to theirs.
fn on_tokio<T>(future: impl Future<Output = T>) -> T {
    static RUNTIME: OnceLock<tokio::runtime::Runtime> = OnceLock::new();
    RUNTIME.get_or_init(|| tokio::runtime::Runtime::new().unwrap()).block_on(future)
}

/// What an async driver and its runtime make of a scenario's wishes.
macro_rules! asynchronous {
    ($name:ident = $text:literal, $driver:ident on $runtime:ty, $block_on:path) => {
        impl Harness for $name {
            const NAME: &'static str = $text;
            type Driver = Engine<$runtime>;
            type Client = $driver::Client;

            fn client(config: Config, options: &Options) -> Result<Self::Client, Error> {
                let mut builder = $driver::Client::builder(config);
                if let Some(connections) = options.max_connections {
                    builder = builder.max_connections_per_host(connections);
                }
                let client = $block_on(async { builder.build() })?;
                Ok(match &options.cancel {
                    Some(cancel) => client.with_cancel(cancel),
                    None => client,
                })
            }

            fn load_config(environment: &[(&str, &str)]) -> Result<Config, Error> {
                $block_on($driver::load_config(environment.iter().copied().collect()))
            }

            fn wait<T: Send + 'static>(sent: Sent<Self, T>) -> Result<T, Error> {
                $block_on(sent)
            }

            fn send_all<O: Operation>(
                requests: Vec<Request<O, Self::Driver>>,
            ) -> Vec<Result<Answered<O, Self::Driver>, Error>> {
                $block_on(join_all(requests.into_iter().map(Request::send)))
            }

            fn next<T: Send + 'static>(items: &mut Items<Self, T>) -> Option<Result<T, Error>> {
                $block_on(items.next())
            }

            fn chunk(body: &mut Body<Self>) -> Option<Result<Bytes, Error>> {
                $block_on(body.next())
            }

            fn file(path: &Path) -> Source<Self> {
                $block_on($driver::Source::file(path)).unwrap()
            }

            fn pieces(pieces: impl Iterator<Item = Bytes> + Send + 'static, len: u64) -> Source<Self> {
                $driver::Source::stream(stream::iter(pieces.map(Ok)), len)
            }

            fn pool_stats(client: &Self::Client) -> PoolStats {
                client.pool_stats()
            }
        }
    };
}

asynchronous!(Tokio = "tokio", s3_tokio on s3_tokio::Tokio, on_tokio);
asynchronous!(AsyncStd = "async-std", s3_async_std on s3_async_std::AsyncStd, async_std::task::block_on);
asynchronous!(Smol = "smol", s3_async_std on s3_async_std::AsyncStd, smol::block_on);
