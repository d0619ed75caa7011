//! `cp`, `mv` and `cat`.

use std::path::PathBuf;

use s3_tokio::s3_proto::transfer::{UploadReport, UploadRequest};
use s3_tokio::{Engine, Source};
use serde_json::json;
use tokio::io::AsyncWriteExt as _;

use crate::App;
use crate::output::{Failure, human, text_of};
use crate::place::{Address, Place, file_for};

impl App {
    /// Where from, and where to.
    pub(crate) fn both(&self) -> Result<(Place, Place), Failure> {
        match self.args.places.as_slice() {
            [from, to] => Ok((Place::parse(from)?, Place::parse(to)?)),
            _ => Err(Failure::usage("where from, and where to?")),
        }
    }

    pub(crate) async fn cp(&self) -> Result<(), Failure> {
        let (from, to) = self.both()?;
        if self.args.recursive { self.copy_folder(from, to).await } else { self.copy_one(from, to).await }
    }

    pub(crate) async fn mv(&self) -> Result<(), Failure> {
        match self.both()? {
            (Place::Object(from), Place::Object(to)) if self.args.recursive => {
                self.copy_prefix(from, to, true).await
            }
            _ if self.args.recursive => Err(Failure::usage(
                "mv --recursive is between buckets: from or to a folder, use cp --recursive and delete what was copied",
            )),
            (Place::Object(from), Place::Object(to)) => {
                let to = to.or_within(Some(from.name()))?;
                if from == to {
                    return Err(Failure::usage(format!("'{from}' and '{to}' are the same object")));
                }
                self.copy_object(from.object()?, to, true).await
            }
            (Place::File(path), to @ Place::Object(_)) => {
                self.copy_one(Place::File(path.clone()), to).await?;
                if self.args.dry_run {
                    return Ok(());
                }
                let what = format!("deleting '{}', which was uploaded,", path.display());
                std::fs::remove_file(path).map_err(|error| Failure::local(&what, &error))
            }
            (Place::Object(from), to @ Place::File(_)) => {
                self.copy_one(Place::Object(from.clone()), to).await?;
                if !self.args.dry_run {
                    self.client.delete_object(from.bucket, from.key).await?;
                }
                Ok(())
            }
            _ => Err(Failure::usage("mv is between a file and an object, or two objects")),
        }
    }

    async fn copy_one(&self, from: Place, to: Place) -> Result<(), Failure> {
        let has_checkpoint = self.args.checkpoint.is_some();
        match (from, to) {
            (Place::File(path), Place::Object(to)) => {
                let to = to.or_within(path.file_name().and_then(|name| name.to_str()))?;
                self.upload(path, to).await
            }
            (Place::Object(from), Place::File(path)) => {
                let from = from.object()?;
                let path = file_for(path, &from)?;
                self.download(from, path).await
            }
            _ if has_checkpoint => Err(Failure::usage("--checkpoint goes with a file and an object")),
            (Place::Object(from), Place::Object(to)) => {
                let to = to.or_within(Some(from.name()))?;
                self.copy_object(from.object()?, to, false).await
            }
            (Place::Stdio, Place::Object(to)) => self.upload_input(to.object()?).await,
            (Place::Object(from), Place::Stdio) => self.write_out(from.object()?).await,
            _ => Err(Failure::usage("one side must be in a bucket")),
        }
    }

    async fn upload(&self, path: PathBuf, to: Address) -> Result<(), Failure> {
        let from = path.display().to_string();
        if self.args.dry_run {
            return self.would_copy("upload", &from, &to.to_string());
        }
        let bar = self.out.bar(&from);
        let mut upload = self.client.upload_file(&to.bucket, &to.key, path).on_progress(bar.watcher());
        upload.options.checkpoint.clone_from(&self.args.checkpoint);
        let report = self.send_upload(upload).await?;
        drop(bar);
        self.uploaded(&from, &to, &report)
    }

    /// From standard input, to its end.
    async fn upload_input(&self, to: Address) -> Result<(), Failure> {
        if self.args.dry_run {
            return self.would_copy("upload", "-", &to.to_string());
        }
        let bar = self.out.bar("-");
        let source = Source::unsized_reader(tokio::io::stdin());
        let upload = self.client.upload_stream(&to.bucket, &to.key, source).on_progress(bar.watcher());
        let report = self.send_upload(upload).await?;
        drop(bar);
        self.uploaded("-", &to, &report)
    }

    async fn send_upload(&self, mut upload: UploadRequest<Engine>) -> Result<UploadReport, Failure> {
        if let Some(bytes) = self.args.part_size {
            upload = upload.part_size(bytes);
        }
        if let Some(parts) = self.args.concurrency {
            upload = upload.concurrency(parts);
        }
        Ok(upload.await?)
    }

    fn uploaded(&self, from: &str, to: &Address, report: &UploadReport) -> Result<(), Failure> {
        let resumed = match report.parts_found {
            0 => String::new(),
            found => format!(", {found} of {} parts were there", found + report.parts_sent),
        };
        let line = format!("upload: {from} -> {to} ({}{resumed})", human(report.bytes));
        let json = json!({
            "action": "upload",
            "source": from,
            "target": to.to_string(),
            "bytes": report.bytes,
            "etag": text_of(report.etag.as_ref()),
            "version_id": report.version_id,
            "parts_sent": report.parts_sent,
            "parts_found": report.parts_found,
            "retries": report.retries,
        });
        self.out.done(line, &json)
    }

    async fn download(&self, from: Address, path: PathBuf) -> Result<(), Failure> {
        let to = path.display().to_string();
        if self.args.dry_run {
            return self.would_copy("download", &from.to_string(), &to);
        }
        let bar = self.out.bar(from.name());
        let mut download =
            self.client.download_file(&from.bucket, &from.key, path).on_progress(bar.watcher());
        download.options.checkpoint.clone_from(&self.args.checkpoint);
        if let Some(bytes) = self.args.part_size {
            download = download.part_size(bytes);
        }
        if let Some(parts) = self.args.concurrency {
            download = download.concurrency(parts);
        }
        let report = download.await?;
        drop(bar);
        let resumed = match report.resumed {
            0 => String::new(),
            resumed => format!(", {} were there", human(resumed)),
        };
        let line = format!("download: {from} -> {to} ({}{resumed})", human(report.bytes));
        let json = json!({
            "action": "download",
            "source": from.to_string(),
            "target": to,
            "bytes": report.bytes,
            "etag": text_of(report.object.etag.as_ref()),
            "version_id": report.object.version_id,
            "resumed": report.resumed,
            "verified": report.verified.is_some(),
            "retries": report.retries,
        });
        self.out.done(line, &json)
    }

    /// Inside of the service; `delete` moves it.
    pub(crate) async fn copy_object(&self, from: Address, to: Address, delete: bool) -> Result<(), Failure> {
        let what = if delete { "move" } else { "copy" };
        if self.args.dry_run {
            return self.would_copy(what, &from.to_string(), &to.to_string());
        }
        let bar = self.out.bar(from.name());
        let source = (from.bucket.as_str(), from.key.as_str());
        let mut copy = self.client.copy(&to.bucket, &to.key, source).on_progress(bar.watcher());
        if let Some(bytes) = self.args.part_size {
            copy = copy.part_size(bytes);
        }
        if let Some(parts) = self.args.concurrency {
            copy = copy.concurrency(parts);
        }
        let report = copy.await?;
        drop(bar);
        if delete {
            self.client.delete_object(&from.bucket, &from.key).await?;
        }
        let line = format!("{what}: {from} -> {to} ({})", human(report.bytes));
        let json = json!({
            "action": what,
            "source": from.to_string(),
            "target": to.to_string(),
            "bytes": report.bytes,
            "etag": text_of(report.etag.as_ref()),
        });
        self.out.done(line, &json)
    }

    pub(crate) async fn cat(&self) -> Result<(), Failure> {
        self.write_out(self.address()?.object()?).await
    }

    /// To standard output, which has all of the object only if there is no error.
    async fn write_out(&self, from: Address) -> Result<(), Failure> {
        if self.args.dry_run {
            return self.would_copy("download", &from.to_string(), "-");
        }
        let bar = self.out.bar(from.name());
        let mut download = self.client.download_stream(&from.bucket, &from.key);
        if let Some(bytes) = self.args.part_size {
            download = download.part_size(bytes);
        }
        if let Some(parts) = self.args.concurrency {
            download = download.concurrency(parts);
        }
        let (mut pieces, mut stdout) = (download.send(), tokio::io::stdout());
        let unwritten = |error| Failure::local("writing to standard output", &error);
        while let Some(piece) = pieces.next().await {
            let piece = piece?;
            stdout.write_all(&piece).await.map_err(unwritten)?;
            bar.add(piece.len());
        }
        stdout.flush().await.map_err(unwritten)
    }

    fn would_copy(&self, what: &str, from: &str, to: &str) -> Result<(), Failure> {
        let json = json!({ "action": what, "source": from, "target": to, "dry_run": true });
        self.out.done(format_args!("would {what}: {from} -> {to}"), &json)
    }
}
