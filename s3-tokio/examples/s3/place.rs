//! Where something is, or is to go.

use std::ffi::OsStr;
use std::fmt;
use std::path::{Path, PathBuf};

use crate::output::Failure;

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    Object(Address),
    File(PathBuf),
    /// Standard input, or output.
    Stdio,
}

/// A bucket, and a key or a prefix, which may be empty.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Address {
    pub(crate) bucket: String,
    pub(crate) key: String,
}

impl Place {
    pub(crate) fn parse(text: &OsStr) -> Result<Self, Failure> {
        if text == "-" {
            return Ok(Self::Stdio);
        }
        match text.to_str().and_then(|text| text.strip_prefix("s3://")) {
            Some(address) => Address::after_scheme(address).map(Self::Object),
            None => Ok(Self::File(text.into())),
        }
    }
}

impl Address {
    pub(crate) fn parse(text: &OsStr) -> Result<Self, Failure> {
        match Place::parse(text)? {
            Place::Object(address) => Ok(address),
            place => Err(Failure::usage(format!("'{place}' is not of the form s3://BUCKET/KEY"))),
        }
    }

    fn after_scheme(text: &str) -> Result<Self, Failure> {
        let (bucket, key) = text.split_once('/').unwrap_or((text, ""));
        if bucket.is_empty() {
            return Err(Failure::usage(format!("'s3://{text}' names no bucket")));
        }
        Ok(Self { bucket: bucket.to_owned(), key: key.to_owned() })
    }

    /// The bucket alone.
    pub(crate) fn bucket(self) -> Result<String, Failure> {
        if self.key.is_empty() {
            return Ok(self.bucket);
        }
        Err(Failure::usage(format!("'{self}' is not a bucket: leave '/{}' out", self.key)))
    }

    /// One that names an object.
    pub(crate) fn object(self) -> Result<Self, Failure> {
        if !self.key.is_empty() {
            return Ok(self);
        }
        Err(Failure::usage(format!("'{self}' names no object")))
    }

    /// As a folder: its key ends with a slash, or is empty.
    pub(crate) fn folder(mut self) -> Self {
        if !self.key.is_empty() && !self.key.ends_with('/') {
            self.key.push('/');
        }
        self
    }

    /// As the target of what is called `name`: a folder takes it under its name.
    pub(crate) fn or_within(mut self, name: Option<&str>) -> Result<Self, Failure> {
        if self.key.is_empty() || self.key.ends_with('/') {
            let name = name.ok_or_else(|| Failure::usage(format!("which key below '{self}'?")))?;
            self.key.push_str(name);
        }
        Ok(self)
    }

    /// What stands behind the last slash.
    pub(crate) fn name(&self) -> &str {
        self.key.rsplit('/').next().unwrap_or_default()
    }
}

/// The file that an object is to become: a folder takes it under its name.
pub(crate) fn file_for(path: PathBuf, object: &Address) -> Result<PathBuf, Failure> {
    let is_folder = path.is_dir() || path.as_os_str().to_string_lossy().ends_with('/');
    if !is_folder {
        return Ok(path);
    }
    let name = object.name();
    // None that leads elsewhere, such as `..`.
    if Path::new(name).file_name() != Some(OsStr::new(name)) || name.contains('\\') {
        return Err(Failure::usage(format!("'{object}' has no name for a file in '{}'", path.display())));
    }
    Ok(path.join(name))
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Object(address) => address.fmt(f),
            Self::File(path) => path.display().fmt(f),
            Self::Stdio => f.write_str("-"),
        }
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "s3://{}/{}", self.bucket, self.key)
    }
}
