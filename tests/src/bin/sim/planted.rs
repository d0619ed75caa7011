//! Faults that are put between the simulator and the machines, to see that the simulator finds them.

/// Something that is done wrong on purpose.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Planted {
    /// A late answer goes to a task that is under way, as if nobody compared ids.
    AnswerRenumbered,
    /// A machine's deadline is forgotten while it waits for nothing else.
    DeadlineDropped,
    /// A machine waits until now.
    DeadlinePassed,
    /// Bytes go into the file one place too late.
    OffsetShifted,
    /// A part is kept under the number of another.
    PartRenumbered,
    /// The check sees other bytes than the reader.
    ChecksumIgnored,
    /// The check sees more bytes than the reader.
    TruncationHidden,
    /// A machine is not told that it was cancelled.
    CancelSwallowed,
    /// A checkpoint is half written.
    SaveTorn,
    /// A checkpoint is not written, but reported to be.
    SaveLost,
    /// A checkpoint is not found again.
    CheckpointIgnored,
    /// Credentials that the service refuses are given out again.
    CredentialsStale,
    /// Bytes are not written to a file, but reported to be.
    WriteLost,
    /// An object is not stored, but acknowledged.
    PutNotStored,
    /// An object is not deleted, but reported to be.
    DeleteSkipped,
    /// That an object could not be deleted is not reported.
    DeleteErrorSwallowed,
    /// A version is deleted where a marker was to hide it.
    VersionDeleted,
    /// The current object is taken in place of a version.
    VersionIgnored,
    /// Delete markers that are there are not listed.
    MarkersUnlisted,
    /// Together with an object the next one is deleted.
    NeighbourDeleted,
    /// A file is not removed, but reported to be.
    RemoveSkipped,
    /// A file that is there is not listed.
    EntryUnlisted,
    /// Objects seem to be newer than everything.
    TimesInvented,
    /// An upload is not aborted, but reported to be.
    AbortSwallowed,
    /// Uploads that are there are not listed.
    UploadsUnlisted,
    /// A copy takes other bytes than it was to.
    CopyRangeShifted,
    /// An answer is never handed over.
    AnswerLost,
    /// A request that stalls never times out.
    StallUnnoticed,
    /// Each request is repeated below the machine.
    RequestRepeated,
    /// The condition that an object is still the same is not sent.
    ConditionDropped,
    /// Something for the user comes twice.
    ItemRepeated,
    /// Something for the user does not come.
    ItemLost,
    /// A failure says nothing.
    ErrorUntyped,
    /// The clock of the service is not believed.
    DateHidden,
    /// The body of a request is not the one that was asked for.
    BodyOfAnother,
}

impl Planted {
    /// All, each with the number of seeds within which it must be found.
    pub(crate) const ALL: &[(Self, u64)] = &[
        (Self::AnswerRenumbered, 400),
        (Self::DeadlineDropped, 100),
        (Self::DeadlinePassed, 100),
        (Self::OffsetShifted, 100),
        (Self::PartRenumbered, 400),
        (Self::ChecksumIgnored, 400),
        (Self::TruncationHidden, 400),
        (Self::CancelSwallowed, 400),
        (Self::SaveTorn, 1_000),
        (Self::SaveLost, 1_000),
        (Self::CheckpointIgnored, 1_000),
        (Self::CredentialsStale, 200),
        (Self::WriteLost, 100),
        (Self::PutNotStored, 100),
        (Self::DeleteSkipped, 100),
        (Self::DeleteErrorSwallowed, 200),
        (Self::VersionDeleted, 200),
        (Self::VersionIgnored, 200),
        (Self::MarkersUnlisted, 400),
        (Self::NeighbourDeleted, 200),
        (Self::RemoveSkipped, 200),
        (Self::EntryUnlisted, 200),
        (Self::TimesInvented, 400),
        (Self::AbortSwallowed, 400),
        (Self::UploadsUnlisted, 2_000),
        (Self::CopyRangeShifted, 400),
        (Self::AnswerLost, 100),
        (Self::StallUnnoticed, 200),
        (Self::RequestRepeated, 100),
        (Self::ConditionDropped, 1_000),
        (Self::ItemRepeated, 100),
        (Self::ItemLost, 100),
        (Self::ErrorUntyped, 200),
        (Self::DateHidden, 200),
        (Self::BodyOfAnother, 100),
    ];
}
