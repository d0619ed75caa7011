//! What a client needs to know before its first call.

use super::chain::DefaultChain;
use super::context::{Context, Found};
use super::retry_from;
use super::settings::{
    addressing_style_from, endpoint_options_from, endpoint_url_from, request_checksums_from,
    response_checksums_from,
};
use super::{Environment, imds};
use crate::config::Config;
use crate::credentials::CredentialsSource;
use crate::endpoint::ChecksumPolicy;
use crate::machine::{Answer, BodyPlan, Machine, Now, Step, TaskId};
use crate::retry::Rng;
use crate::script::{Script, Tasks};
use crate::{Error, ErrorKind, Phase};

/// Reads region, endpoint, addressing style and retries from the environment and the profile files, as the AWS tools
/// do; credentials are looked up there when the first call needs them.
///
/// If nothing names a region and there is no endpoint of one's own, the instance metadata service is asked for
/// that of this instance.
#[derive(Debug)]
pub struct LoadConfig(Script<Config>);

impl LoadConfig {
    /// From this environment.
    pub fn new(environment: Environment) -> Self {
        Self::with_chain(DefaultChain::new(environment))
    }

    /// From what this chain looks at; it becomes the client's source of credentials.
    pub fn with_chain(chain: DefaultChain) -> Self {
        // Nothing is drawn that others would have to be spread from.
        Self(Script::new(Rng::new(0), |tasks| load(tasks, chain)))
    }
}

async fn load(tasks: Tasks, chain: DefaultChain) -> Result<Config, Error> {
    let context = Context::read(tasks, chain).await?;
    let (environment, profiles, profile) =
        (context.environment(), &context.profiles, context.profile.as_str());
    let endpoint = endpoint_url_from(environment, profiles, profile)?;
    let region = match context.region()? {
        Some(region) => region.as_str().to_owned(),
        // Most other stores do not care, and those that do answer with theirs.
        None if endpoint.is_some() => "us-east-1".to_owned(),
        None => match imds::region(&context).await? {
            Found::Some(region) => region.as_str().to_owned(),
            Found::Nothing(why) => {
                let message = format!(
                    "no region is set (instance metadata service: {why}): set AWS_REGION, or 'region' in \
                     ~/.aws/config, or give one in the configuration"
                );
                return Err(Error::new(ErrorKind::Configuration, message).with_phase(Phase::Resolve));
            }
        },
    };
    let mut config = Config::new(region)?;
    config.credentials = CredentialsSource::Default(context.chain.clone());
    config.endpoint = endpoint;
    config.retry = retry_from(environment, profiles, profile)?;
    if let Some(style) = addressing_style_from(profiles, profile)? {
        config.addressing_style = Some(style);
    }
    config.request_checksums = request_checksums_from(environment, profiles, profile)?;
    if let Some(verify) = response_checksums_from(environment, profiles, profile)? {
        config.verify_checksums = verify == ChecksumPolicy::WhenSupported;
    }
    config.endpoint_options = endpoint_options_from(environment, profiles, profile)?;
    Ok(config)
}

impl Machine for LoadConfig {
    type Item = ();
    type Output = Config;

    fn poll(&mut self, now: Now) -> Step<(), Config> {
        self.0.poll(now)
    }

    fn answer(&mut self, now: Now, id: TaskId, answer: Answer<'_>) -> BodyPlan {
        self.0.answer(now, id, answer)
    }

    fn cancel(&mut self, now: Now) {
        self.0.cancel(now);
    }
}
