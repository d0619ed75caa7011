//! What each operation asks for, and what it makes of the answer.
// Helpers outside of `#[test]` may fail the test.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]
// Tables read better with values.
#![allow(clippy::needless_pass_by_value)]

mod support;

use proptest::prelude::*;
use s3_proto::call::{Call, Stream};
use s3_proto::ops::*;
use s3_proto::{ErrorKind, Machine, Payload, Phase, Session, TransportErrorKind};
use support::*;

fn stop() -> Reply {
    error(400, "Stop")
}

fn sent<O: Operation>(op: O) -> Sent {
    drive(Call::new(session(), op), |_| stop()).sent.remove(0)
}

fn answered<O: Operation>(op: O, reply: Reply) -> O::Output {
    let run = drive(Call::new(session(), op), |_| reply.clone());
    match run.result {
        Ok(output) => output,
        Err(error) => panic!("{error:?}"),
    }
}

fn complete() -> CompleteMultipartUpload {
    let mut op = CompleteMultipartUpload::new("bkt", "k", "i/d");
    op.multipart_upload = Some(vec![CompletedPart::new(1, "\"e1\""), CompletedPart::new(3, "e3")].into());
    op
}

fn from() -> CopySource {
    CopySource::new("from", "a b+c").version_id("v/1")
}

#[test]
#[allow(clippy::large_stack_arrays, reason = "the table has a request for each operation")]
fn each_operation_has_its_method_and_target() {
    let mut create = CreateBucket::new("bkt");
    create.create_bucket_configuration = Some(CreateBucketConfiguration::region("eu-west-1"));
    let table = vec![
        (sent(PutObject::new("bkt", "k", Payload::Empty)), "PUT", "/k"),
        (sent(GetObject::new("bkt", "k")), "GET", "/k"),
        (sent(HeadObject::new("bkt", "k")), "HEAD", "/k"),
        (sent(DeleteObject::new("bkt", "k")), "DELETE", "/k"),
        (sent(DeleteObjects::new("bkt", Delete::keys(["a"]))), "POST", "/?delete"),
        (sent(CopyObject::new("bkt", "k", from())), "PUT", "/k"),
        (sent(GetObjectAttributes::new("bkt", "k", vec![ObjectAttributes::ETag])), "GET", "/k?attributes"),
        (sent(create), "PUT", "/"),
        (sent(DeleteBucket::new("bkt")), "DELETE", "/"),
        (sent(HeadBucket::new("bkt")), "HEAD", "/"),
        (sent(ListBuckets::new()), "GET", "/"),
        (sent(GetBucketLocation::new("bkt")), "GET", "/?location"),
        (sent(CreateSession::new("bkt")), "GET", "/?session"),
        (sent(ListObjectsV2::new("bkt")), "GET", "/?list-type=2&encoding-type=url"),
        (sent(ListObjects::new("bkt")), "GET", "/?encoding-type=url"),
        (sent(ListObjectVersions::new("bkt")), "GET", "/?versions&encoding-type=url"),
        (sent(CreateMultipartUpload::new("bkt", "k")), "POST", "/k?uploads"),
        (
            sent(UploadPart::new("bkt", "k", 7u32, "i/d", Payload::Empty)),
            "PUT",
            "/k?partNumber=7&uploadId=i%2Fd",
        ),
        (sent(UploadPartCopy::new("bkt", "k", from(), 7u32, "id")), "PUT", "/k?partNumber=7&uploadId=id"),
        (sent(complete()), "POST", "/k?uploadId=i%2Fd"),
        (sent(AbortMultipartUpload::new("bkt", "k", "id")), "DELETE", "/k?uploadId=id"),
        (sent(ListMultipartUploads::new("bkt")), "GET", "/?uploads&encoding-type=url"),
        (sent(ListParts::new("bkt", "k", "id")), "GET", "/k?uploadId=id"),
        (sent(GetObjectTagging::new("bkt", "k")), "GET", "/k?tagging"),
        (sent(PutObjectTagging::new("bkt", "k", [("a", "b")])), "PUT", "/k?tagging"),
        (sent(DeleteObjectTagging::new("bkt", "k")), "DELETE", "/k?tagging"),
        (sent(GetBucketTagging::new("bkt")), "GET", "/?tagging"),
        (sent(PutBucketTagging::new("bkt", [("a", "b")])), "PUT", "/?tagging"),
        (sent(DeleteBucketTagging::new("bkt")), "DELETE", "/?tagging"),
    ];
    assert_eq!(table.len(), descriptions().len(), "an operation is missing here");
    for (sent, method, target) in table {
        assert_eq!((sent.request.method().as_str(), sent.target()), (method, target));
    }
}

#[test]
fn documents_are_written_as_s3_wants_them() {
    let mut delete = Delete::keys(["a<&>\"'\r", "ü"]);
    delete.quiet = Some(true);
    delete.objects[1].version_id = Some("v1".into());
    let tags = "<TagSet><Tag><Key>a</Key><Value>b</Value></Tag></TagSet>";
    let mut create = CreateBucket::new("bkt");
    create.create_bucket_configuration = Some(CreateBucketConfiguration::region("eu-west-1"));
    let cases = [
        (
            sent(DeleteObjects::new("bkt", delete)),
            "Delete",
            "<Object><Key>a&lt;&amp;&gt;&quot;&apos;&#13;</Key></Object>\
             <Object><Key>ü</Key><VersionId>v1</VersionId></Object><Quiet>true</Quiet>",
        ),
        (sent(PutObjectTagging::new("bkt", "k", [("a", "b")])), "Tagging", tags),
        (sent(PutBucketTagging::new("bkt", [("a", "b")])), "Tagging", tags),
        (
            sent(complete()),
            "CompleteMultipartUpload",
            "<Part><ETag>&quot;e1&quot;</ETag><PartNumber>1</PartNumber></Part>\
             <Part><ETag>&quot;e3&quot;</ETag><PartNumber>3</PartNumber></Part>",
        ),
    ];
    for (sent, root, content) in cases {
        let expected = format!(
            "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n\
             <{root} xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\">{content}</{root}>"
        );
        assert_eq!(String::from_utf8_lossy(sent.body()), expected);
        assert_eq!(sent.header("content-type"), Some("application/xml"));
        assert_eq!(sent.header("content-md5"), Some(s3_proto::checksum::content_md5(sent.body()).as_str()));
    }
    let text = String::from_utf8(sent(create).body().to_vec()).unwrap();
    assert!(text.contains("<LocationConstraint>eu-west-1</LocationConstraint>"), "{text}");
}

#[test]
fn a_copy_names_its_source() {
    let sent = sent(CopyObject::new("bkt", "k", from()));
    assert_eq!(sent.header("x-amz-copy-source"), Some("from/a%20b%2Bc?versionId=v%2F1"));
}

#[test]
fn conditions_quote_their_tags() {
    let mut op = PutObject::new("bkt", "k", Payload::Empty);
    op.if_match = Some("abc".into());
    op.if_none_match = Some(s3_proto::ETag::ANY);
    let sent = sent(op);
    assert_eq!((sent.header("if-match"), sent.header("if-none-match")), (Some("\"abc\""), Some("*")));
}

#[test]
fn members_travel_in_query_and_headers() {
    let mut op = ListObjectsV2::new("bkt");
    op.prefix = Some("a/ü +".into());
    op.max_keys = Some(5);
    op.fetch_owner = Some(true);
    let list = sent(op);
    for part in ["prefix=a%2F%C3%BC%20%2B", "max-keys=5", "fetch-owner=true"] {
        assert!(list.target().contains(part), "{}", list.target());
    }
    let attributes = vec![ObjectAttributes::ETag, ObjectAttributes::ObjectSize];
    let sent = sent(GetObjectAttributes::new("bkt", "k", attributes));
    assert_eq!(sent.header("x-amz-object-attributes"), Some("ETag,ObjectSize"));
}

/// Runs what cannot be right: it must fail before a single task is started.
fn refused<O: Operation>(what: &str, op: O)
where
    O::Output: std::fmt::Debug,
{
    let run = drive(Call::new(session(), op), |_| panic!("{what} was sent"));
    assert_eq!(run.error().kind(), ErrorKind::InvalidInput, "{what}");
    assert_eq!(run.error().operation(), Some(O::NAME), "{what}");
    assert_eq!(run.error().attempts(), 0, "{what}");
}

#[test]
fn names_that_cannot_be_are_refused_before_anything_is_sent() {
    for bucket in ["", "ab", "Capital", "under_score", "a..b", "192.168.0.1", "-a-", "a/b", "a b", "a?b"] {
        refused(bucket, HeadBucket::new(bucket));
    }
    refused("reserved prefix", CreateBucket::new("xn--bucket"));
    refused("empty key", DeleteObject::new("bkt", ""));
    refused("long key", DeleteObject::new("bkt", "k".repeat(1_025)));
}

#[test]
fn members_that_cannot_be_are_refused_before_anything_is_sent() {
    let put = || PutObject::new("bkt", "k", Payload::Empty);
    let mut op = put();
    op.content_type = Some("a\r\nx-evil: 1".into());
    refused("line break in a header", op);
    let mut op = put();
    op.metadata.insert("a".into(), "b\nc".into());
    refused("line break in metadata", op);
    let mut op = put();
    op.metadata.insert("a b".into(), "c".into());
    refused("blank in a metadata name", op);
    let mut op = put();
    op.metadata.insert("a".into(), "b".repeat(2_048));
    refused("too much metadata", op);
    let mut op = put();
    op.tagging = Some((0..11).map(|n| format!("k{n}=v")).collect::<Vec<_>>().join("&"));
    refused("eleven tags", op);
    refused("6 GiB at once", PutObject::new("bkt", "k", Payload::source(6 << 30, true)));
    for number in [0u32, 10_001] {
        refused("part number", UploadPart::new("bkt", "k", number, "id", Payload::Empty));
        refused("part number", UploadPartCopy::new("bkt", "k", from(), number, "id"));
    }
    refused("1001 keys", DeleteObjects::new("bkt", Delete::keys((0..1_001).map(|n| n.to_string()))));
    refused("an empty key among them", DeleteObjects::new("bkt", Delete::keys(["a", ""])));
    refused("the same tag twice", PutObjectTagging::new("bkt", "k", [("a", "1"), ("a", "2")]));
    refused("a long tag", PutBucketTagging::new("bkt", [("k".repeat(129), "v")]));
    refused("no parts", CompleteMultipartUpload::new("bkt", "k", "id"));
    let mut op = complete();
    op.multipart_upload.as_mut().unwrap().parts.reverse();
    refused("parts out of order", op);
    for range in [ByteRange::from(5..5), ByteRange::last(0), ByteRange::Inclusive(5, 4)] {
        let mut op = HeadObject::new("bkt", "k");
        op.range = Some(range);
        refused("empty range", op);
    }
    for range in [CopySourceRange::from(0..0), (7..7).into(), (0..(5 << 30) + 1).into()] {
        let mut op = UploadPartCopy::new("bkt", "k", from(), 1u32, "id");
        op.copy_source_range = Some(range);
        refused("range to copy", op);
    }
    for number in [0, 10_001] {
        let mut op = GetObject::new("bkt", "k");
        op.part_number = Some(number);
        refused("part number", op);
        let mut op = HeadObject::new("bkt", "k");
        op.part_number = Some(number);
        refused("part number", op);
    }
    let mut op = CopyObject::new("bkt", "k", from());
    op.tagging = Some("aws:a=b".into());
    refused("a reserved tag", op);
    let mut op = CreateMultipartUpload::new("bkt", "k");
    op.tagging = Some("a=1&a=2".into());
    refused("the same tag twice", op);
    refused("no attributes", GetObjectAttributes::new("bkt", "k", vec![]));
}

/// What names one upload or one version must not turn into a request about the object itself.
#[test]
fn an_empty_id_is_never_sent() {
    refused("no upload to abort", AbortMultipartUpload::new("bkt", "k", ""));
    refused("no upload to write to", UploadPart::new("bkt", "k", 1u32, "", Payload::Empty));
    refused("no upload to list", ListParts::new("bkt", "k", ""));
    let mut op = DeleteObject::new("bkt", "k");
    op.version_id = Some(String::new());
    refused("no version to delete", op);
    let mut delete = Delete::keys(["a", "b"]);
    delete.objects[1].version_id = Some(String::new());
    refused("no version among many", DeleteObjects::new("bkt", delete));
    refused("no version to copy", CopyObject::new("bkt", "k", CopySource::new("from", "k").version_id("")));
    let mut op = ListObjectsV2::new("bkt");
    op.prefix = Some(String::new());
    assert!(sent(op).target().contains("prefix="), "an empty prefix is one");
}

#[test]
fn a_source_that_cannot_be_copied_from_is_refused() {
    for (bucket, key) in [("", "k"), ("bkt", ""), ("bkt", "/"), ("a/b", "k"), ("a b", "k")] {
        refused(bucket, CopyObject::new("bkt", "k", (bucket, key)));
    }
}

#[test]
fn a_copy_from_an_access_point_names_the_object_in_its_arn() {
    let arn = "arn:aws:s3:us-west-2:123456789012:accesspoint/mine";
    let sent = sent(CopyObject::new("bkt", "k", (arn, "a b")));
    let expected = "arn%3Aaws%3As3%3Aus-west-2%3A123456789012%3Aaccesspoint/mine/object/a%20b";
    assert_eq!(sent.header("x-amz-copy-source"), Some(expected));
}

#[test]
fn ranges_are_written_with_both_ends_included() {
    let cases = [
        (ByteRange::from(0..1_024), "bytes=0-1023"),
        (ByteRange::from(0..=9), "bytes=0-9"),
        (ByteRange::from(10..), "bytes=10-"),
        (ByteRange::from(..10), "bytes=0-9"),
        (ByteRange::from(..=10), "bytes=0-10"),
        (ByteRange::last(5), "bytes=-5"),
        (ByteRange::from(0..=u64::MAX), "bytes=0-18446744073709551615"),
    ];
    for (range, header) in cases {
        let mut op = GetObject::new("bkt", "k");
        op.range = Some(range);
        let run = drive(Stream::new(session(), op), |_| stop());
        assert_eq!(run.sent[0].header("range"), Some(header));
    }
    for range in [CopySourceRange::from(5..10), (5..=9).into()] {
        let mut op = UploadPartCopy::new("bkt", "k", from(), 1u32, "id");
        op.copy_source_range = Some(range);
        assert_eq!(sent(op).header("x-amz-copy-source-range"), Some("bytes=5-9"));
    }
}

/// S3 refuses a request that announces an algorithm and has no checksum.
#[test]
fn an_algorithm_that_was_chosen_is_computed_whatever_the_operation() {
    let sha = || Some(s3_proto::checksum::ChecksumAlgorithm::Sha256);
    let mut delete = DeleteObjects::new("bkt", Delete::keys(["a"]));
    delete.checksum_algorithm = sha();
    let mut tag = PutObjectTagging::new("bkt", "k", [("a", "b")]);
    tag.checksum_algorithm = sha();
    let mut put = PutObject::new("bkt", "k", bytes::Bytes::from_static(b"data"));
    put.checksum_algorithm = sha();
    put.content_md5 = Some(s3_proto::checksum::content_md5(b"data"));
    for sent in [sent(delete), sent(tag), sent(put)] {
        let mut hasher = s3_proto::checksum::Hasher::new(&sha().unwrap()).unwrap();
        hasher.update(sent.body());
        assert_eq!(sent.header("x-amz-checksum-sha256"), Some(hasher.finish().to_string().as_str()));
        assert_eq!(sent.header("x-amz-sdk-checksum-algorithm"), Some("SHA256"));
    }
}

#[test]
fn how_an_upload_travelled_is_no_encoding_of_the_object() {
    for (stored, own) in
        [("aws-chunked", None), ("gzip, aws-chunked", Some("gzip")), ("gzip,br", Some("gzip,br"))]
    {
        let head = answered(HeadObject::new("bkt", "k"), ok().with("content-encoding", stored));
        assert_eq!(head.content_encoding.as_deref(), own, "{stored}");
        let (mut head, ()) = http::Response::new(()).into_parts();
        head.headers.insert("content-encoding", stored.parse().unwrap());
        let get = GetObject::new("bkt", "k").response(&head, b"").unwrap();
        assert_eq!(get.content_encoding.as_deref(), own, "{stored}");
    }
}

#[test]
fn a_value_that_came_later_is_kept_as_it_is() {
    for text in ["GLACIER", "ICEBERG"] {
        let (a, b) = (StorageClass::from(text), StorageClass::from(text.to_owned()));
        assert_eq!((&a, a.as_str()), (&b, text));
        assert_eq!(matches!(a, StorageClass::Other(_)), text == "ICEBERG");
    }
}

#[test]
fn a_directory_bucket_can_be_asked_for() {
    let mut config = CreateBucketConfiguration::default();
    config.location = Some(LocationInfo::new("AvailabilityZone", "usw2-az1"));
    config.bucket = Some(BucketInfo::directory("SingleAvailabilityZone"));
    config.tags = vec![Tag::new("team", "a")];
    let mut op = CreateBucket::new("bkt");
    op.create_bucket_configuration = Some(config);
    let text = String::from_utf8(sent(op).body().to_vec()).unwrap();
    let expected = "<Location><Type>AvailabilityZone</Type><Name>usw2-az1</Name></Location>\
        <Bucket><DataRedundancy>SingleAvailabilityZone</DataRedundancy><Type>Directory</Type></Bucket>\
        <Tags><Tag><Key>team</Key><Value>a</Value></Tag></Tags>";
    assert!(text.contains(expected), "{text}");
}

#[test]
fn odd_keys_come_back_as_they_are() {
    for (encoding, key, expected) in [
        ("<EncodingType>url</EncodingType>", "a%2Bb+c%0A%3C%C3%BC", "a+b c\n<ü"),
        ("", "a%2Bb+c&amp;&#xD;", "a%2Bb+c&\r"),
    ] {
        let entry = format!("<Key>{key}</Key><Size>3</Size>");
        let prefix = format!("<CommonPrefixes><Prefix>{key}</Prefix></CommonPrefixes>");
        let of = |element: &str, more: &str| {
            body(format!("<R>{encoding}<{element}>{entry}{more}</{element}>{prefix}</R>"))
        };
        let v2 = answered(ListObjectsV2::new("bkt"), of("Contents", ""));
        assert_eq!(
            (v2.contents[0].key.as_str(), v2.common_prefixes[0].prefix.as_str()),
            (expected, expected)
        );
        let v1 = answered(ListObjects::new("bkt"), of("Contents", ""));
        assert_eq!(v1.contents[0].key, expected);
        let versions = answered(ListObjectVersions::new("bkt"), of("Version", "<VersionId>null</VersionId>"));
        assert_eq!(versions.versions[0].key, expected);
        let markers = answered(ListObjectVersions::new("bkt"), of("DeleteMarker", ""));
        assert_eq!(markers.delete_markers[0].key, expected);
        let uploads = answered(ListMultipartUploads::new("bkt"), of("Upload", "<UploadId>u</UploadId>"));
        assert_eq!(uploads.uploads[0].key, expected);
    }
}

#[test]
fn lists_are_read() {
    let buckets = answered(
        ListBuckets::new(),
        body("<R><Buckets><Bucket><Name>a</Name></Bucket><Bucket><Name>b</Name></Bucket></Buckets></R>"),
    );
    assert_eq!(buckets.buckets.iter().map(|b| b.name.as_str()).collect::<Vec<_>>(), ["a", "b"]);
    let parts = answered(
        ListParts::new("bkt", "k", "u"),
        body("<R><Part><PartNumber>2</PartNumber><ETag>\"e\"</ETag><Size>5</Size></Part></R>"),
    );
    assert_eq!((parts.parts[0].part_number, parts.parts[0].size), (2, 5));
    let tags = "<Tagging><TagSet><Tag><Key>k</Key><Value></Value></Tag></TagSet></Tagging>";
    let object = answered(GetObjectTagging::new("bkt", "k"), body(tags));
    assert_eq!(object.tag_set, [Tag::new("k", "")]);
    let bucket = answered(GetBucketTagging::new("bkt"), body(tags));
    assert_eq!(bucket.tag_set, object.tag_set);
    let location = answered(GetBucketLocation::new("bkt"), body("<LocationConstraint/>"));
    assert_eq!(location.location_constraint, "");
}

/// Empty elements and headers mean to some stores what is left out by others.
#[test]
fn what_is_empty_is_not_there() {
    let text = "<R><MaxParts/><NextPartNumberMarker></NextPartNumberMarker><IsTruncated>false</IsTruncated>\
                <Part><PartNumber>1</PartNumber><LastModified> </LastModified><Size>5</Size></Part></R>";
    let parts = answered(ListParts::new("bkt", "k", "u"), body(text));
    assert_eq!((parts.max_parts, parts.next_part_number_marker), (None, None));
    assert_eq!(parts.parts[0].last_modified, None);
    let head = answered(HeadObject::new("bkt", "k"), ok().with("x-amz-mp-parts-count", ""));
    assert_eq!(head.parts_count, None);
}

#[test]
fn what_must_be_there_is_missed() {
    for part in ["<PartNumber/>", "<PartNumber>x</PartNumber>", "<PartNumber>-1</PartNumber>", ""] {
        let text = format!("<R><Part>{part}<Size>5</Size></Part></R>");
        let run = drive(Call::new(session(), ListParts::new("bkt", "k", "u")), |_| body(&text));
        assert_eq!(run.error().kind(), ErrorKind::MalformedResponse, "{part:?}");
    }
}

#[test]
fn a_list_without_end_is_cut_off() {
    let text = format!("<R>{}</R>", "<Deleted/>".repeat(100_001));
    let (head, ()) = http::Response::new(()).into_parts();
    let error = DeleteObjects::new("bkt", Delete::keys(["a"])).response(&head, text.as_bytes()).unwrap_err();
    assert!(error.message().contains("more than 100000 entries"), "{error}");
}

#[test]
fn what_could_not_be_deleted_is_part_of_the_answer() {
    let text = "<DeleteResult><Deleted><Key>a</Key></Deleted>\
                <Error><Key>b</Key><Code>AccessDenied</Code><Message>no</Message></Error></DeleteResult>";
    let out = answered(DeleteObjects::new("bkt", Delete::keys(["a", "b"])), body(text));
    assert_eq!(out.deleted[0].key.as_deref(), Some("a"));
    assert_eq!(out.errors[0].code.as_deref(), Some("AccessDenied"));
}

#[test]
fn metadata_comes_back() {
    let reply = ok().with("x-amz-meta-one", "1").with("x-amz-meta-two", "ü").with("x-amz-meta-two", "b");
    let out = answered(HeadObject::new("bkt", "k"), reply);
    assert_eq!(out.metadata["one"], "1");
    assert_eq!(out.metadata["two"], "ü,b");
    let mut op = PutObject::new("bkt", "k", Payload::Empty);
    op.metadata.insert("one".into(), "1".into());
    assert_eq!(sent(op).header("x-amz-meta-one"), Some("1"));
}

fn parse_all(text: &[u8]) {
    fn one<O: Operation>(op: O, text: &[u8]) {
        let _ = op.response(&head(200, &[]), text);
    }
    one(ListBuckets::new(), text);
    one(ListObjectsV2::new("bkt"), text);
    one(ListObjects::new("bkt"), text);
    one(ListObjectVersions::new("bkt"), text);
    one(ListMultipartUploads::new("bkt"), text);
    one(ListParts::new("bkt", "k", "u"), text);
    one(GetBucketTagging::new("bkt"), text);
    one(GetBucketLocation::new("bkt"), text);
    one(DeleteObjects::new("bkt", Delete::keys(["a"])), text);
    one(complete(), text);
    one(CopyObject::new("bkt", "k", from()), text);
    one(GetObjectAttributes::new("bkt", "k", vec![ObjectAttributes::ETag]), text);
}

fn any_reply() -> impl Strategy<Value = Reply> {
    let kinds = vec![
        TransportErrorKind::Refused,
        TransportErrorKind::Closed,
        TransportErrorKind::Timeout,
        TransportErrorKind::DnsNotFound,
        TransportErrorKind::Protocol,
    ];
    let phases = vec![Phase::Resolve, Phase::Connect, Phase::Send, Phase::Wait, Phase::Body];
    let codes = vec![
        "SlowDown",
        "InternalError",
        "ExpiredToken",
        "RequestTimeTooSkewed",
        "AuthorizationHeaderMalformed",
        "AccessDenied",
    ];
    let answer = (100u16..600, prop::sample::select(codes), any::<bool>(), any::<bool>(), "[ -~]{0,12}");
    let answer = answer.prop_map(|(status, code, cut, region, odd)| {
        let text = error_document(code, &odd);
        let reply =
            if cut { Reply::Cut(status, Vec::new(), text) } else { Reply::Answer(status, Vec::new(), text) };
        let reply = reply
            .with("date", "Sun, 30 Aug 2015 13:36:00 GMT")
            .with("content-range", odd.clone())
            .with("x-amz-retry-after", odd);
        if region { reply.with("x-amz-bucket-region", "eu-west-1") } else { reply }
    });
    let fail = (prop::sample::select(phases), prop::sample::select(kinds));
    let bytes = prop::collection::vec(any::<u8>(), 0..60);
    prop_oneof![answer, fail.prop_map(|(phase, kind)| Reply::Fail(phase, kind)), bytes.prop_map(body)]
}

fn ends<M: Machine>(machine: M, replies: &[Reply]) {
    let run = drive(machine, in_turn(replies.to_vec()));
    assert!(run.sent.len() <= 6, "{} requests", run.sent.len());
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(200) })]

    #[test]
    fn no_body_makes_a_parser_panic(text in prop::collection::vec(any::<u8>(), 0..300)) {
        parse_all(&text);
    }

    #[test]
    fn no_document_makes_a_parser_panic(
        text in "(<(R|Contents|Key|Size|Version|Upload|Part|Tag|TagSet|Error|EncodingType)>|</(R|Contents|Key|Size|Part)>|url|%|%4|[0-9]{1,22}|&amp;|&|<!--|-->|<!\\[CDATA\\[|\\]\\]>){0,30}"
    ) {
        parse_all(text.as_bytes());
        parse_all(format!("<R>{text}</R>").as_bytes());
    }

    #[test]
    fn no_sequence_of_answers_makes_a_call_panic_or_loop(replies in prop::collection::vec(any_reply(), 1..8)) {
        ends(Call::new(session(), DeleteObject::new("bkt", "k")), &replies);
        ends(Call::new(session(), complete()), &replies);
        ends(Call::new(session(), ListObjectsV2::new("bkt")), &replies);
        ends(Stream::new(Session::new(aws()), GetObject::new("bkt", "k")), &replies);
    }
}
