//! Where credentials and configuration come from.

use s3_proto::Machine;
use s3_proto::credentials::{CredentialsProvider, DefaultChain, Environment, LoadConfig};

use crate::driver::{World, drive};
use crate::input::Input;

/// What the environment may say beside where the home is.
const ENVIRONMENTS: &[&[(&str, &str)]] = &[
    &[],
    &[("AWS_ACCESS_KEY_ID", "AKIDEXAMPLE"), ("AWS_SECRET_ACCESS_KEY", "secret")],
    &[("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI", "/v2/x")],
    &[
        ("AWS_CONTAINER_CREDENTIALS_FULL_URI", "http://store.local/x"),
        ("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE", "/t"),
    ],
    &[("AWS_ROLE_ARN", "arn:aws:iam::123456789012:role/r"), ("AWS_WEB_IDENTITY_TOKEN_FILE", "/t")],
    &[("AWS_PROFILE", "process")],
    &[("AWS_PROFILE", "role")],
    &[("AWS_PROFILE", "sso")],
    &[("AWS_PROFILE", "web")],
    &[("AWS_PROFILE", "instance")],
    &[("AWS_PROFILE", "old-sso")],
    &[("AWS_EC2_METADATA_SERVICE_ENDPOINT_MODE", "IPv6")],
];

const CONFIG: &str = "[profile process]\ncredential_process = /bin/keys --all\n\
    [profile role]\nrole_arn = arn:aws:iam::123456789012:role/r\nsource_profile = base\nregion = eu-west-1\n\
    [profile base]\naws_access_key_id = AKIDEXAMPLE\naws_secret_access_key = secret\n\
    [profile sso]\nsso_session = s\nsso_account_id = 123456789012\nsso_role_name = r\n\
    [sso-session s]\nsso_start_url = https://example.com/start\nsso_region = eu-west-1\n\
    [profile old-sso]\nsso_start_url = https://example.com/start\nsso_region = eu-west-1\n\
    sso_account_id = 123456789012\nsso_role_name = r\n\
    [profile web]\nrole_arn = arn:aws:iam::123456789012:role/r\nweb_identity_token_file = /t\n\
    [profile instance]\nrole_arn = arn:aws:iam::123456789012:role/r\ncredential_source = Ec2InstanceMetadata\n";

/// Of the session `s`, and of the start URL: what they are called is their SHA-1.
const TOKENS: [&str; 2] =
    ["a0f1490a20d0211c997b44bc357e1972deab8ae3", "b343494cf15ba6b81449840ea93161cf3b27e5e3"];
const TOKEN: &str = r#"{"accessToken": "t", "expiresAt": "2015-08-30T12:37:00Z", "refreshToken": "r",
    "clientId": "c", "clientSecret": "s", "registrationExpiresAt": "2016-01-01T00:00:00Z"}"#;

fn world() -> World {
    let mut files = vec![("/h/.aws/config".into(), CONFIG.into()), ("/t".into(), "a-token".into())];
    let token = |name| (format!("/h/.aws/sso/cache/{name}.json").into(), TOKEN.into());
    files.extend(TOKENS.map(token));
    World { files, ..World::with_object(0) }
}

/// The environment that the input picks.
fn environment(input: &mut Input<'_>) -> Environment {
    let pairs = input.pick(ENVIRONMENTS);
    [("HOME", "/h"), ("USERPROFILE", "/h")].iter().chain(pairs).copied().collect()
}

fn end<M: Machine>(machine: M, input: &mut Input<'_>) {
    drop(drive(machine, &world(), input));
}

/// Each provider by itself, and the chain of all.
pub(crate) fn credentials(bytes: &[u8]) {
    let input = &mut Input::new(bytes);
    let chain = DefaultChain::new(environment(input));
    let provider = match input.below(5) {
        0 => CredentialsProvider::default_chain(chain),
        1 => CredentialsProvider::profile(chain),
        2 => CredentialsProvider::web_identity(chain),
        3 => CredentialsProvider::container(chain),
        _ => CredentialsProvider::imds(chain),
    };
    end(provider.fetch(1), input);
}

/// The configuration that environment, profiles and instance make.
pub(crate) fn load_config(bytes: &[u8]) {
    let input = &mut Input::new(bytes);
    end(LoadConfig::new(environment(input)), input);
}
