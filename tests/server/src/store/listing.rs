//! ListObjectsV2, ListObjects, and what all lists have in common: prefixes, delimiters, pages, encoding.

use std::fmt::Write as _;
use std::ops::Bound;

use s3s::S3Result;
use s3s::dto::{
    ChecksumAlgorithm, ChecksumType, CommonPrefix, EncodingType, ListObjectsInput, ListObjectsOutput,
    ListObjectsV2Input, ListObjectsV2Output, Object as ListedObject, Timestamp,
};

use super::model::{Bucket, Object, Version};
use super::{Store, as_i32, as_i64, invalid_argument, owner};
use crate::checksum::{base64, from_base64};

/// Most entries of a page.
const MAX_PAGE: i32 = 1000;

/// What is asked of a list.
pub(super) struct Query<'a> {
    pub(super) prefix: &'a str,
    pub(super) delimiter: Option<&'a str>,
    max: usize,
}

impl<'a> Query<'a> {
    pub(super) fn new(
        prefix: Option<&'a str>,
        delimiter: Option<&'a str>,
        max: Option<i32>,
        max_name: &str,
    ) -> S3Result<Self> {
        let max = max.unwrap_or(MAX_PAGE);
        if max < 0 {
            return Err(invalid_argument(format!(
                "Argument {max_name} must be an integer between 0 and 2147483647"
            )));
        }
        Ok(Self {
            prefix: prefix.unwrap_or_default(),
            delimiter: delimiter.filter(|d| !d.is_empty()),
            max: usize::try_from(max.min(MAX_PAGE)).unwrap_or_default(),
        })
    }

    pub(super) fn shown_max(&self) -> i32 {
        as_i32(self.max)
    }

    /// The common prefix that stands for this key, if any.
    fn common_prefix<'k>(&self, key: &'k str) -> Option<&'k str> {
        let delimiter = self.delimiter?;
        let rest = key.strip_prefix(self.prefix)?;
        let end = self.prefix.len() + rest.find(delimiter)? + delimiter.len();
        Some(&key[..end])
    }

    /// Whether a marker is itself a common prefix, so that the list goes on behind all that it stands for.
    pub(super) fn ends_in_delimiter(&self, marker: &str) -> bool {
        self.common_prefix(marker) == Some(marker)
    }
}

/// One page of a list.
pub(super) struct Page<'a, T> {
    pub(super) items: Vec<(&'a str, T)>,
    pub(super) prefixes: Vec<String>,
    pub(super) truncated: bool,
    pub(super) last: Option<Last>,
}

/// The last entry of a page.
pub(super) enum Last {
    Key(String),
    Prefix(String),
}

impl Last {
    pub(super) fn text(&self) -> &str {
        match self {
            Self::Key(text) | Self::Prefix(text) => text,
        }
    }
}

/// Makes a page of items that come in the order of their keys. Keys that begin with `skip` are left out.
pub(super) fn group<'a, T>(
    items: impl Iterator<Item = (&'a str, T)>,
    query: &Query<'_>,
    skip: Option<&str>,
) -> Page<'a, T> {
    let mut page = Page { items: Vec::new(), prefixes: Vec::new(), truncated: false, last: None };
    for (key, item) in items {
        if !key.starts_with(query.prefix) {
            if key > query.prefix {
                break;
            }
            continue;
        }
        if skip.is_some_and(|skip| key.starts_with(skip)) {
            continue;
        }
        let common = query.common_prefix(key);
        if common.is_some() && page.prefixes.last().map(String::as_str) == common {
            continue;
        }
        if page.items.len() + page.prefixes.len() >= query.max {
            // A page of no entries is never called truncated.
            page.truncated = query.max > 0;
            break;
        }
        if let Some(common) = common {
            page.prefixes.push(common.to_owned());
            page.last = Some(Last::Prefix(common.to_owned()));
        } else {
            page.items.push((key, item));
            page.last = Some(Last::Key(key.to_owned()));
        }
    }
    page
}

/// How keys are written in the answer.
#[derive(Clone, Copy)]
pub(super) struct Coding {
    url: bool,
}

impl Coding {
    pub(super) fn new(encoding_type: Option<&EncodingType>) -> S3Result<Self> {
        match encoding_type.map(EncodingType::as_str) {
            None => Ok(Self { url: false }),
            Some(EncodingType::URL) => Ok(Self { url: true }),
            Some(_) => Err(invalid_argument("Invalid Encoding Method specified in Request")),
        }
    }

    pub(super) fn text(self, text: &str) -> String {
        if self.url { url_encode(text) } else { text.to_owned() }
    }
}

/// As S3 does it: form encoding, but with `/` and `*` as they are.
fn url_encode(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'*' | b'/' => {
                out.push(char::from(byte));
            }
            b' ' => out.push('+'),
            _ => {
                let _ = write!(out, "%{byte:02X}");
            }
        }
    }
    out
}

/// Where a page starts.
struct Start {
    key: String,
    skip: bool,
}

impl Start {
    fn at_marker(query: &Query<'_>, marker: Option<&str>) -> Self {
        let key = marker.unwrap_or_default().to_owned();
        Self { skip: query.ends_in_delimiter(&key), key }
    }

    fn from_token(token: &str) -> S3Result<Self> {
        let text = from_base64(token).and_then(|bytes| String::from_utf8(bytes).ok()).unwrap_or_default();
        let start = match text.split_at_checked(1) {
            Some(("k", key)) => Self { key: key.to_owned(), skip: false },
            Some(("p", prefix)) => Self { key: prefix.to_owned(), skip: true },
            _ => return Err(invalid_argument("The continuation token provided is incorrect")),
        };
        Ok(start)
    }

    fn to_token(last: &Last) -> String {
        match last {
            Last::Key(key) => base64(format!("k{key}").as_bytes()),
            Last::Prefix(prefix) => base64(format!("p{prefix}").as_bytes()),
        }
    }
}

type Item<'a> = (&'a Version, &'a Object);

fn page<'a>(bucket: &'a Bucket, query: &Query<'_>, start: &Start) -> Page<'a, Item<'a>> {
    let from = start.key.as_str().max(query.prefix);
    let objects = bucket.keys.range::<str, _>((Bound::Included(from), Bound::Unbounded)).filter_map(
        |(key, versions)| {
            let version = versions.last()?;
            let object = version.object()?;
            let behind = start.key.is_empty() || *key > start.key;
            behind.then_some((key.as_str(), (version, &**object)))
        },
    );
    group(objects, query, start.skip.then_some(&start.key))
}

impl Store {
    pub(super) fn list_v2(&self, input: &ListObjectsV2Input) -> S3Result<ListObjectsV2Output> {
        let query =
            Query::new(input.prefix.as_deref(), input.delimiter.as_deref(), input.max_keys, "max-keys")?;
        let coding = Coding::new(input.encoding_type.as_ref())?;
        let start = match &input.continuation_token {
            Some(token) => Start::from_token(token)?,
            None => Start::at_marker(&query, input.start_after.as_deref()),
        };
        let fetch_owner = input.fetch_owner == Some(true);
        self.with_bucket(&input.bucket, |bucket| {
            let page = page(bucket, &query, &start);
            let last = page.last.as_ref().filter(|_| page.truncated);
            Ok(ListObjectsV2Output {
                name: Some(input.bucket.clone()),
                prefix: Some(coding.text(query.prefix)),
                delimiter: query.delimiter.map(|d| coding.text(d)),
                encoding_type: input.encoding_type.clone(),
                start_after: input.start_after.as_deref().map(|s| coding.text(s)),
                continuation_token: input.continuation_token.clone(),
                max_keys: Some(query.shown_max()),
                key_count: Some(as_i32(page.items.len() + page.prefixes.len())),
                is_truncated: Some(page.truncated),
                next_continuation_token: last.map(Start::to_token),
                contents: Some(contents(&page, coding, fetch_owner)),
                common_prefixes: Some(common_prefixes(&page, coding)),
                ..ListObjectsV2Output::default()
            })
        })
    }

    pub(super) fn list_v1(&self, input: &ListObjectsInput) -> S3Result<ListObjectsOutput> {
        let query =
            Query::new(input.prefix.as_deref(), input.delimiter.as_deref(), input.max_keys, "max-keys")?;
        let coding = Coding::new(input.encoding_type.as_ref())?;
        let start = Start::at_marker(&query, input.marker.as_deref());
        self.with_bucket(&input.bucket, |bucket| {
            let page = page(bucket, &query, &start);
            // NextMarker is only given with a delimiter; else the last key serves (ListObjects, "NextMarker").
            let last = page.last.as_ref().filter(|_| page.truncated && query.delimiter.is_some());
            Ok(ListObjectsOutput {
                name: Some(input.bucket.clone()),
                prefix: Some(coding.text(query.prefix)),
                delimiter: query.delimiter.map(|d| coding.text(d)),
                encoding_type: input.encoding_type.clone(),
                marker: Some(coding.text(&start.key)),
                max_keys: Some(query.shown_max()),
                is_truncated: Some(page.truncated),
                next_marker: last.map(|last| coding.text(last.text())),
                contents: Some(contents(&page, coding, true)),
                common_prefixes: Some(common_prefixes(&page, coding)),
                ..ListObjectsOutput::default()
            })
        })
    }
}

pub(super) fn common_prefixes<T>(page: &Page<'_, T>, coding: Coding) -> Vec<CommonPrefix> {
    page.prefixes.iter().map(|prefix| CommonPrefix { prefix: Some(coding.text(prefix)) }).collect()
}

fn contents(page: &Page<'_, Item<'_>>, coding: Coding, with_owner: bool) -> Vec<ListedObject> {
    page.items
        .iter()
        .map(|(key, (version, object))| {
            let checksum = object.checksum.as_ref();
            ListedObject {
                checksum_algorithm: checksum
                    .map(|c| vec![ChecksumAlgorithm::from_static(c.algorithm.name())]),
                checksum_type: checksum.map(|c| ChecksumType::from_static(c.kind.name())),
                e_tag: Some(object.etag()),
                key: Some(coding.text(key)),
                last_modified: Some(Timestamp::from(version.modified)),
                owner: with_owner.then(owner),
                size: Some(as_i64(object.blob.len())),
                storage_class: Some(object.storage_class().to_owned().into()),
                ..ListedObject::default()
            }
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn encodes_as_s3_does() {
        assert_eq!(url_encode("a b+c%d~*/ü"), "a+b%2Bc%25d%7E*/%C3%BC");
    }

    #[test]
    fn tokens_are_checked() {
        for last in [Last::Key("ü".to_owned()), Last::Prefix("a/".to_owned())] {
            let start = Start::from_token(&Start::to_token(&last)).unwrap();
            assert_eq!(start.key, last.text());
            assert_eq!(start.skip, matches!(last, Last::Prefix(_)));
        }
        for bad in ["", "x", "*", "eA=="] {
            assert!(Start::from_token(bad).is_err());
        }
    }
}
