//! Credentials from a profile.

use super::environment::key_pair;
use super::profile_files::{ProfileSet, Section};
use crate::{Credentials, Error, ErrorKind};

/// Credentials from the key pair of a profile; `None` if there is no such profile, or it has none.
///
/// The two halves may stand in different files, since AWS merges them. A session token counts only if it
/// stands in the file of the secret: one that is left over in the other file would spoil a good pair.
///
/// # Errors
/// [`ErrorKind::IncompleteCredentials`] if only one half is there, and [`ErrorKind::Configuration`] if the
/// profile asks for another source of credentials that is not supported yet.
pub fn from_profile(profiles: &ProfileSet, name: &str) -> Result<Option<Credentials>, Error> {
    let Some(profile) = profiles.profile(name) else { return Ok(None) };
    refuse_unsupported(profile, name)?;
    let (id_name, secret_name, token_name) =
        ("aws_access_key_id", "aws_secret_access_key", "aws_session_token");
    let incomplete = |set: &str, missing: &str| {
        let place = profile.place(set).unwrap_or_default();
        let message = format!("profile '{name}' has {set} ({place}), but no {missing}");
        Err(Error::new(ErrorKind::IncompleteCredentials, message))
    };
    let (id, secret) = match (profile.get(id_name), profile.get(secret_name)) {
        (Some(id), Some(secret)) => (id, secret),
        (Some(_), None) => return incomplete(id_name, secret_name),
        (None, Some(_)) => return incomplete(secret_name, id_name),
        (None, None) => return Ok(None),
    };
    let same_file = profile.file(token_name) == profile.file(secret_name);
    let token = profile.get(token_name).filter(|_| same_file);
    let from = format!("profile '{name}' ({})", profile.place(id_name).unwrap_or_default());
    key_pair(&from, id, secret, token).map(Some)
}

/// What a profile can ask for, in the order in which the AWS SDKs look; a key pair comes last.
const OTHER_SOURCES: &[(&[&str], &str)] = &[
    (&["role_arn"], "assuming a role"),
    (&["web_identity_token_file"], "a web identity token"),
    (&["sso_session", "sso_start_url", "sso_account_id", "sso_role_name"], "IAM Identity Center (SSO)"),
    (&["login_session"], "a login session"),
    (&["credential_process"], "an external program"),
];

/// To use a key pair beside them would be to act as somebody else than the profile says.
fn refuse_unsupported(profile: &Section, name: &str) -> Result<(), Error> {
    for (properties, what) in OTHER_SOURCES {
        if let Some(property) = properties.iter().find(|p| profile.get(p).is_some()) {
            let place = profile.place(property).unwrap_or_default();
            let message = format!(
                "profile '{name}' takes its credentials from {what} ({property}, {place}), which is not \
                 supported yet"
            );
            return Err(Error::new(ErrorKind::Configuration, message));
        }
    }
    Ok(())
}
