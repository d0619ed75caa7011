//! Lists over several pages.
// Helpers outside of `#[test]` may fail the test.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

mod support;

use s3_proto::ops::{ListMultipartUploads, ListObjectVersions, ListObjects, ListObjectsV2, ListParts};
use s3_proto::pages::{Entries, Pages};
use s3_proto::{ErrorKind, Machine, Step};
use support::*;

fn keys(keys: &[&str]) -> String {
    keys.iter().map(|k| ["<Contents><Key>", k, "</Key><Size>1</Size></Contents>"].concat()).collect()
}

fn page(root: &str, content: &str) -> Reply {
    body(format!("<{root}>{content}</{root}>"))
}

fn v2(names: &[&str], token: Option<&str>) -> Reply {
    let more = match token {
        Some(token) => {
            format!("<IsTruncated>true</IsTruncated><NextContinuationToken>{token}</NextContinuationToken>")
        }
        None => "<IsTruncated>false</IsTruncated>".to_owned(),
    };
    page("ListBucketResult", &(keys(names) + &more))
}

fn three_pages() -> Vec<Reply> {
    vec![v2(&["a", "b"], Some("t/1+=")), v2(&[], Some("t2")), v2(&["c"], None)]
}

#[test]
fn pages_follow_the_token() {
    let run = drive(Pages::new(session(), ListObjectsV2::new("bkt")), in_turn(three_pages()));
    assert!(run.result.is_ok());
    assert_eq!((run.items.len(), run.sent.len()), (3, 3));
    assert!(run.sent[1].target().contains("continuation-token=t%2F1%2B%3D"), "{}", run.sent[1].target());
    assert!(run.sent[2].target().contains("continuation-token=t2"));
}

#[test]
fn the_other_parameters_stay() {
    let mut op = ListObjectsV2::new("bkt");
    op.prefix = Some("p q".to_owned());
    let run = drive(Pages::new(session(), op), in_turn(three_pages()));
    assert!(run.sent.iter().all(|s| s.target().contains("prefix=p%20q")));
}

#[test]
fn entries_come_one_by_one() {
    let run = drive(Entries::new(session(), ListObjectsV2::new("bkt")), in_turn(three_pages()));
    let names: Vec<_> = run.items.iter().map(|o| o.key.as_str()).collect();
    assert_eq!(names, ["a", "b", "c"]);
}

#[test]
fn a_list_that_cannot_go_on_says_which() {
    let more = page("ListBucketResult", "<IsTruncated>true</IsTruncated>");
    for script in [vec![more], vec![v2(&["a"], Some("t")), v2(&["b"], Some("t"))]] {
        let run = drive(Pages::new(session(), ListObjectsV2::new("bkt")), in_turn(script));
        let error = run.error();
        let about = (error.kind(), error.operation(), error.bucket(), error.key());
        assert_eq!(about, (ErrorKind::MalformedResponse, Some("ListObjectsV2"), Some("bkt"), None));
    }
    let more = page("ListPartsResult", "<IsTruncated>true</IsTruncated>");
    let run = drive(Pages::new(session(), ListParts::new("bkt", "k", "u")), in_turn(vec![more]));
    assert_eq!((run.error().bucket(), run.error().key()), (Some("bkt"), Some("k")));
}

/// Gives the answer to the task that the machine is waiting for.
fn give(machine: &mut impl Machine, id: s3_proto::TaskId, reply: Reply) {
    let now = World::default().now;
    let Reply::Answer(status, headers, text) = reply else { panic!() };
    let _ = machine.answer(now, id, s3_proto::Answer::Head(head(status, &headers).into()));
    let _ = machine.answer(now, id, s3_proto::Answer::Chunk(&text));
    let _ = machine.answer(now, id, s3_proto::Answer::End(None));
}

#[test]
fn the_next_page_is_asked_for_while_entries_are_taken_but_not_the_one_after_it() {
    let now = World::default().now;
    let mut machine = Entries::new(session(), ListObjectsV2::new("bkt"));
    let Step::Start(first, _) = machine.poll(now) else { panic!() };
    give(&mut machine, first, v2(&["a", "b"], Some("t")));
    let Step::Start(second, _) = machine.poll(now) else { panic!("the second page was not asked for") };
    assert!(matches!(machine.poll(now), Step::Item(object) if object.key == "a"));
    give(&mut machine, second, v2(&["c", "d"], Some("t2")));
    assert!(matches!(machine.poll(now), Step::Item(object) if object.key == "b"));
    let Step::Start(third, _) = machine.poll(now) else { panic!("the third page was not asked for") };
    assert!(matches!(machine.poll(now), Step::Item(object) if object.key == "c"));
    give(&mut machine, third, v2(&["e"], None));
    for expected in ["d", "e"] {
        assert!(matches!(machine.poll(now), Step::Item(object) if object.key == expected));
    }
    assert!(matches!(machine.poll(now), Step::Done(Ok(()))));
}

#[test]
fn entries_that_are_there_can_be_taken_without_a_poll_until_the_list_is_cancelled() {
    let now = World::default().now;
    let mut machine = Entries::new(session(), ListObjectsV2::new("bkt"));
    assert!(machine.take_item().is_none());
    let Step::Start(first, _) = machine.poll(now) else { panic!() };
    give(&mut machine, first, v2(&["a", "b"], Some("t")));
    assert!(machine.take_item().is_none(), "before the next page is asked for");
    let Step::Start(second, _) = machine.poll(now) else { panic!("the second page was not asked for") };
    assert!(matches!(machine.poll(now), Step::Item(object) if object.key == "a"));
    give(&mut machine, second, v2(&["c", "d", "e"], Some("t2")));
    assert_eq!(machine.take_item().unwrap().key, "b");
    assert!(machine.take_item().is_none());
    let Step::Start(..) = machine.poll(now) else { panic!("the third page was not asked for") };
    assert!(matches!(machine.poll(now), Step::Item(object) if object.key == "c"));
    assert_eq!(machine.take_item().unwrap().key, "d");
    machine.cancel(now);
    assert!(machine.take_item().is_none());
}

#[test]
fn task_ids_are_not_reused_from_page_to_page() {
    let mut world = World::default();
    let mut machine = Pages::new(session(), ListObjectsV2::new("bkt"));
    let mut seen = Vec::new();
    let mut pages = three_pages().into_iter();
    while let Step::Start(id, _) = machine.poll(world.now) {
        assert!(!seen.contains(&id));
        seen.push(id);
        let Some(Reply::Answer(_, _, text)) = pages.next() else { panic!() };
        let _ = machine.answer(world.now, id, s3_proto::Answer::Head(head(200, &[]).into()));
        let _ = machine.answer(world.now, id, s3_proto::Answer::Chunk(&text));
        let _ = machine.answer(world.now, id, s3_proto::Answer::End(None));
        assert!(matches!(machine.poll(world.now), Step::Item(_)));
        let _ = machine.answer(world.now, id, s3_proto::Answer::Head(head(403, &[]).into()));
    }
    assert_eq!(seen.len(), 3);
    world.pass(std::time::Duration::from_secs(1));
}

#[test]
fn the_first_version_of_the_list_goes_on_after_its_last_key() {
    let cut = page("ListBucketResult", &(keys(&["a", "b+c"]) + "<IsTruncated>true</IsTruncated>"));
    let last = page("ListBucketResult", &keys(&["d"]));
    let run = drive(Entries::new(session(), ListObjects::new("bkt")), in_turn(vec![cut, last]));
    assert_eq!(run.items.len(), 3);
    assert!(run.sent[1].target().contains("marker=b%2Bc"), "{}", run.sent[1].target());
}

/// Only S3 promises a `NextMarker` where there is a delimiter.
#[test]
fn the_first_version_of_the_list_goes_on_after_its_last_group() {
    let groups = "<CommonPrefixes><Prefix>c/</Prefix></CommonPrefixes><IsTruncated>true</IsTruncated>";
    let cut = page("ListBucketResult", &(keys(&["a", "b"]) + groups));
    let last = page("ListBucketResult", &keys(&["d"]));
    let mut op = ListObjects::new("bkt");
    op.delimiter = Some("/".into());
    let run = drive(Pages::new(session(), op), in_turn(vec![cut, last]));
    assert!(run.sent[1].target().contains("marker=c%2F"), "{}", run.sent[1].target());
}

#[test]
fn versions_go_on_after_key_and_version() {
    let version =
        "<Version><Key>a</Key><VersionId>1</VersionId><IsLatest>true</IsLatest><Size>1</Size></Version>";
    let more = "<IsTruncated>true</IsTruncated><NextKeyMarker>a</NextKeyMarker><NextVersionIdMarker>1</NextVersionIdMarker>";
    let pages =
        vec![page("ListVersionsResult", &format!("{version}{more}")), page("ListVersionsResult", version)];
    let run = drive(Entries::new(session(), ListObjectVersions::new("bkt")), in_turn(pages));
    assert!(run.result.is_ok(), "{:?}", run.result);
    assert_eq!(run.items.len(), 2);
    let target = run.sent[1].target();
    assert!(target.contains("key-marker=a") && target.contains("version-id-marker=1"), "{target}");
}

#[test]
fn uploads_go_on_after_key_and_upload() {
    let upload = "<Upload><Key>a</Key><UploadId>u</UploadId></Upload>";
    let more = "<IsTruncated>true</IsTruncated><NextKeyMarker>a</NextKeyMarker><NextUploadIdMarker>u</NextUploadIdMarker>";
    let root = "ListMultipartUploadsResult";
    let pages = vec![page(root, &format!("{upload}{more}")), page(root, upload)];
    let run = drive(Entries::new(session(), ListMultipartUploads::new("bkt")), in_turn(pages));
    assert_eq!(run.items.len(), 2);
    let target = run.sent[1].target();
    assert!(target.contains("key-marker=a") && target.contains("upload-id-marker=u"), "{target}");
}

#[test]
fn parts_go_on_after_their_number() {
    let part = |n| format!("<Part><PartNumber>{n}</PartNumber><Size>5</Size></Part>");
    let more = "<IsTruncated>true</IsTruncated><NextPartNumberMarker>1</NextPartNumberMarker>";
    let pages = vec![page("ListPartsResult", &(part(1) + more)), page("ListPartsResult", &part(2))];
    let run = drive(Entries::new(session(), ListParts::new("bkt", "k", "u")), in_turn(pages));
    assert_eq!(run.items.iter().map(|p| p.part_number).collect::<Vec<_>>(), [1, 2]);
    assert!(run.sent[1].target().contains("part-number-marker=1"));
    assert!(run.sent[1].target().contains("uploadId=u"));
}

#[test]
fn a_list_that_is_cut_short_without_a_token_ends_with_an_error_after_its_last_page() {
    let cut = page("ListBucketResult", &(keys(&["a"]) + "<IsTruncated>true</IsTruncated>"));
    let run = drive(Pages::new(session(), ListObjectsV2::new("bkt")), move |_| cut.clone());
    assert_eq!((run.error().kind(), run.sent.len()), (ErrorKind::MalformedResponse, 1));
    assert_eq!(run.items.len(), 1);
}

#[test]
fn the_same_page_for_ever_is_an_error() {
    let run = drive(Pages::new(session(), ListObjectsV2::new("bkt")), |_| v2(&["a"], Some("same")));
    assert_eq!((run.error().kind(), run.sent.len()), (ErrorKind::MalformedResponse, 2));
}

#[test]
fn pages_that_come_round_again_are_an_error_however_many_there_are() {
    for before in [0, 1, 5] {
        for around in 1..20 {
            let mut asked = 0;
            let run = drive(Pages::new(session(), ListObjectsV2::new("bkt")), |_| {
                let next = if asked < before { asked } else { before + (asked - before) % around };
                asked += 1;
                v2(&["a"], Some(&format!("t{next}")))
            });
            assert_eq!(run.error().kind(), ErrorKind::MalformedResponse, "{before} and {around}");
            assert!(run.sent.len() <= 4 * (before + around) + 2, "{} requests", run.sent.len());
        }
    }
}

#[test]
fn an_error_on_the_second_page_keeps_the_first() {
    let pages = vec![v2(&["a"], Some("t")), error(403, "AccessDenied")];
    let run = drive(Entries::new(session(), ListObjectsV2::new("bkt")), in_turn(pages));
    assert_eq!((run.items.len(), run.error().kind()), (1, ErrorKind::AccessDenied));
}

#[test]
fn each_page_has_its_own_retries() {
    let busy = || error(503, "SlowDown");
    let pages = vec![busy(), busy(), v2(&["a"], Some("t")), busy(), busy(), v2(&["b"], None)];
    let run = drive(Entries::new(session(), ListObjectsV2::new("bkt")), in_turn(pages));
    assert_eq!((run.result.is_ok(), run.items.len(), run.sent.len()), (true, 2, 6));
}

#[test]
fn polling_after_the_last_page_is_misuse() {
    let mut world = World::default();
    let mut machine = Pages::new(session(), ListObjectsV2::new("bkt"));
    world.drive_ref(&mut machine, |_| v2(&[], None)).result.unwrap();
    let Step::Done(Err(error)) = machine.poll(world.now) else { panic!() };
    assert_eq!(error.kind(), ErrorKind::ApiMisuse);
}

#[test]
fn a_cancelled_list_yields_no_more_entries() {
    let now = World::default().now;
    let mut machine = Entries::new(session(), ListObjectsV2::new("bkt"));
    let Step::Start(..) = machine.poll(now) else { panic!() };
    machine.cancel(now);
    let mut last = machine.poll(now);
    while let Step::Cancel(_) = last {
        last = machine.poll(now);
    }
    let Step::Done(Err(error)) = last else { panic!() };
    assert_eq!(error.kind(), ErrorKind::Cancelled);
}
