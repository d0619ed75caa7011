//! Our drivers. What they do is written once; only some of them wait with `.await`.

use bytes::Bytes;
use s3_proto::checksum::ChecksumAlgorithm;
use s3_proto::{Config, Credentials, PayloadSigning};

use super::{Asynchronous, block_on_tokio, small_object, spawn_on_tokio};
use crate::workload::{BUCKET, CONNECTIONS, Op, PART, World};

/// A driver's client for each way of signing.
#[derive(Clone)]
struct Driver<C> {
    world: World,
    /// As over TLS, where the signature leaves the data to the checksum.
    unsigned: C,
    signed: C,
    object: Bytes,
}

impl<C> Driver<C> {
    fn new(world: &World, build: impl Fn(Config) -> C) -> Self {
        let config = |signing| {
            let mut config = Config::new("us-east-1")
                .unwrap()
                .with_endpoint(format!("http://{}", world.address))
                .unwrap()
                .with_credentials(Credentials::new("AKIDEXAMPLE", "secret").unwrap());
            config.payload_signing = signing;
            config
        };
        Self {
            unsigned: build(config(PayloadSigning::Never)),
            signed: build(config(PayloadSigning::Always)),
            object: small_object(world),
            world: world.clone(),
        }
    }
}

macro_rules! call {
    ($driver:expr, $op:expr, [$($wait:tt)*]) => {{
        let Driver { world, unsigned: client, signed, object } = $driver;
        match $op {
            Op::Get => {
                let answer = client.get_object(BUCKET, &world.small).send()$($wait)*.unwrap();
                answer.body.collect()$($wait)*.unwrap().len() as u64
            }
            Op::Put | Op::PutSigned => {
                let client = if $op == Op::Put { client } else { signed };
                client.put_object(BUCKET, &world.small, object.clone()).send()$($wait)*.unwrap();
                object.len() as u64
            }
            Op::Read => {
                let mut body = client.get_object(BUCKET, &world.large).send()$($wait)*.unwrap().body;
                let mut read = 0;
                while let Some(piece) = body.next()$($wait)* {
                    read += piece.unwrap().len() as u64;
                }
                read
            }
            Op::Upload => {
                let upload = client.upload_file(BUCKET, &world.large, &world.source);
                let upload = upload.part_size(PART).concurrency(CONNECTIONS);
                let report = upload.checksum_algorithm(ChecksumAlgorithm::Crc64Nvme).send()$($wait)*.unwrap();
                assert!(report.checksum.is_some());
                report.bytes
            }
            Op::Download => {
                let download = client.download_file(BUCKET, &world.large, &world.target);
                let report = download.part_size(PART).concurrency(CONNECTIONS).send()$($wait)*.unwrap();
                assert!(report.verified.is_some());
                report.bytes
            }
            Op::List => {
                let (mut objects, mut listed) = (client.list_all_objects(BUCKET), 0);
                while let Some(object) = objects.next()$($wait)* {
                    object.unwrap();
                    listed += 1;
                }
                listed
            }
        }
    }};
}

/// On tokio, which the floor runs on as well.
#[derive(Clone)]
pub(crate) struct Tokio(Driver<s3_tokio::Client>);

impl Asynchronous for Tokio {
    fn new(world: &World) -> Self {
        Self(Driver::new(world, |config| s3_tokio::Client::new(config).unwrap()))
    }

    async fn call(&self, op: Op) -> u64 {
        call!(&self.0, op, [.await])
    }

    fn block_on<T>(spread: bool, future: impl Future<Output = T>) -> T {
        block_on_tokio(spread, future)
    }

    fn spawn<T: Send + 'static>(future: impl Future<Output = T> + Send + 'static) -> impl Future<Output = T> {
        spawn_on_tokio(future)
    }
}

#[derive(Clone)]
pub(crate) struct AsyncStd(Driver<s3_async_std::Client>);

impl Asynchronous for AsyncStd {
    fn new(world: &World) -> Self {
        Self(Driver::new(world, |config| s3_async_std::Client::new(config).unwrap()))
    }

    async fn call(&self, op: Op) -> u64 {
        call!(&self.0, op, [.await])
    }

    /// It has as many threads as there are processors for this process.
    fn block_on<T>(_: bool, future: impl Future<Output = T>) -> T {
        async_std::task::block_on(future)
    }

    fn spawn<T: Send + 'static>(future: impl Future<Output = T> + Send + 'static) -> impl Future<Output = T> {
        async_std::task::spawn(future)
    }
}

pub(crate) struct Blocking(Driver<s3_blocking::Client>);

impl super::Blocking for Blocking {
    fn new(world: &World) -> Self {
        Self(Driver::new(world, |config| s3_blocking::Client::new(config).unwrap()))
    }

    fn call(&self, op: Op) -> u64 {
        call!(&self.0, op, [])
    }
}
