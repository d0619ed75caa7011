//! Credentials that all calls of a client share: fetched once for all that wait, and anew before they expire.

use std::fmt;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use super::Credentials;
use crate::machine::{Instant, Now};
use crate::session::lock;
use crate::{Error, Timestamp};

/// Which fetch credentials came from: says whether somebody has already replaced those that were refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Generation(u64);

/// What [`Cache::acquire`] says.
#[derive(Debug)]
pub(crate) enum Acquired {
    /// Use these.
    Ready(Arc<Credentials>, Generation),
    /// Nobody is fetching: you do, and tell the cache by the lease.
    Fetch(Lease),
    /// Somebody else is fetching: wait for the ticket, then ask again.
    Wait(Ticket),
}

/// When credentials are fetched anew.
#[derive(Clone, Copy, Debug)]
struct Pace {
    /// So long before they expire.
    before: Duration,
    /// Less a random part of this, which spreads clients that were started together.
    jitter: Duration,
}

impl Pace {
    /// Services have new ones ready by then.
    const ACCOUNT: Self = Self { before: Duration::from_secs(300), jitter: Duration::from_secs(60) };

    /// A session with a bucket lasts five minutes, and a new one is had at any time.
    const BUCKET: Self = Self { before: Duration::from_secs(60), jitter: Duration::from_secs(20) };

    fn early(self, jitter: f64) -> Duration {
        self.before.saturating_sub(self.jitter.mul_f64(jitter.clamp(0.0, 1.0)))
    }
}

impl Default for Pace {
    fn default() -> Self {
        Self::ACCOUNT
    }
}

/// How long is waited after a fetch in the last minutes before the next one, whatever came of it: whoever has
/// no better credentials yet, or is in trouble, is not asked by every call.
const PAUSE: Duration = Duration::from_secs(60);

/// Cheap to clone; all clones are the same cache.
#[derive(Clone, Debug, Default)]
pub(crate) struct Cache(Arc<Mutex<Inner>>);

#[derive(Debug, Default)]
struct Inner {
    current: Option<Current>,
    generation: u64,
    fetching: Option<Arc<Mutex<Fetch>>>,
    /// The last refresh was given up, at a time that nobody told.
    abandoned: bool,
    pace: Pace,
}

#[derive(Debug)]
struct Current {
    credentials: Arc<Credentials>,
    refresh_at: Option<Timestamp>,
    /// No refresh before this. Credentials that were expired when they came are used until then: if the local
    /// clock is wrong, the service takes them, and if it does not, its error says more than ours could.
    rest_until: Instant,
}

impl Current {
    fn is_valid(&self, now: Now) -> bool {
        self.credentials.expires_at().is_none_or(|at| at > now.wall) || now.mono < self.rest_until
    }

    fn wants_refresh(&self, now: Now) -> bool {
        self.refresh_at.is_some_and(|at| at <= now.wall) && self.rest_until <= now.mono
    }

    /// Until when not to try again: a while, but never so long that there is no try left.
    fn rest(&mut self, now: Now) {
        let left = self.credentials.expires_at().map_or(PAUSE, |at| at.since(now.wall));
        let pause = if left.is_zero() { PAUSE } else { PAUSE.min(left / 2).max(Duration::from_secs(1)) };
        self.rest_until = now.mono.saturating_add(pause);
    }
}

#[derive(Default)]
struct Fetch {
    outcome: Option<Outcome>,
    waiting: Vec<Box<dyn FnOnce() + Send>>,
}

#[derive(Clone, Debug)]
enum Outcome {
    Fetched,
    Failed(Error),
    /// Whoever fetched was cancelled: the next one has to.
    Abandoned,
}

impl Cache {
    /// A cache for sessions with one bucket.
    pub(crate) fn for_bucket() -> Self {
        Self(Arc::new(Mutex::new(Inner { pace: Pace::BUCKET, ..Inner::default() })))
    }

    /// Whether credentials of this fetch have been replaced.
    pub(crate) fn has_newer_than(&self, generation: Generation) -> bool {
        Generation(lock(&self.0).generation) > generation
    }

    /// Credentials that are valid now and are not the refused ones. In the minutes before they expire one
    /// caller is told to fetch, while the others go on with what there is.
    pub(crate) fn acquire(&self, now: Now, rejected: Option<Generation>) -> Acquired {
        let mut inner = lock(&self.0);
        if std::mem::take(&mut inner.abandoned)
            && let Some(current) = inner.current.as_mut().filter(|current| current.is_valid(now))
        {
            current.rest(now);
        }
        let generation = Generation(inner.generation);
        let usable = inner
            .current
            .as_ref()
            .filter(|current| rejected.is_none_or(|rejected| rejected < generation) && current.is_valid(now));
        if let Some(current) = usable
            && (inner.fetching.is_some() || !current.wants_refresh(now))
        {
            return Acquired::Ready(Arc::clone(&current.credentials), generation);
        }
        let spare = usable.is_some();
        if let Some(fetch) = &inner.fetching {
            return Acquired::Wait(Ticket(Arc::clone(fetch)));
        }
        let fetch = Arc::<Mutex<Fetch>>::default();
        inner.fetching = Some(Arc::clone(&fetch));
        Acquired::Fetch(Lease { cache: Arc::clone(&self.0), fetch, outcome: Outcome::Abandoned, spare })
    }
}

/// The duty to fetch. Dropping it without an outcome lets somebody else take over: at once if there is nothing to go
/// on with; else, as whoever fetched may have hung until its time was up, after the pause that follows a failure.
pub(crate) struct Lease {
    cache: Arc<Mutex<Inner>>,
    fetch: Arc<Mutex<Fetch>>,
    outcome: Outcome,
    /// There are credentials to go on with if this fails.
    spare: bool,
}

impl Lease {
    /// Ends the fetch for all that wait. `jitter` is between 0 and 1.
    ///
    /// # Errors
    /// That of the fetch, unless the old credentials can be used on.
    pub(crate) fn finish(
        mut self,
        result: Result<Credentials, Error>,
        now: Now,
        jitter: f64,
    ) -> Result<(), Error> {
        match result {
            Ok(credentials) => {
                let expires_at = credentials.expires_at();
                if let Some(at) = expires_at.filter(|at| *at <= now.wall) {
                    tracing::warn!(expired = %at, now = %now.wall, "the credentials had expired when they came");
                }
                let mut inner = lock(&self.cache);
                let refresh_at = expires_at.map(|at| at.saturating_sub(inner.pace.early(jitter)));
                let credentials = Arc::new(credentials);
                let mut current = Current { credentials, refresh_at, rest_until: now.mono };
                if expires_at.is_some() {
                    current.rest(now);
                }
                inner.current = Some(current);
                inner.generation += 1;
                self.outcome = Outcome::Fetched;
                Ok(())
            }
            Err(error) => {
                self.outcome = Outcome::Failed(error.clone());
                if !self.spare {
                    return Err(error);
                }
                if let Some(current) = &mut lock(&self.cache).current {
                    current.rest(now);
                }
                tracing::warn!(
                    error.kind = ?error.kind(),
                    error.code = error.code(),
                    "the credentials could not be refreshed; the old ones are used on"
                );
                Ok(())
            }
        }
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        {
            let mut inner = lock(&self.cache);
            inner.fetching = None;
            inner.abandoned = self.spare && matches!(self.outcome, Outcome::Abandoned);
        }
        let waiting = {
            let mut fetch = lock(&self.fetch);
            fetch.outcome = Some(self.outcome.clone());
            std::mem::take(&mut fetch.waiting)
        };
        for wake in waiting {
            wake();
        }
    }
}

impl fmt::Debug for Lease {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Lease")
    }
}

impl fmt::Debug for Fetch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Fetch").field("waiting", &self.waiting.len()).finish_non_exhaustive()
    }
}

/// A place in the queue for credentials that another call is fetching.
#[derive(Debug)]
pub struct Ticket(Arc<Mutex<Fetch>>);

impl Ticket {
    /// Calls back once the fetch is over, at once if it is already; from whatever thread ends it. The
    /// callback should do no more than wake somebody who then answers the task with
    /// [`Answer::Ready`](crate::Answer::Ready).
    pub fn on_ready(&self, wake: impl FnOnce() + Send + 'static) {
        let mut fetch = lock(&self.0);
        if fetch.outcome.is_none() {
            fetch.waiting.push(Box::new(wake));
        } else {
            drop(fetch);
            wake();
        }
    }

    pub(crate) fn share(&self) -> Self {
        Self(Arc::clone(&self.0))
    }

    /// The failure of the fetch that was joined, if it failed.
    pub(crate) fn failure(&self) -> Option<Error> {
        match &lock(&self.0).outcome {
            Some(Outcome::Failed(error)) => Some(error.clone()),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ErrorKind;
    use std::sync::atomic::{AtomicUsize, Ordering};

    fn at(seconds: u64) -> Now {
        let since = Duration::from_secs(seconds);
        Now { mono: Instant::from_origin(since), wall: Timestamp::UNIX_EPOCH.saturating_add(since) }
    }

    fn keys(id: &str) -> Credentials {
        Credentials::new(id, "secret").unwrap()
    }

    fn until(id: &str, seconds: u64) -> Credentials {
        keys(id).with_expiry(at(seconds).wall)
    }

    fn lease(cache: &Cache, now: Now) -> Lease {
        match cache.acquire(now, None) {
            Acquired::Fetch(lease) => lease,
            other => panic!("{other:?}"),
        }
    }

    fn id(cache: &Cache, now: Now) -> String {
        match cache.acquire(now, None) {
            Acquired::Ready(credentials, _) => credentials.access_key_id().to_owned(),
            other => panic!("{other:?}"),
        }
    }

    fn outage() -> Result<Credentials, Error> {
        Err(Error::new(ErrorKind::CredentialsProvider, "outage"))
    }

    #[test]
    fn one_fetch_serves_all_that_wait() {
        let cache = Cache::default();
        let fetching = lease(&cache, at(0));
        let woken = Arc::new(AtomicUsize::new(0));
        for _ in 0..3 {
            let Acquired::Wait(ticket) = cache.acquire(at(0), None) else { panic!("a second fetch") };
            let woken = Arc::clone(&woken);
            ticket.on_ready(move || {
                woken.fetch_add(1, Ordering::Relaxed);
            });
        }
        fetching.finish(Ok(keys("A")), at(0), 0.0).unwrap();
        assert_eq!(woken.load(Ordering::Relaxed), 3);
        assert_eq!(id(&cache, at(0)), "A");
    }

    #[test]
    fn those_that_waited_share_the_failure() {
        let cache = Cache::default();
        let fetching = lease(&cache, at(0));
        let Acquired::Wait(ticket) = cache.acquire(at(0), None) else { panic!("a second fetch") };
        assert!(fetching.finish(outage(), at(0), 0.0).is_err());
        assert_eq!(ticket.failure().unwrap().message(), "outage");
    }

    #[test]
    fn an_abandoned_fetch_is_taken_over() {
        let cache = Cache::default();
        let fetching = lease(&cache, at(0));
        let Acquired::Wait(ticket) = cache.acquire(at(0), None) else { panic!("a second fetch") };
        drop(fetching);
        assert!(ticket.failure().is_none());
        lease(&cache, at(0)).finish(Ok(keys("B")), at(0), 0.0).unwrap();
    }

    #[test]
    fn refused_credentials_are_fetched_anew_once() {
        let cache = Cache::default();
        lease(&cache, at(0)).finish(Ok(keys("A")), at(0), 0.0).unwrap();
        let Acquired::Ready(_, first) = cache.acquire(at(0), None) else { panic!("not cached") };
        let Acquired::Fetch(again) = cache.acquire(at(0), Some(first)) else { panic!("not fetched anew") };
        again.finish(Ok(keys("B")), at(0), 0.0).unwrap();
        // A sibling whose attempt was signed with the first ones takes the new ones without a fetch.
        assert!(
            matches!(cache.acquire(at(0), Some(first)), Acquired::Ready(c, _) if c.access_key_id() == "B")
        );
    }

    #[test]
    fn in_the_last_minutes_one_caller_fetches_and_the_others_go_on() {
        let cache = Cache::default();
        lease(&cache, at(0)).finish(Ok(until("A", 3_600)), at(0), 0.5).unwrap();
        assert_eq!(id(&cache, at(3_600 - 271)), "A");
        let fetching = lease(&cache, at(3_600 - 270));
        assert_eq!(id(&cache, at(3_600 - 270)), "A");
        fetching.finish(Ok(until("B", 7_200)), at(3_600 - 269), 0.5).unwrap();
        assert_eq!(id(&cache, at(3_600 - 269)), "B");
    }

    #[test]
    fn the_old_ones_are_used_on_after_an_outage_which_is_not_probed_by_every_call() {
        let cache = Cache::default();
        lease(&cache, at(0)).finish(Ok(until("A", 3_600)), at(0), 0.0).unwrap();
        lease(&cache, at(3_300)).finish(outage(), at(3_300), 0.0).unwrap();
        assert_eq!(id(&cache, at(3_359)), "A");
        lease(&cache, at(3_360)).finish(outage(), at(3_360), 0.0).unwrap();
        assert_eq!(id(&cache, at(3_361)), "A");
        // Once they have expired, the outage is the caller's.
        assert!(lease(&cache, at(3_600)).finish(outage(), at(3_600), 0.0).is_err());
    }

    #[test]
    fn an_abandoned_refresh_leaves_the_old_ones_alone_for_a_while() {
        let cache = Cache::default();
        lease(&cache, at(0)).finish(Ok(until("A", 3_600)), at(0), 0.0).unwrap();
        // However long it hung.
        drop(lease(&cache, at(3_300)));
        assert_eq!((id(&cache, at(3_400)), id(&cache, at(3_459))), ("A".to_owned(), "A".to_owned()));
        drop(lease(&cache, at(3_460)));
        // Resting keeps nothing alive that has expired meanwhile.
        drop(lease(&cache, at(3_600)));
        drop(lease(&cache, at(3_601)));
    }

    #[test]
    fn refused_credentials_are_no_spare() {
        let cache = Cache::default();
        lease(&cache, at(0)).finish(Ok(until("A", 3_600)), at(0), 0.0).unwrap();
        let Acquired::Ready(_, first) = cache.acquire(at(1), None) else { panic!("not cached") };
        let Acquired::Fetch(again) = cache.acquire(at(1), Some(first)) else { panic!("not fetched anew") };
        assert!(again.finish(outage(), at(1), 0.0).is_err());
    }

    #[test]
    fn short_lived_credentials_are_not_fetched_by_every_call() {
        let cache = Cache::default();
        lease(&cache, at(0)).finish(Ok(until("A", 90)), at(0), 0.0).unwrap();
        assert_eq!(id(&cache, at(44)), "A");
        drop(lease(&cache, at(45)));
    }

    #[test]
    fn credentials_that_come_expired_are_tried_for_a_while() {
        let cache = Cache::default();
        lease(&cache, at(1_000)).finish(Ok(until("A", 10)), at(1_000), 0.0).unwrap();
        assert_eq!(id(&cache, at(1_059)), "A");
        drop(lease(&cache, at(1_060)));
    }
}
