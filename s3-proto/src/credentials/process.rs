//! Credentials that a program prints (`credential_process`).
//!
//! Source: "Process credential provider" in the AWS SDKs and Tools Reference Guide
//! (<https://docs.aws.amazon.com/sdkref/latest/guide/feature-process-credentials.html>).

use std::time::Duration;

use super::ask::provider;
use super::json::Object;
use super::locations::Platform;
use crate::redact::hide;
use crate::script::Tasks;
use crate::secret::Secret;
use crate::{Credentials, Error, ErrorKind};

/// Some ask their user for something.
const LIMIT: Duration = Duration::from_secs(60);

/// `place` says where the command stands: the command itself may be secret.
pub(super) async fn credentials(
    tasks: &Tasks,
    command: &Secret<String>,
    place: &str,
) -> Result<Credentials, Error> {
    // As the AWS SDK for Rust does: the command may use what a shell offers.
    let shell: [&str; 2] = match Platform::CURRENT {
        Platform::Unix => ["sh", "-c"],
        Platform::Windows => ["cmd.exe", "/C"],
    };
    let argv = shell.iter().copied().chain([command.expose().as_str()]).map(ToOwned::to_owned).collect();
    let exit = tasks.run(Secret::new(argv), LIMIT).await.map_err(|error| match error.kind() {
        ErrorKind::LocalIo => provider(format!(
            "credential_process ({place}) failed: {}",
            hide(error.message(), &[command.expose()])
        )),
        _ => error,
    })?;
    if exit.code != Some(0) {
        let status =
            exit.code.map_or("was ended by a signal".to_owned(), |code| format!("exited with status {code}"));
        let said = hide(&exit.stderr, &[command.expose()]);
        let said = if said.is_empty() { said } else { format!(": {said}") };
        return Err(provider(format!("credential_process ({place}) failed: the program {status}{said}")));
    }
    read(exit.stdout.expose()).map_err(|why| {
        provider(format!("credential_process ({place}) printed something that cannot be used: {why}"))
    })
}

fn read(output: &[u8]) -> Result<Credentials, String> {
    let object = Object::parse(output)?;
    match object.number("Version") {
        Some(1) => object.credentials("SessionToken", "Expiration"),
        Some(other) => Err(format!("its Version is {other}, and only 1 is known")),
        None => Err("there is no Version in it".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_version_1_is_understood() {
        let good = br#"{"Version": 1, "AccessKeyId": "A", "SecretAccessKey": "s", "SessionToken": "t"}"#;
        assert_eq!(read(good).unwrap().session_token().unwrap().expose(), "t");
        for (text, why) in [
            (r#"{"Version": 2}"#, "its Version is 2, and only 1 is known"),
            (r#"{"Version": "1"}"#, "there is no Version in it"),
            (r#"{"Version": 1}"#, "there is no AccessKeyId in it"),
        ] {
            assert_eq!(read(text.as_bytes()).unwrap_err(), why);
        }
    }
}
