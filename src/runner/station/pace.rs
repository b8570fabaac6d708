//! How fast the open batch goes on: from the units that passed in the last half hour, and from nothing else. A pause
//! slows it down, as it does the batch; while too little is known, nothing is said.

use std::collections::VecDeque;
use std::time::Duration;

use jiff::Timestamp;

use crate::domain::BatchName;
use crate::runner::view::PaceView;

const WINDOW: Duration = Duration::from_secs(30 * 60);
/// Shorter than this, and fewer than that, tells nothing of an hour.
const LEAST: Duration = Duration::from_secs(5 * 60);
const LEAST_UNITS: u64 = 3;
/// Nobody plans by an end that is further away.
const FAR: Duration = Duration::from_secs(7 * 24 * 3600);

#[derive(Debug, Default)]
pub(super) struct Pace {
    /// The batch, and since when it has been watched.
    watched: Option<(BatchName, Timestamp)>,
    /// How many of it had passed, and when that was seen; oldest first.
    seen: VecDeque<(Timestamp, u64)>,
}

impl Pace {
    /// So many of the open batch have passed.
    pub(super) fn note(&mut self, batch: Option<(&BatchName, u64)>, now: Timestamp) {
        let Some((batch, passed)) = batch else { return *self = Pace::default() };
        let same = self.watched.as_ref().is_some_and(|(known, since)| known == batch && *since <= now);
        // A ruling may take a PASS back, and a clock may be set.
        let goes_on = self.seen.back().is_none_or(|(at, known)| *at <= now && *known <= passed);
        if !same || !goes_on {
            *self = Pace { watched: Some((batch.clone(), now)), seen: VecDeque::new() };
        }
        if self.seen.back().is_none_or(|(_, known)| *known != passed) {
            self.seen.push_back((now, passed));
        }
        let begin = begin_of(now);
        // The last one before the window says how many there were when it began.
        while self.seen.get(1).is_some_and(|(at, _)| *at <= begin) {
            self.seen.pop_front();
        }
    }

    pub(super) fn view(&self, planned: u64, now: Timestamp) -> Option<PaceView> {
        let (_, since) = self.watched.as_ref()?;
        let begin = begin_of(now).max(*since);
        let span = Duration::try_from(now.duration_since(begin)).ok()?;
        let (_, passed) = *self.seen.back()?;
        let (_, before) = *self.seen.iter().rev().find(|(at, _)| *at <= begin).or(self.seen.front())?;
        let done = passed - before;
        if span < LEAST || done < LEAST_UNITS {
            return None;
        }
        let seconds_each = span.as_secs_f64() / done as f64;
        let left =
            Duration::try_from_secs_f64(seconds_each * planned.saturating_sub(passed) as f64).unwrap_or(Duration::MAX);
        let is_waited_for = passed < planned && left <= FAR;
        let ends = is_waited_for.then(|| now.checked_add(left).ok().and_then(whole_minute)).flatten();
        Some(PaceView { per_hour: (3600.0 / seconds_each).round() as u64, ends, at: whole_minute(now)? })
    }
}

fn begin_of(now: Timestamp) -> Timestamp {
    now.checked_sub(WINDOW).unwrap_or(Timestamp::MIN)
}

/// Nobody is told seconds, and a picture that is the same wakes no window.
fn whole_minute(at: Timestamp) -> Option<Timestamp> {
    Timestamp::from_second((at.as_second() + 30).div_euclid(60) * 60).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn minute(minute: i64) -> Timestamp {
        Timestamp::from_second(1_795_960_800 + minute * 60).unwrap()
    }

    fn batch() -> BatchName {
        "GW4-2611-07".parse().unwrap()
    }

    /// A unit each `every` minutes, from 0 to `until`.
    fn steady(every: i64, until: i64) -> Pace {
        let mut pace = Pace::default();
        for at in 0..=until {
            pace.note(Some((&batch(), (at / every) as u64)), minute(at));
        }
        pace
    }

    #[test]
    fn a_steady_line_is_told_its_pace_and_its_end() {
        let pace = steady(2, 60).view(100, minute(60)).unwrap();
        assert_eq!((pace.per_hour, pace.at), (30, minute(60)));
        // Seventy are left, two minutes each.
        assert_eq!(pace.ends, Some(minute(60 + 140)));
    }

    #[test]
    fn nothing_is_said_while_too_little_is_known() {
        assert_eq!(Pace::default().view(100, minute(0)), None);
        assert_eq!(steady(1, 4).view(100, minute(4)), None, "four minutes");
        assert!(steady(1, 5).view(100, minute(5)).is_some());
        assert_eq!(steady(10, 29).view(100, minute(29)), None, "two units");
    }

    #[test]
    fn a_pause_slows_it_down_and_half_an_hour_of_it_is_unknown() {
        let pace = steady(1, 60);
        assert_eq!(pace.view(100, minute(60)).unwrap().per_hour, 60);
        assert_eq!(pace.view(100, minute(75)).unwrap().per_hour, 30);
        assert_eq!(pace.view(100, minute(91)), None);
    }

    #[test]
    fn another_batch_a_ruling_or_a_clock_set_back_begins_anew() {
        let mut pace = steady(1, 30);
        pace.note(Some((&"OTHER".parse().unwrap(), 3)), minute(31));
        assert_eq!(pace.view(100, minute(31)), None);
        let mut pace = steady(1, 30);
        pace.note(Some((&batch(), 29)), minute(31));
        assert_eq!(pace.view(100, minute(31)), None);
        let mut pace = steady(1, 30);
        pace.note(Some((&batch(), 30)), minute(-600));
        assert_eq!(pace.view(100, minute(-600)), None);
        pace.note(None, minute(32));
        assert_eq!(pace.view(100, minute(32)), None);
    }

    #[test]
    fn an_end_is_told_while_there_is_one_to_wait_for() {
        assert_eq!(steady(1, 30).view(30, minute(30)).unwrap().ends, None, "it is done");
        assert_eq!(steady(10, 60).view(u64::MAX, minute(60)).unwrap().ends, None, "nobody lives to see it");
    }
}
