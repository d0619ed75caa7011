//! Roles, from the Security Token Service.

use std::time::Duration;

use http::header::CONTENT_TYPE;
use http::{HeaderValue, Method, Request, Uri, response};
use zeroize::Zeroizing;

use super::ask::{Patience, failed, provider, send};
use super::context::{Context, Service};
use super::environment::key_pair;
use crate::encode::uri_encode;
use crate::endpoint::Region;
use crate::error_answer;
use crate::machine::{Now, Payload};
use crate::sign::{PayloadHash, SigningOptions, SigningParams, sign_headers};
use crate::xml::Reader;
use crate::{Credentials, Error, ErrorKind, Timestamp};

/// A role to take on, as a profile asks for it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct AssumeRole {
    /// `role_arn`.
    pub role_arn: String,
    /// `external_id`: what the owner of the role wants to be told.
    pub external_id: Option<String>,
    /// `role_session_name`: what the session is called in logs; by default one of our own with the time.
    pub session_name: Option<String>,
    /// `duration_seconds`, 15 minutes to 12 hours; the service's default is an hour.
    pub duration: Option<Duration>,
    /// `mfa_serial`: the role asks for a code from this device, which nobody is there to enter.
    pub mfa_serial: Option<String>,
}

const SERVICE: Service = Service { id: "sts", variable: "AWS_ENDPOINT_URL_STS", host: "sts" };

/// Where STS is asked.
#[derive(Clone, Debug)]
pub(super) struct Sts {
    uri: Uri,
    region: Region,
}

/// Signs the request of an attempt.
type Sign<'a> = dyn Fn(&mut Request<Payload>, Now) -> Result<(), Error> + Send + Sync + 'a;

impl Sts {
    /// The endpoint that is configured, or that of the region.
    pub(super) fn new(context: &Context) -> Result<Self, Error> {
        let region = context.region()?.unwrap_or_else(Region::us_east_1);
        let url = format!("{}/", context.service_url(&SERVICE, &region)?);
        let uri = Uri::try_from(url).map_err(|e| provider(format!("the endpoint of STS is no URL: {e}")))?;
        Ok(Self { uri, region })
    }

    /// `AssumeRole`, signed with `base`.
    pub(super) async fn assume_role(
        &self,
        context: &Context,
        base: &Credentials,
        role: &AssumeRole,
    ) -> Result<Credentials, Error> {
        let mut form = Form::new("AssumeRole");
        form.add("RoleArn", &role.role_arn);
        form.add("RoleSessionName", &session_name(role.session_name.as_deref(), context.tasks.now()));
        if let Some(id) = &role.external_id {
            form.add("ExternalId", id);
        }
        if let Some(duration) = role.duration {
            form.add("DurationSeconds", &duration.as_secs().to_string());
        }
        let sign = |request: &mut Request<Payload>, now: Now| {
            let params = SigningParams::new(base, self.region.as_str(), "sts", now.wall)?
                .with_options(SigningOptions::OTHER_SERVICES);
            sign_headers(request, &PayloadHash::of(form.bytes()), &params).map(drop)
        };
        let secrets = [
            base.secret_access_key().expose().as_str(),
            base.session_token().map_or("", |token| token.expose().as_str()),
        ];
        let what = format!("assuming the role {} at {}", role.role_arn, self.host());
        let result = self.ask(context, &form, &sign).await;
        result.map_err(|error| {
            let error = failed(&what, &error, &secrets);
            match &role.mfa_serial {
                Some(_) if error.kind() == ErrorKind::CredentialsProvider => {
                    let message = format!(
                        "{} (the profile names an mfa_serial, but no code can be asked for here)",
                        error.message()
                    );
                    error.with_message(message)
                }
                _ => error,
            }
        })
    }

    /// `AssumeRoleWithWebIdentity`, which needs no signature: the token proves who asks.
    pub(super) async fn assume_role_with_web_identity(
        &self,
        context: &Context,
        role_arn: &str,
        session: Option<&str>,
        token: &str,
    ) -> Result<Credentials, Error> {
        let mut form = Form::new("AssumeRoleWithWebIdentity");
        form.add("RoleArn", role_arn);
        form.add("RoleSessionName", &session_name(session, context.tasks.now()));
        form.add("WebIdentityToken", token);
        let what = format!("assuming the role {role_arn} with a web identity token at {}", self.host());
        let result = self.ask(context, &form, &|_, _| Ok(())).await;
        result.map_err(|error| failed(&what, &error, &[token]))
    }

    fn host(&self) -> &str {
        self.uri.authority().map_or("STS", |authority| authority.as_str())
    }

    async fn ask(&self, context: &Context, form: &Form, sign: &Sign<'_>) -> Result<Credentials, Error> {
        let request = |now: Now| {
            let mut request = Request::new(form.payload());
            *request.method_mut() = Method::POST;
            *request.uri_mut() = self.uri.clone();
            let content_type = HeaderValue::from_static("application/x-www-form-urlencoded");
            request.headers_mut().insert(CONTENT_TYPE, content_type);
            sign(&mut request, now)?;
            Ok(request)
        };
        let answer = send(&context.tasks, &Patience::remote(), &request, refusal).await?;
        read(answer.body().expose()).map_err(|why| provider(format!("the answer cannot be used: {why}")))
    }
}

fn refusal(head: &response::Parts, body: &[u8]) -> Error {
    let error = error_answer::read(head, body, &[]);
    // STS could not reach the identity provider in time: the one error of status 400 that passes by itself.
    let passes = error.code() == Some("IDPCommunicationError");
    if passes { error.with_retryable(true) } else { error }
}

/// The parameters of a call, as a form.
struct Form(Zeroizing<String>);

impl Form {
    fn new(action: &str) -> Self {
        Self(Zeroizing::new(format!("Action={action}&Version=2011-06-15")))
    }

    fn add(&mut self, name: &str, value: &str) {
        let value = Zeroizing::new(uri_encode(value));
        let mut longer = Zeroizing::new(String::with_capacity(self.0.len() + name.len() + value.len() + 2));
        for part in [self.0.as_str(), "&", name, "=", &value] {
            longer.push_str(part);
        }
        self.0 = longer;
    }

    fn bytes(&self) -> &[u8] {
        self.0.as_bytes()
    }

    fn payload(&self) -> Payload {
        Payload::Bytes(bytes::Bytes::from_owner(Zeroizing::new(self.bytes().to_vec())))
    }
}

/// What the session is called: the service wants 2 to 64 characters, and a name that tells when it began.
fn session_name(wanted: Option<&str>, now: Now) -> String {
    wanted.map_or_else(|| format!("s3-proto-{}", now.wall.unix_seconds()), ToOwned::to_owned)
}

/// Reads `..Response/..Result/Credentials`.
fn read(body: &[u8]) -> Result<Credentials, String> {
    let mut found = Members::default();
    let mut reader = Reader::new(body);
    let mut walk = || -> Result<(), Error> {
        reader.root()?;
        while let Some(name) = reader.child()? {
            if !name.ends_with("Result") {
                reader.skip()?;
                continue;
            }
            while let Some(name) = reader.child()? {
                if !matches!(name, "Credentials" | "AssumedRoleUser") {
                    reader.skip()?;
                    continue;
                }
                while let Some(name) = reader.child()? {
                    let field = match name {
                        "AccessKeyId" => &mut found.id,
                        "SecretAccessKey" => &mut found.secret,
                        "SessionToken" => &mut found.token,
                        "Expiration" => &mut found.expiry,
                        "Arn" => &mut found.arn,
                        _ => {
                            reader.skip()?;
                            continue;
                        }
                    };
                    *field = Some(Zeroizing::new(reader.text()?.trim().to_owned()));
                }
            }
        }
        Ok(())
    };
    // The reader says where in the document, and shows nothing of its text.
    walk().map_err(|error| error.message().to_owned())?;
    found.credentials()
}

#[derive(Default)]
struct Members {
    id: Option<Zeroizing<String>>,
    secret: Option<Zeroizing<String>>,
    token: Option<Zeroizing<String>>,
    expiry: Option<Zeroizing<String>>,
    arn: Option<Zeroizing<String>>,
}

impl Members {
    fn credentials(&self) -> Result<Credentials, String> {
        fn need<'a>(member: Option<&'a Zeroizing<String>>, name: &str) -> Result<&'a str, String> {
            member.map(|text| text.as_str()).ok_or_else(|| format!("there is no {name} in it"))
        }
        let id = need(self.id.as_ref(), "AccessKeyId")?;
        let secret = need(self.secret.as_ref(), "SecretAccessKey")?;
        let token = need(self.token.as_ref(), "SessionToken")?;
        let expiry = Timestamp::parse_rfc3339(need(self.expiry.as_ref(), "Expiration")?)
            .ok_or("its Expiration is not a time such as 2030-01-02T03:04:05Z")?;
        let credentials = key_pair("its credentials", id, secret, Some(token))
            .map_err(|e| e.message().to_owned())?
            .with_expiry(expiry);
        // `arn:aws:sts::123456789012:assumed-role/role/session`
        let account = self.arn.as_ref().and_then(|arn| arn.split(':').nth(4)).filter(|id| !id.is_empty());
        Ok(match account {
            Some(account) => credentials.with_account_id(account),
            None => credentials,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_read_with_the_account_of_the_role() {
        let body = "<AssumeRoleResponse xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\"><AssumeRoleResult>\
            <AssumedRoleUser><AssumedRoleId>X:s</AssumedRoleId><Arn>arn:aws:sts::123456789012:assumed-role/r/s</Arn>\
            </AssumedRoleUser><Credentials><AccessKeyId>A</AccessKeyId><SecretAccessKey>s</SecretAccessKey>\
            <SessionToken>t</SessionToken><Expiration>2009-02-13T23:31:30Z</Expiration></Credentials>\
            </AssumeRoleResult><ResponseMetadata><RequestId>r</RequestId></ResponseMetadata></AssumeRoleResponse>";
        let credentials = read(body.as_bytes()).unwrap();
        assert_eq!((credentials.access_key_id(), credentials.account_id()), ("A", Some("123456789012")));
        assert_eq!(credentials.expires_at().unwrap().unix_seconds(), 1_234_567_890);
    }

    #[test]
    fn an_answer_without_one_of_its_members_says_which() {
        for (body, why) in [
            ("<R><AResult/></R>", "there is no AccessKeyId in it"),
            (
                "<R><AResult><Credentials><AccessKeyId>A</AccessKeyId></Credentials></AResult></R>",
                "there is no SecretAccessKey in it",
            ),
        ] {
            assert_eq!(read(body.as_bytes()).unwrap_err(), why);
        }
        assert!(
            read(b"<R><AResult><Credentials><AccessKeyId>swordfish").is_err_and(|e| !e.contains("swordfish"))
        );
    }

    #[test]
    fn what_a_form_takes_is_encoded() {
        let mut form = Form::new("A");
        form.add("N", "a b&c=/:+");
        assert_eq!(form.0.as_str(), "Action=A&Version=2011-06-15&N=a%20b%26c%3D%2F%3A%2B");
    }
}
