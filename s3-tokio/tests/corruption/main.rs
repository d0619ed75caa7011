//! A byte that is changed on its way is always noticed, without TLS: a transfer then fails or is repeated, but
//! never is something else taken for the object.
//!
//! `S3_CORRUPTIONS=1000` sets how many bytes are changed in all; 40 if it is not set. `S3_SEED` sets from what their
//! places are drawn.

// Helpers of tests are not known to be tests.
#![allow(clippy::unwrap_used, clippy::panic, clippy::print_stdout)]

#[path = "../support/random.rs"]
mod random;

use bytes::Bytes;
use random::{Random, setting};
use s3_test_server::{Direction, Proxy, Server};
use s3_tokio::s3_proto::PayloadSigning;
use s3_tokio::s3_proto::checksum::ChecksumAlgorithm;
use s3_tokio::s3_proto::endpoint::ChecksumPolicy;
use s3_tokio::{Client, Config, Credentials, Error, Source};

const SMALL: usize = 64 << 10;
/// Of an upload in parts, which have 5 MiB at least.
const LARGE: usize = (5 << 20) + 4321;

/// A change that is to come, so many bytes of bodies from now.
#[derive(Clone, Copy, Debug)]
struct Flip {
    at: u64,
    bits: u8,
}

struct World {
    server: Server,
    proxy: Proxy,
    direction: Direction,
    random: Random,
    folder: tempfile::TempDir,
    /// How often the change was noticed by an error, and how often it was made good by a repetition.
    failed: u64,
    repeated: u64,
}

impl World {
    fn new(direction: Direction) -> Self {
        let server = Server::builder().credentials("AKID", "SECRET").start_in_thread().unwrap();
        server.store().create_bucket("bucket", None);
        let proxy = Proxy::start(server.address()).unwrap();
        let random = Random::new(setting("S3_SEED", 1));
        Self {
            server,
            proxy,
            direction,
            random,
            folder: tempfile::tempdir().unwrap(),
            failed: 0,
            repeated: 0,
        }
    }

    fn client(&self, signing: PayloadSigning) -> Client {
        let mut config = Config::new("us-east-1")
            .unwrap()
            .with_endpoint(self.proxy.endpoint())
            .unwrap()
            .with_credentials(Credentials::new("AKID", "SECRET").unwrap());
        config.payload_signing = signing;
        if signing == PayloadSigning::Never {
            // Where the signature does not cover the data, a checksum has to.
            config.request_checksums = Some(ChecksumPolicy::WhenSupported);
        }
        // A changed length may leave both sides waiting for the other.
        config.timeouts.first_byte = Some(std::time::Duration::from_secs(2));
        config.timeouts.idle = Some(std::time::Duration::from_secs(2));
        Client::new(config).unwrap()
    }

    /// Somewhere in the next so many bytes.
    fn arm(&mut self, bytes: usize) -> Flip {
        let flip = Flip { at: self.random.below(bytes as u64), bits: 1 << self.random.below(8) };
        self.proxy.arm(self.direction, flip.at, flip.bits);
        flip
    }

    /// What came of it; `is_right` is what the caller was told to be there.
    fn noticed(&mut self, what: &str, flip: Flip, outcome: Result<bool, Error>) {
        assert!(self.proxy.has_flipped(), "{what}: {flip:?} was not reached");
        match outcome {
            Ok(is_right) => {
                assert!(is_right, "{what}: {flip:?} went unnoticed");
                self.repeated += 1;
            }
            Err(error) => {
                println!("{what}: {error}");
                self.failed += 1;
            }
        }
    }

    fn finish(self, what: &str) {
        let Self { failed, repeated, .. } = self;
        println!("{what}: {} changes noticed, {failed} by an error, {repeated} made good", failed + repeated);
    }
}

/// Half of all for each direction, spread over the ways of a transfer.
fn rounds() -> u64 {
    setting("S3_CORRUPTIONS", 40) / 2
}

#[tokio::test]
async fn in_uploads() {
    let mut world = World::new(Direction::Upload);
    let signings = [PayloadSigning::Auto, PayloadSigning::Never];
    for round in 0..rounds() {
        let client = world.client(signings[usize::from(round % 2 == 1)]);
        let (way, len) = match round / 2 % 4 {
            0 => ("put", SMALL),
            1 => ("put of a file", SMALL),
            2 => ("upload of a file in parts", LARGE),
            _ => ("upload of a stream in parts", LARGE),
        };
        let data = world.random.bytes(len);
        let path = world.folder.path().join("file");
        std::fs::write(&path, &data).unwrap();
        let key = format!("key-{round}");
        let flip = world.arm(len);
        let sent = match way {
            "put" => client.put_object("bucket", &key, data.clone()).await.map(drop),
            "put of a file" => {
                let source = Source::file(&path).await.unwrap();
                client.put_object("bucket", &key, source).await.map(drop)
            }
            "upload of a file in parts" => {
                client.upload_file("bucket", &key, &path).threshold(0).part_size(5 << 20).await.map(drop)
            }
            _ => {
                let source = Source::unsized_reader(std::io::Cursor::new(data.clone()));
                client.upload_stream("bucket", &key, source).part_size(5 << 20).await.map(drop)
            }
        };
        let stored = world.server.store().read("bucket", &key);
        // Whatever the caller was told, nothing else may be there.
        assert!(stored.as_ref().is_none_or(|stored| *stored == data), "{way}: {flip:?} is in the store");
        let outcome = sent.map(|()| stored.is_some());
        world.noticed(way, flip, outcome);
    }
    world.finish("uploads");
}

#[tokio::test]
async fn in_downloads() {
    let mut world = World::new(Direction::Download);
    let len = 4 * SMALL + 321;
    let data = world.random.bytes(len);
    let client = world.client(PayloadSigning::Auto);
    client.put_object("bucket", "whole", data.clone()).await.unwrap();
    let large = world.random.bytes(LARGE);
    let source = Source::unsized_reader(std::io::Cursor::new(large.clone()));
    client.upload_stream("bucket", "in parts", source).part_size(5 << 20).await.unwrap();
    let sha = client.put_object("bucket", "sha256", data.clone());
    sha.checksum_algorithm(ChecksumAlgorithm::Sha256).await.unwrap();
    for round in 0..rounds() {
        let (key, data) = match round % 3 {
            0 => ("whole", &data),
            1 => ("in parts", &large),
            _ => ("sha256", &data),
        };
        let path = world.folder.path().join(format!("file-{round}"));
        let flip = world.arm(data.len());
        // In many parts, or in one.
        let part_size = if round % 2 == 0 { SMALL as u64 } else { 8 << 20 };
        let (way, got) = match round / 3 % 4 {
            0 => ("get", get(&client, key).await),
            1 => ("download", client.download("bucket", key).part_size(part_size).await.map(|got| got.bytes)),
            2 => {
                let pieces =
                    client.download_stream("bucket", key).part_size(part_size).send().collect().await;
                ("download as a stream", pieces.map(|pieces| pieces.concat().into()))
            }
            _ => {
                let sent = client.download_file("bucket", key, &path).part_size(part_size).await;
                assert_eq!(sent.is_ok(), path.exists(), "{flip:?}: there is a file in spite of an error");
                ("download into a file", sent.map(|_| std::fs::read(&path).unwrap().into()))
            }
        };
        world.noticed(way, flip, got.map(|got| got == *data));
    }
    world.finish("downloads");
}

async fn get(client: &Client, key: &str) -> Result<Bytes, Error> {
    client.get_object("bucket", key).await?.body.collect().await
}
