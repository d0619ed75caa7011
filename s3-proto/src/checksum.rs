//! The checksums that S3 knows: computed while bytes pass, read from headers, and combined.
//!
//! Sources: "Checking object integrity" in the Amazon S3 User Guide, and the headers `x-amz-checksum-*` in
//! the API reference.

use std::fmt;
use std::hash::Hasher as _;

use http::HeaderName;
use md5::Md5;
use sha1::Sha1;
use sha2::{Digest as _, Sha256, Sha512};
use twox_hash::{XxHash64, xxhash3_64, xxhash3_128};

use crate::encode::{base64, base64_decode};
use crate::{Error, ErrorKind};

/// An algorithm that `x-amz-checksum-algorithm` can name.
///
/// All that are known can be computed here (see [`Hasher`]); the values of others are carried as they come.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum ChecksumAlgorithm {
    /// CRC-32 as in zip and Ethernet.
    Crc32,
    /// CRC-32 with Castagnoli's polynomial.
    Crc32c,
    /// CRC-64/NVME: what Amazon S3 itself computes where the client sends nothing.
    Crc64Nvme,
    /// SHA-1.
    Sha1,
    /// SHA-256.
    Sha256,
    /// SHA-512.
    Sha512,
    /// MD5, also that of `Content-MD5`.
    Md5,
    /// XXH64.
    Xxhash64,
    /// XXH3, 64 bits.
    Xxhash3,
    /// XXH3, 128 bits.
    Xxhash128,
    /// One that came later.
    Other(String),
}

impl ChecksumAlgorithm {
    /// The name in the API, such as `CRC64NVME`.
    pub fn as_str(&self) -> &str {
        match self {
            Self::Crc32 => "CRC32",
            Self::Crc32c => "CRC32C",
            Self::Crc64Nvme => "CRC64NVME",
            Self::Sha1 => "SHA1",
            Self::Sha256 => "SHA256",
            Self::Md5 => "MD5",
            Self::Sha512 => "SHA512",
            Self::Xxhash64 => "XXHASH64",
            Self::Xxhash3 => "XXHASH3",
            Self::Xxhash128 => "XXHASH128",
            Self::Other(name) => name,
        }
    }

    /// The header or trailer that carries the value, such as `x-amz-checksum-crc64nvme`; `None` if an
    /// unknown algorithm's name cannot stand in a header name.
    pub fn header_name(&self) -> Option<HeaderName> {
        Some(match self {
            Self::Crc32 => HeaderName::from_static("x-amz-checksum-crc32"),
            Self::Crc32c => HeaderName::from_static("x-amz-checksum-crc32c"),
            Self::Crc64Nvme => HeaderName::from_static("x-amz-checksum-crc64nvme"),
            Self::Sha1 => HeaderName::from_static("x-amz-checksum-sha1"),
            Self::Sha256 => HeaderName::from_static("x-amz-checksum-sha256"),
            Self::Md5 => HeaderName::from_static("x-amz-checksum-md5"),
            Self::Sha512 => HeaderName::from_static("x-amz-checksum-sha512"),
            Self::Xxhash64 => HeaderName::from_static("x-amz-checksum-xxhash64"),
            Self::Xxhash3 => HeaderName::from_static("x-amz-checksum-xxhash3"),
            Self::Xxhash128 => HeaderName::from_static("x-amz-checksum-xxhash128"),
            Self::Other(name) => {
                let name = format!("x-amz-checksum-{}", name.to_ascii_lowercase());
                return HeaderName::try_from(name).ok();
            }
        })
    }

    /// Bytes of a digest, where the algorithm is known.
    pub fn digest_len(&self) -> Option<usize> {
        match self {
            Self::Crc32 | Self::Crc32c => Some(4),
            Self::Crc64Nvme | Self::Xxhash64 | Self::Xxhash3 => Some(8),
            Self::Md5 | Self::Xxhash128 => Some(16),
            Self::Sha1 => Some(20),
            Self::Sha256 => Some(32),
            Self::Sha512 => Some(64),
            Self::Other(_) => None,
        }
    }

    /// The one whose header ends in this, such as `crc64nvme`.
    pub(crate) fn of_header(suffix: &str) -> Option<Self> {
        Some(match suffix {
            "crc32" => Self::Crc32,
            "crc32c" => Self::Crc32c,
            "crc64nvme" => Self::Crc64Nvme,
            "sha1" => Self::Sha1,
            "sha256" => Self::Sha256,
            "md5" => Self::Md5,
            "sha512" => Self::Sha512,
            "xxhash64" => Self::Xxhash64,
            "xxhash3" => Self::Xxhash3,
            "xxhash128" => Self::Xxhash128,
            _ => return None,
        })
    }

    /// Whether [`Hasher`] can compute it.
    pub fn is_computed(&self) -> bool {
        !matches!(self, Self::Other(_))
    }

    /// Whether the checksum of a whole follows from those of its parts (see [`combine`]).
    pub fn is_crc(&self) -> bool {
        self.crc().is_some()
    }

    fn crc(&self) -> Option<crc_fast::CrcAlgorithm> {
        match self {
            Self::Crc32 => Some(crc_fast::CrcAlgorithm::Crc32IsoHdlc),
            Self::Crc32c => Some(crc_fast::CrcAlgorithm::Crc32Iscsi),
            Self::Crc64Nvme => Some(crc_fast::CrcAlgorithm::Crc64Nvme),
            _ => None,
        }
    }
}

/// Case does not matter; what is unknown is kept.
impl From<&str> for ChecksumAlgorithm {
    fn from(name: &str) -> Self {
        Self::of_header(&name.to_ascii_lowercase()).unwrap_or_else(|| Self::Other(name.to_owned()))
    }
}

impl fmt::Display for ChecksumAlgorithm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A value of a checksum; `Display` is what stands in the header: base64, and `-N` after it for an object
/// whose value was made of the values of its N parts.
///
/// ```
/// use s3_proto::checksum::{Checksum, ChecksumAlgorithm, Hasher};
///
/// let mut hasher = Hasher::new(&ChecksumAlgorithm::Crc32)?;
/// hasher.update(b"Hello ");
/// hasher.update(b"world");
/// let computed = hasher.finish();
/// assert_eq!(computed, Checksum::parse(ChecksumAlgorithm::Crc32, "i9aeUg==")?);
/// # Ok::<(), s3_proto::Error>(())
/// ```
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Checksum {
    algorithm: ChecksumAlgorithm,
    bytes: Vec<u8>,
    parts: Option<u32>,
}

impl Checksum {
    /// Reads the value of a header or XML element.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidInput`] if it is not base64, or not of the length that the algorithm has.
    pub fn parse(algorithm: ChecksumAlgorithm, text: &str) -> Result<Self, Error> {
        // '-' is not in base64's alphabet.
        let (value, parts) = match text.trim().split_once('-') {
            None => (text.trim(), None),
            Some((value, parts)) => {
                let digits = parts.bytes().all(|b| b.is_ascii_digit());
                let parts = parts.parse().ok().filter(|n| digits && *n > 0);
                (
                    value,
                    Some(parts.ok_or_else(|| malformed(&algorithm, text, "its number of parts is wrong"))?),
                )
            }
        };
        let bytes = base64_decode(value).ok_or_else(|| malformed(&algorithm, text, "it is not base64"))?;
        if algorithm.digest_len().is_some_and(|len| len != bytes.len()) {
            return Err(malformed(&algorithm, text, "its length is wrong"));
        }
        Ok(Self { algorithm, bytes, parts })
    }

    /// The checksum of a multipart object of type COMPOSITE: the algorithm over its parts' digests.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidInput`] if there are no parts, if they are of different algorithms or composite
    /// themselves, or if the algorithm cannot be computed.
    pub fn composite(parts: &[Self]) -> Result<Self, Error> {
        let Some(first) = parts.first() else {
            return Err(Error::invalid_input("a composite checksum needs at least one part"));
        };
        let mut hasher = Hasher::new(&first.algorithm)?;
        for part in parts {
            if part.algorithm != first.algorithm || part.parts.is_some() {
                return Err(Error::invalid_input("the parts' checksums are not of one algorithm"));
            }
            hasher.update(&part.bytes);
        }
        Ok(Self { parts: u32::try_from(parts.len()).ok(), ..hasher.finish() })
    }

    /// What it was computed with.
    pub fn algorithm(&self) -> &ChecksumAlgorithm {
        &self.algorithm
    }

    /// The digest itself, most significant byte first.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// How many parts it was composed of; `None` for the checksum of the bytes themselves.
    pub fn composite_parts(&self) -> Option<u32> {
        self.parts
    }
}

fn malformed(algorithm: &ChecksumAlgorithm, text: &str, why: &str) -> Error {
    Error::new(ErrorKind::InvalidInput, format!("{text:?} is no {algorithm} checksum: {why}"))
}

impl fmt::Display for Checksum {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&base64(&self.bytes))?;
        match self.parts {
            Some(parts) => write!(f, "-{parts}"),
            None => Ok(()),
        }
    }
}

impl fmt::Debug for Checksum {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {self}", self.algorithm)
    }
}

/// Computes a checksum of bytes that come in pieces.
#[derive(Clone)]
pub struct Hasher {
    algorithm: ChecksumAlgorithm,
    state: State,
}

#[derive(Clone)]
enum State {
    // Boxed, as SHA-512, for being several times the size of the others.
    Crc(Box<crc_fast::Digest>),
    Sha1(Sha1),
    Sha256(Sha256),
    Sha512(Box<Sha512>),
    Md5(Md5),
    Xxhash64(Box<XxHash64>),
    Xxhash3(Box<xxhash3_64::Hasher>),
    Xxhash128(Box<xxhash3_128::Hasher>),
}

impl Hasher {
    /// Starts with no bytes.
    ///
    /// # Errors
    /// [`ErrorKind::NotImplemented`] for an algorithm that is not computed here.
    pub fn new(algorithm: &ChecksumAlgorithm) -> Result<Self, Error> {
        let state = match (algorithm, algorithm.crc()) {
            (_, Some(crc)) => State::Crc(Box::new(crc_fast::Digest::new(crc))),
            (ChecksumAlgorithm::Sha1, _) => State::Sha1(Sha1::new()),
            (ChecksumAlgorithm::Sha256, _) => State::Sha256(Sha256::new()),
            (ChecksumAlgorithm::Sha512, _) => State::Sha512(Box::default()),
            (ChecksumAlgorithm::Md5, _) => State::Md5(Md5::new()),
            (ChecksumAlgorithm::Xxhash64, _) => State::Xxhash64(Box::new(XxHash64::with_seed(0))),
            (ChecksumAlgorithm::Xxhash3, _) => State::Xxhash3(Box::default()),
            (ChecksumAlgorithm::Xxhash128, _) => State::Xxhash128(Box::default()),
            _ => {
                let message = format!("{algorithm} checksums are not computed by this client");
                return Err(Error::new(ErrorKind::NotImplemented, message));
            }
        };
        Ok(Self { algorithm: algorithm.clone(), state })
    }

    /// Takes the next bytes.
    pub fn update(&mut self, bytes: &[u8]) {
        match &mut self.state {
            State::Crc(state) => state.update(bytes),
            State::Sha1(state) => state.update(bytes),
            State::Sha256(state) => state.update(bytes),
            State::Sha512(state) => state.update(bytes),
            State::Md5(state) => state.update(bytes),
            State::Xxhash64(state) => state.write(bytes),
            State::Xxhash3(state) => state.write(bytes),
            State::Xxhash128(state) => state.write(bytes),
        }
    }

    /// What is being computed.
    pub fn algorithm(&self) -> &ChecksumAlgorithm {
        &self.algorithm
    }

    /// The checksum of all bytes so far.
    pub fn finish(self) -> Checksum {
        let Self { algorithm, state } = self;
        let bytes = match state {
            State::Crc(state) => crc_bytes(&algorithm, state.finalize()),
            State::Sha1(state) => state.finalize().to_vec(),
            State::Sha256(state) => state.finalize().to_vec(),
            State::Sha512(state) => state.finalize().to_vec(),
            State::Md5(state) => state.finalize().to_vec(),
            State::Xxhash64(state) => state.finish().to_be_bytes().to_vec(),
            State::Xxhash3(state) => state.finish().to_be_bytes().to_vec(),
            State::Xxhash128(state) => state.finish_128().to_be_bytes().to_vec(),
        };
        Checksum { algorithm, bytes, parts: None }
    }
}

impl fmt::Debug for Hasher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Hasher({})", self.algorithm)
    }
}

fn crc_bytes(algorithm: &ChecksumAlgorithm, value: u64) -> Vec<u8> {
    let len = algorithm.digest_len().unwrap_or(8);
    value.to_be_bytes()[8 - len..].to_vec()
}

/// The checksum of `a`'s bytes followed by `b`'s, of which there are `len_b`: how parts of an object that
/// were read or written in parallel give the checksum of the whole (type FULL_OBJECT).
///
/// # Errors
/// [`ErrorKind::InvalidInput`] unless both are of the same CRC and neither is composite: no other algorithm
/// can be combined.
pub fn combine(a: &Checksum, b: &Checksum, len_b: u64) -> Result<Checksum, Error> {
    let crc = a.algorithm.crc().filter(|_| a.algorithm == b.algorithm && (a.parts, b.parts) == (None, None));
    let Some(crc) = crc else {
        let message = format!("{} and {} checksums cannot be combined", a.algorithm, b.algorithm);
        return Err(Error::invalid_input(message));
    };
    let value = |c: &Checksum| c.bytes.iter().fold(0, |n, byte| n << 8 | u64::from(*byte));
    let combined = shift(crc, value(a), len_b) ^ value(b);
    Ok(Checksum { algorithm: a.algorithm.clone(), bytes: crc_bytes(&a.algorithm, combined), parts: None })
}

/// The remainder that bytes leave if as many zeros follow: multiplied by x^(8 len). crc-fast has the same over matrices,
/// which takes a millisecond for a part of an upload; this takes two microseconds.
fn shift(crc: crc_fast::CrcAlgorithm, remainder: u64, len: u64) -> u64 {
    // Bits are reflected: the highest is the coefficient of x^0.
    let (polynomial, one) = match crc {
        crc_fast::CrcAlgorithm::Crc32Iscsi => (0x82F6_3B78, 1 << 31),
        crc_fast::CrcAlgorithm::Crc64Nvme => (0x9A6C_9329_AC4B_C9B5, 1 << 63),
        _ => (0xEDB8_8320, 1 << 31),
    };
    let multiply = |a: u64, mut b: u64| {
        let (mut product, mut coefficient): (u64, u64) = (0, one);
        while coefficient != 0 {
            if a & coefficient != 0 {
                product ^= b;
            }
            b = b >> 1 ^ if b & 1 == 1 { polynomial } else { 0 };
            coefficient >>= 1;
        }
        product
    };
    let (mut shifted, mut power, mut left) = (remainder, one >> 8, len);
    while left > 0 {
        if left & 1 == 1 {
            shifted = multiply(shifted, power);
        }
        power = multiply(power, power);
        left >>= 1;
    }
    shifted
}

/// The value of `Content-MD5`, which some stores ask for with DeleteObjects.
///
/// ```
/// assert_eq!(s3_proto::checksum::content_md5(b"Hello world"), "PiWWCnnbxptnTNTsZ6csYg==");
/// ```
pub fn content_md5(body: &[u8]) -> String {
    base64(&Md5::digest(body))
}

#[cfg(test)]
mod tests {
    use super::*;
    use ChecksumAlgorithm as A;
    use proptest::prelude::*;

    const COMPUTED: [A; 10] = [
        A::Crc32,
        A::Crc32c,
        A::Crc64Nvme,
        A::Sha1,
        A::Sha256,
        A::Sha512,
        A::Md5,
        A::Xxhash64,
        A::Xxhash3,
        A::Xxhash128,
    ];

    fn of(algorithm: &A, bytes: &[u8]) -> Checksum {
        let mut hasher = Hasher::new(algorithm).unwrap();
        hasher.update(bytes);
        hasher.finish()
    }

    /// The check values of the CRC catalogue for "123456789", of RFC 1321 and FIPS 180 for "abc", and of xxHash's
    /// own sanity checks for no bytes.
    #[test]
    fn known_values() {
        assert_eq!(of(&A::Crc32, b"123456789").bytes(), [0xcb, 0xf4, 0x39, 0x26]);
        assert_eq!(of(&A::Crc32c, b"123456789").bytes(), [0xe3, 0x06, 0x92, 0x83]);
        assert_eq!(of(&A::Crc64Nvme, b"123456789").bytes(), 0xae8b_1486_0a79_9888_u64.to_be_bytes());
        assert_eq!(crate::encode::hex(of(&A::Md5, b"abc").bytes()), "900150983cd24fb0d6963f7d28e17f72");
        assert!(of(&A::Sha1, b"abc").bytes().starts_with(&[0xa9, 0x99, 0x3e, 0x36]));
        assert!(of(&A::Sha256, b"abc").bytes().starts_with(&[0xba, 0x78, 0x16, 0xbf]));
        assert_eq!(of(&A::Xxhash64, b"").bytes(), 0xef46_db37_51d8_e999_u64.to_be_bytes());
        assert_eq!(of(&A::Xxhash3, b"").bytes(), 0x2d06_8005_38d3_94c2_u64.to_be_bytes());
        assert_eq!(
            of(&A::Xxhash128, b"").bytes(),
            0x99aa_06d3_0147_98d8_6001_c324_468d_497f_u128.to_be_bytes()
        );
    }

    #[test]
    fn names_read_back() {
        for name in ["CRC32", "CRC32C", "CRC64NVME", "SHA1", "SHA256", "MD5", "SHA512", "XXHASH128"] {
            let algorithm = A::from(name);
            assert_eq!(algorithm.as_str(), name);
            assert!(!matches!(algorithm, A::Other(_)), "{name}");
            let header = format!("x-amz-checksum-{}", name.to_ascii_lowercase());
            assert_eq!(algorithm.header_name().unwrap().as_str(), header);
        }
        assert_eq!(A::from("BLAKE4").header_name().unwrap().as_str(), "x-amz-checksum-blake4");
        assert_eq!(A::from("a b").header_name(), None);
        assert_eq!(Hasher::new(&A::from("BLAKE4")).unwrap_err().kind(), ErrorKind::NotImplemented);
    }

    #[test]
    fn values_that_cannot_be_are_refused() {
        for text in ["", "i9aeUg", "i9aeUg==-", "i9aeUg==-0", "i9aeUg==-+1", "i9aeUg==-x", "i9aeUgAA", "!!"] {
            let result = Checksum::parse(A::Crc32, text);
            assert_eq!(result.is_ok(), text == "i9aeUg", "{text:?}");
        }
        let later = Checksum::parse(A::from("BLAKE4"), "AAAA-3").unwrap();
        assert_eq!((later.bytes().len(), later.composite_parts()), (3, Some(3)));
        assert_eq!(later.to_string(), "AAAA-3");
    }

    #[test]
    fn a_composite_hashes_the_digests_of_its_parts() {
        let parts = [of(&A::Sha256, b"a"), of(&A::Sha256, b"b")];
        let whole = Checksum::composite(&parts).unwrap();
        let joined = [parts[0].bytes(), parts[1].bytes()].concat();
        assert_eq!(whole.bytes(), of(&A::Sha256, &joined).bytes());
        assert_eq!(whole.composite_parts(), Some(2));
        assert!(whole.to_string().ends_with("-2"));
        assert!(Checksum::composite(&[]).is_err());
        assert!(Checksum::composite(&[whole]).is_err());
    }

    #[test]
    fn only_crcs_combine() {
        for algorithm in COMPUTED {
            let sum = of(&algorithm, b"x");
            assert_eq!(combine(&sum, &sum, 1).is_ok(), algorithm.crc().is_some(), "{algorithm}");
        }
        assert!(combine(&of(&A::Crc32, b"x"), &of(&A::Crc32c, b"x"), 1).is_err());
    }

    proptest! {
        #[test]
        fn a_split_changes_nothing(bytes in prop::collection::vec(any::<u8>(), 0..300), at in any::<prop::sample::Index>()) {
            let (head, tail) = bytes.split_at(at.index(bytes.len() + 1));
            for algorithm in COMPUTED {
                let whole = of(&algorithm, &bytes);
                let mut hasher = Hasher::new(&algorithm).unwrap();
                hasher.update(head);
                hasher.update(tail);
                prop_assert_eq!(&hasher.finish(), &whole);
                prop_assert_eq!(&Checksum::parse(algorithm.clone(), &whole.to_string()).unwrap(), &whole);
                if algorithm.crc().is_some() {
                    let sum = combine(&of(&algorithm, head), &of(&algorithm, tail), tail.len() as u64);
                    prop_assert_eq!(sum.unwrap(), whole);
                }
            }
        }

        #[test]
        fn no_text_panics(text in ".{0,40}") {
            let _ = Checksum::parse(A::Crc32, &text);
        }
    }
}
