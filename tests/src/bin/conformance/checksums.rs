//! Checksums, alone and as trailers.

use s3_proto::Error;
use s3_proto::checksum::{Checksum, ChecksumAlgorithm, Hasher, combine};
use s3_proto::encode::hex;
use s3_proto::sign::{BodyEncoder, Trailer};
use serde_json::Value;

use crate::List;
use crate::sigv4::{encode_all, same_frames};
use crate::tally::{Outcome, Tally, Verdict, fail, items, same, skip, text};

pub(crate) const LISTS: &[List] = &[
    ("checksums.json", "vectors", |cases| Tally::of(cases, vector)),
    ("checksums.json", "response_mismatch", |cases| Tally::of(cases, mismatch)),
    ("checksums.json", "aws_chunked_wire_smithy_rs", |cases| Tally::of(cases, aws_chunked)),
    ("checksums.json", "combine_property", combine_property),
    ("checksums.json", "rules", rules),
];

fn algorithm(case: &Value) -> Result<ChecksumAlgorithm, Verdict> {
    let algorithm = ChecksumAlgorithm::from(text(case, "algorithm")?);
    if algorithm.is_computed() {
        return Ok(algorithm);
    }
    // Its name and the form of its values are known, even so.
    let header = algorithm.header_name();
    if let Some(expected) = case.get("header").and_then(Value::as_str) {
        same("header", &Some(expected), &header.as_ref().map(http::HeaderName::as_str))?;
    }
    if let Some(expected) = case.get("base64").and_then(Value::as_str) {
        same("base64", expected, &Checksum::parse(algorithm.clone(), expected)?.to_string())?;
    }
    Err(skip(format!("algorithm = {algorithm}: not computed, values are carried as they come")))
}

fn of(algorithm: &ChecksumAlgorithm, bytes: &[u8]) -> Result<Checksum, Error> {
    let mut hasher = Hasher::new(algorithm)?;
    // In pieces of odd lengths, as bodies come.
    for piece in bytes.chunks(1013) {
        hasher.update(piece);
    }
    Ok(hasher.finish())
}

fn vector(case: &Value) -> Outcome {
    let algorithm = algorithm(case)?;
    let repeat = case.get("repeat").and_then(Value::as_u64).unwrap_or(1);
    let input = text(case, "input")?.repeat(usize::try_from(repeat).unwrap_or(1));
    let computed = of(&algorithm, input.as_bytes())?;
    same("base64", text(case, "base64")?, &computed.to_string())?;
    same("hex", text(case, "hex")?, &hex(computed.bytes()))?;
    same(
        "header",
        &Some(text(case, "header")?),
        &algorithm.header_name().as_ref().map(http::HeaderName::as_str),
    )?;
    same("read back", &computed, &Checksum::parse(algorithm, text(case, "base64")?)?)
}

fn mismatch(case: &Value) -> Outcome {
    let algorithm = algorithm(case)?;
    let computed = of(&algorithm, text(case, "payload")?.as_bytes())?;
    same("calculated", text(case, "must_fail_with_calculated")?, &computed.to_string())?;
    match Checksum::parse(algorithm, text(case, "response_header_value")?) {
        Ok(claimed) if claimed == computed => Err(fail("a mismatch", "equal checksums")),
        _ => Ok(()),
    }
}

fn aws_chunked(case: &Value) -> Outcome {
    let algorithm = algorithm(case)?;
    let payload = text(case, "payload")?.as_bytes();
    let trailers = vec![Trailer::checksum(&algorithm)?];
    let encoder = BodyEncoder::unsigned_trailer(payload.len() as u64, BodyEncoder::CHUNK_LEN, trailers)?;
    same_frames(text(case, "aws_chunked_body")?.as_bytes(), &encode_all(encoder, payload)?)
}

/// One case for each algorithm and input: every split of it.
fn combine_property(property: &Value) -> Tally {
    let mut tally = Tally::default();
    for algorithm in items(property, "algorithms").iter().filter_map(Value::as_str) {
        for input in items(property, "inputs").iter().filter_map(Value::as_str) {
            let id = format!("{algorithm} of {} bytes", input.len());
            tally.count(&id, every_split(&ChecksumAlgorithm::from(algorithm), input.as_bytes()));
        }
    }
    tally
}

fn every_split(algorithm: &ChecksumAlgorithm, input: &[u8]) -> Outcome {
    let whole = of(algorithm, input)?;
    for at in 0..=input.len() {
        let (head, tail) = input.split_at(at);
        let combined = combine(&of(algorithm, head)?, &of(algorithm, tail)?, tail.len() as u64)?;
        same(&format!("split at {at}"), &whole, &combined)?;
    }
    Ok(())
}

/// Sentences about what other clients do.
fn rules(rules: &Value) -> Tally {
    let mut tally = Tally::default();
    for (name, rule) in rules.as_object().into_iter().flatten() {
        let outcome =
            if rule.is_string() { skip("a sentence, not a case") } else { fail("a sentence", "other") };
        tally.count(name, Err(outcome));
    }
    tally
}
