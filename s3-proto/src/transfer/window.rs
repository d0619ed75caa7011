//! How many parts may be in flight.

use std::time::Duration;

use crate::machine::Instant;

/// Goes down by half when the service asks to slow down, and comes back up by one for each round of parts
/// that went well.
#[derive(Clone, Debug)]
pub(crate) struct Window {
    most: usize,
    allowed: usize,
    /// Parts that went well since it last changed.
    went_well: usize,
    lowered: Option<Instant>,
}

/// Pleas that come sooner after one another belong to the same round, and count once.
const ROUND: Duration = Duration::from_secs(1);

impl Window {
    /// As wide as this, at least 1.
    pub(crate) fn new(most: usize) -> Self {
        let most = most.max(1);
        Self { most, allowed: most, went_well: 0, lowered: None }
    }

    /// How many may be in flight now. More may be, just after it went down: nothing is called back.
    pub(crate) fn allowed(&self) -> usize {
        self.allowed
    }

    /// The service asked to slow down.
    pub(crate) fn slow_down(&mut self, now: Instant) {
        self.went_well = 0;
        if self.lowered.is_none_or(|at| now.since(at) >= ROUND) {
            self.lowered = Some(now);
            self.allowed = (self.allowed / 2).max(1);
        }
    }

    /// A part went well.
    pub(crate) fn went_well(&mut self) {
        self.went_well += 1;
        if self.went_well >= self.allowed {
            self.went_well = 0;
            self.allowed = (self.allowed + 1).min(self.most);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(millis: u64) -> Instant {
        Instant::from_origin(Duration::from_millis(millis))
    }

    #[test]
    fn it_halves_once_a_round_and_never_below_one() {
        let mut window = Window::new(8);
        let seen = [0, 10, 999, 1_000, 2_000, 3_000, 4_000].map(|millis| {
            window.slow_down(at(millis));
            window.allowed()
        });
        assert_eq!(seen, [4, 4, 4, 2, 1, 1, 1]);
    }

    #[test]
    fn it_comes_back_by_one_a_round_and_not_further_than_it_was() {
        let mut window = Window::new(4);
        window.slow_down(at(0));
        let seen: Vec<usize> = (0..12)
            .map(|_| {
                window.went_well();
                window.allowed()
            })
            .collect();
        assert_eq!(seen, [2, 3, 3, 3, 4, 4, 4, 4, 4, 4, 4, 4]);
    }

    #[test]
    fn there_is_always_room_for_one() {
        assert_eq!(Window::new(0).allowed(), 1);
    }
}
