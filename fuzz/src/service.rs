//! What is answered: as a well-behaved service would, or as the input has it.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::Mutex;

use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, StatusCode, response};
use s3_proto::checksum::{Checksum, ChecksumAlgorithm, Hasher};
use s3_proto::xml::Reader;
use s3_proto::{Payload, Timestamp};

use crate::input::Input;

/// 2015-08-30T12:36:00Z: where the wall's clock starts.
pub(crate) const START: i64 = 1_440_938_160;

/// All content is made of these.
pub(crate) static ZEROS: [u8; 1 << 16] = [0; 1 << 16];

/// The checksum of so many zeros. Most are asked for again and again.
pub(crate) fn hash_zeros(algorithm: &ChecksumAlgorithm, len: u64) -> Option<Checksum> {
    static KNOWN: Mutex<BTreeMap<(String, u64), Checksum>> = Mutex::new(BTreeMap::new());
    let name = (algorithm.as_str().to_owned(), len);
    if let Some(known) = KNOWN.lock().unwrap().get(&name) {
        return Some(known.clone());
    }
    let mut hasher = Hasher::new(algorithm).ok()?;
    let mut left = len;
    while left > 0 {
        let piece = left.min(ZEROS.len() as u64);
        hasher.update(&ZEROS[..usize::try_from(piece).unwrap()]);
        left -= piece;
    }
    let checksum = hasher.finish();
    let mut known = KNOWN.lock().unwrap();
    if known.len() < 1_000 {
        known.insert(name, checksum.clone());
    }
    Some(checksum)
}

/// An answer to a request.
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(&'static str, Vec<u8>)>,
    pub(crate) body: Vec<u8>,
    /// The connection breaks after the body.
    pub(crate) breaks: bool,
}

impl Reply {
    fn new(body: impl Into<Vec<u8>>) -> Self {
        Self { status: 200, headers: Vec::new(), body: body.into(), breaks: false }
    }

    fn with(mut self, name: &'static str, value: impl Into<Vec<u8>>) -> Self {
        self.headers.push((name, value.into()));
        self
    }

    fn with_status(self, status: u16) -> Self {
        Self { status, ..self }
    }

    pub(crate) fn head(&self) -> response::Parts {
        let mut headers = HeaderMap::new();
        for (name, value) in &self.headers {
            // What is no header does not get past an HTTP library.
            if let Ok(value) = HeaderValue::from_bytes(value) {
                headers.append(HeaderName::from_static(name), value);
            }
        }
        let (mut head, ()) = http::Response::new(()).into_parts();
        head.status = StatusCode::from_u16(self.status).unwrap_or(StatusCode::OK);
        head.headers = headers;
        head
    }

    /// An error of the service.
    pub(crate) fn error(input: &mut Input<'_>) -> Self {
        let (status, code, more) = input.pick(ERRORS);
        let body = format!("<Error><Code>{code}</Code><Message>why</Message>{more}</Error>");
        let date = Timestamp::from_unix(START + i64::from(input.byte()) * 600, 0).unwrap();
        Self::new(body).with_status(status).with("date", date.http_date())
    }

    /// Whatever the input says.
    pub(crate) fn raw(input: &mut Input<'_>) -> Self {
        let mut reply = Self::new("").with_status(100 + input.u16() % 500);
        for _ in 0..input.below(4) {
            let name = input.pick(HEADERS);
            reply = reply.with(name, input.piece());
        }
        reply.body = input.piece().to_vec();
        reply
    }

    /// With one thing changed.
    pub(crate) fn mutated(mut self, input: &mut Input<'_>) -> Self {
        let at = usize::from(input.u16());
        match input.below(10) {
            0 if !self.headers.is_empty() => drop(self.headers.remove(at % self.headers.len())),
            1 if !self.headers.is_empty() => {
                let count = self.headers.len();
                self.headers[at % count].1 = value(input);
            }
            0..=2 => self.headers.push((HEADERS[at % HEADERS.len()], value(input))),
            3 => self.body.truncate(at % (self.body.len() + 1)),
            4 if !self.body.is_empty() => {
                let len = self.body.len();
                self.body[at % len] ^= input.byte() | 1;
            }
            5 => self.status = input.pick(&[206, 200, 204, 301, 304, 307, 400, 403, 404, 412, 416, 500, 503]),
            6 => self.body.extend_from_within(..),
            7 => {
                self.body.truncate(at % (self.body.len() + 1));
                self.breaks = true;
            }
            8 => self.body.extend_from_slice(input.piece()),
            _ => self.replace_text(at, &value(input)),
        }
        self
    }

    /// Gives an element of the document another text.
    fn replace_text(&mut self, at: usize, text: &[u8]) {
        let starts: Vec<_> = (0..self.body.len()).filter(|i| self.body[*i] == b'>').collect();
        if let Some(start) = starts.get(at % starts.len().max(1)).map(|start| start + 1) {
            let len = self.body[start..].iter().position(|b| *b == b'<').unwrap_or(0);
            self.body.splice(start..start + len, text.iter().copied());
        }
    }
}

const ERRORS: &[(u16, &str, &str)] = &[
    (503, "SlowDown", ""),
    (500, "InternalError", ""),
    (404, "NoSuchKey", ""),
    (404, "NoSuchUpload", ""),
    (404, "NoSuchBucket", ""),
    (403, "AccessDenied", ""),
    (400, "ExpiredToken", ""),
    (403, "RequestTimeTooSkewed", ""),
    (301, "PermanentRedirect", "<Endpoint>my-bucket.s3.eu-west-1.amazonaws.com</Endpoint>"),
    (400, "AuthorizationHeaderMalformed", "<Region>eu-west-1</Region>"),
    (307, "TemporaryRedirect", "<Endpoint>..</Endpoint>"),
    (412, "PreconditionFailed", ""),
    (409, "ConditionalRequestConflict", ""),
    (416, "InvalidRange", ""),
    (400, "EntityTooSmall", ""),
    (400, "InvalidPart", ""),
    (400, "RequestTimeout", ""),
    (200, "InternalError", ""),
    (200, "SlowDown", ""),
    (304, "", ""),
    (501, "NotImplemented", ""),
];

pub(crate) const HEADERS: &[&str] = &[
    "content-length",
    "content-range",
    "etag",
    "last-modified",
    "date",
    "age",
    "retry-after",
    "x-amz-retry-after",
    "x-amz-bucket-region",
    "location",
    "x-amz-checksum-crc64nvme",
    "x-amz-checksum-sha256",
    "x-amz-checksum-type",
    "x-amz-mp-parts-count",
    "x-amz-version-id",
    "x-amz-delete-marker",
    "x-amz-meta-a",
    "content-encoding",
    "x-aws-ec2-metadata-token-ttl-seconds",
];

const VALUES: &[&str] = &[
    "",
    "0",
    "1",
    "-1",
    "16384",
    "18446744073709551615",
    "9223372036854775808",
    "bytes 0-0/*",
    "bytes 0-0/18446744073709551615",
    "bytes 1-18446744073709551615/*",
    "bytes 5-4/3",
    "\"other\"",
    "W/\"weak\"",
    "true",
    "AAAA",
    "AAAAAAAAAAA=",
    "AAAAAAAAAAA=-3",
    "Thu, 01 Jan 1970 00:00:00 GMT",
    "9999-12-31T23:59:59Z",
    "eu-west-1",
    "..",
    "../x",
    "/a//b",
    "%ff",
    "COMPOSITE",
    "a",
];

fn value(input: &mut Input<'_>) -> Vec<u8> {
    match input.below(VALUES.len() + 1) {
        n if n < VALUES.len() => VALUES[n].into(),
        _ => input.piece().to_vec(),
    }
}

/// The object that the service has.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Service {
    pub(crate) size: u64,
    /// Whether it says the checksum of its object.
    pub(crate) checksum: bool,
}

impl Service {
    /// The answer of a well-behaved service.
    pub(crate) fn reply(self, request: &Request<Payload>) -> Reply {
        let host = request.uri().host().unwrap_or_default();
        match host {
            "169.254.169.254" | "[fd00:ec2::254]" => instance(request),
            "169.254.170.2" | "127.0.0.1" if request.uri().port().is_none() => Reply::new(KEYS),
            _ if host.starts_with("sts.") => Reply::new(STS),
            _ if host.starts_with("portal.sso.") => Reply::new(SSO),
            _ if host.starts_with("oidc.") => Reply::new(r#"{"accessToken": "t", "expiresIn": 3600}"#),
            _ => self.s3(request),
        }
    }

    fn s3(self, request: &Request<Payload>) -> Reply {
        let query = |name: &str| query(request, name);
        let has = |name: &str| request.headers().contains_key(name);
        let is_bucket =
            request.uri().path().trim_start_matches("/my-bucket").trim_start_matches('/').is_empty();
        match *request.method() {
            Method::GET if is_bucket && query("versions").is_some() => {
                Reply::new(versions(query("key-marker").is_some()))
            }
            Method::GET if is_bucket && query("uploads").is_some() => Reply::new(UPLOADS),
            Method::GET if is_bucket && query("location").is_some() => {
                Reply::new("<LocationConstraint>eu-west-1</LocationConstraint>")
            }
            Method::GET if is_bucket && query("list-type").is_some() => {
                Reply::new(list(query("continuation-token").is_some()))
            }
            Method::GET if is_bucket => Reply::new(list(true)),
            Method::GET if query("tagging").is_some() => {
                Reply::new("<Tagging><TagSet><Tag><Key>k</Key><Value>v</Value></Tag></TagSet></Tagging>")
            }
            Method::GET if query("uploadId").is_some() => Reply::new(PARTS),
            Method::GET if query("attributes").is_some() => Reply::new(ATTRIBUTES),
            Method::GET | Method::HEAD => self.object(request),
            Method::POST if query("uploads").is_some() => Reply::new(
                "<InitiateMultipartUploadResult><UploadId>an-upload</UploadId></InitiateMultipartUploadResult>",
            ),
            Method::POST if query("delete").is_some() => Reply::new(deleted(request)),
            Method::POST => Reply::new(
                "<CompleteMultipartUploadResult><ETag>&quot;e-2&quot;</ETag></CompleteMultipartUploadResult>",
            ),
            Method::PUT if has("x-amz-copy-source") && query("partNumber").is_some() => {
                Reply::new("<CopyPartResult><ETag>&quot;p&quot;</ETag></CopyPartResult>")
            }
            Method::PUT if has("x-amz-copy-source") => {
                Reply::new("<CopyObjectResult><ETag>&quot;c&quot;</ETag></CopyObjectResult>")
            }
            Method::PUT => Reply::new("").with("etag", "\"e\""),
            _ => Reply::new("").with_status(204),
        }
    }

    fn object(self, request: &Request<Payload>) -> Reply {
        let range = request.headers().get("range").and_then(|value| {
            let (first, last) = value.to_str().ok()?.strip_prefix("bytes=")?.split_once('-')?;
            let Ok(first) = first.parse::<u64>() else {
                return Some((self.size.saturating_sub(last.parse().ok()?), self.size.saturating_sub(1)));
            };
            Some((first, last.parse().unwrap_or(u64::MAX).min(self.size.saturating_sub(1))))
        });
        let reply =
            Reply::new("").with("etag", "\"e\"").with("last-modified", "Sun, 30 Aug 2015 00:00:00 GMT");
        let (reply, len) = match range {
            Some((first, _)) if first >= self.size => {
                return Reply::new("<Error><Code>InvalidRange</Code></Error>").with_status(416);
            }
            Some((first, last)) => {
                let range = format!("bytes {first}-{last}/{}", self.size);
                (reply.with_status(206).with("content-range", range), last - first + 1)
            }
            None => (reply, self.size),
        };
        let mut reply = reply.with("content-length", len.to_string());
        if self.checksum && len == self.size {
            let checksum = hash_zeros(&ChecksumAlgorithm::Crc64Nvme, self.size).unwrap();
            reply = reply.with("x-amz-checksum-crc64nvme", checksum.to_string());
        }
        if request.method() == Method::GET {
            reply.body = vec![0; usize::try_from(len).unwrap()];
        }
        reply
    }
}

/// The value of a query parameter, decoded.
fn query<'a>(request: &'a Request<Payload>, name: &str) -> Option<Cow<'a, str>> {
    let pairs = request.uri().query()?.split('&');
    let (_, value) =
        pairs.map(|pair| pair.split_once('=').unwrap_or((pair, ""))).find(|(n, _)| *n == name)?;
    Some(percent_encoding::percent_decode_str(value).decode_utf8_lossy())
}

fn instance(request: &Request<Payload>) -> Reply {
    match request.uri().path() {
        "/latest/api/token" => Reply::new("token").with("x-aws-ec2-metadata-token-ttl-seconds", "21600"),
        "/latest/meta-data/iam/security-credentials/" => Reply::new("my-role"),
        "/latest/meta-data/placement/region" => Reply::new("eu-north-1"),
        _ => Reply::new(KEYS),
    }
}

fn list(is_last: bool) -> String {
    let (key, end) = match is_last {
        false => ("a", "<IsTruncated>true</IsTruncated><NextContinuationToken>2</NextContinuationToken>"),
        true => ("sub/b", "<IsTruncated>false</IsTruncated>"),
    };
    format!(
        "<ListBucketResult><EncodingType>url</EncodingType>{end}<Contents><Key>{key}</Key><Size>3</Size>\
         <LastModified>2015-08-30T00:00:00Z</LastModified><ETag>&quot;e&quot;</ETag></Contents></ListBucketResult>"
    )
}

fn versions(is_last: bool) -> String {
    let end = match is_last {
        false => {
            "<IsTruncated>true</IsTruncated><NextKeyMarker>a</NextKeyMarker>\
             <NextVersionIdMarker>1</NextVersionIdMarker>"
        }
        true => "<IsTruncated>false</IsTruncated>",
    };
    format!(
        "<ListVersionsResult>{end}<Version><Key>a</Key><VersionId>1</VersionId><Size>1</Size></Version>\
         <DeleteMarker><Key>a</Key><VersionId>2</VersionId></DeleteMarker></ListVersionsResult>"
    )
}

fn deleted(request: &Request<Payload>) -> String {
    let mut text = String::from("<DeleteResult>");
    if let Payload::Bytes(body) = request.body() {
        let mut xml = Reader::new(body);
        xml.root().unwrap();
        while let Some(name) = xml.child().unwrap() {
            if name != "Object" {
                xml.skip().unwrap();
                continue;
            }
            while let Some(name) = xml.child().unwrap() {
                if name == "Key" {
                    let key = xml.text().unwrap().replace('&', "&amp;").replace('<', "&lt;");
                    text.extend(["<Deleted><Key>", &key, "</Key></Deleted>"]);
                } else {
                    xml.skip().unwrap();
                }
            }
        }
    }
    text + "</DeleteResult>"
}

pub(crate) const KEYS: &str = r#"{"Code": "Success", "Version": 1, "AccessKeyId": "AKIDEXAMPLE",
    "SecretAccessKey": "secret", "Token": "t", "Expiration": "2015-08-30T18:00:00Z"}"#;
const STS: &str = "<R><AssumeRoleResult><Credentials><AccessKeyId>AKIDEXAMPLE</AccessKeyId>\
    <SecretAccessKey>secret</SecretAccessKey><SessionToken>t</SessionToken>\
    <Expiration>2015-08-30T18:00:00Z</Expiration></Credentials></AssumeRoleResult></R>";
const SSO: &str = r#"{"roleCredentials": {"accessKeyId": "AKIDEXAMPLE", "secretAccessKey": "secret",
    "sessionToken": "t", "expiration": 1440957600000}}"#;
const UPLOADS: &str = "<ListMultipartUploadsResult><IsTruncated>false</IsTruncated><Upload><Key>k</Key>\
    <UploadId>u</UploadId></Upload></ListMultipartUploadsResult>";
const PARTS: &str = "<ListPartsResult><IsTruncated>false</IsTruncated><Part><PartNumber>1</PartNumber>\
    <ETag>&quot;e&quot;</ETag><Size>5242880</Size></Part></ListPartsResult>";
const ATTRIBUTES: &str = "<GetObjectAttributesResponse><ETag>e</ETag><ObjectParts><IsTruncated>false</IsTruncated>\
    <Part><PartNumber>1</PartNumber><Size>4096</Size></Part></ObjectParts></GetObjectAttributesResponse>";
