//! Code that uses a client, tested without a network: what a mock can, on every driver.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;

use bytes::Bytes;
use http::Method;
use s3_proto::client::Client;
use s3_proto::testing::{Mock, Reply, Sent};
use s3_proto::{Config, Credentials, Error, ErrorKind, Phase, TransportErrorKind};

use crate::harness::{Harness, Outcome, World, data, scenarios};

scenarios! {
    what_is_sent_can_be_looked_at,
    data_that_is_streamed_can_be_looked_at,
    replies_come_in_turn_and_waits_take_no_time,
    an_error_of_the_service_is_played,
    a_failure_of_the_network_is_played_in_each_phase,
    a_body_that_breaks_off_is_asked_for_again,
    an_answer_that_never_comes_is_given_up,
    a_copy_is_given_up_much_later,
    an_answer_may_come_late,
    conditions_choose_the_answer,
    a_request_that_was_not_expected_is_told_and_not_repeated,
    what_did_not_come_is_told,
    a_file_is_uploaded_in_parts,
    an_upload_that_meets_a_surprise_puts_things_in_order,
    a_file_is_downloaded,
    credentials_come_in_turn,
    a_list_is_asked_for_page_by_page,
    a_run_is_the_same_each_time,
}

fn client<H: Harness>(config: Config) -> H::Client {
    H::client(config, &crate::harness::Options::default()).unwrap()
}

/// What the test of a user would call: its own code, with a client.
fn get<H: Harness>(client: &Client<H::Driver>, key: &str) -> Result<Vec<u8>, Error> {
    let mut body = H::wait(client.get_object("bucket", key).send())?.body;
    let pieces: Result<Vec<Bytes>, Error> = std::iter::from_fn(|| H::chunk(&mut body)).collect();
    Ok(pieces?.concat())
}

/// What `verify` panics with.
fn complaint(mock: &Mock) -> String {
    let panic = catch_unwind(AssertUnwindSafe(|| mock.verify())).unwrap_err();
    panic.downcast_ref::<String>().unwrap().clone()
}

fn what_is_sent_can_be_looked_at<H: Harness>(_: &World<H>) -> Outcome {
    let mock = Mock::new();
    mock.expect(Method::PUT, "/bucket/a b.txt").reply(Reply::status(200).header("etag", "\"tag\""));
    let put = client::<H>(mock.config()).put_object("bucket", "a b.txt", "data").content_type("text/plain");
    assert_eq!(H::wait(put.send())?.etag.unwrap().to_string(), "tag");

    let [sent] = &mock.requests()[..] else { panic!("{:?}", mock.requests()) };
    assert_eq!((sent.operation, &sent.body[..]), (Some("PutObject"), &b"data"[..]));
    assert_eq!(sent.uri, "https://bucket.s3.us-east-1.amazonaws.com/a%20b.txt");
    assert_eq!(
        (sent.header("content-type"), sent.header("x-amz-date")),
        (Some("text/plain"), Some("20260101T000000Z"))
    );
    mock.verify();
    Ok(())
}

fn data_that_is_streamed_can_be_looked_at<H: Harness>(_: &World<H>) -> Outcome {
    let mock = Mock::new();
    mock.expect(Method::PUT, "/bucket/key");
    let whole = data(1_000_000);
    let pieces: Vec<_> = whole.chunks(70_000).map(Bytes::copy_from_slice).collect();
    let source = H::pieces(pieces.into_iter(), 1_000_000);
    H::wait(client::<H>(mock.config()).put_object("bucket", "key", source).send())?;
    assert!(mock.requests()[0].body == whole);

    let short = H::pieces([Bytes::from_static(b"data")].into_iter(), 5);
    let sent = H::wait(client::<H>(mock.config()).put_object("bucket", "short", short).send());
    assert_eq!(sent.unwrap_err().kind(), ErrorKind::LocalIo);
    Ok(())
}

fn replies_come_in_turn_and_waits_take_no_time<H: Harness>(_: &World<H>) -> Outcome {
    let mock = Mock::new();
    mock.expect(Method::DELETE, "/bucket/key").reply(Reply::error(503, "SlowDown")).times(9).reply(204);
    let client = client::<H>(mock.config().with_max_attempts(10));
    H::wait(client.delete_object("bucket", "key").send())?;

    let (waits, began) = (mock.waits(), Mock::new().time());
    assert_eq!((mock.requests().len(), waits.len()), (10, 9));
    assert!(waits.iter().sum::<Duration>() > Duration::from_secs(5), "{waits:?}");
    assert_eq!(mock.time().since(began), waits.iter().sum::<Duration>());
    mock.verify();
    Ok(())
}

fn an_error_of_the_service_is_played<H: Harness>(_: &World<H>) -> Outcome {
    let mock = Mock::new();
    mock.expect(Method::GET, "/bucket/key").reply(Reply::error(404, "NoSuchKey"));
    mock.expect(Method::HEAD, "/bucket/key").reply(Reply::error(404, "NoSuchKey"));
    let client = client::<H>(mock.config());
    let error = get::<H>(&client, "key").unwrap_err();
    assert_eq!(
        (error.kind(), error.code(), error.request_id()),
        (ErrorKind::NoSuchKey, Some("NoSuchKey"), Some("MOCK"))
    );
    assert!(!H::wait(client.object_exists("bucket", "key"))?);
    mock.verify();
    Ok(())
}

fn a_failure_of_the_network_is_played_in_each_phase<H: Harness>(_: &World<H>) -> Outcome {
    for (phase, failure, kind) in [
        (Phase::Resolve, TransportErrorKind::DnsNotFound, ErrorKind::Dns),
        (Phase::Connect, TransportErrorKind::TlsRejected, ErrorKind::Tls),
        (Phase::Connect, TransportErrorKind::Refused, ErrorKind::Connect),
        (Phase::Send, TransportErrorKind::Closed, ErrorKind::Connect),
        (Phase::Wait, TransportErrorKind::Timeout, ErrorKind::Timeout),
    ] {
        let mock = Mock::new();
        mock.expect(Method::GET, "/bucket/key").reply(Reply::failure(phase, failure));
        let error = get::<H>(&client::<H>(mock.config().with_max_attempts(1)), "key").unwrap_err();
        assert_eq!((error.kind(), error.phase()), (kind, Some(phase)), "{error}");
        mock.verify();
    }
    Ok(())
}

fn a_body_that_breaks_off_is_asked_for_again<H: Harness>(_: &World<H>) -> Outcome {
    let mock = Mock::new();
    let whole = || Reply::status(200).header("etag", "\"tag\"").body("Hello world");
    let rest =
        Reply::status(206).header("etag", "\"tag\"").header("content-range", "bytes 5-10/11").body(" world");
    mock.expect(Method::GET, "/bucket/key")
        .header("range", "bytes=5-10")
        .header("if-match", "\"tag\"")
        .reply(rest);
    mock.expect(Method::GET, "/bucket/key").reply(whole().breaks_after(5));
    assert_eq!(get::<H>(&client::<H>(mock.config()), "key")?, b"Hello world");
    mock.verify();

    let mock = Mock::new();
    mock.expect(Method::GET, "/bucket/key").reply(whole().breaks_after(5));
    let error = get::<H>(&client::<H>(mock.config().with_max_attempts(1)), "key").unwrap_err();
    assert_eq!((error.kind(), error.phase()), (ErrorKind::TruncatedBody, Some(Phase::Body)), "{error}");
    Ok(())
}

fn an_answer_that_never_comes_is_given_up<H: Harness>(_: &World<H>) -> Outcome {
    for (limit, waited, attempts) in [(None, 30, 1), (Some(Duration::from_secs(10)), 10, 3)] {
        let mock = Mock::new();
        mock.expect(Method::GET, "/bucket/key").reply(Reply::never()).always();
        let mut config = mock.config().with_max_attempts(attempts);
        config.operation_timeout = limit;
        let error = get::<H>(&client::<H>(config), "key").unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Timeout, "{error}");
        assert_eq!(mock.waits(), [Duration::from_secs(waited)]);
    }
    Ok(())
}

fn a_copy_is_given_up_much_later<H: Harness>(_: &World<H>) -> Outcome {
    let mock = Mock::new();
    mock.expect_operation("CopyObject").reply(Reply::never()).always();
    let copy =
        client::<H>(mock.config().with_max_attempts(1)).copy_object("bucket", "key", ("bucket", "from"));
    let error = H::wait(copy.send()).map(drop).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Timeout, "{error}");
    assert_eq!(mock.waits(), [Duration::from_mins(10)]);
    Ok(())
}

fn an_answer_may_come_late<H: Harness>(_: &World<H>) -> Outcome {
    let mock = Mock::new();
    mock.expect(Method::HEAD, "/bucket").reply(Reply::from(200).after(Duration::from_secs(29)));
    H::wait(client::<H>(mock.config()).head_bucket("bucket").send())?;
    assert_eq!(mock.waits(), [Duration::from_secs(29)]);
    Ok(())
}

fn conditions_choose_the_answer<H: Harness>(_: &World<H>) -> Outcome {
    let mock = Mock::new();
    let tag = |tag: &str| Reply::status(200).header("etag", tag);
    mock.expect_operation("PutObject").header("x-amz-meta-of", "eve").reply(tag("\"header\""));
    mock.expect_operation("PutObject").body("data").reply(tag("\"body\""));
    mock.expect_operation("PutObject")
        .when("a long key", |sent| sent.path().len() > 50)
        .reply(tag("\"when\""));
    mock.expect_operation("UploadPart").query("partNumber", "2").reply(tag("\"query\"")).always();
    mock.expect_operation("PutObject").reply(tag("\"else\"")).always();
    mock.expect_operation("DeleteObject").reply(204).always();
    let client = client::<H>(mock.config());
    let put = |key: &str, body| client.put_object("bucket", key, body);
    let mut tags = Vec::new();
    for put in
        [put("a", "data"), put("b", "data"), put("c", "").metadata("of", "eve"), put(&"k".repeat(50), "")]
    {
        tags.push(H::wait(put.send())?.etag.unwrap().to_string());
    }
    assert_eq!(tags, ["body", "else", "header", "when"]);
    let part = H::wait(client.upload_part("bucket", "key", 2_u32, "id", "part").send())?;
    assert_eq!(part.etag.unwrap().to_string(), "query");
    mock.verify();
    Ok(())
}

fn a_request_that_was_not_expected_is_told_and_not_repeated<H: Harness>(_: &World<H>) -> Outcome {
    let mock = Mock::new();
    mock.expect(Method::PUT, "/bucket/key").header("content-type", "text/plain").reply(200);
    let sent = H::wait(client::<H>(mock.config()).put_object("bucket", "key", "data").send());
    let error = sent.unwrap_err();
    assert_eq!((error.kind(), mock.requests().len()), (ErrorKind::ApiMisuse, 1), "{error}");
    let (came, expected) =
        ("PutObject, PUT /bucket/key", "PUT /bucket/key, content-type: text/plain: 1 more, after 0");
    assert!(error.message().contains(&format!("did not expect {came}; it expects {expected}")), "{error}");
    let complaint = complaint(&mock);
    assert!(complaint.contains(&format!("unexpected: {came}\nmissing: {expected}\n")), "{complaint}");
    Ok(())
}

fn what_did_not_come_is_told<H: Harness>(_: &World<H>) -> Outcome {
    let mock = Mock::new();
    mock.expect(Method::GET, "/bucket/key").reply(200).times(3);
    mock.expect(Method::GET, "/bucket/never");
    mock.expect(Method::GET, "/bucket/perhaps").reply(200).always();
    get::<H>(&client::<H>(mock.config()), "key")?;
    let complaint = complaint(&mock);
    assert!(complaint.ends_with(
        "missing: GET /bucket/key: 2 more, after 1\nmissing: GET /bucket/never: 1 more, after 0\n"
    ));
    Ok(())
}

fn started() -> Reply {
    Reply::status(200).body("<R><Bucket>bucket</Bucket><Key>key</Key><UploadId>id</UploadId></R>")
}

fn tagged(sent: &Sent) -> Reply {
    Reply::status(200).header("etag", &format!("\"{}\"", sent.query("partNumber").unwrap()))
}

fn a_file_is_uploaded_in_parts<H: Harness>(_: &World<H>) -> Outcome {
    let folder = tempfile::tempdir().unwrap();
    let (path, whole) = (folder.path().join("file"), data(11 << 20));
    std::fs::write(&path, &whole).unwrap();
    let mock = Mock::new();
    mock.expect_operation("CreateMultipartUpload").reply(started());
    mock.expect_operation("UploadPart").reply_with(tagged).times(3);
    mock.expect(Method::POST, "/bucket/key")
        .query("uploadId", "id")
        .reply(Reply::error(200, "InternalError"))
        .reply(Reply::status(200).body("<R><ETag>\"whole-3\"</ETag></R>"));
    let upload =
        client::<H>(mock.config()).upload_file("bucket", "key", &path).part_size(5 << 20).threshold(0);
    let report = H::wait(upload.send())?;
    assert_eq!((report.bytes, report.upload_id.as_deref()), (11 << 20, Some("id")));
    mock.verify();

    let mut parts: Vec<_> =
        mock.requests().into_iter().filter(|sent| sent.operation == Some("UploadPart")).collect();
    parts.sort_by_key(|sent| sent.query("partNumber"));
    assert!(parts.iter().map(|part| &part.body[..]).collect::<Vec<_>>().concat() == whole);
    Ok(())
}

fn an_upload_that_meets_a_surprise_puts_things_in_order<H: Harness>(_: &World<H>) -> Outcome {
    let mock = Mock::new();
    mock.expect_operation("CreateMultipartUpload").reply(started());
    mock.expect_operation("AbortMultipartUpload").reply(204);
    let upload =
        client::<H>(mock.config()).upload("bucket", "key", data(11 << 20)).part_size(5 << 20).threshold(0);
    let error = H::wait(upload.send()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::ApiMisuse, "{error}");
    // Threads may have sent other parts meanwhile.
    assert!(mock.requests().iter().any(|sent| sent.operation == Some("AbortMultipartUpload")));
    Ok(())
}

fn a_file_is_downloaded<H: Harness>(_: &World<H>) -> Outcome {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("file");
    let mock = Mock::new();
    let whole = Reply::status(206)
        .header("etag", "\"tag\"")
        .header("content-range", "bytes 0-10/11")
        .body("Hello world");
    mock.expect(Method::GET, "/bucket/key").reply(whole);
    // A range does not tell the checksum of the whole.
    let head = Reply::from(200).header("etag", "\"tag\"").header("content-length", "11");
    mock.expect(Method::HEAD, "/bucket/key").reply(head);
    let mut config = mock.config();
    // It must not end the call while the file is written, which takes no time of the mock's.
    config.operation_timeout = Some(Duration::from_secs(10));
    H::wait(client::<H>(config).download_file("bucket", "key", &path).send())?;
    assert_eq!(std::fs::read(&path).unwrap(), b"Hello world");
    mock.verify();
    Ok(())
}

fn credentials_come_in_turn<H: Harness>(_: &World<H>) -> Outcome {
    let mock = Mock::new();
    let credentials = |id: &str| Ok(Credentials::new(id, "secret")?.with_session_token("token"));
    let first = credentials("FIRST")
        .map(|first| first.with_expiry(mock.time().saturating_add(Duration::from_hours(1))));
    let down = Error::new(ErrorKind::CredentialsProvider, "the provider is down");
    let provider = mock.credentials([first, credentials("SECOND"), Err(down)]);
    mock.expect(Method::HEAD, "/bucket")
        .reply(200)
        .times(2)
        .reply(Reply::error(400, "ExpiredToken"))
        .times(1);
    let client = client::<H>(mock.config().with_credentials_provider(provider));
    let head = || H::wait(client.head_bucket("bucket").send());
    head()?;
    mock.advance(Duration::from_hours(2));
    head()?;
    assert!(complaint(&mock).contains("missing: credentials, 1 times"));

    // HEAD has no code, so it is asked with the same credentials; what was refused in words is fetched anew.
    mock.expect(Method::GET, "/bucket/key").reply(Reply::error(400, "ExpiredToken"));
    let error = get::<H>(&client, "key").unwrap_err();
    assert!(error.to_string().contains("the provider is down"), "{error}");
    let ids: Vec<_> =
        mock.requests().iter().map(|sent| sent.header("authorization").unwrap().to_owned()).collect();
    let of = |id: &str| ids.iter().filter(|header| header.contains(&format!("Credential={id}/"))).count();
    assert_eq!((of("FIRST"), of("SECOND")), (1, 2));
    Ok(())
}

fn a_list_is_asked_for_page_by_page<H: Harness>(_: &World<H>) -> Outcome {
    let page = |keys: &[&str], next: &str| {
        let entries: Vec<_> =
            keys.iter().map(|key| format!("<Contents><Key>{key}</Key><Size>1</Size></Contents>")).collect();
        Reply::status(200).body(format!("<R>{}{next}</R>", entries.concat()))
    };
    let more = "<IsTruncated>true</IsTruncated><NextContinuationToken>more</NextContinuationToken>";
    let mock = Mock::new();
    mock.expect_operation("ListObjectsV2").query("continuation-token", "more").reply(page(&["c"], ""));
    mock.expect_operation("ListObjectsV2").reply(page(&["a", "b"], more));
    let mut items = client::<H>(mock.config()).list_all_objects("bucket");
    let keys: Result<Vec<_>, Error> =
        std::iter::from_fn(|| H::next(&mut items)).map(|item| Ok(item?.key)).collect();
    assert_eq!(keys?, ["a", "b", "c"]);
    mock.verify();
    Ok(())
}

fn a_run_is_the_same_each_time<H: Harness>(_: &World<H>) -> Outcome {
    let run = || {
        let mock = Mock::new();
        mock.expect_operation("PutObject").reply(503).times(2).reply(200);
        H::wait(client::<H>(mock.config()).put_object("bucket", "key", "data").send()).unwrap();
        let headers: Vec<_> = mock.requests().into_iter().map(|sent| sent.headers).collect();
        (headers, mock.waits())
    };
    assert_eq!(run(), run());
    Ok(())
}
