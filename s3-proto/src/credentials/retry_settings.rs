//! What environment and profiles say about retries.

use super::environment::Environment;
use super::profile_files::ProfileSet;
use crate::retry::{RetryConfig, RetryMode};
use crate::{Error, ErrorKind};

/// How calls are repeated: `AWS_RETRY_MODE` and `AWS_MAX_ATTEMPTS`, or `retry_mode` and `max_attempts` of the
/// profile (<https://docs.aws.amazon.com/sdkref/latest/guide/feature-retry-behavior.html>); the default for
/// what is not set. The mode `legacy`, which each tool understood differently, is taken as `standard`; `off`
/// is known here only.
///
/// # Errors
/// [`ErrorKind::Configuration`] if the first that is set is no mode, or no number of at least 1, with where it
/// is set.
pub fn retry_from(env: &Environment, profiles: &ProfileSet, profile: &str) -> Result<RetryConfig, Error> {
    let section = profiles.profile(profile);
    let setting = |variable: &'static str, key: &str| {
        let from_profile = || Some((section?.get(key)?, section?.place(key).unwrap_or_default()));
        env.get(variable).map(|value| (value, variable.to_owned())).or_else(from_profile)
    };
    let wrong = |place: String, value: &str, what: &str| {
        Error::new(ErrorKind::Configuration, format!("{place}: '{}' is {what}", value.escape_debug()))
    };
    let mut config = RetryConfig::default();
    if let Some((value, place)) = setting("AWS_RETRY_MODE", "retry_mode") {
        config.mode = match value.trim().to_ascii_lowercase().as_str() {
            "standard" | "legacy" => RetryMode::Standard,
            "adaptive" => RetryMode::Adaptive,
            "off" => RetryMode::Off,
            _ => return Err(wrong(place, value, "none of standard, adaptive, legacy and off")),
        };
    }
    if let Some((value, place)) = setting("AWS_MAX_ATTEMPTS", "max_attempts") {
        let attempts = value.trim().parse().ok().filter(|attempts| *attempts >= 1);
        config.max_attempts =
            attempts.ok_or_else(|| wrong(place, value, "no number of attempts, which is 1 or more"))?;
    }
    Ok(config)
}

#[cfg(test)]
mod tests {
    use super::*;

    type Variables = &'static [(&'static str, &'static str)];

    fn config(env: Variables, profile: &str) -> Result<RetryConfig, Error> {
        let profiles = ProfileSet::parse(&format!("[default]\n{profile}"), "").unwrap();
        retry_from(&env.iter().copied().collect(), &profiles, "default")
    }

    #[test]
    fn the_environment_goes_before_the_profile() {
        let both = "retry_mode = adaptive\nmax_attempts = 7\n";
        let cases: &[(Variables, &str, RetryMode, u32)] = &[
            (&[], "", RetryMode::Standard, 3),
            (&[], both, RetryMode::Adaptive, 7),
            (&[("AWS_RETRY_MODE", "legacy")], both, RetryMode::Standard, 7),
            (&[("AWS_MAX_ATTEMPTS", " 5 ")], both, RetryMode::Adaptive, 5),
            (&[("AWS_RETRY_MODE", "Off"), ("AWS_MAX_ATTEMPTS", "1")], both, RetryMode::Off, 1),
        ];
        for (env, profile, mode, attempts) in cases {
            let config = config(env, profile).unwrap();
            assert_eq!((config.mode, config.max_attempts), (*mode, *attempts), "{env:?} {profile:?}");
        }
    }

    #[test]
    fn what_makes_no_sense_is_refused_with_its_place() {
        let cases: &[(Variables, &str, &str)] = &[
            (&[("AWS_RETRY_MODE", "patient")], "", "AWS_RETRY_MODE: 'patient'"),
            (&[("AWS_MAX_ATTEMPTS", "0")], "", "AWS_MAX_ATTEMPTS: '0'"),
            (&[("AWS_MAX_ATTEMPTS", "many")], "", "AWS_MAX_ATTEMPTS: 'many'"),
            (&[], "max_attempts = -1\n", "'-1'"),
        ];
        for (env, profile, part) in cases {
            let error = config(env, profile).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Configuration);
            assert!(error.message().contains(part), "{}", error.message());
        }
    }
}
