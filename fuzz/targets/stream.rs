//! The target `stream`.
#![cfg_attr(fuzzing, no_main)]

s3_fuzz::target!(stream);
