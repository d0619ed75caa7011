//! Data that is cut from one pattern, so that five mebibytes cost nothing to hold, compare and hash twice.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::sync::LazyLock;

use bytes::Bytes;
use s3_proto::checksum::{Checksum, ChecksumAlgorithm, Hasher, combine};

/// Bytes that repeat nowhere near.
static PATTERN: LazyLock<Bytes> = LazyLock::new(|| {
    let mut rng = crate::rng::Rng::new(42);
    let mut bytes = Vec::with_capacity(PATTERN_LEN);
    while bytes.len() < PATTERN_LEN {
        bytes.extend_from_slice(&rng.next().to_le_bytes());
    }
    Bytes::from(bytes)
});

const PATTERN_LEN: usize = 12 << 20;

/// The `n`th of different contents of this length.
pub(crate) fn content(n: usize, len: usize) -> Bytes {
    let at = (n * 1_021) % 65_536;
    PATTERN.slice(at..at + len)
}

thread_local! {
    static KNOWN: RefCell<BTreeMap<(usize, usize), Checksum>> = const { RefCell::new(BTreeMap::new()) };
}

/// The CRC64NVME; that of a piece of the pattern is computed once.
pub(crate) fn crc(bytes: &[u8]) -> Checksum {
    let compute = || {
        let mut hasher = Hasher::new(&ChecksumAlgorithm::Crc64Nvme).expect("it is known");
        hasher.update(bytes);
        hasher.finish()
    };
    let at = (bytes.as_ptr() as usize).wrapping_sub(PATTERN.as_ptr() as usize);
    if bytes.len() < 4_096 || at.saturating_add(bytes.len()) > PATTERN.len() {
        return compute();
    }
    KNOWN.with_borrow_mut(|known| {
        if known.len() > 20_000 {
            known.clear();
        }
        known.entry((at, bytes.len())).or_insert_with(compute).clone()
    })
}

/// That of pieces one after the other.
pub(crate) fn crc_of(pieces: &[Bytes]) -> Checksum {
    let mut sums = pieces.iter().map(|piece| (crc(piece), piece.len() as u64));
    let Some((first, _)) = sums.next() else { return crc(&[]) };
    sums.fold(first, |whole, (next, len)| combine(&whole, &next, len).expect("both are CRC64NVME"))
}

/// Whether the pieces are, one after the other, `expected`. Pieces of the pattern are not looked at.
pub(crate) fn is(pieces: &[Bytes], expected: &[u8]) -> bool {
    let mut rest = expected;
    for piece in pieces {
        let Some((head, tail)) = rest.split_at_checked(piece.len()) else { return false };
        if piece.as_ptr() != head.as_ptr() && piece[..] != *head {
            return false;
        }
        rest = tail;
    }
    rest.is_empty()
}
