//! The encoder of bodies: what it writes is decoded again, and it is as long as it said.

use http::{HeaderName, HeaderValue};
use s3_proto::checksum::{ChecksumAlgorithm, Hasher};
use s3_proto::sign::{BodyEncoder, Signature, SigningParams, Trailer};
use s3_proto::{Credentials, Timestamp};

use crate::input::Input;
use crate::service::START;

pub(crate) fn run(bytes: &[u8]) {
    let mut input = Input::new(bytes);
    let (kind, misuse, announced) = (input.below(4), input.byte(), input.byte());
    let chunk_len = usize::from(input.u16());
    let trailers = trailers(&mut input);
    let repeat = 1 + usize::from(input.byte());
    let body = input.rest().repeat(repeat);
    let body = &body[..body.len().min(100_000)];

    let credentials = Credentials::new("AKIDEXAMPLE", "secret").unwrap();
    let time = Timestamp::from_unix(START, 0).unwrap();
    let params = SigningParams::new(&credentials, "us-east-1", "s3", time).unwrap();
    let seed = Signature::parse(&"0".repeat(64)).unwrap();
    // Now and then the source is not as long as it said.
    let len = body.len() as u64 + u64::from(announced.saturating_sub(250));
    let encoder = match kind {
        0 => BodyEncoder::unsigned_trailer(len, chunk_len, trailers.clone()),
        1 => BodyEncoder::signed_chunks(len, chunk_len.max(BodyEncoder::MIN_CHUNK_LEN), seed, &params),
        2 => BodyEncoder::signed_chunks_with_trailers(len, chunk_len, seed, &params, trailers.clone()),
        _ => Ok(BodyEncoder::identity(len)),
    };
    let Ok(mut encoder) = encoder else { return };
    let receipt = encoder.observe(&ChecksumAlgorithm::Crc32c).unwrap();
    let encoded_len = encoder.encoded_len();

    // Any pieces will do without framing; with it, only the right ones.
    let right = encoder.chunk_len().unwrap_or(1 + usize::from(misuse));
    let piece_len = if misuse > 250 { 1 + usize::from(announced) } else { right };
    let mut wire = Vec::new();
    for piece in body.chunks(piece_len) {
        let Ok(frame) = encoder.encode(piece) else {
            assert!(piece_len != right, "the right pieces are refused");
            return;
        };
        for bytes in [&frame.head[..], piece, &frame.tail[..]] {
            wire.extend_from_slice(bytes);
        }
    }
    match encoder.finish() {
        Ok(end) => wire.extend_from_slice(&end),
        Err(_) => {
            assert!(len != body.len() as u64, "the end is refused, though all has come");
            assert!(receipt.checksum().is_none());
            return;
        }
    }
    assert_eq!(len, body.len() as u64, "the end is taken, though something is missing");
    assert!(encoder.finish().is_err(), "it ends twice");
    if piece_len == right {
        assert_eq!(wire.len() as u64, encoded_len);
    }
    let mut hasher = Hasher::new(&ChecksumAlgorithm::Crc32c).unwrap();
    hasher.update(body);
    let checksum = hasher.finish();
    assert_eq!(receipt.checksum(), Some(checksum.clone()));
    if kind == 3 {
        assert_eq!(wire, body);
        return;
    }
    let (decoded, lines) = decode(&wire);
    assert_eq!(decoded, body);
    if kind == 0 {
        assert_eq!(lines.len(), trailers.len());
        let shown = checksum.to_string();
        for line in lines.iter().filter(|line| line.starts_with("x-amz-checksum-crc32c:")) {
            assert_eq!(line.split_once(':').unwrap().1, shown);
        }
    }
}

fn trailers(input: &mut Input<'_>) -> Vec<Trailer> {
    let mut trailers = Vec::new();
    if input.flag() {
        trailers.push(Trailer::checksum(&ChecksumAlgorithm::Crc32c).unwrap());
    }
    if input.flag() {
        let value = HeaderValue::from_bytes(input.line()).unwrap_or(HeaderValue::from_static("v"));
        trailers.push(Trailer::known(HeaderName::from_static("x-amz-meta-a"), value));
    }
    trailers
}

/// The body, and the lines of the trailers.
fn decode(mut wire: &[u8]) -> (Vec<u8>, Vec<String>) {
    let mut body = Vec::new();
    loop {
        let line = line(&mut wire);
        let size = line.split(|byte| *byte == b';').next().unwrap();
        let size = usize::from_str_radix(std::str::from_utf8(size).unwrap(), 16).unwrap();
        if size == 0 {
            break;
        }
        body.extend_from_slice(&wire[..size]);
        wire = wire[size..].strip_prefix(b"\r\n").expect("a chunk has an end");
    }
    let mut lines = Vec::new();
    loop {
        match line(&mut wire) {
            [] => break,
            line => lines.push(String::from_utf8_lossy(line).into_owned()),
        }
    }
    assert!(wire.is_empty(), "something comes after the end");
    (body, lines)
}

fn line<'a>(wire: &mut &'a [u8]) -> &'a [u8] {
    let end = wire.windows(2).position(|pair| pair == b"\r\n").expect("a line has an end");
    let (line, rest) = (&wire[..end], &wire[end + 2..]);
    *wire = rest;
    line
}
