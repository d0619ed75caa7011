//! Turns: when a request may be sent, if the client limits its rate or the service made it do so.

use crate::session::Session;
use crate::{Error, ErrorKind, Instant, Now};

/// The turn of one request. One that is dropped before it was used goes to those that wait.
#[derive(Debug)]
pub(crate) struct Turn {
    session: Session,
    at: Instant,
    bytes: u64,
    used: bool,
}

impl Turn {
    /// Takes the turn of a request with a body of so many bytes; `None` if nothing limits it.
    ///
    /// # Errors
    /// [`ErrorKind::RateLimited`] if it would have to wait for longer than the user wants.
    pub(crate) fn take(session: &Session, now: Now, bytes: u64) -> Result<Option<Self>, Error> {
        let (adaptive, limiter) = (session.client_rate(), session.rate_limiter());
        if adaptive.is_none() && limiter.is_none() {
            return Ok(None);
        }
        // The limiter first: what it refuses must take nothing from the other.
        let limited = match limiter {
            None => now.mono,
            Some(mut limiter) => limiter.reserve(now.mono, bytes).map_err(|turn| {
                let wait = turn.since(now.mono);
                let message = format!("the rate limit of this client would make it wait for {wait:?}");
                Error::new(ErrorKind::RateLimited, message).with_retry_after(wait)
            })?,
        };
        let adapted = adaptive.map_or(now.mono, |mut rate| rate.reserve(now.mono));
        Ok(Some(Self { session: session.clone(), at: limited.max(adapted), bytes, used: false }))
    }

    /// When it comes.
    pub(crate) fn at(&self) -> Instant {
        self.at
    }

    /// The request is sent.
    pub(crate) fn spend(mut self) {
        self.used = true;
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        if self.used {
            return;
        }
        if let Some(mut limiter) = self.session.rate_limiter() {
            limiter.give_back(self.bytes);
        }
        if let Some(mut rate) = self.session.client_rate() {
            rate.give_back();
        }
    }
}
