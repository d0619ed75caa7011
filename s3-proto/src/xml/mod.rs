//! The XML of S3: a pull reader over one body that is already in memory, and a writer for requests.
//!
//! Both know elements and text only. Names are local names: the prefix and the name space of an element are read
//! over, since stores differ in them. Nothing that a server sends can make the reader panic, loop, or expand: it
//! refuses DOCTYPE, knows the five predefined entities and numeric references alone, and bounds depth and text.
//!
//! ```
//! use s3_proto::xml::Reader;
//!
//! # fn main() -> Result<(), s3_proto::Error> {
//! let mut xml = Reader::new(b"<Error><Code>NoSuchKey</Code><Extra><More/></Extra></Error>");
//! assert_eq!(xml.root()?, "Error");
//! while let Some(name) = xml.child()? {
//!     match name {
//!         "Code" => assert_eq!(xml.text()?, "NoSuchKey"),
//!         _ => xml.skip()?,
//!     }
//! }
//! xml.end()?;
//! # Ok(())
//! # }
//! ```

mod reader;
#[cfg(test)]
mod tests;
mod writer;

pub use reader::{MAX_DEPTH, MAX_NAME, MAX_TAG, MAX_TEXT, Reader, root_name};
pub use writer::Writer;
