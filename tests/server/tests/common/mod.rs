//! A client of one screen: builds requests by hand and calls the service in process.
#![allow(dead_code, reason = "each test file uses another part of it")]

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll, Waker};
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use http::{HeaderMap, Request, StatusCode};
use s3_test_server::{Builder, Server, Service};

/// Runs a future that may not wait for anything: there is no runtime here.
pub(crate) fn block_on<F: Future>(future: F) -> F::Output {
    let mut future = std::pin::pin!(future);
    match future.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(output) => output,
        Poll::Pending => panic!("the service waits for something outside"),
    }
}

pub(crate) struct Reply {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

impl Reply {
    pub(crate) fn text(&self) -> String {
        String::from_utf8(self.body.to_vec()).unwrap()
    }

    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }

    /// The texts of all elements of this name.
    pub(crate) fn all(&self, name: &str) -> Vec<String> {
        let text = self.text();
        let (open, close) = (format!("<{name}>"), format!("</{name}>"));
        text.split(&open).skip(1).map(|rest| unescape(rest.split(&close).next().unwrap())).collect()
    }

    pub(crate) fn one(&self, name: &str) -> String {
        self.all(name).into_iter().next().unwrap_or_default()
    }

    /// Status and error code.
    pub(crate) fn error(&self) -> (u16, String) {
        (self.status.as_u16(), self.one("Code"))
    }

    #[track_caller]
    pub(crate) fn ok(self) -> Self {
        assert!(self.status.is_success(), "{} {}", self.status, self.text());
        assert!(!self.text_lossy().contains("<Error><Code>") || self.text_lossy().contains("DeleteResult"));
        self
    }

    fn text_lossy(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    #[track_caller]
    pub(crate) fn is_error(&self, status: u16, code: &str) {
        assert_eq!(self.error(), (status, code.to_owned()), "{}", self.text_lossy());
        assert_eq!(self.one("RequestId"), self.header("x-amz-request-id"));
        assert_eq!(self.one("HostId"), self.header("x-amz-id-2"));
        assert!(!self.one("Message").is_empty());
    }
}

fn unescape(text: &str) -> String {
    text.replace("&quot;", "\"")
        .replace("&apos;", "'")
        .replace("&lt;", "<")
        .replace("&gt;", ">")
        .replace("&amp;", "&")
}

pub(crate) struct Client {
    pub(crate) service: Service,
    seconds: Arc<AtomicU64>,
}

/// 2026-01-01T00:00:00Z
pub(crate) const START: u64 = 1_767_225_600;

impl Client {
    pub(crate) fn new() -> Self {
        Self::with(|builder| builder)
    }

    /// With a bucket "bkt", tiny parts, and a clock of its own.
    pub(crate) fn with(change: impl FnOnce(Builder) -> Builder) -> Self {
        let seconds = Arc::new(AtomicU64::new(START));
        let clock = Arc::clone(&seconds);
        let clock = move || SystemTime::UNIX_EPOCH + Duration::from_secs(clock.load(Ordering::SeqCst));
        let builder = Server::builder().anonymous().clock(clock).min_part_size(5).spill_over(64);
        let service = change(builder).service();
        service.store().create_bucket("bkt", None);
        Self { service, seconds }
    }

    pub(crate) fn sleep(&self, seconds: u64) {
        self.seconds.fetch_add(seconds, Ordering::SeqCst);
    }

    pub(crate) fn call(&self, method: &str, target: &str, headers: &[(&str, &str)], body: &[u8]) -> Reply {
        let mut request = Request::builder().method(method).uri(target);
        if !headers.iter().any(|(name, _)| *name == "host") {
            request = request.header("host", "127.0.0.1:1");
        }
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let response = block_on(self.service.call_bytes(request.body(Bytes::copy_from_slice(body)).unwrap()));
        let (parts, body) = response.into_parts();
        Reply { status: parts.status, headers: parts.headers, body }
    }

    pub(crate) fn get(&self, target: &str) -> Reply {
        self.call("GET", target, &[], b"")
    }

    pub(crate) fn head(&self, target: &str) -> Reply {
        self.call("HEAD", target, &[], b"")
    }

    pub(crate) fn put(&self, target: &str, body: &[u8]) -> Reply {
        self.call("PUT", target, &[], body)
    }

    pub(crate) fn delete(&self, target: &str) -> Reply {
        self.call("DELETE", target, &[], b"")
    }

    /// A POST with Content-MD5.
    pub(crate) fn post(&self, target: &str, body: &str) -> Reply {
        let md5 = md5(body.as_bytes());
        self.call("POST", target, &[("content-md5", &md5)], body.as_bytes())
    }

    pub(crate) fn versioning(&self, status: &str) {
        let xml = format!("<VersioningConfiguration><Status>{status}</Status></VersioningConfiguration>");
        self.put("/bkt?versioning", xml.as_bytes()).ok();
    }

    pub(crate) fn create_upload(&self, target: &str, headers: &[(&str, &str)]) -> String {
        self.call("POST", &format!("{target}?uploads"), headers, b"").ok().one("UploadId")
    }
}

pub(crate) fn base64(data: &[u8]) -> String {
    use base64::Engine as _;
    base64::engine::general_purpose::STANDARD.encode(data)
}

pub(crate) fn md5(data: &[u8]) -> String {
    use md5::Digest as _;
    base64(&md5::Md5::digest(data))
}

pub(crate) fn sha256(data: &[u8]) -> String {
    use sha2::Digest as _;
    base64(&sha2::Sha256::digest(data))
}

pub(crate) fn complete_xml(parts: &[(i32, &str)]) -> String {
    let parts: Vec<_> = parts
        .iter()
        .map(|(n, etag)| format!("<Part><PartNumber>{n}</PartNumber><ETag>{etag}</ETag></Part>"))
        .collect();
    format!("<CompleteMultipartUpload>{}</CompleteMultipartUpload>", parts.join(""))
}
