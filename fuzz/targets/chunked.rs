//! The target `chunked`.
#![cfg_attr(fuzzing, no_main)]

s3_fuzz::target!(chunked);
