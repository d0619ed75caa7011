//! How fast the drivers are, beside the HTTP clients that they are built on, which move the same bytes with no idea of
//! S3:
//!
//! ```text
//! cargo run --release -p s3-tests --bin bench -- [--quick] [--json] [--rounds N] [--only TEXT] [--spread]
//! ```
//!
//! Each figure is the median of the rounds (`--rounds`, 5 of them). In a round every client does every workload, each
//! in a process of its own, whose processor time and memory are the client's alone. The other end is a process, too;
//! it looks at no signature and makes up what it sends. It has one processor to itself, and the client another with a
//! runtime of one thread; with `--spread` both may use all of them. Times mean nothing but beside each other, so that
//! each is also given as a ratio to the floor's in the same round.
//!
//! It needs Linux, which tells in `/proc` what a process has used.
//!
//! `--quick` moves little, once: it shows that all bytes come and go. `--only` takes the workloads and clients whose
//! `workload/client` holds the text, and the floors that they need. `--json` prints what `docs/performance.py` reads.
#![forbid(unsafe_code)]
// Whatever fails here ends the bench, and is to be seen.
#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "it is a test and a program for the terminal")]
#![allow(clippy::cast_precision_loss, reason = "shown with three digits")]

mod clients;
mod machine;
mod measure;
mod object;
mod origin;
mod report;
mod workload;

use std::io::{BufRead as _, BufReader, Write as _, stderr};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, ExitCode, Stdio};

use clients::Client;
use measure::Sample;
use report::Report;
use workload::{Scale, WORKLOADS, Workload, World};

#[derive(Clone, Debug, Default)]
struct Options {
    quick: bool,
    json: bool,
    spread: bool,
    rounds: Option<usize>,
    only: String,
    /// What this process is there for, if it is not the one that was started by hand.
    origin: bool,
    client: Option<(Client, &'static Workload, SocketAddr)>,
}

impl Options {
    fn parse(mut args: impl Iterator<Item = String>) -> Result<Self, String> {
        let mut options = Self::default();
        while let Some(arg) = args.next() {
            let mut value = || args.next().ok_or_else(|| format!("{arg} needs more"));
            match arg.as_str() {
                "--quick" => options.quick = true,
                "--json" => options.json = true,
                "--spread" => options.spread = true,
                "--only" => options.only = value()?,
                "--rounds" => {
                    let rounds = value()?.parse().ok().filter(|rounds| *rounds > 0);
                    options.rounds = Some(rounds.ok_or("--rounds needs a number above 0")?);
                }
                "--origin" => options.origin = true,
                "--client" => options.client = Some(client(&value()?, &value()?, &value()?)?),
                _ => {
                    return Err(format!("what is {arg}? --quick, --json, --rounds N, --only TEXT, --spread"));
                }
            }
        }
        Ok(options)
    }

    fn scale(&self) -> Scale {
        if self.quick { Scale::QUICK } else { Scale::FULL }
    }

    fn rounds(&self) -> usize {
        self.rounds.unwrap_or(if self.quick { 1 } else { 5 })
    }

    /// The clients that do a workload: floors first, if anybody is to be held against them.
    fn clients(&self, workload: &Workload) -> Vec<Client> {
        let wanted: Vec<_> = Client::ALL
            .into_iter()
            .filter(|client| format!("{}/{}", workload.name, client.name()).contains(&self.only))
            .collect();
        Client::ALL
            .into_iter()
            .filter(|client| wanted.iter().any(|other| other == client || other.floor() == *client))
            .collect()
    }
}

fn client(name: &str, workload: &str, at: &str) -> Result<(Client, &'static Workload, SocketAddr), String> {
    let client = Client::ALL.into_iter().find(|client| client.name() == name).ok_or("no such client")?;
    let workload = WORKLOADS.iter().find(|other| other.name == workload).ok_or("no such workload")?;
    Ok((client, workload, at.parse().map_err(|_| "no address")?))
}

fn main() -> ExitCode {
    let options = match Options::parse(std::env::args().skip(1)) {
        Ok(options) => options,
        Err(why) => {
            println!("bench: {why}");
            return ExitCode::from(2);
        }
    };
    if options.origin {
        machine::pin(0, options.spread);
        origin::run(options.scale().pages);
    } else if let Some((client, workload, address)) = options.client {
        machine::pin(1, options.spread);
        let world = World::new(address, &std::env::current_dir().unwrap(), options.scale(), options.spread);
        println!("{}", client.measure(workload, &world).to_json());
    } else {
        let report = compare(&options);
        println!("{}", if options.json { report.to_json() } else { report.to_text() });
    }
    ExitCode::SUCCESS
}

fn compare(options: &Options) -> Report {
    let scale = options.scale();
    // Not in the system's folder for temporary files, which may be in memory.
    let folder = tempfile::tempdir_in(std::env::current_exe().unwrap().parent().unwrap()).unwrap();
    object::write(&folder.path().join(workload::SOURCE), scale.object);
    let mut origin = Origin(again(options).arg("--origin").stdout(Stdio::piped()).spawn().unwrap());
    let address = first_line(&mut origin.0);
    let mut report = Report::new(options.spread, options.rounds(), scale);
    for round in 1..=options.rounds() {
        for workload in &WORKLOADS {
            let _ = write!(stderr(), "\rround {round}: {:<20}", workload.name);
            for client in options.clients(workload) {
                let sample = sample(options, client, workload, &address, folder.path());
                report.add(workload, client, sample);
            }
        }
    }
    let _ = write!(stderr(), "\r{:<40}\r", "");
    report
}

/// Ends with the bench, however that ends.
struct Origin(Child);

impl Drop for Origin {
    fn drop(&mut self) {
        // It is gone already if this fails.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn again(options: &Options) -> Command {
    let mut command = Command::new(std::env::current_exe().unwrap());
    for (set, arg) in [(options.quick, "--quick"), (options.spread, "--spread")] {
        if set {
            command.arg(arg);
        }
    }
    command
}

fn sample(options: &Options, client: Client, workload: &Workload, address: &str, folder: &Path) -> Sample {
    let mut process = again(options)
        .args(["--client", client.name(), workload.name, address])
        .current_dir(folder)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let line = first_line(&mut process);
    assert!(process.wait().unwrap().success(), "{} failed in {}", client.name(), workload.name);
    Sample::from_json(&line)
}

fn first_line(process: &mut Child) -> String {
    let mut line = String::new();
    BufReader::new(process.stdout.take().unwrap()).read_line(&mut line).unwrap();
    line.trim().to_owned()
}
