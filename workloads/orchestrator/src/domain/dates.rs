//! Dates in a question: ISO, day and month by name (English and Spanish), with slashes, and a few
//! words such as `today` or `this month`.

use std::sync::LazyLock;

use jiff::{
    ToSpan,
    civil::{Date, Weekday},
};
use regex::{Captures, Regex};

use super::{
    language::Language,
    text::{fold, pattern},
};

const MONTHS: &[(&str, i8)] = &[
    ("january", 1),
    ("enero", 1),
    ("february", 2),
    ("febrero", 2),
    ("march", 3),
    ("marzo", 3),
    ("april", 4),
    ("abril", 4),
    ("may", 5),
    ("mayo", 5),
    ("june", 6),
    ("junio", 6),
    ("july", 7),
    ("julio", 7),
    ("august", 8),
    ("agosto", 8),
    ("september", 9),
    ("septiembre", 9),
    ("october", 10),
    ("octubre", 10),
    ("november", 11),
    ("noviembre", 11),
    ("december", 12),
    ("diciembre", 12),
];

const MONTH: &str = "(january|february|march|april|may|june|july|august|september|october|november|december|enero|febrero|marzo|abril|mayo|junio|julio|agosto|septiembre|octubre|noviembre|diciembre)";

static ISO: LazyLock<Regex> = LazyLock::new(|| pattern(r"\b(\d{4})-(\d{1,2})-(\d{1,2})\b"));
static SLASHES: LazyLock<Regex> =
    LazyLock::new(|| pattern(r"\b(\d{1,2})[/.](\d{1,2})[/.](\d{4})\b"));
static DAY_MONTH: LazyLock<Regex> = LazyLock::new(|| {
    with_month(
        r"\b(?:(\d{1,2})(?:st|nd|rd|th)? (?:al|a|y|to|and|until|hasta el) )?(\d{1,2})(?:st|nd|rd|th)?(?: de| of)? MONTH\b(?:,? (?:de |del )?(\d{4}))?",
    )
});
static MONTH_DAY: LazyLock<Regex> =
    LazyLock::new(|| with_month(r"\bMONTH (\d{1,2})(?:st|nd|rd|th)?\b(?:,? (\d{4}))?"));
static MONTH_ALONE: LazyLock<Regex> = LazyLock::new(|| {
    with_month(r"\b(?:in|during|en|de|durante) MONTH\b(?:,? (?:de |del )?(\d{4}))?")
});
static RELATIVE: LazyLock<Regex> = LazyLock::new(|| {
    pattern(
        r"\b(today|hoy|tomorrow|manana|yesterday|ayer|this (?:week|month|year)|est[ea] (?:semana|mes|ano)|next month|el (?:proximo mes|mes que viene)|last month|el mes pasado)\b",
    )
});

#[expect(
    clippy::expect_used,
    reason = "the patterns are literals; every one is used in a test"
)]
fn with_month(literal: &str) -> Regex {
    Regex::new(&literal.replace("MONTH", MONTH)).expect("a literal pattern compiles")
}

/// A date and where it stands in the folded text, in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Found {
    /// The date.
    pub date: Date,
    /// First byte.
    pub start: usize,
    /// One past the last byte.
    pub end: usize,
}

/// The dates of a text in the order in which they are written. Text that could be two dates
/// (03/04/2026 in an English question) gives none: asking beats guessing.
#[must_use]
pub fn find(text: &str, language: Language, today: Date) -> Vec<Found> {
    let folded = fold(text);
    let mut found = Vec::new();
    for captures in ISO.captures_iter(&folded) {
        let date = date(
            number(&captures, 1),
            number(&captures, 2),
            number(&captures, 3),
        );
        push(&mut found, &captures, [date, None]);
    }
    for captures in SLASHES.captures_iter(&folded) {
        let (first, second) = (number(&captures, 1), number(&captures, 2));
        let year = number(&captures, 3);
        let (day, month) = match (first, second, language) {
            (Some(13..), _, _) | (_, _, Language::Spanish) => (first, second),
            (_, Some(13..), _) => (second, first),
            (a, b, Language::English) if a == b => (a, b),
            _ => (None, None),
        };
        push(&mut found, &captures, [date(year, month, day), None]);
    }
    named(&folded, today, &mut found);
    for captures in RELATIVE.captures_iter(&folded) {
        push(&mut found, &captures, relative(&captures[1], today));
    }
    found.sort_by_key(|f| (f.start, f.date));
    found
}

/// Dates with a month by name. A year that is not written is taken from a date that has one, else
/// from today.
fn named(folded: &str, today: Date, found: &mut Vec<Found>) {
    let explicit_year = found.first().map(|f| f.date.year()).or_else(|| {
        [&*DAY_MONTH, &*MONTH_DAY].iter().find_map(|regex| {
            regex.captures_iter(folded).find_map(|c| {
                let last = c.len() - 1;
                c.get(last).and_then(|year| year.as_str().parse().ok())
            })
        })
    });
    let default_year = i32::from(explicit_year.unwrap_or(today.year()));
    for captures in DAY_MONTH.captures_iter(folded) {
        let month = captures.get(3).and_then(|m| month(m.as_str()));
        let year = number(&captures, 4).or(Some(default_year));
        let [first, second] = [1, 2].map(|group| date(year, month, number(&captures, group)));
        push(found, &captures, [first, second]);
    }
    for captures in MONTH_DAY.captures_iter(folded) {
        let month = month(&captures[1]);
        let year = number(&captures, 3).or(Some(default_year));
        push(
            found,
            &captures,
            [date(year, month, number(&captures, 2)), None],
        );
    }
    for captures in MONTH_ALONE.captures_iter(folded) {
        let year = number(&captures, 2).or(Some(default_year));
        let first = date(year, month(&captures[1]), Some(1));
        push(found, &captures, [first, first.map(Date::last_of_month)]);
    }
}

/// Keeps what does not overlap something that was found before.
fn push(found: &mut Vec<Found>, captures: &Captures<'_>, dates: [Option<Date>; 2]) {
    let Some(whole) = captures.get(0) else { return };
    let (start, end) = (whole.start(), whole.end());
    if found.iter().any(|f| f.start < end && start < f.end) {
        return;
    }
    found.extend(
        dates
            .into_iter()
            .flatten()
            .map(|date| Found { date, start, end }),
    );
}

fn number(captures: &Captures<'_>, group: usize) -> Option<i32> {
    captures.get(group)?.as_str().parse().ok()
}

fn month(name: &str) -> Option<i32> {
    MONTHS
        .iter()
        .find(|(month, _)| *month == name)
        .map(|(_, number)| i32::from(*number))
}

fn date(year: Option<i32>, month: Option<i32>, day: Option<i32>) -> Option<Date> {
    let year = i16::try_from(year?).ok()?;
    Date::new(year, i8::try_from(month?).ok()?, i8::try_from(day?).ok()?).ok()
}

/// One date for a day, two for a span.
fn relative(words: &str, today: Date) -> [Option<Date>; 2] {
    let month_of = |date: Option<Date>| {
        [
            date.map(Date::first_of_month),
            date.map(Date::last_of_month),
        ]
    };
    match words {
        "today" | "hoy" => [Some(today), None],
        "tomorrow" | "manana" => [today.tomorrow().ok(), None],
        "yesterday" | "ayer" => [today.yesterday().ok(), None],
        "this week" | "esta semana" => {
            let monday = match today.weekday() {
                Weekday::Monday => Some(today),
                _ => today.nth_weekday(-1, Weekday::Monday).ok(),
            };
            [
                monday,
                monday.and_then(|monday| monday.checked_add(6.days()).ok()),
            ]
        }
        "this year" | "este ano" => [Some(today.first_of_year()), Some(today.last_of_year())],
        "next month" | "el proximo mes" | "el mes que viene" => {
            month_of(today.checked_add(1.month()).ok())
        }
        "last month" | "el mes pasado" => month_of(today.checked_sub(1.month()).ok()),
        _ => month_of(Some(today)),
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;
    use crate::domain::language::detect;

    #[rstest]
    #[case("between 2026-11-02 and 2026-11-20", &["2026-11-02", "2026-11-20"])]
    #[case("¿hay entre 2/11/2026 y 20/11/2026?", &["2026-11-02", "2026-11-20"])]
    #[case("from 11/20/2026 on", &["2026-11-20"])]
    #[case("from 03/04/2026 on", &[])]
    #[case("from November 2 to November 20, 2026", &["2026-11-02", "2026-11-20"])]
    #[case("from the 2nd of November to the 20th of December 2027", &["2027-11-02", "2027-12-20"])]
    #[case("¿del 2 al 20 de noviembre de 2026?", &["2026-11-02", "2026-11-20"])]
    #[case("el 5 de enero", &["2026-01-05"])]
    #[case("today and tomorrow", &["2026-11-22", "2026-11-23"])]
    #[case("ayer", &["2026-11-21"])]
    #[case("working days this month", &["2026-11-01", "2026-11-30"])]
    #[case("días laborables de esta semana", &["2026-11-16", "2026-11-22"])]
    #[case("working days in March 2027", &["2027-03-01", "2027-03-31"])]
    #[case("días laborables el mes pasado", &["2026-10-01", "2026-10-31"])]
    #[case("next month", &["2026-12-01", "2026-12-31"])]
    #[case("este año", &["2026-01-01", "2026-12-31"])]
    #[case("2026-13-45 is no date", &[])]
    #[case("nothing here", &[])]
    fn finds(#[case] text: &str, #[case] expected: &[&str]) {
        let today = jiff::civil::date(2026, 11, 22);
        let found: Vec<String> = find(text, detect(text), today)
            .iter()
            .map(|f| f.date.to_string())
            .collect();
        assert_eq!(found, expected);
    }
}
