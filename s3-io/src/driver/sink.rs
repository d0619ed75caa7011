//! Bodies that are read without their user: into a file, or to be checked only.

use std::fs::File;
use std::io;
use std::pin::Pin;
use std::sync::Arc;

use bytes::Bytes;
use s3_proto::{BodyCheck, SourceError, TransportError};

use super::runtime::Runtime;
use super::transport::Download;
use crate::files;

/// How a body ended.
pub(crate) enum End {
    Complete(Box<BodyCheck>),
    Broken(Box<BodyCheck>, TransportError),
    /// What came could not be written.
    Unwritten(SourceError),
}

/// Reads a body to its end, each chunk through the check first. All that has passed the check is written when
/// it ends, whether the body is complete or not, so that it can be resumed from there.
pub(crate) async fn read<R: Runtime>(
    mut download: Download,
    mut check: Box<BodyCheck>,
    mut writer: Option<Writer<R>>,
) -> End {
    let broken = loop {
        match download.chunk().await {
            // The machine finds in the check that it is too long, and says of which object.
            Some(Ok(chunk)) if check.update(&chunk).is_err() => break None,
            Some(Ok(chunk)) => {
                if let Some(writer) = &mut writer
                    && let Err(error) = writer.write(chunk).await
                {
                    return End::Unwritten(error.into());
                }
            }
            Some(Err(cause)) => break Some(cause),
            None => break None,
        }
    };
    if let Some(writer) = writer
        && let Err(error) = writer.finish().await
    {
        return End::Unwritten(error.into());
    }
    match broken {
        None => End::Complete(check),
        Some(cause) => End::Broken(check, cause),
    }
}

/// How much is written at a time. As much is being written while more is read.
const BATCH: usize = 1024 * 1024;

/// Writes to a file in few and large pieces, on a thread that may block.
pub(crate) struct Writer<R> {
    file: Arc<File>,
    /// Where the batch goes.
    at: u64,
    batch: Vec<Bytes>,
    len: usize,
    writing: Option<Pin<Box<dyn Future<Output = io::Result<()>> + Send>>>,
    runtime: std::marker::PhantomData<fn() -> R>,
}

impl<R: Runtime> Writer<R> {
    pub(crate) fn new(file: Arc<File>, at: u64) -> Self {
        let runtime = std::marker::PhantomData;
        Self { file, at, batch: Vec::new(), len: 0, writing: None, runtime }
    }

    pub(crate) async fn write(&mut self, chunk: Bytes) -> io::Result<()> {
        self.len += chunk.len();
        self.batch.push(chunk);
        if self.len >= BATCH { self.flush().await } else { Ok(()) }
    }

    /// Writes the rest, and waits until all is written.
    pub(crate) async fn finish(mut self) -> io::Result<()> {
        self.flush().await?;
        self.settle().await
    }

    /// Begins to write the batch once the one before is written.
    async fn flush(&mut self) -> io::Result<()> {
        self.settle().await?;
        let (file, mut at) = (self.file.clone(), self.at);
        let batch = std::mem::take(&mut self.batch);
        self.at += std::mem::take(&mut self.len) as u64;
        // Putting them together first costs more than it saves.
        let write = R::blocking(move || {
            batch.iter().try_for_each(|piece| {
                files::write_all_at(&file, piece, at)?;
                at += piece.len() as u64;
                Ok(())
            })
        });
        self.writing = Some(Box::pin(async move { write.await? }));
        Ok(())
    }

    async fn settle(&mut self) -> io::Result<()> {
        match self.writing.take() {
            Some(writing) => writing.await,
            None => Ok(()),
        }
    }
}
