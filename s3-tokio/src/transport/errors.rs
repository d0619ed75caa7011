//! What went wrong below HTTP, and how far the request had got.

use std::error::Error as StdError;
use std::fmt;
use std::io;

use s3_proto::{Phase, TransportError, TransportErrorKind};

/// A failure with its phase, as it travels through hyper.
#[derive(Debug)]
pub(crate) struct Failure {
    pub(crate) phase: Phase,
    pub(crate) cause: TransportError,
}

impl Failure {
    pub(crate) fn new(phase: Phase, kind: TransportErrorKind, message: impl Into<String>) -> Self {
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

type Link<'a> = &'a (dyn StdError + 'static);

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

fn find<T: StdError + 'static>(error: Link<'_>) -> Option<&T> {
    chain(error).find_map(|error| error.downcast_ref::<T>())
}

/// The innermost text, which says what happened rather than what could not be done.
fn innermost(error: Link<'_>) -> String {
    chain(error).last().map(ToString::to_string).unwrap_or_default()
}

pub(crate) fn resolve(host: &str, error: io::Error) -> Failure {
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

pub(crate) fn connect(host: &str, error: io::Error) -> Failure {
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

pub(crate) fn handshake(host: &str, error: io::Error) -> Failure {
    let rejected = find::<rustls::Error>(&error).is_some();
    let (kind, what) = if rejected {
        (TransportErrorKind::TlsRejected, "was refused")
    } else {
        (TransportErrorKind::TlsBroken, "broke off")
    };
    let message = format!("the TLS handshake with {host} {what}: {}", innermost(&error));
    Failure { phase: Phase::Connect, cause: TransportError::new(kind, message).with_source(error) }
}

pub(crate) fn proxy(proxy: &str, error: impl StdError + Send + Sync + 'static) -> Failure {
    let message = format!("the proxy {proxy} did not open a tunnel: {}", innermost(&error));
    let cause = TransportError::new(TransportErrorKind::Proxy, message).with_source(error);
    Failure { phase: Phase::Connect, cause }
}

/// What a request came to that got no answer. `sent` tells whether all of it had been handed over.
pub(crate) fn request(error: hyper_util::client::legacy::Error, sent: bool) -> Failure {
    if let Some(failure) = find::<Failure>(&error) {
        return Failure { phase: failure.phase, cause: failure.cause.clone() };
    }
    let hyper = find::<hyper::Error>(&error);
    // hyper cancels only what it has not begun to write.
    let unsent = error.is_connect() || hyper.is_some_and(hyper::Error::is_canceled);
    let phase = if unsent {
        Phase::Connect
    } else if sent {
        Phase::Wait
    } else {
        Phase::Send
    };
    let cause = exchange(&error, "the connection was closed before an answer came");
    Failure { phase, cause: cause.with_source(error) }
}

/// What ended a body early.
pub(crate) fn body(error: hyper::Error) -> TransportError {
    exchange(&error, "the connection was closed in the middle of the body").with_source(error)
}

fn exchange(error: Link<'_>, closed: &str) -> TransportError {
    let hyper = find::<hyper::Error>(error);
    if hyper.is_some_and(hyper::Error::is_parse) {
        let message = format!("the answer is not HTTP: {}", innermost(error));
        return TransportError::new(TransportErrorKind::Protocol, message);
    }
    if hyper.is_some_and(hyper::Error::is_timeout) {
        return TransportError::new(TransportErrorKind::Timeout, "the connection timed out");
    }
    TransportError::new(TransportErrorKind::Closed, format!("{closed} ({})", innermost(error)))
}
