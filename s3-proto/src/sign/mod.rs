//! Signature Version 4, as pure functions of a request, credentials and a time.
//!
//! - [`sign_headers`] signs a request in its `authorization` header; [`presign`] makes a URL of it that
//!   anybody can use until it expires.
//! - [`BodyEncoder`] frames (and signs, if asked) the body of an upload whose checksum follows it.
//! - [`SigningKey`] is of Version 4, or of Version 4a with the feature `sigv4a`.
//! - [`PostPolicy`] signs the form of a browser's upload.
//! - [`explain_headers`] and [`explain_presigned`] show what was signed, for a `SignatureDoesNotMatch`.
//!
//! ```
//! use s3_proto::sign::{self, PayloadHash, SigningParams};
//! use s3_proto::{Credentials, Timestamp};
//!
//! let credentials = Credentials::new("AKIAIOSFODNN7EXAMPLE", "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY")?;
//! let time = Timestamp::parse("Fri, 24 May 2013 00:00:00 GMT").unwrap();
//! let params = SigningParams::new(&credentials, "us-east-1", "s3", time)?;
//!
//! let mut request = http::Request::get("https://examplebucket.s3.amazonaws.com/test.txt")
//!     .header("range", "bytes=0-9")
//!     .body(())
//!     .unwrap();
//! let signature = sign::sign_headers(&mut request, &PayloadHash::EMPTY, &params)?;
//! assert!(signature.as_str().starts_with("f0e8bdb87c964420e857bd35b5d6ed31"));
//! assert!(request.headers().contains_key("authorization"));
//! # Ok::<(), s3_proto::Error>(())
//! ```
//!
//! Source throughout: "Authenticating Requests (AWS Signature Version 4)" in the Amazon S3 API Reference
//! (pages sig-v4-header-based-auth, sigv4-query-string-auth, sigv4-streaming, sigv4-streaming-trailers,
//! sigv4-HTTPPOSTConstructPolicy).

mod canonical;
mod chunked;
mod header;
mod key;
mod key_cache;
mod post_policy;
mod query;
#[cfg(test)]
mod tests;
#[cfg(feature = "sigv4a")]
mod v4a;

use std::fmt;

use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Uri, request};
use sha2::{Digest as _, Sha256};

pub use canonical::canonical_header_value;
pub use chunked::{BodyEncoder, Frame, Receipt, Trailer};
pub(crate) use header::add_payload_hash;
pub use header::{explain_headers, sign_headers};
pub use key::SigningKey;
pub use key_cache::KeyCache;
pub use post_policy::{PostForm, PostPolicy, PresignedPost, sign_post_policy};
pub use query::{Presigned, explain_presigned, presign};

use crate::credentials::Credentials;
use crate::encode::{hex_digest, hex_pair};
use crate::timestamp::Timestamp;
use crate::{Error, ErrorKind};

pub(crate) static X_AMZ_DATE: HeaderName = HeaderName::from_static("x-amz-date");
pub(crate) static X_AMZ_SECURITY_TOKEN: HeaderName = HeaderName::from_static("x-amz-security-token");
pub(crate) static X_AMZ_S3SESSION_TOKEN: HeaderName = HeaderName::from_static("x-amz-s3session-token");
pub(crate) static X_AMZ_REGION_SET: HeaderName = HeaderName::from_static("x-amz-region-set");
pub(crate) static X_AMZ_CONTENT_SHA256: HeaderName = HeaderName::from_static("x-amz-content-sha256");

const ALGORITHM: &str = "AWS4-HMAC-SHA256";

/// Who signs, for which region and service, and when.
#[derive(Clone, Debug)]
pub struct SigningParams<'a> {
    credentials: &'a Credentials,
    key: SigningKey,
    time: Timestamp,
    /// `time` as it is signed.
    now: [u8; 16],
    options: SigningOptions,
}

impl<'a> SigningParams<'a> {
    /// Derives the key; with many requests, let a [`KeyCache`] do that and use
    /// [`with_key`](Self::with_key).
    ///
    /// # Errors
    /// As [`SigningKey::derive`].
    pub fn new(
        credentials: &'a Credentials,
        region: &str,
        service: &str,
        time: Timestamp,
    ) -> Result<Self, Error> {
        let key = SigningKey::derive(credentials, time, region, service)?;
        Ok(Self { credentials, key, time, now: time.amz_date(), options: SigningOptions::S3 })
    }

    /// Signs with Version 4a for a set of regions, such as `*` or `us-east-1,eu-*`, with the feature `sigv4a`.
    /// Bodies cannot be signed chunk by chunk with it, nor can POST policies.
    ///
    /// # Errors
    /// As [`SigningKey::derive_v4a`].
    #[cfg(feature = "sigv4a")]
    pub fn v4a(
        credentials: &'a Credentials,
        region_set: &str,
        service: &str,
        time: Timestamp,
    ) -> Result<Self, Error> {
        Self::with_key(credentials, SigningKey::derive_v4a(credentials, time, region_set, service)?, time)
    }

    /// Takes a key that was derived before from these credentials, on the day of `time`.
    ///
    /// # Errors
    /// [`ErrorKind::ApiMisuse`] if the key is of another day or of another access key id.
    pub fn with_key(credentials: &'a Credentials, key: SigningKey, time: Timestamp) -> Result<Self, Error> {
        let now = time.amz_date();
        if key.access_key_id() != credentials.access_key_id()
            || !key.scope().as_bytes().starts_with(&now[..8])
        {
            let message = format!("the signing key is for {}, not for a request of {time}", key.credential());
            return Err(Error::new(ErrorKind::ApiMisuse, message));
        }
        Ok(Self { credentials, key, time, now, options: SigningOptions::S3 })
    }

    /// Departs from the way of S3.
    pub fn with_options(mut self, options: SigningOptions) -> Self {
        self.options = options;
        self
    }

    /// The header that holds the session token.
    fn token_header(&self) -> &'static HeaderName {
        if self.options.express_session { &X_AMZ_S3SESSION_TOKEN } else { &X_AMZ_SECURITY_TOKEN }
    }

    /// The parameter of a presigned URL that holds the session token.
    fn token_parameter(&self) -> &'static str {
        if self.options.express_session { "X-Amz-S3session-Token" } else { "X-Amz-Security-Token" }
    }

    /// The key that will sign.
    pub fn key(&self) -> &SigningKey {
        &self.key
    }

    /// The time that is signed.
    pub fn time(&self) -> Timestamp {
        self.time
    }
}

/// In what services differ.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct SigningOptions {
    /// Sign the path without its `.` and `..` segments and repeated slashes. Never for S3, whose keys may
    /// have them.
    pub normalize_path: bool,
    /// Percent-encode the path, which is encoded already, once more. For every service but S3.
    pub double_encode_path: bool,
    /// Send the payload's hash in `x-amz-content-sha256`, as S3 demands ([`sign_headers`] only).
    pub content_sha256_header: bool,
    /// Add the session token after signing, as few services want it.
    pub omit_session_token: bool,
    /// The session token is that of a session with a directory bucket (S3 Express): it travels in
    /// `x-amz-s3session-token`, and not in `x-amz-security-token`.
    pub express_session: bool,
}

impl SigningOptions {
    /// The way of S3.
    pub const S3: Self = Self {
        normalize_path: false,
        double_encode_path: false,
        content_sha256_header: true,
        omit_session_token: false,
        express_session: false,
    };

    /// The way of S3 within a session with a directory bucket.
    pub const S3_EXPRESS: Self = Self { express_session: true, ..Self::S3 };

    /// The way of all other services, such as STS.
    pub const OTHER_SERVICES: Self = Self {
        normalize_path: true,
        double_encode_path: true,
        content_sha256_header: false,
        omit_session_token: false,
        express_session: false,
    };
}

impl Default for SigningOptions {
    fn default() -> Self {
        Self::S3
    }
}

/// What is signed of the body: the value of `x-amz-content-sha256`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum PayloadHash {
    /// The SHA-256 digest of the whole body.
    Sha256([u8; 32]),
    /// `UNSIGNED-PAYLOAD`: nothing. TLS and a checksum protect the body then.
    Unsigned,
    /// `STREAMING-AWS4-HMAC-SHA256-PAYLOAD`: each chunk has a signature.
    StreamingSigned,
    /// `STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER`: so have the trailers.
    StreamingSignedTrailer,
    /// `STREAMING-UNSIGNED-PAYLOAD-TRAILER`: chunks without signatures, then trailers.
    StreamingUnsignedTrailer,
}

impl PayloadHash {
    /// SHA-256 of no bytes.
    pub const EMPTY: Self = Self::Sha256([
        0xe3, 0xb0, 0xc4, 0x42, 0x98, 0xfc, 0x1c, 0x14, 0x9a, 0xfb, 0xf4, 0xc8, 0x99, 0x6f, 0xb9, 0x24, 0x27,
        0xae, 0x41, 0xe4, 0x64, 0x9b, 0x93, 0x4c, 0xa4, 0x95, 0x99, 0x1b, 0x78, 0x52, 0xb8, 0x55,
    ]);

    /// SHA-256 of these bytes.
    pub fn of(body: &[u8]) -> Self {
        if body.is_empty() { Self::EMPTY } else { Self::Sha256(Sha256::digest(body).into()) }
    }
}

/// [`PayloadHash::EMPTY`] as it is written.
const EMPTY_SHA256: &str = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

static EMPTY: HeaderValue = HeaderValue::from_static(EMPTY_SHA256);
static UNSIGNED: HeaderValue = HeaderValue::from_static("UNSIGNED-PAYLOAD");
static STREAMING_SIGNED: HeaderValue = HeaderValue::from_static("STREAMING-AWS4-HMAC-SHA256-PAYLOAD");
static STREAMING_SIGNED_TRAILER: HeaderValue =
    HeaderValue::from_static("STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER");
static STREAMING_UNSIGNED_TRAILER: HeaderValue =
    HeaderValue::from_static("STREAMING-UNSIGNED-PAYLOAD-TRAILER");

/// A payload hash as it is written; a request without a body needs no memory for it.
enum PayloadText {
    Static(&'static HeaderValue),
    Hex([u8; 64]),
}

impl PayloadText {
    fn new(hash: &PayloadHash) -> Self {
        Self::Static(match *hash {
            PayloadHash::EMPTY => &EMPTY,
            PayloadHash::Sha256(digest) => return Self::Hex(hex_digest(&digest)),
            PayloadHash::Unsigned => &UNSIGNED,
            PayloadHash::StreamingSigned => &STREAMING_SIGNED,
            PayloadHash::StreamingSignedTrailer => &STREAMING_SIGNED_TRAILER,
            PayloadHash::StreamingUnsignedTrailer => &STREAMING_UNSIGNED_TRAILER,
        })
    }

    fn as_bytes(&self) -> &[u8] {
        match self {
            Self::Static(text) => text.as_bytes(),
            Self::Hex(text) => text,
        }
    }
}

/// A signature: 64 lower-case hexadecimal digits, or up to 144 of one of Version 4a. `Debug` does not show it,
/// since whoever has it can send the request again for some minutes.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Signature {
    digits: [u8; Self::MAX_DIGITS],
    len: usize,
}

impl Signature {
    /// Those of 72 bytes, the longest signature of P-256 in DER.
    const MAX_DIGITS: usize = if cfg!(feature = "sigv4a") { 144 } else { 64 };

    /// Of as many bytes as have room.
    fn from_bytes(bytes: &[u8]) -> Self {
        let mut digits = [0; Self::MAX_DIGITS];
        for (pair, byte) in digits.as_chunks_mut::<2>().0.iter_mut().zip(bytes) {
            *pair = hex_pair(*byte);
        }
        Self { digits, len: (2 * bytes.len()).min(Self::MAX_DIGITS) }
    }

    fn as_bytes(&self) -> &[u8] {
        self.digits.get(..self.len).unwrap_or_default()
    }

    /// Reads the 64 digits, as of a request that was signed elsewhere and whose chunks are signed here.
    pub fn parse(text: &str) -> Option<Self> {
        let is_digit = |d: &u8| matches!(d, b'0'..=b'9' | b'a'..=b'f');
        if text.len() != 64 || !text.as_bytes().iter().all(is_digit) {
            return None;
        }
        let mut digits = [0; Self::MAX_DIGITS];
        digits[..64].copy_from_slice(text.as_bytes());
        Some(Self { digits, len: 64 })
    }

    /// The digits.
    pub fn as_str(&self) -> &str {
        std::str::from_utf8(self.as_bytes()).unwrap_or_default()
    }
}

impl fmt::Debug for Signature {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Signature(**)")
    }
}

/// What was signed, to be compared with what the service says in `SignatureDoesNotMatch` that it got.
///
/// Both texts may hold a session token, so `Debug` shows neither; reading the fields is up to you.
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Explanation {
    /// Method, path, query, headers, their names, and the payload's hash. Header bytes that are no UTF-8
    /// are replaced.
    pub canonical_request: String,
    /// Algorithm, time, scope, and the canonical request's hash.
    pub string_to_sign: String,
    /// The signature that follows from them.
    pub signature: Signature,
}

impl fmt::Debug for Explanation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Explanation")
            .field("canonical_request", &format_args!("{} bytes", self.canonical_request.len()))
            .field("signature", &self.signature)
            .finish_non_exhaustive()
    }
}

/// The head of a request: what signing reads and writes.
///
/// Implemented for [`http::Request`] and [`http::request::Parts`], and for nothing else.
pub trait RequestHead: sealed::Sealed {
    /// The method.
    fn method(&self) -> &Method;
    /// The URI, percent-encoded as it goes on the wire.
    fn uri(&self) -> &Uri;
    /// The headers.
    fn headers(&self) -> &HeaderMap;
    /// The headers, to add to.
    fn headers_mut(&mut self) -> &mut HeaderMap;
}

mod sealed {
    pub trait Sealed {}
    impl<B> Sealed for http::Request<B> {}
    impl Sealed for http::request::Parts {}
}

impl<B> RequestHead for Request<B> {
    fn method(&self) -> &Method {
        self.method()
    }
    fn uri(&self) -> &Uri {
        self.uri()
    }
    fn headers(&self) -> &HeaderMap {
        self.headers()
    }
    fn headers_mut(&mut self) -> &mut HeaderMap {
        self.headers_mut()
    }
}

impl RequestHead for request::Parts {
    fn method(&self) -> &Method {
        &self.method
    }
    fn uri(&self) -> &Uri {
        &self.uri
    }
    fn headers(&self) -> &HeaderMap {
        &self.headers
    }
    fn headers_mut(&mut self) -> &mut HeaderMap {
        &mut self.headers
    }
}
