//! TLS with a name check on every edge inside the platform.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use k8s_openapi::api::core::v1::{Container, PodTemplateSpec};
use lotoai_api::Component;
use lotoai_plan::graph::{PLAIN, ports};
use lotoai_plan::tls::life::NOT_AFTER;
use lotoai_plan::{Credentials, Node, Platform, SecretKind, build, labels, required_secrets, tls};
use serde_json::{Value, json};

use super::{container, template, templates};
use crate::common::{FIXTURES, credentials, objects};

/// Ports that speak TLS to everybody who comes, the kubelet's probes among them.
fn tls_ports(node: &str) -> Vec<i64> {
    let Ok(component) = node.parse::<Component>() else {
        return Vec::new();
    };
    let mut speaks: Vec<i64> = ports(component)
        .iter()
        .filter(|port| {
            let plain = |(other, number, _): &&(Component, u16, &str)| {
                *other == component && *number == port.number
            };
            !PLAIN.iter().any(|entry| plain(&entry))
        })
        .map(|port| i64::from(port.number))
        .collect();
    if component == Component::Keycloak {
        // Its management port speaks what its main port speaks.
        speaks.push(9000);
    }
    if component == Component::Qdrant {
        // Of the HTTP interface, at which nobody else asks.
        speaks.push(6333);
    }
    speaks
}

/// Every address of a component in a text, with what stands around it.
fn addresses<'a>(platform: &Platform, text: &'a str) -> Vec<&'a str> {
    let ends = |c: char| c.is_whitespace() || "\"'\\,;`".contains(c);
    text.split(ends)
        .filter(|word| {
            word.contains("://")
                && Component::ALL.into_iter().any(|component| {
                    let name = platform.component_name(component);
                    let host = word.split("://").nth(1).unwrap_or_default();
                    let rest = host.strip_prefix(&name);
                    // Not the name of something longer, such as a delegated store's Service.
                    rest.is_some_and(|rest| rest.starts_with([':', '/', '.', '-']))
                        && platform.topology.has(Node::Component(component))
                })
        })
        .collect()
}

/// Whether whoever uses the address checks who answers.
fn is_checked(address: &str) -> bool {
    let (scheme, rest) = address.split_once("://").unwrap();
    match scheme {
        "https" | "amqps" => true,
        "postgres" => rest.ends_with("?sslmode=verify-full"),
        "jdbc:postgresql" => rest.contains("?sslmode=verify-full&sslrootcert=/"),
        _ => false,
    }
}

/// Addresses of the platform's own servers in an object that would be used without TLS.
fn plain(platform: &Platform, object: &Value) -> Vec<String> {
    let text = object.to_string();
    let found = addresses(platform, &text).into_iter();
    found
        .filter(|address| !is_checked(address))
        .map(str::to_owned)
        .collect()
}

#[test]
fn no_object_holds_an_address_without_tls() {
    let mut seen = BTreeSet::new();
    for fixture in FIXTURES {
        let (platform, set) = objects(fixture);
        for object in set.objects() {
            let text = object.body.to_string();
            seen.extend(addresses(&platform, &text).into_iter().map(str::to_owned));
            let found = plain(&platform, &object.body);
            assert!(found.is_empty(), "{fixture}: {}: {found:?}", object.name);
        }
    }
    // The test looks at something.
    for part in [
        "https://demo-agents:50051",
        "amqps://",
        "jdbc:",
        "postgres://demo-postgres:",
    ] {
        assert!(seen.iter().any(|address| address.contains(part)), "{part}");
    }
}

#[test]
fn an_address_without_tls_is_found() {
    let (platform, _) = objects("minimal");
    for address in [
        "http://demo-agents:50051",
        "http://demo-analytics:8080/v1/usage/summary",
        "amqp://demo-rabbitmq:5672/lotoai",
        "postgres://demo-postgres:5432/gateway",
        "postgres://demo-postgres:5432/gateway?sslmode=require",
        "jdbc:postgresql://demo-postgres:5432/keycloak?sslmode=verify-full",
        "http://demo-minio-{0...3}.demo-minio-nodes.ai:9000/data",
    ] {
        let object = json!({ "data": { "x.yaml": format!("a: '{address}'\nb: 1\n") } });
        assert_eq!(plain(&platform, &object), [address]);
    }
}

#[test]
fn every_edge_is_tls_but_for_those_that_are_named() {
    let mut plain = BTreeSet::new();
    for fixture in FIXTURES {
        let (platform, _) = objects(fixture);
        for edge in platform.topology.edges() {
            if !edge.protocol.is_tls() {
                plain.insert((edge.to, edge.port));
            }
        }
    }
    let named: BTreeSet<_> = PLAIN.iter().map(|(to, port, _)| (*to, *port)).collect();
    assert_eq!(plain, named);
}

#[test]
fn three_rabbitmq_servers_and_their_tools_check_each_other() {
    let files = |fixture: &str| {
        let (_, set) = objects(fixture);
        let mut secrets = set.secrets.into_iter();
        let config = secrets.find(|s| s.metadata.name.as_deref() == Some("demo-rabbitmq-config"));
        config.unwrap().data.unwrap()
    };
    let (platform, set) = objects("high-availability");
    let pod = container(template(
        &platform,
        &set,
        Node::Component(Component::Rabbitmq),
    ));
    let variables = pod.env.iter().flatten();
    let arguments: BTreeMap<_, _> = variables
        .filter(|variable| variable.name.ends_with("_ERL_ARGS"))
        .map(|variable| (variable.name.as_str(), variable.value.as_deref().unwrap()))
        .collect();
    let told = "-proto_dist inet_tls -ssl_dist_optfile /etc/lotoai/inter_node_tls.config";
    let programs = [
        "RABBITMQ_CTL_ERL_ARGS",
        "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS",
    ];
    assert_eq!(arguments, programs.map(|name| (name, told)).into());
    let file = &files("high-availability")["inter_node_tls.config"];
    let text = std::str::from_utf8(&file.0).unwrap();
    let (server, client) = text.split_once("{client").unwrap();
    assert!(
        server.contains("{certfile, \"/etc/lotoai-tls/tls.crt\"}"),
        "{text}"
    );
    assert!(
        client.contains("{cacertfile, \"/etc/lotoai-ca/platform/ca.crt\"}"),
        "{text}"
    );
    assert!(client.contains("{verify, verify_peer}"), "{text}");
    let node = variables_of(pod, "RABBITMQ_NODENAME");
    let host = node
        .split_once('@')
        .unwrap()
        .1
        .replace("$(POD_NAME)", "demo-rabbitmq-2");
    assert!(
        tls::names(&platform, Component::Rabbitmq).contains(&host),
        "{host}"
    );
    // One server speaks to nobody.
    assert!(!files("minimal").contains_key("inter_node_tls.config"));
}

fn variables_of<'a>(container: &'a Container, name: &str) -> &'a str {
    let mut variables = container.env.iter().flatten();
    let found = variables.find(|variable| variable.name == name);
    found.and_then(|found| found.value.as_deref()).unwrap()
}

#[test]
fn certificates_are_for_the_names_that_callers_use() {
    for fixture in FIXTURES {
        let (platform, set) = objects(fixture);
        let required = required_secrets(&platform);
        let mut names: BTreeMap<&str, &[String]> = BTreeMap::new();
        for spec in &required {
            if let SecretKind::Certificate { names: of, .. } = &spec.kind {
                names.insert(spec.name(), of);
            }
        }
        for object in set.objects() {
            let text = object.body.to_string();
            for address in addresses(&platform, &text) {
                let rest = address.split_once("://").unwrap().1;
                let host = rest.split([':', '/', '?']).next().unwrap();
                // All servers of a cluster at once.
                let host = host.replace("{0...3}", "3");
                let known = names.values().any(|names| names.contains(&host));
                assert!(known, "{fixture}: {}: {address}", object.name);
            }
        }
    }
}

fn mounts(template: &PodTemplateSpec) -> BTreeSet<String> {
    let mounts = container(template).volume_mounts.iter().flatten();
    mounts.map(|mount| mount.mount_path.clone()).collect()
}

#[test]
fn both_ends_of_an_edge_have_what_they_need() {
    for fixture in FIXTURES {
        let (platform, set) = objects(fixture);
        let topology = &platform.topology;
        for edge in topology.edges() {
            let to = Node::Component(edge.to);
            if !edge.protocol.is_tls() || edge.to == Component::Traefik || !topology.has(to) {
                continue;
            }
            let served = mounts(template(&platform, &set, to));
            assert!(served.contains(tls::OWN), "{fixture}: {edge:?}");
            if topology.has(edge.from) && edge.from != to {
                let called = mounts(template(&platform, &set, edge.from));
                assert!(
                    called.contains("/etc/lotoai-ca/platform"),
                    "{fixture}: {edge:?}"
                );
            }
        }
    }
}

/// Names of what could read a Secret: volumes and variables.
fn readers(template: &PodTemplateSpec, secret: &str) -> usize {
    let text = serde_json::to_string(template).unwrap();
    text.matches(&format!("\"{secret}\"")).count()
}

#[test]
fn no_pod_can_read_the_key_of_the_authority() {
    for fixture in FIXTURES {
        let (platform, set) = objects(fixture);
        let secret = platform.authority_secret();
        for (name, template) in templates(&set) {
            let pod = template.spec.as_ref().unwrap();
            let secrets = pod.volumes.iter().flatten();
            let mut mounted = secrets.filter_map(|v| v.secret.as_ref()?.secret_name.clone());
            assert!(
                mounted.all(|mounted| mounted != secret),
                "{fixture}: {name}"
            );
            // Once, as the ConfigMap of the same name.
            assert!(readers(template, &secret) <= 1, "{fixture}: {name}");
        }
    }
    let (platform, set) = objects("minimal");
    let gateway = template(&platform, &set, Node::Component(Component::Gateway));
    assert!(
        readers(gateway, "demo-gateway-tls") > 0,
        "the test can find one"
    );
}

#[test]
fn probes_speak_what_their_port_speaks() {
    let mut asked = 0;
    for fixture in FIXTURES {
        let (_, set) = objects(fixture);
        for (name, template) in templates(&set) {
            let labels = template.metadata.as_ref().unwrap().labels.as_ref().unwrap();
            let speaks = tls_ports(&labels[labels::NAME]);
            let container = serde_json::to_value(container(template)).unwrap();
            for probe in ["livenessProbe", "readinessProbe", "startupProbe"] {
                let get = &container[probe]["httpGet"];
                let Some(port) = get["port"].as_i64() else {
                    continue;
                };
                let secure = get["scheme"] == "HTTPS";
                assert_eq!(secure, speaks.contains(&port), "{fixture}: {name}: {probe}");
                asked += usize::from(secure);
            }
        }
    }
    assert!(asked > 0);
}

/// The credentials of a platform, with one value changed.
fn changed(platform: &Platform, secret: &str, key: &str) -> Credentials {
    let required = required_secrets(platform);
    let before = credentials(platform);
    let values = required
        .iter()
        .map(|spec| {
            let keys = spec.keys().into_iter().map(|name| {
                let mut text = before.text(spec.name(), name).to_owned();
                if spec.name() == secret && name == key {
                    text.push('x');
                }
                (name.to_owned(), text.into_bytes())
            });
            (spec.name().to_owned(), keys.collect())
        })
        .collect();
    Credentials::new(&required, values).unwrap()
}

fn restarted(secret: &str, key: &str) -> Vec<String> {
    restarted_of("minimal", secret, key)
}

fn restarted_of(fixture: &str, secret: &str, key: &str) -> Vec<String> {
    let (platform, before) = objects(fixture);
    let after = build(&platform, &changed(&platform, secret, key));
    templates(&before)
        .into_iter()
        .zip(templates(&after))
        .filter(|((_, a), (_, b))| a != b)
        .map(|((name, _), _)| name)
        .collect()
}

#[test]
fn a_renewed_certificate_restarts_nobody() {
    for component in Component::ALL.into_iter().filter(|c| tls::serves(*c)) {
        let secret = format!("demo-{component}-tls");
        assert_eq!(restarted(&secret, "tls.crt"), Vec::<String>::new());
    }
}

#[test]
fn but_for_qdrant_which_reads_it_once() {
    let fixture = "qdrant-cluster";
    for component in Component::ALL.into_iter().filter(|c| tls::serves(*c)) {
        let restarted = restarted_of(fixture, &format!("demo-{component}-tls"), "tls.crt");
        let reads_once = component == Component::Qdrant;
        assert_eq!(restarted == ["demo-qdrant"], reads_once, "{restarted:?}");
        assert_eq!(restarted.len(), usize::from(reads_once));
    }
}

#[test]
fn another_authority_restarts_exactly_those_who_trust_it() {
    let restarted = restarted("demo-ca", "tls.crt");
    let stay = [
        "demo-postgres",
        "demo-rabbitmq",
        "demo-clickhouse",
        "demo-model-server",
    ];
    for name in stay {
        assert!(!restarted.contains(&name.to_owned()), "{name}");
    }
    let (_, set) = objects("minimal");
    assert_eq!(restarted.len(), templates(&set).len() - stay.len());
}

#[test]
fn the_bundle_is_the_same_text_before_and_after_the_next_authority_signs() {
    let (platform, _) = objects("minimal");
    let with = |values: &[(&str, &str)]| {
        let data = values.iter();
        let data = data.map(|(key, text)| ((*key).to_owned(), text.as_bytes().to_vec()));
        let secrets = BTreeMap::from([("demo-ca".to_owned(), data.collect())]);
        tls::bundle(&platform, &Credentials::new(&[], secrets).unwrap())
    };
    let alone = with(&[("tls.crt", "1\n")]);
    let prepared = with(&[("tls.crt", "1\n"), ("next.crt", "2\n")]);
    let promoted = with(&[("previous.crt", "1\n"), ("tls.crt", "2\n")]);
    assert_eq!((alone.as_str(), prepared.as_str()), ("1\n", "1\n2\n"));
    assert_eq!(prepared, promoted);
}

#[test]
fn a_certificate_that_nobody_renews_is_told() {
    let (platform, _) = objects("minimal");
    let now: Timestamp = "2026-11-22T10:00:00Z".parse().unwrap();
    let told = |ends: &[(&str, &str)]| {
        let mut observed = crate::common::provided();
        for (name, end) in ends {
            let mut secret = k8s_openapi::api::core::v1::Secret::default();
            secret.metadata.annotations =
                Some(BTreeMap::from([(NOT_AFTER.to_owned(), (*end).to_owned())]));
            observed.secrets.insert((*name).to_owned(), secret);
        }
        tls::life::overdue(&platform, &observed, now)
    };
    // It would be renewed today, and tomorrow is early enough to complain.
    assert_eq!(told(&[("demo-gateway-tls", "2026-12-22T10:00:00Z")]), None);
    assert_eq!(told(&[("demo-gateway-tls", "2026-12-07T10:00:00Z")]), None);
    let message = told(&[
        ("demo-gateway-tls", "2026-12-07T09:59:59Z"),
        ("demo-agents-tls", "2026-11-22T10:00:00Z"),
    ]);
    assert_eq!(
        message.as_deref(),
        Some(
            "the certificate in Secret demo-agents-tls ended at 2026-11-22T10:00:00Z (and 1 more)"
        )
    );
    // Not one of ours.
    assert_eq!(told(&[("elsewhere-tls", "2020-01-01T00:00:00Z")]), None);
}
