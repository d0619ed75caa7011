//! Signatures: of requests, chunks and POST policies.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit as _, Mac as _};
use http::{HeaderName, HeaderValue, Request};
use p256::ecdsa::VerifyingKey;
use p256::ecdsa::signature::Verifier as _;
use s3_proto::checksum::ChecksumAlgorithm;
use s3_proto::encode::{hex, uri_encode};
use s3_proto::sign::{
    self, BodyEncoder, PayloadHash, Signature, SigningKey, SigningOptions, SigningParams, Trailer,
    canonical_header_value,
};
use s3_proto::{Credentials, Error, Timestamp};
use serde_json::Value;
use sha2::Sha256;

use crate::List;
use crate::tally::{Outcome, Tally, Verdict, fail, flag, items, number, pair, pairs, same, skip, text};

pub(crate) const LISTS: &[List] = &[
    ("sigv4.json", "cases", |cases| Tally::of(cases, request)),
    ("sigv4.json", "chunked", |cases| Tally::of(cases, chunked)),
    ("sigv4.json", "chunked_unsigned_frames", |cases| Tally::of(cases, unsigned_frames)),
    ("sigv4.json", "chunked_encoded_length", |cases| Tally::of(cases, encoded_length)),
    ("sigv4.json", "post_policy", |cases| Tally::of(cases, post_policy)),
    ("sigv4.json", "key_derivation", |cases| Tally::of(cases, key_derivation)),
    ("sigv4.json", "headers_not_signed_by_peer", headers_not_signed),
    ("sigv4.json", "header_value_canonicalisation", |cases| Tally::of(cases, header_value)),
    ("sigv4.json", "query_canonicalisation", |cases| Tally::of(cases, query)),
];

fn request(case: &Value) -> Outcome {
    let v4a = match text(case, "algorithm")? {
        "sigv4" => false,
        "sigv4a" => true,
        other => return Err(skip(format!("algorithm = {other}: unknown"))),
    };
    let credentials = credentials(&case["credentials"])?;
    let (mut request, encoded) = http_request(&case["request"])?;
    let mut options = SigningOptions::S3;
    options.normalize_path = flag(&case["options"], "normalize_path");
    // Where the target was no URI yet, making it one was the first encoding, and the only one that the
    // suite counts.
    options.double_encode_path = flag(&case["options"], "double_encode_path") && !encoded;
    options.content_sha256_header = flag(&case["options"], "sign_body");
    options.omit_session_token = flag(&case["options"], "omit_session_token");
    let time = timestamp(text(case, "timestamp")?)?;
    let (region, service) = (text(case, "region")?, text(case, "service")?);
    let params = if v4a {
        SigningParams::v4a(&credentials, region, service, time)?
    } else {
        SigningParams::new(&credentials, region, service, time)?
    };
    let params = params.with_options(options);
    let payload = match case.get("payload_hash").and_then(Value::as_str) {
        Some(literal) => payload_hash(literal)?,
        None => PayloadHash::of(text(&case["request"], "body").unwrap_or_default().as_bytes()),
    };

    let placement = text(case, "placement")?;
    let expires = Duration::from_secs(number(case, "expires").unwrap_or_default());
    let explained = match placement {
        "header" => sign::explain_headers(&request, &payload, &params)?,
        "query" => sign::explain_presigned(&request, &payload, expires, &params)?,
        other => return Err(skip(format!("placement = {other}: unknown"))),
    };
    same("canonical request", text(case, "canonical_request")?, &explained.canonical_request)?;
    same("string to sign", text(case, "string_to_sign")?, &explained.string_to_sign)?;
    if v4a {
        return signed_v4a(case, request, &payload, expires, &params);
    }
    same("signature", text(case, "signature")?, explained.signature.as_str())?;
    if placement == "query" {
        let signed = sign::presign(&request, &payload, expires, &params)?;
        same("signature in the URL", text(case, "signature")?, signed.signature.as_str())?;
        return same_query(case, signed.uri.query().unwrap_or_default());
    }
    let signature = sign::sign_headers(&mut request, &payload, &params)?;
    same("signature", text(case, "signature")?, signature.as_str())?;
    if let Ok(expected) = text(case, "authorization") {
        let got = request.headers().get("authorization").and_then(|value| value.to_str().ok());
        // S3's own pages write the list without spaces, which mean nothing in it (RFC 9110 section 5.6.1).
        let parts = |value: &str| value.split(',').map(|part| part.trim().to_owned()).collect::<Vec<_>>();
        same("authorization", &Some(parts(expected)), &got.map(parts))?;
    }
    same_headers(case, &request)
}

/// Signatures of Version 4a have a part of chance in them, so they are verified and not compared.
fn signed_v4a(
    case: &Value,
    mut request: Request<()>,
    payload: &PayloadHash,
    expires: Duration,
    params: &SigningParams<'_>,
) -> Outcome {
    let public = PublicKey::of(case)?;
    let derived = params.key().public_key().ok_or_else(|| fail("a public key", "none"))?;
    same("public key", &(public.x.as_slice(), public.y.as_slice()), &(&derived.0[..], &derived.1[..]))?;
    let signed = text(case, "string_to_sign")?;
    public.verify(signed, text(case, "signature")?)?;
    if text(case, "placement")? == "query" {
        let presigned = sign::presign(&request, payload, expires, params)?;
        public.verify(signed, presigned.signature.as_str())?;
        return same_query(case, presigned.uri.query().unwrap_or_default());
    }
    let signature = sign::sign_headers(&mut request, payload, params)?;
    public.verify(signed, signature.as_str())?;
    same_headers(case, &request)
}

/// The half of a key pair that is published.
struct PublicKey {
    x: Vec<u8>,
    y: Vec<u8>,
}

impl PublicKey {
    fn of(case: &Value) -> Result<Self, Verdict> {
        let part = |name| {
            let digits = text(if case["public_key"].is_object() { &case["public_key"] } else { case }, name)?;
            unhex(digits).ok_or_else(|| fail("a coordinate in hexadecimal", digits))
        };
        Ok(Self { x: part("x")?, y: part("y")? })
    }

    fn verify(&self, signed: &str, signature: &str) -> Outcome {
        let point = [&[4], self.x.as_slice(), self.y.as_slice()].concat();
        let key = VerifyingKey::from_sec1_bytes(&point).map_err(|e| fail("a public key", e.to_string()))?;
        let der = unhex(signature).ok_or_else(|| fail("a signature in hexadecimal", signature))?;
        let parsed = p256::ecdsa::Signature::from_der(&der).map_err(|e| fail("DER", e.to_string()))?;
        key.verify(signed.as_bytes(), &parsed)
            .map_err(|_| fail("a signature that verifies", signature.to_owned()))
    }
}

/// All but the signature, of what is signed with a part of chance.
fn without_signature(value: &str) -> &str {
    match value.find("Signature=") {
        Some(at) if value.contains("ECDSA") => &value[..at],
        _ => value,
    }
}

fn same_query(case: &Value, got: &str) -> Outcome {
    let Some(target) = case.get("signed_request").and_then(|r| r.get("target")).and_then(Value::as_str)
    else {
        return Ok(());
    };
    let sorted = |query: &str| {
        let by_chance = |pair: &&str| pair.starts_with("X-Amz-Signature=") && query.contains("ECDSA");
        let mut pairs: Vec<_> = query.split('&').filter(|p| !by_chance(p)).map(str::to_owned).collect();
        pairs.sort();
        pairs
    };
    let expected = target.split_once('?').map_or("", |(_, query)| query);
    same("query of the signed request", &sorted(expected), &sorted(got))
}

fn same_headers(case: &Value, got: &Request<()>) -> Outcome {
    let Some(signed) = case.get("signed_request") else { return Ok(()) };
    let expected = pairs(signed, "headers")?;
    for (name, _) in &expected {
        let values: Vec<_> = expected
            .iter()
            .filter(|(other, _)| other.eq_ignore_ascii_case(name))
            .map(|(_, value)| canonical_header_value(without_signature(&unfolded(value)).as_bytes()))
            .collect();
        let present: Vec<_> = got
            .headers()
            .get_all(*name)
            .iter()
            .map(|value| match value.to_str() {
                Ok(text) => canonical_header_value(without_signature(text).as_bytes()),
                Err(_) => canonical_header_value(value.as_bytes()),
            })
            .collect();
        same(&format!("header {name}"), &values, &present)?;
    }
    let distinct = |names: &mut Vec<String>| {
        names.sort();
        names.dedup();
    };
    let mut names: Vec<_> = expected.iter().map(|(name, _)| name.to_ascii_lowercase()).collect();
    distinct(&mut names);
    let mut present: Vec<_> = got.headers().keys().map(|name| name.as_str().to_owned()).collect();
    distinct(&mut present);
    same("headers", &names, &present)
}

/// The request, and whether its target had to be encoded to be a URI at all.
fn http_request(case: &Value) -> Result<(Request<()>, bool), Verdict> {
    let target = text(case, "target")?;
    let mut encoded = false;
    let target: String = target
        .chars()
        .map(|c| {
            if c.is_ascii_graphic() {
                return c.to_string();
            }
            encoded = true;
            uri_encode(c.encode_utf8(&mut [0; 4]))
        })
        .collect();
    let mut request = Request::builder()
        .method(text(case, "method")?)
        .uri(target)
        .body(())
        .map_err(|e| fail("a request", e.to_string()))?;
    for (name, value) in pairs(case, "headers")? {
        let name = HeaderName::try_from(name).map_err(|e| fail("a header name", e.to_string()))?;
        let value = HeaderValue::from_bytes(unfolded(value).as_bytes());
        request.headers_mut().append(name, value.map_err(|e| fail("a header value", e.to_string()))?);
    }
    Ok((request, encoded))
}

/// A line folded in a header counts as a space (RFC 9112 section 5.2), and no header value of today has one.
fn unfolded(value: &str) -> String {
    value.replace("\r\n", " ").replace('\n', " ")
}

fn payload_hash(literal: &str) -> Result<PayloadHash, Verdict> {
    Ok(match literal {
        "UNSIGNED-PAYLOAD" => PayloadHash::Unsigned,
        "STREAMING-AWS4-HMAC-SHA256-PAYLOAD" => PayloadHash::StreamingSigned,
        "STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER" => PayloadHash::StreamingSignedTrailer,
        "STREAMING-UNSIGNED-PAYLOAD-TRAILER" => PayloadHash::StreamingUnsignedTrailer,
        digest => match unhex(digest).and_then(|bytes| bytes.try_into().ok()) {
            Some(digest) => PayloadHash::Sha256(digest),
            None => return Err(skip(format!("payload_hash = {literal}: unknown"))),
        },
    })
}

fn credentials(case: &Value) -> Result<Credentials, Verdict> {
    let id = case.get("access_key_id").and_then(Value::as_str).unwrap_or("AKIDEXAMPLE");
    let credentials = Credentials::new(id, text(case, "secret_access_key")?)?;
    Ok(match case.get("session_token").and_then(Value::as_str) {
        Some(token) => credentials.with_session_token(token),
        None => credentials,
    })
}

fn timestamp(text: &str) -> Result<Timestamp, Verdict> {
    Timestamp::parse(text).ok_or_else(|| fail("a timestamp", text))
}

/// From the compact form, `20130524T000000Z` or its date alone.
fn amz_date(compact: &str) -> Result<Timestamp, Verdict> {
    let part = |range| compact.get(range).unwrap_or("00");
    let (date, clock) =
        ([part(0..4), part(4..6), part(6..8)].join("-"), [part(9..11), part(11..13), part(13..15)].join(":"));
    timestamp(&format!("{date}T{clock}Z"))
}

fn chunked(case: &Value) -> Outcome {
    let credentials = credentials(&case["credentials"])?;
    let time = amz_date(text(case, "amz_date")?)?;
    let params = SigningParams::new(&credentials, text(case, "region")?, text(case, "service")?, time)?;
    let seed = text(case, "seed_signature")?;
    let seed = Signature::parse(seed).ok_or_else(|| fail("a signature", seed))?;
    let len = number(case, "payload_length")?;
    let payload = text(case, "payload_byte")?.repeat(usize::try_from(len).unwrap_or_default());
    let trailers = case.get("trailer").map_or(Ok(Vec::new()), |trailer| trailers(trailer, "headers"))?;
    let signed_trailer = !trailers.is_empty();
    let chunks = items(case, "chunks");
    let first = chunks.first().map_or(Ok(0), |chunk| number(chunk, "size"))?;
    let chunk_len = usize::try_from(first).unwrap_or_default().max(BodyEncoder::MIN_CHUNK_LEN);
    let mut encoder = BodyEncoder::signed_chunks_with_trailers(len, chunk_len, seed, &params, trailers)?;

    let announced = encoder.encoded_len();
    let mut written = 0;
    let mut heads = Vec::new();
    for chunk in payload.as_bytes().chunks(chunk_len) {
        let frame = encoder.encode(chunk)?;
        same("end of a chunk", b"\r\n".as_slice(), &frame.tail)?;
        written += frame.head.len() + chunk.len() + frame.tail.len();
        heads.push(String::from_utf8_lossy(&frame.head).into_owned());
    }
    let end = encoder.finish()?;
    written += end.len();
    same("encoded length", &announced, &(written as u64))?;
    let end = String::from_utf8_lossy(&end).into_owned();
    heads.push(end.split_inclusive("\r\n").next().unwrap_or_default().to_owned());

    same("number of chunks", &chunks.len(), &heads.len())?;
    for (chunk, head) in chunks.iter().zip(&heads) {
        same("frame", text(chunk, "frame_header")?, head)?;
        same("chunk signature", Some(text(chunk, "signature")?).as_slice(), &[chunk_signature(head)])?;
    }
    if signed_trailer {
        let signature = end.split_once("x-amz-trailer-signature:").map(|(_, rest)| rest.trim_end());
        same("trailer signature", &Some(text(&case["trailer"], "signature")?), &signature)?;
        for (name, value) in pairs(&case["trailer"], "headers")? {
            same("trailer", &true, &end.contains(&format!("\r\n{name}:{value}\r\n")))?;
        }
    }
    match case.get("wire_tail").and_then(Value::as_str) {
        Some(expected) => same("end of the wire", expected, &end),
        None => Ok(()),
    }
}

fn chunk_signature(head: &str) -> &str {
    head.split_once(";chunk-signature=").map_or("", |(_, signature)| signature.trim_end())
}

/// Checksums that can be computed are, so that they are compared as well.
fn trailers(case: &Value, member: &str) -> Result<Vec<Trailer>, Verdict> {
    pairs(case, member)?
        .into_iter()
        .map(|(name, value)| {
            let algorithm = name.strip_prefix("x-amz-checksum-").map(ChecksumAlgorithm::from);
            if let Some(algorithm) = algorithm.filter(ChecksumAlgorithm::is_computed) {
                return Ok(Trailer::checksum(&algorithm)?);
            }
            let name = HeaderName::try_from(name).map_err(|e| fail("a header name", e.to_string()))?;
            let value = HeaderValue::try_from(value).map_err(|e| fail("a header value", e.to_string()))?;
            Ok(Trailer::known(name, value))
        })
        .collect()
}

fn unsigned_frames(case: &Value) -> Outcome {
    let payload = match items(case, "payload_repeat") {
        [Value::String(unit), count] => {
            unit.repeat(count.as_u64().and_then(|n| n.try_into().ok()).unwrap_or(1))
        }
        _ => text(case, "payload")?.to_owned(),
    };
    let chunk_len = usize::try_from(number(case, "chunk_size")?).unwrap_or_default();
    let encoder =
        BodyEncoder::unsigned_trailer(payload.len() as u64, chunk_len, trailers(case, "trailers")?)?;
    let announced = encoder.encoded_len();
    let wire = encode_all(encoder, payload.as_bytes())?;
    same("encoded length", &announced, &(wire.len() as u64))?;
    if let Some(expected) = case.get("encoded_length").and_then(Value::as_u64) {
        same("encoded length", &expected, &announced)?;
    }
    match (case.get("wire").and_then(Value::as_str), case.get("wire_tail").and_then(Value::as_str)) {
        (Some(expected), _) => same_frames(expected.as_bytes(), &wire),
        (_, Some(expected)) => {
            let tail = &wire[wire.len().saturating_sub(expected.len())..];
            same("end of the wire", expected, &String::from_utf8_lossy(tail))
        }
        _ => Err(fail("a case with the wire's bytes", "none")),
    }
}

fn encoded_length(case: &Value) -> Outcome {
    let len = number(case, "payload_length")?;
    let chunk_len = usize::try_from(number(case, "chunk_size")?).unwrap_or_default();
    let mut trailer_lens: Vec<_> = items(case, "trailer_lengths").iter().filter_map(Value::as_u64).collect();
    let encoder = if flag(case, "signed") {
        if chunk_len < BodyEncoder::MIN_CHUNK_LEN {
            return Err(skip("signed chunks shorter than S3 takes: refused"));
        }
        // The last is the signature of the others.
        trailer_lens.pop();
        let credentials = Credentials::new("AKIDEXAMPLE", "secret")?;
        let params = SigningParams::new(&credentials, "us-east-1", "s3", Timestamp::UNIX_EPOCH)?;
        let seed = Signature::parse(&"0".repeat(64)).ok_or_else(|| fail("a signature", "none"))?;
        BodyEncoder::signed_chunks_with_trailers(len, chunk_len, seed, &params, of_lengths(&trailer_lens)?)?
    } else {
        BodyEncoder::unsigned_trailer(len, chunk_len, of_lengths(&trailer_lens)?)?
    };
    same("encoded length", &number(case, "encoded_length")?, &encoder.encoded_len())
}

/// Trailers whose `name:value` has these lengths.
fn of_lengths(lengths: &[u64]) -> Result<Vec<Trailer>, Verdict> {
    let trailer = |len: &u64| {
        let value = "v".repeat(usize::try_from(*len).unwrap_or_default().saturating_sub("t:".len()));
        let value = HeaderValue::try_from(value).map_err(|e| fail("a header value", e.to_string()))?;
        Ok(Trailer::known(HeaderName::from_static("t"), value))
    };
    lengths.iter().map(trailer).collect()
}

fn post_policy(case: &Value) -> Outcome {
    let credentials = credentials(&case["credentials"])?;
    let time = amz_date(text(case, "amz_date")?)?;
    let params = SigningParams::new(&credentials, text(case, "region")?, text(case, "service")?, time)?;
    let (policy, signature) = sign::sign_post_policy(text(case, "policy")?, &params);
    same("policy", text(case, "policy_base64")?, &policy)?;
    same("signature", text(case, "signature")?, signature.as_str())
}

/// The key itself stays inside: what it signs is compared with what the published one signs.
/// The key pair of an access key; of the private half, what follows from it is compared.
fn key_pair(case: &Value) -> Outcome {
    let public = PublicKey::of(case)?;
    let credentials = credentials(case)?;
    let key = SigningKey::derive_v4a(&credentials, Timestamp::UNIX_EPOCH, "*", "s3")?;
    let derived = key.public_key().ok_or_else(|| fail("a public key", "none"))?;
    same("public key", &(public.x.as_slice(), public.y.as_slice()), &(&derived.0[..], &derived.1[..]))
}

fn key_derivation(case: &Value) -> Outcome {
    let Ok(key) = text(case, "signing_key") else {
        return key_pair(case);
    };
    let key = unhex(key).ok_or_else(|| fail("a key in hexadecimal", key))?;
    let credentials = credentials(case)?;
    let time = amz_date(text(case, "date")?)?;
    let params = SigningParams::new(&credentials, text(case, "region")?, text(case, "service")?, time)?;
    let (signed, signature) = sign::sign_post_policy("any text", &params);
    let mut mac = Hmac::<Sha256>::new_from_slice(&key).map_err(|e| fail("a key", e.to_string()))?;
    mac.update(signed.as_bytes());
    same("signed text", &STANDARD.encode("any text"), &signed)?;
    same("signature", hex(&mac.finalize().into_bytes()).as_str(), signature.as_str())
}

/// What any of the peers leaves out, we leave out: a case for each name of each peer.
fn headers_not_signed(peers: &Value) -> Tally {
    let mut tally = Tally::default();
    for (peer, names) in peers.as_object().into_iter().flatten() {
        for name in names.as_array().into_iter().flatten().filter_map(Value::as_str) {
            tally.count(&format!("{peer} {name}"), not_signed(name));
        }
    }
    tally
}

fn not_signed(name: &str) -> Outcome {
    let credentials = Credentials::new("AKIDEXAMPLE", "secret")?;
    let params = SigningParams::new(&credentials, "us-east-1", "s3", Timestamp::UNIX_EPOCH)?;
    let request = Request::get("https://example.com/").header(name, "value").body(());
    let request = request.map_err(|e| fail("a request", e.to_string()))?;
    let explained = sign::explain_headers(&request, &PayloadHash::Unsigned, &params)?;
    let line = format!("\n{name}:");
    same("signed", &false, &explained.canonical_request.contains(&line))
}

fn header_value(case: &Value) -> Outcome {
    let (given, expected) = pair(case)?;
    let got = canonical_header_value(given.as_bytes());
    same("value", expected, &String::from_utf8_lossy(&got))
}

fn query(case: &Value) -> Outcome {
    let credentials = Credentials::new("AKIDEXAMPLE", "secret")?;
    let params = SigningParams::new(&credentials, "us-east-1", "s3", Timestamp::UNIX_EPOCH)?;
    let request = Request::get(format!("https://example.com/?{}", text(case, "url_query")?)).body(());
    let request = request.map_err(|e| fail("a request", e.to_string()))?;
    let explained = sign::explain_headers(&request, &PayloadHash::Unsigned, &params)?;
    same("query", &Some(text(case, "canonical")?), &explained.canonical_request.lines().nth(2))
}

/// The whole body as a driver would write it.
pub(crate) fn encode_all(mut encoder: BodyEncoder, payload: &[u8]) -> Result<Vec<u8>, Error> {
    let mut wire = Vec::new();
    for chunk in payload.chunks(encoder.chunk_len().unwrap_or(usize::MAX)) {
        let frame = encoder.encode(chunk)?;
        wire.extend([&frame.head, chunk, &frame.tail].concat());
    }
    wire.extend(encoder.finish()?);
    Ok(wire)
}

/// Compares bodies in chunks; the case of the digits of a chunk's size is free.
pub(crate) fn same_frames(expected: &[u8], got: &[u8]) -> Outcome {
    let lower_sizes = |wire: &[u8]| {
        let mut wire = wire.to_vec();
        let mut at = 0;
        while let Some(digits) =
            wire.get(at..).map(|rest| rest.iter().take_while(|b| b.is_ascii_hexdigit()).count())
        {
            wire[at..at + digits].make_ascii_lowercase();
            let size = std::str::from_utf8(&wire[at..at + digits]).ok();
            match size.and_then(|size| usize::from_str_radix(size, 16).ok()) {
                // Past the size, its line's end, the bytes and theirs.
                Some(size) if size > 0 => at += digits + 2 + size + 2,
                _ => break,
            }
        }
        String::from_utf8_lossy(&wire).into_owned()
    };
    same("wire", &lower_sizes(expected), &lower_sizes(got))
}

fn unhex(text: &str) -> Option<Vec<u8>> {
    (0..text.len() / 2).map(|n| u8::from_str_radix(text.get(2 * n..2 * n + 2)?, 16).ok()).collect()
}
