//! The writer.

use std::ops::Range;

use bytes::Bytes;

/// Writes the XML body of a request.
///
/// Names are taken as they are; they are ours, never a caller's. Text is escaped: control characters, and the few
/// that XML 1.0 cannot carry at all, become numeric references, so that `\r` survives and S3 gets the key it was
/// meant to get.
///
/// ```
/// let mut xml = s3_proto::xml::Writer::new("Tagging", None);
/// xml.open("TagSet");
/// xml.element("Key", "a&b");
/// xml.close();
/// assert!(xml.finish().ends_with(b"<Tagging><TagSet><Key>a&amp;b</Key></TagSet></Tagging>"));
/// ```
#[derive(Clone, Debug)]
pub struct Writer {
    out: Vec<u8>,
    /// Where in `out` the names of the open elements are.
    open: Vec<Range<usize>>,
}

impl Writer {
    /// A document with this root element, opened, in this name space.
    pub fn new(root: &str, xmlns: Option<&str>) -> Self {
        let mut writer = Self { out: Vec::with_capacity(256), open: Vec::new() };
        writer.out.extend_from_slice(b"<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<");
        let start = writer.out.len();
        writer.out.extend_from_slice(root.as_bytes());
        writer.open.push(start..writer.out.len());
        if let Some(xmlns) = xmlns {
            writer.out.extend_from_slice(b" xmlns=\"");
            escape(&mut writer.out, xmlns);
            writer.out.push(b'"');
        }
        writer.out.push(b'>');
        writer
    }

    /// Opens an element inside the one that is open.
    pub fn open(&mut self, name: &str) {
        self.out.push(b'<');
        let start = self.out.len();
        self.out.extend_from_slice(name.as_bytes());
        self.open.push(start..self.out.len());
        self.out.push(b'>');
    }

    /// Closes the innermost open element. The root stays open until [`finish`](Self::finish).
    pub fn close(&mut self) {
        if self.open.len() > 1 {
            self.close_any();
        }
    }

    /// Writes an element with text alone.
    pub fn element(&mut self, name: &str, text: &str) {
        self.out.push(b'<');
        self.out.extend_from_slice(name.as_bytes());
        self.out.push(b'>');
        escape(&mut self.out, text);
        self.out.extend_from_slice(b"</");
        self.out.extend_from_slice(name.as_bytes());
        self.out.push(b'>');
    }

    /// Closes all that is open and returns the document.
    pub fn finish(mut self) -> Bytes {
        while !self.open.is_empty() {
            self.close_any();
        }
        Bytes::from(self.out)
    }

    fn close_any(&mut self) {
        if let Some(name) = self.open.pop() {
            self.out.extend_from_slice(b"</");
            self.out.extend_from_within(name);
            self.out.push(b'>');
        }
    }
}

fn escape(out: &mut Vec<u8>, text: &str) {
    let bytes = text.as_bytes();
    let mut copied = 0;
    for (at, character) in text.char_indices() {
        let named: &[u8] = match character {
            '&' => b"&amp;",
            '<' => b"&lt;",
            '>' => b"&gt;",
            '"' => b"&quot;",
            '\'' => b"&apos;",
            // U+2028, like the control U+0085, is a line end to some parsers.
            '\u{2028}' | '\u{FFFE}' | '\u{FFFF}' => b"",
            other if other.is_control() => b"",
            _ => continue,
        };
        out.extend_from_slice(&bytes[copied..at]);
        copied = at + character.len_utf8();
        if named.is_empty() {
            out.extend_from_slice(format!("&#{};", u32::from(character)).as_bytes());
        } else {
            out.extend_from_slice(named);
        }
    }
    out.extend_from_slice(&bytes[copied..]);
}
