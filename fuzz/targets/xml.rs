//! The target `xml`.
#![cfg_attr(fuzzing, no_main)]

s3_fuzz::target!(xml);
