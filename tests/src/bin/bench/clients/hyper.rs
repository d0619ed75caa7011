//! hyper with its pool of connections, and nothing else.

use std::fs::File;
use std::hint::black_box;
use std::io;
use std::sync::Arc;

use bytes::Bytes;
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use http::{Method, Request, Response};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt as _, Either, Full, StreamBody};
use hyper::body::{Frame, Incoming};
use hyper_util::client::legacy::{Client, connect::HttpConnector};
use hyper_util::rt::TokioExecutor;
use s3_io::files;
use sha2::{Digest as _, Sha256};
use tokio::task::spawn_blocking;

use super::{Asynchronous, block_on_tokio, scan, small_object, spawn_on_tokio};
use crate::object;
use crate::workload::{BUCKET, CONNECTIONS, Op, PART, World};

/// What is read from a file at once, and what is written.
const READ: u64 = 256 << 10;
const WRITE: usize = 1 << 20;

type Body = Either<Full<Bytes>, UnsyncBoxBody<Bytes, io::Error>>;

#[derive(Clone)]
pub(crate) struct Hyper {
    pool: Client<HttpConnector, Body>,
    world: Arc<World>,
    object: Bytes,
}

impl Asynchronous for Hyper {
    fn new(world: &World) -> Self {
        let mut connector = HttpConnector::new();
        connector.set_nodelay(true);
        let pool = Client::builder(TokioExecutor::new()).build(connector);
        Self { pool, object: small_object(world), world: Arc::new(world.clone()) }
    }

    async fn call(&self, op: Op) -> u64 {
        match op {
            Op::Get => {
                let body = self.get(&self.world.small).await.into_body().collect().await.unwrap();
                object::check(&body.to_bytes())
            }
            Op::Put | Op::PutSigned => {
                if op == Op::PutSigned {
                    black_box(Sha256::digest(&self.object));
                }
                let body = Either::Left(Full::new(self.object.clone()));
                self.send(Request::put(self.uri(&self.world.small)), body).await;
                self.object.len() as u64
            }
            Op::Read => {
                let (mut body, mut hasher) =
                    (self.get(&self.world.large).await.into_body(), object::hasher());
                let mut read = 0;
                while let Some(frame) = body.frame().await {
                    let data = frame.unwrap().into_data().unwrap();
                    hasher.update(&data);
                    read += data.len() as u64;
                }
                black_box(hasher.finish());
                read
            }
            Op::Upload => self.upload().await,
            Op::Download => self.download().await,
            Op::List => self.list().await,
        }
    }

    fn block_on<T>(spread: bool, future: impl Future<Output = T>) -> T {
        block_on_tokio(spread, future)
    }

    fn spawn<T: Send + 'static>(future: impl Future<Output = T> + Send + 'static) -> impl Future<Output = T> {
        spawn_on_tokio(future)
    }
}

impl Hyper {
    fn uri(&self, key: &str) -> String {
        format!("http://{}/{BUCKET}/{key}", self.world.address)
    }

    async fn send(&self, request: http::request::Builder, body: Body) -> Response<Incoming> {
        let response = self.pool.request(request.body(body).unwrap()).await.unwrap();
        assert!(response.status().is_success());
        response
    }

    async fn get(&self, key: &str) -> Response<Incoming> {
        self.send(Request::get(self.uri(key)), empty()).await
    }

    async fn post(&self, uri: String) {
        let response = self.send(Request::builder().method(Method::POST).uri(uri), empty()).await;
        response.into_body().collect().await.unwrap();
    }

    /// Works on all parts, some at a time, each on a task of its own.
    async fn each_part<F>(&self, work: impl Fn(Self, u64, u64) -> F)
    where
        F: Future<Output = ()> + Send + 'static,
    {
        stream::iter(self.world.parts())
            .map(|(first, end)| tokio::spawn(work(self.clone(), first, end)))
            .buffer_unordered(CONNECTIONS)
            .try_collect::<()>()
            .await
            .unwrap();
    }

    async fn upload(&self) -> u64 {
        let file = Arc::new(File::open(&self.world.source).unwrap());
        let uri = self.uri(&self.world.large);
        self.post(format!("{uri}?uploads")).await;
        self.each_part(|this, first, end| this.put_part(file.clone(), first, end)).await;
        self.post(format!("{uri}?uploadId=upload")).await;
        self.world.scale.object
    }

    async fn put_part(self, file: Arc<File>, first: u64, end: u64) {
        let pieces = stream::unfold((first, object::hasher()), move |(at, mut hasher)| {
            let file = file.clone();
            async move {
                if at == end {
                    black_box(hasher.finish());
                    return None;
                }
                let len = (end - at).min(READ);
                let bytes = spawn_blocking(move || {
                    let mut bytes = vec![0; usize::try_from(len).unwrap()];
                    files::read_full_at(&file, &mut bytes, at).map(|_| Bytes::from(bytes))
                });
                let bytes = bytes.await.unwrap();
                if let Ok(bytes) = &bytes {
                    hasher.update(bytes);
                }
                Some((bytes.map(Frame::data), (at + len, hasher)))
            }
        });
        let uri = format!("{}?partNumber={}&uploadId=upload", self.uri(&self.world.large), first / PART + 1);
        let request = Request::put(uri).header("content-length", end - first);
        let body = Either::Right(StreamBody::new(pieces.boxed()).boxed_unsync());
        self.send(request, body).await.into_body().collect().await.unwrap();
    }

    async fn download(&self) -> u64 {
        let file = Arc::new(
            File::options()
                .read(true)
                .write(true)
                .create(true)
                .truncate(true)
                .open(&self.world.target)
                .unwrap(),
        );
        file.set_len(self.world.scale.object).unwrap();
        self.each_part(|this, first, end| this.get_part(file.clone(), first, end)).await;
        spawn_blocking(move || file.sync_data()).await.unwrap().unwrap();
        self.world.scale.object
    }

    async fn get_part(self, file: Arc<File>, first: u64, end: u64) {
        let range = format!("bytes={first}-{}", end - 1);
        let request = Request::get(self.uri(&self.world.large)).header("range", range);
        let mut body = self.send(request, empty()).await.into_body();
        let mut hasher = object::hasher();
        let (mut batch, mut held, mut at) = (Vec::new(), 0, first);
        let mut writing: Option<tokio::task::JoinHandle<io::Result<()>>> = None;
        loop {
            let frame = body.frame().await;
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
                writing = Some(spawn_blocking(move || files::write_all_at(&file, &pieces.concat(), place)));
            }
            if is_over {
                break;
            }
        }
        writing.unwrap().await.unwrap().unwrap();
        assert_eq!(at, end);
        black_box(hasher.finish());
    }

    /// Looks at what a lister has to find, without reading the XML.
    async fn list(&self) -> u64 {
        let (mut keys, mut token) = (0, String::new());
        loop {
            let uri = format!("http://{}/{BUCKET}?list-type=2{token}", self.world.address);
            let body = self.send(Request::get(uri), empty()).await.into_body().collect().await.unwrap();
            let page = body.to_bytes();
            let (found, next) = scan(std::str::from_utf8(&page).unwrap());
            keys += found;
            match next {
                Some(next) => token = format!("&continuation-token={next}"),
                None => return keys,
            }
        }
    }
}

fn empty() -> Body {
    Either::Left(Full::default())
}
