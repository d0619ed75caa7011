//! The target `credentials`.
#![cfg_attr(fuzzing, no_main)]

s3_fuzz::target!(credentials);
