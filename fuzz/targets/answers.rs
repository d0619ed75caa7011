//! The target `answers`.
#![cfg_attr(fuzzing, no_main)]

s3_fuzz::target!(answers);
