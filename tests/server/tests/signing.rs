//! Signatures, clocks, tokens and regions, with a signer that shares nothing with the server.
#![allow(clippy::unwrap_used, clippy::panic, reason = "helpers of tests fail as tests do")]

mod common;

use std::time::{Duration, SystemTime};

use common::{Client, START, complete_xml};
use hmac::{Hmac, KeyInit as _, Mac as _};
use s3_test_server::{CompleteWhitespace, Credentials, Server, WrongRegion};
use sha2::{Digest as _, Sha256};

/// 2026-01-01T00:00:00Z, as START.
const DATE: &str = "20260101T000000Z";

fn hex(data: &[u8]) -> String {
    data.iter().fold(String::new(), |out, b| out + &format!("{b:02x}"))
}

fn hmac(key: &[u8], text: &str) -> Vec<u8> {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).unwrap();
    mac.update(text.as_bytes());
    mac.finalize().into_bytes().to_vec()
}

struct Signer {
    key: &'static str,
    secret: &'static str,
    region: &'static str,
    date: &'static str,
    token: Option<&'static str>,
}

const SIGNER: Signer = Signer { key: "AKID", secret: "SECRET", region: "us-east-1", date: DATE, token: None };

impl Signer {
    fn scope(&self) -> String {
        format!("{}/{}/s3/aws4_request", &self.date[..8], self.region)
    }

    fn signature(&self, canonical_request: &str) -> String {
        let hash = hex(&Sha256::digest(canonical_request));
        let text = format!("AWS4-HMAC-SHA256\n{}\n{}\n{hash}", self.date, self.scope());
        let key = hmac(format!("AWS4{}", self.secret).as_bytes(), &self.date[..8]);
        let key = hmac(&hmac(&hmac(&key, self.region), "s3"), "aws4_request");
        hex(&hmac(&key, &text))
    }

    fn headers(&self, method: &str, target: &str, body: &[u8]) -> Vec<(&'static str, String)> {
        self.headers_with(method, target, &hex(&Sha256::digest(body)), &[])
    }

    /// `target` must be canonical already, and `more` in the order of their names behind `x-amz-date`.
    fn headers_with(
        &self,
        method: &str,
        target: &str,
        hash: &str,
        more: &[(&'static str, &str)],
    ) -> Vec<(&'static str, String)> {
        let (path, query) = target.split_once('?').unwrap_or((target, ""));
        let query =
            if query.is_empty() || query.contains('=') { query.to_owned() } else { format!("{query}=") };
        let mut headers = vec![
            ("host", "127.0.0.1:1".to_owned()),
            ("x-amz-content-sha256", hash.to_owned()),
            ("x-amz-date", self.date.to_owned()),
        ];
        headers.extend(self.token.map(|token| ("x-amz-security-token", token.to_owned())));
        headers.extend(more.iter().map(|(name, value)| (*name, (*value).to_owned())));
        let lines = headers.iter().fold(String::new(), |out, (name, value)| out + name + ":" + value + "\n");
        let names = headers.iter().map(|(name, _)| *name).collect::<Vec<_>>().join(";");
        let signature = self.signature(&format!("{method}\n{path}\n{query}\n{lines}\n{names}\n{hash}"));
        let credential = format!("{}/{}", self.key, self.scope());
        let value =
            format!("AWS4-HMAC-SHA256 Credential={credential}, SignedHeaders={names}, Signature={signature}");
        headers.push(("authorization", value));
        headers
    }

    fn call(&self, c: &Client, method: &str, target: &str, body: &[u8]) -> common::Reply {
        let headers = self.headers(method, target, body);
        let headers: Vec<_> = headers.iter().map(|(name, value)| (*name, value.as_str())).collect();
        c.call(method, target, &headers, body)
    }

    fn presign(&self, method: &str, path: &str, expires: u64) -> String {
        let credential = format!("{}/{}", self.key, self.scope()).replace('/', "%2F");
        let mut query = format!(
            "X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential={credential}&X-Amz-Date={}&X-Amz-Expires={expires}",
            self.date
        );
        query += &self.token.map(|token| format!("&X-Amz-Security-Token={token}")).unwrap_or_default();
        query += "&X-Amz-SignedHeaders=host";
        let canonical = format!("{method}\n{path}\n{query}\nhost:127.0.0.1:1\n\nhost\nUNSIGNED-PAYLOAD");
        format!("{path}?{query}&X-Amz-Signature={}", self.signature(&canonical))
    }
}

fn signed_client() -> Client {
    let c = Client::with(|_| builder());
    c.service.store().put("bkt", "k", "x");
    c
}

fn at(seconds: u64) -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs(seconds)
}

/// A builder that asks for signatures, with its clock at START.
fn builder() -> s3_test_server::Builder {
    Server::builder().credentials("AKID", "SECRET").clock(|| at(START))
}

fn client_at(seconds: u64) -> Client {
    let c = Client::with(|_| Server::builder().credentials("AKID", "SECRET").clock(move || at(seconds)));
    c.service.store().put("bkt", "k", "x");
    c
}

#[test]
fn signatures() {
    let c = signed_client();
    assert_eq!(SIGNER.call(&c, "GET", "/bkt/k", b"").ok().body, "x");
    SIGNER.call(&c, "PUT", "/bkt/a%20b", b"body").ok();
    c.get("/bkt/k").is_error(403, "AccessDenied");
    Signer { secret: "wrong", ..SIGNER }
        .call(&c, "GET", "/bkt/k", b"")
        .is_error(403, "SignatureDoesNotMatch");
    Signer { key: "nobody", ..SIGNER }.call(&c, "GET", "/bkt/k", b"").is_error(403, "InvalidAccessKeyId");
    c.call("GET", "/bkt/k", &[("authorization", "AWS AKID:x")], b"").is_error(400, "InvalidRequest");
    c.call("GET", "/bkt/k", &[("authorization", "AWS4-HMAC-SHA256 x")], b"")
        .is_error(400, "AuthorizationHeaderMalformed");
    // Nothing is done before the body is found to be what was signed.
    let changed = |method: &str, target: &str, signed: &[u8], sent: &[u8]| {
        let headers = SIGNER.headers(method, target, signed);
        let headers: Vec<_> = headers.iter().map(|(name, value)| (*name, value.as_str())).collect();
        c.call(method, target, &headers, sent)
    };
    changed("PUT", "/bkt/k", b"1234", b"4321").is_error(400, "XAmzContentSHA256Mismatch");
    changed("PUT", "/bkt?versioning", b"1234", b"4321").is_error(400, "XAmzContentSHA256Mismatch");
    assert_eq!(c.service.store().read("bkt", "k").unwrap(), "x");
    // An odd range is ignored, but not its signature.
    let wrong = Signer { secret: "wrong", ..SIGNER };
    for (signer, status) in [(&SIGNER, 200), (&wrong, 403)] {
        let headers = signer.headers("GET", "/bkt/k", b"");
        let mut headers: Vec<_> = headers.iter().map(|(name, value)| (*name, value.as_str())).collect();
        headers.push(("range", "bytes=odd"));
        assert_eq!(c.call("GET", "/bkt/k", &headers, b"").status, status);
    }
}

/// PUT with chunks; `more` are the headers beside those of each chunked upload.
fn put_chunks(c: &Client, hash: &str, more: &[(&'static str, &str)], body: &str) -> common::Reply {
    let more = [&[("x-amz-decoded-content-length", "5")], more].concat();
    let headers = SIGNER.headers_with("PUT", "/bkt/chunked", hash, &more);
    let mut headers: Vec<_> = headers.iter().map(|(name, value)| (*name, value.as_str())).collect();
    headers.push(("content-encoding", "aws-chunked"));
    c.call("PUT", "/bkt/chunked", &headers, body.as_bytes())
}

#[test]
fn trailing_checksums() {
    let c = signed_client();
    let put = |trailers: &str| {
        let body = format!("2\r\nhe\r\n3\r\nllo\r\n0\r\n{trailers}\r\n");
        put_chunks(
            &c,
            "STREAMING-UNSIGNED-PAYLOAD-TRAILER",
            &[("x-amz-trailer", "x-amz-checksum-crc32")],
            &body,
        )
    };
    put("x-amz-checksum-crc32:AAAAAA==\r\n").is_error(400, "BadDigest");
    put("").is_error(400, "MalformedTrailerError");
    assert!(c.service.store().read("bkt", "chunked").is_none());
    let reply = put("x-amz-checksum-crc32:NhCmhg==\r\n").ok();
    assert_eq!(reply.header("x-amz-checksum-crc32"), "NhCmhg==");
    assert_eq!(c.service.store().read("bkt", "chunked").unwrap(), "hello");
    let got = SIGNER.call(&c, "HEAD", "/bkt/chunked", b"").ok();
    assert_eq!(got.header("content-encoding"), "");
}

#[test]
fn signed_chunks() {
    let c = signed_client();
    let hash = "STREAMING-AWS4-HMAC-SHA256-PAYLOAD";
    let authorization =
        SIGNER.headers_with("PUT", "/bkt/chunked", hash, &[("x-amz-decoded-content-length", "5")]);
    let seed = authorization.last().unwrap().1.rsplit('=').next().unwrap().to_owned();
    let sign = |previous: &str, data: &str| {
        let (empty, data) = (hex(&Sha256::digest("")), hex(&Sha256::digest(data)));
        let text =
            format!("AWS4-HMAC-SHA256-PAYLOAD\n{DATE}\n{}\n{previous}\n{empty}\n{data}", SIGNER.scope());
        let key = SIGNER.scope().split('/').fold(b"AWS4SECRET".to_vec(), |key, part| hmac(&key, part));
        hex(&hmac(&key, &text))
    };
    let first = sign(&seed, "hello");
    let last = sign(&first, "");
    let body = format!("5;chunk-signature={first}\r\nhello\r\n0;chunk-signature={last}\r\n\r\n");
    put_chunks(&c, hash, &[], &body.replace("hello", "jello")).is_error(403, "SignatureDoesNotMatch");
    put_chunks(&c, hash, &[], &body.replace(&last, &first)).is_error(403, "SignatureDoesNotMatch");
    put_chunks(&c, hash, &[], &body[..body.len() - 60]).is_error(400, "IncompleteBody");
    assert!(c.service.store().read("bkt", "chunked").is_none());
    put_chunks(&c, hash, &[], &body).ok();
    assert_eq!(c.service.store().read("bkt", "chunked").unwrap(), "hello");
}

#[test]
fn clock_skew() {
    for (seconds, fine) in
        [(START + 900, true), (START - 900, true), (START + 901, false), (START - 901, false)]
    {
        let reply = SIGNER.call(&client_at(seconds), "GET", "/bkt/k", b"");
        if fine {
            reply.ok();
        } else {
            reply.is_error(403, "RequestTimeTooSkewed");
            assert_eq!(reply.one("RequestTime"), DATE);
        }
    }
}

#[test]
fn presigned() {
    let url = SIGNER.presign("GET", "/bkt/k", 60);
    assert_eq!(client_at(START + 60).get(&url).ok().body, "x");
    client_at(START + 61).get(&url).is_error(403, "AccessDenied");
    assert_eq!(client_at(START + 61).get(&url).one("Message"), "Request has expired");
    client_at(START - 901).get(&url).is_error(403, "AccessDenied");
    let c = client_at(START);
    assert_eq!(c.head(&url).status, 403);
    c.get(&url.replace("/bkt/k", "/bkt/j")).is_error(403, "SignatureDoesNotMatch");
    c.get(&SIGNER.presign("GET", "/bkt/k", 604_801)).is_error(400, "AuthorizationQueryParametersError");
    let put = SIGNER.presign("PUT", "/bkt/new", 60);
    c.put(&put, b"new").ok();
    assert_eq!(c.service.store().read("bkt", "new").unwrap(), "new");
    let temporary = Credentials::new("ASIA", "SECRET").session_token("token");
    c.service.set_credentials([temporary]);
    let signer = Signer { key: "ASIA", token: Some("token"), ..SIGNER };
    c.get(&signer.presign("GET", "/bkt/k", 60)).ok();
}

#[test]
fn presigned_with_the_systems_clock() {
    let format = time::macros::format_description!("[year][month][day]T[hour][minute][second]Z");
    let now = time::OffsetDateTime::now_utc().format(format).unwrap();
    let signer = Signer { date: Box::leak(now.into_boxed_str()), ..SIGNER };
    let c = Client::with(|_| Server::builder().credentials("AKID", "SECRET"));
    c.service.store().put("bkt", "k", "x");
    c.get(&signer.presign("GET", "/bkt/k", 600)).ok();
    signer.call(&c, "GET", "/bkt/k", b"").ok();
    let wrong = Signer { secret: "wrong", ..signer };
    c.get(&wrong.presign("GET", "/bkt/k", 600)).is_error(403, "SignatureDoesNotMatch");
}

#[test]
fn temporary_credentials() {
    let c = signed_client();
    let credentials =
        |expires| [Credentials::new("ASIA", "SECRET").session_token("token").expires(at(expires))];
    c.service.set_credentials(credentials(START + 1));
    let with = |token| Signer { key: "ASIA", token, ..SIGNER }.call(&c, "GET", "/bkt/k", b"");
    with(Some("token")).ok();
    with(Some("other")).is_error(400, "InvalidToken");
    with(None).is_error(403, "InvalidAccessKeyId");
    SIGNER.call(&c, "GET", "/bkt/k", b"").is_error(403, "InvalidAccessKeyId");
    c.service.set_credentials(credentials(START));
    with(Some("token")).is_error(400, "ExpiredToken");
}

#[test]
fn regions() {
    let with = |how| {
        let c = Client::with(|_| builder().enforce_region(how));
        c.service.store().create_bucket("far", Some("eu-west-1"));
        c
    };
    let c = with(WrongRegion::Redirect);
    let reply = SIGNER.call(&c, "GET", "/far", b"");
    reply.is_error(301, "PermanentRedirect");
    assert_eq!((reply.header("x-amz-bucket-region"), reply.header("location")), ("eu-west-1", ""));
    let head = SIGNER.call(&c, "HEAD", "/far", b"");
    assert_eq!(
        (head.status.as_u16(), head.header("x-amz-bucket-region"), head.body.len()),
        (301, "eu-west-1", 0)
    );
    Signer { region: "eu-west-1", ..SIGNER }.call(&c, "GET", "/far", b"").ok();
    SIGNER.call(&c, "GET", "/bkt", b"").ok();
    SIGNER.call(&c, "GET", "/missing", b"").is_error(404, "NoSuchBucket");

    let c = with(WrongRegion::Malformed);
    let reply = SIGNER.call(&c, "GET", "/far", b"");
    reply.is_error(400, "AuthorizationHeaderMalformed");
    assert_eq!(
        (reply.one("Region"), reply.header("x-amz-bucket-region")),
        ("eu-west-1".to_owned(), "eu-west-1")
    );
    let url = SIGNER.presign("GET", "/far", 60);
    assert_eq!(c.get(&url).one("Region"), "eu-west-1");
}

#[test]
fn complete_whitespace() {
    for whitespace in [CompleteWhitespace::AfterDeclaration(3), CompleteWhitespace::BeforeDeclaration(3)] {
        let c = Client::with(|b| b.complete_whitespace(whitespace));
        let id = c.create_upload("/bkt/k", &[]);
        let etag = c.put(&format!("/bkt/k?partNumber=1&uploadId={id}"), b"x").ok().header("etag").to_owned();
        c.service.store().fail_next_completes(1);
        let target = format!("/bkt/k?uploadId={id}");
        let failed = c.post(&target, &complete_xml(&[(1, &etag)]));
        failed.is_error(200, "InternalError");
        let text = c.post(&target, &complete_xml(&[(1, &etag)])).ok().text();
        let start = match whitespace {
            CompleteWhitespace::BeforeDeclaration(_) => "\n\n\n<?xml",
            _ => "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n   <CompleteMultipartUploadResult",
        };
        assert!(text.starts_with(start), "{text}");
    }
}
