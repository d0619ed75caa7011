//! The instance metadata service of EC2, version 2.
//!
//! Source: "Use the Instance Metadata Service" in the Amazon EC2 User Guide
//! (<https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/configuring-instance-metadata-service.html>), and
//! "IMDS credential provider" in the AWS SDKs and Tools Reference Guide. Version 1, which needs no token and
//! so gives credentials to whoever can make this machine send a request, is never asked.

use std::fmt;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use http::{HeaderMap, HeaderValue, Method, StatusCode, Uri};
use zeroize::Zeroizing;

use super::ask::{Answer, Patience, failed, get, json_refusal, plain_refusal, provider, send, sensitive};
use super::context::{Context, Found};
use super::json::Object;
use crate::endpoint::Region;
use crate::machine::{Instant, Now};
use crate::redact::hide;
use crate::secret::Secret;
use crate::session::lock;
use crate::{Credentials, Error, ErrorKind, Phase};

/// How the metadata service is reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ImdsMode {
    /// `http://169.254.169.254`.
    IPv4,
    /// `http://[fd00:ec2::254]`, on Nitro instances where it was turned on.
    IPv6,
}

/// What was found out about the service, shared by all that ask it.
#[derive(Clone, Default)]
pub(super) struct Memory(Arc<Mutex<Known>>);

#[derive(Default)]
struct Known {
    /// Nobody answered, which nobody asks again until this time.
    absent: Option<(Instant, String)>,
    /// It has given a token: it is there, and silence is a failure that passes.
    present: bool,
    token: Option<(Secret<String>, Instant)>,
}

impl fmt::Debug for Memory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Memory")
    }
}

/// How long it is remembered that nobody answers.
const ABSENCE: Duration = Duration::from_secs(300);

const TOKEN_TTL: u64 = 21_600;
const TOKEN: &str = "x-aws-ec2-metadata-token";
const ROLES: &str = "/latest/meta-data/iam/security-credentials/";

/// Credentials of the role of this instance.
pub(super) async fn credentials(context: &Context) -> Result<Found<Credentials>, Error> {
    let imds = match Imds::new(context)? {
        Found::Some(imds) => imds,
        Found::Nothing(why) => return Ok(Found::Nothing(why)),
    };
    let roles = match imds.get(ROLES, Answering::Plain).await? {
        Got::Answer(answer) => answer,
        Got::Missing => return Ok(Found::Nothing("the instance has no role".to_owned())),
        Got::Nobody(why) => return Ok(Found::Nothing(why)),
    };
    let role =
        std::str::from_utf8(roles.body().expose()).ok().and_then(|text| text.lines().next()).map(str::trim);
    let is_name = |name: &&str| {
        !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric() || b"+=,.@_-".contains(&b))
    };
    let Some(role) = role.filter(is_name) else {
        return Err(provider(format!(
            "the instance metadata service at {} did not name a role",
            imds.host()
        )));
    };
    let what = || {
        format!(
            "getting credentials of the role {role} from the instance metadata service at {}",
            imds.host()
        )
    };
    let answer = match imds.get(&format!("{ROLES}{role}"), Answering::Json).await? {
        Got::Answer(answer) => answer,
        Got::Missing => return Err(provider(format!("{} failed: there are none", what()))),
        Got::Nobody(why) => return Err(provider(format!("{} failed: {why}", what()))),
    };
    read(answer.body().expose()).map(Found::Some).map_err(|why| provider(format!("{} failed: {why}", what())))
}

fn read(body: &[u8]) -> Result<Credentials, String> {
    let object = Object::parse(body)?;
    if let Some(code) = object.text("Code").filter(|code| !code.eq_ignore_ascii_case("Success")) {
        let message = object.text("Message").unwrap_or("no reason was given");
        return Err(format!("{}: {}", hide(code, &[]), hide(message, &[])));
    }
    let credentials = object.credentials("Token", "Expiration")?;
    if credentials.session_token().is_none() || credentials.expires_at().is_none() {
        return Err("there is no Token, or no Expiration, in it".to_owned());
    }
    Ok(credentials)
}

/// The region of this instance.
pub(super) async fn region(context: &Context) -> Result<Found<Region>, Error> {
    let imds = match Imds::new(context)? {
        Found::Some(imds) => imds,
        Found::Nothing(why) => return Ok(Found::Nothing(why)),
    };
    match imds.get("/latest/meta-data/placement/region", Answering::Plain).await? {
        Got::Answer(answer) => {
            let text = String::from_utf8_lossy(answer.body().expose()).trim().to_owned();
            Region::new(&text).map(Found::Some).map_err(|error| {
                provider(format!("the instance metadata service at {}: {}", imds.host(), error.message()))
            })
        }
        Got::Missing => Ok(Found::Nothing("it does not know the region".to_owned())),
        Got::Nobody(why) => Ok(Found::Nothing(why)),
    }
}

struct Imds<'a> {
    context: &'a Context,
    base: String,
    patience: Patience,
}

enum Answering {
    Plain,
    Json,
}

enum Got {
    Answer(Answer),
    /// 404.
    Missing,
    /// There is no such service, and why it looks like that.
    Nobody(String),
}

impl<'a> Imds<'a> {
    fn new(context: &'a Context) -> Result<Found<Self>, Error> {
        let disabled = context.environment().trimmed("AWS_EC2_METADATA_DISABLED");
        if disabled.is_some_and(|value| value.eq_ignore_ascii_case("true")) {
            return Ok(Found::Nothing("AWS_EC2_METADATA_DISABLED turns it off".to_owned()));
        }
        let mut patience = Patience::nearby();
        let number = |variable, property| -> Result<Option<f64>, Error> {
            let Some((value, place)) = context.setting(variable, property) else { return Ok(None) };
            match value.trim().parse::<f64>() {
                Ok(number) if (0.0..=3_600.0).contains(&number) => Ok(Some(number)),
                _ => Err(configuration(format!(
                    "{place}: '{}' is not a number that can be used",
                    value.escape_debug()
                ))),
            }
        };
        if let Some(seconds) = number("AWS_METADATA_SERVICE_TIMEOUT", "metadata_service_timeout")? {
            let limit = Some(Duration::from_secs_f64(seconds.max(0.001)));
            let timeouts = &mut patience.timeouts;
            (timeouts.connect, timeouts.first_byte, timeouts.idle) = (limit, limit, limit);
        }
        if let Some((value, place)) =
            context.setting("AWS_METADATA_SERVICE_NUM_ATTEMPTS", "metadata_service_num_attempts")
        {
            patience.attempts =
                value.trim().parse().ok().filter(|n| (1..=100).contains(n)).ok_or_else(|| {
                    configuration(format!("{place}: '{}' is not a number of attempts", value.escape_debug()))
                })?;
        }
        Ok(Found::Some(Self { context, base: base(context)?, patience }))
    }

    fn host(&self) -> &str {
        self.base.split_once("://").map_or(self.base.as_str(), |(_, host)| host)
    }

    fn memory(&self) -> &Mutex<Known> {
        &self.context.chain.memory().0
    }

    /// How patiently it is asked, by what is known of it.
    fn patience(&self) -> Patience {
        Patience { may_be_absent: !lock(self.memory()).present, ..self.patience.clone() }
    }

    /// Reads a path, with a token; one that is refused is replaced once.
    async fn get(&self, path: &str, answering: Answering) -> Result<Got, Error> {
        let uri = self.uri(path)?;
        let refusal = match answering {
            Answering::Plain => plain_refusal,
            Answering::Json => json_refusal,
        };
        let mut refused = false;
        loop {
            let token = match self.token().await? {
                Ok(token) => token,
                Err(nobody) => return Ok(Got::Nobody(nobody)),
            };
            let request = |_: Now| {
                let mut headers = HeaderMap::new();
                headers.insert(TOKEN, sensitive(token.expose(), "the token")?);
                Ok(get(&uri, headers))
            };
            match send(&self.context.tasks, &self.patience(), &request, refusal).await {
                Ok(answer) => return Ok(Got::Answer(answer)),
                Err(error) if error.status() == Some(StatusCode::NOT_FOUND) => return Ok(Got::Missing),
                Err(error) if error.status() == Some(StatusCode::UNAUTHORIZED) && !refused => {
                    refused = true;
                    lock(self.memory()).token = None;
                }
                Err(error) => {
                    let what =
                        format!("reading {path} from the instance metadata service at {}", self.host());
                    return Err(failed(&what, &error, &[token.expose()]));
                }
            }
        }
    }

    /// The token that goes with every request; the inner error says why there seems to be no service.
    async fn token(&self) -> Result<Result<Secret<String>, String>, Error> {
        let now = self.context.tasks.now().mono;
        {
            let known = lock(self.memory());
            if let Some((until, why)) = &known.absent
                && *until > now
            {
                return Ok(Err(why.clone()));
            }
            if let Some((token, until)) = &known.token
                && *until > now
            {
                return Ok(Ok(token.clone()));
            }
        }
        let uri = self.uri("/latest/api/token")?;
        let request = |_: Now| {
            let mut headers = HeaderMap::new();
            headers.insert("x-aws-ec2-metadata-token-ttl-seconds", HeaderValue::from(TOKEN_TTL));
            let mut request = get(&uri, headers);
            *request.method_mut() = Method::PUT;
            Ok(request)
        };
        let absent = match send(&self.context.tasks, &self.patience(), &request, plain_refusal).await {
            Ok(answer) => return self.keep(&answer, now).map(Ok),
            Err(error) => self.absence(&error)?,
        };
        let until = self.context.tasks.now().mono.saturating_add(ABSENCE);
        let mut known = lock(self.memory());
        if !known.present {
            known.absent = Some((until, absent.clone()));
        }
        Ok(Err(absent))
    }

    fn keep(&self, answer: &Answer, now: Instant) -> Result<Secret<String>, Error> {
        let text = std::str::from_utf8(answer.body().expose())
            .ok()
            .map(|text| Zeroizing::new(text.trim().to_owned()));
        let Some(text) = text.filter(|text| !text.is_empty() && text.bytes().all(|b| b.is_ascii_graphic()))
        else {
            return Err(provider(format!("the instance metadata service at {} gave no token", self.host())));
        };
        let ttl = answer.headers().get("x-aws-ec2-metadata-token-ttl-seconds");
        let ttl = ttl.and_then(|v| v.to_str().ok()?.trim().parse().ok()).unwrap_or(TOKEN_TTL).min(TOKEN_TTL);
        let token = Secret::new(text.to_string());
        // Not to the last moment, as the clocks run apart.
        let until = now.saturating_add(Duration::from_secs(ttl.saturating_sub(120)));
        let mut known = lock(self.memory());
        known.token = Some((token.clone(), until));
        known.present = true;
        Ok(token)
    }

    /// Whether this failure means that there is no such service here, and how to say so. One that has answered
    /// before is there, unless it says otherwise itself.
    fn absence(&self, error: &Error) -> Result<String, Error> {
        let host = self.host();
        let phase = error.phase().filter(|_| !lock(self.memory()).present);
        match (error.status(), phase) {
            (Some(StatusCode::FORBIDDEN), _) => {
                Ok(format!("it is turned off for this instance ({host} answers 403)"))
            }
            (Some(StatusCode::NOT_FOUND | StatusCode::METHOD_NOT_ALLOWED), _) => {
                Ok(format!("{host} is not a metadata service of version 2"))
            }
            (None, Some(phase)) if phase <= Phase::Connect => {
                Ok(format!("{host} cannot be reached: {}", hide(error.message(), &[])))
            }
            // Answers with a token may travel no further than the hop limit, by default the instance itself.
            (None, Some(Phase::Send | Phase::Wait)) => Ok(format!(
                "{host} does not answer the request for a token: {}; in a container on EC2, raise the hop limit \
                 of the instance's metadata options to 2",
                hide(error.message(), &[])
            )),
            _ => Err(failed(
                &format!("getting a token from the instance metadata service at {host}"),
                error,
                &[],
            )),
        }
    }

    fn uri(&self, path: &str) -> Result<Uri, Error> {
        Uri::try_from(format!("{}{path}", self.base))
            .map_err(|_| configuration("the endpoint of the instance metadata service is no URL".to_owned()))
    }
}

/// Scheme and host. An endpoint goes before a mode, and what the program says before the environment, and that
/// before the profile.
fn base(context: &Context) -> Result<String, Error> {
    let chain = &context.chain;
    let endpoint = chain.imds_endpoint().map(|url| (url, "the endpoint that is given".to_owned()));
    let endpoint = endpoint
        .or_else(|| context.setting("AWS_EC2_METADATA_SERVICE_ENDPOINT", "ec2_metadata_service_endpoint"));
    if let Some((url, place)) = endpoint {
        let url = url.trim().trim_end_matches('/');
        let uri: Option<Uri> = url.parse().ok();
        let usable = uri.is_some_and(|uri| {
            matches!(uri.scheme_str(), Some("http" | "https")) && uri.query().is_none() && !url.contains('@')
        });
        if !usable {
            return Err(configuration(format!(
                "{place}: that is no URL of an instance metadata service, such as http://169.254.169.254"
            )));
        }
        return Ok(url.to_owned());
    }
    let mode = match chain.imds_mode() {
        Some(mode) => mode,
        None => match context
            .setting("AWS_EC2_METADATA_SERVICE_ENDPOINT_MODE", "ec2_metadata_service_endpoint_mode")
        {
            None => ImdsMode::IPv4,
            Some((text, _)) if text.trim().eq_ignore_ascii_case("ipv4") => ImdsMode::IPv4,
            Some((text, _)) if text.trim().eq_ignore_ascii_case("ipv6") => ImdsMode::IPv6,
            Some((text, place)) => {
                return Err(configuration(format!(
                    "{place}: '{}' is neither IPv4 nor IPv6",
                    text.escape_debug()
                )));
            }
        },
    };
    Ok(match mode {
        ImdsMode::IPv4 => "http://169.254.169.254".to_owned(),
        ImdsMode::IPv6 => "http://[fd00:ec2::254]".to_owned(),
    })
}

fn configuration(message: String) -> Error {
    Error::new(ErrorKind::Configuration, message)
}
