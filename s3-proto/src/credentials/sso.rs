//! IAM Identity Center (SSO), and sessions of `aws login`: tokens that the AWS CLI keeps in files.
//!
//! Source: "IAM Identity Center credential provider" and "Login credential provider" in the AWS SDKs and Tools
//! Reference Guide (<https://docs.aws.amazon.com/sdkref/latest/guide/feature-sso-credentials.html>), and the
//! APIs of the SSO portal (GetRoleCredentials) and of SSO OIDC (CreateToken).

use std::path::{Path, PathBuf};
use std::time::Duration;

use http::header::CONTENT_TYPE;
use http::{HeaderMap, HeaderValue, Method, StatusCode, Uri};
use sha1::Sha1;
use sha2::{Digest as _, Sha256};

use super::ask::{Patience, failed, get, json_refusal, provider, send, sensitive};
use super::context::{Context, Service};
use super::json::Object;
use super::locations::home_file;
use crate::encode::{hex, uri_encode};
use crate::endpoint::Region;
use crate::machine::{Now, Payload};
use crate::secret::Secret;
use crate::{Credentials, Error, Timestamp};

/// What a profile says of IAM Identity Center, with what its `[sso-session]` adds.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Sso {
    /// `sso_session`: whose token can be refreshed. Without one, the token is that of the start URL.
    pub session: Option<String>,
    /// `sso_start_url`.
    pub start_url: String,
    /// `sso_region`, where Identity Center is.
    pub region: String,
    /// `sso_account_id` and `sso_role_name`; without them there is only a bearer token, of which S3 has no use.
    pub role: Option<(String, String)>,
}

const PORTAL: Service = Service { id: "sso", variable: "AWS_ENDPOINT_URL_SSO", host: "portal.sso" };
const OIDC: Service = Service { id: "sso_oidc", variable: "AWS_ENDPOINT_URL_SSO_OIDC", host: "oidc" };

const LOGIN: &str = "log in with `aws sso login`";

/// A token is refreshed so long before its end.
const REFRESH_BEFORE: Duration = Duration::from_secs(300);

/// GetRoleCredentials, with the token that `aws sso login` has left.
pub(super) async fn credentials(context: &Context, sso: &Sso) -> Result<Credentials, Error> {
    let Some((account, role)) = &sso.role else {
        return Err(provider(format!(
            "profile '{}' gives a bearer token for SSO and no credentials: add sso_account_id and sso_role_name",
            context.profile
        )));
    };
    let region = Region::new(&sso.region).map_err(|error| {
        provider(format!("profile '{}': sso_region: {}", context.profile, error.message()))
    })?;
    let token = Token::read(context, sso).await?.refreshed(context, sso, &region).await?;
    let base = context.service_url(&PORTAL, &region)?;
    let query = format!("role_name={}&account_id={}", uri_encode(role), uri_encode(account));
    let uri = uri(format!("{base}/federation/credentials?{query}"))?;
    let what =
        format!("getting credentials of the role {role} in account {account} from IAM Identity Center");
    let access = token.access()?;
    let request = |_: Now| {
        let mut headers = HeaderMap::new();
        headers.insert("x-amz-sso_bearer_token", sensitive(access, "the SSO token")?);
        Ok(get(&uri, headers))
    };
    let answer =
        send(&context.tasks, &Patience::remote(), &request, json_refusal).await.map_err(|error| {
            let refused = error.status() == Some(StatusCode::UNAUTHORIZED);
            let error = failed(&what, &error, &[access]);
            let message = format!("{}: {LOGIN}", error.message());
            if refused { error.with_message(message) } else { error }
        })?;
    let unusable = |why: &str| provider(format!("{what} failed: {why}"));
    let mut answer = Object::parse(answer.body().expose()).map_err(|why| unusable(&why))?;
    let object =
        answer.take_object("roleCredentials").ok_or_else(|| unusable("there are none in the answer"))?;
    let credentials = object.credentials("sessionToken", "").map_err(|why| unusable(&why))?;
    let expiry = object.number("expiration").and_then(|ms| Timestamp::from_unix(ms.div_euclid(1_000), 0));
    let expiry = expiry.ok_or_else(|| unusable("there is no expiration in it"))?;
    Ok(credentials.with_expiry(expiry).with_account_id(account))
}

/// A token file.
struct Token {
    path: PathBuf,
    object: Object,
    expires_at: Timestamp,
}

impl Token {
    async fn read(context: &Context, sso: &Sso) -> Result<Self, Error> {
        // What the AWS CLI names the file after.
        let name = sso.session.as_deref().unwrap_or(&sso.start_url);
        let file = format!("{}.json", hex(&Sha1::digest(name.as_bytes())));
        let path = home_file(context.environment(), &[".aws", "sso", "cache", &file]).ok_or_else(|| {
            provider("the home directory, where SSO tokens are kept, is not known".to_owned())
        })?;
        let object = read_object(context, &path, LOGIN).await?;
        let expires_at = object.text("expiresAt").and_then(parse_time);
        match (object.text("accessToken"), expires_at) {
            (Some(_), Some(expires_at)) => Ok(Self { path, object, expires_at }),
            _ => Err(provider(format!(
                "{} has no accessToken, or no expiresAt that is a time: {LOGIN}",
                path.display()
            ))),
        }
    }

    fn access(&self) -> Result<&str, Error> {
        self.object.text("accessToken").ok_or_else(|| provider(format!("there is no SSO token: {LOGIN}")))
    }

    /// This token, or the next one if this is about to end. One that cannot be refreshed is used to its end.
    async fn refreshed(self, context: &Context, sso: &Sso, region: &Region) -> Result<Self, Error> {
        let now = context.tasks.now().wall;
        if self.expires_at > now.saturating_add(REFRESH_BEFORE) {
            return Ok(self);
        }
        let valid = self.expires_at > now;
        let expired = |why: &str| {
            provider(format!("the SSO token in {} has expired{why}: {LOGIN}", self.path.display()))
        };
        let refresh = match self.refresh_request(now).filter(|_| sso.session.is_some()) {
            Some(refresh) => refresh,
            None if valid => return Ok(self),
            None => return Err(expired("")),
        };
        match create_token(context, region, &self.object, &refresh).await {
            Ok(created) => self.replaced(context, &created).await,
            Err(error) if valid => {
                tracing::warn!(
                    error.kind = ?error.kind(),
                    error.code = error.code(),
                    "the SSO token could not be refreshed, and is used on"
                );
                Ok(self)
            }
            Err(error) => {
                Err(expired(&format!(", and {}", error.message())).with_retryable(error.is_retryable()))
            }
        }
    }

    /// The body of CreateToken, if the file has what it needs.
    fn refresh_request(&self, now: Timestamp) -> Option<Secret<Vec<u8>>> {
        let registered = self.object.text("registrationExpiresAt").and_then(parse_time);
        if registered.is_some_and(|until| until <= now) {
            return None;
        }
        let mut body = Object::parse(br#"{"grantType": "refresh_token"}"#).ok()?;
        for name in ["clientId", "clientSecret", "refreshToken"] {
            body.set(name, self.object.text(name)?);
        }
        Some(body.to_bytes())
    }

    /// Takes the new token over, and leaves it for the next program.
    async fn replaced(mut self, context: &Context, created: &Object) -> Result<Self, Error> {
        let unusable = || provider(format!("SSO OIDC answered without a token: {LOGIN}"));
        let access = created.text("accessToken").ok_or_else(unusable)?;
        let lasts = created.number("expiresIn").and_then(|s| u64::try_from(s).ok()).ok_or_else(unusable)?;
        let now = context.tasks.now().wall;
        let expires_at = Timestamp::from_unix(now.unix_seconds(), 0)
            .unwrap_or(now)
            .saturating_add(Duration::from_secs(lasts));
        self.object.set("accessToken", access);
        self.object.set("expiresAt", &expires_at.rfc3339());
        if let Some(refresh) = created.text("refreshToken") {
            self.object.set("refreshToken", refresh);
        }
        self.expires_at = expires_at;
        if let Err(error) = context.tasks.save_file(self.path.clone(), self.object.to_bytes()).await {
            // It serves this program anyway.
            tracing::warn!(reason = error.message(), "the refreshed SSO token could not be kept");
        }
        Ok(self)
    }
}

/// CreateToken of SSO OIDC.
async fn create_token(
    context: &Context,
    region: &Region,
    token: &Object,
    body: &Secret<Vec<u8>>,
) -> Result<Object, Error> {
    let base = context.service_url(&OIDC, region)?;
    let uri = uri(format!("{base}/token"))?;
    let request = |_: Now| {
        let mut request = get(&uri, HeaderMap::new());
        *request.method_mut() = Method::POST;
        request.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        let body = zeroize::Zeroizing::new(body.expose().clone());
        *request.body_mut() = Payload::Bytes(bytes::Bytes::from_owner(body));
        Ok(request)
    };
    let what = "refreshing it at SSO OIDC";
    let secrets =
        ["clientSecret", "refreshToken", "accessToken"].map(|name| token.text(name).unwrap_or_default());
    let answer = send(&context.tasks, &Patience::remote(), &request, json_refusal).await;
    let answer = answer.map_err(|error| failed(&what, &error, &secrets))?;
    Object::parse(answer.body().expose()).map_err(|why| provider(format!("{what} failed: {why}")))
}

/// Credentials that `aws login` has left. To get new ones takes a signature with the key of the session, which
/// is left to the AWS CLI.
pub(super) async fn login(context: &Context, session: &str) -> Result<Credentials, Error> {
    const AGAIN: &str = "log in with `aws login`";
    let file = format!("{}.json", hex(&Sha256::digest(session.trim().as_bytes())));
    let path = match context.environment().get("AWS_LOGIN_CACHE_DIRECTORY") {
        Some(folder) => Some(Path::new(folder).join(file)),
        None => home_file(context.environment(), &[".aws", "login", "cache", &file]),
    };
    let path = path.ok_or_else(|| {
        provider("the home directory, where login sessions are kept, is not known".to_owned())
    })?;
    let mut object = read_object(context, &path, AGAIN).await?;
    let unusable = |why: &str| {
        provider(format!("the login session in {} cannot be used: {why}: {AGAIN}", path.display()))
    };
    let token = object.take_object("accessToken").ok_or_else(|| unusable("there is no accessToken in it"))?;
    let credentials = token.credentials("sessionToken", "expiresAt").map_err(|why| unusable(&why))?;
    match credentials.expires_at() {
        Some(at) if at > context.tasks.now().wall => Ok(credentials),
        Some(_) => Err(unusable("it has expired, and only the AWS CLI can renew it")),
        None => Err(unusable("there is no expiresAt in it")),
    }
}

async fn read_object(context: &Context, path: &Path, remedy: &str) -> Result<Object, Error> {
    let shown = path.display();
    let content = context.tasks.try_file(path.to_owned()).await?;
    let content = content.map_err(|why| provider(format!("{shown} could not be read: {why}")))?;
    let content = content.ok_or_else(|| provider(format!("{shown} does not exist: {remedy}")))?;
    Object::parse(content.expose())
        .map_err(|why| provider(format!("{shown} cannot be used: {why}: {remedy}")))
}

/// Older versions of the AWS CLI wrote `2020-06-17T10:02:08UTC`.
fn parse_time(text: &str) -> Option<Timestamp> {
    match text.strip_suffix("UTC") {
        Some(time) => Timestamp::parse_rfc3339(&format!("{time}Z")),
        None => Timestamp::parse_rfc3339(text),
    }
}

fn uri(text: String) -> Result<Uri, Error> {
    Uri::try_from(text).map_err(|e| provider(format!("the endpoint of SSO is no URL: {e}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_time_of_older_tools_is_understood() {
        let expected = parse_time("2020-06-17T10:02:08Z");
        assert!(expected.is_some());
        assert_eq!(parse_time("2020-06-17T10:02:08UTC"), expected);
        assert_eq!(parse_time("soon"), None);
    }
}
