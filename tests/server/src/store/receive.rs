//! Takes the body of an upload and holds it against what the request says of it.

use futures_util::StreamExt as _;
use http::{Extensions, HeaderMap, StatusCode};
use md5::Digest as _;
use s3s::dto::StreamingBlob;
use s3s::{S3Error, S3ErrorCode, S3Result, StdError, TrailingHeaders, s3_error};

use super::model::Encryption;
use super::{Store, custom, invalid_request, io_error};
use crate::blob::{Blob, Sink};
use crate::checksum::{Algorithm, Checksum, Hasher, Kind, base64, from_base64, hex, md5};
use crate::chunked::LastChunk;

/// What the request says of its body.
pub(super) struct Claims {
    length: Option<u64>,
    md5: Option<Vec<u8>>,
    /// The algorithm, and the value unless a trailer brings it.
    checksum: Option<(Algorithm, Option<String>)>,
    last_chunk: Option<LastChunk>,
}

impl Claims {
    pub(super) fn new(
        headers: &HeaderMap,
        extensions: &Extensions,
        content_md5: Option<&str>,
        checksums: Vec<(Algorithm, String)>,
    ) -> S3Result<Self> {
        let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
        let length = text("x-amz-decoded-content-length").or_else(|| text("content-length"));
        let trailer = text("x-amz-trailer").and_then(Algorithm::from_header);
        let mut all =
            checksums.into_iter().map(|(algorithm, value)| (algorithm, Some(value))).collect::<Vec<_>>();
        all.extend(trailer.map(|algorithm| (algorithm, None)));
        if all.len() > 1 {
            return Err(invalid_request(
                "Expecting a single x-amz-checksum- header. Multiple checksum Types are not allowed.",
            ));
        }
        if let Some((algorithm, Some(value))) = all.first() {
            check_form(*algorithm, value)?;
        }
        if all.is_empty() && text("x-amz-sdk-checksum-algorithm").is_some() {
            return Err(invalid_request(
                "x-amz-sdk-checksum-algorithm specified, but no corresponding x-amz-checksum-* or x-amz-trailer headers were found.",
            ));
        }
        Ok(Self {
            length: length.and_then(|n| n.parse().ok()),
            md5: content_md5.map(decode_md5).transpose()?,
            checksum: all.pop(),
            last_chunk: extensions.get::<LastChunk>().cloned(),
        })
    }

    /// Then the length is that of the whole form.
    pub(super) fn of_a_form(&mut self) {
        self.length = None;
    }

    pub(super) fn algorithm(&self) -> Option<Algorithm> {
        self.checksum.as_ref().map(|(algorithm, _)| *algorithm)
    }
}

/// A value that cannot be one of the algorithm.
fn check_form(algorithm: Algorithm, value: &str) -> S3Result<()> {
    if from_base64(value).is_some_and(|digest| digest.len() == algorithm.digest_len()) {
        return Ok(());
    }
    Err(invalid_request(format!("Value for {} header is invalid.", algorithm.header())))
}

fn decode_md5(value: &str) -> S3Result<Vec<u8>> {
    let digest = from_base64(value).filter(|digest| digest.len() == 16);
    digest.ok_or_else(|| s3_error!(InvalidDigest))
}

pub(super) fn bad_digest(algorithm: Algorithm) -> S3Error {
    let message = format!("The {} you specified did not match the calculated checksum.", algorithm.name());
    S3Error::with_message(S3ErrorCode::BadDigest, message)
}

/// Checks `Content-MD5` and `x-amz-checksum-*` of a body that is here as a whole. Gives whether there was any.
pub(crate) fn check_whole(headers: &HeaderMap, body: &[u8]) -> S3Result<bool> {
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    let mut any = false;
    if let Some(value) = text("content-md5") {
        any = true;
        if decode_md5(value)? != md5(body) {
            return Err(s3_error!(
                BadDigest,
                "The Content-MD5 you specified did not match what we received."
            ));
        }
    }
    for algorithm in Algorithm::all() {
        if let Some(value) = text(algorithm.header()) {
            any = true;
            check_form(algorithm, value)?;
            if base64(&algorithm.digest(body)) != value {
                return Err(bad_digest(algorithm));
            }
        }
    }
    Ok(any)
}

/// A body that came in whole and is what the request said.
pub(super) struct Received {
    pub(super) blob: Blob,
    pub(super) md5: [u8; 16],
    pub(super) algorithm: Algorithm,
    pub(super) digest: Vec<u8>,
}

impl Received {
    /// For the object that this body alone makes.
    pub(super) fn checksum(&self) -> Checksum {
        Checksum { algorithm: self.algorithm, value: base64(&self.digest), kind: Kind::FullObject }
    }

    pub(super) fn etag(&self, encryption: &Encryption) -> String {
        etag(&self.md5, encryption)
    }
}

/// The MD5 in hex; but not of objects that are encrypted with KMS or customer keys ("Common response headers", ETag).
pub(super) fn etag(digest: &[u8; 16], encryption: &Encryption) -> String {
    match encryption {
        Encryption::S3 => hex(digest),
        Encryption::Kms { .. } => hex(&md5(&[b"kms", digest.as_slice()].concat())),
        Encryption::Customer { key_md5 } => hex(&md5(&[key_md5.as_bytes(), digest].concat())),
    }
}

impl Store {
    /// Reads the body to its end. `algorithm` is computed when the request brings no checksum.
    pub(super) async fn receive(
        &self,
        body: Option<StreamingBlob>,
        trailers: Option<TrailingHeaders>,
        claims: Claims,
        algorithm: Algorithm,
    ) -> S3Result<Received> {
        let max = self.inner.config.max_put_size;
        if claims.length.is_some_and(|length| length > max) {
            return Err(too_large());
        }
        let algorithm = claims.algorithm().unwrap_or(algorithm);
        let (mut md5, mut hasher) = (md5::Md5::new(), Hasher::new(algorithm));
        let mut sink = Sink::new(self.inner.config.spill_over);
        if let Some(mut body) = body {
            while let Some(chunk) = body.next().await {
                let chunk = chunk.map_err(|error| body_error(&error))?;
                md5.update(&chunk);
                hasher.update(&chunk);
                sink.write(&chunk).map_err(io_error)?;
                if sink.len() > max {
                    return Err(too_large());
                }
            }
        }
        let torn = claims.last_chunk.is_some_and(|last| !last.seen());
        if torn || claims.length.is_some_and(|length| length != sink.len()) {
            return Err(s3_error!(IncompleteBody));
        }
        let (md5, digest) = (<[u8; 16]>::from(md5.finalize()), hasher.finish());
        if claims.md5.as_ref().is_some_and(|claimed| *claimed != md5) {
            return Err(s3_error!(
                BadDigest,
                "The Content-MD5 you specified did not match what we received."
            ));
        }
        if let Some((algorithm, value)) = claims.checksum {
            let value = match value {
                Some(value) => value,
                None => trailer(trailers, algorithm)?,
            };
            if value != base64(&digest) {
                return Err(bad_digest(algorithm));
            }
        }
        Ok(Received { blob: sink.finish().map_err(io_error)?, md5, algorithm, digest })
    }

    /// Digests what is already here, for a copy.
    pub(super) fn digest(blob: Blob, algorithm: Algorithm) -> S3Result<Received> {
        let (mut md5, mut hasher) = (md5::Md5::new(), Hasher::new(algorithm));
        for chunk in blob.chunks() {
            let chunk = chunk.map_err(io_error)?;
            md5.update(&chunk);
            hasher.update(&chunk);
        }
        Ok(Received { blob, md5: md5.finalize().into(), algorithm, digest: hasher.finish() })
    }
}

fn too_large() -> S3Error {
    s3_error!(EntityTooLarge, "Your proposed upload exceeds the maximum allowed size")
}

/// The checksum that was announced in `x-amz-trailer`.
fn trailer(trailers: Option<TrailingHeaders>, algorithm: Algorithm) -> S3Result<String> {
    let trailers = trailers.and_then(|trailers| trailers.take()).unwrap_or_default();
    let value = trailers.get(algorithm.header()).and_then(|value| value.to_str().ok());
    let value = value.ok_or_else(|| {
        custom("MalformedTrailerError", StatusCode::BAD_REQUEST, "The request contained trailing data that was not well-formed or did not conform to our published schema.")
    })?;
    check_form(algorithm, value)?;
    Ok(value.to_owned())
}

/// The protocol front gives these errors as text only: its types are private.
fn body_error(error: &StdError) -> S3Error {
    let text = error.to_string();
    if text.contains("Sha256Mismatch") {
        return sha256_mismatch();
    }
    if text.contains("SignatureMismatch") {
        return s3_error!(SignatureDoesNotMatch);
    }
    if text.contains("FormatError") || text.contains("TooLarge") {
        return invalid_request("The chunked body is not well-formed");
    }
    // Also a connection that broke: nobody reads this answer then.
    s3_error!(IncompleteBody)
}

pub(crate) fn sha256_mismatch() -> S3Error {
    let message = "The provided 'x-amz-content-sha256' header does not match what was computed.";
    custom("XAmzContentSHA256Mismatch", StatusCode::BAD_REQUEST, message)
}
