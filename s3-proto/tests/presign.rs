//! URLs that work for whoever has them.
// Helpers outside of `#[test]` may fail the test.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

mod support;

use std::time::Duration;

use sha2::Digest as _;

use s3_proto::call::{PostPolicyCall, PresignCall};
use s3_proto::checksum::ChecksumAlgorithm;
use s3_proto::ops::{
    Delete, DeleteObject, DeleteObjects, GetObject, ListObjectsV2, Operation, PutObject, UploadPart,
};
use s3_proto::sign::{PostPolicy, Presigned, PresignedPost, SigningParams};
use s3_proto::{Config, Error, ErrorKind, Payload, PayloadSigning, Session, Timestamp};
use support::*;

const HOUR: Duration = Duration::from_secs(3_600);

fn presign<O: Operation>(config: Config, op: &O, expires: Duration) -> Result<Presigned, Error> {
    let run = drive(PresignCall::new(Session::new(config), op, expires), |_| panic!("nothing is sent"));
    run.result
}

fn url<O: Operation>(op: &O) -> String {
    presign(aws(), op, HOUR).unwrap().uri.to_string()
}

#[test]
fn any_operation_can_be_presigned() {
    let urls = [
        (url(&GetObject::new("bkt", "a b")), "/a%20b?", ""),
        (url(&PutObject::new("bkt", "k", Payload::Empty)), "/k?", ""),
        (url(&DeleteObject::new("bkt", "k")), "/k?", ""),
        (url(&ListObjectsV2::new("bkt")), "/?", "list-type=2"),
        (url(&UploadPart::new("bkt", "k", 7u32, "id", Payload::Empty)), "/k?", "partNumber=7"),
    ];
    for (url, path, query) in urls {
        assert!(url.starts_with(&format!("https://bkt.s3.us-east-1.amazonaws.com{path}")), "{url}");
        assert!(url.contains(query), "{url}");
        for parameter in ["X-Amz-Algorithm=AWS4-HMAC-SHA256", "X-Amz-Expires=3600", "&X-Amz-Signature="] {
            assert!(url.contains(parameter), "{url} lacks {parameter}");
        }
    }
}

#[test]
fn a_url_lives_seven_days_at_most() {
    let days = |days| presign(aws(), &GetObject::new("bkt", "k"), HOUR * 24 * days);
    assert!(days(7).is_ok());
    assert_eq!(days(8).unwrap_err().kind(), ErrorKind::InvalidInput);
    assert_eq!(days(0).unwrap_err().kind(), ErrorKind::InvalidInput);
}

#[test]
fn nothing_is_asked_for_that_the_holder_would_have_to_send() {
    for url in
        [url(&PutObject::new("bkt", "k", Payload::Bytes("data".into()))), url(&GetObject::new("bkt", "k"))]
    {
        assert!(url.contains("X-Amz-SignedHeaders=host&"), "{url}");
        assert!(!url.to_ascii_lowercase().contains("checksum"), "{url}");
    }
}

#[test]
fn a_checksum_of_a_body_that_is_not_known_is_not_announced() {
    let mut op = PutObject::new("bkt", "k", Payload::Empty);
    op.checksum_algorithm = Some(ChecksumAlgorithm::Crc32);
    let presigned = presign(aws(), &op, HOUR).unwrap();
    assert!(presigned.uri.to_string().contains("X-Amz-SignedHeaders=host&"), "{}", presigned.uri);
}

#[test]
fn headers_that_were_set_are_signed_and_handed_out() {
    let mut op = PutObject::new("bkt", "k", Payload::Empty);
    op.content_type = Some("text/plain".into());
    let presigned = presign(aws(), &op, HOUR).unwrap();
    assert_eq!(presigned.headers["content-type"], "text/plain");
    assert!(presigned.uri.to_string().contains("X-Amz-SignedHeaders=content-type%3Bhost"));
}

/// A DeleteObjects by URL needs its list, a PUT its method; only the data of an upload is left open.
#[test]
fn whoever_uses_a_url_is_told_method_and_document() {
    let delete = presign(aws(), &DeleteObjects::new("bkt", Delete::keys(["a"])), HOUR).unwrap();
    assert_eq!(delete.method, http::Method::POST);
    assert_eq!(delete.headers["content-md5"], s3_proto::checksum::content_md5(&delete.body).as_str());
    assert!(delete.body.starts_with(b"<?xml"));
    let put = presign(aws(), &PutObject::new("bkt", "k", Payload::Bytes("data".into())), HOUR).unwrap();
    assert_eq!((put.method, put.body.len()), (http::Method::PUT, 0));
}

#[test]
fn the_session_token_is_part_of_it() {
    let keys = credentials().with_session_token("to/ken+".to_owned());
    let presigned = presign(aws().with_credentials(keys), &GetObject::new("bkt", "k"), HOUR).unwrap();
    assert!(presigned.uri.to_string().contains("X-Amz-Security-Token=to%2Fken%2B"));
}

#[test]
fn debug_shows_neither_token_nor_signature() {
    let keys = credentials().with_session_token("hush-token".to_owned());
    let presigned = presign(aws().with_credentials(keys), &GetObject::new("bkt", "k"), HOUR).unwrap();
    let signature = presigned.signature.as_str().to_owned();
    let shown = format!("{presigned:?}");
    for secret in [SECRET, "hush-token", signature.as_str()] {
        assert!(!shown.contains(secret), "{shown}");
    }
}

#[test]
fn a_url_does_not_outlive_its_credentials() {
    let keys = credentials().with_expiry(Timestamp::from_unix(START + 600, 0).unwrap());
    let presigned = presign(aws().with_credentials(keys), &GetObject::new("bkt", "k"), HOUR).unwrap();
    assert_eq!(presigned.expires_in, Duration::from_secs(600));
}

#[test]
fn expired_or_no_credentials_are_refused() {
    let keys = credentials().with_expiry(Timestamp::from_unix(START - 1, 0).unwrap());
    let op = GetObject::new("bkt", "k");
    for config in [aws().with_credentials(keys), Config::new("us-east-1").unwrap()] {
        assert_eq!(presign(config, &op, HOUR).unwrap_err().kind(), ErrorKind::InvalidInput);
    }
}

#[test]
fn what_cannot_be_right_is_not_presigned() {
    let error = presign(aws(), &GetObject::new("B", "k"), HOUR).unwrap_err();
    assert_eq!((error.kind(), error.operation()), (ErrorKind::InvalidInput, Some("GetObject")));
}

#[test]
fn data_in_memory_can_be_made_part_of_it() {
    let put = |signing| {
        let mut config = aws();
        config.payload_signing = signing;
        presign(config, &PutObject::new("bkt", "k", bytes::Bytes::from_static(b"this and no other")), HOUR)
            .unwrap()
    };
    let hash = s3_proto::encode::hex(&sha2::Sha256::digest(b"this and no other"));
    let (fixed, open) = (put(PayloadSigning::Always), put(PayloadSigning::Auto));
    assert_ne!(fixed.signature.as_str(), open.signature.as_str());
    // The service computes the signature with what this header says.
    assert_eq!(fixed.headers["x-amz-content-sha256"], hash.as_str());
    assert!(fixed.uri.to_string().contains("X-Amz-SignedHeaders=host%3Bx-amz-content-sha256&"));
    assert!(!open.headers.contains_key("x-amz-content-sha256"));
}

fn post(config: Config, bucket: &str, policy: PostPolicy) -> Result<PresignedPost, Error> {
    drive(PostPolicyCall::new(Session::new(config), bucket, policy), |_| panic!("nothing is sent")).result
}

#[test]
fn a_form_is_signed_for_the_bucket_that_it_posts_to() {
    let policy = PostPolicy::lasting(HOUR).key_starts_with("user/");
    let signed = post(aws(), "bkt", policy.clone()).unwrap();
    assert_eq!(signed.uri, "https://bkt.s3.us-east-1.amazonaws.com/");
    let now = Timestamp::from_unix(START, 0).unwrap();
    let (credentials, until) = (credentials(), now.saturating_add(HOUR));
    let params = SigningParams::new(&credentials, "us-east-1", "s3", now).unwrap();
    let by_hand = PostPolicy::new(until).key_starts_with("user/").bucket("bkt").sign(&params).unwrap();
    assert_eq!(signed.form, by_hand);
    assert_eq!(signed.form.expires_at, until);
    assert_eq!(post(local(), "bkt", policy).unwrap().uri, "http://127.0.0.1:9000/bkt");
}

#[test]
fn a_form_lives_no_longer_than_the_credentials_and_holds_their_token() {
    let soon = Timestamp::from_unix(START + 60, 0).unwrap();
    let temporary = credentials().with_session_token("token").with_expiry(soon);
    let config = aws().with_credentials(temporary);
    let form = post(config, "bkt", PostPolicy::lasting(HOUR).key("k")).unwrap().form;
    assert_eq!((form.expires_at, form.field("x-amz-security-token")), (soon, Some("token")));
}

#[test]
fn a_form_that_nothing_could_take_is_refused() {
    let policy = || PostPolicy::lasting(HOUR).key("k");
    let mut anonymous = aws();
    anonymous.credentials = s3_proto::credentials::CredentialsSource::Anonymous;
    let kind = |result: Result<PresignedPost, Error>| result.unwrap_err().kind();
    assert_eq!(kind(post(anonymous, "bkt", policy())), ErrorKind::InvalidInput);
    assert_eq!(kind(post(aws(), "bkt", PostPolicy::lasting(HOUR))), ErrorKind::InvalidInput);
    assert_eq!(kind(post(aws(), "B", policy())), ErrorKind::InvalidInput);
    let mut express = aws();
    express.endpoint_options.express_session_auth = false;
    assert_eq!(kind(post(express, "logs--use1-az4--x-s3", policy())), ErrorKind::NotImplemented);
}
