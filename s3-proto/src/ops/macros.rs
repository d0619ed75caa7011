//! How operations, structures and enumerations are declared.

/// Declares an enumeration of S3 with an open variant for values that S3 adds later.
macro_rules! string_enum {
    ($(#[$meta:meta])* $name:ident { $($(#[$doc:meta])* $variant:ident = $text:literal,)* }) => {
        $(#[$meta])*
        #[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[non_exhaustive]
        pub enum $name {
            $($(#[$doc])* $variant,)*
            /// A value that this version does not know.
            Other(String),
        }

        impl $name {
            /// As S3 writes it.
            pub fn as_str(&self) -> &str {
                match self {
                    $(Self::$variant => $text,)*
                    Self::Other(text) => text,
                }
            }
        }

        impl From<&str> for $name {
            fn from(text: &str) -> Self {
                match text {
                    $($text => Self::$variant,)*
                    _ => Self::Other(text.to_owned()),
                }
            }
        }

        impl From<String> for $name {
            fn from(text: String) -> Self {
                match Self::from(text.as_str()) {
                    Self::Other(_) => Self::Other(text),
                    known => known,
                }
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(self.as_str())
            }
        }

        impl $crate::ops::Text for $name {
            fn text(&self) -> std::borrow::Cow<'_, str> {
                std::borrow::Cow::Borrowed(self.as_str())
            }
            fn parse(text: &str) -> Option<Self> {
                Some(Self::from(text))
            }
        }
    };
}

/// Declares a structure that travels as XML: each field with the name of its element.
macro_rules! structure {
    ($(#[$meta:meta])* $name:ident { $($(#[$doc:meta])* $field:ident: $type:ty = $element:literal,)* }) => {
        $(#[$meta])*
        #[derive(Clone, Debug, PartialEq, Eq)]
        #[non_exhaustive]
        pub struct $name {
            $($(#[$doc])* pub $field: $type,)*
        }

        impl $name {
            // Only S3's own are described, and not what we write for ourselves.
            #[allow(dead_code)]
            pub(super) fn description() -> $crate::ops::StructureDescription {
                use $crate::ops::field::{MembersRef, Slot};
                let mut members = $crate::ops::describe::Members::new();
                $(<$type as Slot>::describe(stringify!($field), $element, &mut MembersRef(&mut members));)*
                $crate::ops::StructureDescription { name: stringify!($name), members: members.all }
            }
        }

        impl $crate::ops::Element for $name {
            fn read(reader: &mut $crate::xml::Reader<'_>) -> Result<Self, $crate::Error> {
                $(let mut $field = <$type as $crate::ops::field::Slot>::Partial::default();)*
                loop {
                    // S3 writes them in this order, and most often nothing else.
                    $(if let Some(content) = reader.after_start($element) {
                        <$type as $crate::ops::field::Slot>::take_next(&mut $field, $element, content, reader)?;
                    })*
                    let Some(name) = reader.child()? else { break };
                    let taken = $(<$type as $crate::ops::field::Slot>::take(&mut $field, $element, name, reader)?)||*;
                    if !taken {
                        reader.skip()?;
                    }
                }
                Ok(Self { $($field: $crate::ops::field::Slot::finish($field, $element)?,)* })
            }

            fn write(&self, name: &str, writer: &mut $crate::xml::Writer) {
                writer.open(name);
                $crate::ops::field::Structure::content(self, writer);
                writer.close();
            }
        }

        impl $crate::ops::field::Structure for $name {
            fn content(&self, writer: &mut $crate::xml::Writer) {
                $($crate::ops::field::Slot::put(&self.$field, $element, writer);)*
            }
        }
    };
}

pub(crate) use structure;

/// Declares an operation: its constructor on the client, method, target and marking query, then where each
/// member travels. Sections that an operation does not need are left out; their order is fixed. How a field
/// is written and read follows from its type (`field.rs`).
///
/// - `required { header {..} query {..} }` are arguments of `new`, as is the body: `payload` is data of the
///   user, `xml` a structure with its root element, `xml_optional` one that may be absent.
/// - `prepare` looks at the finished draft: validation and flags. `finish` looks at the parsed answer.
/// - Of the output, `header` comes from headers, `body` from elements below the root, `root` is the root.
macro_rules! operation {
    (
        $(#[$meta:meta])*
        $constructor:ident $name:ident: $method:ident [$($part:ident),*] $mark:literal => $reply:ident;
        $(required {
            $(header { $($(#[$rhdoc:meta])* $rh:ident: $rht:ty = $rhn:literal,)* })?
            $(query { $($(#[$rqdoc:meta])* $rq:ident: $rqt:ty = $rqn:literal,)* })?
        })?
        $(query { $($(#[$qdoc:meta])* $q:ident: $qt:ty = $qn:literal,)* })?
        $(header { $($(#[$hdoc:meta])* $h:ident: $ht:ty = $hn:literal,)* })?
        $(metadata $metadata:ident = $prefix:literal;)?
        $(payload $(#[$pdoc:meta])* $p:ident = $pn:literal;)?
        $(xml $(#[$xdoc:meta])* $x:ident: $xt:ty = $xn:literal;)?
        $(xml_optional $(#[$xodoc:meta])* $xo:ident: $xot:ty = $xon:literal;)?
        $(prepare $prepare:path;)?
        $(finish $finish:path;)?
        output $output:ident {
            $(header { $($(#[$ohdoc:meta])* $oh:ident: $oht:ty = $ohn:literal,)* })?
            $(metadata $ometadata:ident = $oprefix:literal;)?
            $(body { $($(#[$obdoc:meta])* $ob:ident: $obt:ty = $obn:literal,)* })?
            $(root { $(#[$ordoc:meta])* $or:ident: $ort:ty = $orn:literal, })?
        }
    ) => {
        $(#[$meta])*
        #[derive(Clone, Debug, PartialEq)]
        #[non_exhaustive]
        pub struct $name {
            $(#[doc = concat!("The ", stringify!($part), " that it is about.")] pub $part: String,)*
            $($($($(#[$rhdoc])* pub $rh: $rht,)*)?)?
            $($($($(#[$rqdoc])* pub $rq: $rqt,)*)?)?
            $($($(#[$qdoc])* pub $q: $qt,)*)?
            $($($(#[$hdoc])* pub $h: $ht,)*)?
            $(
                /// User metadata by name, without the prefix `x-amz-meta-`: 2 KB at most.
                pub $metadata: $crate::ops::Metadata,
            )?
            $($(#[$pdoc])* pub $p: $crate::Payload,)?
            $($(#[$xdoc])* pub $x: $xt,)?
            $($(#[$xodoc])* pub $xo: Option<$xot>,)?
        }

        #[doc = concat!("What [`", stringify!($name), "`] answers.")]
        #[derive(Clone, Debug, PartialEq)]
        #[non_exhaustive]
        pub struct $output {
            $($($(#[$ohdoc])* pub $oh: $oht,)*)?
            $(
                /// User metadata by name, without the prefix `x-amz-meta-`.
                pub $ometadata: $crate::ops::Metadata,
            )?
            $($($(#[$obdoc])* pub $ob: $obt,)*)?
            $($(#[$ordoc])* pub $or: $ort,)?
        }

        impl $name {
            /// With what is required; the other members can be set afterwards.
            #[allow(clippy::too_many_arguments, clippy::new_without_default)]
            pub fn new(
                $($part: impl Into<String>,)*
                $($($($rh: impl Into<$rht>,)*)?)?
                $($($($rq: impl Into<$rqt>,)*)?)?
                $($p: impl Into<$crate::Payload>,)?
                $($x: impl Into<$xt>,)?
            ) -> Self {
                Self {
                    $($part: $part.into(),)*
                    $($($($rh: $rh.into(),)*)?)?
                    $($($($rq: $rq.into(),)*)?)?
                    $($($q: Default::default(),)*)?
                    $($($h: Default::default(),)*)?
                    $($metadata: $crate::ops::Metadata::new(),)?
                    $($p: $p.into(),)?
                    $($x: $x.into(),)?
                    $($xo: None,)?
                }
            }

            pub(crate) fn description() -> $crate::ops::Description {
                use $crate::ops::describe::{Members, Place};
                #[allow(unused_imports)]
                use $crate::ops::field::{FromHeaders, MembersRef, Slot, ToHeaders};
                let mut input = Members::new();
                input.required = true;
                $(input.add(stringify!($part), Place::Uri, stringify!($part));)*
                $($($(<$rht as ToHeaders>::describe(stringify!($rh), $rhn, &mut MembersRef(&mut input));)*)?)?
                $($($(input.add(stringify!($rq), Place::Query, $rqn);)*)?)?
                $(input.add(stringify!($x), Place::Payload, $xn);)?
                input.required = false;
                $(input.add(stringify!($p), Place::Payload, $pn);)?
                $($(input.add(stringify!($q), Place::Query, $qn);)*)?
                $($(<$ht as ToHeaders>::describe(stringify!($h), $hn, &mut MembersRef(&mut input));)*)?
                $(input.add(stringify!($metadata), Place::HeaderPrefix, $prefix);)?
                $(input.add(stringify!($xo), Place::Payload, $xon);)?
                let mut output = Members::new();
                $($(<$oht as FromHeaders>::describe(stringify!($oh), $ohn, &mut MembersRef(&mut output));)*)?
                $(output.add(stringify!($ometadata), Place::HeaderPrefix, $oprefix);)?
                $($(<$obt as Slot>::describe(stringify!($ob), $obn, &mut MembersRef(&mut output));)*)?
                $(output.add(stringify!($or), Place::Payload, $orn);)?
                if stringify!($reply) == "Streamed" {
                    output.add("body", Place::Payload, "Body");
                }
                $crate::ops::Description {
                    name: stringify!($name),
                    method: stringify!($method),
                    query: $mark,
                    input: input.all,
                    output: output.all,
                }
            }
        }

        impl $crate::ops::Operation for $name {
            type Output = $output;
            type Reply = $crate::client::$reply;
            const NAME: &'static str = stringify!($name);

            fn request(&self) -> Result<$crate::ops::Draft, $crate::Error> {
                #[allow(unused_imports)]
                use $crate::ops::field::{Slot, ToHeaders, ToQuery};
                #[allow(unused_mut)]
                let mut draft = $crate::ops::Draft::new(http::Method::$method);
                draft.add_flag($mark);
                $(draft.$part = Some(self.$part.clone());)*
                draft.add_queries(&[
                    $($($(($rqn, &self.$rq as &dyn ToQuery),)*)?)?
                    $($(($qn, &self.$q as &dyn ToQuery),)*)?
                ]);
                draft.add_headers(&[
                    $($($(($rhn, &self.$rh as &dyn ToHeaders),)*)?)?
                    $($(($hn, &self.$h as &dyn ToHeaders),)*)?
                ])?;
                draft.choose_checksum();
                $(ToHeaders::to_headers(&self.$metadata, $prefix, &mut draft)?;)?
                $(draft.payload = self.$p.clone();)?
                $(draft.add_xml($crate::ops::field::document($xn, &self.$x))?;)?
                $(if let Some(document) = &self.$xo {
                    draft.add_xml($crate::ops::field::document($xon, document))?;
                })?
                $($prepare(self, &mut draft)?;)?
                Ok(draft)
            }

            #[allow(unused_variables)]
            fn response(&self, head: &http::response::Parts, body: &[u8]) -> Result<$output, $crate::Error> {
                #[allow(unused_imports)]
                use $crate::ops::field::{FromHeaders, Slot};
                $(
                    let mut reader = $crate::ops::field::open_document(body)?;
                    $(let mut $ob = <$obt as Slot>::Partial::default();)*
                    $crate::ops::field::read_members(&mut reader, &mut |name, reader| {
                        let taken = $(<$obt as Slot>::take(&mut $ob, $obn, name, reader)?)||*;
                        Ok(taken)
                    })?;
                )?
                $(
                    let $or = $crate::ops::field::read_root::<$ort>(body, $orn)?;
                )?
                $($(let mut $oh = <$oht>::default();)*)?
                $(let mut $ometadata = $crate::ops::Metadata::new();)?
                $crate::ops::field::read_headers(&head.headers, &mut [
                    $($(($ohn, &mut $oh as &mut dyn FromHeaders),)*)?
                    $(($oprefix, &mut $ometadata as &mut dyn FromHeaders),)?
                ])?;
                #[allow(unused_mut)]
                let mut output = $output {
                    $($($oh,)*)?
                    $($ometadata,)?
                    $($($ob: Slot::finish($ob, $obn)?,)*)?
                    $($or,)?
                };
                $($finish(self, &mut output)?;)?
                Ok(output)
            }
        }

        impl<D: $crate::client::Driver> $crate::client::Client<D> {
            $(#[$meta])*
            #[allow(clippy::too_many_arguments)]
            pub fn $constructor(
                &self,
                $($part: impl Into<String>,)*
                $($($($rh: impl Into<$rht>,)*)?)?
                $($($($rq: impl Into<$rqt>,)*)?)?
                $($p: impl Into<$crate::client::Data<D::Source>>,)?
                $($x: impl Into<$xt>,)?
            ) -> $crate::client::Request<$name, D> {
                let source = None;
                $(let ($p, source) = { let _: Option<D::Source> = source; $p.into().into_payload() };)?
                $crate::client::Request {
                    op: $name::new(
                        $($part,)*
                        $($($($rh,)*)?)?
                        $($($($rq,)*)?)?
                        $($p,)?
                        $($x,)?
                    ),
                    driver: self.driver().clone(),
                    source,
                }
            }
        }

        impl<D: $crate::client::Driver> $crate::client::Request<$name, D> {
            $($(
                $(#[$qdoc])*
                pub fn $q(mut self, value: impl Into<<$qt as $crate::ops::field::Settable>::Value>) -> Self {
                    $crate::ops::field::Settable::set(&mut self.op.$q, value.into());
                    self
                }
            )*)?
            $($(
                $(#[$hdoc])*
                pub fn $h(mut self, value: impl Into<<$ht as $crate::ops::field::Settable>::Value>) -> Self {
                    $crate::ops::field::Settable::set(&mut self.op.$h, value.into());
                    self
                }
            )*)?
            $(
                /// Adds an entry of user metadata; the name goes without the prefix `x-amz-meta-`.
                pub fn $metadata(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
                    self.op.$metadata.insert(name.into(), value.into());
                    self
                }
            )?
            $(
                $(#[$xodoc])*
                pub fn $xo(mut self, value: impl Into<$xot>) -> Self {
                    self.op.$xo = Some(value.into());
                    self
                }
            )?
        }
    };
}
