//! Tags.

use s3_proto::ops::{Tag, Tagging};

use crate::harness::{Harness, Outcome, World, scenarios};

scenarios! {
    objects_have_tags,
    buckets_have_tags,
}

fn sorted(mut tags: Vec<Tag>) -> Vec<(String, String)> {
    tags.sort_by(|a, b| a.key.cmp(&b.key));
    tags.into_iter().map(|tag| (tag.key, tag.value)).collect()
}

fn pair(key: &str, value: &str) -> (String, String) {
    (key.to_owned(), value.to_owned())
}

fn objects_have_tags<H: Harness>(t: &World<H>) -> Outcome {
    t.put("key", "data")?;
    let tags = Tagging::from([("colour", "blue"), ("a b", "c+d/e")]);
    t.send(t.client.put_object_tagging(&t.bucket, "key", tags))?;
    let told = t.send(t.client.get_object_tagging(&t.bucket, "key"))?.tag_set;
    assert_eq!(sorted(told), [pair("a b", "c+d/e"), pair("colour", "blue")]);
    t.send(t.client.delete_object_tagging(&t.bucket, "key"))?;
    assert_eq!(t.send(t.client.get_object_tagging(&t.bucket, "key"))?.tag_set, []);
    t.send(t.client.put_object(&t.bucket, "born", "data").tagging("x=1%202"))?;
    let told = t.send(t.client.get_object_tagging(&t.bucket, "born"))?.tag_set;
    assert_eq!(sorted(told), [pair("x", "1 2")]);
    Ok(())
}

fn buckets_have_tags<H: Harness>(t: &World<H>) -> Outcome {
    let tags = Tagging::from([("team", "storage"), ("cost", "42")]);
    t.send(t.client.put_bucket_tagging(&t.bucket, tags))?;
    let told = t.send(t.client.get_bucket_tagging(&t.bucket))?.tag_set;
    assert_eq!(sorted(told), [pair("cost", "42"), pair("team", "storage")]);
    t.send(t.client.delete_bucket_tagging(&t.bucket))?;
    let error = t.send(t.client.get_bucket_tagging(&t.bucket)).unwrap_err();
    assert!(t.external || error.code() == Some("NoSuchTagSet"), "{error}");
    Ok(())
}
