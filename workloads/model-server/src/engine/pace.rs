//! Whether an answer is written by all threads together or by one alone. On idle cores all are
//! faster; where other programs take the cores, threads that wait for each other hundreds of times
//! per token are many times slower than one. Nobody but the clock can tell which it is.

use std::time::Duration;

/// Who computes a call of the model.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Crew {
    One,
    All,
}

/// A call by all threads may take so many times what one by a single thread takes: it also judges
/// guesses, some of which are right.
const ALLOWED: f64 = 1.3;
/// One of so many calls is the other crew's, to see whether that has changed.
const TRIAL: u32 = 32;
/// A call counts as at most so many times what was expected: one that was interrupted says little.
const OUTLIER: f64 = 3.0;

/// How long the calls of each crew have taken lately.
#[derive(Debug, Default)]
pub(super) struct Pace {
    one: Option<f64>,
    all: Option<f64>,
    calls: u32,
}

impl Pace {
    /// Who computes the next call.
    pub(super) fn crew(&self) -> Crew {
        let (Some(one), Some(all)) = (self.one, self.all) else {
            return if self.all.is_none() {
                Crew::All
            } else {
                Crew::One
            };
        };
        let all_are_faster = all <= one * ALLOWED;
        let is_trial = self.calls.is_multiple_of(TRIAL);
        if all_are_faster == is_trial {
            Crew::One
        } else {
            Crew::All
        }
    }

    /// Takes note of a call.
    pub(super) fn took(&mut self, crew: Crew, elapsed: Duration) {
        self.calls = self.calls.wrapping_add(1);
        let expected = match crew {
            Crew::One => &mut self.one,
            Crew::All => &mut self.all,
        };
        let seconds = elapsed.as_secs_f64();
        // A call may be interrupted, and then takes longer, but nothing makes it shorter.
        *expected = Some(match *expected {
            Some(expected) if expected < seconds => {
                expected.midpoint(seconds.min(expected * OUTLIER))
            }
            _ => seconds,
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Who computes the next `calls` calls, when a call takes this many milliseconds.
    fn crews(pace: &mut Pace, calls: usize, one: u64, all: u64) -> Vec<Crew> {
        let mut crews = Vec::new();
        for _ in 0..calls {
            let crew = pace.crew();
            let elapsed = if crew == Crew::One { one } else { all };
            pace.took(crew, Duration::from_millis(elapsed));
            crews.push(crew);
        }
        crews
    }

    fn share(crews: &[Crew], crew: Crew) -> usize {
        crews.iter().filter(|each| **each == crew).count() * 100 / crews.len()
    }

    #[test]
    fn all_write_where_cores_are_idle() {
        let crews = crews(&mut Pace::default(), 320, 20, 16);
        assert!(share(&crews, Crew::All) >= 96);
    }

    #[test]
    fn one_writes_where_cores_are_busy_and_all_do_again_afterwards() {
        let mut pace = Pace::default();
        crews(&mut pace, 320, 20, 16);
        let busy = crews(&mut pace, 320, 80, 300);
        assert!(share(&busy, Crew::One) >= 90, "{busy:?}");
        let idle = crews(&mut pace, 320, 20, 16);
        assert!(share(&idle, Crew::All) >= 60, "{idle:?}");
        assert!(idle.ends_with(&[Crew::All; TRIAL as usize - 2]), "{idle:?}");
    }

    #[test]
    fn one_interrupted_call_changes_little() {
        let mut pace = Pace::default();
        crews(&mut pace, 40, 20, 16);
        pace.took(Crew::All, Duration::from_secs(2));
        let after = crews(&mut pace, 96, 20, 16);
        assert!(share(&after, Crew::All) >= 60, "{after:?}");
    }
}
