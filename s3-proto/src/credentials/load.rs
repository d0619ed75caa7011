//! Reading the profile files: what a client needs before its first call.

use super::FileLocations;
use super::{Cache, Credentials, Environment, FileRead, Lease, Platform, ProfileSet};
use super::{
    addressing_style_from, default_chain, endpoint_options_from, endpoint_url_from, file_locations,
    region_from, request_checksums_from, response_checksums_from,
};
use crate::config::Config;
use crate::endpoint::ChecksumMode;
use crate::machine::{Answer, BodyPlan, Machine, Now, Step, Task, TaskId};
use crate::{Error, ErrorKind, Phase, Secret};

/// Where the credentials of a client come from.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum CredentialsSource {
    /// These.
    Static(Credentials),
    /// The environment, then the profile files; read when they are needed.
    Default(Environment),
    /// None: requests are not signed.
    Anonymous,
}

/// Reads both profile files, one after the other.
#[derive(Debug)]
pub(crate) struct ReadProfiles {
    locations: FileLocations,
    read: Vec<FileContent>,
}

type FileContent = Result<Option<Secret<Vec<u8>>>, String>;

impl ReadProfiles {
    pub(crate) fn new(environment: &Environment) -> Self {
        Self { locations: file_locations(environment, Platform::CURRENT), read: Vec::with_capacity(2) }
    }

    /// The next file to read, if there is one.
    pub(crate) fn next(&mut self) -> Option<Task> {
        while self.read.len() < 2 {
            let path =
                if self.read.is_empty() { &self.locations.config } else { &self.locations.credentials };
            match path {
                Some(path) => return Some(Task::ReadFile(path.clone())),
                None => self.read.push(Ok(None)),
            }
        }
        None
    }

    pub(crate) fn take(&mut self, content: FileContent) {
        self.read.push(content);
    }

    fn profiles(&self) -> ProfileSet {
        let read = |index: usize| match self.read.get(index) {
            Some(Ok(Some(bytes))) => FileRead::Contents(bytes.expose()),
            Some(Err(why)) => FileRead::Unreadable(why),
            Some(Ok(None)) | None => FileRead::Missing,
        };
        ProfileSet::load(&self.locations, read(0), read(1))
    }

    fn profile(&self) -> &str {
        &self.locations.profile
    }
}

/// Fetches credentials for all calls that wait for them.
#[derive(Debug)]
pub(crate) struct FetchCredentials {
    environment: Environment,
    files: ReadProfiles,
    lease: Option<Lease>,
}

impl FetchCredentials {
    pub(crate) fn new(environment: Environment, lease: Lease) -> Self {
        Self { files: ReadProfiles::new(&environment), environment, lease: Some(lease) }
    }

    /// The next task; `None` once all is known.
    pub(crate) fn next(&mut self) -> Option<Task> {
        self.files.next()
    }

    pub(crate) fn take(&mut self, content: FileContent) {
        self.files.take(content);
    }

    /// Gives the outcome to the cache and to all that wait.
    pub(crate) fn settle(&mut self) -> Result<(), Error> {
        let Some(lease) = self.lease.take() else { return Ok(()) };
        let result = default_chain(&self.environment, &self.files.profiles(), self.files.profile());
        lease.finish(&result);
        result.map(drop)
    }
}

/// Reads region, endpoint and addressing style from the environment and the profile files, as the AWS tools
/// do; credentials are looked up there when the first call needs them.
#[derive(Debug)]
pub struct LoadConfig {
    environment: Environment,
    files: ReadProfiles,
    running: Option<TaskId>,
    next_id: u32,
    over: bool,
    cancelled: bool,
}

impl LoadConfig {
    /// From this environment.
    pub fn new(environment: Environment) -> Self {
        let files = ReadProfiles::new(&environment);
        Self { environment, files, running: None, next_id: 0, over: false, cancelled: false }
    }

    fn config(&self) -> Result<Config, Error> {
        let (profiles, profile) = (self.files.profiles(), self.files.profile());
        let endpoint = endpoint_url_from(&self.environment, &profiles, profile)?;
        let region = match region_from(&self.environment, &profiles, profile)? {
            Some(region) => region.as_str().to_owned(),
            // Most other stores do not care, and those that do answer with theirs.
            None if endpoint.is_some() => "us-east-1".to_owned(),
            None => {
                let message = "no region is set: set AWS_REGION, or 'region' in ~/.aws/config, or give one in the configuration";
                return Err(Error::new(ErrorKind::Configuration, message).with_phase(Phase::Resolve));
            }
        };
        let mut config = Config::new(region)?.with_default_credentials(self.environment.clone());
        config.endpoint = endpoint;
        if let Some(style) = addressing_style_from(&profiles, profile)? {
            config.addressing_style = Some(style);
        }
        config.request_checksums = request_checksums_from(&self.environment, &profiles, profile)?;
        if let Some(verify) = response_checksums_from(&self.environment, &profiles, profile)? {
            config.verify_checksums = verify == ChecksumMode::WhenSupported;
        }
        config.endpoint_options = endpoint_options_from(&self.environment, &profiles, profile)?;
        Ok(config)
    }
}

impl Machine for LoadConfig {
    type Item = ();
    type Output = Config;

    fn poll(&mut self, _: Now) -> Step<(), Config> {
        if self.over {
            return Step::Done(Err(crate::client::polled_after_done()));
        }
        if self.cancelled {
            self.over = true;
            return Step::Done(Err(Error::new(ErrorKind::Cancelled, "cancelled by the caller")));
        }
        if self.running.is_some() {
            return Step::Wait(None);
        }
        if let Some(task) = self.files.next() {
            let id = TaskId::new(self.next_id);
            self.next_id += 1;
            self.running = Some(id);
            return Step::Start(id, task);
        }
        self.over = true;
        Step::Done(self.config())
    }

    fn answer(&mut self, _: Now, id: TaskId, answer: Answer<'_>) -> BodyPlan {
        if self.running == Some(id)
            && let Answer::File(content) = answer
        {
            self.running = None;
            self.files.take(content);
        }
        BodyPlan::Discard
    }

    fn cancel(&mut self, _: Now) {
        self.cancelled = true;
    }
}

/// What an exchange does next about credentials.
#[derive(Debug)]
pub(crate) enum Need {
    Ready(std::sync::Arc<Credentials>, super::Generation),
    Fetch(FetchCredentials),
    Wait(super::Ticket),
}

pub(crate) fn need(
    cache: &Cache,
    source: &Environment,
    wall: crate::Timestamp,
    rejected: Option<super::Generation>,
) -> Need {
    match cache.acquire(wall, rejected) {
        super::Acquired::Ready(credentials, generation) => Need::Ready(credentials, generation),
        super::Acquired::Fetch(lease) => Need::Fetch(FetchCredentials::new(source.clone(), lease)),
        super::Acquired::Wait(ticket) => Need::Wait(ticket),
    }
}
