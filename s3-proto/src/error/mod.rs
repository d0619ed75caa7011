//! What can go wrong, said so that a person knows what to do next.
//!
//! A new kind of error is one variant of [`ErrorKind`] and one row in `codes.rs`.

mod codes;
mod transport;

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use http::StatusCode;

use crate::transfer::{DeleteManyFailure, SyncInterrupted, UploadFailure};

pub(crate) use codes::{kind_of_code, kind_of_status};
pub use transport::{SourceError, TransportError, TransportErrorKind};

/// What sort of thing went wrong; match on this.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum ErrorKind {
    /// The bucket does not exist.
    NoSuchBucket,
    /// The object does not exist.
    NoSuchKey,
    /// The version of the object does not exist.
    NoSuchVersion,
    /// The multipart upload does not exist: it was completed, aborted, or never started.
    NoSuchUpload,
    /// A 404 that does not say of what, as for HEAD, or a configuration (such as tags) that is not set.
    NotFound,
    /// 304: the object has not changed since the condition that was given.
    NotModified,
    /// The credentials are not allowed to do this.
    AccessDenied,
    /// The service does not know the access key id.
    InvalidAccessKeyId,
    /// The service computed another signature: wrong secret, or something changed the request on its way.
    SignatureDoesNotMatch,
    /// The temporary credentials have expired.
    ExpiredToken,
    /// The session token is not one that the service gave out.
    InvalidToken,
    /// The local clock and the service's are too far apart (15 minutes on Amazon S3).
    RequestTimeTooSkewed,
    /// Somebody else owns a bucket of this name.
    BucketAlreadyExists,
    /// The caller already owns a bucket of this name.
    BucketAlreadyOwnedByYou,
    /// The bucket still holds objects, versions or delete markers.
    BucketNotEmpty,
    /// The object or part is larger than the service takes in one request (5 GiB on Amazon S3).
    EntityTooLarge,
    /// A part other than the last is smaller than 5 MiB.
    EntityTooSmall,
    /// A part named in CompleteMultipartUpload is missing, or its ETag is another.
    InvalidPart,
    /// The range asked for starts behind the end of the object.
    InvalidRange,
    /// The object is in an archive class and must be restored first.
    InvalidObjectState,
    /// A condition (`If-Match`, `If-None-Match`, ...) did not hold.
    PreconditionFailed,
    /// Another request changes the same object or bucket at this moment (409).
    Conflict,
    /// The service asks to slow down.
    SlowDown,
    /// The bytes that arrived at the service are not those that the checksum or digest names.
    BadDigest,
    /// The bucket lives in another region and the redirect to it did not work out.
    WrongRegion,
    /// The store does not have this operation or option.
    NotImplemented,
    /// The service failed on its side (5xx).
    ServiceUnavailable,
    /// An error answer of any other code; see [`Error::code`].
    Service,

    /// The request was refused before it was sent, because an input cannot be right.
    InvalidInput,
    /// No credentials were found anywhere.
    NoCredentials,
    /// One half of a key pair is missing.
    IncompleteCredentials,
    /// A provider of credentials failed.
    CredentialsProvider,
    /// Configuration (region, endpoint, profile files, environment) is missing or contradicts itself.
    Configuration,
    /// The host name could not be resolved.
    Dns,
    /// TLS failed: certificate, protocol, or handshake.
    Tls,
    /// No connection could be made, or it broke before an answer.
    Connect,
    /// Something took longer than its time-out; [`Error::phase`] says what.
    Timeout,
    /// No connection of the pool came free in time.
    PoolExhausted,
    /// The body ended before all of its bytes had come.
    TruncatedBody,
    /// The bytes that arrived are not those that the service's checksum names.
    ChecksumMismatch,
    /// The answer is not one that S3 gives: not HTTP, malformed XML, a missing member, over a limit.
    MalformedResponse,
    /// Reading the data to upload, or writing a download, failed on this side.
    LocalIo,
    /// The circuit breaker of this client lets nothing through to an endpoint that keeps failing;
    /// [`Error::retry_after`] says how long.
    CircuitOpen,
    /// The rate limiter of this client would have made the call wait for too long;
    /// [`Error::retry_after`] says how long.
    RateLimited,
    /// The caller cancelled.
    Cancelled,
    /// A machine was driven in a way that its contract does not allow.
    ApiMisuse,
}

/// How far a request got.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Phase {
    /// Choosing the host, or looking up its addresses.
    Resolve,
    /// Getting credentials.
    Credentials,
    /// Checking the input, building and signing the request.
    Sign,
    /// Waiting for a free connection, connecting, TLS. Nothing has been sent.
    Connect,
    /// Sending head and body. The service may have seen the request.
    Send,
    /// Sent; waiting for the head of the answer.
    Wait,
    /// Reading the body of the answer.
    Body,
    /// Understanding the answer.
    Parse,
}

impl fmt::Display for Phase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Resolve => "resolving the host",
            Self::Credentials => "getting credentials",
            Self::Sign => "preparing the request",
            Self::Connect => "connecting",
            Self::Send => "sending the request",
            Self::Wait => "waiting for the answer",
            Self::Body => "reading the body",
            Self::Parse => "reading the answer",
        })
    }
}

/// Why an operation failed: one pointer wide, cheap to clone.
///
/// `Display` is a sentence for a person; the accessors are for programs.
///
/// ```
/// use s3_proto::{Error, ErrorKind};
///
/// fn describe(error: &Error) -> String {
///     match error.kind() {
///         ErrorKind::NoSuchKey => "nothing there".to_owned(),
///         _ if error.is_retryable() => "try later".to_owned(),
///         _ => error.to_string(),
///     }
/// }
/// ```
#[derive(Clone)]
pub struct Error(Box<Inner>);

#[derive(Clone)]
struct Inner {
    kind: ErrorKind,
    message: Cow<'static, str>,
    phase: Option<Phase>,
    operation: Option<&'static str>,
    bucket: Option<String>,
    key: Option<String>,
    status: Option<StatusCode>,
    code: Option<String>,
    request_id: Option<String>,
    extended_request_id: Option<String>,
    region: Option<String>,
    attempts: u32,
    retry_after: Option<Duration>,
    /// What the evidence says where the kind alone does not decide.
    retryable: Option<bool>,
    ambiguous: bool,
    /// The message is ours, and says more than the kind.
    explains: bool,
    source: Option<Arc<dyn std::error::Error + Send + Sync>>,
}

impl Error {
    /// An error of this kind. `message` says what happened, without a full stop.
    pub fn new(kind: ErrorKind, message: impl Into<Cow<'static, str>>) -> Self {
        Self::boxed(kind, message.into())
    }

    /// Apart, and cold: errors are made in hundreds of places, none of which is to be fast.
    #[cold]
    #[inline(never)]
    fn boxed(kind: ErrorKind, message: Cow<'static, str>) -> Self {
        Self(Box::new(Inner {
            kind,
            message,
            phase: None,
            operation: None,
            bucket: None,
            key: None,
            status: None,
            code: None,
            request_id: None,
            extended_request_id: None,
            region: None,
            attempts: 0,
            retry_after: None,
            retryable: None,
            ambiguous: false,
            explains: false,
            source: None,
        }))
    }

    /// A refusal of an input before anything is sent.
    pub fn invalid_input(message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(ErrorKind::InvalidInput, message).with_phase(Phase::Sign)
    }

    /// The caller wants no more.
    pub(crate) fn cancelled() -> Self {
        Self::new(ErrorKind::Cancelled, "cancelled by the caller")
    }

    /// An answer to a task that asked for something else.
    pub(crate) fn misfit() -> Self {
        Self::new(ErrorKind::ApiMisuse, "the driver gave an answer that does not fit the task")
    }

    /// The system refused what was to be done with a file.
    pub(crate) fn local_io(what: impl fmt::Display, error: std::io::Error) -> Self {
        Self::new(ErrorKind::LocalIo, format!("{what}: {error}")).with_source(error)
    }

    /// What sort of thing went wrong.
    pub fn kind(&self) -> ErrorKind {
        self.0.kind
    }

    /// How far the last attempt got.
    pub fn phase(&self) -> Option<Phase> {
        self.0.phase
    }

    /// The S3 API name of the operation, such as `PutObject`, or the transfer that failed as a whole: `Upload`,
    /// `Copy`.
    pub fn operation(&self) -> Option<&'static str> {
        self.0.operation
    }

    /// The bucket that it was about.
    pub fn bucket(&self) -> Option<&str> {
        self.0.bucket.as_deref()
    }

    /// The key that it was about.
    pub fn key(&self) -> Option<&str> {
        self.0.key.as_deref()
    }

    /// The HTTP status of the last answer, if there was one.
    pub fn status(&self) -> Option<StatusCode> {
        self.0.status
    }

    /// The service's own code, such as `NoSuchKey`.
    pub fn code(&self) -> Option<&str> {
        self.0.code.as_deref()
    }

    /// What the service or the failing part said.
    pub fn message(&self) -> &str {
        &self.0.message
    }

    /// The service's id of the request (`x-amz-request-id`), for its support.
    pub fn request_id(&self) -> Option<&str> {
        self.0.request_id.as_deref()
    }

    /// The second half of that id (`x-amz-id-2`, `HostId`).
    pub fn extended_request_id(&self) -> Option<&str> {
        self.0.extended_request_id.as_deref()
    }

    /// The region in which the service says that the bucket is.
    pub fn region(&self) -> Option<&str> {
        self.0.region.as_deref()
    }

    /// How many requests were sent, or were about to be, before this was given up.
    pub fn attempts(&self) -> u32 {
        self.0.attempts
    }

    /// How long, from when it failed, it is of no use to try again: until a circuit breaker lets an attempt
    /// through, or a rate limiter a request. `None` if nobody knows.
    pub fn retry_after(&self) -> Option<Duration> {
        self.0.retry_after
    }

    /// Whether the message is ours, and says more than the kind.
    fn explains(&self) -> bool {
        self.0.explains
    }

    /// Whether the same call may succeed later without a change on this side.
    pub fn is_retryable(&self) -> bool {
        self.0.retryable.unwrap_or(matches!(
            self.0.kind,
            ErrorKind::SlowDown
                | ErrorKind::ServiceUnavailable
                | ErrorKind::Connect
                | ErrorKind::Timeout
                | ErrorKind::PoolExhausted
                | ErrorKind::TruncatedBody
                | ErrorKind::ChecksumMismatch
                | ErrorKind::BadDigest
                | ErrorKind::Conflict
                | ErrorKind::CircuitOpen
                | ErrorKind::RateLimited
        ))
    }

    /// Whether it is not known if what was asked for has been done: the answer to a write was lost, in the last attempt
    /// or in an earlier one, and could not be found out about. Look at what is there, or repeat it if that does no harm.
    /// Reads never are.
    pub fn is_ambiguous(&self) -> bool {
        self.0.ambiguous
    }

    /// What is left of a multipart upload or copy that failed: its id, the parts that are there, every part
    /// that failed, and whether it was cleaned up.
    pub fn upload_failure(&self) -> Option<&UploadFailure> {
        self.0.source.as_ref()?.downcast_ref()
    }

    /// What a mass deletion had done before it failed.
    pub fn delete_failure(&self) -> Option<&DeleteManyFailure> {
        self.0.source.as_ref()?.downcast_ref()
    }

    /// What a transfer of folders had done before it failed, and what it could not put in order.
    pub fn sync_interrupted(&self) -> Option<&SyncInterrupted> {
        self.0.source.as_ref()?.downcast_ref()
    }

    /// What to do about it, where there is something to say.
    pub fn suggestion(&self) -> Option<Cow<'static, str>> {
        codes::suggestion(self)
    }
}

/// Context, added on the way up by whoever knows it. What is already there stays.
impl Error {
    pub(crate) fn with_phase(mut self, phase: Phase) -> Self {
        self.0.phase.get_or_insert(phase);
        self
    }

    pub(crate) fn with_status(mut self, status: StatusCode) -> Self {
        self.0.status.get_or_insert(status);
        self
    }

    pub(crate) fn with_code(mut self, code: impl Into<String>) -> Self {
        self.0.code.get_or_insert(code.into());
        self
    }

    pub(crate) fn with_request_ids(mut self, id: Option<String>, extended: Option<String>) -> Self {
        self.0.request_id = self.0.request_id.or(id);
        self.0.extended_request_id = self.0.extended_request_id.or(extended);
        self
    }

    pub(crate) fn with_region(mut self, region: Option<String>) -> Self {
        self.0.region = self.0.region.or(region);
        self
    }

    pub(crate) fn with_target(
        mut self,
        operation: &'static str,
        bucket: Option<&str>,
        key: Option<&str>,
    ) -> Self {
        let inner = &mut *self.0;
        inner.operation.get_or_insert(operation);
        if inner.bucket.is_none() {
            inner.bucket = bucket.map(ToOwned::to_owned);
        }
        if inner.key.is_none() {
            inner.key = key.map(ToOwned::to_owned);
        }
        self
    }

    /// A message that explains more than the service's own.
    pub(crate) fn with_message(mut self, message: String) -> Self {
        self.0.message = message.into();
        self.0.explains = true;
        self
    }

    pub(crate) fn with_ambiguity(mut self, ambiguous: bool) -> Self {
        self.0.ambiguous = ambiguous;
        self
    }

    pub(crate) fn with_attempts(mut self, attempts: u32) -> Self {
        self.0.attempts = attempts;
        self
    }

    pub(crate) fn with_retry_after(mut self, wait: Duration) -> Self {
        self.0.retry_after = Some(wait);
        self
    }

    pub(crate) fn with_retryable(mut self, retryable: bool) -> Self {
        self.0.retryable = Some(retryable);
        self
    }

    /// What is left of a transfer that failed, in place of the error of the lower layer, which is the source of
    /// the cause in there.
    pub(crate) fn with_cause(mut self, failure: impl std::error::Error + Send + Sync + 'static) -> Self {
        self.0.source = Some(Arc::new(failure));
        self
    }

    /// The error of a lower layer, shown by `source()`.
    pub fn with_source(mut self, source: impl std::error::Error + Send + Sync + 'static) -> Self {
        self.0.source.get_or_insert_with(|| Arc::new(source));
        self
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        codes::sentence(self, f)?;
        let Inner { code, status, request_id, attempts, .. } = &*self.0;
        let mut notes = Vec::new();
        notes.extend(code.clone().or_else(|| status.map(|s| format!("HTTP {}", s.as_u16()))));
        notes.extend(request_id.as_ref().map(|id| format!("request {id}")));
        if *attempts > 1 {
            notes.push(format!("{attempts} attempts"));
        }
        if !notes.is_empty() {
            write!(f, " ({})", notes.join(", "))?;
        }
        match self.suggestion() {
            Some(advice) => write!(f, ". {advice}"),
            None => Ok(()),
        }
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let e = &*self.0;
        let mut out = f.debug_struct("Error");
        out.field("kind", &e.kind).field("message", &e.message);
        let texts = [
            ("operation", e.operation),
            ("bucket", e.bucket.as_deref()),
            ("key", e.key.as_deref()),
            ("code", e.code.as_deref()),
            ("request_id", e.request_id.as_deref()),
            ("extended_request_id", e.extended_request_id.as_deref()),
            ("region", e.region.as_deref()),
        ];
        for (name, value) in texts {
            if let Some(value) = value {
                out.field(name, &value);
            }
        }
        if let Some(status) = e.status {
            out.field("status", &status.as_u16());
        }
        if let Some(phase) = e.phase {
            out.field("phase", &phase);
        }
        out.field("attempts", &e.attempts);
        if let Some(source) = &e.source {
            out.field("source", source);
        }
        out.finish()
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.0.source.as_ref().map(|s| &**s as _)
    }
}

#[cfg(test)]
mod tests;
