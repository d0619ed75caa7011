//! `ls` and `du`.

use s3_tokio::s3_proto::Timestamp;
use s3_tokio::s3_proto::ops::Object;
use serde_json::json;

use crate::App;
use crate::output::{Failure, human, text_of};
use crate::place::Address;

impl App {
    pub(crate) async fn ls(&self) -> Result<(), Failure> {
        let Some(place) = self.args.places.first() else { return self.list_buckets().await };
        let Address { bucket, key: prefix } = Address::parse(place)?;
        if self.args.recursive {
            let mut objects = self.client.list_all(bucket, prefix);
            while let Some(object) = objects.next().await {
                self.show(&object?)?;
            }
            return Ok(());
        }
        let mut pages = self.client.list_objects_v2(bucket).prefix(prefix).delimiter("/").pages();
        while let Some(page) = pages.next().await {
            let page = page?;
            for folder in page.common_prefixes {
                let line = format!("{:>20}  {:>12}  {}", "", "folder", folder.prefix);
                self.out.result(line, &json!({ "prefix": folder.prefix }))?;
            }
            for object in page.contents {
                self.show(&object)?;
            }
        }
        Ok(())
    }

    async fn list_buckets(&self) -> Result<(), Failure> {
        let mut buckets = self.client.list_buckets().entries();
        while let Some(bucket) = buckets.next().await {
            let bucket = bucket?;
            let created = bucket.creation_date.map(Timestamp::rfc3339).unwrap_or_default();
            let line = format!("{created:>20}  s3://{}", bucket.name);
            self.out.result(line, &json!({ "bucket": bucket.name, "created": created }))?;
        }
        Ok(())
    }

    fn show(&self, object: &Object) -> Result<(), Failure> {
        let modified = object.last_modified.map(Timestamp::rfc3339).unwrap_or_default();
        let line = format!("{modified:>20}  {:>12}  {}", object.size, object.key);
        let json = json!({
            "key": object.key,
            "size": object.size,
            "last_modified": modified,
            "etag": text_of(object.etag.as_ref()),
        });
        self.out.result(line, &json)
    }

    pub(crate) async fn du(&self) -> Result<(), Failure> {
        let address = self.address()?;
        let (mut count, mut bytes) = (0_u64, 0_u64);
        let mut objects = self.client.list_all(&address.bucket, &address.key);
        while let Some(object) = objects.next().await {
            count += 1;
            bytes = bytes.saturating_add(object?.size);
        }
        let line = format!("{bytes} bytes ({}) in {count} objects  {address}", human(bytes));
        self.out.result(line, &json!({ "objects": count, "bytes": bytes }))
    }
}
