//! The target `endpoints`.
#![cfg_attr(fuzzing, no_main)]

s3_fuzz::target!(endpoints);
