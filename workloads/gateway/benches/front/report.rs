//! The tables: what every system did, and every ratio beside its goal.

use std::fmt::Write as _;
use std::path::Path;

use snafu::{OptionExt as _, ResultExt as _};

use crate::Result;
use crate::figures::{Figures, Open, Round, median};
use crate::names::{ENVOY, ENVOY_FULL, FULL, LITELLM, ORDER, PLAIN, PORTKEY, TENSORZERO};

/// What the tables of the page stand between.
const MARKS: (&str, &str) = ("<!-- bench-gateway -->\n", "<!-- /bench-gateway -->\n");
const MIB: f64 = 1_048_576.0;

/// A figure beside its goal.
struct Goal {
    what: &'static str,
    figure: f64,
    unit: &'static str,
    most: f64,
    /// Whether the goal is the least and not the most.
    is_least: bool,
}

impl Goal {
    fn met(&self) -> Option<bool> {
        let met = if self.is_least {
            self.figure >= self.most
        } else {
            self.figure <= self.most
        };
        (!self.figure.is_nan()).then_some(met)
    }
}

/// Prints both tables.
pub(crate) fn print(figures: &Figures) {
    println!("\n{}", tables(figures));
}

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

fn tables(figures: &Figures) -> String {
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
        of_direct(figures, |it| it.p50),
        of_direct(figures, |it| it.p99),
    );
    let _ = writeln!(
        text,
        "| nothing between | | | | | | {} | {} | | |\n",
        microseconds(p50),
        microseconds(p99)
    );
    text.push_str("| figure | measured | goal | met |\n|---|--:|--:|---|\n");
    for goal in goals(figures) {
        let (sign, met) = (if goal.is_least { "≥" } else { "≤" }, goal.met());
        let met = met.map_or("not measured", |met| if met { "yes" } else { "**no**" });
        let shown = if goal.figure.is_nan() {
            String::new()
        } else {
            format!("{}{}", number(goal.figure), goal.unit)
        };
        let _ = writeln!(
            text,
            "| {} | {shown} | {sign} {}{} | {met} |",
            goal.what,
            number(goal.most),
            goal.unit
        );
    }
    let _ = writeln!(
        text,
        "\nOf the streams {} texts came, the oldest after {}; with nothing between, {} of {} were late, \
         the oldest after {}.",
        figures.streams.came,
        microseconds(figures.streams.worst),
        figures.direct_streams.late,
        figures.direct_streams.came,
        microseconds(figures.direct_streams.worst)
    );
    text
}

fn line(figures: &Figures, name: &str) -> String {
    let at = |of: fn(&Round) -> f64| of_system(figures, name, of);
    let open = |of: fn(&Open) -> f64| microseconds(of_open(figures, name, of));
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

fn goals(figures: &Figures) -> Vec<Goal> {
    let cpu = |name: &str| of_system(figures, name, |it| it.cpu);
    let rate = |name: &str| of_system(figures, name, |it| it.rate);
    let direct = of_direct(figures, |it| it.p99);
    let added = |name: &str| of_open(figures, name, |it| it.p99) - direct;
    let first_text = median(
        figures
            .first_text
            .iter()
            .map(|(direct, ours)| ours - direct),
    );
    let most = |what, figure, unit, most| Goal {
        what,
        figure,
        unit,
        most,
        is_least: false,
    };
    let least = |what, figure, least| Goal {
        what,
        figure,
        unit: "×",
        most: least,
        is_least: true,
    };
    vec![
        most(
            "plain: CPU per request to Envoy's, plain",
            cpu(PLAIN) / cpu(ENVOY),
            "×",
            0.9,
        ),
        most(
            "plain: CPU per request to TensorZero's",
            cpu(PLAIN) / cpu(TENSORZERO),
            "×",
            0.35,
        ),
        most(
            "limits and storage: CPU per request to Envoy's with its three filters",
            cpu(FULL) / cpu(ENVOY_FULL),
            "×",
            1.0,
        ),
        most(
            "limits and storage: added p99 at 1,000/s to TensorZero's",
            added(FULL) / added(TENSORZERO),
            "×",
            0.5,
        ),
        least(
            "limits and storage: rate to LiteLLM's",
            rate(FULL) / rate(LITELLM),
            20.0,
        ),
        least(
            "limits and storage: rate to Portkey's",
            rate(FULL) / rate(PORTKEY),
            5.0,
        ),
        most(
            "added time to the first text, p99",
            first_text / 1e3,
            " ms",
            1.0,
        ),
        most(
            "512 streams: texts lost",
            figures.streams.lost as f64,
            "",
            0.0,
        ),
        most(
            "512 streams: texts later than 5 ms",
            figures.streams.late as f64,
            "",
            0.0,
        ),
        most(
            "512 streams: memory for each",
            figures.streams.memory / 1024.0,
            " KiB",
            64.0,
        ),
        most("ready after exec", figures.ready, " ms", 100.0),
        most("memory at rest", figures.idle / MIB, " MiB", 20.0),
        most(
            "image in release mode, packed",
            figures.image.map_or(f64::NAN, |bytes| bytes / 1e6),
            " MB",
            15.0,
        ),
    ]
}

fn of_system(figures: &Figures, name: &str, of: fn(&Round) -> f64) -> f64 {
    median(figures.systems.get(name).into_iter().flatten().map(of))
}

fn of_open(figures: &Figures, name: &str, of: fn(&Open) -> f64) -> f64 {
    let rounds = figures.systems.get(name).into_iter().flatten();
    median(rounds.filter_map(|round| round.open.as_ref()).map(of))
}

fn of_direct(figures: &Figures, of: fn(&Open) -> f64) -> f64 {
    median(figures.direct.iter().map(of))
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
    if value.fract() == 0.0 {
        format!("{value:.0}")
    } else {
        format!("{value:.2}")
    }
}
