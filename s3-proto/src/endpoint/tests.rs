use proptest::prelude::*;

use super::partition::is_aws_host;
use super::*;
use crate::{Error, ErrorKind};

fn uri(
    region: &str,
    endpoint: Option<&str>,
    style: AddressingStyle,
    bucket: Option<&str>,
    key: &str,
    query: &str,
) -> Result<String, Error> {
    let region = Region::new(region)?;
    let endpoint = endpoint.map(Endpoint::parse).transpose()?;
    let mut params = EndpointParams { style, bucket, ..EndpointParams::new(&region) };
    params.endpoint = endpoint.as_ref();
    let mut out = String::new();
    resolve(&params)?.write_uri(&mut out, key, query);
    Ok(out)
}

#[track_caller]
fn refusal<T: std::fmt::Debug>(result: Result<T, Error>) -> String {
    let error = result.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Configuration);
    error.message().to_owned()
}

#[test]
fn regions_are_dns_labels_of_any_meaning() {
    let longest = "a".repeat(63);
    for name in ["us-east-1", "auto", "fr-par", "WEUR", "RegionOne", "3", "us-east.special", &longest] {
        assert_eq!(Region::new(name).unwrap().as_str(), name);
    }
    for name in ["", "a b", "-a", "a.-b", "a..b", ".a", "a/b", "a@b", "a\r\nb", "é", "a_b", &"a".repeat(64)]
    {
        assert!(refusal(Region::new(name)).contains("us-east-1"));
    }
    let region: Region = "eu-west-1".parse().unwrap();
    assert_eq!((region.to_string(), format!("{region:?}")), ("eu-west-1".into(), "Region(eu-west-1)".into()));
}

#[test]
fn each_partition_has_its_suffix() {
    let cases = [
        ("us-east-1", "s3.us-east-1.amazonaws.com"),
        ("moon-north-1", "s3.moon-north-1.amazonaws.com"),
        ("us-gov-west-1", "s3.us-gov-west-1.amazonaws.com"),
        ("cn-north-1", "s3.cn-north-1.amazonaws.com.cn"),
        ("eusc-de-east-1", "s3.eusc-de-east-1.amazonaws.eu"),
        ("us-iso-east-1", "s3.us-iso-east-1.c2s.ic.gov"),
        ("us-isob-east-1", "s3.us-isob-east-1.sc2s.sgov.gov"),
        ("eu-isoe-west-1", "s3.eu-isoe-west-1.cloud.adc-e.uk"),
        ("us-isof-south-1", "s3.us-isof-south-1.csp.hci.ic.gov"),
        ("aws-cn-global", "s3.aws-cn-global.amazonaws.com.cn"),
        ("aws-iso-global", "s3.aws-iso-global.c2s.ic.gov"),
        ("aws-iso-b-global", "s3.aws-iso-b-global.sc2s.sgov.gov"),
    ];
    for (region, host) in cases {
        let region = Region::new(region).unwrap();
        assert_eq!(resolve(&EndpointParams::new(&region)).unwrap().authority, host);
    }
}

#[test]
fn the_global_endpoint_is_signed_for_us_east_1() {
    let region = Region::new("aws-global").unwrap();
    let resolved = resolve(&EndpointParams::new(&region)).unwrap();
    assert_eq!(resolved.authority, "s3.amazonaws.com");
    assert_eq!(resolved.signing_region, Region::us_east_1());
}

#[test]
fn on_aws_the_bucket_is_in_the_host_where_it_can_be() {
    let cases = [
        (None, "https://s3.eu-west-1.amazonaws.com/k?q=1"),
        (Some("photos"), "https://photos.s3.eu-west-1.amazonaws.com/k?q=1"),
        (Some("my.photos"), "https://s3.eu-west-1.amazonaws.com/my.photos/k?q=1"),
        (Some("My_Photos"), "https://s3.eu-west-1.amazonaws.com/My_Photos/k?q=1"),
        (Some("ab"), "https://s3.eu-west-1.amazonaws.com/ab/k?q=1"),
        (Some("evil.com#"), "https://s3.eu-west-1.amazonaws.com/evil.com%23/k?q=1"),
        (Some("a/../b?"), "https://s3.eu-west-1.amazonaws.com/a%2F..%2Fb%3F/k?q=1"),
        (Some("bü"), "https://s3.eu-west-1.amazonaws.com/b%C3%BC/k?q=1"),
        (Some("name-123-s3alias"), "https://name-123-s3alias.s3.eu-west-1.amazonaws.com/k?q=1"),
    ];
    for (bucket, expected) in cases {
        assert_eq!(uri("eu-west-1", None, AddressingStyle::Auto, bucket, "k", "q=1").unwrap(), expected);
    }
}

#[test]
fn on_other_endpoints_the_bucket_is_where_it_is_asked_for_and_can_be() {
    use AddressingStyle::{Auto, Path, VirtualHosted};
    let cases = [
        ("http://localhost:9000", Auto, "http://photos.localhost:9000/k"),
        ("http://127.0.0.1:9000", Auto, "http://127.0.0.1:9000/photos/k"),
        ("http://[::1]:9000", Auto, "http://[::1]:9000/photos/k"),
        ("store.example.com", Auto, "https://photos.store.example.com/k"),
        ("store.example.com", Path, "https://store.example.com/photos/k"),
        ("store.example.com", VirtualHosted, "https://photos.store.example.com/k"),
        ("http://localhost:9000", VirtualHosted, "http://photos.localhost:9000/k"),
        ("https://example.com/storage/v1/s3", Path, "https://example.com/storage/v1/s3/photos/k"),
        ("https://example.com/s3/", VirtualHosted, "https://photos.example.com/s3/k"),
    ];
    for (endpoint, style, expected) in cases {
        let got = uri("us-east-1", Some(endpoint), style, Some("photos"), "k", "").unwrap();
        assert_eq!(got, expected, "{endpoint} {style:?}");
    }
}

#[test]
fn hosts_of_aws_are_told_from_those_that_only_look_like_them() {
    for host in
        ["s3.eu-west-1.amazonaws.com", "s3.dualstack.eu-west-1.api.aws", "s3.cn-north-1.amazonaws.com.cn"]
    {
        assert!(is_aws_host(host), "{host}");
    }
    for host in ["amazonaws.com", "notamazonaws.com", "s3.amazonaws.com.example.com", "localhost"] {
        assert!(!is_aws_host(host), "{host}");
    }
}

#[test]
fn dots_in_bucket_names_are_no_matter_without_tls() {
    use AddressingStyle::{Auto, VirtualHosted};
    let to = |endpoint, style| uri("us-east-1", Some(endpoint), style, Some("a.b.c"), "k", "");
    assert_eq!(to("http://example.com", VirtualHosted).unwrap(), "http://a.b.c.example.com/k");
    let aws = "http://s3.us-east-1.amazonaws.com";
    assert_eq!(to(aws, Auto).unwrap(), "http://a.b.c.s3.us-east-1.amazonaws.com/k");
    assert_eq!(
        refusal(to("https://example.com", VirtualHosted)),
        "virtual-hosted style was asked for, but bucket 'a.b.c' cannot be in the host name of endpoint \
         https://example.com: a certificate does not cover a bucket name with dots. Use path style"
    );
}

#[test]
fn virtual_hosted_style_that_cannot_be_is_an_error_that_names_bucket_and_endpoint() {
    let cases = [
        (None, "My_Bucket", "Amazon S3 in us-east-1: the bucket name cannot be part of a host name"),
        (Some("store.example.com"), "a_b", "endpoint https://store.example.com: the bucket name"),
        (Some("http://127.0.0.1:9000"), "photos", "endpoint http://127.0.0.1:9000: an IP address"),
        (Some("http://[::1]"), "photos", "endpoint http://[::1]: an IP address"),
    ];
    for (endpoint, bucket, part) in cases {
        let message =
            refusal(uri("us-east-1", endpoint, AddressingStyle::VirtualHosted, Some(bucket), "", ""));
        assert!(message.contains(part) && message.contains(&format!("'{bucket}'")), "{message}");
    }
    // Without a bucket there is nothing to place.
    let list = uri("us-east-1", Some("http://[::1]"), AddressingStyle::VirtualHosted, None, "", "");
    assert_eq!(list.unwrap(), "http://[::1]/");
}

/// The address of a bucket with some options on.
fn address(bucket: &str, set: impl FnOnce(&mut EndpointParams<'_>)) -> Result<ResolvedEndpoint, Error> {
    let region = Region::new("us-west-2").unwrap();
    let mut params = EndpointParams { bucket: Some(bucket), ..EndpointParams::new(&region) };
    set(&mut params);
    resolve(&params)
}

const ACCESS_POINT: &str = "arn:aws:s3:eu-west-1:123456789012:accesspoint/reports";
const MULTI_REGION: &str = "arn:aws:s3::123456789012:accesspoint/mfzwi23gnjvgw.mrap";
const OBJECT_LAMBDA: &str = "arn:aws:s3-object-lambda:us-west-2:123456789012:accesspoint/resize";
const OUTPOST: &str =
    "arn:aws:s3-outposts:us-west-2:123456789012:outpost/op-01234567890123456/accesspoint/reports";

#[test]
fn each_kind_of_name_has_its_host_its_service_and_its_way_of_signing() {
    use AuthScheme::{SigV4, SigV4Express, SigV4a};
    let both: &[_] = &[SigV4a, SigV4];
    let cases: [(_, _, _, _, &[AuthScheme]); 6] = [
        (
            ACCESS_POINT,
            "reports-123456789012.s3-accesspoint.eu-west-1.amazonaws.com",
            "s3",
            "eu-west-1",
            &[SigV4],
        ),
        (
            MULTI_REGION,
            "mfzwi23gnjvgw.mrap.accesspoint.s3-global.amazonaws.com",
            "s3",
            "us-west-2",
            &[SigV4a],
        ),
        (
            OBJECT_LAMBDA,
            "resize-123456789012.s3-object-lambda.us-west-2.amazonaws.com",
            "s3-object-lambda",
            "us-west-2",
            &[SigV4],
        ),
        (
            OUTPOST,
            "reports-123456789012.op-01234567890123456.s3-outposts.us-west-2.amazonaws.com",
            "s3-outposts",
            "us-west-2",
            both,
        ),
        (
            "logs--usw2-az1--x-s3",
            "logs--usw2-az1--x-s3.s3express-usw2-az1.us-west-2.amazonaws.com",
            "s3express",
            "us-west-2",
            &[SigV4Express],
        ),
        (
            "logs--usw2-az1--xa-s3",
            "logs--usw2-az1--xa-s3.s3express-usw2-az1.us-west-2.amazonaws.com",
            "s3express",
            "us-west-2",
            &[SigV4Express],
        ),
    ];
    for (bucket, host, service, region, schemes) in cases {
        let got = address(bucket, |_| {}).unwrap();
        assert_eq!((got.authority.as_str(), got.path.as_str()), (host, ""), "{bucket}");
        assert_eq!((got.signing_name, got.signing_region.as_str()), (service, region), "{bucket}");
        assert_eq!(got.auth_schemes, schemes, "{bucket}");
    }
}

#[test]
fn a_provider_is_known_by_its_host_or_called_by_its_name() {
    let cases = [
        ("https://s3.eu-west-1.amazonaws.com", "aws"),
        ("https://vpce-1.s3.us-west-2.vpce.amazonaws.com", "aws"),
        ("https://abc.r2.cloudflarestorage.com", "cloudflare"),
        ("https://abc.eu.r2.cloudflarestorage.com", "cloudflare"),
        ("https://s3.us-west-004.backblazeb2.com", "backblaze"),
        ("https://storage.googleapis.com", "google"),
        ("https://fra1.digitaloceanspaces.com", "digitalocean"),
        ("https://s3.eu-central-1.wasabisys.com", "wasabi"),
        ("https://fsn1.your-objectstorage.com.", "hetzner"),
        ("https://s3.fr-par.scw.cloud", "scaleway"),
        ("https://s3.gra.io.cloud.ovh.net", "ovh"),
        ("https://ns.compat.objectstorage.us-ashburn-1.oraclecloud.com", "oracle"),
        ("https://cos.ap-beijing.myqcloud.com", "tencent"),
        ("https://oss-cn-hangzhou.aliyuncs.com", "alibaba"),
        ("http://s3.localhost.localstack.cloud:4566", "localstack"),
        ("https://play.min.io", "minio"),
        ("http://127.0.0.1:9000", "generic"),
        ("https://notscw.cloud", "generic"),
        ("https://scw.cloud.example", "generic"),
    ];
    for (endpoint, name) in cases {
        assert_eq!(Provider::of(&Endpoint::parse(endpoint).unwrap()).name, name, "{endpoint}");
    }
    assert_eq!(Provider::named("MinIO"), Some(Provider::MINIO));
    assert_eq!(Provider::named("nobody"), None);
}

#[test]
fn profiles_agree_with_themselves() {
    let mut names: Vec<_> = Provider::ALL.iter().map(|p| p.name).collect();
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), Provider::ALL.len(), "each has a name of its own");
    for provider in Provider::ALL {
        // A checksum of a stream is known only at its end: who gets one by default must take it there.
        assert!(provider.checksums != ChecksumPolicy::WhenSupported || provider.trailers, "{provider:?}");
        assert!(!provider.signed_trailers || (provider.trailers && provider.signed_chunks), "{provider:?}");
        assert!(provider.min_part_size <= provider.max_part_size && provider.max_parts > 0, "{provider:?}");
        assert!(provider.left_out.iter().all(|name| http::HeaderName::from_static(name) == *name));
    }
}

#[test]
fn options_choose_among_the_hosts_of_aws() {
    fn host(options: EndpointOptions) -> String {
        address("photos", |p| p.options = options).unwrap().authority
    }
    let none = EndpointOptions::default();
    assert_eq!(host(EndpointOptions { fips: true, ..none }), "photos.s3-fips.us-west-2.amazonaws.com");
    assert_eq!(
        host(EndpointOptions { fips: true, dual_stack: true, ..none }),
        "photos.s3-fips.dualstack.us-west-2.amazonaws.com"
    );
    assert_eq!(host(EndpointOptions { accelerate: true, ..none }), "photos.s3-accelerate.amazonaws.com");
    assert_eq!(
        host(EndpointOptions { global_endpoint: true, ..none }),
        "photos.s3.us-west-2.amazonaws.com",
        "there is a global host for us-east-1 only"
    );
}

#[test]
fn operations_on_a_directory_bucket_itself_go_to_the_control_endpoint() {
    let needs = OperationNeeds::of("DeleteBucket");
    let got = address("logs--usw2-az1--x-s3", |p| p.operation = needs).unwrap();
    assert_eq!(got.authority, "s3express-control.us-west-2.amazonaws.com");
    assert_eq!(got.path, "/logs--usw2-az1--x-s3");
    assert_eq!((got.signing_name, got.auth_schemes), ("s3express", &[AuthScheme::SigV4][..]));
    assert!(OperationNeeds::of("CopyObject").no_express_session);
    assert_eq!(OperationNeeds::of("PutObject"), OperationNeeds::default());
}

#[test]
fn options_that_exclude_each_other_are_an_error_that_names_both() {
    type Set = fn(&mut EndpointParams<'_>);
    let cases: [(&str, Set, [&str; 2]); 8] = [
        ("photos", |p| (p.options.accelerate, p.options.fips) = (true, true), ["S3 Accelerate", "FIPS"]),
        (
            "photos",
            |p| (p.options.accelerate, p.style) = (true, AddressingStyle::Path),
            ["S3 Accelerate", "path style"],
        ),
        (ACCESS_POINT, |p| p.options.accelerate = true, ["S3 Accelerate", "access point"]),
        (ACCESS_POINT, |p| p.style = AddressingStyle::Path, ["arn:aws:s3", "path style"]),
        (MULTI_REGION, |p| p.options.dual_stack = true, ["dual-stack", "multi-region access point"]),
        (OUTPOST, |p| p.options.fips = true, ["FIPS", "Outposts"]),
        (OBJECT_LAMBDA, |p| p.options.dual_stack = true, ["dual-stack", "Object Lambda"]),
        ("logs--usw2-az1--x-s3", |p| p.options.accelerate = true, ["S3 Accelerate", "directory bucket"]),
    ];
    for (bucket, set, parts) in cases {
        let message = refusal(address(bucket, set));
        assert!(parts.iter().all(|part| message.contains(part)), "{parts:?}: {message}");
    }
    let endpoint = Endpoint::parse("https://store.example").unwrap();
    let region = Region::us_east_1();
    for option in ["dual-stack", "FIPS", "S3 Accelerate"] {
        let mut params = EndpointParams::new(&region);
        params.endpoint = Some(&endpoint);
        params.options.dual_stack = option == "dual-stack";
        params.options.fips = option == "FIPS";
        params.options.accelerate = option == "S3 Accelerate";
        let message = refusal(resolve(&params));
        assert!(message.contains(option) && message.contains("https://store.example"), "{message}");
    }
}

#[test]
fn an_arn_leads_to_another_region_but_not_if_that_is_turned_off_nor_to_another_partition() {
    let message = refusal(address(ACCESS_POINT, |p| p.options.use_arn_region = false));
    assert!(message.contains("eu-west-1") && message.contains("us-west-2"), "{message}");
    let chinese = ACCESS_POINT.replace("eu-west-1", "cn-north-1");
    let message = refusal(address(&chinese, |_| {}));
    assert!(message.contains("aws-cn") && message.contains("us-west-2"), "{message}");
    assert!(
        refusal(address(MULTI_REGION, |p| p.options.multi_region_access_points = false))
            .contains("turned off")
    );
}

#[test]
fn where_names_are_plain_their_suffixes_mean_nothing() {
    let endpoint = Endpoint::parse("http://localhost:9000").unwrap();
    let region = Region::us_east_1();
    for bucket in ["logs--usw2-az1--x-s3", "logs--usw2-az1--xa-s3", "short--x-s3"] {
        let mut params = EndpointParams { bucket: Some(bucket), ..EndpointParams::new(&region) };
        params.endpoint = Some(&endpoint);
        params.style = AddressingStyle::Path;
        params.plain_names = true;
        let got = resolve(&params).unwrap();
        assert_eq!((got.path, got.signing_name), (format!("/{bucket}"), "s3"));
        assert_eq!(got.auth_schemes, [AuthScheme::SigV4]);
    }
}

#[test]
fn paths_are_put_together_without_losing_or_adding_slashes() {
    use AddressingStyle::{Path, VirtualHosted};
    let cases = [
        (None, Path, None, "", "", "https://s3.us-east-1.amazonaws.com/"),
        (None, Path, Some("b1c"), "", "", "https://s3.us-east-1.amazonaws.com/b1c"),
        (None, Path, Some("b1c"), "", "list-type=2", "https://s3.us-east-1.amazonaws.com/b1c?list-type=2"),
        (None, Path, Some("b1c"), "/a//b/", "", "https://s3.us-east-1.amazonaws.com/b1c//a//b/"),
        (None, VirtualHosted, Some("b1c"), "", "", "https://b1c.s3.us-east-1.amazonaws.com/"),
        (None, VirtualHosted, Some("b1c"), "/a", "", "https://b1c.s3.us-east-1.amazonaws.com//a"),
        (None, VirtualHosted, Some("b1c"), "../a", "", "https://b1c.s3.us-east-1.amazonaws.com/../a"),
        (Some("h/p"), Path, None, "", "", "https://h/p"),
        (Some("h/p"), Path, None, "", "x", "https://h/p?x"),
        (Some("h/p"), Path, Some("b1c"), "", "", "https://h/p/b1c"),
        (Some("h/p"), VirtualHosted, Some("b1c"), "", "", "https://b1c.h/p"),
    ];
    for (endpoint, style, bucket, key, query, expected) in cases {
        assert_eq!(uri("us-east-1", endpoint, style, bucket, key, query).unwrap(), expected);
    }
}

#[test]
fn write_path_appends_and_is_the_path_of_the_uri() {
    let region = Region::us_east_1();
    let params = EndpointParams { bucket: Some("photos"), ..EndpointParams::new(&region) };
    let resolved = resolve(&params).unwrap();
    let mut out = "GET ".to_owned();
    resolved.write_path(&mut out, "");
    assert_eq!(out, "GET /");
    resolved.write_path(&mut out, "k");
    assert_eq!(out, "GET //k");
}

#[test]
fn endpoints_are_read_and_put_into_their_usual_form() {
    let cases = [
        ("https://play.min.io:9000", "https://play.min.io:9000"),
        ("HTTPS://Play.Min.IO:443/", "https://play.min.io"),
        ("http://minio:80", "http://minio"),
        ("http://minio:443", "http://minio:443"),
        ("  minio:9000\n", "https://minio:9000"),
        ("minio", "https://minio"),
        ("my_store.local.", "https://my_store.local."),
        ("10.0.0.1", "https://10.0.0.1"),
        ("[::1]:9000", "https://[::1]:9000"),
        ("http://[2001:DB8:0:0:0:0:0:1]", "http://[2001:db8::1]"),
        ("https://x.supabase.co/storage/v1/s3", "https://x.supabase.co/storage/v1/s3"),
        ("https://x.example/a%20b//c/", "https://x.example/a%20b//c"),
        ("https://x.example///", "https://x.example"),
    ];
    for (text, expected) in cases {
        let endpoint = Endpoint::parse(text).unwrap_or_else(|e| panic!("{text}: {e}"));
        assert_eq!(endpoint.to_string(), expected);
        assert_eq!(Endpoint::parse(expected).unwrap(), endpoint);
    }
}

#[test]
fn the_parts_of_an_endpoint_can_be_asked_for() {
    let endpoint: Endpoint = "http://[::1]:9000/p".parse().unwrap();
    assert!(!endpoint.is_tls() && endpoint.is_ip());
    assert_eq!((endpoint.host(), endpoint.authority(), endpoint.base_path()), ("[::1]", "[::1]:9000", "/p"));
    assert_eq!(format!("{endpoint:?}"), "Endpoint(http://[::1]:9000/p)");
    let endpoint = Endpoint::parse("Example.com").unwrap();
    assert!(endpoint.is_tls() && !endpoint.is_ip());
    assert_eq!(
        (endpoint.host(), endpoint.authority(), endpoint.base_path()),
        ("example.com", "example.com", "")
    );
}

#[test]
fn endpoints_that_are_wrong_are_refused_with_the_reason() {
    let long_label = "a".repeat(64);
    let long_host = "a.".repeat(130);
    let cases = [
        ("", "has no host"),
        ("https://", "has no host"),
        ("https:///path", "has no host"),
        ("https://:9000", "no name or address"),
        ("ftp://example.com", "the scheme 'ftp'"),
        ("s3://bucket", "the scheme 's3'"),
        ("https://example.com?x=1", "has a query"),
        ("https://example.com/p#x", "has a fragment"),
        ("https://example.com\\p", "a backslash"),
        ("https://example.com:", "the port ''"),
        ("https://example.com:0", "the port '0'"),
        ("https://example.com:+80", "the port '+80'"),
        ("https://example.com:65536", "the port '65536'"),
        ("https://example.com:http", "the port 'http'"),
        ("https://::1", "in brackets"),
        ("https://2001:db8::1", "in brackets"),
        ("https://[::1", "in brackets"),
        ("https://[example.com]", "no IPv6 address"),
        ("https://[fe80::1%25eth0]", "zones are not supported"),
        ("https://bücket.example", "not ASCII"),
        ("https://a..b", "no name or address"),
        ("https://a b", "no name or address"),
        ("https://a\r\nb", "no name or address"),
        (&long_label, "no name or address"),
        (&long_host, "no name or address"),
        ("https://256.1.1.1", "ends in a number"),
        ("https://2130706433", "ends in a number"),
        ("https://example.com/a b", "' ' in its path"),
        ("https://example.com/a%2", "'%' in its path"),
        ("https://example.com/ü", "'ü' in its path"),
        ("https://example.com/a/../b", "'.' or '..'"),
        ("https://example.com/.", "'.' or '..'"),
    ];
    for (text, part) in cases {
        let message = refusal(Endpoint::parse(text));
        assert!(message.contains(part), "{text:?}: {message}");
        assert!(message.len() < 500 && !message.contains('\n'), "{message}");
    }
}

#[test]
fn secrets_in_an_endpoint_are_never_shown() {
    let cases = [
        "https://user:swordfish@example.com",
        "user:swordfish@example.com",
        "ftp://user:swordfish@example.com",
        "https://user:/?#swordfish@example.com",
        "https://example.com?token=swordfish",
        "https://example.com#swordfish",
        "ftp://example.com?token=swordfish",
        "https://example.com/a b?token=swordfish",
        "https://user:swordfish@",
    ];
    for text in cases {
        let error = Endpoint::parse(text).unwrap_err();
        for shown in [error.to_string(), format!("{error:?}")] {
            assert!(!shown.contains("swordfish"), "{shown}");
        }
    }
}

#[test]
fn host_labels_and_virtual_hostable_names() {
    let cases = [
        ("abc", true, true, true, true),
        ("a.b.c", false, true, false, true),
        ("Abc", true, true, false, false),
        ("a_c", false, false, false, false),
        ("-abc", false, false, false, false),
        ("abc-", true, true, false, false),
        ("ab", true, true, false, false),
        ("a..b", false, false, false, false),
        ("1.2.3.4", false, true, false, false),
    ];
    for (name, label, labels, hostable, with_dots) in cases {
        let got = [
            is_valid_host_label(name, false),
            is_valid_host_label(name, true),
            is_virtual_hostable(name, false),
            is_virtual_hostable(name, true),
        ];
        assert_eq!(got, [label, labels, hostable, with_dots], "{name}");
    }
}

fn styles() -> impl Strategy<Value = AddressingStyle> {
    use AddressingStyle::{Auto, Path, VirtualHosted};
    prop_oneof![Just(Auto), Just(Path), Just(VirtualHosted)]
}

proptest! {
    #[test]
    fn no_text_panics(text in ".{0,80}", scheme in "(https?://)?", more in "[\\[\\]:/@?#%.a0 -]{0,20}") {
        let _ = Region::new(&text);
        for text in [format!("{scheme}{text}"), format!("{scheme}{more}"), format!("{scheme}a{more}{text}")] {
            let _ = Endpoint::parse(&text);
        }
    }

    /// What is taken comes back as itself, and is a URI to the HTTP library.
    #[test]
    fn a_parsed_endpoint_is_a_uri(text in "(https?://)?[a-zA-Z0-9.\\[\\]:_-]{1,30}(/[a-z0-9%.~/]{0,20})?") {
        if let Ok(endpoint) = Endpoint::parse(&text) {
            let shown = endpoint.to_string();
            prop_assert_eq!(Endpoint::parse(&shown).unwrap(), endpoint.clone());
            let parsed: http::Uri = shown.parse().unwrap();
            prop_assert_eq!(parsed.authority().unwrap().as_str(), endpoint.authority());
        }
    }

    /// No bucket gets the request to another host than that of the endpoint or below it.
    #[test]
    fn a_bucket_cannot_change_the_host(bucket in "\\PC{1,40}", style in styles()) {
        for (endpoint, host) in [(None, "s3.us-east-1.amazonaws.com"), (Some("store.example"), "store.example")] {
            if let Ok(text) = uri("us-east-1", endpoint, style, Some(&bucket), "k", "") {
                let parsed: http::Uri = text.parse().unwrap();
                let got = parsed.host().unwrap();
                prop_assert!(got == host || got.strip_suffix(host).is_some_and(|r| r.ends_with('.')), "{}", text);
                prop_assert!(parsed.path().ends_with("/k"));
            }
        }
    }

    /// Whatever stands in an ARN or before a suffix with a meaning, the host is one of AWS, or below the endpoint.
    #[test]
    fn an_arn_or_alias_cannot_leave_aws(
        name in prop_oneof![
            "arn:aws(-cn)?:[a-z0-9-]{1,12}:[a-z0-9./@ -]{0,12}:[0-9a-z./@_-]{0,12}:(accesspoint|outpost)[:/\\PC]{0,30}",
            "arn:aws:s3(-outposts|-object-lambda)?:us-east-1:1:(accesspoint|outpost)/[a-z0-9./@#:-]{1,20}(/accesspoint/[a-z@#/]{0,5})?",
            "[a-z0-9.@/#-]{0,20}--[a-z0-9-]{8}--xa?-s3",
            "[a-z0-9-]{0,13}[oe][a-z0-9.-]{49}--op-s3",
            "\\PC{0,60}--op-s3",
        ],
        bits in 0_u32..2048,
        given in proptest::option::of(prop_oneof![Just("http://127.0.0.1:1/p"), Just("https://store.example/p")]),
    ) {
        let region = Region::us_east_1();
        let endpoint = given.map(|text| Endpoint::parse(text).unwrap());
        let on = |bit: u32| bits >> bit & 1 == 1;
        let mut params = EndpointParams { bucket: Some(&name), ..EndpointParams::new(&region) };
        params.endpoint = endpoint.as_ref();
        params.style = if on(0) { AddressingStyle::Path } else { AddressingStyle::Auto };
        params.options = EndpointOptions {
            dual_stack: on(1),
            fips: on(2),
            accelerate: on(3),
            global_endpoint: on(4),
            use_arn_region: on(5),
            multi_region_access_points: on(6),
            express_session_auth: on(7),
        };
        params.operation.express_control = on(8);
        params.operation.no_access_points = on(9);
        params.plain_names = on(10);
        if let Ok(got) = resolve(&params) {
            let mut text = String::new();
            got.write_uri(&mut text, "k", "");
            let parsed: http::Uri = text.parse().unwrap();
            let host = parsed.host().unwrap().to_owned();
            let given = [".store.example", "127.0.0.1"].iter().any(|h| format!(".{host}").ends_with(h));
            prop_assert!(is_aws_host(&host) || given, "{}", text);
        }
    }
}
