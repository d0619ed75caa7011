//! What of an upload that was broken off is there, and whether it is still of the same source.

use super::Checkpoint;
use super::digest::{DonePart, DoneParts, md5_of};
use crate::checksum::Checksum;
use crate::files::FileInfo;
use crate::ops::Part;
use crate::{Error, ErrorKind};

/// A part that the service has, to be compared with the source.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Candidate {
    pub(super) number: u32,
    pub(super) part: DonePart,
    /// What the bytes of the source must give.
    pub(super) checksum: Checksum,
    /// It was acknowledged to us: if the bytes give something else now, the source has changed. Otherwise it
    /// is just not the right part.
    pub(super) is_ours: bool,
}

/// The parts that need not be sent again if the source still has their bytes. All others have to be.
pub(super) fn candidates(checkpoint: &Checkpoint, listed: &[Part]) -> Vec<Candidate> {
    let (plan, known) = (checkpoint.plan(), checkpoint.done_parts());
    let mut all = DoneCandidates::new();
    for found in listed {
        let number = found.part_number;
        let in_plan = number >= 1 && plan.count().is_some_and(|count| number <= count);
        let Some(etag) = found.etag.clone().filter(|_| in_plan && found.size == plan.len_of(number)) else {
            continue;
        };
        let recorded =
            known.get(&number).filter(|part| part.etag == etag).and_then(|part| part.checksum.clone());
        let is_ours = recorded.is_some();
        let told = found.checksum.clone().filter(|c| *c.algorithm() == checkpoint.checksum_algorithm);
        let checksum = recorded.or(told);
        // Only what turns out to be the MD5 of the source's bytes is taken for one.
        let Some(compared) =
            checksum.clone().filter(|c| c.algorithm().is_computed()).or_else(|| md5_of(&etag))
        else {
            continue;
        };
        // The service is told of every part's checksum, or of none.
        if checkpoint.checksum_type.is_some() && checksum.is_none() {
            continue;
        }
        let part = DonePart { len: found.size, etag, checksum };
        all.insert(number, Candidate { number, part, checksum: compared, is_ours });
    }
    all.into_values().collect()
}

type DoneCandidates = std::collections::BTreeMap<u32, Candidate>;

/// The parts of the checkpoint, if that is all of them.
pub(super) fn all_parts(checkpoint: &Checkpoint) -> Option<DoneParts> {
    let count = checkpoint.plan().count()?;
    let parts = checkpoint.done_parts();
    (u32::try_from(parts.len()).ok()? == count).then_some(parts)
}

/// Refuses a file that is not as it was when the upload began.
pub(super) fn check_source(checkpoint: &Checkpoint, file: &FileInfo) -> Result<(), Error> {
    if file.len != checkpoint.source_length {
        let (was, is) = (checkpoint.source_length, file.len);
        return Err(changed(checkpoint, &format!("it had {was} bytes, and has {is} now")));
    }
    // To what a checkpoint can hold of it.
    let text = |time: Option<crate::Timestamp>| time.map(crate::Timestamp::rfc3339);
    let (was, is) = (text(checkpoint.source_modified), text(file.modified));
    if was != is {
        let shown = |time: Option<String>| time.unwrap_or_else(|| "an unknown time".to_owned());
        return Err(changed(
            checkpoint,
            &format!("it was last changed at {} then, and at {} now", shown(was), shown(is)),
        ));
    }
    Ok(())
}

/// The error of a source that is not what it was.
pub(super) fn changed(checkpoint: &Checkpoint, how: &str) -> Error {
    let message = format!(
        "the file has changed since upload '{}' of it began: {how}. Nothing was sent; to upload it as it is \
         now, abort that upload and remove the checkpoint",
        checkpoint.upload_id
    );
    Error::new(ErrorKind::InvalidInput, message)
}

/// The error of an object that is to have something else beside its content.
pub(super) fn changed_settings(checkpoint: &Checkpoint) -> Error {
    let message = format!(
        "upload '{}' of the checkpoint began with other settings of the object (metadata, access, storage class or \
         the like), which cannot be changed any more. Nothing was sent; to upload it with those of now, abort that \
         upload and remove the checkpoint",
        checkpoint.upload_id
    );
    Error::new(ErrorKind::InvalidInput, message)
}

#[cfg(test)]
mod tests {
    use super::super::digest::Digest;
    use super::super::plan::Plan;
    use super::*;
    use crate::Timestamp;
    use crate::checksum::ChecksumAlgorithm as A;
    use crate::etag::ETag;
    use crate::ops::ChecksumType;

    const SIZE: u64 = 5 << 20;
    const MD5: &str = "9b2cf535f27731c974343645a3985328";

    fn crc(bytes: &[u8]) -> Option<Checksum> {
        Digest { algorithm: A::Crc64Nvme, kind: None }.of(bytes).ok()
    }

    /// Part 1 is known, of four.
    fn checkpoint() -> Checkpoint {
        let mut checkpoint =
            Checkpoint::begin("bucket", "key", "id", Plan { part_size: SIZE, len: Some(4 * SIZE) });
        let part = DonePart { len: SIZE, etag: ETag::new("one"), checksum: crc(b"1") };
        checkpoint.set_parts(&[(1, part)].into());
        checkpoint
    }

    fn listed(number: u32, size: u64, etag: &str, checksum: Option<Checksum>) -> Part {
        Part { part_number: number, last_modified: None, etag: Some(ETag::new(etag)), size, checksum }
    }

    fn found(checkpoint: &Checkpoint, part: Part) -> Option<(Checksum, bool)> {
        candidates(checkpoint, &[part]).pop().map(|c| (c.checksum, c.is_ours))
    }

    #[test]
    fn a_part_is_taken_for_ours_only_as_it_was_acknowledged() {
        let checkpoint = checkpoint();
        assert_eq!(found(&checkpoint, listed(1, SIZE, "one", None)), Some((crc(b"1").unwrap(), true)));
        assert_eq!(found(&checkpoint, listed(1, SIZE, "another", None)), None);
        assert_eq!(found(&checkpoint, listed(1, SIZE - 1, "one", None)), None);
    }

    #[test]
    fn one_that_we_did_not_hear_of_counts_if_there_is_something_to_compare() {
        let checkpoint = checkpoint();
        let told = found(&checkpoint, listed(2, SIZE, "two", crc(b"2")));
        assert_eq!(told, Some((crc(b"2").unwrap(), false)));
        let (checksum, is_ours) = found(&checkpoint, listed(2, SIZE, MD5, None)).unwrap();
        assert_eq!((checksum.algorithm(), is_ours), (&A::Md5, false));
        assert_eq!(found(&checkpoint, listed(2, SIZE, "two", None)), None);
        assert_eq!(found(&checkpoint, listed(5, SIZE, MD5, None)), None);
    }

    #[test]
    fn where_the_service_wants_every_checksum_a_part_without_one_is_sent_again() {
        let mut checkpoint = checkpoint();
        checkpoint.checksum_type = Some(ChecksumType::FullObject);
        assert_eq!(found(&checkpoint, listed(2, SIZE, MD5, None)), None);
    }

    #[test]
    fn a_source_of_another_length_or_time_is_refused() {
        let mut checkpoint = checkpoint();
        checkpoint.source_modified = Timestamp::from_unix(1, 5_000);
        let at = |nanos| Timestamp::from_unix(1, nanos);
        let same = FileInfo { len: 4 * SIZE, modified: at(5_999) };
        assert!(check_source(&checkpoint, &same).is_ok());
        for (file, why) in [
            (FileInfo { len: 4 * SIZE + 1, ..same }, "20971520 bytes, and has 20971521 now"),
            (FileInfo { modified: at(6_000), ..same }, "last changed at 1970-01-01T00:00:01.000005Z"),
            (FileInfo { modified: None, ..same }, "an unknown time now"),
        ] {
            let error = check_source(&checkpoint, &file).unwrap_err();
            assert!(error.message().contains(why), "{error}");
        }
    }
}
