//! PutObject, GetObject, HeadObject, GetObjectAttributes.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;
use std::time::SystemTime;

use base64::Engine as _;
use http::{HeaderMap, HeaderName, HeaderValue};
use s3s::dto::{
    Checksum as ChecksumDto, ChecksumMode, ChecksumType, GetObjectAttributesInput, GetObjectAttributesOutput,
    GetObjectAttributesParts, GetObjectInput, GetObjectOutput, HeadObjectOutput, Metadata, ObjectPart,
    PutObjectInput, PutObjectOutput, Range as ByteRange, StorageClass, StreamingBlob, Timestamp,
    TimestampFormat,
};
use s3s::{S3Error, S3Request, S3Response, S3Result, s3_error};

use super::conditions::{ReadConditions, Unmet, check_write, failed};
use super::model::{Attributes, Bucket, Content, Encryption, Object, Version};
use super::receive::Claims;
use super::{Store, as_i32, as_i64, custom, invalid_argument, invalid_request, tagging};
use crate::checksum::{Algorithm, Checksum, Kind, base64, checksums_of, from_base64, md5, set_checksum};

/// Most bytes of names and values of user metadata ("Working with object metadata").
const MAX_METADATA: usize = 2048;
const DEFAULT_CONTENT_TYPE: &str = "binary/octet-stream";

/// The headers to store, out of any input that has them.
macro_rules! attributes_of {
    ($input:expr) => {
        $crate::store::objects::attributes(
            $crate::store::model::Attributes {
                content_type: $input.content_type.clone(),
                cache_control: $input.cache_control.clone(),
                content_disposition: $input.content_disposition.clone(),
                content_encoding: $input.content_encoding.clone(),
                content_language: $input.content_language.clone(),
                expires: $input.expires.clone(),
                metadata: std::collections::BTreeMap::new(),
                storage_class: $input.storage_class.as_ref().map(|class| class.as_str().to_owned()),
                website_redirect: $input.website_redirect_location.clone(),
            },
            $input.metadata.clone(),
        )
    };
}

/// The encryption that an input asks for.
macro_rules! encryption_of {
    ($input:expr) => {
        $crate::store::objects::encryption(
            $input.server_side_encryption.as_ref().map(|sse| sse.as_str()),
            $input.ssekms_key_id.as_deref(),
            $crate::store::objects::customer_key_md5(
                $input.sse_customer_algorithm.as_deref(),
                $input.sse_customer_key.as_deref(),
                $input.sse_customer_key_md5.as_deref(),
            )?,
        )
    };
}

pub(super) use {attributes_of, encryption_of};

pub(super) fn attributes(mut attributes: Attributes, metadata: Option<Metadata>) -> S3Result<Attributes> {
    // Some clients keep what describes the transfer only; it is no coding of the object.
    if let Some(encoding) = attributes.content_encoding.take() {
        let codings: Vec<_> = encoding.split(',').map(str::trim).filter(|c| *c != "aws-chunked").collect();
        attributes.content_encoding = Some(codings.join(",")).filter(|codings| !codings.is_empty());
    }
    if let Some(class) = &attributes.storage_class
        && !STORAGE_CLASSES.contains(&class.as_str())
    {
        return Err(s3_error!(InvalidStorageClass));
    }
    attributes.metadata = metadata.unwrap_or_default().into_iter().collect();
    let size: usize = attributes.metadata.iter().map(|(name, value)| name.len() + value.len()).sum();
    if size > MAX_METADATA {
        return Err(s3_error!(MetadataTooLarge));
    }
    Ok(attributes)
}

const STORAGE_CLASSES: [&str; 9] = [
    "STANDARD",
    "REDUCED_REDUNDANCY",
    "STANDARD_IA",
    "ONEZONE_IA",
    "INTELLIGENT_TIERING",
    "GLACIER",
    "DEEP_ARCHIVE",
    "GLACIER_IR",
    "EXPRESS_ONEZONE",
];

pub(super) fn encryption(
    sse: Option<&str>,
    kms_key: Option<&str>,
    customer: Option<String>,
) -> S3Result<Encryption> {
    match (sse, customer) {
        (Some(_), Some(_)) => Err(invalid_request(
            "Server Side Encryption with Customer provided key is incompatible with the encryption method specified",
        )),
        (None, Some(key_md5)) => Ok(Encryption::Customer { key_md5 }),
        (None | Some("AES256"), None) => Ok(Encryption::S3),
        (Some(algorithm @ ("aws:kms" | "aws:kms:dsse")), None) => {
            let key_id = kms_key.unwrap_or("arn:aws:kms:us-east-1:111122223333:key/aws-s3").to_owned();
            Ok(Encryption::Kms { algorithm: algorithm.to_owned(), key_id: Some(key_id) })
        }
        (Some(_), None) => Err(s3_error!(InvalidEncryptionAlgorithmError)),
    }
}

/// Checks the three headers of SSE-C; gives the MD5 of the key, in base64.
pub(super) fn customer_key_md5(
    algorithm: Option<&str>,
    key: Option<&str>,
    key_md5: Option<&str>,
) -> S3Result<Option<String>> {
    let (algorithm, key, key_md5) = match (algorithm, key, key_md5) {
        (None, None, None) => return Ok(None),
        (Some(algorithm), Some(key), Some(key_md5)) => (algorithm, key, key_md5),
        _ => {
            return Err(invalid_argument(
                "Requests specifying Server Side Encryption with Customer provided keys must provide an appropriate secret key.",
            ));
        }
    };
    if algorithm != "AES256" {
        return Err(s3_error!(InvalidEncryptionAlgorithmError));
    }
    let key = base64::engine::general_purpose::STANDARD.decode(key).ok().filter(|key| key.len() == 32);
    let key =
        key.ok_or_else(|| invalid_argument("The secret key was invalid for the specified algorithm."))?;
    if base64(&md5(&key)) != key_md5 {
        return Err(invalid_argument(
            "The calculated MD5 hash of the key did not match the hash that was provided.",
        ));
    }
    Ok(Some(key_md5.to_owned()))
}

/// Whether a reader has the key of the object.
pub(super) fn check_customer_key(object: &Object, given: Option<&str>) -> S3Result<()> {
    match (&object.encryption, given) {
        (Encryption::Customer { key_md5 }, Some(given)) if key_md5 == given => Ok(()),
        (Encryption::Customer { .. }, Some(_)) => Err(s3_error!(AccessDenied, "Access Denied")),
        (Encryption::Customer { .. }, None) => Err(invalid_request(
            "The object was stored using a form of Server Side Encryption. The correct parameters must be provided to retrieve the object.",
        )),
        (_, Some(_)) => Err(invalid_request("The encryption parameters are not applicable to this object.")),
        (_, None) => Ok(()),
    }
}

impl Store {
    pub(super) async fn put_one(&self, req: S3Request<PutObjectInput>) -> S3Result<PutObjectOutput> {
        let S3Request { mut input, method, headers, extensions, trailing_headers, .. } = req;
        let tags = tagging::from_header(input.tagging.as_deref())?;
        let attributes = attributes_of!(input)?;
        let encryption = encryption_of!(input)?;
        let mut claims =
            Claims::new(&headers, &extensions, input.content_md5.as_deref(), checksums_of!(input))?;
        if method == http::Method::POST {
            claims.of_a_form();
        }
        self.with_bucket(&input.bucket, |_| Ok(()))?;

        let received =
            self.receive(input.body.take(), trailing_headers, claims, Algorithm::Crc64Nvme).await?;
        let object = Object {
            etag: received.etag(&encryption),
            checksum: Some(received.checksum()),
            blob: received.blob,
            attributes,
            encryption,
            parts: Vec::new(),
        };
        let mut output = PutObjectOutput {
            e_tag: Some(object.etag()),
            server_side_encryption: object.encryption.algorithm(),
            ssekms_key_id: object.encryption.kms_key(),
            sse_customer_algorithm: object.encryption.customer_algorithm(),
            sse_customer_key_md5: object.encryption.customer_key_md5(),
            ..PutObjectOutput::default()
        };
        if let Some(Checksum { algorithm, value, kind }) = object.checksum.clone() {
            set_checksum!(output, algorithm, value);
            output.checksum_type = Some(ChecksumType::from_static(kind.name()));
        }
        let (now, id) = (self.now(), self.inner.ids.version());
        self.with_bucket(&input.bucket, |bucket| {
            let current = bucket.current_etag(&input.key);
            check_write(input.if_match.as_ref(), input.if_none_match.as_ref(), current)?;
            output.version_id = bucket.insert(&input.key, Content::Object(Arc::new(object)), tags, now, id);
            Ok(output)
        })
    }

    pub(super) fn get(
        &self,
        input: &GetObjectInput,
        with_body: bool,
    ) -> S3Result<S3Response<GetObjectOutput>> {
        let key_md5 = customer_key_md5(
            input.sse_customer_algorithm.as_deref(),
            input.sse_customer_key.as_deref(),
            input.sse_customer_key_md5.as_deref(),
        )?;
        let found = self.find(&input.bucket, &input.key, input.version_id.as_deref())?;
        let object = &found.object;
        check_customer_key(object, key_md5.as_deref())?;
        let conditions = ReadConditions {
            if_match: input.if_match.as_ref(),
            if_none_match: input.if_none_match.as_ref(),
            if_modified_since: input.if_modified_since.as_ref(),
            if_unmodified_since: input.if_unmodified_since.as_ref(),
        };
        conditions.check(&object.etag, found.modified).map_err(|unmet| found.unmet(&unmet, input))?;
        let selected = select(object, input.range.as_ref(), input.part_number)?;
        let mut output = found.describe(input, &selected);
        if with_body {
            let body = object.blob.slice(selected.range);
            output.body = Some(StreamingBlob::new(body.chunks()));
        }
        Ok(S3Response::with_headers(output, metadata_headers(&object.attributes.metadata)))
    }

    /// The object that a read names.
    pub(super) fn find(&self, bucket: &str, key: &str, version_id: Option<&str>) -> S3Result<Found> {
        self.with_bucket(bucket, |bucket| {
            let version = bucket.version(key, version_id)?;
            match version.object() {
                Some(object) => Ok(Found {
                    object: Arc::clone(object),
                    modified: version.modified,
                    version_id: bucket.shown(&version.id),
                    tag_count: version.tags.len(),
                }),
                None => Err(delete_marker(bucket, version, version_id.is_some())),
            }
        })
    }

    pub(super) fn attributes(&self, input: &GetObjectAttributesInput) -> S3Result<GetObjectAttributesOutput> {
        let key_md5 = customer_key_md5(
            input.sse_customer_algorithm.as_deref(),
            input.sse_customer_key.as_deref(),
            input.sse_customer_key_md5.as_deref(),
        )?;
        let found = self.find(&input.bucket, &input.key, input.version_id.as_deref())?;
        let object = &found.object;
        check_customer_key(object, key_md5.as_deref())?;
        let mut output = GetObjectAttributesOutput {
            last_modified: Some(found.modified.into()),
            version_id: found.version_id.clone(),
            ..GetObjectAttributesOutput::default()
        };
        // Each header line comes as one value, with all its names.
        let names = input.object_attributes.iter().flat_map(|line| line.as_str().split(','));
        for name in names.map(str::trim) {
            match name {
                "ETag" => output.e_tag = Some(object.etag()),
                "ObjectSize" => output.object_size = Some(as_i64(object.blob.len())),
                "StorageClass" => output.storage_class = Some(object.storage_class().to_owned().into()),
                "Checksum" => output.checksum = object.checksum.as_ref().map(checksum_dto),
                "ObjectParts" => output.object_parts = attribute_parts(object, input),
                _ => return Err(invalid_argument("Invalid attribute name specified")),
            }
        }
        Ok(output)
    }
}

fn checksum_dto(checksum: &Checksum) -> ChecksumDto {
    let mut dto = ChecksumDto {
        checksum_type: Some(ChecksumType::from_static(checksum.kind.name())),
        ..ChecksumDto::default()
    };
    set_checksum!(dto, checksum.algorithm, checksum.value.clone());
    dto
}

/// Parts are named one by one only when they have checksums of their own.
fn attribute_parts(object: &Object, input: &GetObjectAttributesInput) -> Option<GetObjectAttributesParts> {
    if object.parts.is_empty() {
        return None;
    }
    let max = input.max_parts.unwrap_or(1000).clamp(0, 1000);
    let marker = input.part_number_marker.unwrap_or(0);
    let mut rest = object.parts.iter().filter(|p| p.checksum.is_some() && p.number > marker);
    let page: Vec<ObjectPart> = rest
        .by_ref()
        .take(usize::try_from(max).unwrap_or(0))
        .map(|part| {
            let mut dto = ObjectPart {
                part_number: Some(part.number),
                size: Some(as_i64(part.size)),
                ..ObjectPart::default()
            };
            if let Some((algorithm, value)) = &part.checksum {
                set_checksum!(dto, *algorithm, value.clone());
            }
            dto
        })
        .collect();
    let mut dto = GetObjectAttributesParts {
        total_parts_count: Some(as_i32(object.parts.len())),
        ..GetObjectAttributesParts::default()
    };
    if object.parts.iter().any(|p| p.checksum.is_some()) {
        dto.is_truncated = Some(rest.next().is_some());
        dto.max_parts = Some(max);
        dto.part_number_marker = Some(marker);
        dto.next_part_number_marker = Some(page.last().and_then(|p| p.part_number).unwrap_or(marker));
        dto.parts = Some(page);
    }
    Some(dto)
}

/// 404 for the newest version, 405 when it is asked for by its id ("Working with delete markers").
fn delete_marker(bucket: &Bucket, version: &Version, by_id: bool) -> S3Error {
    let mut headers = HeaderMap::new();
    headers.insert("x-amz-delete-marker", HeaderValue::from_static("true"));
    insert(&mut headers, "x-amz-version-id", bucket.shown(&version.id));
    if !by_id {
        let mut error = s3_error!(NoSuchKey);
        error.set_headers(headers);
        return error;
    }
    let mut error = s3_error!(MethodNotAllowed);
    headers.insert(http::header::ALLOW, HeaderValue::from_static("DELETE"));
    insert(&mut headers, "last-modified", http_date(version.modified));
    error.set_headers(headers);
    error
}

fn insert(headers: &mut HeaderMap, name: &'static str, value: Option<String>) {
    if let Some(value) = value.and_then(|value| HeaderValue::try_from(value).ok()) {
        headers.insert(HeaderName::from_static(name), value);
    }
}

fn http_date(time: SystemTime) -> Option<String> {
    let mut out = Vec::new();
    Timestamp::from(time).format(TimestampFormat::HttpDate, &mut out).ok()?;
    String::from_utf8(out).ok()
}

/// `x-amz-meta-*` in the order of their names; text beyond ASCII is encoded as S3 does (RFC 2047).
pub(super) fn metadata_headers(metadata: &BTreeMap<String, String>) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for (name, value) in metadata {
        let value = if value.bytes().all(|b| (0x20..0x7f).contains(&b)) {
            value.clone()
        } else {
            format!("=?UTF-8?B?{}?=", base64(value.as_bytes()))
        };
        let name = HeaderName::try_from(format!("x-amz-meta-{name}"));
        if let (Ok(name), Ok(value)) = (name, HeaderValue::try_from(value)) {
            headers.insert(name, value);
        }
    }
    headers
}

/// What a read found.
pub(super) struct Found {
    pub(super) object: Arc<Object>,
    pub(super) modified: SystemTime,
    pub(super) version_id: Option<String>,
    tag_count: usize,
}

/// Which bytes of an object a read gets.
struct Selected {
    range: Range<u64>,
    partial: bool,
    part_checksum: Option<(Algorithm, String)>,
    by_part: bool,
}

fn select(object: &Object, range: Option<&ByteRange>, part_number: Option<i32>) -> S3Result<Selected> {
    let len = object.blob.len();
    let whole =
        Selected { range: 0..len, partial: false, part_checksum: None, by_part: part_number.is_some() };
    match (range, part_number) {
        (Some(_), Some(_)) => {
            Err(invalid_request("Cannot specify both Range header and partNumber query parameter"))
        }
        (None, None) => Ok(whole),
        (Some(range), None) => {
            let range = range.check(len).map_err(|_| unsatisfiable(len))?;
            // An empty object has no last byte.
            if range.is_empty() {
                return Err(unsatisfiable(len));
            }
            Ok(Selected { range, partial: true, ..whole })
        }
        (None, Some(number)) => select_part(object, number, whole),
    }
}

fn select_part(object: &Object, number: i32, whole: Selected) -> S3Result<Selected> {
    if !(1..=10_000).contains(&number) {
        return Err(invalid_argument("Part number must be an integer between 1 and 10000, inclusive"));
    }
    if object.parts.is_empty() && number == 1 {
        return Ok(Selected { partial: object.blob.len() > 0, ..whole });
    }
    let mut start = 0;
    for part in &object.parts {
        let end = start + part.size;
        if part.number == number {
            let part_checksum = part.checksum.clone();
            return Ok(Selected { range: start..end, partial: end > start, part_checksum, ..whole });
        }
        start = end;
    }
    let message = "The requested partnumber is not satisfiable";
    Err(custom("InvalidPartNumber", http::StatusCode::RANGE_NOT_SATISFIABLE, message))
}

fn unsatisfiable(len: u64) -> S3Error {
    let mut error = s3_error!(InvalidRange);
    let mut headers = HeaderMap::new();
    insert(&mut headers, "content-range", Some(format!("bytes */{len}")));
    error.set_headers(headers);
    error
}

impl Found {
    /// 304 and 412 tell what there is.
    fn unmet(&self, unmet: &Unmet, input: &GetObjectInput) -> S3Error {
        if *unmet == Unmet::Failed {
            return failed(if input.if_match.is_some() { "If-Match" } else { "If-Unmodified-Since" });
        }
        let mut error = s3_error!(NotModified);
        let mut headers = HeaderMap::new();
        insert(&mut headers, "etag", Some(format!("\"{}\"", self.object.etag)));
        insert(&mut headers, "last-modified", http_date(self.modified));
        insert(&mut headers, "x-amz-version-id", self.version_id.clone());
        insert(&mut headers, "cache-control", self.object.attributes.cache_control.clone());
        error.set_headers(headers);
        error
    }

    fn describe(&self, input: &GetObjectInput, selected: &Selected) -> GetObjectOutput {
        let object = &self.object;
        let kept = object.attributes.clone();
        let Range { start, end } = selected.range;
        let mut output = GetObjectOutput {
            accept_ranges: Some("bytes".to_owned()),
            cache_control: input.response_cache_control.clone().or(kept.cache_control),
            content_disposition: input.response_content_disposition.clone().or(kept.content_disposition),
            content_encoding: input.response_content_encoding.clone().or(kept.content_encoding),
            content_language: input.response_content_language.clone().or(kept.content_language),
            content_type: input
                .response_content_type
                .clone()
                .or(kept.content_type)
                .or_else(|| Some(DEFAULT_CONTENT_TYPE.to_owned())),
            expires: input.response_expires.clone().or(kept.expires),
            content_length: Some(as_i64(end - start)),
            e_tag: Some(object.etag()),
            last_modified: Some(self.modified.into()),
            version_id: self.version_id.clone(),
            server_side_encryption: object.encryption.algorithm(),
            ssekms_key_id: object.encryption.kms_key(),
            sse_customer_algorithm: object.encryption.customer_algorithm(),
            sse_customer_key_md5: object.encryption.customer_key_md5(),
            // The default class is not told.
            storage_class: kept.storage_class.filter(|class| class != "STANDARD").map(StorageClass::from),
            tag_count: (self.tag_count > 0).then(|| as_i32(self.tag_count)),
            website_redirect_location: kept.website_redirect,
            ..GetObjectOutput::default()
        };
        if selected.partial {
            output.content_range = Some(format!("bytes {start}-{}/{}", end - 1, object.blob.len()));
        }
        if selected.by_part && !object.parts.is_empty() {
            output.parts_count = Some(as_i32(object.parts.len()));
        }
        let asked = input.checksum_mode.as_ref().is_some_and(|m| m.as_str() == ChecksumMode::ENABLED);
        if asked {
            self.describe_checksum(&mut output, selected);
        }
        output
    }

    /// A checksum of the whole says nothing of a range, so a range gets none; a part gets its own.
    fn describe_checksum(&self, output: &mut GetObjectOutput, selected: &Selected) {
        let Some(checksum) = &self.object.checksum else { return };
        if let Some((algorithm, value)) = selected.part_checksum.clone() {
            set_checksum!(output, algorithm, value);
        } else if selected.range != (0..self.object.blob.len()) || (selected.partial && !selected.by_part) {
            return;
        } else {
            set_checksum!(output, checksum.algorithm, checksum.value.clone());
        }
        output.checksum_type = Some(ChecksumType::from_static(checksum.kind.name()));
    }
}

/// HeadObject tells what GetObject tells.
pub(super) fn head_output(x: GetObjectOutput) -> HeadObjectOutput {
    HeadObjectOutput {
        accept_ranges: x.accept_ranges,
        cache_control: x.cache_control,
        checksum_crc32: x.checksum_crc32,
        checksum_crc32c: x.checksum_crc32c,
        checksum_crc64nvme: x.checksum_crc64nvme,
        checksum_sha1: x.checksum_sha1,
        checksum_sha256: x.checksum_sha256,
        checksum_type: x.checksum_type,
        content_disposition: x.content_disposition,
        content_encoding: x.content_encoding,
        content_language: x.content_language,
        content_length: x.content_length,
        content_range: x.content_range,
        content_type: x.content_type,
        e_tag: x.e_tag,
        expires: x.expires,
        last_modified: x.last_modified,
        parts_count: x.parts_count,
        sse_customer_algorithm: x.sse_customer_algorithm,
        sse_customer_key_md5: x.sse_customer_key_md5,
        ssekms_key_id: x.ssekms_key_id,
        server_side_encryption: x.server_side_encryption,
        storage_class: x.storage_class,
        version_id: x.version_id,
        website_redirect_location: x.website_redirect_location,
        ..HeadObjectOutput::default()
    }
}

/// The raw digest of a full-object checksum.
pub(super) fn full_object_digest(object: &Object) -> Option<(Algorithm, Vec<u8>)> {
    let checksum = object.checksum.as_ref().filter(|c| c.kind == Kind::FullObject)?;
    Some((checksum.algorithm, from_base64(&checksum.value)?))
}
