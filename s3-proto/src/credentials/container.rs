//! Credentials of a container: tasks of ECS, pods of EKS, and what imitates them.
//!
//! Source: "Container credential provider" in the AWS SDKs and Tools Reference Guide
//! (<https://docs.aws.amazon.com/sdkref/latest/guide/feature-container-credentials.html>).

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::path::PathBuf;

use http::header::AUTHORIZATION;
use http::{HeaderMap, Uri};
use zeroize::Zeroizing;

use super::ask::{Patience, failed, get, json_refusal, provider, send, sensitive};
use super::context::Found;
use super::environment::Environment;
use super::json::Object;
use crate::script::Tasks;
use crate::{Credentials, Error, ErrorKind};

const RELATIVE: &str = "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI";
const FULL: &str = "AWS_CONTAINER_CREDENTIALS_FULL_URI";
const TOKEN: &str = "AWS_CONTAINER_AUTHORIZATION_TOKEN";
const TOKEN_FILE: &str = "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE";

pub(super) async fn credentials(tasks: &Tasks, env: &Environment) -> Result<Found<Credentials>, Error> {
    let uri = match (env.trimmed(RELATIVE), env.trimmed(FULL)) {
        (Some(path), _) => relative(path)?,
        (None, Some(url)) => full(tasks, url).await?,
        (None, None) => return Ok(Found::Nothing(format!("neither {RELATIVE} nor {FULL} is set"))),
    };
    // Anew each time: pods get other tokens while they run.
    let token = authorization(tasks, env).await?;
    let request = |_| {
        let mut headers = HeaderMap::new();
        if let Some(token) = &token {
            headers.insert(AUTHORIZATION, sensitive(token, "the authorization token")?);
        }
        headers.insert(http::header::ACCEPT, http::HeaderValue::from_static("application/json"));
        Ok(get(&uri, headers))
    };
    // Path and query may be as good as a token.
    let what =
        format!("getting credentials of the container from {}", uri.authority().map_or("?", |a| a.as_str()));
    let secrets = [token.as_ref().map_or("", |token| token.as_str())];
    let answer = send(tasks, &Patience::nearby(), &request, json_refusal).await;
    let answer = answer.map_err(|error| failed(&what, &error, &secrets))?;
    Object::parse(answer.body().expose())
        .and_then(|object| object.credentials("Token", "Expiration"))
        .map(Found::Some)
        .map_err(|why| provider(format!("{what} failed: {why}")))
}

fn relative(path: &str) -> Result<Uri, Error> {
    let uri =
        path.starts_with('/').then(|| Uri::try_from(format!("http://169.254.170.2{path}")).ok()).flatten();
    uri.ok_or_else(|| configuration(format!("{RELATIVE} is not a path such as /v2/credentials")))
}

/// A URL of which it is certain that no stranger reads the token: TLS, this machine, or the address of a
/// container service.
async fn full(tasks: &Tasks, url: &str) -> Result<Uri, Error> {
    let wrong = |why: &str| configuration(format!("{FULL} {why}"));
    let uri: Uri = url.parse().map_err(|_| wrong("is no URL"))?;
    let Some(authority) = uri.authority().filter(|a| !a.as_str().contains('@')) else {
        return Err(wrong(
            "names no host, or has a user name in it: give a URL such as http://127.0.0.1/credentials",
        ));
    };
    match uri.scheme_str() {
        Some("https") => return Ok(uri),
        Some("http") => {}
        _ => return Err(wrong("is neither an https:// nor an http:// URL")),
    }
    let host = authority.host();
    let bare = host.strip_prefix('[').and_then(|h| h.strip_suffix(']')).unwrap_or(host);
    let addresses = match bare.parse::<IpAddr>() {
        Ok(address) => vec![address],
        Err(_) => tasks
            .resolve(host)
            .await
            .map_err(|error| failed(&format!("looking up the host of {FULL}"), &error, &[]))?,
    };
    if addresses.is_empty() || !addresses.iter().all(|address| is_trusted(*address)) {
        return Err(wrong(&format!(
            "leads to {}, which is neither this machine nor a container service, without TLS: use https://",
            host.escape_debug()
        )));
    }
    Ok(uri)
}

fn is_trusted(address: IpAddr) -> bool {
    const V4: [Ipv4Addr; 2] = [Ipv4Addr::new(169, 254, 170, 2), Ipv4Addr::new(169, 254, 170, 23)];
    const V6: Ipv6Addr = Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x23);
    match address.to_canonical() {
        IpAddr::V4(v4) => v4.is_loopback() || V4.contains(&v4),
        IpAddr::V6(v6) => v6.is_loopback() || v6 == V6,
    }
}

async fn authorization(tasks: &Tasks, env: &Environment) -> Result<Option<Zeroizing<String>>, Error> {
    let (token, from) = if let Some(path) = env.get(TOKEN_FILE) {
        let content = tasks.read_file(PathBuf::from(path)).await;
        let content =
            content.map_err(|error| failed(&format!("reading the file of {TOKEN_FILE}"), &error, &[]))?;
        let Some(content) = content else {
            return Err(provider(format!("{TOKEN_FILE} names {path}, which does not exist")));
        };
        let text = std::str::from_utf8(content.expose())
            .map_err(|_| provider(format!("{TOKEN_FILE} names {path}, which is not text")))?;
        (Zeroizing::new(text.trim_end().to_owned()), TOKEN_FILE)
    } else if let Some(token) = env.get(TOKEN) {
        (Zeroizing::new(token.to_owned()), TOKEN)
    } else {
        return Ok(None);
    };
    if token.is_empty() || token.chars().any(char::is_control) {
        return Err(provider(format!("the token of {from} is empty, or has a line break in it")));
    }
    Ok(Some(token))
}

fn configuration(message: String) -> Error {
    Error::new(ErrorKind::Configuration, message)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_this_machine_and_container_services_are_trusted() {
        for (address, trusted) in [
            ("127.0.0.1", true),
            ("127.9.9.9", true),
            ("::1", true),
            ("::ffff:127.0.0.1", true),
            ("169.254.170.2", true),
            ("169.254.170.23", true),
            ("fd00:ec2::23", true),
            ("169.254.169.254", false),
            ("169.254.170.3", false),
            ("fd00:ec2::2", false),
            ("10.0.0.1", false),
            ("0.0.0.0", false),
        ] {
            assert_eq!(is_trusted(address.parse().unwrap()), trusted, "{address}");
        }
    }
}
