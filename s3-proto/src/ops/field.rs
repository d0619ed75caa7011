//! How the fields of an operation are written and read, each by its type.

use std::borrow::Cow;
use std::collections::BTreeMap;

use http::{HeaderMap, HeaderName, HeaderValue};

use super::describe::{Members, Place};
use super::draft::Draft;
use crate::checksum::{Checksum, ChecksumAlgorithm};
use crate::etag::ETag;
use crate::secret::Secret;
use crate::xml::{Reader, Writer};
use crate::{Error, ErrorKind, Phase, Timestamp};

/// A value that travels as text.
pub trait Text: Sized {
    /// As it stands in a query or in XML.
    fn text(&self) -> Cow<'_, str>;

    /// As it stands in a header, where that differs.
    fn header_text(&self) -> Cow<'_, str> {
        self.text()
    }

    /// Reads either form; `None` if it is not one.
    fn parse(text: &str) -> Option<Self>;
}

impl Text for String {
    fn text(&self) -> Cow<'_, str> {
        Cow::Borrowed(self)
    }
    fn parse(text: &str) -> Option<Self> {
        Some(text.to_owned())
    }
}

impl Text for Secret<String> {
    fn text(&self) -> Cow<'_, str> {
        Cow::Borrowed(self.expose())
    }
    fn parse(text: &str) -> Option<Self> {
        Some(text.into())
    }
}

macro_rules! text_by_from_str {
    ($($type:ty),*) => {$(
        impl Text for $type {
            fn text(&self) -> Cow<'_, str> {
                Cow::Owned(self.to_string())
            }
            fn parse(text: &str) -> Option<Self> {
                text.trim_ascii().parse().ok()
            }
        }
    )*};
}
text_by_from_str!(u16, u32, u64);

impl Text for bool {
    fn text(&self) -> Cow<'_, str> {
        Cow::Borrowed(if *self { "true" } else { "false" })
    }
    fn parse(text: &str) -> Option<Self> {
        // Some stores write booleans with a capital.
        match text.trim() {
            "true" | "True" | "TRUE" => Some(true),
            "false" | "False" | "FALSE" => Some(false),
            _ => None,
        }
    }
}

impl Text for Timestamp {
    fn text(&self) -> Cow<'_, str> {
        Cow::Owned(self.rfc3339())
    }
    fn header_text(&self) -> Cow<'_, str> {
        Cow::Owned(self.http_date())
    }
    fn parse(text: &str) -> Option<Self> {
        Self::parse(text)
    }
}

/// In the quotes that HTTP wants (RFC 9110 section 8.8.3); `*` is not an entity tag and has none.
impl Text for ETag {
    fn text(&self) -> Cow<'_, str> {
        if *self == Self::ANY { Cow::Borrowed("*") } else { Cow::Owned(format!("\"{self}\"")) }
    }
    fn parse(text: &str) -> Option<Self> {
        Some(Self::new(text))
    }
}

impl Text for ChecksumAlgorithm {
    fn text(&self) -> Cow<'_, str> {
        Cow::Borrowed(self.as_str())
    }
    fn parse(text: &str) -> Option<Self> {
        Some(Self::from(text))
    }
}

/// A value that S3 writes in RFC 3339 even in headers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct IsoTimestamp(pub Timestamp);

impl Text for IsoTimestamp {
    fn text(&self) -> Cow<'_, str> {
        Cow::Owned(self.0.rfc3339())
    }
    fn parse(text: &str) -> Option<Self> {
        Timestamp::parse(text).map(Self)
    }
}

impl From<Timestamp> for IsoTimestamp {
    fn from(t: Timestamp) -> Self {
        Self(t)
    }
}

/// A value that S3 writes as an HTTP date even in a query.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct HttpDate(pub Timestamp);

impl Text for HttpDate {
    fn text(&self) -> Cow<'_, str> {
        Cow::Owned(self.0.http_date())
    }
    fn parse(text: &str) -> Option<Self> {
        Timestamp::parse(text).map(Self)
    }
}

impl From<Timestamp> for HttpDate {
    fn from(t: Timestamp) -> Self {
        Self(t)
    }
}

/// The `x-amz-meta-*` headers: user metadata by name, without the prefix.
pub type Metadata = BTreeMap<String, String>;

/// What a setter takes: `T` for an `Option<T>`, the list for a list.
pub trait Settable {
    /// What the setter takes.
    type Value;
    /// Sets it.
    fn set(&mut self, value: Self::Value);
}

impl<T> Settable for Option<T> {
    type Value = T;
    fn set(&mut self, value: T) {
        *self = Some(value);
    }
}

impl<T> Settable for Vec<T> {
    type Value = Self;
    fn set(&mut self, value: Self) {
        *self = value;
    }
}

/// A field that travels in headers of a request.
pub trait ToHeaders {
    /// Adds it.
    #[doc(hidden)]
    fn to_headers(&self, name: &'static str, draft: &mut Draft) -> Result<(), Error>;
    /// Describes it.
    #[doc(hidden)]
    fn describe(field: &'static str, name: &'static str, to: &mut MembersRef<'_>)
    where
        Self: Sized,
    {
        to.0.add(field, Place::Header, name);
    }
}

/// What fields describe themselves to.
#[derive(Debug)]
pub struct MembersRef<'a>(pub(crate) &'a mut Members);

impl<T: Text> ToHeaders for T {
    fn to_headers(&self, name: &'static str, draft: &mut Draft) -> Result<(), Error> {
        draft.add_text(name, self)
    }
}

impl<T: Text> ToHeaders for Option<T> {
    fn to_headers(&self, name: &'static str, draft: &mut Draft) -> Result<(), Error> {
        self.as_ref().map_or(Ok(()), |value| draft.add_text(name, value))
    }
}

/// Joined by commas, as HTTP lists are.
impl<T: Text> ToHeaders for Vec<T> {
    fn to_headers(&self, name: &'static str, draft: &mut Draft) -> Result<(), Error> {
        if self.is_empty() {
            return Ok(());
        }
        let texts: Vec<_> = self.iter().map(Text::header_text).collect();
        draft.add_header(HeaderName::from_static(name), &texts.join(","))
    }
}

impl ToHeaders for Metadata {
    fn to_headers(&self, prefix: &'static str, draft: &mut Draft) -> Result<(), Error> {
        crate::validate::check_metadata(self.iter().map(|(k, v)| (k.as_str(), v.as_str())))?;
        for (name, value) in self {
            let header = HeaderName::try_from(format!("{prefix}{name}"))
                .map_err(|_| Error::invalid_input(format!("metadata name '{name}' cannot be a header")))?;
            draft.add_header(header, value)?;
        }
        Ok(())
    }
    fn describe(field: &'static str, prefix: &'static str, to: &mut MembersRef<'_>) {
        to.0.add(field, Place::HeaderPrefix, prefix);
    }
}

/// The headers of the ten checksums that S3 knows; the name is in the value.
impl ToHeaders for Option<Checksum> {
    fn to_headers(&self, _: &'static str, draft: &mut Draft) -> Result<(), Error> {
        let Some(checksum) = self else { return Ok(()) };
        let name = checksum.algorithm().header_name().ok_or_else(|| {
            Error::invalid_input(format!("S3 has no header for a {} checksum", checksum.algorithm()))
        })?;
        draft.add_header(name, &checksum.to_string())
    }
    fn describe(_: &'static str, _: &'static str, to: &mut MembersRef<'_>) {
        for (_, header, field) in CHECKSUMS {
            to.0.add(field, Place::Header, header);
        }
    }
}

/// Element name, header and field of each checksum.
pub(crate) const CHECKSUMS: [(&str, &str, &str); 10] = [
    ("ChecksumCRC32", "x-amz-checksum-crc32", "checksum_crc32"),
    ("ChecksumCRC32C", "x-amz-checksum-crc32c", "checksum_crc32c"),
    ("ChecksumCRC64NVME", "x-amz-checksum-crc64nvme", "checksum_crc64nvme"),
    ("ChecksumSHA1", "x-amz-checksum-sha1", "checksum_sha1"),
    ("ChecksumSHA256", "x-amz-checksum-sha256", "checksum_sha256"),
    ("ChecksumSHA512", "x-amz-checksum-sha512", "checksum_sha512"),
    ("ChecksumMD5", "x-amz-checksum-md5", "checksum_md5"),
    ("ChecksumXXHASH64", "x-amz-checksum-xxhash64", "checksum_xxhash64"),
    ("ChecksumXXHASH3", "x-amz-checksum-xxhash3", "checksum_xxhash3"),
    ("ChecksumXXHASH128", "x-amz-checksum-xxhash128", "checksum_xxhash128"),
];

/// A field that travels in headers of an answer, which it takes as they come.
pub trait FromHeaders {
    /// Takes this header, if that is its name.
    #[doc(hidden)]
    fn take_header(&mut self, wanted: &'static str, found: &str, value: &HeaderValue) -> Result<bool, Error>;
    /// Reads it from all headers.
    #[doc(hidden)]
    fn from_headers(name: &'static str, headers: &HeaderMap) -> Result<Self, Error>
    where
        Self: Default,
    {
        let mut field = Self::default();
        for (found, value) in headers {
            field.take_header(name, found.as_str(), value)?;
        }
        Ok(field)
    }
    /// Describes it.
    #[doc(hidden)]
    fn describe(field: &'static str, name: &'static str, to: &mut MembersRef<'_>)
    where
        Self: Sized,
    {
        to.0.add(field, Place::Header, name);
    }
}

impl<T: Text> FromHeaders for Option<T> {
    fn take_header(&mut self, wanted: &'static str, found: &str, value: &HeaderValue) -> Result<bool, Error> {
        if found != wanted {
            return Ok(false);
        }
        // Of a header that came twice, the first counts.
        if self.is_none() {
            *self = read_header(wanted, value)?;
        }
        Ok(true)
    }
}

fn read_header<T: Text>(name: &str, value: &HeaderValue) -> Result<Option<T>, Error> {
    // Bytes over 127 are Latin-1 by the letter of HTTP, but stores send UTF-8.
    let text = String::from_utf8_lossy(value.as_bytes());
    let parsed = T::parse(&text);
    if parsed.is_none() && !text.trim().is_empty() {
        return Err(odd_header(name));
    }
    Ok(parsed)
}

// Code that stands once for all types is not compiled for each: so for the errors of fields below.
fn odd_header(name: &str) -> Error {
    malformed(format!("header '{name}' is not what S3 sends"))
}

impl FromHeaders for bool {
    fn take_header(&mut self, wanted: &'static str, found: &str, value: &HeaderValue) -> Result<bool, Error> {
        let mut flag = None;
        let taken = flag.take_header(wanted, found, value)?;
        *self = flag.unwrap_or(*self);
        Ok(taken)
    }
}

impl FromHeaders for Metadata {
    fn take_header(&mut self, prefix: &'static str, found: &str, value: &HeaderValue) -> Result<bool, Error> {
        let Some(name) = found.strip_prefix(prefix) else { return Ok(false) };
        let value = String::from_utf8_lossy(value.as_bytes());
        // The same name twice is one value with commas (RFC 9110 section 5.3).
        self.entry(name.to_owned())
            .and_modify(|all: &mut String| *all = format!("{all},{value}"))
            .or_insert_with(|| value.into_owned());
        Ok(true)
    }
    fn describe(field: &'static str, prefix: &'static str, to: &mut MembersRef<'_>) {
        to.0.add(field, Place::HeaderPrefix, prefix);
    }
}

impl FromHeaders for Option<Checksum> {
    fn take_header(&mut self, _: &'static str, found: &str, value: &HeaderValue) -> Result<bool, Error> {
        const PREFIX: &str = "x-amz-checksum-";
        let Some(name) = found.strip_prefix(PREFIX) else { return Ok(false) };
        // The type has the same prefix.
        let Some(algorithm) = ChecksumAlgorithm::of_header(name) else { return Ok(false) };
        if let (None, Ok(text)) = (&self, value.to_str()) {
            let checksum = Checksum::parse(algorithm, text);
            *self = Some(checksum.map_err(|_| malformed(format!("header '{found}' is not a checksum")))?);
        }
        Ok(true)
    }
    fn describe(_: &'static str, _: &'static str, to: &mut MembersRef<'_>) {
        for (_, header, field) in CHECKSUMS {
            to.0.add(field, Place::Header, header);
        }
    }
}

/// Reads fields from all headers, each by its name; one that ends in a hyphen is that of several headers.
///
/// Fields are given as data, since code for each of them would be most of what an operation is compiled to.
pub(crate) fn read_headers(
    headers: &HeaderMap,
    fields: &mut [(&'static str, &mut dyn FromHeaders)],
) -> Result<(), Error> {
    for (found, value) in headers {
        let found = found.as_str();
        for (wanted, field) in &mut *fields {
            // An answer has a dozen headers, an operation up to fifty fields: most often nothing but this is run.
            let may_be = wanted.len() == found.len() || wanted.ends_with('-');
            if may_be && field.take_header(wanted, found, value)? {
                break;
            }
        }
    }
    Ok(())
}

/// A field that travels in the query.
pub trait ToQuery {
    /// Adds it.
    #[doc(hidden)]
    fn to_query(&self, name: &'static str, draft: &mut Draft);
}

impl<T: Text> ToQuery for T {
    fn to_query(&self, name: &'static str, draft: &mut Draft) {
        draft.add_query(name, &self.text());
    }
}

impl<T: Text> ToQuery for Option<T> {
    fn to_query(&self, name: &'static str, draft: &mut Draft) {
        if let Some(value) = self {
            value.to_query(name, draft);
        }
    }
}

/// A value that travels as an XML element.
pub trait Element: Sized {
    /// Reads the element that was just entered, to its end.
    #[doc(hidden)]
    fn read(reader: &mut Reader<'_>) -> Result<Self, Error>;
    /// As [`read`](Self::read), but some stores send an empty element for what there is not.
    #[doc(hidden)]
    fn read_optional(reader: &mut Reader<'_>) -> Result<Option<Self>, Error> {
        Self::read(reader).map(Some)
    }
    /// Reads the next element, with this name and content, if it is text, as it most often is where this is asked: that
    /// costs less than to ask for whatever comes.
    #[doc(hidden)]
    fn read_next<'a>(
        _: &mut Option<Self>,
        _: &'static str,
        _content: &'a [u8],
        _: &mut Reader<'a>,
    ) -> Result<(), Error> {
        Ok(())
    }
    /// Writes it under this name.
    #[doc(hidden)]
    fn write(&self, name: &str, writer: &mut Writer);
}

impl<T: Text> Element for T {
    fn read(reader: &mut Reader<'_>) -> Result<Self, Error> {
        Self::read_optional(reader)?.ok_or_else(|| empty_element(reader))
    }
    fn read_optional(reader: &mut Reader<'_>) -> Result<Option<Self>, Error> {
        let name = reader.name();
        let text = reader.text()?;
        read_text(name, text, reader)
    }
    fn read_next<'a>(
        value: &mut Option<Self>,
        name: &'static str,
        content: &'a [u8],
        reader: &mut Reader<'a>,
    ) -> Result<(), Error> {
        if let Some(text) = reader.leaf(name, content) {
            *value = read_text(name, text, reader)?;
        }
        Ok(())
    }
    fn write(&self, name: &str, writer: &mut Writer) {
        writer.element(name, &self.text());
    }
}

/// Reads the text of the element of this name that was just left.
fn read_text<T: Text>(name: &str, text: Cow<'_, str>, reader: &mut Reader<'_>) -> Result<Option<T>, Error> {
    let value = T::parse(&text);
    if value.is_none() && !text.trim().is_empty() {
        return Err(odd_element(name, reader));
    }
    reader.reuse(text);
    Ok(value)
}

fn empty_element(reader: &Reader<'_>) -> Error {
    malformed(format!("an element in {} is empty", reader.path()))
}

fn odd_element(name: &str, reader: &Reader<'_>) -> Error {
    malformed(format!("<{name}> in {} is not what S3 sends", reader.path()))
}

fn missing_element(name: &str) -> Error {
    malformed(format!("the element <{name}> is missing"))
}

fn too_many_entries(reader: &Reader<'_>) -> Error {
    malformed(format!("a list in {} has more than {MAX_ENTRIES} entries", reader.path()))
}

/// An element with elements in it.
pub trait Structure {
    /// Writes what is in it.
    #[doc(hidden)]
    fn content(&self, writer: &mut Writer);
}

/// A field of an XML structure: filled as its elements come, and complete or not at the end.
pub trait Slot: Sized {
    /// What it is while elements come.
    type Partial: Default;
    /// Takes the element that was just entered, if this is its name.
    #[doc(hidden)]
    fn take(
        partial: &mut Self::Partial,
        wanted: &'static str,
        found: &str,
        reader: &mut Reader<'_>,
    ) -> Result<bool, Error>;
    /// Takes the next element, with this name and content, if its type can do so at a lower cost, as
    /// [`Element::read_next`] says.
    #[doc(hidden)]
    fn take_next<'a>(
        _: &mut Self::Partial,
        _: &'static str,
        _content: &'a [u8],
        _: &mut Reader<'a>,
    ) -> Result<(), Error> {
        Ok(())
    }
    /// The field, once all elements have come.
    #[doc(hidden)]
    fn finish(partial: Self::Partial, name: &'static str) -> Result<Self, Error>;
    /// Writes it.
    #[doc(hidden)]
    fn put(&self, name: &'static str, writer: &mut Writer);
    /// Describes it.
    #[doc(hidden)]
    fn describe(field: &'static str, name: &'static str, to: &mut MembersRef<'_>) {
        to.0.add(field, Place::Body, name);
    }
}

impl<T: Element> Slot for T {
    type Partial = Option<T>;
    // An entry of a list has a dozen fields, each asked for each element: most often nothing but the comparison is run.
    #[inline]
    fn take(
        partial: &mut Option<T>,
        wanted: &'static str,
        found: &str,
        reader: &mut Reader<'_>,
    ) -> Result<bool, Error> {
        if found != wanted {
            return Ok(false);
        }
        *partial = Some(T::read(reader)?);
        Ok(true)
    }
    fn take_next<'a>(
        partial: &mut Option<T>,
        name: &'static str,
        content: &'a [u8],
        reader: &mut Reader<'a>,
    ) -> Result<(), Error> {
        T::read_next(partial, name, content, reader)
    }
    fn finish(partial: Option<T>, name: &'static str) -> Result<Self, Error> {
        partial.ok_or_else(|| missing_element(name))
    }
    fn put(&self, name: &'static str, writer: &mut Writer) {
        self.write(name, writer);
    }
}

impl<T: Element> Slot for Option<T> {
    type Partial = Self;
    #[inline]
    fn take(
        partial: &mut Self,
        wanted: &'static str,
        found: &str,
        reader: &mut Reader<'_>,
    ) -> Result<bool, Error> {
        if found != wanted {
            return Ok(false);
        }
        *partial = T::read_optional(reader)?;
        Ok(true)
    }
    fn take_next<'a>(
        partial: &mut Self,
        name: &'static str,
        content: &'a [u8],
        reader: &mut Reader<'a>,
    ) -> Result<(), Error> {
        T::read_next(partial, name, content, reader)
    }
    fn finish(partial: Self, _: &'static str) -> Result<Self, Error> {
        Ok(partial)
    }
    fn put(&self, name: &'static str, writer: &mut Writer) {
        if let Some(value) = self {
            value.write(name, writer);
        }
    }
}

/// The most entries of a list in one answer. S3 sends 1,000, and up to 10,000 buckets; some stores can be set to
/// send more.
const MAX_ENTRIES: usize = 100_000;

/// For how many entries memory is asked for before they are read.
const MOST_AT_ONCE: usize = 1_000;

fn add_entry<T: Element>(list: &mut Vec<T>, reader: &mut Reader<'_>) -> Result<(), Error> {
    if list.len() >= MAX_ENTRIES {
        return Err(too_many_entries(reader));
    }
    let before = reader.left();
    let entry = T::read(reader)?;
    if list.is_empty() {
        // Entries are about as long as each other, and a long list is dear to move each time it grows.
        let len = (before - reader.left()).max(1);
        let more = reader.left() / len;
        list.reserve((1 + more + more / 8).min(MOST_AT_ONCE));
    }
    list.push(entry);
    Ok(())
}

/// One element an entry, without one around them: what S3's model calls a flattened list. A wire name of
/// two parts, such as `TagSet/Tag`, is a list with an element around it.
impl<T: Element> Slot for Vec<T> {
    type Partial = Self;
    fn take(
        partial: &mut Self,
        wanted: &'static str,
        found: &str,
        reader: &mut Reader<'_>,
    ) -> Result<bool, Error> {
        if found == wanted {
            add_entry(partial, reader)?;
            return Ok(true);
        }
        match wanted.split_once('/') {
            Some((outer, inner)) if found == outer => {
                while let Some(name) = reader.child()? {
                    if name == inner { add_entry(partial, reader)? } else { reader.skip()? }
                }
            }
            _ => return Ok(false),
        }
        Ok(true)
    }
    fn finish(partial: Self, _: &'static str) -> Result<Self, Error> {
        Ok(partial)
    }
    fn put(&self, name: &'static str, writer: &mut Writer) {
        match name.split_once('/') {
            None => {
                for entry in self {
                    entry.write(name, writer);
                }
            }
            Some((outer, inner)) => {
                writer.open(outer);
                for entry in self {
                    entry.write(inner, writer);
                }
                writer.close();
            }
        }
    }
    fn describe(field: &'static str, name: &'static str, to: &mut MembersRef<'_>) {
        to.0.add(field, Place::Body, name.split_once('/').map_or(name, |(outer, _)| outer));
    }
}

impl Slot for Option<Checksum> {
    type Partial = Self;
    fn take(
        partial: &mut Self,
        _: &'static str,
        found: &str,
        reader: &mut Reader<'_>,
    ) -> Result<bool, Error> {
        let Some(name) = found.strip_prefix("Checksum") else { return Ok(false) };
        if !CHECKSUMS.iter().any(|(element, ..)| *element == found) {
            return Ok(false);
        }
        let text = reader.text()?;
        let checksum = Checksum::parse(ChecksumAlgorithm::from(name), &text)
            .map_err(|_| malformed(format!("{} is not a checksum", reader.path())))?;
        partial.get_or_insert(checksum);
        Ok(true)
    }
    fn finish(partial: Self, _: &'static str) -> Result<Self, Error> {
        Ok(partial)
    }
    fn put(&self, _: &'static str, writer: &mut Writer) {
        if let Some(checksum) = self {
            writer.element(&format!("Checksum{}", checksum.algorithm()), &checksum.to_string());
        }
    }
    fn describe(_: &'static str, _: &'static str, to: &mut MembersRef<'_>) {
        for (element, _, field) in CHECKSUMS {
            to.0.add(field, Place::Body, element);
        }
    }
}

/// An XML body with this root, in S3's namespace.
pub(crate) fn document<T: Structure>(root: &str, structure: &T) -> bytes::Bytes {
    let mut writer = Writer::new(root, Some("http://s3.amazonaws.com/doc/2006-03-01/"));
    structure.content(&mut writer);
    writer.finish()
}

/// Enters the root of an XML answer, whatever its name: stores differ in it.
pub(crate) fn open_document(body: &[u8]) -> Result<Reader<'_>, Error> {
    let mut reader = Reader::new(body);
    reader.root()?;
    if reader.namespace_missing() {
        tracing::debug!(root = reader.path(), "the answer has no XML namespace");
    }
    Ok(reader)
}

/// Reads a document that is nothing but this element.
///
/// SeaweedFS puts it into a root of the same name, so if it cannot be read as the root it is looked for inside.
pub(crate) fn read_root<T: Element>(body: &[u8], name: &str) -> Result<T, Error> {
    let mut reader = open_document(body)?;
    let read = T::read(&mut reader).and_then(|value| reader.end().map(|()| value));
    let Err(error) = read else { return read };
    let mut reader = open_document(body)?;
    if reader.child().ok().flatten() != Some(name) {
        return Err(error);
    }
    let value = T::read(&mut reader)?;
    while reader.child()?.is_some() {
        reader.skip()?;
    }
    reader.end()?;
    Ok(value)
}

/// Offers each element below the root to `take`, and skips those that it does not know. An error says how much
/// had been understood until then.
pub(crate) fn read_members(
    reader: &mut Reader<'_>,
    take: &mut dyn FnMut(&str, &mut Reader<'_>) -> Result<bool, Error>,
) -> Result<(), Error> {
    let mut read = 0u32;
    let mut all = || {
        while let Some(name) = reader.child()? {
            if !take(name, reader)? {
                reader.skip()?;
            }
            read += 1;
        }
        reader.end()
    };
    all().map_err(|error| {
        let message = format!("{} ({read} elements before it were read)", error.message());
        error.with_message(message)
    })
}

pub(crate) fn malformed(message: String) -> Error {
    Error::new(ErrorKind::MalformedResponse, message).with_phase(Phase::Parse)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entity_tags_travel_in_quotes() {
        for (given, sent) in [("abc", "\"abc\""), ("\"abc\"", "\"abc\""), ("*", "*")] {
            assert_eq!(ETag::new(given).text(), sent, "{given}");
        }
    }
}
