//! Uploads, downloads, copies, deletes and folders.

use s3_proto::Payload;
use s3_proto::ops::{CopyObject, DeleteObjects, GetObject, ObjectIdentifier, PutObject};
use s3_proto::transfer::{
    Compare, Copy, CopyOptions, DeleteMany, DeleteOptions, Direction, Download, DownloadOptions,
    DownloadStream, DownloadToMemory, Sync, SyncOptions, Upload, UploadOptions,
};

use super::{BUCKET, session};
use crate::driver::{World, drive};
use crate::input::Input;

const KEY: &str = "a/key";

/// The shortest part that an upload may have.
const PART: u64 = 5 << 20;

/// Uploads of bytes, of sources of either kind, and of files with and without a checkpoint.
pub(crate) fn upload(bytes: &[u8]) {
    let input = &mut Input::new(bytes);
    let session = session(input);
    let mut options = UploadOptions::default();
    (options.part_size, options.threshold) = (PART, PART);
    options.concurrency = input.pick(&[2, 1, 8, 0]);
    options.keep_on_failure = input.pick(&[None, Some(false), Some(true)]);
    let put = |payload: Payload| PutObject::new(BUCKET, KEY, payload);
    let source = input.pick(&[2 * PART + 1, 10, 0, PART, PART + 1]);
    let world = World { source, ..World::with_object(source) };
    let upload = match input.below(6) {
        0 => Upload::file(session, put(Payload::Empty), "/file", options),
        1 => {
            options.checkpoint = Some("/checkpoint".into());
            Upload::file(session, put(Payload::Empty), "/file", options)
        }
        2 => Upload::new(session, put(Payload::source(source, true)), options),
        3 => Upload::new(session, put(Payload::source(source, false)), options),
        4 => Upload::new(session, put(Payload::Unsized), options),
        _ => Upload::new(session, put(Payload::Bytes("some bytes".into())), options),
    };
    drop(drive(upload, &world, input));
}

/// Downloads into a file, as a stream and into memory.
pub(crate) fn download(bytes: &[u8]) {
    let input = &mut Input::new(bytes);
    let session = session(input);
    let mut options = DownloadOptions::default();
    options.part_size = input.pick(&[4_096, 1_000, 1, 0, 8 << 20]);
    options.concurrency = input.pick(&[2, 1, 8, 0]);
    let size = input.pick(&[10_000, 0, 1, 4_096, 4_097, 30_000]);
    let size = if options.part_size < 2 { size % 100 } else { size };
    let mut world = World::with_object(size);
    world.service.checksum = !input.flag();
    let mut get = GetObject::new(BUCKET, KEY);
    if input.below(4) == 3 {
        get.range = Some((u64::from(input.byte())..u64::from(input.u16())).into());
    }
    match input.below(4) {
        0 => drop(drive(Download::new(session, get, "/file", &options), &world, input)),
        1 => {
            options.checkpoint = Some("/checkpoint".into());
            drop(drive(Download::new(session, get, "/file", &options), &world, input));
        }
        2 => drop(drive(DownloadStream::new(session, get, &options), &world, input)),
        _ => {
            options.max_in_memory = input.pick(&[1 << 20, 100]);
            let is_plain = input.is_over() && get.range.is_none() && size <= options.max_in_memory;
            let downloaded = drive(DownloadToMemory::new(session, get, &options), &world, input);
            if let (true, Ok(downloaded)) = (is_plain, downloaded) {
                assert_eq!(downloaded.bytes.len() as u64, size);
            }
        }
    }
}

/// Copies in one request and in parts.
pub(crate) fn copy(bytes: &[u8]) {
    let input = &mut Input::new(bytes);
    let session = session(input);
    let mut options = CopyOptions::default();
    (options.part_size, options.threshold) = (PART, 2 * PART);
    options.concurrency = input.pick(&[2, 1, 8, 0]);
    options.keep_on_failure = input.flag();
    let world = World::with_object(input.pick(&[5 * PART + 7, 0, 10, 2 * PART, 2 * PART + 1]));
    let copy = CopyObject::new(BUCKET, KEY, ("other-bucket", "k"));
    drop(drive(Copy::new(session, copy, options), &world, input));
}

/// Many deletes, of names and by prefix.
pub(crate) fn delete(bytes: &[u8]) {
    let input = &mut Input::new(bytes);
    let session = session(input);
    let mut options = DeleteOptions::default();
    options.batch = input.pick(&[2, 1, 1_000, 0]);
    options.concurrency = input.pick(&[2, 1, 4, 0]);
    options.versions = input.flag();
    let objects = |n: usize| (0..n).map(|n| ObjectIdentifier::new(format!("k{n}"))).collect::<Vec<_>>();
    let machine = if input.flag() {
        DeleteMany::prefix(session, DeleteObjects::new(BUCKET, objects(0)), "k", options)
    } else {
        let count = input.below(20);
        DeleteMany::new(session, DeleteObjects::new(BUCKET, objects(count)), options)
    };
    drop(drive(machine, &World::with_object(3), input));
}

/// Folders, either way.
pub(crate) fn sync(bytes: &[u8]) {
    let input = &mut Input::new(bytes);
    let session = session(input);
    let mut options = SyncOptions::default();
    options.compare = input.pick(&[Compare::SizeAndTime, Compare::Never, Compare::Checksum]);
    options.delete = input.flag();
    options.dry_run = input.below(4) == 3;
    options.follow_links = input.flag();
    options.objects = input.pick(&[2, 1, 8, 0]);
    if input.below(4) == 3 {
        options.include = vec![input.text_line()];
        options.exclude = vec![input.text_line()];
    }
    options.download.part_size = 4_096;
    let direction = if input.flag() { Direction::Download } else { Direction::Upload };
    let world = World { source: 5, ..World::with_object(3) };
    drop(drive(Sync::new(session, direction, "/folder", BUCKET, "", options), &world, input));
}
