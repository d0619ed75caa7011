//! Short ways for what programs do every day, the same in every driver.

use crate::call::Call;
use crate::client::{Client, Driver};
use crate::machine::{Answer, BodyPlan, Machine, Now, Step, TaskId};
use crate::ops::{GetObject, HeadObject, Object, Operation};
use crate::{Error, ErrorKind};

impl<D: Driver> Client<D> {
    /// Whether there is an object under this key.
    ///
    /// In a bucket that does not exist there is none either: the answer to HeadObject does not tell them apart.
    /// Without the right to list the bucket, S3 answers 403 for a missing object: that is an error here, and
    /// not "no".
    pub fn object_exists(&self, bucket: impl Into<String>, key: impl Into<String>) -> D::Sent<bool> {
        let call = Call::new(self.session().clone(), HeadObject::new(bucket, key));
        self.driver().run(Exists(call), None)
    }

    /// The content of an object as text, up to `max_response` of the configuration.
    ///
    /// # Errors
    /// [`ErrorKind::MalformedResponse`] if it is not UTF-8 or too long.
    pub fn get_object_string(&self, bucket: impl Into<String>, key: impl Into<String>) -> D::Sent<String> {
        GetWhole::call(self, bucket.into(), key.into(), text)
    }

    /// All objects whose keys begin with `prefix`, one by one; with an empty one, all of the bucket. The next
    /// page is asked for while the entries of the one before it are taken.
    pub fn list_all(&self, bucket: impl Into<String>, prefix: impl Into<String>) -> D::Items<Object> {
        let prefix = Some(prefix.into()).filter(|prefix| !prefix.is_empty());
        if self.session().config().provider().list_v2 {
            let mut request = self.list_objects_v2(bucket);
            request.op.prefix = prefix;
            request.entries()
        } else {
            let mut request = self.list_objects(bucket);
            request.op.prefix = prefix;
            request.entries()
        }
    }

    /// All objects of a bucket: [`list_all`](Self::list_all) without a prefix.
    pub fn list_all_objects(&self, bucket: impl Into<String>) -> D::Items<Object> {
        self.list_all(bucket, "")
    }

    /// The content of an object, read as JSON.
    ///
    /// # Errors
    /// [`ErrorKind::MalformedResponse`] if it is not JSON of this shape.
    #[cfg(feature = "json")]
    pub fn get_object_json<T>(&self, bucket: impl Into<String>, key: impl Into<String>) -> D::Sent<T>
    where
        T: serde::de::DeserializeOwned + Send + 'static,
    {
        GetWhole::call(self, bucket.into(), key.into(), json)
    }

    /// Stores a value as JSON, with the content type `application/json`.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidInput`] if the value cannot be written as JSON.
    #[cfg(feature = "json")]
    pub fn put_object_json<T: serde::Serialize>(
        &self,
        bucket: impl Into<String>,
        key: impl Into<String>,
        value: &T,
    ) -> Result<crate::client::Request<crate::ops::PutObject, D>, Error> {
        let json = serde_json::to_vec(value)
            .map_err(|e| Error::invalid_input("the value cannot be written as JSON").with_source(e))?;
        Ok(self.put_object(bucket, key, json).content_type("application/json"))
    }
}

/// Turns "not found" into "no".
struct Exists(Call<HeadObject>);

impl Machine for Exists {
    type Item = ();
    type Output = bool;

    fn poll(&mut self, now: Now) -> Step<(), bool> {
        self.0.poll(now).map_done(|result| match result {
            Ok(_) => Ok(true),
            Err(e) if matches!(e.kind(), ErrorKind::NotFound | ErrorKind::NoSuchKey) => Ok(false),
            Err(e) => Err(e),
        })
    }

    fn answer(&mut self, now: Now, id: TaskId, answer: Answer<'_>) -> BodyPlan {
        self.0.answer(now, id, answer)
    }

    fn cancel(&mut self, now: Now) {
        self.0.cancel(now);
    }
}

/// GetObject for small objects: collected, so that a body that breaks off is asked for again, and read as something.
struct GetWhole<T> {
    op: GetObject,
    read: fn(&[u8]) -> Result<T, Error>,
}

impl<T: Send + 'static> GetWhole<T> {
    fn call<D: Driver>(
        client: &Client<D>,
        bucket: String,
        key: String,
        read: fn(&[u8]) -> Result<T, Error>,
    ) -> D::Sent<T> {
        let op = Self { op: GetObject::new(bucket, key), read };
        client.driver().run(Call::new(client.session().clone(), op), None)
    }
}

impl<T: Send + 'static> Operation for GetWhole<T> {
    type Output = T;
    type Reply = crate::client::Whole;
    const NAME: &'static str = GetObject::NAME;

    fn request(&self) -> Result<crate::ops::Draft, Error> {
        self.op.request()
    }

    fn response(&self, head: &http::response::Parts, body: &[u8]) -> Result<T, Error> {
        // Reading the members refuses headers that make no sense.
        self.op.response(head, &[])?;
        (self.read)(body)
    }
}

fn text(body: &[u8]) -> Result<String, Error> {
    let text = std::str::from_utf8(body).map_err(|e| not_as_expected("the object is not UTF-8 text", e))?;
    Ok(text.to_owned())
}

#[cfg(feature = "json")]
fn json<T: serde::de::DeserializeOwned>(body: &[u8]) -> Result<T, Error> {
    serde_json::from_slice(body)
        .map_err(|e| not_as_expected("the object is not JSON of the shape that was asked for", e))
}

fn not_as_expected(message: &'static str, source: impl std::error::Error + Send + Sync + 'static) -> Error {
    Error::new(ErrorKind::MalformedResponse, message).with_source(source)
}
