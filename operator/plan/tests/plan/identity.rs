//! An issuer that is there already: what goes with Keycloak, and how the operator asks instead.

use std::collections::BTreeMap;

use lotoai_api::{Component, Store};
use lotoai_plan::credentials::required_secrets;
use lotoai_plan::graph::{CredentialKind, mermaid_of};
use lotoai_plan::{Node, ProbeOutcome, build, probe_question, tls};
use serde_json::Value;

use crate::cluster::Cluster;
use crate::common::{credentials, objects, platform};
use crate::status::T1;

const FIXTURE: &str = "external-oidc";

fn everything(fixture: &str) -> String {
    let (_, set) = objects(fixture);
    let objects = set.objects().into_iter();
    let bodies: Vec<String> = objects.map(|object| object.body.to_string()).collect();
    bodies.join("\n")
}

#[test]
fn nothing_of_keycloak_is_left() {
    let text = everything(FIXTURE);
    for trace in [
        "demo-keycloak",
        "provision-keycloak",
        "/realms/lotoai",
        "first-user",
    ] {
        assert!(!text.contains(trace), "{trace}");
        assert!(
            everything("minimal").contains(trace),
            "the control: {trace}"
        );
    }
    let platform = platform(FIXTURE);
    let secrets = required_secrets(&platform);
    let names: Vec<&str> = secrets.iter().map(|secret| secret.name()).collect();
    let ours = ["keycloak", "first-user", "gateway-oidc"];
    assert!(
        !names
            .iter()
            .any(|name| ours.iter().any(|part| name.contains(part))),
        "{names:?}"
    );
    let topology = &platform.topology;
    for edge in topology.edges() {
        assert_ne!(edge.from, Node::Component(Component::Keycloak));
        assert_ne!(edge.from, Node::Provision(Store::Keycloak));
    }
    let callers: Vec<Node> = topology
        .edges_to(Component::Keycloak)
        .map(|edge| edge.from)
        .collect();
    assert_eq!(callers, [Node::Component(Component::Gateway)]);
}

#[test]
fn the_gateway_is_told_of_the_issuer() {
    let (_, set) = objects(FIXTURE);
    let gateway = set
        .deployments
        .iter()
        .find(|object| object.metadata.name.as_deref() == Some("demo-gateway"))
        .unwrap();
    let pod = gateway
        .spec
        .as_ref()
        .unwrap()
        .template
        .spec
        .as_ref()
        .unwrap();
    let env = pod.containers[0].env.iter().flatten();
    let env: BTreeMap<&str, Value> = env
        .filter(|variable| variable.name.starts_with("OIDC_") || variable.name == "PROBE_TOKEN")
        .map(|variable| {
            let secret = variable
                .value_from
                .as_ref()
                .and_then(|from| from.secret_key_ref.as_ref())
                .map(|key| format!("{}/{}", key.name, key.key));
            let value = variable.value.clone().or(secret).unwrap();
            (variable.name.as_str(), Value::String(value))
        })
        .collect();
    let expected = [
        ("OIDC_ADMIN_GROUP", "ai-platform"),
        ("OIDC_AUDIENCE", "lotoai"),
        ("OIDC_CA_FILE", "/etc/lotoai-ca/keycloak/ca.crt"),
        ("OIDC_CLIENT_ID", "lotoai"),
        ("OIDC_CLIENT_SECRET", "sign-in/clientSecret"),
        ("OIDC_GROUPS_CLAIM", "teams"),
        ("OIDC_ISSUER", "https://login.example.com/realms/staff"),
        ("OIDC_SCOPES", "profile email offline_access"),
        ("PROBE_TOKEN", "demo-operator-traefik/token"),
    ];
    let expected: BTreeMap<&str, Value> = expected
        .map(|(name, value)| (name, Value::String(value.to_owned())))
        .into();
    assert_eq!(env, expected);
}

/// Value of a variable of the managed Keycloak, and a line of its provision Job's file.
fn told(fixture: &str) -> (Option<String>, Option<String>) {
    let (_, set) = objects(fixture);
    let mut sets = set.stateful_sets.iter();
    let pod = sets
        .find(|set| set.metadata.name.as_deref() == Some("demo-keycloak"))
        .and_then(|set| set.spec.as_ref()?.template.spec.as_ref());
    let mut variables = pod
        .into_iter()
        .flat_map(|pod| pod.containers[0].env.iter().flatten());
    let trusted = variables
        .find(|variable| variable.name == "KC_TRUSTSTORE_PATHS")
        .and_then(|variable| variable.value.clone());
    let mut maps = set.config_maps.iter();
    let file = maps
        .find(|map| map.metadata.name.as_deref() == Some("demo-provision-keycloak"))
        .and_then(|map| map.data.as_ref()?.get("provision.yaml").cloned());
    let line = file.and_then(|file| {
        let mut lines = file.lines();
        let line = lines.find_map(|line| line.strip_prefix("back_channel_logout_url: "));
        line.map(str::to_owned)
    });
    (trusted, line)
}

#[test]
fn keycloak_learns_where_to_tell_that_a_session_ended_and_whom_to_trust() {
    for fixture in ["minimal", "high-availability", "ingress", "external"] {
        let (trusted, url) = told(fixture);
        assert_eq!(
            url.as_deref(),
            Some("https://demo-gateway:8080/auth/back-channel-logout"),
            "{fixture}"
        );
        assert_eq!(trusted, Some(tls::bundle_file()), "{fixture}");
    }
    assert_eq!(told(FIXTURE), (None, None));
}

#[test]
fn a_changed_client_secret_restarts_the_gateway_and_nothing_else() {
    let (mut platform, before) = objects(FIXTURE);
    let key = ("sign-in".to_owned(), "clientSecret".to_owned());
    platform.provided.get_mut(&key).unwrap().push('0');
    let after = build(&platform, &credentials(&platform));
    let changed: Vec<&str> = before
        .deployments
        .iter()
        .zip(&after.deployments)
        .filter(|(a, b)| a != b)
        .filter_map(|(a, _)| a.metadata.name.as_deref())
        .collect();
    assert_eq!(changed, ["demo-gateway"]);
    assert_eq!(before.stateful_sets, after.stateful_sets);
    assert_eq!(before.jobs, after.jobs);
}

#[test]
fn the_operator_asks_with_a_token_that_the_gateway_knows() {
    let asked = |fixture: &str| {
        let platform = platform(fixture);
        let credential = platform
            .topology
            .edges_from(Node::Operator)
            .map(|edge| edge.credential)
            .collect::<Vec<_>>();
        (probe_question(&platform).token_path, credential)
    };
    assert_eq!(asked(FIXTURE), (None, vec![CredentialKind::Token]));
    let account = CredentialKind::Account(Store::Keycloak, "lotoai-probe");
    let path = "/realms/lotoai/protocol/openid-connect/token";
    assert_eq!(asked("minimal"), (Some(path), vec![account]));
}

#[test]
fn the_issuer_is_shown_but_neither_counted_nor_waited_for() {
    let cluster = Cluster::up_of(FIXTURE);
    let lotoai = crate::common::resource(FIXTURE);
    let status = cluster.status(&lotoai, &ProbeOutcome::Answered, T1);
    assert_eq!(status.components_ready.as_deref(), Some("13/13"));
    assert_eq!(status.first_user_secret, None);
    let shown = status.components.iter().find(|one| one.name == "keycloak");
    assert_eq!(shown.unwrap().endpoint, "login.example.com:443");
    let text = mermaid_of(&platform(FIXTURE));
    assert!(
        text.contains(r#"keycloak(["keycloak: login.example.com:443"])"#),
        "{text}"
    );
    assert!(
        !text.contains("provision-keycloak") && !text.contains("keycloak -->"),
        "{text}"
    );
}
