//! Timers of which the reactor knows one only.
//!
//! async-io wakes the thread that waits for events for every timer that is made, which takes several system calls.
//! Each request has time-outs, and nearly all of them are dropped long before they are over.

use std::collections::BTreeMap;
use std::future::poll_fn;
use std::pin::Pin;
use std::sync::{Mutex, MutexGuard, Once, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::Instant;

use async_io::Timer;
use s3_io::driver::Runtime as _;

use crate::AsyncStd;

/// For the whole process, as the reactor is. No waker is used or dropped while it is locked: the task behind it may
/// have timers of its own.
static TIMERS: Mutex<Timers> =
    Mutex::new(Timers { waiting: BTreeMap::new(), made: 0, rings: None, ringer: None });

/// When there is a task that rings.
static RINGER: Once = Once::new();

struct Timers {
    /// Who is to be woken, by the time and then in the order in which they came.
    waiting: BTreeMap<(Instant, u64), Waker>,
    /// How many there have been.
    made: u64,
    /// When those are woken whose time has come: once the first one's has, or earlier.
    rings: Option<Instant>,
    /// Wakes the task that does so.
    ringer: Option<Waker>,
}

/// Ends at a point in time.
#[derive(Debug)]
pub(crate) struct Sleep {
    at: Instant,
    id: Option<u64>,
}

impl Sleep {
    pub(crate) fn until(at: Instant) -> Self {
        Self { at, id: None }
    }
}

impl Future for Sleep {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        if self.at <= Instant::now() {
            return Poll::Ready(());
        }
        RINGER.call_once(|| AsyncStd::spawn(ring()));
        let mut timers = lock();
        let id = *self.id.get_or_insert_with(|| {
            timers.made += 1;
            timers.made
        });
        let known = timers.waiting.get(&(self.at, id)).is_some_and(|waker| waker.will_wake(cx.waker()));
        let replaced = if known { None } else { timers.waiting.insert((self.at, id), cx.waker().clone()) };
        let ringer = timers.ring_by(self.at);
        drop(timers);
        drop(replaced);
        if let Some(ringer) = ringer {
            ringer.wake();
        }
        Poll::Pending
    }
}

impl Drop for Sleep {
    fn drop(&mut self) {
        if let Some(id) = self.id {
            let waker = lock().waiting.remove(&(self.at, id));
            drop(waker);
        }
    }
}

impl Timers {
    /// Who has to be woken so that it rings at `at`, if it would ring later.
    fn ring_by(&mut self, at: Instant) -> Option<Waker> {
        if self.rings.is_some_and(|rings| rings <= at) {
            return None;
        }
        self.rings = Some(at);
        self.ringer.take()
    }

    /// Those whose time has come. It rings next for the first of the others.
    fn take_due(&mut self, now: Instant) -> BTreeMap<(Instant, u64), Waker> {
        let others = self.waiting.split_off(&(now, u64::MAX));
        self.rings = others.first_key_value().map(|(&(at, _), _)| at);
        std::mem::replace(&mut self.waiting, others)
    }
}

fn lock() -> MutexGuard<'static, Timers> {
    TIMERS.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Wakes whoever waits, for ever.
async fn ring() {
    let mut timer = Timer::never();
    poll_fn(|cx| {
        loop {
            let mut timers = lock();
            let due = timers.take_due(Instant::now());
            let rings = timers.rings;
            let replaced = timers.ringer.replace(cx.waker().clone());
            drop(timers);
            drop(replaced);
            due.into_values().for_each(Waker::wake);
            match rings {
                Some(at) => timer.set_at(at),
                None => timer = Timer::never(),
            }
            if Pin::new(&mut timer).poll(cx).is_pending() {
                return Poll::<()>::Pending;
            }
        }
    })
    .await;
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use async_std::task;

    use super::*;

    fn after(millis: u64) -> Sleep {
        Sleep::until(Instant::now() + Duration::from_millis(millis))
    }

    #[test]
    fn each_ends_at_its_time_whichever_was_made_first() {
        task::block_on(async {
            let begun = Instant::now();
            // The last one comes when it is set to ring for others already.
            let sleeps = [3_000, 120, 60].map(|millis| {
                task::spawn(async move {
                    after(millis).await;
                    Instant::now()
                })
            });
            let [_later, second, first] = sleeps;

            let (first, second) = (first.await, second.await);

            assert!(first - begun >= Duration::from_millis(60));
            assert!(second - begun >= Duration::from_millis(120));
            assert!(second - begun < Duration::from_millis(2_500));
        });
    }

    #[test]
    fn what_is_dropped_is_forgotten_and_the_next_one_still_ends() {
        task::block_on(async {
            let (mut dropped, kept) = (after(30), after(60));
            let key = poll_fn(|cx| {
                assert!(Pin::new(&mut dropped).poll(cx).is_pending());
                Poll::Ready((dropped.at, dropped.id.unwrap()))
            })
            .await;
            assert!(lock().waiting.contains_key(&key));

            drop(dropped);
            kept.await;

            assert!(!lock().waiting.contains_key(&key));
        });
    }

    #[test]
    fn whoever_polled_last_is_woken() {
        task::block_on(async {
            let mut sleep = after(50);
            assert!(Pin::new(&mut sleep).poll(&mut Context::from_waker(Waker::noop())).is_pending());

            task::spawn(sleep).await;
        });
    }
}
