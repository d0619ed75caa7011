//! Profile files: what the shared configuration of AWS's tools says. An input is the credentials file, then, after a
//! byte that no text has (0xFF), the configuration.

use s3_proto::credentials::{
    Environment, FileRead, Platform, ProfileFile, ProfileSet, addressing_style_from, endpoint_options_from,
    endpoint_url_from, file_locations, profile_chain, region_from, request_checksums_from,
    response_checksums_from,
};

pub(crate) fn run(bytes: &[u8]) {
    let mut files = bytes.splitn(2, |byte| *byte == 0xFF);
    let (credentials, config) = (files.next().unwrap_or_default(), files.next().unwrap_or_default());

    let env: Environment = [("HOME", "/h"), ("USERPROFILE", "/h")].into_iter().collect();
    let locations = file_locations(&env, Platform::CURRENT);
    let loaded = ProfileSet::load(&locations, FileRead::Contents(config), FileRead::Contents(credentials));
    look(&env, &loaded);

    let (Ok(config), Ok(credentials)) = (std::str::from_utf8(config), std::str::from_utf8(credentials))
    else {
        return;
    };
    let Ok(parsed) = ProfileSet::parse(config, credentials) else { return };
    assert!(loaded.problems().is_empty(), "{:?}", loaded.problems());
    let mut turned = ProfileSet::default();
    turned.add(ProfileFile::Credentials, "credentials", credentials).unwrap();
    turned.add(ProfileFile::Config, "config", config).unwrap();
    for other in [&loaded, &turned] {
        assert_eq!(values(other), values(&parsed));
    }
}

/// All that the profiles say.
fn values(profiles: &ProfileSet) -> Vec<(&str, &str, Option<&str>)> {
    let names = profiles.profile_names();
    let sections = names.filter_map(|name| Some((name, profiles.profile(name)?)));
    sections
        .flat_map(|(name, section)| section.names().map(move |key| (name, key, section.get(key))))
        .collect()
}

/// Everything that is read from profiles.
fn look(env: &Environment, profiles: &ProfileSet) {
    for name in profiles.profile_names() {
        let _ = profile_chain(profiles, name);
        let _ = region_from(env, profiles, name);
        let _ = endpoint_url_from(env, profiles, name);
        let _ = addressing_style_from(profiles, name);
        let _ = request_checksums_from(env, profiles, name);
        let _ = response_checksums_from(env, profiles, name);
        let _ = endpoint_options_from(env, profiles, name);
        let section = profiles.profile(name).expect("it is named");
        for key in section.names() {
            let _ = (section.raw(key), section.place(key), section.file(key), section.nested(key, "a"));
        }
    }
    for name in profiles.sso_session_names() {
        assert!(profiles.sso_session(name).is_some());
    }
    let _ = profile_chain(profiles, "default");
}
