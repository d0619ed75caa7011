//! What a bucket with versions remembers.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use crate::cloud::Object;

/// Versions of objects, and delete markers, which are `None`; in the order of S3's lists: by key, the newest first.
#[derive(Debug, Default)]
pub(crate) struct Versions {
    all: BTreeMap<(String, Reverse<u64>), Option<Object>>,
    made: u64,
}

fn place(key: &str, id: &str) -> (String, Reverse<u64>) {
    (key.to_owned(), Reverse(id.trim_start_matches('v').parse().unwrap_or(0)))
}

impl Versions {
    /// Adds the newest, and says what its id is.
    pub(crate) fn add(&mut self, key: &str, object: Option<Object>) -> String {
        self.made += 1;
        self.all.insert((key.to_owned(), Reverse(self.made)), object);
        format!("v{}", self.made)
    }

    pub(crate) fn get(&self, key: &str, id: &str) -> Option<&Option<Object>> {
        self.all.get(&place(key, id))
    }

    pub(crate) fn remove(&mut self, key: &str, id: &str) {
        self.all.remove(&place(key, id));
    }

    /// Those whose keys begin with `prefix`, after that one.
    pub(crate) fn list<'a>(
        &'a self,
        prefix: &'a str,
        after: (&str, &str),
    ) -> impl Iterator<Item = (&'a str, String, &'a Option<Object>)> {
        let after = place(after.0, after.1);
        let all = self.all.iter().filter(move |(place, _)| **place > after && place.0.starts_with(prefix));
        all.map(|((key, Reverse(id)), object)| (key.as_str(), format!("v{id}"), object))
    }

    /// The newest, unless that is a marker.
    pub(crate) fn current(&self, key: &str) -> Option<Object> {
        let mut all = self.all.range(place(key, &format!("v{}", u64::MAX))..);
        all.next().filter(|((found, _), _)| found == key)?.1.clone()
    }
}
