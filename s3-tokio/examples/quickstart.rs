//! Uploads files to an S3 server and brings them back intact.
//!
//! ```text
//! cargo run --release -p s3-tokio --example quickstart [-- FILE...]
//! ```
//!
//! The server is an embedded one, which checks signatures, or the one at `S3_ENDPOINT_URL` or
//! `AWS_ENDPOINT_URL_S3`, with the credentials of the environment. The bucket that is made is removed again.

// It is there to be watched.
#![allow(clippy::print_stdout, clippy::print_stderr)]

use std::error::Error;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use s3_test_server::Server;
use s3_tokio::{Client, Config, Credentials, ErrorKind, Source};
use sha2::{Digest as _, Sha256};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

type Result<T> = std::result::Result<T, Box<dyn Error>>;

#[tokio::main]
async fn main() -> ExitCode {
    match run().await {
        Ok(()) => {
            println!("all is as it should be");
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("error: {error}");
            let mut cause = error.source();
            while let Some(below) = cause {
                eprintln!("  because: {below}");
                cause = below.source();
            }
            if let Some(suggestion) =
                error.downcast_ref::<s3_tokio::Error>().and_then(s3_tokio::Error::suggestion)
            {
                eprintln!("  try: {suggestion}");
            }
            ExitCode::FAILURE
        }
    }
}

async fn run() -> Result<()> {
    let files = files()?;
    let (client, server) = connect().await?;
    let unique = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH)?.as_millis();
    let bucket = format!("quickstart-{unique}-{}", std::process::id());

    let step = Step::begin(format!("create bucket {bucket}"));
    client.create_bucket(&bucket).await?;
    step.end("");

    let done = transfer(&client, &bucket, &files).await;
    let cleaned = clean_up(&client, &bucket).await;
    done?;
    cleaned?;
    drop(server);
    Ok(())
}

/// The files to upload: those that were named, or a few of the repository.
fn files() -> Result<Vec<PathBuf>> {
    let named: Vec<PathBuf> = std::env::args_os().skip(1).map(PathBuf::from).collect();
    if !named.is_empty() {
        return Ok(named);
    }
    let repository = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let found: Vec<PathBuf> = ["Cargo.lock", "README.md", "LICENSE-APACHE"]
        .iter()
        .map(|name| repository.join(name))
        .filter(|path| path.is_file())
        .collect();
    if found.is_empty() { Err("there is nothing to upload; name some files".into()) } else { Ok(found) }
}

async fn connect() -> Result<(Client, Option<Server>)> {
    let endpoint = ["S3_ENDPOINT_URL", "AWS_ENDPOINT_URL_S3"]
        .iter()
        .find_map(|name| std::env::var(name).ok().filter(|value| !value.is_empty()));
    if let Some(endpoint) = endpoint {
        println!("server: {endpoint}, with the credentials of the environment");
        let named = ("AWS_ENDPOINT_URL_S3".to_owned(), endpoint);
        let environment = std::env::vars().chain([named]).collect();
        return Ok((Client::new(s3_tokio::load_config(environment).await?)?, None));
    }
    let (key, secret) = ("AKIDQUICKSTART", "not-much-of-a-secret");
    let server = Server::builder().credentials(key, secret).start().await?;
    println!("server: {}, embedded, with signature checks", server.endpoint());
    let config = Config::new("us-east-1")?
        .with_endpoint(server.endpoint())?
        .with_credentials(Credentials::new(key, secret)?);
    Ok((Client::new(config)?, Some(server)))
}

async fn transfer(client: &Client, bucket: &str, files: &[PathBuf]) -> Result<()> {
    for path in files {
        let key = path.file_name().ok_or("a file has no name")?.to_string_lossy().into_owned();
        object(client, bucket, &key, path).await?;
    }
    Ok(())
}

/// Everything that is done with one file.
async fn object(client: &Client, bucket: &str, key: &str, path: &Path) -> Result<()> {
    let original = tokio::fs::read(path).await?;
    let len = original.len();

    let step = Step::begin(format!("upload {key}"));
    client.put_object(bucket, key, Source::file(path).await?).metadata("origin", "quickstart").await?;
    step.end(size(len));

    let step = Step::begin(format!("list, and find {key}"));
    let mut pages = client.list_objects_v2(bucket).pages();
    let mut found = None;
    while let Some(page) = pages.next().await {
        found = found.or(page?.contents.into_iter().find(|object| object.key == key));
    }
    let listed = found.ok_or("the object is not in the list")?.size;
    same(listed == len as u64, "the size in the list")?;
    step.end("");

    if len > 1 {
        let end = len.min(1024);
        let step = Step::begin(format!("read bytes 0 to {} of {key}", end - 1));
        let part = client.get_object(bucket, key).range(0..end as u64).await?.body.collect().await?;
        same(Some(&part[..]) == original.get(..end), "the range")?;
        step.end(size(part.len()));
    }

    let step = Step::begin(format!("download {key}"));
    let mut body = client.get_object(bucket, key).await?.body;
    let mut hash = Sha256::new();
    let mut received = 0;
    while let Some(chunk) = body.next().await {
        let chunk = chunk?;
        received += chunk.len();
        hash.update(&chunk);
    }
    let (expected, actual) = (hex(&Sha256::digest(&original)), hex(&hash.finalize()));
    same(expected == actual && received == len, "the SHA-256 of the download")?;
    step.end(format!("{}, SHA-256 {}… is the same", size(received), &actual[..16]));

    let step = Step::begin(format!("presign {key}, and fetch it with a plain HTTP client"));
    let presigned = client.get_object(bucket, key).presign(Duration::from_secs(300)).await?;
    let uri = presigned.uri.to_string();
    if uri.starts_with("http://") {
        same(fetch(&uri).await? == original, "what the presigned URL gives")?;
        step.end(size(len));
    } else {
        step.end("not fetched: the plain client speaks no TLS");
    }

    let step = Step::begin(format!("tag {key}"));
    match client.put_object_tagging(bucket, key, [("project", "s3"), ("kind", "test")]).await {
        Ok(_) => {
            let tags = client.get_object_tagging(bucket, key).await?.tag_set;
            same(tags.iter().any(|tag| tag.key == "project" && tag.value == "s3"), "the tags")?;
            step.end(format!("{} tags", tags.len()));
        }
        Err(error) if error.kind() == ErrorKind::NotImplemented => step.end("this store has no tags"),
        Err(error) => return Err(error.into()),
    }

    let copy = format!("copies/{key}");
    let step = Step::begin(format!("copy {key} to {copy}"));
    client.copy_object(bucket, &copy, (bucket, key)).await?;
    let head = client.head_object(bucket, &copy).await?;
    same(head.content_length == Some(len as u64), "the size of the copy")?;
    step.end(size(len));

    let step = Step::begin(format!("delete {key}"));
    client.delete_object(bucket, key).await?;
    let gone =
        client.head_object(bucket, key).await.is_err_and(|error| error.status().is_some_and(|s| s == 404));
    same(gone, "what is left after deleting")?;
    step.end("");
    Ok(())
}

async fn clean_up(client: &Client, bucket: &str) -> Result<()> {
    let step = Step::begin(format!("empty and remove {bucket}"));
    let mut pages = client.list_objects_v2(bucket).pages();
    let mut keys = Vec::new();
    while let Some(page) = pages.next().await {
        keys.extend(page?.contents.into_iter().map(|object| object.key));
    }
    for key in &keys {
        client.delete_object(bucket, key).await?;
    }
    client.delete_bucket(bucket).await?;
    step.end(format!("{} objects", keys.len()));
    Ok(())
}

/// A GET in its plainest form, to show that a presigned URL needs no S3 client.
async fn fetch(url: &str) -> Result<Vec<u8>> {
    let rest = url.strip_prefix("http://").ok_or("the URL is not http")?;
    let (authority, path) = rest.split_once('/').ok_or("the URL has no path")?;
    let address = if authority.contains(':') { authority.to_owned() } else { format!("{authority}:80") };
    let mut stream = tokio::net::TcpStream::connect(address).await?;
    let request = format!("GET /{path} HTTP/1.0\r\nHost: {authority}\r\n\r\n");
    stream.write_all(request.as_bytes()).await?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await?;
    let end = answer.windows(4).position(|window| window == b"\r\n\r\n").ok_or("the answer has no end")?;
    let head = String::from_utf8_lossy(&answer[..end]).into_owned();
    let status = head.lines().next().unwrap_or_default();
    if status.split(' ').nth(1) != Some("200") {
        return Err(format!("the presigned URL gives: {status}").into());
    }
    Ok(answer.split_off(end + 4))
}

fn same(same: bool, what: &str) -> Result<()> {
    if same { Ok(()) } else { Err(format!("{what} differs").into()) }
}

/// A line of the report.
struct Step {
    what: String,
    began: Instant,
}

impl Step {
    fn begin(what: String) -> Self {
        Self { what, began: Instant::now() }
    }

    fn end(self, note: impl AsRef<str>) {
        let time = self.began.elapsed().as_secs_f64() * 1000.0;
        println!("{time:9.1} ms  {:<62} {}", self.what, note.as_ref());
    }
}

#[allow(clippy::cast_precision_loss)]
fn size(bytes: usize) -> String {
    match bytes {
        0..10_000 => format!("{bytes} bytes"),
        10_000..10_000_000 => format!("{:.1} kB", bytes as f64 / 1e3),
        _ => format!("{:.1} MB", bytes as f64 / 1e6),
    }
}

fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    bytes.iter().fold(String::new(), |mut text, byte| {
        // Writing to a string cannot fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}
