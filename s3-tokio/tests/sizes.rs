//! Objects of all sizes go there and come back, by file, memory and stream.

// Helpers of tests are not known to be tests.
#![allow(clippy::unwrap_used, clippy::panic)]

use bytes::Bytes;
use futures_util::stream;
use s3_test_server::Server;
use s3_tokio::{Client, Config, Credentials, Source};
use sha2::{Digest as _, Sha256};

#[path = "support/random.rs"]
mod random;

const MIB: usize = 1 << 20;

fn setup() -> (Client, Server) {
    let server = Server::builder().credentials("AKID", "SECRET").start_in_thread().unwrap();
    server.store().create_bucket("bucket", None);
    let config = Config::new("us-east-1")
        .unwrap()
        .with_endpoint(server.endpoint())
        .unwrap()
        .with_credentials(Credentials::new("AKID", "SECRET").unwrap());
    (Client::new(config).unwrap(), server)
}

fn sha256(bytes: &[u8]) -> Vec<u8> {
    Sha256::digest(bytes).to_vec()
}

/// In pieces of a length that fits no part.
fn unsized_stream(data: &Bytes) -> Source {
    let data = data.clone();
    let pieces: Vec<_> =
        (0..data.len()).step_by(777_777).map(|at| Ok(data.slice(at..data.len().min(at + 777_777)))).collect();
    Source::unsized_stream(stream::iter(pieces))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_size_goes_there_and_comes_back() {
    let (client, server) = setup();
    let folder = tempfile::tempdir().unwrap();
    for len in [0, 1, 5 * MIB, 5 * MIB + 1, 100 * MIB] {
        let data = Bytes::from(random::Random::new(len as u64).bytes(len));
        let (expected, path) = (sha256(&data), folder.path().join("there"));
        std::fs::write(&path, &data).unwrap();

        let file = client.upload_file("bucket", "file", &path).await.unwrap();
        let memory = client.upload("bucket", "memory", data.clone()).await.unwrap();
        let stream = client.upload_stream("bucket", "stream", unsized_stream(&data)).await.unwrap();
        assert_eq!([file.bytes, memory.bytes, stream.bytes], [len as u64; 3]);

        for key in ["file", "memory", "stream"] {
            let back = folder.path().join("back");
            let report = client.download_file("bucket", key, &back).await.unwrap();
            assert!(report.verified.is_some(), "{key} of {len} bytes was not compared");
            assert!(sha256(&std::fs::read(&back).unwrap()) == expected, "{key} of {len} bytes as a file");
        }
        let whole = client.download("bucket", "file").await.unwrap();
        assert!(sha256(&whole.bytes) == expected, "{len} bytes in memory");
        let pieces = client.download_stream("bucket", "stream").send().collect().await.unwrap();
        assert!(sha256(&pieces.concat()) == expected, "{len} bytes as a stream");
        assert_eq!(server.store().uploads("bucket"), []);
    }
}

#[tokio::test]
async fn around_the_size_of_a_part_a_stream_of_unknown_length_is_cut_where_it_should() {
    let (client, server) = setup();
    for (len, parts) in [(5 * MIB - 1, None), (5 * MIB, Some(1)), (5 * MIB + 1, Some(2)), (10 * MIB, Some(2))]
    {
        let data = Bytes::from(random::Random::new(len as u64).bytes(len));
        let upload = client.upload_stream("bucket", "key", unsized_stream(&data)).part_size(5 << 20);
        let report = upload.await.unwrap();
        let sent = report.upload_id.is_some().then_some(report.parts_sent);
        assert_eq!((report.bytes, sent), (len as u64, parts), "{len}");
        assert!(server.store().read("bucket", "key").unwrap() == data, "{len}");
    }
}
