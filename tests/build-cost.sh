#!/usr/bin/env bash
# What each driver costs a program that puts and gets one object, beside one that does the same with the bare HTTP
# library: crates, CPU seconds of a clean release build, and the size of the stripped program.
#
#   tests/build-cost.sh [bare-ureq] [blocking] [bare-hyper] [tokio] [async-std]
#
# Everything is built in a folder of its own, which is removed again. Sizes are exact; CPU seconds vary with what else
# the machine does, so compare within one run only. They include what Cargo's jobs compete for.
set -euo pipefail
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
export CARGO_TARGET_DIR=$work/target CARGO_INCREMENTAL=0

program() { # NAME, dependencies as an argument, the source on stdin
  mkdir -p "$work/$1/src"
  cat >"$work/$1/src/main.rs"
  cp "$root/Cargo.lock" "$work/$1"
  printf '[package]\nname = "%s"\nversion = "0.0.0"\nedition = "2024"\n[workspace]\n[dependencies]\n%s\n' \
    "$1" "$2" >"$work/$1/Cargo.toml"
}

program bare-ureq 'ureq = { version = "~3.5.2", default-features = false, features = ["rustls"] }' <<'RUST'
fn main() -> Result<(), Box<dyn std::error::Error>> {
    let url = std::env::var("URL")?;
    let agent = ureq::Agent::new_with_defaults();
    agent.put(&url).send("hello")?;
    println!("{}", agent.get(&url).call()?.body_mut().read_to_vec()?.len());
    Ok(())
}
RUST

program blocking "s3-blocking = { path = \"$root/s3-blocking\" }" <<'RUST'
fn main() -> Result<(), Box<dyn std::error::Error>> {
    let client = s3_blocking::Client::from_env()?;
    client.put_object("bucket", "key", "hello").send()?;
    println!("{}", client.get_object("bucket", "key").send()?.body.collect()?.len());
    Ok(())
}
RUST

program bare-hyper '
bytes = "1"
http-body-util = "0.1"
hyper = { version = "1", features = ["client", "http1", "http2"] }
hyper-util = { version = "0.1", features = ["client-legacy", "http1", "http2", "tokio"] }
tokio = { version = "1", features = ["rt", "macros"] }
[dependencies.hyper-rustls]
version = "0.27"
default-features = false
features = ["http1", "http2", "logging", "ring", "tls12", "webpki-roots"]' <<'RUST'
use bytes::Bytes;
use http_body_util::{BodyExt, Full};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let url: hyper::Uri = std::env::var("URL")?.parse()?;
    let connector = hyper_rustls::HttpsConnectorBuilder::new().with_webpki_roots().https_or_http();
    let connector = connector.enable_http1().enable_http2().build();
    let executor = hyper_util::rt::TokioExecutor::new();
    let client = hyper_util::client::legacy::Client::builder(executor).build(connector);
    let put = hyper::Request::put(url.clone()).body(Full::new(Bytes::from("hello")))?;
    client.request(put).await?.into_body().collect().await?;
    println!("{}", client.get(url).await?.into_body().collect().await?.to_bytes().len());
    Ok(())
}
RUST

put_and_get() { # DRIVER
  cat <<RUST
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let client = $1::Client::from_env().await?;
    client.put_object("bucket", "key", "hello").await?;
    println!("{}", client.get_object("bucket", "key").await?.body.collect().await?.len());
    Ok(())
}
RUST
}

(echo '#[tokio::main(flavor = "current_thread")]'; put_and_get s3_tokio) | program tokio "
s3-tokio = { path = \"$root/s3-tokio\" }
tokio = { version = \"1\", features = [\"rt\", \"macros\"] }"
(echo '#[async_std::main]'; put_and_get s3_async_std) | program async-std "
s3-async-std = { path = \"$root/s3-async-std\" }
async-std = { version = \"1\", features = [\"attributes\"] }"

(($#)) || set -- bare-ureq blocking bare-hyper tokio async-std
printf '%-12s %8s %8s %8s\n' program crates 'CPU s' MB
for name in "$@"; do
  cd "$work/$name"
  cargo fetch -q
  crates=$(cargo tree -e normal --prefix none --format '{p}' | awk 'NF { print $1, $2 }' | sort -u | wc -l)
  rm -rf "$CARGO_TARGET_DIR"
  TIMEFORMAT='%U %S'
  cpu=$({ time cargo build -q --release 2>"$work/log"; } 2>&1) || { cat "$work/log" >&2; exit 1; }
  strip -o "$work/stripped" "$CARGO_TARGET_DIR/release/$name"
  # Without the program itself.
  printf '%-12s %8d %8.0f %8.2f\n' "$name" "$((crates - 1))" \
    "$(awk '{ print $1 + $2 }' <<<"$cpu")" "$(stat -c %s "$work/stripped" | awk '{ print $1 / 1e6 }')"
done
