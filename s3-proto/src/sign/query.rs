//! Signing in the query: URLs that work for whoever has them.

use std::borrow::Cow;
use std::fmt::{self, Write as _};
use std::time::Duration;

use bytes::Bytes;
use http::Method;
use http::header::{AUTHORIZATION, HOST, HeaderMap};
use http::uri::{PathAndQuery, Uri};
use percent_encoding::percent_encode;

use super::canonical::{Canonical, canonical_components};
use super::header::explain;
use super::{
    Explanation, PayloadHash, PayloadText, RequestHead, Signature, SigningParams, X_AMZ_DATE,
    X_AMZ_REGION_SET, X_AMZ_S3SESSION_TOKEN, X_AMZ_SECURITY_TOKEN,
};
use crate::Error;
use crate::encode::{RESERVED, uri_encode_into};
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

    let headers = without_signature(request.headers());
    let payload = PayloadText::new(payload);
    let mut canonical = Canonical::new(request, &headers, &payload, params.options)?;
    let mut target = Target::new(request, expires, &canonical, params)?;
    let query = target.canonical_query();
    canonical.set_query(&query);
    let signature = params.key.sign_digests(params.key.algorithm(), &params.now, &[&canonical.digest()]);

    if let Some(token) = params.credentials.session_token().filter(|_| params.options.omit_session_token) {
        target.push(params.token_parameter(), token.expose());
    }
    target.push("X-Amz-Signature", signature.as_str());
    let uri = target.into_uri(request.uri())?;
    let mut headers = headers;
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
    let headers = without_signature(request.headers());
    let payload = PayloadText::new(payload);
    let mut canonical = Canonical::new(request, &headers, &payload, params.options)?;
    let target = Target::new(request, checked_expiry(expires)?, &canonical, params)?;
    let query = target.canonical_query();
    canonical.set_query(&query);
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

/// What a signature in headers left behind would contradict the one in the query.
fn without_signature(given: &HeaderMap) -> HeaderMap {
    let signing =
        [&X_AMZ_DATE, &X_AMZ_SECURITY_TOKEN, &X_AMZ_S3SESSION_TOKEN, &X_AMZ_REGION_SET, &AUTHORIZATION];
    let kept = given.iter().filter(|(name, _)| !signing.contains(name));
    kept.map(|(name, value)| (name.clone(), value.clone())).collect()
}

/// Path and query with all that is signed in them, in the one piece of memory that the URL will have.
struct Target {
    text: String,
    /// Where the query starts, and in it what was added here.
    query_at: usize,
    added_at: usize,
}

impl Target {
    fn new(
        request: &impl RequestHead,
        expires: Duration,
        canonical: &Canonical<'_>,
        params: &SigningParams<'_>,
    ) -> Result<Self, Error> {
        let given = request.uri().query().unwrap_or_default();
        if given.split('&').any(|pair| pair.starts_with("X-Amz-Signature=")) {
            return Err(Error::invalid_input("the URL to presign is signed already"));
        }
        let path = match request.uri().path() {
            "" => "/",
            path => path,
        };
        let token = params.credentials.session_token().map_or(0, |token| 2 * token.expose().len());
        let mut text = String::with_capacity(path.len() + given.len() + token + 512);
        for part in [path, "?", given] {
            text.push_str(part);
        }
        let (query_at, added_at) = (path.len() + 1, text.len());
        let mut target = Self { text, query_at, added_at };
        target.push("X-Amz-Algorithm", params.key.algorithm());
        target.push("X-Amz-Credential", params.key.credential());
        target.push("X-Amz-Date", std::str::from_utf8(&params.now).unwrap_or_default());
        // Writing to a string cannot fail.
        let _ = write!(target.text, "&X-Amz-Expires={}&X-Amz-SignedHeaders=", expires.as_secs());
        canonical.write_names(b";", &mut |piece| target.text.extend(percent_encode(piece, RESERVED)));
        if let Some(regions) = params.key.region_set() {
            target.push("X-Amz-Region-Set", regions);
        }
        if let Some(token) = params.credentials.session_token().filter(|_| !params.options.omit_session_token)
        {
            target.push(params.token_parameter(), token.expose());
        }
        Ok(target)
    }

    fn push(&mut self, name: &str, value: &str) {
        if self.text.len() > self.query_at {
            self.text.push('&');
        }
        self.text.push_str(name);
        self.text.push('=');
        uri_encode_into(value, &mut self.text);
    }

    /// What was given is made canonical; what was added here is so already.
    fn canonical_query(&self) -> Cow<'_, str> {
        match canonical_components(&self.text[self.query_at..self.added_at]) {
            Cow::Borrowed(_) => Cow::Borrowed(&self.text[self.query_at..]),
            Cow::Owned(given) => Cow::Owned(given + &self.text[self.added_at..]),
        }
    }

    fn into_uri(self, base: &Uri) -> Result<Uri, Error> {
        let unusable = || Error::invalid_input("the presigned URL is too long or malformed");
        let mut parts = base.clone().into_parts();
        parts.path_and_query =
            Some(PathAndQuery::try_from(self.text).map_err(|e| unusable().with_source(e))?);
        Uri::from_parts(parts).map_err(|e| unusable().with_source(e))
    }
}
