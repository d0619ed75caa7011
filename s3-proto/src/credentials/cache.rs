//! Credentials that all calls of a client share: fetched once for all that wait.

use std::fmt;
use std::sync::{Arc, Mutex};

use super::Credentials;
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

#[derive(Debug, Default)]
pub(crate) struct Cache(Arc<Mutex<Inner>>);

#[derive(Debug, Default)]
struct Inner {
    current: Option<Arc<Credentials>>,
    generation: u64,
    fetching: Option<Arc<Mutex<Fetch>>>,
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
    /// Credentials that are valid at `wall` and are not the refused ones.
    pub(crate) fn acquire(&self, wall: Timestamp, rejected: Option<Generation>) -> Acquired {
        let mut inner = lock(&self.0);
        let generation = Generation(inner.generation);
        if let Some(current) = &inner.current
            && rejected.is_none_or(|rejected| rejected < generation)
            && current.expires_at().is_none_or(|at| at > wall)
        {
            return Acquired::Ready(Arc::clone(current), generation);
        }
        if let Some(fetch) = &inner.fetching {
            return Acquired::Wait(Ticket(Arc::clone(fetch)));
        }
        let fetch = Arc::<Mutex<Fetch>>::default();
        inner.fetching = Some(Arc::clone(&fetch));
        Acquired::Fetch(Lease { cache: Arc::clone(&self.0), fetch, outcome: Outcome::Abandoned })
    }
}

/// The duty to fetch. Dropping it without an outcome lets somebody else take over.
pub(crate) struct Lease {
    cache: Arc<Mutex<Inner>>,
    fetch: Arc<Mutex<Fetch>>,
    outcome: Outcome,
}

impl Lease {
    /// Ends the fetch for all that wait.
    pub(crate) fn finish(mut self, result: &Result<Credentials, Error>) {
        self.outcome = match result {
            Ok(credentials) => {
                let mut inner = lock(&self.cache);
                inner.current = Some(Arc::new(credentials.clone()));
                inner.generation += 1;
                Outcome::Fetched
            }
            Err(error) => Outcome::Failed(error.clone()),
        };
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        lock(&self.cache).fetching = None;
        let waiting = {
            let mut fetch = lock(&self.fetch);
            fetch.outcome = Some(self.outcome.clone());
            std::mem::take(&mut fetch.waiting)
        };
        waiting.into_iter().for_each(|wake| wake());
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

    const NOW: Timestamp = Timestamp::UNIX_EPOCH;

    fn keys(id: &str) -> Credentials {
        Credentials::new(id, "secret").unwrap()
    }

    fn lease(cache: &Cache) -> Lease {
        match cache.acquire(NOW, None) {
            Acquired::Fetch(lease) => lease,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn one_fetch_serves_all_that_wait() {
        let cache = Cache::default();
        let fetching = lease(&cache);
        let woken = Arc::new(AtomicUsize::new(0));
        for _ in 0..3 {
            let Acquired::Wait(ticket) = cache.acquire(NOW, None) else { panic!("a second fetch") };
            let woken = Arc::clone(&woken);
            ticket.on_ready(move || {
                woken.fetch_add(1, Ordering::Relaxed);
            });
        }
        fetching.finish(&Ok(keys("A")));
        assert_eq!(woken.load(Ordering::Relaxed), 3);
        assert!(matches!(cache.acquire(NOW, None), Acquired::Ready(c, _) if c.access_key_id() == "A"));
    }

    #[test]
    fn those_that_waited_share_the_failure() {
        let cache = Cache::default();
        let fetching = lease(&cache);
        let Acquired::Wait(ticket) = cache.acquire(NOW, None) else { panic!("a second fetch") };
        fetching.finish(&Err(Error::new(ErrorKind::NoCredentials, "none")));
        assert_eq!(ticket.failure().unwrap().kind(), ErrorKind::NoCredentials);
    }

    #[test]
    fn an_abandoned_fetch_is_taken_over() {
        let cache = Cache::default();
        let fetching = lease(&cache);
        let Acquired::Wait(ticket) = cache.acquire(NOW, None) else { panic!("a second fetch") };
        drop(fetching);
        assert!(ticket.failure().is_none());
        lease(&cache).finish(&Ok(keys("B")));
    }

    #[test]
    fn refused_credentials_are_fetched_anew_once() {
        let cache = Cache::default();
        lease(&cache).finish(&Ok(keys("A")));
        let Acquired::Ready(_, first) = cache.acquire(NOW, None) else { panic!("not cached") };
        let Acquired::Fetch(again) = cache.acquire(NOW, Some(first)) else { panic!("not fetched anew") };
        again.finish(&Ok(keys("B")));
        // A sibling whose attempt was signed with the first ones takes the new ones without a fetch.
        assert!(matches!(cache.acquire(NOW, Some(first)), Acquired::Ready(c, _) if c.access_key_id() == "B"));
    }

    #[test]
    fn expired_credentials_are_not_used() {
        let cache = Cache::default();
        lease(&cache).finish(&Ok(keys("A").with_expiry(NOW)));
        assert!(matches!(cache.acquire(NOW, None), Acquired::Fetch(_)));
    }
}
