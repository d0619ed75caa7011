//! credential_chain.json: where credentials come from, request by request.

use std::collections::VecDeque;
use std::net::IpAddr;
use std::time::Duration;

use s3_io::{Cancel, Files};
use s3_proto::credentials::{CredentialsProvider, DefaultChain, Environment, FetchCredentials, ImdsMode};
use s3_proto::{
    Answer, BodyPlan, Credentials, Error, HttpTask, Instant, Machine, Now, Phase, Secret, Step, Task, TaskId,
    Timestamp, TransportError, TransportErrorKind,
};
use serde_json::Value;

use crate::List;
use crate::drive::Response;
use crate::tally::{Outcome, Tally, Verdict, fail, items, same, skip, text};

pub(crate) const LISTS: &[List] = &[
    ("credential_chain.json", "chain", |cases| Tally::of(cases, chain)),
    ("credential_chain.json", "container_uri", |cases| Tally::of(cases, container_uri)),
    ("credential_chain.json", "container_env_cases", |cases| Tally::of(cases, container_environment)),
    ("credential_chain.json", "container_full_uri_rules", |cases| Tally::of(cases, container_rules)),
    ("credential_chain.json", "imds_endpoint", |cases| Tally::of(cases, imds_endpoint)),
];

/// `chain[]`: environment, files and recorded requests, and the credentials that come of them.
fn chain(case: &Value) -> Outcome {
    if case["ok"].get("token").is_some() {
        return Err(skip("ok.token: a bearer token is expected, which S3 does not take"));
    }
    let chain = DefaultChain::new(environment(&case["env"]));
    let mut world = World::new(case);
    let result = world.run(&CredentialsProvider::default_chain(chain))?;
    let Some(expected) = case.get("ok") else {
        return match result {
            // The published wording is another client's own.
            Err(_) => world.mismatch.map_or(Ok(()), Err),
            Ok(got) => Err(fail(text(case, "error_contains")?, format!("{got:?}"))),
        };
    };
    if let Some(mismatch) = world.mismatch {
        return Err(mismatch);
    }
    let got = result?;
    same("access_key_id", &expected["access_key_id"].as_str(), &Some(got.access_key_id()))?;
    same(
        "secret_access_key",
        &expected["secret_access_key"].as_str(),
        &Some(got.secret_access_key().expose().as_str()),
    )?;
    let token = got.session_token().map(|token| token.expose().as_str());
    same("session_token", &expected["session_token"].as_str(), &token)?;
    same("account_id", &expected["account_id"].as_str(), &got.account_id())?;
    same("expiry", &expected["expiry"].as_i64(), &got.expires_at().map(Timestamp::unix_seconds))?;
    same("requests that were not sent", &0, &world.http.len())
}

/// `container_uri[]`: the environment, and where the container's service is.
fn container_uri(case: &Value) -> Outcome {
    let chain = DefaultChain::new(environment(&case["env"]));
    first_uri(case, &CredentialsProvider::container(chain), &mut World::new(case))
}

/// `imds_endpoint[]`: environment, files and the program's own settings, and where the first request goes.
fn imds_endpoint(case: &Value) -> Outcome {
    let mut chain = DefaultChain::new(environment(&case["env"]));
    if let Some(url) = case["endpoint_override"].as_str() {
        chain = chain.with_imds_endpoint(url);
    }
    if let Some(mode) = case["mode_override"].as_str() {
        chain = chain.with_imds_mode(match mode.to_ascii_lowercase().as_str() {
            "ipv4" => ImdsMode::IPv4,
            "ipv6" => ImdsMode::IPv6,
            other => return Err(skip(format!("mode_override = {other}: cannot be written in Rust"))),
        });
    }
    first_uri(case, &CredentialsProvider::imds(chain), &mut World::new(case))
}

fn first_uri(case: &Value, provider: &CredentialsProvider, world: &mut World<'_>) -> Outcome {
    let result = world.run(provider)?;
    match (case["ok"].as_str(), world.sent.first()) {
        (Some(expected), Some(sent)) => same("URI", expected, sent.uri.to_string().as_str()),
        (Some(expected), None) => Err(fail(expected, format!("{result:?}"))),
        (None, Some(sent)) => Err(fail(text(case, "error_contains")?, sent.uri.to_string())),
        (None, None) => Ok(()),
    }
}

/// `container_env_cases[]`: the variables by name, and the request.
fn container_environment(case: &Value) -> Outcome {
    const TOKEN_FILE: &str = "/token";
    let variables = [
        ("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI", case["relative_uri"].as_str()),
        ("AWS_CONTAINER_CREDENTIALS_FULL_URI", case["full_uri"].as_str()),
        ("AWS_CONTAINER_AUTHORIZATION_TOKEN", case["auth_token"].as_str()),
        (
            "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE",
            case["auth_token_file_content"].as_str().map(|_| TOKEN_FILE),
        ),
    ];
    let variables = variables.into_iter().filter_map(|(name, value)| Some((name, value?)));
    let mut world = World::new(case);
    if let Some(content) = case["auth_token_file_content"].as_str() {
        world.files.push((TOKEN_FILE, content));
    }
    let result = world.run(&CredentialsProvider::container(DefaultChain::new(variables.collect())))?;
    match (case["expected_uri"].as_str(), world.sent.first()) {
        (Some(expected), Some(sent)) => {
            same("URI", expected, &with_port(&sent.uri))?;
            let authorization = sent.headers.get("authorization").and_then(|v| v.to_str().ok());
            same("authorization", &case["expected_authorization"].as_str(), &authorization)
        }
        (Some(expected), None) => Err(fail(expected, format!("{result:?}"))),
        (None, Some(sent)) => Err(fail("no request", sent.uri.to_string())),
        (None, None) => Ok(()),
    }
}

/// `container_full_uri_rules[]`: whether a host is trusted with the token.
fn container_rules(case: &Value) -> Outcome {
    let uri = text(case, "uri")?;
    let environment = Environment::from_iter([("AWS_CONTAINER_CREDENTIALS_FULL_URI", uri)]);
    let mut world = World::new(case);
    let _ = world.run(&CredentialsProvider::container(DefaultChain::new(environment)))?;
    same("allowed", &case["allowed"].as_bool(), &Some(!world.sent.is_empty()))
}

fn with_port(uri: &http::Uri) -> String {
    let port = uri.port_u16().unwrap_or(if uri.scheme_str() == Some("https") { 443 } else { 80 });
    let path = uri.path_and_query().map_or("/", |p| p.as_str());
    format!("{}://{}:{port}{path}", uri.scheme_str().unwrap_or_default(), uri.host().unwrap_or_default())
}

struct Sent {
    uri: http::Uri,
    headers: http::HeaderMap,
}

/// What a case says about everything outside of the machine.
struct World<'a> {
    now: Now,
    files: Vec<(&'a str, &'a str)>,
    http: VecDeque<&'a Value>,
    dns: Option<Vec<IpAddr>>,
    sent: Vec<Sent>,
    /// In what the first request that was not the recorded one differs.
    mismatch: Option<Verdict>,
}

impl<'a> World<'a> {
    fn new(case: &'a Value) -> Self {
        let files = case["fs"].as_object().into_iter().flatten();
        // A time at which the recorded tokens were valid, if the case names none.
        let seconds = case["clock_unix"].as_i64().unwrap_or(1_628_189_882);
        let wall = Timestamp::from_unix(seconds, 0).unwrap_or(Timestamp::UNIX_EPOCH);
        let dns = case
            .get("dns")
            .map(|_| items(case, "dns").iter().filter_map(|a| a.as_str()?.parse().ok()).collect());
        Self {
            now: Now { mono: Instant::from_origin(Duration::from_secs(1)), wall },
            files: files.filter_map(|(path, text)| Some((path.as_str(), text.as_str()?))).collect(),
            http: items(case, "http").iter().collect(),
            dns,
            sent: Vec::new(),
            mismatch: None,
        }
    }

    fn run(&mut self, provider: &CredentialsProvider) -> Result<Result<Credentials, Error>, Verdict> {
        let mut machine = provider.fetch(7);
        for _ in 0..1_000 {
            match machine.poll(self.now) {
                Step::Start(id, task) => self.perform(&mut machine, id, task)?,
                Step::Done(result) => return Ok(result),
                Step::Wait(Some(until)) => {
                    let wait = until.since(self.now.mono);
                    self.now = Now { mono: until, wall: self.now.wall.saturating_add(wait) };
                }
                Step::Wait(None) => return Err(fail("an end", "a wait for nothing")),
                Step::Cancel(_) | Step::Item(()) => {}
            }
        }
        Err(fail("an end", "none"))
    }

    fn perform(&mut self, machine: &mut FetchCredentials, id: TaskId, task: Task) -> Result<(), Verdict> {
        let answer = match task {
            Task::Http(task) => return self.send(machine, id, *task),
            Task::ReadFile(path) => {
                let found = self.files.iter().find(|(name, _)| path.to_str() == Some(name));
                Answer::File(Ok(found.map(|(_, text)| Secret::new(text.as_bytes().to_vec()))))
            }
            Task::Resolve(host) => Answer::Resolved(match &self.dns {
                Some(addresses) => Ok(addresses.clone()),
                // What every resolver says.
                None if host == "localhost" => Ok(vec![IpAddr::from([127, 0, 0, 1])]),
                None => Err("there is no such name".to_owned()),
            }),
            task @ Task::Run { .. } => {
                match s3_io::effects::perform(&Files::default(), task, &Cancel::never()) {
                    Ok(effect) => effect.into_answer(),
                    Err(task) => return Err(fail("a program that is run", format!("{task:?}"))),
                }
            }
            other => return Err(fail("a task that is known here", format!("{other:?}"))),
        };
        let _ = machine.answer(self.now, id, answer);
        Ok(())
    }

    fn send(&mut self, machine: &mut FetchCredentials, id: TaskId, task: HttpTask) -> Result<(), Verdict> {
        let recorded = self.http.pop_front();
        if let Some(recorded) = recorded {
            let differs = compare(&recorded["request"], &task).err();
            self.mismatch = self.mismatch.take().or(differs);
        }
        let (parts, _) = task.request.into_parts();
        self.sent.push(Sent { uri: parts.uri, headers: parts.headers });
        let Some(recorded) = recorded else {
            let cause = TransportError::new(TransportErrorKind::Timeout, "nobody answers");
            let _ = machine.answer(self.now, id, Answer::Failed { phase: Phase::Connect, cause });
            return Ok(());
        };
        let recorded = &recorded["response"];
        let status = recorded["status"].as_u64().and_then(|s| u16::try_from(s).ok()).unwrap_or(200);
        // The recorded lengths are not those of the recorded bodies.
        let response = Response::new(status, &[], text(recorded, "body")?)?;
        if let BodyPlan::Collect = machine.answer(self.now, id, Answer::Head(response.head.into())) {
            let _ = machine.answer(self.now, id, Answer::Chunk(&response.body));
            let _ = machine.answer(self.now, id, Answer::End(None));
        }
        Ok(())
    }
}

/// Method, URI, and those headers that are not stale by design.
fn compare(recorded: &Value, task: &HttpTask) -> Outcome {
    let request = &task.request;
    same("method", text(recorded, "method")?, request.method().as_str())?;
    let expected: http::Uri =
        text(recorded, "uri")?.parse().map_err(|_| fail("a recorded request with a URI", "none"))?;
    same("URI", &parts(&expected), &parts(request.uri()))?;
    for name in ["content-type", "x-aws-ec2-metadata-token", "x-amz-sso_bearer_token"] {
        let Some(expected) = recorded["headers"][name][0].as_str() else { continue };
        let got = request.headers().get(name).and_then(|value| value.to_str().ok());
        same(name, &Some(expected), &got)?;
    }
    Ok(())
}

/// A URI whose parameters are in order, since services do not mind it.
fn parts(uri: &http::Uri) -> (Option<String>, Option<String>, String, Vec<String>) {
    let mut query: Vec<String> = uri.query().unwrap_or_default().split('&').map(ToOwned::to_owned).collect();
    query.sort();
    (
        uri.scheme_str().map(ToOwned::to_owned),
        uri.authority().map(ToString::to_string),
        uri.path().to_owned(),
        query,
    )
}

fn environment(value: &Value) -> Environment {
    let pairs = value.as_object().into_iter().flatten();
    pairs.map(|(name, value)| (name, value.as_str().unwrap_or_default())).collect()
}
