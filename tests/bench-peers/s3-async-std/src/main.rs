//! s3-async-std among its peers. They run on tokio, so that its threads are beside the one that is measured.
use bench_common::{ACCESS_KEY, BUCKET, Bytes, Opts, REGION, Result};
use s3_async_std::s3_proto::PayloadSigning;
use s3_async_std::s3_proto::endpoint::ChecksumMode;
use s3_async_std::{Client, Config, Credentials};

struct Driver(Client);

impl bench_common::Client for Driver {
    const NAME: &'static str = "s3-async-std";

    async fn new(options: &Opts) -> Result<Self> {
        let mut config = Config::new(REGION)?
            .with_endpoint(&options.endpoint)?
            .with_credentials(Credentials::new(ACCESS_KEY, bench_common::SECRET_KEY)?);
        if options.lean() {
            config.payload_signing = PayloadSigning::Never;
            config.request_checksums = Some(ChecksumMode::WhenRequired);
            config.verify_checksums = false;
        }
        Ok(Self(Client::new(config)?))
    }

    async fn get(&self, key: &str) -> Result<u64> {
        Ok(self.0.get_object(BUCKET, key).await?.body.collect().await?.len() as u64)
    }

    async fn put(&self, key: &str, body: Bytes) -> Result<()> {
        self.0.put_object(BUCKET, key, body).await?;
        Ok(())
    }

    async fn get_stream(&self, key: &str) -> Result<u64> {
        let mut body = self.0.get_object(BUCKET, key).await?.body;
        while let Some(chunk) = body.next().await {
            chunk?;
        }
        Ok(body.received())
    }

    async fn upload(&self, key: &str, options: &Opts) -> Result<u64> {
        let upload = self.0.upload_file(BUCKET, key, &options.file);
        Ok(upload.part_size(options.part).concurrency(options.concurrency).await?.bytes)
    }

    async fn download(&self, key: &str, options: &Opts) -> Result<u64> {
        let download = self.0.download_stream(BUCKET, key);
        let mut pieces = download.part_size(options.part).concurrency(options.concurrency).send();
        let mut received = 0;
        while let Some(piece) = pieces.next().await {
            received += piece?.len() as u64;
        }
        Ok(received)
    }

    async fn list(&self) -> Result<u64> {
        let (mut objects, mut listed) = (self.0.list_all_objects(BUCKET), 0);
        while let Some(object) = objects.next().await {
            object?;
            listed += 1;
        }
        Ok(listed)
    }
}

fn main() {
    bench_common::main::<Driver>()
}
