//! Key pairs, and what is checked of a signed request besides its signature: clock, expiry, token, region.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{PoisonError, RwLock};
use std::time::{Duration, SystemTime};

use hmac::{Hmac, KeyInit as _, Mac as _};
use http::HeaderMap;
use http::request::Parts;
use percent_encoding::percent_decode_str;
use s3s::auth::{S3Auth, SecretKey};
use s3s::{S3Result, s3_error};
use sha2::{Digest as _, Sha256};
use time::format_description::FormatItem;
use time::macros::format_description;
use time::{OffsetDateTime, PrimitiveDateTime};

use crate::checksum::hex;
use crate::errors::Details;

/// A key pair that the server knows.
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Credentials {
    /// Access key id.
    pub access_key_id: String,
    /// Secret access key.
    pub secret_access_key: String,
    /// Of temporary credentials: must come with each request.
    pub session_token: Option<String>,
    /// From then on they are answered with `ExpiredToken`.
    pub expires: Option<SystemTime>,
}

impl Credentials {
    /// Credentials for good.
    pub fn new(access_key_id: impl Into<String>, secret_access_key: impl Into<String>) -> Self {
        Self {
            access_key_id: access_key_id.into(),
            secret_access_key: secret_access_key.into(),
            session_token: None,
            expires: None,
        }
    }

    /// Makes them temporary.
    #[must_use]
    pub fn session_token(mut self, token: impl Into<String>) -> Self {
        self.session_token = Some(token.into());
        self
    }

    /// Lets them expire.
    #[must_use]
    pub fn expires(mut self, at: SystemTime) -> Self {
        self.expires = Some(at);
        self
    }
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Credentials").field("access_key_id", &self.access_key_id).finish_non_exhaustive()
    }
}

/// The key pairs that are valid now.
#[derive(Debug, Default)]
pub(crate) struct Keys(RwLock<BTreeMap<String, Credentials>>);

impl Keys {
    pub(crate) fn set(&self, all: impl IntoIterator<Item = Credentials>) {
        let all = all.into_iter().map(|c| (c.access_key_id.clone(), c)).collect();
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = all;
    }

    fn get(&self, access_key_id: &str) -> Option<Credentials> {
        self.0.read().unwrap_or_else(PoisonError::into_inner).get(access_key_id).cloned()
    }
}

/// Gives s3s the secrets to check signatures with.
pub(crate) struct SharedKeys(pub(crate) std::sync::Arc<Keys>);

#[async_trait::async_trait]
impl S3Auth for SharedKeys {
    async fn get_secret_key(&self, access_key: &str) -> S3Result<SecretKey> {
        match self.0.get(access_key) {
            Some(credentials) => Ok(SecretKey::from(credentials.secret_access_key)),
            None => Err(s3_error!(InvalidAccessKeyId)),
        }
    }
}

/// An answer to a request that does not get as far as the store.
#[derive(Debug)]
pub(crate) struct Refusal {
    pub(crate) status: u16,
    pub(crate) code: &'static str,
    pub(crate) message: String,
    pub(crate) details: Details,
    /// Value of `x-amz-bucket-region`.
    pub(crate) bucket_region: Option<String>,
}

impl Refusal {
    pub(crate) fn new(status: u16, code: &'static str, message: impl Into<String>) -> Self {
        Self { status, code, message: message.into(), details: Details::default(), bucket_region: None }
    }

    pub(crate) fn with(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.details.fields.push((name, value.into()));
        self
    }
}

/// How a request says it is signed.
#[derive(Debug)]
pub(crate) struct Signed {
    access_key_id: String,
    pub(crate) region: String,
    scope: String,
    /// `SignedHeaders`
    header_names: String,
    signature: String,
    amz_date: String,
    time: OffsetDateTime,
    /// Of a presigned URL.
    pub(crate) lifetime: Option<Duration>,
}

const AMZ_DATE: &[FormatItem<'_>] = format_description!("[year][month][day]T[hour][minute][second]Z");
const ISO_DATE: &[FormatItem<'_>] = format_description!("[year]-[month]-[day]T[hour]:[minute]:[second]Z");

/// How far the clock of a client may be off ("Authenticating requests", RequestTimeTooSkewed).
const MAX_SKEW: Duration = Duration::from_mins(15);
/// Longest life of a presigned URL.
const MAX_LIFETIME: u64 = 604_800;

fn iso(time: OffsetDateTime) -> String {
    time.format(ISO_DATE).unwrap_or_default()
}

/// The decoded parameters of a query.
pub(crate) fn query(parts: &Parts) -> Vec<(String, String)> {
    let pairs = parts.uri.query().unwrap_or_default().split('&').filter(|pair| !pair.is_empty());
    let decode = |text: &str| percent_decode_str(&text.replace('+', " ")).decode_utf8_lossy().into_owned();
    pairs
        .map(|pair| pair.split_once('=').unwrap_or((pair, "")))
        .map(|(name, value)| (decode(name), decode(value)))
        .collect()
}

fn malformed(presigned: bool, message: impl Into<String>) -> Refusal {
    let code = if presigned { "AuthorizationQueryParametersError" } else { "AuthorizationHeaderMalformed" };
    Refusal::new(400, code, message)
}

impl Signed {
    /// `None` when the request is not signed.
    pub(crate) fn parse(parts: &Parts) -> Result<Option<Self>, Refusal> {
        let query = query(parts);
        let parameter = |name: &str| query.iter().find(|(n, _)| n == name).map(|(_, value)| value.as_str());
        if let Some(header) = parts.headers.get(http::header::AUTHORIZATION) {
            return Self::from_header(header.to_str().unwrap_or_default(), &parts.headers).map(Some);
        }
        if parameter("X-Amz-Signature").is_none() && parameter("X-Amz-Algorithm").is_none() {
            if parameter("Signature").is_some() {
                return Err(old_signature());
            }
            return Ok(None);
        }
        let need = |name: &str| {
            parameter(name).map(str::to_owned).ok_or_else(|| {
            malformed(true, "Query-string authentication version 4 requires the X-Amz-Algorithm, X-Amz-Credential, X-Amz-Signature, X-Amz-Date, X-Amz-SignedHeaders, and X-Amz-Expires parameters.")
        })
        };
        let lifetime = need("X-Amz-Expires")?;
        let lifetime: u64 =
            lifetime.parse().map_err(|_| malformed(true, "X-Amz-Expires should be a number"))?;
        if lifetime > MAX_LIFETIME {
            return Err(malformed(
                true,
                "X-Amz-Expires must be less than a week (in seconds); that is, the given X-Amz-Expires must be less than 604800 seconds",
            ));
        }
        let signed = Self::build(
            true,
            &need("X-Amz-Credential")?,
            need("X-Amz-SignedHeaders")?,
            need("X-Amz-Signature")?,
            need("X-Amz-Date")?,
        )?;
        Ok(Some(Self { lifetime: Some(Duration::from_secs(lifetime)), ..signed }))
    }

    fn from_header(value: &str, headers: &HeaderMap) -> Result<Self, Refusal> {
        let Some(fields) = value.strip_prefix("AWS4-HMAC-SHA256") else { return Err(old_signature()) };
        let field = |name: &str| {
            let mut fields = fields.split(',').filter_map(|field| field.trim().split_once('='));
            let value = fields.find(|(n, _)| *n == name).map(|(_, value)| value.to_owned());
            value.ok_or_else(|| {
                malformed(false, format!("The authorization header is malformed; {name} is missing."))
            })
        };
        let date = headers.get("x-amz-date").and_then(|date| date.to_str().ok()).unwrap_or_default();
        let (credential, signed, signature) =
            (field("Credential")?, field("SignedHeaders")?, field("Signature")?);
        Self::build(false, &credential, signed, signature, date.to_owned())
    }

    fn build(
        presigned: bool,
        credential: &str,
        header_names: String,
        signature: String,
        amz_date: String,
    ) -> Result<Self, Refusal> {
        let bad = || {
            malformed(
                presigned,
                "The Credential is mal-formed; expecting \"<YOUR-AKID>/YYYYMMDD/REGION/SERVICE/aws4_request\".",
            )
        };
        let mut fields = credential.rsplitn(5, '/');
        let (Some("aws4_request"), Some(service), Some(region), Some(date), Some(access_key_id)) =
            (fields.next(), fields.next(), fields.next(), fields.next(), fields.next())
        else {
            return Err(bad());
        };
        let time = PrimitiveDateTime::parse(&amz_date, AMZ_DATE).map_err(|_| {
            Refusal::new(403, "AccessDenied", "AWS authentication requires a valid Date or x-amz-date header")
        })?;
        Ok(Self {
            access_key_id: access_key_id.to_owned(),
            region: region.to_owned(),
            scope: format!("{date}/{region}/{service}/aws4_request"),
            header_names,
            signature,
            amz_date,
            time: time.assume_utc(),
            lifetime: None,
        })
    }

    /// Clock and expiry against the server's clock.
    pub(crate) fn check_time(&self, now: SystemTime) -> Result<(), Refusal> {
        let now = OffsetDateTime::from(now);
        let Some(lifetime) = self.lifetime else {
            if (now - self.time).unsigned_abs() <= MAX_SKEW {
                return Ok(());
            }
            let message = "The difference between the request time and the current time is too large.";
            return Err(Refusal::new(403, "RequestTimeTooSkewed", message)
                .with("RequestTime", self.amz_date.clone())
                .with("ServerTime", iso(now))
                .with("MaxAllowedSkewMilliseconds", MAX_SKEW.as_millis().to_string()));
        };
        if self.time - now > MAX_SKEW {
            return Err(
                Refusal::new(403, "AccessDenied", "Request is not valid yet").with("ServerTime", iso(now))
            );
        }
        if now > self.time + lifetime {
            return Err(Refusal::new(403, "AccessDenied", "Request has expired")
                .with("X-Amz-Expires", lifetime.as_secs().to_string())
                .with("Expires", iso(self.time + lifetime))
                .with("ServerTime", iso(now)));
        }
        Ok(())
    }

    /// The key pair, and its session token.
    pub(crate) fn check_key(
        &self,
        keys: &Keys,
        parts: &Parts,
        now: SystemTime,
    ) -> Result<Credentials, Refusal> {
        let unknown = || {
            let message = crate::errors::message("InvalidAccessKeyId");
            Refusal::new(403, "InvalidAccessKeyId", message)
                .with("AWSAccessKeyId", self.access_key_id.clone())
        };
        let credentials = keys.get(&self.access_key_id).ok_or_else(unknown)?;
        let header =
            parts.headers.get("x-amz-security-token").and_then(|t| t.to_str().ok()).map(str::to_owned);
        let token = header.or_else(|| {
            query(parts).into_iter().find(|(name, _)| name == "X-Amz-Security-Token").map(|(_, token)| token)
        });
        match (&credentials.session_token, token) {
            (None, None) => {}
            // Half of a temporary pair is no pair.
            (Some(_), None) => return Err(unknown()),
            (Some(expected), Some(token)) if *expected == token => {}
            (_, Some(token)) => {
                let message = "The provided token is malformed or otherwise invalid.";
                return Err(Refusal::new(400, "InvalidToken", message).with("Token-0", token));
            }
        }
        if credentials.expires.is_some_and(|expires| now >= expires) {
            return Err(Refusal::new(400, "ExpiredToken", "The provided token has expired."));
        }
        Ok(credentials)
    }

    /// Whether s3s, which only knows the system's clock, would call this presigned URL expired.
    pub(crate) fn expired_for_s3s(&self) -> bool {
        self.lifetime.is_some_and(|lifetime| OffsetDateTime::now_utc() >= self.time + lifetime)
    }

    /// Checks the signature of a presigned URL, for clocks other than the system's.
    pub(crate) fn check_presigned(&self, parts: &Parts, secret: &str) -> Result<(), Refusal> {
        let mut pairs: Vec<String> = query(parts)
            .iter()
            .filter(|(name, _)| name != "X-Amz-Signature")
            .map(|(name, value)| format!("{}={}", encode(name, false), encode(value, false)))
            .collect();
        pairs.sort();
        let mut headers = String::new();
        for name in self.header_names.split(';') {
            let values: Vec<_> = parts.headers.get_all(name).iter().filter_map(|v| v.to_str().ok()).collect();
            let values = values.iter().map(|v| v.split_whitespace().collect::<Vec<_>>().join(" "));
            for piece in [name, ":", &values.collect::<Vec<_>>().join(","), "\n"] {
                headers.push_str(piece);
            }
        }
        let payload = parts.headers.get("x-amz-content-sha256").and_then(|v| v.to_str().ok());
        let path = percent_decode_str(parts.uri.path()).collect::<Vec<u8>>();
        let canonical_request = [
            parts.method.as_str(),
            &encode_bytes(&path, true),
            &pairs.join("&"),
            &headers,
            &self.header_names,
            payload.unwrap_or("UNSIGNED-PAYLOAD"),
        ]
        .join("\n");
        let hash = hex(&Sha256::digest(canonical_request.as_bytes()));
        let string_to_sign = format!("AWS4-HMAC-SHA256\n{}\n{}\n{hash}", self.amz_date, self.scope);
        let key =
            self.scope.split('/').fold(format!("AWS4{secret}").into_bytes(), |key, text| hmac(&key, text));
        if hex(&hmac(&key, &string_to_sign)) == self.signature {
            return Ok(());
        }
        let message = crate::errors::message("SignatureDoesNotMatch");
        Err(Refusal::new(403, "SignatureDoesNotMatch", message)
            .with("AWSAccessKeyId", self.access_key_id.clone())
            .with("StringToSign", string_to_sign)
            .with("CanonicalRequest", canonical_request))
    }
}

fn old_signature() -> Refusal {
    let message =
        "The authorization mechanism you have provided is not supported. Please use AWS4-HMAC-SHA256.";
    Refusal::new(400, "InvalidRequest", message)
}

fn hmac(key: &[u8], text: &str) -> Vec<u8> {
    // An HMAC takes keys of any length.
    let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(key) else { return Vec::new() };
    mac.update(text.as_bytes());
    mac.finalize().into_bytes().to_vec()
}

fn encode(text: &str, keep_slash: bool) -> String {
    encode_bytes(text.as_bytes(), keep_slash)
}

fn encode_bytes(bytes: &[u8], keep_slash: bool) -> String {
    use std::fmt::Write as _;
    let mut out = String::new();
    for byte in bytes {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => {
                out.push(char::from(*byte));
            }
            b'/' if keep_slash => out.push('/'),
            _ => {
                let _ = write!(out, "%{byte:02X}");
            }
        }
    }
    out
}
