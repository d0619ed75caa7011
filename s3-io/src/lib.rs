//! What the drivers share.
#![forbid(unsafe_code)]
