//! `aws-chunked`: a body in chunks, each of which may be signed, and trailers after them.
//!
//! Sources: "Signature Calculations for the Authorization Header: Transferring Payload in Multiple Chunks"
//! (page sigv4-streaming), "... Including Trailing Headers" (sigv4-streaming-trailers).

use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};

use bytes::{BufMut as _, Bytes, BytesMut};
use http::{HeaderName, HeaderValue};
use sha2::{Digest as _, Sha256};

use super::{EMPTY_SHA256, Signature, SigningKey, SigningParams};
use crate::checksum::{Checksum, ChecksumAlgorithm, Hasher};
use crate::encode::hex_digest;
use crate::error::{Error, ErrorKind, Phase};

/// Frames the body of an upload: it sees every byte on its way, counts, hashes and signs, and says what to
/// write around it. The bytes themselves go out untouched.
///
/// ```
/// use s3_proto::checksum::ChecksumAlgorithm;
/// use s3_proto::sign::{BodyEncoder, Trailer};
///
/// let body = b"Hello world";
/// let trailer = Trailer::checksum(&ChecksumAlgorithm::Crc32)?;
/// let mut encoder = BodyEncoder::unsigned_trailer(11, BodyEncoder::CHUNK_LEN, vec![trailer])?;
/// let announced = encoder.encoded_len();
///
/// let mut wire = Vec::new();
/// for chunk in body.chunks(encoder.chunk_len().unwrap()) {
///     let frame = encoder.encode(chunk)?;
///     wire.extend([&frame.head, chunk, &frame.tail].concat());
/// }
/// wire.extend(encoder.finish()?);
/// assert_eq!(wire, b"b\r\nHello world\r\n0\r\nx-amz-checksum-crc32:i9aeUg==\r\n\r\n");
/// assert_eq!(wire.len() as u64, announced);
/// # Ok::<(), s3_proto::Error>(())
/// ```
pub struct BodyEncoder {
    len: u64,
    seen: u64,
    state: State,
    /// `None` for a body that goes out as it is.
    framing: Option<Box<Framing>>,
    observer: Option<(Observed, Receipt)>,
}

/// What the checksum is computed by that somebody wants to know.
enum Observed {
    Nothing,
    Trailer,
    Hasher(Hasher),
}

/// Tells what has passed through a [`BodyEncoder`].
#[derive(Clone, Debug, Default)]
pub struct Receipt(Arc<Passed>);

#[derive(Debug, Default)]
struct Passed {
    begun: AtomicBool,
    checksum: OnceLock<Checksum>,
}

impl Receipt {
    /// The checksum of all of it, if one is [observed](BodyEncoder::observe); `None` before the end.
    pub fn checksum(&self) -> Option<Checksum> {
        self.0.checksum.get().cloned()
    }

    /// Whether anything has.
    pub fn is_begun(&self) -> bool {
        self.0.begun.load(Ordering::Relaxed)
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    Open,
    /// A chunk came that was shorter than the others: it must have been the last.
    Short,
    Finished,
}

struct Framing {
    chunk_len: usize,
    signer: Option<ChunkSigner>,
    trailers: Vec<Trailer>,
}

/// What to write before and after a chunk.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[must_use]
pub struct Frame {
    /// Before its bytes.
    pub head: Bytes,
    /// After them.
    pub tail: Bytes,
}

const CRLF: &str = "\r\n";
const SIGNATURE_EXTENSION: &str = ";chunk-signature=";
const TRAILER_SIGNATURE: &str = "x-amz-trailer-signature";
const SIGNATURE_LEN: u64 = 64;

impl BodyEncoder {
    /// A good length of chunks: 64 KiB, as in AWS's examples.
    pub const CHUNK_LEN: usize = 64 * 1024;

    /// The shortest chunks that S3 takes (except for the last): 8 KiB (page sigv4-streaming).
    pub const MIN_CHUNK_LEN: usize = 8 * 1024;

    /// A body that goes out as it is; the encoder only counts.
    pub fn identity(len: u64) -> Self {
        Self { len, seen: 0, state: State::Open, framing: None, observer: None }
    }

    /// Chunks that are signed one after the other, from `seed`, the signature of the request, which has
    /// [`PayloadHash::StreamingSigned`](super::PayloadHash::StreamingSigned).
    ///
    /// # Errors
    /// [`ErrorKind::InvalidInput`] for chunks under [`MIN_CHUNK_LEN`](Self::MIN_CHUNK_LEN).
    pub fn signed_chunks(
        len: u64,
        chunk_len: usize,
        seed: Signature,
        params: &SigningParams<'_>,
    ) -> Result<Self, Error> {
        Self::signed_chunks_with_trailers(len, chunk_len, seed, params, Vec::new())
    }

    /// [`signed_chunks`](Self::signed_chunks), then trailers with a signature of their own. The request has
    /// [`PayloadHash::StreamingSignedTrailer`](super::PayloadHash::StreamingSignedTrailer), and the
    /// trailers' names in `x-amz-trailer`.
    ///
    /// # Errors
    /// As [`signed_chunks`](Self::signed_chunks).
    pub fn signed_chunks_with_trailers(
        len: u64,
        chunk_len: usize,
        seed: Signature,
        params: &SigningParams<'_>,
        mut trailers: Vec<Trailer>,
    ) -> Result<Self, Error> {
        if chunk_len < Self::MIN_CHUNK_LEN {
            let least = Self::MIN_CHUNK_LEN;
            let message =
                format!("chunks of {chunk_len} bytes are too short: S3 takes {least} bytes or more");
            return Err(Error::invalid_input(message));
        }
        if params.key.region_set().is_some() {
            return Err(Error::invalid_input("Signature V4a does not sign bodies chunk by chunk here"));
        }
        // They are signed in the order of their names, which is then also that of the wire.
        trailers.sort_unstable_by(|a, b| a.name.as_str().cmp(b.name.as_str()));
        let signer = ChunkSigner { key: params.key.clone(), now: params.now, previous: seed };
        let framing = Framing { chunk_len, signer: Some(signer), trailers };
        Ok(Self { framing: Some(Box::new(framing)), ..Self::identity(len) })
    }

    /// Chunks without signatures, then trailers: for requests over TLS with
    /// [`PayloadHash::StreamingUnsignedTrailer`](super::PayloadHash::StreamingUnsignedTrailer), and the
    /// trailers' names in `x-amz-trailer`.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidInput`] for chunks of no bytes. S3 asks for at least
    /// [`MIN_CHUNK_LEN`](Self::MIN_CHUNK_LEN), which is left to the caller, as other stores do not.
    pub fn unsigned_trailer(len: u64, chunk_len: usize, trailers: Vec<Trailer>) -> Result<Self, Error> {
        if chunk_len == 0 {
            return Err(Error::invalid_input("chunks must have at least one byte"));
        }
        let framing = Framing { chunk_len, signer: None, trailers };
        Ok(Self { framing: Some(Box::new(framing)), ..Self::identity(len) })
    }

    /// Computes a checksum of the bytes that pass, also if it is not one of the trailers.
    ///
    /// # Errors
    /// [`ErrorKind::NotImplemented`] for an algorithm that is not computed here.
    pub fn observe(&mut self, algorithm: &ChecksumAlgorithm) -> Result<Receipt, Error> {
        let is_trailer = self.framing.as_ref().is_some_and(|framing| framing.computes(algorithm));
        let observed = if is_trailer { Observed::Trailer } else { Observed::Hasher(Hasher::new(algorithm)?) };
        let receipt = self.receipt();
        self.observer = Some((observed, receipt.clone()));
        Ok(receipt)
    }

    /// Tells what passes from now on.
    pub fn receipt(&mut self) -> Receipt {
        self.observer.get_or_insert_with(|| (Observed::Nothing, Receipt::default())).1.clone()
    }

    /// Bytes of the encoded body: its `content-length`.
    pub fn encoded_len(&self) -> u64 {
        self.framing.as_ref().map_or(self.len, |framing| framing.encoded_len(self.len))
    }

    /// Bytes of the body before encoding: `x-amz-decoded-content-length`.
    pub fn decoded_len(&self) -> u64 {
        self.len
    }

    /// How many bytes each call of [`encode`](Self::encode) but the last must have; `None` if that does not
    /// matter.
    pub fn chunk_len(&self) -> Option<usize> {
        self.framing.as_ref().map(|framing| framing.chunk_len)
    }

    /// Takes the next chunk: write the head, the chunk, the tail.
    ///
    /// # Errors
    /// [`ErrorKind::LocalIo`] if there are more bytes than announced; [`ErrorKind::ApiMisuse`] if the chunk
    /// is of a wrong length, or comes after [`finish`](Self::finish).
    pub fn encode(&mut self, chunk: &[u8]) -> Result<Frame, Error> {
        if self.state == State::Finished {
            return Err(misuse("a chunk came after the end of the body"));
        }
        if chunk.is_empty() {
            return Ok(Frame::default());
        }
        let seen = u64::try_from(chunk.len()).ok().and_then(|n| self.seen.checked_add(n));
        let Some(seen) = seen.filter(|seen| *seen <= self.len) else {
            let message = format!("the source is longer than the {} bytes that were announced", self.len);
            return Err(Error::new(ErrorKind::LocalIo, message).with_phase(Phase::Send));
        };
        let frame = match &mut self.framing {
            None => Frame::default(),
            Some(framing) => {
                if self.state == State::Short || chunk.len() > framing.chunk_len {
                    let message = format!("all chunks but the last must have {} bytes", framing.chunk_len);
                    return Err(misuse(message));
                }
                if chunk.len() < framing.chunk_len {
                    self.state = State::Short;
                }
                framing.encode(chunk)
            }
        };
        if let Some((observed, receipt)) = &mut self.observer {
            receipt.0.begun.store(true, Ordering::Relaxed);
            if let Observed::Hasher(hasher) = observed {
                hasher.update(chunk);
            }
        }
        self.seen = seen;
        Ok(frame)
    }

    /// The end of the body: the last chunk, of no bytes, and the trailers.
    ///
    /// # Errors
    /// [`ErrorKind::LocalIo`] if bytes are missing; [`ErrorKind::ApiMisuse`] the second time.
    pub fn finish(&mut self) -> Result<Bytes, Error> {
        if self.state == State::Finished {
            return Err(misuse("the body was ended twice"));
        }
        if self.seen < self.len {
            let message = format!("the source ended after {} of {} bytes", self.seen, self.len);
            return Err(Error::new(ErrorKind::LocalIo, message).with_phase(Phase::Send));
        }
        self.state = State::Finished;
        if let Some((observed, receipt)) = self.observer.take() {
            let computed = match observed {
                Observed::Nothing => None,
                Observed::Trailer => self.framing.as_ref().and_then(|framing| framing.hasher()),
                Observed::Hasher(hasher) => Some(hasher),
            };
            // It is set here and nowhere else.
            let _ = computed.map(|hasher| receipt.0.checksum.set(hasher.finish()));
        }
        Ok(self.framing.as_mut().map(|framing| framing.finish()).unwrap_or_default())
    }
}

fn misuse(message: impl Into<std::borrow::Cow<'static, str>>) -> Error {
    Error::new(ErrorKind::ApiMisuse, message).with_phase(Phase::Send)
}

impl Framing {
    fn computes(&self, algorithm: &ChecksumAlgorithm) -> bool {
        matches!(self.trailers.as_slice(), [Trailer { value: TrailerValue::Computed(hasher), .. }] if hasher.algorithm() == algorithm)
    }

    /// What computes the only trailer.
    fn hasher(&self) -> Option<Hasher> {
        match self.trailers.as_slice() {
            [Trailer { value: TrailerValue::Computed(hasher), .. }] => Some(hasher.clone()),
            _ => None,
        }
    }

    fn encoded_len(&self, len: u64) -> u64 {
        let chunk_len = self.chunk_len as u64;
        let (full, rest) = (len / chunk_len, len % chunk_len);
        let last = if rest == 0 { 0 } else { self.head_len(rest) + rest + 2 };
        let trailers: u64 = self.trailers.iter().map(|t| t.line_len() + 2).sum();
        let trailer_signature = match self.signer {
            Some(_) if !self.trailers.is_empty() => TRAILER_SIGNATURE.len() as u64 + 1 + SIGNATURE_LEN + 2,
            _ => 0,
        };
        full * (self.head_len(chunk_len) + chunk_len + 2)
            + last
            + self.head_len(0)
            + trailers
            + trailer_signature
            + 2
    }

    /// Bytes of a chunk's first line, with its end.
    fn head_len(&self, chunk_len: u64) -> u64 {
        let extension =
            if self.signer.is_some() { SIGNATURE_EXTENSION.len() as u64 + SIGNATURE_LEN } else { 0 };
        hex_digits(chunk_len) + extension + 2
    }

    fn encode(&mut self, chunk: &[u8]) -> Frame {
        for trailer in &mut self.trailers {
            if let TrailerValue::Computed(hasher) = &mut trailer.value {
                hasher.update(chunk);
            }
        }
        let mut head = BytesMut::with_capacity(96);
        self.write_head(chunk, &mut head);
        Frame { head: head.freeze(), tail: Bytes::from_static(CRLF.as_bytes()) }
    }

    fn finish(&mut self) -> Bytes {
        let mut out = BytesMut::with_capacity(256);
        self.write_head(&[], &mut out);
        let mut signed = Sha256::new();
        let trailers = std::mem::take(&mut self.trailers);
        let any = !trailers.is_empty();
        for trailer in trailers {
            let value = trailer.value.into_bytes();
            for (text, end) in [(trailer.name.as_str().as_bytes(), ":"), (&value, "\n")] {
                signed.update(text);
                signed.update(end);
                out.put_slice(text);
                out.put_slice(if end == "\n" { CRLF.as_bytes() } else { end.as_bytes() });
            }
        }
        if let Some(signer) = self.signer.as_mut().filter(|_| any) {
            let signature =
                signer.sign("AWS4-HMAC-SHA256-TRAILER", &[&hex_digest(&signed.finalize().into())]);
            out.put_slice(TRAILER_SIGNATURE.as_bytes());
            out.put_u8(b':');
            out.put_slice(signature.as_bytes());
            out.put_slice(CRLF.as_bytes());
        }
        out.put_slice(CRLF.as_bytes());
        out.freeze()
    }

    fn write_head(&mut self, chunk: &[u8], out: &mut BytesMut) {
        let len = chunk.len() as u64;
        for digit in (0..hex_digits(len)).rev() {
            let nibble = u8::try_from(len >> (4 * digit) & 15).unwrap_or_default();
            out.put_u8(if nibble < 10 { b'0' + nibble } else { b'a' + nibble - 10 });
        }
        if let Some(signer) = &mut self.signer {
            let digest = hex_digest(&Sha256::digest(chunk).into());
            // The first digest is that of the chunk's headers, of which there are none.
            let digests: [&[u8]; 2] = [EMPTY_SHA256.as_bytes(), &digest];
            let signature = signer.sign("AWS4-HMAC-SHA256-PAYLOAD", &digests);
            out.put_slice(SIGNATURE_EXTENSION.as_bytes());
            out.put_slice(signature.as_bytes());
        }
        out.put_slice(CRLF.as_bytes());
    }
}

fn hex_digits(n: u64) -> u64 {
    u64::from((64 - n.leading_zeros()).div_ceil(4).max(1))
}

/// Each signature covers the one before it.
struct ChunkSigner {
    key: SigningKey,
    now: [u8; 16],
    previous: Signature,
}

impl ChunkSigner {
    fn sign(&mut self, algorithm: &str, digests: &[&[u8]]) -> Signature {
        let previous = self.previous;
        let mut all: [&[u8]; 3] = [previous.as_bytes(); 3];
        let digests = &digests[..digests.len().min(2)];
        all[1..=digests.len()].copy_from_slice(digests);
        self.previous = self.key.sign_digests(algorithm, &self.now, &all[..=digests.len()]);
        self.previous
    }
}

/// A header field that follows the body.
#[derive(Clone, Debug)]
pub struct Trailer {
    name: HeaderName,
    value: TrailerValue,
}

#[derive(Clone, Debug)]
enum TrailerValue {
    Known(HeaderValue),
    Computed(Hasher),
}

impl Trailer {
    /// The checksum of the body, computed as it passes: `x-amz-checksum-...`.
    ///
    /// # Errors
    /// [`ErrorKind::NotImplemented`] for an algorithm that is not computed here.
    pub fn checksum(algorithm: &ChecksumAlgorithm) -> Result<Self, Error> {
        let hasher = Hasher::new(algorithm)?;
        let name =
            algorithm.header_name().ok_or_else(|| Error::invalid_input("the checksum has no header"))?;
        Ok(Self { name, value: TrailerValue::Computed(hasher) })
    }

    /// A value that is known before, as a checksum that the user gave.
    pub fn known(name: HeaderName, value: HeaderValue) -> Self {
        Self { name, value: TrailerValue::Known(value) }
    }

    /// Its name, for `x-amz-trailer`.
    pub fn name(&self) -> &HeaderName {
        &self.name
    }

    /// Bytes of `name:value`.
    fn line_len(&self) -> u64 {
        let value = match &self.value {
            TrailerValue::Known(value) => value.len(),
            TrailerValue::Computed(hasher) => {
                hasher.algorithm().digest_len().unwrap_or_default().div_ceil(3) * 4
            }
        };
        (self.name.as_str().len() + 1 + value) as u64
    }
}

impl TrailerValue {
    fn into_bytes(self) -> Vec<u8> {
        match self {
            Self::Known(value) => value.as_bytes().to_vec(),
            Self::Computed(hasher) => hasher.finish().to_string().into_bytes(),
        }
    }
}

impl fmt::Debug for BodyEncoder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let signed = self.framing.as_ref().is_some_and(|framing| framing.signer.is_some());
        f.debug_struct("BodyEncoder")
            .field("seen", &self.seen)
            .field("len", &self.len)
            .field("chunk_len", &self.chunk_len())
            .field("signed", &signed)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Credentials, Timestamp};
    use proptest::prelude::*;

    fn params(credentials: &Credentials) -> SigningParams<'_> {
        let time = Timestamp::parse("2013-05-24T00:00:00Z").unwrap();
        SigningParams::new(credentials, "us-east-1", "s3", time).unwrap()
    }

    fn credentials() -> Credentials {
        Credentials::new("AKIAIOSFODNN7EXAMPLE", "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY").unwrap()
    }

    fn run(encoder: &mut BodyEncoder, body: &[u8], pieces: usize) -> Vec<u8> {
        let mut wire = Vec::new();
        for chunk in body.chunks(encoder.chunk_len().unwrap_or(pieces)) {
            let frame = encoder.encode(chunk).unwrap();
            wire.extend_from_slice(&frame.head);
            wire.extend_from_slice(chunk);
            wire.extend_from_slice(&frame.tail);
        }
        wire.extend_from_slice(&encoder.finish().unwrap());
        wire
    }

    /// The example of page sigv4-streaming-trailers.
    #[test]
    fn a_receipt_has_the_checksum_of_what_passed() {
        let algorithm = ChecksumAlgorithm::Crc32;
        let framed = BodyEncoder::unsigned_trailer(11, 64, vec![Trailer::checksum(&algorithm).unwrap()]);
        for mut encoder in [BodyEncoder::identity(11), framed.unwrap()] {
            let receipt = encoder.observe(&algorithm).unwrap();
            let _ = encoder.encode(b"Hello world").unwrap();
            assert_eq!(receipt.checksum(), None);
            encoder.finish().unwrap();
            assert_eq!(receipt.checksum().unwrap().to_string(), "i9aeUg==");
        }
    }

    #[test]
    fn the_documented_upload_with_a_trailer() {
        let credentials = credentials();
        let seed =
            Signature::parse("106e2a8a18243abcf37539882f36619c00e2dfc72633413f02d3b74544bfeb8e").unwrap();
        let trailers = vec![Trailer::checksum(&ChecksumAlgorithm::Crc32c).unwrap()];
        let mut encoder = BodyEncoder::signed_chunks_with_trailers(
            66_560,
            BodyEncoder::CHUNK_LEN,
            seed,
            &params(&credentials),
            trailers,
        )
        .unwrap();
        let announced = encoder.encoded_len();
        let wire = run(&mut encoder, &vec![b'a'; 66_560], 1);
        assert_eq!(wire.len() as u64, announced);
        let text = String::from_utf8(wire).unwrap();
        assert!(text.starts_with(
            "10000;chunk-signature=b474d8862b1487a5145d686f57f013e54db672cee1c953b3010fb58501ef5aa2\r\naaa"
        ));
        assert!(text.contains(
            "\r\n400;chunk-signature=1c1344b170168f8e65b41376b44b20fe354e373826ccbbe2c1d40a8cae51e5c7\r\n"
        ));
        assert!(text.ends_with(concat!(
            "\r\n0;chunk-signature=2ca2aba2005185cf7159c6277faf83795951dd77a3a99e6e65d5c9f85863f992\r\n",
            "x-amz-checksum-crc32c:sOO8/Q==\r\n",
            "x-amz-trailer-signature:d81f82fc3505edab99d459891051a732e8730629a2e4a59689829ca17fe2e435\r\n\r\n",
        )));
        let shown = format!("{encoder:?}");
        assert!(!shown.contains("106e") && !shown.contains("wJalr"), "{shown}");
    }

    #[test]
    fn a_source_of_another_length_is_a_local_error() {
        let all = [BodyEncoder::identity(10), BodyEncoder::unsigned_trailer(10, 4, Vec::new()).unwrap()];
        for mut encoder in all {
            let _ = encoder.encode(b"1234").unwrap();
            let error = encoder.finish().unwrap_err();
            assert_eq!(error.kind(), ErrorKind::LocalIo);
            assert_eq!(error.message(), "the source ended after 4 of 10 bytes");
            let _ = encoder.encode(b"5678").unwrap();
            let error = encoder.encode(b"9abc").unwrap_err();
            assert_eq!(error.kind(), ErrorKind::LocalIo);
            assert_eq!(error.message(), "the source is longer than the 10 bytes that were announced");
            let _ = encoder.encode(b"9a").unwrap();
            encoder.finish().unwrap();
            assert_eq!(encoder.finish().unwrap_err().kind(), ErrorKind::ApiMisuse);
            assert_eq!(encoder.encode(b"b").unwrap_err().kind(), ErrorKind::ApiMisuse);
        }
    }

    #[test]
    fn chunks_of_a_wrong_length_are_refused() {
        let mut encoder = BodyEncoder::unsigned_trailer(100, 4, Vec::new()).unwrap();
        assert_eq!(encoder.encode(b"12345").unwrap_err().kind(), ErrorKind::ApiMisuse);
        assert_eq!(encoder.encode(b"").unwrap(), Frame::default());
        let _ = encoder.encode(b"123").unwrap();
        assert_eq!(encoder.encode(b"1234").unwrap_err().kind(), ErrorKind::ApiMisuse);
        let credentials = credentials();
        let seed = Signature::from_bytes(&[0; 32]);
        assert!(BodyEncoder::signed_chunks(1, 8191, seed, &params(&credentials)).is_err());
        assert!(BodyEncoder::unsigned_trailer(1, 0, Vec::new()).is_err());
    }

    #[test]
    fn encoders_can_change_threads() {
        fn send<T: Send>() {}
        send::<BodyEncoder>();
    }

    proptest! {
        #[test]
        fn as_many_bytes_as_announced(len in 0usize..40_000, chunk_len in 1usize..20_000, kind in 0..4, known in ".{0,30}") {
            let credentials = credentials();
            let params = params(&credentials);
            let seed = Signature::from_bytes(&[0; 32]);
            let trailers = || {
                let mut all = vec![Trailer::checksum(&ChecksumAlgorithm::Sha256).unwrap()];
                if let Ok(value) = HeaderValue::from_bytes(known.as_bytes()) {
                    all.push(Trailer::known(HeaderName::from_static("a"), value));
                }
                all
            };
            let long = chunk_len.max(BodyEncoder::MIN_CHUNK_LEN);
            let mut encoder = match kind {
                0 => BodyEncoder::identity(len as u64),
                1 => BodyEncoder::unsigned_trailer(len as u64, chunk_len, trailers()).unwrap(),
                2 => BodyEncoder::signed_chunks(len as u64, long, seed, &params).unwrap(),
                _ => BodyEncoder::signed_chunks_with_trailers(len as u64, long, seed, &params, trailers()).unwrap(),
            };
            let announced = encoder.encoded_len();
            let wire = run(&mut encoder, &vec![b'x'; len], chunk_len);
            prop_assert_eq!(wire.len() as u64, announced);
        }
    }
}
