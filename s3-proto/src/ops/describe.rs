//! The declaration of an operation, readable at run time.

/// An operation as it is declared.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Description {
    /// The S3 API name.
    pub name: &'static str,
    /// The HTTP method.
    pub method: &'static str,
    /// The query that marks the operation, such as `uploads` or `list-type=2`; empty if there is none.
    pub query: &'static str,
    /// What goes in.
    pub input: Vec<MemberDescription>,
    /// What comes out.
    pub output: Vec<MemberDescription>,
}

/// A structure that travels as XML, as it is declared.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct StructureDescription {
    /// The name of the type.
    pub name: &'static str,
    /// The elements below its own.
    pub members: Vec<MemberDescription>,
}

/// A member of an operation or structure and how it travels.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct MemberDescription {
    /// The name of the field.
    pub field: &'static str,
    /// Where it travels.
    pub place: Place,
    /// Its name there: of the header (lower case), query parameter or element.
    pub wire_name: &'static str,
    /// Whether it must be given.
    pub required: bool,
}

/// Where a member travels.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Place {
    /// In the host or the path.
    Uri,
    /// A query parameter.
    Query,
    /// A header.
    Header,
    /// Headers that begin with the wire name.
    HeaderPrefix,
    /// The body itself, or its root element.
    Payload,
    /// An element below the root of the body.
    Body,
}

/// What the macros collect members with.
#[derive(Debug)]
pub(crate) struct Members {
    pub(crate) all: Vec<MemberDescription>,
    pub(crate) required: bool,
}

impl Members {
    pub(crate) fn new() -> Self {
        Self { all: Vec::new(), required: false }
    }

    /// Not inlined: there are hundreds of members, and each would be code to compile.
    #[inline(never)]
    pub(crate) fn add(&mut self, field: &'static str, place: Place, wire_name: &'static str) {
        self.all.push(MemberDescription { field, place, wire_name, required: self.required });
    }
}
