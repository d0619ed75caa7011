//! Points in time as S3 writes them.

use std::fmt;
use std::time::{Duration, SystemTime};

use time::{Date, Month, OffsetDateTime, Time};

/// A point in time in UTC, to the nanosecond, from year 1 to 9999: what S3 calls a timestamp.
///
/// S3 writes it in three forms: HTTP dates in headers (`Last-Modified`), RFC 3339 in XML, and the compact
/// form of a signature (`20130524T000000Z`). `Display` is RFC 3339.
///
/// ```
/// use s3_proto::Timestamp;
///
/// let t = Timestamp::parse_http_date("Fri, 24 May 2013 00:00:00 GMT").unwrap();
/// assert_eq!(t.to_string(), "2013-05-24T00:00:00Z");
/// assert_eq!(t.unix_seconds(), 1_369_353_600);
/// ```
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp {
    seconds: i64,
    nanos: u32,
}

/// 1970-01-01, as `time` counts days.
const UNIX_EPOCH_JULIAN_DAY: i64 = 2_440_588;

const DAYS: [&str; 7] = ["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"];
const MONTHS: [&str; 12] =
    ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

impl Timestamp {
    /// 1970-01-01T00:00:00Z.
    pub const UNIX_EPOCH: Self = Self { seconds: 0, nanos: 0 };
    /// 0001-01-01T00:00:00Z, the earliest that can be written.
    pub const MIN: Self = Self { seconds: -62_135_596_800, nanos: 0 };
    /// The last nanosecond of the year 9999.
    pub const MAX: Self = Self { seconds: 253_402_300_799, nanos: 999_999_999 };

    /// Seconds since the Unix epoch and nanoseconds after them; `None` outside the years 1 to 9999 or with
    /// a billion nanoseconds or more.
    pub const fn from_unix(seconds: i64, nanos: u32) -> Option<Self> {
        if seconds < Self::MIN.seconds || seconds > Self::MAX.seconds || nanos > 999_999_999 {
            return None;
        }
        Some(Self { seconds, nanos })
    }

    /// Whole seconds since the Unix epoch, rounded down.
    pub const fn unix_seconds(self) -> i64 {
        self.seconds
    }

    /// Nanoseconds after [`unix_seconds`](Self::unix_seconds), below a billion.
    pub const fn subsec_nanos(self) -> u32 {
        self.nanos
    }

    /// This much later, or [`MAX`](Self::MAX) where that would be past it.
    #[must_use]
    pub fn saturating_add(self, by: Duration) -> Self {
        let nanos = self.nanos + by.subsec_nanos();
        let seconds = i64::try_from(by.as_secs())
            .ok()
            .and_then(|s| self.seconds.checked_add(s))
            .and_then(|s| s.checked_add(i64::from(nanos / 1_000_000_000)));
        seconds.and_then(|s| Self::from_unix(s, nanos % 1_000_000_000)).unwrap_or(Self::MAX)
    }

    /// This much earlier, or [`MIN`](Self::MIN) where that would be before it.
    #[must_use]
    pub fn saturating_sub(self, by: Duration) -> Self {
        let borrow = i64::from(self.nanos < by.subsec_nanos());
        let nanos = if borrow == 1 { self.nanos + 1_000_000_000 } else { self.nanos } - by.subsec_nanos();
        let seconds =
            i64::try_from(by.as_secs()).ok().and_then(|s| self.seconds.checked_sub(s)?.checked_sub(borrow));
        seconds.and_then(|s| Self::from_unix(s, nanos)).unwrap_or(Self::MIN)
    }

    /// How long after `earlier` this is; zero if it is not after it.
    pub fn since(self, earlier: Self) -> Duration {
        if self <= earlier {
            return Duration::ZERO;
        }
        let borrow = i64::from(self.nanos < earlier.nanos);
        let nanos = if borrow == 1 { self.nanos + 1_000_000_000 } else { self.nanos } - earlier.nanos;
        Duration::new((self.seconds - earlier.seconds - borrow).unsigned_abs(), nanos)
    }

    /// Reads an HTTP date (RFC 9110 section 5.6.7): the preferred form, also with a fraction of a second
    /// as some stores send it, and the two obsolete ones.
    pub fn parse_http_date(text: &str) -> Option<Self> {
        Self::parse_imf_fixdate(text).or_else(|| Self::parse_any_http_date(text))
    }

    /// `Sun, 06 Nov 1994 08:49:37 GMT`: the preferred form, which nearly all send, read by its columns.
    fn parse_imf_fixdate(text: &str) -> Option<Self> {
        let (date, clock) = text.as_bytes().strip_suffix(b" GMT")?.split_at_checked(17)?;
        if [date[3], date[4], date[7], date[11], date[16]] != *b",    " {
            return None;
        }
        let month = MONTHS.iter().zip(1..).find(|(name, _)| name.as_bytes() == &date[8..11])?.1;
        Self::at(civil(number(&date[12..16])?, month, number(&date[5..7])?)?, clock)
    }

    fn parse_any_http_date(text: &str) -> Option<Self> {
        let (day, rest) = text.trim().split_once([',', ' '])?;
        let mut words = rest.split([' ', '-']).filter(|w| !w.is_empty());
        let mut next = || words.next();
        let (date, clock) = if DAYS.contains(&day) && !text.contains(',') {
            // asctime: Sun Nov  6 08:49:37 1994
            let (month, day, clock, year) = (next()?, next()?, next()?, next()?);
            (civil(digits(year, 4)?, month_of(month)?, digits(day, day.len())?)?, clock)
        } else {
            // Sun, 06 Nov 1994 08:49:37 GMT, or Sunday, 06-Nov-94 08:49:37 GMT
            let (day, month, year, clock, zone) = (next()?, next()?, next()?, next()?, next()?);
            if !matches!(zone, "GMT" | "UTC") {
                return None;
            }
            let year = match year.len() {
                // RFC 9110: a two-digit year that seems more than 50 years ahead is in the past.
                2 => digits(year, 2).map(|y| if y < 70 { 2000 + y } else { 1900 + y })?,
                _ => digits(year, 4)?,
            };
            (civil(year, month_of(month)?, digits(day, day.len())?)?, clock)
        };
        if next().is_some() {
            return None;
        }
        Self::at(date, clock.as_bytes())
    }

    /// Reads an RFC 3339 date and time, with any number of fraction digits (those after the ninth are
    /// dropped) and any offset.
    pub fn parse_rfc3339(text: &str) -> Option<Self> {
        let text = text.trim_ascii().as_bytes();
        let [_, _, _, _, b'-', _, _, b'-', _, _, b'T' | b't' | b' ', rest @ ..] = text else { return None };
        let month = u8::try_from(number(&text[5..7])?).ok()?;
        let date = civil(number(&text[..4])?, month, number(&text[8..10])?)?;
        let (clock, offset) = match rest {
            [clock @ .., b'Z' | b'z'] => (clock, 0),
            [clock @ .., sign @ (b'+' | b'-'), h1, h2, b':', m1, m2] => {
                let seconds = i64::from(number(&[*h1, *h2])? * 3_600 + number(&[*m1, *m2])? * 60);
                (clock, if *sign == b'-' { -seconds } else { seconds })
            }
            _ => return None,
        };
        let local = Self::at(date, clock)?;
        Self::from_unix(local.seconds - offset, local.nanos)
    }

    /// Reads whichever of the two textual forms this is.
    pub fn parse(text: &str) -> Option<Self> {
        Self::parse_rfc3339(text).or_else(|| Self::parse_http_date(text))
    }

    /// As an HTTP date, such as `Fri, 24 May 2013 00:00:00 GMT`; fractions of a second are dropped.
    pub fn http_date(self) -> String {
        let (date, time) = self.civil();
        format!(
            "{}, {:02} {} {:04} {:02}:{:02}:{:02} GMT",
            DAYS[usize::from(date.weekday().number_days_from_monday())],
            date.day(),
            MONTHS[usize::from(u8::from(date.month())) - 1],
            date.year(),
            time.hour(),
            time.minute(),
            time.second()
        )
    }

    /// As RFC 3339 in UTC, such as `2013-05-24T00:00:00.5Z`, to the microsecond, without trailing zeros.
    pub fn rfc3339(self) -> String {
        let (date, time) = self.civil();
        let mut text = format!(
            "{:04}-{:02}-{:02}T{:02}:{:02}:{:02}",
            date.year(),
            u8::from(date.month()),
            date.day(),
            time.hour(),
            time.minute(),
            time.second()
        );
        if self.nanos >= 1_000 {
            let fraction = format!(".{:06}", self.nanos / 1_000);
            text.push_str(fraction.trim_end_matches('0'));
        }
        text.push('Z');
        text
    }

    /// The 16 bytes of `x-amz-date`, such as `20130524T000000Z`; the first 8 are the date of the
    /// credential scope.
    pub(crate) fn amz_date(self) -> [u8; 16] {
        let (date, time) = self.civil();
        let mut out = *b"00000000T000000Z";
        let mut put = |at: usize, width: usize, mut value: u32| {
            for digit in out[at..at + width].iter_mut().rev() {
                *digit = b'0' + u8::try_from(value % 10).unwrap_or(0);
                value /= 10;
            }
        };
        put(0, 4, date.year().unsigned_abs());
        put(4, 2, u32::from(u8::from(date.month())));
        put(6, 2, u32::from(date.day()));
        put(9, 2, u32::from(time.hour()));
        put(11, 2, u32::from(time.minute()));
        put(13, 2, u32::from(time.second()));
        out
    }

    fn civil(self) -> (Date, Time) {
        // Cannot fail: the range of the type is narrower than that of `OffsetDateTime`.
        let at = OffsetDateTime::from_unix_timestamp(self.seconds).unwrap_or(OffsetDateTime::UNIX_EPOCH);
        (at.date(), at.time())
    }

    /// `clock` is `hh:mm:ss` with an optional fraction.
    fn at(date: Date, clock: &[u8]) -> Option<Self> {
        let [_, _, b':', _, _, b':', _, _, fraction @ ..] = clock else { return None };
        let (hour, minute, second) = (number(&clock[..2])?, number(&clock[3..5])?, number(&clock[6..8])?);
        let fraction = match fraction {
            [] => fraction,
            [b'.', digits @ ..] => digits,
            _ => return None,
        };
        if hour > 23 || minute > 59 || second > 60 {
            return None;
        }
        // A leap second counts as the first of the next minute, as in POSIX time.
        let days = i64::from(date.to_julian_day()) - UNIX_EPOCH_JULIAN_DAY;
        let seconds = days * 86_400 + i64::from(hour * 3_600 + minute * 60 + second);
        let mut nanos = 0;
        let mut unit = 100_000_000;
        for digit in fraction {
            nanos += number(&[*digit])? * unit;
            // None is left after the ninth.
            unit /= 10;
        }
        Self::from_unix(seconds, nanos)
    }
}

fn digits(text: &str, len: usize) -> Option<u32> {
    if text.len() == len && (1..=4).contains(&len) { number(text.as_bytes()) } else { None }
}

/// Of a few digits, so that it does not overflow.
fn number(digits: &[u8]) -> Option<u32> {
    digits.iter().try_fold(0, |n, b| b.is_ascii_digit().then(|| n * 10 + u32::from(b - b'0')))
}

fn month_of(name: &str) -> Option<u8> {
    let index = MONTHS.iter().position(|m| *m == name)?;
    u8::try_from(index + 1).ok()
}

fn civil(year: u32, month: u8, day: u32) -> Option<Date> {
    let month = Month::try_from(month).ok()?;
    Date::from_calendar_date(i32::try_from(year).ok()?, month, u8::try_from(day).ok()?).ok()
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.rfc3339())
    }
}

impl fmt::Debug for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Times outside the range of [`Timestamp`] become its nearest end.
impl From<SystemTime> for Timestamp {
    fn from(t: SystemTime) -> Self {
        match t.duration_since(SystemTime::UNIX_EPOCH) {
            Ok(after) => Self::UNIX_EPOCH.saturating_add(after),
            Err(before) => Self::UNIX_EPOCH.saturating_sub(before.duration()),
        }
    }
}

/// Times outside the range of [`Timestamp`] become its nearest end.
impl From<OffsetDateTime> for Timestamp {
    fn from(t: OffsetDateTime) -> Self {
        let end = if t.unix_timestamp() < 0 { Self::MIN } else { Self::MAX };
        Self::from_unix(t.unix_timestamp(), t.nanosecond()).unwrap_or(end)
    }
}

/// Times before the first that the platform knows become that one: 1601 on Windows, 1970 or none elsewhere.
impl From<Timestamp> for SystemTime {
    fn from(t: Timestamp) -> Self {
        let (whole, nanos) =
            (Duration::from_secs(t.seconds.unsigned_abs()), Duration::from_nanos(t.nanos.into()));
        if t.seconds < 0 {
            before_epoch(whole.saturating_sub(nanos), |by| Self::UNIX_EPOCH.checked_sub(by))
        } else {
            // No platform ends before the year 9999.
            Self::UNIX_EPOCH.checked_add(whole.saturating_add(nanos)).unwrap_or(Self::UNIX_EPOCH)
        }
    }
}

/// From 1601, where the times of Windows begin, to the epoch.
const SINCE_WINDOWS_BEGAN: Duration = Duration::from_secs(11_644_473_600);

/// So long before the epoch, or as long as there are times.
fn before_epoch(by: Duration, step: impl Fn(Duration) -> Option<SystemTime>) -> SystemTime {
    step(by).or_else(|| step(SINCE_WINDOWS_BEGAN)).unwrap_or(SystemTime::UNIX_EPOCH)
}

impl From<Timestamp> for OffsetDateTime {
    fn from(t: Timestamp) -> Self {
        let (date, time) = t.civil();
        date.with_time(time).assume_utc() + Duration::from_nanos(u64::from(t.nanos))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn http_date_of_the_three_forms_is_the_same_instant() {
        let forms =
            ["Sun, 06 Nov 1994 08:49:37 GMT", "Sunday, 06-Nov-94 08:49:37 GMT", "Sun Nov  6 08:49:37 1994"];
        for form in forms {
            assert_eq!(Timestamp::parse_http_date(form).unwrap().unix_seconds(), 784_111_777, "{form}");
        }
    }

    #[test]
    fn a_platform_whose_times_begin_later_gives_its_first() {
        let begin = Timestamp::parse_rfc3339("1601-01-01T00:00:00Z").unwrap();
        let begin = Timestamp::UNIX_EPOCH.since(begin);
        let windows = |by| SystemTime::UNIX_EPOCH.checked_sub(by).filter(|_| by <= begin);
        for seconds in [begin.as_secs() + 1, begin.as_secs() + 2, 62_135_596_800] {
            let time = before_epoch(Duration::from_secs(seconds), windows);
            assert_eq!(time, SystemTime::UNIX_EPOCH - begin, "{seconds}");
        }
        assert_eq!(before_epoch(Duration::from_secs(5), |_| None), SystemTime::UNIX_EPOCH);
        let last = Timestamp::MIN.saturating_add(Duration::from_nanos(1));
        assert_eq!(Timestamp::from(SystemTime::from(last)), last);
    }

    #[test]
    fn text_that_is_no_date_is_refused() {
        let wrong = [
            "",
            "yesterday",
            "2013-13-01T00:00:00Z",
            "2013-02-30T00:00:00Z",
            "2013-05-24T24:00:00Z",
            "2013-05-24T00:00:00",
            "Fri, 24 May 2013 00:00:00 CET",
            "Fri, 24 Mai 2013 00:00:00 GMT",
            "Fri, 24 May 2013 00:00:00 GMT again",
            "2013-05-24T00:00:00.x5Z",
            "+013-05-24T00:00:00Z",
        ];
        for text in wrong {
            assert_eq!(Timestamp::parse(text), None, "{text:?}");
        }
    }

    #[test]
    fn an_offset_is_taken_off() {
        let t = Timestamp::parse_rfc3339("2013-05-24T02:00:00.25+02:00").unwrap();
        assert_eq!(t.rfc3339(), "2013-05-24T00:00:00.25Z");
    }

    #[test]
    fn the_signing_form_is_compact() {
        let t = Timestamp::from_unix(1_369_353_600, 7).unwrap();
        assert_eq!(&t.amz_date(), b"20130524T000000Z");
    }

    #[test]
    fn arithmetic_stops_at_the_ends() {
        assert_eq!(Timestamp::MAX.saturating_add(Duration::from_secs(1)), Timestamp::MAX);
        assert_eq!(Timestamp::MIN.saturating_sub(Duration::from_secs(1)), Timestamp::MIN);
        let long = Duration::new(i64::MAX.unsigned_abs(), 1);
        assert_eq!(Timestamp::UNIX_EPOCH.saturating_sub(long), Timestamp::MIN);
        assert_eq!(Timestamp::MIN.since(Timestamp::MAX), Duration::ZERO);
    }

    proptest! {
        #[test]
        fn every_form_reads_back(seconds in -62_135_596_800i64..=253_402_300_799, micros in 0u32..1_000_000) {
            let t = Timestamp::from_unix(seconds, micros * 1_000).unwrap();
            prop_assert_eq!(Timestamp::parse_rfc3339(&t.rfc3339()), Some(t));
            prop_assert_eq!(Timestamp::parse_http_date(&t.http_date()), Timestamp::from_unix(seconds, 0));
            prop_assert_eq!(Timestamp::from(OffsetDateTime::from(t)), t);
            prop_assert_eq!(Timestamp::from(SystemTime::from(t)), t);
        }

        #[test]
        fn adding_and_taking_away_is_a_round_trip(seconds in 0i64..4_000_000_000, nanos in 0u32..1_000_000_000, by in 0u64..1_000_000_000_000_000_000) {
            let t = Timestamp::from_unix(seconds, nanos).unwrap();
            let by = Duration::from_nanos(by);
            let later = t.saturating_add(by);
            prop_assert_eq!(later.since(t), by);
            prop_assert_eq!(later.saturating_sub(by), t);
        }

        #[test]
        fn no_text_panics(text in ".{0,40}") {
            let _ = Timestamp::parse(&text);
        }
    }
}
