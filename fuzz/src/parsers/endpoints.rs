//! Regions, endpoints, ARNs and bucket names, and the addresses that come of them.

use http::Uri;
use s3_proto::encode::uri_encode_path;
use s3_proto::endpoint::{
    AddressingStyle, Arn, Endpoint, EndpointOptions, EndpointParams, OperationNeeds, Provider, Region,
    resolve,
};
use s3_proto::validate::{BucketRule, check_bucket};

use crate::input::Input;

/// What is resolved is an address that is read again; nothing gets into the host that does not belong there.
pub(crate) fn run(bytes: &[u8]) {
    let mut input = Input::new(bytes);
    let (flags, style, operation) = (input.byte(), input.byte(), input.byte());
    let [region, endpoint, bucket, key] = [(); 4].map(|()| input.text_line());

    if let Some(arn) = Arn::parse(&bucket) {
        assert!(arn.resource_parts().count() > 0);
    }
    for rule in [BucketRule::Create, BucketRule::Existing, BucketRule::Relaxed] {
        let _ = check_bucket(&bucket, rule);
    }
    let _ = Provider::named(&endpoint);
    let endpoint = Endpoint::parse(&endpoint).ok();
    if let Some(endpoint) = &endpoint {
        assert_eq!(Endpoint::parse(&endpoint.to_string()).unwrap(), *endpoint);
        assert!(endpoint.to_string().parse::<Uri>().is_ok());
        let _ = Provider::of(endpoint);
    }
    let Ok(region) = Region::new(&region) else { return };
    let _ = region.partition();

    let mut params = EndpointParams::new(&region);
    params.endpoint = endpoint.as_ref();
    params.bucket = Some(bucket.as_str()).filter(|bucket| !bucket.is_empty());
    params.style = match style % 3 {
        0 => AddressingStyle::Auto,
        1 => AddressingStyle::Path,
        _ => AddressingStyle::VirtualHosted,
    };
    params.plain_names = style & 0x80 != 0;
    let on = |bit: u8| flags & (1 << bit) != 0;
    let mut options = EndpointOptions::default();
    (options.dual_stack, options.fips, options.accelerate) = (on(0), on(1), on(2));
    (options.global_endpoint, options.use_arn_region) = (on(3), !on(4));
    (options.multi_region_access_points, options.express_session_auth) = (!on(5), !on(6));
    params.options = options;
    let operations = ["GetObject", "CreateBucket", "CopyObject", "CreateSession", "WriteGetObjectResponse"];
    params.operation = OperationNeeds::of(operations[usize::from(operation) % operations.len()]);

    let Ok(resolved) = resolve(&params) else { return };
    let mut text = String::new();
    resolved.write_uri(&mut text, &uri_encode_path(&key), "list-type=2");
    let uri: Uri = text.parse().unwrap_or_else(|error| panic!("{text}: {error}"));
    assert_eq!(uri.authority().unwrap().as_str(), resolved.authority, "{text}");
    assert!(uri.path().starts_with(&resolved.path), "{text}");
    assert_eq!(uri.query(), Some("list-type=2"));
}
