//! Runs published test cases, kept as JSON outside of this repository, against the public API of
//! `s3-proto`:
//!
//! ```text
//! cargo run -q --release -p s3-tests --bin conformance -- DIR_OR_FILE...
//! ```
//!
//! Without arguments the folder is `$S3_CONFORMANCE_DIR`, or else `../shared/conformance`. The exit status
//! is 1 if a case fails, or if a file holds a list that nothing here runs.
#![forbid(unsafe_code)]

mod checksums;
mod credential_chain;
mod date_time;
mod drive;
mod endpoint_functions;
mod endpoints;
mod names;
mod profiles;
mod protocol;
mod retry;
mod s3_api;
mod sigv4;
mod tally;
mod view;
mod xml_samples;

use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use serde_json::Value;
use tally::Tally;

/// What runs a list: the name of the file, that of the list in it, and the runner.
type List = (&'static str, &'static str, fn(&Value) -> Tally);

const LISTS: &[&[List]] = &[
    sigv4::LISTS,
    checksums::LISTS,
    date_time::LISTS,
    endpoint_functions::LISTS,
    endpoints::LISTS,
    profiles::LISTS,
    credential_chain::LISTS,
    protocol::LISTS,
    retry::LISTS,
    names::LISTS,
    s3_api::LISTS,
    xml_samples::LISTS,
];

fn main() -> ExitCode {
    let mut out = io::stdout().lock();
    match run(&mut out) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            let _ = writeln!(io::stderr(), "conformance: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(out: &mut impl Write) -> io::Result<bool> {
    let mut paths: Vec<PathBuf> = std::env::args_os().skip(1).map(PathBuf::from).collect();
    if paths.is_empty() {
        let folder = std::env::var_os("S3_CONFORMANCE_DIR");
        paths.push(folder.map_or_else(|| PathBuf::from("../shared/conformance"), PathBuf::from));
    }
    let mut total = Tally::default();
    let mut not_run = 0;
    for file in files(&paths)? {
        let text = std::fs::read_to_string(&file).map_err(|e| in_file(&file, &e))?;
        let content: Value = serde_json::from_str(&text).map_err(|e| in_file(&file, &e))?;
        let name = file.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let form = form_of(&name, &content);
        for (list, cases) in content.as_object().into_iter().flatten() {
            // What is neither a list nor a table of cases is a remark.
            if !cases.is_array() && !cases.is_object() {
                continue;
            }
            let known = LISTS.iter().copied().flatten().find(|(f, l, _)| *f == form && l == list);
            if let Some((_, _, runner)) = known {
                let tally = runner(cases);
                tally.report(&format!("{name} {list}"), out)?;
                total.add(tally);
            } else {
                writeln!(out, "{name} {list}: NOT RUN, no runner for this list")?;
                not_run += 1;
            }
        }
    }
    let lists = if not_run == 1 { "list" } else { "lists" };
    if not_run > 0 {
        writeln!(out, "{not_run} {lists} not run")?;
    }
    writeln!(out, "{}", total.summary())?;
    Ok(total.failures.is_empty() && not_run == 0)
}

/// Which of the published files this one has the form of: that of its name, or of a name that is part of it
/// (`more_sigv4.json`), or else the one with most of its lists.
fn form_of(name: &str, content: &Value) -> &'static str {
    let forms = || LISTS.iter().copied().flatten().map(|(file, ..)| *file);
    let named = |form: &&str| name.contains(form.trim_end_matches(".json"));
    if let Some(form) = forms().filter(named).max_by_key(|form| form.len()) {
        return form;
    }
    let lists_of = |form: &str| {
        LISTS.iter().copied().flatten().filter(|(f, l, _)| *f == form && content.get(l).is_some()).count()
    };
    forms().max_by_key(|form| lists_of(form)).unwrap_or_default()
}

/// The files as given, and the JSON files of the folders in the order of their names.
fn files(paths: &[PathBuf]) -> io::Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for path in paths {
        if !path.is_dir() {
            files.push(path.clone());
            continue;
        }
        let mut inside = Vec::new();
        for entry in std::fs::read_dir(path)? {
            let entry = entry?.path();
            if entry.extension().is_some_and(|extension| extension == "json") {
                inside.push(entry);
            }
        }
        inside.sort();
        files.append(&mut inside);
    }
    Ok(files)
}

fn in_file(file: &Path, error: &dyn std::error::Error) -> io::Error {
    io::Error::other(format!("{}: {error}", file.display()))
}
