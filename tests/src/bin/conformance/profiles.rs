//! profiles.json: the files, where they lie, and the endpoint that they configure.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::PathBuf;

use s3_proto::credentials::{
    Environment, Platform, ProfileBase, ProfileChain, ProfileSet, Section, endpoint_url_from, file_locations,
    profile_chain, region_from,
};
use s3_proto::endpoint::{Endpoint, EndpointParams, Region, resolve};
use s3_proto::{Error, Secret};
use serde_json::{Map, Value, json};

use crate::List;
use crate::tally::{Outcome, Tally, fail, same, skip};

pub(crate) const LISTS: &[List] = &[
    ("profiles.json", "parser", |cases| Tally::of(cases, parser)),
    ("profiles.json", "file_locations", |cases| Tally::of(cases, locations)),
    ("profiles.json", "configured_endpoint_url", |cases| Tally::of(cases, configured_endpoint_url)),
    ("profiles.json", "assume_role_graph", |cases| Tally::of(cases, assume_role_graph)),
];

/// `parser[]`: the texts of both files and the merged profiles.
fn parser(case: &Value) -> Outcome {
    let got = ProfileSet::parse(text(case, "config_file"), text(case, "credentials_file"));
    if let Some(part) = case["error_containing"].as_str() {
        return match got {
            Err(error) if error.message().contains(part) => Ok(()),
            Err(error) => Err(fail(part, error.message())),
            Ok(set) => Err(fail(part, contents(&set))),
        };
    }
    let set = match got {
        Ok(set) => set,
        Err(error) => return Err(fail(case["profiles"].to_string(), error.message())),
    };
    let mut sections = vec![("profiles", profiles(&set))];
    if case["sso_sessions"].is_object() {
        sections.push(("sso_sessions", sso_sessions(&set)));
    }
    for (name, got) in sections {
        let expected = string_maps(&case[name]);
        if expected != got {
            return Err(fail(format!("{name} {expected:?}"), format!("{got:?}")));
        }
    }
    Ok(())
}

/// `file_locations[]`: the environment, and the paths and the profile that follow from it.
fn locations(case: &Value) -> Outcome {
    let platform = match case["platform"].as_str() {
        Some("windows") => Platform::Windows,
        _ => Platform::Unix,
    };
    let found = file_locations(&environment(&case["environment"]), platform);
    let path = |p: Option<PathBuf>| p.and_then(|p| p.to_str().map(ToOwned::to_owned));
    let got = [
        ("configLocation", path(found.config)),
        ("credentialsLocation", path(found.credentials)),
        ("profile", Some(found.profile)),
    ];
    for (name, got) in got {
        match case[name].as_str() {
            Some(expected) if got.as_deref() != Some(expected) => {
                return Err(fail(format!("{name} {expected}"), format!("{got:?}")));
            }
            _ => {}
        }
    }
    Ok(())
}

/// `configured_endpoint_url[]`: a profile, the environment and the program's own setting, and where a request
/// then goes.
fn configured_endpoint_url(case: &Value) -> Outcome {
    let service = text(case, "service");
    if service != "s3" {
        return Err(skip(format!("service = {service}: not S3")));
    }
    let expected = text(case, "endpoint_url");
    match endpoint_of(case) {
        Ok(got) if got == expected => Ok(()),
        Ok(got) => Err(fail(expected, got)),
        Err(error) => Err(fail(expected, error.message())),
    }
}

/// `assume_role_graph[]`: profiles, and the sources and roles that the selected one leads to.
fn assume_role_graph(case: &Value) -> Outcome {
    let mut config = String::new();
    for (kind, sections) in [("profile", &case["profiles"]), ("sso-session", &case["sso_sessions"])] {
        for (name, properties) in string_maps(sections) {
            let _ = writeln!(config, "[{kind} {name}]");
            for (key, value) in properties {
                let _ = writeln!(config, "{key} = {value}");
            }
        }
    }
    let profiles = ProfileSet::parse(&config, "")?;
    match (profile_chain(&profiles, text(case, "selected_profile")), case["chain"].as_array()) {
        (Ok(got), Some(expected)) => same("chain", expected, &steps(&got)),
        // The published wording is another client's own.
        (Err(_), None) => Ok(()),
        (Ok(got), None) => Err(fail(text(case, "error_containing"), format!("{got:?}"))),
        (Err(error), Some(_)) => Err(fail(case["chain"].to_string(), error.message())),
    }
}

/// A chain as the cases write it.
fn steps(chain: &ProfileChain) -> Vec<Value> {
    let base = match &chain.base {
        ProfileBase::Static(keys) => json!({ "AccessKey": {
            "access_key_id": keys.access_key_id(),
            "secret_access_key": keys.secret_access_key().expose(),
            "session_token": keys.session_token().map(Secret::expose),
        } }),
        ProfileBase::Source(name) => json!({ "NamedSource": name }),
        ProfileBase::WebIdentity { role_arn, token_file, session_name } => json!({ "WebIdentityToken": {
            "role_arn": role_arn,
            "web_identity_token_file": token_file,
            "role_session_name": session_name,
        } }),
        ProfileBase::Sso(sso) => json!({ "Sso": {
            "sso_session": sso.session,
            "sso_region": sso.region,
            "sso_start_url": sso.start_url,
            "sso_account_id": sso.role.as_ref().map(|(account, _)| account),
            "sso_role_name": sso.role.as_ref().map(|(_, role)| role),
        } }),
        ProfileBase::Process { command, .. } => json!({ "CredentialProcess": command.expose() }),
        other => json!(format!("{other:?}")),
    };
    let roles = chain.roles.iter().map(|role| {
        json!({ "AssumeRole": {
            "role_arn": role.role_arn,
            "external_id": role.external_id,
            "role_session_name": role.session_name,
        } })
    });
    std::iter::once(base).chain(roles).map(without_nulls).collect()
}

fn without_nulls(mut step: Value) -> Value {
    for properties in
        step.as_object_mut().into_iter().flatten().filter_map(|(_, value)| value.as_object_mut())
    {
        properties.retain(|_, value| !value.is_null());
    }
    step
}

fn endpoint_of(case: &Value) -> Result<String, Error> {
    let name = text(case, "profile_name");
    let profiles = ProfileSet::parse(&config_text(case, name), "")?;
    let env = environment(&case["env"]);
    let endpoint = match case["client_config"]["endpoint_url"].as_str() {
        Some(url) => Some(Endpoint::parse(url)?),
        None => endpoint_url_from(&env, &profiles, name)?,
    };
    let region = region_from(&env, &profiles, name)?.unwrap_or_else(Region::us_east_1);
    let mut params = EndpointParams::new(&region);
    params.endpoint = endpoint.as_ref();
    let resolved = resolve(&params)?;
    Ok(format!("{}://{}{}", resolved.scheme, resolved.authority, resolved.path))
}

/// The config file that these sections would stand in.
fn config_text(case: &Value, profile: &str) -> String {
    let mut out = format!("[profile {profile}]\n");
    let empty = Map::new();
    let entries = |value: &Value| value.as_object().unwrap_or(&empty).clone();
    for (key, value) in entries(&case["profile"]) {
        let _ = writeln!(out, "{key} = {}", value.as_str().unwrap_or_default());
    }
    for (name, services) in entries(&case["services"]) {
        let _ = writeln!(out, "[services {name}]");
        for (service, settings) in entries(&services) {
            let _ = writeln!(out, "{service} =");
            for (key, value) in entries(&settings) {
                let _ = writeln!(out, "  {key} = {}", value.as_str().unwrap_or_default());
            }
        }
    }
    out
}

type Sections = BTreeMap<String, BTreeMap<String, String>>;

fn profiles(set: &ProfileSet) -> Sections {
    set.profile_names().filter_map(|name| Some((name.to_owned(), properties(set.profile(name)?)))).collect()
}

fn sso_sessions(set: &ProfileSet) -> Sections {
    set.sso_session_names()
        .filter_map(|name| Some((name.to_owned(), properties(set.sso_session(name)?))))
        .collect()
}

fn properties(section: &Section) -> BTreeMap<String, String> {
    section.names().filter_map(|name| Some((name.to_owned(), section.raw(name)?.to_owned()))).collect()
}

fn contents(set: &ProfileSet) -> String {
    format!("{:?}", profiles(set))
}

fn string_maps(value: &Value) -> Sections {
    let strings = |value: &Value| -> BTreeMap<String, String> {
        let pairs = value.as_object().into_iter().flatten();
        pairs.map(|(k, v)| (k.clone(), v.as_str().unwrap_or_default().to_owned())).collect()
    };
    value.as_object().into_iter().flatten().map(|(name, section)| (name.clone(), strings(section))).collect()
}

fn environment(value: &Value) -> Environment {
    let pairs = value.as_object().into_iter().flatten();
    pairs.map(|(name, value)| (name, value.as_str().unwrap_or_default())).collect()
}

fn text<'a>(case: &'a Value, name: &str) -> &'a str {
    case[name].as_str().unwrap_or_default()
}
