//! HTTP over ureq: a request in, a head and a body out, or how far it got.

mod connect;
#[cfg(feature = "testing")]
mod scripted;
mod upload;
mod wire;

use std::io::Read as _;
use std::sync::Arc;

use http::header::{EXPECT, HeaderValue};
use s3_io::{Cancel, Counts, Failure, Gate, Permit, PoolStats, Settings, Unanswered};
use s3_proto::sign::BodyEncoder;
use s3_proto::{Error, HttpTask, Phase, TransportError, TransportErrorKind};
use ureq::{Agent, BodyReader, SendBody};

pub use connect::{Resolve, SystemResolver};

use crate::source::Reader;
use connect::{Connector, NoResolver};
use upload::Upload;
use wire::Exchange;

/// How much of a body is read at a time.
pub(crate) const PIECE: usize = 128 * 1024;

/// The longest body that is sent in one go with the head.
const SHORT: u64 = 16 * 1024;

/// What can be set before the first connection.
pub(crate) struct Options {
    pub(crate) resolver: Arc<dyn Resolve>,
    pub(crate) settings: Settings,
}

impl Default for Options {
    fn default() -> Self {
        Self { resolver: Arc::new(SystemResolver), settings: Settings::default() }
    }
}

/// Connections to all hosts that a client talks to.
pub(crate) struct Transport {
    agent: Agent,
    gate: Gate,
}

impl Transport {
    pub(crate) fn new(options: Options) -> Result<Self, Error> {
        let counts = Arc::new(Counts::default());
        let Settings { trust, proxy, connections, idle_connections } = options.settings;
        let connector = Connector {
            resolver: options.resolver,
            tls: trust.config(false)?,
            proxy: proxy?,
            counts: counts.clone(),
        };
        // What is sent is what the core says, and what comes is what the peer said.
        let config = Agent::config_builder()
            .http_status_as_error(false)
            .max_redirects(0)
            .max_redirects_will_error(false)
            .allow_non_standard_methods(true)
            .proxy(None)
            .user_agent("")
            .accept("")
            .accept_encoding("")
            .max_idle_connections(usize::MAX)
            .max_idle_connections_per_host(connections)
            .max_idle_age(idle_connections)
            .build();
        let agent = Agent::with_parts(config, connector, NoResolver);
        Ok(Self { agent, gate: Gate::new(connections, counts) })
    }

    pub(crate) fn stats(&self) -> PoolStats {
        self.gate.counts().stats()
    }

    /// Sends a request with this body. The connection is closed when `cancel` is used, until the body of the
    /// answer has come to its end.
    pub(crate) fn send(
        &self,
        task: HttpTask,
        body: Option<(Reader, BodyEncoder)>,
        cancel: &Cancel,
    ) -> Result<(http::response::Parts, Download), Unanswered> {
        let host = task.request.uri().authority().map(http::uri::Authority::as_str).unwrap_or_default();
        let permit = self.gate.enter(host, task.timeouts.pool, cancel)?;
        #[cfg(feature = "testing")]
        if let Some(line) = s3_proto::testing::Line::of(&task) {
            return scripted::answer(&line, task, body, permit, cancel);
        }
        let HttpTask { request, timeouts, expect_continue, .. } = task;
        let mut request = request.map(drop);
        if expect_continue {
            request.headers_mut().insert(EXPECT, HeaderValue::from_static("100-continue"));
        }
        let is_short = body.as_ref().is_some_and(|(_, encoder)| (1..=SHORT).contains(&encoder.encoded_len()));
        let exchange = Exchange::new(timeouts, cancel.clone(), is_short && !expect_continue);
        let mut upload = body.map(|body| Upload::new(body, exchange.clone()));
        let answer = exchange.scope(|| match &mut upload {
            Some(upload) => self.agent.run(request.map(|()| SendBody::from_reader(upload))),
            None => self.agent.run(request),
        });
        let (error, all_sent) = upload.map_or((None, true), Upload::end);
        if let Some(error) = error {
            return Err(Unanswered::Source(error));
        }
        let phase = if all_sent { Phase::Wait } else { Phase::Send };
        let (head, body) = match answer {
            Ok(response) => response.into_parts(),
            Err(error) => {
                return Err(failure(error, phase, "the connection was closed before an answer came").into());
            }
        };
        if head.status.is_success() && !all_sent {
            let message = format!("the answer {} came before all of the body had been taken", head.status);
            return Err(Failure::new(phase, TransportErrorKind::Closed, message).into());
        }
        Ok((head, Download::new(body, permit)))
    }
}

/// A body with the right to its connection.
pub(crate) struct Download {
    /// `None` when all has come, or nothing more will.
    open: Option<(BodyReader<'static>, Permit)>,
    /// What is still to come, if the peer has said so.
    left: Option<u64>,
}

impl Download {
    fn new(body: ureq::Body, permit: Permit) -> Self {
        let left = body.content_length();
        let mut download = Self { open: Some((body.into_reader(), permit)), left };
        download.release();
        download
    }

    /// How much is best read at a time: no more than there is, and one byte at least.
    pub(crate) fn piece_len(&self) -> usize {
        self.left.map_or(PIECE, |left| usize::try_from(left).unwrap_or(PIECE).clamp(1, PIECE))
    }

    /// Reads what comes next; 0 is the end.
    pub(crate) fn read(&mut self, buffer: &mut [u8]) -> Result<usize, TransportError> {
        if buffer.is_empty() {
            return Ok(0);
        }
        let Some((reader, _)) = &mut self.open else { return Ok(0) };
        match reader.read(buffer) {
            Ok(0) => {
                self.open = None;
                Ok(0)
            }
            Ok(read) => {
                self.left = self.left.map(|left| left.saturating_sub(read as u64));
                self.release();
                Ok(read)
            }
            Err(error) => {
                self.open = None;
                let error = ureq::Error::from(error);
                Err(failure(error, Phase::Body, "the connection was closed in the middle of the body").cause)
            }
        }
    }

    /// ureq gives a connection back when it is asked for more than there is. Whoever reads just as much as was
    /// announced does not ask.
    fn release(&mut self) {
        if self.left == Some(0)
            && let Some((mut reader, _)) = self.open.take()
        {
            // It does not block, and there is nothing in it.
            let _ = reader.read(&mut [0]);
        }
    }
}

/// What went wrong in ureq, unless it was one of our connections that failed: that knows better.
fn failure(error: ureq::Error, phase: Phase, closed: &str) -> Failure {
    let (kind, message) = match error {
        ureq::Error::Other(inner) => match inner.downcast::<Failure>() {
            Ok(failure) => return *failure,
            Err(inner) => (TransportErrorKind::Protocol, inner.to_string()),
        },
        ureq::Error::Io(error) => (TransportErrorKind::Closed, format!("{closed} ({error})")),
        ureq::Error::Timeout(_) => (TransportErrorKind::Timeout, "the connection timed out".to_owned()),
        error => (TransportErrorKind::Protocol, format!("the answer is not HTTP: {error}")),
    };
    Failure::new(phase, kind, message)
}

#[cfg(test)]
mod tests;
