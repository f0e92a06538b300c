//! The edge: what its options reach.

mod routes;

use crate::cluster::Cluster;
use crate::common::{FIXTURES, objects, operator, provided, resource};
use lotoai_api::{Component, reasons};
use lotoai_plan::credentials::required_secrets;
use lotoai_plan::kinds::Certificate;
use lotoai_plan::{Gate, Node, Platform, ProbeOutcome, gates, probe_question, validate};
use rstest::rstest;
use serde_json::{Value, json};

/// One of the files of Traefik's ConfigMap.
fn file(fixture: &str, name: &str) -> Value {
    let (_, set) = objects(fixture);
    let map = set
        .config_maps
        .iter()
        .find(|map| map.metadata.name.as_deref() == Some("demo-traefik"))
        .unwrap();
    serde_yaml_ng::from_str(&map.data.as_ref().unwrap()[name]).unwrap()
}

fn minimal(edge: Value) -> Platform {
    let mut lotoai = resource("minimal");
    lotoai.spec.edge = serde_json::from_value(edge).unwrap();
    validate(&lotoai, &provided(), &operator("minimal")).unwrap()
}

#[rstest]
fn answers_are_never_held_back_to_measure_them(
    #[values("minimal", "traefik-options")] fixture: &str,
) {
    // Traefik's buffering middleware hands an answer on when it is complete, which ends streaming.
    let dynamic = file(fixture, "dynamic.yaml").to_string();
    assert!(!dynamic.contains("buffering") && !dynamic.contains("compress"));
}

/// What reaches it by a port is read by other servers afterwards, so no port is left out.
#[rstest]
fn every_port_refuses_what_can_be_read_in_two_ways(
    #[values("minimal", "traefik-options")] fixture: &str,
) {
    let fixed = file(fixture, "traefik.yaml");
    let points = fixed["entryPoints"].as_object().unwrap();
    assert!(points.len() >= 3, "{points:?}");
    for (name, point) in points {
        assert_eq!(point["http"]["aliasHeadersStrategy"], "delete", "{name}");
        let encoded = point["http"]["encodedCharacters"].as_object().unwrap();
        assert_eq!(encoded.len(), 7, "{name}: all that Traefik can tell apart");
        assert!(
            encoded.values().all(|allowed| *allowed == json!(false)),
            "{name}"
        );
    }
}

#[rstest]
fn no_log_holds_what_people_typed(#[values("minimal", "traefik-options")] fixture: &str) {
    let log = &file(fixture, "traefik.yaml")["accessLog"];
    assert_eq!(log["format"], "json");
    assert_eq!(log["fields"]["defaultMode"], "drop");
    assert_eq!(log["fields"]["headers"], Value::Null);
    let names = log["fields"]["names"].as_object().unwrap();
    for leak in ["RequestPath", "RequestLine", "ClientUsername"] {
        assert!(!names.contains_key(leak), "{leak}");
    }
}

/// Every key of a value that some entry point or middleware could trust a proxy in front with.
fn trusting(value: &Value) -> Vec<String> {
    const KEYS: [&str; 8] = [
        "depth",
        "excludedIPs",
        "forwardedHeaders",
        "insecure",
        "passHostHeader",
        "proxyProtocol",
        "requestHeaderName",
        "trustedIPs",
    ];
    match value {
        Value::Object(fields) => fields
            .iter()
            .flat_map(|(key, value)| {
                let own = KEYS.contains(&key.as_str()).then(|| key.clone());
                own.into_iter().chain(trusting(value))
            })
            .collect(),
        Value::Array(items) => items.iter().flat_map(trusting).collect(),
        _ => Vec::new(),
    }
}

/// CVE-2026-21862 of RustFS: nothing in front of Traefik is trusted, so what a client writes into
/// X-Forwarded-For is replaced, and rules by address count the address of the connection.
#[test]
fn cve_2026_21862_no_entry_point_trusts_what_is_forwarded() {
    let mut limited = 0;
    for fixture in FIXTURES {
        let (_, set) = objects(fixture);
        let maps = set.config_maps.iter();
        let mut maps = maps.filter(|map| map.metadata.name.as_deref() == Some("demo-traefik"));
        if maps.next().is_none() {
            continue;
        }
        let (fixed, dynamic) = (file(fixture, "traefik.yaml"), file(fixture, "dynamic.yaml"));
        for config in [&fixed, &dynamic] {
            assert_eq!(trusting(config), Vec::<String>::new(), "{fixture}");
        }
        let middlewares = dynamic["http"]["middlewares"].as_object().unwrap();
        for rule in middlewares.values() {
            // Without a strategy of its own the list goes by the address of the connection.
            assert_eq!(rule["ipAllowList"]["ipStrategy"], Value::Null, "{fixture}");
            let limit = &rule["rateLimit"];
            if !limit.is_null() {
                let strategy = json!({ "ipStrategy": { "ipv6Subnet": 64 } });
                assert_eq!(limit["sourceCriterion"], strategy, "{fixture}");
                limited += 1;
            }
        }
    }
    assert!(limited > 0, "the control: there is a limit by address");
    let planted = json!({ "entryPoints": { "websecure": {
        "forwardedHeaders": { "trustedIPs": ["0.0.0.0/0"] },
    } } });
    assert_eq!(
        trusting(&planted),
        ["forwardedHeaders", "trustedIPs"],
        "the control"
    );
}

#[test]
fn the_operator_asks_past_the_list_of_allowed_addresses_and_nobody_else_does() {
    let (platform, set) = objects("traefik-options");
    let question = probe_question(&platform);
    assert_eq!(question.edge_host, "demo-traefik-probe.ai.svc");
    let fixed = file("traefik-options", "traefik.yaml");
    let points = &fixed["entryPoints"];
    assert_eq!(
        points["websecure"]["http"]["middlewares"],
        json!(["allowed-addresses@file", "rate-limit@file"])
    );
    assert_eq!(points["probe"]["address"], ":8444");
    assert_eq!(points["probe"]["http"]["middlewares"], Value::Null);
    let leads_to_it: Vec<_> = set
        .objects()
        .into_iter()
        .filter(|object| object.resource.kind == "Service")
        .filter(|object| object.body["spec"]["ports"].to_string().contains("8444"))
        .map(|object| (object.name, object.body["spec"]["type"].clone()))
        .collect();
    assert_eq!(
        leads_to_it,
        [("demo-traefik-probe".to_owned(), json!("ClusterIP"))]
    );
    let minimal = file("minimal", "traefik.yaml");
    assert_eq!(minimal["entryPoints"]["probe"], Value::Null);
    assert_eq!(
        probe_question(&objects("minimal").0).edge_host,
        "demo-traefik.ai.svc"
    );
}

#[rstest]
#[case(json!({ "service": { "type": "NodePort" } }), None)]
#[case(json!({ "traefik": { "rateLimit": {} } }), None)]
#[case(json!({ "service": { "type": "NodePort" }, "traefik": { "rateLimit": {} } }), Some("Local"))]
#[case(
    json!({ "service": { "type": "LoadBalancer" }, "traefik": { "allowedCIDRs": ["::/0"] } }),
    Some("Local")
)]
fn rules_by_address_get_the_address_of_the_client(
    #[case] edge: Value,
    #[case] policy: Option<&str>,
) {
    let platform = minimal(edge);
    let set = lotoai_plan::build(&platform, &crate::common::credentials(&platform));
    let service = set
        .services
        .iter()
        .find(|service| service.metadata.name.as_deref() == Some("demo-traefik"))
        .unwrap();
    let spec = service.spec.as_ref().unwrap();
    assert_eq!(spec.external_traffic_policy.as_deref(), policy);
}

#[test]
fn browsers_insist_on_https_only_with_a_certificate_that_they_may_trust() {
    let headers = |fixture: &str, name: &str| {
        let dynamic = file(fixture, "dynamic.yaml");
        dynamic["http"]["middlewares"][name]["headers"]["stsSeconds"].clone()
    };
    for name in ["security-headers", "security-headers-gateway"] {
        assert_eq!(headers("minimal", name), Value::Null);
        assert_eq!(headers("custom", name), 31_536_000);
        assert_eq!(headers("traefik-options", name), 86_400);
    }
}

#[test]
fn the_size_of_uploads_reaches_who_takes_them_and_who_reads_them() {
    let (_, set) = objects("traefik-options");
    let value = |deployment: &str, name: &str| {
        let found = set
            .deployments
            .iter()
            .find(|object| object.metadata.name.as_deref() == Some(deployment))
            .unwrap();
        let template = &found.spec.as_ref().unwrap().template;
        let env = template.spec.as_ref().unwrap().containers[0].env.clone();
        let variable = env.unwrap().into_iter().find(|v| v.name == name).unwrap();
        variable.value.unwrap()
    };
    let bytes = (64 * 1024 * 1024).to_string();
    assert_eq!(value("demo-gateway", "UPLOAD_MAX_BYTES"), bytes);
    assert_eq!(value("demo-rag-ingest", "MAX_DOCUMENT_BYTES"), bytes);
}

#[test]
fn the_operator_signs_a_certificate_only_when_nobody_gives_one() {
    let signs = |fixture: &str| {
        let secrets = required_secrets(&objects(fixture).0);
        secrets.iter().any(|spec| spec.name() == "demo-tls")
    };
    assert!(signs("minimal") && signs("gateway-api"));
    assert!(!signs("custom") && !signs("cert-manager"));
}

const NOW: &str = "2026-11-22T10:00:00Z";

fn ready(cluster: &Cluster, fixture: &str, probe: &ProbeOutcome) -> (String, String) {
    let status = cluster.status(&resource(fixture), probe, NOW);
    assert_eq!(status.condition("Stalled"), None);
    let ready = status.condition("Ready").unwrap();
    (ready.reason.clone(), ready.message.clone())
}

#[test]
fn the_proxy_waits_for_a_certificate_that_is_not_issued_even_when_it_runs() {
    let mut cluster = Cluster::up_of("cert-manager");
    let gate = |cluster: &Cluster| {
        gates(&cluster.platform, &cluster.set, &cluster.observed)
            .gate(Node::Component(Component::Traefik))
            .clone()
    };
    assert_eq!(gate(&cluster), Gate::Open);
    cluster.observed.secrets.remove("demo-edge-tls");
    let Gate::Closed { message } = gate(&cluster) else {
        panic!("open");
    };
    assert!(
        message.contains("waits for Secret demo-edge-tls"),
        "{message}"
    );
    assert!(message.contains("has said nothing"), "{message}");

    let certificate: Certificate = serde_json::from_value(json!({
        "apiVersion": "cert-manager.io/v1", "kind": "Certificate",
        "metadata": { "name": "demo-edge-tls" },
        "status": { "conditions": [
            { "type": "Ready", "status": "False", "message": "issuer letsencrypt not found" },
        ] },
    }))
    .unwrap();
    cluster
        .observed
        .certificates
        .insert("demo-edge-tls".to_owned(), certificate);
    let (reason, message) = ready(&cluster, "cert-manager", &ProbeOutcome::Pending);
    assert_eq!(reason, reasons::CERTIFICATE_NOT_READY);
    assert!(
        message.contains("issuer letsencrypt not found"),
        "{message}"
    );
}

#[rstest]
fn a_controller_of_the_cluster_takes_the_place_of_the_proxy(
    #[values("ingress", "gateway-api")] fixture: &str,
) {
    let cluster = Cluster::up_of(fixture);
    let left: Vec<_> = cluster
        .set
        .objects()
        .into_iter()
        .filter(|object| object.name.contains("traefik"))
        .map(|object| object.name)
        .collect();
    assert_eq!(left, [""; 0]);
    let question = probe_question(&cluster.platform);
    assert_eq!(question.edge_host, "ai.example.com");
    assert_eq!(question.edge_port, 443);
    let status = cluster.status(&resource(fixture), &ProbeOutcome::Answered, NOW);
    assert_eq!(status.components_ready.as_deref(), Some("13/13"));
    assert_eq!(status.condition("Ready").unwrap().status, "True");
}

#[rstest]
fn only_the_namespaces_of_the_controller_are_let_in(
    #[values("ingress", "gateway-api")] fixture: &str,
    #[values("demo-gateway", "demo-keycloak")] policy: &str,
) {
    let (platform, set) = objects(fixture);
    let policy = set
        .network_policies
        .iter()
        .find(|object| object.metadata.name.as_deref() == Some(policy))
        .unwrap();
    let rules = serde_json::to_value(&policy.spec).unwrap()["ingress"].clone();
    let selectors: Vec<_> = rules
        .as_array()
        .unwrap()
        .iter()
        .filter(|rule| !rule["from"][0]["namespaceSelector"].is_null())
        .collect();
    assert_eq!(selectors.len(), 1);
    assert_eq!(
        selectors[0]["from"],
        json!([{ "namespaceSelector": { "matchLabels": platform.spec.edge.from_namespaces } }])
    );
    for rule in rules.as_array().unwrap() {
        assert!(!rule["from"].is_null(), "everybody is let in");
    }
}

#[test]
fn a_platform_without_its_certificate_is_not_ready_when_the_operator_has_just_started() {
    let mut cluster = Cluster::up_of("cert-manager");
    let mut lotoai = resource("cert-manager");
    lotoai.status = Some(cluster.status(&lotoai, &ProbeOutcome::Answered, NOW));
    let ready = |cluster: &Cluster| {
        let status = cluster.status(&lotoai, &ProbeOutcome::Pending, NOW);
        let ready = status.condition("Ready").unwrap();
        (ready.status.clone(), ready.reason.clone())
    };
    let answers = ("True".to_owned(), reasons::AVAILABLE.to_owned());
    assert_eq!(ready(&cluster), answers);
    // Nobody can be asked without it, so nothing would ever end this.
    cluster.observed.secrets.remove("demo-edge-tls");
    let waits = (
        "False".to_owned(),
        reasons::CERTIFICATE_NOT_READY.to_owned(),
    );
    assert_eq!(ready(&cluster), waits);
}

#[test]
fn a_renewed_certificate_of_cert_manager_restarts_the_proxy() {
    let (mut platform, before) = objects("cert-manager");
    for ((secret, _), digest) in &mut platform.provided {
        assert_eq!(secret, "demo-edge-tls");
        digest.push('0');
    }
    let after = lotoai_plan::build(&platform, &crate::common::credentials(&platform));
    let changed: Vec<_> = before
        .deployments
        .iter()
        .zip(&after.deployments)
        .filter(|(a, b)| a != b)
        .map(|(a, _)| a.metadata.name.clone().unwrap())
        .collect();
    assert_eq!(changed, ["demo-traefik"]);
}

#[test]
fn a_renewed_certificate_of_the_operator_restarts_the_proxy() {
    let (platform, before) = objects("minimal");
    let required = required_secrets(&platform);
    let old = crate::common::credentials(&platform);
    let values = required
        .iter()
        .map(|spec| {
            let keys = spec.keys().into_iter().map(|key| {
                let of_the_edge = spec.name() == "demo-tls" && key == "tls.crt";
                let renewed = if of_the_edge { "renewed" } else { "" };
                let text = format!("{}{renewed}", old.text(spec.name(), key));
                (key.to_owned(), text.into_bytes())
            });
            (spec.name().to_owned(), keys.collect())
        })
        .collect();
    let renewed = lotoai_plan::Credentials::new(&required, values).unwrap();
    let after = lotoai_plan::build(&platform, &renewed);
    let changed: Vec<_> = before
        .deployments
        .iter()
        .zip(&after.deployments)
        .filter(|(a, b)| a != b)
        .map(|(a, _)| a.metadata.name.clone().unwrap())
        .collect();
    assert_eq!(changed, ["demo-traefik"]);
}
