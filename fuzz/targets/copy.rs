//! The target `copy`.
#![cfg_attr(fuzzing, no_main)]

s3_fuzz::target!(copy);
