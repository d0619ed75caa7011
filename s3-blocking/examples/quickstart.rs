//! Uploads files to an S3 server and brings them back intact.
//!
//! ```text
//! cargo run --release -p s3-blocking --example quickstart [-- FILE...]
//! ```
//!
//! The server is an embedded one, which checks signatures, or the one at `S3_ENDPOINT_URL` or
//! `AWS_ENDPOINT_URL_S3`, with the credentials of the environment. The bucket that is made is removed again.

#![allow(clippy::print_stdout, clippy::print_stderr, reason = "it is there to be watched")]

use std::process::ExitCode;
use std::time::Duration;

use report::{Place, Result, Sample, Step, bucket_name, fetch, place, same, same_sha256, samples};
use s3_blocking::{Client, ErrorKind, Source, load_config};

#[path = "../../tests/quickstart/report.rs"]
mod report;

fn main() -> ExitCode {
    report::finish(run())
}

fn run() -> Result<()> {
    let samples = samples()?;
    let place = place()?;
    let client = match &place {
        Place::Embedded { config, .. } => Client::new((**config).clone())?,
        Place::Environment(environment) => Client::new(load_config(environment.clone())?)?,
    };
    let bucket = bucket_name()?;

    let step = Step::create_bucket(&bucket);
    client.create_bucket(&bucket).send()?;
    step.end("");

    let done = transfer(&client, &bucket, &samples);
    let cleaned = clean_up(&client, &bucket);
    done?;
    cleaned
}

/// Everything that is done with each file.
fn transfer(client: &Client, bucket: &str, samples: &[Sample]) -> Result<()> {
    for Sample { path, key, content } in samples {
        let len = content.len();

        let step = Step::upload(key);
        client.put_object(bucket, key, Source::file(path)?).metadata("origin", "quickstart").send()?;
        step.end_with_size(len);

        let step = Step::list(key);
        let mut listed = None;
        for object in client.list_objects_v2(bucket).entries() {
            listed = listed.or(Some(object?).filter(|object| object.key == *key));
        }
        let listed = listed.ok_or("the object is not in the list")?;
        same(listed.size == len as u64, "the size in the list")?;
        step.end("");

        if len > 1 {
            let end = len.min(1024);
            let step = Step::range(key, end);
            let part = client.get_object(bucket, key).range(0..end as u64).send()?.body.collect()?;
            same(part == content[..end], "the range")?;
            step.end_with_size(part.len());
        }

        let step = Step::download(key);
        let download = client.get_object(bucket, key).send()?.body.collect()?;
        step.end(same_sha256(content, &download)?);

        let step = Step::presign(key);
        let presigned = client.get_object(bucket, key).presign(Duration::from_secs(300))?;
        match fetch(&presigned.uri.to_string())? {
            Some(fetched) => {
                same(fetched == *content, "what the presigned URL gives")?;
                step.end_with_size(len);
            }
            None => step.end("not fetched: the plain client speaks no TLS"),
        }

        let step = Step::tag(key);
        match client.put_object_tagging(bucket, key, [("project", "s3"), ("kind", "test")]).send() {
            Ok(_) => {
                let tags = client.get_object_tagging(bucket, key).send()?.tag_set;
                same(tags.iter().any(|tag| tag.key == "project" && tag.value == "s3"), "the tags")?;
                step.end(format!("{} tags", tags.len()));
            }
            Err(error) if error.kind() == ErrorKind::NotImplemented => step.end("this store has no tags"),
            Err(error) => return Err(error.into()),
        }

        let copy = format!("copies/{key}");
        let step = Step::copy(key, &copy);
        client.copy_object(bucket, &copy, (bucket, key)).send()?;
        let head = client.head_object(bucket, &copy).send()?;
        same(head.content_length == Some(len as u64), "the size of the copy")?;
        step.end_with_size(len);

        let step = Step::delete(key);
        client.delete_object(bucket, key).send()?;
        same(!client.object_exists(bucket, key)?, "what is left after deleting")?;
        step.end("");
    }
    Ok(())
}

fn clean_up(client: &Client, bucket: &str) -> Result<()> {
    let step = Step::remove_bucket(bucket);
    let objects: Vec<_> = client.list_objects_v2(bucket).entries().collect::<std::result::Result<_, _>>()?;
    for object in &objects {
        client.delete_object(bucket, &object.key).send()?;
    }
    client.delete_bucket(bucket).send()?;
    step.end(format!("{} objects", objects.len()));
    Ok(())
}
