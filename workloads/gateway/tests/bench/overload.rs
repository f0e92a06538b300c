//! What is counted of asking too much.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use crate::figures::{End, Figures, IN_TIME, Outcome, Overload, Round, quantile};
use crate::goals::goals;
use crate::names::{ENVOY, FULL};
use crate::report::tables;

const FILL: Duration = Duration::from_secs(1);
const DURATION: Duration = Duration::from_secs(2);

fn outcome(begun: Instant, due: u64, took: u64, end: End) -> Outcome {
    Outcome {
        due: begun + Duration::from_millis(due),
        took: Duration::from_millis(took),
        end,
    }
}

#[test]
fn what_ends_while_the_system_is_full_is_counted_and_nothing_else() {
    let begun = Instant::now();
    let outcome = |due, took, end| outcome(begun, due, took, end);
    let outcomes = [
        // While it fills, and after the load has ended.
        outcome(0, 900, End::Answered),
        outcome(10, 5, End::Refused),
        outcome(2900, 101, End::Answered),
        // Counted: in time, late, and refused.
        outcome(200, 900, End::Answered),
        outcome(2500, 500, End::Answered),
        outcome(1000, 1000, End::Answered),
        outcome(1500, 1001, End::Answered),
        outcome(1600, 7, End::Refused),
        outcome(1700, 9, End::Refused),
        outcome(900, 1100, End::Neither),
        outcome(1900, 1, End::Neither),
    ];
    let found = Overload::of(&outcomes, FILL, DURATION);
    assert_eq!(IN_TIME, Duration::from_secs(1));
    assert_eq!(found.answered, 1.5, "three in two seconds");
    assert_eq!(found.refused, 0.25, "two of eight");
    assert_eq!(found.p99.round(), 1_001_000.0, "late ones count in times");
    assert_eq!(found.refusal_p99.round(), 9000.0);
    let none = Overload::of(&[], FILL, DURATION);
    assert_eq!(none.answered, 0.0);
    assert!(none.refused.is_nan() && none.p99.is_nan());
}

#[test]
fn one_of_a_hundred_is_slower() {
    let times: Vec<_> = (1..=200).rev().map(Duration::from_micros).collect();
    assert_eq!(quantile(&times, 0.99).round(), 198.0);
    assert_eq!(quantile(&times, 0.5).round(), 100.0);
    assert!(quantile(&[], 0.5).is_nan());
}

#[test]
fn overload_stands_in_a_table_and_beside_its_goals() {
    let of = |answered: f64, refused: f64| Overload {
        offered: 3000.0,
        answered,
        refused,
        p99: 30_000.0,
        refusal_p99: if refused > 0.0 { 4000.0 } else { f64::NAN },
        quiet_p99: 10_000.0,
        memory: 52_428_800.0,
    };
    let full = Round {
        rate: 1000.0,
        p50: 1.0,
        p99: 2.0,
        cpu: 3.0,
        database: 0.0,
        open: None,
        memory: 0.0,
    };
    let figures = Figures {
        systems: BTreeMap::from([(FULL, vec![full])]),
        overload: BTreeMap::from([
            (FULL, vec![of(700.0, 0.7), of(900.0, 0.66), of(850.0, 0.68)]),
            (ENVOY, vec![of(2990.0, 0.0)]),
        ]),
        ..Figures::default()
    };
    let text = tables(&figures);
    for line in [
        "| LotoAI, limits and storage | 3000 | 850 | 30.0 ms | 68.0 % | 4000 µs | 10.0 ms | 50 MiB |",
        "| Envoy, plain | 3000 | 2990 | 30.0 ms | 0.0 % | — | 10.0 ms | 50 MiB |",
        "| overload: answers within 1 s to the rate of 16 callers | 0.85× |  | ≥ 0.80× | yes |",
        "| overload: p99 of answers to that when quiet | 3× |  | ≤ 2× | **no** |",
        "| overload: p99 of refusals | 4 ms |  | ≤ 50 ms | yes |",
    ] {
        assert!(text.lines().any(|it| it == line), "{line}\n{text}");
    }
    // Without the load nothing is said of it.
    let unmeasured = goals(&Figures::default()).into_iter();
    let overload = unmeasured.filter(|goal| goal.what.starts_with("overload: "));
    assert_eq!(
        overload.map(|goal| goal.met()).collect::<Vec<_>>(),
        [None::<bool>; 3]
    );
}
