//! Where credentials come from: each source, what it asks, and what it says when it fails.
// Helpers outside of `#[test]` may fail the test.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

mod support;

use std::collections::VecDeque;
use std::time::Duration;

use http::{Method, Request};
use proptest::prelude::*;
use s3_proto::credentials::{CredentialsProvider, DefaultChain, LoadConfig, Platform};
use s3_proto::{Credentials, Error, ErrorKind, Exit, Payload, Phase, Secret, TransportErrorKind};
use support::cloud::*;
use support::*;

type Fetched = Run<(), Credentials>;

fn fetch(world: &mut World, chain: &DefaultChain, script: impl FnMut(&Request<Payload>) -> Reply) -> Fetched {
    world.drive(CredentialsProvider::default_chain(chain.clone()).fetch(1), script)
}

fn with_file(path: &str, text: &str) -> World {
    let mut world = World::default();
    add_file(&mut world, path, text);
    world
}

fn add_file(world: &mut World, path: &str, text: &str) {
    world.files.insert(path.into(), VecDeque::from([text.as_bytes().to_vec()]));
}

fn config_file(text: &str) -> World {
    with_file("/h/.aws/config", text)
}

/// Nobody is asked.
fn nobody(request: &Request<Payload>) -> Reply {
    panic!("{} was asked", request.uri())
}

fn id(run: &Fetched) -> &str {
    run.result.as_ref().unwrap().access_key_id()
}

/// The message of a failure of this kind.
#[track_caller]
fn said<T>(run: &Run<(), T>, kind: ErrorKind) -> &str {
    let Err(error) = &run.result else { panic!("it worked") };
    assert_eq!(error.kind(), kind, "{error}");
    error.message()
}

const DISABLED: (&str, &str) = ("AWS_EC2_METADATA_DISABLED", "true");

mod order {
    use super::*;

    /// The first source that applies is asked, and none behind it.
    #[test]
    fn sources_are_asked_in_the_order_of_the_aws_sdks() {
        let variables = [
            ("AWS_ACCESS_KEY_ID", "ENVIRONMENT"),
            ("AWS_SECRET_ACCESS_KEY", "s"),
            ("AWS_PROFILE", "p"),
            ("AWS_ROLE_ARN", "r"),
            ("AWS_WEB_IDENTITY_TOKEN_FILE", "/token"),
            ("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI", "/c"),
        ];
        let answers = |request: &Request<Payload>| match host(request) {
            "sts.us-east-1.amazonaws.com" => sts_keys("WEBIDENTITY", 3_600),
            "169.254.170.2" => json_keys("CONTAINER", 3_600),
            IMDS => imds(request, &json_keys("INSTANCE", 3_600)),
            other => panic!("{other}"),
        };
        for (without, expected) in
            [(0, "ENVIRONMENT"), (2, "PROFILE"), (3, "WEBIDENTITY"), (5, "CONTAINER"), (6, "INSTANCE")]
        {
            let mut world =
                config_file("[profile p]\naws_access_key_id = PROFILE\naws_secret_access_key = s");
            add_file(&mut world, "/token", "jwt");
            let run = fetch(&mut world, &chain(&variables[without..]), answers);
            assert_eq!(id(&run), expected);
        }
    }

    #[test]
    fn finding_nothing_says_what_was_tried_and_why_it_does_not_apply() {
        let run = fetch(&mut World::default(), &chain(&[]), |_| unreachable());
        assert_eq!(
            said(&run, ErrorKind::NoCredentials),
            "no credentials were found: in the environment, neither AWS_ACCESS_KEY_ID nor AWS_SECRET_ACCESS_KEY is \
             set; no profiles are defined, so there is no profile 'default' (/h/.aws/config does not exist; \
             /h/.aws/credentials does not exist); web identity token: AWS_WEB_IDENTITY_TOKEN_FILE is not set; \
             container: neither AWS_CONTAINER_CREDENTIALS_RELATIVE_URI nor AWS_CONTAINER_CREDENTIALS_FULL_URI is \
             set; instance metadata service: 169.254.169.254 cannot be reached: broken"
        );
    }

    #[test]
    fn a_file_that_cannot_be_parsed_is_passed_over_and_named_if_nothing_is_found() {
        let mut world = config_file("[default]\nregion = r\n= swordfish");
        let found = fetch(&mut world, &chain(&[]), |r| imds(r, &json_keys("INSTANCE", 3_600)));
        assert_eq!(id(&found), "INSTANCE");
        let nothing = fetch(&mut world, &chain(&[DISABLED]), nobody);
        let message = said(&nothing, ErrorKind::NoCredentials);
        assert!(message.contains("/h/.aws/config line 3: Property did not have a name"), "{message}");
        assert!(!message.contains("swordfish"), "{message}");
    }

    #[test]
    fn a_profile_that_is_missing_is_passed_over_and_named_if_nothing_is_found() {
        let mut world = config_file("[profile other]\nregion = r");
        let run = fetch(&mut world, &chain(&[("AWS_PROFILE", "mine"), DISABLED]), nobody);
        let message = said(&run, ErrorKind::NoCredentials);
        assert!(message.contains("profile 'mine' is in neither profile file"), "{message}");
    }

    #[test]
    fn half_a_pair_is_an_error_at_once() {
        let mut world = config_file("[default]\naws_access_key_id = A");
        let run = fetch(&mut world, &chain(&[]), nobody);
        assert!(said(&run, ErrorKind::IncompleteCredentials).contains("/h/.aws/config line 2"));
        let half = chain(&[("AWS_SECRET_ACCESS_KEY", "s")]);
        said(&fetch(&mut world, &half, nobody), ErrorKind::IncompleteCredentials);
    }
}

mod instance {
    use super::*;

    #[test]
    fn the_role_is_asked_for_with_a_token_and_short_time_outs() {
        let run = fetch(&mut World::default(), &chain(&[]), |r| imds(r, &json_keys("A", 3_600)));
        let asked: Vec<_> = run.sent.iter().map(|s| (s.request.method().as_str(), s.target())).collect();
        let last = format!("{ROLES}my-role");
        assert_eq!(asked, [("PUT", "/latest/api/token"), ("GET", ROLES), ("GET", &last)]);
        assert_eq!(run.sent[0].header("x-aws-ec2-metadata-token-ttl-seconds"), Some("21600"));
        assert_eq!(run.sent[1].header("x-aws-ec2-metadata-token"), Some("SwOrDIMDS"));
        let second = Some(Duration::from_secs(1));
        assert!(run.sent.iter().all(|s| (s.timeouts.connect, s.timeouts.first_byte) == (second, second)));
        assert!(run.result.unwrap().expires_at().is_some());
    }

    #[test]
    fn the_token_is_kept_until_it_is_refused() {
        let (mut world, chain) = (World::default(), chain(&[]));
        fetch(&mut world, &chain, |r| imds(r, &json_keys("A", 3_600)));
        let again = fetch(&mut world, &chain, |r| imds(r, &json_keys("B", 3_600)));
        assert_eq!((id(&again), again.sent.len()), ("B", 2));
        let mut refused = false;
        let renewed = fetch(&mut world, &chain, |r| {
            if r.method() == Method::GET && !std::mem::replace(&mut refused, true) {
                return Reply::Answer(401, Vec::new(), Vec::new());
            }
            imds(r, &json_keys("C", 3_600))
        });
        assert_eq!((id(&renewed), renewed.sent.len()), ("C", 4));
        world.pass(Duration::from_secs(21_600));
        let expired = fetch(&mut world, &chain, |r| imds(r, &json_keys("D", 30_000)));
        assert_eq!(expired.sent[0].target(), "/latest/api/token");
    }

    #[test]
    fn a_token_that_is_refused_again_is_the_end() {
        let run = fetch(&mut World::default(), &chain(&[]), |r| {
            if r.method() == Method::GET {
                Reply::Answer(401, Vec::new(), Vec::new())
            } else {
                imds(r, &ok())
            }
        });
        assert_eq!(run.sent.len(), 4);
        assert!(said(&run, ErrorKind::CredentialsProvider).contains("(HTTP 401)"));
    }

    #[test]
    fn that_nobody_answers_is_remembered_for_a_while() {
        let (mut world, chain) = (World::default(), chain(&[]));
        let first = fetch(&mut world, &chain, |_| refused());
        assert_eq!((first.sent.len(), first.waits.len()), (1, 0));
        let second = fetch(&mut world, &chain, nobody);
        assert_eq!(said(&second, ErrorKind::NoCredentials), said(&first, ErrorKind::NoCredentials));
        world.pass(Duration::from_secs(300));
        assert_eq!(id(&fetch(&mut world, &chain, |r| imds(r, &json_keys("A", 9_000)))), "A");
    }

    #[test]
    fn a_connection_that_does_not_come_is_tried_for_once_more() {
        let silent = fetch(&mut World::default(), &chain(&[]), |_| unreachable());
        assert_eq!((silent.sent.len(), silent.waits.len()), (2, 1));
        let mut lost = false;
        let run = fetch(&mut World::default(), &chain(&[]), |r| {
            if std::mem::replace(&mut lost, true) { imds(r, &json_keys("A", 3_600)) } else { unreachable() }
        });
        assert_eq!((id(&run), run.sent.len()), ("A", 4));
    }

    #[test]
    fn a_service_that_has_answered_before_is_not_taken_for_absent() {
        for silence in [unreachable(), refused(), Reply::Fail(Phase::Wait, TransportErrorKind::Timeout)] {
            let (mut world, chain) = (World::default(), chain(&[]));
            fetch(&mut world, &chain, |r| imds(r, &json_keys("A", 3_600)));
            // For the token that is kept, and for a new one.
            for age in [0, 21_600] {
                world.pass(Duration::from_secs(age));
                let run = fetch(&mut world, &chain, |_| silence.clone());
                said(&run, ErrorKind::CredentialsProvider);
                assert!(run.sent.len() == 3 && run.error().is_retryable(), "{}", run.error());
            }
            assert_eq!(id(&fetch(&mut world, &chain, |r| imds(r, &json_keys("B", 30_000)))), "B");
        }
    }

    #[test]
    fn a_token_that_does_not_come_hints_at_the_hop_limit() {
        let run = fetch(&mut World::default(), &chain(&[]), |_| {
            Reply::Fail(Phase::Wait, TransportErrorKind::Timeout)
        });
        assert_eq!(run.sent.len(), 3);
        let message = said(&run, ErrorKind::NoCredentials);
        assert!(message.contains("raise the hop limit of the instance's metadata options to 2"), "{message}");
    }

    #[test]
    fn what_the_service_says_is_kept() {
        let reply = |status, text: &str| Reply::Answer(status, Vec::new(), text.as_bytes().to_vec());
        let cases = [
            (
                reply(200, r#"{"Code": "AssumeRoleUnauthorizedAccess", "Message": "no trust"}"#),
                "failed: AssumeRoleUnauthorizedAccess: no trust",
            ),
            (reply(200, "<html>SwOrD"), "failed: it is not JSON (line 1, column 1)"),
            (
                reply(200, r#"{"Code": "Success", "AccessKeyId": "A"}"#),
                "failed: there is no SecretAccessKey in it",
            ),
            (
                reply(200, r#"{"AccessKeyId": "A", "SecretAccessKey": "SwOrD"}"#),
                "failed: there is no Token, or no Expiration, in it",
            ),
            (reply(500, ""), "failed: internal server error (HTTP 500)"),
            (reply(404, ""), "failed: there are none"),
        ];
        for (keys, part) in cases {
            let run = fetch(&mut World::default(), &chain(&[]), |r| imds(r, &keys));
            let message = said(&run, ErrorKind::CredentialsProvider);
            assert!(
                message.contains(part) && message.contains(IMDS) && !message.contains("SwOrD"),
                "{message}"
            );
        }
    }

    #[test]
    fn an_instance_without_a_role_or_service_has_no_credentials() {
        let cases = [
            (Method::GET, 404, "the instance has no role"),
            (Method::PUT, 403, "it is turned off for this instance (169.254.169.254 answers 403)"),
            (Method::PUT, 404, "169.254.169.254 is not a metadata service of version 2"),
        ];
        for (method, status, why) in cases {
            let run = fetch(&mut World::default(), &chain(&[]), |r| {
                if r.method() == method {
                    Reply::Answer(status, Vec::new(), Vec::new())
                } else {
                    imds(r, &ok())
                }
            });
            assert!(said(&run, ErrorKind::NoCredentials).ends_with(why));
        }
        let disabled = fetch(&mut World::default(), &chain(&[DISABLED]), nobody);
        assert!(
            said(&disabled, ErrorKind::NoCredentials).ends_with("AWS_EC2_METADATA_DISABLED turns it off")
        );
    }

    #[test]
    fn time_outs_and_attempts_can_be_set() {
        let patient = [("AWS_METADATA_SERVICE_TIMEOUT", "2.5"), ("AWS_METADATA_SERVICE_NUM_ATTEMPTS", "5")];
        let run =
            fetch(&mut World::default(), &chain(&patient), |_| Reply::Answer(500, Vec::new(), Vec::new()));
        assert_eq!((run.sent.len(), run.sent[0].timeouts.connect), (5, Some(Duration::from_millis(2_500))));
        let wrong = chain(&[("AWS_METADATA_SERVICE_TIMEOUT", "soon")]);
        let message =
            said(&fetch(&mut World::default(), &wrong, nobody), ErrorKind::Configuration).to_owned();
        assert_eq!(message, "AWS_METADATA_SERVICE_TIMEOUT: 'soon' is not a number that can be used");
    }

    #[test]
    fn a_role_name_cannot_lead_elsewhere() {
        for name in ["../../user-data", "a/b", "", "a?b", "a b"] {
            let run = fetch(&mut World::default(), &chain(&[]), |r| {
                if r.uri().path() == ROLES { body(name) } else { imds(r, &ok()) }
            });
            said(&run, ErrorKind::CredentialsProvider);
        }
    }
}

mod container {
    use super::*;

    const URI: (&str, &str) = ("AWS_CONTAINER_CREDENTIALS_FULL_URI", "http://pod.local/creds?x=SwOrDQUERY");
    const FILE: (&str, &str) = ("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE", "/t");

    fn world(address: &str) -> World {
        let mut world = World::default();
        world.hosts.insert("pod.local".to_owned(), vec![address.parse().unwrap()]);
        world
    }

    #[test]
    fn the_token_file_is_read_anew_each_time() {
        let mut world = world("169.254.170.23");
        world.files.insert("/t".into(), VecDeque::from([b"ONE".to_vec(), b"TWO\n".to_vec()]));
        let chain = chain(&[URI, FILE]);
        for token in ["ONE", "TWO"] {
            let run = fetch(&mut world, &chain, |_| json_keys("A", 3_600));
            assert_eq!(run.sent[0].header("authorization"), Some(token));
            assert!(!run.sent[0].debug.contains(token), "{}", run.sent[0].debug);
        }
    }

    #[test]
    fn a_stranger_gets_no_token() {
        let mut stranger = world("10.0.0.1");
        add_file(&mut stranger, "/t", "SwOrD");
        let run = fetch(&mut stranger, &chain(&[URI, FILE]), nobody);
        assert!(
            said(&run, ErrorKind::Configuration)
                .contains("leads to pod.local, which is neither this machine")
        );
        stranger.hosts.clear();
        let unknown = fetch(&mut stranger, &chain(&[URI, FILE]), nobody);
        assert!(said(&unknown, ErrorKind::CredentialsProvider).contains("no such name"));
    }

    #[test]
    fn failures_keep_what_the_service_says_and_show_no_query() {
        let refused =
            Reply::Answer(400, Vec::new(), br#"{"code": "Bad", "message": "no SwOrDTOKEN"}"#.to_vec());
        let mut good = world("127.0.0.1");
        add_file(&mut good, "/t", "SwOrDTOKEN");
        let run = fetch(&mut good, &chain(&[URI, FILE]), |_| refused.clone());
        assert_eq!(
            said(&run, ErrorKind::CredentialsProvider),
            "getting credentials of the container from pod.local failed: Bad: no ** (HTTP 400)"
        );
        assert_eq!(run.sent.len(), 1);
    }

    #[test]
    fn a_token_that_is_no_token_is_refused() {
        for (content, part) in [
            (Some("a\r\nx: SwOrD"), "has a line break in it"),
            (Some(" \n"), "is empty"),
            (None, "/t, which does not exist"),
        ] {
            let mut world = world("127.0.0.1");
            if let Some(content) = content {
                add_file(&mut world, "/t", content);
            }
            let run = fetch(&mut world, &chain(&[URI, FILE]), nobody);
            let message = said(&run, ErrorKind::CredentialsProvider);
            assert!(message.contains(part) && !message.contains("SwOrD"), "{message}");
        }
    }

    #[test]
    fn it_is_asked_again_while_it_starts() {
        let replies = vec![unreachable(), Reply::Answer(500, Vec::new(), Vec::new()), json_keys("A", 3_600)];
        let run = fetch(&mut world("127.0.0.1"), &chain(&[URI]), in_turn(replies));
        assert_eq!((id(&run), run.sent.len(), run.waits.len()), ("A", 3, 2));
    }
}

mod roles {
    use super::*;

    const PROFILES: &str = "[default]\nregion = eu-central-1\nrole_arn = arn:aws:iam::1:role/two\nsource_profile = one\n\
        external_id = e x\nduration_seconds = 900\nrole_session_name = me\n\
        [profile one]\nrole_arn = arn:aws:iam::1:role/one\nsource_profile = base\n\
        [profile base]\naws_access_key_id = BASE\naws_secret_access_key = SwOrDBASE";

    #[test]
    fn each_role_is_taken_on_with_the_credentials_of_the_one_before() {
        let run = fetch(
            &mut config_file(PROFILES),
            &chain(&[]),
            in_turn(vec![sts_keys("ONE", 3_600), sts_keys("TWO", 900)]),
        );
        assert_eq!((id(&run), run.result.as_ref().unwrap().account_id()), ("TWO", Some("123456789012")));
        for (sent, base) in run.sent.iter().zip(["BASE", "ONE"]) {
            assert_eq!(sent.request.uri(), "https://sts.eu-central-1.amazonaws.com/");
            let authorization = sent.header("authorization").unwrap();
            assert!(
                authorization.contains(&format!("Credential={base}/20150830/eu-central-1/sts/")),
                "{authorization}"
            );
        }
        assert_eq!(run.sent[1].header("x-amz-security-token"), Some("SwOrDTOKEN"));
        let form = form(run.sent[1].request.body());
        for (name, value) in [
            ("Action", "AssumeRole"),
            ("RoleArn", "arn%3Aaws%3Aiam%3A%3A1%3Arole%2Ftwo"),
            ("RoleSessionName", "me"),
            ("ExternalId", "e%20x"),
            ("DurationSeconds", "900"),
        ] {
            assert_eq!(form[name], value);
        }
    }

    #[test]
    fn the_region_is_that_of_the_environment_of_the_profile_or_of_the_client() {
        let no_region = PROFILES.replace("region = eu-central-1", "");
        for (variables, text, expected) in [
            (&[("AWS_REGION", "eu-west-1")][..], PROFILES, "sts.eu-west-1.amazonaws.com"),
            (&[], PROFILES, "sts.eu-central-1.amazonaws.com"),
            (&[("AWS_USE_FIPS_ENDPOINT", "true")], PROFILES, "sts-fips.eu-central-1.amazonaws.com"),
            (&[("AWS_USE_DUALSTACK_ENDPOINT", "true")], PROFILES, "sts.eu-central-1.api.aws"),
            (&[("AWS_REGION", "cn-north-1")], PROFILES, "sts.cn-north-1.amazonaws.com.cn"),
            (&[("AWS_ENDPOINT_URL_STS", "http://localhost:1")], PROFILES, "localhost:1"),
            (&[], &no_region, "sts.us-east-1.amazonaws.com"),
        ] {
            let run = fetch(&mut config_file(text), &chain(variables), |_| sts_keys("A", 3_600));
            assert_eq!(run.sent[0].host(), expected);
        }
    }

    #[test]
    fn a_refusal_says_which_role_and_why() {
        let refused = Reply::Answer(
            403,
            Vec::new(),
            b"<ErrorResponse><Error><Code>AccessDenied</Code><Message>BASE may not, with SwOrDBASE</Message></Error></ErrorResponse>".to_vec(),
        );
        let text = PROFILES.replace("[profile one]", "[profile one]\nmfa_serial = m");
        let run = fetch(&mut config_file(&text), &chain(&[]), |_| refused.clone());
        assert_eq!(
            said(&run, ErrorKind::CredentialsProvider),
            "assuming the role arn:aws:iam::1:role/one at sts.eu-central-1.amazonaws.com failed: AccessDenied: BASE may \
             not, with ** (HTTP 403) (the profile names an mfa_serial, but no code can be asked for here)"
        );
    }

    #[test]
    fn what_passes_by_itself_is_tried_again() {
        let document = |code: &str| {
            format!("<ErrorResponse><Error><Code>{code}</Code></Error></ErrorResponse>").into_bytes()
        };
        for first in [
            Reply::Answer(400, Vec::new(), document("IDPCommunicationError")),
            Reply::Answer(400, Vec::new(), document("Throttling")),
            Reply::Answer(500, Vec::new(), Vec::new()),
            unreachable(),
            Reply::Cut(200, vec![("content-length", "1000".to_owned())], b"<Assume".to_vec()),
        ] {
            let run = fetch(
                &mut config_file(PROFILES),
                &chain(&[]),
                in_turn(vec![first.clone(), sts_keys("A", 3_600)]),
            );
            assert_eq!((id(&run), run.sent.len()), ("A", 3), "{first:?}");
        }
    }

    #[test]
    fn an_answer_that_cannot_be_used_says_why_and_shows_nothing() {
        for (text, part) in [
            ("", "expected a root element"),
            (
                "<A><AResult><Credentials><AccessKeyId>A</AccessKeyId><SecretAccessKey>SwOrDKEY",
                "truncated XML",
            ),
            (
                "<A><AResult><Credentials><AccessKeyId>A</AccessKeyId></Credentials></AResult></A>",
                "there is no SecretAccessKey",
            ),
        ] {
            let run = fetch(&mut config_file(PROFILES), &chain(&[]), |_| body(text));
            let message = said(&run, ErrorKind::CredentialsProvider);
            assert!(message.contains(part) && !message.contains("SwOrD"), "{message}");
        }
    }

    #[test]
    fn a_web_identity_token_needs_no_signature_and_is_read_anew() {
        let mut world = World::default();
        world.files.insert("/t".into(), VecDeque::from([b"jwt.1".to_vec(), b"jwt.2".to_vec()]));
        let chain = chain(&[
            ("AWS_ROLE_ARN", "r"),
            ("AWS_WEB_IDENTITY_TOKEN_FILE", "/t"),
            ("AWS_ROLE_SESSION_NAME", "s"),
            ("AWS_REGION", "eu-west-1"),
        ]);
        for token in ["jwt.1", "jwt.2"] {
            let run = fetch(&mut world, &chain, |_| sts_keys("A", 3_600));
            let form = form(run.sent[0].request.body());
            assert_eq!(
                (form["Action"].as_str(), form["WebIdentityToken"].as_str()),
                ("AssumeRoleWithWebIdentity", token)
            );
            assert_eq!((form["RoleSessionName"].as_str(), run.sent[0].header("authorization")), ("s", None));
        }
    }

    #[test]
    fn a_web_identity_that_is_not_complete_says_what_is_missing() {
        let file = ("AWS_WEB_IDENTITY_TOKEN_FILE", "/t");
        let run = fetch(&mut World::default(), &chain(&[file]), nobody);
        assert!(said(&run, ErrorKind::Configuration).contains("but AWS_ROLE_ARN is not"));
        let run = fetch(&mut World::default(), &chain(&[file, ("AWS_ROLE_ARN", "r")]), nobody);
        assert!(said(&run, ErrorKind::CredentialsProvider).contains("should be in /t, which does not exist"));
        let run = fetch(&mut with_file("/t", " \n"), &chain(&[file, ("AWS_ROLE_ARN", "r")]), nobody);
        assert!(said(&run, ErrorKind::CredentialsProvider).contains("/t holds no web identity token"));
    }

    #[test]
    fn a_credential_source_that_has_none_says_why() {
        for (source, why) in [
            ("Environment", "AWS_ACCESS_KEY_ID is not set"),
            ("Ec2InstanceMetadata", "AWS_EC2_METADATA_DISABLED turns it off"),
            ("EcsContainer", "neither AWS_CONTAINER_CREDENTIALS_RELATIVE_URI nor"),
            ("Elsewhere", "that is none of Environment, Ec2InstanceMetadata and EcsContainer"),
        ] {
            let mut world = config_file(&format!("[default]\nrole_arn = r\ncredential_source = {source}"));
            let run = fetch(&mut world, &chain(&[DISABLED]), nobody);
            let message = said(&run, ErrorKind::Configuration);
            assert!(message.contains(source) && message.contains(why), "{message}");
        }
    }
}

mod sso {
    use super::*;

    const SESSION: &str = "[default]\nsso_session = dev\nsso_account_id = 1\nsso_role_name = R\n\
        [sso-session dev]\nsso_region = us-east-1\nsso_start_url = https://start\n";
    const LEGACY: &str = "[default]\nsso_start_url = https://start\nsso_region = us-east-1\nsso_account_id = 1\nsso_role_name = R\n";
    /// SHA-1 of `dev` and of the start URL.
    const SESSION_FILE: &str = "/h/.aws/sso/cache/34c6fceca75e456f25e7e99531e2425c6c1de443.json";
    const LEGACY_FILE: &str = "/h/.aws/sso/cache/6ad0e7e61d1f47e491ea32c2031add41ef92e07d.json";

    fn token(after: i64) -> String {
        format!(
            r#"{{"accessToken": "SwOrDACCESS", "expiresAt": "{}", "refreshToken": "SwOrDREFRESH", "clientId": "client",
                "clientSecret": "SwOrDCLIENT", "registrationExpiresAt": "{}", "region": "us-east-1", "extra": 7}}"#,
            time(after),
            time(100_000)
        )
    }

    fn portal(request: &Request<Payload>, created: &Reply) -> Reply {
        match host(request) {
            "oidc.us-east-1.amazonaws.com" => created.clone(),
            "portal.sso.us-east-1.amazonaws.com" => body(format!(
                r#"{{"roleCredentials": {{"accessKeyId": "SSO", "secretAccessKey": "SwOrDKEY", "sessionToken": "SwOrDTOKEN",
                    "expiration": {}}}}}"#,
                (START + 3_600) * 1_000
            )),
            other => panic!("{other}"),
        }
    }

    fn created() -> Reply {
        body(
            r#"{"accessToken": "SwOrDNEXT", "expiresIn": 28800, "refreshToken": "SwOrDLATER", "tokenType": "Bearer"}"#,
        )
    }

    fn world(text: &str, file: &str, token: &str) -> World {
        let mut world = config_file(text);
        add_file(&mut world, file, token);
        world
    }

    #[test]
    fn a_token_that_lasts_is_used_as_it_is() {
        let run =
            fetch(&mut world(SESSION, SESSION_FILE, &token(301)), &chain(&[]), |r| portal(r, &created()));
        assert_eq!((id(&run), run.sent.len()), ("SSO", 1));
        assert_eq!(run.sent[0].target(), "/federation/credentials?role_name=R&account_id=1");
        assert_eq!(run.sent[0].header("x-amz-sso_bearer_token"), Some("SwOrDACCESS"));
        let credentials = run.result.unwrap();
        assert_eq!(credentials.account_id(), Some("1"));
        assert_eq!(credentials.expires_at().unwrap().unix_seconds(), START + 3_600);
    }

    #[test]
    fn a_token_that_is_about_to_end_is_refreshed_and_kept() {
        let mut world = world(SESSION, SESSION_FILE, &token(300));
        let run = fetch(&mut world, &chain(&[]), |r| portal(r, &created()));
        assert_eq!(run.sent[0].request.uri(), "https://oidc.us-east-1.amazonaws.com/token");
        let asked: serde_json::Value = serde_json::from_slice(run.sent[0].body()).unwrap();
        assert_eq!(
            asked,
            serde_json::json!({"grantType": "refresh_token", "clientId": "client", "clientSecret": "SwOrDCLIENT",
                "refreshToken": "SwOrDREFRESH"})
        );
        assert_eq!(run.sent[1].header("x-amz-sso_bearer_token"), Some("SwOrDNEXT"));
        let kept: serde_json::Value =
            serde_json::from_slice(world.files[std::path::Path::new(SESSION_FILE)].front().unwrap()).unwrap();
        assert_eq!(
            [
                &kept["accessToken"],
                &kept["refreshToken"],
                &kept["expiresAt"],
                &kept["extra"],
                &kept["clientId"]
            ],
            [
                &serde_json::json!("SwOrDNEXT"),
                &"SwOrDLATER".into(),
                &time(28_800).into(),
                &7.into(),
                &"client".into()
            ]
        );
    }

    #[test]
    fn a_refresh_that_fails_does_no_harm_while_the_token_lasts() {
        let denied = Reply::Answer(
            400,
            Vec::new(),
            br#"{"error": "invalid_grant", "error_description": "SwOrDREFRESH is old"}"#.to_vec(),
        );
        let run = fetch(&mut world(SESSION, SESSION_FILE, &token(100)), &chain(&[]), |r| portal(r, &denied));
        assert_eq!((id(&run), run.sent[1].header("x-amz-sso_bearer_token")), ("SSO", Some("SwOrDACCESS")));
        let run = fetch(&mut world(SESSION, SESSION_FILE, &token(0)), &chain(&[]), |r| portal(r, &denied));
        assert_eq!(
            said(&run, ErrorKind::CredentialsProvider),
            format!(
                "the SSO token in {SESSION_FILE} has expired, and refreshing it at SSO OIDC failed: invalid_grant: ** is \
                 old (HTTP 400): log in with `aws sso login`"
            )
        );
    }

    #[test]
    fn a_legacy_token_is_used_to_its_end_and_never_refreshed() {
        let run = fetch(&mut world(LEGACY, LEGACY_FILE, &token(1)), &chain(&[]), |r| portal(r, &created()));
        assert_eq!((id(&run), run.sent.len()), ("SSO", 1));
        let run = fetch(&mut world(LEGACY, LEGACY_FILE, &token(0)), &chain(&[]), nobody);
        assert!(
            said(&run, ErrorKind::CredentialsProvider).ends_with("has expired: log in with `aws sso login`")
        );
    }

    #[test]
    fn a_token_that_is_missing_broken_or_refused_says_to_log_in() {
        let remedy = "log in with `aws sso login`";
        let run = fetch(&mut config_file(SESSION), &chain(&[]), nobody);
        assert_eq!(
            said(&run, ErrorKind::CredentialsProvider),
            format!("{SESSION_FILE} does not exist: {remedy}")
        );
        for broken in ["{", "{}", r#"{"accessToken": "SwOrD", "expiresAt": "soon"}"#] {
            let run = fetch(&mut world(SESSION, SESSION_FILE, broken), &chain(&[]), nobody);
            let message = said(&run, ErrorKind::CredentialsProvider);
            assert!(message.ends_with(remedy) && !message.contains("SwOrD"), "{message}");
        }
        let refused =
            Reply::Answer(401, Vec::new(), br#"{"message": "Session token not found or invalid"}"#.to_vec());
        let run = fetch(&mut world(SESSION, SESSION_FILE, &token(9_000)), &chain(&[]), |_| refused.clone());
        let message = said(&run, ErrorKind::CredentialsProvider);
        assert!(
            message.contains("Session token not found or invalid") && message.ends_with(remedy),
            "{message}"
        );
    }

    #[test]
    fn a_profile_for_a_bearer_token_has_no_credentials() {
        let text = SESSION.replace("sso_account_id = 1\nsso_role_name = R\n", "");
        let run = fetch(&mut config_file(&text), &chain(&[]), nobody);
        assert!(said(&run, ErrorKind::CredentialsProvider).contains("add sso_account_id and sso_role_name"));
    }
}

mod programs {
    use super::*;

    fn exit(code: Option<i32>, stdout: &str, stderr: &str) -> Exit {
        Exit { code, stdout: Secret::new(stdout.as_bytes().to_vec()), stderr: stderr.to_owned() }
    }

    fn run(exit: Option<Exit>) -> (World, Fetched) {
        let mut world =
            config_file("[default]\ncredential_process = vault --token SwOrDARG | cat\naws_account_id = 7");
        world.programs.extend(exit);
        let run = fetch(&mut world, &chain(&[]), nobody);
        (world, run)
    }

    #[test]
    fn a_program_prints_credentials() {
        let json = format!(
            r#"{{"Version": 1, "AccessKeyId": "P", "SecretAccessKey": "SwOrDKEY", "SessionToken": "SwOrDTOKEN", "Expiration": "{}"}}"#,
            time(60)
        );
        let (world, run) = run(Some(exit(Some(0), &json, "")));
        assert_eq!((id(&run), run.result.as_ref().unwrap().account_id()), ("P", Some("7")));
        let shell = if Platform::CURRENT == Platform::Unix { "sh" } else { "cmd.exe" };
        assert_eq!(
            (world.ran[0][0].as_str(), world.ran[0][2].as_str()),
            (shell, "vault --token SwOrDARG | cat")
        );
    }

    #[test]
    fn a_program_that_fails_is_quoted_without_its_arguments() {
        for (exit, part) in [
            (
                Some(exit(Some(3), "", "vault is\nsealed\n")),
                "the program exited with status 3: vault is sealed",
            ),
            (Some(exit(None, "", "")), "the program was ended by a signal"),
            (Some(exit(Some(0), "SwOrD", "")), "it is not JSON"),
            (Some(exit(Some(0), r#"{"Version": 2}"#, "")), "its Version is 2"),
            (None, "no such program"),
        ] {
            let (_, run) = run(exit);
            let message = said(&run, ErrorKind::CredentialsProvider);
            assert!(message.contains(part) && message.contains("/h/.aws/config line 2"), "{message}");
            assert!(!message.contains("SwOrD"), "{message}");
        }
    }

    #[test]
    fn a_login_session_is_used_until_it_expires() {
        let token = |after| {
            format!(
                r#"{{"accessToken": {{"accessKeyId": "LOGIN", "secretAccessKey": "SwOrDKEY", "sessionToken": "SwOrDTOKEN",
                    "accountId": "9", "expiresAt": "{}"}}, "tokenType": "aws_sigv4", "dpopKey": "SwOrDPEM"}}"#,
                time(after)
            )
        };
        let variables = [("AWS_LOGIN_CACHE_DIRECTORY", "/l")];
        // SHA-256 of `me`.
        let file = "/l/2744ccd10c7533bd736ad890f9dd5cab2adb27b07d500b9493f29cdc420cb2e0.json";
        let mut world = config_file("[default]\nlogin_session = me");
        let missing = fetch(&mut world, &chain(&variables), nobody);
        assert!(said(&missing, ErrorKind::CredentialsProvider).ends_with("log in with `aws login`"));
        add_file(&mut world, file, &token(60));
        assert_eq!(id(&fetch(&mut world, &chain(&variables), nobody)), "LOGIN");
        add_file(&mut world, file, &token(-1));
        let run = fetch(&mut world, &chain(&variables), nobody);
        let message = said(&run, ErrorKind::CredentialsProvider);
        assert!(
            message.contains("it has expired") && message.ends_with("log in with `aws login`"),
            "{message}"
        );
    }
}

mod custom {
    use super::*;

    #[test]
    fn a_provider_may_use_all_tasks() {
        let provider = CredentialsProvider::new("vault", |tasks| async move {
            let mut request = Request::new(Payload::Empty);
            *request.uri_mut() = "https://vault/keys".parse().unwrap();
            tasks.wait(Duration::from_secs(5)).await?;
            let answer = tasks.http(request, s3_proto::Timeouts::default()).await?;
            Credentials::new(String::from_utf8_lossy(answer.body().expose()), "s")
        });
        let run = World::default().drive(provider.fetch(1), |_| body("CUSTOM"));
        assert_eq!((id(&run), run.waits.as_slice()), ("CUSTOM", &[Duration::from_secs(5)][..]));
    }

    #[test]
    fn a_future_is_left_to_the_driver() {
        let provider =
            CredentialsProvider::from_future("runtime", || async { Credentials::new("FUTURE", "s") });
        assert_eq!(id(&World::default().drive(provider.fetch(1), nobody)), "FUTURE");
        let failing = CredentialsProvider::from_future("runtime", || async {
            Err::<Credentials, _>(Error::new(ErrorKind::CredentialsProvider, "sealed"))
        });
        let run = World::default().drive(failing.fetch(1), nobody);
        assert_eq!(said(&run, ErrorKind::CredentialsProvider), "sealed");
    }

    #[test]
    fn what_the_driver_does_not_know_of_is_an_error_and_no_hang() {
        let provider = CredentialsProvider::new("wrong", |_| async {
            std::future::pending::<()>().await;
            Credentials::new("A", "s")
        });
        let run = World::default().drive(provider.fetch(1), nobody);
        assert!(said(&run, ErrorKind::ApiMisuse).contains("Tasks::run_future"));
    }
}

mod region {
    use super::*;

    fn load(
        world: &mut World,
        pairs: &[(&str, &str)],
        script: impl FnMut(&Request<Payload>) -> Reply,
    ) -> Run<(), s3_proto::Config> {
        world.drive(LoadConfig::new(environment(pairs)), script)
    }

    #[test]
    fn the_instance_is_asked_last() {
        let instance = |r: &Request<Payload>| imds(r, &ok());
        let run = load(&mut World::default(), &[], instance);
        assert_eq!(run.result.unwrap().region.as_str(), "eu-north-1");
        let run = load(&mut config_file("[default]\nregion = eu-west-3"), &[], nobody);
        assert_eq!(run.result.unwrap().region.as_str(), "eu-west-3");
        let run = load(&mut World::default(), &[("AWS_REGION", "us-west-2")], nobody);
        assert_eq!(run.result.unwrap().region.as_str(), "us-west-2");
    }

    #[test]
    fn a_store_of_ones_own_needs_no_instance() {
        let run = load(&mut World::default(), &[("AWS_ENDPOINT_URL", "http://localhost:9000")], nobody);
        assert_eq!(run.result.unwrap().region.as_str(), "us-east-1");
    }

    #[test]
    fn without_any_region_the_error_says_what_was_tried() {
        let run = load(&mut World::default(), &[], |_| unreachable());
        let message = said(&run, ErrorKind::Configuration);
        assert!(
            message.starts_with("no region is set (instance metadata service: 169.254.169.254 cannot be"),
            "{message}"
        );
    }

    #[test]
    fn what_was_found_out_about_the_instance_is_not_asked_again_by_the_calls() {
        let mut world = config_file("[default]\nregion = eu-west-3");
        let chain = chain(&[]);
        let first = world.drive(LoadConfig::with_chain(chain.clone()), nobody);
        assert!(first.result.is_ok());
        fetch(&mut world, &chain, |_| unreachable());
        let config = world.drive(LoadConfig::with_chain(chain), nobody).result.unwrap();
        let call = s3_proto::Call::new(s3_proto::Session::new(config), s3_proto::ops::HeadBucket::new("bkt"));
        let run = world.drive(call, nobody);
        assert_eq!(run.result.unwrap_err().kind(), ErrorKind::NoCredentials);
    }
}

/// Every source, set up.
fn sources() -> Vec<(World, DefaultChain)> {
    let mut sources = vec![
        (World::default(), chain(&[])),
        (World::default(), chain(&[("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI", "/c")])),
        (with_file("/t", "jwt"), chain(&[("AWS_ROLE_ARN", "r"), ("AWS_WEB_IDENTITY_TOKEN_FILE", "/t")])),
        (config_file("[default]\nrole_arn = r\ncredential_source = Ec2InstanceMetadata"), chain(&[])),
    ];
    let mut sso = config_file(
        "[default]\nsso_session = dev\nsso_account_id = 1\nsso_role_name = R\n\
         [sso-session dev]\nsso_region = us-east-1\nsso_start_url = https://start\n",
    );
    let token = format!(
        r#"{{"accessToken": "t", "expiresAt": "{}", "refreshToken": "r", "clientId": "c", "clientSecret": "s"}}"#,
        time(0)
    );
    add_file(&mut sso, "/h/.aws/sso/cache/34c6fceca75e456f25e7e99531e2425c6c1de443.json", &token);
    sources.push((sso, chain(&[])));
    sources
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Whatever is answered, each source comes to an end without a panic, after a bounded number of requests.
    #[test]
    fn no_answer_panics(answers in proptest::collection::vec((100u16..600, any::<Vec<u8>>(), "[{}<>a-zA-Z\":/, ]{0,60}"), 1..12)) {
        for (mut world, chain) in sources() {
            let mut next = answers.iter().cycle();
            let run = fetch(&mut world, &chain, |_| {
                let (status, bytes, text) = next.next().unwrap();
                let body = if *status % 2 == 0 { bytes.clone() } else { text.as_bytes().to_vec() };
                Reply::Answer(if *status < 300 { 200 } else { *status }, Vec::new(), body)
            });
            prop_assert!(run.sent.len() <= 12);
            prop_assert!(run.result.is_err());
        }
    }
}
