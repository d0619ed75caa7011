//! The default order of sources.

use super::environment::{Environment, from_environment};
use super::profile::from_profile;
use super::profile_files::ProfileSet;
use crate::{Credentials, Error, ErrorKind};

/// Takes credentials from the environment, else from the profile.
///
/// A source that does not apply is passed over; one that applies and is wrong is an error, since going
/// on would use credentials that the user did not mean.
///
/// ```
/// use s3_proto::ErrorKind;
/// use s3_proto::credentials::{Environment, ProfileSet, default_chain};
///
/// let profiles = ProfileSet::parse("[default]\nregion = eu-west-1\n", "")?;
/// let error = default_chain(&Environment::default(), &profiles, "default").unwrap_err();
/// assert_eq!(error.kind(), ErrorKind::NoCredentials);
/// assert_eq!(
///     error.message(),
///     "no credentials were found: in the environment, neither AWS_ACCESS_KEY_ID nor AWS_SECRET_ACCESS_KEY is \
///      set; profile 'default' has no access key"
/// );
/// # Ok::<(), s3_proto::Error>(())
/// ```
///
/// # Errors
/// [`ErrorKind::NoCredentials`], with what was tried and why it did not apply;
/// [`ErrorKind::IncompleteCredentials`] for half of a pair; and what [`from_profile`] says.
pub fn default_chain(env: &Environment, profiles: &ProfileSet, profile: &str) -> Result<Credentials, Error> {
    if let Some(credentials) = from_environment(env)? {
        return Ok(credentials);
    }
    // A file that could not be used may hold what is missing.
    let problems = match profiles.problems() {
        [] => String::new(),
        problems => format!(" ({})", problems.join("; ")),
    };
    match from_profile(profiles, profile) {
        Ok(Some(credentials)) => return Ok(credentials),
        Ok(None) => {}
        Err(error) => return Err(Error::new(error.kind(), format!("{}{problems}", error.message()))),
    }
    let why = match profiles.profile(profile) {
        Some(_) => "has no access key",
        None => "is in neither profile file",
    };
    let message = format!(
        "no credentials were found: in the environment, neither AWS_ACCESS_KEY_ID nor AWS_SECRET_ACCESS_KEY \
         is set; profile '{}' {why}{problems}",
        profile.escape_debug()
    );
    Err(Error::new(ErrorKind::NoCredentials, message))
}
