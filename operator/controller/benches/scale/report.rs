//! The closing table: every figure beside its goal.

use crate::figures::{Figures, Memory};

/// How many failed passes are told.
const FAILURES: usize = 20;

/// One line of the table.
struct Row {
    what: String,
    operator: String,
    twin: String,
    goal: &'static str,
    /// Whether the goal is met, when there is one and its figures are there.
    met: Option<bool>,
}

/// Prints the table.
pub(crate) fn print(operator: &Figures, twin: Option<&Figures>) {
    println!(
        "\n{:<44} {:>12} {:>12}  {:<10} met",
        format!("{} resources", operator.resources),
        "operator",
        "twin",
        "goal"
    );
    for row in rows(operator, twin) {
        let met = row.met.map_or("", |met| if met { "yes" } else { "NO" });
        println!(
            "{:<44} {:>12} {:>12}  {:<10} {met}",
            row.what, row.operator, row.twin, row.goal
        );
    }
    print_failures(&operator.failures);
}

/// Says why passes failed, of the first of many.
fn print_failures(failures: &[String]) {
    for failure in failures.iter().take(FAILURES) {
        println!("  {failure}");
    }
    if failures.len() > FAILURES {
        println!("  and {} more", failures.len() - FAILURES);
    }
}

fn rows(operator: &Figures, twin: Option<&Figures>) -> Vec<Row> {
    let row = |what: &str, of: &dyn Fn(&Figures) -> String, goal, met| Row {
        what: what.to_owned(),
        operator: of(operator),
        twin: twin.map_or_else(String::new, of),
        goal,
        met,
    };
    let ratio = |what: &str, of: &dyn Fn(&Figures) -> f64, goal, most: f64| {
        let ratio = twin.map(|twin| of(operator) / of(twin));
        Row {
            what: what.to_owned(),
            operator: ratio.map_or_else(String::new, |ratio| format!("{ratio:.3}x")),
            twin: String::new(),
            goal,
            met: ratio.map(|ratio| ratio <= most),
        }
    };
    let mut rows = vec![
        row(
            "children of a resource",
            &|f| each(f, f.children as u64),
            "",
            None,
        ),
        row(
            "all settled after",
            &|f| format!("{:.0} s", f.settle_seconds),
            "",
            None,
        ),
        row(
            "failed passes until then",
            &|f| f.failed_passes.to_string(),
            "0",
            Some(operator.failed_passes == 0),
        ),
        row("passes for a resource", &|f| each(f, f.passes), "", None),
    ];
    for verb in verbs(operator, twin) {
        rows.push(row(
            &format!("{verb} requests for a resource"),
            &|f| each(f, f.requests.get(verb).copied().unwrap_or_default()),
            "",
            None,
        ));
    }
    for count in operator.memory.keys() {
        let at = |f: &Figures| f.memory.get(count).map_or_else(String::new, mebibytes);
        let is_last = *count == operator.resources;
        rows.push(row(
            &format!("resident memory at {count}"),
            &at,
            if is_last { "64 MiB" } else { "" },
            is_last.then(|| resident(operator) <= 64 << 20),
        ));
    }
    rows.extend([
        row(
            "growth for a resource",
            &|f| format!("{:.1} KB", growth(f) / 1000.0),
            "30 KB",
            Some(growth(operator) <= 30_000.0),
        ),
        row(
            "edit to child, p50",
            &|f| milliseconds(f.edits.p50),
            "",
            None,
        ),
        row(
            "edit to child, p99",
            &|f| milliseconds(f.edits.p99),
            "250 ms",
            Some(operator.edits.p99 <= 250.0 && operator.edits.missed == 0),
        ),
        row(
            "edits that reached no child",
            &|f| f.edits.missed.to_string(),
            "",
            None,
        ),
        row(
            "memory for 50 MB of objects of others",
            &|f| format!("{:.1} MB", ballast(f) / 1e6),
            "5 MB",
            Some(ballast(operator) <= 5e6),
        ),
        row(
            "objects changed in a minute of stillness",
            &|f| f.stillness.changed.to_string(),
            "0",
            Some(operator.stillness.changed == 0),
        ),
        row(
            "writes in that minute",
            &|f| f.stillness.writes.to_string(),
            "0",
            Some(operator.stillness.writes == 0),
        ),
        row(
            "reads in that minute",
            &|f| f.stillness.reads.to_string(),
            "",
            None,
        ),
        row(
            "objects changed by a restart",
            &|f| f.restart.changed.to_string(),
            "0",
            Some(operator.restart.changed == 0),
        ),
        row(
            "writes sent by a restart",
            &|f| f.restart.writes.to_string(),
            "0",
            Some(operator.restart.writes == 0),
        ),
        row(
            "restart takes",
            &|f| format!("{:.0} s", f.restart.seconds),
            "",
            None,
        ),
        row(
            "peak memory of a restart",
            &|f| format!("{:.1} MiB", bytes(f.restart.memory.peak) / 1_048_576.0),
            "",
            None,
        ),
        ratio(
            "memory, operator to twin",
            &|f| bytes(resident(f)),
            "0.25x",
            0.25,
        ),
        ratio(
            "edit to child p99, operator to twin",
            &|f| f.edits.p99,
            "1.0x",
            1.0,
        ),
    ]);
    rows
}

fn verbs<'a>(operator: &'a Figures, twin: Option<&'a Figures>) -> Vec<&'a String> {
    let all = std::iter::once(operator).chain(twin);
    let mut verbs: Vec<_> = all.flat_map(|figures| figures.requests.keys()).collect();
    verbs.sort();
    verbs.dedup();
    verbs
}

/// A sum for each resource.
fn each(figures: &Figures, sum: u64) -> String {
    format!("{:.1}", bytes(sum) / bytes(figures.resources as u64))
}

fn mebibytes(memory: &Memory) -> String {
    format!("{:.1} MiB", bytes(memory.resident) / 1_048_576.0)
}

fn milliseconds(value: f64) -> String {
    format!("{value:.0} ms")
}

/// Resident memory with all resources.
fn resident(figures: &Figures) -> u64 {
    figures
        .memory
        .last_key_value()
        .map_or(0, |(_, memory)| memory.resident)
}

/// Bytes for each resource beyond the first hundred.
fn growth(figures: &Figures) -> f64 {
    let mut last = figures.memory.iter().rev();
    let (Some((many, high)), Some((few, low))) = (last.next(), last.next()) else {
        return f64::NAN;
    };
    (bytes(high.resident) - bytes(low.resident)) / bytes((many - few) as u64)
}

/// Bytes that the objects of others add.
fn ballast(figures: &Figures) -> f64 {
    bytes(figures.with_ballast.resident) - bytes(figures.before_ballast.resident)
}

fn bytes(count: u64) -> f64 {
    count as f64
}
