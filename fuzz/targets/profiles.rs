//! The target `profiles`.
#![cfg_attr(fuzzing, no_main)]

s3_fuzz::target!(profiles);
