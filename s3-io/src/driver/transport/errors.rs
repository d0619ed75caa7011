//! What went wrong in hyper.

use s3_proto::{Phase, TransportError, TransportErrorKind};

use crate::failure::{Failure, Link, find, innermost};

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
