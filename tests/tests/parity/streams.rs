//! Bytes both ways, of any size, from any source.

use std::ops::Range;
use std::path::Path;
use std::sync::LazyLock;

use bytes::Bytes;
use s3_proto::{ErrorKind, PayloadSigning};

use crate::harness::{Harness, Outcome, World, scenarios};

scenarios! {
    bytes_of_all_sizes_go_and_come,
    two_hundred_mebibytes_go_and_come,
    all_ways_to_sign_a_body_are_understood,
    a_source_that_is_too_short_or_too_long_stores_nothing,
    sixty_four_calls_at_once,
}

/// An object of any size repeats this: its length is prime, so that bytes in a wrong place show.
static PATTERN: LazyLock<Bytes> =
    LazyLock::new(|| (0..99_991_usize).map(|i| ((i >> 8) ^ i.wrapping_mul(31)).to_le_bytes()[0]).collect());

fn pieces(len: u64) -> impl Iterator<Item = Bytes> + Send + 'static {
    let period = PATTERN.len() as u64;
    let whole = usize::try_from(len / period).unwrap();
    let rest = usize::try_from(len % period).unwrap();
    std::iter::repeat_n(PATTERN.clone(), whole).chain((rest > 0).then(|| PATTERN.slice(..rest)))
}

fn piece(range: Range<u64>) -> Bytes {
    let len = usize::try_from(range.end - range.start).unwrap();
    let start = usize::try_from(range.start % PATTERN.len() as u64).unwrap();
    let periods = (start + len).div_ceil(PATTERN.len());
    Bytes::from(PATTERN.repeat(periods)).slice(start..start + len)
}

fn write_file(path: &Path, len: u64) {
    use std::io::Write as _;
    let mut file = std::io::BufWriter::new(std::fs::File::create(path).unwrap());
    for piece in pieces(len) {
        file.write_all(&piece).unwrap();
    }
    file.flush().unwrap();
}

/// Reads the object as it comes, and compares it.
fn compare<H: Harness>(t: &World<H>, key: &str, len: u64) -> Outcome {
    let mut body = t.send(t.client.get_object(&t.bucket, key))?.body;
    let mut at = 0;
    while let Some(chunk) = H::chunk(&mut body) {
        let chunk = chunk?;
        let next = at + chunk.len() as u64;
        assert!(next <= len && chunk == piece(at..next), "{key}: other bytes at {at}");
        at = next;
    }
    assert_eq!(at, len, "{key}");
    Ok(())
}

fn bytes_of_all_sizes_go_and_come<H: Harness>(t: &World<H>) -> Outcome {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("file");
    for len in [0, 1, 64 << 10, (64 << 10) + 1, 256 << 10, 1 << 20, (5 << 20) + 1] {
        t.send(t.client.put_object(&t.bucket, "bytes", piece(0..len)))?;
        write_file(&path, len);
        t.send(t.client.put_object(&t.bucket, "file", H::file(&path)))?;
        t.send(t.client.put_object(&t.bucket, "pieces", H::pieces(pieces(len), len)))?;
        for key in ["bytes", "file", "pieces"] {
            compare(t, key, len)?;
        }
    }
    Ok(())
}

fn two_hundred_mebibytes_go_and_come<H: Harness>(t: &World<H>) -> Outcome {
    let len = 200 << 20;
    t.send(t.client.put_object(&t.bucket, "large", H::pieces(pieces(len), len)))?;
    compare(t, "large", len)
}

fn all_ways_to_sign_a_body_are_understood<H: Harness>(t: &World<H>) -> Outcome {
    let len = 300_000;
    for signing in [PayloadSigning::Auto, PayloadSigning::Always, PayloadSigning::Never] {
        let client = t.client_with(|config, _| config.payload_signing = signing);
        t.send(client.put_object(&t.bucket, "plain", H::pieces(pieces(len), len)))?;
        let put = client.put_object(&t.bucket, "checked", H::pieces(pieces(len), len));
        t.send(put.checksum_algorithm("CRC32C"))?;
        compare(t, "plain", len)?;
        compare(t, "checked", len)?;
    }
    Ok(())
}

fn a_source_that_is_too_short_or_too_long_stores_nothing<H: Harness>(t: &World<H>) -> Outcome {
    for promised in [999_999, 1_000_001] {
        let source = H::pieces(pieces(1_000_000), promised);
        let error = t.send(t.client.put_object(&t.bucket, "key", source)).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::LocalIo, "{error}");
        assert!(!t.wait(t.client.object_exists(&t.bucket, "key"))?);
    }
    Ok(())
}

fn sixty_four_calls_at_once<H: Harness>(t: &World<H>) -> Outcome {
    t.send(t.client.put_object(&t.bucket, "key", piece(0..50_000)))?;
    let range = |i: u64| i * 700..(i + 1) * 700;
    let gets = (0..64).map(|i| t.client.get_object(&t.bucket, "key").range(range(i)));
    for (i, answer) in (0..).zip(H::send_all(gets.collect())) {
        assert_eq!(t.read(answer?.body)?, piece(range(i)));
    }
    Ok(())
}
