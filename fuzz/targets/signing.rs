//! The target `signing`.
#![cfg_attr(fuzzing, no_main)]

s3_fuzz::target!(signing);
