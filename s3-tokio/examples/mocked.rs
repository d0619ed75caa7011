//! Code that uses a client, and its tests, which need no network.
//!
//! ```text
//! cargo test -p s3-tokio --features testing --example mocked
//! ```

use s3_tokio::{Client, Error, ErrorKind};

/// Adds a line to an object. Somebody else may do so at the same time: then it is read and written again.
async fn add_line(client: &Client, bucket: &str, key: &str, line: &str) -> Result<(), Error> {
    loop {
        let (mut text, etag) = match client.get_object(bucket, key).await {
            Ok(object) => {
                let etag = object.etag.clone();
                (object.body.collect().await?.to_vec(), etag)
            }
            Err(error) if error.kind() == ErrorKind::NoSuchKey => (Vec::new(), None),
            Err(error) => return Err(error),
        };
        text.extend_from_slice(line.as_bytes());
        let put = client.put_object(bucket, key, text);
        let put = match etag {
            Some(etag) => put.if_match(etag),
            None => put.if_none_match("*"),
        };
        match put.await {
            Err(error) if error.kind() == ErrorKind::PreconditionFailed => {}
            result => return result.map(drop),
        }
    }
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    let client = Client::from_env().await?;
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [bucket, key, line] = &arguments[..] else {
        return Err(Error::invalid_input("which bucket, which key, and which line?"));
    };
    add_line(&client, bucket, key, line).await
}

#[cfg(test)]
mod tests {
    use http::Method;
    use s3_tokio::testing::{Mock, Reply};
    use s3_tokio::{Phase, s3_proto::TransportErrorKind};

    use super::*;

    fn object(etag: &str, text: &'static str) -> Reply {
        Reply::status(200).header("etag", etag).body(text)
    }

    #[tokio::test]
    async fn the_first_line_makes_the_object() {
        let mock = Mock::new();
        mock.expect(Method::GET, "/logs/today").reply(Reply::error(404, "NoSuchKey"));
        mock.expect(Method::PUT, "/logs/today").header("if-none-match", "*").body("one\n").reply(200);
        add_line(&Client::new(mock.config()).unwrap(), "logs", "today", "one\n").await.unwrap();
        mock.verify();
    }

    #[tokio::test]
    async fn a_line_of_somebody_else_is_kept() {
        let mock = Mock::new();
        let read = mock.expect(Method::GET, "/logs/today");
        read.reply(object("\"1\"", "one\n")).reply(object("\"2\"", "one\ntwo\n"));
        let lost = Reply::error(412, "PreconditionFailed");
        mock.expect(Method::PUT, "/logs/today").header("if-match", "\"1\"").reply(lost);
        mock.expect(Method::PUT, "/logs/today")
            .header("if-match", "\"2\"")
            .body("one\ntwo\nthree\n")
            .reply(200);
        add_line(&Client::new(mock.config()).unwrap(), "logs", "today", "three\n").await.unwrap();
        mock.verify();
    }

    #[tokio::test]
    async fn an_outage_is_waited_out_without_waiting() {
        let mock = Mock::new();
        let refused = Reply::failure(Phase::Connect, TransportErrorKind::Refused);
        mock.expect(Method::GET, "/logs/today").reply(refused).times(2).reply(object("\"1\"", "one\n"));
        mock.expect(Method::PUT, "/logs/today").reply(200);
        add_line(&Client::new(mock.config()).unwrap(), "logs", "today", "two\n").await.unwrap();
        assert_eq!(mock.waits().len(), 2);
        mock.verify();
    }
}
