//! What it takes to go on with a download after a crash.

use std::collections::BTreeSet;

use super::checkpoint::{refused, version_of};
use super::ranges::Layout;
use crate::Error;
use crate::checksum::Checksum;
use crate::etag::ETag;
use crate::ops::{Element, GetObject, Structure, structure};
use crate::xml::{Reader, Writer};

structure! {
    /// What a download into a file that has not ended leaves behind, so that another process can go on with it.
    ///
    /// A [`Download`](super::Download) with a checkpoint path writes and reads it by itself. It holds no secret.
    DownloadCheckpoint {
        /// The version of this form: 1.
        version: u32 = "Version",
        /// The bucket.
        bucket: String = "Bucket",
        /// The key of the object.
        key: String = "Key",
        /// The version that was asked for, if one was.
        version_id: Option<String> = "VersionId",
        /// The entity tag of the object.
        etag: ETag = "ETag",
        /// Bytes of the object.
        object_size: u64 = "ObjectSize",
        /// The first byte that is wanted of it.
        start: u64 = "Start",
        /// The first that is not.
        end: u64 = "End",
        /// Bytes of the first part.
        first_part_size: u64 = "FirstPartSize",
        /// Bytes of each other part but the last.
        part_size: u64 = "PartSize",
        /// The parts that are in the file.
        parts: Vec<DownloadedPart> = "Part",
    }
}

structure! {
    /// A part that is in the file.
    DownloadedPart {
        /// Its number, from 0 on.
        number: u64 = "Number",
        /// The checksum of what was written.
        checksum: Option<Checksum> = "checksum",
    }
}

const ROOT: &str = "DownloadCheckpoint";
const VERSION: u32 = 1;

impl DownloadCheckpoint {
    /// Reads what [`to_bytes`](Self::to_bytes) wrote.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidInput`](crate::ErrorKind) if it is not whole, of a version that is not known, or if
    /// it contradicts itself.
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
        match (version_of(text, ROOT), read()) {
            (Some(version), _) if version != VERSION => Err(refused(format!(
                "its version is {version}, and this client knows version {VERSION} only"
            ))),
            (_, Ok(checkpoint)) => checkpoint.check().map(|()| checkpoint),
            (_, Err(error)) => Err(refused(error.message())),
        }
    }

    /// As text, in XML.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut writer = Writer::new(ROOT, None);
        self.content(&mut writer);
        writer.finish().to_vec()
    }

    /// One of a download of this, of which nothing is there yet.
    pub(super) fn begin(op: &GetObject, etag: ETag, object_size: u64, layout: &Layout) -> Self {
        Self {
            version: VERSION,
            bucket: op.bucket.clone(),
            key: op.key.clone(),
            version_id: op.version_id.clone(),
            etag,
            object_size,
            start: layout.wanted.start,
            end: layout.wanted.end,
            first_part_size: layout.first,
            part_size: layout.len,
            parts: Vec::new(),
        }
    }

    pub(super) fn layout(&self) -> Layout {
        Layout { wanted: self.start..self.end, first: self.first_part_size, len: self.part_size }
    }

    /// The checksum of that part, if it is there.
    pub(super) fn checksum(&self, number: u64) -> Option<&Checksum> {
        self.parts.iter().find(|part| part.number == number)?.checksum.as_ref()
    }

    /// Whether it can be what it says that it is.
    fn check(&self) -> Result<(), Error> {
        let sizes = [self.first_part_size, self.part_size];
        if self.start >= self.end || self.end > self.object_size || sizes.contains(&0) {
            return Err(refused("its sizes cannot be"));
        }
        let count = self.layout().count();
        let mut seen = BTreeSet::new();
        for DownloadedPart { number, checksum } in &self.parts {
            let usable = checksum.as_ref().is_some_and(|checksum| checksum.algorithm().is_computed());
            if *number >= count || !seen.insert(number) || !usable {
                return Err(refused(format!("its part {number} cannot be")));
            }
        }
        Ok(())
    }

    /// Whether it is of what is to be downloaded now.
    pub(super) fn check_target(&self, op: &GetObject) -> Result<(), Error> {
        if (&self.bucket, &self.key, &self.version_id) == (&op.bucket, &op.key, &op.version_id) {
            return Ok(());
        }
        let Self { bucket, key, .. } = self;
        Err(refused(format!("it is of another download, of '{key}' in bucket '{bucket}'")))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::ErrorKind;
    use crate::checksum::ChecksumAlgorithm;

    fn checkpoint() -> DownloadCheckpoint {
        let op = GetObject { version_id: Some("v&1".into()), ..GetObject::new("bucket", "a <key>\r\n\u{1}") };
        let layout = Layout { wanted: 10..90, first: 8, len: 16 };
        let mut checkpoint = DownloadCheckpoint::begin(&op, ETag::new("abc-2"), 100, &layout);
        let checksum = Checksum::parse(ChecksumAlgorithm::Crc64Nvme, "AAAAAAAAAAA=").ok();
        checkpoint.parts = [0, 5].map(|number| DownloadedPart { number, checksum: checksum.clone() }).into();
        checkpoint
    }

    #[test]
    fn it_reads_back_as_it_was_written() {
        let checkpoint = checkpoint();
        assert_eq!(DownloadCheckpoint::parse(&checkpoint.to_bytes()).unwrap(), checkpoint);
        let without = DownloadCheckpoint { version_id: None, parts: Vec::new(), ..checkpoint };
        assert_eq!(DownloadCheckpoint::parse(&without.to_bytes()).unwrap(), without);
    }

    #[test]
    fn a_torn_one_is_refused_wherever_it_is_torn() {
        let whole = checkpoint().to_bytes();
        for len in 0..whole.len() {
            let error = DownloadCheckpoint::parse(&whole[..len]).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::InvalidInput, "{len} bytes");
        }
    }

    #[test]
    fn absurd_ones_are_refused() {
        let good = String::from_utf8(checkpoint().to_bytes()).unwrap();
        let cases = [
            ("<Version>1<", "<Version>2<", "version is 2"),
            ("<ObjectSize>100<", "<ObjectSize>80<", "sizes"),
            ("<ObjectSize>100<", "<ObjectSize>x<", "ObjectSize"),
            ("<Start>10<", "<Start>90<", "sizes"),
            ("<PartSize>16<", "<PartSize>0<", "sizes"),
            ("<FirstPartSize>8<", "<FirstPartSize>0<", "sizes"),
            ("<Number>5<", "<Number>6<", "part 6"),
            ("<Number>5<", "<Number>0<", "part 0"),
            ("ChecksumCRC64NVME>", "ChecksumSHA256>", "is not a checksum"),
            ("ETag>", "Other>", "ETag"),
            ("DownloadCheckpoint>", "UploadCheckpoint>", "another document"),
        ];
        for (from, to, why) in cases {
            let error = DownloadCheckpoint::parse(good.replace(from, to).as_bytes()).unwrap_err();
            assert!(error.message().contains(why), "{to}: {error}");
        }
    }

    #[test]
    fn one_of_ten_thousand_parts_stays_below_what_a_driver_reads() {
        let mut checkpoint = checkpoint();
        let part = checkpoint.parts[0].clone();
        checkpoint.parts = (0..10_001).map(|number| DownloadedPart { number, ..part.clone() }).collect();
        assert!(checkpoint.to_bytes().len() < 4 << 20);
    }

    proptest! {
        #[test]
        fn no_change_panics(text in prop::collection::vec(any::<u8>(), 0..50), at in any::<prop::sample::Index>()) {
            let mut bytes = checkpoint().to_bytes();
            let at = at.index(bytes.len());
            bytes.splice(at..at, text);
            let _ = DownloadCheckpoint::parse(&bytes);
        }
    }
}
