//! What is expected, and what it is answered.

use std::collections::VecDeque;
use std::fmt::Write as _;
use std::sync::Arc;

use super::{Mock, Reply, Sent};

/// Something that a [`Mock`] expects; say more of it, and what it is answered. Without a reply it is answered 200, once.
///
/// ```
/// # use http::Method;
/// # use s3_proto::testing::{Mock, Reply};
/// # let mock = Mock::new();
/// // Twice unavailable, then there.
/// mock.expect(Method::GET, "/bucket/key").reply(503).times(2).reply(Reply::status(200).body("Hello!"));
/// // Any number of parts, also none.
/// mock.expect_operation("UploadPart").reply(Reply::status(200).header("etag", "\"part\"")).always();
/// // Whatever fits.
/// mock.expect_operation("PutObject").when("a small object", |sent| sent.body.len() < 1024).reply(200);
/// ```
#[derive(Debug)]
pub struct Expectation {
    pub(super) mock: Mock,
    pub(super) index: usize,
}

impl Expectation {
    /// Only with this header.
    pub fn header(self, name: &str, value: &str) -> Self {
        let (name, value) = (name.to_owned(), value.to_owned());
        self.when(format!("{name}: {value}"), move |sent| sent.header(&name) == Some(&*value))
    }

    /// Only with this parameter in the query, such as `("partNumber", "2")`.
    pub fn query(self, name: &str, value: &str) -> Self {
        let (name, value) = (name.to_owned(), value.to_owned());
        self.when(format!("?{name}={value}"), move |sent| sent.query(&name).as_deref() == Some(&*value))
    }

    /// Only with this body.
    pub fn body(self, body: impl Into<Vec<u8>>) -> Self {
        let body = body.into();
        self.when(format!("a body of {} bytes", body.len()), move |sent| sent.body == body)
    }

    /// Only if this is so; `what` says in reports what it is.
    pub fn when(self, what: impl AsRef<str>, fits: impl Fn(&Sent) -> bool + Send + 'static) -> Self {
        self.change(|rule| {
            rule.text.push_str(", ");
            rule.text.push_str(what.as_ref());
            rule.conditions.push(Box::new(fits));
        })
    }

    /// Answers this, once, after the replies before it. A number is an empty answer with that status.
    pub fn reply(self, reply: impl Into<Reply>) -> Self {
        let reply = reply.into();
        self.reply_with(move |_| reply.clone())
    }

    /// Answers what the request calls for, once.
    pub fn reply_with(self, reply: impl Fn(&Sent) -> Reply + Send + Sync + 'static) -> Self {
        self.change(|rule| rule.replies.push_back(Turn { reply: Arc::new(reply), left: Some(1) }))
    }

    /// Gives the last reply so often in all.
    pub fn times(self, times: u64) -> Self {
        self.repeat(Some(times))
    }

    /// Gives the last reply as often as it is asked for, or never.
    pub fn always(self) -> Self {
        self.repeat(None)
    }

    fn repeat(self, left: Option<u64>) -> Self {
        let this = if self.change_with(|rule| rule.replies.is_empty()) { self.reply(200) } else { self };
        this.change(|rule| rule.replies.iter_mut().rev().take(1).for_each(|last| last.left = left))
    }

    fn change(self, change: impl FnOnce(&mut Rule)) -> Self {
        self.change_with(change);
        self
    }

    fn change_with<T: Default>(&self, change: impl FnOnce(&mut Rule) -> T) -> T {
        self.mock.state().rules.get_mut(self.index).map(change).unwrap_or_default()
    }
}

type Condition = Box<dyn Fn(&Sent) -> bool + Send>;
type Respond = Arc<dyn Fn(&Sent) -> Reply + Send + Sync>;

/// An expectation as the mock keeps it.
pub(super) struct Rule {
    text: String,
    conditions: Vec<Condition>,
    replies: VecDeque<Turn>,
    answered: u64,
}

struct Turn {
    reply: Respond,
    /// How often it is to be given; `None` is without end.
    left: Option<u64>,
}

impl Rule {
    pub(super) fn new(text: String, fits: impl Fn(&Sent) -> bool + Send + 'static) -> Self {
        Self { text, conditions: vec![Box::new(fits)], replies: VecDeque::new(), answered: 0 }
    }

    /// What to answer, if this is what was expected, and was expected once more.
    pub(super) fn take(&mut self, sent: &Sent) -> Option<Respond> {
        if !self.conditions.iter().all(|fits| fits(sent)) {
            return None;
        }
        if self.replies.is_empty() && self.answered == 0 {
            self.answered = 1;
            return Some(Arc::new(|_| Reply::from(200)));
        }
        while self.replies.front().is_some_and(|turn| turn.left == Some(0)) {
            self.replies.pop_front();
        }
        let turn = self.replies.front_mut()?;
        turn.left = turn.left.map(|left| left - 1);
        self.answered += 1;
        Some(turn.reply.clone())
    }

    /// What has not come; `None` if all has.
    pub(super) fn missing(&self) -> Option<String> {
        let left: u64 = self.replies.iter().filter_map(|turn| turn.left).sum();
        let left = if self.replies.is_empty() && self.answered == 0 { 1 } else { left };
        let mut text = self.text.clone();
        // Writing to a `String` does not fail.
        let _ = write!(text, ": {left} more, after {}", self.answered);
        (left > 0).then_some(text)
    }
}
