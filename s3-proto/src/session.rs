//! What the calls of a client share: configuration, caches, and the quota of retries.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::breaker::CircuitBreaker;
use crate::config::Config;
use crate::credentials::Cache;
use crate::encode::hex_pair;
use crate::endpoint::Region;
use crate::files::FileId;
use crate::limit::RateLimiter;
use crate::recent::Recent;
use crate::retry::{ClientRate, RetryMode, RetryQuota, Rng};
use crate::sign::{KeyCache, SigningKey};
use crate::skew::ClockSkew;
use crate::{Credentials, Error, Now, Timestamp};

/// Cheap to clone; all clones share the same caches.
#[derive(Clone, Debug)]
pub struct Session(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    config: Config,
    credentials: Cache,
    /// Sessions with directory buckets.
    bucket_sessions: Mutex<Recent<Cache>>,
    keys: Mutex<KeyCache>,
    /// Where buckets turned out to be.
    regions: Mutex<Recent<Region>>,
    quota: Mutex<RetryQuota>,
    /// Of the adaptive mode.
    rate: Option<Mutex<ClientRate>>,
    limiter: Option<Mutex<RateLimiter>>,
    /// By host.
    breakers: Mutex<Recent<CircuitBreaker>>,
    calls: AtomicU64,
    /// Files that machines have opened.
    files: AtomicU64,
    clock: Mutex<ClockSkew>,
}

/// A UUID as it is written.
pub(crate) type InvocationId = [u8; 36];

/// How many hosts have a breaker.
const MAX_BREAKERS: usize = 1_000;

/// How many buckets' regions are remembered.
const MAX_REGIONS: usize = 1_000;

/// With how many directory buckets there are sessions.
const MAX_BUCKET_SESSIONS: usize = 100;

impl Session {
    /// A session with empty caches.
    pub fn new(mut config: Config) -> Self {
        // Told by the host once, and not for each request.
        config.provider = Some(config.provider());
        let adaptive = config.retry.mode == RetryMode::Adaptive;
        Self(Arc::new(Inner {
            rate: adaptive.then(Mutex::default),
            limiter: config.rate_limit.map(|limit| Mutex::new(RateLimiter::new(limit))),
            breakers: Mutex::new(Recent::new(MAX_BREAKERS)),
            config,
            credentials: Cache::default(),
            bucket_sessions: Mutex::new(Recent::new(MAX_BUCKET_SESSIONS)),
            keys: Mutex::new(KeyCache::new()),
            regions: Mutex::new(Recent::new(MAX_REGIONS)),
            quota: Mutex::default(),
            calls: AtomicU64::new(0),
            files: AtomicU64::new(0),
            clock: Mutex::default(),
        }))
    }

    /// How the client is set up.
    pub fn config(&self) -> &Config {
        &self.0.config
    }

    pub(crate) fn credentials(&self) -> &Cache {
        &self.0.credentials
    }

    /// The credentials of sessions with this directory bucket; a call that is fetching goes on with its own if the
    /// bucket is given up.
    pub(crate) fn bucket_credentials(&self, bucket: &str) -> Cache {
        lock(&self.0.bucket_sessions).with(bucket, Cache::for_bucket, |cache| cache.clone())
    }

    pub(crate) fn quota(&self) -> MutexGuard<'_, RetryQuota> {
        lock(&self.0.quota)
    }

    /// The rate of the adaptive mode, if that is the mode.
    pub(crate) fn client_rate(&self) -> Option<MutexGuard<'_, ClientRate>> {
        self.0.rate.as_ref().map(lock)
    }

    /// The limit of the client's own, if it has one.
    pub(crate) fn rate_limiter(&self) -> Option<MutexGuard<'_, RateLimiter>> {
        self.0.limiter.as_ref().map(lock)
    }

    /// Asks or tells the breaker of a host; `None` if there are no breakers.
    pub(crate) fn breaker<T>(&self, host: &str, f: impl FnOnce(&mut CircuitBreaker) -> T) -> Option<T> {
        let config = self.0.config.circuit_breaker?;
        Some(lock(&self.0.breakers).with(host, || CircuitBreaker::new(config), f))
    }

    /// A generator for one call: another for each, the same again in a replay.
    pub(crate) fn rng(&self) -> Rng {
        let call = self.0.calls.fetch_add(1, Ordering::Relaxed);
        Rng::new(self.0.config.seed ^ call.wrapping_mul(0xD6E8_FEB8_6659_FD93))
    }

    /// A name for a file that a machine opens.
    pub(crate) fn new_file(&self) -> FileId {
        FileId::new(self.0.files.fetch_add(1, Ordering::Relaxed))
    }

    /// A name for one call (a UUID, version 4); `None` if no seed was chosen, for it would not be unique then.
    pub(crate) fn invocation_id(&self, mut rng: Rng) -> Option<InvocationId> {
        if self.0.config.seed == 0 {
            return None;
        }
        let random = u128::from(rng.next_u64()) << 64 | u128::from(rng.next_u64());
        let id = random & !(0xF << 76 | 0x3 << 62) | 0x4 << 76 | 0x2 << 62;
        let mut text = [b'-'; 36];
        let mut at = 0;
        for (n, byte) in id.to_be_bytes().into_iter().enumerate() {
            at += usize::from(matches!(n, 4 | 6 | 8 | 10));
            text[at..at + 2].copy_from_slice(&hex_pair(byte));
            at += 2;
        }
        Some(text)
    }

    pub(crate) fn key(
        &self,
        credentials: &Credentials,
        time: Timestamp,
        region: &str,
        service: &str,
    ) -> Result<SigningKey, Error> {
        lock(&self.0.keys).get(credentials, time, region, service)
    }

    #[cfg(feature = "sigv4a")]
    pub(crate) fn key_v4a(
        &self,
        credentials: &Credentials,
        time: Timestamp,
        service: &str,
    ) -> Result<SigningKey, Error> {
        lock(&self.0.keys).get_v4a(credentials, time, "*", service)
    }

    pub(crate) fn region_of(&self, bucket: Option<&str>) -> Region {
        let known = bucket.and_then(|bucket| lock(&self.0.regions).get(bucket).map(|region| region.clone()));
        known.unwrap_or_else(|| self.0.config.region.clone())
    }

    pub(crate) fn remember_region(&self, bucket: &str, region: Region) {
        lock(&self.0.regions).put(bucket, region);
    }

    /// The service's time, as far as it is known.
    pub(crate) fn service_time(&self, now: Now) -> Timestamp {
        lock(&self.0.clock).correct(now.wall)
    }

    pub(crate) fn set_clock_skew(&self, skew: ClockSkew) {
        *lock(&self.0.clock) = skew;
    }
}

/// No section of ours can panic half-way through a change, so a poisoned lock is as good as any.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
