//! A role for whoever has a token of an identity provider, such as a Kubernetes service account.

use std::path::PathBuf;

use zeroize::Zeroizing;

use super::ask::provider;
use super::context::{Context, Found};
use super::sts::Sts;
use crate::{Credentials, Error, ErrorKind};

const TOKEN_FILE: &str = "AWS_WEB_IDENTITY_TOKEN_FILE";
const ROLE: &str = "AWS_ROLE_ARN";

/// As the environment says.
pub(super) async fn from_environment(context: &Context) -> Result<Found<Credentials>, Error> {
    let env = context.environment();
    let Some(path) = env.get(TOKEN_FILE) else {
        return Ok(Found::Nothing(format!("{TOKEN_FILE} is not set")));
    };
    let Some(role) = env.trimmed(ROLE) else {
        let message = format!("environment variable {TOKEN_FILE} is set, but {ROLE} is not");
        return Err(Error::new(ErrorKind::Configuration, message));
    };
    let session = env.trimmed("AWS_ROLE_SESSION_NAME");
    credentials(context, role, session, PathBuf::from(path)).await.map(Found::Some)
}

/// Takes the role on with the token that is in the file at this moment: it is replaced from time to time.
pub(super) async fn credentials(
    context: &Context,
    role: &str,
    session: Option<&str>,
    path: PathBuf,
) -> Result<Credentials, Error> {
    let shown = path.display().to_string();
    let content = context.tasks.try_file(path).await?;
    let content = content
        .map_err(|why| provider(format!("the web identity token in {shown} could not be read: {why}")))?;
    let content = content.ok_or_else(|| {
        provider(format!("the web identity token should be in {shown}, which does not exist"))
    })?;
    let token = std::str::from_utf8(content.expose()).ok().map(str::trim).filter(|token| !token.is_empty());
    let token = token.ok_or_else(|| provider(format!("{shown} holds no web identity token")))?;
    let token = Zeroizing::new(token.to_owned());
    Sts::new(context)?.assume_role_with_web_identity(context, role, session, &token).await
}
