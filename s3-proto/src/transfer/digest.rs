//! Which checksum a multipart object has, and what follows from those of its parts.

use std::collections::BTreeMap;

use crate::Error;
use crate::checksum::{Checksum, ChecksumAlgorithm, Hasher, combine};
use crate::config::Config;
use crate::encode::hex;
use crate::etag::ETag;
use crate::ops::ChecksumType;

/// A part that is where it belongs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct DonePart {
    pub(super) len: u64,
    pub(super) etag: ETag,
    /// That of its bytes, if it is known.
    pub(super) checksum: Option<Checksum>,
}

pub(super) type DoneParts = BTreeMap<u32, DonePart>;

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Digest {
    pub(super) algorithm: ChecksumAlgorithm,
    /// What the service makes of the parts' checksums; `None` if it is not told of any, and they serve to
    /// recognise the parts here.
    pub(super) kind: Option<ChecksumType>,
}

impl Digest {
    /// The caller's choice, or CRC64NVME where the store knows it.
    pub(super) fn new(chosen: Option<&ChecksumAlgorithm>, config: &Config) -> Result<Self, Error> {
        let algorithm = chosen.cloned().unwrap_or(ChecksumAlgorithm::Crc64Nvme);
        Hasher::new(&algorithm)?;
        let sent = chosen.is_some() || config.sends_checksums();
        // Only CRCs can be computed of a whole from its parts ("Checking object integrity").
        let kind = if algorithm.is_crc() { ChecksumType::FullObject } else { ChecksumType::Composite };
        Ok(Self { algorithm, kind: sent.then_some(kind) })
    }

    /// The algorithm that the service is told of, if it is.
    pub(super) fn sent(&self) -> Option<&ChecksumAlgorithm> {
        self.kind.is_some().then_some(&self.algorithm)
    }

    /// That of bytes in memory.
    pub(super) fn of(&self, bytes: &[u8]) -> Result<Checksum, Error> {
        let mut hasher = Hasher::new(&self.algorithm)?;
        hasher.update(bytes);
        Ok(hasher.finish())
    }

    /// That of the object; `None` if one of its parts has none, or one of another algorithm.
    pub(super) fn whole(&self, parts: &DoneParts) -> Option<Checksum> {
        let known = |part: &DonePart| part.checksum.clone().filter(|c| *c.algorithm() == self.algorithm);
        if self.algorithm.is_crc() {
            let mut parts = parts.values();
            let first = known(parts.next()?)?;
            return parts.try_fold(first, |whole, part| combine(&whole, &known(part)?, part.len).ok());
        }
        let all: Vec<Checksum> = parts.values().map(known).collect::<Option<_>>()?;
        Checksum::composite(&all).ok()
    }
}

/// The entity tag that S3 gives an object of these parts, if theirs are MD5s: that of the MD5s, and how many
/// there are. A store may do otherwise.
pub(super) fn multipart_etag(parts: &DoneParts) -> Option<ETag> {
    let mut hasher = Hasher::new(&ChecksumAlgorithm::Md5).ok()?;
    for part in parts.values() {
        hasher.update(md5_of(&part.etag)?.bytes());
    }
    Some(ETag::new(format!("{}-{}", hex(hasher.finish().bytes()), parts.len())))
}

/// The MD5 that an entity tag may be.
pub(super) fn md5_of(etag: &ETag) -> Option<Checksum> {
    let text = etag.as_str();
    if text.len() != 32 || !text.bytes().all(|b| b.is_ascii_hexdigit()) {
        return None;
    }
    let byte = |at: usize| u8::from_str_radix(text.get(at..at + 2)?, 16).ok();
    let bytes: Vec<u8> = (0..16).map(|n| byte(2 * n)).collect::<Option<_>>()?;
    Checksum::parse(ChecksumAlgorithm::Md5, &crate::encode::base64(&bytes)).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use ChecksumAlgorithm as A;

    fn parts(digest: &Digest, contents: &[&[u8]]) -> DoneParts {
        let md5 = Digest { algorithm: A::Md5, kind: None };
        let part = |bytes: &[u8]| DonePart {
            len: bytes.len() as u64,
            etag: ETag::new(hex(md5.of(bytes).unwrap().bytes())),
            checksum: Some(digest.of(bytes).unwrap()),
        };
        (1..).zip(contents.iter().map(|bytes| part(bytes))).collect()
    }

    #[test]
    fn a_crc_of_the_whole_follows_from_those_of_the_parts() {
        for algorithm in [A::Crc32, A::Crc32c, A::Crc64Nvme] {
            let digest = Digest { algorithm, kind: None };
            let found = digest.whole(&parts(&digest, &[b"Hello ", b"", b"world"]));
            assert_eq!(found, Some(digest.of(b"Hello world").unwrap()));
        }
    }

    #[test]
    fn other_algorithms_are_composed() {
        for algorithm in [A::Sha1, A::Sha256, A::Sha512, A::Md5] {
            let digest = Digest::new(Some(&algorithm), &Config::new("us-east-1").unwrap()).unwrap();
            assert_eq!(digest.kind, Some(ChecksumType::Composite));
            let found = digest.whole(&parts(&digest, &[b"Hello ", b"world"])).unwrap();
            assert_eq!(found.composite_parts(), Some(2), "{algorithm}");
        }
    }

    #[test]
    fn a_part_without_a_checksum_leaves_the_whole_without_one() {
        let digest = Digest { algorithm: A::Crc64Nvme, kind: None };
        let mut parts = parts(&digest, &[b"Hello ", b"world"]);
        parts.get_mut(&2).unwrap().checksum = None;
        assert_eq!(digest.whole(&parts), None);
    }

    /// The parts are "a" and "b"; computed with `md5sum`.
    #[test]
    fn the_tag_of_an_object_follows_from_those_of_its_parts_where_they_are_md5s() {
        let digest = Digest { algorithm: A::Crc32, kind: None };
        let mut parts = parts(&digest, &[b"a", b"b"]);
        assert_eq!(multipart_etag(&parts).unwrap().as_str(), "96e024ba2074fe77e8e965ba43a704be-2");
        parts.get_mut(&1).unwrap().etag = ETag::new("something else");
        assert_eq!(multipart_etag(&parts), None);
    }
}
