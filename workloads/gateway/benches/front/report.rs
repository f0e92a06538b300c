//! The tables: what every system did, and every ratio beside its goal.

use std::fmt::Write as _;
use std::path::Path;

use snafu::{OptionExt as _, ResultExt as _};

use crate::Result;
use crate::figures::{Figures, Open, Overload, Round, Streams};
use crate::goals::goals;
use crate::names::{DIRECT, ORDER};

/// What the tables of the page stand between.
const MARKS: (&str, &str) = ("<!-- bench-gateway -->\n", "<!-- /bench-gateway -->\n");
pub(crate) const KIB: f64 = 1024.0;
pub(crate) const MIB: f64 = 1_048_576.0;

/// Replaces the tables of a page.
pub(crate) fn write(figures: &Figures, page: &Path) -> Result<()> {
    let failed = || format!("failed to rewrite {}", page.display());
    let text = std::fs::read_to_string(page).with_whatever_context(|_| failed())?;
    let (head, rest) = text
        .split_once(MARKS.0)
        .with_whatever_context(|| format!("{} has no {:?}", page.display(), MARKS.0))?;
    let (_, tail) = rest
        .split_once(MARKS.1)
        .with_whatever_context(|| format!("{} has no {:?}", page.display(), MARKS.1))?;
    let text = format!("{head}{}{}{}{tail}", MARKS.0, tables(figures), MARKS.1);
    std::fs::write(page, text).with_whatever_context(|_| failed())
}

/// All tables: of the systems, of their streams, of overload, and of the goals.
pub(crate) fn tables(figures: &Figures) -> String {
    let mut text = String::from(
        "| system | requests/s | p50 | p99 | CPU per request | of the database | \
         at 1,000/s: p50 | p99 | CPU | memory |\n|---|--:|--:|--:|--:|--:|--:|--:|--:|--:|\n",
    );
    for name in ORDER {
        if figures.systems.contains_key(name) {
            text.push_str(&line(figures, name));
        }
    }
    let (p50, p99) = (
        figures.of_direct(|it| it.p50),
        figures.of_direct(|it| it.p99),
    );
    let _ = writeln!(
        text,
        "| {DIRECT} | | | | | | {} | {} | | |\n",
        microseconds(p50),
        microseconds(p99)
    );
    text.push_str(
        "| 512 streams through | first text: added p99 | texts lost | late | the oldest | \
         memory for each |\n|---|--:|--:|--:|--:|--:|\n",
    );
    for name in ORDER.into_iter().chain([DIRECT]) {
        if figures.streams.contains_key(name) {
            text.push_str(&line_of_streams(figures, name));
        }
    }
    text.push_str(
        "\n| overload | due each second | answered within 1 s, each second | p99 of answers | \
         refused | p99 of refusals | p99 of answers when quiet | memory at most |\n\
         |---|--:|--:|--:|--:|--:|--:|--:|\n",
    );
    for name in ORDER {
        if figures.overload.contains_key(name) {
            text.push_str(&line_of_overload(figures, name));
        }
    }
    text.push_str(
        "\n| figure | measured | the least program | goal | met |\n|---|--:|--:|--:|---|\n",
    );
    for goal in goals(figures) {
        let (sign, met) = (if goal.is_least { "≥" } else { "≤" }, goal.met());
        let met = met.map_or("not measured", |met| if met { "yes" } else { "**no**" });
        let shown = |figure: f64| {
            if figure.is_nan() {
                String::new()
            } else {
                format!("{}{}", number(figure), goal.unit)
            }
        };
        let _ = writeln!(
            text,
            "| {} | {} | {} | {sign} {} | {met} |",
            goal.what,
            shown(goal.figure),
            shown(goal.bare),
            shown(goal.most),
        );
    }
    text
}

fn line(figures: &Figures, name: &str) -> String {
    let at = |of: fn(&Round) -> f64| figures.of_system(name, of);
    let open = |of: fn(&Open) -> f64| microseconds(figures.of_open(name, of));
    let database = at(|it| it.database);
    format!(
        "| {name} | {:.0} | {} | {} | {} | {} | {} | {} | {} | {:.0} MiB |\n",
        at(|it| it.rate),
        microseconds(at(|it| it.p50)),
        microseconds(at(|it| it.p99)),
        microseconds(at(|it| it.cpu)),
        if database > 0.0 {
            microseconds(database)
        } else {
            String::new()
        },
        open(|it| it.p50),
        open(|it| it.p99),
        open(|it| it.cpu),
        at(|it| it.memory) / MIB
    )
}

fn line_of_streams(figures: &Figures, name: &str) -> String {
    let at = |of: fn(&Streams) -> f64| figures.of_streams(name, of);
    // Nothing between adds nothing.
    let added = match name {
        DIRECT => f64::NAN,
        _ => figures.added_to_first_text(name),
    };
    let memory = at(|it| it.memory) / KIB;
    format!(
        "| {name} | {} | {} | {} | {} | {} |\n",
        microseconds(added),
        number(figures.lost(name)),
        number(at(|it| it.late as f64)),
        microseconds(at(|it| it.worst)),
        if memory.is_nan() {
            "—".to_owned()
        } else {
            format!("{memory:.1} KiB")
        }
    )
}

fn line_of_overload(figures: &Figures, name: &str) -> String {
    let at = |of: fn(&Overload) -> f64| figures.of_overload(name, of);
    format!(
        "| {name} | {:.0} | {:.0} | {} | {:.1} % | {} | {} | {:.0} MiB |\n",
        at(|it| it.offered),
        at(|it| it.answered),
        microseconds(at(|it| it.p99)),
        at(|it| it.refused) * 100.0,
        microseconds(at(|it| it.refusal_p99)),
        microseconds(at(|it| it.quiet_p99)),
        at(|it| it.memory) / MIB
    )
}

fn microseconds(value: f64) -> String {
    if value.is_nan() {
        "—".to_owned()
    } else if value < 10_000.0 {
        format!("{value:.0} µs")
    } else {
        format!("{:.1} ms", value / 1e3)
    }
}

/// Whole numbers as they are, others with two decimals.
fn number(value: f64) -> String {
    if value.is_nan() {
        "—".to_owned()
    } else if value.is_infinite() {
        "∞".to_owned()
    } else if value.fract() == 0.0 {
        format!("{value:.0}")
    } else {
        format!("{value:.2}")
    }
}
