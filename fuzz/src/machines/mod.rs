//! Sequences of answers to every machine.

pub(crate) mod calls;
pub(crate) mod credentials;
pub(crate) mod transfers;

use std::time::Duration;

use s3_proto::credentials::{CredentialsProvider, Environment};
use s3_proto::{Config, Credentials, Session};

use crate::input::Input;

pub(crate) const BUCKET: &str = "my-bucket";

fn keys() -> Credentials {
    Credentials::new("AKIDEXAMPLE", "secret").unwrap()
}

/// A session as the input wants it: Amazon S3 or another store, and credentials that are there or have to be fetched.
fn session(input: &mut Input<'_>) -> Session {
    let region = input.pick(&["us-east-1", "eu-central-1", "aws-global"]);
    let mut config = Config::new(region).unwrap();
    config = match input.below(4) {
        0 | 1 => config.with_credentials(keys()),
        2 => {
            let provider = CredentialsProvider::from_future("a vault", || async { Ok(keys()) });
            config.with_credentials_provider(provider)
        }
        _ => config.with_default_credentials(Environment::default()),
    };
    if input.below(3) == 2 {
        config = config.with_endpoint("http://127.0.0.1:9000").unwrap();
    }
    if input.below(3) == 2 {
        config.operation_timeout = Some(Duration::from_secs(5));
    }
    if input.below(4) == 3 {
        config.max_response = 4_096;
    }
    config.retry.max_attempts = input.pick(&[3, 1, 2, 10]);
    Session::new(config)
}
