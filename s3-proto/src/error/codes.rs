//! The service's codes, what each is to us, and what to tell a person.

use std::borrow::Cow;
use std::fmt;

use http::StatusCode;

use super::{Error, ErrorKind, Phase};
use crate::redact::Shown;
use crate::transfer::UploadFailure;
use crate::validate::MAX_KEY_BYTES;

/// Codes that have a kind of their own. Source: "List of error codes" in the Amazon S3 API reference; the
/// codes of compatible stores stand beside the one that they mean.
const CODES: &[(&str, ErrorKind)] = &[
    ("NoSuchBucket", ErrorKind::NoSuchBucket),
    ("NoSuchKey", ErrorKind::NoSuchKey),
    ("NoSuchVersion", ErrorKind::NoSuchVersion),
    ("NoSuchUpload", ErrorKind::NoSuchUpload),
    ("NoSuchTagSet", ErrorKind::NotFound),
    ("NotModified", ErrorKind::NotModified),
    ("AccessDenied", ErrorKind::AccessDenied),
    ("AllAccessDisabled", ErrorKind::AccessDenied),
    ("AccountProblem", ErrorKind::AccessDenied),
    ("InvalidAccessKeyId", ErrorKind::InvalidAccessKeyId),
    ("SignatureDoesNotMatch", ErrorKind::SignatureDoesNotMatch),
    ("ExpiredToken", ErrorKind::ExpiredToken),
    ("ExpiredTokenException", ErrorKind::ExpiredToken),
    ("TokenRefreshRequired", ErrorKind::ExpiredToken),
    ("InvalidToken", ErrorKind::InvalidToken),
    ("RequestTimeTooSkewed", ErrorKind::RequestTimeTooSkewed),
    ("RequestExpired", ErrorKind::RequestTimeTooSkewed),
    ("RequestInTheFuture", ErrorKind::RequestTimeTooSkewed),
    ("BucketAlreadyExists", ErrorKind::BucketAlreadyExists),
    ("BucketAlreadyOwnedByYou", ErrorKind::BucketAlreadyOwnedByYou),
    ("BucketNotEmpty", ErrorKind::BucketNotEmpty),
    ("EntityTooLarge", ErrorKind::EntityTooLarge),
    ("MaxMessageLengthExceeded", ErrorKind::EntityTooLarge),
    ("EntityTooSmall", ErrorKind::EntityTooSmall),
    ("InvalidPart", ErrorKind::InvalidPart),
    ("InvalidPartOrder", ErrorKind::InvalidPart),
    ("InvalidRange", ErrorKind::InvalidRange),
    ("InvalidObjectState", ErrorKind::InvalidObjectState),
    ("PreconditionFailed", ErrorKind::PreconditionFailed),
    ("ConditionalRequestConflict", ErrorKind::Conflict),
    ("OperationAborted", ErrorKind::Conflict),
    ("SlowDown", ErrorKind::SlowDown),
    ("SlowDownRead", ErrorKind::SlowDown),
    ("SlowDownWrite", ErrorKind::SlowDown),
    ("Throttling", ErrorKind::SlowDown),
    ("ThrottlingException", ErrorKind::SlowDown),
    ("ThrottledException", ErrorKind::SlowDown),
    ("RequestThrottledException", ErrorKind::SlowDown),
    ("TooManyRequestsException", ErrorKind::SlowDown),
    ("ProvisionedThroughputExceededException", ErrorKind::SlowDown),
    ("TransactionInProgressException", ErrorKind::SlowDown),
    ("RequestLimitExceeded", ErrorKind::SlowDown),
    ("BandwidthLimitExceeded", ErrorKind::SlowDown),
    ("LimitExceededException", ErrorKind::SlowDown),
    ("RequestThrottled", ErrorKind::SlowDown),
    ("PriorRequestNotComplete", ErrorKind::SlowDown),
    ("EC2ThrottledException", ErrorKind::SlowDown),
    ("TooManyRequests", ErrorKind::SlowDown),
    ("BadDigest", ErrorKind::BadDigest),
    ("XAmzContentSHA256Mismatch", ErrorKind::BadDigest),
    ("XAmzContentChecksumMismatch", ErrorKind::BadDigest),
    ("PermanentRedirect", ErrorKind::WrongRegion),
    ("TemporaryRedirect", ErrorKind::WrongRegion),
    ("Redirect", ErrorKind::WrongRegion),
    ("IllegalLocationConstraintException", ErrorKind::WrongRegion),
    ("AuthorizationHeaderMalformed", ErrorKind::WrongRegion),
    ("NotImplemented", ErrorKind::NotImplemented),
    ("InternalError", ErrorKind::ServiceUnavailable),
    ("ServiceUnavailable", ErrorKind::ServiceUnavailable),
    ("RequestTimeout", ErrorKind::Timeout),
    ("RequestTimeoutException", ErrorKind::Timeout),
];

/// The kind of an error answer by its code; [`ErrorKind::Service`] where the status says no more.
pub(crate) fn kind_of_code(code: &str, status: StatusCode) -> ErrorKind {
    CODES.iter().find(|(known, _)| *known == code).map_or_else(
        || match kind_of_status(status) {
            // The service gave a code of its own: do not dress it up as something that it did not say.
            ErrorKind::ServiceUnavailable => ErrorKind::ServiceUnavailable,
            ErrorKind::SlowDown => ErrorKind::SlowDown,
            ErrorKind::NotFound => ErrorKind::NotFound,
            _ => ErrorKind::Service,
        },
        |(_, kind)| *kind,
    )
}

/// The kind of an error answer without a body, as for HEAD.
pub(crate) fn kind_of_status(status: StatusCode) -> ErrorKind {
    match status.as_u16() {
        301 | 302 | 307 | 308 => ErrorKind::WrongRegion,
        304 => ErrorKind::NotModified,
        401 | 403 => ErrorKind::AccessDenied,
        404 => ErrorKind::NotFound,
        409 => ErrorKind::Conflict,
        412 => ErrorKind::PreconditionFailed,
        413 => ErrorKind::EntityTooLarge,
        416 => ErrorKind::InvalidRange,
        // 503 without a code may be a proxy's, or the service's own trouble.
        429 => ErrorKind::SlowDown,
        501 => ErrorKind::NotImplemented,
        500..=599 => ErrorKind::ServiceUnavailable,
        _ => ErrorKind::Service,
    }
}

/// The first part of `Display`: what happened to what.
pub(super) fn sentence(e: &Error, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    if brief(e, f)? {
        return if e.explains() { detail(e, f, "") } else { Ok(()) };
    }
    let what = Subject(e);
    match e.kind() {
        ErrorKind::NotFound => write!(f, "{what}{}: {}", In(e), or(e.message(), "not found")),
        ErrorKind::AccessDenied => {
            write!(f, "Access to {what}{} denied", In(e))?;
            detail(e, f, "Access Denied")
        }
        ErrorKind::Timeout if e.status().is_none() => {
            write!(f, "{} timed out", Doing(e))?;
            if let Some(phase) = e.phase() {
                write!(f, " while {phase}")?;
            }
            detail(e, f, "")
        }
        _ => {
            write!(f, "{} failed", Doing(e))?;
            detail(e, f, "")
        }
    }
}

/// The sentence of a kind that says all that the service's own message would say; whether it is one.
fn brief(e: &Error, f: &mut fmt::Formatter<'_>) -> Result<bool, fmt::Error> {
    let bucket = shown(e.bucket().unwrap_or("?"));
    let what = Subject(e);
    match e.kind() {
        ErrorKind::NoSuchBucket => write!(f, "Bucket '{bucket}' not found"),
        ErrorKind::NoSuchKey => write!(f, "{what} not found{}", In(e)),
        ErrorKind::NoSuchVersion => write!(f, "This version of {what}{} not found", In(e)),
        ErrorKind::NoSuchUpload => write!(f, "No such multipart upload of {what}{}", In(e)),
        ErrorKind::NotModified => write!(f, "{what}{} has not changed", In(e)),
        ErrorKind::BucketAlreadyExists => {
            write!(f, "Bucket '{bucket}' already exists and is somebody else's")
        }
        ErrorKind::BucketAlreadyOwnedByYou => write!(f, "Bucket '{bucket}' already exists and is yours"),
        ErrorKind::BucketNotEmpty => write!(f, "Bucket '{bucket}' is not empty"),
        ErrorKind::PreconditionFailed => write!(f, "A condition on {what}{} did not hold", In(e)),
        ErrorKind::SlowDown => write!(f, "The service asks to slow down on {what}{}", In(e)),
        _ => return Ok(false),
    }?;
    Ok(true)
}

/// What to do about it. Only where the reader may not know it anyway.
pub(super) fn suggestion(e: &Error) -> Option<Cow<'static, str>> {
    let left = e.upload_failure().and_then(UploadFailure::suggestion);
    match (by_kind(e), left) {
        (Some(kind), Some(left)) => Some(format!("{kind}. {left}").into()),
        (kind, left) => kind.or(left.map(Cow::from)),
    }
}

fn by_kind(e: &Error) -> Option<Cow<'static, str>> {
    let text = match e.kind() {
        ErrorKind::SignatureDoesNotMatch => {
            "Check the secret access key and the local clock, and that nothing on the way changes the request or \
             its data"
        }
        ErrorKind::NoSuchBucket => "Check its name and the endpoint, or create it first",
        ErrorKind::NoSuchUpload => "It was completed or aborted, perhaps by another: start a new one",
        ErrorKind::AccessDenied => {
            return Some(match e.operation() {
                Some(operation) => {
                    format!("Check that these credentials are allowed to do {operation} here").into()
                }
                None => "Check that these credentials are allowed to do this".into(),
            });
        }
        ErrorKind::InvalidAccessKeyId => "Check the access key id, and that it belongs to this endpoint",
        ErrorKind::ExpiredToken => "Get new temporary credentials",
        ErrorKind::InvalidToken => "Check the session token: it belongs to one access key only",
        ErrorKind::RequestTimeTooSkewed => "Set the local clock: it differs from the service's by too much",
        ErrorKind::NoCredentials => {
            "Set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, add a profile to ~/.aws/credentials, or give \
             credentials in the configuration"
        }
        ErrorKind::IncompleteCredentials => {
            "Set both the access key id and the secret access key, or neither"
        }
        ErrorKind::BucketAlreadyExists => "Bucket names are shared by all users of a service: choose another",
        ErrorKind::BucketAlreadyOwnedByYou => "It can be used as it is",
        ErrorKind::BucketNotEmpty => "Delete its objects, versions and delete markers first",
        ErrorKind::EntityTooLarge => "Objects over 5 GiB need a multipart upload",
        ErrorKind::EntityTooSmall => "Every part but the last must be at least 5 MiB",
        ErrorKind::InvalidRange => "Ask for the size of the object first, with HeadObject",
        ErrorKind::InvalidObjectState => "Restore the object from its archive class first",
        ErrorKind::PreconditionFailed => "Look at what is there now before you write or read it again",
        ErrorKind::SlowDown => "Send fewer requests at once, or spread the keys over more prefixes",
        ErrorKind::TruncatedBody => "Read the rest, or all of it again",
        ErrorKind::ChecksumMismatch | ErrorKind::BadDigest => {
            "Try again; if it stays, something on the way changes the data"
        }
        // What was understood as HTTP may be an object of the user's that is not of the shape asked for.
        ErrorKind::MalformedResponse if e.phase() != Some(Phase::Parse) => {
            "Check that the endpoint is an S3 service"
        }
        ErrorKind::Connect => "Check the endpoint, and that it can be reached from here",
        ErrorKind::Dns => "Check the endpoint and region, and that bucket names with dots use path style",
        ErrorKind::Tls => {
            "Check the endpoint's certificate and name, or add the root certificate that signed it"
        }
        ErrorKind::PoolExhausted => {
            "Raise the limit of connections per host, or read or drop the bodies that are still open"
        }
        ErrorKind::Timeout if e.phase() == Some(Phase::Connect) => {
            "Check that the endpoint can be reached from here, or raise the connect time-out"
        }
        ErrorKind::Timeout if e.status().is_none() => "Raise this time-out if that is how slow it is",
        // What S3 says to a HEAD with an expired token, which is refreshed if that can be told; to SSE-C
        // headers that do not fit; and more. It has no body that could say which.
        ErrorKind::Service if e.status() == Some(StatusCode::BAD_REQUEST) && e.code().is_none() => {
            "The answer gives no reason, as with every HEAD: a GET of the same says it. Usual ones are a session \
             token that has expired, and a customer key (SSE-C) that is missing or wrong"
        }
        ErrorKind::WrongRegion if e.code() == Some("IllegalLocationConstraintException") => {
            "Name the region in `create_bucket_configuration`, and use the endpoint of that region"
        }
        ErrorKind::WrongRegion => {
            return Some(match e.region() {
                Some(region) => format!("Use region '{region}'").into(),
                None => "Check the region of the bucket".into(),
            });
        }
        _ => return None,
    };
    Some(text.into())
}

/// A name in a sentence, no longer than a key can be.
const fn shown(text: &str) -> Shown<'_> {
    Shown::new(text, MAX_KEY_BYTES)
}

/// `Object 'k'`, `Bucket 'b'`, or the operation.
struct Subject<'a>(&'a Error);

impl fmt::Display for Subject<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.0.key(), self.0.bucket(), self.0.operation()) {
            (Some(key), ..) => write!(f, "Object '{}'", shown(key)),
            (None, Some(bucket), _) => write!(f, "Bucket '{}'", shown(bucket)),
            (None, None, Some(operation)) => f.write_str(operation),
            (None, None, None) => f.write_str("the request"),
        }
    }
}

/// ` in bucket 'b'`, where the subject is an object.
struct In<'a>(&'a Error);

impl fmt::Display for In<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.0.key(), self.0.bucket()) {
            (Some(_), Some(bucket)) => write!(f, " in bucket '{}'", shown(bucket)),
            _ => Ok(()),
        }
    }
}

/// `PutObject of Object 'k' in bucket 'b'`.
struct Doing<'a>(&'a Error);

impl fmt::Display for Doing<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let e = self.0;
        f.write_str(e.operation().unwrap_or("The request"))?;
        match (e.key(), e.bucket()) {
            (Some(key), _) => write!(f, " of '{}'{}", shown(key), In(e)),
            (None, Some(bucket)) => write!(f, " on bucket '{}'", shown(bucket)),
            (None, None) => Ok(()),
        }
    }
}

fn or<'a>(text: &'a str, other: &'a str) -> &'a str {
    if text.is_empty() { other } else { text }
}

/// `: message`, unless it only repeats `known`.
fn detail(e: &Error, f: &mut fmt::Formatter<'_>, known: &str) -> fmt::Result {
    let message = e.message().trim_end_matches('.');
    if message.is_empty() || message == known { Ok(()) } else { write!(f, ": {message}") }
}
