//! The target `pages`.
#![cfg_attr(fuzzing, no_main)]

s3_fuzz::target!(pages);
