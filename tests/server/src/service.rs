//! A call is a function from request to response: s3s in the middle, and around it what it lacks of S3.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::SystemTime;

use bytes::Bytes;
use http::header::{CONTENT_LENGTH, CONTENT_TYPE, DATE, HOST, RANGE, SERVER};
use http::request::Parts;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Response, StatusCode};
use http_body_util::{BodyExt as _, LengthLimitError, Limited};
use percent_encoding::percent_decode_str;
use s3s::access::{S3Access, S3AccessContext};
use s3s::config::{S3Config, StaticConfigProvider};
use s3s::dto::{Timestamp, TimestampFormat};
use s3s::host::{S3Host, VirtualHost};
use s3s::service::{S3Service, S3ServiceBuilder};
use s3s::{HttpResponse, S3Result, s3_error};

use crate::auth::{Credentials, Keys, Refusal, SharedKeys, Signed, query};
use crate::body::{Body, BoxError, full, unsized_body};
use crate::chunked::Watched;
use crate::errors::{self, Details};
use crate::ids::Ids;
use crate::store::receive::{check_whole, sha256_mismatch};
use crate::store::{Clock, Store};

/// Largest XML body of a request; that of CompleteMultipartUpload with 10,000 parts fits by far.
const MAX_XML: usize = 20 << 20;

/// How a signature for another region than the bucket's is answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WrongRegion {
    /// 301 `PermanentRedirect`, as the right signature at the wrong endpoint gets.
    Redirect,
    /// 400 `AuthorizationHeaderMalformed` with `<Region>`, as the wrong region in the scope gets.
    Malformed,
}

/// The white space that S3 sends while it completes an upload, so that nobody thinks that it hangs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum CompleteWhitespace {
    /// None: the answer is at once.
    #[default]
    None,
    /// So many spaces behind the XML declaration, as S3 sends them.
    AfterDeclaration(usize),
    /// So many newlines before the XML declaration, as some stores send them.
    BeforeDeclaration(usize),
}

/// What a [`Service`] is made of.
pub(crate) struct Settings {
    pub(crate) store: Store,
    pub(crate) keys: Arc<Keys>,
    pub(crate) anonymous: bool,
    pub(crate) enforce_region: Option<WrongRegion>,
    pub(crate) domain: String,
    pub(crate) clock: Clock,
    pub(crate) seed: u64,
    pub(crate) whitespace: CompleteWhitespace,
}

/// The S3 service without a socket; clones share everything.
///
/// Its futures are ready under any executor: no reactor and no timer is needed.
#[derive(Clone)]
pub struct Service {
    inner: Arc<Inner>,
}

struct Inner {
    s3: S3Service,
    settings: Settings,
    whitespace: Mutex<CompleteWhitespace>,
    ids: Ids,
}

impl fmt::Debug for Service {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Service").field("store", &self.inner.settings.store).finish_non_exhaustive()
    }
}

/// Set on a request whose signature was checked here.
#[derive(Clone, Copy)]
struct Verified;

/// The body of a request that has a document in it.
#[derive(Clone)]
struct Document(Bytes);

/// What a request addresses.
struct Target {
    bucket: Option<String>,
    key: Option<String>,
}

impl Service {
    pub(crate) fn new(settings: Settings) -> Self {
        let mut builder = S3ServiceBuilder::new(settings.store.clone());
        let mut config = S3Config::default();
        // The clock is checked here, against the given one.
        config.presigned_url_max_skew_time_secs = u32::MAX;
        config.xml_max_body_size = MAX_XML;
        builder.set_config(Arc::new(StaticConfigProvider::new(Arc::new(config))));
        builder.set_auth(SharedKeys(Arc::clone(&settings.keys)));
        builder.set_access(Access { anonymous: settings.anonymous });
        builder.set_host(Host { domain: settings.domain.clone() });
        let inner = Inner {
            s3: builder.build(),
            whitespace: Mutex::new(settings.whitespace),
            ids: Ids::new(settings.seed ^ 0x7265_7175_6573_7473),
            settings,
        };
        Self { inner: Arc::new(inner) }
    }

    /// The objects.
    pub fn store(&self) -> &Store {
        &self.inner.settings.store
    }

    /// Replaces all key pairs.
    pub fn set_credentials(&self, all: impl IntoIterator<Item = Credentials>) {
        self.inner.settings.keys.set(all);
    }

    /// What later CompleteMultipartUpload answers begin with.
    pub fn set_complete_whitespace(&self, whitespace: CompleteWhitespace) {
        *self.inner.whitespace.lock().unwrap_or_else(PoisonError::into_inner) = whitespace;
    }

    /// Answers one request whose body, like that of the answer, is held as a whole.
    pub async fn call_bytes(&self, request: Request<Bytes>) -> Response<Bytes> {
        let response = self.call(request.map(http_body_util::Full::new)).await;
        let (parts, body) = response.into_parts();
        // Only reading a temporary file can fail here.
        let body = body.collect().await.map(http_body_util::Collected::to_bytes).unwrap_or_default();
        Response::from_parts(parts, body)
    }

    /// Answers one request.
    pub async fn call<B>(&self, request: Request<B>) -> Response<Body>
    where
        B: http_body::Body<Data = Bytes> + Send + 'static,
        B::Error: Into<BoxError>,
    {
        let (mut parts, body) = request.into_parts();
        let ids = self.inner.ids.request();
        let target = self.target(&parts);
        let call = Call { method: parts.method.clone(), operation: Operation::of(&parts, &target), target };
        let mut response = match self.admit(&mut parts, &call, &body) {
            Ok(()) => self.serve(parts, body, &call, &ids).await,
            Err(refusal) => call.refuse(refusal, &ids),
        };
        self.add_headers(response.headers_mut(), ids);
        response
    }

    /// All checks that come before the signature.
    fn admit<B: http_body::Body>(&self, parts: &mut Parts, call: &Call, body: &B) -> Result<(), Refusal> {
        if matches!(parts.method, Method::PUT | Method::POST) {
            note_length(parts, body)?;
        }
        let now = (self.inner.settings.clock)();
        let Some(signed) = Signed::parse(parts)? else { return Ok(()) };
        signed.check_time(now)?;
        let credentials = signed.check_key(&self.inner.settings.keys, parts, now)?;
        self.check_region(&signed, call)?;
        if signed.expired_for_s3s() {
            signed.check_presigned(parts, &credentials.secret_access_key)?;
            strip_signature(parts);
        }
        Ok(())
    }

    fn check_region(&self, signed: &Signed, call: &Call) -> Result<(), Refusal> {
        let Some(how) = self.inner.settings.enforce_region else { return Ok(()) };
        if call.operation == Operation::CreateBucket {
            return Ok(());
        }
        let Some(bucket) = &call.target.bucket else { return Ok(()) };
        let region = self.store().bucket_region(bucket);
        let Some(region) = region.filter(|region| *region != signed.region) else { return Ok(()) };
        let mut refusal = match how {
            WrongRegion::Redirect => Refusal::new(
                301,
                "PermanentRedirect",
                "The bucket you are attempting to access must be addressed using the specified endpoint. Please send all future requests to this endpoint.",
            )
            .with("Endpoint", format!("{bucket}.s3.{region}.amazonaws.com"))
            .with("Bucket", bucket.clone()),
            WrongRegion::Malformed if signed.lifetime.is_some() => Refusal::new(
                400,
                "AuthorizationQueryParametersError",
                format!(
                    "Error parsing the X-Amz-Credential parameter; the region '{}' is wrong; expecting '{region}'",
                    signed.region
                ),
            )
            .with("Region", region.clone()),
            WrongRegion::Malformed => Refusal::new(
                400,
                "AuthorizationHeaderMalformed",
                format!(
                    "The authorization header is malformed; the region '{}' is wrong; expecting '{region}'",
                    signed.region
                ),
            )
            .with("Region", region.clone()),
        };
        refusal.bucket_region = Some(region);
        Err(refusal)
    }

    async fn serve<B>(&self, mut parts: Parts, body: B, call: &Call, ids: &(String, String)) -> Response<Body>
    where
        B: http_body::Body<Data = Bytes> + Send + 'static,
        B::Error: Into<BoxError>,
    {
        let body = if call.operation.has_document() {
            match Limited::new(body, MAX_XML).collect().await {
                Ok(document) => {
                    let document = document.to_bytes();
                    parts.extensions.insert(Document(document.clone()));
                    s3s::Body::from(document)
                }
                Err(error) if error.is::<LengthLimitError>() => {
                    let refusal = Refusal::new(400, "MaxMessageLengthExceeded", "Your request was too big.");
                    return call.refuse(refusal, ids);
                }
                Err(_) => {
                    let refusal = Refusal::new(400, "IncompleteBody", errors::message("IncompleteBody"));
                    return call.refuse(refusal, ids);
                }
            }
        } else if is_chunked(&parts.headers) {
            let (body, last) = Watched::new(body.map_err(Into::<BoxError>::into));
            parts.extensions.insert(last);
            s3s::Body::http_body_unsync(body)
        } else {
            s3s::Body::http_body_unsync(body.map_err(Into::<BoxError>::into))
        };
        let plain = without_odd_range(&parts);
        let mut response = self.call_s3s(Request::from_parts(parts, body)).await;
        // The signature was good then: it is checked before the headers are read.
        if let (Some(plain), StatusCode::BAD_REQUEST) = (plain, response.status()) {
            let (head, body) = response.into_parts();
            let text = collect(body).await;
            response =
                if text.contains("<Code>InvalidArgument</Code>") && text.contains("invalid header: range") {
                    self.call_s3s(plain).await
                } else {
                    Response::from_parts(head, s3s::Body::from(text))
                };
        }
        self.finish(response, call, ids).await
    }

    async fn call_s3s(&self, request: Request<s3s::Body>) -> HttpResponse {
        let answer = self.inner.s3.call(request).await;
        answer.unwrap_or_else(|_| {
            let mut response = HttpResponse::default();
            *response.status_mut() = StatusCode::INTERNAL_SERVER_ERROR;
            response
        })
    }

    async fn finish(&self, response: HttpResponse, call: &Call, ids: &(String, String)) -> Response<Body> {
        let (mut head, body) = response.into_parts();
        let failed = head.status.as_u16() >= 300;
        if call.method == Method::HEAD
            || matches!(head.status, StatusCode::NOT_MODIFIED | StatusCode::NO_CONTENT)
        {
            if head.status == StatusCode::OK && head.headers.contains_key("content-range") {
                head.status = StatusCode::PARTIAL_CONTENT;
            }
            if failed {
                head.headers.remove(CONTENT_TYPE);
                head.headers.remove(CONTENT_LENGTH);
            }
            return Response::from_parts(head, full(Bytes::new()));
        }
        let document = head.headers.get(CONTENT_TYPE).is_some_and(|t| t == "application/xml");
        if !failed && (!document || call.operation == Operation::Object) {
            return Response::from_parts(head, body.boxed_unsync());
        }
        let text = collect(body).await;
        let text = if errors::is_error(&text) {
            head.headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/xml"));
            call.complete_error(&text, ids)
        } else {
            escape_controls(text)
        };
        if call.operation == Operation::CompleteMultipartUpload && head.status == StatusCode::OK {
            let whitespace = *self.inner.whitespace.lock().unwrap_or_else(PoisonError::into_inner);
            return Response::from_parts(head, with_whitespace(text, whitespace));
        }
        Response::from_parts(head, full(text))
    }

    fn add_headers(&self, headers: &mut HeaderMap, (request_id, host_id): (String, String)) {
        let now: SystemTime = (self.inner.settings.clock)();
        let mut date = Vec::new();
        if Timestamp::from(now).format(TimestampFormat::HttpDate, &mut date).is_ok()
            && let Ok(date) = HeaderValue::from_bytes(&date)
        {
            headers.insert(DATE, date);
        }
        headers.insert(SERVER, HeaderValue::from_static("AmazonS3"));
        for (name, id) in [("x-amz-request-id", request_id), ("x-amz-id-2", host_id)] {
            if let Ok(id) = HeaderValue::try_from(id) {
                headers.insert(HeaderName::from_static(name), id);
            }
        }
    }

    fn target(&self, parts: &Parts) -> Target {
        let host = parts.headers.get(HOST).and_then(|host| host.to_str().ok()).unwrap_or_default();
        let path = percent_decode_str(parts.uri.path()).decode_utf8_lossy().into_owned();
        let path = path.strip_prefix('/').unwrap_or(&path);
        let text = |text: &str| (!text.is_empty()).then(|| text.to_owned());
        if let Some(bucket) = bucket_of_host(host, &self.inner.settings.domain) {
            return Target { bucket: text(bucket), key: text(path) };
        }
        let (bucket, key) = path.split_once('/').unwrap_or((path, ""));
        Target { bucket: text(bucket), key: text(key) }
    }
}

/// What of the operation matters around s3s.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Operation {
    CreateBucket,
    CompleteMultipartUpload,
    /// Others that bring a document.
    Document,
    /// GetObject, whose body is the user's.
    Object,
    Other,
}

impl Operation {
    fn of(parts: &Parts, target: &Target) -> Self {
        let query = query(parts);
        let has = |name: &str| query.iter().any(|(n, _)| n == name);
        let form =
            parts.headers.get(CONTENT_TYPE).is_some_and(|t| t.as_bytes().starts_with(b"multipart/form-data"));
        match (&parts.method, &target.key) {
            (&Method::PUT, None)
                if query.iter().all(|(name, _)| name == "x-id" || name.starts_with("X-Amz-")) =>
            {
                Self::CreateBucket
            }
            (&Method::PUT, None) => Self::Document,
            (&Method::PUT, Some(_))
                if ["tagging", "acl", "legal-hold", "retention"].iter().any(|n| has(n)) =>
            {
                Self::Document
            }
            (&Method::GET, Some(_))
                if !["attributes", "tagging", "acl", "uploadId"].iter().any(|n| has(n)) =>
            {
                Self::Object
            }
            (&Method::POST, Some(_)) if has("uploadId") => Self::CompleteMultipartUpload,
            (&Method::POST, _) if !form && !has("uploads") => Self::Document,
            _ => Self::Other,
        }
    }

    fn has_document(self) -> bool {
        matches!(self, Self::CreateBucket | Self::CompleteMultipartUpload | Self::Document)
    }
}

/// A request that is being answered.
struct Call {
    method: Method,
    operation: Operation,
    target: Target,
}

impl Call {
    fn refuse(&self, refusal: Refusal, ids: &(String, String)) -> Response<Body> {
        let mut details = refusal.details;
        details.fields.extend(self.identify(refusal.code, ids));
        let xml = errors::body(refusal.code, &errors::escape(&refusal.message), &details);
        let head = self.method == Method::HEAD;
        let mut response = Response::new(full(if head { String::new() } else { xml }));
        *response.status_mut() = StatusCode::from_u16(refusal.status).unwrap_or(StatusCode::BAD_REQUEST);
        if let Some(Ok(region)) = refusal.bucket_region.map(HeaderValue::try_from) {
            response.headers_mut().insert("x-amz-bucket-region", region);
        }
        if !head {
            response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/xml"));
        }
        response
    }

    /// The error of s3s or of the store, with what they leave out.
    fn complete_error(&self, xml: &str, ids: &(String, String)) -> String {
        let code = errors::element(xml, "Code").unwrap_or("InternalError");
        let message = errors::element(xml, "Message").unwrap_or_else(|| errors::message(code));
        errors::body(code, message, &Details { fields: self.identify(code, ids) })
    }

    fn identify(&self, code: &str, (request_id, host_id): &(String, String)) -> Vec<(&'static str, String)> {
        let (bucket, key) = (self.target.bucket.as_deref(), self.target.key.as_deref());
        let mut fields = Vec::new();
        match (code, bucket, key) {
            ("NoSuchBucket" | "BucketAlreadyOwnedByYou" | "BucketNotEmpty", Some(bucket), _) => {
                fields.push(("BucketName", bucket.to_owned()));
            }
            ("NoSuchKey" | "NoSuchVersion", _, Some(key)) => fields.push(("Key", key.to_owned())),
            _ => {}
        }
        let resource = match (bucket, key) {
            (Some(bucket), Some(key)) => format!("/{bucket}/{key}"),
            (Some(bucket), None) => format!("/{bucket}"),
            (None, _) => "/".to_owned(),
        };
        fields.push(("Resource", resource));
        fields.push(("RequestId", request_id.clone()));
        fields.push(("HostId", host_id.clone()));
        fields
    }
}

/// Without a socket nobody has written the length down. With one, a body without it is not taken.
fn note_length<B: http_body::Body>(parts: &mut Parts, body: &B) -> Result<(), Refusal> {
    if parts.headers.contains_key(CONTENT_LENGTH) {
        return Ok(());
    }
    match body.size_hint().exact() {
        Some(length) => {
            parts.headers.insert(CONTENT_LENGTH, HeaderValue::from(length));
            Ok(())
        }
        None if parts.headers.contains_key("x-amz-decoded-content-length") => Ok(()),
        None => {
            Err(Refusal::new(411, "MissingContentLength", "You must provide the Content-Length HTTP header."))
        }
    }
}

/// Makes a request that was checked here one that s3s need not check.
fn strip_signature(parts: &mut Parts) {
    parts.headers.remove(http::header::AUTHORIZATION);
    parts.headers.remove("x-amz-content-sha256");
    let kept: Vec<&str> = parts
        .uri
        .query()
        .unwrap_or_default()
        .split('&')
        .filter(|pair| !pair.is_empty() && !pair.starts_with("X-Amz-"))
        .collect();
    let mut path = parts.uri.path().to_owned();
    if !kept.is_empty() {
        path = format!("{path}?{}", kept.join("&"));
    }
    if let Ok(uri) = path.parse() {
        parts.uri = uri;
    }
    parts.extensions.insert(Verified);
}

/// S3 answers with the whole object when it does not understand `Range`; s3s refuses. This is the request without it.
fn without_odd_range(parts: &Parts) -> Option<Request<s3s::Body>> {
    let range = parts.headers.get(RANGE)?;
    let odd = range.to_str().map_or(true, |range| s3s::dto::Range::parse(range).is_err());
    if !odd || !matches!(parts.method, Method::GET | Method::HEAD) {
        return None;
    }
    let mut plain = parts.clone();
    plain.headers.remove(RANGE);
    strip_signature(&mut plain);
    Some(Request::from_parts(plain, s3s::Body::empty()))
}

/// Documents of s3s are in memory: reading them cannot fail.
async fn collect(body: s3s::Body) -> String {
    let bytes = body.collect().await.map(http_body_util::Collected::to_bytes).unwrap_or_default();
    String::from_utf8_lossy(&bytes).into_owned()
}

/// s3s writes control characters as they are; a carriage return would then be read as a newline.
fn escape_controls(xml: String) -> String {
    let control = |c: char| c < ' ' && !matches!(c, '\n' | '\t');
    if !xml.contains(control) {
        return xml;
    }
    let escape = |c: char| if control(c) { format!("&#x{:X};", u32::from(c)) } else { c.to_string() };
    xml.chars().map(escape).collect()
}

fn with_whitespace(xml: String, whitespace: CompleteWhitespace) -> Body {
    match whitespace {
        CompleteWhitespace::None => full(xml),
        CompleteWhitespace::BeforeDeclaration(count) => unsized_body("\n".repeat(count) + &xml),
        CompleteWhitespace::AfterDeclaration(count) => {
            let end = xml.find("?>").map_or(0, |end| end + 2);
            let (declaration, rest) = xml.split_at(end);
            unsized_body(format!("{declaration}\n{}{}", " ".repeat(count), rest.trim_start()))
        }
    }
}

fn bucket_of_host<'h>(host: &'h str, domain: &str) -> Option<&'h str> {
    let host = match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|b| b.is_ascii_digit()) => name,
        _ => host,
    };
    host.strip_suffix(domain)?.strip_suffix('.').filter(|bucket| !bucket.is_empty())
}

/// Only hosts under the domain name buckets; any other is taken for an endpoint.
struct Host {
    domain: String,
}

impl S3Host for Host {
    fn parse_host_header<'a>(&'a self, host: &'a str) -> S3Result<VirtualHost<'a>> {
        let found = VirtualHost::new(self.domain.as_str());
        Ok(match bucket_of_host(host, &self.domain) {
            Some(bucket) => found.with_bucket(bucket),
            None => found,
        })
    }
}

/// Is asked after the signature was checked, and before anything is done.
struct Access {
    anonymous: bool,
}

#[async_trait::async_trait]
impl S3Access for Access {
    async fn check(&self, cx: &mut S3AccessContext<'_>) -> S3Result<()> {
        let verified = cx.extensions_mut().get::<Verified>().is_some();
        if cx.credentials().is_none() && !verified && !self.anonymous {
            return Err(s3_error!(AccessDenied));
        }
        let Some(Document(body)) = cx.extensions_mut().get::<Document>().cloned() else { return Ok(()) };
        check_document(cx.s3_op().name(), cx.headers(), &body)
    }
}

fn is_chunked(headers: &HeaderMap) -> bool {
    headers.get("x-amz-content-sha256").is_some_and(|hash| hash.as_bytes().starts_with(b"STREAMING-"))
}

/// s3s holds documents against no digest but that of the signature, and answers 500 then.
fn check_document(operation: &str, headers: &HeaderMap, body: &[u8]) -> S3Result<()> {
    if is_chunked(headers) {
        return Ok(());
    }
    let signed = headers.get("x-amz-content-sha256").and_then(|hash| hash.to_str().ok()).unwrap_or_default();
    if signed.len() == 64 && signed != crate::checksum::hex(&crate::checksum::Algorithm::Sha256.digest(body))
    {
        return Err(sha256_mismatch());
    }
    // There x-amz-checksum-* speak of the object.
    if operation == "CompleteMultipartUpload" {
        return Ok(());
    }
    let any = check_whole(headers, body)?;
    if operation == "DeleteObjects" && !any {
        let message = "Missing required header for this request: Content-MD5 OR x-amz-checksum-*";
        return Err(s3_error!(InvalidRequest, "{message}"));
    }
    Ok(())
}
