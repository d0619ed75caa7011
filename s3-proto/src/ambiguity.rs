//! Writes whose answer was lost, and what the answer to the next attempt then means.
//!
//! An attempt that broke off after it was sent, or that the service failed at (5xx), may have done its work all
//! the same. Most writes can simply be repeated, with the same end. For the others the next attempt may meet what
//! the lost one did, and be refused because of it: the rules say which refusals those are, and how to find out.

use http::header::{ETAG, LAST_MODIFIED};
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, response};
use md5::{Digest as _, Md5};

use crate::checksum::{Checksum, ChecksumAlgorithm, Hasher};
use crate::config::Config;
use crate::exchange::content_length;
use crate::machine::Payload;
use crate::ops::{Draft, FromHeaders as _};
use crate::xml::{self, Reader};
use crate::{ETag, Error, ErrorKind, Timestamp};

/// What a refusal means after an attempt whose answer was lost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Meaning {
    /// The lost attempt has done it.
    Done,
    /// It has done it if there is no object now.
    DoneIfGone,
    /// It has done it if what is there is what was sent.
    DoneIfSame,
    /// It has done it if what is there is what is in the source.
    DoneIfSameAsSource,
}

/// One refusal of one operation.
pub(crate) struct Rule {
    operation: &'static str,
    refusals: &'static [ErrorKind],
    meaning: Meaning,
}

/// Operations that are not here are repeated, and whatever the last attempt is answered is the answer:
///
/// - PutObject, CopyObject and CompleteMultipartUpload without a condition, UploadPart, UploadPartCopy, tags and
///   other configuration: the same end, however often. A bucket with versions may hold one more of them.
/// - DeleteObject without a condition, DeleteObjects: what is gone stays gone, and is answered so.
/// - CreateMultipartUpload: another upload. The lost one holds no parts, and a lifecycle rule removes it.
/// - PutObject that appends (`x-amz-write-offset-bytes`): the service takes each offset once, so nothing is
///   written twice; the error says that the object is longer by now.
const RULES: &[Rule] = &[
    // The condition does not hold any more because our own object is there.
    Rule {
        operation: "PutObject",
        refusals: &[ErrorKind::PreconditionFailed, ErrorKind::Conflict],
        meaning: Meaning::DoneIfSame,
    },
    // An upload that is complete is no upload any more; aborted ones are gone too, so it is looked at.
    Rule {
        operation: "CompleteMultipartUpload",
        refusals: &[ErrorKind::NoSuchUpload, ErrorKind::PreconditionFailed, ErrorKind::Conflict],
        meaning: Meaning::DoneIfSame,
    },
    // As for PutObject; what was copied is known from its source only.
    Rule {
        operation: "CopyObject",
        refusals: &[ErrorKind::PreconditionFailed, ErrorKind::Conflict],
        meaning: Meaning::DoneIfSameAsSource,
    },
    // If-Match on what is gone is refused, but gone is what was asked for.
    Rule {
        operation: "DeleteObject",
        refusals: &[ErrorKind::NoSuchKey, ErrorKind::NoSuchVersion, ErrorKind::NotFound],
        meaning: Meaning::Done,
    },
    // Stores refuse If-Match on what is gone with 412 as well; an object there is somebody else's.
    Rule {
        operation: "DeleteObject",
        refusals: &[ErrorKind::PreconditionFailed, ErrorKind::Conflict],
        meaning: Meaning::DoneIfGone,
    },
    // It is there and ours, which is what was asked for.
    Rule {
        operation: "CreateBucket",
        refusals: &[ErrorKind::BucketAlreadyOwnedByYou],
        meaning: Meaning::Done,
    },
    // It is gone, which is what was asked for.
    Rule { operation: "DeleteBucket", refusals: &[ErrorKind::NoSuchBucket], meaning: Meaning::Done },
    // It is gone, which is what was asked for.
    Rule { operation: "AbortMultipartUpload", refusals: &[ErrorKind::NoSuchUpload], meaning: Meaning::Done },
];

/// What the refusal of an operation means after a lost attempt, if it is more than an error.
pub(crate) fn meaning_of(operation: &str, refusal: ErrorKind) -> Option<Meaning> {
    let rule = RULES.iter().find(|r| r.operation == operation && r.refusals.contains(&refusal));
    rule.map(|rule| rule.meaning)
}

/// A conditional write from a source keeps a checksum of what it sends, or it could not be recognised: that which goes
/// with it, or else the MD5 that most ETags are.
pub(crate) fn keep_evidence(operation: &str, draft: &mut Draft, config: &Config) {
    if operation != "PutObject" || !matches!(draft.payload, Payload::Source { .. }) {
        return;
    }
    if draft.headers.contains_key("if-match") || draft.headers.contains_key("if-none-match") {
        let algorithm = draft.checksum.clone().filter(ChecksumAlgorithm::is_computed);
        let by_default =
            if config.sends_checksums() { ChecksumAlgorithm::Crc64Nvme } else { ChecksumAlgorithm::Md5 };
        draft.observe.get_or_insert(algorithm.unwrap_or(by_default));
    }
}

/// The first attempt of a call that may have done its work without our hearing of it.
#[derive(Clone, Debug)]
pub(crate) struct Lost {
    /// When it was sent, by our clock.
    pub(crate) at: Timestamp,
    /// The checksum of what was sent, if it was read from a source and all of it went out.
    pub(crate) sent: Option<Checksum>,
}

/// A look at what is there, to find out whether a lost attempt has done it.
#[derive(Debug)]
pub(crate) struct Look {
    pub(crate) meaning: Meaning,
    /// The write that was refused.
    pub(crate) write: Draft,
    refusal: Error,
    lost: Lost,
    /// What the source of a copy is like, once that is known.
    source: Option<HeaderMap>,
}

/// What to do after a look.
pub(crate) enum Next {
    /// Look at this as well.
    Look(Box<Draft>, Box<Look>),
    /// The write is done: its answer, as far as it can be told.
    Done(Box<response::Parts>, Vec<u8>),
    Failed(Error),
}

impl Look {
    /// Begins to look; the request comes first.
    pub(crate) fn begin(meaning: Meaning, write: Draft, refusal: Error, lost: Lost) -> Next {
        let look = Box::new(Self { meaning, write, refusal, lost, source: None });
        match meaning {
            Meaning::Done => done(&look.write, &HeaderMap::new(), Vec::new()),
            Meaning::DoneIfGone | Meaning::DoneIfSame => Next::Look(Box::new(head_of(&look.write)), look),
            Meaning::DoneIfSameAsSource => match source_of(&look.write) {
                Some(draft) => Next::Look(Box::new(draft), look),
                None => Next::Failed(look.unknown("the source cannot be looked at")),
            },
        }
    }

    /// The object is there, as this head says; `here` is our time minus the service's.
    pub(crate) fn found(mut self: Box<Self>, head: &response::Parts, behind: crate::skew::ClockSkew) -> Next {
        if self.meaning == Meaning::DoneIfGone {
            return Next::Failed(self.refused("there is an object"));
        }
        if self.meaning == Meaning::DoneIfSameAsSource && self.source.is_none() {
            self.source = Some(head.headers.clone());
            return Next::Look(Box::new(head_of(&self.write)), self);
        }
        // Dates are to the second, on both sides. That of an object in parts is when its upload began:
        // https://docs.aws.amazon.com/AmazonS3/latest/userguide/UsingMetadata.html
        let since = behind.correct(self.lost.at).saturating_sub(std::time::Duration::from_secs(2));
        let modified = head.headers.get(LAST_MODIFIED).and_then(|v| v.to_str().ok());
        let is_older = modified.and_then(Timestamp::parse_http_date).is_some_and(|modified| modified < since);
        if is_older && self.write.method != Method::POST {
            return Next::Failed(self.refused("what is there is older"));
        }
        match self.is_same(&head.headers) {
            Some(true) => {
                let body = self.body(&head.headers);
                done(&self.write, &head.headers, body)
            }
            Some(false) => Next::Failed(self.refused("what is there is something else")),
            None => Next::Failed(self.unknown("what is there cannot be compared with what was sent")),
        }
    }

    /// There is nothing to look at, or looking failed.
    pub(crate) fn not_found(self: Box<Self>, error: &Error) -> Next {
        let gone = error.status() == Some(StatusCode::NOT_FOUND);
        match self.meaning {
            Meaning::DoneIfGone if gone => done(&self.write, &HeaderMap::new(), Vec::new()),
            _ if gone => Next::Failed(self.refused("there is no object")),
            _ => Next::Failed(self.unknown(&format!("looking failed: {}", error.message()))),
        }
    }

    /// The lost attempt has not done it.
    fn refused(&self, found: &str) -> Error {
        self.error("it is not what is there now", found)
    }

    /// It may have.
    fn unknown(&self, why: &str) -> Error {
        self.error("it may have done it", why).with_ambiguity(true)
    }

    fn error(&self, verdict: &str, why: &str) -> Error {
        let refusal = self.refusal.message();
        let message = format!("{refusal} (the answer to an earlier attempt was lost, and {verdict}: {why})");
        self.refusal.clone().with_message(message)
    }

    /// Whether what is there is what was sent; `None` if it cannot be told.
    fn is_same(&self, found: &HeaderMap) -> Option<bool> {
        if let Some(source) = &self.source {
            return same_heads(source, found);
        }
        if self.write.method == Method::POST {
            let expected = multipart_etag(&self.write.payload)?;
            return etag(found).map(|etag| etag == expected);
        }
        if content_length(found).is_some_and(|len| len != self.write.payload.len())
            || !same_metadata(&self.write.headers, found)
        {
            return Some(false);
        }
        same_content(&self.write.payload, self.lost.sent.as_ref(), found)
    }

    /// The body of the answer, for operations that have one.
    fn body(&self, found: &HeaderMap) -> Vec<u8> {
        if self.write.method != Method::POST && self.source.is_none() {
            return Vec::new();
        }
        let mut xml = xml::Writer::new("Result", None);
        if let Some(bucket) = &self.write.bucket {
            xml.element("Bucket", bucket);
        }
        if let Some(key) = &self.write.key {
            xml.element("Key", key);
        }
        if let Some(etag) = found.get(ETAG).and_then(|v| v.to_str().ok()) {
            xml.element("ETag", etag);
        }
        let modified = found.get(LAST_MODIFIED).and_then(|v| v.to_str().ok());
        if let Some(modified) = modified.and_then(Timestamp::parse_http_date) {
            xml.element("LastModified", &modified.rfc3339());
        }
        xml.finish().to_vec()
    }
}

/// The answer to a write that was done by the attempt that was lost: what can be seen of the object.
fn done(write: &Draft, found: &HeaderMap, body: Vec<u8>) -> Next {
    let (mut head, ()) = http::Response::new(()).into_parts();
    head.status = if write.method == Method::DELETE { StatusCode::NO_CONTENT } else { StatusCode::OK };
    head.headers = found.clone();
    Next::Done(Box::new(head), body)
}

/// Headers that a look takes over from the write: keys that the object is encrypted with, and who asks.
const KEPT: [&str; 5] = [
    "x-amz-expected-bucket-owner",
    "x-amz-request-payer",
    "x-amz-server-side-encryption-customer-algorithm",
    "x-amz-server-side-encryption-customer-key",
    "x-amz-server-side-encryption-customer-key-md5",
];

/// HeadObject of what a write is about.
fn head_of(write: &Draft) -> Draft {
    let mut draft = Draft::new(Method::HEAD);
    (draft.bucket, draft.key) = (write.bucket.clone(), write.key.clone());
    draft.bucket_rule = write.bucket_rule;
    draft.query = write.query.split('&').filter(|pair| pair.starts_with("versionId=")).collect();
    for name in KEPT {
        if let Some(value) = write.headers.get(name) {
            draft.headers.insert(name, value.clone());
        }
    }
    with_checksum(draft)
}

/// HeadObject of the source of a copy, unless it is named by an ARN.
fn source_of(write: &Draft) -> Option<Draft> {
    let text = write.headers.get("x-amz-copy-source")?.to_str().ok()?;
    let (path, version) = match text.split_once("?versionId=") {
        Some((path, version)) => (path, Some(version)),
        None => (text, None),
    };
    let path = crate::encode::uri_decode(path.strip_prefix('/').unwrap_or(path));
    let (bucket, key) = path.split_once('/').filter(|(bucket, _)| !bucket.contains(':'))?;
    let mut draft = Draft::new(Method::HEAD).bucket(bucket).key(key);
    if let Some(version) = version {
        draft = draft.query("versionId", &crate::encode::uri_decode(version));
    }
    for name in &KEPT[2..] {
        let of_source = name.replace("x-amz-", "x-amz-copy-source-");
        if let Some(value) = write.headers.get(of_source) {
            draft.headers.insert(*name, value.clone());
        }
    }
    Some(with_checksum(draft))
}

fn with_checksum(mut draft: Draft) -> Draft {
    let name = HeaderName::from_static("x-amz-checksum-mode");
    draft.headers.insert(name, HeaderValue::from_static("ENABLED"));
    draft
}

fn etag(headers: &HeaderMap) -> Option<ETag> {
    headers.get(ETAG)?.to_str().ok().map(ETag::new)
}

/// A checksum of the whole content, if the store has one.
fn checksum(headers: &HeaderMap) -> Option<Checksum> {
    let checksum = Option::<Checksum>::from_headers("", headers).ok()??;
    (checksum.composite_parts().is_none() && checksum.algorithm().is_computed()).then_some(checksum)
}

fn same_content(payload: &Payload, sent: Option<&Checksum>, found: &HeaderMap) -> Option<bool> {
    let stored = checksum(found);
    match (payload, stored, sent) {
        (Payload::Bytes(bytes), Some(stored), _) => {
            let mut hasher = Hasher::new(stored.algorithm()).ok()?;
            hasher.update(bytes);
            Some(hasher.finish() == stored)
        }
        (Payload::Source { .. }, Some(stored), Some(sent)) if sent.algorithm() == stored.algorithm() => {
            Some(*sent == stored)
        }
        (Payload::Bytes(bytes), None, _) => same_md5(&Md5::digest(bytes), found),
        (Payload::Empty, ..) => same_md5(&Md5::digest([]), found),
        (Payload::Source { .. }, _, Some(sent)) if *sent.algorithm() == ChecksumAlgorithm::Md5 => {
            same_md5(sent.bytes(), found)
        }
        _ => None,
    }
}

/// Compares with an ETag that is an MD5, as it is unless the object is encrypted with a key of KMS or of the
/// user, or made of parts.
fn same_md5(digest: &[u8], found: &HeaderMap) -> Option<bool> {
    // If it is another, it may be no MD5, though it looks like one.
    (etag(found)?.as_str().eq_ignore_ascii_case(&crate::encode::hex(digest))).then_some(true)
}

/// Whether two objects have the same content by what their heads say.
fn same_heads(a: &HeaderMap, b: &HeaderMap) -> Option<bool> {
    if content_length(a) != content_length(b) {
        return Some(false);
    }
    match (checksum(a), checksum(b)) {
        (Some(a), Some(b)) if a.algorithm() == b.algorithm() => Some(a == b),
        _ => (etag(a)? == etag(b)?).then_some(true),
    }
}

/// User metadata tells writers apart that write the same content, as for a lock.
fn same_metadata(ours: &HeaderMap, found: &HeaderMap) -> bool {
    let metadata = |headers: &HeaderMap| {
        let mut all: Vec<(String, Vec<u8>)> = headers
            .iter()
            .filter(|(name, _)| name.as_str().starts_with("x-amz-meta-"))
            .map(|(name, value)| (name.as_str().to_owned(), value.as_bytes().trim_ascii().to_vec()))
            .collect();
        all.sort_unstable();
        all
    };
    metadata(ours) == metadata(found)
}

/// The ETag that S3 gives an object of the parts that CompleteMultipartUpload names: the MD5 of their MD5s, and
/// their number. `None` if they are not MD5s.
fn multipart_etag(body: &Payload) -> Option<ETag> {
    let Payload::Bytes(body) = body else { return None };
    let mut reader = Reader::new(body);
    reader.root().ok()?;
    let (mut hasher, mut parts) = (Md5::new(), 0u32);
    while let Some(name) = reader.child().ok()? {
        if name != "Part" {
            reader.skip().ok()?;
            continue;
        }
        while let Some(name) = reader.child().ok()? {
            if name == "ETag" {
                hasher.update(md5_of(ETag::new(reader.text().ok()?).as_str())?);
                parts += 1;
            } else {
                reader.skip().ok()?;
            }
        }
    }
    (parts > 0).then(|| ETag::new(format!("{}-{parts}", crate::encode::hex(&hasher.finalize()))))
}

fn md5_of(hex: &str) -> Option<[u8; 16]> {
    let mut digest = [0; 16];
    if hex.len() != 32 || !hex.bytes().all(|b| b.is_ascii_hexdigit()) {
        return None;
    }
    for (byte, at) in digest.iter_mut().zip((0..32).step_by(2)) {
        *byte = u8::from_str_radix(hex.get(at..at + 2)?, 16).ok()?;
    }
    Some(digest)
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::Bytes;

    #[test]
    fn each_rule_is_of_an_operation_that_there_is_and_hides_no_other() {
        let names: Vec<_> = crate::ops::descriptions().iter().map(|d| d.name).collect();
        for rule in RULES {
            assert!(names.contains(&rule.operation), "{}", rule.operation);
            assert!(!rule.refusals.is_empty(), "{}", rule.operation);
            for refusal in rule.refusals {
                assert_eq!(meaning_of(rule.operation, *refusal), Some(rule.meaning), "no rule hides another");
            }
        }
        assert_eq!(meaning_of("PutObject", ErrorKind::AccessDenied), None);
        assert_eq!(meaning_of("UploadPart", ErrorKind::PreconditionFailed), None);
    }

    #[test]
    fn the_etag_of_an_upload_follows_from_its_parts() {
        let body = "<CompleteMultipartUpload><Part><ETag>&quot;0cc175b9c0f1b6a831c399e269772661&quot;</ETag>\
                    <PartNumber>1</PartNumber></Part><Part><ETag>92eb5ffee6ae2fec3ad71c777531578f</ETag>\
                    <PartNumber>2</PartNumber></Part></CompleteMultipartUpload>";
        let etag = multipart_etag(&Payload::Bytes(Bytes::from(body)));
        // md5(md5("a") + md5("b"))
        assert_eq!(etag.unwrap().as_str(), "96e024ba2074fe77e8e965ba43a704be-2");
        let opaque = body.replace("0cc175b9c0f1b6a831c399e269772661", "opaque");
        assert!(multipart_etag(&Payload::Bytes(Bytes::from(opaque))).is_none());
        assert!(multipart_etag(&Payload::Bytes(Bytes::from("<a"))).is_none());
    }

    #[test]
    fn the_source_of_a_copy_is_read_from_its_header() {
        let source = |text: &str| {
            let mut draft = Draft::new(Method::PUT);
            draft.headers.insert("x-amz-copy-source", text.parse().unwrap());
            source_of(&draft).map(|d| (d.bucket.unwrap(), d.key.unwrap(), d.query))
        };
        let parts = |b: &str, k: &str, q: &str| Some((b.to_owned(), k.to_owned(), q.to_owned()));
        assert_eq!(source("/bkt/a%20b/c"), parts("bkt", "a b/c", ""));
        assert_eq!(source("bkt/k?versionId=v%2F1"), parts("bkt", "k", "versionId=v%2F1"));
        assert_eq!(source("arn:aws:s3:us-west-2:123456789012:accesspoint/ap/object/k"), None);
        assert_eq!(source("bkt"), None);
    }
}
