//! What the quickstarts of all drivers have in common beside the calls: the server, the files, the lines that are
//! printed, and the checks.

use std::error::Error;
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Instant;

use s3_proto::credentials::Environment;
use s3_proto::{Config, Credentials};
use s3_test_server::Server;
use sha2::{Digest as _, Sha256};

pub(crate) type Result<T> = std::result::Result<T, Box<dyn Error + Send + Sync>>;

/// Which server it is done on.
pub(crate) enum Place {
    /// An embedded one, which checks signatures, and how to reach it.
    Embedded { config: Box<Config>, _server: Box<Server> },
    /// The one that the environment names.
    Environment(Environment),
}

/// The server at `S3_ENDPOINT_URL` or `AWS_ENDPOINT_URL_S3`, or one of our own.
pub(crate) fn place() -> Result<Place> {
    let endpoint = ["S3_ENDPOINT_URL", "AWS_ENDPOINT_URL_S3"]
        .iter()
        .find_map(|name| std::env::var(name).ok().filter(|value| !value.is_empty()));
    if let Some(endpoint) = endpoint {
        println!("server: {endpoint}, with the credentials of the environment");
        let named = ("AWS_ENDPOINT_URL_S3".to_owned(), endpoint);
        return Ok(Place::Environment(std::env::vars().chain([named]).collect()));
    }
    let (key, secret) = ("AKIDQUICKSTART", "not-much-of-a-secret");
    let server = Server::builder().credentials(key, secret).start_in_thread()?;
    println!("server: {}, embedded, with signature checks", server.endpoint());
    let config = Config::new("us-east-1")?
        .with_endpoint(server.endpoint())?
        .with_credentials(Credentials::new(key, secret)?);
    Ok(Place::Embedded { config: Box::new(config), _server: Box::new(server) })
}

/// A name that no bucket has yet.
pub(crate) fn bucket_name() -> Result<String> {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH)?.as_millis();
    Ok(format!("quickstart-{now}-{}", std::process::id()))
}

/// A file to upload.
pub(crate) struct Sample {
    pub(crate) path: PathBuf,
    pub(crate) key: String,
    pub(crate) content: Vec<u8>,
}

/// Those that were named, or a few of the repository.
pub(crate) fn samples() -> Result<Vec<Sample>> {
    let mut paths: Vec<PathBuf> = std::env::args_os().skip(1).map(PathBuf::from).collect();
    if paths.is_empty() {
        let repository = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
        let paths_of_ours = ["Cargo.lock", "README.md", "LICENSE-APACHE"].map(|name| repository.join(name));
        paths.extend(paths_of_ours.into_iter().filter(|path| path.is_file()));
    }
    if paths.is_empty() {
        return Err("there is nothing to upload; name some files".into());
    }
    let sample = |path: PathBuf| {
        let key = path.file_name().ok_or("a file has no name")?.to_string_lossy().into_owned();
        let content = std::fs::read(&path)?;
        Ok(Sample { path, key, content })
    };
    paths.into_iter().map(sample).collect()
}

/// A line of the report.
pub(crate) struct Step {
    what: String,
    began: Instant,
}

impl Step {
    pub(crate) fn create_bucket(bucket: &str) -> Self {
        Self::begin(format!("create bucket {bucket}"))
    }

    pub(crate) fn upload(key: &str) -> Self {
        Self::begin(format!("upload {key}"))
    }

    pub(crate) fn list(key: &str) -> Self {
        Self::begin(format!("list, and find {key}"))
    }

    pub(crate) fn range(key: &str, end: usize) -> Self {
        Self::begin(format!("read bytes 0 to {} of {key}", end - 1))
    }

    pub(crate) fn download(key: &str) -> Self {
        Self::begin(format!("download {key}"))
    }

    pub(crate) fn presign(key: &str) -> Self {
        Self::begin(format!("presign {key}, and fetch it with a plain HTTP client"))
    }

    pub(crate) fn tag(key: &str) -> Self {
        Self::begin(format!("tag {key}"))
    }

    pub(crate) fn copy(key: &str, copy: &str) -> Self {
        Self::begin(format!("copy {key} to {copy}"))
    }

    pub(crate) fn delete(key: &str) -> Self {
        Self::begin(format!("delete {key}"))
    }

    pub(crate) fn remove_bucket(bucket: &str) -> Self {
        Self::begin(format!("empty and remove {bucket}"))
    }

    fn begin(what: String) -> Self {
        Self { what, began: Instant::now() }
    }

    pub(crate) fn end(self, note: impl AsRef<str>) {
        let time = self.began.elapsed().as_secs_f64() * 1000.0;
        println!("{time:9.1} ms  {:<62} {}", self.what, note.as_ref());
    }

    /// Ends with how many bytes there were.
    pub(crate) fn end_with_size(self, bytes: usize) {
        self.end(size(bytes));
    }
}

/// Refuses what differs.
pub(crate) fn same(same: bool, what: &str) -> Result<()> {
    if same { Ok(()) } else { Err(format!("{what} differs").into()) }
}

/// Compares by SHA-256, and says so for the report.
pub(crate) fn same_sha256(original: &[u8], download: &[u8]) -> Result<String> {
    let hex = |bytes: &[u8]| s3_proto::encode::hex(&Sha256::digest(bytes));
    let (expected, actual) = (hex(original), hex(download));
    same(expected == actual, "the SHA-256 of the download")?;
    Ok(format!("{}, SHA-256 {}… is the same", size(download.len()), &actual[..16]))
}

/// A GET in its plainest form, to show that a presigned URL needs no S3 client; `None` if the URL needs TLS. It
/// blocks, which does no harm here.
pub(crate) fn fetch(url: &str) -> Result<Option<Vec<u8>>> {
    let Some(rest) = url.strip_prefix("http://") else { return Ok(None) };
    let (authority, path) = rest.split_once('/').ok_or("the URL has no path")?;
    let address = if authority.contains(':') { authority.to_owned() } else { format!("{authority}:80") };
    let mut stream = TcpStream::connect(address)?;
    write!(stream, "GET /{path} HTTP/1.0\r\nHost: {authority}\r\n\r\n")?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer)?;
    let end = answer.windows(4).position(|window| window == b"\r\n\r\n").ok_or("the answer has no end")?;
    let head = String::from_utf8_lossy(&answer[..end]).into_owned();
    let status = head.lines().next().unwrap_or_default();
    if status.split(' ').nth(1) != Some("200") {
        return Err(format!("the presigned URL gives: {status}").into());
    }
    Ok(Some(answer.split_off(end + 4)))
}

/// The last lines, and the exit code.
pub(crate) fn finish(result: Result<()>) -> ExitCode {
    let Err(error) = result else {
        println!("all is as it should be");
        return ExitCode::SUCCESS;
    };
    eprintln!("error: {error}");
    let mut cause = error.source();
    while let Some(below) = cause {
        eprintln!("  because: {below}");
        cause = below.source();
    }
    if let Some(suggestion) = error.downcast_ref().and_then(s3_proto::Error::suggestion) {
        eprintln!("  try: {suggestion}");
    }
    ExitCode::FAILURE
}

#[allow(clippy::cast_precision_loss, reason = "for people")]
fn size(bytes: usize) -> String {
    match bytes {
        0..10_000 => format!("{bytes} bytes"),
        10_000..10_000_000 => format!("{:.1} kB", bytes as f64 / 1e3),
        _ => format!("{:.1} MB", bytes as f64 / 1e6),
    }
}
