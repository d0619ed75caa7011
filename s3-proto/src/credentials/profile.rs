//! What a profile says about credentials: where they come from, and which roles are taken on with them.

use std::time::Duration;

use super::container;
use super::context::{Context, Found};
use super::environment::{from_environment, key_pair};
use super::imds;
use super::locations::user_path;
use super::process;
use super::profile_files::{ProfileSet, Section};
use super::sso::{self, Sso};
use super::sts::{AssumeRole, Sts};
use super::web_identity;
use crate::secret::Secret;
use crate::{Credentials, Error, ErrorKind};

/// Where the credentials of a profile come from.
///
/// `Debug` shows no secret.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ProfileChain {
    /// Where the first credentials come from.
    pub base: ProfileBase,
    /// The roles that are then taken on, each with the credentials of the one before.
    pub roles: Vec<AssumeRole>,
}

/// A source of credentials that needs no others.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ProfileBase {
    /// `aws_access_key_id` and `aws_secret_access_key`.
    Static(Credentials),
    /// `credential_source`: `Environment`, `Ec2InstanceMetadata` or `EcsContainer`.
    Source(String),
    /// `role_arn` with `web_identity_token_file`.
    WebIdentity {
        /// The role.
        role_arn: String,
        /// Where the token is.
        token_file: String,
        /// What the session is called.
        session_name: Option<String>,
    },
    /// IAM Identity Center.
    Sso(Sso),
    /// `login_session`: what `aws login` has left.
    Login(String),
    /// `credential_process`.
    Process {
        /// The command, which may be secret.
        command: Secret<String>,
        /// File and line, for messages.
        place: String,
        /// `aws_account_id`, if the program does not say it.
        account_id: Option<String>,
    },
}

/// Finds out where the credentials of a profile come from.
///
/// ```
/// use s3_proto::credentials::{ProfileBase, ProfileSet, profile_chain};
///
/// let config = "[profile work]\nrole_arn = arn:aws:iam::1:role/r\nsource_profile = base\n\
///               [profile base]\naws_access_key_id = AKIDEXAMPLE\naws_secret_access_key = swordfish\n";
/// let chain = profile_chain(&ProfileSet::parse(config, "")?, "work")?;
/// assert!(matches!(chain.base, ProfileBase::Static(_)));
/// assert_eq!(chain.roles[0].role_arn, "arn:aws:iam::1:role/r");
/// # Ok::<(), s3_proto::Error>(())
/// ```
///
/// # Errors
/// [`ErrorKind::NoCredentials`] if there is no such profile, or it says nothing about credentials: then the
/// next source of the default chain is asked. [`ErrorKind::IncompleteCredentials`] for half of a pair,
/// [`ErrorKind::Configuration`] for what contradicts itself.
pub fn profile_chain(profiles: &ProfileSet, name: &str) -> Result<ProfileChain, Error> {
    let mut roles = Vec::new();
    let mut visited: Vec<&str> = Vec::new();
    let mut current = name;
    let base = loop {
        let profile = match (profiles.profile(current), visited.last()) {
            (Some(profile), _) => Profile { set: profiles, section: profile, name: current },
            (None, None) => return Err(missing(profiles, current)),
            (None, Some(from)) => {
                return Err(configuration(format!(
                    "could not find source profile '{}' referenced from '{from}'",
                    current.escape_debug()
                )));
            }
        };
        if visited.contains(&current) {
            visited.push(current);
            return Err(configuration(format!(
                "the profiles lead back to themselves by source_profile: {}",
                visited.join(" -> ")
            )));
        }
        visited.push(current);
        // Keys that stand in a profile which another one names as its source go before its own role.
        if visited.len() > 1
            && let Ok(Some(credentials)) = profile.key_pair()
        {
            break ProfileBase::Static(credentials);
        }
        let Some(role) = profile.role()? else { break profile.base(visited.len() == 1)? };
        roles.push(role);
        match profile.source()? {
            Some(next) => current = next,
            None => break profile.base(false)?,
        }
    };
    roles.reverse();
    Ok(ProfileChain { base, roles })
}

fn missing(profiles: &ProfileSet, name: &str) -> Error {
    let name = name.escape_debug();
    let message = if profiles.profile_names().next().is_none() {
        format!("no profiles are defined, so there is no profile '{name}'")
    } else {
        format!("profile '{name}' is in neither profile file")
    };
    Error::new(ErrorKind::NoCredentials, message)
}

struct Profile<'a> {
    set: &'a ProfileSet,
    section: &'a Section,
    name: &'a str,
}

impl<'a> Profile<'a> {
    fn get(&self, property: &str) -> Option<&'a str> {
        self.section.get(property)
    }

    fn owned(&self, property: &str) -> Option<String> {
        self.get(property).map(ToOwned::to_owned)
    }

    fn wrong(&self, property: &str, why: &str) -> Error {
        let place = self.section.place(property).map(|place| format!(" ({place})")).unwrap_or_default();
        configuration(format!("profile '{}'{place}: {why}", self.name))
    }

    /// The role that it takes on. With a web identity token the role is a beginning, and no step on the way.
    fn role(&self) -> Result<Option<AssumeRole>, Error> {
        let Some(role_arn) = self.owned("role_arn") else { return Ok(None) };
        if self.get("web_identity_token_file").is_some() {
            return Ok(None);
        }
        let duration = match self.get("duration_seconds").map(str::parse::<u64>) {
            None => None,
            Some(Ok(seconds @ 900..=43_200)) => Some(Duration::from_secs(seconds)),
            Some(_) => {
                let why = "duration_seconds must be between 900 and 43200";
                return Err(self.wrong("duration_seconds", why));
            }
        };
        Ok(Some(AssumeRole {
            role_arn,
            external_id: self.owned("external_id"),
            session_name: self.owned("role_session_name"),
            duration,
            mfa_serial: self.owned("mfa_serial"),
        }))
    }

    /// The profile with whose credentials it takes the role on; `None` for itself.
    fn source(&self) -> Result<Option<&'a str>, Error> {
        match (self.get("source_profile"), self.get("credential_source")) {
            (Some(_), Some(_)) => Err(self.wrong(
                "credential_source",
                "there are both source_profile and credential_source, of which only one is allowed",
            )),
            (None, None) => {
                Err(self
                    .wrong("role_arn", "a role_arn needs a source_profile or a credential_source beside it"))
            }
            (Some(next), None) => Ok((next != self.name).then_some(next)),
            (None, Some(_)) => Ok(None),
        }
    }

    /// `passes` says whether it may go on to another source if there is nothing here.
    fn base(&self, passes: bool) -> Result<ProfileBase, Error> {
        if let Some(source) = self.owned("credential_source") {
            return Ok(ProfileBase::Source(source));
        }
        match (self.owned("role_arn"), self.owned("web_identity_token_file")) {
            (Some(role_arn), Some(token_file)) => {
                let session_name = self.owned("role_session_name");
                return Ok(ProfileBase::WebIdentity { role_arn, token_file, session_name });
            }
            (None, Some(_)) => {
                let property = "web_identity_token_file";
                return Err(self.wrong(property, "web_identity_token_file needs a role_arn beside it"));
            }
            (_, None) => {}
        }
        if let Some(sso) = self.sso()? {
            return Ok(ProfileBase::Sso(sso));
        }
        if let Some(session) = self.owned("login_session") {
            return Ok(ProfileBase::Login(session));
        }
        if let Some(command) = self.get("credential_process") {
            let place = self.section.place("credential_process").unwrap_or_default();
            let account_id = self.owned("aws_account_id");
            return Ok(ProfileBase::Process { command: command.into(), place, account_id });
        }
        match self.key_pair()? {
            Some(credentials) => Ok(ProfileBase::Static(credentials)),
            None if passes => {
                let message =
                    format!("profile '{}' says nothing about credentials", self.name.escape_debug());
                Err(Error::new(ErrorKind::NoCredentials, message))
            }
            None => Err(configuration(format!(
                "profile '{}' has to give the first credentials of a chain, but has none: add aws_access_key_id \
                 and aws_secret_access_key, or another source",
                self.name
            ))),
        }
    }

    fn sso(&self) -> Result<Option<Sso>, Error> {
        let names = ["sso_session", "sso_start_url", "sso_region", "sso_account_id", "sso_role_name"];
        let Some(first) = names.into_iter().find(|name| self.get(name).is_some()) else { return Ok(None) };
        let session = self.owned("sso_session");
        let (mut start_url, mut region) = (self.owned("sso_start_url"), self.owned("sso_region"));
        if let Some(session) = &session {
            for (name, value) in [("sso_start_url", &start_url), ("sso_region", &region)] {
                if value.is_some() {
                    let why = format!(
                        "`{name}` can only stand in the section [sso-session {session}], where the rest is"
                    );
                    return Err(self.wrong(name, &why));
                }
            }
            let Some(section) = self.set.sso_session(session) else {
                let why = format!(
                    "it names the SSO session '{}', but there is no section [sso-session {0}]",
                    session.escape_debug()
                );
                return Err(self.wrong("sso_session", &why));
            };
            start_url = section.get("sso_start_url").map(ToOwned::to_owned);
            region = section.get("sso_region").map(ToOwned::to_owned);
        }
        let role = match (self.owned("sso_account_id"), self.owned("sso_role_name")) {
            (Some(account), Some(role)) => Some((account, role)),
            (None, None) => None,
            (None, Some(_)) => {
                return Err(self.wrong(
                    "sso_role_name",
                    "if `sso_role_name` is set, then `sso_account_id` must also be set",
                ));
            }
            (Some(_), None) => {
                return Err(self.wrong(
                    "sso_account_id",
                    "if `sso_account_id` is set, then `sso_role_name` must also be set",
                ));
            }
        };
        match (start_url, region) {
            (Some(start_url), Some(region)) => Ok(Some(Sso { session, start_url, region, role })),
            (None, _) => Err(self.wrong(first, "`sso_start_url` must be set for SSO")),
            (_, None) => Err(self.wrong(first, "`sso_region` must be set for SSO")),
        }
    }

    /// The two halves may stand in different files, since AWS merges them. A session token counts only if it
    /// stands in the file of the secret: one that is left over in the other file would spoil a good pair.
    fn key_pair(&self) -> Result<Option<Credentials>, Error> {
        let (id_name, secret_name, token_name) =
            ("aws_access_key_id", "aws_secret_access_key", "aws_session_token");
        let profile = self.section;
        let incomplete = |set: &str, missing: &str| {
            let place = profile.place(set).unwrap_or_default();
            let problems = self.set.problems_in_brackets();
            let message = format!("profile '{}' has {set} ({place}), but no {missing}{problems}", self.name);
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
        let from = format!("profile '{}' ({})", self.name, profile.place(id_name).unwrap_or_default());
        let credentials = key_pair(&from, id, secret, token)?;
        Ok(Some(match self.get("aws_account_id") {
            Some(account) => credentials.with_account_id(account),
            None => credentials,
        }))
    }
}

/// Gets the credentials of the profile that is meant.
pub(super) async fn credentials(context: &Context) -> Result<Found<Credentials>, Error> {
    let chain = match profile_chain(&context.profiles, &context.profile) {
        Ok(chain) => chain,
        Err(error) if error.kind() == ErrorKind::NoCredentials => {
            let message = error.message();
            if context.environment().get("AWS_PROFILE").is_some() || context.chain.profile().is_some() {
                tracing::warn!(reason = message, "the profile is passed over");
            }
            return Ok(Found::Nothing(format!("{message}{}", context.profiles.problems_in_brackets())));
        }
        Err(error) => return Err(error),
    };
    let mut credentials = base(context, &chain.base).await?;
    if !chain.roles.is_empty() {
        let sts = Sts::new(context)?;
        for role in &chain.roles {
            credentials = sts.assume_role(context, &credentials, role).await?;
        }
    }
    Ok(Found::Some(credentials))
}

async fn base(context: &Context, base: &ProfileBase) -> Result<Credentials, Error> {
    match base {
        ProfileBase::Static(credentials) => Ok(credentials.clone()),
        ProfileBase::Source(name) => {
            let found = match name.as_str() {
                "Environment" => match from_environment(context.environment())? {
                    Some(credentials) => Found::Some(credentials),
                    None => Found::Nothing("AWS_ACCESS_KEY_ID is not set".to_owned()),
                },
                "Ec2InstanceMetadata" => imds::credentials(context).await?,
                "EcsContainer" => container::credentials(&context.tasks, context.environment()).await?,
                _ => Found::Nothing(
                    "that is none of Environment, Ec2InstanceMetadata and EcsContainer".to_owned(),
                ),
            };
            match found {
                Found::Some(credentials) => Ok(credentials),
                Found::Nothing(why) => Err(configuration(format!(
                    "profile '{}' wants the credential_source '{}', which has none: {why}",
                    context.profile,
                    name.escape_debug()
                ))),
            }
        }
        ProfileBase::WebIdentity { role_arn, token_file, session_name } => {
            let path = user_path(context.environment(), token_file);
            web_identity::credentials(context, role_arn, session_name.as_deref(), path).await
        }
        ProfileBase::Sso(sso) => sso::credentials(context, sso).await,
        ProfileBase::Login(session) => sso::login(context, session).await,
        ProfileBase::Process { command, place, account_id } => {
            let credentials = process::credentials(&context.tasks, command, place).await?;
            Ok(match account_id {
                Some(id) if credentials.account_id().is_none() => credentials.with_account_id(id),
                _ => credentials,
            })
        }
    }
}

fn configuration(message: String) -> Error {
    Error::new(ErrorKind::Configuration, message)
}
