use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;
use crate::endpoint::{AddressingStyle, ChecksumPolicy, EndpointOptions, Region};

type Pairs<'a> = &'a [(&'a str, &'a str)];

fn env(pairs: Pairs<'_>) -> Environment {
    pairs.iter().copied().collect()
}

fn config(text: &str) -> ProfileSet {
    ProfileSet::parse(text, "").unwrap()
}

/// Only what a person sees.
#[track_caller]
fn refusal<T: fmt::Debug>(result: Result<T, Error>, kind: ErrorKind) -> String {
    let error = result.unwrap_err();
    assert_eq!(error.kind(), kind, "{error}");
    error.message().to_owned()
}

/// The keys that a profile itself has.
fn keys(set: &ProfileSet, name: &str) -> Result<Credentials, Error> {
    match profile_chain(set, name)?.base {
        ProfileBase::Static(credentials) => Ok(credentials),
        other => panic!("{other:?}"),
    }
}

fn values(section: &Section) -> BTreeMap<&str, &str> {
    section.names().map(|name| (name, section.raw(name).unwrap())).collect()
}

mod environment {
    use super::*;

    #[test]
    fn only_known_variables_that_are_not_empty_are_kept() {
        let env =
            env(&[("AWS_REGION", "eu-west-1"), ("AWS_PROFILE", ""), ("PATH", "/bin"), ("aws_region", "x")]);
        assert_eq!(env.get("AWS_REGION"), Some("eu-west-1"));
        for name in ["AWS_PROFILE", "PATH", "aws_region", ""] {
            assert_eq!(env.get(name), None, "{name}");
        }
    }

    #[test]
    fn the_list_has_no_name_twice() {
        let unique: std::collections::BTreeSet<_> = Environment::VARIABLES.iter().collect();
        assert_eq!(unique.len(), Environment::VARIABLES.len());
    }

    #[test]
    fn debug_shows_no_secret() {
        let env = env(&[
            ("AWS_ACCESS_KEY_ID", "AKIDEXAMPLE"),
            ("AWS_SECRET_ACCESS_KEY", "swordfish"),
            ("AWS_SESSION_TOKEN", "swordfish"),
            ("AWS_CONTAINER_AUTHORIZATION_TOKEN", "swordfish"),
            ("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI", "/v2/credentials/swordfish"),
            ("AWS_CONTAINER_CREDENTIALS_FULL_URI", "http://127.0.0.1/swordfish"),
            ("HTTPS_PROXY", "http://user:swordfish@proxy"),
            ("AWS_ENDPOINT_URL", "https://example.com?token=swordfish"),
        ]);
        let shown = format!("{env:?}");
        assert!(shown.contains("AKIDEXAMPLE") && shown.contains("HTTPS_PROXY"), "{shown}");
        assert!(!shown.contains("swordfish"), "{shown}");
    }

    #[test]
    fn a_pair_makes_credentials() {
        let pair = [("AWS_ACCESS_KEY_ID", " AKID\n"), ("AWS_SECRET_ACCESS_KEY", "secret\r\n")];
        let credentials = from_environment(&env(&pair)).unwrap().unwrap();
        assert_eq!(credentials, Credentials::new("AKID", "secret").unwrap());
    }

    #[test]
    fn token_and_expiry_are_taken_along() {
        let all = [
            ("AWS_ACCESS_KEY_ID", "AKID"),
            ("AWS_SECRET_ACCESS_KEY", "secret"),
            ("AWS_SESSION_TOKEN", "token"),
            ("AWS_CREDENTIAL_EXPIRATION", "2013-05-24T00:00:00Z"),
        ];
        let credentials = from_environment(&env(&all)).unwrap().unwrap();
        assert_eq!(credentials.session_token().unwrap().expose(), "token");
        assert_eq!(credentials.expires_at().unwrap().unix_seconds(), 1_369_353_600);
        // A long-term pair does not expire, whatever was left behind.
        let mut long_term = all;
        long_term[2].1 = " ";
        let credentials = from_environment(&env(&long_term)).unwrap().unwrap();
        assert_eq!((credentials.session_token(), credentials.expires_at()), (None, None));
    }

    #[test]
    fn half_a_pair_is_an_error_that_names_the_other_half() {
        let cases =
            [("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"), ("AWS_SECRET_ACCESS_KEY", "AWS_ACCESS_KEY_ID")];
        for (set, missing) in cases {
            for other in ["", "  "] {
                let env = env(&[(set, "swordfish"), (missing, other)]);
                let message = refusal(from_environment(&env), ErrorKind::IncompleteCredentials);
                assert_eq!(message, format!("environment variable {set} is set, but {missing} is not"));
            }
        }
    }

    #[test]
    fn nothing_is_nothing() {
        assert_eq!(from_environment(&env(&[])).unwrap(), None);
        assert_eq!(from_environment(&env(&[("AWS_SESSION_TOKEN", "left over")])).unwrap(), None);
    }

    #[test]
    fn values_that_cannot_be_sent_are_refused_and_not_shown() {
        let cases = [("sword\nfish", "secret", "token"), ("AKID", "secret", "sword\nfish")];
        for (id, secret, token) in cases {
            let env = env(&[
                ("AWS_ACCESS_KEY_ID", id),
                ("AWS_SECRET_ACCESS_KEY", secret),
                ("AWS_SESSION_TOKEN", token),
            ]);
            let message = refusal(from_environment(&env), ErrorKind::InvalidInput);
            assert!(message.starts_with("environment variables: ") && !message.contains("fish"), "{message}");
        }
    }
}

mod locations {
    use super::*;

    fn paths(pairs: &[(&str, &str)], platform: Platform) -> (Option<String>, Option<String>) {
        let found = file_locations(&env(pairs), platform);
        let text = |path: Option<std::path::PathBuf>| path.map(|p| p.to_str().unwrap().to_owned());
        (text(found.config), text(found.credentials))
    }

    #[test]
    fn no_home_no_files() {
        assert_eq!(paths(&[], Platform::Unix), (None, None));
        assert_eq!(paths(&[("USERPROFILE", "C:\\u")], Platform::Unix), (None, None));
        assert_eq!(paths(&[("HOMEDRIVE", "C:")], Platform::Windows), (None, None));
        // What is named outright needs none.
        let named = paths(&[("AWS_CONFIG_FILE", "/c")], Platform::Unix);
        assert_eq!(named, (Some("/c".to_owned()), None));
    }

    #[test]
    fn a_tilde_is_the_home() {
        let cases = [
            ("~", "/home/u/"),
            ("~/c", "/home/u/c"),
            ("~//c", "/home/u/c"),
            ("~other/c", "~other/c"),
            ("~\\c", "~\\c"),
            ("/a/~/c", "/a/~/c"),
            ("c", "c"),
        ];
        for (given, expected) in cases {
            let found = paths(&[("HOME", "/home/u/"), ("AWS_CONFIG_FILE", given)], Platform::Unix);
            assert_eq!(found.0.unwrap(), expected);
        }
        let found = paths(&[("HOME", "C:\\u"), ("AWS_CONFIG_FILE", "~\\c")], Platform::Windows);
        assert_eq!(found.0.unwrap(), "C:\\u\\c");
        let found = paths(&[("AWS_CONFIG_FILE", "~/c")], Platform::Unix);
        assert_eq!(found.0.unwrap(), "~/c");
    }

    #[test]
    fn the_profile_is_the_default_unless_named() {
        let profile = |pairs| file_locations(&env(pairs), Platform::Unix).profile;
        assert_eq!(profile(&[]), "default");
        assert_eq!(profile(&[("AWS_PROFILE", "")]), "default");
        assert_eq!(profile(&[("AWS_PROFILE", "work")]), "work");
    }
}

mod files {
    use super::*;

    fn one(text: &str) -> BTreeMap<String, String> {
        let set = config(text);
        let section = set.profile("a").expect("profile a");
        values(section).into_iter().map(|(k, v)| (k.to_owned(), v.to_owned())).collect()
    }

    #[test]
    fn lines_are_read_as_aws_reads_them() {
        let cases = [
            ("[profile a]\nk = v", "k", "v"),
            ("\u{feff}[profile a]\nk = v", "k", "v"),
            ("[ profile  a\t]\r\nk=v\r\n", "k", "v"),
            ("[profile a] # comment\nk = v # comment", "k", "v"),
            ("[profile a]\nk = v#no comment", "k", "v#no comment"),
            ("[profile a]\nk = v;no comment", "k", "v;no comment"),
            ("[profile a]\nk = v\t; comment", "k", "v"),
            ("[profile a]\nK = V", "k", "V"),
            ("[profile a]\nk = 1\nk = 2", "k", "2"),
            ("[profile a]\nk = a=b==", "k", "a=b=="),
            ("[profile a]\nk =", "k", ""),
            ("[profile a]\nk = v\n\tmore  \n\n even # more", "k", "v\nmore\neven # more"),
            ("[profile a]\nk = v\n# comment\n more", "k", "v\nmore"),
            ("[profile a]\nk =\n x = 1\n y =", "k", "\nx = 1\ny ="),
        ];
        for (text, name, value) in cases {
            assert_eq!(one(text).get(name).map(String::as_str), Some(value), "{text:?}");
        }
    }

    #[test]
    fn malformed_lines_are_errors_with_file_and_line_but_without_the_text() {
        let cases = [
            ("swordfish", 1, "Expected a profile definition"),
            ("\n# c\nk = swordfish", 3, "Expected a profile definition"),
            ("[profile a]\nswordfish", 2, "Expected an '=' sign defining a property"),
            ("[profile a]\n= swordfish", 2, "Property did not have a name"),
            ("[profile a]\n k = swordfish", 2, "Expected a property definition, found continuation"),
            ("[profile a]\nk =\n swordfish", 3, "Expected an '=' sign defining a sub-property"),
            ("[profile a]\nk =\n = swordfish", 3, "Sub-property did not have a name"),
            ("[profile swordfish", 1, "Profile definition must end with ']'"),
            ("[profile a] swordfish", 1, "Profile definition must end with ']'"),
        ];
        for (text, line, expected) in cases {
            let files =
                [("config", ProfileSet::parse(text, "")), ("credentials", ProfileSet::parse("", text))];
            for (file, result) in files {
                let message = refusal(result, ErrorKind::Configuration);
                assert_eq!(message, format!("~/.aws/{file} line {line}: {expected}"));
            }
        }
    }

    #[test]
    fn sections_that_do_not_belong_are_ignored_with_a_warning() {
        let cases = [
            (
                "[a]\nk = v",
                "",
                "~/.aws/config line 1: section [a] is ignored: a profile must be written [profile",
            ),
            ("[profile a b]", "", "section [profile a b] is ignored: its name has a character"),
            ("[profile a!]", "", "its name has a character"),
            ("[]", "", "its name has a character"),
            ("[profile ]", "", "a profile must be written [profile NAME]"),
            ("[sso-sesion x]", "", "no such kind of section"),
            (
                "",
                "\n[profile a]",
                "~/.aws/credentials line 2: section [profile a] is ignored: a profile must be",
            ),
            ("", "[sso-session a]", "a profile must be written [NAME]"),
            (
                "[default]\nk = v\n[profile default]",
                "",
                "section [default] is ignored: [profile default] takes",
            ),
        ];
        for (config, credentials, part) in cases {
            let set = ProfileSet::parse(config, credentials).unwrap();
            assert!(matches!(set.warnings(), [warning] if warning.contains(part)), "{:?}", set.warnings());
            assert!(set.profile("a").is_none());
        }
    }

    #[test]
    fn properties_with_impossible_names_are_ignored_and_not_shown() {
        let set = config("[profile a]\nsword fish = 1\nk = v");
        assert_eq!(
            set.warnings(),
            ["~/.aws/config line 2: the property is ignored: its name has a character that is not allowed"]
        );
        assert_eq!(values(set.profile("a").unwrap()), BTreeMap::from([("k", "v")]));
    }

    #[test]
    fn the_credentials_file_goes_first_in_whichever_order_they_are_read() {
        let texts = [
            (ProfileFile::Config, "[profile a]\nx = config\ny = config"),
            (ProfileFile::Credentials, "[a]\nx = credentials\nz = credentials"),
        ];
        for order in [[0, 1], [1, 0]] {
            let mut set = ProfileSet::default();
            for at in order {
                set.add(texts[at].0, "p", texts[at].1).unwrap();
            }
            let a = set.profile("a").unwrap();
            let expected = BTreeMap::from([("x", "credentials"), ("y", "config"), ("z", "credentials")]);
            assert_eq!(values(a), expected);
            assert_eq!(a.file("y"), Some(ProfileFile::Config));
            assert_eq!(a.place("z").unwrap(), "p line 3");
        }
    }

    #[test]
    fn sso_sessions_and_services_are_not_profiles() {
        let set =
            config("[sso-session s]\nsso_region = r\n[services t]\ns3 =\n endpoint_url = u\n[profile s]");
        assert_eq!(set.sso_session("s").unwrap().get("sso_region"), Some("r"));
        assert_eq!(set.services("t").unwrap().nested("s3", "endpoint_url"), Some("u"));
        assert_eq!(set.profile_names().collect::<Vec<_>>(), ["s"]);
        assert_eq!(set.sso_session_names().collect::<Vec<_>>(), ["s"]);
        assert!(set.profile("t").is_none() && set.services("s").is_none());
    }

    #[test]
    fn nested_properties_are_found() {
        let set = config("[profile a]\ns3 =\n  X = 1 # c\n  y = a=b\n  x = 2\n  z =\nflat = v\n w = 1");
        let a = set.profile("a").unwrap();
        let cases = [
            ("s3", "x", Some("2")),
            ("s3", "y", Some("a=b")),
            ("s3", "z", None),
            ("s3", "w", None),
            ("flat", "w", None),
            ("none", "x", None),
        ];
        for (outer, inner, expected) in cases {
            assert_eq!(a.nested(outer, inner), expected, "{outer}.{inner}");
        }
    }

    #[test]
    fn an_empty_value_is_as_none() {
        let set = config("[profile a]\nk =");
        let a = set.profile("a").unwrap();
        assert_eq!((a.get("k"), a.raw("k"), a.get("other")), (None, Some(""), None));
    }

    #[test]
    fn debug_shows_names_only() {
        let set = ProfileSet::parse("", "[a]\naws_secret_access_key = swordfish\n s = swordfish").unwrap();
        let shown = format!("{set:?}");
        assert!(shown.contains("aws_secret_access_key") && !shown.contains("swordfish"), "{shown}");
    }

    fn load(config: FileRead<'_>, credentials: FileRead<'_>) -> ProfileSet {
        load_from(&env(&[("HOME", "/h")]), config, credentials)
    }

    fn load_from(env: &Environment, config: FileRead<'_>, credentials: FileRead<'_>) -> ProfileSet {
        ProfileSet::load(&file_locations(env, Platform::Unix), config, credentials)
    }

    #[test]
    fn loading_takes_the_file_that_is_good() {
        let good = FileRead::Contents(b"[default]\nk = v\n");
        let cases = [
            (FileRead::Missing, "/h/.aws/config does not exist"),
            (
                FileRead::Unreadable("permission denied"),
                "/h/.aws/config could not be read: permission denied",
            ),
            (
                FileRead::Contents(b"[profile a]\nx"),
                "/h/.aws/config line 2: Expected an '=' sign defining a property",
            ),
            (FileRead::Contents(b"[profile a]\nx = \xff"), "/h/.aws/config line 2: this is not UTF-8"),
        ];
        for (bad, problem) in cases {
            let set = load(bad, good);
            assert_eq!(set.problems(), [problem]);
            assert_eq!(set.profile("default").unwrap().get("k"), Some("v"));
            assert!(set.profile("a").is_none(), "nothing of a malformed file is used");
        }
    }

    #[test]
    fn loading_without_a_home_says_so() {
        let set = load_from(&env(&[]), FileRead::Missing, FileRead::Missing);
        assert_eq!(
            set.problems(),
            [
                "the config file has no path, as the home directory is not known",
                "the credentials file has no path, as the home directory is not known"
            ]
        );
    }

    #[test]
    fn a_pair_in_a_profile_makes_credentials() {
        let text = "[a]\naws_access_key_id = AKID\naws_secret_access_key = se/cr+et=\naws_session_token = t";
        let set = ProfileSet::parse("", text).unwrap();
        let expected = Credentials::new("AKID", "se/cr+et=").unwrap().with_session_token("t");
        assert_eq!(keys(&set, "a").unwrap(), expected);
        let message = refusal(keys(&set, "b"), ErrorKind::NoCredentials);
        assert_eq!(message, "profile 'b' is in neither profile file");
    }

    #[test]
    fn a_pair_may_be_split_over_the_files_but_a_token_must_fit() {
        let set = ProfileSet::parse(
            "[profile a]\naws_access_key_id = AKID\naws_session_token = left over",
            "[a]\naws_secret_access_key = secret",
        )
        .unwrap();
        let expected = Credentials::new("AKID", "secret").unwrap();
        assert_eq!(keys(&set, "a").unwrap(), expected);
    }

    #[test]
    fn half_a_pair_in_a_profile_is_an_error_that_names_file_and_profile() {
        let cases = [
            (
                "[a]\naws_access_key_id = AKID\naws_secret_access_key =",
                "profile 'a' has aws_access_key_id (~/.aws/credentials line 2), but no aws_secret_access_key",
            ),
            (
                "[a]\n\naws_secret_access_key = swordfish",
                "profile 'a' has aws_secret_access_key (~/.aws/credentials line 3), but no aws_access_key_id",
            ),
        ];
        for (text, expected) in cases {
            let set = ProfileSet::parse("", text).unwrap();
            assert_eq!(refusal(keys(&set, "a"), ErrorKind::IncompleteCredentials), expected);
        }
    }

    #[test]
    fn a_source_goes_before_the_keys_of_the_same_profile() {
        let cases = [
            ("role_arn = r\nweb_identity_token_file = /t", "WebIdentity"),
            ("sso_start_url = u\nsso_region = r\nsso_account_id = 1\nsso_role_name = r", "Sso"),
            ("login_session = s", "Login"),
            ("credential_process = /bin/p", "Process"),
            ("role_arn = r\ncredential_source = EcsContainer", "Source"),
        ];
        for (text, base) in cases {
            let pair = "aws_access_key_id = AKID\naws_secret_access_key = secret";
            let chain = profile_chain(&config(&format!("[profile a]\n{text}\n{pair}")), "a").unwrap();
            assert!(format!("{:?}", chain.base).starts_with(base), "{chain:?}");
        }
    }

    #[test]
    fn what_contradicts_itself_says_where() {
        let cases = [
            ("role_arn = r", "a role_arn needs a source_profile or a credential_source beside it"),
            ("role_arn = r\nsource_profile = b\ncredential_source = x", "there are both source_profile"),
            ("role_arn = r\nsource_profile = b", "could not find source profile 'b' referenced from 'a'"),
            ("role_arn = r\nsource_profile = a", "profile 'a' has to give the first credentials of a chain"),
            ("web_identity_token_file = /t", "web_identity_token_file needs a role_arn beside it"),
            ("role_arn = r\nsource_profile = a\nduration_seconds = 60", "duration_seconds must be between"),
            ("sso_account_id = 1", "if `sso_account_id` is set, then `sso_role_name` must also be set"),
            ("sso_start_url = u", "`sso_region` must be set for SSO"),
            ("sso_region = r", "`sso_start_url` must be set for SSO"),
            ("sso_session = s\nsso_region = r", "`sso_region` can only stand in the section [sso-session s]"),
            ("sso_session = s", "it names the SSO session 's', but there is no section [sso-session s]"),
        ];
        for (text, part) in cases {
            let set = config(&format!("[profile a]\n{text}"));
            let message = refusal(profile_chain(&set, "a"), ErrorKind::Configuration);
            assert!(message.contains(part) && message.contains("'a'"), "{message}");
        }
    }

    #[test]
    fn profiles_that_lead_back_to_themselves_are_named() {
        let text =
            "[profile a]\nrole_arn = r\nsource_profile = b\n[profile b]\nrole_arn = r\nsource_profile = a";
        let message = refusal(profile_chain(&config(text), "a"), ErrorKind::Configuration);
        assert_eq!(message, "the profiles lead back to themselves by source_profile: a -> b -> a");
    }

    #[test]
    fn a_pair_whose_other_half_is_in_a_malformed_file_says_so() {
        let set = load(
            FileRead::Contents(b"[default]\naws_access_key_id = A"),
            FileRead::Contents(b"[default]\nx"),
        );
        let message = refusal(keys(&set, "default"), ErrorKind::IncompleteCredentials);
        assert_eq!(
            message,
            "profile 'default' has aws_access_key_id (/h/.aws/config line 2), but no aws_secret_access_key \
             (/h/.aws/credentials line 2: Expected an '=' sign defining a property)"
        );
    }
}

mod settings {
    use super::*;

    #[test]
    fn the_region_is_that_of_the_environment_else_of_the_profile() {
        let set = config("[profile a]\nregion = from-profile\n[profile b]\nregion =");
        let cases: [(Pairs<'_>, &str, Option<&str>); 6] = [
            (&[("AWS_REGION", "one"), ("AWS_DEFAULT_REGION", "two")], "a", Some("one")),
            (&[("AWS_REGION", ""), ("AWS_DEFAULT_REGION", "two")], "a", Some("two")),
            (&[("AWS_REGION", " one\n")], "a", Some("one")),
            (&[], "a", Some("from-profile")),
            (&[], "b", None),
            (&[], "none", None),
        ];
        for (pairs, profile, expected) in cases {
            let region = region_from(&env(pairs), &set, profile).unwrap();
            assert_eq!(region.as_ref().map(Region::as_str), expected);
        }
    }

    #[test]
    fn a_wrong_region_says_where_it_is_set() {
        let set = config("[profile a]\nregion = not a region");
        let message = refusal(region_from(&env(&[]), &set, "a"), ErrorKind::Configuration);
        assert!(message.starts_with("~/.aws/config line 2: the region 'not a region'"), "{message}");
        let message =
            refusal(region_from(&env(&[("AWS_REGION", "a_b")]), &set, "a"), ErrorKind::Configuration);
        assert!(message.starts_with("AWS_REGION: the region 'a_b'"), "{message}");
    }

    const FILE: &str = "[profile a]\nservices = s\nendpoint_url = https://profile\n\
                        [profile b]\nendpoint_url = https://profile\n\
                        [profile c]\nservices = t\nendpoint_url = https://profile\n\
                        [profile d]\nendpoint_url = https://profile\nignore_configured_endpoint_urls = TRUE\n\
                        [services s]\ns3 =\n  endpoint_url = https://services # mine\n\
                        [services t]\ndynamodb =\n  endpoint_url = https://other\n";

    #[test]
    fn the_endpoint_is_the_nearest_one() {
        let both = [("AWS_ENDPOINT_URL_S3", "https://s3-env"), ("AWS_ENDPOINT_URL", "https://env")];
        let with = |value| [both[0], both[1], ("AWS_IGNORE_CONFIGURED_ENDPOINT_URLS", value)];
        let (ignoring, heeding) = (with("True"), with("false"));
        let cases: [(Pairs<'_>, &str, Option<&str>); 10] = [
            (&both, "a", Some("https://s3-env")),
            (&both[1..], "a", Some("https://env")),
            (&[], "a", Some("https://services")),
            (&[], "b", Some("https://profile")),
            (&[], "c", Some("https://profile")),
            (&[], "none", None),
            (&ignoring, "a", None),
            (&both, "d", None),
            (&heeding, "d", Some("https://s3-env")),
            (&both, "none", Some("https://s3-env")),
        ];
        let set = config(FILE);
        for (pairs, profile, expected) in cases {
            let endpoint = endpoint_url_from(&env(pairs), &set, profile).unwrap();
            assert_eq!(endpoint.map(|e| e.to_string()).as_deref(), expected, "{pairs:?} {profile}");
        }
    }

    #[test]
    fn a_wrong_endpoint_says_where_it_is_set_and_shows_no_password() {
        let text = "[profile a]\nendpoint_url = https://u:swordfish@h\n[profile b]\nservices = none\n\
                    [profile c]\nignore_configured_endpoint_urls = perhaps\n\
                    [profile d]\nservices = s\n[services s]\ns3 =\n endpoint_url = ftp://h";
        let set = config(text);
        let cases: [(Pairs<'_>, &str, &str); 6] = [
            (&[], "a", "~/.aws/config line 2: the endpoint has a user name or password"),
            (
                &[],
                "b",
                "~/.aws/config line 4: profile 'b' names the services 'none', but there is no section",
            ),
            (&[], "c", "~/.aws/config line 6: 'perhaps' is neither true nor false"),
            (&[], "d", "~/.aws/config line 10: the endpoint 'ftp://h' has the scheme 'ftp'"),
            (&[("AWS_ENDPOINT_URL", "h?x")], "a", "AWS_ENDPOINT_URL: the endpoint 'h' has a query"),
            (
                &[("AWS_IGNORE_CONFIGURED_ENDPOINT_URLS", "1")],
                "a",
                "AWS_IGNORE_CONFIGURED_ENDPOINT_URLS: '1' is neither true nor false",
            ),
        ];
        for (pairs, profile, start) in cases {
            let message = refusal(endpoint_url_from(&env(pairs), &set, profile), ErrorKind::Configuration);
            assert!(message.starts_with(start) && !message.contains("swordfish"), "{message}");
        }
    }

    #[test]
    fn the_addresses_of_aws_are_chosen_by_variables_then_by_the_profile_then_below_its_s3() {
        let profiles = config(
            "[profile a]\nuse_fips_endpoint = true\nuse_dualstack_endpoint = TRUE\ns3_use_arn_region = false\n\
             s3_us_east_1_regional_endpoint = legacy\ns3_disable_express_session_auth = true\n\
             s3_disable_multiregion_access_points = true\n\
             [profile b]\ns3 =\n use_accelerate_endpoint = true\n use_arn_region = false\n\
             us_east_1_regional_endpoint = regional\n",
        );
        let options = |pairs, name| endpoint_options_from(&env(pairs), &profiles, name).unwrap();
        let default = EndpointOptions::default();
        assert_eq!(options(&[], "none"), default);

        let a = options(&[], "a");
        assert!(a.fips && a.dual_stack && a.global_endpoint);
        assert!(!a.use_arn_region && !a.express_session_auth && !a.multi_region_access_points);

        let b = options(&[], "b");
        assert_eq!(b, EndpointOptions { accelerate: true, use_arn_region: false, ..default });

        let overridden =
            options(&[("AWS_USE_FIPS_ENDPOINT", "false"), ("AWS_S3_USE_ARN_REGION", "true")], "a");
        assert!(!overridden.fips && overridden.use_arn_region && overridden.dual_stack);
    }

    #[test]
    fn checksums_are_sent_and_checked_as_environment_or_profile_say() {
        let profiles = config("[profile a]\nrequest_checksum_calculation = WHEN_REQUIRED\n");
        let request = |pairs, name| request_checksums_from(&env(pairs), &profiles, name);
        assert_eq!(request(&[], "none").unwrap(), None);
        assert_eq!(request(&[], "a").unwrap(), Some(ChecksumPolicy::WhenRequired));
        let supported: Pairs<'_> = &[("AWS_REQUEST_CHECKSUM_CALCULATION", "when_supported")];
        assert_eq!(request(supported, "a").unwrap(), Some(ChecksumPolicy::WhenSupported));
        let response: Pairs<'_> = &[("AWS_RESPONSE_CHECKSUM_VALIDATION", "when_required")];
        let checked = response_checksums_from(&env(response), &profiles, "a").unwrap();
        assert_eq!(checked, Some(ChecksumPolicy::WhenRequired));
        let wrong: Pairs<'_> = &[("AWS_REQUEST_CHECKSUM_CALCULATION", "always")];
        let message = refusal(request(wrong, "a"), ErrorKind::Configuration);
        assert!(message.starts_with("AWS_REQUEST_CHECKSUM_CALCULATION: 'always' is neither"), "{message}");
    }

    #[test]
    fn a_setting_that_is_neither_on_nor_off_says_where_it_stands() {
        let cases: [(&str, Pairs<'_>, &str); 3] = [
            (
                "s3 =\n use_accelerate_endpoint = maybe",
                &[],
                "~/.aws/config line 2: 'maybe' is neither true nor false",
            ),
            (
                "",
                &[("AWS_USE_DUALSTACK_ENDPOINT", "1")],
                "AWS_USE_DUALSTACK_ENDPOINT: '1' is neither true nor false",
            ),
            (
                "s3_us_east_1_regional_endpoint = no",
                &[],
                "~/.aws/config line 2: 'no' is neither legacy nor regional",
            ),
        ];
        for (text, pairs, expected) in cases {
            let profiles = config(&format!("[profile a]\n{text}\n"));
            let error = endpoint_options_from(&env(pairs), &profiles, "a");
            assert_eq!(refusal(error, ErrorKind::Configuration), expected);
        }
    }

    #[test]
    fn the_addressing_style_is_that_of_the_profile() {
        let style = |value: &str| {
            addressing_style_from(&config(&format!("[profile a]\ns3 =\n addressing_style = {value}")), "a")
        };
        assert_eq!(style("auto").unwrap(), None);
        assert_eq!(style("path").unwrap(), Some(AddressingStyle::Path));
        assert_eq!(style("virtual").unwrap(), Some(AddressingStyle::VirtualHosted));
        assert_eq!(addressing_style_from(&config("[profile a]"), "a").unwrap(), None);
        let message = refusal(style("host"), ErrorKind::Configuration);
        assert_eq!(
            message,
            "~/.aws/config line 2: the addressing style 'host' is none of auto, path and virtual"
        );
    }
}

/// Lines of which many make sense together.
fn profile_text() -> impl Strategy<Value = String> {
    let line = prop_oneof![
        Just("[profile a]".to_owned()),
        Just("[default]".to_owned()),
        Just("[services s]".to_owned()),
        Just("s3 =".to_owned()),
        "[ \t]{0,2}[a-z_]{1,9} ?= ?[a-z#; ]{0,9}",
        "[\\[\\]#;= a\t\r\u{feff}é]{0,12}",
    ];
    proptest::collection::vec(line, 0..12).prop_map(|lines| lines.join("\n"))
}

proptest! {
    #[test]
    fn no_text_panics(config in profile_text(), credentials in profile_text(), other in ".{0,200}") {
        for text in [&config, &other] {
            if let Ok(set) = ProfileSet::parse(text, &credentials) {
                for name in set.profile_names().collect::<Vec<_>>() {
                    let _ = (profile_chain(&set, name), region_from(&Environment::default(), &set, name));
                    let _ = (endpoint_url_from(&Environment::default(), &set, name), set.profile(name));
                    let _ = addressing_style_from(&set, name);
                    let _ = set.profile(name).unwrap().nested("s3", "x");
                }
            }
        }
    }

    #[test]
    fn no_bytes_panic(config in proptest::collection::vec(any::<u8>(), 0..100), home in ".{0,10}", path in ".{0,10}") {
        let env = env(&[("HOME", &home), ("AWS_CONFIG_FILE", &path)]);
        for platform in [Platform::Unix, Platform::Windows] {
            let locations = file_locations(&env, platform);
            let set = ProfileSet::load(&locations, FileRead::Contents(&config), FileRead::Contents(&config));
            let _ = profile_chain(&set, "default");
        }
    }

    /// Line ends, comments and blank lines do not change what a file says.
    #[test]
    fn windows_line_ends_change_nothing(text in profile_text()) {
        let text = text.replace('\r', "");
        let windows = text.replace('\n', "\r\n");
        match (ProfileSet::parse(&text, ""), ProfileSet::parse(&windows, "")) {
            (Ok(a), Ok(b)) => {
                prop_assert!(a.profile_names().eq(b.profile_names()));
                for name in a.profile_names() {
                    prop_assert_eq!(values(a.profile(name).unwrap()), values(b.profile(name).unwrap()));
                }
            }
            (Err(a), Err(b)) => prop_assert_eq!(a.message(), b.message()),
            (a, b) => prop_assert!(false, "{:?} {:?}", a, b),
        }
    }

    /// A secret never gets into what is shown.
    #[test]
    fn secrets_are_not_shown(name in "[a-z_]{1,9}", before in profile_text()) {
        let text = format!("{before}\n{name} = swordfish\n swordfish\nswordfish");
        for result in [ProfileSet::parse(&text, ""), ProfileSet::parse("", &text)] {
            let shown = format!("{result:?}");
            prop_assert!(!shown.contains("swordfish"), "{}", shown);
        }
    }
}
