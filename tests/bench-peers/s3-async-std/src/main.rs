//! s3-async-std among its peers. They run on tokio, so that its threads are beside the one that is measured.
include!("client.rs");
client!(s3_async_std, "s3-async-std", Client, main, [async], [.await], [ranged!();]);
