//! What watches the operator: made where it is wanted and possible.

use serde_json::Value;

use crate::helm::{Helm, OPERATOR, Prometheus, file, of, selects, the, values};

const KINDS: [&str; 2] = ["ServiceMonitor", "PrometheusRule"];

fn dashboards(objects: &[Value]) -> Vec<&Value> {
    let maps = of(objects, "ConfigMap").into_iter();
    maps.filter(|map| !map["data"]["lotoai-operator.json"].is_null())
        .collect()
}

#[test]
fn nothing_is_made_unasked() {
    let Some(helm) = Helm::find() else { return };
    let objects = helm.objects("default");
    for kind in KINDS {
        assert!(of(&objects, kind).is_empty(), "{kind}");
    }
    assert!(dashboards(&objects).is_empty());
}

#[test]
fn what_the_cluster_has_no_type_for_is_left_out_and_told() {
    let Some(helm) = Helm::find() else { return };
    let values = values("monitored");
    let objects = helm
        .template(OPERATOR, &values, Prometheus::Absent)
        .unwrap();
    for kind in KINDS {
        assert!(of(&objects, kind).is_empty(), "{kind}");
    }
    assert_eq!(dashboards(&objects).len(), 1, "Grafana needs no type");
    let Some(notes) = helm.notes(&values) else {
        return;
    };
    for kind in KINDS {
        let told = notes.contains(&format!("the cluster has no type {kind}"));
        assert!(told, "{notes}");
    }
    assert!(!helm.notes("").unwrap().contains("no type"));
}

#[test]
fn the_monitor_finds_the_service() {
    let Some(helm) = Helm::find() else { return };
    let objects = helm.objects("monitored");
    let monitor = the(&objects, "ServiceMonitor");
    let service = the(&objects, "Service");
    let selector = &monitor["spec"]["selector"]["matchLabels"];
    assert!(selects(selector, &service["metadata"]["labels"]));
    let endpoint = &monitor["spec"]["endpoints"][0];
    assert_eq!(endpoint["port"], service["spec"]["ports"][0]["name"]);
    assert_eq!(endpoint["interval"], "15s");
    assert_eq!(monitor["metadata"]["labels"]["release"], "prometheus");
}

#[test]
fn alerts_and_dashboard_are_the_files() {
    let Some(helm) = Helm::find() else { return };
    let objects = helm.objects("monitored");
    // Of several releases each looks at its own operator only: by the labels that the operator of
    // Prometheus gives to what a ServiceMonitor of that Service finds.
    let service = the(&objects, "Service")["metadata"]["name"].as_str();
    let namespace = the(&objects, "ServiceMonitor")["metadata"]["namespace"].as_str();
    let (Some(service), Some(namespace)) = (service, namespace) else {
        panic!("a Service and a ServiceMonitor")
    };
    let release = format!("{{job=\"{service}\",namespace=\"{namespace}\"");
    let rules = file("charts/lotoai-operator/files/alerts.yaml");
    let rules: Value = serde_yaml_ng::from_str(&rules.replace("{RELEASE", &release)).unwrap();
    assert_eq!(the(&objects, "PrometheusRule")["spec"], rules);
    let rules = rules.to_string();
    let metrics = rules.matches("lotoai_operator_").count();
    assert_eq!(rules.matches("namespace=").count(), metrics, "{rules}");
    // Who is found in another way may have other labels.
    let values = "{ metrics: { prometheusRule: { enabled: true } } }";
    let others = helm.template(OPERATOR, values, Prometheus::Installed);
    let rules = the(&others.unwrap(), "PrometheusRule").to_string();
    assert!(
        !rules.contains("RELEASE") && !rules.contains("namespace="),
        "{rules}"
    );
    assert!(rules.contains("lotoai_operator_leader{} == 1"), "{rules}");
    assert!(!rules.contains("{,"), "{rules}");
    let [map] = dashboards(&objects)[..] else {
        panic!("one dashboard")
    };
    let parse = |text: &str| serde_json::from_str::<Value>(text).unwrap();
    let held = map["data"]["lotoai-operator.json"].as_str().unwrap();
    assert_eq!(
        parse(held),
        parse(&file("charts/lotoai-operator/files/dashboard.json"))
    );
    assert_eq!(map["metadata"]["labels"]["grafana_dashboard"], "1");
    assert_eq!(map["metadata"]["annotations"]["grafana_folder"], "LotoAI");
}
