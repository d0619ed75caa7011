//! Values of headers: dates, entity tags, checksums, and what a user puts into them.

use http::{HeaderName, HeaderValue};
use s3_proto::checksum::{Checksum, ChecksumAlgorithm, combine};
use s3_proto::sign::{Signature, canonical_header_value};
use s3_proto::validate::{
    TagTarget, check_header_name, check_header_value, check_key, check_metadata, check_tags,
};
use s3_proto::{ETag, Timestamp};

use crate::input::Input;

const ALGORITHMS: &[ChecksumAlgorithm] = &[
    ChecksumAlgorithm::Crc32,
    ChecksumAlgorithm::Crc32c,
    ChecksumAlgorithm::Crc64Nvme,
    ChecksumAlgorithm::Sha1,
    ChecksumAlgorithm::Sha256,
    ChecksumAlgorithm::Sha512,
    ChecksumAlgorithm::Md5,
    ChecksumAlgorithm::Xxhash64,
    ChecksumAlgorithm::Xxhash128,
];

/// What was read is read again from what is written of it.
pub(crate) fn run(bytes: &[u8]) {
    let mut input = Input::new(bytes);
    let algorithm = &ALGORITHMS[input.below(ALGORITHMS.len())];
    let (text, other) = (input.text_line(), input.text_line());

    if let Some(time) = Timestamp::parse_http_date(&text) {
        assert_eq!(Timestamp::parse_http_date(&time.http_date()), Some(time));
    }
    if let Some(time) = Timestamp::parse_rfc3339(&text) {
        // Written to the microsecond.
        let written = time.rfc3339();
        assert_eq!(Timestamp::parse_rfc3339(&written).unwrap().rfc3339(), written);
    }
    let etag = ETag::new(&text);
    assert_eq!(ETag::new(format!("\"{etag}\"")).as_str(), etag.as_str());
    let _ = etag.parts();

    let checksum = Checksum::parse(algorithm.clone(), &text);
    if let Ok(checksum) = &checksum {
        let again = Checksum::parse(algorithm.clone(), &checksum.to_string()).unwrap();
        assert_eq!(again, *checksum);
        if let Ok(second) = Checksum::parse(algorithm.clone(), &other) {
            let _ = combine(checksum, &second, bytes.len() as u64);
            let _ = combine(checksum, &second, u64::MAX);
        }
    }
    if let Some(signature) = Signature::parse(&text) {
        assert_eq!(signature.as_str(), text);
    }

    if check_header_value("x-amz-meta-a", &text).is_ok() {
        assert!(HeaderValue::from_bytes(text.as_bytes()).is_ok());
    }
    if check_header_name(&text).is_ok() {
        assert!(text.parse::<HeaderName>().is_ok());
    }
    let canonical = canonical_header_value(text.as_bytes());
    assert_eq!(canonical_header_value(&canonical), canonical);
    let _ = (check_key(&text), check_metadata([(text.as_str(), other.as_str())]));
    for target in [TagTarget::Object, TagTarget::Bucket] {
        let _ = check_tags([(text.as_str(), other.as_str()), (other.as_str(), "")], target);
    }
}
