//! What may be asked of usage: a span of days, checked.

use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;

use super::parameters::Parameters;
use crate::failure::Failure;

/// Days that one question about usage may span.
const MAX_DAYS: i32 = 366;
/// Days of a question that names no first one.
const USUAL_DAYS: i64 = 30;
/// The database has no year 0.
const FIRST_DAY: Date = Date::constant(1, 1, 1);

/// First and last day of a question, of `from` and `to`; the last 30 days when nothing is said.
///
/// # Errors
/// 400 that names the day that is none, or the span that is too long.
pub fn span(query: &mut Parameters, now: Timestamp) -> Result<(Date, Date), Failure> {
    let today = now.to_zoned(TimeZone::UTC).date();
    let to = query
        .take("to")
        .map_or(Ok(today), |text| date("to", &text))?;
    let usual = || {
        let from = to.saturating_sub(jiff::Span::new().days(USUAL_DAYS - 1));
        Ok(from.max(FIRST_DAY))
    };
    let from = query
        .take("from")
        .map_or_else(usual, |text| date("from", &text))?;
    let days = from.until(to).map_or(i32::MAX, |span| span.get_days());
    if !(0..MAX_DAYS).contains(&days) {
        let message = format!("from must not be after to, and at most {MAX_DAYS} days before it");
        return Err(Failure::invalid("from", message));
    }
    Ok((from, to))
}

/// A day; `name` is the parameter that says it.
///
/// # Errors
/// 400 for anything else, and for a year that no database has.
pub fn date(name: &str, text: &str) -> Result<Date, Failure> {
    let fault = || Failure::invalid(name, format!("{name} must be a day such as 2026-11-26"));
    let date: Date = text.parse().map_err(|_| fault())?;
    // The parser takes times of a day as well, and years that no database has.
    if date.to_string() == text && date >= FIRST_DAY {
        Ok(date)
    } else {
        Err(fault())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[rstest::rstest]
    #[case("", Some(("2026-10-28", "2026-11-26")))]
    #[case("to=2026-01-31", Some(("2026-01-02", "2026-01-31")))]
    #[case("from=2026-11-26", Some(("2026-11-26", "2026-11-26")))]
    #[case("from=2025-11-26", Some(("2025-11-26", "2026-11-26")))]
    #[case("from=2025-11-25", None)]
    #[case("from=2026-11-27", None)]
    #[case("from=yesterday", None)]
    #[case("from=-000001-01-01", None)]
    #[case("from=2026-11-26T10:00", None)]
    #[case("to=0001-01-05", Some(("0001-01-01", "0001-01-05")))]
    fn spans(#[case] query: &str, #[case] expected: Option<(&str, &str)>) {
        let mut query = Parameters::parse(Some(query), &["from", "to"]).unwrap();
        let now = "2026-11-26T05:00:00Z".parse().unwrap();
        let span = span(&mut query, now).ok();
        let span = span.map(|(from, to)| (from.to_string(), to.to_string()));
        let expected = expected.map(|(from, to)| (from.to_owned(), to.to_owned()));
        assert_eq!(span, expected);
    }
}
