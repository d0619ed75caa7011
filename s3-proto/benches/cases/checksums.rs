//! Checksums in pieces as drivers read them, beside the same algorithm over all bytes at once.

use std::hint::black_box;

use crc_fast::CrcAlgorithm;
use s3_proto::checksum::{ChecksumAlgorithm, Hasher};
use sha2::{Digest as _, Sha256};

use super::{Case, Work};

const LEN: usize = 1 << 20;
const PIECE: usize = 16 << 10;

pub fn cases() -> Vec<Case> {
    let case = |name, work, floor| Case { name, work, allocations: 2, floor, times: 1.2, bytes: LEN };
    vec![
        case("CRC32 of 1 MiB", || pieces(&ChecksumAlgorithm::Crc32), || crc(CrcAlgorithm::Crc32IsoHdlc)),
        case("CRC32C of 1 MiB", || pieces(&ChecksumAlgorithm::Crc32c), || crc(CrcAlgorithm::Crc32Iscsi)),
        case("CRC64NVME of 1 MiB", || pieces(&ChecksumAlgorithm::Crc64Nvme), || crc(CrcAlgorithm::Crc64Nvme)),
        case("SHA-256 of 1 MiB", || pieces(&ChecksumAlgorithm::Sha256), sha256),
    ]
}

fn pieces(algorithm: &ChecksumAlgorithm) -> Work {
    let (algorithm, data) = (algorithm.clone(), vec![9; LEN]);
    Box::new(move || {
        let mut hasher = Hasher::new(&algorithm).unwrap();
        black_box(&data).chunks(PIECE).for_each(|piece| hasher.update(piece));
        drop(black_box(hasher.finish()));
    })
}

fn crc(algorithm: CrcAlgorithm) -> Work {
    let data = vec![9; LEN];
    Box::new(move || _ = black_box(crc_fast::checksum(algorithm, black_box(&data))))
}

fn sha256() -> Work {
    let data = vec![9; LEN];
    Box::new(move || _ = black_box(Sha256::digest(black_box(&data))))
}
