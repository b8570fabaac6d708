use crate::domain::{BoardSerial, Failure, LaneNumber, ReasonCode, StationName, Verdict};

/// Sounds and lights beside the station, for whoever looks elsewhere. No lane waits for them.
#[async_trait::async_trait]
pub trait Signals: Send + Sync {
    /// A unit has ended. `K-720`: nobody heard of it.
    async fn ended(&self, ended: &Ended) -> Result<(), Failure>;

    /// The tower shows this from now on.
    async fn tower(&self, tower: &Tower) -> Result<(), Failure>;
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ended {
    pub station: StationName,
    pub lane: LaneNumber,
    pub serial: Option<BoardSerial>,
    pub verdict: Verdict,
    pub code: Option<ReasonCode>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tower {
    pub station: StationName,
    pub light: Light,
    /// The verdicts that lanes show whose boards are still in.
    pub lanes: Vec<(LaneNumber, Verdict)>,
}

/// What the whole station needs, the most urgent first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Light {
    /// A board that failed waits to be taken out.
    Fail,
    /// A board could not be brought to its end, or the log takes nothing.
    Error,
    Running,
    Paused,
    Ready,
    /// The station has ended.
    Off,
}
