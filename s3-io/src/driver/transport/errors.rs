//! What went wrong in hyper.

use s3_proto::{Phase, TransportError, TransportErrorKind};

use crate::failure::{Failure, find, innermost};

/// What a request came to that got no answer. `sent` tells whether all of it had been handed over.
pub(crate) fn request(error: hyper::Error, sent: bool) -> Failure {
    if let Some(failure) = find::<Failure>(&error) {
        return Failure { phase: failure.phase, cause: failure.cause.clone() };
    }
    // hyper cancels only what it has not begun to write.
    let phase = if error.is_canceled() {
        Phase::Connect
    } else if sent {
        Phase::Wait
    } else {
        Phase::Send
    };
    let cause = exchange(&error, "the connection was closed before an answer came");
    Failure { phase, cause: cause.with_source(error) }
}

/// What a connection came to over which HTTP could not be begun.
pub(crate) fn handshake(error: hyper::Error) -> Failure {
    let cause = exchange(&error, "the connection was closed before it could be used").with_source(error);
    Failure { phase: Phase::Connect, cause }
}

/// What ended a body early.
pub(crate) fn body(error: hyper::Error) -> TransportError {
    exchange(&error, "the connection was closed in the middle of the body").with_source(error)
}

fn exchange(error: &hyper::Error, closed: &str) -> TransportError {
    if error.is_parse() {
        let message = format!("the answer is not HTTP: {}", innermost(error));
        return TransportError::new(TransportErrorKind::Protocol, message);
    }
    if error.is_timeout() {
        return TransportError::new(TransportErrorKind::Timeout, "the connection timed out");
    }
    TransportError::new(TransportErrorKind::Closed, format!("{closed} ({})", innermost(error)))
}
