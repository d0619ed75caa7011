//! What it takes to go on with an upload after a crash.

use bytes::Bytes;

use super::digest::{DonePart, DoneParts};
use super::plan::Plan;
use crate::checksum::{Checksum, ChecksumAlgorithm};
use crate::etag::ETag;
use crate::ops::{ChecksumType, Element, Structure, structure};
use crate::validate::{MAX_OBJECT_SIZE, MAX_PART_SIZE, MIN_PART_SIZE};
use crate::xml::{Reader, Writer};
use crate::{Error, ErrorKind, Timestamp};

structure! {
    /// What an upload that has not ended leaves behind, so that another process can go on with it.
    ///
    /// An [`Upload`](super::Upload) with a checkpoint path writes and reads it by itself. It holds no secret.
    Checkpoint {
        /// The version of this form: 2. One of version 1 can be read too.
        version: u32 = "Version",
        /// The bucket.
        bucket: String = "Bucket",
        /// The key of the object.
        key: String = "Key",
        /// The id of the upload; empty if it was about to begin.
        upload_id: String = "UploadId",
        /// When runs were about to begin an upload of which nothing more is known, and at last when this one was, by
        /// the local clock. Since version 2.
        begun: Vec<Timestamp> = "Begun",
        /// Bytes of each part but the last.
        part_size: u64 = "PartSize",
        /// Bytes of the source.
        source_length: u64 = "SourceLength",
        /// When the source was last changed, where the system knows.
        source_modified: Option<Timestamp> = "SourceModified",
        /// The algorithm of the parts' checksums.
        checksum_algorithm: ChecksumAlgorithm = "ChecksumAlgorithm",
        /// What the service makes of them; absent if it is not told of them.
        checksum_type: Option<ChecksumType> = "ChecksumType",
        /// A SHA-256 of what the upload began with and what stays with the object, such as its metadata, but for a key of
        /// the customer's; absent if that is not known.
        settings: Option<String> = "Settings",
        /// The parts that the service has acknowledged.
        parts: Vec<CheckpointPart> = "Part",
    }
}

structure! {
    /// A part that the service has acknowledged.
    CheckpointPart {
        /// The number of the part, 1 to 10,000.
        part_number: u32 = "PartNumber",
        /// Its bytes.
        size: u64 = "Size",
        /// Its entity tag.
        etag: ETag = "ETag",
        /// The checksum of its bytes, if it is known.
        checksum: Option<Checksum> = "checksum",
    }
}

const ROOT: &str = "UploadCheckpoint";
const VERSION: u32 = 2;

impl Checkpoint {
    /// Reads what [`to_bytes`](Self::to_bytes) wrote.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidInput`] if it is not whole, of a version that is not known, or if it
    /// contradicts itself.
    pub fn parse(text: &[u8]) -> Result<Self, Error> {
        let read = || {
            let mut reader = Reader::new(text);
            if reader.root()? != ROOT {
                return Err(refused("it is another document"));
            }
            let checkpoint = <Self as Element>::read(&mut reader)?;
            reader.end()?;
            Ok(checkpoint)
        };
        // A later version may lack members that this one has: what it is comes first.
        match (version_of(text, ROOT), read()) {
            (Some(version), _) if !(1..=VERSION).contains(&version) => Err(refused(format!(
                "its version is {version}, and this client knows versions up to {VERSION}"
            ))),
            (_, Ok(checkpoint)) => checkpoint.check().map(|()| checkpoint),
            (_, Err(error)) => Err(refused(error.message().to_owned())),
        }
    }

    /// As text, in XML.
    pub fn to_bytes(&self) -> Bytes {
        let mut writer = Writer::new(ROOT, None);
        self.content(&mut writer);
        writer.finish()
    }

    /// Whether it can be what it says that it is.
    fn check(&self) -> Result<(), Error> {
        if !(1..=VERSION).contains(&self.version) {
            return Err(refused("it names two versions"));
        }
        if !(MIN_PART_SIZE..=MAX_PART_SIZE).contains(&self.part_size) || self.source_length > MAX_OBJECT_SIZE
        {
            return Err(refused("its sizes cannot be"));
        }
        let is_known = !self.upload_id.is_empty() || (self.parts.is_empty() && !self.begun.is_empty());
        if !is_known || self.key.is_empty() || self.bucket.is_empty() {
            return Err(refused("it does not say of which upload it is"));
        }
        let plan = self.plan();
        let Some(count) = plan.count().filter(|count| *count <= crate::validate::MAX_PART_NUMBER) else {
            return Err(refused("it has more parts than an upload can have"));
        };
        let mut seen = std::collections::BTreeSet::new();
        for part in &self.parts {
            let number = part.part_number;
            if !(1..=count).contains(&number) || !seen.insert(number) || part.size != plan.len_of(number) {
                return Err(refused(format!("its part {number} cannot be")));
            }
        }
        Ok(())
    }

    pub(super) fn plan(&self) -> Plan {
        Plan { part_size: self.part_size, len: Some(self.source_length) }
    }

    pub(super) fn done_parts(&self) -> DoneParts {
        let done = |part: &CheckpointPart| DonePart {
            len: part.size,
            etag: part.etag.clone(),
            checksum: part.checksum.clone(),
        };
        self.parts.iter().map(|part| (part.part_number, done(part))).collect()
    }

    pub(super) fn set_parts(&mut self, parts: &DoneParts) {
        let part = |(number, part): (&u32, &DonePart)| CheckpointPart {
            part_number: *number,
            size: part.len,
            etag: part.etag.clone(),
            checksum: part.checksum.clone(),
        };
        self.parts = parts.iter().map(part).collect();
    }

    /// One of an upload that has begun.
    pub(super) fn begin(bucket: &str, key: &str, upload_id: &str, plan: Plan) -> Self {
        Self {
            version: VERSION,
            bucket: bucket.to_owned(),
            key: key.to_owned(),
            upload_id: upload_id.to_owned(),
            begun: Vec::new(),
            part_size: plan.part_size,
            source_length: plan.len.unwrap_or_default(),
            source_modified: None,
            checksum_algorithm: ChecksumAlgorithm::Crc64Nvme,
            checksum_type: None,
            settings: None,
            parts: Vec::new(),
        }
    }
}

/// The version, whatever else there is.
pub(super) fn version_of(text: &[u8], root: &str) -> Option<u32> {
    let mut reader = Reader::new(text);
    reader.root().ok().filter(|found| *found == root)?;
    while let Some(name) = reader.child().ok()? {
        if name == "Version" {
            return reader.text().ok()?.trim().parse().ok();
        }
        reader.skip().ok()?;
    }
    None
}

pub(super) fn refused(why: impl std::fmt::Display) -> Error {
    Error::new(ErrorKind::InvalidInput, format!("the checkpoint cannot be used: {why}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn checkpoint() -> Checkpoint {
        let plan = Plan { part_size: 8 << 20, len: Some(20 << 20) };
        let mut checkpoint = Checkpoint::begin("bucket", "a <key> & more", "upload-1", plan);
        checkpoint.source_modified = Timestamp::from_unix(1_440_938_160, 123_456_000);
        checkpoint.checksum_type = Some(ChecksumType::FullObject);
        checkpoint.settings = Some("e3b0c44298fc1c14".into());
        let part = |number: u32, size| {
            let checksum = Checksum::parse(ChecksumAlgorithm::Crc64Nvme, "AAAAAAAAAAA=").ok();
            CheckpointPart { part_number: number, size, etag: ETag::new(format!("e{number}")), checksum }
        };
        checkpoint.parts = vec![part(1, 8 << 20), part(3, 4 << 20)];
        checkpoint
    }

    fn text(checkpoint: &Checkpoint) -> String {
        String::from_utf8(checkpoint.to_bytes().to_vec()).unwrap()
    }

    #[test]
    fn it_reads_back_as_it_was_written() {
        let checkpoint = checkpoint();
        assert_eq!(Checkpoint::parse(&checkpoint.to_bytes()).unwrap(), checkpoint);
    }

    #[test]
    fn one_of_version_1_can_be_read() {
        let mut first = checkpoint();
        first.version = 1;
        first.settings = None;
        let as_it_was =
            text(&Checkpoint { version: 2, ..first.clone() }).replace("<Version>2<", "<Version>1<");
        assert!(!as_it_was.contains("Begun"));
        assert_eq!(Checkpoint::parse(as_it_was.as_bytes()).unwrap(), first);
    }

    #[test]
    fn one_of_an_upload_that_is_about_to_begin_has_a_time_and_no_parts() {
        let mut checkpoint = checkpoint();
        checkpoint.upload_id.clear();
        checkpoint.begun = vec![Timestamp::UNIX_EPOCH];
        assert!(Checkpoint::parse(&checkpoint.to_bytes()).is_err());
        checkpoint.parts.clear();
        assert_eq!(Checkpoint::parse(&checkpoint.to_bytes()).unwrap(), checkpoint);
    }

    #[test]
    fn a_torn_one_is_refused_wherever_it_is_torn() {
        let whole = checkpoint().to_bytes();
        for len in 0..whole.len() {
            let error = Checkpoint::parse(&whole[..len]).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::InvalidInput, "{len} bytes");
            assert!(error.message().starts_with("the checkpoint cannot be used"), "{error}");
        }
    }

    #[test]
    fn absurd_ones_are_refused() {
        let cases = [
            ("<Version>2<", "<Version>3<", "version is 3"),
            ("<Version>2<", "<Version>0<", "version is 0"),
            ("<PartSize>8388608<", "<PartSize>0<", "sizes"),
            ("<PartSize>8388608<", "<PartSize>5368709121<", "sizes"),
            ("<SourceLength>20971520<", "<SourceLength>999999999999999<", "sizes"),
            ("<SourceLength>20971520<", "<SourceLength>53687091200000<", "more parts"),
            ("<UploadId>upload-1<", "<UploadId><", "of which upload"),
            ("<PartNumber>3<", "<PartNumber>4<", "part 4"),
            ("<PartNumber>3<", "<PartNumber>0<", "part 0"),
            ("<PartNumber>3<", "<PartNumber>1<", "part 1"),
            ("<Size>4194304<", "<Size>4194305<", "part 3"),
            ("<Size>4194304<", "<Size>-1<", "Part is not"),
            ("UploadCheckpoint>", "ListPartsResult>", "another document"),
        ];
        for (from, to, why) in cases {
            let changed = text(&checkpoint()).replace(from, to);
            let error = Checkpoint::parse(changed.as_bytes()).unwrap_err();
            assert!(error.message().contains(why), "{to}: {error}");
        }
    }

    #[test]
    fn a_version_that_is_not_known_is_named_whatever_else_there_is() {
        let error =
            Checkpoint::parse(b"<UploadCheckpoint><Version>7</Version></UploadCheckpoint>").unwrap_err();
        assert!(error.message().contains("its version is 7"), "{error}");
    }

    #[test]
    fn one_of_ten_thousand_parts_stays_below_what_a_driver_reads() {
        let plan = Plan { part_size: 8 << 20, len: Some(10_000 * (8 << 20)) };
        let mut checkpoint = Checkpoint::begin("bucket", "key", "upload", plan);
        let etag = ETag::new("9b2cf535f27731c974343645a3985328");
        let checksum =
            Some(Checksum::parse(ChecksumAlgorithm::Sha256, &crate::encode::base64(&[0; 32])).unwrap());
        let part = DonePart { len: 8 << 20, etag, checksum };
        checkpoint.set_parts(&(1..=10_000).map(|n| (n, part.clone())).collect());
        assert!(checkpoint.to_bytes().len() < 4 << 20);
    }

    proptest! {
        #[test]
        fn no_bytes_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            prop_assert!(Checkpoint::parse(&bytes).is_err());
        }

        #[test]
        fn no_change_panics(at in any::<prop::sample::Index>(), byte in any::<u8>()) {
            let mut bytes = checkpoint().to_bytes().to_vec();
            let at = at.index(bytes.len());
            bytes[at] = byte;
            let _ = Checkpoint::parse(&bytes);
        }
    }
}
