//! Where the profile files lie.

use std::path::PathBuf;

use super::environment::Environment;

/// How paths are written and where a user's home is found.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Platform {
    /// `/home/user`, from `HOME`.
    Unix,
    /// `C:\Users\user`, from `HOME`, `USERPROFILE`, or `HOMEDRIVE` and `HOMEPATH`.
    Windows,
}

impl Platform {
    /// The one that this was compiled for.
    pub const CURRENT: Self = if cfg!(windows) { Self::Windows } else { Self::Unix };
}

/// Which files hold the profiles, and which profile is meant.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct FileLocations {
    /// `~/.aws/config`, or what `AWS_CONFIG_FILE` says; `None` if the home is not known.
    pub config: Option<PathBuf>,
    /// `~/.aws/credentials`, or what `AWS_SHARED_CREDENTIALS_FILE` says.
    pub credentials: Option<PathBuf>,
    /// What `AWS_PROFILE` says, or `default`.
    pub profile: String,
}

/// Finds the profile files as the AWS SDKs do
/// (<https://docs.aws.amazon.com/sdkref/latest/guide/file-location.html>).
///
/// ```
/// use s3_proto::credentials::{Environment, Platform, file_locations};
///
/// let env = Environment::from_iter([("HOME", "/home/user"), ("AWS_CONFIG_FILE", "~/work/aws")]);
/// let locations = file_locations(&env, Platform::Unix);
/// assert_eq!(locations.config.unwrap().to_str(), Some("/home/user/work/aws"));
/// assert_eq!(locations.credentials.unwrap().to_str(), Some("/home/user/.aws/credentials"));
/// assert_eq!(locations.profile, "default");
/// ```
pub fn file_locations(env: &Environment, platform: Platform) -> FileLocations {
    let home = home(env, platform);
    let locate = |variable, default| {
        let path = match (env.get(variable), &home) {
            (Some(path), Some(home)) => expand_home(path, home, platform),
            (Some(path), None) => path.to_owned(),
            (None, Some(home)) => join(home, &[".aws", default], platform),
            (None, None) => return None,
        };
        Some(PathBuf::from(path))
    };
    FileLocations {
        config: locate("AWS_CONFIG_FILE", "config"),
        credentials: locate("AWS_SHARED_CREDENTIALS_FILE", "credentials"),
        profile: env.get("AWS_PROFILE").unwrap_or("default").to_owned(),
    }
}

/// A file in the user's home; `None` if that is not known.
pub(super) fn home_file(env: &Environment, parts: &[&str]) -> Option<PathBuf> {
    let platform = Platform::CURRENT;
    Some(PathBuf::from(join(&home(env, platform)?, parts, platform)))
}

/// A path that may begin with `~/`.
pub(super) fn user_path(env: &Environment, path: &str) -> PathBuf {
    let platform = Platform::CURRENT;
    let expanded = home(env, platform).map(|home| expand_home(path, &home, platform));
    PathBuf::from(expanded.unwrap_or_else(|| path.to_owned()))
}

fn home(env: &Environment, platform: Platform) -> Option<String> {
    if let Some(home) = env.get("HOME") {
        return Some(home.to_owned());
    }
    if platform == Platform::Unix {
        return None;
    }
    let from_drive = || Some(format!("{}{}", env.get("HOMEDRIVE")?, env.get("HOMEPATH")?));
    env.get("USERPROFILE").map(ToOwned::to_owned).or_else(from_drive)
}

fn expand_home(path: &str, home: &str, platform: Platform) -> String {
    let is_separator = |c: char| c == '/' || (c == '\\' && platform == Platform::Windows);
    match path.strip_prefix('~') {
        Some("") => home.to_owned(),
        Some(rest) if rest.starts_with(is_separator) => {
            join(home, &[rest.trim_start_matches(is_separator)], platform)
        }
        // `~other` is a user's home to a shell, and a file name to the AWS SDKs.
        _ => path.to_owned(),
    }
}

fn join(home: &str, parts: &[&str], platform: Platform) -> String {
    let separator = if platform == Platform::Windows { '\\' } else { '/' };
    let mut path = home.trim_end_matches(separator).to_owned();
    for part in parts {
        path.push(separator);
        path.push_str(part);
    }
    path
}
