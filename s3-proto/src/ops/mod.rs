//! The operations of S3, each as plain data.
//!
//! An operation is declared once, with `operation!`: its method, where each member travels, and what comes
//! back. Building the request, reading the answer, the constructor and setters of the fluent form, presigning
//! and the description that can be read at run time all follow from that.
//!
//! A new operation is a declaration in the file of its family, and its name in the list at the end of that file.
//! What it has in common with others (enumerations, XML structures) is in `types.rs`.

#[macro_use]
mod macros;
mod bucket;
pub(crate) mod describe;
mod draft;
pub(crate) mod field;
mod listing;
mod multipart;
mod object;
mod tagging;
mod types;

use bucket::bucket_operations;
pub(crate) use bucket::place_bucket;
use http::response;
use listing::listing_operations;
use multipart::multipart_operations;
use object::object_operations;
use tagging::tagging_operations;

pub(crate) use macros::structure;

use crate::Error;
use crate::client::Reply;

pub use bucket::*;
pub use describe::{Description, MemberDescription, Place, StructureDescription};
pub use draft::Draft;
pub(crate) use draft::{ANNOUNCED_CHECKSUM, KeysOf};
pub use field::{
    Element, FromHeaders, HttpDate, IsoTimestamp, MembersRef, Metadata, Settable, Slot, Structure, Text,
    ToHeaders, ToQuery,
};
pub use listing::*;
pub use multipart::*;
pub use object::*;
pub use tagging::*;
pub use types::*;

/// One operation of S3, or one that you add.
///
/// ```
/// use s3_proto::ops::{Draft, Operation};
/// use s3_proto::client::Whole;
///
/// /// Reads the policy of a bucket, which is JSON.
/// #[derive(Clone, Debug)]
/// struct GetBucketPolicy { bucket: String }
///
/// impl Operation for GetBucketPolicy {
///     type Output = String;
///     type Reply = Whole;
///     const NAME: &'static str = "GetBucketPolicy";
///
///     fn request(&self) -> Result<Draft, s3_proto::Error> {
///         Ok(Draft::new(http::Method::GET).bucket(&self.bucket).query_flag("policy"))
///     }
///
///     fn response(&self, _: &http::response::Parts, body: &[u8]) -> Result<String, s3_proto::Error> {
///         Ok(String::from_utf8_lossy(body).into_owned())
///     }
/// }
/// ```
pub trait Operation: Send + 'static {
    /// What the answer says.
    type Output: Send + 'static;
    /// Whether the answer is parsed whole or its body is streamed.
    type Reply: Reply;
    /// The S3 API name, such as `PutObject`.
    const NAME: &'static str;

    /// The request, before a host is chosen and before it is signed.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidInput`](crate::ErrorKind) for what cannot be right.
    fn request(&self) -> Result<Draft, Error>;

    /// Reads a successful answer; `body` is empty if it is streamed.
    ///
    /// # Errors
    /// [`ErrorKind::MalformedResponse`](crate::ErrorKind) if it is not what S3 answers.
    fn response(&self, head: &response::Parts, body: &[u8]) -> Result<Self::Output, Error>;
}

/// The declarations of all operations here, in the order of their names.
pub fn descriptions() -> Vec<Description> {
    let mut all = Vec::new();
    object_operations(&mut all);
    bucket_operations(&mut all);
    listing_operations(&mut all);
    multipart_operations(&mut all);
    tagging_operations(&mut all);
    all.sort_unstable_by_key(|d| d.name);
    all
}
