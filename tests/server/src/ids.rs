//! Names that the server gives out: request ids, version ids, upload ids.
//!
//! All come from a seed and a counter, so that the same requests in the same order get the same names.

use std::sync::atomic::{AtomicU64, Ordering};

/// Length of a version id; S3's own ids look like this, and another length is a malformed id.
pub(crate) const VERSION_ID_LEN: usize = 32;

const ALPHABET: &[u8; 64] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ_abcdefghijklmnopqrstuvwxyz.";

/// A source of names.
#[derive(Debug)]
pub(crate) struct Ids {
    seed: u64,
    next: AtomicU64,
}

impl Ids {
    pub(crate) fn new(seed: u64) -> Self {
        Self { seed, next: AtomicU64::new(1) }
    }

    fn count(&self) -> u64 {
        self.next.fetch_add(1, Ordering::Relaxed)
    }

    /// For `x-amz-version-id`.
    pub(crate) fn version(&self) -> String {
        self.text(VERSION_ID_LEN)
    }

    /// For `UploadId`. Later ids sort after earlier ones, as the markers of ListMultipartUploads expect.
    pub(crate) fn upload(&self) -> String {
        let count = self.count();
        format!("{count:012}{}", text(self.seed ^ 0x7570_6c6f_6164_7321, count, 40))
    }

    /// For `x-amz-request-id` and `x-amz-id-2`.
    pub(crate) fn request(&self) -> (String, String) {
        let count = self.count();
        let id = mix(self.seed ^ 0x0072_6571, count);
        (format!("{id:016X}"), format!("{}=", text(self.seed ^ 0x686f_7374, count, 75)))
    }

    fn text(&self, length: usize) -> String {
        text(self.seed, self.count(), length)
    }
}

fn text(seed: u64, count: u64, length: usize) -> String {
    let mut out = String::with_capacity(length);
    for i in 0..length {
        let word = mix(seed ^ count.rotate_left(17), i as u64);
        out.push(char::from(ALPHABET[(word % 62) as usize]));
    }
    out
}

/// splitmix64: every input gives another output, which is all that is asked of it here.
fn mix(seed: u64, count: u64) -> u64 {
    let mut z = seed.wrapping_add(count.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15));
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn same_seed_same_names() {
        let (a, b) = (Ids::new(7), Ids::new(7));
        assert_eq!(a.version(), b.version());
        assert_eq!(a.upload(), b.upload());
        assert_eq!(a.request(), b.request());
        assert_ne!(a.version(), a.version());
        assert_ne!(Ids::new(8).version(), Ids::new(7).version());
        assert_eq!(a.version().len(), VERSION_ID_LEN);
        assert!(a.upload() < a.upload());
    }
}
