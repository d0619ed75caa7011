//! Objects, one by one.

use s3_proto::ETag;
use s3_proto::ErrorKind;
use s3_proto::ops::{ByteRange, Delete, ObjectAttributes};

use crate::harness::{Harness, Outcome, World, data, is_missing, scenarios, unique};

scenarios! {
    small_empty_and_streamed_objects_come_back,
    an_object_is_replaced,
    ranges_are_cut_out,
    conditions_are_kept,
    an_object_is_only_created_if_it_is_new,
    heads_tell_of_objects,
    a_missing_object_cannot_be_read,
    deleting_is_no_error_if_there_is_nothing,
    many_objects_are_deleted_at_once,
    objects_are_copied_within_and_across_buckets,
    metadata_of_the_user_comes_back,
    metadata_beyond_ascii_is_refused_before_it_is_sent,
    json_goes_and_comes,
    attributes_are_told,
}

fn small_empty_and_streamed_objects_come_back<H: Harness>(t: &World<H>) -> Outcome {
    let streamed = data(3_000_000);
    t.put("small", "hello")?;
    t.put("empty", "")?;
    let source = H::pieces(std::iter::once(streamed.clone().into()), 3_000_000);
    t.send(t.client.put_object(&t.bucket, "streamed", source))?;
    assert_eq!(t.get("small")?, "hello");
    assert_eq!(t.get("empty")?, "");
    assert_eq!(t.get("streamed")?, streamed);
    assert_eq!(t.wait(t.client.get_object_string(&t.bucket, "small"))?, "hello");
    Ok(())
}

fn an_object_is_replaced<H: Harness>(t: &World<H>) -> Outcome {
    t.put("key", "first")?;
    t.put("key", "second")?;
    assert_eq!(t.get("key")?, "second");
    Ok(())
}

fn ranges_are_cut_out<H: Harness>(t: &World<H>) -> Outcome {
    t.put("key", "0123456789")?;
    let get = || t.client.get_object(&t.bucket, "key");
    let part = t.send(get().range(2..5))?;
    assert_eq!(part.content_range.as_deref(), Some("bytes 2-4/10"));
    assert_eq!(t.read(part.body)?, "234");
    assert_eq!(t.read(t.send(get().range(7..))?.body)?, "789");
    let last = ByteRange::last(4);
    assert_eq!(t.read(t.send(get().range(last))?.body)?, "6789");
    assert_eq!(t.send(get().range(20..30)).unwrap_err().kind(), ErrorKind::InvalidRange);
    Ok(())
}

fn conditions_are_kept<H: Harness>(t: &World<H>) -> Outcome {
    t.put("key", "data")?;
    let etag = t.send(t.client.head_object(&t.bucket, "key"))?.etag.unwrap();
    let other = ETag::new("\"00000000000000000000000000000000\"");
    let get = || t.client.get_object(&t.bucket, "key");
    assert_eq!(t.read(t.send(get().if_match(etag.clone()))?.body)?, "data");
    assert_eq!(t.read(t.send(get().if_none_match(other.clone()))?.body)?, "data");
    assert_eq!(t.send(get().if_none_match(etag)).unwrap_err().kind(), ErrorKind::NotModified);
    assert_eq!(t.send(get().if_match(other)).unwrap_err().kind(), ErrorKind::PreconditionFailed);
    Ok(())
}

fn an_object_is_only_created_if_it_is_new<H: Harness>(t: &World<H>) -> Outcome {
    let put = || t.client.put_object(&t.bucket, "key", "data").if_none_match(ETag::ANY);
    t.send(put())?;
    assert_eq!(t.send(put()).unwrap_err().kind(), ErrorKind::PreconditionFailed);
    Ok(())
}

fn heads_tell_of_objects<H: Harness>(t: &World<H>) -> Outcome {
    t.send(t.client.put_object(&t.bucket, "key", "data").content_type("text/x-test"))?;
    let head = t.send(t.client.head_object(&t.bucket, "key"))?;
    assert_eq!(head.content_length, Some(4));
    assert_eq!(head.content_type.as_deref(), Some("text/x-test"));
    assert!(head.last_modified.is_some() && head.etag.is_some());
    assert!(is_missing(&t.send(t.client.head_object(&t.bucket, "none")).unwrap_err()));
    assert!(t.wait(t.client.object_exists(&t.bucket, "key"))?);
    assert!(!t.wait(t.client.object_exists(&t.bucket, "none"))?);
    Ok(())
}

fn a_missing_object_cannot_be_read<H: Harness>(t: &World<H>) -> Outcome {
    let error = t.send(t.client.get_object(&t.bucket, "none")).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NoSuchKey);
    assert_eq!((error.operation(), error.key()), (Some("GetObject"), Some("none")));
    Ok(())
}

fn deleting_is_no_error_if_there_is_nothing<H: Harness>(t: &World<H>) -> Outcome {
    t.put("key", "data")?;
    t.send(t.client.delete_object(&t.bucket, "key"))?;
    assert!(!t.wait(t.client.object_exists(&t.bucket, "key"))?);
    match t.send(t.client.delete_object(&t.bucket, "key")) {
        // Not as S3 does it, but there are stores that do.
        Err(e) if t.external && is_missing(&e) => {
            println!("not as S3 does it: deleting what is not there is an error");
            Ok(())
        }
        result => result.map(drop),
    }
}

fn many_objects_are_deleted_at_once<H: Harness>(t: &World<H>) -> Outcome {
    let keys = ["a", "b & <c>", "d/e", "ü"];
    for key in keys {
        t.put(key, "data")?;
    }
    t.put("stays", "data")?;
    let answer = t.send(t.client.delete_objects(&t.bucket, Delete::keys(keys)))?;
    assert_eq!(answer.errors, []);
    let mut deleted: Vec<_> = answer.deleted.into_iter().filter_map(|d| d.key).collect();
    deleted.sort();
    assert_eq!(deleted, keys);
    assert_eq!(t.keys()?, ["stays"]);
    Ok(())
}

fn objects_are_copied_within_and_across_buckets<H: Harness>(t: &World<H>) -> Outcome {
    let source = "from here/with + and %.txt";
    t.put(source, "data")?;
    let copied = t.send(t.client.copy_object(&t.bucket, "copy", (&t.bucket, source)))?;
    assert!(copied.copy_object_result.etag.is_some());
    assert_eq!(t.get("copy")?, "data");

    let other = unique();
    t.send(t.client.create_bucket(&other))?;
    t.send(t.client.copy_object(&other, "across", (&t.bucket, source)))?;
    let object = t.send(t.client.get_object(&other, "across"))?;
    assert_eq!(t.read(object.body)?, "data");
    t.remove(&other)?;

    let error = t.send(t.client.copy_object(&t.bucket, "x", (&t.bucket, "none"))).unwrap_err();
    assert!(t.external || error.kind() == ErrorKind::NoSuchKey, "{error}");
    Ok(())
}

fn metadata_of_the_user_comes_back<H: Harness>(t: &World<H>) -> Outcome {
    let put = t.client.put_object(&t.bucket, "key", "data");
    t.send(put.metadata("colour", "blue").metadata("two-words", "a  b, c"))?;
    let head = t.send(t.client.head_object(&t.bucket, "key"))?;
    assert_eq!(head.metadata.get("colour").map(String::as_str), Some("blue"));
    assert!(head.metadata["two-words"].starts_with('a'), "{:?}", head.metadata);
    let object = t.send(t.client.get_object(&t.bucket, "key"))?;
    assert_eq!(object.metadata["colour"], "blue");
    Ok(())
}

fn metadata_beyond_ascii_is_refused_before_it_is_sent<H: Harness>(t: &World<H>) -> Outcome {
    let put = t.client.put_object(&t.bucket, "key", "data").metadata("greeting", "Grüße, 世界");
    let error = t.send(put).unwrap_err();
    assert_eq!((error.kind(), error.attempts()), (ErrorKind::InvalidInput, 0));
    assert!(!t.wait(t.client.object_exists(&t.bucket, "key"))?);
    Ok(())
}

fn json_goes_and_comes<H: Harness>(t: &World<H>) -> Outcome {
    let value = serde_json::json!({ "name": "Grüße", "list": [1, 2, 3] });
    t.send(t.client.put_object_json(&t.bucket, "key", &value)?)?;
    let read: serde_json::Value = t.wait(t.client.get_object_json(&t.bucket, "key"))?;
    assert_eq!(read, value);
    let head = t.send(t.client.head_object(&t.bucket, "key"))?;
    assert_eq!(head.content_type.as_deref(), Some("application/json"));
    t.put("broken", "{")?;
    let broken = t.wait(t.client.get_object_json::<serde_json::Value>(&t.bucket, "broken"));
    assert_eq!(broken.unwrap_err().kind(), ErrorKind::MalformedResponse);
    Ok(())
}

fn attributes_are_told<H: Harness>(t: &World<H>) -> Outcome {
    t.put("key", "data")?;
    let wanted = vec![ObjectAttributes::ETag, ObjectAttributes::ObjectSize];
    let told = t.send(t.client.get_object_attributes(&t.bucket, "key", wanted));
    let Some(told) = t.if_sound(told)? else { return Ok(()) };
    assert_eq!(told.object_size, Some(4));
    let head = t.send(t.client.head_object(&t.bucket, "key"))?;
    // Without its quotes here.
    let etag = told.etag.unwrap();
    assert_eq!(etag.as_str().trim_matches('"'), head.etag.unwrap().as_str().trim_matches('"'));
    Ok(())
}
