//! The target `delete`.
#![cfg_attr(fuzzing, no_main)]

s3_fuzz::target!(delete);
