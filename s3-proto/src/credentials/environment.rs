//! Environment variables, as a snapshot that a driver takes.

use std::collections::BTreeMap;
use std::fmt;

use crate::secret::Secret;
use crate::timestamp::Timestamp;
use crate::{Credentials, Error, ErrorKind};

/// The environment variables that mean something to S3 clients, at one moment.
///
/// The core never looks at the environment; a driver hands it over, and may hand over all of it: only
/// [`VARIABLES`](Self::VARIABLES) are kept. `Debug` does not show secret ones, and values are wiped on drop.
///
/// ```
/// use s3_proto::credentials::{Environment, from_environment};
///
/// let vars = [("AWS_ACCESS_KEY_ID", "AKIDEXAMPLE"), ("AWS_SECRET_ACCESS_KEY", "swordfish"), ("PATH", "/bin")];
/// let env = Environment::from_iter(vars);
/// assert_eq!(env.get("AWS_ACCESS_KEY_ID"), Some("AKIDEXAMPLE"));
/// assert_eq!(env.get("PATH"), None);
/// assert!(!format!("{env:?}").contains("swordfish"));
/// assert_eq!(from_environment(&env)?.unwrap().access_key_id(), "AKIDEXAMPLE");
/// # Ok::<(), s3_proto::Error>(())
/// ```
#[derive(Clone, Default)]
pub struct Environment {
    values: BTreeMap<&'static str, Secret<String>>,
}

impl Environment {
    /// The variables that are looked at. Source: "Environment variables" in the AWS SDKs and Tools reference
    /// guide, <https://docs.aws.amazon.com/sdkref/latest/guide/settings-reference.html>.
    pub const VARIABLES: &'static [&'static str] = &[
        // Key pair.
        "AWS_ACCESS_KEY_ID",
        "AWS_SECRET_ACCESS_KEY",
        "AWS_SESSION_TOKEN",
        "AWS_CREDENTIAL_EXPIRATION",
        "AWS_ACCOUNT_ID",
        // Profile files, and the home that they lie in.
        "AWS_PROFILE",
        "AWS_CONFIG_FILE",
        "AWS_SHARED_CREDENTIALS_FILE",
        "HOME",
        "USERPROFILE",
        "HOMEDRIVE",
        "HOMEPATH",
        // Where requests go.
        "AWS_REGION",
        "AWS_DEFAULT_REGION",
        "AWS_ENDPOINT_URL",
        "AWS_ENDPOINT_URL_S3",
        "AWS_ENDPOINT_URL_STS",
        "AWS_ENDPOINT_URL_SSO",
        "AWS_ENDPOINT_URL_SSO_OIDC",
        "AWS_IGNORE_CONFIGURED_ENDPOINT_URLS",
        "AWS_USE_FIPS_ENDPOINT",
        "AWS_USE_DUALSTACK_ENDPOINT",
        "AWS_S3_USE_ARN_REGION",
        "AWS_S3_DISABLE_MULTIREGION_ACCESS_POINTS",
        "AWS_S3_DISABLE_EXPRESS_SESSION_AUTH",
        "AWS_S3_US_EAST_1_REGIONAL_ENDPOINT",
        // How they are sent.
        "AWS_MAX_ATTEMPTS",
        "AWS_RETRY_MODE",
        "AWS_REQUEST_CHECKSUM_CALCULATION",
        "AWS_RESPONSE_CHECKSUM_VALIDATION",
        "AWS_CA_BUNDLE",
        "HTTP_PROXY",
        "HTTPS_PROXY",
        "NO_PROXY",
        "http_proxy",
        "https_proxy",
        "no_proxy",
        // Other sources of credentials.
        "AWS_ROLE_ARN",
        "AWS_ROLE_SESSION_NAME",
        "AWS_WEB_IDENTITY_TOKEN_FILE",
        "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI",
        "AWS_CONTAINER_CREDENTIALS_FULL_URI",
        "AWS_CONTAINER_AUTHORIZATION_TOKEN",
        "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE",
        "AWS_EC2_METADATA_DISABLED",
        "AWS_EC2_METADATA_V1_DISABLED",
        "AWS_EC2_METADATA_SERVICE_ENDPOINT",
        "AWS_EC2_METADATA_SERVICE_ENDPOINT_MODE",
        "AWS_METADATA_SERVICE_TIMEOUT",
        "AWS_METADATA_SERVICE_NUM_ATTEMPTS",
        "AWS_LOGIN_CACHE_DIRECTORY",
    ];

    /// The value of a variable; `None` if it is not set, is empty, or is not among
    /// [`VARIABLES`](Self::VARIABLES).
    pub fn get(&self, name: &str) -> Option<&str> {
        self.values.get(name).map(|value| value.expose().as_str())
    }

    /// The value without white space around it, which a shell or a mounted secret easily adds.
    pub(super) fn trimmed(&self, name: &str) -> Option<&str> {
        self.get(name).map(str::trim).filter(|value| !value.is_empty())
    }
}

impl<K: AsRef<str>, V: Into<String>> FromIterator<(K, V)> for Environment {
    fn from_iter<I: IntoIterator<Item = (K, V)>>(pairs: I) -> Self {
        let known = |(name, value): (K, V)| {
            let name = Self::VARIABLES.iter().find(|known| **known == name.as_ref())?;
            let value: String = value.into();
            (!value.is_empty()).then(|| (*name, Secret::new(value)))
        };
        Self { values: pairs.into_iter().filter_map(known).collect() }
    }
}

impl fmt::Debug for Environment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let hidden = |name: &str, value: &str| {
            // The path to a container's credentials may be as good as a token; a proxy or endpoint may have a password
            // in its URL.
            matches!(
                name,
                "AWS_SECRET_ACCESS_KEY"
                    | "AWS_SESSION_TOKEN"
                    | "AWS_CONTAINER_AUTHORIZATION_TOKEN"
                    | "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI"
                    | "AWS_CONTAINER_CREDENTIALS_FULL_URI"
            ) || value.contains('@')
                || value.contains('?')
        };
        let shown = self.values.iter().map(|(name, value)| {
            let value = value.expose().as_str();
            (name, if hidden(name, value) { "**" } else { value })
        });
        f.debug_map().entries(shown).finish()
    }
}

/// Credentials from `AWS_ACCESS_KEY_ID`, `AWS_SECRET_ACCESS_KEY` and `AWS_SESSION_TOKEN`; `None` if neither
/// of the first two is set.
///
/// White space around the values does not count. `AWS_CREDENTIAL_EXPIRATION` tells when temporary ones end.
///
/// # Errors
/// [`ErrorKind::IncompleteCredentials`] if only one half of the pair is set: going on would use keys that
/// the user did not mean.
pub fn from_environment(env: &Environment) -> Result<Option<Credentials>, Error> {
    let (id_name, secret_name) = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY");
    let incomplete = |set: &str, missing: &str| {
        let message = format!("environment variable {set} is set, but {missing} is not");
        Err(Error::new(ErrorKind::IncompleteCredentials, message))
    };
    let (id, secret) = match (env.trimmed(id_name), env.trimmed(secret_name)) {
        (Some(id), Some(secret)) => (id, secret),
        (Some(_), None) => return incomplete(id_name, secret_name),
        (None, Some(_)) => return incomplete(secret_name, id_name),
        (None, None) => return Ok(None),
    };
    let token = env.trimmed("AWS_SESSION_TOKEN");
    let mut credentials = key_pair("environment variables", id, secret, token)?;
    if let Some(account) = env.trimmed("AWS_ACCOUNT_ID") {
        credentials = credentials.with_account_id(account);
    }
    let expiry = env.trimmed("AWS_CREDENTIAL_EXPIRATION").and_then(Timestamp::parse);
    Ok(Some(match expiry.filter(|_| token.is_some()) {
        Some(at) => credentials.with_expiry(at),
        None => credentials,
    }))
}

/// Puts a pair together; `from` says in an error where it comes from.
pub(super) fn key_pair(
    from: &str,
    id: &str,
    secret: &str,
    token: Option<&str>,
) -> Result<Credentials, Error> {
    let credentials =
        Credentials::new(id, secret).map_err(|e| Error::new(e.kind(), format!("{from}: {}", e.message())))?;
    let Some(token) = token else { return Ok(credentials) };
    // It goes into a header.
    if !token.bytes().all(|b| b.is_ascii_graphic()) {
        let message = format!("{from}: the session token has a character other than visible ASCII");
        return Err(Error::new(ErrorKind::InvalidInput, message));
    }
    Ok(credentials.with_session_token(token))
}
