//! How an object is cut into parts.

use crate::Error;
use crate::endpoint::Provider;
use crate::validate::{check_object_size, check_part_size};

/// Equal parts, but for the last: some stores want nothing else.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Plan {
    pub(super) part_size: u64,
    /// How many bytes there are in all, if that is known.
    pub(super) len: Option<u64>,
}

const MIB: u64 = 1 << 20;

impl Plan {
    /// Parts of `wanted` bytes, or of as many more as the store asks for, or as it takes for the most parts that
    /// it allows to be enough.
    pub(super) fn new(len: Option<u64>, wanted: u64, store: &Provider) -> Result<Self, Error> {
        check_part_size(wanted, false)?;
        let wanted = wanted.max(store.min_part_size);
        let Some(len) = len else { return Ok(Self { part_size: wanted, len: None }) };
        check_object_size(len)?;
        let least = len.div_ceil(u64::from(store.max_parts.max(1))).next_multiple_of(MIB);
        let part_size = wanted.max(least);
        if part_size > store.max_part_size {
            return Err(Error::invalid_input(format!(
                "{len} bytes take parts of {part_size} bytes, but '{}' has at most {} parts of at most {} bytes",
                store.name, store.max_parts, store.max_part_size
            )));
        }
        Ok(Self { part_size, len: Some(len) })
    }

    /// How many parts there are, if that is known.
    pub(super) fn count(&self) -> Option<u32> {
        u32::try_from(self.len?.div_ceil(self.part_size.max(1))).ok()
    }

    /// Where a part begins.
    pub(super) fn offset(&self, number: u32) -> u64 {
        u64::from(number.saturating_sub(1)).saturating_mul(self.part_size)
    }

    /// How many bytes it has; a whole part's where the end is not known.
    pub(super) fn len_of(&self, number: u32) -> u64 {
        match self.len {
            Some(len) => len.saturating_sub(self.offset(number)).min(self.part_size),
            None => self.part_size,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ErrorKind;
    use crate::validate::{MAX_OBJECT_SIZE, MAX_PART_NUMBER, MAX_PART_SIZE, MIN_PART_SIZE};
    use proptest::prelude::*;

    const GIB: u64 = 1 << 30;
    const TIB: u64 = 1 << 40;

    #[test]
    fn parts_grow_with_the_object_up_to_48_tib() {
        let cases = [
            // length, wanted; size of a part, how many, size of the last
            (1, 8 * MIB, 8 * MIB, 1, 1),
            (8 * MIB, 8 * MIB, 8 * MIB, 1, 8 * MIB),
            (8 * MIB + 1, 8 * MIB, 8 * MIB, 2, 1),
            (100 * MIB, 5 * MIB, 5 * MIB, 20, 5 * MIB),
            (5 * GIB, 8 * MIB, 8 * MIB, 640, 8 * MIB),
            (80_000 * MIB, 8 * MIB, 8 * MIB, 10_000, 8 * MIB),
            (80_000 * MIB + 1, 8 * MIB, 9 * MIB, 8_889, 8 * MIB + 1),
            (TIB, 8 * MIB, 105 * MIB, 9_987, 46 * MIB),
            (MAX_OBJECT_SIZE, 8 * MIB, MAX_PART_SIZE, 10_000, MAX_PART_SIZE),
            (MAX_OBJECT_SIZE, MAX_PART_SIZE, MAX_PART_SIZE, 10_000, MAX_PART_SIZE),
        ];
        for (len, wanted, part_size, count, last) in cases {
            let plan = Plan::new(Some(len), wanted, &Provider::AWS).unwrap();
            let found = (plan.part_size, plan.count().unwrap());
            assert_eq!(found, (part_size, count), "{len} bytes in parts of {wanted}");
            assert_eq!(plan.len_of(count), last, "the last of {len} bytes");
        }
    }

    #[test]
    fn what_s3_would_refuse_is_refused_before_anything_is_sent() {
        for (len, wanted) in [
            (Some(1), MIN_PART_SIZE - 1),
            (Some(1), MAX_PART_SIZE + 1),
            (Some(MAX_OBJECT_SIZE + 1), 8 * MIB),
            (None, 0),
        ] {
            assert_eq!(
                Plan::new(len, wanted, &Provider::AWS).unwrap_err().kind(),
                ErrorKind::InvalidInput,
                "{len:?}"
            );
        }
    }

    #[test]
    fn a_store_may_want_fewer_and_larger_parts() {
        let mut store = Provider::GENERIC;
        (store.max_parts, store.min_part_size, store.max_part_size) = (1_000, 10 * MIB, GIB);
        let part_size = |len| Plan::new(Some(len), 8 * MIB, &store).map(|plan| plan.part_size);

        assert_eq!(part_size(GIB).unwrap(), 10 * MIB);
        assert_eq!(part_size(20_000 * MIB).unwrap(), 20 * MIB);
        assert_eq!(part_size(1_000 * GIB).unwrap(), GIB);
        let error = part_size(1_000 * GIB + 1).unwrap_err();
        assert!(
            error.message().contains("'generic' has at most 1000 parts of at most 1073741824 bytes"),
            "{error}"
        );
    }

    proptest! {
        #[test]
        fn the_parts_are_the_whole_without_gap_or_overlap(
            len in 1..=MAX_OBJECT_SIZE,
            wanted in MIN_PART_SIZE..=MAX_PART_SIZE,
        ) {
            let plan = Plan::new(Some(len), wanted, &Provider::AWS).unwrap();
            let count = plan.count().unwrap();
            prop_assert!((1..=MAX_PART_NUMBER).contains(&count));
            prop_assert!(plan.part_size <= MAX_PART_SIZE);
            prop_assert!((1..=plan.part_size).contains(&plan.len_of(count)));
            prop_assert_eq!(plan.offset(count) + plan.len_of(count), len);
            if count > 1 {
                prop_assert_eq!(plan.len_of(1), plan.part_size);
                prop_assert_eq!(plan.offset(2), plan.part_size);
            }
            prop_assert_eq!(plan.len_of(count + 1), 0);
        }
    }
}
