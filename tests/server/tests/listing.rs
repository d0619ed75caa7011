//! Lists, versions and multipart uploads.
#![allow(clippy::unwrap_used, clippy::panic, reason = "helpers of tests fail as tests do")]

mod common;

use common::{Client, complete_xml, sha256};

#[test]
fn pages_in_byte_order() {
    let c = Client::new();
    for key in ["b", "a", "ü", "Z", "a/1", "a/2", "c/x/1", "c/y", "\u{e000}", "\u{10000}"] {
        c.service.store().put("bkt", key, "x");
    }
    let all = ["Z", "a", "a/1", "a/2", "b", "c/x/1", "c/y", "ü", "\u{e000}", "\u{10000}"];
    assert_eq!(c.get("/bkt?list-type=2").ok().all("Key"), all);

    let (mut keys, mut prefixes, mut token) = (Vec::new(), Vec::new(), String::new());
    for page in 1.. {
        let reply = c.get(&format!("/bkt?list-type=2&max-keys=2&delimiter=/{token}")).ok();
        let count = reply.all("Key").len() + reply.all("CommonPrefixes").len();
        assert_eq!(reply.one("KeyCount"), count.to_string());
        keys.extend(reply.all("Key"));
        prefixes.extend(reply.all("CommonPrefixes"));
        if reply.one("IsTruncated") == "false" {
            assert_eq!((page, reply.one("NextContinuationToken")), (4, String::new()));
            break;
        }
        token = format!("&continuation-token={}", reply.one("NextContinuationToken").replace('=', "%3D"));
    }
    assert_eq!(keys, ["Z", "a", "b", "ü", "\u{e000}", "\u{10000}"]);
    assert_eq!(prefixes, ["<Prefix>a/</Prefix>", "<Prefix>c/</Prefix>"]);

    assert_eq!(c.get("/bkt?list-type=2&prefix=c/&delimiter=/").all("Key"), ["c/y"]);
    assert_eq!(c.get("/bkt?list-type=2&start-after=b").all("Key"), all[5..]);
    let none = c.get("/bkt?list-type=2&max-keys=0").ok();
    assert_eq!((none.one("IsTruncated"), none.one("KeyCount")), ("false".to_owned(), "0".to_owned()));
    c.get("/bkt?list-type=2&max-keys=-1").is_error(400, "InvalidArgument");
    c.get("/bkt?list-type=2&continuation-token=x").is_error(400, "InvalidArgument");
    c.get("/bkt?list-type=2&encoding-type=x").is_error(400, "InvalidArgument");
    assert!(!c.get("/bkt?list-type=2").text().contains("<Owner>"));
    assert!(c.get("/bkt?list-type=2&fetch-owner=true").text().contains("<Owner>"));
    let encoded = c.get("/bkt?list-type=2&encoding-type=url&prefix=%C3%BC").ok();
    assert_eq!((encoded.one("Key"), encoded.one("Prefix")), ("%C3%BC".to_owned(), "%C3%BC".to_owned()));
    assert_eq!(c.get("/bkt?list-type=2&max-keys=5000").one("MaxKeys"), "1000");
}

#[test]
fn version_one() {
    let c = Client::new();
    for key in ["a", "p/1", "p/2", "z"] {
        c.service.store().put("bkt", key, "x");
    }
    let page = c.get("/bkt?delimiter=/&max-keys=2").ok();
    assert_eq!((page.one("IsTruncated"), page.one("NextMarker")), ("true".to_owned(), "p/".to_owned()));
    let next = c.get("/bkt?delimiter=/&max-keys=2&marker=p/").ok();
    assert_eq!((next.all("Key"), next.all("CommonPrefixes").len()), (vec!["z".to_owned()], 0));
    let page = c.get("/bkt?max-keys=2").ok();
    assert_eq!(
        (page.all("Key"), page.one("NextMarker")),
        (vec!["a".to_owned(), "p/1".to_owned()], String::new())
    );
    assert_eq!(c.get("/bkt?marker=p/1").ok().all("Key"), ["p/2", "z"]);
}

#[test]
fn versions() {
    let c = Client::new();
    c.put("/bkt/k", b"zero").ok();
    assert_eq!(c.get("/bkt?versioning").ok().one("Status"), "");
    c.versioning("Enabled");
    assert_eq!(c.get("/bkt?versioning").ok().one("Status"), "Enabled");
    let put = |body: &[u8]| c.put("/bkt/k", body).ok().header("x-amz-version-id").to_owned();
    let (one, two) = (put(b"one"), put(b"two"));
    assert_ne!(one, two);
    let read = |id: &str| c.get(&format!("/bkt/k?versionId={id}"));
    assert_eq!(
        (read("null").body, read(&one).body, read(&two).body),
        ("zero".into(), "one".into(), "two".into())
    );
    assert_eq!(c.get("/bkt/k").ok().header("x-amz-version-id"), two);
    read("wrong").is_error(400, "InvalidArgument");
    read(&"x".repeat(32)).is_error(404, "NoSuchVersion");

    let deleted = c.delete("/bkt/k").ok();
    let marker = deleted.header("x-amz-version-id").to_owned();
    assert_eq!(deleted.header("x-amz-delete-marker"), "true");
    let gone = c.get("/bkt/k");
    gone.is_error(404, "NoSuchKey");
    assert_eq!(
        (gone.header("x-amz-delete-marker"), gone.header("x-amz-version-id")),
        ("true", marker.as_str())
    );
    read(&marker).is_error(405, "MethodNotAllowed");
    assert_eq!(
        (read(&marker).header("allow"), read(&marker).header("x-amz-delete-marker")),
        ("DELETE", "true")
    );
    assert_eq!(c.head("/bkt/k").status, 404);
    assert!(c.get("/bkt?list-type=2").ok().all("Key").is_empty());
    c.delete("/bkt").is_error(409, "BucketNotEmpty");

    let list = c.get("/bkt?versions").ok();
    // s3s writes all markers before all versions.
    assert_eq!(list.all("VersionId"), [&marker, &two, &one, "null"]);
    assert_eq!(list.all("IsLatest"), ["true", "false", "false", "false"]);
    assert_eq!(list.all("DeleteMarker").len(), 1);
    let mut seen = Vec::new();
    let mut markers = String::new();
    loop {
        let page = c.get(&format!("/bkt?versions&max-keys=1{markers}")).ok();
        seen.extend(page.all("VersionId"));
        if page.one("IsTruncated") == "false" {
            break;
        }
        markers = format!(
            "&key-marker={}&version-id-marker={}",
            page.one("NextKeyMarker"),
            page.one("NextVersionIdMarker")
        );
    }
    assert_eq!(seen, [&marker, &two, &one, "null"]);

    let restored = c.delete(&format!("/bkt/k?versionId={marker}")).ok();
    assert_eq!(restored.header("x-amz-delete-marker"), "true");
    assert_eq!(c.get("/bkt/k").ok().body, "two");
    c.put(
        &format!("/bkt/k?tagging&versionId={one}"),
        b"<Tagging><TagSet><Tag><Key>a</Key><Value>b</Value></Tag></TagSet></Tagging>",
    )
    .ok();
    assert!(c.get("/bkt/k?tagging").ok().all("Tag").is_empty());
    assert_eq!(c.get(&format!("/bkt/k?tagging&versionId={one}")).ok().all("Key"), ["a"]);
    let copied =
        c.call("PUT", "/bkt/k", &[("x-amz-copy-source", &format!("bkt/k?versionId={one}"))], b"").ok();
    assert_eq!(copied.header("x-amz-copy-source-version-id"), one);
    assert_eq!(c.get("/bkt/k").ok().body, "one");

    c.versioning("Suspended");
    c.put("/bkt/k", b"null").ok();
    assert_eq!(read("null").body, "null");
    assert_eq!(c.delete("/bkt/k").ok().header("x-amz-version-id"), "null");
    read("null").is_error(405, "MethodNotAllowed");
    assert_eq!(read(&two).body, "two");
    assert_eq!(c.delete(&format!("/bkt/k?versionId={two}")).ok().status, 204);
    assert_eq!(c.delete(&format!("/bkt/k?versionId={two}")).ok().status, 204);
    read(&two).is_error(404, "NoSuchVersion");
}

#[test]
fn multipart() {
    let c = Client::new();
    let id = c.create_upload("/bkt/k", &[("content-type", "a/b"), ("x-amz-tagging", "t=1")]);
    let part = |n: i32, body: &[u8]| {
        c.put(&format!("/bkt/k?partNumber={n}&uploadId={id}"), body).ok().header("etag").to_owned()
    };
    part(1, b"replaced");
    let (one, two) = (part(1, b"12345"), part(3, b"678"));
    let listed = c.get(&format!("/bkt/k?uploadId={id}&max-parts=1")).ok();
    assert_eq!(
        (listed.all("PartNumber"), listed.one("IsTruncated")),
        (vec!["1".to_owned()], "true".to_owned())
    );
    let next = listed.one("NextPartNumberMarker");
    let listed = c.get(&format!("/bkt/k?uploadId={id}&part-number-marker={next}")).ok();
    assert_eq!((listed.all("PartNumber"), listed.all("Size")), (vec!["3".to_owned()], vec!["3".to_owned()]));

    let complete = |parts: &[(i32, &str)]| c.post(&format!("/bkt/k?uploadId={id}"), &complete_xml(parts));
    complete(&[]).is_error(400, "MalformedXML");
    complete(&[(3, &two), (1, &one)]).is_error(400, "InvalidPartOrder");
    complete(&[(1, &one), (2, &two)]).is_error(400, "InvalidPart");
    complete(&[(1, &two)]).is_error(400, "InvalidPart");
    let small = part(1, b"1234");
    complete(&[(1, &small), (3, &two)]).is_error(400, "EntityTooSmall");
    let one = part(1, b"12345");
    let none_match = [("if-none-match", "*")];
    c.put("/bkt/k", b"there").ok();
    let xml = complete_xml(&[(1, &one), (3, &two)]);
    c.call("POST", &format!("/bkt/k?uploadId={id}"), &none_match, xml.as_bytes())
        .is_error(412, "PreconditionFailed");
    c.service.store().fail_next_completes(1);
    complete(&[(1, &one), (3, &two)]).is_error(200, "InternalError");
    let done = complete(&[(1, &one), (3, &two)]).ok();
    assert!(done.one("ETag").ends_with("-2\""), "{}", done.text());
    assert!(!done.one("ChecksumCRC64NVME").is_empty());
    complete(&[(1, &one)]).is_error(404, "NoSuchUpload");
    let got = c.get("/bkt/k").ok();
    assert_eq!((&got.body[..], got.header("content-type")), (&b"12345678"[..], "a/b"));
    assert_eq!(c.get("/bkt/k?tagging").all("Key"), ["t"]);
    let got = c.get("/bkt/k?partNumber=3").ok();
    assert_eq!((got.status.as_u16(), &got.body[..]), (206, &b"678"[..]));
    assert_eq!((got.header("x-amz-mp-parts-count"), got.header("content-range")), ("2", "bytes 5-7/8"));
    // The full-object CRC of the parts is that of the whole.
    let crc = c.put("/bkt/plain", b"12345678").ok().header("x-amz-checksum-crc64nvme").to_owned();
    assert_eq!(done.one("ChecksumCRC64NVME"), crc);
}

#[test]
fn multipart_checksums() {
    let c = Client::new();
    let headers = [("x-amz-checksum-algorithm", "SHA256")];
    let created = c.call("POST", "/bkt/k?uploads", &headers, b"").ok();
    assert_eq!(created.header("x-amz-checksum-type"), "COMPOSITE");
    let id = created.one("UploadId");
    let target = format!("/bkt/k?partNumber=1&uploadId={id}");
    c.put(&target, b"12345").is_error(400, "InvalidRequest");
    c.call("PUT", &target, &[("x-amz-checksum-crc32", "NhCmhg==")], b"hello").is_error(400, "InvalidRequest");
    let sum = sha256(b"12345");
    let put = c.call("PUT", &target, &[("x-amz-checksum-sha256", &sum)], b"12345").ok();
    let (etag, target) = (put.header("etag").to_owned(), format!("/bkt/k?uploadId={id}"));
    c.post(&target, &complete_xml(&[(1, &etag)])).is_error(400, "InvalidRequest");
    let with = |sum: &str| {
        complete_xml(&[(1, &etag)])
            .replace("</Part>", &format!("<ChecksumSHA256>{sum}</ChecksumSHA256></Part>"))
    };
    c.post(&target, &with(&sha256(b"x"))).is_error(400, "InvalidPart");
    let done = c.post(&target, &with(&sum)).ok();
    assert!(done.one("ChecksumSHA256").ends_with("-1"));
    assert_eq!(done.one("ChecksumType"), "COMPOSITE");
    let got = c.call("HEAD", "/bkt/k", &[("x-amz-checksum-mode", "ENABLED")], b"").ok();
    assert_eq!(got.header("x-amz-checksum-sha256"), done.one("ChecksumSHA256"));
    let part = c.call("HEAD", "/bkt/k?partNumber=1", &[("x-amz-checksum-mode", "ENABLED")], b"").ok();
    assert_eq!(part.header("x-amz-checksum-sha256"), sum);
    let parts = c.call("GET", "/bkt/k?attributes", &[("x-amz-object-attributes", "ObjectParts")], b"").ok();
    assert_eq!((parts.one("PartsCount"), parts.one("ChecksumSHA256")), ("1".to_owned(), sum));
    let bad = [("x-amz-checksum-algorithm", "SHA256"), ("x-amz-checksum-type", "FULL_OBJECT")];
    c.call("POST", "/bkt/k?uploads", &bad, b"").is_error(400, "InvalidRequest");
}

#[test]
fn part_copies_and_aborts() {
    let c = Client::new();
    c.put("/bkt/src", b"0123456789").ok();
    let id = c.create_upload("/bkt/k", &[]);
    let copy = |range: &str| {
        let headers = [("x-amz-copy-source", "bkt/src"), ("x-amz-copy-source-range", range)];
        c.call("PUT", &format!("/bkt/k?partNumber=1&uploadId={id}"), &headers, b"")
    };
    copy("bytes=2-10").is_error(400, "InvalidArgument");
    copy("bytes=2-").is_error(400, "InvalidArgument");
    let etag = copy("bytes=2-4").ok().one("ETag");
    c.post(&format!("/bkt/k?uploadId={id}"), &complete_xml(&[(1, &etag)])).ok();
    assert_eq!(c.get("/bkt/k").body, "234");

    let id = c.create_upload("/bkt/k", &[]);
    assert_eq!(c.delete(&format!("/bkt/k?uploadId={id}")).ok().status, 204);
    c.delete(&format!("/bkt/k?uploadId={id}")).is_error(404, "NoSuchUpload");
    c.put(&format!("/bkt/k?partNumber=1&uploadId={id}"), b"").is_error(404, "NoSuchUpload");
    c.get(&format!("/bkt/k?uploadId={id}")).is_error(404, "NoSuchUpload");
    c.put("/bkt/k?partNumber=0&uploadId=x", b"").is_error(400, "InvalidArgument");
    c.put("/bkt/k?partNumber=10001&uploadId=x", b"").is_error(400, "InvalidArgument");
}

#[test]
fn lists_uploads() {
    let c = Client::new();
    let ids: Vec<_> =
        ["a", "a", "p/1", "p/2", "z"].map(|key| c.create_upload(&format!("/bkt/{key}"), &[])).into();
    let all = c.get("/bkt?uploads").ok();
    assert_eq!(all.all("UploadId"), ids);
    let page = c.get("/bkt?uploads&max-uploads=1").ok();
    assert_eq!((page.one("NextKeyMarker"), page.one("NextUploadIdMarker")), ("a".to_owned(), ids[0].clone()));
    let next = c.get(&format!("/bkt?uploads&max-uploads=1&key-marker=a&upload-id-marker={}", ids[0])).ok();
    assert_eq!(next.all("UploadId"), [ids[1].clone()]);
    assert_eq!(c.get("/bkt?uploads&key-marker=a").ok().all("UploadId"), ids[2..]);
    let grouped = c.get("/bkt?uploads&delimiter=/").ok();
    assert_eq!((grouped.all("Key").len(), grouped.all("CommonPrefixes").len()), (3, 1));
    assert_eq!(c.get("/bkt?uploads&delimiter=/&key-marker=p/").ok().all("Key"), ["z"]);
    assert_eq!(c.get("/bkt?uploads&prefix=p/").ok().all("Key"), ["p/1", "p/2"]);
}
