//! Bodies that go to the user as they come.
// Helpers outside of `#[test]` may fail the test.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

mod support;

use s3_proto::call::Stream;
use s3_proto::ops::{ByteRange, GetObject};
use s3_proto::{Answer, BodyPlan, ErrorKind, Machine, Phase, Session, Step};
use support::*;

fn get() -> Stream<GetObject> {
    Stream::new(session(), GetObject::new("bkt", "k"))
}

fn range(range: impl Into<ByteRange>) -> Stream<GetObject> {
    let mut op = GetObject::new("bkt", "k");
    op.range = Some(range.into());
    Stream::new(session(), op)
}

fn part(status: u16, content_range: &str, text: &str) -> Reply {
    Reply::Answer(status, Vec::new(), text.as_bytes().to_vec())
        .with("content-range", content_range)
        .with("content-length", text.len().to_string())
}

/// CRC-32 of `Hello world`.
const CRC32: &str = "i9aeUg==";

#[test]
fn the_head_is_an_item_and_the_body_is_delivered() {
    let run = drive(get(), |_| body("Hello world").with("content-length", "11").with("x-amz-meta-a", "b"));
    assert!(run.result.is_ok());
    assert_eq!((run.items.len(), run.offset, run.delivered.as_slice()), (1, Some(0), &b"Hello world"[..]));
    assert_eq!(run.items[0].content_length, Some(11));
    assert_eq!(run.items[0].metadata["a"], "b");
}

#[test]
fn a_body_without_a_length_is_taken_as_it_comes() {
    let run = drive(get(), |_| body("Hello"));
    assert!(run.result.is_ok());
    assert_eq!(run.delivered, b"Hello");
}

#[test]
fn a_body_that_ends_early_is_truncated() {
    let run = drive(get(), |_| body("Hello").with("content-length", "11"));
    assert_eq!((run.error().kind(), run.sent.len()), (ErrorKind::TruncatedBody, 1));
}

#[test]
fn a_connection_that_closes_in_the_body_truncates_it() {
    let run = drive(get(), |_| Reply::Cut(200, vec![("content-length", "11".into())], b"Hello".to_vec()));
    assert_eq!((run.error().kind(), run.error().phase()), (ErrorKind::TruncatedBody, Some(Phase::Body)));
    assert_eq!(run.items.len(), 1);
}

#[test]
fn the_check_refuses_more_than_was_announced() {
    let now = World::default().now;
    let mut machine = get();
    let Step::Start(id, _) = machine.poll(now) else { panic!() };
    let head = head(200, &[("content-length", "3".into())]);
    let BodyPlan::Deliver { mut check, .. } = machine.answer(now, id, Answer::Head(head.into())) else {
        panic!()
    };
    assert_eq!(check.expected_len(), Some(3));
    assert_eq!(check.update(b"four").unwrap_err().kind(), ErrorKind::MalformedResponse);
}

#[test]
fn a_head_is_yielded_even_if_the_body_is_over_by_then() {
    let now = World::default().now;
    let mut machine = get();
    let Step::Start(id, _) = machine.poll(now) else { panic!() };
    let head = head(200, &[("content-length", "0".into())]);
    let BodyPlan::Deliver { check, .. } = machine.answer(now, id, Answer::Head(head.into())) else {
        panic!()
    };
    let _ = machine.answer(now, id, Answer::End(Some(check)));
    assert!(matches!(machine.poll(now), Step::Item(_)));
    assert!(matches!(machine.poll(now), Step::Done(Ok(()))));
}

#[test]
fn a_head_is_yielded_even_if_the_body_has_failed_by_then() {
    let now = World::default().now;
    let mut machine = get();
    let Step::Start(id, _) = machine.poll(now) else { panic!() };
    let head = head(200, &[("content-length", "5".into())]);
    let BodyPlan::Deliver { check, .. } = machine.answer(now, id, Answer::Head(head.into())) else {
        panic!()
    };
    let _ = machine.answer(now, id, Answer::End(Some(check)));
    assert!(matches!(machine.poll(now), Step::Item(_)));
    let Step::Done(Err(error)) = machine.poll(now) else { panic!() };
    assert_eq!(error.kind(), ErrorKind::TruncatedBody);
}

#[test]
fn the_checksum_of_the_object_is_checked() {
    for (text, good) in [("Hello world", true), ("Hello World", false)] {
        let run = drive(get(), |_| body(text).with("x-amz-checksum-crc32", CRC32));
        let kind = run.result.err().map(|e| e.kind());
        assert_eq!(kind, (!good).then_some(ErrorKind::ChecksumMismatch), "{text}");
    }
}

#[test]
fn checksums_are_asked_for_and_checked_unless_turned_off() {
    let mut config = aws();
    config.verify_checksums = false;
    let off = Stream::new(Session::new(config), GetObject::new("bkt", "k"));
    let run = drive(off, |_| body("changed").with("x-amz-checksum-crc32", CRC32));
    assert!(run.result.is_ok());
    assert_eq!(run.sent[0].header("x-amz-checksum-mode"), None);
    assert_eq!(drive(get(), |_| ok()).sent[0].header("x-amz-checksum-mode"), Some("ENABLED"));
}

#[test]
fn the_checksum_of_parts_is_not_compared_with_the_whole() {
    let run = drive(get(), |_| body("anything").with("x-amz-checksum-crc32", format!("{CRC32}-2")));
    assert!(run.result.is_ok());
}

#[test]
fn a_checksum_that_comes_with_a_part_is_that_of_the_whole() {
    let reply = part(206, "bytes 0-4/11", "Hello").with("x-amz-checksum-crc32", CRC32);
    assert!(drive(range(0..5), move |_| reply.clone()).result.is_ok());
}

#[test]
fn ranges_are_asked_for_and_placed() {
    let cases: [(ByteRange, &str, &str, u64); 4] = [
        ((0..5).into(), "bytes=0-4", "bytes 0-4/11", 0),
        ((6..=10).into(), "bytes=6-10", "bytes 6-10/*", 6),
        ((6..).into(), "bytes=6-", "bytes 6-10/11", 6),
        (ByteRange::last(5), "bytes=-5", "bytes 6-10/11", 6),
    ];
    for (asked, header, answered, offset) in cases {
        let run = drive(range(asked), |_| part(206, answered, "Hello"));
        assert!(run.result.is_ok(), "{header}");
        assert_eq!((run.sent[0].header("range"), run.offset), (Some(header), Some(offset)));
    }
}

#[test]
fn an_answer_to_a_range_that_is_not_that_range_is_refused() {
    let cases = [
        ("all of it", body("Hello world")),
        ("another place", part(206, "bytes 1-5/11", "ello ")),
        ("no place", part(206, "", "Hello")),
        ("no number", part(206, "bytes x-y/11", "Hello")),
        ("backwards", part(206, "bytes 4-0/11", "Hello")),
        ("beyond the end", part(206, "bytes 0-4/3", "Hello")),
        ("another length", part(206, "bytes 0-4/11", "Hell")),
        ("too large", part(206, "bytes 0-18446744073709551615/*", "Hello")),
    ];
    for (what, reply) in cases {
        let run = drive(range(0..5), move |_| reply.clone());
        assert_eq!(run.error().kind(), ErrorKind::MalformedResponse, "{what}");
        assert_eq!((run.items.len(), run.delivered.len()), (0, 0), "{what}");
    }
}

#[test]
fn more_than_the_range_is_refused() {
    let run = drive(range(0..5), |_| part(206, "bytes 0-10/11", "Hello world"));
    assert_eq!(run.error().kind(), ErrorKind::MalformedResponse);
}

#[test]
fn a_range_that_ends_with_the_object_may_be_shorter() {
    let run = drive(range(0..500), |_| part(206, "bytes 0-4/5", "Hello"));
    assert!(run.result.is_ok());
}

#[test]
fn an_error_is_read_and_not_delivered() {
    let run = drive(get(), |_| error(404, "NoSuchKey"));
    assert_eq!((run.error().kind(), run.error().key()), (ErrorKind::NoSuchKey, Some("k")));
    assert_eq!((run.items.len(), run.offset), (0, None));
}

#[test]
fn a_failure_before_the_head_is_repeated() {
    let run = drive(get(), in_turn(vec![error(503, "SlowDown"), body("x")]));
    assert_eq!((run.result.is_ok(), run.items.len(), run.sent.len()), (true, 1, 2));
}

#[test]
fn an_object_that_has_not_changed_has_no_body() {
    let reply = Reply::Answer(304, Vec::new(), Vec::new()).with("content-length", "11");
    let run = drive(get(), move |_| reply.clone());
    assert_eq!((run.error().kind(), run.sent.len()), (ErrorKind::NotModified, 1));
}

#[test]
fn the_time_limit_ends_with_the_head() {
    let mut config = aws();
    config.operation_timeout = Some(std::time::Duration::from_secs(1));
    let mut world = World::default();
    let mut machine = Stream::new(Session::new(config), GetObject::new("bkt", "k"));
    let Step::Start(id, _) = machine.poll(world.now) else { panic!() };
    let BodyPlan::Deliver { check, .. } = machine.answer(world.now, id, Answer::Head(head(200, &[]).into()))
    else {
        panic!()
    };
    assert!(matches!(machine.poll(world.now), Step::Item(_)));
    world.pass(std::time::Duration::from_secs(60));
    assert!(matches!(machine.poll(world.now), Step::Wait(None)));
    let _ = machine.answer(world.now, id, Answer::End(Some(check)));
    assert!(matches!(machine.poll(world.now), Step::Done(Ok(()))));
}

/// So much of `Hello world` with an ETag, then the connection closes.
fn cut_after(len: usize) -> Reply {
    let text = b"Hello world"[..len].to_vec();
    Reply::Cut(200, vec![("content-length", "11".into()), ("etag", "\"e\"".into())], text)
        .with("x-amz-checksum-crc32", CRC32)
}

fn rest(content_range: &str, text: &str) -> Reply {
    part(206, content_range, text).with("etag", "\"e\"")
}

#[test]
fn a_body_that_breaks_off_goes_on_where_it_was() {
    let run = drive(get(), in_turn(vec![cut_after(4), rest("bytes 4-10/11", "o world")]));
    assert!(run.result.is_ok(), "{:?}", run.result);
    assert_eq!((run.delivered.as_slice(), run.items.len()), (&b"Hello world"[..], 1));
    assert_eq!(run.sent[1].header("range"), Some("bytes=4-10"));
    assert_eq!(run.sent[1].header("if-match"), Some("\"e\""));
    assert_eq!(run.waits.len(), 1);
}

#[test]
fn the_checksum_of_a_body_in_pieces_is_that_of_all_of_them() {
    let run = drive(get(), in_turn(vec![cut_after(4), rest("bytes 4-10/11", "o World")]));
    assert_eq!(run.error().kind(), ErrorKind::ChecksumMismatch);
}

#[test]
fn as_long_as_something_comes_a_body_is_resumed() {
    let cut = |range, text: &str| {
        let headers = vec![("content-range", format!("bytes {range}/11")), ("etag", "\"e\"".to_owned())];
        Reply::Cut(206, headers, text.as_bytes().to_vec())
    };
    let replies = vec![
        cut_after(1),
        cut("1-10", "el"),
        cut("3-10", "l"),
        cut("4-10", "o "),
        cut("6-10", "w"),
        rest("bytes 7-10/11", "orld"),
    ];
    let run = drive(get(), in_turn(replies));
    assert!(run.result.is_ok(), "{:?}", run.result);
    assert_eq!(run.delivered, b"Hello world");
}

#[test]
fn a_body_that_does_not_go_on_is_given_up() {
    let nothing =
        Reply::Cut(206, vec![("content-range", "bytes 4-10/11".into()), ("etag", "\"e\"".into())], vec![]);
    let run = drive(get(), in_turn(vec![cut_after(4), nothing]));
    assert_eq!((run.error().kind(), run.sent.len()), (ErrorKind::TruncatedBody, 3));
    assert_eq!(run.error().message(), "the body ended after 4 of 11 bytes");
}

#[test]
fn an_object_that_was_replaced_meanwhile_is_never_mixed() {
    let replaced = error(412, "PreconditionFailed");
    let run = drive(get(), in_turn(vec![cut_after(4), replaced]));
    assert_eq!(run.error().kind(), ErrorKind::PreconditionFailed);
    assert_eq!(run.error().message(), "the object was replaced while it was being read");
}

#[test]
fn a_body_of_which_there_is_no_more_is_short() {
    let no_more = error(416, "InvalidRange").with("x-amz-request-id", "R2");
    let run = drive(get(), in_turn(vec![cut_after(4), no_more]));
    assert_eq!((run.error().kind(), run.error().phase()), (ErrorKind::TruncatedBody, Some(Phase::Body)));
    assert_eq!(
        run.error().message(),
        "the body ended after 4 of 11 bytes, and the service has no more of them"
    );
}

#[test]
fn what_is_not_the_rest_is_refused() {
    let other_etag = part(206, "bytes 4-10/11", "o world").with("etag", "\"f\"");
    for wrong in [other_etag, rest("bytes 4-9/11", "o worl"), body("Hello world").with("etag", "\"e\"")] {
        let run = drive(get(), in_turn(vec![cut_after(4), wrong]));
        assert_eq!(run.error().kind(), ErrorKind::MalformedResponse, "{:?}", run.result);
        assert_eq!(run.delivered, b"Hell");
    }
}

#[test]
fn a_range_that_breaks_off_goes_on_within_itself() {
    let headers = vec![("content-range", "bytes 6-10/11".into()), ("etag", "\"e\"".into())];
    let cut = Reply::Cut(206, headers, b"wo".to_vec());
    let run = drive(range(6..11), in_turn(vec![cut, rest("bytes 8-10/11", "rld")]));
    assert!(run.result.is_ok(), "{:?}", run.result);
    assert_eq!((run.delivered.as_slice(), run.sent[1].header("range")), (&b"world"[..], Some("bytes=8-10")));
}

#[test]
fn what_names_no_content_cannot_be_resumed() {
    for etag in ["", "W/\"e\""] {
        let cut =
            Reply::Cut(200, vec![("content-length", "11".into()), ("etag", etag.into())], b"Hell".to_vec());
        let run = drive(get(), move |_| cut.clone());
        assert_eq!((run.error().kind(), run.sent.len()), (ErrorKind::TruncatedBody, 1), "{etag:?}");
    }
}

/// What a service says of a length may be anything that is a number.
#[test]
fn a_range_to_the_last_place_there_is_can_break_off() {
    let headers = vec![("content-range", format!("bytes 1-{}/*", u64::MAX)), ("etag", "\"e\"".into())];
    let cut = Reply::Cut(206, headers, b"ello".to_vec());
    let run = drive(range(1..), in_turn(vec![cut, error(404, "NoSuchKey")]));
    assert_eq!(run.error().kind(), ErrorKind::NoSuchKey);
    assert_eq!(run.sent[1].header("range"), Some("bytes=5-18446744073709551615"));
}

#[test]
fn a_head_that_cannot_be_read_cancels_the_body_and_ends_the_call() {
    let mut machine = get();
    let now = World::default().now;
    let Step::Start(id, _) = machine.poll(now) else { panic!("it does not start") };
    let head = head(200, &[("x-amz-mp-parts-count", "many".into())]);
    assert!(matches!(machine.answer(now, id, Answer::Head(head.into())), BodyPlan::Deliver { .. }));
    assert!(matches!(machine.poll(now), Step::Cancel(cancelled) if cancelled == id));
    let kinds = [(); 2].map(|()| match machine.poll(now) {
        Step::Done(Err(error)) => error.kind(),
        step => panic!("it goes on: {step:?}"),
    });
    assert_eq!(kinds, [ErrorKind::MalformedResponse, ErrorKind::ApiMisuse]);
}
