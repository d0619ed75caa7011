//! What went wrong below HTTP, and how far the request had got.

use std::error::Error as StdError;
use std::fmt;
use std::io;
use std::time::Duration;

use s3_proto::{Phase, SourceError, TransportError, TransportErrorKind};

/// A failure with its phase, as it travels through an HTTP library.
#[derive(Debug)]
pub struct Failure {
    /// How far the request got.
    pub phase: Phase,
    /// What failed.
    pub cause: TransportError,
}

impl Failure {
    /// A failure without a cause of its own.
    pub fn new(phase: Phase, kind: TransportErrorKind, message: impl Into<String>) -> Self {
        Self { phase, cause: TransportError::new(kind, message) }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.cause.fmt(f)
    }
}

impl StdError for Failure {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.cause.source()
    }
}

/// A request that got no answer.
#[derive(Debug)]
pub enum Unanswered {
    /// It is the network's fault, or the service's.
    Failed(Failure),
    /// The user's data could not be read.
    Source(SourceError),
}

impl From<Failure> for Unanswered {
    fn from(failure: Failure) -> Self {
        Self::Failed(failure)
    }
}

/// An error in a chain of causes.
pub type Link<'a> = &'a (dyn StdError + 'static);

/// The errors below `error`, itself first.
fn chain(error: Link<'_>) -> impl Iterator<Item = Link<'_>> {
    std::iter::successors(Some(error), |error| below(*error))
}

fn below(error: Link<'_>) -> Option<Link<'_>> {
    // An `io::Error` skips the error that it wraps when asked for its source.
    match error.downcast_ref::<io::Error>() {
        Some(io) => io.get_ref().map(|inner| inner as Link<'_>),
        None => error.source(),
    }
}

/// The first of this type among the error and what is below it.
pub fn find<T: StdError + 'static>(error: Link<'_>) -> Option<&T> {
    chain(error).find_map(|error| error.downcast_ref::<T>())
}

/// The innermost text, which says what happened rather than what could not be done.
pub fn innermost(error: Link<'_>) -> String {
    chain(error).last().map(ToString::to_string).unwrap_or_default()
}

/// A host name could not be looked up.
pub fn resolve(host: &str, error: io::Error) -> Failure {
    let text = error.to_string().to_ascii_lowercase();
    // The standard library keeps the resolver's code to itself, and tells its text.
    let not_found = error.kind() == io::ErrorKind::NotFound
        || error.kind() == io::ErrorKind::InvalidInput
        || ["not known", "no such host", "no address associated", "nodename nor servname"]
            .iter()
            .any(|known| text.contains(known));
    let (kind, message) = if not_found {
        (TransportErrorKind::DnsNotFound, format!("the host name {host} does not exist"))
    } else {
        (TransportErrorKind::DnsTemporary, format!("looking up the host name {host} failed: {error}"))
    };
    Failure { phase: Phase::Resolve, cause: TransportError::new(kind, message).with_source(error) }
}

/// A host name leads nowhere.
pub fn no_address(host: &str) -> Failure {
    let message = format!("the host name {host} has no addresses");
    Failure::new(Phase::Resolve, TransportErrorKind::DnsNotFound, message)
}

/// All that may be under way at a time were, for as long as was waited.
pub fn exhausted(limit: usize, what: &str, host: &str, patience: Option<Duration>) -> Failure {
    let patience = patience.unwrap_or_default().as_secs_f64();
    let message = format!(
        "all {limit} {what} to {host} were busy for {patience} s; raise the limit, or ask for less at a time"
    );
    Failure::new(Phase::Connect, TransportErrorKind::PoolExhausted, message)
}

/// A TCP connection could not be made.
pub fn connect(host: &str, error: io::Error) -> Failure {
    let kind = match error.kind() {
        io::ErrorKind::TimedOut => TransportErrorKind::Timeout,
        io::ErrorKind::ConnectionReset
        | io::ErrorKind::ConnectionAborted
        | io::ErrorKind::BrokenPipe
        | io::ErrorKind::UnexpectedEof => TransportErrorKind::Closed,
        _ => TransportErrorKind::Refused,
    };
    let message = format!("connecting to {host} failed: {error}");
    Failure { phase: Phase::Connect, cause: TransportError::new(kind, message).with_source(error) }
}

/// TLS could not be set up.
pub fn handshake(host: &str, error: io::Error) -> Failure {
    let rejected = find::<rustls::Error>(&error).is_some();
    let (kind, what) = if rejected {
        (TransportErrorKind::TlsRejected, "was refused")
    } else {
        (TransportErrorKind::TlsBroken, "broke off")
    };
    let message = format!("the TLS handshake with {host} {what}: {}", innermost(&error));
    Failure { phase: Phase::Connect, cause: TransportError::new(kind, message).with_source(error) }
}

/// The way through a proxy could not be opened.
pub fn proxy(proxy: &str, error: impl StdError + Send + Sync + 'static) -> Failure {
    let message = format!("the proxy {proxy} did not open a tunnel: {}", innermost(&error));
    let cause = TransportError::new(TransportErrorKind::Proxy, message).with_source(error);
    Failure { phase: Phase::Connect, cause }
}

/// Something took longer than it may.
pub fn timeout(phase: Phase, what: impl AsRef<str>, limit: Option<Duration>) -> Failure {
    let limit = limit.unwrap_or_default().as_secs_f64();
    let message = format!("{} took longer than {limit} s", what.as_ref());
    Failure::new(phase, TransportErrorKind::Timeout, message)
}
