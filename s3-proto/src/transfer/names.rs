//! Which object is which file, and which of them take part.

use std::path::{Path, PathBuf};

use crate::Error;

/// The file below `root` that an object becomes, by its key without the prefix. Its names are those between the
/// slashes; none may lead out of the folder or, where files are written on Windows, mean another file there.
pub(crate) fn path_of(root: &Path, name: &str) -> Result<PathBuf, Error> {
    let refuse = |why: &str| Err(Error::invalid_input(format!("the key makes no safe file name: {why}")));
    if name.starts_with('/') {
        return refuse("it begins with '/'");
    }
    let mut path = root.to_owned();
    for part in name.split('/') {
        match part {
            "" => return refuse("there is nothing between two slashes, or after the last one"),
            "." | ".." => return refuse("it has a step '.' or '..'"),
            _ if part.contains('\0') => return refuse("it has a NUL"),
            _ if part.contains('\\') => return refuse("it has a '\\', which separates folders on Windows"),
            _ if is_drive(part) => return refuse("it has a drive letter"),
            _ if cfg!(windows) && is_another_on_windows(part) => {
                return refuse("Windows takes it for a device, a stream of a file, or another name");
            }
            part => path.push(part),
        }
    }
    Ok(path)
}

/// Whether Windows takes this for something else than a file of this name: a stream beside a file's content (`a:b`),
/// a device (`NUL`, `com1.txt`), or the name without its end (`a.`, `a `). Elsewhere all of them are good, and times of
/// day are common in keys.
///
/// See "Naming Files, Paths, and Namespaces" of the Win32 documentation.
fn is_another_on_windows(part: &str) -> bool {
    let stem = part.split('.').next().unwrap_or_default().trim_end_matches(' ').to_ascii_uppercase();
    let numbered = |device: &str| {
        let number = stem.strip_prefix(device).unwrap_or_default();
        let mut digits = number.chars();
        matches!(digits.next(), Some('0'..='9' | '\u{b9}' | '\u{b2}' | '\u{b3}')) && digits.next().is_none()
    };
    let is_device = ["CON", "PRN", "AUX", "NUL", "CONIN$", "CONOUT$"].contains(&stem.as_str());
    is_device || numbered("COM") || numbered("LPT") || part.contains(':') || part.ends_with(['.', ' '])
}

/// `C:` and what may follow it.
fn is_drive(part: &str) -> bool {
    let mut chars = part.chars();
    chars.next().is_some_and(|c| c.is_ascii_alphabetic()) && chars.next() == Some(':')
}

/// The prefix under which the objects of a folder are: with a slash at its end, or empty.
pub(crate) fn folder_prefix(prefix: &str) -> String {
    if prefix.is_empty() || prefix.ends_with('/') { prefix.to_owned() } else { format!("{prefix}/") }
}

/// Which names take part in a transfer of many: what [`SyncOptions::include`](super::SyncOptions::include) and
/// [`exclude`](super::SyncOptions::exclude) mean, for programs that walk through names by themselves.
///
/// ```
/// use s3_proto::transfer::Filter;
///
/// let filter = Filter::new(&["*.rs".to_owned()], &["target".to_owned()]);
/// assert!(filter.lets_through("src/lib.rs"));
/// assert!(!filter.lets_through("target/debug/build.rs"));
/// ```
#[derive(Clone, Debug, Default)]
pub struct Filter {
    include: Vec<Glob>,
    exclude: Vec<Glob>,
}

impl Filter {
    /// Of names that match one of `include`, or all if that is empty, but none of `exclude`. The patterns are
    /// those of [`SyncOptions`](super::SyncOptions).
    pub fn new(include: &[String], exclude: &[String]) -> Self {
        let globs = |patterns: &[String]| patterns.iter().map(|p| Glob::new(p)).collect();
        Self { include: globs(include), exclude: globs(exclude) }
    }

    /// Whether this name takes part; it goes from the folder or the prefix on, with slashes.
    pub fn lets_through(&self, name: &str) -> bool {
        let included = self.include.is_empty() || self.include.iter().any(|glob| glob.matches(name));
        included && !self.exclude.iter().any(|glob| glob.matches(name))
    }
}

/// A pattern: `?` is any character but a slash, `*` any number of them, `**` any number of any characters. With a
/// slash in it the whole name must match, without one any of the parts between slashes.
#[derive(Clone, Debug)]
struct Glob {
    tokens: Vec<Token>,
    is_whole: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Token {
    Just(char),
    One,
    Some,
    All,
}

impl Glob {
    fn new(pattern: &str) -> Self {
        let is_whole = pattern.contains('/');
        let mut tokens: Vec<Token> = Vec::new();
        for c in pattern.strip_prefix('/').unwrap_or(pattern).chars() {
            match (c, tokens.last_mut()) {
                ('*', Some(last @ (Token::Some | Token::All))) => *last = Token::All,
                ('*', _) => tokens.push(Token::Some),
                ('?', _) => tokens.push(Token::One),
                (c, _) => tokens.push(Token::Just(c)),
            }
        }
        Self { tokens, is_whole }
    }

    fn matches(&self, name: &str) -> bool {
        if self.is_whole { self.fits(name) } else { name.split('/').any(|part| self.fits(part)) }
    }

    /// Keeps at which places of the pattern one may be after each character: the time is that of their product,
    /// whatever the pattern.
    fn fits(&self, text: &str) -> bool {
        let mut at = vec![false; self.tokens.len() + 1];
        if let Some(first) = at.first_mut() {
            *first = true;
        }
        self.skip_stars(&mut at);
        for c in text.chars() {
            let mut next = vec![false; at.len()];
            for (place, token) in self.tokens.iter().enumerate() {
                if !at.get(place).copied().unwrap_or(false) {
                    continue;
                }
                let to = match token {
                    Token::Just(expected) if *expected == c => place + 1,
                    Token::One if c != '/' => place + 1,
                    Token::Some if c != '/' => place,
                    Token::All => place,
                    _ => continue,
                };
                if let Some(next) = next.get_mut(to) {
                    *next = true;
                }
            }
            self.skip_stars(&mut next);
            at = next;
        }
        at.last().copied().unwrap_or(false)
    }

    /// A star may stand for nothing.
    fn skip_stars(&self, at: &mut [bool]) {
        for (place, token) in self.tokens.iter().enumerate() {
            let is_here = at.get(place).copied().unwrap_or(false);
            if is_here
                && matches!(token, Token::Some | Token::All)
                && let Some(next) = at.get_mut(place + 1)
            {
                *next = true;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn keys_become_files_below_the_folder_or_are_refused() {
        let root = Path::new("/target");
        for good in ["a", "a/b", "a b/ü.txt", "..a/b", ".hidden", "-rf", "~"] {
            assert_eq!(path_of(root, good).unwrap(), root.join(good), "{good:?}");
        }
        for good_but_on_windows in ["...", "b..", "ab:c", "1:x", "2025-01-01T00:00", "nul", "a /b", "a./b"] {
            let path = path_of(root, good_but_on_windows).ok();
            let expected = (!cfg!(windows)).then(|| root.join(good_but_on_windows));
            assert_eq!(path, expected, "{good_but_on_windows:?}");
        }
        let hostile = [
            "",
            "/",
            "/etc/passwd",
            "..",
            "../x",
            "a/../../x",
            "a/..",
            ".",
            "./a",
            "a/./b",
            "a//b",
            "a/",
            "//a",
            "C:",
            "C:/x",
            "c:x",
            "a/D:/x",
            "C:\\x",
            "..\\x",
            "a\\..\\..\\x",
            "\\\\host\\share",
            "a\0b",
            "\0",
        ];
        for key in hostile {
            let error = path_of(root, key).unwrap_err();
            assert_eq!(error.kind(), crate::ErrorKind::InvalidInput, "{key:?}");
        }
    }

    #[test]
    fn what_means_another_file_on_windows_is_known() {
        let others = [
            "ab:c",
            "ab::$DATA",
            ":",
            "a.",
            "a ",
            "...",
            "a. .",
            "NUL",
            "nul",
            "Con",
            "aux.txt",
            "PRN.tar.gz",
            "nul .txt",
            "COM1",
            "com0",
            "lpt9.log",
            "COM\u{b9}",
            "LPT\u{b3}.x",
            "conin$",
            "CONOUT$",
        ];
        for other in others {
            assert!(is_another_on_windows(other), "{other:?}");
        }
        for same in
            ["a", ".a", "a.b", "a b", " a", "NULL", "console", "COM", "COM10", "COMa", "xNUL", "x.NUL", "lpt"]
        {
            assert!(!is_another_on_windows(same), "{same:?}");
        }
    }

    #[test]
    fn globs_match_what_they_say() {
        let cases = [
            ("*.rs", "a.rs", true),
            ("*.rs", "src/deep/a.rs", true),
            ("*.rs", "a.rs.bak", false),
            ("*.rs", ".rs", true),
            ("target", "target/debug/x", true),
            ("target", "src/target", true),
            ("target", "targets/x", false),
            ("?.txt", "a.txt", true),
            ("?.txt", "ab.txt", false),
            ("?.txt", "ü.txt", true),
            ("src/*.rs", "src/a.rs", true),
            ("src/*.rs", "src/b/a.rs", false),
            ("src/*.rs", "x/src/a.rs", false),
            ("src/**", "src/b/a.rs", true),
            ("src/**.rs", "src/b/a.rs", true),
            ("/a", "a", true),
            ("/a", "b/a", false),
            ("**/a", "b/a", true),
            ("*", "a/b", true),
            ("", "a", false),
            ("a*b*c", "aXbYc", true),
            ("a*b*c", "aXbY", false),
            ("[a]", "a", false),
        ];
        for (pattern, name, expected) in cases {
            assert_eq!(Glob::new(pattern).matches(name), expected, "{pattern} and {name}");
        }
    }

    #[test]
    fn what_is_included_and_not_excluded_takes_part() {
        let of = |include: &[&str], exclude: &[&str], name: &str| {
            let owned = |list: &[&str]| list.iter().map(|p| (*p).to_owned()).collect::<Vec<_>>();
            Filter::new(&owned(include), &owned(exclude)).lets_through(name)
        };
        assert!(of(&[], &[], "a"));
        assert!(of(&["*.rs"], &[], "a.rs"));
        assert!(!of(&["*.rs"], &[], "a.txt"));
        assert!(!of(&[], &["tmp"], "tmp/a"));
        assert!(!of(&["*.rs"], &["b.*"], "b.rs"));
    }

    proptest! {
        #[test]
        fn no_key_leads_out_of_the_folder(key in "[./\\\\a:C\0]{0,12}") {
            if let Ok(path) = path_of(Path::new("/target"), &key) {
                prop_assert!(path.starts_with("/target"));
                let normal = |c: std::path::Component<'_>| !matches!(c, std::path::Component::ParentDir);
                prop_assert!(path.components().all(normal));
                prop_assert_ne!(path, Path::new("/target"));
            }
        }

        #[test]
        fn a_pattern_of_many_stars_takes_no_time(stars in "[*?a/]{0,60}", text in "a{0,60}") {
            let _ = Glob::new(&stars).matches(&text);
        }
    }
}
