//! Signing keys that were derived before.

use std::fmt;

use super::SigningKey;
use crate::Error;
use crate::credentials::Credentials;
use crate::secret::Secret;
use crate::timestamp::Timestamp;

/// Keeps the signing keys of the last few (day, region, service, access key): deriving one costs four
/// HMACs, more than the signature itself.
///
/// It holds at most [`CAPACITY`](Self::CAPACITY) keys and gives up the one that was not used for longest,
/// so yesterday's go by themselves.
///
/// ```
/// use s3_proto::sign::KeyCache;
/// use s3_proto::{Credentials, Timestamp};
///
/// let mut cache = KeyCache::new();
/// let credentials = Credentials::new("AKIDEXAMPLE", "swordfish")?;
/// let key = cache.get(&credentials, Timestamp::UNIX_EPOCH, "us-east-1", "s3")?;
/// assert_eq!(key.scope(), "19700101/us-east-1/s3/aws4_request");
/// # Ok::<(), s3_proto::Error>(())
/// ```
#[derive(Default)]
pub struct KeyCache {
    /// Most recently used first. So few that a scan is quicker than a tree.
    entries: Vec<Entry>,
}

struct Entry {
    /// A secret can be replaced under the same access key id, as with stores that let users choose both:
    /// the old key must not be found then.
    secret: Secret<String>,
    key: SigningKey,
}

impl KeyCache {
    /// How many keys are kept: some regions, S3 and S3 Express, the day's change.
    pub const CAPACITY: usize = 16;

    /// An empty cache.
    pub const fn new() -> Self {
        Self { entries: Vec::new() }
    }

    /// The key for these credentials on the day of `time`, derived if it is not here yet.
    ///
    /// # Errors
    /// As [`SigningKey::derive`].
    pub fn get(
        &mut self,
        credentials: &Credentials,
        time: Timestamp,
        region: &str,
        service: &str,
    ) -> Result<SigningKey, Error> {
        let derive = || SigningKey::derive(credentials, time, region, service);
        self.get_or(credentials, time, (None, region), service, derive)
    }

    /// The key of Version 4a for these credentials and this set of regions, as [`get`](Self::get).
    ///
    /// # Errors
    /// As [`SigningKey::derive_v4a`].
    #[cfg(feature = "sigv4a")]
    pub fn get_v4a(
        &mut self,
        credentials: &Credentials,
        time: Timestamp,
        region_set: &str,
        service: &str,
    ) -> Result<SigningKey, Error> {
        let derive = || SigningKey::derive_v4a(credentials, time, region_set, service);
        self.get_or(credentials, time, (Some(region_set), region_set), service, derive)
    }

    fn get_or(
        &mut self,
        credentials: &Credentials,
        time: Timestamp,
        region: (Option<&str>, &str),
        service: &str,
        derive: impl FnOnce() -> Result<SigningKey, Error>,
    ) -> Result<SigningKey, Error> {
        let now = time.amz_date();
        let date = std::str::from_utf8(&now[..8]).unwrap_or_default();
        let secret = credentials.secret_access_key();
        let found = self.entries.iter().position(|Entry { secret: cached, key }| {
            key.is_of(credentials.access_key_id(), date, region, service)
                && same_secret(cached.expose(), secret.expose())
        });
        if let Some(index) = found {
            self.entries[..=index].rotate_right(1);
            return Ok(self.entries[0].key.clone());
        }
        let key = derive()?;
        // An entry of the same scope with another secret will not be asked for again.
        self.entries.retain(|Entry { key: kept, .. }| {
            kept.credential() != key.credential() || kept.region_set() != key.region_set()
        });
        self.entries.truncate(Self::CAPACITY - 1);
        self.entries.insert(0, Entry { secret: secret.clone(), key: key.clone() });
        Ok(key)
    }
}

/// Compares in time that depends on the lengths alone.
fn same_secret(a: &str, b: &str) -> bool {
    let differences = a.bytes().zip(b.bytes()).fold(0, |all, (a, b)| all | (a ^ b));
    a.len() == b.len() && std::hint::black_box(differences) == 0
}

impl fmt::Debug for KeyCache {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.entries.iter().map(|entry| &entry.key)).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;
    use std::time::Duration;

    fn credentials(id: &str, secret: &str) -> Credentials {
        Credentials::new(id, secret).unwrap()
    }

    fn same(a: &SigningKey, b: &SigningKey) -> bool {
        a.sign(&[b"x"]) == b.sign(&[b"x"])
    }

    #[test]
    fn nothing_stale_is_found() {
        let mut cache = KeyCache::new();
        let (now, tomorrow) =
            (Timestamp::UNIX_EPOCH, Timestamp::UNIX_EPOCH.saturating_add(Duration::from_secs(86_400)));
        let key = cache.get(&credentials("A", "one"), now, "r", "s3").unwrap();
        let others = [
            (credentials("A", "two"), now, "r", "s3"),
            (credentials("A", "one "), now, "r", "s3"),
            (credentials("B", "one"), tomorrow, "r", "s3"),
            (credentials("A", "one"), tomorrow, "r", "s3"),
            (credentials("A", "one"), now, "r2", "s3"),
            (credentials("A", "one"), now, "r", "s"),
        ];
        for (credentials, time, region, service) in others {
            let other = cache.get(&credentials, time, region, service).unwrap();
            assert!(!same(&key, &other), "{other:?}");
            let fresh = SigningKey::derive(&credentials, time, region, service).unwrap();
            assert!(same(&fresh, &other), "{other:?}");
        }
        assert!(!format!("{cache:?}").contains("one"));
    }

    #[test]
    fn a_replaced_secret_leaves_no_entry_behind() {
        let mut cache = KeyCache::new();
        for secret in ["one", "two", "three"] {
            cache.get(&credentials("A", secret), Timestamp::UNIX_EPOCH, "r", "s3").unwrap();
        }
        assert_eq!(cache.entries.len(), 1);
    }

    #[test]
    fn the_least_recently_used_goes_first() {
        let mut cache = KeyCache::new();
        let (who, now) = (credentials("A", "one"), Timestamp::UNIX_EPOCH);
        let kept = cache.get(&who, now, "r0", "s3").unwrap();
        for n in 1..100 {
            cache.get(&who, now, &format!("r{n}"), "s3").unwrap();
            let hit = cache.get(&who, now, "r0", "s3").unwrap();
            assert!(Arc::ptr_eq(&kept.0, &hit.0), "hit after {n}");
            assert!(cache.entries.len() <= KeyCache::CAPACITY);
        }
    }

    #[test]
    fn what_cannot_be_signed_for_is_refused() {
        let mut cache = KeyCache::new();
        for region in ["", "a/b", "a b", "a\n", "é"] {
            assert!(
                cache.get(&credentials("A", "one"), Timestamp::UNIX_EPOCH, region, "s3").is_err(),
                "{region:?}"
            );
        }
        assert!(cache.entries.is_empty());
    }
}
