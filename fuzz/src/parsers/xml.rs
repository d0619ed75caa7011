//! The XML reader and writer.

use s3_proto::Error;
use s3_proto::xml::{MAX_DEPTH, MAX_NAME, MAX_TEXT, Reader, Writer, root_name};

/// The names of the elements below the current one, and of those below them if `deep`.
fn walk(xml: &mut Reader<'_>, deep: bool, names: &mut Vec<String>) -> Result<(), Error> {
    while let Some(name) = xml.child()? {
        assert!(name.len() <= MAX_NAME);
        assert!(xml.path().split('/').count() <= MAX_DEPTH);
        names.push(name.to_owned());
        if deep {
            walk(xml, true, &mut Vec::new())?;
        } else {
            xml.skip()?;
        }
    }
    Ok(())
}

fn names(bytes: &[u8], deep: bool) -> Result<(String, Vec<String>), Error> {
    let mut xml = Reader::new(bytes);
    let mut names = Vec::new();
    let mut read = || {
        let root = xml.root()?.to_owned();
        walk(&mut xml, deep, &mut names)?;
        xml.end().map(|()| root)
    };
    let read = read();
    if let Err(error) = &read {
        // What failed stays failed, with the same error.
        assert_eq!(xml.child().unwrap_err().message(), error.message());
        assert_eq!(xml.skip().unwrap_err().message(), error.message());
    }
    read.map(|root| (root, names))
}

/// The texts of the root's children.
fn texts(bytes: &[u8]) -> Result<Vec<String>, Error> {
    let mut xml = Reader::new(bytes);
    let mut texts = Vec::new();
    xml.root()?;
    while xml.child()?.is_some() {
        let text = xml.text()?;
        assert!(text.len() <= MAX_TEXT);
        texts.push(text.into_owned());
    }
    xml.end()?;
    Ok(texts)
}

/// What is skipped, entered or read as text is the same document; what is written is read again.
pub(crate) fn run(bytes: &[u8]) {
    let (skipped, entered) = (names(bytes, false), names(bytes, true));
    match (&skipped, &entered) {
        (Ok(a), Ok(b)) => assert_eq!(a, b),
        (Err(_), Err(_)) => {}
        // What is skipped is looked at less closely, and never more.
        (Ok(_), Err(error)) => panic!("skipped without an error, but entered: {error}"),
        (Err(error), Ok(_)) => panic!("entered without an error, but skipped: {error}"),
    }
    if let (Ok((root, _)), Some(name)) = (&skipped, root_name(bytes)) {
        assert_eq!(root, name);
    }
    if let Ok(texts) = texts(bytes) {
        let mut writer = Writer::new("Root", Some("http://s3.amazonaws.com/doc/2006-03-01/"));
        for text in &texts {
            writer.element("Text", text);
        }
        let written = writer.finish();
        let mut xml = Reader::new(&written);
        xml.root().unwrap();
        for text in &texts {
            assert_eq!(xml.child().unwrap(), Some("Text"));
            assert_eq!(xml.text().unwrap(), *text);
        }
        assert_eq!(xml.child().unwrap(), None);
        xml.end().unwrap();
    }
}
