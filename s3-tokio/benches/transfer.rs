//! Throughput of an upload and a download beside hyper alone, which moves the same bytes: with as many connections,
//! the same parts, the same checksum, and the same reads and writes of a file.
//!
//! ```text
//! cargo bench -p s3-tokio --bench transfer
//! ```
//!
//! `S3_BENCH_MIB` sets how much is moved, 1024 if it is not set, and `S3_BENCH_ROUNDS` how often, 5 times. Both sides
//! take turns, and medians are compared, since times mean nothing but side by side. The other end is a process of
//! its own that looks at nothing and makes up what it sends, so that it is not what is measured.

#![allow(clippy::print_stdout, clippy::unwrap_used, reason = "it is there to be watched")]

#[path = "transfer/origin.rs"]
mod origin;
#[path = "transfer/raw.rs"]
mod raw;

use std::io::{BufRead as _, BufReader};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use s3_tokio::s3_proto::PayloadSigning;
use s3_tokio::s3_proto::endpoint::ChecksumMode;
use s3_tokio::{Client, Config, Credentials};

const PART: u64 = 8 << 20;
const CONNECTIONS: usize = 8;

fn main() {
    let args: Vec<String> = std::env::args().collect();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    if args.get(1).is_some_and(|arg| arg == "origin") {
        return runtime.block_on(origin::serve(size()));
    }
    // Tests of all targets only want to know whether it can be built.
    if args.iter().any(|arg| arg == "--bench") {
        runtime.block_on(compare());
    }
}

fn setting(name: &str, default: u64) -> u64 {
    std::env::var(name).map_or(default, |value| value.parse().unwrap())
}

/// Bytes of the object.
fn size() -> u64 {
    setting("S3_BENCH_MIB", 1024) << 20
}

async fn compare() {
    let mut origin =
        Command::new(std::env::current_exe().unwrap()).arg("origin").stdout(Stdio::piped()).spawn().unwrap();
    let mut address = String::new();
    BufReader::new(origin.stdout.take().unwrap()).read_line(&mut address).unwrap();
    let address: SocketAddr = address.trim().parse().unwrap();

    let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let (source, target) = (folder.path().join("source"), folder.path().join("target"));
    origin::write_object(&source, size());
    let client = client(address);

    let (mut up, mut down) = (Vec::new(), Vec::new());
    for _ in 0..setting("S3_BENCH_ROUNDS", 5) {
        let raw = timed(raw::upload(address, &source)).await;
        up.push((raw, timed(upload(&client, &source)).await));
        let raw = timed(raw::download(address, &target, size())).await;
        std::fs::remove_file(&target).unwrap();
        down.push((raw, timed(download(&client, &target)).await));
        std::fs::remove_file(&target).unwrap();
    }
    report("upload", &up);
    report("download", &down);
    origin.kill().unwrap();
    origin.wait().unwrap();
}

/// As over TLS, where the signature leaves the data to the checksum.
fn client(address: SocketAddr) -> Client {
    let mut config = Config::new("us-east-1")
        .unwrap()
        .with_endpoint(format!("http://{address}"))
        .unwrap()
        .with_credentials(Credentials::new("AKID", "SECRET").unwrap());
    config.payload_signing = PayloadSigning::Never;
    config.request_checksums = Some(ChecksumMode::WhenSupported);
    Client::builder(config).max_connections_per_host(CONNECTIONS).build().unwrap()
}

async fn upload(client: &Client, path: &Path) {
    let upload = client.upload_file("bucket", "key", path).part_size(PART).concurrency(CONNECTIONS);
    assert_eq!(upload.await.unwrap().bytes, size());
}

async fn download(client: &Client, path: &Path) {
    let download = client.download_file("bucket", "key", path).part_size(PART).concurrency(CONNECTIONS);
    assert!(download.await.unwrap().verified.is_some());
}

async fn timed(work: impl Future<Output = ()>) -> Duration {
    let begun = Instant::now();
    work.await;
    begun.elapsed()
}

fn report(what: &str, times: &[(Duration, Duration)]) {
    let median = |mut all: Vec<Duration>| {
        all.sort();
        all[all.len() / 2].as_secs_f64()
    };
    let raw = median(times.iter().map(|(raw, _)| *raw).collect());
    let own = median(times.iter().map(|(_, own)| *own).collect());
    #[allow(clippy::cast_precision_loss, reason = "shown with three digits")]
    let mib = (size() >> 20) as f64;
    println!("{what}: hyper {:.0} MiB/s, s3-tokio {:.0} MiB/s, ratio {:.2}", mib / raw, mib / own, raw / own);
}
