//! A small command line for S3, on the fluent interface of `s3-tokio` alone.
//!
//! ```text
//! cargo run --release -p s3-tokio --example s3 -- help
//! ```
//!
//! It ends with 0 if all was done, 1 if something failed, 2 if it was called wrongly, and 130 after Ctrl-C. Results
//! go to standard output, everything else to standard error.

mod args;
mod buckets;
mod copy;
mod list;
mod output;
mod place;
mod remove;
mod sync;

use std::process::ExitCode;

use args::{Args, Command};
use output::{Failure, Output};
use s3_tokio::{Cancel, Client};

/// What every command works with.
struct App {
    client: Client,
    out: Output,
    args: Args,
}

fn main() -> ExitCode {
    let args = match Args::parse(lexopt::Parser::from_env()) {
        Ok(Some(args)) => args,
        Ok(None) => {
            return Output::default().text(args::USAGE).map_or(ExitCode::FAILURE, |()| ExitCode::SUCCESS);
        }
        Err(failure) => return Output::default().fail(&failure),
    };
    let out = Output::new(args.json, args.quiet);
    let runtime = match tokio::runtime::Runtime::new() {
        Ok(runtime) => runtime,
        Err(error) => return out.fail(&Failure::local("starting the runtime", &error)),
    };
    let checkpoint = args.checkpoint.clone();
    let code = match runtime.block_on(run(args, out)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => out.fail(&failure.after_interruption(checkpoint.as_deref())),
    };
    // A read of standard input that is under way cannot be broken off, and nobody waits for it any more.
    runtime.shutdown_background();
    code
}

async fn run(args: Args, out: Output) -> Result<(), Failure> {
    let cancel = Cancel::new();
    tokio::spawn(on_interrupt(cancel.clone(), out));
    let client = connect(&args).await?.with_cancel(&cancel);
    let app = App { client, out, args };
    match app.args.command {
        Command::Ls => app.ls().await,
        Command::Mb => app.mb().await,
        Command::Rb => app.rb().await,
        Command::Cp => app.cp().await,
        Command::Mv => app.mv().await,
        Command::Rm => app.rm().await,
        Command::Cat => app.cat().await,
        Command::Head => app.head().await,
        Command::Presign => app.presign().await,
        Command::Sync => app.sync().await,
        Command::Du => app.du().await,
    }
}

/// A client that is set up as AWS's tools are, but for what the arguments say.
async fn connect(args: &Args) -> Result<Client, Failure> {
    let mut environment: std::collections::BTreeMap<String, String> = std::env::vars_os()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
        .collect();
    let mut set = |name: &str, value: &Option<String>| {
        if let Some(value) = value {
            environment.insert(name.to_owned(), value.clone());
        }
    };
    set("AWS_ENDPOINT_URL_S3", &args.endpoint_url);
    set("AWS_REGION", &args.region);
    set("AWS_PROFILE", &args.profile);
    if args.endpoint_url.is_some() {
        environment.remove("AWS_IGNORE_CONFIGURED_ENDPOINT_URLS");
    }
    if args.profile.is_some() {
        // A profile that is asked for goes before keys that happen to be set, as in AWS's own tool.
        for name in ["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"] {
            environment.remove(name);
        }
    }
    let config = s3_tokio::load_config(environment.into_iter().collect()).await?;
    Ok(Client::new(config)?)
}

/// The first Ctrl-C lets what is under way be put in order, the second ends it where it is.
async fn on_interrupt(cancel: Cancel, out: Output) {
    if tokio::signal::ctrl_c().await.is_err() {
        return;
    }
    cancel.cancel();
    out.note("interrupted: cleaning up (Ctrl-C again ends at once, and may leave parts behind)");
    if tokio::signal::ctrl_c().await.is_ok() {
        std::process::exit(output::INTERRUPTED.into());
    }
}
