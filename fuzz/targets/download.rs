//! The target `download`.
#![cfg_attr(fuzzing, no_main)]

s3_fuzz::target!(download);
