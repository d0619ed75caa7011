//! The bodies of the fuzz targets: ordinary functions from bytes to nothing, which panic when something is wrong.
//!
//! `cargo fuzz` calls them with what it makes up; `cargo test` with the seeds in `seeds/` and with random bytes; a
//! target that is run by itself with the files that it is given. A new target is a function here, a row in
//! [`TARGETS`], a file in `targets/`, a `[[bin]]` in `Cargo.toml`, and seeds.
#![forbid(unsafe_code)]
#![allow(
    clippy::panic,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::missing_panics_doc,
    reason = "a target reports by panicking"
)]
#![allow(
    clippy::format_push_string,
    clippy::match_bool,
    clippy::single_match_else,
    clippy::wildcard_imports,
    reason = "it reads better"
)]

mod driver;
mod input;
mod machines;
mod parsers;
mod service;
#[cfg(test)]
mod tests;

use std::path::PathBuf;

/// A target: its name, and what it does with an input.
#[derive(Clone, Copy, Debug)]
pub struct Target {
    /// What `cargo fuzz run` calls it, and the folder of its seeds.
    pub name: &'static str,
    /// Panics if what comes of these bytes is wrong.
    pub run: fn(&[u8]),
}

macro_rules! targets {
    ($($name:ident: $run:path,)*) => {
        /// All targets.
        pub const TARGETS: &[Target] = &[$(Target { name: stringify!($name), run: $run },)*];
    };
}

targets! {
    xml: parsers::xml::run,
    answers: parsers::answers::run,
    headers: parsers::headers::run,
    profiles: parsers::profiles::run,
    checkpoints: parsers::checkpoints::run,
    endpoints: parsers::endpoints::run,
    signing: parsers::signing::run,
    chunked: parsers::chunked::run,
    call: machines::calls::call,
    stream: machines::calls::stream,
    pages: machines::calls::pages,
    upload: machines::transfers::upload,
    download: machines::transfers::download,
    copy: machines::transfers::copy,
    delete: machines::transfers::delete,
    sync: machines::transfers::sync,
    load_config: machines::credentials::load_config,
    credentials: machines::credentials::credentials,
}

/// Runs the target of this name on one input.
pub fn run(name: &str, input: &[u8]) {
    let target = TARGETS.iter().find(|target| target.name == name).expect("no such target");
    (target.run)(input);
}

/// Runs the target on the files that the command line names: how a finding is looked at without a fuzzer.
pub fn run_files(name: &str) {
    for path in std::env::args_os().skip(1).map(PathBuf::from) {
        let input = std::fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        run(name, &input);
    }
}

/// The `main` of a target.
#[macro_export]
macro_rules! target {
    ($name:ident) => {
        #[cfg(fuzzing)]
        ::libfuzzer_sys::fuzz_target!(|input: &[u8]| $crate::run(stringify!($name), input));

        #[cfg(not(fuzzing))]
        fn main() {
            $crate::run_files(stringify!($name));
        }
    };
}
