//! The faults, and the errors that fit each.

use std::time::Duration;

use s3_proto::{Error, ErrorKind, Phase};
use s3_test_server::Tamper;

use crate::PATIENCE;

/// A fault, and how a call may fail that meets nothing else.
#[derive(Clone, Copy)]
pub(crate) struct Fault {
    pub(crate) name: &'static str,
    pub(crate) tamper: Tamper,
    fits: &'static [(ErrorKind, Phase)],
    /// How long each phase may take.
    pub(crate) patience: Duration,
    /// The operations that it concerns; none is all.
    only: &'static [&'static str],
}

/// A row of the table.
#[derive(Clone, Copy)]
pub(crate) struct Case {
    pub(crate) fault: &'static Fault,
    pub(crate) tamper: Tamper,
    /// Whether it befalls every request, and not the first alone.
    pub(crate) always: bool,
}

pub(crate) const LEGEND: &str = "tokio, blocking, async-std, smol: . success with the right bytes, or an error: \
T time-out, C connection, B body too short, M not understood, K wrong checksum, D digest or signature refused, S unavailable, \
- does not concern, ! wrong";

pub(crate) fn letter(kind: ErrorKind) -> char {
    match kind {
        ErrorKind::Timeout => 'T',
        ErrorKind::Connect => 'C',
        ErrorKind::TruncatedBody => 'B',
        ErrorKind::MalformedResponse => 'M',
        ErrorKind::ChecksumMismatch => 'K',
        ErrorKind::BadDigest | ErrorKind::SignatureDoesNotMatch => 'D',
        ErrorKind::ServiceUnavailable => 'S',
        _ => '?',
    }
}

impl Case {
    pub(crate) fn title(&self) -> String {
        format!("{}, {}", self.fault.name, if self.always { "always" } else { "once" })
    }

    pub(crate) fn concerns(&self, operation: &str) -> bool {
        self.fault.only.is_empty() || self.fault.only.contains(&operation)
    }

    /// What is wrong with this error.
    pub(crate) fn unfit(&self, error: &Error) -> Option<String> {
        let is = |(kind, phase): &(ErrorKind, Phase)| error.kind() == *kind && error.phase() == Some(*phase);
        // Where something stalls it may take too long, in whatever phase.
        let is_late = error.kind() == ErrorKind::Timeout && self.fault.patience < NO_HURRY;
        (!is_late && !self.fault.fits.iter().any(is))
            .then(|| format!("{:?} in {:?}: {error}", error.kind(), error.phase()))
    }
}

const BODIES: &[&str] = &["get small", "get large", "download"];
const COLLECTED: &[&str] = &["list", "delete", "upload", "copy"];
/// Longer than anything takes on a busy machine: whatever takes as long hangs.
const NO_HURRY: Duration = Duration::from_secs(20);
const DATA: &[&str] = &["put small", "put large", "upload"];

use ErrorKind as K;
use Phase as P;

const fn fault(name: &'static str, tamper: Tamper, fits: &'static [(ErrorKind, Phase)]) -> Fault {
    Fault { name, tamper, fits, patience: NO_HURRY, only: &[] }
}

/// A fault that may be seen only by the time that it takes.
const fn stall(patience: Duration, fault: Fault) -> Fault {
    Fault { patience, ..fault }
}

const fn only(only: &'static [&'static str], fault: Fault) -> Fault {
    Fault { only, ..fault }
}

const CUT: &[(ErrorKind, Phase)] =
    &[(K::Connect, P::Send), (K::Connect, P::Wait), (K::TruncatedBody, P::Body)];
const BROKEN: &[(ErrorKind, Phase)] = &[(K::TruncatedBody, P::Body)];
const NOT_HTTP: &[(ErrorKind, Phase)] = &[(K::MalformedResponse, P::Wait), (K::MalformedResponse, P::Send)];

/// ureq takes what is there of a body behind an interim answer for a head, and that for too long.
const INTERIM: &[(ErrorKind, Phase)] = &[(K::MalformedResponse, P::Wait)];
/// What is missing is asked for, but there is no such range; or the answer says itself how long it is.
const TOO_LONG: &[(ErrorKind, Phase)] = &[(K::TruncatedBody, P::Body), (K::MalformedResponse, P::Parse)];

/// What comes over a connection that has asked for nothing yet is no answer, and ends the connection.
const EARLY: &[(ErrorKind, Phase)] = &[(K::ServiceUnavailable, P::Wait), (K::Connect, P::Wait)];

pub(crate) const FAULTS: &[Fault] = &[
    fault("reset", Tamper::Reset, CUT),
    fault("closed", Tamper::Close, CUT),
    fault("half-closed", Tamper::HalfClose, CUT),
    only(DATA, fault("reset in the request", Tamper::ResetUpload(1_000), CUT)),
    only(DATA, stall(PATIENCE, fault("request not taken", Tamper::StallUpload(1_000), &[]))),
    only(
        DATA,
        fault(
            "byte changed on its way up",
            Tamper::FlipUpload(100),
            &[(K::BadDigest, P::Wait), (K::SignatureDoesNotMatch, P::Wait)],
        ),
    ),
    fault("answer before the request", Tamper::AnswerEarly, EARLY),
    only(DATA, fault("no 100 Continue", Tamper::NoContinue, &[])),
    fault("answer lost", Tamper::LoseAnswer, CUT),
    stall(PATIENCE, fault("no answer", Tamper::StallAnswer, &[])),
    fault("not HTTP", Tamper::Garbage, NOT_HTTP),
    fault("huge head", Tamper::HugeHead, NOT_HTTP),
    fault("endless head", Tamper::EndlessHead, NOT_HTTP),
    fault("10 early hints", Tamper::EarlyHints(10), INTERIM),
    fault("1,000 early hints", Tamper::EarlyHints(1_000), INTERIM),
    // All of them keep the machine busy with what comes.
    stall(Duration::from_secs(2), fault("endless early hints", Tamper::EarlyHints(usize::MAX), INTERIM)),
    fault("reset in the body", Tamper::ResetBody(50), BROKEN),
    fault("body cut", Tamper::CutBody(50), BROKEN),
    stall(PATIENCE, fault("body stalls", Tamper::StallBody(50), &[])),
    fault("slow, within its limit", Tamper::Trickle(5, Duration::from_millis(60)), &[]),
    stall(PATIENCE, fault("slow, beyond its limit", Tamper::Trickle(3, PATIENCE.saturating_mul(2)), &[])),
    only(
        BODIES,
        fault("byte changed on its way down", Tamper::FlipBody(100), &[(K::ChecksumMismatch, P::Body)]),
    ),
    fault("length too long", Tamper::LengthTooLong, TOO_LONG),
    fault(
        "length too short",
        Tamper::LengthTooShort,
        &[(K::ChecksumMismatch, P::Body), (K::MalformedResponse, P::Parse)],
    ),
    // Whoever reads a stream of unknown length decides for himself when it is enough.
    only(COLLECTED, fault("endless body", Tamper::EndlessBody, &[(K::MalformedResponse, P::Body)])),
    fault("answer twice", Tamper::Twice, &[]),
    fault("closed after the answer", Tamper::CloseIdle, CUT),
];
