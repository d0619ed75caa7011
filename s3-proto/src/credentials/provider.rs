//! Where the credentials of a client come from.

use std::fmt;
use std::future::Future;
use std::sync::Arc;

use super::chain::DefaultChain;
use super::context::{Context, Found};
use super::{container, imds, profile, web_identity};
use crate::machine::{Answer, BodyPlan, Machine, Now, Step, TaskId};
use crate::retry::Rng;
use crate::script::{Flow, Script, Tasks};
use crate::{Credentials, Error, ErrorKind};

/// Where the credentials of a client come from.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum CredentialsSource {
    /// These.
    Static(Arc<Credentials>),
    /// The environment, the profile files, and whatever else the AWS SDKs look at; asked when they are needed.
    Default(DefaultChain),
    /// A provider that the program chooses, or that is its own.
    Custom(CredentialsProvider),
    /// None: requests are not signed.
    Anonymous,
}

type Fetch = dyn Fn(Tasks) -> Flow<Credentials> + Send + Sync;

/// Gets credentials, and gets them again when they are about to expire. Cheap to clone.
///
/// What it gives is cached by the client, shared by all its calls, and fetched once for all that wait.
#[derive(Clone)]
pub struct CredentialsProvider {
    name: Arc<str>,
    fetch: Arc<Fetch>,
}

impl CredentialsProvider {
    /// A provider as a function of [`Tasks`], which every driver carries out: files, requests, programs.
    ///
    /// ```
    /// use s3_proto::credentials::CredentialsProvider;
    /// use s3_proto::{Config, Credentials, Error, ErrorKind};
    ///
    /// let provider = CredentialsProvider::new("my vault", |tasks| async move {
    ///     let file = tasks.read_file("/run/secrets/s3".into()).await?;
    ///     let file = file.ok_or_else(|| Error::new(ErrorKind::CredentialsProvider, "the vault is not mounted"))?;
    ///     let text = String::from_utf8_lossy(file.expose());
    ///     let (id, secret) = text.trim().split_once(':').unwrap_or_default();
    ///     Credentials::new(id, secret)
    /// });
    /// let config = Config::new("eu-central-1")?.with_credentials_provider(provider);
    /// # Ok::<(), Error>(())
    /// ```
    pub fn new<F>(name: impl Into<Arc<str>>, fetch: impl Fn(Tasks) -> F + Send + Sync + 'static) -> Self
    where
        F: Future<Output = Result<Credentials, Error>> + Send + 'static,
    {
        Self { name: name.into(), fetch: Arc::new(move |tasks| Box::pin(fetch(tasks))) }
    }

    /// A provider that is a future of its own, such as one that needs a runtime. A driver for threads waits for it on the
    /// thread of the call or on one beside it; an async driver polls it as part of the call that asks first. What blocks
    /// would hold up the runtime there: give it to a thread, as `spawn_blocking` does.
    ///
    /// ```
    /// use s3_proto::credentials::CredentialsProvider;
    /// use s3_proto::{Config, Credentials};
    ///
    /// let provider = CredentialsProvider::from_future("my code", || async { Credentials::new("AKIDEXAMPLE", "secret") });
    /// let config = Config::new("eu-central-1")?.with_credentials_provider(provider);
    /// # Ok::<(), s3_proto::Error>(())
    /// ```
    pub fn from_future<F>(name: impl Into<Arc<str>>, fetch: impl Fn() -> F + Send + Sync + 'static) -> Self
    where
        F: Future<Output = Result<Credentials, Error>> + Send + 'static,
    {
        Self::new(name, move |tasks| {
            let future = fetch();
            async move { tasks.run_future(future).await }
        })
    }

    /// The default chain.
    pub fn default_chain(chain: DefaultChain) -> Self {
        Self::new("default chain", move |tasks| chain.ask(tasks))
    }

    /// The profile alone.
    pub fn profile(chain: DefaultChain) -> Self {
        Part::Profile.of(chain)
    }

    /// The web identity token that the environment names, alone.
    pub fn web_identity(chain: DefaultChain) -> Self {
        Part::WebIdentity.of(chain)
    }

    /// The container's service alone.
    pub fn container(chain: DefaultChain) -> Self {
        Part::Container.of(chain)
    }

    /// The instance metadata service alone.
    pub fn imds(chain: DefaultChain) -> Self {
        Part::Imds.of(chain)
    }

    /// What it calls itself in messages.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// A machine that gets credentials once, without a cache: for embedders. Random waits are drawn from the
    /// seed.
    pub fn fetch(&self, seed: u64) -> FetchCredentials {
        FetchCredentials(self.run(Rng::new(seed)))
    }

    pub(crate) fn run(&self, rng: Rng) -> Script<Credentials> {
        Script::new(rng, |tasks| (self.fetch)(tasks))
    }
}

impl fmt::Debug for CredentialsProvider {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "CredentialsProvider({})", self.name)
    }
}

/// Gets credentials from a [`CredentialsProvider`] once.
#[derive(Debug)]
pub struct FetchCredentials(Script<Credentials>);

impl Machine for FetchCredentials {
    type Item = ();
    type Output = Credentials;

    fn poll(&mut self, now: Now) -> Step<(), Credentials> {
        self.0.poll(now)
    }

    fn answer(&mut self, now: Now, id: TaskId, answer: Answer<'_>) -> BodyPlan {
        self.0.answer(now, id, answer)
    }

    fn cancel(&mut self, now: Now) {
        self.0.cancel(now);
    }
}

/// A source of the default chain by itself.
#[derive(Clone, Copy)]
enum Part {
    Profile,
    WebIdentity,
    Container,
    Imds,
}

impl Part {
    fn of(self, chain: DefaultChain) -> CredentialsProvider {
        CredentialsProvider::new(self.name(), move |tasks| self.credentials(tasks, chain.clone()))
    }

    fn name(self) -> &'static str {
        match self {
            Self::Profile => "profile",
            Self::WebIdentity => "web identity token",
            Self::Container => "container",
            Self::Imds => "instance metadata service",
        }
    }

    async fn credentials(self, tasks: Tasks, chain: DefaultChain) -> Result<Credentials, Error> {
        let context = Context::read(tasks, chain).await?;
        let found = match self {
            Self::Profile => profile::credentials(&context).await?,
            Self::WebIdentity => web_identity::from_environment(&context).await?,
            Self::Container => container::credentials(&context.tasks, context.environment()).await?,
            Self::Imds => imds::credentials(&context).await?,
        };
        match found {
            Found::Some(credentials) => Ok(credentials),
            Found::Nothing(why) => {
                let message = format!("no credentials were found: {}: {why}", self.name());
                Err(Error::new(ErrorKind::NoCredentials, message))
            }
        }
    }
}
