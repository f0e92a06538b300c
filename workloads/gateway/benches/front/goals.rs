//! What the figures should be.

use crate::figures::Figures;
use crate::names::{
    ENVOY, ENVOY_FULL, FULL, LEAST, LEAST_STORED, LITELLM, PLAIN, PORTKEY, TENSORZERO,
};
use crate::report::{KIB, MIB};

/// A figure beside its goal.
pub(crate) struct Goal {
    pub(crate) what: &'static str,
    pub(crate) figure: f64,
    pub(crate) unit: &'static str,
    pub(crate) most: f64,
    /// The same figure of the least program; `NaN` where that has none.
    pub(crate) bare: f64,
    /// Whether the goal is the least and not the most.
    pub(crate) is_least: bool,
}

impl Goal {
    pub(crate) fn met(&self) -> Option<bool> {
        let met = if self.is_least {
            self.figure >= self.most
        } else {
            self.figure <= self.most
        };
        (!self.figure.is_nan()).then_some(met)
    }

    /// With the figure of the least program beside it.
    const fn beside(mut self, bare: f64) -> Self {
        self.bare = bare;
        self
    }
}

/// Every ratio and figure that has a goal, in the order of the table.
pub(crate) fn goals(figures: &Figures) -> Vec<Goal> {
    let cpu = |name: &str| figures.of_system(name, |it| it.cpu);
    let rate = |name: &str| figures.of_system(name, |it| it.rate);
    let direct = figures.of_direct(|it| it.p99);
    let added = |name: &str| figures.of_open(name, |it| it.p99) - direct;
    let late = |name: &str| figures.of_streams(name, |it| it.late as f64);
    let most = |what, figure, unit, most| Goal {
        what,
        figure,
        unit,
        most,
        bare: f64::NAN,
        is_least: false,
    };
    let least = |what, figure, least| Goal {
        what,
        figure,
        unit: "×",
        most: least,
        bare: f64::NAN,
        is_least: true,
    };
    vec![
        most(
            "plain: CPU per request to Envoy's, plain",
            cpu(PLAIN) / cpu(ENVOY),
            "×",
            0.9,
        )
        .beside(cpu(LEAST) / cpu(ENVOY)),
        most(
            "plain: CPU per request to TensorZero's",
            cpu(PLAIN) / cpu(TENSORZERO),
            "×",
            0.35,
        )
        .beside(cpu(LEAST) / cpu(TENSORZERO)),
        most(
            "limits and storage: CPU per request to Envoy's with its three filters",
            cpu(FULL) / cpu(ENVOY_FULL),
            "×",
            1.0,
        )
        .beside(cpu(LEAST_STORED) / cpu(ENVOY_FULL)),
        most(
            "limits and storage: added p99 at 1,000/s to TensorZero's",
            added(FULL) / added(TENSORZERO),
            "×",
            0.5,
        )
        .beside(added(LEAST_STORED) / added(TENSORZERO)),
        least(
            "limits and storage: rate to LiteLLM's",
            rate(FULL) / rate(LITELLM),
            20.0,
        )
        .beside(rate(LEAST_STORED) / rate(LITELLM)),
        least(
            "limits and storage: rate to Portkey's",
            rate(FULL) / rate(PORTKEY),
            5.0,
        )
        .beside(rate(LEAST_STORED) / rate(PORTKEY)),
        most(
            "added time to the first text, p99",
            figures.added_to_first_text(PLAIN) / 1e3,
            " ms",
            1.0,
        ),
        most("512 streams: texts lost", figures.lost(PLAIN), "", 0.0),
        most("512 streams: texts later than 5 ms", late(PLAIN), "", 0.0),
        most(
            "512 streams: texts later than 5 ms to Envoy's, plain",
            times(late(PLAIN), late(ENVOY)),
            "×",
            1.0,
        ),
        most(
            "512 streams: memory for each",
            figures.of_streams(PLAIN, |it| it.memory) / KIB,
            " KiB",
            64.0,
        ),
        least(
            "overload: answers within 1 s to the rate of 16 callers",
            figures.of_overload(FULL, |it| it.answered) / rate(FULL),
            0.8,
        ),
        most(
            "overload: p99 of answers to that when quiet",
            figures.of_overload(FULL, |it| it.p99) / figures.of_overload(FULL, |it| it.quiet_p99),
            "×",
            2.0,
        ),
        most(
            "overload: p99 of refusals",
            figures.of_overload(FULL, |it| it.refusal_p99) / 1e3,
            " ms",
            50.0,
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

/// How many times theirs ours are; 0 where there are none of either.
fn times(ours: f64, theirs: f64) -> f64 {
    if ours == 0.0 && theirs == 0.0 {
        return 0.0;
    }
    ours / theirs
}
