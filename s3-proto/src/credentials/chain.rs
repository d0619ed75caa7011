//! The default order of sources.

use std::sync::Arc;

use super::container;
use super::context::{Context, Found};
use super::environment::{Environment, from_environment};
use super::imds::{self, ImdsMode, Memory};
use super::profile;
use super::web_identity;
use crate::endpoint::Region;
use crate::script::{Flow, Tasks};
use crate::{Credentials, Error, ErrorKind};

/// Looks for credentials where the AWS SDK for Rust does, in its order: environment, profile (with all that it
/// may name: other profiles, roles, programs, SSO), web identity token, container, instance metadata.
///
/// A source that does not apply is passed over; one that applies and fails is an error, since going on would
/// use credentials that the user did not mean. Cheap to clone; clones share what they find out about the
/// instance metadata service.
#[derive(Clone, Debug)]
pub struct DefaultChain(Arc<Inner>);

#[derive(Clone, Debug)]
struct Inner {
    environment: Environment,
    profile: Option<String>,
    region: Option<Region>,
    fallback_region: Option<Region>,
    imds_endpoint: Option<String>,
    imds_mode: Option<ImdsMode>,
    memory: Memory,
    /// Named here alone, so that a program with keys of its own does not link what it never asks.
    ask: fn(Tasks, DefaultChain) -> Flow<Credentials>,
}

impl DefaultChain {
    /// With what this environment says.
    pub fn new(environment: Environment) -> Self {
        Self(Arc::new(Inner {
            environment,
            profile: None,
            region: None,
            fallback_region: None,
            imds_endpoint: None,
            imds_mode: None,
            memory: Memory::default(),
            ask: |tasks, chain| Box::pin(credentials(tasks, chain)),
        }))
    }

    /// With this profile, whatever `AWS_PROFILE` says.
    pub fn with_profile(self, name: impl Into<String>) -> Self {
        self.with(|inner| inner.profile = Some(name.into()))
    }

    /// Roles are taken on in this region, whatever environment and profile say.
    pub fn with_region(self, region: Region) -> Self {
        self.with(|inner| inner.region = Some(region))
    }

    /// With the instance metadata service at this URL, such as `http://127.0.0.1:1338`.
    pub fn with_imds_endpoint(self, url: impl Into<String>) -> Self {
        self.with(|inner| inner.imds_endpoint = Some(url.into()))
    }

    /// With the instance metadata service reached in this way, unless an endpoint is set.
    pub fn with_imds_mode(self, mode: ImdsMode) -> Self {
        self.with(|inner| inner.imds_mode = Some(mode))
    }

    /// Roles are taken on in this region if neither environment nor profile name one.
    pub(crate) fn or_region(self, region: Region) -> Self {
        self.with(|inner| inner.fallback_region = Some(region))
    }

    fn with(mut self, change: impl FnOnce(&mut Inner)) -> Self {
        change(Arc::make_mut(&mut self.0));
        self
    }

    /// Asks one source after the other.
    pub(super) fn ask(&self, tasks: Tasks) -> Flow<Credentials> {
        (self.0.ask)(tasks, self.clone())
    }

    pub(super) fn environment(&self) -> &Environment {
        &self.0.environment
    }

    pub(super) fn profile(&self) -> Option<&str> {
        self.0.profile.as_deref()
    }

    pub(super) fn region(&self) -> Option<&Region> {
        self.0.region.as_ref()
    }

    pub(super) fn fallback_region(&self) -> Option<&Region> {
        self.0.fallback_region.as_ref()
    }

    pub(super) fn imds_endpoint(&self) -> Option<&str> {
        self.0.imds_endpoint.as_deref()
    }

    pub(super) fn imds_mode(&self) -> Option<ImdsMode> {
        self.0.imds_mode
    }

    pub(super) fn memory(&self) -> &Memory {
        &self.0.memory
    }
}

async fn credentials(tasks: Tasks, chain: DefaultChain) -> Result<Credentials, Error> {
    let mut tried = String::from(
        "no credentials were found: in the environment, neither AWS_ACCESS_KEY_ID nor AWS_SECRET_ACCESS_KEY is set",
    );
    if let Some(credentials) = from_environment(chain.environment())? {
        return Ok(credentials);
    }
    let context = Context::read(tasks, chain).await?;
    let mut why = |name: &str, reason: String| {
        tracing::debug!(source = name, %reason, "no credentials there");
        tried.push_str("; ");
        if !name.is_empty() {
            tried.push_str(name);
            tried.push_str(": ");
        }
        tried.push_str(&reason);
    };
    match profile::credentials(&context).await? {
        Found::Some(credentials) => return Ok(credentials),
        Found::Nothing(reason) => why("", reason),
    }
    match web_identity::from_environment(&context).await? {
        Found::Some(credentials) => return Ok(credentials),
        Found::Nothing(reason) => why("web identity token", reason),
    }
    match container::credentials(&context.tasks, context.environment()).await? {
        Found::Some(credentials) => return Ok(credentials),
        Found::Nothing(reason) => why("container", reason),
    }
    match imds::credentials(&context).await? {
        Found::Some(credentials) => return Ok(credentials),
        Found::Nothing(reason) => why("instance metadata service", reason),
    }
    Err(Error::new(ErrorKind::NoCredentials, tried))
}
