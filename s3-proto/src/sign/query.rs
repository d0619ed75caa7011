//! Signing in the query: URLs that work for whoever has them.

use std::fmt;
use std::time::Duration;

use bytes::Bytes;
use http::Method;
use http::header::{AUTHORIZATION, HOST, HeaderMap};
use http::uri::{PathAndQuery, Uri};

use super::canonical::{Canonical, canonical_components};
use super::header::explain;
use super::{
    Explanation, PayloadHash, PayloadText, RequestHead, Signature, SigningParams, X_AMZ_DATE,
    X_AMZ_REGION_SET, X_AMZ_S3SESSION_TOKEN, X_AMZ_SECURITY_TOKEN,
};
use crate::Error;
use crate::encode::uri_encode_into;
use crate::redact::{redact_headers, redact_uri};
use crate::timestamp::Timestamp;

/// A presigned request: whoever has the URL can send it until it expires. `Debug` redacts it.
#[derive(Clone)]
#[non_exhaustive]
pub struct Presigned {
    /// The method that it was signed for, such as `PUT`.
    pub method: Method,
    /// The URL, complete.
    pub uri: Uri,
    /// The headers that were signed and must be sent with exactly these values; `host` is not among them,
    /// since it follows from the URL.
    pub headers: HeaderMap,
    /// The document that must be sent with it, such as the list of a DeleteObjects; empty for operations without
    /// one, and for uploads, whose data is up to whoever uses the URL.
    pub body: Bytes,
    /// When it stops working: after what was asked for, or sooner if the credentials expire first.
    pub expires_at: Timestamp,
    /// From the time of signing until then. Less than what was asked for is worth a warning.
    pub expires_in: Duration,
    /// The signature in the URL.
    pub signature: Signature,
}

impl fmt::Debug for Presigned {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Presigned")
            .field("method", &self.method)
            .field("uri", &format_args!("{}", redact_uri(&self.uri)))
            .field("headers", &redact_headers(&self.headers))
            .field("expires_at", &self.expires_at)
            .finish_non_exhaustive()
    }
}

/// The longest that a presigned URL can work, in seconds: seven days ("Authenticating Requests: Using Query
/// Parameters", `X-Amz-Expires`).
const MAX_EXPIRES: u64 = 604_800;

/// Makes a URL of a request that is signed and works for `expires`, in whole seconds from one to 604,800
/// (seven days); parts of a second are dropped.
///
/// The headers that the request has are signed, so whoever uses the URL must send them:
/// [`Presigned::headers`]. The payload is usually [`PayloadHash::Unsigned`], since it is not known yet.
///
/// ```
/// use std::time::Duration;
/// use s3_proto::sign::{self, PayloadHash, SigningParams};
/// use s3_proto::{Credentials, Timestamp};
///
/// let credentials = Credentials::new("AKIAIOSFODNN7EXAMPLE", "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY")?;
/// let time = Timestamp::parse("Fri, 24 May 2013 00:00:00 GMT").unwrap();
/// let params = SigningParams::new(&credentials, "us-east-1", "s3", time)?;
///
/// let request = http::Request::get("https://examplebucket.s3.amazonaws.com/test.txt").body(()).unwrap();
/// let day = Duration::from_secs(86_400);
/// let presigned = sign::presign(&request, &PayloadHash::Unsigned, day, &params)?;
/// assert!(presigned.uri.query().unwrap().ends_with(
///     "X-Amz-Signature=aeeed9bbccd4d02ee5c0109b86d86835f995330da4c265957d157751f604d404"
/// ));
/// assert_eq!(presigned.expires_in, day);
/// # Ok::<(), s3_proto::Error>(())
/// ```
///
/// # Errors
/// [`ErrorKind::InvalidInput`](crate::ErrorKind::InvalidInput) for a time out of these limits, credentials
/// that have expired, a request without a host, and a URL that is signed already.
pub fn presign(
    request: &impl RequestHead,
    payload: &PayloadHash,
    expires: Duration,
    params: &SigningParams<'_>,
) -> Result<Presigned, Error> {
    let expires = checked_expiry(expires)?;
    let expires_at = params.time.saturating_add(expires);
    let expires_at = params.credentials.expires_at().map_or(expires_at, |at| at.min(expires_at));
    let expires_in = expires_at.since(params.time);
    if expires_in.is_zero() {
        let message = format!(
            "a URL signed at {} would not work: the credentials expired at {expires_at}",
            params.time
        );
        return Err(Error::invalid_input(message));
    }

    let draft = Draft::new(request, expires, params)?;
    let payload = PayloadText::new(payload);
    let query = canonical_components(&draft.query);
    let canonical = Canonical::new(request, &draft.headers, &query, &payload, params.options)?;
    let signature = params.key.sign_digests(params.key.algorithm(), &params.now, &[&canonical.digest()]);

    let mut query = draft.query.clone();
    if let Some(token) = params.credentials.session_token().filter(|_| params.options.omit_session_token) {
        push_parameter(&mut query, params.token_parameter(), token.expose());
    }
    push_parameter(&mut query, "X-Amz-Signature", signature.as_str());
    let uri = with_query(request.uri(), &query)?;
    let mut headers = draft.headers;
    headers.remove(HOST);
    let method = request.method().clone();
    Ok(Presigned { method, uri, headers, body: Bytes::new(), expires_at, expires_in, signature })
}

/// What [`presign`] would sign.
///
/// # Errors
/// As [`presign`].
pub fn explain_presigned(
    request: &impl RequestHead,
    payload: &PayloadHash,
    expires: Duration,
    params: &SigningParams<'_>,
) -> Result<Explanation, Error> {
    let draft = Draft::new(request, checked_expiry(expires)?, params)?;
    let payload = PayloadText::new(payload);
    let query = canonical_components(&draft.query);
    let canonical = Canonical::new(request, &draft.headers, &query, &payload, params.options)?;
    Ok(explain(&canonical, params))
}

fn checked_expiry(expires: Duration) -> Result<Duration, Error> {
    match expires.as_secs() {
        seconds @ 1..=MAX_EXPIRES => Ok(Duration::from_secs(seconds)),
        0 => Err(Error::invalid_input("a presigned URL must work for at least one second")),
        seconds => Err(Error::invalid_input(format!(
            "a presigned URL can work for at most {MAX_EXPIRES} seconds (7 days), not for {seconds}"
        ))),
    }
}

/// The request with all that is signed in it.
struct Draft {
    query: String,
    headers: HeaderMap,
}

impl Draft {
    fn new(request: &impl RequestHead, expires: Duration, params: &SigningParams<'_>) -> Result<Self, Error> {
        let given = request.uri().query().unwrap_or_default();
        if given.split('&').any(|pair| pair.starts_with("X-Amz-Signature=")) {
            return Err(Error::invalid_input("the URL to presign is signed already"));
        }
        let mut headers = HeaderMap::with_capacity(request.headers().len());
        for (name, value) in request.headers() {
            // What a signature in headers left behind would contradict the one in the query.
            let signing = [
                &X_AMZ_DATE,
                &X_AMZ_SECURITY_TOKEN,
                &X_AMZ_S3SESSION_TOKEN,
                &X_AMZ_REGION_SET,
                &AUTHORIZATION,
            ];
            if !signing.contains(&name) {
                headers.append(name, value.clone());
            }
        }
        let mut names = String::new();
        {
            // Only the names matter here, which neither query nor payload changes.
            let payload = PayloadText::new(&PayloadHash::Unsigned);
            let canonical = Canonical::new(request, &headers, "", &payload, params.options)?;
            let mut put = |piece: &[u8]| names.extend(piece.iter().copied().map(char::from));
            canonical.write_names(b";", &mut put);
        }
        let mut query = String::with_capacity(given.len() + 512);
        query.push_str(given);
        push_parameter(&mut query, "X-Amz-Algorithm", params.key.algorithm());
        push_parameter(&mut query, "X-Amz-Credential", params.key.credential());
        push_parameter(&mut query, "X-Amz-Date", &String::from_utf8_lossy(&params.now));
        push_parameter(&mut query, "X-Amz-Expires", &expires.as_secs().to_string());
        push_parameter(&mut query, "X-Amz-SignedHeaders", &names);
        if let Some(regions) = params.key.region_set() {
            push_parameter(&mut query, "X-Amz-Region-Set", regions);
        }
        if let Some(token) = params.credentials.session_token().filter(|_| !params.options.omit_session_token)
        {
            push_parameter(&mut query, params.token_parameter(), token.expose());
        }
        Ok(Self { query, headers })
    }
}

fn push_parameter(query: &mut String, name: &str, value: &str) {
    if !query.is_empty() {
        query.push('&');
    }
    query.push_str(name);
    query.push('=');
    uri_encode_into(value, query);
}

fn with_query(uri: &Uri, query: &str) -> Result<Uri, Error> {
    let unusable = || Error::invalid_input("the presigned URL is too long or malformed");
    let path = match uri.path() {
        "" => "/",
        path => path,
    };
    let target = [path, "?", query].concat();
    let mut parts = uri.clone().into_parts();
    parts.path_and_query = Some(PathAndQuery::try_from(target).map_err(|e| unusable().with_source(e))?);
    Uri::from_parts(parts).map_err(|e| unusable().with_source(e))
}
