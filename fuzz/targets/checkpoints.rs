//! The target `checkpoints`.
#![cfg_attr(fuzzing, no_main)]

s3_fuzz::target!(checkpoints);
