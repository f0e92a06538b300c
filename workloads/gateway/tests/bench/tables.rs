//! The tables, of made-up figures.

use std::collections::BTreeMap;

use rstest::rstest;

use crate::figures::{Figures, Open, Round, Streams};
use crate::names::{DIRECT, ENVOY, LEAST, PLAIN, TENSORZERO};
use crate::report::{tables, write};

/// Texts of all streams together.
const TEXTS: usize = 32_768;

fn came(late: usize) -> Streams {
    Streams {
        came: TEXTS,
        late,
        worst: 6000.0,
        memory: 2048.0,
        ..Streams::default()
    }
}

fn nothing_came() -> Streams {
    Streams {
        lost: TEXTS,
        ..Streams::default()
    }
}

/// The lines of the table whose head begins so, without the head.
fn table<'a>(text: &'a str, head: &str) -> Vec<&'a str> {
    let lines = text.lines().skip_while(|line| !line.starts_with(head));
    lines.take_while(|line| !line.is_empty()).skip(2).collect()
}

/// What the line of this goal says.
fn goal(figures: &Figures, what: &str) -> String {
    let (text, begin) = (tables(figures), format!("| {what} | "));
    let line = text.lines().find_map(|line| line.strip_prefix(&begin));
    line.unwrap().to_owned()
}

#[test]
fn a_system_that_is_not_asked_at_the_fixed_rate_has_no_times_of_it() {
    let slow = Round {
        rate: 100.0,
        p50: 5000.0,
        p99: 12_000.0,
        cpu: 500.0,
        database: 300.0,
        open: None,
        memory: 10_485_760.0,
    };
    let fast = Round {
        cpu: 1000.0,
        database: 0.0,
        open: Some(Open {
            p50: 1.0,
            p99: 2.0,
            cpu: 3.0,
        }),
        ..slow.clone()
    };
    let least = Round {
        cpu: 250.0,
        ..fast.clone()
    };
    let figures = Figures {
        systems: BTreeMap::from([
            (PLAIN, vec![slow]),
            (ENVOY, vec![fast]),
            (LEAST, vec![least]),
        ]),
        ..Figures::default()
    };
    assert_eq!(
        table(&tables(&figures), "| system |"),
        [
            "| LotoAI, plain | 100 | 5000 µs | 12.0 ms | 500 µs | 300 µs | — | — | — | 10 MiB |",
            "| the least program | 100 | 5000 µs | 12.0 ms | 250 µs |  | 1 µs | 2 µs | 3 µs | 10 MiB |",
            "| Envoy, plain | 100 | 5000 µs | 12.0 ms | 1000 µs |  | 1 µs | 2 µs | 3 µs | 10 MiB |",
            "| nothing between | | | | | | — | — | | |",
        ]
    );
    let cpu = goal(&figures, "plain: CPU per request to Envoy's, plain");
    assert_eq!(cpu, "0.50× | 0.25× | ≤ 0.90× | yes |");
}

#[test]
fn streams_stand_beside_those_of_others_and_those_with_nothing_between() {
    let of_round = |number: usize| Streams {
        came: TEXTS - number,
        lost: number,
        late: 10 * number,
        worst: 4000.0 * number as f64,
        memory: 1024.0 * number as f64,
    };
    let direct = Streams {
        memory: f64::NAN,
        ..came(5)
    };
    let figures = Figures {
        streams: BTreeMap::from([
            (DIRECT, vec![direct; 3]),
            (TENSORZERO, vec![nothing_came(); 3]),
            (ENVOY, vec![came(40); 3]),
            (PLAIN, [3, 1, 2].map(of_round).to_vec()),
        ]),
        // Of each round the difference, and of the differences the middle.
        first_text: BTreeMap::from([
            (DIRECT, vec![1000.0, 3000.0, 2000.0]),
            (ENVOY, vec![1100.0, 3100.0, 2100.0]),
            (PLAIN, vec![1100.0, 3500.0, 5000.0]),
        ]),
        ..Figures::default()
    };
    assert_eq!(
        table(&tables(&figures), "| 512 streams through |"),
        [
            "| LotoAI, plain | 500 µs | 6 | 20 | 8000 µs | 2.0 KiB |",
            "| Envoy, plain | 100 µs | 0 | 40 | 6000 µs | 2.0 KiB |",
            "| TensorZero, plain | — | 98304 | — | — | — |",
            "| nothing between | — | 0 | 5 | 6000 µs | — |",
        ]
    );
    for (what, expected) in [
        (
            "added time to the first text, p99",
            "0.50 ms |  | ≤ 1 ms | yes |",
        ),
        ("512 streams: texts lost", "6 |  | ≤ 0 | **no** |"),
        (
            "512 streams: texts later than 5 ms",
            "20 |  | ≤ 0 | **no** |",
        ),
        (
            "512 streams: memory for each",
            "2 KiB |  | ≤ 64 KiB | yes |",
        ),
    ] {
        assert_eq!(goal(&figures, what), expected, "{what}");
    }
}

#[rstest]
#[case::fewer(came(20), came(40), "0.50× |  | ≤ 1× | yes |")]
#[case::more(came(60), came(40), "1.50× |  | ≤ 1× | **no** |")]
#[case::none_of_either(came(0), came(0), "0× |  | ≤ 1× | yes |")]
#[case::only_of_ours(came(5), came(0), "∞× |  | ≤ 1× | **no** |")]
#[case::of_streams_that_all_failed(came(5), nothing_came(), " |  | ≤ 1× | not measured |")]
fn late_texts_are_compared_with_those_through_envoy(
    #[case] ours: Streams,
    #[case] theirs: Streams,
    #[case] expected: &str,
) {
    let figures = Figures {
        streams: BTreeMap::from([(PLAIN, vec![ours]), (ENVOY, vec![theirs])]),
        ..Figures::default()
    };
    let compared = goal(
        &figures,
        "512 streams: texts later than 5 ms to Envoy's, plain",
    );
    assert_eq!(compared, expected);
}

#[test]
fn the_tables_of_the_page_are_replaced_and_nothing_else() {
    let directory = tempfile::tempdir().unwrap();
    let page = directory.path().join("performance.md");
    let real = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/performance.md");
    let before = std::fs::read_to_string(real).unwrap();
    std::fs::write(&page, &before).unwrap();
    let figures = Figures {
        ready: 12.0,
        ..Figures::default()
    };
    write(&figures, &page).unwrap();
    let after = std::fs::read_to_string(&page).unwrap();
    let (begin, end) = ("<!-- bench-gateway -->\n", "<!-- /bench-gateway -->\n");
    let (head, _) = before.split_once(begin).unwrap();
    let (_, tail) = before.split_once(end).unwrap();
    assert_eq!(
        after,
        format!("{head}{begin}{}{end}{tail}", tables(&figures))
    );
    assert!(after.contains("| ready after exec | 12 ms |  | ≤ 100 ms | yes |"));
}

#[test]
fn a_page_without_a_place_for_tables_stays_as_it_is() {
    let directory = tempfile::tempdir().unwrap();
    let page = directory.path().join("page.md");
    std::fs::write(&page, "no marks\n").unwrap();
    let error = write(&Figures::default(), &page).unwrap_err();
    assert!(error.to_string().contains("has no"), "{error}");
    assert_eq!(std::fs::read_to_string(&page).unwrap(), "no marks\n");
}
