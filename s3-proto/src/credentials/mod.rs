//! Who signs: access keys, and where they come from.

mod ask;
mod bucket_sessions;
mod cache;
mod chain;
mod container;
mod context;
mod environment;
mod imds;
mod json;
mod load;
mod locations;
mod process;
mod profile;
mod profile_files;
mod provider;
mod retry_settings;
mod settings;
mod sso;
mod sts;
mod web_identity;

use std::fmt;

pub(crate) use bucket_sessions::session_credentials;
pub use cache::Ticket;
pub(crate) use cache::{Acquired, Cache, Generation, Lease};
pub use chain::DefaultChain;
pub use environment::{Environment, from_environment};
pub use imds::ImdsMode;
pub use load::LoadConfig;
pub use locations::{FileLocations, Platform, file_locations};
pub use profile::{ProfileBase, ProfileChain, profile_chain};
pub use profile_files::{FileRead, ProfileFile, ProfileSet, Section};
pub use provider::{CredentialsProvider, CredentialsSource, FetchCredentials};
pub use retry_settings::retry_from;
pub use settings::{
    addressing_style_from, endpoint_options_from, endpoint_url_from, region_from, request_checksums_from,
    response_checksums_from,
};
pub use sso::Sso;
pub use sts::AssumeRole;

use crate::secret::Secret;
use crate::timestamp::Timestamp;
use crate::{Error, ErrorKind};

/// An access key pair, with a session token if it is temporary.
///
/// The secret parts are wiped when the last copy is dropped, are never shown by `Debug`, and cannot be
/// serialised.
///
/// ```
/// use s3_proto::Credentials;
///
/// let credentials = Credentials::new("AKIDEXAMPLE", "swordfish")?;
/// assert!(!format!("{credentials:?}").contains("swordfish"));
/// # Ok::<(), s3_proto::Error>(())
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct Credentials {
    access_key_id: String,
    secret_access_key: Secret<String>,
    session_token: Option<Secret<String>>,
    expires_at: Option<Timestamp>,
    account_id: Option<String>,
}

impl Credentials {
    /// A long-term key pair.
    ///
    /// # Errors
    /// [`ErrorKind::IncompleteCredentials`] if either half is empty, and [`ErrorKind::InvalidInput`] if the
    /// access key id has a character that cannot stand in a header or in a credential scope.
    pub fn new(
        access_key_id: impl Into<String>,
        secret_access_key: impl Into<Secret<String>>,
    ) -> Result<Self, Error> {
        let (access_key_id, secret_access_key) = (access_key_id.into(), secret_access_key.into());
        let missing = match (access_key_id.is_empty(), secret_access_key.expose().is_empty()) {
            (true, _) => Some("the access key id is empty"),
            (_, true) => Some("the secret access key is empty"),
            _ => None,
        };
        if let Some(missing) = missing {
            return Err(Error::new(ErrorKind::IncompleteCredentials, missing));
        }
        if !access_key_id.bytes().all(|b| b.is_ascii_graphic() && b != b'/' && b != b',') {
            let message = "the access key id has a character other than visible ASCII, or a '/' or ','";
            return Err(Error::new(ErrorKind::InvalidInput, message));
        }
        Ok(Self { access_key_id, secret_access_key, session_token: None, expires_at: None, account_id: None })
    }

    /// Adds the session token of temporary credentials (`x-amz-security-token`).
    pub fn with_session_token(mut self, token: impl Into<Secret<String>>) -> Self {
        self.session_token = Some(token.into());
        self
    }

    /// Adds the time from which the service refuses them.
    pub fn with_expiry(mut self, at: Timestamp) -> Self {
        self.expires_at = Some(at);
        self
    }

    /// Adds the id of the account that they belong to.
    pub fn with_account_id(mut self, id: impl Into<String>) -> Self {
        self.account_id = Some(id.into());
        self
    }

    /// The public half, such as `AKIDEXAMPLE`.
    pub fn access_key_id(&self) -> &str {
        &self.access_key_id
    }

    /// The secret half.
    pub fn secret_access_key(&self) -> &Secret<String> {
        &self.secret_access_key
    }

    /// The session token, for temporary credentials.
    pub fn session_token(&self) -> Option<&Secret<String>> {
        self.session_token.as_ref()
    }

    /// When they expire, if that is known.
    pub fn expires_at(&self) -> Option<Timestamp> {
        self.expires_at
    }

    /// The id of the account that they belong to, such as `123456789012`, if their source told it.
    pub fn account_id(&self) -> Option<&str> {
        self.account_id.as_deref()
    }
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Credentials")
            .field("access_key_id", &self.access_key_id)
            .field("secret_access_key", &self.secret_access_key)
            .field("session_token", &self.session_token)
            .field("expires_at", &self.expires_at)
            .field("account_id", &self.account_id)
            .finish()
    }
}

#[cfg(test)]
mod tests;
