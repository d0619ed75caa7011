//! Reading the JSON that providers of credentials speak.

use serde_json::{Map, Value};
use zeroize::Zeroize;

use crate::secret::Secret;
use crate::{Credentials, Timestamp};

/// An object, whose texts are wiped when it is dropped.
///
/// Names are compared without regard to case, as the AWS SDKs do: providers differ in it.
pub(super) struct Object(Map<String, Value>);

impl Object {
    /// The document, if it is one object; otherwise why it is not, without anything of its content.
    pub(super) fn parse(bytes: &[u8]) -> Result<Self, String> {
        match serde_json::from_slice::<Value>(bytes) {
            Ok(Value::Object(members)) => Ok(Self(members)),
            Ok(other) => {
                drop(Wiped(other));
                Err("it is JSON, but not an object".to_owned())
            }
            Err(error) => Err(format!("it is not JSON (line {}, column {})", error.line(), error.column())),
        }
    }

    /// A text that is not empty.
    pub(super) fn text(&self, name: &str) -> Option<&str> {
        self.member(name)?.as_str().filter(|text| !text.is_empty())
    }

    /// A whole number.
    pub(super) fn number(&self, name: &str) -> Option<i64> {
        self.member(name)?.as_i64()
    }

    /// Takes an object out of this one.
    pub(super) fn take_object(&mut self, name: &str) -> Option<Self> {
        match self.member_mut(name)?.take() {
            Value::Object(members) => Some(Self(members)),
            other => {
                drop(Wiped(other));
                None
            }
        }
    }

    /// Sets a text.
    pub(super) fn set(&mut self, name: &str, text: &str) {
        if let Some(before) = self.0.insert(name.to_owned(), Value::String(text.to_owned())) {
            drop(Wiped(before));
        }
    }

    /// The document as text.
    pub(super) fn to_bytes(&self) -> Secret<Vec<u8>> {
        // Once to find out how long it is, since growing would leave a part of a secret behind.
        struct Count(usize);
        impl std::io::Write for Count {
            fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
                self.0 += bytes.len();
                Ok(bytes.len())
            }
            fn flush(&mut self) -> std::io::Result<()> {
                Ok(())
            }
        }
        let mut count = Count(0);
        let mut out = Vec::new();
        // Neither can fail: the names are texts, and memory takes all that is written.
        if serde_json::to_writer_pretty(&mut count, &self.0).is_ok() {
            out.reserve_exact(count.0);
            let _ = serde_json::to_writer_pretty(&mut out, &self.0);
        }
        Secret::new(out)
    }

    fn member(&self, name: &str) -> Option<&Value> {
        self.0.get(name).or_else(|| self.0.iter().find(|(n, _)| n.eq_ignore_ascii_case(name)).map(|(_, v)| v))
    }

    fn member_mut(&mut self, name: &str) -> Option<&mut Value> {
        self.0.iter_mut().find(|(n, _)| n.eq_ignore_ascii_case(name)).map(|(_, v)| v)
    }

    /// `AccessKeyId`, `SecretAccessKey`, the token under the name `token`, `AccountId` and the time under the
    /// name `expiry`.
    pub(super) fn credentials(&self, token: &str, expiry: &str) -> Result<Credentials, String> {
        let need = |name: &str| self.text(name).ok_or_else(|| format!("there is no {name} in it"));
        let pair = super::environment::key_pair(
            "its credentials",
            need("AccessKeyId")?,
            need("SecretAccessKey")?,
            self.text(token),
        );
        let mut credentials = pair.map_err(|e| e.message().to_owned())?;
        if let Some(account) = self.text("AccountId") {
            credentials = credentials.with_account_id(account);
        }
        match self.member(expiry) {
            None | Some(Value::Null) => Ok(credentials),
            Some(at) => match at.as_str().and_then(Timestamp::parse_rfc3339) {
                Some(at) => Ok(credentials.with_expiry(at)),
                None => Err(format!("its {expiry} is not a time such as 2030-01-02T03:04:05Z")),
            },
        }
    }
}

impl Drop for Object {
    fn drop(&mut self) {
        for value in self.0.values_mut() {
            wipe(value);
        }
    }
}

/// A value that nobody wants.
struct Wiped(Value);

impl Drop for Wiped {
    fn drop(&mut self) {
        wipe(&mut self.0);
    }
}

/// As deep as the parser goes: 128 levels.
fn wipe(value: &mut Value) {
    match value {
        Value::String(text) => text.zeroize(),
        Value::Array(items) => items.iter_mut().for_each(wipe),
        Value::Object(members) => members.values_mut().for_each(wipe),
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn names_are_found_in_any_case() {
        let object = Object::parse(br#"{"accessKEYid": "A", "empty": "", "n": 7}"#).unwrap();
        assert_eq!(object.text("AccessKeyId"), Some("A"));
        assert_eq!((object.text("empty"), object.text("n"), object.number("N")), (None, None, Some(7)));
    }

    #[test]
    fn what_is_no_object_says_why_and_shows_nothing() {
        for (bytes, why) in [
            (&b"swordfish"[..], "it is not JSON (line 1, column 1)"),
            (b"[\"swordfish\"]", "it is JSON, but not an object"),
            (b"{\"a\": \"swordfish", "it is not JSON (line 1, column 16)"),
            (b"{\"a\": 1} swordfish", "it is not JSON (line 1, column 10)"),
            (b"", "it is not JSON (line 1, column 0)"),
        ] {
            assert_eq!(Object::parse(bytes).err().unwrap(), why);
        }
    }

    #[test]
    fn credentials_need_both_halves_and_a_time_that_is_one() {
        let read = |text: &str| Object::parse(text.as_bytes()).unwrap().credentials("Token", "Expiration");
        let good = read(
            r#"{"AccessKeyId": "A", "SecretAccessKey": "s", "Token": "t", "AccountId": "1",
                "Expiration": "2009-02-13T23:31:30Z"}"#,
        )
        .unwrap();
        assert_eq!((good.access_key_id(), good.account_id()), ("A", Some("1")));
        assert_eq!(good.session_token().unwrap().expose(), "t");
        assert_eq!(good.expires_at().unwrap().unix_seconds(), 1_234_567_890);
        for (text, why) in [
            (r#"{"SecretAccessKey": "s"}"#, "there is no AccessKeyId in it"),
            (r#"{"AccessKeyId": "A", "SecretAccessKey": 7}"#, "there is no SecretAccessKey in it"),
            (
                r#"{"AccessKeyId": "A", "SecretAccessKey": "s", "Expiration": "soon"}"#,
                "its Expiration is not a time such as 2030-01-02T03:04:05Z",
            ),
            (
                r#"{"AccessKeyId": "A", "SecretAccessKey": "s", "Token": "a\nb"}"#,
                "its credentials: the session token has a character other than visible ASCII",
            ),
        ] {
            assert_eq!(read(text).unwrap_err(), why);
        }
    }

    proptest! {
        #[test]
        fn no_bytes_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            if let Ok(object) = Object::parse(&bytes) {
                let _ = object.credentials("Token", "Expiration");
            }
        }

        #[test]
        fn what_is_set_is_read_again(name in "[a-z]{1,8}", text in "\\PC{1,20}") {
            let mut object = Object::parse(b"{}").unwrap();
            object.set(&name, &text);
            let again = Object::parse(object.to_bytes().expose()).unwrap();
            prop_assert_eq!(again.text(&name), Some(text.as_str()));
        }
    }
}
