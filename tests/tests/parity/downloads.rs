//! Downloads of any size, folders, and many objects deleted.

use s3_proto::ErrorKind;
use s3_proto::checksum::ChecksumAlgorithm as A;
use s3_proto::transfer::{Compare, Direction};

use crate::harness::{Harness, Outcome, World, data, scenarios};

scenarios! {
    objects_of_any_size_become_files,
    objects_with_every_kind_of_checksum_become_files,
    an_object_streams_in_order_and_fits_into_memory,
    a_download_keeps_its_checkpoint_until_it_is_complete,
    a_missing_object_leaves_no_file,
    folders_go_up_and_down_and_are_the_same,
    everything_below_a_prefix_is_deleted,
}

const PART: usize = 256 << 10;

fn objects_of_any_size_become_files<H: Harness>(t: &World<H>) -> Outcome {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("deep/file");
    for len in [0, 1, PART, PART + 1, 20 * PART + 7] {
        let content = data(len);
        t.send(t.client.put_object(&t.bucket, "key", content.clone()))?;
        let download = t.client.download_file(&t.bucket, "key", &path).part_size(PART as u64);
        let report = t.wait(download.send())?;
        assert_eq!((report.bytes, report.parts), (len as u64, len.div_ceil(PART).max(1) as u64));
        assert!(std::fs::read(&path).unwrap() == content, "{len} bytes have another content");
        assert_eq!(std::fs::read_dir(path.parent().unwrap()).unwrap().count(), 1, "something was left");
    }
    Ok(())
}

fn objects_with_every_kind_of_checksum_become_files<H: Harness>(t: &World<H>) -> Outcome {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("file");
    for algorithm in [A::Crc32, A::Crc32c, A::Crc64Nvme, A::Sha1, A::Sha256] {
        for len in [1, PART, PART + 1] {
            let content = data(len);
            let put = t.client.put_object(&t.bucket, "key", content.clone());
            t.send(put.checksum_algorithm(algorithm.clone()))?;
            let download = t.client.download_file(&t.bucket, "key", &path).part_size(PART as u64);
            let report = t.wait(download.send())?;
            let verified = report.verified.map(|checksum| checksum.algorithm().clone());
            // Other stores need not keep it.
            if verified.is_some() || !t.external {
                assert_eq!(verified, Some(algorithm.clone()), "{len} bytes");
            }
            assert!(std::fs::read(&path).unwrap() == content, "{len} bytes have another content");
        }
    }
    Ok(())
}

fn an_object_streams_in_order_and_fits_into_memory<H: Harness>(t: &World<H>) -> Outcome {
    let content = data(20 * PART + 7);
    t.send(t.client.put_object(&t.bucket, "key", content.clone()))?;
    let pieces = t.all(t.client.download_stream(&t.bucket, "key").part_size(PART as u64).send())?;
    assert!(pieces.concat() == content, "the stream has another content");
    let all = t.wait(t.client.download(&t.bucket, "key").part_size(PART as u64).send())?;
    assert!(all.bytes == content, "the memory has another content");
    Ok(())
}

fn a_download_keeps_its_checkpoint_until_it_is_complete<H: Harness>(t: &World<H>) -> Outcome {
    let folder = tempfile::tempdir().unwrap();
    let (path, checkpoint) = (folder.path().join("file"), folder.path().join("checkpoint"));
    let content = data(20 * PART + 7);
    t.send(t.client.put_object(&t.bucket, "key", content.clone()))?;
    // All parts arrive; then there is a folder in the way.
    std::fs::create_dir(&path).unwrap();
    let download = || {
        t.client.download_file(&t.bucket, "key", &path).part_size(PART as u64).checkpoint(&checkpoint).send()
    };
    assert_eq!(t.wait(download()).unwrap_err().kind(), ErrorKind::LocalIo);
    assert!(checkpoint.exists());
    std::fs::remove_dir(&path).unwrap();

    let report = t.wait(download())?;

    assert_eq!(report.resumed, content.len() as u64);
    assert!(std::fs::read(&path).unwrap() == content, "the file has another content");
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1, "something was left");
    Ok(())
}

fn a_missing_object_leaves_no_file<H: Harness>(t: &World<H>) -> Outcome {
    let folder = tempfile::tempdir().unwrap();
    let download = t.client.download_file(&t.bucket, "missing", folder.path().join("file"));
    assert_eq!(t.wait(download.send()).unwrap_err().kind(), ErrorKind::NoSuchKey);
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0, "something was left");
    Ok(())
}

fn folders_go_up_and_down_and_are_the_same<H: Harness>(t: &World<H>) -> Outcome {
    let (source, target) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    for (name, len) in [("a", 0), ("b/c", 1), ("b/d/e f", PART + 1)] {
        let path = source.path().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, data(len)).unwrap();
    }
    let up = t.wait(t.client.upload_dir(&t.bucket, "folder", source.path()).send())?.into_result()?;
    let down = t.client.download_dir(&t.bucket, "folder", target.path()).part_size(PART as u64);
    let down = t.wait(down.send())?.into_result()?;
    assert_eq!((up.transferred, down.transferred, up.bytes), (3, 3, down.bytes));
    assert!(std::fs::read(target.path().join("b/d/e f")).unwrap() == data(PART + 1));

    std::fs::write(target.path().join("b/c"), "longer").unwrap();
    std::fs::remove_file(target.path().join("a")).unwrap();
    let sync = t.client.sync(Direction::Upload, &t.bucket, "folder", target.path());
    let sync = t.wait(sync.compare(Compare::Checksum).delete(true).send())?.into_result()?;
    assert_eq!((sync.transferred, sync.unchanged, sync.deleted), (1, 1, 1));
    assert_eq!(t.keys()?, ["folder/b/c", "folder/b/d/e f"]);
    Ok(())
}

fn everything_below_a_prefix_is_deleted<H: Harness>(t: &World<H>) -> Outcome {
    for key in ["a/1", "a/2", "a/b/3", "b"] {
        t.put(key, "x")?;
    }
    let report = t.wait(t.client.delete_prefix(&t.bucket, "a/").batch(2).send())?;
    assert_eq!((report.deleted, report.failed), (3, 0));
    assert_eq!(t.keys()?, ["b"]);
    let rest = t.all(t.client.list_all(&t.bucket, "b"))?;
    assert_eq!(rest.len(), 1);
    Ok(())
}
