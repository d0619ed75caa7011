//! From an operation to a request on the wire.
// Helpers outside of `#[test]` may fail the test.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

mod support;

use std::time::Duration;

use s3_proto::call::{Call, Stream};
use s3_proto::checksum::ChecksumAlgorithm;
use s3_proto::endpoint::{AddressingStyle, ChecksumPolicy, Provider};
use s3_proto::ops::{
    CompleteMultipartUpload, CompletedPart, CopyObject, CopySource, CreateBucket, Delete, DeleteObject,
    DeleteObjects, EncodingType, GetObject, HeadObject, ListMultipartUploads, ListObjectsV2, Operation,
    PutObject, SseCustomerKey, UploadPartCopy,
};
use s3_proto::{Config, Payload, PayloadSigning, Session};
use support::*;

fn send<O: Operation>(config: Config, op: O) -> Sent {
    drive(Call::new(Session::new(config), op), |_| error(400, "Stop")).sent.remove(0)
}

fn put(size: usize) -> PutObject {
    PutObject::new("bkt", "k", Payload::Bytes(vec![b'x'; size].into()))
}

fn source(len: u64) -> PutObject {
    PutObject::new("bkt", "k", Payload::source(len, true))
}

/// Amazon S3 without the checksums that nobody asked for.
fn plain() -> Config {
    let mut config = aws();
    config.request_checksums = Some(ChecksumPolicy::WhenRequired);
    config
}

const HASH: &str = "x-amz-content-sha256";

#[test]
fn what_is_hashed_depends_on_transport_and_size() {
    let with = |mut config: Config, signing| {
        config.payload_signing = signing;
        config
    };
    let unsigned = |sent: &Sent| sent.header(HASH) == Some("UNSIGNED-PAYLOAD");
    let cases = [
        ("small over TLS", send(aws(), put(8 << 10)), false),
        ("large over TLS", send(aws(), put((8 << 10) + 1)), true),
        ("large without TLS", send(local(), put((8 << 10) + 1)), false),
        ("always", send(with(aws(), PayloadSigning::Always), put(9_000)), false),
        ("never", send(with(local(), PayloadSigning::Never), put(1)), true),
        ("streamed over TLS", send(with(plain(), PayloadSigning::Auto), source(10)), true),
    ];
    for (what, sent, expected) in cases {
        assert_eq!(unsigned(&sent), expected, "{what}");
    }
}

#[test]
fn an_empty_body_has_the_hash_of_nothing() {
    let hash = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
    assert_eq!(send(aws(), DeleteObject::new("bkt", "k")).header(HASH), Some(hash));
}

#[test]
fn a_stream_without_tls_is_signed_chunk_by_chunk() {
    let sent = send(local(), source(100_000));
    assert_eq!(sent.header(HASH), Some("STREAMING-AWS4-HMAC-SHA256-PAYLOAD"));
    assert_eq!(sent.header("content-encoding"), Some("aws-chunked"));
    assert_eq!(sent.header("x-amz-decoded-content-length"), Some("100000"));
    let encoder = sent.encoder.as_ref().unwrap();
    assert_eq!(sent.header("content-length"), Some(encoder.encoded_len().to_string().as_str()));
    assert_eq!(encoder.decoded_len(), 100_000);
}

#[test]
fn the_encoding_of_the_object_stays_behind_that_of_the_body() {
    let mut op = source(10);
    op.content_encoding = Some("gzip".into());
    assert_eq!(send(local(), op).header("content-encoding"), Some("aws-chunked,gzip"));
}

#[test]
fn a_checksum_of_a_stream_travels_in_the_trailer() {
    for (config, hash) in [
        (aws(), "STREAMING-UNSIGNED-PAYLOAD-TRAILER"),
        (local(), "STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER"),
    ] {
        let mut op = source(10);
        op.checksum_algorithm = Some(ChecksumAlgorithm::Crc32);
        let sent = send(config, op);
        assert_eq!(sent.header(HASH), Some(hash));
        assert_eq!(sent.header("x-amz-trailer"), Some("x-amz-checksum-crc32"));
    }
}

#[test]
fn a_stream_has_a_checksum_where_the_store_knows_it_and_none_is_given() {
    let mut asked = local();
    asked.request_checksums = Some(ChecksumPolicy::WhenSupported);
    let mut given = source(10);
    given.content_md5 = Some("XrY7u+Ae7tCTyyK7j1rNww==".into());
    for (what, sent, trailer) in [
        ("Amazon S3", send(aws(), source(10)), Some("x-amz-checksum-crc64nvme")),
        ("another store", send(local(), source(10)), None),
        ("another store that is said to know it", send(asked, source(10)), Some("x-amz-checksum-crc64nvme")),
        ("a digest is given", send(aws(), given), None),
        ("not wanted", send(plain(), source(10)), None),
    ] {
        assert_eq!(sent.header("x-amz-trailer"), trailer, "{what}");
    }
}

#[test]
fn a_plain_stream_has_an_encoder_that_changes_nothing() {
    let sent = send(plain(), source(10));
    assert_eq!(sent.encoder.as_ref().unwrap().encoded_len(), 10);
    assert_eq!(sent.header("content-encoding"), None);
}

#[test]
fn the_length_is_sent_wherever_a_body_can_be() {
    assert_eq!(send(aws(), put(0)).header("content-length"), Some("0"));
    assert_eq!(send(aws(), put(5)).header("content-length"), Some("5"));
    assert_eq!(send(plain(), source(7)).header("content-length"), Some("7"));
    assert_eq!(send(aws(), DeleteObject::new("bkt", "k")).header("content-length"), None);
}

#[test]
fn data_has_a_checksum_where_the_store_knows_it() {
    let name = "x-amz-checksum-crc64nvme";
    assert!(send(aws(), put(5)).header(name).is_some());
    assert!(send(local(), put(5)).header(name).is_none());
    let mut asked = local();
    asked.request_checksums = Some(ChecksumPolicy::WhenSupported);
    assert!(send(asked, put(5)).header(name).is_some());
    let mut other = put(5);
    other.checksum_algorithm = Some(ChecksumAlgorithm::Crc32);
    let sent = send(aws(), other);
    assert!(sent.header(name).is_none() && sent.header("x-amz-checksum-crc32").is_some());
    let mut given = put(5);
    given.content_md5 = Some("XrY7u+Ae7tCTyyK7j1rNww==".into());
    assert!(send(aws(), given).header(name).is_none());
}

/// A store of this kind, over TLS.
fn store(provider: Provider) -> Config {
    aws().with_endpoint("https://store.example").unwrap().with_provider(provider)
}

#[test]
fn the_bucket_stands_where_the_provider_wants_it() {
    let host = |config| send(config, DeleteObject::new("bkt", "k")).host().to_owned();
    assert_eq!(host(store(Provider::GENERIC)), "store.example");
    assert_eq!(host(store(Provider::ALIBABA)), "bkt.store.example");
    assert_eq!(host(store(Provider::ALIBABA).with_addressing_style(AddressingStyle::Path)), "store.example");
}

#[test]
fn a_stream_is_framed_as_the_provider_takes_it() {
    let plain = |provider| {
        let mut config = store(provider);
        config.endpoint = Some("http://store.example".parse().unwrap());
        send(config, source(10)).header(HASH).unwrap().to_owned()
    };
    assert_eq!(plain(Provider::CEPH), "STREAMING-AWS4-HMAC-SHA256-PAYLOAD");
    assert_eq!(plain(Provider::ORACLE), "UNSIGNED-PAYLOAD");

    let mut with_checksum = source(10);
    with_checksum.checksum_algorithm = Some(ChecksumAlgorithm::Crc32);
    let mut garage = store(Provider::GARAGE);
    garage.endpoint = Some("http://store.example".parse().unwrap());
    let sent = send(garage, with_checksum);
    assert_eq!(sent.header(HASH), Some("STREAMING-UNSIGNED-PAYLOAD-TRAILER"));
}

#[test]
fn what_a_store_cannot_take_with_a_stream_is_an_error_and_not_left_out() {
    let refused = |config: Config, op: PutObject| {
        let driven = drive(Call::new(Session::new(config), op), |_| error(400, "Stop"));
        assert!(driven.sent.is_empty());
        driven.result.unwrap_err().to_string()
    };
    let mut with_checksum = source(10);
    with_checksum.checksum_algorithm = Some(ChecksumAlgorithm::Crc32);
    assert!(refused(store(Provider::CEPH), with_checksum).contains("does not take a checksum"));
    let mut signing = store(Provider::ORACLE);
    signing.payload_signing = PayloadSigning::Always;
    let message = refused(signing, source(10));
    assert!(message.contains("'oracle'") && message.contains("does not take a signature"), "{message}");
}

#[test]
fn a_body_of_xml_has_the_digest_that_the_store_takes() {
    let delete = |config, bucket: &str| {
        let sent = send(config, DeleteObjects::new(bucket, Delete::keys(["k"])));
        (sent.header("content-md5").is_some(), sent.header("x-amz-checksum-crc32c").is_some())
    };
    assert_eq!(delete(aws(), "bkt"), (true, false));
    let mut express = aws();
    express.endpoint_options.express_session_auth = false;
    assert_eq!(delete(express, "logs--use1-az4--x-s3"), (false, true));
    let mut other = Provider::GENERIC;
    other.content_md5 = false;
    assert_eq!(delete(store(other), "bkt"), (false, true));
    let mut off = local();
    off.request_checksums = Some(ChecksumPolicy::Off);
    assert_eq!(delete(off, "bkt"), (false, false));

    let mut chosen = DeleteObjects::new("bkt", Delete::keys(["k"]));
    chosen.checksum_algorithm = Some(ChecksumAlgorithm::Crc32);
    let sent = send(store(other), chosen);
    let has = ["x-amz-checksum-crc32", "x-amz-checksum-crc32c"].map(|name| sent.header(name).is_some());
    assert_eq!(has, [true, false], "one checksum, and that which was chosen");
}

#[test]
fn lists_are_asked_for_in_url_encoding_where_the_store_keeps_to_it() {
    let objects = |p| send(store(p), ListObjectsV2::new("bkt")).target().contains("encoding-type=url");
    let uploads = |p| send(store(p), ListMultipartUploads::new("bkt")).target().contains("encoding-type=url");
    assert!(objects(Provider::AWS) && uploads(Provider::AWS));
    assert!(objects(Provider::SEAWEEDFS) && !uploads(Provider::SEAWEEDFS));
    assert!(!objects(Provider::DIGITALOCEAN));
    let mut asked = ListMultipartUploads::new("bkt");
    asked.encoding_type = Some(EncodingType::Url);
    assert!(send(store(Provider::SEAWEEDFS), asked).target().contains("encoding-type=url"));
}

#[test]
fn a_checksum_is_not_asked_of_a_store_that_refuses_the_question() {
    let asked = |p| {
        let get = Stream::new(Session::new(store(p)), GetObject::new("bkt", "k"));
        drive(get, |_| error(400, "Stop")).sent.remove(0).header("x-amz-checksum-mode").is_some()
    };
    assert!(asked(Provider::GENERIC) && !asked(Provider::ORACLE));
}

#[test]
fn the_service_is_asked_before_a_large_body() {
    let mut asked = local();
    asked.expect_continue = Some(5);
    let mut never = aws();
    never.expect_continue = Some(u64::MAX);
    for (config, op, expected) in [
        (plain(), source(1 << 20), true),
        (plain(), source((1 << 20) - 1), false),
        (local(), source(1 << 30), false),
        (asked, source(5), true),
        (never, source(1 << 30), false),
    ] {
        let sent = send(config, op);
        assert_eq!((sent.expect_continue, sent.header("expect").is_some()), (expected, expected));
    }
}

#[test]
fn anonymous_requests_are_not_signed() {
    let sent = send(Config::new("us-east-1").unwrap(), put(5));
    for name in ["authorization", "x-amz-security-token"] {
        assert_eq!(sent.header(name), None, "{name}");
    }
    let streamed =
        send(Config::new("us-east-1").unwrap().with_endpoint("http://127.0.0.1:9000").unwrap(), source(9));
    assert_eq!((streamed.header("content-encoding"), streamed.header("content-length")), (None, Some("9")));
}

#[test]
fn what_an_anonymous_stream_is_framed_in_is_said() {
    let anonymous = || Config::new("us-east-1").unwrap();
    let bare = send(anonymous(), source(9));
    let mut asked = source(9);
    asked.checksum_algorithm = Some(ChecksumAlgorithm::Crc32);
    let asked = send(anonymous(), asked);

    assert_eq!((bare.header("content-encoding"), bare.header("x-amz-trailer")), (None, None));
    assert_eq!(asked.header("content-encoding"), Some("aws-chunked"));
    assert_eq!(asked.header(HASH), Some("STREAMING-UNSIGNED-PAYLOAD-TRAILER"));
}

#[test]
fn what_proxies_change_is_not_signed() {
    let sent = send(aws(), source(2 << 20));
    for name in ["user-agent", "accept-encoding", "expect", "content-length", "connection"] {
        assert!(!sent.signed_headers().contains(&name), "{name}");
    }
    assert!(sent.signed_headers().contains(&"host"));
    assert!(sent.header("user-agent").unwrap().starts_with("s3-proto/"));
}

#[test]
fn keys_are_encoded_once_and_never_normalised() {
    let cases = [
        ("a b", "/a%20b"),
        ("a+b", "/a%2Bb"),
        ("a/b//c", "/a/b//c"),
        ("/lead", "//lead"),
        ("%41", "/%2541"),
        ("ü", "/%C3%BC"),
        ("q?x#y", "/q%3Fx%23y"),
        ("~-_.", "/~-_."),
        ("a=b&c", "/a%3Db%26c"),
        ("end/", "/end/"),
    ];
    for (key, path) in cases {
        let host = send(aws(), DeleteObject::new("bkt", key));
        assert_eq!(host.target(), path, "{key}");
        let in_path = send(local(), DeleteObject::new("bkt", key));
        assert_eq!(in_path.target(), format!("/bkt{path}"), "{key}");
    }
}

#[test]
fn buckets_that_cannot_be_host_names_stand_in_the_path() {
    let sent = send(aws(), DeleteObject::new("with.dots", "k"));
    assert_eq!((sent.host(), sent.target()), ("s3.us-east-1.amazonaws.com", "/with.dots/k"));
}

#[test]
fn slow_operations_may_be_silent_for_longer() {
    let mut complete = CompleteMultipartUpload::new("bkt", "k", "id");
    complete.multipart_upload = Some(vec![CompletedPart::new(1, "e")].into());
    let from = || CopySource::new("from", "k");
    let limits = |sent: &Sent| (sent.timeouts.first_byte, sent.timeouts.idle);
    let (short, long) = (Some(Duration::from_secs(30)), Some(Duration::from_secs(600)));
    assert_eq!(limits(&send(aws(), complete)), (long, long));
    assert_eq!(limits(&send(aws(), CopyObject::new("bkt", "k", from()))), (long, long));
    assert_eq!(limits(&send(aws(), UploadPartCopy::new("bkt", "k", from(), 1u32, "id"))), (long, long));
    assert_eq!(limits(&send(aws(), DeleteObject::new("bkt", "k"))), (short, short));
}

#[test]
fn keys_of_ones_own_are_sensitive() {
    let mut op = HeadObject::new("bkt", "k");
    op.sse_customer_key = Some(SseCustomerKey::new([7; 32]));
    let sent = send(aws(), op);
    for name in ["customer-key", "customer-key-md5"] {
        let name = format!("x-amz-server-side-encryption-{name}");
        assert!(sent.headers()[&name].is_sensitive(), "{name}");
    }
    assert_eq!(sent.header("x-amz-server-side-encryption-customer-algorithm"), Some("AES256"));
}

#[test]
fn debug_shows_no_secret() {
    let mut op = HeadObject::new("bkt", "k");
    op.sse_customer_key = Some(SseCustomerKey::new([7; 32]));
    let of_operation = format!("{op:?}");
    let config = aws().with_credentials(credentials().with_session_token("hush-token".to_owned()));
    let of_config = format!("{config:?}");
    let sent = send(config, op);
    let signature = sent.header("authorization").unwrap().rsplit('=').next().unwrap().to_owned();
    let key = sent.header("x-amz-server-side-encryption-customer-key").unwrap().to_owned();
    for shown in [&of_operation, &of_config, &sent.debug, &format!("{:?}", sent.headers()["authorization"])] {
        for secret in [SECRET, "hush-token", signature.as_str(), key.as_str(), "7, 7, 7"] {
            assert!(!shown.contains(secret), "{secret} in {shown}");
        }
    }
}

#[test]
fn an_arn_stands_for_the_bucket_in_host_and_signature() {
    let arn = "arn:aws:s3:eu-west-1:123456789012:accesspoint/reports";
    let sent = send(aws(), HeadObject::new(arn, "k"));
    assert_eq!(
        sent.request.uri().to_string(),
        "https://reports-123456789012.s3-accesspoint.eu-west-1.amazonaws.com/k"
    );
    assert!(sent.header("authorization").unwrap().contains("/eu-west-1/s3/aws4_request"));
}

#[test]
fn directory_buckets_are_signed_for_their_own_service_and_made_at_the_control_endpoint() {
    let bucket = "logs--use1-az4--x-s3";
    let mut config = aws();
    config.endpoint_options.express_session_auth = false;
    let sent = send(config, HeadObject::new(bucket, "k"));
    assert_eq!(
        sent.request.uri().to_string(),
        format!("https://{bucket}.s3express-use1-az4.us-east-1.amazonaws.com/k")
    );
    assert!(sent.header("authorization").unwrap().contains("/us-east-1/s3express/aws4_request"));
    let sent = send(aws(), CreateBucket::new(bucket));
    assert_eq!(
        sent.request.uri().to_string(),
        format!("https://s3express-control.us-east-1.amazonaws.com/{bucket}")
    );
}

#[test]
fn a_bucket_is_made_in_the_region_of_the_client() {
    let named = |config: Config, bucket: &str| {
        let sent = send(config, CreateBucket::new(bucket));
        String::from_utf8(sent.body().to_vec()).unwrap().contains("<LocationConstraint>eu-west-1<")
    };
    let mut western = aws();
    western.region = s3_proto::endpoint::Region::new("eu-west-1").unwrap();
    let mut elsewhere = local();
    elsewhere.region = western.region.clone();

    assert!(named(western.clone(), "bkt"));
    assert!(!named(aws(), "bkt"), "us-east-1 may not be named");
    assert!(!named(western, "logs--euw1-az1--x-s3"), "directory buckets name a zone");
    assert!(!named(elsewhere, "bkt"), "other stores choose for themselves");
}

#[test]
fn the_source_of_a_copy_can_be_an_access_point() {
    let source = CopySource::new("arn:aws:s3:us-east-1:1:accesspoint/a", "x y");
    assert_eq!(source.to_string(), "arn%3Aaws%3As3%3Aus-east-1%3A1%3Aaccesspoint/a/object/x%20y");
}

const MULTI_REGION: &str = "arn:aws:s3::123456789012:accesspoint/mfzwi23gnjvgw.mrap";

#[cfg(feature = "sigv4a")]
#[test]
fn multi_region_access_points_are_signed_for_all_regions() {
    let sent = send(aws(), HeadObject::new(MULTI_REGION, "k"));
    assert_eq!(sent.host(), "mfzwi23gnjvgw.mrap.accesspoint.s3-global.amazonaws.com");
    assert_eq!(sent.header("x-amz-region-set"), Some("*"));
    let authorization = sent.header("authorization").unwrap();
    assert!(authorization.starts_with("AWS4-ECDSA-P256-SHA256 Credential="), "{authorization}");
    assert!(authorization.contains("/s3/aws4_request") && !authorization.contains("us-east-1"));
    assert!(sent.signed_headers().contains(&"x-amz-region-set"));
    let again = send(aws(), HeadObject::new(MULTI_REGION, "k"));
    assert_eq!(again.header("authorization"), Some(authorization), "a run can be repeated");
}

#[cfg(not(feature = "sigv4a"))]
#[test]
fn a_multi_region_access_point_says_which_feature_it_needs() {
    let call = Call::new(Session::new(aws()), HeadObject::new(MULTI_REGION, "k"));
    let driven = drive(call, |_| error(400, "Stop"));
    assert!(driven.sent.is_empty());
    assert!(driven.error().to_string().contains("`sigv4a`"), "{}", driven.error());
}
