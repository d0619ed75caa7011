//! From a draft to a request that is signed for one attempt.

use http::header::{CONTENT_ENCODING, CONTENT_LENGTH, EXPECT, USER_AGENT};
use http::{HeaderMap, HeaderName, HeaderValue, Method, Uri};
use percent_encoding::utf8_percent_encode;
use std::borrow::Cow;
use std::io::Write as _;
use std::time::Duration;

use crate::checksum::{ChecksumAlgorithm, Hasher};
use crate::config::{Config, PayloadSigning};
use crate::encode::{RESERVED_IN_PATH, hex_digest};
use crate::endpoint::{
    AuthScheme, ChecksumPolicy, EndpointParams, OperationNeeds, Provider, Region, ResolvedEndpoint,
    is_express, resolve,
};
use crate::machine::{HttpTask, Payload};
use crate::ops::{ANNOUNCED_CHECKSUM, Draft, KeysOf};
use crate::session::{InvocationId, Session};
use crate::sign::{
    self, BodyEncoder, PayloadHash, PostPolicy, Presigned, PresignedPost, Receipt, Signature, SigningOptions,
    SigningParams, Trailer,
};
use crate::validate::{BucketRule, check_bucket, check_key};
use crate::{Credentials, Error, ErrorKind, Timestamp};

/// What one attempt is made of.
pub(crate) struct Plan<'a> {
    pub(crate) session: &'a Session,
    pub(crate) operation: &'static str,
    pub(crate) draft: &'a Draft,
    pub(crate) credentials: Option<&'a Credentials>,
    /// They are those of a session with the directory bucket.
    pub(crate) in_session: bool,
    pub(crate) region: &'a Region,
    pub(crate) time: Timestamp,
    /// The number of the attempt, from 1 on.
    pub(crate) attempt: u32,
    /// Names the call in all its attempts.
    pub(crate) invocation: Option<InvocationId>,
}

pub(crate) struct Prepared {
    pub(crate) task: Box<HttpTask>,
    /// The region that it is signed for.
    pub(crate) region: Region,
    pub(crate) signature: Option<Signature>,
    /// What is sent from a source, if that matters.
    pub(crate) receipt: Option<Receipt>,
}

static CHECKSUM_MODE: HeaderName = HeaderName::from_static("x-amz-checksum-mode");
static SDK_REQUEST: HeaderName = HeaderName::from_static("amz-sdk-request");
static SDK_INVOCATION_ID: HeaderName = HeaderName::from_static("amz-sdk-invocation-id");

/// Room for the headers that an ordinary request gets here, so that the map is not moved as they come.
const ADDED_HEADERS: usize = 10;

/// Bodies up to this size are hashed even where TLS protects them: it costs less than a packet.
const CHEAP_TO_HASH: usize = 8 << 10;

/// Bucket and key, by the service's rules.
pub(crate) fn check_draft(draft: &Draft, config: &Config) -> Result<(), Error> {
    if let Some(bucket) = &draft.bucket {
        let rule = if config.relaxed_bucket_names { BucketRule::Relaxed } else { draft.bucket_rule };
        check_bucket(bucket, rule)?;
    }
    if let Some(key) = &draft.key {
        for warning in check_key(key)? {
            // Without the key, which is only shown where that was asked for.
            tracing::debug!(%warning, "unusual key");
        }
    }
    check_identifiers(&draft.query)
}

/// Without its value `DELETE ?uploadId=` is a DeleteObject to stores that take an empty parameter for none, and
/// `?versionId=` is about the current version.
fn check_identifiers(query: &str) -> Result<(), Error> {
    let names = |pair: &str| matches!(pair.split_once('='), Some(("uploadId" | "versionId", "")));
    match query.split('&').find(|pair| names(pair)) {
        Some(pair) => {
            let name = pair.trim_end_matches('=');
            Err(Error::invalid_input(format!("{name} is empty, which some stores take for none at all")))
        }
        None => Ok(()),
    }
}

pub(crate) fn prepare(plan: &Plan<'_>) -> Result<Prepared, Error> {
    let Plan { session, draft, .. } = plan;
    let config = session.config();
    let (endpoint, uri) = address(plan)?;
    let mut request = http::Request::new(draft.payload.clone());
    *request.method_mut() = draft.method.clone();
    *request.uri_mut() = uri;
    let headers = request.headers_mut();
    headers.reserve(ADDED_HEADERS + draft.headers.len());
    headers.extend(draft.headers.iter().map(|(name, value)| (name.clone(), value.clone())));
    let body = Body::of(draft, headers, config, endpoint.tls, plan.credentials.is_none())?;
    let left_out = config.provider().left_out;
    if draft.wants_checksum && config.verify_checksums && !left_out.contains(&CHECKSUM_MODE.as_str()) {
        headers.insert(&CHECKSUM_MODE, HeaderValue::from_static("ENABLED"));
    }
    if draft.adds_digest {
        settle_digest(headers, &draft.payload, config, &endpoint)?;
    }

    let (mut encoder, mut signed) = (None, None);
    if let Some(credentials) = plan.credentials {
        let params = signing(plan, credentials, &endpoint)?;
        let signature = sign::sign_headers(&mut request, &body.hash, &params)?;
        encoder = body.encoder(&draft.payload, Some((signature, &params)))?;
        signed = Some(signature);
    } else if matches!(draft.payload, Payload::Source { .. }) {
        encoder = body.encoder(&draft.payload, None)?;
        if !matches!(body.framing, Framing::Plain) {
            // What the body is framed in is said here, signed or not.
            sign::add_payload_hash(request.headers_mut(), &body.hash)?;
        }
    }
    let receipt = match (&mut encoder, &draft.observe) {
        (Some(encoder), Some(algorithm)) => Some(encoder.observe(algorithm)?),
        (Some(encoder), None) if !draft.payload.is_replayable() => Some(encoder.receipt()),
        _ => None,
    };
    let len = encoder.as_ref().map_or_else(|| draft.payload.len(), BodyEncoder::encoded_len);

    // What follows is not signed, since proxies may change it.
    let headers = request.headers_mut();
    if len > 0 || matches!(draft.method, Method::PUT | Method::POST) {
        headers.insert(CONTENT_LENGTH, HeaderValue::from(len));
    }
    headers.insert(USER_AGENT, HeaderValue::from_static(concat!("s3-proto/", env!("CARGO_PKG_VERSION"))));
    if let Some(info) = attempt_info(plan.attempt, config.retry.attempts()) {
        headers.insert(&SDK_REQUEST, info);
    }
    if let Some(Ok(id)) = plan.invocation.map(|id| HeaderValue::from_bytes(&id)) {
        headers.insert(&SDK_INVOCATION_ID, id);
    }
    let expect_continue = config.asks_before(len);
    if expect_continue {
        headers.insert(EXPECT, HeaderValue::from_static("100-continue"));
    }
    let mut timeouts = config.timeouts;
    if draft.slow {
        (timeouts.first_byte, timeouts.idle) = (timeouts.slow, timeouts.slow);
    }
    #[cfg(feature = "testing")]
    request.extensions_mut().insert(crate::testing::About {
        operation: plan.operation,
        bucket: draft.bucket.clone(),
        key: draft.key.clone(),
    });
    let task = Box::new(HttpTask { request, encoder, timeouts, expect_continue });
    Ok(Prepared { task, region: endpoint.signing_region, signature: signed, receipt })
}

/// Which of how many attempts it is, such as `attempt=1; max=3`.
fn attempt_info(attempt: u32, max: u32) -> Option<HeaderValue> {
    if let (1, 3) = (attempt, max) {
        // Nearly all: the first of as many as there are by default.
        return Some(HeaderValue::from_static("attempt=1; max=3"));
    }
    let mut text = [0; 48];
    let mut rest = text.as_mut_slice();
    write!(rest, "attempt={attempt}; max={}", max.max(attempt)).ok()?;
    let left = rest.len();
    HeaderValue::from_bytes(&text[..text.len() - left]).ok()
}

pub(crate) fn presign(plan: &Plan<'_>, expires: Duration) -> Result<Presigned, Error> {
    let Some(credentials) = plan.credentials else {
        return Err(Error::invalid_input("a URL cannot be presigned without credentials"));
    };
    let (endpoint, uri) = address(plan)?;
    let mut request = http::Request::new(());
    *request.method_mut() = plan.draft.method.clone();
    *request.uri_mut() = uri;
    *request.headers_mut() = plan.draft.headers.clone();
    if !has_checksum(request.headers()) {
        // Of a body that is not known there is no checksum, and S3 refuses the announcement of one that does not come.
        request.headers_mut().remove(&ANNOUNCED_CHECKSUM);
    }
    let params = signing(plan, credentials, &endpoint)?;
    // Whoever uses the URL chooses the body, unless the caller wants this one and no other.
    let hash = match (&plan.draft.payload, plan.session.config().payload_signing) {
        (Payload::Bytes(bytes), PayloadSigning::Always) => PayloadHash::of(bytes),
        _ => PayloadHash::Unsigned,
    };
    if let PayloadHash::Sha256(digest) = hash {
        // The service takes UNSIGNED-PAYLOAD for granted in a URL, unless this header says otherwise.
        let value = HeaderValue::from_bytes(&hex_digest(&digest))
            .map_err(|_| Error::invalid_input("the request cannot be signed"))?;
        request.headers_mut().insert("x-amz-content-sha256", value);
    }
    let mut presigned = sign::presign(&request, &hash, expires, &params)?;
    // A document is part of the request, whoever sends it; data of the user is not.
    if let (Payload::Bytes(document), false) = (&plan.draft.payload, plan.draft.is_data) {
        presigned.body = document.clone();
    }
    if presigned.expires_in.as_secs() < expires.as_secs() {
        tracing::warn!(expires_in = ?presigned.expires_in, "the credentials expire before the presigned URL would");
    }
    Ok(presigned)
}

pub(crate) fn post(plan: &Plan<'_>, policy: &PostPolicy) -> Result<PresignedPost, Error> {
    let Some(credentials) = plan.credentials else {
        return Err(Error::invalid_input("a POST policy cannot be signed without credentials"));
    };
    let (endpoint, uri) = address(plan)?;
    if endpoint.signing_name == "s3express" {
        let message = "directory buckets take no uploads from forms: presign a PutObject instead";
        return Err(Error::new(ErrorKind::NotImplemented, message));
    }
    let bucket = plan.draft.bucket.as_deref().unwrap_or_default();
    let policy = if policy.has_bucket() { policy.clone() } else { policy.clone().bucket(bucket) };
    let form = policy.sign(&signing(plan, credentials, &endpoint)?)?;
    Ok(PresignedPost { uri, form })
}

fn signing<'a>(
    plan: &Plan<'_>,
    credentials: &'a Credentials,
    endpoint: &ResolvedEndpoint,
) -> Result<SigningParams<'a>, Error> {
    let (session, time, service) = (plan.session, plan.time, endpoint.signing_name);
    let key = match endpoint.auth_schemes.iter().find(|scheme| can_sign(**scheme)) {
        #[cfg(feature = "sigv4a")]
        Some(AuthScheme::SigV4a) => session.key_v4a(credentials, time, service)?,
        Some(_) => session.key(credentials, time, endpoint.signing_region.as_str(), service)?,
        None => {
            let message = "multi-region access points need Signature V4a: turn on the feature `sigv4a`";
            return Err(Error::new(ErrorKind::NotImplemented, message));
        }
    };
    let params = SigningParams::with_key(credentials, key, time)?;
    Ok(if plan.in_session { params.with_options(SigningOptions::S3_EXPRESS) } else { params })
}

/// Whether the request is signed with the credentials of a session with a directory bucket.
///
/// HeadBucket is not, as its page in the API reference and
/// <https://docs.aws.amazon.com/AmazonS3/latest/userguide/s3-express-create-session.html> say, though the
/// service's model has no mark for that.
pub(crate) fn wants_session(
    session: &Session,
    operation: &'static str,
    draft: &Draft,
    region: &Region,
) -> bool {
    // An address is worked out for those names only that can be meant.
    draft.bucket.as_deref().is_some_and(is_express)
        && operation != "HeadBucket"
        && resolve(&endpoint_params(session.config(), operation, draft, region))
            .is_ok_and(|endpoint| endpoint.accepts(AuthScheme::SigV4Express))
}

fn can_sign(scheme: AuthScheme) -> bool {
    match scheme {
        AuthScheme::SigV4 | AuthScheme::SigV4Express => true,
        AuthScheme::SigV4a => cfg!(feature = "sigv4a"),
    }
}

/// The host for the bucket, and the absolute URI there.
fn address(plan: &Plan<'_>) -> Result<(ResolvedEndpoint, Uri), Error> {
    let draft = plan.draft;
    let endpoint = resolve(&endpoint_params(plan.session.config(), plan.operation, draft, plan.region))?;
    // Most keys have nothing to encode and are not copied.
    let key: Cow<'_, str> =
        utf8_percent_encode(draft.key.as_deref().unwrap_or_default(), RESERVED_IN_PATH).into();
    let mut text = String::with_capacity(96 + key.len() + draft.query.len());
    endpoint.write_uri(&mut text, &key, &query(plan));
    let uri = Uri::try_from(text)
        .map_err(|e| Error::invalid_input(format!("bucket, key and endpoint make no valid URL: {e}")))?;
    Ok((endpoint, uri))
}

fn endpoint_params<'a>(
    config: &'a Config,
    operation: &'static str,
    draft: &'a Draft,
    region: &'a Region,
) -> EndpointParams<'a> {
    let mut params = EndpointParams::new(region);
    params.endpoint = config.endpoint.as_ref();
    params.style = config.addressing_style_for(draft.bucket.as_deref());
    params.bucket = draft.bucket.as_deref();
    params.options = config.endpoint_options;
    params.operation = OperationNeeds::of(operation);
    params.plain_names = config.provider().name != Provider::AWS.name;
    params
}

/// The query, with the encoding of keys that the store can be trusted with.
fn query<'a>(plan: &Plan<'a>) -> Cow<'a, str> {
    let provider = plan.session.config().provider();
    let encodes = match plan.draft.encodes_keys {
        None => false,
        Some(KeysOf::Objects) => provider.encodes_lists,
        Some(KeysOf::Uploads) => provider.encodes_uploads,
    };
    if encodes { plan.draft.with_query("encoding-type", "url").into() } else { (&plan.draft.query).into() }
}

/// The digest of an XML body in the form that the store takes, instead of the `Content-MD5` that it has.
fn settle_digest(
    headers: &mut HeaderMap,
    payload: &Payload,
    config: &Config,
    endpoint: &ResolvedEndpoint,
) -> Result<(), Error> {
    let off = config.checksum_policy() == ChecksumPolicy::Off;
    // Directory buckets take no MD5:
    // https://docs.aws.amazon.com/AmazonS3/latest/userguide/s3-express-differences.html
    if !off && config.provider().content_md5 && endpoint.signing_name != "s3express" {
        return Ok(());
    }
    headers.remove("content-md5");
    if let (false, false, Payload::Bytes(bytes)) = (off, has_checksum(headers), payload) {
        add_checksum(headers, &ChecksumAlgorithm::Crc32c, bytes)?;
    }
    Ok(())
}

fn add_checksum(headers: &mut HeaderMap, algorithm: &ChecksumAlgorithm, bytes: &[u8]) -> Result<(), Error> {
    let mut hasher = Hasher::new(algorithm)?;
    hasher.update(bytes);
    let value = HeaderValue::from_str(&hasher.finish().to_string());
    if let (Some(name), Ok(value)) = (algorithm.header_name(), value) {
        headers.insert(name, value);
    }
    Ok(())
}

fn unsized_payload() -> Error {
    Error::invalid_input(
        "S3 wants to know the length of a body; upload a stream of unknown length with `upload_stream`",
    )
}

fn cannot_stream(provider: &Provider, what: &str) -> Error {
    let message = format!(
        "the store ('{}') does not take {what} with a body that is streamed: send it from memory, or without",
        provider.name
    );
    Error::new(ErrorKind::Configuration, message)
}

/// Whether the headers give the value of a checksum.
fn has_checksum(headers: &HeaderMap) -> bool {
    let gives_one = |name: &HeaderName| {
        name.as_str().strip_prefix("x-amz-checksum-").is_some_and(|n| n != "type" && n != "algorithm")
    };
    headers.keys().any(gives_one)
}

/// The algorithm of the checksum that goes with the body: the caller's choice, or CRC64NVME with data where
/// the store knows it and there is no Content-MD5. None if the caller has given a value already.
fn checksum_to_send(draft: &Draft, config: &Config) -> Option<ChecksumAlgorithm> {
    if has_checksum(&draft.headers) {
        return None;
    }
    let by_default = draft.is_data && config.sends_checksums() && !draft.headers.contains_key("content-md5");
    draft.checksum.clone().or_else(|| by_default.then_some(ChecksumAlgorithm::Crc64Nvme))
}

/// How the body travels.
struct Body {
    hash: PayloadHash,
    framing: Framing,
}

enum Framing {
    /// As it is.
    Plain,
    /// Signed chunk by chunk, with this checksum after them.
    Signed(Option<ChecksumAlgorithm>),
    /// In chunks without signatures, with this checksum after them.
    Trailer(ChecksumAlgorithm),
}

impl Body {
    /// Adds what the head says of it.
    fn of(
        draft: &Draft,
        headers: &mut HeaderMap,
        config: &Config,
        tls: bool,
        anonymous: bool,
    ) -> Result<Self, Error> {
        let mut body = Self { hash: PayloadHash::EMPTY, framing: Framing::Plain };
        match &draft.payload {
            Payload::Empty => {}
            Payload::Unsized => return Err(unsized_payload()),
            Payload::Bytes(bytes) => body.in_memory(bytes, draft, headers, config, tls)?,
            Payload::Source { len, .. } => body.streamed(*len, draft, headers, config, tls, anonymous)?,
        }
        Ok(body)
    }

    fn in_memory(
        &mut self,
        bytes: &[u8],
        draft: &Draft,
        headers: &mut HeaderMap,
        config: &Config,
        tls: bool,
    ) -> Result<(), Error> {
        let hashed = match config.payload_signing {
            PayloadSigning::Always => true,
            PayloadSigning::Never => false,
            PayloadSigning::Auto => !tls || bytes.len() <= CHEAP_TO_HASH,
        };
        self.hash = if hashed { PayloadHash::of(bytes) } else { PayloadHash::Unsigned };
        match checksum_to_send(draft, config) {
            Some(algorithm) => add_checksum(headers, &algorithm, bytes),
            None => Ok(()),
        }
    }

    fn streamed(
        &mut self,
        len: u64,
        draft: &Draft,
        headers: &mut HeaderMap,
        config: &Config,
        tls: bool,
        anonymous: bool,
    ) -> Result<(), Error> {
        let provider = config.provider();
        // One that nobody asked for is left out where it cannot travel, or where it is not known whether it can: there
        // is nothing on trailers of requests without a signature.
        let checksum = checksum_to_send(draft, config)
            .filter(|_| draft.checksum.is_some() || (provider.trailers && !anonymous));
        let can_sign = if checksum.is_some() { provider.signed_trailers } else { provider.signed_chunks };
        let sign_chunks = !anonymous
            && match config.payload_signing {
                PayloadSigning::Always if !can_sign => return Err(cannot_stream(&provider, "a signature")),
                PayloadSigning::Always => true,
                PayloadSigning::Never => false,
                PayloadSigning::Auto => !tls && can_sign,
            };
        let trailer = checksum.as_ref().and_then(ChecksumAlgorithm::header_name);
        (self.hash, self.framing) = match (checksum, sign_chunks) {
            (None, false) => (PayloadHash::Unsigned, Framing::Plain),
            (None, true) => (PayloadHash::StreamingSigned, Framing::Signed(None)),
            (Some(a), true) => (PayloadHash::StreamingSignedTrailer, Framing::Signed(Some(a))),
            (Some(_), false) if !provider.trailers => return Err(cannot_stream(&provider, "a checksum")),
            (Some(a), false) => (PayloadHash::StreamingUnsignedTrailer, Framing::Trailer(a)),
        };
        if matches!(self.framing, Framing::Plain) {
            return Ok(());
        }
        headers.insert("x-amz-decoded-content-length", HeaderValue::from(len));
        let encoding = match draft.headers.get(CONTENT_ENCODING).and_then(|v| v.to_str().ok()) {
            Some(own) => HeaderValue::from_str(&format!("aws-chunked,{own}"))
                .map_err(|_| Error::invalid_input("Content-Encoding has a character that cannot be sent"))?,
            None => HeaderValue::from_static("aws-chunked"),
        };
        headers.insert(CONTENT_ENCODING, encoding);
        if let Some(name) = trailer
            && let Ok(value) = HeaderValue::from_str(name.as_str())
        {
            headers.insert(HeaderName::from_static("x-amz-trailer"), value);
        }
        Ok(())
    }

    fn encoder(
        &self,
        payload: &Payload,
        signed: Option<(Signature, &SigningParams<'_>)>,
    ) -> Result<Option<BodyEncoder>, Error> {
        let Payload::Source { len, .. } = payload else { return Ok(None) };
        let chunk = BodyEncoder::CHUNK_LEN;
        let encoder = match (&self.framing, signed) {
            (Framing::Signed(None), Some((seed, params))) => {
                BodyEncoder::signed_chunks(*len, chunk, seed, params)?
            }
            (Framing::Signed(Some(algorithm)), Some((seed, params))) => {
                let trailers = vec![Trailer::checksum(algorithm)?];
                BodyEncoder::signed_chunks_with_trailers(*len, chunk, seed, params, trailers)?
            }
            (Framing::Trailer(algorithm), _) => {
                BodyEncoder::unsigned_trailer(*len, chunk, vec![Trailer::checksum(algorithm)?])?
            }
            _ => BodyEncoder::identity(*len),
        };
        Ok(Some(encoder))
    }
}
