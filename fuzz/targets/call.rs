//! The target `call`.
#![cfg_attr(fuzzing, no_main)]

s3_fuzz::target!(call);
