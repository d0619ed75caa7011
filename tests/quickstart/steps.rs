//! The calls of the quickstart, the same for all async drivers: `Client`, `Source` and `load_config` are those of
//! the driver that includes this file.

use std::time::Duration;

use s3_proto::ErrorKind;

use super::report::{Place, Result, Sample, Step, bucket_name, fetch, place, same, same_sha256, samples};
use super::{Client, Source, load_config};

pub(crate) async fn run() -> Result<()> {
    let samples = samples()?;
    let place = place()?;
    let client = match &place {
        Place::Embedded { config, .. } => Client::new((**config).clone())?,
        Place::Environment(environment) => Client::new(load_config(environment.clone()).await?)?,
    };
    let bucket = bucket_name()?;

    let step = Step::create_bucket(&bucket);
    client.create_bucket(&bucket).await?;
    step.end("");

    let done = transfer(&client, &bucket, &samples).await;
    let cleaned = clean_up(&client, &bucket).await;
    done?;
    cleaned
}

/// Everything that is done with each file.
async fn transfer(client: &Client, bucket: &str, samples: &[Sample]) -> Result<()> {
    for Sample { path, key, content } in samples {
        let len = content.len();

        let step = Step::upload(key);
        client.put_object(bucket, key, Source::file(path).await?).metadata("origin", "quickstart").await?;
        step.end_with_size(len);

        let step = Step::list(key);
        let mut entries = client.list_objects_v2(bucket).entries();
        let mut listed = None;
        while let Some(object) = entries.next().await {
            listed = listed.or(Some(object?).filter(|object| object.key == *key));
        }
        let listed = listed.ok_or("the object is not in the list")?;
        same(listed.size == len as u64, "the size in the list")?;
        step.end("");

        if len > 1 {
            let end = len.min(1024);
            let step = Step::range(key, end);
            let part = client.get_object(bucket, key).range(0..end as u64).await?.body.collect().await?;
            same(part == content[..end], "the range")?;
            step.end_with_size(part.len());
        }

        let step = Step::download(key);
        let download = client.get_object(bucket, key).await?.body.collect().await?;
        step.end(same_sha256(content, &download)?);

        let step = Step::presign(key);
        let presigned = client.get_object(bucket, key).presign(Duration::from_secs(300)).await?;
        match fetch(&presigned.uri.to_string())? {
            Some(fetched) => {
                same(fetched == *content, "what the presigned URL gives")?;
                step.end_with_size(len);
            }
            None => step.end("not fetched: the plain client speaks no TLS"),
        }

        let step = Step::tag(key);
        match client.put_object_tagging(bucket, key, [("project", "s3"), ("kind", "test")]).await {
            Ok(_) => {
                let tags = client.get_object_tagging(bucket, key).await?.tag_set;
                same(tags.iter().any(|tag| tag.key == "project" && tag.value == "s3"), "the tags")?;
                step.end(format!("{} tags", tags.len()));
            }
            Err(error) if error.kind() == ErrorKind::NotImplemented => step.end("this store has no tags"),
            Err(error) => return Err(error.into()),
        }

        let copy = format!("copies/{key}");
        let step = Step::copy(key, &copy);
        client.copy_object(bucket, &copy, (bucket, key)).await?;
        let head = client.head_object(bucket, &copy).await?;
        same(head.content_length == Some(len as u64), "the size of the copy")?;
        step.end_with_size(len);

        let step = Step::delete(key);
        client.delete_object(bucket, key).await?;
        same(!client.object_exists(bucket, key).await?, "what is left after deleting")?;
        step.end("");
    }
    Ok(())
}

async fn clean_up(client: &Client, bucket: &str) -> Result<()> {
    let step = Step::remove_bucket(bucket);
    let objects = client.list_objects_v2(bucket).entries().collect().await?;
    for object in &objects {
        client.delete_object(bucket, &object.key).await?;
    }
    client.delete_bucket(bucket).await?;
    step.end(format!("{} objects", objects.len()));
    Ok(())
}
