//! The published examples, and what holds for every request.

use std::time::Duration;

use hmac::{Hmac, KeyInit as _, Mac as _};
use http::{HeaderValue, Request};
use proptest::prelude::*;

use super::*;
use crate::encode::{uri_encode, uri_encode_path};

fn example() -> Credentials {
    Credentials::new("AKIAIOSFODNN7EXAMPLE", "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY").unwrap()
}

fn day() -> Timestamp {
    Timestamp::parse("2013-05-24T00:00:00Z").unwrap()
}

fn params(credentials: &Credentials) -> SigningParams<'_> {
    SigningParams::new(credentials, "us-east-1", "s3", day()).unwrap()
}

fn get(uri: &str) -> Request<()> {
    Request::get(uri).body(()).unwrap()
}

/// "Examples: Signature calculations", page sig-v4-header-based-auth.
#[test]
fn the_documented_requests() {
    let credentials = example();
    let host = "https://examplebucket.s3.amazonaws.com";
    let object = Request::get(format!("{host}/test.txt")).header("range", "bytes=0-9").body(()).unwrap();
    let put = Request::put(format!("{host}/test%24file.text"))
        .header("date", "Fri, 24 May 2013 00:00:00 GMT")
        .header("x-amz-storage-class", "REDUCED_REDUNDANCY")
        .body(())
        .unwrap();
    let cases = [
        (object, PayloadHash::EMPTY, "f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41"),
        (
            put,
            PayloadHash::of(b"Welcome to Amazon S3."),
            "98ad721746da40c64f1a55b78f14c238d841ea1380cd77a1b5971af0ece108bd",
        ),
        (
            get(&format!("{host}/?lifecycle")),
            PayloadHash::EMPTY,
            "fea454ca298b7da1c68078a5d1bdbfbbe0d65c699e0f91ac7a200a0136783543",
        ),
        (
            get(&format!("{host}/?max-keys=2&prefix=J")),
            PayloadHash::EMPTY,
            "34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7",
        ),
    ];
    for (mut request, payload, expected) in cases {
        let explained = explain_headers(&request, &payload, &params(&credentials)).unwrap();
        let signature = sign_headers(&mut request, &payload, &params(&credentials)).unwrap();
        assert_eq!(signature.as_str(), expected, "{}", explained.canonical_request);
        assert_eq!(explained.signature, signature);
        let authorization = request.headers()["authorization"].clone();
        assert!(authorization.is_sensitive());
        assert!(authorization.to_str().unwrap().ends_with(expected));
        // A second time gives the same, and a signed request can be explained as well.
        assert_eq!(explain_headers(&request, &payload, &params(&credentials)).unwrap(), explained);
        sign_headers(&mut request, &payload, &params(&credentials)).unwrap();
        assert_eq!(request.headers()["authorization"], authorization);
    }
}

/// "Deriving a signing key", page signing-elements of the AWS General Reference.
#[test]
fn the_documented_key() {
    let credentials = Credentials::new("A", "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY").unwrap();
    let time = Timestamp::parse("2012-02-15T12:00:00Z").unwrap();
    let key = SigningKey::derive(&credentials, time, "us-east-1", "iam").unwrap();
    let raw: Vec<u8> = (0..32)
        .map(|n| {
            let hex = "f4780e2d9f65fa895f9c67b32ce1baf0b0d8a43505a000a1a9e090d414db404d";
            u8::from_str_radix(&hex[2 * n..2 * n + 2], 16).unwrap()
        })
        .collect();
    let mut mac = Hmac::<Sha256>::new_from_slice(&raw).unwrap();
    mac.update(b"text");
    assert_eq!(key.sign(&[b"te", b"xt"]), Signature::from_bytes(&mac.finalize().into_bytes()));
    assert_eq!((key.date(), key.region(), key.service()), ("20120215", "us-east-1", "iam"));
}

#[test]
fn a_session_token_is_signed_and_hidden() {
    let credentials = example().with_session_token("SECRETTOKEN");
    let mut request = get("https://h/k");
    let explained = explain_headers(&request, &PayloadHash::Unsigned, &params(&credentials)).unwrap();
    assert!(explained.canonical_request.contains("\nx-amz-security-token:SECRETTOKEN\n"));
    assert!(!format!("{explained:?}").contains("SECRET"));
    sign_headers(&mut request, &PayloadHash::Unsigned, &params(&credentials)).unwrap();
    assert!(request.headers()["x-amz-security-token"].is_sensitive());
    assert!(!format!("{request:?}").contains("SECRET"));

    // Signed anew with other credentials, as after a refresh.
    let plain = example();
    sign_headers(&mut request, &PayloadHash::Unsigned, &params(&plain)).unwrap();
    assert!(!request.headers().contains_key("x-amz-security-token"));

    let wrong = example().with_session_token("a\nb");
    let error = sign_headers(&mut request, &PayloadHash::Unsigned, &params(&wrong)).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidInput);
}

#[test]
fn an_omitted_token_is_sent_but_not_signed() {
    let credentials = example().with_session_token("TOKEN");
    let options = SigningOptions { omit_session_token: true, ..SigningOptions::S3 };
    let params = params(&credentials).with_options(options);
    let mut request = get("https://h/k");
    sign_headers(&mut request, &PayloadHash::Unsigned, &params).unwrap();
    assert_eq!(request.headers()["x-amz-security-token"], "TOKEN");
    assert!(!request.headers()["authorization"].to_str().unwrap().contains("security-token"));
    let url = presign(&get("https://h/k"), &PayloadHash::Unsigned, Duration::from_secs(1), &params).unwrap();
    assert!(url.uri.query().unwrap().contains("&X-Amz-Security-Token=TOKEN&X-Amz-Signature="));
}

#[test]
fn the_life_of_a_url_has_limits() {
    let credentials = example();
    let sign = |seconds, credentials| {
        let expires = Duration::from_secs(seconds);
        presign(&get("https://h/k"), &PayloadHash::Unsigned, expires, &params(credentials))
    };
    assert!(sign(604_800, &credentials).is_ok());
    let error = sign(604_801, &credentials).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidInput);
    assert!(error.message().contains("604800") && error.message().contains("604801"), "{error}");
    assert_eq!(sign(0, &credentials).unwrap_err().kind(), ErrorKind::InvalidInput);

    let soon = example().with_expiry(day().saturating_add(Duration::from_secs(60)));
    let url = sign(3_600, &soon).unwrap();
    assert_eq!(url.expires_in, Duration::from_secs(60));
    assert_eq!(Some(url.expires_at), soon.expires_at());
    assert!(url.uri.query().unwrap().contains("X-Amz-Expires=3600"));
    assert!(sign(3_600, &example().with_expiry(day())).is_err());
}

#[test]
fn a_presigned_request_keeps_its_headers_and_hides_its_signature() {
    let credentials = example().with_session_token("SECRETTOKEN");
    let request = Request::put("https://b.s3.amazonaws.com/a%20b?x-id=PutObject")
        .header("content-type", "text/plain")
        .header("x-amz-date", "left over")
        .header("user-agent", "me")
        .body(())
        .unwrap();
    let expires = Duration::from_secs(60);
    let url = presign(&request, &PayloadHash::Unsigned, expires, &params(&credentials)).unwrap();
    assert_eq!(url.uri.path(), "/a%20b");
    assert!(url.uri.query().unwrap().contains("X-Amz-SignedHeaders=content-type%3Bhost&"));
    assert_eq!(url.headers["content-type"], "text/plain");
    assert!(!url.headers.contains_key("x-amz-date"));
    let shown = format!("{url:?}");
    assert!(!shown.contains("SECRETTOKEN") && !shown.contains(url.signature.as_str()), "{shown}");
    let again = Request::get(url.uri).body(()).unwrap();
    assert!(presign(&again, &PayloadHash::Unsigned, expires, &params(&credentials)).is_err());
}

#[test]
fn a_key_of_another_day_or_owner_is_refused() {
    let credentials = example();
    let key = SigningKey::derive(&credentials, day(), "us-east-1", "s3").unwrap();
    let next = day().saturating_add(Duration::from_secs(86_400));
    assert_eq!(
        SigningParams::with_key(&credentials, key.clone(), next).unwrap_err().kind(),
        ErrorKind::ApiMisuse
    );
    let other = Credentials::new("OTHER", "x").unwrap();
    assert!(SigningParams::with_key(&other, key.clone(), day()).is_err());
    assert!(SigningParams::with_key(&credentials, key, day()).is_ok());
}

proptest! {
    /// Any key and any parameters make a request that can be signed, whose canonical path and query are the
    /// encoded ones, and whose URL can be presigned.
    #[test]
    fn any_key_can_be_signed(key in "\\PC{1,40}", names in prop::collection::btree_map("\\PC{1,8}", "\\PC{0,8}", 0..30)) {
        let credentials = example();
        let query: Vec<_> = names.iter().map(|(n, v)| format!("{}={}", uri_encode(n), uri_encode(v))).collect();
        let path = uri_encode_path(&key);
        let uri = format!("https://b.example.com/{path}?{}", query.join("&"));
        let mut request = get(&uri);
        let explained = explain_headers(&request, &PayloadHash::Unsigned, &params(&credentials)).unwrap();
        let mut lines = explained.canonical_request.lines();
        prop_assert_eq!(lines.next(), Some("GET"));
        prop_assert_eq!(lines.next().unwrap(), format!("/{path}"));
        let mut pairs: Vec<_> = names.iter().map(|(n, v)| (uri_encode(n), uri_encode(v))).collect();
        pairs.sort();
        let sorted: Vec<_> = pairs.iter().map(|(n, v)| format!("{n}={v}")).collect();
        prop_assert_eq!(lines.next().unwrap(), sorted.join("&"));
        let signature = sign_headers(&mut request, &PayloadHash::Unsigned, &params(&credentials)).unwrap();
        prop_assert_eq!(signature, explained.signature);
        let url = presign(&get(&uri), &PayloadHash::Unsigned, Duration::from_secs(9), &params(&credentials)).unwrap();
        let explained = explain_presigned(&get(&uri), &PayloadHash::Unsigned, Duration::from_secs(9), &params(&credentials)).unwrap();
        prop_assert_eq!(url.signature, explained.signature);
    }

    /// The hash that is fed piece by piece is that of the text, for canonical requests of any length.
    #[test]
    fn the_hash_is_that_of_the_text(headers in prop::collection::vec(("x-[a-z]{1,12}", "[ -~]{0,200}"), 0..40)) {
        let credentials = example();
        let mut request = get("http://localhost:9000/k?uploads");
        for (name, value) in &headers {
            request.headers_mut().append(
                HeaderName::try_from(name.as_str()).unwrap(),
                HeaderValue::from_str(value).unwrap(),
            );
        }
        let explained = explain_headers(&request, &PayloadHash::of(b"x"), &params(&credentials)).unwrap();
        let digest = crate::encode::hex(&Sha256::digest(explained.canonical_request.as_bytes()));
        prop_assert!(explained.string_to_sign.ends_with(&digest));
        let signature = sign_headers(&mut request, &PayloadHash::of(b"x"), &params(&credentials)).unwrap();
        prop_assert_eq!(signature, explained.signature);
    }

    #[test]
    fn no_query_panics(query in "[!-~]{0,40}") {
        let credentials = example();
        if let Ok(uri) = format!("https://h/k?{query}").parse::<Uri>() {
            let request = Request::get(uri).body(()).unwrap();
            explain_headers(&request, &PayloadHash::Unsigned, &params(&credentials)).unwrap();
            let _ = presign(&request, &PayloadHash::Unsigned, Duration::from_secs(9), &params(&credentials));
        }
    }
}

#[cfg(feature = "sigv4a")]
mod v4a {
    use super::*;

    fn params(credentials: &Credentials) -> SigningParams<'_> {
        SigningParams::v4a(credentials, "us-east-1,eu-*", "s3", Timestamp::UNIX_EPOCH).unwrap()
    }

    #[test]
    fn what_is_signed_names_the_set_of_regions_and_no_region() {
        let credentials = Credentials::new("AKIDEXAMPLE", "swordfish").unwrap();
        let params = params(&credentials);
        assert_eq!(params.key().scope(), "19700101/s3/aws4_request");
        assert_eq!((params.key().region(), params.key().service()), ("us-east-1,eu-*", "s3"));
        let mut request = Request::get("https://bkt.example/k").body(()).unwrap();
        let first = sign_headers(&mut request, &PayloadHash::EMPTY, &params).unwrap();
        assert_eq!(request.headers()["x-amz-region-set"], "us-east-1,eu-*");
        let second = sign_headers(&mut request, &PayloadHash::EMPTY, &params).unwrap();
        assert!(first == second && !format!("{first:?}{params:?}").contains("swordfish"));

        let v4 = SigningParams::new(&credentials, "us-east-1", "s3", Timestamp::UNIX_EPOCH).unwrap();
        sign_headers(&mut request, &PayloadHash::EMPTY, &v4).unwrap();
        assert!(!request.headers().contains_key("x-amz-region-set"), "signed anew in the other version");
    }

    #[test]
    fn what_it_cannot_sign_is_refused() {
        let credentials = Credentials::new("AKIDEXAMPLE", "swordfish").unwrap();
        let params = params(&credentials);
        let seed = Signature::parse(&"0".repeat(64)).unwrap();
        assert!(BodyEncoder::signed_chunks(10, BodyEncoder::CHUNK_LEN, seed, &params).is_err());
        for set in ["", "us east", "a,,b", "a/b"] {
            assert!(SigningKey::derive_v4a(&credentials, Timestamp::UNIX_EPOCH, set, "s3").is_err(), "{set}");
        }
    }

    #[test]
    fn the_cache_tells_both_versions_apart() {
        let credentials = Credentials::new("AKIDEXAMPLE", "swordfish").unwrap();
        let mut cache = KeyCache::new();
        let now = Timestamp::UNIX_EPOCH;
        let v4 = cache.get(&credentials, now, "us-east-1", "s3").unwrap();
        let v4a = cache.get_v4a(&credentials, now, "*", "s3").unwrap();
        let other = cache.get_v4a(&credentials, now, "us-east-1", "s3").unwrap();
        assert_eq!(
            [v4.region_set(), v4a.region_set(), other.region_set()],
            [None, Some("*"), Some("us-east-1")]
        );
        assert_eq!(cache.get_v4a(&credentials, now, "*", "s3").unwrap().region_set(), Some("*"));
        assert_eq!(cache.get(&credentials, now, "us-east-1", "s3").unwrap().region_set(), None);
    }
}
