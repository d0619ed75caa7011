//! Sessions with directory buckets (S3 Express One Zone), one cache for each bucket.
//!
//! <https://docs.aws.amazon.com/AmazonS3/latest/userguide/s3-express-create-session.html>

use std::collections::BTreeMap;

use super::{Cache, Credentials};
use crate::ops::CreateSessionOutput;
use crate::{Error, ErrorKind, Phase};

/// How many buckets' sessions are kept. The one that was not asked for longest is given up first.
const MAX_BUCKETS: usize = 100;

#[derive(Debug, Default)]
pub(crate) struct BucketSessions {
    buckets: BTreeMap<String, (Cache, u64)>,
    /// Counts the questions, to tell which bucket was not asked for longest.
    asked: u64,
}

impl BucketSessions {
    /// The cache of the bucket's sessions; a call that is fetching goes on with its own if it is given up.
    pub(crate) fn of(&mut self, bucket: &str) -> Cache {
        self.asked += 1;
        if let Some((cache, asked)) = self.buckets.get_mut(bucket) {
            *asked = self.asked;
            return cache.clone();
        }
        if self.buckets.len() >= MAX_BUCKETS {
            let oldest =
                self.buckets.iter().min_by_key(|(_, (_, asked))| *asked).map(|(name, _)| name.clone());
            oldest.and_then(|name| self.buckets.remove(&name));
        }
        let cache = Cache::for_bucket();
        self.buckets.insert(bucket.to_owned(), (cache.clone(), self.asked));
        cache
    }
}

/// What the requests of a session are signed with.
pub(crate) fn session_credentials(output: CreateSessionOutput) -> Result<Credentials, Error> {
    let session = output.credentials;
    let credentials = Credentials::new(session.access_key_id, session.secret_access_key.clone());
    let unusable = |error: Error| {
        let message =
            format!("CreateSession was answered with credentials that cannot be used: {}", error.message());
        Error::new(ErrorKind::MalformedResponse, message).with_phase(Phase::Parse)
    };
    Ok(credentials
        .map_err(unusable)?
        .with_session_token(session.session_token.clone())
        .with_expiry(session.expiration))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bucket_that_was_not_asked_for_longest_is_given_up_first() {
        let mut sessions = BucketSessions::default();
        let names: Vec<_> = (0..MAX_BUCKETS).map(|n| format!("b{n}")).collect();
        for name in &names {
            sessions.of(name);
        }
        sessions.of("b0");
        sessions.of("new");
        assert_eq!(sessions.buckets.len(), MAX_BUCKETS);
        assert!(sessions.buckets.contains_key("b0") && !sessions.buckets.contains_key("b1"));
    }
}
