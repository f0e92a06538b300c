//! The stretches of time that budgets count in: minutes, days and months in UTC.

use jiff::civil::Date;
use jiff::tz::TimeZone;
use jiff::{Timestamp, ToSpan as _};
use serde::{Deserialize, Serialize};

const MINUTE: i64 = 60;
const DAY: i64 = 24 * 60 * MINUTE;

/// How long a budget's window is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Period {
    /// 60 seconds.
    Minute,
    /// From midnight to midnight.
    Day,
    /// From the first of a month to the first of the next.
    Month,
}

/// From `start` until just before `end`, in Unix seconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Window {
    /// First second of it.
    pub start: i64,
    /// First second after it: here the budget is whole again.
    pub end: i64,
}

impl Period {
    /// The window that holds `now`.
    pub fn window(self, now: Timestamp) -> Window {
        let now_seconds = now.as_second();
        let of = |length: i64| {
            let start = now_seconds.div_euclid(length) * length;
            Window {
                start,
                end: start + length,
            }
        };
        match self {
            Self::Minute => of(MINUTE),
            Self::Day => of(DAY),
            Self::Month => {
                let first = now.to_zoned(TimeZone::UTC).date().first_of_month();
                // There is no month after the last one that the calendar knows.
                let next = first.saturating_add(1.month());
                Window {
                    start: seconds(first),
                    end: seconds(next),
                }
            }
        }
    }
}

fn seconds(date: Date) -> i64 {
    let midnight = date.to_zoned(TimeZone::UTC);
    midnight.map_or(i64::MAX, |midnight| midnight.timestamp().as_second())
}

impl Window {
    /// Seconds from `now` until the window ends, at least one: what `Retry-After` says.
    pub fn seconds_left(&self, now: Timestamp) -> u64 {
        let left = self.end.saturating_sub(now.as_second());
        u64::try_from(left).unwrap_or_default().max(1)
    }

    /// When the window ends, in RFC 3339.
    pub fn resets_at(&self) -> String {
        Timestamp::from_second(self.end)
            .unwrap_or(Timestamp::MAX)
            .to_string()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[rstest::rstest]
    #[case(
        Period::Minute,
        "2026-11-26T05:20:59.999Z",
        "2026-11-26T05:20:00Z",
        "2026-11-26T05:21:00Z"
    )]
    #[case(
        Period::Day,
        "2026-12-31T23:59:59Z",
        "2026-12-31T00:00:00Z",
        "2027-01-01T00:00:00Z"
    )]
    #[case(
        Period::Month,
        "2028-02-29T12:00:00Z",
        "2028-02-01T00:00:00Z",
        "2028-03-01T00:00:00Z"
    )]
    #[case(
        Period::Month,
        "2026-12-01T00:00:00Z",
        "2026-12-01T00:00:00Z",
        "2027-01-01T00:00:00Z"
    )]
    fn windows(#[case] period: Period, #[case] now: &str, #[case] start: &str, #[case] end: &str) {
        let window = period.window(now.parse().unwrap());
        let at = |seconds| Timestamp::from_second(seconds).unwrap().to_string();
        assert_eq!(
            (at(window.start).as_str(), at(window.end).as_str()),
            (start, end)
        );
        assert_eq!(window.resets_at(), end);
    }

    #[test]
    fn there_is_always_something_to_wait_for() {
        let window = Window { start: 0, end: 60 };
        let at = |seconds| Timestamp::from_second(seconds).unwrap();
        assert_eq!(window.seconds_left(at(1)), 59);
        assert_eq!(window.seconds_left(at(60)), 1);
        assert_eq!(window.seconds_left(at(90)), 1);
    }

    proptest! {
        #[test]
        fn every_moment_lies_in_exactly_one_window(
            seconds in 0..4_000_000_000_i64, later in 0..70_i64 * 86_400,
        ) {
            let at = |seconds| Timestamp::from_second(seconds).unwrap();
            for period in [Period::Minute, Period::Day, Period::Month] {
                let window = period.window(at(seconds));
                prop_assert!(window.start <= seconds && seconds < window.end);
                // The next one begins where this one ends …
                prop_assert_eq!(period.window(at(window.end)).start, window.end);
                prop_assert_eq!(period.window(at(window.end - 1)), window);
                // … and two moments share a window or their windows do not touch.
                let other = period.window(at(seconds + later));
                prop_assert!(other == window || other.start >= window.end);
            }
        }
    }
}
