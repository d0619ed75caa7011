//! The target `upload`.
#![cfg_attr(fuzzing, no_main)]

s3_fuzz::target!(upload);
