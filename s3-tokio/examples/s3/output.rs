//! What is shown: results, progress and failures.

use std::borrow::Cow;
use std::fmt;
use std::io::{self, Write as _};
use std::path::Path;
use std::process::ExitCode;

use indicatif::{HumanBytes, ProgressBar, ProgressDrawTarget, ProgressStyle};
use s3_tokio::s3_proto::transfer::{Cleanup, Progress};
use s3_tokio::{Error, ErrorKind};
use serde_json::{Value, json};

const USAGE: u8 = 2;
/// 128 and the number of the signal, as shells have it.
pub(crate) const INTERRUPTED: u8 = 130;

#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Output {
    json: bool,
    quiet: bool,
}

impl Output {
    pub(crate) fn new(json: bool, quiet: bool) -> Self {
        Self { json, quiet }
    }

    /// A result, which was asked for.
    pub(crate) fn result(self, text: impl fmt::Display, json: &Value) -> Result<(), Failure> {
        let line = if self.json { json.to_string() } else { text.to_string() };
        self.text(&format!("{line}\n"))
    }

    /// What was done.
    pub(crate) fn done(self, text: impl fmt::Display, json: &Value) -> Result<(), Failure> {
        if self.quiet { Ok(()) } else { self.result(text, json) }
    }

    #[allow(clippy::unused_self, reason = "it is where text goes")]
    pub(crate) fn text(self, text: &str) -> Result<(), Failure> {
        io::stdout()
            .write_all(text.as_bytes())
            .map_err(|error| Failure::local("writing to standard output", &error))
    }

    /// Something beside the results.
    pub(crate) fn note(self, text: &str) {
        if !self.json {
            // There is nowhere to complain if that does not work.
            let _ = writeln!(io::stderr(), "s3: {text}");
        }
    }

    /// Says what failed, and what is to be returned.
    pub(crate) fn fail(self, failure: &Failure) -> ExitCode {
        let _ = if self.json {
            writeln!(io::stderr(), "{}", json!({ "error": failure.json() }))
        } else {
            writeln!(io::stderr(), "s3: {failure}")
        };
        failure.code()
    }

    /// Shows how far something is, if somebody is watching.
    pub(crate) fn bar(self, what: &str) -> Bar {
        let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr());
        if self.json || self.quiet {
            bar.set_draw_target(ProgressDrawTarget::hidden());
        }
        Bar(bar.with_prefix(what.to_owned()))
    }
}

pub(crate) struct Bar(ProgressBar);

impl Bar {
    /// To be told how far it is.
    pub(crate) fn watcher(&self) -> impl FnMut(&Progress) + Send + 'static {
        let bar = self.0.clone();
        let mut known = false;
        move |progress| {
            if let Some(total) = progress.total.filter(|total| bar.length() != Some(*total)) {
                if !known && let Ok(style) = ProgressStyle::with_template(WITH_TOTAL) {
                    bar.set_style(style.progress_chars("=> "));
                }
                known = true;
                bar.set_length(total);
            }
            bar.set_position(progress.bytes);
            let mut notes = Vec::new();
            if let Some(parts) = progress.total_parts.filter(|parts| *parts > 1) {
                notes.push(format!("part {} of {parts}", progress.parts));
            }
            if progress.objects > 0 {
                notes.push(format!("{} objects", progress.objects));
            }
            if progress.retries > 0 {
                notes.push(format!("{} retries", progress.retries));
            }
            bar.set_message(notes.join(", "));
        }
    }

    /// More has passed, of a transfer that says nothing else.
    pub(crate) fn add(&self, bytes: usize) {
        self.0.inc(bytes as u64);
    }
}

const WITH_TOTAL: &str = "{prefix} [{bar:30}] {bytes}/{total_bytes} {binary_bytes_per_sec} {eta} {msg}";

impl Drop for Bar {
    fn drop(&mut self) {
        self.0.finish_and_clear();
    }
}

/// `8.00 MiB`
pub(crate) fn human(bytes: u64) -> impl fmt::Display {
    HumanBytes(bytes)
}

/// A member of a result that may not be there.
pub(crate) fn text_of<T: fmt::Display>(value: Option<&T>) -> Value {
    value.map_or(Value::Null, |value| Value::String(value.to_string()))
}

/// Why the command did not succeed.
#[derive(Debug)]
pub(crate) enum Failure {
    /// It cannot be meant like that.
    Usage(Cow<'static, str>),
    S3(Error),
    /// Something on this side, or several things that were told of already.
    Other(String),
    /// Ctrl-C, and what is left, if anything is.
    Interrupted(Option<String>),
}

impl Failure {
    pub(crate) fn usage(what: impl Into<Cow<'static, str>>) -> Self {
        Self::Usage(what.into())
    }

    pub(crate) fn local(what: &str, error: &io::Error) -> Self {
        Self::Other(format!("{what} failed: {error}"))
    }

    /// A call that ended since the user wanted so is told of by what it left.
    pub(crate) fn after_interruption(self, checkpoint: Option<&Path>) -> Self {
        let error = match self {
            Self::S3(error) if error.kind() == ErrorKind::Cancelled => error,
            other => return other,
        };
        if let Some(sync) = error.sync_interrupted() {
            let left: Vec<_> = sync.uploads_left().map(|failure| failure.error.to_string()).collect();
            if !left.is_empty() {
                return Self::Interrupted(Some(left.join("\n")));
            }
        }
        let resumable = checkpoint.filter(|path| path.exists());
        let cleanup = error.upload_failure().map(|failure| &failure.cleanup);
        Self::Interrupted(match (cleanup, resumable) {
            (None | Some(Cleanup::Kept), Some(path)) => {
                let path = path.display();
                Some(format!("interrupted: the same command goes on from the checkpoint '{path}'"))
            }
            (Some(Cleanup::Failed(_) | Cleanup::Kept), _) => Some(error.to_string()),
            _ => None,
        })
    }

    fn code(&self) -> ExitCode {
        match self {
            Self::Usage(_) => ExitCode::from(USAGE),
            Self::S3(_) | Self::Other(_) => ExitCode::FAILURE,
            Self::Interrupted(_) => ExitCode::from(INTERRUPTED),
        }
    }

    /// For programs.
    pub(crate) fn json(&self) -> Value {
        match self {
            Self::S3(error) => json!({
                "kind": format!("{:?}", error.kind()),
                "message": error.to_string(),
                "suggestion": error.suggestion(),
                "code": error.code(),
                "status": error.status().map(|status| status.as_u16()),
                "request_id": error.request_id(),
                "bucket": error.bucket(),
                "key": error.key(),
                "retryable": error.is_retryable(),
            }),
            Self::Usage(_) => json!({ "kind": "Usage", "message": self.to_string() }),
            Self::Other(_) => json!({ "kind": "Local", "message": self.to_string() }),
            Self::Interrupted(_) => json!({ "kind": "Interrupted", "message": self.to_string() }),
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Usage(what) => write!(f, "{what} ('s3 help' says what there is)"),
            Self::S3(error) => error.fmt(f),
            Self::Other(what) | Self::Interrupted(Some(what)) => f.write_str(what),
            Self::Interrupted(None) => f.write_str("interrupted: nothing unfinished was left behind"),
        }
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self::S3(error)
    }
}

impl From<lexopt::Error> for Failure {
    fn from(error: lexopt::Error) -> Self {
        Self::usage(error.to_string())
    }
}
