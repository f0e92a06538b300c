//! The tables: what every system did, and every ratio beside its goal.

use std::fmt::Write as _;
use std::path::Path;

use snafu::{OptionExt as _, ResultExt as _};

use crate::Result;
use crate::figures::{Figures, Open, Round, Streams, median};
use crate::names::{DIRECT, ENVOY, ENVOY_FULL, FULL, LITELLM, ORDER, PLAIN, PORTKEY, TENSORZERO};

/// What the tables of the page stand between.
const MARKS: (&str, &str) = ("<!-- bench-gateway -->\n", "<!-- /bench-gateway -->\n");
const KIB: f64 = 1024.0;
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

/// All tables: of the systems, of their streams, and of the goals.
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
        of_direct(figures, |it| it.p50),
        of_direct(figures, |it| it.p99),
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
    text.push_str("\n| figure | measured | goal | met |\n|---|--:|--:|---|\n");
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

fn line_of_streams(figures: &Figures, name: &str) -> String {
    let at = |of: fn(&Streams) -> f64| of_streams(figures, name, of);
    // Nothing between adds nothing.
    let added = match name {
        DIRECT => f64::NAN,
        _ => added_to_first_text(figures, name),
    };
    let memory = at(|it| it.memory) / KIB;
    format!(
        "| {name} | {} | {} | {} | {} | {} |\n",
        microseconds(added),
        number(lost(figures, name)),
        number(at(|it| it.late as f64)),
        microseconds(at(|it| it.worst)),
        if memory.is_nan() {
            "—".to_owned()
        } else {
            format!("{memory:.1} KiB")
        }
    )
}

fn goals(figures: &Figures) -> Vec<Goal> {
    let cpu = |name: &str| of_system(figures, name, |it| it.cpu);
    let rate = |name: &str| of_system(figures, name, |it| it.rate);
    let direct = of_direct(figures, |it| it.p99);
    let added = |name: &str| of_open(figures, name, |it| it.p99) - direct;
    let late = |name: &str| of_streams(figures, name, |it| it.late as f64);
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
            added_to_first_text(figures, PLAIN) / 1e3,
            " ms",
            1.0,
        ),
        most("512 streams: texts lost", lost(figures, PLAIN), "", 0.0),
        most("512 streams: texts later than 5 ms", late(PLAIN), "", 0.0),
        most(
            "512 streams: texts later than 5 ms to Envoy's, plain",
            times(late(PLAIN), late(ENVOY)),
            "×",
            1.0,
        ),
        most(
            "512 streams: memory for each",
            of_streams(figures, PLAIN, |it| it.memory) / KIB,
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

/// Median over the rounds in which a text came.
fn of_streams(figures: &Figures, name: &str, of: fn(&Streams) -> f64) -> f64 {
    let rounds = figures.streams.get(name).into_iter().flatten();
    median(rounds.filter(|round| round.came > 0).map(of))
}

/// Texts that did not come, of all rounds; `NaN` of a system that no streams were sent through.
fn lost(figures: &Figures, name: &str) -> f64 {
    let sum = |rounds: &Vec<Streams>| rounds.iter().map(|round| round.lost as f64).sum::<f64>();
    figures.streams.get(name).map_or(f64::NAN, sum)
}

/// Microseconds that a system adds to the p99 of the time to the first text; the median of the
/// rounds.
fn added_to_first_text(figures: &Figures, name: &str) -> f64 {
    let p99 = |name: &str| figures.first_text.get(name).into_iter().flatten();
    median(
        p99(name)
            .zip(p99(DIRECT))
            .map(|(through, direct)| through - direct),
    )
}

/// How many times theirs ours are; 0 where there are none of either.
fn times(ours: f64, theirs: f64) -> f64 {
    if ours == 0.0 && theirs == 0.0 {
        return 0.0;
    }
    ours / theirs
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
