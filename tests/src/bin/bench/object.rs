//! Objects: the same mebibyte over and over.

use std::fs::File;
use std::hint::black_box;
use std::io::{Read as _, Write as _};
use std::path::Path;
use std::sync::LazyLock;

use bytes::Bytes;
use s3_proto::checksum::{Checksum, ChecksumAlgorithm, Hasher};

const BLOCK: usize = 1 << 20;
static CONTENT: LazyLock<Bytes> =
    LazyLock::new(|| (0..BLOCK).map(|at| (at.wrapping_mul(0x9E37_79B1) >> 11).to_le_bytes()[0]).collect());

/// The bytes from here on, as many as there are at hand, at most up to `end`.
pub(crate) fn piece(at: u64, end: u64, most: usize) -> Bytes {
    let from = usize::try_from(at).unwrap() % BLOCK;
    let len = usize::try_from(end - at).unwrap().min(most).min(BLOCK - from);
    CONTENT.slice(from..from + len)
}

/// The CRC64NVME of an object.
pub(crate) fn checksum(len: u64) -> Checksum {
    let (mut hasher, mut at) = (hasher(), 0);
    while at < len {
        let piece = piece(at, len, BLOCK);
        hasher.update(&piece);
        at += piece.len() as u64;
    }
    hasher.finish()
}

/// What a floor does with a small body that has come, as a driver has to.
pub(crate) fn check(body: &[u8]) -> u64 {
    let mut hasher = hasher();
    hasher.update(body);
    black_box(hasher.finish());
    body.len() as u64
}

pub(crate) fn hasher() -> Hasher {
    Hasher::new(&ChecksumAlgorithm::Crc64Nvme).unwrap()
}

/// Writes an object of whole blocks.
pub(crate) fn write(path: &Path, len: u64) {
    let mut file = File::create(path).unwrap();
    for _ in 0..len / BLOCK as u64 {
        file.write_all(&CONTENT).unwrap();
    }
    file.sync_all().unwrap();
}

/// Makes sure that a file holds an object of this length.
pub(crate) fn verify(path: &Path, len: u64) {
    let mut file = File::open(path).unwrap();
    assert_eq!(file.metadata().unwrap().len(), len);
    let mut block = vec![0; BLOCK];
    for number in 0..len / BLOCK as u64 {
        file.read_exact(&mut block).unwrap();
        assert!(block == *CONTENT, "block {number} is wrong");
    }
}
