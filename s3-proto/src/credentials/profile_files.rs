//! The profile files of AWS, `~/.aws/config` and `~/.aws/credentials`.
//!
//! The format is an INI dialect without a grammar; this follows the rules that the AWS SDKs share
//! (<https://docs.aws.amazon.com/sdkref/latest/guide/file-format.html>) and their common test cases.

use std::collections::BTreeMap;
use std::fmt;
use std::path::Path;
use std::sync::Arc;

use super::locations::FileLocations;
use crate::secret::Secret;
use crate::{Error, ErrorKind};

/// The profiles of both files, merged.
///
/// All values are wiped when this is dropped, and `Debug` shows their names only.
///
/// ```
/// use s3_proto::credentials::ProfileSet;
///
/// let config = "[profile work]\nregion = eu-central-1\ns3 =\n  addressing_style = path\n";
/// let credentials = "[work]\naws_access_key_id = AKIDEXAMPLE\naws_secret_access_key = swordfish\n";
/// let profiles = ProfileSet::parse(config, credentials)?;
/// let work = profiles.profile("work").unwrap();
/// assert_eq!(work.get("region"), Some("eu-central-1"));
/// assert_eq!(work.nested("s3", "addressing_style"), Some("path"));
/// # Ok::<(), s3_proto::Error>(())
/// ```
#[derive(Clone, Debug, Default)]
pub struct ProfileSet {
    profiles: BTreeMap<String, Section>,
    sso_sessions: BTreeMap<String, Section>,
    services: BTreeMap<String, Section>,
    warnings: Vec<String>,
    problems: Vec<String>,
}

/// Which of the two files.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ProfileFile {
    /// `~/.aws/config`, where sections are `[profile NAME]`, `[sso-session NAME]` and `[services NAME]`.
    Config,
    /// `~/.aws/credentials`, where sections are `[NAME]`.
    Credentials,
}

/// What came of reading one of the files.
#[derive(Clone, Copy)]
#[non_exhaustive]
pub enum FileRead<'a> {
    /// There is no such file, which is normal.
    Missing,
    /// It could not be read, and why.
    Unreadable(&'a str),
    /// Its bytes.
    Contents(&'a [u8]),
}

impl ProfileSet {
    /// Reads the texts of both files; an absent one is an empty text.
    ///
    /// # Errors
    /// [`ErrorKind::Configuration`] with file and line, and never a value, if one is malformed. What is
    /// merely not understood is ignored with a [warning](Self::warnings).
    pub fn parse(config: &str, credentials: &str) -> Result<Self, Error> {
        let mut set = Self::default();
        set.add(ProfileFile::Config, "~/.aws/config", config)?;
        set.add(ProfileFile::Credentials, "~/.aws/credentials", credentials)?;
        Ok(set)
    }

    /// Takes what there is: a file that is missing, unreadable or malformed is left out, and
    /// [`problems`](Self::problems) says why.
    pub fn load(locations: &FileLocations, config: FileRead<'_>, credentials: FileRead<'_>) -> Self {
        let mut set = Self::default();
        let files = [
            (ProfileFile::Config, &locations.config, config, "config"),
            (ProfileFile::Credentials, &locations.credentials, credentials, "credentials"),
        ];
        for (file, path, read, name) in files {
            let Some(path) = path.as_deref().map(Path::display).map(|path| path.to_string()) else {
                set.problems.push(format!("the {name} file has no path, as the home directory is not known"));
                continue;
            };
            let text = match read {
                FileRead::Missing => {
                    set.problems.push(format!("{path} does not exist"));
                    continue;
                }
                FileRead::Unreadable(why) => {
                    set.problems.push(format!("{path} could not be read: {why}"));
                    continue;
                }
                FileRead::Contents(bytes) => std::str::from_utf8(bytes),
            };
            let result = text
                .map_err(|e| {
                    let line = bytes_before(read, e.valid_up_to());
                    configuration(format!("{path} line {line}: this is not UTF-8"))
                })
                .and_then(|text| set.add(file, &path, text));
            if let Err(error) = result {
                set.problems.push(error.message().to_owned());
            }
        }
        set
    }

    /// The same, to be put behind a message: a file that could not be used may hold what is missing.
    pub(super) fn problems_in_brackets(&self) -> String {
        match self.problems() {
            [] => String::new(),
            problems => format!(" ({})", problems.join("; ")),
        }
    }

    /// Adds the text of one file; what the credentials file says goes before what the config file says,
    /// in whichever order they are added. After an error, nothing of the text has been added.
    ///
    /// `path` is for messages.
    pub fn add(&mut self, file: ProfileFile, path: &str, text: &str) -> Result<(), Error> {
        let sections = read_sections(text)
            .map_err(|(line, message)| configuration(format!("{path} line {line}: {message}")))?;
        let path: Arc<str> = path.into();
        let prefixed_default = |s: &RawSection<'_>| {
            file == ProfileFile::Config && split_header(s.header) == (Some("profile"), "default")
        };
        let ignore_plain_default = sections.iter().any(prefixed_default);
        for section in sections {
            let (prefix, name) = split_header(section.header);
            let target = match (file, prefix) {
                _ if !is_identifier(name) => Err("its name has a character that is not allowed"),
                (ProfileFile::Config, None) if name == "default" && ignore_plain_default => {
                    Err("[profile default] takes its place")
                }
                (ProfileFile::Config, None) if name == "default" => Ok(&mut self.profiles),
                (ProfileFile::Config, None) => Err("a profile must be written [profile NAME] in this file"),
                (ProfileFile::Config, Some("profile")) | (ProfileFile::Credentials, None) => {
                    Ok(&mut self.profiles)
                }
                (ProfileFile::Config, Some("sso-session")) => Ok(&mut self.sso_sessions),
                (ProfileFile::Config, Some("services")) => Ok(&mut self.services),
                (ProfileFile::Config, Some(_)) => Err("there is no such kind of section"),
                (ProfileFile::Credentials, Some(_)) => Err("a profile must be written [NAME] in this file"),
            };
            match target {
                Ok(map) => {
                    let target = map.entry(name.to_owned()).or_default();
                    target.merge(section.properties, file, &path, &mut self.warnings);
                }
                Err(why) => {
                    let (line, header) = (section.line, section.header.escape_debug());
                    self.warnings.push(format!("{path} line {line}: section [{header}] is ignored: {why}"));
                }
            }
        }
        Ok(())
    }

    /// A profile, if there is one of this name.
    pub fn profile(&self, name: &str) -> Option<&Section> {
        self.profiles.get(name)
    }

    /// A section `[sso-session NAME]`.
    pub fn sso_session(&self, name: &str) -> Option<&Section> {
        self.sso_sessions.get(name)
    }

    /// A section `[services NAME]`.
    pub fn services(&self, name: &str) -> Option<&Section> {
        self.services.get(name)
    }

    /// The names of all profiles.
    pub fn profile_names(&self) -> impl Iterator<Item = &str> {
        self.profiles.keys().map(String::as_str)
    }

    /// The names of all `[sso-session NAME]` sections.
    pub fn sso_session_names(&self) -> impl Iterator<Item = &str> {
        self.sso_sessions.keys().map(String::as_str)
    }

    /// What was ignored, with file and line: for a log.
    pub fn warnings(&self) -> &[String] {
        &self.warnings
    }

    /// Why [`load`](Self::load) left a file out.
    pub fn problems(&self) -> &[String] {
        &self.problems
    }
}

/// One profile, SSO session or set of services.
#[derive(Clone, Default)]
pub struct Section {
    properties: BTreeMap<String, Property>,
}

#[derive(Clone)]
struct Property {
    value: Secret<String>,
    file: ProfileFile,
    path: Arc<str>,
    line: usize,
}

impl Section {
    /// The value of a property; its name is in lower case. `None` also if the value is empty.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.raw(name).filter(|value| !value.is_empty())
    }

    /// The value of a property as it stands there, which may be empty.
    pub fn raw(&self, name: &str) -> Option<&str> {
        self.properties.get(name).map(|p| p.value.expose().as_str())
    }

    /// The value of a property of a property, such as `addressing_style` in the indented lines below `s3 =`.
    pub fn nested(&self, name: &str, inner: &str) -> Option<&str> {
        let block = self.raw(name)?.strip_prefix('\n')?;
        let mut pairs = block.lines().filter_map(|line| without_comment(line, true).split_once('='));
        // The last one counts, as for properties.
        let value = pairs.rfind(|(key, _)| key.trim().eq_ignore_ascii_case(inner))?.1.trim();
        (!value.is_empty()).then_some(value)
    }

    /// The names of all properties.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.properties.keys().map(String::as_str)
    }

    /// Where a property stands, such as `/home/user/.aws/config line 3`: for messages.
    pub fn place(&self, name: &str) -> Option<String> {
        self.properties.get(name).map(|p| format!("{} line {}", p.path, p.line))
    }

    /// Which file a property comes from.
    pub fn file(&self, name: &str) -> Option<ProfileFile> {
        self.properties.get(name).map(|p| p.file)
    }

    fn merge(
        &mut self,
        properties: Vec<RawProperty<'_>>,
        file: ProfileFile,
        path: &Arc<str>,
        warnings: &mut Vec<String>,
    ) {
        for RawProperty { name, lines, line } in properties {
            if !is_identifier(&name) {
                // The name is not shown: it may be a part of a value that was broken over lines.
                let message = "the property is ignored: its name has a character that is not allowed";
                warnings.push(format!("{path} line {line}: {message}"));
                continue;
            }
            let before = self.properties.get(&name).map(|p| p.file);
            if before == Some(ProfileFile::Credentials) && file == ProfileFile::Config {
                continue;
            }
            // `join` reserves all of it first, so that no part of a secret is left behind in a smaller buffer.
            let value = Secret::new(lines.join("\n"));
            self.properties.insert(name, Property { value, file, path: Arc::clone(path), line });
        }
    }
}

impl fmt::Debug for Section {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.properties.keys()).finish()
    }
}

/// A section as it stands in the text; one header may come several times.
struct RawSection<'a> {
    /// What stands between the brackets.
    header: &'a str,
    line: usize,
    properties: Vec<RawProperty<'a>>,
}

struct RawProperty<'a> {
    name: String,
    /// The value and its continuation lines.
    lines: Vec<&'a str>,
    line: usize,
}

const BLANK: [char; 2] = [' ', '\t'];
const COMMENT: [char; 2] = ['#', ';'];

fn read_sections(text: &str) -> Result<Vec<RawSection<'_>>, (usize, String)> {
    let mut sections = Vec::new();
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    for (index, line) in text.lines().enumerate() {
        if line.trim_matches(BLANK).is_empty() || line.starts_with(COMMENT) {
            continue;
        }
        let line_number = index + 1;
        read_line(&mut sections, line, line_number).map_err(|message| (line_number, message))?;
    }
    Ok(sections)
}

fn read_line<'a>(sections: &mut Vec<RawSection<'a>>, line: &'a str, number: usize) -> Result<(), String> {
    if line.starts_with('[') {
        let header = without_comment(line, false);
        let Some(header) = header.strip_prefix('[').and_then(|h| h.strip_suffix(']')) else {
            return Err("Profile definition must end with ']'".to_owned());
        };
        sections.push(RawSection { header, line: number, properties: Vec::new() });
        return Ok(());
    }
    let Some(section) = sections.last_mut() else {
        return Err("Expected a profile definition".to_owned());
    };
    if !line.starts_with(BLANK) {
        let (name, value) = read_property(line, "property")?;
        section.properties.push(RawProperty { name, lines: vec![value], line: number });
        return Ok(());
    }
    let Some(property) = section.properties.last_mut() else {
        return Err("Expected a property definition, found continuation".to_owned());
    };
    // An indented line goes on with the value above, with comments and all. Below an empty value it is a
    // property of that property, and has to look like one.
    if property.lines.first().is_some_and(|value| value.is_empty()) {
        read_property(line, "sub-property")?;
    }
    property.lines.push(line.trim_matches(BLANK));
    Ok(())
}

/// `kind` is for the message, which must not show the line: it may be a secret.
fn read_property<'a>(line: &'a str, kind: &str) -> Result<(String, &'a str), String> {
    let Some((name, value)) = without_comment(line, true).split_once('=') else {
        return Err(format!("Expected an '=' sign defining a {kind}"));
    };
    match name.trim_matches(BLANK) {
        "" if kind == "property" => Err("Property did not have a name".to_owned()),
        "" => Err("Sub-property did not have a name".to_owned()),
        name => Ok((name.to_ascii_lowercase(), value.trim_matches(BLANK))),
    }
}

/// In a value a comment begins after white space only, since `#` and `;` can be part of one.
fn without_comment(line: &str, needs_blank: bool) -> &str {
    let line = line.trim_matches(BLANK);
    let mut after_blank = false;
    let start = line.char_indices().find_map(|(at, c)| {
        let found = COMMENT.contains(&c) && (after_blank || !needs_blank);
        after_blank = c.is_whitespace();
        found.then_some(at)
    });
    start.map_or(line, |at| line[..at].trim_matches(BLANK))
}

/// `profile foo` into its kind and name; a name alone has no kind.
fn split_header(header: &str) -> (Option<&str>, &str) {
    let header = header.trim_matches(BLANK);
    match header.split_once(BLANK) {
        Some((kind, name)) => (Some(kind), name.trim_matches(BLANK)),
        None => (None, header),
    }
}

fn is_identifier(name: &str) -> bool {
    !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || "_-/.%@:+".contains(c))
}

fn bytes_before(read: FileRead<'_>, end: usize) -> usize {
    let FileRead::Contents(bytes) = read else { return 1 };
    bytes.iter().take(end).fold(1, |line, b| line + usize::from(*b == b'\n'))
}

fn configuration(message: String) -> Error {
    Error::new(ErrorKind::Configuration, message)
}
