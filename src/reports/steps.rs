//! How long steps take. Their times stand in the runs' own events, which are too many to read for a plant: a sample
//! that is the same for the same runs, in whatever order they come.

use std::collections::{BTreeMap, BinaryHeap};

use super::figures::StepTimes;
use crate::domain::{RunId, Step};

/// So many runs tell a 95th percentile within a percent of its rank.
const SAMPLE: usize = 2000;

/// What the log has of a run's steps: milliseconds of each that ended well, a step that came twice as its sum.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Timed {
    pub steps: BTreeMap<Step, u64>,
    pub run: u64,
}

/// The runs whose random part is smallest: as good as drawn, and the same again next time.
#[derive(Debug, Default)]
pub struct Sample {
    drawn: BinaryHeap<([u8; 8], RunId)>,
}

impl Sample {
    pub fn offer(&mut self, run: RunId) {
        let mut random = [0; 8];
        // The first half of a version 7 UUID is a time (RFC 9562 §5.7).
        random.copy_from_slice(&run.as_uuid().as_bytes()[8..]);
        if self.drawn.len() < SAMPLE {
            self.drawn.push((random, run));
        } else if self.drawn.peek().is_some_and(|(largest, _)| random < *largest) {
            self.drawn.pop();
            self.drawn.push((random, run));
        }
    }

    pub fn runs(&self) -> Vec<RunId> {
        self.drawn.iter().map(|(_, run)| *run).collect()
    }
}

pub(super) fn times(timed: &[Timed]) -> Vec<StepTimes> {
    let each = Step::ALL.into_iter().map(|step| {
        let taken = timed.iter().filter_map(|timed| timed.steps.get(&step).copied()).collect();
        percentiles(step.as_str(), taken)
    });
    let whole = percentiles("run", timed.iter().map(|timed| timed.run).collect());
    each.chain([whole]).flatten().collect()
}

/// By the nearest rank: each is a time that was measured. `None` of nothing.
pub fn percentiles(step: &'static str, mut taken: Vec<u64>) -> Option<StepTimes> {
    taken.sort_unstable();
    let rank = |percent: usize| taken[(taken.len() * percent).div_ceil(100).max(1) - 1];
    let (min, max) = (*taken.first()?, *taken.last()?);
    let [p25, median, p75, p95] = [25, 50, 75, 95].map(rank);
    Some(StepTimes { step, runs: taken.len() as u64, min, p25, median, p75, p95, max })
}
