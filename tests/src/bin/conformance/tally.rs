//! Counting, and reading cases.

use std::collections::BTreeMap;
use std::fmt::Debug;
use std::io::{self, Write};

use serde_json::Value;

/// Why a case did not pass.
pub(crate) enum Verdict {
    Fail {
        expected: String,
        got: String,
    },
    /// A property of the case, never its id.
    Skip(String),
}

pub(crate) type Outcome = Result<(), Verdict>;

/// A case that was expected to work gave an error.
impl From<s3_proto::Error> for Verdict {
    fn from(error: s3_proto::Error) -> Self {
        fail("no error", error.to_string())
    }
}

pub(crate) fn fail(expected: impl Into<String>, got: impl Into<String>) -> Verdict {
    Verdict::Fail { expected: expected.into(), got: got.into() }
}

pub(crate) fn skip(property: impl Into<String>) -> Verdict {
    Verdict::Skip(property.into())
}

/// `what` names the part of the case that is compared.
pub(crate) fn same<T: PartialEq + Debug + ?Sized>(what: &str, expected: &T, got: &T) -> Outcome {
    if expected == got {
        return Ok(());
    }
    Err(fail(format!("{what} {expected:?}"), format!("{got:?}")))
}

#[derive(Default)]
pub(crate) struct Tally {
    passed: usize,
    pub(crate) failures: Vec<String>,
    skipped: BTreeMap<String, usize>,
}

impl Tally {
    /// Runs each case of an array; its `id`, or else its index, names it.
    pub(crate) fn of(cases: &Value, run: impl Fn(&Value) -> Outcome) -> Self {
        let mut tally = Self::default();
        match cases.as_array() {
            Some(cases) => {
                for (index, case) in cases.iter().enumerate() {
                    let id = case
                        .get("id")
                        .and_then(Value::as_str)
                        .map_or_else(|| index.to_string(), str::to_owned);
                    tally.count(&id, run(case));
                }
            }
            None => tally.count("(list)", Err(fail("an array", "something else"))),
        }
        tally
    }

    /// Runs each entry of an object; its name names it.
    pub(crate) fn table(table: &Value, run: impl Fn(&str, &Value) -> Outcome) -> Self {
        let mut tally = Self::default();
        match table.as_object() {
            Some(entries) => entries.iter().for_each(|(name, entry)| tally.count(name, run(name, entry))),
            None => tally.count("(table)", Err(fail("an object", "something else"))),
        }
        tally
    }

    pub(crate) fn count(&mut self, id: &str, outcome: Outcome) {
        match outcome {
            Ok(()) => self.passed += 1,
            Err(Verdict::Fail { expected, got }) => {
                self.failures.push(format!("{id}: expected {expected}, got {got}"));
            }
            Err(Verdict::Skip(property)) => *self.skipped.entry(property).or_default() += 1,
        }
    }

    pub(crate) fn add(&mut self, other: Self) {
        self.passed += other.passed;
        self.failures.extend(other.failures);
        for (property, count) in other.skipped {
            *self.skipped.entry(property).or_default() += count;
        }
    }

    pub(crate) fn report(&self, list: &str, out: &mut impl Write) -> io::Result<()> {
        writeln!(out, "{list}: {}", self.summary())?;
        for (property, count) in &self.skipped {
            writeln!(out, "  skipped {count}: {property}")?;
        }
        for failure in &self.failures {
            writeln!(out, "  FAILED {failure}")?;
        }
        Ok(())
    }

    pub(crate) fn summary(&self) -> String {
        let skipped: usize = self.skipped.values().sum();
        format!("{} passed, {} failed, {skipped} skipped", self.passed, self.failures.len())
    }
}

/// A member that must be there, as text.
pub(crate) fn text<'a>(case: &'a Value, name: &str) -> Result<&'a str, Verdict> {
    case.get(name)
        .and_then(Value::as_str)
        .ok_or_else(|| fail(format!("a case with the text {name:?}"), "none"))
}

/// A member that must be there, as a whole number.
pub(crate) fn number(case: &Value, name: &str) -> Result<u64, Verdict> {
    case.get(name)
        .and_then(Value::as_u64)
        .ok_or_else(|| fail(format!("a case with the number {name:?}"), "none"))
}

/// A flag; false if absent.
pub(crate) fn flag(case: &Value, name: &str) -> bool {
    case.get(name).and_then(Value::as_bool).unwrap_or(false)
}

/// The elements of an array; none if absent.
pub(crate) fn items<'a>(case: &'a Value, name: &str) -> &'a [Value] {
    case.get(name).and_then(Value::as_array).map_or(&[], Vec::as_slice)
}

/// An array of `[name, value]`.
pub(crate) fn pairs<'a>(case: &'a Value, name: &str) -> Result<Vec<(&'a str, &'a str)>, Verdict> {
    items(case, name).iter().map(pair).collect()
}

pub(crate) fn pair(item: &Value) -> Result<(&str, &str), Verdict> {
    match item.as_array().map(Vec::as_slice) {
        Some([Value::String(name), Value::String(value)]) => Ok((name, value)),
        _ => Err(fail("a pair of texts", item.to_string())),
    }
}
