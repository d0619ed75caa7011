//! Signing in the `authorization` header.

use bytes::Bytes;
use http::header::{AUTHORIZATION, HeaderMap, HeaderValue};

use super::canonical::{Canonical, canonical_components};
use super::{
    Explanation, PayloadHash, PayloadText, RequestHead, Signature, SigningParams, X_AMZ_CONTENT_SHA256,
    X_AMZ_DATE, X_AMZ_REGION_SET, X_AMZ_S3SESSION_TOKEN, X_AMZ_SECURITY_TOKEN,
};
use crate::Error;
use crate::secret::Secret;

/// Signs a request: sets `x-amz-date`, with Version 4a `x-amz-region-set`, `x-amz-security-token` (or the header of the options; removed for credentials without),
/// `x-amz-content-sha256` (unless the options say no) and `authorization`. A request that was signed before
/// is signed anew.
///
/// All its other headers are signed but those that change on the way (`user-agent`, `expect`,
/// `accept-encoding`, `connection` and the like), so nothing may be added or changed later except those.
/// The host is that of the `host` header or else of the URI, which must be what goes on the wire. For S3,
/// percent-encode the path with [`uri_encode_path`](crate::encode::uri_encode_path).
///
/// # Errors
/// [`ErrorKind::InvalidInput`](crate::ErrorKind::InvalidInput) for a request without a host, or a session
/// token that cannot stand in a header.
pub fn sign_headers(
    request: &mut impl RequestHead,
    payload: &PayloadHash,
    params: &SigningParams<'_>,
) -> Result<Signature, Error> {
    let payload = PayloadText::new(payload);
    prepare(request.headers_mut(), &payload, params)?;

    let query = canonical_components(request.uri().query().unwrap_or_default());
    let mut canonical = Canonical::new(request, request.headers(), &payload, params.options)?;
    canonical.set_query(&query);
    let signature = params.key.sign_digests(params.key.algorithm(), &params.now, &[&canonical.digest()]);
    let authorization = authorization(&canonical, params, &signature)?;

    let headers = request.headers_mut();
    headers.insert(AUTHORIZATION, authorization);
    if let Some(token) = params.credentials.session_token().filter(|_| params.options.omit_session_token) {
        headers.insert(params.token_header(), token_value(token)?);
    }
    Ok(signature)
}

/// What [`sign_headers`] would sign; the request is left as it is.
///
/// # Errors
/// As [`sign_headers`].
pub fn explain_headers(
    request: &impl RequestHead,
    payload: &PayloadHash,
    params: &SigningParams<'_>,
) -> Result<Explanation, Error> {
    let payload = PayloadText::new(payload);
    let mut headers = request.headers().clone();
    prepare(&mut headers, &payload, params)?;
    let query = canonical_components(request.uri().query().unwrap_or_default());
    let mut canonical = Canonical::new(request, &headers, &payload, params.options)?;
    canonical.set_query(&query);
    Ok(explain(&canonical, params))
}

pub(super) fn explain(canonical: &Canonical<'_>, params: &SigningParams<'_>) -> Explanation {
    let digest = canonical.digest();
    Explanation {
        canonical_request: String::from_utf8_lossy(&canonical.text()).into_owned(),
        string_to_sign: params.key.string_to_sign(&params.now, &digest),
        signature: params.key.sign_digests(params.key.algorithm(), &params.now, &[&digest]),
    }
}

/// Sets the headers that are signed.
fn prepare(headers: &mut HeaderMap, payload: &PayloadText, params: &SigningParams<'_>) -> Result<(), Error> {
    let unusable = |_| Error::invalid_input("the request cannot be signed");
    headers.insert(&X_AMZ_DATE, HeaderValue::from_bytes(&params.now).map_err(unusable)?);
    headers.remove(&X_AMZ_SECURITY_TOKEN);
    headers.remove(&X_AMZ_S3SESSION_TOKEN);
    if let Some(token) = params.credentials.session_token().filter(|_| !params.options.omit_session_token) {
        headers.insert(params.token_header(), token_value(token)?);
    }
    match params.key.region_set() {
        Some(regions) => {
            headers.insert(&X_AMZ_REGION_SET, HeaderValue::from_str(regions).map_err(unusable)?);
        }
        None => drop(headers.remove(&X_AMZ_REGION_SET)),
    }
    if params.options.content_sha256_header {
        add_payload_text(headers, payload)?;
    }
    Ok(())
}

/// Says what the payload is, also where nothing is signed.
pub(crate) fn add_payload_hash(headers: &mut HeaderMap, payload: &PayloadHash) -> Result<(), Error> {
    add_payload_text(headers, &PayloadText::new(payload))
}

fn add_payload_text(headers: &mut HeaderMap, payload: &PayloadText) -> Result<(), Error> {
    let value = match payload {
        PayloadText::Static(text) => (*text).clone(),
        PayloadText::Hex(text) => {
            HeaderValue::from_bytes(text).map_err(|_| Error::invalid_input("the request cannot be signed"))?
        }
    };
    headers.insert(&X_AMZ_CONTENT_SHA256, value);
    Ok(())
}

fn token_value(token: &Secret<String>) -> Result<HeaderValue, Error> {
    let mut value = HeaderValue::from_str(token.expose()).map_err(|_| {
        Error::invalid_input("the session token has a character that cannot stand in a header")
    })?;
    value.set_sensitive(true);
    Ok(value)
}

fn authorization(
    canonical: &Canonical<'_>,
    params: &SigningParams<'_>,
    signature: &Signature,
) -> Result<HeaderValue, Error> {
    let write = |put: &mut dyn FnMut(&[u8])| {
        put(params.key.algorithm().as_bytes());
        put(b" Credential=");
        put(params.key.credential().as_bytes());
        put(b", SignedHeaders=");
        canonical.write_names(b";", &mut |piece| put(piece));
        put(b", Signature=");
        put(signature.as_bytes());
    };
    // Of exactly its length, for `Bytes` takes a second allocation otherwise.
    let mut len = 0;
    write(&mut |piece| len += piece.len());
    let mut text = Vec::with_capacity(len);
    write(&mut |piece| text.extend_from_slice(piece));
    let mut value = HeaderValue::from_maybe_shared(Bytes::from(text))
        .map_err(|_| Error::invalid_input("the request cannot be signed"))?;
    value.set_sensitive(true);
    Ok(value)
}
