//! A server, and a client for it.

use std::time::Duration;

use s3_proto::{Config, Credentials};
use s3_test_server::Server;

use super::{Client, pause};

pub(crate) async fn setup() -> (Client, Server) {
    let server = Server::builder().credentials("AKID", "SECRET").start_in_thread().unwrap();
    server.store().create_bucket("bucket", None);
    (Client::new(config(&server)).unwrap(), server)
}

pub(crate) fn config(server: &Server) -> Config {
    Config::new("us-east-1")
        .unwrap()
        .with_endpoint(server.endpoint())
        .unwrap()
        .with_credentials(Credentials::new("AKID", "SECRET").unwrap())
}

pub(crate) fn data(len: usize) -> Vec<u8> {
    (0..len).map(|i| u8::try_from(i % 251).unwrap()).collect()
}

/// What was dropped goes away a moment later.
pub(crate) async fn wait_for(what: &str, condition: impl Fn() -> bool) {
    for _ in 0..500 {
        if condition() {
            return;
        }
        pause(Duration::from_millis(10)).await;
    }
    panic!("it did not come about within five seconds: {what}");
}
