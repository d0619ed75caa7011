//! The pull reader.

use std::borrow::Cow;
use std::fmt;

use memchr::{memchr, memchr2};
use quick_xml::errors::{IllFormedError, SyntaxError};
use quick_xml::events::{BytesStart, Event};

use crate::error::{Error, ErrorKind};

/// How many elements may be open at once, the root among them.
pub const MAX_DEPTH: usize = 32;

/// How many bytes the text of one element may have.
pub const MAX_TEXT: usize = 1024 * 1024;

/// How many bytes the name of an element may have.
pub const MAX_NAME: usize = 256;

/// How many bytes a start tag may have with its attributes: they are compared with each other.
pub const MAX_TAG: usize = 8 * 1024;

const BOM: &[u8] = b"\xEF\xBB\xBF";
const MALFORMED: &str = "malformed XML";
const TRUNCATED: &str = "truncated XML";

/// A pull parser over one body.
///
/// After [`root`](Self::root), ask for [`child`](Self::child) elements. Each that is returned has been entered and
/// must be finished before its next sibling: by [`text`](Self::text), by [`skip`](Self::skip), or by asking for its
/// own children until there are no more. After an error every further call gives the same error.
///
/// Line ends and control characters in text are given as they arrived, since keys may have them.
pub struct Reader<'a> {
    xml: quick_xml::Reader<&'a [u8]>,
    /// What `xml` reads, as far as it is UTF-8: the body without byte order mark and leading white space.
    text: &'a str,
    /// How long that is, if all of it is UTF-8.
    len: usize,
    /// How much was taken off the front of the body.
    base: usize,
    /// The elements that are open. Whether their end tags fit is checked here: the parser does not know those that it
    /// was moved past.
    open: Vec<Open<'a>>,
    /// The innermost open element is `<self-closing/>`: it has neither content nor an end tag to come.
    empty: bool,
    started: bool,
    namespace_missing: bool,
    failed: Option<Error>,
    /// Memory for the next text that has to be put together.
    spare: String,
}

/// A tag without attributes, prefix and spaces.
enum Plain<'a> {
    Start(&'a str),
    End,
}

struct Open<'a> {
    /// As in its tags.
    qualified: &'a str,
    /// Without the prefix.
    local: &'a str,
}

impl<'a> Reader<'a> {
    /// A reader of this body. A byte order mark and white space in front are read over.
    pub fn new(body: &'a [u8]) -> Self {
        let rest = trim_front(body);
        let mut xml = quick_xml::Reader::from_reader(rest);
        xml.config_mut().check_end_names = false;
        xml.config_mut().allow_unmatched_ends = true;
        Self {
            xml,
            text: valid_front(rest),
            len: rest.len(),
            base: body.len() - rest.len(),
            open: Vec::with_capacity(8),
            empty: false,
            started: false,
            namespace_missing: false,
            failed: None,
            spare: String::new(),
        }
    }

    /// Whether the root element declares no name space. Some stores leave it out; it is noted here, not refused.
    pub fn namespace_missing(&self) -> bool {
        self.namespace_missing
    }

    /// The open elements from the root on, such as `ListBucketResult/Contents/Key`.
    pub fn path(&self) -> String {
        let names: Vec<_> = self.open.iter().map(|element| element.local).collect();
        names.join("/")
    }

    /// The name of the element that it is in.
    pub(crate) fn name(&self) -> &'a str {
        self.open.last().map_or("", |element| element.local)
    }

    /// The same, as it stands in its tags.
    fn qualified(&self) -> &'a str {
        self.open.last().map_or("", |element| element.qualified)
    }

    /// Enters the root element and returns its name. The first call on a reader.
    pub fn root(&mut self) -> Result<&'a str, Error> {
        self.check()?;
        if self.started {
            return Err(self.fail(MALFORMED, "the root element was already read"));
        }
        let mut declared = false;
        loop {
            match self.next()? {
                Event::Start(start) => return self.enter_root(&start, false),
                Event::Empty(start) => return self.enter_root(&start, true),
                Event::Text(text) if is_blank(&text) => {}
                Event::Decl(_) if !declared => declared = true,
                Event::Comment(_) | Event::PI(_) => {}
                Event::Eof => return Err(self.fail(TRUNCATED, "expected a root element, found the end")),
                other => return Err(self.unexpected(&other, "expected a root element")),
            }
        }
    }

    /// Enters the next child of the current element and returns its name, or leaves the current element and returns
    /// `None` if there are no more. Text between children is ignored.
    pub fn child(&mut self) -> Result<Option<&'a str>, Error> {
        self.check()?;
        if self.open.is_empty() {
            if self.started {
                return Ok(None);
            }
            return Err(self.fail(MALFORMED, "the root element must be read before its children"));
        }
        if self.empty {
            self.leave();
            return Ok(None);
        }
        match self.plain() {
            Some(Plain::Start(name)) => return Ok(Some(name)),
            Some(Plain::End) => return Ok(None),
            None => {}
        }
        loop {
            match self.next()? {
                Event::Start(start) => return self.enter(&start, false).map(Some),
                Event::Empty(start) => return self.enter(&start, true).map(Some),
                Event::End(_) => {
                    self.leave();
                    return Ok(None);
                }
                Event::Text(_) | Event::CData(_) | Event::Comment(_) | Event::PI(_) => {}
                Event::GeneralRef(reference) => {
                    self.resolve(&reference)?;
                }
                other => return Err(self.unexpected(&other, "expected a child element or the end tag")),
            }
        }
    }

    /// The text of the element just entered, read to its end tag: references and CDATA sections are resolved, and
    /// white space is kept. A child element inside is an error.
    ///
    /// Borrows from the body unless the text is in more than one piece or has references.
    pub fn text(&mut self) -> Result<Cow<'a, str>, Error> {
        const EXPECTED: &str = "expected text and then the end tag";
        self.check_inside()?;
        if self.empty {
            self.leave();
            return Ok(Cow::Borrowed(""));
        }
        if let Some(text) = self.plain_text(self.qualified(), self.ahead()) {
            self.leave();
            return Ok(text);
        }
        let mut text = Cow::Borrowed("");
        loop {
            let piece = match self.next()? {
                Event::End(_) => {
                    self.leave();
                    return Ok(text);
                }
                Event::Text(piece) => piece.into_inner(),
                Event::CData(piece) => piece.into_inner(),
                Event::GeneralRef(reference) => {
                    let resolved = self.resolve(&reference)?;
                    if text.len() + resolved.len_utf8() > MAX_TEXT {
                        return Err(self.text_too_long());
                    }
                    self.owned(&mut text).push(resolved);
                    continue;
                }
                Event::Comment(_) | Event::PI(_) => continue,
                other => return Err(self.unexpected(&other, EXPECTED)),
            };
            if text.len() + piece.len() > MAX_TEXT {
                return Err(self.text_too_long());
            }
            if text.is_empty() {
                text = piece;
            } else {
                self.owned(&mut text).push_str(&piece);
            }
        }
    }

    /// What follows the start tag of the next child, if that has this name and is plain, without white space before it.
    /// Whoever knows what comes most often is spared looking for the end of a name.
    #[inline]
    pub(crate) fn after_start(&self, name: &'static str) -> Option<&'a [u8]> {
        after_name(self.ahead().strip_prefix(b"<")?, name)
    }

    /// The text of the next child, which is entered and left, if it has nothing but text in it; `content` is what
    /// [`after_start`](Self::after_start) gave. An empty one is left to [`child`](Self::child), as everything is that is
    /// not plain. Only inside of an element.
    pub(crate) fn leaf(&mut self, name: &'static str, content: &'a [u8]) -> Option<Cow<'a, str>> {
        if content.starts_with(b"<") || !self.may_enter() {
            return None;
        }
        self.plain_text(name, content)
    }

    /// Takes back a text that is not needed any more, for its memory.
    pub(crate) fn reuse(&mut self, text: Cow<'_, str>) {
        if let Cow::Owned(text) = text {
            self.spare = text;
        }
    }

    /// The text to add to.
    fn owned<'t>(&mut self, text: &'t mut Cow<'_, str>) -> &'t mut String {
        if let Cow::Borrowed(borrowed) = *text {
            let mut string = std::mem::take(&mut self.spare);
            string.clear();
            string.push_str(borrowed);
            *text = Cow::Owned(string);
        }
        text.to_mut()
    }

    /// Skips the element just entered with all that is inside.
    pub fn skip(&mut self) -> Result<(), Error> {
        self.check_inside()?;
        if self.empty {
            self.leave();
            return Ok(());
        }
        if let Some(text) = self.plain_text(self.qualified(), self.ahead()) {
            self.reuse(text);
            self.leave();
            return Ok(());
        }
        let outside = self.open.len() - 1;
        while self.open.len() > outside {
            match self.next()? {
                Event::Start(start) => {
                    self.enter(&start, false)?;
                }
                Event::Empty(start) => {
                    self.enter(&start, true)?;
                    self.leave();
                }
                Event::End(_) => self.leave(),
                Event::Text(_) | Event::CData(_) | Event::Comment(_) | Event::PI(_) => {}
                Event::GeneralRef(reference) => {
                    self.resolve(&reference)?;
                }
                other => return Err(self.unexpected(&other, "expected the end tag")),
            }
        }
        Ok(())
    }

    /// Checks, after the root element was left, that nothing but white space, comments and processing instructions
    /// follows.
    pub fn end(&mut self) -> Result<(), Error> {
        const EXPECTED: &str = "expected nothing after the root element";
        self.check()?;
        if !self.started || !self.open.is_empty() {
            return Err(self.fail(MALFORMED, "the root element was not read to its end"));
        }
        loop {
            match self.next()? {
                Event::Eof => return Ok(()),
                Event::Text(text) if is_blank(&text) => {}
                Event::Comment(_) | Event::PI(_) => {}
                other => return Err(self.unexpected(&other, EXPECTED)),
            }
        }
    }

    fn check(&self) -> Result<(), Error> {
        match &self.failed {
            None => Ok(()),
            Some(error) => Err(error.clone()),
        }
    }

    fn check_inside(&mut self) -> Result<(), Error> {
        self.check()?;
        if self.open.is_empty() {
            return Err(self.fail(MALFORMED, "no element is open to read from"));
        }
        Ok(())
    }

    #[inline]
    fn next(&mut self) -> Result<Event<'a>, Error> {
        match self.xml.read_event() {
            Ok(Event::End(end)) => match self.open.last() {
                Some(element) if element.qualified == end.name().0 => Ok(Event::End(end)),
                _ => Err(self.wrong_end()),
            },
            Ok(event) => Ok(event),
            Err(error) => Err(self.syntax(&error)),
        }
    }

    fn enter_root(&mut self, start: &BytesStart<'_>, empty: bool) -> Result<&'a str, Error> {
        self.started = true;
        let name = self.enter(start, empty)?;
        self.namespace_missing = !start.attributes().flatten().any(|attribute| {
            let key = attribute.key.0;
            key == "xmlns" || key.starts_with("xmlns:")
        });
        Ok(name)
    }

    fn enter(&mut self, start: &BytesStart<'_>, empty: bool) -> Result<&'a str, Error> {
        if self.open.len() >= MAX_DEPTH {
            return Err(self.fail(MALFORMED, format_args!("expected at most {MAX_DEPTH} nested elements")));
        }
        // The event owns up to its own life only, so the name is taken from the body: the tag ends where the
        // reader stands.
        let (tag, name) = (start.len(), start.name().0.len());
        let has_more = tag > name;
        let qualified = self
            .position()
            .checked_sub(tag + if empty { 2 } else { 1 })
            .and_then(|from| self.text.get(from..from + name));
        let Some((qualified, local)) = qualified.and_then(|name| Some((name, local_name(name)?))) else {
            return Err(self.fail(MALFORMED, "expected an element with a name that XML allows"));
        };
        if has_more {
            self.attributes(start)?;
        }
        self.open.push(Open { qualified, local });
        self.empty = empty;
        Ok(local)
    }

    /// Enters or leaves an element if its plain tag follows, past which it moves the parser: that is what
    /// documents consist of for the most part, and reading them here takes a quarter of the time. Everything else is
    /// left to the parser, which comes to the same where both can read it.
    #[inline]
    fn plain(&mut self) -> Option<Plain<'a>> {
        let [b'<', tag @ ..] = self.ahead().trim_ascii_start() else { return None };
        if let [b'/', end @ ..] = tag {
            let rest = after_name(end, self.open.last()?.qualified)?;
            self.pass_to(rest);
            self.leave();
            return Some(Plain::End);
        }
        let len = plain_len(tag);
        let [b'>', content @ ..] = tag.get(len..)? else { return None };
        let name = self.text_of(tag, len)?;
        if len > MAX_NAME || !begins_name(name) || !self.may_enter() {
            return None;
        }
        self.pass_to(content);
        self.open.push(Open { qualified: name, local: name });
        Some(Plain::Start(name))
    }

    /// Reads this content of an element to the end of the element, if it is nothing but text, as
    /// [`plain`](Self::plain) does.
    fn plain_text(&mut self, name: &str, content: &'a [u8]) -> Option<Cow<'a, str>> {
        let special = memchr2(b'<', b'&', content)?;
        let has_references = content.get(special) == Some(&b'&');
        let len = if has_references { memchr(b'<', content)? } else { special };
        let [b'<', b'/', end @ ..] = content.get(len..)? else { return None };
        let rest = after_name(end, name)?;
        let text = self.text_of(content, len).filter(|text| text.len() <= MAX_TEXT)?;
        let text = if has_references { self.without_references(text)?.into() } else { text.into() };
        self.pass_to(rest);
        Some(text)
    }

    #[inline]
    fn may_enter(&self) -> bool {
        self.open.len() < MAX_DEPTH && !self.empty && self.failed.is_none()
    }

    /// What is to be read yet, from where the parser stands between two events.
    #[inline]
    fn ahead(&self) -> &'a [u8] {
        self.xml.get_ref()
    }

    /// Moves the parser there.
    #[inline]
    fn pass_to(&mut self, rest: &'a [u8]) {
        *self.xml.get_mut() = rest;
    }

    /// So many bytes from the front of what is to be read from there on, if they are UTF-8.
    #[inline]
    fn text_of(&self, ahead: &[u8], len: usize) -> Option<&'a str> {
        let from = self.len - ahead.len();
        self.text.get(from..)?.get(..len)
    }

    /// The text with its references resolved, if all of them can be.
    fn without_references(&mut self, mut text: &str) -> Option<String> {
        let mut resolved = std::mem::take(&mut self.spare);
        resolved.clear();
        // Entity tags, which are in every entry of a list.
        if let Some(quoted) = text.strip_prefix("&quot;").and_then(|text| text.strip_suffix("&quot;"))
            && memchr(b'&', quoted.as_bytes()).is_none()
        {
            resolved.push('"');
            resolved.push_str(quoted);
            resolved.push('"');
            return Some(resolved);
        }
        while let Some(at) = memchr(b'&', text.as_bytes()) {
            let (before, reference) = text.split_at_checked(at)?;
            let end = reference.bytes().position(|byte| byte == b';')?;
            resolved.push_str(before);
            resolved.push(referred(reference.get(1..end)?)?);
            text = reference.get(end + 1..)?;
        }
        resolved.push_str(text);
        Some(resolved)
    }

    /// Where the parser stands in `text`.
    #[inline]
    fn position(&self) -> usize {
        self.len - self.left()
    }

    /// How many bytes of the body are not read yet.
    pub(crate) fn left(&self) -> usize {
        self.xml.get_ref().len()
    }

    fn attributes(&mut self, start: &BytesStart<'_>) -> Result<(), Error> {
        if start.len() > MAX_TAG {
            return Err(self.fail(MALFORMED, format_args!("expected at most {MAX_TAG} bytes of a tag")));
        }
        for attribute in start.attributes() {
            match attribute {
                Ok(attribute) if valid_name(attribute.key.0) && !attribute.value.contains('<') => {}
                Ok(_) => return Err(self.fail(MALFORMED, "expected well-formed attributes")),
                Err(error) => {
                    return Err(
                        self.fail(MALFORMED, format_args!("expected well-formed attributes: {error}"))
                    );
                }
            }
        }
        Ok(())
    }

    #[inline]
    fn leave(&mut self) {
        self.open.pop();
        self.empty = false;
    }

    fn resolve(&mut self, reference: &str) -> Result<char, Error> {
        referred(reference)
            .ok_or_else(|| self.fail(MALFORMED, "expected a predefined entity or a numeric reference"))
    }

    #[cold]
    fn text_too_long(&mut self) -> Error {
        self.fail(MALFORMED, format_args!("expected at most {MAX_TEXT} bytes of text"))
    }

    #[cold]
    fn unexpected(&mut self, event: &Event<'_>, expected: &str) -> Error {
        let found = match event {
            Event::Eof => return self.fail(TRUNCATED, format_args!("{expected}, found the end")),
            Event::DocType(_) => return self.fail(MALFORMED, "DOCTYPE is not allowed"),
            Event::Start(_) | Event::Empty(_) => "an element",
            Event::End(_) => "an end tag",
            Event::Text(_) | Event::CData(_) => "text",
            Event::GeneralRef(_) => "a reference",
            Event::Decl(_) => "an XML declaration",
            Event::Comment(_) => "a comment",
            Event::PI(_) => "a processing instruction",
        };
        self.fail(MALFORMED, format_args!("{expected}, found {found}"))
    }

    /// The parser stands after an end tag that is not the one to come.
    #[cold]
    fn wrong_end(&mut self) -> Error {
        let read = self.text.get(..self.position()).unwrap_or_default();
        let at = read.rfind("</").unwrap_or(read.len());
        match self.open.last() {
            Some(element) => {
                let name = element.local;
                self.fail_at(at, MALFORMED, format_args!("expected the end tag of {name}, found another"))
            }
            None => self.fail_at(at, MALFORMED, "expected no end tag, as no element is open"),
        }
    }

    /// Says what the parser below found, without names that the server chose: those have no bound.
    #[cold]
    fn syntax(&mut self, error: &quick_xml::Error) -> Error {
        let before = self.xml.buffer_position().saturating_sub(self.xml.error_position());
        let at = self.position().saturating_sub(usize::try_from(before).unwrap_or_default());
        match error {
            quick_xml::Error::Syntax(SyntaxError::InvalidBangMarkup) => {
                self.fail_at(at, MALFORMED, "expected a comment or CDATA after \"<!\"")
            }
            quick_xml::Error::Syntax(error) => self.fail_at(at, TRUNCATED, error),
            quick_xml::Error::IllFormed(IllFormedError::UnclosedReference) => {
                self.fail_at(at, MALFORMED, "expected a reference that ends with \";\"")
            }
            quick_xml::Error::IllFormed(IllFormedError::MissingDoctypeName) => {
                self.fail_at(at, MALFORMED, "DOCTYPE is not allowed")
            }
            quick_xml::Error::Encoding(error) => {
                self.fail(MALFORMED, format_args!("expected UTF-8: {error}"))
            }
            _ => self.fail(MALFORMED, "expected well-formed XML"),
        }
    }

    #[cold]
    fn fail(&mut self, what: &str, detail: impl fmt::Display) -> Error {
        self.fail_at(self.position(), what, detail)
    }

    #[cold]
    fn fail_at(&mut self, position: usize, what: &str, detail: impl fmt::Display) -> Error {
        let position = position.saturating_add(self.base);
        let place = if self.open.is_empty() { String::new() } else { format!(" in {}", self.path()) };
        let error =
            Error::new(ErrorKind::MalformedResponse, format!("{what} at byte {position}{place}: {detail}"));
        self.failed = Some(error.clone());
        error
    }
}

impl fmt::Debug for Reader<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reader")
            .field("path", &self.path())
            .field("position", &self.position())
            .finish_non_exhaustive()
    }
}

/// The local name of the root element, if the body looks like XML up to there.
///
/// A cheap look at the front of the body that reads over a byte order mark, white space, declaration, comments and
/// processing instructions. It says nothing about the rest of the body.
pub fn root_name(body: &[u8]) -> Option<&str> {
    let mut rest = trim_front(body);
    loop {
        let tag = rest.strip_prefix(b"<")?;
        let (inside, end): (&[u8], &[u8]) = match tag.first()? {
            b'?' => (tag.get(1..)?, b"?>"),
            b'!' => (tag.strip_prefix(b"!--")?, b"-->"),
            _ => {
                let length = tag
                    .iter()
                    .take(MAX_NAME + 1)
                    .position(|byte| is_space(*byte) || matches!(byte, b'/' | b'>'))?;
                return std::str::from_utf8(tag.get(..length)?).ok().and_then(local_name);
            }
        };
        let length = inside.windows(end.len()).position(|window| window == end)?;
        rest = inside.get(length + end.len()..)?.trim_ascii_start();
    }
}

fn trim_front(body: &[u8]) -> &[u8] {
    let mut rest = body.trim_ascii_start();
    while let Some(after) = rest.strip_prefix(BOM) {
        rest = after.trim_ascii_start();
    }
    rest
}

/// The body up to what is not UTF-8, where the parser will stop.
fn valid_front(body: &[u8]) -> &str {
    let valid = |error: std::str::Utf8Error| body.get(..error.valid_up_to()).unwrap_or_default();
    std::str::from_utf8(body).or_else(|error| std::str::from_utf8(valid(error))).unwrap_or_default()
}

const fn is_space(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\r' | b'\n')
}

fn is_blank(text: &str) -> bool {
    text.bytes().all(is_space)
}

/// Bytes beyond ASCII are all let through: what S3 calls its elements is ASCII, and the rest is skipped.
const fn is_name_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.' | b':') || byte >= 0x80
}

fn valid_name(name: &str) -> bool {
    name.len() <= MAX_NAME && name.bytes().all(is_name_byte) && begins_name(name)
}

fn begins_name(name: &str) -> bool {
    matches!(name.bytes().next(), Some(first) if !matches!(first, b'0'..=b'9' | b'-' | b'.' | b':'))
}

/// The bytes of names without a prefix. Names are half of a document, so each byte gets no more than a look-up.
const PLAIN: [bool; 256] = {
    let mut plain = [false; 256];
    let mut byte = u8::MAX;
    while byte > 0 {
        plain[byte as usize] = is_name_byte(byte) && byte != b':';
        byte -= 1;
    }
    plain
};

/// How many bytes of a tag are a plain name.
#[inline]
fn plain_len(tag: &[u8]) -> usize {
    let mut len = 0;
    while tag.get(len).is_some_and(|byte| PLAIN[usize::from(*byte)]) {
        len += 1;
    }
    len
}

/// What follows a tag with this name, of which only the name and the end are left.
#[inline]
fn after_name<'a>(tag: &'a [u8], name: &str) -> Option<&'a [u8]> {
    tag.strip_prefix(name.as_bytes())?.strip_prefix(b">")
}

/// What follows the prefix of a qualified name.
fn local_name(name: &str) -> Option<&str> {
    if name.len() <= MAX_NAME && name.bytes().all(|byte| PLAIN[usize::from(byte)]) && begins_name(name) {
        return Some(name);
    }
    let (_, local) = name.split_once(':')?;
    (valid_name(name) && valid_name(local)).then_some(local)
}

/// The character that `&reference;` stands for.
fn referred(reference: &str) -> Option<char> {
    match reference {
        "amp" => Some('&'),
        "lt" => Some('<'),
        "gt" => Some('>'),
        "quot" => Some('"'),
        "apos" => Some('\''),
        _ => reference.strip_prefix('#').and_then(numeric),
    }
}

/// The character that `&#...;` stands for. Those that XML 1.0 does not allow are let through: keys may have them.
fn numeric(digits: &str) -> Option<char> {
    let (digits, radix) = match digits.strip_prefix('x') {
        Some(digits) => (digits, 16),
        None => (digits, 10),
    };
    // `from_str_radix` would take a sign.
    if !digits.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return None;
    }
    u32::from_str_radix(digits, radix).ok().and_then(char::from_u32)
}
