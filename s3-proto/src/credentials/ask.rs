//! Requests to whoever gives out credentials: their retries, their errors, and how those are told.

use std::fmt::Display;
use std::time::Duration;

use http::header::{ACCEPT, HeaderMap, USER_AGENT};
use http::{HeaderValue, Request, Response, Uri, response};

use super::json::Object;
use crate::error::{kind_of_code, kind_of_status};
use crate::machine::{Now, Payload, Timeouts};
use crate::redact::hide;
use crate::retry::{RetryConfig, RetryHint, RetryReason, backoff};
use crate::script::Tasks;
use crate::secret::Secret;
use crate::{Error, ErrorKind, Phase};

/// How patiently a provider is asked.
#[derive(Clone, Debug)]
pub(super) struct Patience {
    pub(super) attempts: u32,
    pub(super) timeouts: Timeouts,
    /// Whether there may be nobody: a connection that is refused is the end then, and one that does not come in
    /// time, as a packet may be lost, is tried for once more.
    pub(super) may_be_absent: bool,
}

impl Patience {
    /// For a service on this machine or beside it, which answers at once or not at all.
    pub(super) fn nearby() -> Self {
        let mut timeouts = Timeouts::default();
        let limit = Some(Duration::from_secs(1));
        (timeouts.connect, timeouts.first_byte, timeouts.idle) = (limit, limit, limit);
        Self { attempts: 3, timeouts, may_be_absent: false }
    }

    /// For a service on the network.
    pub(super) fn remote() -> Self {
        let mut timeouts = Timeouts::default();
        let limit = Some(Duration::from_secs(10));
        (timeouts.first_byte, timeouts.idle) = (limit, limit);
        Self { attempts: 3, timeouts, may_be_absent: false }
    }

    /// Whether it is asked again after the attempt of this number failed so.
    fn lasts(&self, attempt: u32, error: &Error) -> bool {
        let unreachable = error.phase().is_some_and(|phase| phase <= Phase::Connect);
        let looks_absent = unreachable && (attempt > 1 || error.kind() != ErrorKind::Timeout);
        attempt < self.attempts && !(self.may_be_absent && looks_absent)
    }
}

pub(super) type Answer = Response<Secret<Vec<u8>>>;

/// Makes the request of an attempt.
type Make<'a> = dyn Fn(Now) -> Result<Request<Payload>, Error> + Send + Sync + 'a;

/// Sends a request until it is answered well, it is of no use, or patience ends. Each attempt is made anew,
/// for signatures; `refusal` reads an answer that is not a success. Not generic: it is compiled once for all sources.
pub(super) async fn send(
    tasks: &Tasks,
    patience: &Patience,
    request: &Make<'_>,
    refusal: fn(&response::Parts, &[u8]) -> Error,
) -> Result<Answer, Error> {
    let policy = RetryConfig::default();
    let mut attempt = 0;
    loop {
        attempt += 1;
        let mut request = request(tasks.now())?;
        let headers = request.headers_mut();
        headers.insert(USER_AGENT, HeaderValue::from_static(concat!("s3-proto/", env!("CARGO_PKG_VERSION"))));
        headers.entry(ACCEPT).or_insert(HeaderValue::from_static("*/*"));
        let (error, headers) = match tasks.http(request, patience.timeouts).await {
            Ok(answer) if answer.status().is_success() => return Ok(answer),
            Ok(answer) => {
                let (head, body) = answer.into_parts();
                let error = refusal(&head, body.expose()).with_status(head.status).with_phase(Phase::Wait);
                (error, Some(head.headers))
            }
            Err(error) => (error, None),
        };
        let Some(reason) = RetryReason::of(&error).filter(|_| patience.lasts(attempt, &error)) else {
            return Err(error.with_attempts(attempt));
        };
        let hint = headers.as_ref().and_then(RetryHint::from_headers);
        let wait = backoff(&policy, reason, attempt, tasks.fraction(), hint);
        tracing::debug!(attempt, ?wait, kind = ?error.kind(), code = error.code(), "asking for credentials again");
        tasks.wait(wait).await?;
    }
}

/// The error of a provider that speaks JSON; one that answers with something else is known by its status.
pub(super) fn json_refusal(head: &response::Parts, body: &[u8]) -> Error {
    let object = Object::parse(body).ok();
    let text = |names: &[&str]| {
        let object = object.as_ref()?;
        names.iter().find_map(|name| object.text(name)).map(ToOwned::to_owned)
    };
    let header = head.headers.get("x-amzn-errortype").and_then(|v| v.to_str().ok());
    // `com.amazonaws.sso#UnauthorizedException:http://..`
    let code = header.map(ToOwned::to_owned).or_else(|| text(&["code", "__type", "error"]));
    let code = code.and_then(|code| Some(code.split(':').next()?.rsplit('#').next()?.to_owned()));
    let message = text(&["message", "error_description"]).unwrap_or_default();
    match code.filter(|code| !code.is_empty()) {
        Some(code) => Error::new(kind_of_code(&code, head.status), message).with_code(code),
        None if message.is_empty() => plain_refusal(head, body),
        None => Error::new(kind_of_status(head.status), message),
    }
}

/// The error of a provider that says nothing but its status.
pub(super) fn plain_refusal(head: &response::Parts, _: &[u8]) -> Error {
    let reason = head.status.canonical_reason().unwrap_or_default().to_ascii_lowercase();
    Error::new(kind_of_status(head.status), reason)
}

/// The failure of a provider: what it was doing and what it said, without the secrets that it was told.
pub(super) fn failed(what: &dyn Display, error: &Error, secrets: &[&str]) -> Error {
    let mut said = hide(error.message(), secrets);
    if said.is_empty() {
        "no reason was given".clone_into(&mut said);
    }
    let code = error.code().map(|code| hide(code, secrets));
    let status = error.status().map(|status| format!(" (HTTP {})", status.as_u16())).unwrap_or_default();
    let named = code.as_ref().map(|code| format!("{code}: ")).unwrap_or_default();
    let message = format!("{what} failed: {named}{said}{status}");
    let mut failure = provider(message).with_retryable(error.is_retryable()).with_attempts(error.attempts());
    if let Some(phase) = error.phase() {
        failure = failure.with_phase(phase);
    }
    failure
}

pub(super) fn provider(message: String) -> Error {
    Error::new(ErrorKind::CredentialsProvider, message)
}

pub(super) fn get(uri: &Uri, headers: HeaderMap) -> Request<Payload> {
    let mut request = Request::new(Payload::Empty);
    *request.uri_mut() = uri.clone();
    *request.headers_mut() = headers;
    request
}

/// A header whose value must not be shown.
pub(super) fn sensitive(value: &str, what: &str) -> Result<HeaderValue, Error> {
    let mut value = HeaderValue::from_str(value)
        .map_err(|_| provider(format!("{what} has a character that cannot stand in a header")))?;
    value.set_sensitive(true);
    Ok(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(status: u16, header: Option<&str>, body: &str) -> Error {
        let mut response = Response::builder().status(status);
        if let Some(value) = header {
            response = response.header("x-amzn-errortype", value);
        }
        json_refusal(&response.body(()).unwrap().into_parts().0, body.as_bytes())
    }

    #[test]
    fn the_code_is_found_wherever_a_service_puts_it() {
        for (header, body, code) in [
            (Some("UnauthorizedException:http://internal/"), "{}", "UnauthorizedException"),
            (
                None,
                r#"{"__type": "com.amazonaws.sso#UnauthorizedException", "message": "m"}"#,
                "UnauthorizedException",
            ),
            (None, r#"{"error": "invalid_grant", "error_description": "m"}"#, "invalid_grant"),
            (None, r#"{"Code": "AccessDenied", "Message": "m"}"#, "AccessDenied"),
        ] {
            assert_eq!(refusal(401, header, body).code(), Some(code), "{body}");
        }
        let page = refusal(502, None, "<html>swordfish</html>");
        assert_eq!((page.code(), page.message(), page.is_retryable()), (None, "bad gateway", true));
    }
}
