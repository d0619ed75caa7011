//! What hyper does alone, by hand.

use std::fs::File;
use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::os::unix::fs::FileExt as _;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;
use futures_util::future::join_all;
use futures_util::{StreamExt as _, stream};
use http::Request;
use http_body_util::{BodyExt as _, StreamBody, combinators::UnsyncBoxBody};
use hyper::body::Frame;
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper_util::rt::TokioIo;
use s3_tokio::s3_proto::checksum::{ChecksumAlgorithm, Hasher};
use tokio::net::TcpStream;
use tokio::task::spawn_blocking;

use crate::{CONNECTIONS, PART};

/// What is read from a file at once, and what is written.
const READ: u64 = 256 << 10;
const WRITE: usize = 1 << 20;

type Body = UnsyncBoxBody<Bytes, io::Error>;

pub(crate) async fn upload(to: SocketAddr, path: &Path) {
    let file = Arc::new(File::open(path).unwrap());
    let len = file.metadata().unwrap().len();
    each_part(to, len, move |connection, first, end| put(connection, file.clone(), first, end)).await;
}

pub(crate) async fn download(from: SocketAddr, path: &Path, len: u64) {
    let file = Arc::new(File::create(path).unwrap());
    file.set_len(len).unwrap();
    let target = file.clone();
    each_part(from, len, move |connection, first, end| get(connection, target.clone(), first, end)).await;
    spawn_blocking(move || file.sync_data()).await.unwrap().unwrap();
}

/// Calls for each part, on as many connections at once.
async fn each_part<F>(
    to: SocketAddr,
    len: u64,
    call: impl Fn(SendRequest<Body>, u64, u64) -> F + Clone + Send + 'static,
) where
    F: Future<Output = SendRequest<Body>> + Send,
{
    let next = Arc::new(AtomicU64::new(0));
    let workers = (0..CONNECTIONS).map(|_| {
        let (next, call) = (next.clone(), call.clone());
        tokio::spawn(async move {
            let stream = TcpStream::connect(to).await.unwrap();
            stream.set_nodelay(true).unwrap();
            let (mut sender, connection) = handshake(TokioIo::new(stream)).await.unwrap();
            tokio::spawn(connection);
            loop {
                let first = next.fetch_add(PART, Ordering::Relaxed);
                if first >= len {
                    return;
                }
                sender.ready().await.unwrap();
                sender = call(sender, first, (first + PART).min(len)).await;
            }
        })
    });
    join_all(workers).await.into_iter().for_each(Result::unwrap);
}

async fn put(mut connection: SendRequest<Body>, file: Arc<File>, first: u64, end: u64) -> SendRequest<Body> {
    let hasher = Hasher::new(&ChecksumAlgorithm::Crc64Nvme).unwrap();
    let pieces = stream::unfold((first, hasher), move |(at, mut hasher)| {
        let file = file.clone();
        async move {
            if at == end {
                std::hint::black_box(hasher.finish());
                return None;
            }
            let len = (end - at).min(READ);
            let bytes = spawn_blocking(move || {
                let mut bytes = vec![0; usize::try_from(len).unwrap()];
                file.read_exact_at(&mut bytes, at).map(|()| Bytes::from(bytes))
            });
            let bytes = bytes.await.unwrap();
            if let Ok(bytes) = &bytes {
                hasher.update(bytes);
            }
            Some((bytes.map(Frame::data), (at + len, hasher)))
        }
    });
    let request = Request::put(format!("/bucket/key?partNumber={}&uploadId=upload", first / PART + 1))
        .header("host", "origin")
        .header("content-length", end - first)
        .body(StreamBody::new(pieces.boxed()).boxed_unsync());
    let answer = connection.send_request(request.unwrap()).await.unwrap();
    assert!(answer.status().is_success());
    answer.into_body().collect().await.unwrap();
    connection
}

async fn get(mut connection: SendRequest<Body>, file: Arc<File>, first: u64, end: u64) -> SendRequest<Body> {
    let request = Request::get("/bucket/key")
        .header("host", "origin")
        .header("range", format!("bytes={first}-{}", end - 1))
        .body(http_body_util::Empty::new().map_err(|never| match never {}).boxed_unsync());
    let mut answer = connection.send_request(request.unwrap()).await.unwrap();
    assert!(answer.status().is_success());
    let mut hasher = Hasher::new(&ChecksumAlgorithm::Crc64Nvme).unwrap();
    let (mut batch, mut held, mut at) = (Vec::new(), 0, first);
    let mut writing: Option<tokio::task::JoinHandle<io::Result<()>>> = None;
    loop {
        let frame = answer.body_mut().frame().await;
        let is_over = frame.is_none();
        if let Some(bytes) = frame.and_then(|frame| frame.unwrap().into_data().ok()) {
            hasher.update(&bytes);
            held += bytes.len();
            batch.push(bytes);
        }
        if held >= WRITE || is_over {
            if let Some(writing) = writing.take() {
                writing.await.unwrap().unwrap();
            }
            let (file, pieces, place) = (file.clone(), std::mem::take(&mut batch), at);
            at += std::mem::take(&mut held) as u64;
            writing = Some(spawn_blocking(move || file.write_all_at(&pieces.concat(), place)));
        }
        if is_over {
            break;
        }
    }
    writing.unwrap().await.unwrap().unwrap();
    assert_eq!(at, end);
    std::hint::black_box(hasher.finish());
    connection
}
