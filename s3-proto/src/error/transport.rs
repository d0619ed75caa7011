//! What a driver reports when the network or the user's own data fails.

use std::fmt;
use std::sync::Arc;

use super::{Error, ErrorKind, Phase};

/// A failure below HTTP, as a driver reports it.
#[derive(Clone, Debug)]
pub struct TransportError {
    kind: TransportErrorKind,
    message: String,
    source: Option<Arc<dyn std::error::Error + Send + Sync>>,
}

/// What failed. Retry policy depends on it, so a driver picks the closest and guesses nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum TransportErrorKind {
    /// The resolver answered that it cannot say now: worth another try.
    DnsTemporary,
    /// The resolver answered that there is no such name, or the name is impossible.
    DnsNotFound,
    /// Nobody listens there, or the network refused.
    Refused,
    /// The certificate is not valid, not trusted, or for another name; or no common protocol.
    TlsRejected,
    /// The TLS handshake broke off.
    TlsBroken,
    /// A phase took longer than its time-out.
    Timeout,
    /// No connection came free in time.
    PoolExhausted,
    /// The connection was reset or closed.
    Closed,
    /// The peer does not speak HTTP as it should, or went over a limit on heads.
    Protocol,
    /// The proxy refused, or could not reach the host.
    Proxy,
}

impl TransportError {
    /// A failure of this kind; `message` says what happened, without a full stop and without secrets.
    pub fn new(kind: TransportErrorKind, message: impl Into<String>) -> Self {
        Self { kind, message: message.into(), source: None }
    }

    /// The error of the library below.
    pub fn with_source(mut self, source: impl std::error::Error + Send + Sync + 'static) -> Self {
        self.source = Some(Arc::new(source));
        self
    }

    /// What failed.
    pub fn kind(&self) -> TransportErrorKind {
        self.kind
    }

    /// Whether another attempt may go better.
    pub fn is_retryable(&self) -> bool {
        use TransportErrorKind as T;
        match self.kind {
            T::DnsTemporary
            | T::Refused
            | T::TlsBroken
            | T::Timeout
            | T::PoolExhausted
            | T::Closed
            | T::Proxy => true,
            T::DnsNotFound | T::TlsRejected | T::Protocol => false,
        }
    }

    pub(crate) fn into_error(self, phase: Phase) -> Error {
        use TransportErrorKind as T;
        let retryable = self.is_retryable();
        let kind = match self.kind {
            T::DnsTemporary | T::DnsNotFound => ErrorKind::Dns,
            T::TlsRejected | T::TlsBroken => ErrorKind::Tls,
            T::Timeout => ErrorKind::Timeout,
            T::PoolExhausted => ErrorKind::PoolExhausted,
            T::Protocol => ErrorKind::MalformedResponse,
            T::Closed if phase == Phase::Body => ErrorKind::TruncatedBody,
            T::Refused | T::Closed | T::Proxy => ErrorKind::Connect,
        };
        let error = Error::new(kind, self.message).with_phase(phase).with_retryable(retryable);
        match self.source {
            Some(source) => error.with_source(source),
            None => error,
        }
    }
}

impl fmt::Display for TransportError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for TransportError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.source.as_ref().map(|s| &**s as _)
    }
}

/// Reading the user's data failed; never a reason to try the network again.
#[derive(Clone, Debug)]
pub struct SourceError(Arc<std::io::Error>);

impl SourceError {
    /// Wraps what the source of the data said.
    pub fn new(error: std::io::Error) -> Self {
        Self(Arc::new(error))
    }

    pub(crate) fn into_error(self) -> Error {
        let message = format!("reading the data to send failed: {}", self.0);
        Error::new(ErrorKind::LocalIo, message).with_phase(Phase::Send).with_source(self.0)
    }
}

impl From<std::io::Error> for SourceError {
    fn from(error: std::io::Error) -> Self {
        Self::new(error)
    }
}
