//! Credentials from small servers, files and programs, over sockets.

use std::fmt::Write as _;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};
use std::{fs, thread};

use s3_io::Cancel;
use s3_proto::credentials::{CredentialsProvider, CredentialsSource, DefaultChain, Environment};
use s3_proto::sign::{self, PayloadHash, SigningOptions, SigningParams};
use s3_proto::{Config, Credentials, Error, ErrorKind, Timestamp};
use s3_test_server::Credentials as Known;

use crate::harness::{HOUR, Harness, Outcome, World, scenarios};

scenarios! {
    an_instance_gives_credentials_that_all_calls_share,
    a_slow_provider_is_asked_once_by_a_thousand_calls,
    expired_credentials_are_replaced_in_the_middle,
    an_outage_of_the_provider_is_told_in_its_words,
    a_role_is_taken_on_with_a_signature_that_holds,
    a_web_identity_token_that_was_replaced_is_read_again,
    a_container_is_found_by_name_and_told_the_token,
    an_sso_token_is_refreshed_and_kept,
    a_program_prints_credentials,
    the_programs_own_code_gives_credentials,
    a_provider_that_never_comes_back_is_not_waited_for,
}

/// A request as a stub sees it.
#[derive(Clone, Debug, Default)]
struct Asked {
    method: String,
    target: String,
    headers: Vec<(String, String)>,
    body: String,
}

impl Asked {
    fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }
}

/// An HTTP server whose answers are a function. It ends with the process.
struct Stub {
    address: SocketAddr,
    asked: Arc<Mutex<Vec<Asked>>>,
}

impl Stub {
    fn new(answer: impl Fn(&Asked) -> (u16, String) + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let (address, asked) = (listener.local_addr().unwrap(), Arc::<Mutex<Vec<Asked>>>::default());
        let log = Arc::clone(&asked);
        thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                // A client that goes away is none of our business.
                let _ = serve(stream, &log, &answer);
            }
        });
        Self { address, asked }
    }

    fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    fn asked(&self) -> Vec<Asked> {
        self.asked.lock().unwrap().clone()
    }
}

fn serve(
    mut stream: TcpStream,
    log: &Mutex<Vec<Asked>>,
    answer: &dyn Fn(&Asked) -> (u16, String),
) -> std::io::Result<()> {
    let mut reader = BufReader::new(stream.try_clone()?);
    let mut line = String::new();
    reader.read_line(&mut line)?;
    let mut words = line.split_whitespace().map(ToOwned::to_owned);
    let mut asked = Asked {
        method: words.next().unwrap_or_default(),
        target: words.next().unwrap_or_default(),
        ..Asked::default()
    };
    loop {
        line.clear();
        reader.read_line(&mut line)?;
        let Some((name, value)) = line.trim_end().split_once(':') else { break };
        asked.headers.push((name.to_ascii_lowercase(), value.trim().to_owned()));
    }
    let len = asked.header("content-length").and_then(|len| len.parse().ok()).unwrap_or(0);
    let mut body = vec![0; len];
    reader.read_exact(&mut body)?;
    asked.body = String::from_utf8_lossy(&body).into_owned();
    log.lock().unwrap().push(asked.clone());
    let (status, text) = answer(&asked);
    write!(stream, "HTTP/1.1 {status} X\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{text}", text.len())
}

/// So far from now, as services write it.
fn time(after: Duration) -> String {
    let now = SystemTime::UNIX_EPOCH.elapsed().unwrap() + after;
    Timestamp::from_unix(i64::try_from(now.as_secs()).unwrap(), 0).unwrap().rfc3339()
}

/// Keys that the server knows by the name `id`.
fn known(id: &str) -> Known {
    Known::new(id, format!("secret of {id}")).session_token(format!("token-of-{id}"))
}

fn json(id: &str) -> String {
    let expiration = time(HOUR);
    format!(
        r#"{{"Code": "Success", "Version": 1, "AccessKeyId": "{id}", "SecretAccessKey": "secret of {id}",
            "Token": "token-of-{id}", "SessionToken": "token-of-{id}", "Expiration": "{expiration}"}}"#
    )
}

fn sts(id: &str) -> (u16, String) {
    let expiration = time(HOUR);
    let text = format!(
        "<AssumeRoleResponse><AssumeRoleResult><Credentials><AccessKeyId>{id}</AccessKeyId>\
         <SecretAccessKey>secret of {id}</SecretAccessKey><SessionToken>token-of-{id}</SessionToken>\
         <Expiration>{expiration}</Expiration></Credentials></AssumeRoleResult></AssumeRoleResponse>"
    );
    (200, text)
}

/// The metadata service of an instance whose role has these credentials now.
fn instance(keys: &Arc<Mutex<(u16, String)>>) -> Stub {
    let keys = Arc::clone(keys);
    Stub::new(move |asked| match (asked.method.as_str(), asked.target.as_str()) {
        ("PUT", "/latest/api/token") => (200, "a-token".to_owned()),
        _ if asked.header("x-aws-ec2-metadata-token") != Some("a-token") => (401, String::new()),
        (_, "/latest/meta-data/iam/security-credentials/") => (200, "my-role".to_owned()),
        (_, "/latest/meta-data/iam/security-credentials/my-role") => keys.lock().unwrap().clone(),
        _ => (404, String::new()),
    })
}

fn keys(id: &str) -> Arc<Mutex<(u16, String)>> {
    Arc::new(Mutex::new((200, json(id))))
}

/// A client of the default chain in this environment, whose home is this folder.
fn client<H: Harness>(t: &World<H>, home: &Path, variables: &[(&str, &str)]) -> H::Client {
    let home = home.to_str().unwrap();
    let all = [("HOME", home), ("USERPROFILE", home), ("AWS_REGION", "us-east-1")];
    let environment = all.iter().chain(variables).copied().collect::<Environment>();
    t.client_with(|config, _| config.credentials = CredentialsSource::Default(DefaultChain::new(environment)))
}

fn home(files: &[(&str, &str)]) -> tempfile::TempDir {
    let home = tempfile::tempdir().unwrap();
    for (name, text) in files {
        let path = home.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }
    home
}

/// The client may do what only the owner of these keys may.
fn works<H: Harness>(t: &World<H>, client: &H::Client) -> Outcome {
    H::wait(client.list_objects_v2(&t.bucket).send()).map(drop)
}

fn an_instance_gives_credentials_that_all_calls_share<H: Harness>(t: &World<H>) -> Outcome {
    t.server().set_credentials([known("ROLE")]);
    let (imds, home) = (instance(&keys("ROLE")), home(&[]));
    let client = client(t, home.path(), &[("AWS_EC2_METADATA_SERVICE_ENDPOINT", &imds.url())]);
    works(t, &client)?;
    works(t, &client)?;
    assert_eq!(imds.asked().len(), 3);
    Ok(())
}

fn a_slow_provider_is_asked_once_by_a_thousand_calls<H: Harness>(t: &World<H>) -> Outcome {
    t.server().set_credentials([known("ROLE")]);
    let home = home(&[]);
    // As slow as it takes until all calls wait, whatever the machine.
    let slow = Stub::new(|_| {
        thread::sleep(Duration::from_millis(300));
        (200, json("ROLE"))
    });
    let url = format!("{}/credentials", slow.url());
    let client = client(t, home.path(), &[("AWS_CONTAINER_CREDENTIALS_FULL_URI", &url)]);
    let calls = (0..1_000).map(|_| client.head_bucket(&t.bucket)).collect();
    for result in H::send_all(calls) {
        result?;
    }
    assert_eq!(slow.asked().len(), 1);
    Ok(())
}

fn expired_credentials_are_replaced_in_the_middle<H: Harness>(t: &World<H>) -> Outcome {
    let (keys, home) = (keys("OLD"), home(&[]));
    t.server().set_credentials([known("OLD")]);
    let imds = instance(&keys);
    let client = client(t, home.path(), &[("AWS_EC2_METADATA_SERVICE_ENDPOINT", &imds.url())]);
    works(t, &client)?;
    let past = SystemTime::now() - HOUR;
    t.server().set_credentials([known("OLD").expires(past), known("NEW")]);
    *keys.lock().unwrap() = (200, json("NEW"));
    works(t, &client)?;
    // The token was kept.
    assert_eq!(imds.asked().len(), 5);
    Ok(())
}

fn an_outage_of_the_provider_is_told_in_its_words<H: Harness>(t: &World<H>) -> Outcome {
    let home = home(&[]);
    let refusal = r#"{"Code": "AssumeRoleUnauthorizedAccess", "Message": "EC2 cannot assume the role"}"#;
    let imds = instance(&Arc::new(Mutex::new((200, refusal.to_owned()))));
    let client = client(t, home.path(), &[("AWS_EC2_METADATA_SERVICE_ENDPOINT", &imds.url())]);
    let error = works(t, &client).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::CredentialsProvider);
    assert!(error.to_string().contains("EC2 cannot assume the role"), "{error}");
    Ok(())
}

/// Signs what came with the same keys, and compares.
fn is_signed(asked: &Asked, id: &str, secret: &str, service: &str) -> bool {
    let Some(authorization) = asked.header("authorization") else { return false };
    let signed = authorization.split_once("SignedHeaders=").unwrap().1.split(',').next().unwrap();
    let mut request = http::Request::builder().method(asked.method.as_str()).uri(&asked.target);
    for name in signed.split(';').filter(|name| !name.starts_with("x-amz-")) {
        request = request.header(name, asked.header(name).unwrap());
    }
    let mut request = request.body(()).unwrap();
    let date = asked.header("x-amz-date").unwrap();
    let [year, month, day, hour, minute, second] =
        [0..4, 4..6, 6..8, 9..11, 11..13, 13..15].map(|range| &date[range]);
    let time = Timestamp::parse(&format!("{year}-{month}-{day}T{hour}:{minute}:{second}Z")).unwrap();
    let keys = Credentials::new(id, secret).unwrap();
    let params = SigningParams::new(&keys, "us-east-1", service, time).unwrap();
    let params = params.with_options(SigningOptions::OTHER_SERVICES);
    sign::sign_headers(&mut request, &PayloadHash::of(asked.body.as_bytes()), &params).unwrap();
    request.headers()["authorization"] == authorization
}

fn a_role_is_taken_on_with_a_signature_that_holds<H: Harness>(t: &World<H>) -> Outcome {
    t.server().set_credentials([known("ROLE")]);
    let service =
        Stub::new(
            |asked| {
                if is_signed(asked, "BASE", "secret", "sts") { sts("ROLE") } else { (403, String::new()) }
            },
        );
    let config = "[default]\nrole_arn = arn:aws:iam::1:role/r\nsource_profile = base\nexternal_id = a b/c\n\
                  [profile base]\naws_access_key_id = BASE\naws_secret_access_key = secret\n";
    let home = home(&[(".aws/config", config)]);
    works(t, &client(t, home.path(), &[("AWS_ENDPOINT_URL_STS", &service.url())]))?;
    assert!(service.asked()[0].body.contains("ExternalId=a%20b%2Fc"));
    Ok(())
}

fn a_web_identity_token_that_was_replaced_is_read_again<H: Harness>(t: &World<H>) -> Outcome {
    let home = home(&[("token", "jwt.one")]);
    let file = home.path().join("token");
    t.server().set_credentials([known("ONE")]);
    let service = Stub::new(|asked| {
        let old = asked.body.contains("WebIdentityToken=jwt.one");
        sts(if old { "ONE" } else { "TWO" })
    });
    let client = client(
        t,
        home.path(),
        &[
            ("AWS_ENDPOINT_URL_STS", &service.url()),
            ("AWS_WEB_IDENTITY_TOKEN_FILE", file.to_str().unwrap()),
            ("AWS_ROLE_ARN", "arn:aws:iam::1:role/r"),
        ],
    );
    works(t, &client)?;
    t.server().set_credentials([known("ONE").expires(SystemTime::now() - HOUR), known("TWO")]);
    fs::write(&file, "jwt.two").unwrap();
    works(t, &client)?;
    assert_eq!(service.asked().len(), 2);
    Ok(())
}

fn a_container_is_found_by_name_and_told_the_token<H: Harness>(t: &World<H>) -> Outcome {
    t.server().set_credentials([known("POD")]);
    let home = home(&[("token", "pod-token\n")]);
    let pod = Stub::new(|asked| match asked.header("authorization") {
        Some("pod-token") => (200, json("POD")),
        _ => (401, String::new()),
    });
    let url = format!("http://localhost:{}/v1/credentials", pod.address.port());
    let file = home.path().join("token");
    let variables = [
        ("AWS_CONTAINER_CREDENTIALS_FULL_URI", url.as_str()),
        ("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE", file.to_str().unwrap()),
    ];
    works(t, &client(t, home.path(), &variables))
}

fn an_sso_token_is_refreshed_and_kept<H: Harness>(t: &World<H>) -> Outcome {
    t.server().set_credentials([known("SSO")]);
    let portal =
        Stub::new(|asked| match (asked.target.split('?').next(), asked.header("x-amz-sso_bearer_token")) {
            (Some("/token"), _) if asked.body.contains("old refresh") => (
                200,
                r#"{"accessToken": "fresh", "expiresIn": 3600, "refreshToken": "next refresh"}"#.to_owned(),
            ),
            (Some("/federation/credentials"), Some("fresh")) => {
                let expiration = SystemTime::UNIX_EPOCH.elapsed().unwrap().as_millis() + 3_600_000;
                let text = format!(
                    r#"{{"roleCredentials": {{"accessKeyId": "SSO", "secretAccessKey": "secret of SSO",
                    "sessionToken": "token-of-SSO", "expiration": {expiration}}}}}"#
                );
                (200, text)
            }
            _ => (401, String::new()),
        });
    let config = "[default]\nsso_session = dev\nsso_account_id = 1\nsso_role_name = R\n\
                  [sso-session dev]\nsso_region = us-east-1\nsso_start_url = https://start\n";
    let mut token = String::new();
    write!(
        token,
        r#"{{"accessToken": "old", "expiresAt": "{}", "refreshToken": "old refresh", "clientId": "c", "clientSecret": "s"}}"#,
        time(Duration::ZERO)
    )
    .unwrap();
    // Named after the SHA-1 of `dev`.
    let file = ".aws/sso/cache/34c6fceca75e456f25e7e99531e2425c6c1de443.json";
    let home = home(&[(".aws/config", config), (file, &token)]);
    let url = portal.url();
    works(
        t,
        &client(t, home.path(), &[("AWS_ENDPOINT_URL_SSO", &url), ("AWS_ENDPOINT_URL_SSO_OIDC", &url)]),
    )?;
    let kept: serde_json::Value = serde_json::from_slice(&fs::read(home.path().join(file)).unwrap()).unwrap();
    assert_eq!((&kept["accessToken"], &kept["refreshToken"]), (&"fresh".into(), &"next refresh".into()));
    Ok(())
}

fn a_program_prints_credentials<H: Harness>(t: &World<H>) -> Outcome {
    t.server().set_credentials([known("PROGRAM")]);
    let printed = json("PROGRAM").replace(['\n', '\r'], " ");
    let home = home(&[("keys.json", &printed)]);
    let path = home.path().join("keys.json");
    let command = if cfg!(windows) { "type" } else { "cat" };
    let config = format!("[default]\ncredential_process = {command} \"{}\"\n", path.display());
    fs::create_dir_all(home.path().join(".aws")).unwrap();
    fs::write(home.path().join(".aws/config"), config).unwrap();
    works(t, &client(t, home.path(), &[]))
}

fn the_programs_own_code_gives_credentials<H: Harness>(t: &World<H>) -> Outcome {
    t.server().set_credentials([Known::new("MINE", "own")]);
    let provider = CredentialsProvider::from_future("mine", || async { Credentials::new("MINE", "own") });
    works(t, &t.client_with(|config, _| config.credentials = CredentialsSource::Custom(provider)))?;
    let failing = CredentialsProvider::from_future("mine", || async {
        Err::<Credentials, _>(Error::new(ErrorKind::CredentialsProvider, "the vault is sealed"))
    });
    let client = t.client_with(|config, _| config.credentials = CredentialsSource::Custom(failing));
    assert!(works(t, &client).unwrap_err().to_string().contains("the vault is sealed"));
    Ok(())
}

fn a_provider_that_never_comes_back_is_not_waited_for<H: Harness>(t: &World<H>) -> Outcome {
    let stuck = |config: &mut Config| {
        let provider = CredentialsProvider::from_future("mine", std::future::pending);
        config.credentials = CredentialsSource::Custom(provider);
    };
    let limited = t.client_with(|config, _| {
        stuck(config);
        config.operation_timeout = Some(Duration::from_millis(200));
    });
    let error = works(t, &limited).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Timeout, "{error}");

    let cancel = Cancel::new();
    let cancelled = t.client_with(|config, options| {
        stuck(config);
        options.cancel = Some(cancel.clone());
    });
    let user = thread::spawn(move || {
        thread::sleep(Duration::from_millis(200));
        cancel.cancel();
    });
    let error = works(t, &cancelled).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Cancelled, "{error}");
    user.join().unwrap();
    Ok(())
}
