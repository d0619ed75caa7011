//! The target `sync`.
#![cfg_attr(fuzzing, no_main)]

s3_fuzz::target!(sync);
