//! s3-blocking among its peers.
include!("client.rs");
client!(s3_blocking, "s3-blocking", BlockingClient, main_blocking, [], [], []);
