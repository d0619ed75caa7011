//! Folders: `sync`, and `cp` and `mv` with `--recursive`.

use std::path::PathBuf;

use futures_util::{StreamExt as _, stream};
use s3_tokio::Engine;
use s3_tokio::s3_proto::transfer::{Compare, Direction, SyncAction, SyncFailure, SyncRequest};
use serde_json::json;

use crate::App;
use crate::output::Failure;
use crate::place::{Address, Place};

/// How many objects are copied inside of the service at once.
const COPIES: usize = 8;

impl App {
    pub(crate) async fn sync(&self) -> Result<(), Failure> {
        let compare = if self.args.checksum { Compare::Checksum } else { Compare::SizeAndTime };
        match self.both()? {
            (Place::File(folder), Place::Object(to)) => {
                self.transfer(Direction::Upload, folder, to, compare).await
            }
            (Place::Object(from), Place::File(folder)) => {
                self.transfer(Direction::Download, folder, from, compare).await
            }
            _ => Err(Failure::usage("sync is between a folder and a prefix")),
        }
    }

    /// `cp --recursive`
    pub(crate) async fn copy_folder(&self, from: Place, to: Place) -> Result<(), Failure> {
        match (from, to) {
            (Place::File(folder), Place::Object(to)) => {
                self.transfer(Direction::Upload, folder, to, Compare::Never).await
            }
            (Place::Object(from), Place::File(folder)) => {
                self.transfer(Direction::Download, folder, from, Compare::Never).await
            }
            (Place::Object(from), Place::Object(to)) => self.copy_prefix(from, to, false).await,
            _ => Err(Failure::usage("--recursive is between folders and prefixes")),
        }
    }

    async fn transfer(
        &self,
        direction: Direction,
        folder: PathBuf,
        address: Address,
        compare: Compare,
    ) -> Result<(), Failure> {
        let (what, from, to) = match direction {
            Direction::Upload => ("upload", folder.display().to_string(), address.to_string()),
            Direction::Download => ("download", address.to_string(), folder.display().to_string()),
        };
        let bar = self.out.bar(what);
        let Address { bucket, key } = address;
        let request = self.with_options(self.client.sync(direction, bucket, key, folder).compare(compare));
        let report = request.on_progress(bar.watcher()).await?;
        drop(bar);
        for action in &report.actions {
            let (what, name) = match action {
                SyncAction::Transfer(name) => (what, name),
                SyncAction::Delete(name) => ("delete", name),
                _ => continue,
            };
            self.out.done(
                format_args!("would {what}: {name}"),
                &json!({ "action": what, "name": name, "dry_run": true }),
            )?;
        }
        let mut failures = Vec::new();
        for SyncFailure { name, error, .. } in &report.failures {
            self.out.note(&format!("'{name}': {error}"));
            failures.push(json!({ "name": name, "message": error.to_string() }));
        }
        let json = json!({
            "action": what,
            "source": from,
            "target": to,
            "transferred": report.transferred,
            "bytes": report.bytes,
            "unchanged": report.unchanged,
            "deleted": report.deleted,
            "left_out": report.left_out,
            "failed": report.failed,
            "failures": failures,
            "dry_run": self.args.dry_run,
        });
        let line = format!(
            "{}{what}: {from} -> {to}: {} transferred, {} unchanged, {} deleted, {} left out, {} failed",
            self.would(),
            report.transferred,
            report.unchanged,
            report.deleted,
            report.left_out,
            report.failed
        );
        self.out.done(line, &json)?;
        match report.failed {
            0 => Ok(()),
            failed => Err(Failure::Other(format!("{failed} files or objects failed"))),
        }
    }

    fn with_options(&self, request: SyncRequest<Engine>) -> SyncRequest<Engine> {
        let mut request = request.delete(self.args.delete).dry_run(self.args.dry_run);
        request.options.include.clone_from(&self.args.include);
        request.options.exclude.clone_from(&self.args.exclude);
        if let Some(bytes) = self.args.part_size {
            request = request.part_size(bytes);
        }
        if let Some(parts) = self.args.concurrency {
            request = request.concurrency(parts);
        }
        request
    }

    /// Copies all objects below a prefix inside of the service, and deletes each that was copied if they are to
    /// move. Whatever fails, the others go on.
    pub(crate) async fn copy_prefix(&self, from: Address, to: Address, delete: bool) -> Result<(), Failure> {
        let (from, to) = (from.folder(), to.folder());
        if from.bucket == to.bucket && to.key.starts_with(&from.key) {
            return Err(Failure::usage(format!("'{to}' is within '{from}'")));
        }
        let keys = self.matching(&from).await?;
        let total = keys.len();
        let copies = stream::iter(keys).map(|key| {
            let name = key.strip_prefix(&from.key).unwrap_or(&key);
            let to = Address { bucket: to.bucket.clone(), key: format!("{}{name}", to.key) };
            self.copy_object(Address { bucket: from.bucket.clone(), key }, to, delete)
        });
        let (mut failed, mut interrupted, mut left) = (0_usize, false, Vec::new());
        let mut copies = std::pin::pin!(copies.buffer_unordered(COPIES));
        while let Some(copied) = copies.next().await {
            if let Err(failure) = copied {
                match failure.after_interruption(None) {
                    // The others have yet to put in order what they began; those that have not begun end at once.
                    Failure::Interrupted(what) => {
                        interrupted = true;
                        left.extend(what);
                    }
                    failure => {
                        self.out.note(&failure.to_string());
                        failed += 1;
                    }
                }
            }
        }
        if interrupted {
            return Err(Failure::Interrupted((!left.is_empty()).then(|| left.join("\n"))));
        }
        if failed > 0 {
            return Err(Failure::Other(format!("{failed} of {total} objects could not be copied")));
        }
        Ok(())
    }
}
