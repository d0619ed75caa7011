//! Reading and writing timestamps.

use s3_proto::Timestamp;
use serde_json::Value;

use crate::List;
use crate::tally::{Outcome, Tally, Verdict, fail, flag, number, same, text};

pub(crate) const LISTS: &[List] = &[
    ("date_time.json", "format_http_date", |cases| {
        Tally::of(cases, |case| format(case, Timestamp::http_date))
    }),
    ("date_time.json", "format_date_time", |cases| Tally::of(cases, |case| format(case, Timestamp::rfc3339))),
    ("date_time.json", "parse_http_date", |cases| {
        Tally::of(cases, |case| parse(case, Timestamp::parse_http_date))
    }),
    ("date_time.json", "parse_date_time", |cases| {
        Tally::of(cases, |case| parse(case, Timestamp::parse_rfc3339))
    }),
];

fn format(case: &Value, write: fn(Timestamp) -> String) -> Outcome {
    let instant = instant(case)?;
    if flag(case, "error") {
        return same("an error", &None, &instant);
    }
    let written = instant.map(write);
    same("text", &Some(text(case, "smithy_format_value")?), &written.as_deref())
}

fn parse(case: &Value, read: fn(&str) -> Option<Timestamp>) -> Outcome {
    let read = read(text(case, "smithy_format_value")?);
    let expected = if flag(case, "error") { None } else { instant(case)? };
    // A text without an expected instant would make any unread one pass.
    if expected.is_none() && !flag(case, "error") {
        return Err(fail("an instant in range", "none"));
    }
    same("instant", &expected, &read)
}

/// `canonical_seconds` is a text, since it may be beyond what JSON numbers hold.
fn instant(case: &Value) -> Result<Option<Timestamp>, Verdict> {
    let seconds = text(case, "canonical_seconds")?;
    let Ok(seconds) = seconds.parse::<i64>() else { return Ok(None) };
    let nanos = u32::try_from(number(case, "canonical_nanos")?).map_err(|_| fail("nanoseconds", "more"))?;
    Ok(Timestamp::from_unix(seconds, nanos))
}
