//! Metrics of the operator: what each pass and each of its steps came to.
//!
//! No client needed. Everything is recorded through the `metrics` facade; [`install`] connects it
//! to the Prometheus text that [`crate::serve`] hands out. What must end with its platform is kept here
//! and put into that text, because a recorder takes no gauge back.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use metrics::{
    Unit, counter, describe_counter, describe_gauge, describe_histogram, gauge, histogram,
};
use metrics_exporter_prometheus::{BuildError, Matcher, PrometheusBuilder, PrometheusHandle};
use metrics_util::MetricKindMask;

use crate::probe::Key;

/// Passes by platform and outcome: `applied`, `waiting`, `paused`, `deleting`, `failed` or `panicked`.
pub const RECONCILIATIONS: &str = "lotoai_operator_reconciliations_total";
/// Steps of passes by step and outcome: `ok`, `failed` or `abandoned`.
pub const STEPS: &str = "lotoai_operator_steps_total";
/// Seconds that one pass took.
pub const RECONCILE_SECONDS: &str = "lotoai_operator_reconcile_duration_seconds";
/// Objects handled by kind and outcome: `applied`, `unchanged`, `held` or `refused`.
pub const OBJECTS: &str = "lotoai_operator_objects_total";
/// Objects deleted by kind because the resource no longer asks for them.
pub const PRUNED: &str = "lotoai_operator_objects_pruned_total";
/// Probe questions by platform and outcome: `answered` or `failed`.
pub const PROBES: &str = "lotoai_operator_probes_total";
/// Seconds that one probe question took, from the token to the last byte of the answer.
pub const PROBE_SECONDS: &str = "lotoai_operator_probe_duration_seconds";
/// 1 while the condition `Ready` of a platform is true and 0 while it is not, by platform. There is none
/// for a platform that is paused, suspended, being deleted or gone.
pub const READY: &str = "lotoai_operator_platform_ready";
/// 1 while this process holds the leader lease.
pub const LEADER: &str = "lotoai_operator_leader";

/// Names of all metrics. Dashboard, alerts and documentation may name no others.
pub const ALL: [&str; 9] = [
    RECONCILIATIONS,
    STEPS,
    RECONCILE_SECONDS,
    OBJECTS,
    PRUNED,
    PROBES,
    PROBE_SECONDS,
    READY,
    LEADER,
];

/// Labels of what is counted for each platform. Prometheus gives `namespace` to the operator's own.
const NAMESPACE: &str = "platform_namespace";
const PLATFORM: &str = "platform";
/// A counter that nothing has counted on for so long is dropped: its platform may be gone.
const FORGET: Duration = Duration::from_hours(24);

/// A pass is some tens of milliseconds when nothing changed and a few seconds when everything is
/// created; the last bucket is the time limit of one API request.
const RECONCILE_BUCKETS: [f64; 10] = [0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0, 30.0];
/// A probe is cut off after ten seconds.
const PROBE_BUCKETS: [f64; 8] = [0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0];

/// Whether each platform is ready that is to be.
static PLATFORMS: Mutex<BTreeMap<Key, bool>> = Mutex::new(BTreeMap::new());

/// Installs the process-wide recorder and describes every metric.
///
/// # Errors
/// When another recorder is installed already.
pub fn install() -> Result<PrometheusHandle, BuildError> {
    let handle = PrometheusBuilder::new()
        .set_buckets_for_metric(
            Matcher::Full(RECONCILE_SECONDS.to_owned()),
            &RECONCILE_BUCKETS,
        )?
        .set_buckets_for_metric(Matcher::Full(PROBE_SECONDS.to_owned()), &PROBE_BUCKETS)?
        .idle_timeout(MetricKindMask::COUNTER, Some(FORGET))
        .install_recorder()?;
    describe_counter!(
        RECONCILIATIONS,
        "Passes over a LotoAI resource by platform and outcome"
    );
    describe_counter!(STEPS, "Steps of passes by step and outcome");
    describe_histogram!(RECONCILE_SECONDS, Unit::Seconds, "Duration of one pass");
    describe_counter!(OBJECTS, "Objects handled by kind and outcome");
    describe_counter!(
        PRUNED,
        "Objects deleted because no resource asks for them any more"
    );
    describe_counter!(PROBES, "Probe questions by platform and outcome");
    describe_histogram!(
        PROBE_SECONDS,
        Unit::Seconds,
        "Duration of one probe question"
    );
    describe_gauge!(LEADER, "1 while this process holds the leader lease");
    gauge!(LEADER).set(0.0);
    Ok(handle)
}

/// Everything as Prometheus reads it.
#[must_use]
pub fn render(recorded: &PrometheusHandle) -> String {
    let recorder = PrometheusBuilder::new().build_recorder();
    metrics::with_local_recorder(&recorder, || {
        describe_gauge!(READY, "1 while the condition Ready of a platform is true");
        for (of, ready) in platforms().iter() {
            let (namespace, name) = (of.namespace.clone(), of.name.clone());
            gauge!(READY, NAMESPACE => namespace, PLATFORM => name).set(f64::from(*ready));
        }
    });
    recorded.render() + &recorder.handle().render()
}

/// Says whether the platform `of` is ready.
pub fn ready(of: &Key, is_ready: bool) {
    platforms().insert(of.clone(), is_ready);
}

/// Says that the platform `of` need not be ready.
pub fn at_rest(of: &Key) {
    platforms().remove(of);
}

/// A poisoned lock only means that another task panicked while it held plain data.
fn platforms() -> MutexGuard<'static, BTreeMap<Key, bool>> {
    PLATFORMS.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Records that a pass over the platform `of` ended with `outcome` after `elapsed`.
pub fn reconciled(of: &Key, outcome: &'static str, elapsed: Duration) {
    counted(RECONCILIATIONS, of, outcome);
    histogram!(RECONCILE_SECONDS).record(elapsed.as_secs_f64());
}

/// Records what was done with one object of `kind`.
pub fn object(kind: &str, outcome: &'static str) {
    counter!(OBJECTS, "kind" => kind.to_owned(), "outcome" => outcome).increment(1);
}

/// Records that an object of `kind` was deleted by prune.
pub fn pruned(kind: &str) {
    counter!(PRUNED, "kind" => kind.to_owned()).increment(1);
}

/// Records one probe question to the platform `of`.
pub fn probed(of: &Key, answered: bool, elapsed: Duration) {
    counted(PROBES, of, if answered { "answered" } else { "failed" });
    histogram!(PROBE_SECONDS).record(elapsed.as_secs_f64());
}

fn counted(metric: &'static str, of: &Key, outcome: &'static str) {
    let (namespace, name) = (of.namespace.clone(), of.name.clone());
    counter!(metric, NAMESPACE => namespace, PLATFORM => name, "outcome" => outcome).increment(1);
}

/// Says whether this process leads.
pub fn leading(leads: bool) {
    gauge!(LEADER).set(if leads { 1.0 } else { 0.0 });
}

/// One step of a pass. It counts as `abandoned` when it is dropped without a result, so that `?`
/// and a cancelled pass need no bookkeeping.
#[must_use = "a step that is dropped counts as abandoned"]
#[derive(Debug)]
pub struct Step {
    name: &'static str,
    outcome: &'static str,
    started: Instant,
    /// From the beginning of the step to its end, inside of the span of the pass.
    span: tracing::Span,
}

impl Step {
    /// Begins the step `name`.
    pub fn begin(name: &'static str) -> Self {
        Self {
            name,
            outcome: "abandoned",
            started: Instant::now(),
            span: tracing::info_span!("step", otel.name = name, outcome = tracing::field::Empty),
        }
    }

    /// Ends the step and passes its result through.
    pub fn end<T, E>(mut self, result: Result<T, E>) -> Result<T, E> {
        self.outcome = if result.is_ok() { "ok" } else { "failed" };
        result
    }
}

impl Drop for Step {
    fn drop(&mut self) {
        counter!(STEPS, "step" => self.name, "outcome" => self.outcome).increment(1);
        self.span.record("outcome", self.outcome);
        tracing::debug!(
            step = self.name,
            outcome = self.outcome,
            elapsed_ms = u64::try_from(self.started.elapsed().as_millis()).unwrap_or(u64::MAX),
            "step ended"
        );
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use serde_json::Value;

    use super::*;

    #[test]
    fn a_step_counts_once_as_what_it_came_to() {
        let recorder = PrometheusBuilder::new().build_recorder();
        let handle = recorder.handle();
        metrics::with_local_recorder(&recorder, || {
            let _ = Step::begin("apply").end(Ok::<(), ()>(()));
            let _ = Step::begin("apply").end(Err::<(), ()>(()));
            drop(Step::begin("apply"));
        });
        let text = handle.render();
        for outcome in ["ok", "failed", "abandoned"] {
            let line = format!("{STEPS}{{step=\"apply\",outcome=\"{outcome}\"}} 1");
            assert!(text.contains(&line), "{line} is not in\n{text}");
        }
    }

    #[test]
    fn what_is_counted_names_its_platform() {
        let recorder = PrometheusBuilder::new().build_recorder();
        let handle = recorder.handle();
        let of = |namespace: &str| Key {
            namespace: namespace.to_owned(),
            name: "demo".to_owned(),
        };
        metrics::with_local_recorder(&recorder, || {
            probed(&of("a"), false, Duration::ZERO);
            probed(&of("b"), true, Duration::ZERO);
            reconciled(&of("b"), "applied", Duration::ZERO);
        });
        let text = handle.render();
        for line in [
            format!(r#"{PROBES}{{platform_namespace="a",platform="demo",outcome="failed"}} 1"#),
            format!(r#"{PROBES}{{platform_namespace="b",platform="demo",outcome="answered"}} 1"#),
            format!(
                r#"{RECONCILIATIONS}{{platform_namespace="b",platform="demo",outcome="applied"}} 1"#
            ),
        ] {
            assert!(text.contains(&line), "{line} is not in\n{text}");
        }
    }

    #[test]
    fn a_platform_is_ready_or_not_until_it_need_not_be() {
        let recorder = PrometheusBuilder::new().build_recorder();
        let of = |name: &str| Key {
            namespace: "metrics".to_owned(),
            name: name.to_owned(),
        };
        let said = |name: &str| {
            let line = format!(r#"{READY}{{platform_namespace="metrics",platform="{name}"}} "#);
            let text = render(&recorder.handle());
            let value = text.lines().find_map(|said| said.strip_prefix(&line));
            value.map(str::to_owned)
        };
        ready(&of("one"), true);
        ready(&of("other"), false);
        assert_eq!(said("one").as_deref(), Some("1"));
        assert_eq!(said("other").as_deref(), Some("0"));
        ready(&of("one"), false);
        assert_eq!(said("one").as_deref(), Some("0"));
        at_rest(&of("one"));
        assert_eq!(said("one"), None);
        assert_eq!(said("other").as_deref(), Some("0"));
    }

    #[test]
    fn of_a_platform_that_nobody_can_ask_an_alert_tells() {
        let alerts: Value =
            serde_yaml_ng::from_str(&file("charts/lotoai-operator/files/alerts.yaml")).unwrap();
        let rules = alerts["groups"][0]["rules"].as_array().unwrap();
        let name = "LotoAIPlatformNotReady";
        let rule = rules.iter().find(|rule| rule["alert"] == name).unwrap();
        let all = "max by (platform_namespace, platform)";
        assert_eq!(rule["expr"], format!("{all} ({READY}{{RELEASE}}) == 0"));
        // A platform that is made or brought to another version has its time.
        assert_eq!(rule["for"], "15m");
        assert_eq!(rule["labels"]["severity"], "critical");
    }

    fn file(path: &str) -> String {
        let root = concat!(env!("CARGO_MANIFEST_DIR"), "/../..");
        std::fs::read_to_string(format!("{root}/{path}")).unwrap()
    }

    /// The metrics that a text names. A histogram is read through its three series.
    fn named(text: &str) -> BTreeSet<String> {
        let words = text.split(|letter: char| !letter.is_ascii_lowercase() && letter != '_');
        words
            .filter(|word| word.starts_with("lotoai_operator_"))
            .map(|word| {
                let histogram = ["_bucket", "_sum", "_count"]
                    .into_iter()
                    .find_map(|series| word.strip_suffix(series));
                histogram.unwrap_or(word).to_owned()
            })
            .collect()
    }

    #[test]
    fn dashboard_alerts_and_page_name_the_metrics_that_there_are() {
        let all: BTreeSet<String> = ALL.map(str::to_owned).into();
        let dashboard = named(&file("charts/lotoai-operator/files/dashboard.json"));
        let alerts = named(&file("charts/lotoai-operator/files/alerts.yaml"));
        assert_eq!(dashboard, all);
        assert!(!alerts.is_empty() && alerts.is_subset(&all), "{alerts:?}");
        assert_eq!(named(&file("docs/operator.md")), all);
    }

    #[test]
    fn every_alert_is_explained() {
        let alerts: Value =
            serde_yaml_ng::from_str(&file("charts/lotoai-operator/files/alerts.yaml")).unwrap();
        let page = file("docs/operator.md");
        let rules = alerts["groups"][0]["rules"].as_array().unwrap();
        assert!(!rules.is_empty());
        for rule in rules {
            let name = rule["alert"].as_str().unwrap();
            assert!(page.contains(&format!("| `{name}` |")), "{name}");
            let known = ["critical", "warning"].map(Value::from);
            assert!(known.contains(&rule["labels"]["severity"]), "{name}");
            for text in ["summary", "description"] {
                assert!(rule["annotations"][text].is_string(), "{name}");
            }
        }
    }

    #[test]
    fn the_dashboard_is_read_from_the_source_that_a_person_chooses() {
        let dashboard: Value =
            serde_json::from_str(&file("charts/lotoai-operator/files/dashboard.json")).unwrap();
        for panel in dashboard["panels"].as_array().unwrap() {
            assert_eq!(panel["datasource"]["uid"], "${datasource}", "{panel}");
        }
    }
}
