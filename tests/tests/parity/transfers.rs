//! Objects of any size, in parts side by side.

use bytes::Bytes;
use s3_proto::ErrorKind;
use s3_proto::checksum::{ChecksumAlgorithm, Hasher};
use s3_proto::transfer::Cleanup;

use crate::harness::{Harness, Outcome, World, data, scenarios};

scenarios! {
    files_of_any_size_arrive_whole,
    bytes_and_sources_that_are_read_once_arrive_whole,
    a_stream_that_is_longer_or_shorter_than_it_says_stores_nothing,
    checksums_of_the_whole_are_sent_and_kept,
    an_upload_that_failed_goes_on_from_its_checkpoint,
    an_object_is_copied_in_parts,
}

const PART: usize = 5 << 20;
const SIZE: u64 = PART as u64;

fn assert_holds<H: Harness>(t: &World<H>, key: &str, expected: &[u8]) -> Outcome {
    assert!(t.get(key)? == expected, "{key} has another content");
    assert_eq!(t.all(t.client.list_multipart_uploads(&t.bucket).entries())?, [], "an upload was left");
    Ok(())
}

fn files_of_any_size_arrive_whole<H: Harness>(t: &World<H>) -> Outcome {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("file");
    for len in [0, 1, PART, PART + 1, 3 * PART + 7] {
        let content = data(len);
        std::fs::write(&path, &content).unwrap();
        let upload = t.client.upload_file(&t.bucket, "key", &path).part_size(SIZE).threshold(SIZE);
        let report = t.wait(upload.send())?;
        assert_eq!((report.bytes, report.upload_id.is_some()), (len as u64, len > PART));
        assert_holds(t, "key", &content)?;
    }
    Ok(())
}

fn bytes_and_sources_that_are_read_once_arrive_whole<H: Harness>(t: &World<H>) -> Outcome {
    let content = data(2 * PART + 7);
    let upload = t.client.upload(&t.bucket, "bytes", content.clone()).part_size(SIZE).threshold(SIZE);
    t.wait(upload.send())?;
    assert_holds(t, "bytes", &content)?;

    let pieces: Vec<Bytes> = content.chunks(100_000).map(Bytes::copy_from_slice).collect();
    let source = H::pieces(pieces.into_iter(), content.len() as u64);
    t.wait(t.client.upload_stream(&t.bucket, "stream", source).part_size(SIZE).send())?;
    assert_holds(t, "stream", &content)
}

fn a_stream_that_is_longer_or_shorter_than_it_says_stores_nothing<H: Harness>(t: &World<H>) -> Outcome {
    let long = 2 * PART;
    for (len, promised) in [(20, 10), (10, 20), (long, long - 1), (long, PART), (long, long + 1)] {
        // In one piece, so that it goes on where the promise ends.
        let source = H::pieces(std::iter::once(data(len).into()), promised as u64);
        let upload = t.client.upload_stream(&t.bucket, "key", source).part_size(SIZE);
        let error = t.wait(upload.send()).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::LocalIo, "{len} for {promised}: {error}");
        assert!(!t.wait(t.client.object_exists(&t.bucket, "key"))?, "{len} for {promised}");
    }
    assert_eq!(t.all(t.client.list_multipart_uploads(&t.bucket).entries())?, [], "an upload was left");
    Ok(())
}

fn checksums_of_the_whole_are_sent_and_kept<H: Harness>(t: &World<H>) -> Outcome {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("file");
    let content = data(2 * PART + 7);
    std::fs::write(&path, &content).unwrap();
    let upload = t.client.upload_file(&t.bucket, "key", &path).part_size(SIZE).threshold(SIZE);
    let report = t.wait(upload.checksum_algorithm("CRC32").send())?;
    let mut hasher = Hasher::new(&ChecksumAlgorithm::Crc32)?;
    hasher.update(&content);
    assert_eq!(report.checksum, Some(hasher.finish()));
    assert_holds(t, "key", &content)
}

fn an_upload_that_failed_goes_on_from_its_checkpoint<H: Harness>(t: &World<H>) -> Outcome {
    let folder = tempfile::tempdir().unwrap();
    let (path, checkpoint) = (folder.path().join("file"), folder.path().join("checkpoint"));
    let content = data(3 * PART + 7);
    std::fs::write(&path, &content).unwrap();
    let upload = || {
        let upload = t.client.upload_file(&t.bucket, "key", &path).part_size(SIZE).threshold(SIZE);
        upload.checkpoint(&checkpoint)
    };
    // All parts arrive; then the condition does not hold.
    let error = t.wait(upload().if_match("no such tag").send()).unwrap_err();
    let failure = error.upload_failure().unwrap();
    assert_eq!((failure.completed.len(), failure.failed.len()), (4, 0), "{error}");
    assert!(matches!(failure.cleanup, Cleanup::Kept), "{error}");

    let report = t.wait(upload().send())?;

    assert_eq!((report.parts_found, report.parts_sent), (4, 0));
    assert!(!checkpoint.exists());
    assert_holds(t, "key", &content)
}

fn an_object_is_copied_in_parts<H: Harness>(t: &World<H>) -> Outcome {
    let content = data(2 * PART + 7);
    let put = t.client.put_object(&t.bucket, "key", content.clone());
    t.send(put.content_type("video/mp4").metadata("title", "Night"))?;
    let copy = t.client.copy(&t.bucket, "copy", (&t.bucket, "key")).part_size(SIZE).threshold(SIZE);
    let report = t.wait(copy.send())?;
    assert_eq!((report.bytes, report.parts), (content.len() as u64, 3));
    let head = t.send(t.client.head_object(&t.bucket, "copy"))?;
    assert_eq!(head.content_type.as_deref(), Some("video/mp4"));
    assert_eq!(head.metadata["title"], "Night");
    assert_holds(t, "copy", &content)
}
