//! What the command line says.

use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

use lexopt::{Arg, Parser, ValueExt as _};

use crate::output::Failure;

pub(crate) const USAGE: &str = "\
usage: s3 COMMAND [OPTION]... [PLACE]...

Places are s3://BUCKET/KEY, a local path, or - for standard input or output.

  ls [s3://BUCKET[/PREFIX]]   list buckets, or objects and folders   --recursive
  mb s3://BUCKET              make a bucket
  rb s3://BUCKET              remove a bucket                        --force: with all that is in it
  cp FROM TO                  copy a file or an object               --recursive --dry-run --include --exclude
                                                                     --checkpoint --part-size --concurrency
  mv FROM TO                  copy, then delete the source           as cp; --recursive between buckets only
  rm s3://BUCKET/KEY          delete an object                       --recursive --versions --dry-run
                                                                     --include --exclude
  cat s3://BUCKET/KEY         write an object to standard output
  head s3://BUCKET/KEY        show what is known of an object
  presign s3://BUCKET/KEY     make a URL that anybody can use        --expires SECONDS --put
  sync FROM TO                make a folder or prefix like another   --delete --dry-run --checksum --include
                                                                     --exclude --part-size --concurrency
  du s3://BUCKET[/PREFIX]     count objects and their bytes

  --checkpoint FILE     keep in FILE how far a copy is; the same command goes on from there
  --include PATTERN     only names that match; may be given several times
  --exclude PATTERN     no names that match; may be given several times
  --part-size SIZE      bytes of a part, such as 8MiB      --concurrency N   parts in flight
  --endpoint-url URL    a store other than Amazon S3       --region REGION   --profile NAME
  --json                results and errors as one JSON object a line
  --quiet               no progress, and no lines about what was done

In patterns ? is a character, * any number of them but slashes, ** any number of any. A pattern without a slash is
compared with each part of a name.

Exit status: 0 done, 1 failed, 2 called wrongly, 130 interrupted.
";

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Command {
    Ls,
    Mb,
    Rb,
    Cp,
    Mv,
    Rm,
    Cat,
    Head,
    Presign,
    Sync,
    Du,
}

/// Each command: its name, how many places it takes, and which options beside those of all.
const COMMANDS: [(&str, Command, std::ops::RangeInclusive<usize>, &[&str]); 11] = [
    ("ls", Command::Ls, 0..=1, &["recursive"]),
    ("mb", Command::Mb, 1..=1, &[]),
    ("rb", Command::Rb, 1..=1, &["force"]),
    ("cp", Command::Cp, 2..=2, COPY),
    ("mv", Command::Mv, 2..=2, COPY),
    ("rm", Command::Rm, 1..=1, &["recursive", "versions", "dry-run", "include", "exclude"]),
    ("cat", Command::Cat, 1..=1, &[]),
    ("head", Command::Head, 1..=1, &[]),
    ("presign", Command::Presign, 1..=1, &["expires", "put"]),
    (
        "sync",
        Command::Sync,
        2..=2,
        &["delete", "dry-run", "checksum", "include", "exclude", "part-size", "concurrency"],
    ),
    ("du", Command::Du, 1..=1, &[]),
];
const COPY: &[&str] =
    &["recursive", "dry-run", "include", "exclude", "checkpoint", "part-size", "concurrency"];
const ALL: [&str; 5] = ["endpoint-url", "region", "profile", "json", "quiet"];

#[derive(Debug)]
pub(crate) struct Args {
    pub(crate) command: Command,
    pub(crate) places: Vec<OsString>,
    pub(crate) recursive: bool,
    pub(crate) force: bool,
    pub(crate) delete: bool,
    pub(crate) dry_run: bool,
    pub(crate) checksum: bool,
    pub(crate) versions: bool,
    pub(crate) put: bool,
    pub(crate) include: Vec<String>,
    pub(crate) exclude: Vec<String>,
    pub(crate) checkpoint: Option<PathBuf>,
    pub(crate) part_size: Option<u64>,
    pub(crate) concurrency: Option<usize>,
    pub(crate) expires: Duration,
    pub(crate) endpoint_url: Option<String>,
    pub(crate) region: Option<String>,
    pub(crate) profile: Option<String>,
    pub(crate) json: bool,
    pub(crate) quiet: bool,
}

impl Args {
    /// `None` if help is wanted.
    pub(crate) fn parse(mut parser: Parser) -> Result<Option<Self>, Failure> {
        let mut command = None;
        let mut places = Vec::new();
        let mut given: Vec<String> = Vec::new();
        let mut args = Self::of(Command::Ls);
        while let Some(arg) = parser.next()? {
            match arg {
                Arg::Short('h') | Arg::Long("help") => return Ok(None),
                Arg::Value(value) if command.is_none() => {
                    let name = value.string()?;
                    if name == "help" {
                        return Ok(None);
                    }
                    let found = COMMANDS.iter().find(|(known, ..)| *known == name);
                    command =
                        Some(found.ok_or_else(|| Failure::usage(format!("there is no command '{name}'")))?);
                }
                Arg::Value(value) => places.push(value),
                Arg::Long(name) => {
                    given.push(name.to_owned());
                    let name = name.to_owned();
                    args.option(&name, &mut parser)?;
                }
                Arg::Short(_) => return Err(arg.unexpected().into()),
            }
        }
        let Some((name, command, count, options)) = command else {
            return Err(Failure::usage("which command?"));
        };
        if !count.contains(&places.len()) {
            return Err(Failure::usage(format!("'{name}' does not take {} places", places.len())));
        }
        let foreign =
            given.iter().find(|given| !ALL.contains(&given.as_str()) && !options.contains(&given.as_str()));
        if let Some(foreign) = foreign {
            return Err(Failure::usage(format!("'{name}' does not take --{foreign}")));
        }
        if !args.recursive && *command != Command::Sync && args.has_filter() {
            return Err(Failure::usage("--include and --exclude go with --recursive"));
        }
        if args.recursive && args.checkpoint.is_some() {
            return Err(Failure::usage("--checkpoint is of a single file, and does not go with --recursive"));
        }
        (args.command, args.places) = (*command, places);
        Ok(Some(args))
    }

    fn of(command: Command) -> Self {
        Self {
            command,
            places: Vec::new(),
            recursive: false,
            force: false,
            delete: false,
            dry_run: false,
            checksum: false,
            versions: false,
            put: false,
            include: Vec::new(),
            exclude: Vec::new(),
            checkpoint: None,
            part_size: None,
            concurrency: None,
            expires: Duration::from_secs(3600),
            endpoint_url: None,
            region: None,
            profile: None,
            json: false,
            quiet: false,
        }
    }

    fn option(&mut self, name: &str, parser: &mut Parser) -> Result<(), Failure> {
        match name {
            "recursive" => self.recursive = true,
            "force" => self.force = true,
            "delete" => self.delete = true,
            "dry-run" => self.dry_run = true,
            "checksum" => self.checksum = true,
            "versions" => self.versions = true,
            "put" => self.put = true,
            "json" => self.json = true,
            "quiet" => self.quiet = true,
            "include" => self.include.push(parser.value()?.string()?),
            "exclude" => self.exclude.push(parser.value()?.string()?),
            "checkpoint" => self.checkpoint = Some(parser.value()?.into()),
            "part-size" => self.part_size = Some(size(&parser.value()?.string()?)?),
            "concurrency" => self.concurrency = Some(parser.value()?.parse()?),
            "expires" => self.expires = Duration::from_secs(parser.value()?.parse()?),
            "endpoint-url" => self.endpoint_url = Some(parser.value()?.string()?),
            "region" => self.region = Some(parser.value()?.string()?),
            "profile" => self.profile = Some(parser.value()?.string()?),
            _ => return Err(Failure::usage(format!("there is no option --{name}"))),
        }
        Ok(())
    }

    pub(crate) fn has_filter(&self) -> bool {
        !self.include.is_empty() || !self.exclude.is_empty()
    }
}

/// `8388608`, `8MiB`
fn size(text: &str) -> Result<u64, Failure> {
    let digits = text.trim_end_matches(|c: char| !c.is_ascii_digit());
    let unit = match text.get(digits.len()..).unwrap_or_default() {
        "" | "B" => 0,
        "KiB" => 10,
        "MiB" => 20,
        "GiB" => 30,
        _ => return Err(Failure::usage(format!("'{text}' is no size: use bytes, KiB, MiB or GiB"))),
    };
    let number: Option<u64> = digits.parse().ok();
    number
        .and_then(|number| number.checked_mul(1 << unit))
        .ok_or_else(|| Failure::usage(format!("'{text}' is no size")))
}
