//! Multipart uploads.

use std::collections::BTreeMap;
use std::sync::Arc;

use s3s::dto::{
    ChecksumAlgorithm, ChecksumType, CompleteMultipartUploadInput, CompleteMultipartUploadOutput,
    CompletedPart, CopyPartResult, CreateMultipartUploadInput, CreateMultipartUploadOutput, ETag, Initiator,
    ListMultipartUploadsInput, ListMultipartUploadsOutput, ListPartsInput, ListPartsOutput, MultipartUpload,
    Part, StorageClass, Timestamp, UploadPartCopyInput, UploadPartCopyOutput, UploadPartInput,
    UploadPartOutput,
};
use s3s::{S3Request, S3Result, s3_error};

use super::conditions::check_write;
use super::copy::{copy_source, source_range};
use super::listing::{Coding, Last, Query, common_prefixes, group};
use super::model::{Bucket, Content, Encryption, Object, PartInfo, Upload, UploadedPart};
use super::objects::{attributes_of, customer_key_md5, encryption_of};
use super::receive::{Claims, Received, bad_digest, etag};
use super::{Store, as_i64, injected, invalid_argument, invalid_request, owner, tagging};
use crate::blob::Blob;
use crate::checksum::{Algorithm, Checksum, Kind, base64, checksums_of, md5, set_checksum};

const MAX_PARTS: i32 = 10_000;

/// What UploadPart needs to know of its upload before it reads the body.
struct Terms {
    algorithm: Algorithm,
    kind: Kind,
    chosen: bool,
    encryption: Encryption,
}

fn find<'b>(bucket: &'b Bucket, key: &str, upload_id: &str) -> S3Result<&'b Upload> {
    let id = (key.to_owned(), upload_id.to_owned());
    bucket.uploads.get(&id).ok_or_else(|| s3_error!(NoSuchUpload))
}

fn check_part_number(number: i32) -> S3Result<()> {
    if (1..=MAX_PARTS).contains(&number) {
        return Ok(());
    }
    Err(invalid_argument("Part number must be an integer between 1 and 10000, inclusive"))
}

impl Store {
    pub(super) fn create_upload(
        &self,
        input: CreateMultipartUploadInput,
    ) -> S3Result<CreateMultipartUploadOutput> {
        let algorithm = input.checksum_algorithm.as_ref().map(ChecksumAlgorithm::as_str);
        let kind = input.checksum_type.as_ref().map(ChecksumType::as_str);
        let (algorithm, kind, chosen) = checksum_terms(algorithm, kind)?;
        let upload = Upload {
            initiated: self.now(),
            attributes: attributes_of!(input)?,
            encryption: encryption_of!(input)?,
            tags: tagging::from_header(input.tagging.as_deref())?,
            algorithm,
            kind,
            chosen,
            parts: BTreeMap::new(),
        };
        let upload_id = self.inner.ids.upload();
        let output = CreateMultipartUploadOutput {
            bucket: Some(input.bucket.clone()),
            key: Some(input.key.clone()),
            upload_id: Some(upload_id.clone()),
            checksum_algorithm: chosen.then(|| ChecksumAlgorithm::from_static(algorithm.name())),
            checksum_type: chosen.then(|| ChecksumType::from_static(kind.name())),
            server_side_encryption: upload.encryption.algorithm(),
            ssekms_key_id: upload.encryption.kms_key(),
            sse_customer_algorithm: upload.encryption.customer_algorithm(),
            sse_customer_key_md5: upload.encryption.customer_key_md5(),
            ..CreateMultipartUploadOutput::default()
        };
        self.with_bucket(&input.bucket, |bucket| {
            bucket.uploads.insert((input.key, upload_id), upload);
            Ok(output)
        })
    }

    fn terms(&self, bucket: &str, key: &str, upload_id: &str, key_md5: Option<&str>) -> S3Result<Terms> {
        self.with_bucket(bucket, |bucket| {
            let upload = find(bucket, key, upload_id)?;
            if upload.encryption.customer_key_md5().as_deref() != key_md5 {
                return Err(invalid_request(
                    "The multipart upload initiate requested encryption. Subsequent part requests must include the appropriate encryption parameters.",
                ));
            }
            Ok(Terms {
                algorithm: upload.algorithm,
                kind: upload.kind,
                chosen: upload.chosen,
                encryption: upload.encryption.clone(),
            })
        })
    }

    fn store_part(
        &self,
        (bucket, key, upload_id): (&str, &str, &str),
        number: i32,
        received: Received,
        digest: Vec<u8>,
    ) -> S3Result<()> {
        let modified = self.now();
        let id = (key.to_owned(), upload_id.to_owned());
        self.with_bucket(bucket, |bucket| {
            // It may be gone by now.
            let upload = bucket.uploads.get_mut(&id).ok_or_else(|| s3_error!(NoSuchUpload))?;
            let part = UploadedPart {
                etag: received.etag(&upload.encryption),
                blob: received.blob,
                modified,
                md5: received.md5,
                digest,
            };
            upload.parts.insert(number, part);
            Ok(())
        })
    }

    pub(super) async fn put_part(&self, req: S3Request<UploadPartInput>) -> S3Result<UploadPartOutput> {
        let S3Request { mut input, headers, extensions, trailing_headers, .. } = req;
        check_part_number(input.part_number)?;
        let key_md5 = customer_key_md5(
            input.sse_customer_algorithm.as_deref(),
            input.sse_customer_key.as_deref(),
            input.sse_customer_key_md5.as_deref(),
        )?;
        let terms = self.terms(&input.bucket, &input.key, &input.upload_id, key_md5.as_deref())?;
        let claims = Claims::new(&headers, &extensions, input.content_md5.as_deref(), checksums_of!(input))?;
        check_claim(&terms, claims.algorithm())?;
        let received = self.receive(input.body.take(), trailing_headers, claims, terms.algorithm).await?;
        let mut output = UploadPartOutput {
            e_tag: Some(ETag::Strong(received.etag(&terms.encryption))),
            server_side_encryption: terms.encryption.algorithm(),
            ssekms_key_id: terms.encryption.kms_key(),
            sse_customer_algorithm: terms.encryption.customer_algorithm(),
            sse_customer_key_md5: terms.encryption.customer_key_md5(),
            ..UploadPartOutput::default()
        };
        set_checksum!(output, received.algorithm, base64(&received.digest));
        let digest = if received.algorithm == terms.algorithm {
            received.digest.clone()
        } else {
            Self::digest(received.blob.clone(), terms.algorithm)?.digest
        };
        self.store_part((&input.bucket, &input.key, &input.upload_id), input.part_number, received, digest)?;
        Ok(output)
    }

    pub(super) fn copy_part(&self, input: &UploadPartCopyInput) -> S3Result<UploadPartCopyOutput> {
        injected(&self.inner.failing_copies)?;
        check_part_number(input.part_number)?;
        let key_md5 = customer_key_md5(
            input.sse_customer_algorithm.as_deref(),
            input.sse_customer_key.as_deref(),
            input.sse_customer_key_md5.as_deref(),
        )?;
        let terms = self.terms(&input.bucket, &input.key, &input.upload_id, key_md5.as_deref())?;
        let found = copy_source!(self, input)?;
        let blob = &found.object.blob;
        let range = source_range(input.copy_source_range.as_deref(), blob.len())?;
        if range.end - range.start > self.inner.config.max_put_size {
            return Err(invalid_request(
                "The specified copy source is larger than the maximum allowable size",
            ));
        }
        let received = Self::digest(blob.slice(range), terms.algorithm)?;
        let mut result = CopyPartResult {
            e_tag: Some(ETag::Strong(received.etag(&terms.encryption))),
            last_modified: Some(Timestamp::from(self.now())),
            ..CopyPartResult::default()
        };
        set_checksum!(result, received.algorithm, base64(&received.digest));
        let digest = received.digest.clone();
        self.store_part((&input.bucket, &input.key, &input.upload_id), input.part_number, received, digest)?;
        Ok(UploadPartCopyOutput {
            copy_part_result: Some(result),
            copy_source_version_id: found.version_id,
            server_side_encryption: terms.encryption.algorithm(),
            ssekms_key_id: terms.encryption.kms_key(),
            sse_customer_algorithm: terms.encryption.customer_algorithm(),
            sse_customer_key_md5: terms.encryption.customer_key_md5(),
            ..UploadPartCopyOutput::default()
        })
    }

    pub(super) fn complete(
        &self,
        input: &CompleteMultipartUploadInput,
    ) -> S3Result<CompleteMultipartUploadOutput> {
        injected(&self.inner.failing_completes)?;
        let given = input.multipart_upload.as_ref().and_then(|m| m.parts.as_deref()).unwrap_or_default();
        let (now, version) = (self.now(), self.inner.ids.version());
        let min_part_size = self.inner.config.min_part_size;
        self.with_bucket(&input.bucket, |bucket| {
            let upload = find(bucket, &input.key, &input.upload_id)?;
            let parts = chosen_parts(upload, given, min_part_size)?;
            let object = assemble(upload, &parts);
            check_whole(input, upload, &object)?;
            let current = bucket.current_etag(&input.key);
            check_write(input.if_match.as_ref(), input.if_none_match.as_ref(), current)?;

            let mut output = CompleteMultipartUploadOutput {
                bucket: Some(input.bucket.clone()),
                key: Some(input.key.clone()),
                location: Some(format!("http://s3.amazonaws.com/{}/{}", input.bucket, input.key)),
                e_tag: Some(object.etag()),
                server_side_encryption: object.encryption.algorithm(),
                ssekms_key_id: object.encryption.kms_key(),
                ..CompleteMultipartUploadOutput::default()
            };
            if let Some(Checksum { algorithm, value, kind }) = object.checksum.clone() {
                set_checksum!(output, algorithm, value);
                output.checksum_type = Some(ChecksumType::from_static(kind.name()));
            }
            let upload = bucket.uploads.remove(&(input.key.clone(), input.upload_id.clone()));
            let tags = upload.map(|upload| upload.tags).unwrap_or_default();
            output.version_id =
                bucket.insert(&input.key, Content::Object(Arc::new(object)), tags, now, version);
            Ok(output)
        })
    }

    pub(super) fn abort(&self, bucket: &str, key: &str, upload_id: &str) -> S3Result<()> {
        let id = (key.to_owned(), upload_id.to_owned());
        self.with_bucket(bucket, |bucket| {
            bucket.uploads.remove(&id).map(drop).ok_or_else(|| s3_error!(NoSuchUpload))
        })
    }

    pub(super) fn parts(&self, input: &ListPartsInput) -> S3Result<ListPartsOutput> {
        let max = input.max_parts.unwrap_or(1000);
        let marker = input.part_number_marker.unwrap_or(0);
        if max < 0 || marker < 0 {
            return Err(invalid_argument("Argument max-parts must be an integer between 0 and 2147483647"));
        }
        let max = max.min(1000);
        self.with_bucket(&input.bucket, |bucket| {
            let upload = find(bucket, &input.key, &input.upload_id)?;
            let mut rest = upload.parts.iter().filter(|(number, _)| **number > marker);
            let page: Vec<Part> = rest
                .by_ref()
                .take(usize::try_from(max).unwrap_or(0))
                .map(|(number, part)| listed_part(upload, *number, part))
                .collect();
            Ok(ListPartsOutput {
                bucket: Some(input.bucket.clone()),
                key: Some(input.key.clone()),
                upload_id: Some(input.upload_id.clone()),
                owner: Some(owner()),
                initiator: Some(initiator()),
                storage_class: Some(storage_class(upload)),
                checksum_algorithm: upload
                    .chosen
                    .then(|| ChecksumAlgorithm::from_static(upload.algorithm.name())),
                checksum_type: upload.chosen.then(|| ChecksumType::from_static(upload.kind.name())),
                part_number_marker: Some(marker),
                next_part_number_marker: Some(page.last().and_then(|p| p.part_number).unwrap_or(0)),
                max_parts: Some(max),
                is_truncated: Some(max > 0 && rest.next().is_some()),
                parts: Some(page),
                ..ListPartsOutput::default()
            })
        })
    }

    pub(super) fn list_uploads(
        &self,
        input: &ListMultipartUploadsInput,
    ) -> S3Result<ListMultipartUploadsOutput> {
        let query = Query::new(
            input.prefix.as_deref(),
            input.delimiter.as_deref(),
            input.max_uploads,
            "max-uploads",
        )?;
        let coding = Coding::new(input.encoding_type.as_ref())?;
        let key_marker = input.key_marker.as_deref().unwrap_or_default();
        // Without a key marker, an upload id marker is ignored (ListMultipartUploads, "upload-id-marker").
        let id_marker = input.upload_id_marker.as_deref().filter(|_| !key_marker.is_empty());
        self.with_bucket(&input.bucket, |bucket| {
            let items = bucket.uploads.iter().filter(|((key, id), _)| {
                key_marker.is_empty()
                    || key.as_str() > key_marker
                    || (key == key_marker && id_marker.is_some_and(|marker| id.as_str() > marker))
            });
            let items = items.map(|((key, id), upload)| (key.as_str(), (id, upload)));
            let skip = query.ends_in_delimiter(key_marker).then_some(key_marker);
            let page = group(items, &query, skip);
            let last = page.last.as_ref().filter(|_| page.truncated);
            let last_id = page.items.last().filter(|_| matches!(last, Some(Last::Key(_))));
            Ok(ListMultipartUploadsOutput {
                bucket: Some(input.bucket.clone()),
                prefix: Some(coding.text(query.prefix)),
                delimiter: query.delimiter.map(|d| coding.text(d)),
                encoding_type: input.encoding_type.clone(),
                key_marker: Some(coding.text(key_marker)),
                upload_id_marker: Some(id_marker.unwrap_or_default().to_owned()),
                next_key_marker: last.map(|last| coding.text(last.text())),
                next_upload_id_marker: last_id.map(|(_, (id, _))| (*id).clone()),
                max_uploads: Some(query.shown_max()),
                is_truncated: Some(page.truncated),
                common_prefixes: Some(common_prefixes(&page, coding)),
                uploads: Some(
                    page.items
                        .iter()
                        .map(|(key, (id, upload))| listed(coding.text(key), id, upload))
                        .collect(),
                ),
                ..ListMultipartUploadsOutput::default()
            })
        })
    }
}

/// Algorithm and type of an upload ("Checking object integrity", table of algorithms and types).
fn checksum_terms(algorithm: Option<&str>, kind: Option<&str>) -> S3Result<(Algorithm, Kind, bool)> {
    let Some(name) = algorithm else {
        if kind.is_some() {
            return Err(invalid_request(
                "The x-amz-checksum-type header can only be used with the x-amz-checksum-algorithm header.",
            ));
        }
        return Ok((Algorithm::Crc64Nvme, Kind::FullObject, false));
    };
    let algorithm = Algorithm::from_name(name).ok_or_else(|| {
        invalid_request("Checksum algorithm provided is unsupported. Please try again with any of the valid types: [CRC32, CRC32C, CRC64NVME, SHA1, SHA256]")
    })?;
    let kind = match kind {
        None if algorithm == Algorithm::Crc64Nvme => Kind::FullObject,
        None | Some(ChecksumType::COMPOSITE) => Kind::Composite,
        Some(ChecksumType::FULL_OBJECT) => Kind::FullObject,
        Some(_) => return Err(invalid_request("Value for x-amz-checksum-type header is invalid.")),
    };
    let possible = match kind {
        Kind::FullObject => algorithm.is_crc(),
        Kind::Composite => algorithm != Algorithm::Crc64Nvme,
    };
    if !possible {
        return Err(invalid_request(format!(
            "The {} checksum type cannot be used with the {} checksum algorithm.",
            kind.name(),
            algorithm.name().to_lowercase()
        )));
    }
    Ok((algorithm, kind, true))
}

/// A part of an upload with a chosen algorithm may not bring another; of a composite one it must bring one.
fn check_claim(terms: &Terms, claimed: Option<Algorithm>) -> S3Result<()> {
    let fits = match claimed {
        Some(claimed) => claimed == terms.algorithm,
        None => terms.kind == Kind::FullObject,
    };
    if fits || !terms.chosen {
        return Ok(());
    }
    Err(invalid_request(format!(
        "Checksum Type mismatch occurred, expected checksum Type: {}, actual checksum Type: {}",
        terms.algorithm.name().to_lowercase(),
        claimed.map_or_else(|| "null".to_owned(), |a| a.name().to_lowercase())
    )))
}

/// The parts that Complete names, in its order, which must be that of their numbers.
fn chosen_parts<'u>(
    upload: &'u Upload,
    given: &[CompletedPart],
    min_part_size: u64,
) -> S3Result<Vec<(i32, &'u UploadedPart)>> {
    if given.is_empty() {
        return Err(s3_error!(MalformedXML));
    }
    let mut parts: Vec<(i32, &UploadedPart)> = Vec::with_capacity(given.len());
    for one in given {
        let number = one.part_number.ok_or_else(|| s3_error!(MalformedXML))?;
        if parts.last().is_some_and(|(last, _)| *last >= number) {
            return Err(s3_error!(InvalidPartOrder));
        }
        let part = upload.parts.get(&number).ok_or_else(|| s3_error!(InvalidPart))?;
        let etag = one.e_tag.as_ref().ok_or_else(|| s3_error!(MalformedXML))?;
        if etag.value() != part.etag {
            return Err(s3_error!(InvalidPart));
        }
        check_part_checksum(upload, one, number, part)?;
        parts.push((number, part));
    }
    let all_but_last = &parts[..parts.len() - 1];
    if all_but_last.iter().any(|(_, part)| part.blob.len() < min_part_size) {
        return Err(s3_error!(EntityTooSmall));
    }
    Ok(parts)
}

fn check_part_checksum(
    upload: &Upload,
    one: &CompletedPart,
    number: i32,
    part: &UploadedPart,
) -> S3Result<()> {
    let given = checksums_of!(one);
    let own = given.iter().find(|(algorithm, _)| *algorithm == upload.algorithm);
    if own.is_some_and(|(_, value)| *value != base64(&part.digest)) {
        return Err(s3_error!(InvalidPart));
    }
    if own.is_none() && upload.chosen && upload.kind == Kind::Composite {
        let name = upload.algorithm.name().to_lowercase();
        return Err(invalid_request(format!(
            "The upload was created using a {name} checksum. The complete request must include the checksum for each part. It was missing for part {number} in the request."
        )));
    }
    Ok(())
}

fn assemble(upload: &Upload, parts: &[(i32, &UploadedPart)]) -> Object {
    let blob = Blob::concat(parts.iter().map(|(_, part)| &part.blob));
    let md5s: Vec<u8> = parts.iter().flat_map(|(_, part)| part.md5).collect();
    let etag = format!("{}-{}", etag(&md5(&md5s), &upload.encryption), parts.len());
    let infos = parts.iter().map(|(number, part)| PartInfo {
        number: *number,
        size: part.blob.len(),
        checksum: (upload.kind == Kind::Composite).then(|| (upload.algorithm, base64(&part.digest))),
    });
    Object {
        blob,
        etag,
        checksum: whole_checksum(upload, parts),
        attributes: upload.attributes.clone(),
        encryption: upload.encryption.clone(),
        parts: infos.collect(),
    }
}

fn whole_checksum(upload: &Upload, parts: &[(i32, &UploadedPart)]) -> Option<Checksum> {
    let algorithm = upload.algorithm;
    let value = match upload.kind {
        Kind::Composite => {
            let digests: Vec<u8> = parts.iter().flat_map(|(_, part)| part.digest.iter().copied()).collect();
            format!("{}-{}", base64(&algorithm.digest(&digests)), parts.len())
        }
        Kind::FullObject => {
            let mut whole = algorithm.digest(b"");
            for (_, part) in parts {
                whole = algorithm.combine(&whole, &part.digest, part.blob.len())?;
            }
            base64(&whole)
        }
    };
    Some(Checksum { algorithm, value, kind: upload.kind })
}

/// What Complete says of the whole object.
fn check_whole(input: &CompleteMultipartUploadInput, upload: &Upload, object: &Object) -> S3Result<()> {
    if input.mpu_object_size.is_some_and(|size| size != as_i64(object.blob.len())) {
        return Err(invalid_request(
            "The provided 'x-amz-mp-object-size' header value does not match what was computed.",
        ));
    }
    let kind = input.checksum_type.as_ref().map(ChecksumType::as_str);
    if kind.is_some_and(|kind| kind != upload.kind.name()) {
        return Err(invalid_request(
            "The upload was created using another checksum type than the complete request names.",
        ));
    }
    for (algorithm, value) in checksums_of!(input) {
        let computed = object.checksum.as_ref().filter(|c| c.algorithm == algorithm);
        let Some(computed) = computed else {
            return Err(invalid_request("Checksum Type mismatch occurred"));
        };
        // A composite value may come without its count of parts.
        if computed.value != value && computed.value.split('-').next() != Some(&value) {
            return Err(bad_digest(algorithm));
        }
    }
    Ok(())
}

fn listed_part(upload: &Upload, number: i32, part: &UploadedPart) -> Part {
    let mut dto = Part {
        e_tag: Some(ETag::Strong(part.etag.clone())),
        last_modified: Some(Timestamp::from(part.modified)),
        part_number: Some(number),
        size: Some(as_i64(part.blob.len())),
        ..Part::default()
    };
    if upload.chosen {
        set_checksum!(dto, upload.algorithm, base64(&part.digest));
    }
    dto
}

fn listed(key: String, id: &str, upload: &Upload) -> MultipartUpload {
    MultipartUpload {
        key: Some(key),
        upload_id: Some(id.to_owned()),
        initiated: Some(Timestamp::from(upload.initiated)),
        initiator: Some(initiator()),
        owner: Some(owner()),
        storage_class: Some(storage_class(upload)),
        checksum_algorithm: upload.chosen.then(|| ChecksumAlgorithm::from_static(upload.algorithm.name())),
        checksum_type: upload.chosen.then(|| ChecksumType::from_static(upload.kind.name())),
    }
}

fn storage_class(upload: &Upload) -> StorageClass {
    StorageClass::from(upload.attributes.storage_class.clone().unwrap_or_else(|| "STANDARD".to_owned()))
}

fn initiator() -> Initiator {
    let owner = owner();
    Initiator { display_name: owner.display_name, id: owner.id }
}
