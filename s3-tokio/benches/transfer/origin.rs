//! The other end: takes anything, and sends an object that is the same mebibyte over and over.

use std::convert::Infallible;
use std::fs::File;
use std::io::Write as _;
use std::path::Path;
use std::sync::LazyLock;

use bytes::Bytes;
use futures_util::stream;
use http::{Method, Request, Response, StatusCode};
use http_body_util::{BodyExt as _, Full, StreamBody, combinators::UnsyncBoxBody};
use hyper::body::{Frame, Incoming};
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use s3_tokio::s3_proto::checksum::{ChecksumAlgorithm, Hasher};
use tokio::net::TcpListener;

const BLOCK: u64 = 1 << 20;
static CONTENT: LazyLock<Bytes> =
    LazyLock::new(|| (0..BLOCK).map(|at| (at.wrapping_mul(0x9E37_79B1) >> 11).to_le_bytes()[0]).collect());

type Body = UnsyncBoxBody<Bytes, Infallible>;

/// The object as a file.
pub(crate) fn write_object(path: &Path, len: u64) {
    let mut file = File::create(path).unwrap();
    for _ in 0..len / BLOCK {
        file.write_all(&CONTENT).unwrap();
    }
    file.sync_all().unwrap();
}

pub(crate) async fn serve(len: u64) {
    let mut hasher = Hasher::new(&ChecksumAlgorithm::Crc64Nvme).unwrap();
    (0..len / BLOCK).for_each(|_| hasher.update(&CONTENT));
    let checksum = hasher.finish().to_string();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    println!("{}", listener.local_addr().unwrap());
    loop {
        let (connection, _) = listener.accept().await.unwrap();
        connection.set_nodelay(true).unwrap();
        let checksum = checksum.clone();
        let service = service_fn(move |request| answer(request, len, checksum.clone()));
        let serving =
            hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(connection), service);
        // Whoever breaks it off has a reason.
        tokio::spawn(async move { drop(serving.await) });
    }
}

async fn answer(
    mut request: Request<Incoming>,
    len: u64,
    checksum: String,
) -> Result<Response<Body>, Infallible> {
    while let Some(Ok(_)) = request.body_mut().frame().await {}
    let response = Response::builder().header("etag", "\"0123456789abcdef\"");
    let query = request.uri().query().unwrap_or_default();
    let response = match *request.method() {
        Method::POST if query.contains("uploadId=") => response.body(xml(
            "<CompleteMultipartUploadResult><ETag>\"0123456789abcdef-2\"</ETag></CompleteMultipartUploadResult>",
        )),
        Method::POST => response.body(xml(
            "<InitiateMultipartUploadResult><UploadId>upload</UploadId></InitiateMultipartUploadResult>",
        )),
        Method::GET => {
            let range = request.headers()["range"].to_str().unwrap();
            let (first, last) = range.strip_prefix("bytes=").unwrap().split_once('-').unwrap();
            let (first, end) = (first.parse().unwrap(), (last.parse::<u64>().unwrap() + 1).min(len));
            response
                .status(StatusCode::PARTIAL_CONTENT)
                .header("content-length", end - first)
                .header("content-range", format!("bytes {first}-{}/{len}", end - 1))
                .body(piece(first, end))
        }
        Method::HEAD => response
            .header("content-length", len)
            .header("x-amz-checksum-crc64nvme", checksum)
            .header("x-amz-checksum-type", "FULL_OBJECT")
            .body(xml("")),
        _ => response.body(xml("")),
    };
    Ok(response.unwrap())
}

fn xml(text: &'static str) -> Body {
    Full::new(Bytes::from_static(text.as_bytes())).boxed_unsync()
}

/// Bytes of the object.
fn piece(first: u64, end: u64) -> Body {
    let pieces = (first..end).step_by(256 << 10).map(move |at| {
        let from = usize::try_from(at % BLOCK).unwrap();
        let len = usize::try_from((end - at).min(256 << 10).min(BLOCK - at % BLOCK)).unwrap();
        Ok(Frame::data(CONTENT.slice(from..from + len)))
    });
    StreamBody::new(stream::iter(pieces)).boxed_unsync()
}
