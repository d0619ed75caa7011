//! A model of S3 in memory: as much as transfers need, with its rules.

use std::collections::BTreeMap;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, Method, Request};
use s3_proto::checksum::{Checksum, ChecksumAlgorithm, Hasher};
use s3_proto::encode::hex;
use s3_proto::{Payload, Timestamp};

/// A request as the service sees it.
#[derive(Clone, Debug)]
pub struct Seen {
    pub operation: &'static str,
    pub key: String,
    pub query: BTreeMap<String, String>,
    pub headers: HeaderMap,
    /// Without framing.
    pub body: Bytes,
    /// What came after the body.
    pub trailer: Option<(String, String)>,
}

impl Seen {
    pub fn new(request: &Request<Payload>, body: Bytes, trailer: Option<(String, String)>) -> Self {
        let text = request.uri().query().unwrap_or_default();
        let pairs = text.split('&').filter(|p| !p.is_empty()).map(|p| p.split_once('=').unwrap_or((p, "")));
        let query: BTreeMap<String, String> = pairs.map(|(k, v)| (k.to_owned(), v.to_owned())).collect();
        let headers = request.headers().clone();
        let (copies, has) =
            (headers.contains_key("x-amz-copy-source"), |name: &str| query.contains_key(name));
        let operation = match *request.method() {
            Method::PUT if has("partNumber") && copies => "UploadPartCopy",
            Method::PUT if has("partNumber") => "UploadPart",
            Method::PUT if copies => "CopyObject",
            Method::PUT => "PutObject",
            Method::POST if has("uploads") => "CreateMultipartUpload",
            Method::POST => "CompleteMultipartUpload",
            Method::DELETE => "AbortMultipartUpload",
            Method::HEAD => "HeadObject",
            _ if has("tagging") => "GetObjectTagging",
            _ if has("uploads") => "ListMultipartUploads",
            _ => "ListParts",
        };
        // The bucket is in the host, or the first part of the path.
        let path = request.uri().path().trim_start_matches('/');
        let key = if request.uri().host().unwrap().contains("amazonaws") {
            path
        } else {
            path.split_once('/').unwrap().1
        };
        Self { operation, key: key.to_owned(), query, headers, body, trailer }
    }

    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(|v| v.to_str().unwrap())
    }

    pub fn part_number(&self) -> u32 {
        self.query.get("partNumber").map_or(0, |n| n.parse().unwrap())
    }

    fn upload_id(&self) -> String {
        self.query.get("uploadId").cloned().unwrap_or_default()
    }

    /// The checksum that came along, and what it is of.
    fn checksum(&self) -> Option<Checksum> {
        let name = |name: &str| name.strip_prefix("x-amz-checksum-").map(ToOwned::to_owned);
        let in_head = self.headers.iter().find_map(|(header, value)| {
            let name = name(header.as_str()).filter(|n| n != "type" && n != "algorithm" && n != "mode")?;
            Some((name, value.to_str().unwrap().to_owned()))
        });
        let (algorithm, value) =
            in_head.or_else(|| self.trailer.as_ref().and_then(|(n, v)| Some((name(n)?, v.clone()))))?;
        Some(Checksum::parse(ChecksumAlgorithm::from(algorithm.as_str()), &value).unwrap())
    }
}

#[derive(Clone, Debug, Default)]
pub struct Object {
    pub pieces: Vec<Bytes>,
    pub etag: String,
    pub checksum: Option<Checksum>,
    /// What it was created with.
    pub headers: HeaderMap,
}

impl Object {
    pub fn len(&self) -> usize {
        self.pieces.iter().map(Bytes::len).sum()
    }

    pub fn bytes(&self) -> Bytes {
        match self.pieces.as_slice() {
            [only] => only.clone(),
            pieces => pieces.concat().into(),
        }
    }

    /// Compares without putting it together.
    pub fn is(&self, mut expected: &[u8]) -> bool {
        self.len() == expected.len()
            && self.pieces.iter().all(|piece| {
                let (head, tail) = expected.split_at(piece.len());
                expected = tail;
                head == &piece[..]
            })
    }
}

#[derive(Clone, Debug)]
pub struct Part {
    pub content: Bytes,
    pub etag: String,
    pub checksum: Option<Checksum>,
}

#[derive(Clone, Debug)]
pub struct Open {
    pub key: String,
    pub headers: HeaderMap,
    pub parts: BTreeMap<u32, Part>,
    pub initiated: Timestamp,
    pub initiator: &'static str,
}

impl Open {
    fn algorithm(&self) -> Option<ChecksumAlgorithm> {
        let name = self.headers.get("x-amz-checksum-algorithm")?;
        Some(ChecksumAlgorithm::from(name.to_str().unwrap()))
    }
}

#[derive(Clone, Debug)]
pub struct Store {
    pub objects: BTreeMap<String, Object>,
    pub uploads: BTreeMap<String, Open>,
    /// Whether it is like Amazon S3, or knows nothing of checksums.
    pub knows_checksums: bool,
    /// Whether its entity tags are MD5s.
    pub has_md5_tags: bool,
    /// What GetObjectTagging answers.
    pub tags: Vec<(String, String)>,
    /// How many parts are on a page of ListParts.
    pub page: usize,
    /// The part of this number arrives wrong, and the service does not notice.
    pub corrupts: u32,
    pub now: Timestamp,
    /// How far the clock of the service is ahead.
    pub ahead: Duration,
    made: u32,
}

pub type Answered = (u16, Vec<(String, String)>, Vec<u8>);

impl Store {
    pub fn new() -> Self {
        Self {
            objects: BTreeMap::new(),
            uploads: BTreeMap::new(),
            knows_checksums: true,
            has_md5_tags: true,
            tags: Vec::new(),
            page: 2,
            corrupts: 0,
            now: Timestamp::UNIX_EPOCH,
            ahead: Duration::ZERO,
            made: 0,
        }
    }

    pub fn handle(&mut self, seen: &Seen) -> Answered {
        let answer = match seen.operation {
            "PutObject" => self.put(seen),
            "CreateMultipartUpload" => Ok(self.create(seen)),
            "UploadPart" => self.part(seen, &seen.body, false),
            "UploadPartCopy" => self.part_copy(seen),
            "CompleteMultipartUpload" => self.complete(seen),
            "AbortMultipartUpload" => match self.uploads.remove(&seen.upload_id()) {
                Some(_) => Ok((204, Vec::new(), Vec::new())),
                None => Err((404, "NoSuchUpload")),
            },
            "HeadObject" => self.head(seen),
            "CopyObject" => self.copy(seen),
            "ListParts" => self.list(seen),
            "ListMultipartUploads" => Ok(self.list_uploads(seen)),
            "GetObjectTagging" => Ok(self.tagging()),
            other => panic!("{other} is not modelled"),
        };
        answer.unwrap_or_else(|(status, code)| refusal(status, code))
    }

    fn tag(&mut self, content: &[u8]) -> String {
        self.made += 1;
        if self.has_md5_tags {
            hex(digest(&ChecksumAlgorithm::Md5, content).bytes())
        } else {
            format!("tag{}", self.made)
        }
    }

    fn check_conditions(&self, seen: &Seen) -> Result<(), (u16, &'static str)> {
        let there = self.objects.get(&seen.key);
        if seen.header("if-none-match") == Some("*") && there.is_some() {
            return Err((412, "PreconditionFailed"));
        }
        match (seen.header("if-match"), there) {
            (Some(tag), Some(object)) if tag != format!("\"{}\"", object.etag) => {
                Err((412, "PreconditionFailed"))
            }
            (Some(_), None) => Err((404, "NoSuchKey")),
            _ => Ok(()),
        }
    }

    fn check_digest(&self, seen: &Seen, content: &[u8]) -> Result<Option<Checksum>, (u16, &'static str)> {
        let Some(given) = seen.checksum() else { return Ok(None) };
        assert!(self.knows_checksums, "a checksum was sent to a store that knows none");
        if digest(given.algorithm(), content) == given { Ok(Some(given)) } else { Err((400, "BadDigest")) }
    }

    fn put(&mut self, seen: &Seen) -> Result<Answered, (u16, &'static str)> {
        self.check_conditions(seen)?;
        let checksum = self.check_digest(seen, &seen.body)?;
        let etag = self.tag(&seen.body);
        let object =
            Object { pieces: vec![seen.body.clone()], etag, checksum, headers: seen.headers.clone() };
        let headers = described(&object);
        self.objects.insert(seen.key.clone(), object);
        Ok((200, headers, Vec::new()))
    }

    /// Begins an upload, and gives its id.
    pub fn begin(&mut self, open: Open) -> String {
        self.made += 1;
        let id = format!("upload-{}", self.made);
        self.uploads.insert(id.clone(), open);
        id
    }

    fn create(&mut self, seen: &Seen) -> Answered {
        let (key, headers, parts) = (seen.key.clone(), seen.headers.clone(), BTreeMap::new());
        let open =
            Open { key, headers, parts, initiated: self.now.saturating_add(self.ahead), initiator: "us" };
        assert!(self.knows_checksums || open.algorithm().is_none(), "a checksum was announced");
        let id = self.begin(open);
        let body = format!(
            "<InitiateMultipartUploadResult><UploadId>{id}</UploadId></InitiateMultipartUploadResult>"
        );
        (200, Vec::new(), body.into_bytes())
    }

    fn part(&mut self, seen: &Seen, content: &Bytes, copied: bool) -> Result<Answered, (u16, &'static str)> {
        if seen.part_number() == self.corrupts {
            let wrong = format!("{}", digest(&ChecksumAlgorithm::Crc64Nvme, b"wrong"));
            return Ok((
                200,
                vec![("etag".into(), "\"x\"".into()), ("x-amz-checksum-crc64nvme".into(), wrong)],
                Vec::new(),
            ));
        }
        let given = self.check_digest(seen, content)?;
        let etag = self.tag(content);
        let Some(open) = self.uploads.get_mut(&seen.upload_id()) else { return Err((404, "NoSuchUpload")) };
        let checksum = match open.algorithm() {
            Some(algorithm) if copied => Some(digest(&algorithm, content)),
            Some(algorithm) if given.as_ref().map(Checksum::algorithm) == Some(&algorithm) => given,
            Some(_) => return Err((400, "InvalidRequest")),
            None => None,
        };
        let part = Part { content: content.clone(), etag, checksum };
        let answer = if copied {
            let body = format!(
                "<CopyPartResult><ETag>&quot;{}&quot;</ETag>{}</CopyPartResult>",
                part.etag,
                element(part.checksum.as_ref())
            );
            (200, Vec::new(), body.into_bytes())
        } else {
            let object =
                Object { etag: part.etag.clone(), checksum: part.checksum.clone(), ..Object::default() };
            (200, described(&object), Vec::new())
        };
        open.parts.insert(seen.part_number(), part);
        Ok(answer)
    }

    fn source(&self, seen: &Seen) -> Result<&Object, (u16, &'static str)> {
        let path = seen.header("x-amz-copy-source").unwrap();
        let key = path.split_once('/').unwrap().1.split('?').next().unwrap();
        let object = self.objects.get(key).ok_or((404, "NoSuchKey"))?;
        match seen.header("x-amz-copy-source-if-match") {
            Some(tag) if tag != format!("\"{}\"", object.etag) => Err((412, "PreconditionFailed")),
            _ => Ok(object),
        }
    }

    fn part_copy(&mut self, seen: &Seen) -> Result<Answered, (u16, &'static str)> {
        let range = seen.header("x-amz-copy-source-range").unwrap().strip_prefix("bytes=").unwrap();
        let (first, last) = range.split_once('-').unwrap();
        let (first, last): (usize, usize) = (first.parse().unwrap(), last.parse().unwrap());
        let content = self.source(seen)?.bytes();
        let content = content.slice(first..=last);
        self.part(seen, &content, true)
    }

    fn copy(&mut self, seen: &Seen) -> Result<Answered, (u16, &'static str)> {
        self.check_conditions(seen)?;
        let copy = self.source(seen)?.clone();
        let body = format!("<CopyObjectResult><ETag>&quot;{}&quot;</ETag></CopyObjectResult>", copy.etag)
            .into_bytes();
        self.objects.insert(seen.key.clone(), copy);
        Ok((200, Vec::new(), body))
    }

    fn complete(&mut self, seen: &Seen) -> Result<Answered, (u16, &'static str)> {
        self.check_conditions(seen)?;
        let Some(open) = self.uploads.get(&seen.upload_id()) else { return Err((404, "NoSuchUpload")) };
        let text = String::from_utf8(seen.body.to_vec()).unwrap();
        let mut pieces = Vec::new();
        let (mut tags, mut last_number) = (Vec::new(), 0);
        let listed: Vec<&str> = text.split("<Part>").skip(1).collect();
        for (index, part) in listed.iter().enumerate() {
            let number: u32 = inner(part, "PartNumber").unwrap().parse().unwrap();
            assert!(number > last_number, "the parts are out of order");
            last_number = number;
            let found = open.parts.get(&number).ok_or((400, "InvalidPart"))?;
            if inner(part, "ETag").unwrap().replace("&quot;", "") != found.etag {
                return Err((400, "InvalidPart"));
            }
            if let Some(checksum) = &found.checksum {
                let name = format!("Checksum{}", checksum.algorithm());
                if inner(part, &name) != Some(&checksum.to_string()) {
                    return Err((400, "InvalidPart"));
                }
            }
            if index + 1 < listed.len() && found.content.len() < 5 << 20 {
                return Err((400, "EntityTooSmall"));
            }
            tags.push(found.etag.clone());
            pieces.push(found.content.clone());
        }
        let size: usize = pieces.iter().map(Bytes::len).sum();
        if seen.header("x-amz-mp-object-size").is_some_and(|told| told != size.to_string()) {
            return Err((400, "InvalidRequest"));
        }
        let checksum = match open.algorithm() {
            Some(algorithm) if seen.header("x-amz-checksum-type") == Some("FULL_OBJECT") => {
                let mut hasher = Hasher::new(&algorithm).unwrap();
                for piece in &pieces {
                    hasher.update(piece);
                }
                Some(hasher.finish())
            }
            Some(_) => {
                let parts: Vec<Checksum> = open.parts.values().map(|p| p.checksum.clone().unwrap()).collect();
                Some(Checksum::composite(&parts).unwrap())
            }
            None => None,
        };
        if seen.checksum().is_some_and(|given| Some(given) != checksum) {
            return Err((400, "BadDigest"));
        }
        let etag = if self.has_md5_tags {
            let bytes: Vec<u8> = tags.iter().flat_map(|tag| unhex(tag)).collect();
            format!("{}-{}", hex(digest(&ChecksumAlgorithm::Md5, &bytes).bytes()), tags.len())
        } else {
            format!("whole-{}", seen.upload_id())
        };
        let object = Object { pieces, etag, checksum, headers: open.headers.clone() };
        let body = format!(
            "<CompleteMultipartUploadResult><ETag>&quot;{}&quot;</ETag>{}</CompleteMultipartUploadResult>",
            object.etag,
            element(object.checksum.as_ref())
        );
        let key = open.key.clone();
        self.uploads.remove(&seen.upload_id());
        self.objects.insert(key, object);
        Ok((200, Vec::new(), body.into_bytes()))
    }

    fn head(&self, seen: &Seen) -> Result<Answered, (u16, &'static str)> {
        let object = self.objects.get(&seen.key).ok_or((404, ""))?;
        let mut headers = described(object);
        headers.push(("content-length".into(), object.len().to_string()));
        for (name, value) in &object.headers {
            if name.as_str().starts_with("x-amz-meta-") || name == "content-type" {
                headers.push((name.to_string(), value.to_str().unwrap().to_owned()));
            }
        }
        Ok((200, headers, Vec::new()))
    }

    fn list(&self, seen: &Seen) -> Result<Answered, (u16, &'static str)> {
        let open = self.uploads.get(&seen.upload_id()).ok_or((404, "NoSuchUpload"))?;
        let after: u32 = seen.query.get("part-number-marker").map_or(0, |n| n.parse().unwrap());
        let rest: Vec<_> = open.parts.range(after + 1..).collect();
        let listed = rest.iter().take(self.page).map(|(number, part)| {
            format!(
                "<Part><PartNumber>{number}</PartNumber><ETag>&quot;{}&quot;</ETag><Size>{}</Size>{}</Part>",
                part.etag,
                part.content.len(),
                element(part.checksum.as_ref())
            )
        });
        let listed = listed.collect::<Vec<_>>().concat();
        let more = match rest.get(self.page) {
            Some(_) => {
                let last = rest[self.page - 1].0;
                format!("<IsTruncated>true</IsTruncated><NextPartNumberMarker>{last}</NextPartNumberMarker>")
            }
            None => String::new(),
        };
        Ok((200, Vec::new(), format!("<ListPartsResult>{listed}{more}</ListPartsResult>").into_bytes()))
    }

    /// By key, and the time that each began at.
    fn list_uploads(&self, seen: &Seen) -> Answered {
        let text = |name: &str| seen.query.get(name).cloned().unwrap_or_default();
        let (prefix, after) = (text("prefix"), (text("key-marker"), text("upload-id-marker")));
        let mut all: Vec<_> = self.uploads.iter().filter(|(_, open)| open.key.starts_with(&prefix)).collect();
        all.sort_by_key(|(id, open)| (open.key.clone(), open.initiated, (*id).clone()));
        let from = all.iter().position(|(id, open)| (&open.key, *id) == (&after.0, &after.1));
        let rest = &all[from.map_or(0, |at| at + 1)..];
        let listed = rest.iter().take(self.page).map(|(id, open)| {
            let algorithm = open.algorithm().map_or_else(String::new, |algorithm| {
                format!("<ChecksumAlgorithm>{algorithm}</ChecksumAlgorithm>")
            });
            format!(
                "<Upload><Key>{}</Key><UploadId>{id}</UploadId><Initiator><ID>{}</ID></Initiator>{algorithm}\
                 <Initiated>{}</Initiated></Upload>",
                open.key,
                open.initiator,
                open.initiated.rfc3339()
            )
        });
        let listed = listed.collect::<Vec<_>>().concat();
        let more = match rest.get(self.page) {
            Some(_) => {
                let (id, open) = rest[self.page - 1];
                format!(
                    "<IsTruncated>true</IsTruncated><NextKeyMarker>{}</NextKeyMarker>\
                     <NextUploadIdMarker>{id}</NextUploadIdMarker>",
                    open.key
                )
            }
            None => String::new(),
        };
        let body = format!("<ListMultipartUploadsResult>{listed}{more}</ListMultipartUploadsResult>");
        (200, Vec::new(), body.into_bytes())
    }

    fn tagging(&self) -> Answered {
        let tag = |(k, v): &(String, String)| format!("<Tag><Key>{k}</Key><Value>{v}</Value></Tag>");
        let tags = self.tags.iter().map(tag).collect::<Vec<_>>().concat();
        (200, Vec::new(), format!("<Tagging><TagSet>{tags}</TagSet></Tagging>").into_bytes())
    }
}

pub fn refusal(status: u16, code: &str) -> Answered {
    let body = if code.is_empty() { Vec::new() } else { super::error_document(code, "") };
    (status, Vec::new(), body)
}

pub fn digest(algorithm: &ChecksumAlgorithm, content: &[u8]) -> Checksum {
    let mut hasher = Hasher::new(algorithm).unwrap();
    hasher.update(content);
    hasher.finish()
}

fn described(object: &Object) -> Vec<(String, String)> {
    let mut headers = vec![("etag".to_owned(), format!("\"{}\"", object.etag))];
    if let Some(checksum) = &object.checksum {
        let name = checksum.algorithm().header_name().unwrap();
        headers.push((name.to_string(), checksum.to_string()));
    }
    headers
}

fn element(checksum: Option<&Checksum>) -> String {
    checksum.map_or(String::new(), |c| format!("<Checksum{0}>{c}</Checksum{0}>", c.algorithm()))
}

fn inner<'a>(text: &'a str, name: &str) -> Option<&'a str> {
    let rest = text.split_once(&format!("<{name}>"))?.1;
    Some(rest.split_once(&format!("</{name}>"))?.0)
}

fn unhex(text: &str) -> Vec<u8> {
    (0..text.len() / 2).map(|n| u8::from_str_radix(&text[2 * n..2 * n + 2], 16).unwrap()).collect()
}
