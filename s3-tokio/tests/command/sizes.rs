//! Objects of all sizes, up and down again: the same bytes, and little memory.

use std::fs::File;
use std::io::{self, Read as _};
use std::os::unix::fs::FileExt as _;
use std::path::Path;
use std::process::{Child, Stdio};
use std::thread;
use std::time::Duration;

use sha2::{Digest as _, Sha256};

use super::random::{Random, setting};
use super::world::{Ran, World, finish};

const MIB: u64 = 1 << 20;
/// 8 parts of 8 MiB in flight, and what else a program needs.
const MOST_MEMORY: u64 = (8 * 8 + 40) * MIB;
/// With 8 parts of 8 MiB in flight.
const IN_FLIGHT: [&str; 4] = ["--part-size", "8MiB", "--concurrency", "8"];

fn sizes() -> Vec<u64> {
    let mut sizes = vec![0, 1, 5 * MIB, 5 * MIB + 1, 100 * MIB];
    match setting("S3_SIZE", 0) {
        0 => {}
        size => sizes.push(size),
    }
    sizes
}

/// A file with holes: all bytes of a small one are set, and some in each 100 MiB of a large one.
fn make(path: &Path, len: u64) {
    let file = File::create_new(path).unwrap();
    file.set_len(len).unwrap();
    let mut random = Random::new(len);
    let mut at = 0;
    while at < len {
        let piece = random.bytes((6 * MIB).min(len - at).try_into().unwrap());
        file.write_all_at(&piece, at).unwrap();
        at += if len > 100 * MIB { 100 * MIB } else { 6 * MIB };
    }
}

fn sha256(path: &Path) -> [u8; 32] {
    let (mut file, mut hash) = (File::open(path).unwrap(), Sha256::new());
    let mut buffer = vec![0; 1 << 20];
    loop {
        match file.read(&mut buffer).unwrap() {
            0 => return hash.finalize().into(),
            count => hash.update(&buffer[..count]),
        }
    }
}

/// Waits for the program, and returns how many bytes of memory it had at its peak, if this system tells.
fn peak_of(mut child: Child) -> Option<u64> {
    let status = format!("/proc/{}/status", child.id());
    let mut peak = None;
    while child.try_wait().unwrap().is_none() {
        let status = std::fs::read_to_string(&status).unwrap_or_default();
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        let kib = line.and_then(|line| line.trim().strip_suffix(" kB")?.parse::<u64>().ok());
        peak = kib.map_or(peak, |kib| Some(kib * 1024));
        thread::sleep(Duration::from_millis(1));
    }
    let Ran { code, stderr, .. } = finish(child);
    assert_eq!(code, Some(0), "{stderr}");
    peak
}

fn assert_modest(what: &str, size: u64, peak: Option<u64>) {
    let Some(peak) = peak else {
        println!("skipped: the memory for {what} of {size} bytes, which this system does not tell");
        return;
    };
    println!("{what} of {size} bytes: {} MiB at the peak", peak.div_ceil(MIB));
    assert!(peak <= MOST_MEMORY, "{what} of {size} bytes: {peak} bytes of memory");
}

#[test]
fn files_of_all_sizes_come_back_as_they_were_in_little_memory() {
    for size in sizes() {
        let world = World::new();
        make(&world.path("file"), size);
        let up = [&["cp", "file", "s3://bucket/key", "--quiet"], &IN_FLIGHT[..]].concat();
        let down = [&["cp", "s3://bucket/key", "back", "--quiet"], &IN_FLIGHT[..]].concat();

        let up = peak_of(world.start(&up));
        let down = peak_of(world.start(&down));

        assert!(sha256(&world.path("file")) == sha256(&world.path("back")), "{size} bytes");
        assert_modest("an upload", size, up);
        assert_modest("a download", size, down);
    }
}

#[test]
fn streams_of_unknown_length_come_back_as_they_were_in_little_memory() {
    for size in sizes() {
        let world = World::new();
        make(&world.path("file"), size);
        let up = [&["cp", "-", "s3://bucket/key", "--quiet"], &IN_FLIGHT[..]].concat();
        let down = [&["cp", "s3://bucket/key", "-", "--quiet"], &IN_FLIGHT[..]].concat();

        let mut child = world.start(&up);
        let mut input = child.stdin.take().unwrap();
        let mut file = File::open(world.path("file")).unwrap();
        let fed = thread::spawn(move || io::copy(&mut file, &mut input).unwrap());
        let up = peak_of(child);
        let output = File::create_new(world.path("back")).unwrap();
        let down = peak_of(world.command(&down).stdout(Stdio::from(output)).spawn().unwrap());

        assert_eq!(fed.join().unwrap(), size);
        assert!(sha256(&world.path("file")) == sha256(&world.path("back")), "{size} bytes");
        assert_modest("an upload of a stream", size, up);
        assert_modest("a download to a stream", size, down);
    }
}
