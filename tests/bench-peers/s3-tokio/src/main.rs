//! s3-tokio among its peers.
include!("client.rs");
client!(s3_tokio, "s3-tokio", Client, main, [async], [.await], [ranged!();]);
