//! The target `headers`.
#![cfg_attr(fuzzing, no_main)]

s3_fuzz::target!(headers);
