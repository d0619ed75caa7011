//! The target `load_config`.
#![cfg_attr(fuzzing, no_main)]

s3_fuzz::target!(load_config);
