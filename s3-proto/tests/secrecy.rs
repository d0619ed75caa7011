//! No secret is shown: every source of credentials, every failure, and everything that is written about them.
// Helpers outside of `#[test]` may fail the test.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

mod support;

use std::collections::VecDeque;
use std::error::Error as _;
use std::fmt::{self, Debug, Write as _};
use std::sync::{Arc, Mutex};

use http::Request;
use s3_proto::credentials::{CredentialsSource, DefaultChain};
use s3_proto::ops::{DeleteObject, HeadBucket};
use s3_proto::{
    Answer, BodyPlan, Call, Config, Error, Exit, Machine, Now, Payload, Phase, Secret, Session, Step, TaskId,
    TransportErrorKind,
};
use support::cloud::*;
use support::*;
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Metadata, Subscriber};

/// What every secret of this test begins with.
const MARK: &str = "SwOrD";

/// All that was shown.
#[derive(Clone, Default)]
struct Shown(Arc<Mutex<String>>);

impl Shown {
    fn add(&self, what: &dyn Debug) {
        writeln!(self.0.lock().unwrap(), "{what:?}").unwrap();
    }

    fn error(&self, error: &Error) {
        self.add(&format!("{error} {error:#?}"));
        let mut source = error.source();
        while let Some(inner) = source {
            self.add(&format!("{inner} {inner:?}"));
            source = inner.source();
        }
    }

    #[track_caller]
    fn check(&self, what: &str) {
        let text = self.0.lock().unwrap();
        assert!(!text.is_empty(), "{what}: nothing was looked at");
        if let Some(line) = text.lines().find(|line| line.contains(MARK)) {
            panic!("{what}: {line}");
        }
    }
}

impl Visit for &Shown {
    fn record_debug(&mut self, _: &Field, value: &dyn Debug) {
        self.add(value);
    }
}

/// Takes all that is traced, at every level.
struct Log(Shown);

impl Subscriber for Log {
    fn enabled(&self, _: &Metadata<'_>) -> bool {
        true
    }

    fn new_span(&self, span: &Attributes<'_>) -> Id {
        span.record(&mut &self.0);
        Id::from_u64(1)
    }

    fn record(&self, _: &Id, values: &Record<'_>) {
        values.record(&mut &self.0);
    }

    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn event(&self, event: &Event<'_>) {
        event.record(&mut &self.0);
    }

    fn enter(&self, _: &Id) {}

    fn exit(&self, _: &Id) {}
}

/// A machine that shows each of its steps.
struct Watched<M>(M, Shown);

impl<M: Machine> Machine for Watched<M>
where
    M::Item: Debug,
    M::Output: Debug,
{
    type Item = M::Item;
    type Output = M::Output;

    fn poll(&mut self, now: Now) -> Step<M::Item, M::Output> {
        let step = self.0.poll(now);
        self.1.add(&step);
        if let Step::Done(Err(error)) = &step {
            self.1.error(error);
        }
        step
    }

    fn answer(&mut self, now: Now, id: TaskId, answer: Answer<'_>) -> BodyPlan {
        self.0.answer(now, id, answer)
    }

    fn cancel(&mut self, now: Now) {
        self.0.cancel(now);
    }
}

/// Every source, with secrets wherever there can be some.
fn sources() -> Vec<(&'static str, World, DefaultChain)> {
    let config = |text: &str| {
        let mut world = World::default();
        world.files.insert("/h/.aws/config".into(), VecDeque::from([text.as_bytes().to_vec()]));
        world
    };
    let with = |mut world: World, path: &str, text: String| {
        world.files.insert(path.into(), VecDeque::from([text.into_bytes()]));
        world
    };
    let keys = "aws_access_key_id = AKID\naws_secret_access_key = SwOrDKEY\naws_session_token = SwOrDTOKEN\n";
    let sso = "[default]\nsso_session = dev\nsso_account_id = 1\nsso_role_name = R\n\
               [sso-session dev]\nsso_region = us-east-1\nsso_start_url = https://start\n";
    let sso_token = format!(
        r#"{{"accessToken": "SwOrDACCESS", "expiresAt": "{}", "refreshToken": "SwOrDREFRESH", "clientId": "c", "clientSecret": "SwOrDCLIENT"}}"#,
        time(10)
    );
    let login = format!(
        r#"{{"accessToken": {{"accessKeyId": "A", "secretAccessKey": "SwOrDKEY", "sessionToken": "SwOrDTOKEN", "expiresAt": "{}"}}, "dpopKey": "SwOrDPEM"}}"#,
        time(-10)
    );
    let process = |code, stdout: &str| {
        let mut world = config("[default]\ncredential_process = vault SwOrDARGUMENT");
        let stdout = Secret::new(stdout.as_bytes().to_vec());
        world.programs.push_back(Exit {
            code: Some(code),
            stdout,
            stderr: "vault SwOrDARGUMENT: sealed".to_owned(),
        });
        world
    };
    let pod = [
        ("AWS_CONTAINER_CREDENTIALS_FULL_URI", "http://127.0.0.1/c"),
        ("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE", "/t"),
    ];
    let web = [("AWS_WEB_IDENTITY_TOKEN_FILE", "/t"), ("AWS_ROLE_ARN", "r")];
    let environment = [
        ("AWS_ACCESS_KEY_ID", "A"),
        ("AWS_SECRET_ACCESS_KEY", "SwOrDKEY"),
        ("AWS_SESSION_TOKEN", "SwOrDTOKEN"),
    ];
    vec![
        ("environment", World::default(), chain(&environment)),
        ("half of a pair", World::default(), chain(&environment[1..])),
        ("profile", config(&format!("[default]\n{keys}")), chain(&[])),
        ("malformed profile", config(&format!("[default]\n{keys}SwOrDLINE\n")), chain(&[])),
        (
            "role",
            config(&format!("[default]\nrole_arn = r\nsource_profile = b\n[profile b]\n{keys}")),
            chain(&[]),
        ),
        (
            "role of the instance",
            config("[default]\nrole_arn = r\ncredential_source = Ec2InstanceMetadata"),
            chain(&[]),
        ),
        ("web identity", with(World::default(), "/t", "SwOrDJWT".to_owned()), chain(&web)),
        ("container", with(World::default(), "/t", "SwOrDPOD".to_owned()), chain(&pod)),
        ("container with a broken token", with(World::default(), "/t", "SwOrD\nPOD".to_owned()), chain(&pod)),
        ("instance", World::default(), chain(&[])),
        (
            "sso",
            with(config(sso), "/h/.aws/sso/cache/34c6fceca75e456f25e7e99531e2425c6c1de443.json", sso_token),
            chain(&[]),
        ),
        (
            "login",
            with(
                config("[default]\nlogin_session = me"),
                "/l/2744ccd10c7533bd736ad890f9dd5cab2adb27b07d500b9493f29cdc420cb2e0.json",
                login,
            ),
            chain(&[("AWS_LOGIN_CACHE_DIRECTORY", "/l")]),
        ),
        (
            "process",
            process(0, r#"{"Version": 1, "AccessKeyId": "A", "SecretAccessKey": "SwOrDKEY"}"#),
            chain(&[]),
        ),
        ("process that fails", process(1, "SwOrDKEY"), chain(&[])),
        ("process that prints something else", process(0, "SwOrDKEY"), chain(&[])),
    ]
}

/// What a provider that means well answers.
fn good(request: &Request<Payload>) -> Reply {
    match host(request) {
        IMDS => imds(request, &json_keys("A", 3_600)),
        "127.0.0.1" => json_keys("A", 3_600),
        "oidc.us-east-1.amazonaws.com" => {
            body(r#"{"accessToken": "SwOrDNEXT", "expiresIn": 28800, "refreshToken": "SwOrDLATER"}"#)
        }
        "portal.sso.us-east-1.amazonaws.com" => body(format!(
            r#"{{"roleCredentials": {{"accessKeyId": "A", "secretAccessKey": "SwOrDKEY", "sessionToken": "SwOrDTOKEN", "expiration": {}}}}}"#,
            (START + 3_600) * 1_000
        )),
        "sts.us-east-1.amazonaws.com" => sts_keys("A", 3_600),
        _ => error(400, "ExpiredToken"),
    }
}

/// All secrets that a request carries, and some that it does not: what a provider may repeat of them.
fn repeated(request: &Request<Payload>) -> String {
    let mut text = String::new();
    for (name, value) in request.headers() {
        if name != "authorization" || !value.as_bytes().starts_with(b"AWS4") {
            write!(text, "{} ", value.to_str().unwrap()).unwrap();
        }
    }
    if let Payload::Bytes(body) = request.body() {
        text.push_str(std::str::from_utf8(body).unwrap());
    }
    text.replace(['"', '<', '&'], " ")
}

type Failure = fn(&Request<Payload>) -> Reply;

const FAILURES: [(&str, Failure); 8] = [
    ("json that repeats", |r| {
        let text = format!(
            r#"{{"message": "{0}", "code": "{0}", "error": "{0}", "error_description": "{0}"}}"#,
            repeated(r)
        );
        Reply::Answer(400, Vec::new(), text.into_bytes())
    }),
    ("xml that repeats", |r| {
        let text = format!(
            "<ErrorResponse><Error><Code>No</Code><Message>{}</Message></Error></ErrorResponse>",
            repeated(r)
        );
        Reply::Answer(403, Vec::new(), text.into_bytes())
    }),
    ("500", |_| Reply::Answer(500, Vec::new(), b"SwOrDPAGE".to_vec())),
    ("401", |_| Reply::Answer(401, Vec::new(), b"SwOrDPAGE".to_vec())),
    ("no document", |_| body("<html>SwOrDTEXT</html>")),
    ("half a document", |_| body(r#"{"AccessKeyId": "A", "SecretAccessKey": "SwOrDKEY", "Tok"#)),
    ("half an XML document", |_| body("<A><AResult><Credentials><SecretAccessKey>SwOrDKEY</SecretAccess")),
    ("no connection", |_| Reply::Fail(Phase::Wait, TransportErrorKind::Timeout)),
];

fn run(
    what: &str,
    world: &mut World,
    chain: &DefaultChain,
    script: impl FnMut(&Request<Payload>) -> Reply,
) -> usize {
    let shown = Shown::default();
    let mut asked = 0;
    let mut script = script;
    tracing::subscriber::with_default(Log(shown.clone()), || {
        let mut config = Config::new("us-east-1").unwrap();
        config.credentials = CredentialsSource::Default(chain.clone());
        let session = Session::new(config);
        shown.add(&session);
        let call = Watched(Call::new(session.clone(), HeadBucket::new("bkt")), shown.clone());
        let run = world.drive(call, |request| {
            asked += 1;
            script(request)
        });
        shown.add(&session);
        for sent in run.sent {
            shown.add(&sent.debug);
        }
    });
    shown.check(what);
    asked
}

#[test]
fn the_check_finds_what_it_looks_for() {
    let shown = Shown::default();
    tracing::subscriber::with_default(Log(shown.clone()), || tracing::trace!(key = "SwOrDKEY", "shown"));
    assert!(std::panic::catch_unwind(|| shown.check("here")).is_err());
}

#[test]
fn no_source_shows_a_secret_when_all_goes_well() {
    for (what, mut world, chain) in sources() {
        run(what, &mut world, &chain, good);
    }
}

/// Each request of each source fails in each way, the ones before it having gone well.
#[test]
fn no_source_shows_a_secret_when_something_fails() {
    for index in 0..sources().len() {
        for (how, failure) in FAILURES {
            for position in 0.. {
                let (what, mut world, chain) = sources().remove(index);
                let mut sent = 0;
                let asked =
                    run(&format!("{what}, request {position}: {how}"), &mut world, &chain, |request| {
                        sent += 1;
                        if sent > position && !host(request).contains(".s3.") {
                            failure(request)
                        } else {
                            good(request)
                        }
                    });
                if asked <= position {
                    break;
                }
            }
        }
    }
}

#[test]
fn nothing_that_a_request_was_signed_with_is_shown_if_s3_repeats_it() {
    let bucket_session = body(format!(
        "<CreateSessionResult><Credentials><AccessKeyId>A</AccessKeyId><SecretAccessKey>SwOrDKEY</SecretAccessKey>\
         <SessionToken>SwOrDSESSION</SessionToken><Expiration>{}</Expiration></Credentials></CreateSessionResult>",
        time(300)
    ));
    let credentials = s3_proto::Credentials::new("A", "SwOrDKEY").unwrap().with_session_token("SwOrD/TOKEN+");
    let session = Session::new(Config::new("us-east-1").unwrap().with_credentials(credentials));
    for (bucket, begins) in [("bkt", true), ("bkt--use1-az4--x-s3", true), ("bkt--use1-az4--x-s3", false)] {
        let (shown, mut signature) = (Shown::default(), String::new());
        tracing::subscriber::with_default(Log(shown.clone()), || {
            let call = Call::new(session.clone(), DeleteObject::new(bucket, "k"));
            let _ = World::default().drive(Watched(call, shown.clone()), |request| {
                if request.uri().query() == Some("session") && !begins {
                    return bucket_session.clone();
                }
                let authorization = request.headers()["authorization"].to_str().unwrap();
                signature = authorization.rsplit_once('=').unwrap().1.to_owned();
                let text = format!(
                    "<Error><Code>SignatureDoesNotMatch</Code><Message>{} SwOrDKEY {authorization}</Message>\
                     <Token-0>SwOrDTOKEN</Token-0><StringToSign>SwOrDSTRING</StringToSign></Error>",
                    repeated(request)
                );
                Reply::Answer(403, Vec::new(), text.into_bytes())
            });
        });
        shown.check(bucket);
        assert_eq!(signature.len(), 64);
        let text = shown.0.lock().unwrap();
        assert!(text.contains("SignatureDoesNotMatch") && !text.contains(&signature), "{text}");
    }
}

#[test]
fn keys_in_memory_are_not_shown_by_what_holds_them() {
    let chain = chain(&[("AWS_ACCESS_KEY_ID", "A"), ("AWS_SECRET_ACCESS_KEY", "SwOrDKEY")]);
    let shown = Shown::default();
    shown.add(&chain);
    shown.add(
        &Config::new("r").unwrap().with_credentials(s3_proto::Credentials::new("A", "SwOrDKEY").unwrap()),
    );
    shown.check("configuration");
}

impl Debug for Shown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Shown")
    }
}
