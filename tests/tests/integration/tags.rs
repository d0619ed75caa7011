//! Tags.

use s3_tokio::s3_proto::ops::{Tag, Tagging};

use crate::support::run;

fn sorted(mut tags: Vec<Tag>) -> Vec<(String, String)> {
    tags.sort_by(|a, b| a.key.cmp(&b.key));
    tags.into_iter().map(|tag| (tag.key, tag.value)).collect()
}

fn pair(key: &str, value: &str) -> (String, String) {
    (key.to_owned(), value.to_owned())
}

#[tokio::test]
async fn objects_have_tags() {
    run(async |t| {
        t.put("key", "data").await?;
        let tags = Tagging::from([("colour", "blue"), ("a b", "c+d/e")]);
        t.client.put_object_tagging(&t.bucket, "key", tags).await?;
        let told = t.client.get_object_tagging(&t.bucket, "key").await?.tag_set;
        assert_eq!(sorted(told), [pair("a b", "c+d/e"), pair("colour", "blue")]);
        t.client.delete_object_tagging(&t.bucket, "key").await?;
        assert_eq!(t.client.get_object_tagging(&t.bucket, "key").await?.tag_set, []);
        t.client.put_object(&t.bucket, "born", "data").tagging("x=1%202").await?;
        let told = t.client.get_object_tagging(&t.bucket, "born").await?.tag_set;
        assert_eq!(sorted(told), [pair("x", "1 2")]);
        Ok(())
    })
    .await;
}

#[tokio::test]
async fn buckets_have_tags() {
    run(async |t| {
        let tags = Tagging::from([("team", "storage"), ("cost", "42")]);
        t.client.put_bucket_tagging(&t.bucket, tags).await?;
        let told = t.client.get_bucket_tagging(&t.bucket).await?.tag_set;
        assert_eq!(sorted(told), [pair("cost", "42"), pair("team", "storage")]);
        t.client.delete_bucket_tagging(&t.bucket).await?;
        let error = t.client.get_bucket_tagging(&t.bucket).await.unwrap_err();
        assert!(t.external || error.code() == Some("NoSuchTagSet"), "{error}");
        Ok(())
    })
    .await;
}
