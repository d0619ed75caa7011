//! endpoints.json and partitions.json: where requests go.

use s3_proto::endpoint::{
    AddressingStyle, AuthScheme, Endpoint, EndpointParams, Provider, Region, ResolvedEndpoint, resolve,
};
use s3_proto::ops::{CreateBucket, GetObject, ListBuckets, ListObjects, ListObjectsV2, PutObject};
use s3_proto::{Config, Credentials, Error, ErrorKind, Payload, Session};
use serde_json::{Value, json};

use crate::List;
use crate::drive::request_in;
use crate::tally::{Outcome, Tally, Verdict, fail, flag, items, same, skip, text};

pub(crate) const LISTS: &[List] = &[
    ("endpoints.json", "cases", |cases| Tally::of(cases, case)),
    ("partitions.json", "partitions", |cases| Tally::of(cases, partition)),
];

/// `cases[]`: parameters, and the address, its way of signing, or an error; and calls that come to the same.
fn case(case: &Value) -> Outcome {
    resolves(case)?;
    items(case, "operation_inputs").iter().try_for_each(|input| called(case, input))
}

fn resolves(case: &Value) -> Outcome {
    match (case["error"].as_str(), resolved(&case["params"])) {
        (Some(_), Err(error)) => {
            same("kind of error", &ErrorKind::Configuration, &error.kind())?;
            names_both(case, &error)
        }
        (Some(error), Ok(got)) => Err(fail(format!("the error {error:?}"), url(&got))),
        (None, Err(error)) => Err(fail(text(case, "url")?, error.message())),
        (None, Ok(got)) => {
            same("url", text(case, "url")?, &url(&got))?;
            let expected: Vec<Value> = items(case, "auth_schemes").to_vec();
            same("auth schemes", &expected, &auth_schemes(&got))?;
            // The rules of S3 know one backend and no headers.
            let backend = (got.signing_name == "s3express").then_some("S3Express");
            same("backend", &case["backend"].as_str(), &backend)?;
            if case["headers"].as_object().is_some_and(|headers| !headers.is_empty()) {
                return Err(fail("headers", "none: an address of S3 has no headers"));
            }
            Ok(())
        }
    }
}

fn resolved(given: &Value) -> Result<ResolvedEndpoint, Error> {
    // Without a region there can be no client, so none is the same as an empty one.
    let region = Region::new(given["Region"].as_str().unwrap_or_default())?;
    let endpoint = given["Endpoint"].as_str().map(Endpoint::parse).transpose()?;
    let mut params = EndpointParams::new(&region);
    params.endpoint = endpoint.as_ref();
    params.bucket = given["Bucket"].as_str();
    params.style = if flag(given, "ForcePathStyle") { AddressingStyle::Path } else { AddressingStyle::Auto };
    params.options.dual_stack = flag(given, "UseDualStack");
    params.options.fips = flag(given, "UseFIPS");
    params.options.accelerate = flag(given, "Accelerate");
    params.options.global_endpoint = flag(given, "UseGlobalEndpoint");
    params.options.use_arn_region = given["UseArnRegion"].as_bool().unwrap_or(true);
    params.options.multi_region_access_points = !flag(given, "DisableMultiRegionAccessPoints");
    params.options.express_session_auth = !flag(given, "DisableS3ExpressSessionAuth");
    params.operation.express_control = flag(given, "UseS3ExpressControlEndpoint");
    params.operation.object_lambda = flag(given, "UseObjectLambdaEndpoint");
    params.operation.no_access_points = flag(given, "DisableAccessPoints");
    resolve(&params)
}

/// `operation_inputs[]`: the call of a client, for operations that there are here.
fn called(case: &Value, input: &Value) -> Outcome {
    let (params, builtins) = (&input["params"], &input["builtins"]);
    let member = |name: &str| params[name].as_str().unwrap_or_default().to_owned();
    let (bucket, key) = (member("Bucket"), member("Key"));
    let session = match session(builtins) {
        Ok(session) => session,
        Err(error) if case["error"].is_null() => return Err(error.into()),
        Err(_) => return Ok(()),
    };
    let sent = match text(input, "operation")? {
        "GetObject" => request_in(session, GetObject::new(bucket, &*key)),
        "PutObject" => request_in(session, PutObject::new(bucket, &*key, Payload::Empty)),
        "ListObjects" => request_in(session, ListObjects::new(bucket)),
        "ListObjectsV2" => request_in(session, ListObjectsV2::new(bucket)),
        "CreateBucket" => request_in(session, CreateBucket::new(bucket)),
        "ListBuckets" => request_in(session, ListBuckets::new()),
        _ => return Ok(()),
    };
    let Some(url) = case["url"].as_str() else {
        return match sent {
            Err(_) => Ok(()),
            Ok(request) => Err(fail("an error of the call", request.uri().to_string())),
        };
    };
    let separator = if key.is_empty() { "" } else { "/" };
    let expected = [url, separator, &key].concat();
    let uri = sent?.uri().to_string();
    let got = uri.split('?').next().unwrap_or_default().trim_end_matches('/');
    same("URL of the call", expected.as_str(), got)
}

/// A client with the settings that the rules call built-in.
fn session(builtins: &Value) -> Result<Session, Error> {
    let mut config = Config::new(builtins["AWS::Region"].as_str().unwrap_or_default())?
        .with_credentials(Credentials::new("AKIDEXAMPLE", "secret")?)
        // The rules know AWS and nothing else.
        .with_provider(Provider::AWS);
    if let Some(endpoint) = builtins["SDK::Endpoint"].as_str() {
        config = config.with_endpoint(endpoint)?;
    }
    if flag(builtins, "AWS::S3::ForcePathStyle") {
        config = config.with_addressing_style(AddressingStyle::Path);
    }
    config.relaxed_bucket_names = true;
    let options = &mut config.endpoint_options;
    options.dual_stack = flag(builtins, "AWS::UseDualStack");
    options.fips = flag(builtins, "AWS::UseFIPS");
    options.accelerate = flag(builtins, "AWS::S3::Accelerate");
    options.global_endpoint = flag(builtins, "AWS::S3::UseGlobalEndpoint");
    options.use_arn_region = builtins["AWS::S3::UseArnRegion"].as_bool().unwrap_or(true);
    options.multi_region_access_points = !flag(builtins, "AWS::S3::DisableMultiRegionAccessPoints");
    options.express_session_auth = !flag(builtins, "AWS::S3::DisableS3ExpressSessionAuth");
    Ok(Session::new(config))
}

/// Without the slash that stands for an empty path.
fn url(got: &ResolvedEndpoint) -> String {
    [got.scheme, "://", &got.authority, &got.path].concat()
}

fn auth_schemes(got: &ResolvedEndpoint) -> Vec<Value> {
    let scheme = |scheme: &AuthScheme| {
        let name = match scheme {
            AuthScheme::SigV4a => "sigv4a",
            AuthScheme::SigV4Express => "sigv4-s3express",
            _ => "sigv4",
        };
        let mut value = json!({"name": name, "signingName": got.signing_name, "disableDoubleEncoding": true});
        if *scheme == AuthScheme::SigV4a {
            value["signingRegionSet"] = json!(["*"]);
        } else {
            value["signingRegion"] = json!(got.signing_region.as_str());
        }
        value
    };
    got.auth_schemes.iter().map(scheme).collect()
}

/// What an error has to say where options exclude each other: each that the published one names.
fn names_both(case: &Value, error: &Error) -> Outcome {
    let published = text(case, "error")?.to_ascii_lowercase();
    if !["not support", "combin", "cannot be used"].iter().any(|verb| published.contains(verb)) {
        return Ok(());
    }
    let message = error.message().to_ascii_lowercase();
    let options =
        ["dual-stack", "fips", "accelerate", "custom endpoint", "object lambda", "outposts", "path-style"];
    for option in options.iter().filter(|option| published.contains(**option)) {
        let ours = match *option {
            "custom endpoint" => "the endpoint",
            "path-style" => "path style",
            option => option,
        };
        if !message.contains(ours) {
            return Err(fail(
                format!("an error that names {ours:?}, as {published:?} does"),
                error.message(),
            ));
        }
    }
    Ok(())
}

/// `partitions[]`: the regions that there are, the pattern of their names, and what follows from them.
fn partition(case: &Value) -> Outcome {
    let (id, outputs) = (text(case, "id")?, &case["outputs"]);
    let mut names: Vec<String> =
        case["regions"].as_object().into_iter().flatten().map(|(n, _)| n.clone()).collect();
    names.extend(unknown_regions(text(case, "regionRegex")?)?);
    for name in names {
        let partition = Region::new(&name)?.partition();
        let got = (
            partition.id(),
            partition.dns_suffix(),
            partition.dual_stack_dns_suffix(),
            partition.implicit_global_region(),
        );
        let expected = (
            id,
            text(outputs, "dnsSuffix")?,
            text(outputs, "dualStackDnsSuffix")?,
            text(outputs, "implicitGlobalRegion")?,
        );
        same(&name, &expected, &got)?;
    }
    Ok(())
}

/// Regions that the pattern covers and that do not exist: `^(us|eu)\-\w+\-\d+$` gives two.
fn unknown_regions(pattern: &str) -> Result<Vec<String>, Verdict> {
    let plain = pattern.replace('\\', "");
    let Some(prefix) = plain.strip_prefix('^').and_then(|p| p.strip_suffix("-w+-d+$")) else {
        return Err(skip("regionRegex of another form than PREFIX-WORD-NUMBER"));
    };
    let names = match (prefix.find('('), prefix.find(')')) {
        (Some(open), Some(close)) => {
            let before = &prefix[..open];
            prefix[open + 1..close].split('|').map(|p| format!("{before}{p}-nowhere-99")).collect()
        }
        _ => vec![format!("{prefix}-nowhere-99")],
    };
    Ok(names)
}
