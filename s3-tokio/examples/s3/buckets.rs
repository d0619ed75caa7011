//! `mb`, `rb`, `head` and `presign`.

use s3_tokio::s3_proto::Timestamp;
use s3_tokio::s3_proto::checksum::Checksum;
use serde_json::{Map, Value, json};

use crate::App;
use crate::output::{Failure, text_of};
use crate::place::Address;

impl App {
    pub(crate) fn address(&self) -> Result<Address, Failure> {
        let place = self.args.places.first().ok_or_else(|| Failure::usage("where?"))?;
        Address::parse(place)
    }

    pub(crate) async fn mb(&self) -> Result<(), Failure> {
        let bucket = self.address()?.bucket()?;
        self.client.create_bucket(&bucket).await?;
        self.out.done(format_args!("made s3://{bucket}"), &json!({ "made": bucket }))
    }

    pub(crate) async fn rb(&self) -> Result<(), Failure> {
        let bucket = self.address()?.bucket()?;
        if self.args.force {
            let bar = self.out.bar("deleting");
            let deletion = self.client.delete_prefix(&bucket, "").versions(true);
            deletion.on_progress(bar.watcher()).await?.into_result().map(drop)?;
        }
        self.client.delete_bucket(&bucket).await?;
        self.out.done(format_args!("removed s3://{bucket}"), &json!({ "removed": bucket }))
    }

    pub(crate) async fn head(&self) -> Result<(), Failure> {
        let Address { bucket, key } = self.address()?.object()?;
        let head = self.client.head_object(bucket, key).await?;
        let metadata: Map<String, Value> =
            head.metadata.iter().map(|(name, value)| (name.to_owned(), value.to_owned().into())).collect();
        let members = json!({
            "content_length": head.content_length,
            "last_modified": head.last_modified.map(Timestamp::rfc3339),
            "etag": text_of(head.etag.as_ref()),
            "version_id": head.version_id,
            "content_type": head.content_type,
            "content_encoding": head.content_encoding,
            "cache_control": head.cache_control,
            "storage_class": text_of(head.storage_class.as_ref()),
            "server_side_encryption": text_of(head.server_side_encryption.as_ref()),
            "checksum_algorithm": text_of(head.checksum.as_ref().map(Checksum::algorithm)),
            "checksum": text_of(head.checksum.as_ref()),
            "metadata": metadata,
        });
        let lines: Vec<String> = members.as_object().into_iter().flatten().filter_map(line).collect();
        self.out.result(lines.join("\n"), &members)
    }

    pub(crate) async fn presign(&self) -> Result<(), Failure> {
        let Address { bucket, key } = self.address()?.object()?;
        let presigned = if self.args.put {
            self.client.put_object(bucket, key, "").presign(self.args.expires).await?
        } else {
            self.client.get_object(bucket, key).presign(self.args.expires).await?
        };
        let uri = &presigned.uri;
        self.out.result(uri, &json!({ "method": presigned.method.as_str(), "url": uri.to_string() }))
    }
}

/// A member of an answer for people, unless it is not there.
fn line((name, value): (&String, &Value)) -> Option<String> {
    match value {
        Value::Null => None,
        Value::String(text) => Some(format!("{name}: {text}")),
        Value::Object(members) if members.is_empty() => None,
        Value::Object(members) => Some(
            members
                .iter()
                .filter_map(line)
                .map(|line| format!("{name}.{line}"))
                .collect::<Vec<_>>()
                .join("\n"),
        ),
        other => Some(format!("{name}: {other}")),
    }
}
