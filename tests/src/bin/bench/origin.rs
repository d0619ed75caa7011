//! The other end: takes anything, and makes up what it sends. It looks at no signature, and sends checksums that are
//! right, as S3 does.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::fmt::Write as _;
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use futures_util::stream;
use http::header::{CONTENT_LENGTH, CONTENT_RANGE, ETAG, HeaderMap, RANGE};
use http::{Method, Request, Response, StatusCode};
use http_body_util::{BodyExt as _, Either, Full, StreamBody};
use hyper::body::{Frame, Incoming};
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::net::TcpListener;

use crate::object;

const PIECE: usize = 256 << 10;
const TAG: &str = "\"0123456789abcdef0123456789abcdef\"";

struct Origin {
    pages: Vec<Bytes>,
    /// CRC64NVME by length.
    checksums: Mutex<BTreeMap<u64, String>>,
    /// What has come in parts of the upload that was begun last.
    uploaded: Mutex<u64>,
}

/// Serves for ever, at an address that it prints.
pub(crate) fn run(pages: u64) {
    let origin = Arc::new(Origin {
        pages: (0..pages).map(|page| list(page, pages)).collect(),
        checksums: Mutex::default(),
        uploaded: Mutex::default(),
    });
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        println!("{}", listener.local_addr().unwrap());
        loop {
            let (connection, _) = listener.accept().await.unwrap();
            connection.set_nodelay(true).unwrap();
            let origin = origin.clone();
            let service = service_fn(move |request| {
                let origin = origin.clone();
                async move { Ok::<_, Infallible>(origin.answer(request).await) }
            });
            let serving = hyper::server::conn::http1::Builder::new()
                .max_buf_size(1 << 20)
                .serve_connection(TokioIo::new(connection), service);
            // Whoever breaks it off has a reason.
            tokio::spawn(async move { drop(serving.await) });
        }
    });
}

impl Origin {
    async fn answer(&self, request: Request<Incoming>) -> Response<Answer> {
        let (head, mut body) = request.into_parts();
        let mut received = 0;
        while let Some(frame) = body.frame().await {
            received += frame.unwrap().data_ref().map_or(0, |data| data.len() as u64);
        }
        let query = head.uri.query().unwrap_or_default();
        let (_, key) = head.uri.path().trim_start_matches('/').split_once('/').unwrap_or_default();
        if key.is_empty() {
            return whole(self.page(query));
        }
        let len: u64 = key.rsplit_once('-').and_then(|(_, len)| len.parse().ok()).unwrap();
        match head.method {
            Method::POST if query.contains("uploadId=") => self.complete(len),
            Method::POST => {
                *self.uploaded.lock().unwrap() = 0;
                whole(
                    "<InitiateMultipartUploadResult><UploadId>upload</UploadId></InitiateMultipartUploadResult>",
                )
            }
            Method::PUT => {
                // What is framed says how much there is within.
                let decoded = number(&head.headers, "x-amz-decoded-content-length").unwrap_or(received);
                if query.contains("partNumber=") {
                    *self.uploaded.lock().unwrap() += decoded;
                } else {
                    assert_eq!(decoded, len);
                }
                with_etag(whole(""))
            }
            _ => self.object(&head.headers, len, head.method == Method::HEAD),
        }
    }

    fn object(&self, request: &HeaderMap, len: u64, head_only: bool) -> Response<Answer> {
        let range = request.get(RANGE).map(|range| {
            let (first, last) =
                range.to_str().unwrap().strip_prefix("bytes=").unwrap().split_once('-').unwrap();
            let end = last.parse::<u64>().map_or(len, |last| len.min(last + 1));
            (first.parse::<u64>().unwrap(), end)
        });
        let (first, end) = range.unwrap_or((0, len));
        let body = if head_only { (end, end) } else { (first, end) };
        let mut response = with_etag(Response::new(Either::Right(content(body.0, body.1))));
        let headers = response.headers_mut();
        headers.insert(CONTENT_LENGTH, (end - first).into());
        headers.insert("last-modified", "Tue, 04 Nov 2025 10:11:12 GMT".parse().unwrap());
        headers.insert("accept-ranges", "bytes".parse().unwrap());
        headers.insert("content-type", "binary/octet-stream".parse().unwrap());
        headers.insert("server", "AmazonS3".parse().unwrap());
        // S3 has none for a part of what it has one for.
        if (first, end) == (0, len) {
            headers.insert("x-amz-checksum-crc64nvme", self.checksum(len).parse().unwrap());
            headers.insert("x-amz-checksum-type", "FULL_OBJECT".parse().unwrap());
        }
        if range.is_some() {
            headers.insert(CONTENT_RANGE, format!("bytes {first}-{}/{len}", end - 1).parse().unwrap());
            *response.status_mut() = StatusCode::PARTIAL_CONTENT;
        }
        response
    }

    fn complete(&self, len: u64) -> Response<Answer> {
        assert_eq!(*self.uploaded.lock().unwrap(), len, "bytes in parts");
        let checksum = self.checksum(len);
        whole(format!(
            "<CompleteMultipartUploadResult><ETag>\"0123456789abcdef-2\"</ETag>\
             <ChecksumCRC64NVME>{checksum}</ChecksumCRC64NVME><ChecksumType>FULL_OBJECT</ChecksumType>\
             </CompleteMultipartUploadResult>"
        ))
    }

    fn checksum(&self, len: u64) -> String {
        let mut checksums = self.checksums.lock().unwrap();
        checksums.entry(len).or_insert_with(|| object::checksum(len).to_string()).clone()
    }

    fn page(&self, query: &str) -> Bytes {
        let token = query.split('&').find_map(|pair| pair.strip_prefix("continuation-token="));
        self.pages[token.map_or(0, |token| token.parse().unwrap())].clone()
    }
}

type Pieces = stream::Iter<Box<dyn Iterator<Item = Result<Frame<Bytes>, Infallible>> + Send>>;
type Answer = Either<Full<Bytes>, StreamBody<Pieces>>;

/// Bytes of an object.
fn content(first: u64, end: u64) -> StreamBody<Pieces> {
    let mut at = first;
    let pieces = std::iter::from_fn(move || {
        (at < end).then(|| {
            let piece = object::piece(at, end, PIECE);
            at += piece.len() as u64;
            Ok(Frame::data(piece))
        })
    });
    StreamBody::new(stream::iter(Box::new(pieces) as Box<dyn Iterator<Item = _> + Send>))
}

fn whole(text: impl Into<Bytes>) -> Response<Answer> {
    let mut response = Response::new(Either::Left(Full::new(text.into())));
    response.headers_mut().insert("x-amz-request-id", "0A49CE4060975EAC".parse().unwrap());
    response
}

fn with_etag(mut response: Response<Answer>) -> Response<Answer> {
    response.headers_mut().insert(ETAG, TAG.parse().unwrap());
    response.headers_mut().insert("x-amz-request-id", "0A49CE4060975EAC".parse().unwrap());
    response
}

fn number(headers: &HeaderMap, name: &str) -> Option<u64> {
    headers.get(name)?.to_str().unwrap().parse().ok()
}

/// A page of 1,000 keys.
fn list(page: u64, pages: u64) -> Bytes {
    let mut xml = String::from(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<ListBucketResult xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\">\
         <Name>bucket</Name><Prefix></Prefix><KeyCount>1000</KeyCount><MaxKeys>1000</MaxKeys>",
    );
    if page + 1 < pages {
        let _ = write!(
            xml,
            "<IsTruncated>true</IsTruncated><NextContinuationToken>{}</NextContinuationToken>",
            page + 1
        );
    } else {
        xml += "<IsTruncated>false</IsTruncated>";
    }
    for key in page * 1_000..(page + 1) * 1_000 {
        let _ = write!(
            xml,
            "<Contents><Key>logs/2025/11/04/host-{:03}/part-{key:08}.parquet</Key>\
             <LastModified>2025-11-04T10:11:12.000Z</LastModified><ETag>&quot;{key:032x}&quot;</ETag>\
             <Size>{}</Size><StorageClass>STANDARD</StorageClass></Contents>",
            key % 512,
            key * 4096,
        );
    }
    xml += "</ListBucketResult>";
    xml.into()
}
