//! Serves S3 on a port until it is killed, for clients in other languages.
//!
//! `cargo run -p s3-test-server --example serve -- [--port N] [--key AKID] [--secret SECRET] [--anonymous]`

use std::error::Error;
use std::io::Write as _;

use s3_test_server::Server;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let (mut key, mut secret, mut builder) = ("AKID".to_owned(), "SECRET".to_owned(), Server::builder());
    let mut args = std::env::args().skip(1);
    while let Some(arg) = args.next() {
        let mut value = || args.next().ok_or_else(|| format!("{arg} needs a value"));
        match arg.as_str() {
            "--port" => builder = builder.port(value()?.parse()?),
            "--key" => key = value()?,
            "--secret" => secret = value()?,
            "--anonymous" => builder = builder.anonymous(),
            _ => return Err(format!("unknown argument {arg}").into()),
        }
    }
    let server = builder.credentials(&key, &secret).start().await?;
    writeln!(std::io::stdout(), "{}", server.endpoint())?;
    std::future::pending::<()>().await;
    Ok(())
}
