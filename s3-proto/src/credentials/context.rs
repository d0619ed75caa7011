//! What the sources of the chain share: the environment, the profiles, and the way out.

use super::chain::DefaultChain;
use super::environment::Environment;
use super::locations::{FileLocations, Platform, file_locations};
use super::profile_files::{FileRead, ProfileSet};
use super::settings::{flag_from, region_from, service_endpoint_from};
use crate::Error;
use crate::endpoint::Region;
use crate::script::Tasks;

/// Both are cheap to make: once for each fetch, so that a file that was changed is read anew.
pub(super) struct Context {
    pub(super) tasks: Tasks,
    pub(super) chain: DefaultChain,
    pub(super) profiles: ProfileSet,
    /// The name of the profile that is meant.
    pub(super) profile: String,
}

/// A service of AWS that gives out credentials.
pub(super) struct Service {
    /// What it is called in a `[services]` section.
    pub(super) id: &'static str,
    /// The variable that names another endpoint for it.
    pub(super) variable: &'static str,
    /// How its host names begin.
    pub(super) host: &'static str,
}

/// What a source says.
pub(super) enum Found<T> {
    /// These.
    Some(T),
    /// It does not apply here, and why not.
    Nothing(String),
}

impl Context {
    /// Reads both profile files. One that is missing or unusable is passed over; the set remembers why.
    pub(super) async fn read(tasks: Tasks, chain: DefaultChain) -> Result<Self, Error> {
        let mut locations = file_locations(chain.environment(), Platform::CURRENT);
        if let Some(profile) = chain.profile() {
            profile.clone_into(&mut locations.profile);
        }
        let profiles = read_profiles(&tasks, chain.environment(), &locations).await?;
        Ok(Self { tasks, chain, profiles, profile: locations.profile })
    }

    pub(super) fn environment(&self) -> &Environment {
        self.chain.environment()
    }

    /// The region for requests to AWS itself.
    pub(super) fn region(&self) -> Result<Option<Region>, Error> {
        if let Some(region) = self.chain.region() {
            return Ok(Some(region.clone()));
        }
        let configured = region_from(self.environment(), &self.profiles, &self.profile)?;
        Ok(configured.or_else(|| self.chain.fallback_region().cloned()))
    }

    /// The URL of a service of AWS without a slash at its end: what is configured for it, or else its host in
    /// the region.
    pub(super) fn service_url(&self, service: &Service, region: &Region) -> Result<String, Error> {
        let (env, profiles, profile) = (self.environment(), &self.profiles, self.profile.as_str());
        let configured = service_endpoint_from(env, profiles, profile, service.id, service.variable)?;
        if let Some(endpoint) = configured {
            return Ok(endpoint.to_string());
        }
        let flag = |variable, property| flag_from(env, profiles, profile, variable, property);
        let fips = flag("AWS_USE_FIPS_ENDPOINT", "use_fips_endpoint")? == Some(true);
        let dual = flag("AWS_USE_DUALSTACK_ENDPOINT", "use_dualstack_endpoint")? == Some(true);
        // The ordinary hosts in GovCloud are FIPS hosts already.
        let fips = if fips && !region.as_str().starts_with("us-gov-") { "-fips" } else { "" };
        let suffix =
            if dual { region.partition().dual_stack_dns_suffix() } else { region.partition().dns_suffix() };
        Ok(format!("https://{}{fips}.{region}.{suffix}", service.host))
    }

    /// A setting: a variable, or else a property of the profile, with its place.
    pub(super) fn setting(&self, variable: &'static str, property: &str) -> Option<(&str, String)> {
        if let Some(value) = self.environment().get(variable) {
            return Some((value, variable.to_owned()));
        }
        let section = self.profiles.profile(&self.profile)?;
        Some((section.get(property)?, section.place(property).unwrap_or_default()))
    }
}

async fn read_profiles(
    tasks: &Tasks,
    environment: &Environment,
    locations: &FileLocations,
) -> Result<ProfileSet, Error> {
    let mut contents = Vec::with_capacity(2);
    for path in [&locations.config, &locations.credentials] {
        contents.push(match path {
            Some(path) => tasks.try_file(path.clone()).await?,
            None => Ok(None),
        });
    }
    let read = |index: usize| match contents.get(index) {
        Some(Ok(Some(bytes))) => FileRead::Contents(bytes.expose()),
        Some(Err(why)) => FileRead::Unreadable(why),
        Some(Ok(None)) | None => FileRead::Missing,
    };
    let profiles = ProfileSet::load(locations, read(0), read(1));
    // That the files are not where nobody said that they are is normal.
    let named =
        ["AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE"].iter().any(|v| environment.get(v).is_some());
    let all_missing = contents.iter().all(|content| matches!(content, Ok(None)));
    for problem in profiles.problems() {
        if named || !(all_missing || problem.ends_with("does not exist")) {
            tracing::warn!(%problem, "a profile file is passed over");
        } else {
            tracing::debug!(%problem, "a profile file is passed over");
        }
    }
    for warning in profiles.warnings() {
        tracing::debug!(%warning, "a part of a profile file is ignored");
    }
    Ok(profiles)
}
