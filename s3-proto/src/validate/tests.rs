use proptest::prelude::*;

use super::*;
use crate::ErrorKind;

#[track_caller]
fn refusal(result: Result<(), Error>) -> String {
    let error = result.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidInput);
    error.message().to_owned()
}

#[test]
fn new_buckets_follow_the_rules_of_aws() {
    let longest = "a".repeat(63);
    for name in ["abc", "my-bucket", "my.bucket.1", "0-9", "a--b", "192.168.5", "1.2.3.4.5", &longest] {
        check_bucket(name, BucketRule::Create).unwrap_or_else(|e| panic!("{name}: {e}"));
    }
    let too_long = "a".repeat(64);
    let wrong = [
        ("", "is empty"),
        ("ab", "has 2 characters"),
        (&too_long, "has 64 characters"),
        ("My-bucket", "'M'"),
        ("my_bucket", "'_'"),
        ("my bucket", "' '"),
        ("bücket", "'ü'"),
        ("a/b", "'/'"),
        ("a\r\nb", "'\\r'"),
        ("-abc", "must begin and end"),
        ("abc-", "must begin and end"),
        (".abc", "must begin and end"),
        ("abc.", "must begin and end"),
        ("a..b", "two dots"),
        ("192.168.5.4", "IP address"),
        ("999.999.999.999", "IP address"),
        ("xn--abc", "'xn--'"),
        ("sthree-abc", "'sthree-'"),
        ("sthree-configurator", "'sthree-'"),
        ("amzn-s3-demo-abc", "'amzn-s3-demo-'"),
        ("abc-s3alias", "'-s3alias'"),
        ("abc--ol-s3", "'--ol-s3'"),
        ("abc.mrap", "'.mrap'"),
        ("abc--usw2-az1--xa-s3", "'--xa-s3'"),
        ("abc--table-s3", "'--table-s3'"),
    ];
    for (name, part) in wrong {
        let message = refusal(check_bucket(name, BucketRule::Create));
        assert!(message.contains(part), "{name}: {message}");
    }
}

#[test]
fn a_directory_bucket_can_be_made() {
    check_bucket("abc--usw2-az1--x-s3", BucketRule::Create).unwrap();
}

#[test]
fn an_arn_stands_for_a_bucket_under_relaxed_rules_too() {
    for rule in [BucketRule::Existing, BucketRule::Relaxed] {
        check_bucket("arn:aws:s3:eu-west-1:1:accesspoint/a", rule).unwrap();
    }
    refusal(check_bucket("arn:aws:s3:eu-west-1:1:accesspoint/a", BucketRule::Create));
}

#[test]
fn existing_buckets_may_have_reserved_names_and_nothing_else_that_is_wrong() {
    let right = [
        "abc",
        "name-123-s3alias",
        "name--ol-s3",
        "abc--usw2-az1--x-s3",
        "arn:aws:s3:eu-west-1:1:accesspoint/a",
    ];
    for name in right {
        check_bucket(name, BucketRule::Existing).unwrap_or_else(|e| panic!("{name}: {e}"));
    }
    for name in ["", "ab", "My-bucket", "a_b_c", "a..b", "192.168.5.4", "arn:aws\r\n", "arn:a b"] {
        refusal(check_bucket(name, BucketRule::Existing));
    }
}

#[test]
fn relaxed_buckets_are_those_of_other_stores() {
    let longest = "A".repeat(255);
    for name in ["a", "My_Bucket", "tenant:bucket", "a..b", "192.168.5.4", "-a-", "bücket", &longest] {
        check_bucket(name, BucketRule::Relaxed).unwrap_or_else(|e| panic!("{name}: {e}"));
    }
    let too_long = "a".repeat(256);
    let wrong = ["", ".", "..", "a/b", "a\\b", "a b", "a\tb", "a\0", "a\r\n", "a\u{85}", &too_long];
    for name in wrong {
        refusal(check_bucket(name, BucketRule::Relaxed));
    }
}

#[test]
fn long_names_are_cut_in_the_message() {
    let message = refusal(check_bucket(&"a".repeat(100_000), BucketRule::Relaxed));
    assert!(message.len() < 300 && message.contains("has 100000 bytes"), "{message}");
}

#[test]
fn keys_that_cannot_be_sent_are_refused() {
    let key = |key: &str| refusal(check_key(key).map(drop));
    assert_eq!(key(""), "the key is empty");
    assert_eq!(key("/"), "the key is '/' alone, which cannot be told from the bucket itself");
    assert_eq!(key("a\0b"), "the key 'a\\0b' has a NUL at byte 1");
    let message = key(&"é".repeat(513));
    assert!(
        message.starts_with("the key is 1026 bytes of UTF-8 long, at most 1024 are allowed"),
        "{message}"
    );
}

#[test]
fn keys_that_can_be_sent_pass_without_a_warning() {
    let longest = "é".repeat(512);
    for key in [" ", "a", "//", "/a", "a/", "a//b", ".a", "a..", "...", "%2F", "a+b", "🐱", &longest] {
        assert_eq!(check_key(key).unwrap(), [], "{key}");
    }
}

#[test]
fn keys_that_make_trouble_are_warned_about() {
    let control = |character, at| KeyWarning::ControlCharacter { character, at };
    assert_eq!(check_key("é\nb\n").unwrap(), [control('\n', 2)]);
    assert_eq!(check_key("\u{7f}").unwrap(), [control('\u{7f}', 0)]);
    for key in [".", "..", "../a", "a/./b", "a/.."] {
        assert_eq!(check_key(key).unwrap(), [KeyWarning::DotSegment], "{key}");
    }
    assert_eq!(check_key("../\t").unwrap(), [control('\t', 3), KeyWarning::DotSegment]);
    assert_eq!(control('\n', 2).to_string(), "the key has the control character '\\n' at byte 2");
}

#[test]
fn header_values_cannot_become_headers() {
    for value in ["", "a", " a\tb ", "~!\"#"] {
        check_header_value("content-type", value).unwrap();
    }
    let message = refusal(check_header_value("content-type", "swordfish\r\nx-evil: 1"));
    assert_eq!(
        message,
        "the value of header 'content-type' has a line break (U+000D) at byte 9: only visible ASCII, spaces and \
         tabs can be sent"
    );
    for (value, part) in
        [("a\nb", "line break"), ("\0", "control"), ("\u{7f}", "control"), ("é", "not ASCII")]
    {
        let message = refusal(check_header_value("x", value));
        assert!(message.contains(part) && message.contains("'x'"), "{message}");
    }
}

#[test]
fn header_names_are_tokens() {
    for name in ["x-amz-acl", "X", "a!#$%&'*+-.^_`|~9"] {
        check_header_name(name).unwrap();
    }
    for name in ["", "a b", "a:", "a\r\n", "é", "(a)"] {
        refusal(check_header_name(name));
    }
}

#[test]
fn metadata_is_counted_in_bytes_of_names_and_values() {
    let value = "v".repeat(MAX_METADATA_BYTES - 4);
    check_metadata([("name", value.as_str())]).unwrap();
    check_metadata([]).unwrap();
    let message = refusal(check_metadata([("name", value.as_str()), ("x", "")]));
    assert_eq!(message, "the user metadata is 2049 bytes long (names and values), at most 2048 are allowed");
}

#[test]
fn metadata_that_cannot_be_headers_is_refused() {
    for (name, value) in [("", "a"), ("a b", "a"), ("a:", "a"), ("é", "a"), ("a", "b\nc"), ("a", "é")] {
        refusal(check_metadata([(name, value)]));
    }
    let message = refusal(check_metadata([("Name", "a"), ("other", "b"), ("nAME", "c")]));
    assert!(message.contains("'nAME' is given twice"), "{message}");
}

#[test]
fn tags_are_limited_in_number() {
    let keys: Vec<String> = (0..51).map(|n| n.to_string()).collect();
    let tags = |n: usize| keys.iter().take(n).map(|k| (k.as_str(), ""));
    check_tags(tags(10), TagTarget::Object).unwrap();
    check_tags(tags(50), TagTarget::Bucket).unwrap();
    let message = refusal(check_tags(tags(11), TagTarget::Object));
    assert_eq!(message, "11 tags were given, an object can have at most 10");
    let message = refusal(check_tags(tags(51), TagTarget::Bucket));
    assert_eq!(message, "51 tags were given, a bucket can have at most 50");
}

#[test]
fn tags_are_limited_in_length_as_utf16() {
    let check = |key: &str, value: &str| check_tags([(key, value)], TagTarget::Object);
    check(&"é".repeat(128), &"é".repeat(256)).unwrap();
    check(&"🐱".repeat(64), &"🐱".repeat(128)).unwrap();
    assert!(refusal(check(&"k".repeat(129), "")).contains("has 129 characters, at most 128"));
    assert!(refusal(check("k", &"v".repeat(257))).contains("has 257 characters, at most 256"));
    assert!(refusal(check(&"🐱".repeat(65), "")).contains("has 130 characters"));
}

#[test]
fn tags_are_unique_and_not_reserved() {
    let check = |tags: &[(&'static str, &'static str)]| check_tags(tags.iter().copied(), TagTarget::Object);
    check(&[("a", ""), ("A", ""), ("aws", "aws:"), ("my aws:", ""), ("aé", "")]).unwrap();
    assert!(refusal(check(&[("", "a")])).contains("empty key"));
    assert!(refusal(check(&[("a", "1"), ("b", ""), ("a", "2")])).contains("'a' is given twice"));
    assert!(refusal(check(&[("aws:a", "1")])).contains("reserved"));
    assert!(refusal(check(&[("AWS:a", "1")])).contains("reserved"));
}

#[test]
fn numbers_and_sizes_have_limits() {
    let mib = 1 << 20;
    let right = [
        check_part_number(1),
        check_part_number(10_000),
        check_part_size(5 * mib, false),
        check_part_size(5 * 1024 * mib, false),
        check_part_size(0, true),
        check_put_size(0),
        check_put_size(5 * 1024 * mib),
        check_object_size(53_687_091_200_000),
        check_delete_count(1),
        check_delete_count(1_000),
    ];
    for (at, result) in right.into_iter().enumerate() {
        result.unwrap_or_else(|e| panic!("{at}: {e}"));
    }
    let wrong = [
        (check_part_number(0), "part number 0 is not between 1 and 10000"),
        (check_part_number(10_001), "part number 10001"),
        (check_part_size(5 * mib - 1, false), "5242879 bytes is too small"),
        (check_part_size(5 * 1024 * mib + 1, true), "5368709121 bytes is over the limit of 5368709120"),
        (check_put_size(5 * 1024 * mib + 1), "use a multipart upload"),
        (check_object_size(53_687_091_200_001), "48.8 TiB"),
        (check_delete_count(0), "at least one key"),
        (check_delete_count(1_001), "1001 keys are over the limit of 1000"),
    ];
    for (result, part) in wrong {
        let message = refusal(result);
        assert!(message.contains(part), "{message}");
    }
}

proptest! {
    #[test]
    fn nothing_panics(text in ".{0,300}", other in "\\PC{0,300}") {
        for rule in [BucketRule::Create, BucketRule::Existing, BucketRule::Relaxed] {
            let _ = check_bucket(&text, rule);
        }
        let _ = check_key(&text);
        let _ = check_header_name(&text);
        let _ = check_header_value(&text, &other);
        let _ = check_metadata([(text.as_str(), other.as_str()), (other.as_str(), "")]);
        let _ = check_tags([(text.as_str(), other.as_str()), (other.as_str(), "")], TagTarget::Bucket);
    }

    /// Each rule takes all that the stricter one takes.
    #[test]
    fn rules_are_ordered(name in "[a-zA-Z0-9._-]{0,70}") {
        if check_bucket(&name, BucketRule::Create).is_ok() {
            prop_assert!(check_bucket(&name, BucketRule::Existing).is_ok());
        }
        if check_bucket(&name, BucketRule::Existing).is_ok() {
            prop_assert!(check_bucket(&name, BucketRule::Relaxed).is_ok());
        }
    }

    /// What passes is what the HTTP library takes, so that nothing fails later.
    #[test]
    fn what_passes_is_a_header(name in "[ -~]{0,5}", value in "\\PC{0,5}|[\\x00-\\x7f]{0,5}") {
        if check_header_name(&name).is_ok() {
            prop_assert!(http::HeaderName::from_bytes(name.as_bytes()).is_ok());
        }
        if check_header_value("x", &value).is_ok() {
            prop_assert!(http::HeaderValue::from_str(&value).is_ok());
        }
    }
}
