use std::borrow::Cow;
use std::fmt::Write as _;

use proptest::prelude::*;

use super::*;
use crate::error::{Error, ErrorKind};

/// Reads a document whole: `Name(child child ...)` for elements with children or none, `Name=text` for leaves.
/// A leaf is `K`, `Key` or `Code`; `Skip` is skipped. It is the same with the leaves that are looked for beforehand.
fn read(body: &[u8]) -> Result<String, Error> {
    let read = read_expecting(body, &[]);
    let expecting = read_expecting(body, &["K", "Key"]);
    let shown = |read: &Result<String, Error>| read.clone().map_err(|error| error.to_string());
    assert_eq!(shown(&read), shown(&expecting), "{}", String::from_utf8_lossy(body));
    read
}

fn read_expecting(body: &[u8], expected: &[&'static str]) -> Result<String, Error> {
    let mut xml = Reader::new(body);
    let mut out = xml.root()?.to_owned();
    out.push('(');
    let mut depth = 1;
    while depth > 0 {
        for name in expected {
            if let Some(content) = xml.after_start(name)
                && let Some(text) = xml.leaf(name, content)
            {
                let _ = write!(out, "{name}={text:?};");
            }
        }
        match xml.child()? {
            None => {
                out.push(')');
                depth -= 1;
            }
            Some("Skip") => xml.skip()?,
            Some(name @ ("K" | "Key" | "Code")) => {
                let text = xml.text()?;
                let _ = write!(out, "{name}={text:?};");
            }
            Some(name) => {
                let _ = write!(out, "{name}(");
                depth += 1;
            }
        }
    }
    xml.end()?;
    Ok(out)
}

const GOOD: &[(&str, &str)] = &[
    ("<A/>", "A()"),
    ("<A></A>", "A()"),
    ("<A />", "A()"),
    ("<A ></A >", "A()"),
    ("\u{FEFF}<A/>", "A()"),
    (
        " \r\n\t<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<!-- <B> --><?pi?><A/>\n<!-- end -->\n<?pi?>",
        "A()",
    ),
    ("\u{FEFF}\n<?xml version='1.0'?><A/>", "A()"),
    ("<s:A xmlns:s=\"http://x/\"><s:B><s:K>v</s:K></s:B></s:A>", "A(B(K=\"v\";))"),
    ("<A xmlns=\"u\">\n  <K>1</K> junk <![CDATA[<K>]]> &amp;\n  <B/><K/></A>", "A(K=\"1\";B()K=\"\";)"),
    ("<A><K>&lt;&gt;&amp;&quot;&apos;&#13;&#x1F600;&#0;&#x0d;</K></A>", "A(K=\"<>&\\\"'\\r😀\\0\\r\";)"),
    ("<A><K>a<![CDATA[<b>&amp;]]>c</K></A>", "A(K=\"a<b>&amp;c\";)"),
    ("<A><K><![CDATA[]]></K></A>", "A(K=\"\";)"),
    ("<A><K>a<!-- x -->b<?p?></K></A>", "A(K=\"ab\";)"),
    ("<A><K>  a\r\nb\u{1}\u{7f}  </K></A>", "A(K=\"  a\\r\\nb\\u{1}\\u{7f}  \";)"),
    (
        "<A><Skip><K>1</K><Skip/><B a='1' b=\"2\">&lt;</B></Skip><K>2</K><Skip/><K>3</K></A>",
        "A(K=\"2\";K=\"3\";)",
    ),
    ("<A><K>é漢😀</K><Ünder/></A>", "A(K=\"é漢😀\";Ünder())"),
    ("<A a='>' b=\"/>\"><K b='&lt;'>x</K></A>", "A(K=\"x\";)"),
];

#[test]
fn good_documents_whole_and_cut() {
    for (body, expected) in GOOD {
        assert_eq!(read(body.as_bytes()).as_deref().map_err(ToString::to_string), Ok(*expected), "{body}");
        // Where the root ends; from there on a cut leaves a whole document or a broken tail.
        let root_end = 1 + body.find("\n<!-- end").unwrap_or(body.len()) - 1;
        for cut in 0..root_end {
            let error = read(&body.as_bytes()[..cut]).expect_err(body);
            assert_eq!(error.kind(), ErrorKind::MalformedResponse, "{body} at {cut}");
            assert!(error.message().contains(" at byte "), "{error}");
        }
        for cut in root_end..body.len() {
            let _ = read(&body.as_bytes()[..cut]);
        }
        for tail in [
            "x",
            "<A/>",
            "<B>",
            "</A>",
            "&amp;",
            "<![CDATA[]]>",
            "<?xml version='1.0'?>",
            "<",
            "<!DOCTYPE A>",
            "\0",
        ] {
            assert!(read(format!("{body}{tail}").as_bytes()).is_err(), "{body}{tail}");
        }
        for tail in ["\n", " \r\n\t", "<!-- x -->", "<?pi x?>\n"] {
            assert!(read(format!("{body}{tail}").as_bytes()).is_ok(), "{body}{tail}");
        }
    }
}

#[test]
fn bad_documents_say_where() {
    let cases: &[(&[u8], &str)] = &[
        (b"", "truncated XML at byte 0: expected a root element, found the end"),
        (b" \n", "truncated XML at byte 2: expected a root element, found the end"),
        (b"hello", "malformed XML at byte 5: expected a root element, found text"),
        (b"{\"a\":1}", "expected a root element, found text"),
        (b"<!DOCTYPE A [<!ENTITY x 'y'>]><A>&x;</A>", "DOCTYPE is not allowed"),
        (b"<!doctype html><html></html>", "DOCTYPE is not allowed"),
        (b"<A><!DOCTYPE A></A>", "in A: DOCTYPE is not allowed"),
        (b"<A><K>&x;</K></A>", "malformed XML at byte 9 in A/K: expected a predefined entity"),
        (b"<A>&nbsp;</A>", "in A: expected a predefined entity"),
        (b"<A><Skip><B>&nbsp;</B></Skip></A>", "in A/Skip/B: expected a predefined entity"),
        (b"<A><K>&#xD800;</K></A>", "numeric reference"),
        (b"<A><K>&#x110000;</K></A>", "numeric reference"),
        (b"<A><K>&#99999999999999999999;</K></A>", "numeric reference"),
        (b"<A><K>&#+1;</K></A>", "numeric reference"),
        (b"<A><K>&#;</K></A>", "numeric reference"),
        (b"<A><K>&#x;</K></A>", "numeric reference"),
        (b"<A><K>&;</K></A>", "numeric reference"),
        (b"<A><K>a & b</K></A>", "in A/K: expected a reference that ends"),
        (b"<A><K>1</B></A>", "malformed XML at byte 7 in A/K: expected the end tag of K, found another"),
        (b"<A><Skip><B></C></Skip></A>", "in A/Skip/B: expected the end tag of B"),
        (b"<A></a>", "expected the end tag of A"),
        (b"<A xmlns:s='u'><s:K>1</K></A>", "expected the end tag of K"),
        (b"</A>", "no element is open"),
        (b"<A></A></A>", "no element is open"),
        (b"<A><K>1<B/></K></A>", "in A/K: expected text and then the end tag, found an element"),
        (b"<A><K>\xFF</K></A>", "in A/K: expected UTF-8"),
        (b"<A><\xFF/></A>", "in A: expected UTF-8"),
        (b"<A b></A>", "expected well-formed attributes"),
        (b"<A b=c></A>", "expected well-formed attributes"),
        (b"<A b='1' b='2'></A>", "expected well-formed attributes"),
        (b"<A b='<'></A>", "expected well-formed attributes"),
        (b"<A 1='x'></A>", "expected well-formed attributes"),
        (b"< A></A>", "a name that XML allows"),
        (b"<1A/>", "a name that XML allows"),
        (b"<:A/>", "a name that XML allows"),
        (b"<a:/>", "a name that XML allows"),
        (b"<A<B/>", "a name that XML allows"),
        (b"<>", "a name that XML allows"),
        (b"</>", "no element is open"),
        (b"<A><!ELEMENT x></A>", "comment or CDATA"),
        (b"<A><?xml version='1.0'?></A>", "found an XML declaration"),
        (b"<?xml version='1.0'?><?xml version='1.0'?><A/>", "found an XML declaration"),
        (b"<A><B>", "truncated XML at byte 6 in A/B: expected a child element or the end tag, found the end"),
        (b"<A><K>abc", "truncated XML at byte 9 in A/K: expected text and then the end tag, found the end"),
        (b"\n\n<A><K", "truncated XML at byte "),
    ];
    for (body, expected) in cases {
        let error = read(body).expect_err(&String::from_utf8_lossy(body));
        assert_eq!(error.kind(), ErrorKind::MalformedResponse);
        assert!(
            error.message().contains(expected),
            "{:?} for {}",
            error.message(),
            String::from_utf8_lossy(body)
        );
    }
}

#[test]
fn depth_text_and_names_are_bounded() {
    let nested = |depth: usize| "<B>".repeat(depth) + &"</B>".repeat(depth);
    assert!(read(nested(MAX_DEPTH).as_bytes()).is_ok());
    let error = read(nested(MAX_DEPTH + 1).as_bytes()).unwrap_err();
    assert!(error.message().contains("at most 32 nested"), "{error}");
    let skipped = |depth: usize| format!("<A><Skip>{}</Skip></A>", nested(depth));
    assert!(read(skipped(MAX_DEPTH - 2).as_bytes()).is_ok());
    assert!(read(skipped(MAX_DEPTH - 1).as_bytes()).is_err());
    assert!(read("<B>".repeat(1_000_000).as_bytes()).is_err());

    let long = "x".repeat(MAX_TEXT);
    assert!(read(format!("<A><K>{long}</K></A>").as_bytes()).is_ok());
    for more in ["x", "&lt;", "<![CDATA[x]]>"] {
        let error = read(format!("<A><K>{long}{more}</K></A>").as_bytes()).unwrap_err();
        assert!(error.message().contains("bytes of text"), "{error}");
    }
    // A million attributes, each compared with all others, would take for ever.
    let attributes = |len: usize| format!("<A b='{}'/>", "x".repeat(len - "A b=''".len()));
    assert!(read(attributes(MAX_TAG).as_bytes()).is_ok());
    let error = read(attributes(MAX_TAG + 1).as_bytes()).unwrap_err();
    assert!(error.message().contains("bytes of a tag"), "{error}");

    let name = "n".repeat(MAX_NAME);
    assert!(read(format!("<{name}/>").as_bytes()).is_ok());
    let error = read(format!("<A><{name}n/></A>").as_bytes()).unwrap_err();
    assert!(error.message().len() < 200);
}

#[test]
fn plain_text_is_borrowed() {
    let mut xml = Reader::new(b"<A><K>plain</K><K><![CDATA[a&b]]></K><K>a&amp;b</K></A>");
    xml.root().unwrap();
    for borrowed in [true, true, false] {
        assert_eq!(xml.child().unwrap(), Some("K"));
        assert_eq!(xml.path(), "A/K");
        assert_eq!(matches!(xml.text().unwrap(), Cow::Borrowed(_)), borrowed);
        assert_eq!(xml.path(), "A");
    }
    assert_eq!(xml.child().unwrap(), None);
    assert_eq!(xml.child().unwrap(), None);
    xml.end().unwrap();
    xml.end().unwrap();
}

#[test]
fn wrong_order_of_calls_is_an_error_and_stays_one() {
    let mut xml = Reader::new(b"<A/>");
    let first = xml.child().unwrap_err().to_string();
    assert_eq!(xml.root().unwrap_err().to_string(), first);
    assert_eq!(xml.end().unwrap_err().to_string(), first);
    for call in [Reader::end, Reader::skip, |xml: &mut Reader<'_>| xml.text().map(drop)] {
        assert!(call(&mut Reader::new(b"<A/>")).is_err());
    }
    let mut xml = Reader::new(b"<A><B/></A>");
    xml.root().unwrap();
    assert!(xml.end().is_err());
    let mut xml = Reader::new(b"<A>t</A>");
    xml.root().unwrap();
    assert_eq!(xml.text().unwrap(), "t");
    assert!(xml.text().is_err());
    let mut xml = Reader::new(b"<A><B/></A>");
    xml.root().unwrap();
    assert!(xml.root().is_err());
    let mut xml = Reader::new(b"<A><B>x</B></A>");
    xml.root().unwrap();
    xml.skip().unwrap();
    xml.end().unwrap();
}

#[test]
fn missing_namespace_is_noted() {
    for (body, missing) in [
        ("<A/>", true),
        ("<A x='y'/>", true),
        ("<A><B xmlns='u'/></A>", true),
        ("<A xmlns='u'/>", false),
        ("<p:A xmlns:p='u'/>", false),
    ] {
        let mut xml = Reader::new(body.as_bytes());
        xml.root().unwrap();
        assert_eq!(xml.namespace_missing(), missing, "{body}");
    }
}

#[test]
fn root_names() {
    for (body, expected) in [
        ("<Error/>", Some("Error")),
        ("<Error>", Some("Error")),
        ("<s3:Error xmlns:s3='u'>", Some("Error")),
        ("\u{FEFF}\r\n <?xml version='1.0'?>\n<!-- <A> - -->\n<Error\n", Some("Error")),
        ("", None),
        ("<", None),
        ("<Err", None),
        ("< Error>", None),
        ("<>", None),
        ("</Error>", None),
        ("<?xml", None),
        ("<!-- ", None),
        ("<!-->", None),
        ("<?>", None),
        ("<!DOCTYPE Error><Error/>", None),
        ("Error", None),
        ("{}", None),
    ] {
        assert_eq!(root_name(body.as_bytes()), expected, "{body}");
    }
    assert_eq!(root_name(b"<\xFF>"), None);
    for (body, expected) in GOOD {
        assert_eq!(root_name(body.as_bytes()), expected.split('(').next(), "{body}");
    }
}

#[test]
fn writer_writes() {
    let mut xml = Writer::new("Delete", Some("http://s3.amazonaws.com/doc/2006-03-01/"));
    xml.open("Object");
    xml.element("Key", "a&<>\"'\r\n\t\0\u{1f}\u{7f}\u{85}\u{fffe}é");
    xml.close();
    xml.close();
    xml.element("Quiet", "true");
    xml.open("Left");
    assert_eq!(
        std::str::from_utf8(&xml.finish()).unwrap(),
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n\
         <Delete xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\"><Object><Key>\
         a&amp;&lt;&gt;&quot;&apos;&#13;&#10;&#9;&#0;&#31;&#127;&#133;&#65534;é\
         </Key></Object><Quiet>true</Quiet><Left></Left></Delete>"
    );
    assert!(Writer::new("A", None).finish().ends_with(b"<A></A>"));
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    /// With a comment in it, a leaf is the parser's.
    #[test]
    fn a_leaf_is_read_as_the_parser_reads_it(
        name in "(K|Skip|B|[a-zA-Z_é:.0-9-]{1,4})", space in "[ \n]{0,2}", text in "([^<]|&amp;|&#x41;|&quot;){0,20}", end in "[ /]?"
    ) {
        let document = |comment: &str| {
            format!("<A>{space}<{name}>{comment}{text}</{name}{end}>{space}<K>{comment}{text}</K></A>")
        };
        let (leaf, parsed) = (read(document("").as_bytes()), read(document("<!-- -->").as_bytes()));
        prop_assert_eq!(leaf.ok(), parsed.ok());
    }

    /// With a space in it, a tag is the parser's.
    #[test]
    fn a_plain_tag_is_read_as_the_parser_reads_it(pieces in proptest::collection::vec(0..9_usize, 0..24)) {
        let document = |space: &str| {
            let (mut text, mut open) = (format!("<A{space}>"), vec!["A"]);
            for piece in &pieces {
                match piece {
                    name @ 0..4 => {
                        open.push(["B", "K", "Skip", "p:B"][*name]);
                        let _ = write!(text, "<{}{space}>", open[open.len() - 1]);
                    }
                    4 => text += "&lt;x\n",
                    5 if open.len() % 3 == 0 => text += "</B>",
                    _ => text.extend(open.pop().map(|name| format!("</{name}{space}>"))),
                }
            }
            text.extend(open.iter().rev().map(|name| format!("</{name}{space}>")));
            text
        };
        let (plain, parsed) = (read(document("").as_bytes()), read(document(" ").as_bytes()));
        prop_assert_eq!(plain.ok(), parsed.ok());
    }

    #[test]
    fn round_trip(texts in proptest::collection::vec(any::<String>(), 0..8), space in any::<Option<String>>()) {
        let mut xml = Writer::new("Root", space.as_deref());
        for text in &texts {
            xml.open("Item");
            xml.element("Key", text);
            xml.close();
        }
        let body = xml.finish();
        prop_assert_eq!(root_name(&body), Some("Root"));
        let mut xml = Reader::new(&body);
        prop_assert_eq!(xml.root().unwrap(), "Root");
        prop_assert_eq!(xml.namespace_missing(), space.is_none());
        for text in &texts {
            prop_assert_eq!(xml.child().unwrap(), Some("Item"));
            prop_assert_eq!(xml.child().unwrap(), Some("Key"));
            let read = xml.text().unwrap();
            prop_assert_eq!(&*read, text.as_str());
            prop_assert_eq!(xml.child().unwrap(), None);
        }
        prop_assert_eq!(xml.child().unwrap(), None);
        xml.end().unwrap();
        for cut in 0..body.len() {
            prop_assert!(read(&body[..cut]).is_err());
        }
    }

    #[test]
    fn arbitrary_bytes_never_panic(body in proptest::collection::vec(any::<u8>(), 0..256)) {
        let _ = read(&body);
        let _ = root_name(&body);
    }

    #[test]
    fn arbitrary_markup_never_panics(
        pieces in proptest::collection::vec(
            proptest::sample::select(vec![
                "<", ">", "/", "?", "!", "--", "[CDATA[", "]]>", "&", ";", "#", "x", "A", "K", "Skip", ":", "=",
                "\"", "'", " ", "<A>", "</A>", "<K>", "</K>", "<Skip>", "</Skip>", "<A/>", "&lt;", "<!--", "-->",
                "<?", "?>", "<!DOCTYPE", "xml", "\u{FEFF}", "é", "\0",
            ]),
            0..40,
        ),
    ) {
        let body = pieces.concat();
        let _ = read(body.as_bytes());
        let _ = root_name(body.as_bytes());
    }
}
