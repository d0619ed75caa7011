//! Who signs, and getting the credentials for that.

use std::sync::Arc;

use super::{Attempt, Event, Exchange, State, earliest};
use crate::call::Call;
use crate::credentials::{
    Acquired, Cache, CredentialsProvider, CredentialsSource, Generation, Lease, session_credentials,
};
use crate::machine::{Answer, BodyPlan, Machine as _, Now, Step, TaskId};
use crate::observe::events;
use crate::ops::CreateSession;
use crate::prepare::wants_session;
use crate::script::Script;
use crate::{Credentials, Phase};

/// Credentials being fetched, for this call and for all that wait for them.
pub(super) struct Fetching {
    pub(super) from: Fetch,
    lease: Lease,
    /// What its ids are counted from.
    pub(super) base: u32,
}

/// Where they are fetched from.
pub(super) enum Fetch {
    Provider(Script<Credentials>),
    /// By the account's credentials, a session with the bucket.
    Session(Box<Call<CreateSession>>),
}

impl Fetch {
    fn poll(&mut self, now: Now) -> Step<(), Credentials> {
        match self {
            Self::Provider(script) => script.poll(now),
            Self::Session(call) => match call.poll(now) {
                Step::Start(id, task) => Step::Start(id, task),
                Step::Cancel(id) => Step::Cancel(id),
                Step::Wait(until) => Step::Wait(until),
                Step::Item(()) => Step::Item(()),
                Step::Done(result) => Step::Done(result.and_then(session_credentials)),
            },
        }
    }

    pub(super) fn answer(&mut self, now: Now, id: TaskId, answer: Answer<'_>) -> BodyPlan {
        match self {
            Self::Provider(script) => script.answer(now, id, answer),
            Self::Session(call) => call.answer(now, id, answer),
        }
    }

    pub(super) fn running(&self) -> Option<TaskId> {
        match self {
            Self::Provider(script) => script.running(),
            Self::Session(call) => call.running(),
        }
    }
}

/// Whose credentials sign.
#[derive(Clone, Debug)]
pub(super) struct Signer {
    pub(super) scope: Scope,
    /// None for an anonymous request.
    pub(super) credentials: Option<Arc<Credentials>>,
    /// Which fetch they came from, if they were fetched.
    pub(super) generation: Option<Generation>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Scope {
    Account,
    /// A session with a directory bucket.
    Bucket,
}

impl Exchange {
    /// Who signs now; `None` moves the state on to getting credentials.
    pub(super) fn signer(&mut self, now: Now) -> Option<Signer> {
        let session = self.session.clone();
        let source = &session.config().credentials;
        if !matches!(source, CredentialsSource::Anonymous)
            && wants_session(&session, self.operation_now(), &self.draft, &self.region)
        {
            return self.fetched(now, Scope::Bucket, |exchange| {
                let op = CreateSession::new(exchange.draft.bucket.clone().unwrap_or_default());
                Fetch::Session(Box::new(Call::new(session.clone(), op)))
            });
        }
        let credentials = match source {
            CredentialsSource::Static(credentials) => Some(credentials.clone()),
            CredentialsSource::Anonymous => None,
            CredentialsSource::Custom(provider) => {
                return self.fetched(now, Scope::Account, |exchange| {
                    Fetch::Provider(provider.run(exchange.rng.split()))
                });
            }
            CredentialsSource::Default(chain) => {
                return self.fetched(now, Scope::Account, |exchange| {
                    let chain = chain.clone().or_region(session.config().region.clone());
                    Fetch::Provider(CredentialsProvider::default_chain(chain).run(exchange.rng.split()))
                });
            }
        };
        Some(Signer { scope: Scope::Account, credentials, generation: None })
    }

    /// Those of the cache, or of whoever fetches them for it.
    fn fetched(&mut self, now: Now, scope: Scope, fetch: impl FnOnce(&mut Self) -> Fetch) -> Option<Signer> {
        let rejected = self.rejected.filter(|(of, _)| *of == scope).map(|(_, generation)| generation);
        match self.cache(scope).acquire(self.service_now(now), rejected) {
            Acquired::Ready(credentials, generation) => {
                let (credentials, generation) = (Some(credentials), Some(generation));
                return Some(Signer { scope, credentials, generation });
            }
            Acquired::Fetch(lease) => {
                let (from, base) = (fetch(self), self.next_id + 1);
                self.state = State::Fetching(Box::new(Fetching { from, lease, base }));
            }
            Acquired::Wait(ticket) => self.state = State::Waiting(ticket, None),
        }
        None
    }

    pub(super) fn cache(&self, scope: Scope) -> Cache {
        match (scope, &self.draft.bucket) {
            (Scope::Bucket, Some(bucket)) => self.session.bucket_credentials(bucket),
            _ => self.session.credentials().clone(),
        }
    }

    /// Goes on with fetching credentials.
    pub(super) fn fetch(&mut self, now: Now, mut fetching: Box<Fetching>) -> Option<Event> {
        let event = match fetching.from.poll(self.service_now(now)) {
            Step::Start(id, task) => {
                let id = id.offset(fetching.base);
                self.next_id = self.next_id.max(id.number());
                Event::Start(id, task)
            }
            Step::Cancel(id) => Event::Cancel(id.offset(fetching.base)),
            Step::Wait(until) => Event::Wait(earliest(until, self.deadline)),
            Step::Item(()) => Event::Wait(self.deadline),
            Step::Done(result) => {
                let Fetching { lease, .. } = *fetching;
                self.replaced = self.rejected.is_some();
                let jitter = self.rng.fraction();
                let settled = lease.finish(result, self.service_now(now), jitter);
                events::credentials_fetched(settled.as_ref().err());
                self.state = match settled {
                    Ok(()) => State::Ready,
                    Err(error) => State::Failed(error.with_phase(Phase::Credentials)),
                };
                return None;
            }
        };
        self.state = State::Fetching(fetching);
        Some(event)
    }

    /// Both clocks, the wall's as the service has it: credentials expire by that.
    pub(super) fn service_now(&self, now: Now) -> Now {
        Now { wall: self.session.service_time(now), ..now }
    }

    /// Gives up the credentials of this attempt, which have expired, for others: a call does so once.
    pub(super) fn rejects(&mut self, attempt: &Attempt) -> bool {
        let Some(generation) = attempt.signer.generation else { return false };
        match self.rejected {
            // The question to the bucket was signed with the same or with later ones, and has met the same.
            Some((scope, rejected)) if scope == attempt.signer.scope && rejected >= generation => true,
            _ if self.replaced => false,
            // Others may have fetched the same once more in between, while they were still good.
            _ => {
                self.watch.credentials_refused();
                self.rejected = Some((attempt.signer.scope, generation));
                true
            }
        }
    }
}
