// What our clients do among their peers, written once; only some of them wait with `.await`.

/// Ranges side by side whose bytes are counted, as the other clients do it that can.
#[allow(unused_macros)]
macro_rules! ranged {
    () => {
        async fn download(&self, key: &str, options: &Opts) -> Result<u64> {
            use futures_util::{StreamExt as _, TryStreamExt as _};

            futures_util::stream::iter(options.ranges())
                .map(|(offset, len)| async move {
                    let request = self.0.get_object(BUCKET, key).range(offset..offset + len);
                    let mut body = request.send().await?.body;
                    while let Some(piece) = body.next().await {
                        piece?;
                    }
                    Ok(body.received())
                })
                .buffer_unordered(options.concurrency)
                .try_fold(0, |sum, received| async move { Ok(sum + received) })
                .await
        }
    };
}

macro_rules! client {
    ($driver:ident, $name:literal, $kind:ident, $main:ident, [$($async:tt)*], [$($wait:tt)*], [$($download:tt)*]) => {
        use bench_common::{ACCESS_KEY, BUCKET, Bytes, Opts, REGION, Result, SECRET_KEY};
        use $driver::s3_proto::PayloadSigning;
        use $driver::s3_proto::endpoint::ChecksumPolicy;
        use $driver::{Client, Config, Credentials};

        struct Driver(Client);

        impl bench_common::$kind for Driver {
            const NAME: &'static str = $name;

            $($async)* fn new(options: &Opts) -> Result<Self> {
                let mut config = Config::new(REGION)?
                    .with_endpoint(&options.endpoint)?
                    .with_credentials(Credentials::new(ACCESS_KEY, SECRET_KEY)?);
                if options.lean() {
                    config.payload_signing = PayloadSigning::Never;
                    config.request_checksums = Some(ChecksumPolicy::WhenRequired);
                    config.verify_checksums = false;
                }
                Ok(Self(Client::new(config)?))
            }

            $($async)* fn get(&self, key: &str) -> Result<u64> {
                let body = self.0.get_object(BUCKET, key).send()$($wait)*?.body;
                Ok(body.collect()$($wait)*?.len() as u64)
            }

            $($async)* fn put(&self, key: &str, body: Bytes) -> Result<()> {
                self.0.put_object(BUCKET, key, body).send()$($wait)*?;
                Ok(())
            }

            $($async)* fn get_stream(&self, key: &str) -> Result<u64> {
                let mut body = self.0.get_object(BUCKET, key).send()$($wait)*?.body;
                while let Some(piece) = body.next()$($wait)* {
                    piece?;
                }
                Ok(body.received())
            }

            $($async)* fn upload(&self, key: &str, options: &Opts) -> Result<u64> {
                let upload = self.0.upload_file(BUCKET, key, &options.file);
                let upload = upload.part_size(options.part).concurrency(options.concurrency);
                Ok(upload.send()$($wait)*?.bytes)
            }

            $($download)*

            $($async)* fn list(&self) -> Result<u64> {
                let (mut objects, mut listed) = (self.0.list_all_objects(BUCKET), 0);
                while let Some(object) = objects.next()$($wait)* {
                    object?;
                    listed += 1;
                }
                Ok(listed)
            }
        }

        fn main() {
            bench_common::$main::<Driver>()
        }
    };
}
