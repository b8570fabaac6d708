//! Which day and shift a moment belongs to, by the clock on the plant's wall.

use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;

/// The plant's days, each of which is one shift.
#[derive(Debug, Clone)]
pub struct Calendar {
    zone: TimeZone,
}

impl Calendar {
    pub fn new(zone: TimeZone) -> Self {
        Self { zone }
    }

    pub fn day_of(&self, time: Timestamp) -> Date {
        self.zone.to_datetime(time).date()
    }

    /// The shift's day and its name; no name: the whole day.
    pub fn shift_of(&self, time: Timestamp) -> (Date, Option<String>) {
        (self.day_of(time), None)
    }

    /// `2026-11-30T14:00+09:00`. An hour that the clock shows twice is two.
    pub fn hour_of(&self, time: Timestamp) -> String {
        time.to_zoned(self.zone.clone()).strftime("%Y-%m-%dT%H:00%:z").to_string()
    }

    /// When `day` begins.
    pub fn start_of(&self, day: Date) -> Option<Timestamp> {
        Some(day.to_zoned(self.zone.clone()).ok()?.start_of_day().ok()?.timestamp())
    }

    /// As IANA has it, or its offset.
    pub fn zone_name(&self) -> String {
        match self.zone.iana_name() {
            Some(name) => name.to_owned(),
            None => self.zone.to_offset(Timestamp::UNIX_EPOCH).to_string(),
        }
    }
}
