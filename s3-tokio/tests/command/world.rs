//! A server, a folder, and the program.

use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::OnceLock;
use std::thread;
use std::time::{Duration, Instant};

use s3_test_server::{Fault, RequestHead, Server};
use s3_tokio::{Client, Config, Credentials};
use serde_json::Value;

/// What no step takes as long as.
const PATIENCE: Duration = Duration::from_secs(120);

pub(crate) struct World {
    pub(crate) server: Server,
    folder: tempfile::TempDir,
}

/// What a run of the program came to.
#[derive(Debug)]
pub(crate) struct Ran {
    pub(crate) code: Option<i32>,
    pub(crate) stdout: Vec<u8>,
    pub(crate) stderr: String,
}

impl World {
    /// With an empty bucket, `bucket`.
    pub(crate) fn new() -> Self {
        let server = Server::builder().credentials("AKID", "SECRET").start_in_thread().unwrap();
        server.store().create_bucket("bucket", None);
        Self { server, folder: tempfile::tempdir().unwrap() }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub(crate) fn write(&self, name: &str, content: &[u8]) -> PathBuf {
        let path = self.path(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, content).unwrap();
        path
    }

    pub(crate) fn read(&self, name: &str) -> Vec<u8> {
        fs::read(self.path(name)).unwrap()
    }

    /// What is in the folder, without what is in folders of it.
    pub(crate) fn names(&self) -> Vec<String> {
        let entries = fs::read_dir(self.folder.path()).unwrap();
        let mut names: Vec<_> =
            entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }

    pub(crate) fn object(&self, key: &str) -> Option<Vec<u8>> {
        self.server.store().read("bucket", key).map(Vec::from)
    }

    /// The program in the folder, with these arguments and no other surroundings.
    pub(crate) fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(program());
        command.args(args).current_dir(self.folder.path()).env_clear().envs([
            ("AWS_ENDPOINT_URL_S3", self.server.endpoint()),
            ("AWS_ACCESS_KEY_ID", "AKID".to_owned()),
            ("AWS_SECRET_ACCESS_KEY", "SECRET".to_owned()),
            ("AWS_CONFIG_FILE", "/nowhere/at/all".to_owned()),
            ("AWS_SHARED_CREDENTIALS_FILE", "/nowhere/at/all".to_owned()),
        ]);
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }

    /// Starts the program with an open standard input.
    pub(crate) fn start(&self, args: &[&str]) -> Child {
        self.command(args).stdin(Stdio::piped()).spawn().unwrap()
    }

    pub(crate) fn run(&self, args: &[&str]) -> Ran {
        finish(self.command(args).spawn().unwrap())
    }

    pub(crate) fn run_with_input(&self, args: &[&str], input: &[u8]) -> Ran {
        let mut child = self.start(args);
        child.stdin.take().unwrap().write_all(input).unwrap();
        finish(child)
    }

    /// Runs what must succeed, and returns what it says.
    pub(crate) fn ok(&self, args: &[&str]) -> String {
        let ran = self.run(args);
        assert_eq!(ran.code, Some(0), "{args:?}: {}", ran.stderr);
        String::from_utf8(ran.stdout).unwrap()
    }

    /// Runs what must succeed, and returns the results that it tells programs.
    pub(crate) fn json(&self, args: &[&str]) -> Vec<Value> {
        let said = self.ok(&[args, &["--json"]].concat());
        said.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    /// Delays requests that move parts, so that a transfer takes its time.
    pub(crate) fn slow_down(&self, by: Duration) {
        self.server.on_request(move |head| moves_data(head).then_some(Fault::Delay(by)));
    }

    /// As [`slow_down`](Self::slow_down), and no upload can be aborted.
    pub(crate) fn refuse_to_abort(&self, by: Duration) {
        self.server.on_request(move |head| match head.method.as_str() {
            "DELETE" => Some(Fault::error(403, "AccessDenied")),
            _ => moves_data(head).then_some(Fault::Delay(by)),
        });
    }

    /// Waits until the server is through with what came from processes that are gone.
    pub(crate) fn settle(&self) {
        wait_until("connections are closed", || self.server.open_connections() == 0);
    }

    /// Calls the library directly.
    pub(crate) fn call<T>(&self, call: impl AsyncFnOnce(Client) -> T) -> T {
        let config = Config::new("us-east-1")
            .unwrap()
            .with_endpoint(self.server.endpoint())
            .unwrap()
            .with_credentials(Credentials::new("AKID", "SECRET").unwrap());
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async { call(Client::new(config).unwrap()).await })
    }
}

/// A part of an upload, or a range of a download.
pub(crate) fn moves_data(head: &RequestHead) -> bool {
    head.target.contains("partNumber=")
        || (head.method == http::Method::GET && head.header("range").is_some())
}

pub(crate) fn finish(mut child: Child) -> Ran {
    drop(child.stdin.take());
    let Output { status, stdout, stderr } = child.wait_with_output().unwrap();
    Ran { code: status.code(), stdout, stderr: String::from_utf8(stderr).unwrap() }
}

pub(crate) fn wait_until(what: &str, mut is_so: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !is_so() {
        assert!(begun.elapsed() < PATIENCE, "{what}: not within {PATIENCE:?}");
        thread::sleep(Duration::from_millis(1));
    }
}

/// The example `s3`. `cargo test -p s3-tokio` builds it before the tests; where they alone were built it is built now.
fn program() -> &'static Path {
    static PROGRAM: OnceLock<PathBuf> = OnceLock::new();
    PROGRAM.get_or_init(|| {
        let own = std::env::current_exe().unwrap();
        let path = own.parent().unwrap().with_file_name("examples").join("s3");
        if !path.exists() {
            let built = Command::new(env!("CARGO"))
                .args(["build", "--package", "s3-tokio", "--example", "s3"])
                .current_dir(env!("CARGO_MANIFEST_DIR"))
                .status();
            assert!(built.unwrap().success(), "the example could not be built");
        }
        path
    })
}
