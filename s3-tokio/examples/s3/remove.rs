//! `rm`.

use s3_tokio::s3_proto::transfer::{DeleteReport, Filter};
use serde_json::json;

use crate::App;
use crate::output::Failure;
use crate::place::Address;

impl App {
    pub(crate) async fn rm(&self) -> Result<(), Failure> {
        let address = self.address()?;
        if self.args.recursive {
            return self.remove_folder(address.folder()).await;
        }
        if self.args.versions {
            return Err(Failure::usage("--versions goes with --recursive"));
        }
        let address = address.object()?;
        if !self.args.dry_run {
            self.client.delete_object(&address.bucket, &address.key).await?;
        }
        self.deleted(&address)
    }

    /// An object is deleted, or would be.
    pub(crate) fn deleted(&self, address: &Address) -> Result<(), Failure> {
        let json = json!({ "action": "delete", "target": address.to_string(), "dry_run": self.args.dry_run });
        self.out.done(format_args!("{}delete: {address}", self.would()), &json)
    }

    /// What the line of an action begins with.
    pub(crate) fn would(&self) -> &'static str {
        if self.args.dry_run { "would " } else { "" }
    }

    async fn remove_folder(&self, folder: Address) -> Result<(), Failure> {
        let Address { bucket, key: prefix } = &folder;
        let bar = self.out.bar("deleting");
        let report: DeleteReport = if self.args.has_filter() || self.args.dry_run {
            if self.args.versions {
                return Err(Failure::usage("--versions goes neither with patterns nor with --dry-run"));
            }
            let keys = self.matching(&folder).await?;
            if self.args.dry_run {
                return keys
                    .into_iter()
                    .try_for_each(|key| self.deleted(&Address { bucket: bucket.clone(), key }));
            }
            self.client.delete_many(bucket, keys).on_progress(bar.watcher()).await?
        } else {
            let deletion = self.client.delete_prefix(bucket, prefix).versions(self.args.versions);
            deletion.on_progress(bar.watcher()).await?
        };
        drop(bar);
        let report = report.into_result()?;
        let json = json!({ "action": "delete", "target": folder.to_string(), "objects": report.deleted });
        self.out.done(format_args!("deleted {} objects below {folder}", report.deleted), &json)
    }

    /// The keys below a folder that the patterns let through.
    pub(crate) async fn matching(&self, folder: &Address) -> Result<Vec<String>, Failure> {
        let filter = Filter::new(&self.args.include, &self.args.exclude);
        let mut objects = self.client.list_all(&folder.bucket, &folder.key);
        let mut keys = Vec::new();
        while let Some(object) = objects.next().await {
            let key = object?.key;
            if filter.lets_through(key.strip_prefix(&folder.key).unwrap_or(&key)) {
                keys.push(key);
            }
        }
        Ok(keys)
    }
}
