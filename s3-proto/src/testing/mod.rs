//! A service by script, for tests of code that uses a client (feature `testing`).
//!
//! The code under test gets a real client, made with [`Mock::config`]. Signing, retry, checks and transfers are what
//! they always are; only the network is replaced, and the clock: time passes when a call waits, and at no other time,
//! so that a test of ten retries takes no longer than one of none.
//!
//! ```
//! use http::Method;
//! use s3_proto::testing::{Mock, Reply};
//!
//! let mock = Mock::new();
//! mock.expect(Method::PUT, "/reports/may.csv").header("content-type", "text/csv").reply(503).reply(200);
//! mock.expect(Method::GET, "/reports/june.csv").reply(Reply::error(404, "NoSuchKey"));
//! let config = mock.config(); // for `Client::new` of a driver
//! ```
//!
//! A request that nothing was expected for fails its call with [`ErrorKind::ApiMisuse`] and a message that says what
//! was asked and what was expected; [`Mock::verify`] lists such requests, and what was expected and did not come. The
//! same script gives the same run: the same requests in the same order, down to signatures and waits, as long as the
//! code under test makes one call after the other.

#![allow(clippy::panic, clippy::missing_panics_doc, reason = "a mistake in a test is shown where it is")]

mod expectation;
mod line;
mod reply;

use std::collections::VecDeque;
use std::fmt::{self, Write as _};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, Method, Uri};
use percent_encoding::percent_decode_str;

use crate::credentials::CredentialsProvider;
use crate::session::lock;
use crate::{Config, Credentials, Error, ErrorKind, Instant, Now, Timestamp};
use expectation::Rule;

pub use expectation::Expectation;
pub use line::{Line, Mocked, Scripted, ScriptedBody};
pub use reply::Reply;

/// 2026-01-01T00:00:00Z.
const START: i64 = 1_767_225_600;

/// A service by script. Clones are the same one; see the [module](self).
#[derive(Clone, Default)]
pub struct Mock(Arc<Mutex<State>>);

#[derive(Default)]
struct State {
    rules: Vec<Rule>,
    sent: Vec<Sent>,
    /// What nothing was expected for.
    unexpected: Vec<String>,
    /// Credentials that are still to be asked for.
    credentials: VecDeque<Result<Credentials, Error>>,
    /// How long after the start it is.
    elapsed: Duration,
    waits: Vec<Duration>,
}

impl Mock {
    /// Expects nothing yet. Its clock shows 2026-01-01T00:00:00Z.
    pub fn new() -> Self {
        Self::default()
    }

    /// The configuration of a client that talks to this mock: region `us-east-1`, made-up credentials, and waits that
    /// are the same in each run. Change it as you like.
    pub fn config(&self) -> Config {
        let config = Config::new("us-east-1").and_then(|config| {
            Ok(config.with_credentials(Credentials::new("AKIAMOCK", "made-up-secret")?).with_mock(self))
        });
        let mut config = config.unwrap_or_else(|error| panic!("{error}"));
        config.seed = 1;
        config
    }

    /// Expects a request with this method for `/bucket/key`, `/bucket`, or `/`: keys are not encoded, and it does not
    /// matter whether the bucket stands in the host. A request of a credentials provider has the path of its URI.
    ///
    /// What it is answered is said with [`Expectation::reply`]. The first expectation counts that fits and has an
    /// answer left.
    pub fn expect(&self, method: Method, path: impl Into<String>) -> Expectation {
        let path = path.into();
        let text = format!("{method} {path}");
        self.rule(text, move |sent| sent.method == method && sent.path() == path)
    }

    /// Expects a request of this operation, by S3's name for it, such as `"UploadPart"`.
    pub fn expect_operation(&self, name: impl Into<String>) -> Expectation {
        let name = name.into();
        self.rule(name.clone(), move |sent| sent.operation == Some(&*name))
    }

    fn rule(&self, text: String, fits: impl Fn(&Sent) -> bool + Send + 'static) -> Expectation {
        let mut state = self.state();
        state.rules.push(Rule::new(text, fits));
        Expectation { mock: self.clone(), index: state.rules.len() - 1 }
    }

    /// A provider that gives these credentials, one each time that it is asked: for
    /// [`Config::with_credentials_provider`]. To be asked more often is unexpected.
    pub fn credentials(
        &self,
        script: impl IntoIterator<Item = Result<Credentials, Error>>,
    ) -> CredentialsProvider {
        self.state().credentials.extend(script);
        let mock = self.clone();
        CredentialsProvider::new("mock", move |_| {
            let next = mock.state().credentials.pop_front();
            std::future::ready(next.unwrap_or_else(|| {
                let message = "credentials were asked for once more than the test has";
                mock.state().unexpected.push(message.to_owned());
                Err(Error::new(ErrorKind::CredentialsProvider, message))
            }))
        })
    }

    /// All requests so far, also those that were not expected.
    pub fn requests(&self) -> Vec<Sent> {
        self.state().sent.clone()
    }

    /// How long calls have waited so far, each time that they did: between attempts, and for answers that came late.
    pub fn waits(&self) -> Vec<Duration> {
        self.state().waits.clone()
    }

    /// What the clock shows.
    pub fn time(&self) -> Timestamp {
        self.state().now().wall
    }

    /// Lets time pass between calls.
    pub fn advance(&self, by: Duration) {
        let mut state = self.state();
        state.elapsed = state.elapsed.saturating_add(by);
    }

    /// Panics if something was asked that was not expected, or something was expected that did not come; the message
    /// lists both.
    ///
    /// # Panics
    /// Then.
    #[track_caller]
    pub fn verify(&self) {
        let report = self.state().report();
        assert!(report.is_empty(), "the requests were not what the test expects\n{report}");
    }

    fn state(&self) -> MutexGuard<'_, State> {
        lock(&self.0)
    }
}

impl State {
    fn now(&self) -> Now {
        let start = Timestamp::from_unix(START, 0).unwrap_or(Timestamp::UNIX_EPOCH);
        Now { mono: Instant::from_origin(self.elapsed), wall: start.saturating_add(self.elapsed) }
    }

    fn wait_until(&mut self, until: Instant) {
        let wait = until.since(self.now().mono);
        self.elapsed = self.elapsed.saturating_add(wait);
        self.waits.push(wait);
    }

    fn missing(&self) -> impl Iterator<Item = String> {
        let credentials = self.credentials.len();
        let credentials = (credentials > 0).then(|| format!("credentials, {credentials} times"));
        self.rules.iter().filter_map(Rule::missing).chain(credentials)
    }

    fn report(&self) -> String {
        let mut report = String::new();
        for unexpected in &self.unexpected {
            // Writing to a `String` does not fail.
            let _ = writeln!(report, "unexpected: {unexpected}");
        }
        for missing in self.missing() {
            let _ = writeln!(report, "missing: {missing}");
        }
        report
    }
}

impl fmt::Debug for Mock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Mock").field("requests", &self.state().sent.len()).finish_non_exhaustive()
    }
}

/// A request that a mock was asked.
#[derive(Clone)]
#[non_exhaustive]
pub struct Sent {
    /// S3's name for the operation; `None` for a request of a credentials provider.
    pub operation: Option<&'static str>,
    /// The bucket that it is about.
    pub bucket: Option<String>,
    /// The key of the object.
    pub key: Option<String>,
    /// The method.
    pub method: Method,
    /// As it was signed, host and query included.
    pub uri: Uri,
    /// All headers.
    pub headers: HeaderMap,
    /// The data, without the framing that it is signed in.
    pub body: Bytes,
}

impl Sent {
    /// What [`Mock::expect`] compares: `/bucket/key`.
    pub fn path(&self) -> String {
        match (&self.bucket, &self.key) {
            (Some(bucket), Some(key)) => format!("/{bucket}/{key}"),
            (Some(bucket), None) => format!("/{bucket}"),
            (None, _) => self.uri.path().to_owned(),
        }
    }

    /// A header as text; `None` if it is missing, or no text.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    /// The first value of a parameter of the query, decoded; empty if it has none.
    pub fn query(&self, name: &str) -> Option<String> {
        let decode = |text| percent_decode_str(text).decode_utf8_lossy().into_owned();
        let pairs = self.uri.query()?.split('&').map(|pair| pair.split_once('=').unwrap_or((pair, "")));
        pairs
            .map(|(name, value)| (decode(name), decode(value)))
            .find(|(found, _)| found == name)
            .map(|(_, v)| v)
    }
}

/// What a person asks first: `PutObject, PUT /bucket/key`.
impl fmt::Display for Sent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(operation) = self.operation {
            write!(f, "{operation}, ")?;
        }
        write!(f, "{} {}", self.method, self.path())?;
        match self.uri.query() {
            Some(_) => write!(f, " of {}", crate::redact::redact_uri(&self.uri)),
            None => Ok(()),
        }
    }
}

impl fmt::Debug for Sent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sent")
            .field("operation", &self.operation)
            .field("method", &self.method)
            .field("uri", &crate::redact::redact_uri(&self.uri))
            .field("headers", &crate::redact::redact_headers(&self.headers))
            .field("body", &self.body.len())
            .finish_non_exhaustive()
    }
}

/// What a request is about, which it does not say in itself once it is signed.
#[derive(Clone)]
pub(crate) struct About {
    pub(crate) operation: &'static str,
    pub(crate) bucket: Option<String>,
    pub(crate) key: Option<String>,
}

#[cfg(test)]
mod tests;
