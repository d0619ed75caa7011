//! A model of S3: as much as the machines ask for, with its rules, in one region and with one clock.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use bytes::Bytes;
use http::{HeaderMap, Method, Request};
use percent_encoding::percent_decode_str;
use s3_proto::checksum::Checksum;
use s3_proto::{Payload, Timestamp};

use crate::content::{crc, crc_of};
use crate::planted::Planted;
use crate::versions::Versions;

/// A request as the service sees it.
#[derive(Clone, Debug)]
pub(crate) struct Ask {
    pub(crate) operation: &'static str,
    pub(crate) key: String,
    pub(crate) query: BTreeMap<String, String>,
    pub(crate) headers: HeaderMap,
    pub(crate) is_head: bool,
    /// Without framing.
    pub(crate) body: Bytes,
    /// The checksum that came with the body or after it.
    pub(crate) checksum: Option<String>,
}

fn decode(text: &str) -> String {
    percent_decode_str(text).decode_utf8_lossy().into_owned()
}

impl Ask {
    pub(crate) fn new(request: &Request<Payload>, body: Bytes, trailer: Option<String>) -> Self {
        let pairs = request.uri().query().unwrap_or_default().split('&').filter(|pair| !pair.is_empty());
        let pairs = pairs.map(|pair| pair.split_once('=').unwrap_or((pair, "")));
        let query: BTreeMap<String, String> = pairs.map(|(k, v)| (k.to_owned(), decode(v))).collect();
        let headers = request.headers().clone();
        let key = decode(request.uri().path().trim_start_matches('/'));
        let has = |name: &str| query.contains_key(name);
        let copies = headers.contains_key("x-amz-copy-source");
        let operation = match *request.method() {
            Method::PUT if has("partNumber") && copies => "UploadPartCopy",
            Method::PUT if has("partNumber") => "UploadPart",
            Method::PUT if copies => "CopyObject",
            Method::PUT => "PutObject",
            Method::POST if has("uploads") => "CreateMultipartUpload",
            Method::POST if has("delete") => "DeleteObjects",
            Method::POST => "CompleteMultipartUpload",
            Method::DELETE if has("uploadId") => "AbortMultipartUpload",
            Method::DELETE => "DeleteObject",
            Method::HEAD if key.is_empty() => "HeadBucket",
            Method::HEAD => "HeadObject",
            _ if has("uploadId") => "ListParts",
            _ if has("uploads") => "ListMultipartUploads",
            _ if has("tagging") => "GetObjectTagging",
            _ if has("versions") => "ListObjectVersions",
            _ if key.is_empty() => "ListObjectsV2",
            _ => "GetObject",
        };
        let checksum = headers.get("x-amz-checksum-crc64nvme").and_then(|v| v.to_str().ok());
        let checksum = checksum.map(ToOwned::to_owned).or(trailer);
        let is_head = request.method() == Method::HEAD;
        Self { operation, key, query, headers, is_head, body, checksum }
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).and_then(|value| value.to_str().ok())
    }

    pub(crate) fn writes(&self) -> bool {
        !matches!(
            self.operation,
            "HeadBucket"
                | "HeadObject"
                | "ListParts"
                | "ListMultipartUploads"
                | "GetObjectTagging"
                | "ListObjectsV2"
                | "ListObjectVersions"
                | "GetObject"
        )
    }

    /// Whether the service notices if its body has changed.
    pub(crate) fn has_digest(&self) -> bool {
        matches!(self.operation, "PutObject" | "UploadPart")
            && !self.body.is_empty()
            && self.checksum.is_some()
    }

    /// What it is a repetition of, if it is one.
    pub(crate) fn name(&self) -> String {
        let range = self.header("range").or(self.header("x-amz-copy-source-range")).unwrap_or_default();
        let mut name = format!("{} {} {range}", self.operation, self.key);
        for (k, v) in &self.query {
            let _ = write!(name, " {k}={v}");
        }
        name
    }

    fn upload_id(&self) -> &str {
        self.query.get("uploadId").map_or("", String::as_str)
    }

    pub(crate) fn part_number(&self) -> u32 {
        self.query.get("partNumber").and_then(|n| n.parse().ok()).unwrap_or(0)
    }

    /// Key and region that it is signed with, and when.
    fn signature(&self) -> Option<(String, String, Timestamp)> {
        let scope = self.header("authorization")?.split_once("Credential=")?.1.split(',').next()?;
        let mut scope = scope.split('/');
        let (id, region) = (scope.next()?.to_owned(), scope.nth(1)?.to_owned());
        let d = self.header("x-amz-date")?;
        let text = format!(
            "{}-{}-{}T{}:{}:{}Z",
            d.get(..4)?,
            d.get(4..6)?,
            d.get(6..8)?,
            d.get(9..11)?,
            d.get(11..13)?,
            d.get(13..15)?
        );
        Some((id, region, Timestamp::parse_rfc3339(&text)?))
    }
}

#[derive(Clone, Debug)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(&'static str, String)>,
    pub(crate) body: Bytes,
}

impl Reply {
    fn new(status: u16, headers: Vec<(&'static str, String)>, body: impl Into<Bytes>) -> Self {
        Self { status, headers, body: body.into() }
    }

    fn xml(text: String) -> Self {
        Self::new(200, Vec::new(), text)
    }

    /// An error, without a document if it answers a HEAD.
    pub(crate) fn error(ask: &Ask, status: u16, code: &str) -> Self {
        let body = format!("<Error><Code>{code}</Code><Message>no</Message></Error>");
        Self::new(status, Vec::new(), if ask.is_head { String::new() } else { body })
    }
}

#[derive(Clone, Debug)]
pub(crate) struct Object {
    pub(crate) pieces: Vec<Bytes>,
    pub(crate) etag: String,
    pub(crate) checksum: Checksum,
    /// In a bucket with versions.
    pub(crate) version: Option<String>,
    modified: Timestamp,
}

impl Object {
    fn len(&self) -> usize {
        self.pieces.iter().map(Bytes::len).sum()
    }

    fn range(&self, from: usize, to: usize) -> Bytes {
        match self.pieces.as_slice() {
            [only] => only.slice(from..to),
            pieces => Bytes::from(pieces.concat()).slice(from..to),
        }
    }

    fn version_header(&self) -> Option<(&'static str, String)> {
        Some(("x-amz-version-id", self.version.clone()?))
    }

    fn headers(&self) -> Vec<(&'static str, String)> {
        let mut headers =
            vec![("etag", format!("\"{}\"", self.etag)), ("last-modified", self.modified.http_date())];
        headers.extend(self.version_header());
        headers
    }
}

#[derive(Clone, Debug)]
struct Part {
    content: Bytes,
    etag: String,
}

#[derive(Clone, Debug)]
pub(crate) struct Upload {
    pub(crate) key: String,
    initiated: Timestamp,
    parts: BTreeMap<u32, Part>,
}

/// An object that cannot be deleted together with others.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Refusal {
    /// How often; `None` is for ever.
    pub(crate) times: Option<u32>,
    /// How often it was.
    pub(crate) made: u32,
}

impl Refusal {
    pub(crate) fn code(self) -> &'static str {
        if self.times.is_some() { "InternalError" } else { "AccessDenied" }
    }
}

/// The bucket.
#[derive(Debug)]
pub(crate) struct Cloud {
    /// The current ones.
    pub(crate) objects: BTreeMap<String, Object>,
    pub(crate) versions: Option<Versions>,
    /// By their keys.
    pub(crate) refusals: BTreeMap<String, Refusal>,
    pub(crate) uploads: BTreeMap<String, Upload>,
    pub(crate) region: &'static str,
    pub(crate) now: Timestamp,
    /// How it says that a bucket is elsewhere.
    pub(crate) says_301: bool,
    /// How many entries a page of a list has.
    pub(crate) page: usize,
    pub(crate) planted: Option<Planted>,
    made: u64,
}

type Answer = Result<Reply, (u16, &'static str)>;

impl Cloud {
    pub(crate) fn new(region: &'static str, says_301: bool, page: usize) -> Self {
        Self {
            objects: BTreeMap::new(),
            versions: None,
            refusals: BTreeMap::new(),
            uploads: BTreeMap::new(),
            region,
            now: Timestamp::UNIX_EPOCH,
            says_301,
            page,
            planted: None,
            made: 0,
        }
    }

    /// The error for a request that is signed for another region, at another time, or with other keys. Where nobody
    /// can know that keys have expired, the answer to a HEAD says so in a header, as some stores do.
    pub(crate) fn refusal(
        &self,
        ask: &Ask,
        now: Timestamp,
        valid: &str,
        tells_expiry: bool,
    ) -> Option<(&'static str, Reply)> {
        let Some((id, region, at)) = ask.signature() else {
            return Some(("unsigned", Reply::error(ask, 403, "AccessDenied")));
        };
        if at.since(now).max(now.since(at)).as_secs() > 900 {
            return Some(("skewed", Reply::error(ask, 403, "RequestTimeTooSkewed")));
        }
        if region != self.region {
            let mut reply = if self.says_301 {
                Reply::error(ask, 301, "PermanentRedirect")
            } else {
                Reply::error(ask, 400, "AuthorizationHeaderMalformed")
            };
            if self.says_301 || ask.operation == "HeadBucket" {
                reply.headers.push(("x-amz-bucket-region", self.region.to_owned()));
            } else if !ask.is_head {
                let body = format!(
                    "<Error><Code>AuthorizationHeaderMalformed</Code><Message>no</Message><Region>{}</Region></Error>",
                    self.region
                );
                reply.body = body.into();
            }
            return Some(("elsewhere", reply));
        }
        (id != valid).then(|| {
            let mut reply = Reply::error(ask, 400, "ExpiredToken");
            if ask.is_head && !tells_expiry {
                reply.headers.push(("x-amz-error-code", "ExpiredToken".to_owned()));
            }
            ("expired", reply)
        })
    }

    pub(crate) fn handle(&mut self, ask: &Ask) -> Reply {
        let answer = match ask.operation {
            "PutObject" => self.put(ask),
            "CreateMultipartUpload" => Ok(self.create(ask)),
            "UploadPart" => self.part(ask, ask.body.clone()),
            "UploadPartCopy" => self.part_copy(ask),
            "CompleteMultipartUpload" => self.complete(ask),
            "AbortMultipartUpload" => self.abort(ask),
            "CopyObject" => self.copy(ask),
            "DeleteObject" => Ok(self.delete(ask)),
            "DeleteObjects" => Ok(self.delete_many(ask)),
            "ListParts" => self.list_parts(ask),
            "ListMultipartUploads" => Ok(self.list_uploads(ask)),
            "ListObjectsV2" => Ok(self.list(ask)),
            "ListObjectVersions" => Ok(self.list_versions(ask)),
            "GetObjectTagging" => Ok(Reply::xml("<Tagging><TagSet></TagSet></Tagging>".into())),
            "HeadBucket" => Ok(Reply::new(200, vec![("x-amz-bucket-region", self.region.into())], "")),
            _ => self.get(ask),
        };
        answer.unwrap_or_else(|(status, code)| Reply::error(ask, status, code))
    }

    fn is(&self, planted: Planted) -> bool {
        self.planted == Some(planted)
    }

    /// An entity tag that is no MD5, as with SSE-KMS.
    fn etag(&mut self) -> String {
        self.made += 1;
        format!("tag-{}", self.made)
    }

    pub(crate) fn store(&mut self, key: &str, pieces: Vec<Bytes>) -> Object {
        let (checksum, etag) = (crc_of(&pieces), self.etag());
        let mut object = Object { pieces, etag, checksum, version: None, modified: self.now };
        if let Some(versions) = &mut self.versions {
            object.version = Some(versions.add(key, Some(object.clone())));
        }
        self.objects.insert(key.to_owned(), object.clone());
        object
    }

    /// Removes a version for good, or else the object; in a bucket with versions a marker hides it.
    pub(crate) fn remove(&mut self, key: &str, version: Option<&str>) {
        self.objects.remove(key);
        let swaps = self.is(Planted::VersionDeleted);
        let Some(versions) = &mut self.versions else { return };
        match version {
            None if swaps => {
                let latest = versions.list(key, ("", "")).next().map(|(_, id, _)| id);
                versions.remove(key, &latest.unwrap_or_default());
            }
            None => drop(versions.add(key, None)),
            Some(id) => {
                versions.remove(key, id);
                self.objects.extend(versions.current(key).map(|object| (key.to_owned(), object)));
            }
        }
    }

    /// The current object, or one of its versions.
    fn find(&self, key: &str, version: Option<&str>) -> Result<&Object, (u16, &'static str)> {
        match (version.filter(|_| !self.is(Planted::VersionIgnored)), &self.versions) {
            (None, _) => self.objects.get(key).ok_or((404, "NoSuchKey")),
            (Some(id), Some(versions)) => match versions.get(key, id) {
                None => Err((404, "NoSuchVersion")),
                Some(None) => Err((405, "MethodNotAllowed")),
                Some(Some(object)) => Ok(object),
            },
            (Some(_), None) => Err((400, "InvalidArgument")),
        }
    }

    fn check_conditions(&self, ask: &Ask) -> Result<(), (u16, &'static str)> {
        let is_there = self.objects.contains_key(&ask.key);
        if ask.header("if-none-match") == Some("*") && is_there {
            return Err((412, "PreconditionFailed"));
        }
        Ok(())
    }

    fn check_digest(ask: &Ask) -> Result<(), (u16, &'static str)> {
        match &ask.checksum {
            Some(given) if *given != crc(&ask.body).to_string() => Err((400, "BadDigest")),
            _ => Ok(()),
        }
    }

    fn put(&mut self, ask: &Ask) -> Answer {
        self.check_conditions(ask)?;
        Self::check_digest(ask)?;
        if self.is(Planted::PutNotStored) {
            return Ok(Reply::new(200, vec![("etag", "\"none\"".into())], ""));
        }
        let object = self.store(&ask.key, vec![ask.body.clone()]);
        let mut headers = object.headers();
        headers.push(("x-amz-checksum-crc64nvme", object.checksum.to_string()));
        Ok(Reply::new(200, headers, ""))
    }

    fn create(&mut self, ask: &Ask) -> Reply {
        self.made += 1;
        let id = format!("upload-{}", self.made);
        let upload = Upload { key: ask.key.clone(), initiated: self.now, parts: BTreeMap::new() };
        self.uploads.insert(id.clone(), upload);
        Reply::xml(format!(
            "<InitiateMultipartUploadResult><UploadId>{id}</UploadId></InitiateMultipartUploadResult>"
        ))
    }

    fn part(&mut self, ask: &Ask, content: Bytes) -> Answer {
        let copied = ask.operation == "UploadPartCopy";
        if !copied {
            Self::check_digest(ask)?;
        }
        let upload = self.uploads.get_mut(ask.upload_id()).ok_or((404, "NoSuchUpload"))?;
        let sum = crc(&content);
        // As with S3's own encryption: the same content has the same tag, however late it arrives once more.
        let etag = format!("part-{sum}");
        let number = match (self.planted, ask.part_number()) {
            (Some(Planted::PartRenumbered), 2) => 1,
            (_, number) => number,
        };
        upload.parts.insert(number, Part { content, etag: etag.clone() });
        if copied {
            return Ok(Reply::xml(format!(
                "<CopyPartResult><ETag>\"{etag}\"</ETag><ChecksumCRC64NVME>{sum}</ChecksumCRC64NVME></CopyPartResult>"
            )));
        }
        let headers = vec![("etag", format!("\"{etag}\"")), ("x-amz-checksum-crc64nvme", sum.to_string())];
        Ok(Reply::new(200, headers, ""))
    }

    fn source(&self, ask: &Ask) -> Result<&Object, (u16, &'static str)> {
        let path = ask.header("x-amz-copy-source").unwrap_or_default();
        let path = path.trim_start_matches('/').split_once('/').unwrap_or_default().1;
        let (path, version) = path.split_once("?versionId=").map_or((path, None), |(p, v)| (p, Some(v)));
        let object = self.find(&decode(path), version)?;
        match ask.header("x-amz-copy-source-if-match") {
            Some(tag) if tag.trim_matches('"') != object.etag => Err((412, "PreconditionFailed")),
            _ => Ok(object),
        }
    }

    fn part_copy(&mut self, ask: &Ask) -> Answer {
        let (mut first, mut last) =
            range(ask.header("x-amz-copy-source-range")).ok_or((400, "InvalidArgument"))?;
        if self.is(Planted::CopyRangeShifted) && first > 0 {
            (first, last) = (first - 1, last - 1);
        }
        let content = self.source(ask)?.range(first, last + 1);
        self.part(ask, content)
    }

    fn copy(&mut self, ask: &Ask) -> Answer {
        self.check_conditions(ask)?;
        let pieces = self.source(ask)?.pieces.clone();
        let object = self.store(&ask.key, pieces);
        let text = format!("<CopyObjectResult><ETag>\"{}\"</ETag></CopyObjectResult>", object.etag);
        Ok(Reply::new(200, object.version_header().into_iter().collect(), text))
    }

    fn complete(&mut self, ask: &Ask) -> Answer {
        self.check_conditions(ask)?;
        let upload = self.uploads.get(ask.upload_id()).ok_or((404, "NoSuchUpload"))?;
        let text = String::from_utf8_lossy(&ask.body).into_owned();
        let listed: Vec<&str> = text.split("<Part>").skip(1).collect();
        let mut pieces = Vec::new();
        for (index, part) in listed.iter().enumerate() {
            let number = inner(part, "PartNumber").and_then(|n| n.parse().ok()).unwrap_or(0);
            let found = upload.parts.get(&number).ok_or((400, "InvalidPart"))?;
            let tag = inner(part, "ETag").unwrap_or_default().replace("&quot;", "");
            if tag.trim_matches('"') != found.etag {
                return Err((400, "InvalidPart"));
            }
            if inner(part, "ChecksumCRC64NVME").is_some_and(|sum| sum != crc(&found.content).to_string()) {
                return Err((400, "InvalidPart"));
            }
            if index + 1 < listed.len() && found.content.len() < 5 << 20 {
                return Err((400, "EntityTooSmall"));
            }
            pieces.push(found.content.clone());
        }
        if ask.checksum.as_ref().is_some_and(|given| *given != crc_of(&pieces).to_string()) {
            return Err((400, "BadDigest"));
        }
        let key = upload.key.clone();
        self.uploads.remove(ask.upload_id());
        let object = self.store(&key, pieces);
        let text = format!(
            "<CompleteMultipartUploadResult><ETag>\"{}\"</ETag><ChecksumCRC64NVME>{}</ChecksumCRC64NVME></CompleteMultipartUploadResult>",
            object.etag, object.checksum
        );
        Ok(Reply::new(200, object.version_header().into_iter().collect(), text))
    }

    fn abort(&mut self, ask: &Ask) -> Answer {
        if !self.is(Planted::AbortSwallowed) {
            self.uploads.remove(ask.upload_id()).ok_or((404, "NoSuchUpload"))?;
        }
        Ok(Reply::new(204, Vec::new(), ""))
    }

    fn delete(&mut self, ask: &Ask) -> Reply {
        self.remove(&ask.key, ask.query.get("versionId").map(String::as_str));
        Reply::new(204, Vec::new(), "")
    }

    /// As `Quiet` asks for, only what could not be deleted is in the answer.
    fn delete_many(&mut self, ask: &Ask) -> Reply {
        let text = String::from_utf8_lossy(&ask.body).into_owned();
        let mut answer = String::from("<DeleteResult>");
        for object in text.split("<Object>").skip(1) {
            let (key, version) = (inner(object, "Key").unwrap_or_default(), inner(object, "VersionId"));
            let refusal = self.refusals.get_mut(key);
            if let Some(refusal) = refusal.filter(|r| r.times.is_none_or(|times| r.made < times)) {
                refusal.made += 1;
                let code = refusal.code();
                if !self.is(Planted::DeleteErrorSwallowed) {
                    let version =
                        version.map(|id| format!("<VersionId>{id}</VersionId>")).unwrap_or_default();
                    let _ = write!(answer, "<Error><Key>{key}</Key>{version}<Code>{code}</Code></Error>");
                }
            } else if !self.is(Planted::DeleteSkipped) || !key.ends_with('0') {
                self.remove(key, version);
                let next = self.objects.range(key.to_owned()..).next().map(|(next, _)| next.clone());
                if let Some(next) = next.filter(|_| self.is(Planted::NeighbourDeleted)) {
                    self.remove(&next, None);
                }
            }
        }
        Reply::xml(answer + "</DeleteResult>")
    }

    fn list_parts(&self, ask: &Ask) -> Answer {
        let upload = self.uploads.get(ask.upload_id()).ok_or((404, "NoSuchUpload"))?;
        let after: u32 = ask.query.get("part-number-marker").and_then(|n| n.parse().ok()).unwrap_or(0);
        let rest: Vec<_> = upload.parts.range(after + 1..).collect();
        let mut text = String::from("<ListPartsResult>");
        for (number, part) in rest.iter().take(2) {
            let (etag, size, sum) = (&part.etag, part.content.len(), crc(&part.content));
            let _ = write!(
                text,
                "<Part><PartNumber>{number}</PartNumber><ETag>\"{etag}\"</ETag><Size>{size}</Size><ChecksumCRC64NVME>{sum}</ChecksumCRC64NVME></Part>"
            );
        }
        if rest.len() > 2 {
            let last = rest[1].0;
            let _ = write!(
                text,
                "<IsTruncated>true</IsTruncated><NextPartNumberMarker>{last}</NextPartNumberMarker>"
            );
        }
        Ok(Reply::xml(text + "</ListPartsResult>"))
    }

    /// By key, and the time that each began at.
    fn list_uploads(&self, ask: &Ask) -> Reply {
        let text = |name: &str| ask.query.get(name).cloned().unwrap_or_default();
        let (prefix, after) = (text("prefix"), (text("key-marker"), text("upload-id-marker")));
        let mut all: Vec<_> =
            self.uploads.iter().filter(|(_, upload)| upload.key.starts_with(&prefix)).collect();
        all.sort_by_key(|(id, upload)| (&upload.key, upload.initiated, *id));
        let from = all.iter().position(|(id, upload)| (&upload.key, *id) == (&after.0, &after.1));
        let rest = &all[from.map_or(0, |at| at + 1)..];
        let mut text = String::from("<ListMultipartUploadsResult>");
        let shown = if self.is(Planted::UploadsUnlisted) { 0 } else { self.page };
        for (id, Upload { key, initiated, .. }) in rest.iter().take(shown) {
            let _ = write!(
                text,
                "<Upload><Key>{key}</Key><UploadId>{id}</UploadId><Initiated>{}</Initiated></Upload>",
                initiated.rfc3339()
            );
        }
        if rest.len() > self.page {
            let (id, Upload { key, .. }) = rest[self.page - 1];
            let _ = write!(
                text,
                "<IsTruncated>true</IsTruncated><NextKeyMarker>{key}</NextKeyMarker><NextUploadIdMarker>{id}</NextUploadIdMarker>"
            );
        }
        Reply::xml(text + "</ListMultipartUploadsResult>")
    }

    fn list(&self, ask: &Ask) -> Reply {
        let text = |name: &str| ask.query.get(name).cloned().unwrap_or_default();
        let (prefix, after) = (text("prefix"), text("continuation-token"));
        let all = self.objects.iter().filter(|(key, _)| key.starts_with(&prefix) && **key > after);
        let all: Vec<_> = all.collect();
        let mut text = String::from("<ListBucketResult>");
        for (key, object) in all.iter().take(self.page) {
            let (etag, size) = (&object.etag, object.len());
            let is_newer = self.is(Planted::TimesInvented);
            let modified = if is_newer { "2100-01-01T00:00:00Z".into() } else { object.modified.rfc3339() };
            let _ = write!(
                text,
                "<Contents><Key>{key}</Key><LastModified>{modified}</LastModified><ETag>\"{etag}\"</ETag><Size>{size}</Size></Contents>"
            );
        }
        let more = all.len() > self.page;
        let _ = write!(text, "<IsTruncated>{more}</IsTruncated>");
        if more {
            let last = all[self.page - 1].0;
            let _ = write!(text, "<NextContinuationToken>{last}</NextContinuationToken>");
        }
        Reply::xml(text + "</ListBucketResult>")
    }

    fn list_versions(&self, ask: &Ask) -> Reply {
        let text = |name: &str| ask.query.get(name).map_or("", String::as_str);
        let after = (text("key-marker"), text("version-id-marker"));
        let all: Vec<_> =
            self.versions.iter().flat_map(|versions| versions.list(text("prefix"), after)).collect();
        let mut answer = String::from("<ListVersionsResult>");
        for (key, id, object) in all.iter().take(self.page) {
            let _ = match object {
                Some(object) => write!(
                    answer,
                    "<Version><Key>{key}</Key><VersionId>{id}</VersionId><Size>{}</Size></Version>",
                    object.len()
                ),
                None if self.is(Planted::MarkersUnlisted) => Ok(()),
                None => {
                    write!(answer, "<DeleteMarker><Key>{key}</Key><VersionId>{id}</VersionId></DeleteMarker>")
                }
            };
        }
        if let Some((key, id, _)) = all.get(self.page - 1).filter(|_| all.len() > self.page) {
            let _ = write!(
                answer,
                "<IsTruncated>true</IsTruncated><NextKeyMarker>{key}</NextKeyMarker><NextVersionIdMarker>{id}</NextVersionIdMarker>"
            );
        }
        Reply::xml(answer + "</ListVersionsResult>")
    }

    fn get(&self, ask: &Ask) -> Answer {
        let object = self.find(&ask.key, ask.query.get("versionId").map(String::as_str))?;
        let condition = ask.header("if-match").filter(|_| !self.is(Planted::ConditionDropped));
        if condition.is_some_and(|tag| tag.trim_matches('"') != object.etag) {
            return Err((412, "PreconditionFailed"));
        }
        let size = object.len();
        let mut headers = object.headers();
        let asked = range(ask.header("range"));
        if asked.is_some_and(|(first, _)| first >= size) {
            return Err((416, "InvalidRange"));
        }
        let (first, end) = asked.map_or((0, size), |(first, last)| (first, last.saturating_add(1).min(size)));
        // As S3: with a range comes no checksum, also if it is all of the object.
        if ask.header("x-amz-checksum-mode").is_some() && asked.is_none() {
            headers.push(("x-amz-checksum-crc64nvme", object.checksum.to_string()));
        }
        headers.push(("content-length", (end - first).to_string()));
        if asked.is_some() {
            headers.push(("content-range", format!("bytes {first}-{}/{size}", end - 1)));
        }
        let body = if ask.is_head { Bytes::new() } else { object.range(first, end) };
        Ok(Reply::new(if asked.is_some() { 206 } else { 200 }, headers, body))
    }
}

/// `bytes=0-499`
fn range(text: Option<&str>) -> Option<(usize, usize)> {
    let (first, last) = text?.strip_prefix("bytes=")?.split_once('-')?;
    Some((first.parse().ok()?, if last.is_empty() { usize::MAX } else { last.parse().ok()? }))
}

fn inner<'a>(text: &'a str, name: &str) -> Option<&'a str> {
    let rest = text.split_once(&format!("<{name}>"))?.1;
    Some(rest.split_once(&format!("</{name}>"))?.0)
}
