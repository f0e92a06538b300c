//! What must hold for every object of every fixture.

use std::collections::{BTreeMap, BTreeSet};

use crate::common::{FIXTURES, credentials, objects, operator, provided, resource};
use k8s_openapi::api::core::v1::{Container, PersistentVolumeClaim, PodTemplateSpec};
use k8s_openapi::api::networking::v1::NetworkPolicy;
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;
use lotoai_api::{Component, versions};
use lotoai_plan::components::shared::elsewhere::{self, Elsewhere};
use lotoai_plan::components::shared::resources::amount;
use lotoai_plan::graph::{CredentialKind, EDGES, is_ours};
use lotoai_plan::{
    Node, Observed, Platform, Prepared, ResourceSet, build, labels, owned_kinds, required_secrets,
    validate,
};
use rstest::rstest;

/// Kind, name and template of everything that runs pods.
fn templates(set: &ResourceSet<Prepared>) -> Vec<(String, &PodTemplateSpec)> {
    let sets = set
        .stateful_sets
        .iter()
        .map(|o| (&o.metadata, &o.spec.as_ref().unwrap().template));
    let deployments = set
        .deployments
        .iter()
        .map(|o| (&o.metadata, &o.spec.as_ref().unwrap().template));
    let jobs = set
        .jobs
        .iter()
        .map(|o| (&o.metadata, &o.spec.as_ref().unwrap().template));
    sets.chain(deployments)
        .chain(jobs)
        .map(|(metadata, template)| (metadata.name.clone().unwrap(), template))
        .collect()
}

fn template<'a>(
    platform: &Platform,
    set: &'a ResourceSet<Prepared>,
    node: Node,
) -> &'a PodTemplateSpec {
    let wanted = platform.node_name(node);
    let found = templates(set).into_iter().find(|(_, template)| {
        let labels = template.metadata.as_ref().unwrap().labels.as_ref().unwrap();
        format!("{}-{}", labels[labels::INSTANCE], labels[labels::NAME]) == wanted
    });
    found.unwrap_or_else(|| panic!("no pods for {wanted}")).1
}

fn container(template: &PodTemplateSpec) -> &Container {
    let containers = &template.spec.as_ref().unwrap().containers;
    assert_eq!(containers.len(), 1);
    &containers[0]
}

fn variables(template: &PodTemplateSpec) -> BTreeMap<&str, Option<(&str, &str)>> {
    let env = container(template).env.iter().flatten();
    env.map(|variable| {
        let key = variable
            .value_from
            .as_ref()
            .and_then(|from| from.secret_key_ref.as_ref());
        (
            variable.name.as_str(),
            key.map(|key| (key.name.as_str(), key.key.as_str())),
        )
    })
    .collect()
}

fn policy<'a>(set: &'a ResourceSet<Prepared>, name: &str) -> &'a NetworkPolicy {
    set.network_policies
        .iter()
        .find(|p| p.metadata.name.as_deref() == Some(name))
        .unwrap()
}

#[rstest]
fn every_object_has_owner_namespace_labels_and_a_short_name(
    #[values(
        "minimal",
        "demo",
        "custom",
        "external-postgres",
        "external-rabbitmq",
        "external-clickhouse",
        "external-s3",
        "external"
    )]
    fixture: &str,
) {
    let (platform, set) = objects(fixture);
    let mut seen = BTreeSet::new();
    for object in set.objects() {
        let id = object.id();
        let metadata = &object.body["metadata"];
        assert_eq!(
            metadata["ownerReferences"][0]["uid"],
            platform.uid.as_str(),
            "{id:?}"
        );
        assert_eq!(metadata["ownerReferences"][0]["controller"], true, "{id:?}");
        assert_eq!(metadata["namespace"], "ai", "{id:?}");
        for (key, value) in labels::platform(&platform) {
            assert_eq!(metadata["labels"][&key], value.as_str(), "{id:?}");
        }
        assert!(
            id.name.len() <= 63 && id.name.starts_with("demo-"),
            "{id:?}"
        );
        assert!(seen.insert(id.clone()), "{id:?} twice");
        assert_eq!(object.body["kind"], id.kind.as_str());
        assert!(object.body["apiVersion"].is_string());
    }
}

#[rstest]
fn credentials_outlive_the_resource_unless_it_says_otherwise(
    #[values(
        "minimal",
        "demo",
        "custom",
        "external-postgres",
        "external-rabbitmq",
        "external-clickhouse",
        "external-s3",
        "external"
    )]
    fixture: &str,
) {
    let (platform, _) = objects(fixture);
    for spec in required_secrets(&platform) {
        let owned = spec.metadata.owner_references.is_some();
        assert_eq!(owned, fixture == "demo", "{}", spec.name());
        assert_eq!(
            spec.metadata.labels.as_ref().unwrap()[labels::CREDENTIAL],
            "true"
        );
    }
}

#[rstest]
fn selectors_are_within_template_labels(
    #[values(
        "minimal",
        "demo",
        "custom",
        "external-postgres",
        "external-rabbitmq",
        "external-clickhouse",
        "external-s3",
        "external"
    )]
    fixture: &str,
) {
    let (_, set) = objects(fixture);
    let sets = set.stateful_sets.iter().map(|o| o.spec.as_ref().unwrap());
    let deployments = set.deployments.iter().map(|o| o.spec.as_ref().unwrap());
    let pairs = sets
        .map(|spec| (&spec.selector, &spec.template))
        .chain(deployments.map(|spec| (&spec.selector, &spec.template)));
    for (selector, template) in pairs {
        let labels = template.metadata.as_ref().unwrap().labels.as_ref().unwrap();
        for (key, value) in selector.match_labels.as_ref().unwrap() {
            assert_eq!(labels.get(key), Some(value));
            assert_ne!(key, labels::VERSION);
        }
    }
}

#[rstest]
fn every_pod_keeps_to_pod_security_restricted(
    #[values(
        "minimal",
        "demo",
        "custom",
        "external-postgres",
        "external-rabbitmq",
        "external-clickhouse",
        "external-s3",
        "external"
    )]
    fixture: &str,
) {
    let (_, set) = objects(fixture);
    for (name, template) in templates(&set) {
        let pod = template.spec.as_ref().unwrap();
        let security = pod.security_context.as_ref().unwrap();
        assert_eq!(security.run_as_non_root, Some(true), "{name}");
        assert!(security.run_as_user.unwrap() > 0, "{name}");
        assert_eq!(security.fs_group, security.run_as_user, "{name}");
        assert_eq!(
            security.seccomp_profile.as_ref().unwrap().type_,
            "RuntimeDefault",
            "{name}"
        );
        assert_eq!(pod.automount_service_account_token, Some(false), "{name}");
        assert_eq!(pod.enable_service_links, Some(false), "{name}");
        assert_eq!(pod.termination_grace_period_seconds, Some(30), "{name}");
        let container = container(template);
        let security = container.security_context.as_ref().unwrap();
        assert_eq!(security.allow_privilege_escalation, Some(false), "{name}");
        assert_eq!(
            security.capabilities.as_ref().unwrap().drop,
            Some(vec!["ALL".to_owned()]),
            "{name}"
        );
        let writable = security.read_only_root_filesystem != Some(true);
        assert_eq!(writable, name == "demo-keycloak", "{name}");
    }
}

#[rstest]
fn every_container_has_an_exact_image_resources_and_probes(
    #[values(
        "minimal",
        "demo",
        "custom",
        "external-postgres",
        "external-rabbitmq",
        "external-clickhouse",
        "external-s3",
        "external"
    )]
    fixture: &str,
) {
    let (_, set) = objects(fixture);
    for (name, template) in templates(&set) {
        let container = container(template);
        let image = container.image.as_deref().unwrap();
        assert!(
            !["", "latest"].contains(&versions::tag(image)),
            "{name}: {image}"
        );
        let resources = container.resources.as_ref().unwrap();
        let requests = resources.requests.as_ref().unwrap();
        let limits = resources.limits.as_ref().unwrap();
        for key in ["cpu", "memory"] {
            assert!(amount(&requests[key].0) > 0, "{name}");
            assert!(amount(&requests[key].0) <= amount(&limits[key].0), "{name}");
        }
        if !name.starts_with("demo-provision") {
            assert!(container.startup_probe.is_some(), "{name}");
            assert!(container.liveness_probe.is_some(), "{name}");
            assert!(container.readiness_probe.is_some(), "{name}");
        }
    }
}

#[test]
fn the_smallest_platform_fits_a_small_node() {
    let (_, set) = objects("minimal");
    let sum = |key: &str| -> u128 {
        templates(&set)
            .iter()
            .map(|(_, template)| {
                let resources = container(template).resources.as_ref().unwrap();
                amount(&resources.requests.as_ref().unwrap()[key].0)
            })
            .sum()
    };
    assert!(sum("cpu") <= 1000, "{}m", sum("cpu"));
    assert!(sum("memory") <= amount("4Gi"), "{}", sum("memory") / 1000);
}

#[rstest]
// A limit below the profile's request takes the request with it, and the other way round.
#[case("limits", "64Mi", "64Mi", "64Mi")]
#[case("requests", "3Gi", "3Gi", "3Gi")]
#[case("limits", "2Gi", "128Mi", "2Gi")]
fn one_given_value_moves_the_other_only_where_it_must(
    #[case] side: &str,
    #[case] memory: &str,
    #[case] request: &str,
    #[case] limit: &str,
) {
    let mut lotoai = resource("minimal");
    let given = serde_json::json!({ side: { "memory": memory } });
    let given = serde_json::from_value(given).unwrap();
    lotoai.spec.resources.insert("rag-server".to_owned(), given);
    let platform = lotoai_plan::validate(&lotoai, &provided(), &operator("minimal")).unwrap();
    let set = lotoai_plan::build(&platform, &credentials(&platform));
    let template = template(&platform, &set, Node::Component(Component::RagServer));
    let resources = container(template).resources.as_ref().unwrap();
    assert_eq!(resources.requests.as_ref().unwrap()["memory"].0, request);
    assert_eq!(resources.limits.as_ref().unwrap()["memory"].0, limit);
}

#[test]
fn the_wiring_in_the_documentation_is_current() {
    let path = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../../docs/reference/wiring.md"
    );
    let page = std::fs::read_to_string(path).unwrap();
    let diagram = lotoai_plan::graph::mermaid();
    assert!(
        page.contains(&diagram),
        "put this into docs/reference/wiring.md:\n{diagram}"
    );
}

#[rstest]
fn everything_that_a_pod_refers_to_is_there(
    #[values(
        "minimal",
        "demo",
        "custom",
        "external-postgres",
        "external-rabbitmq",
        "external-clickhouse",
        "external-s3",
        "external"
    )]
    fixture: &str,
) {
    let (platform, set) = objects(fixture);
    let required = required_secrets(&platform);
    let mut keys: BTreeSet<(String, String)> = required
        .iter()
        .flat_map(|spec| {
            spec.keys()
                .into_iter()
                .map(|k| (spec.name().to_owned(), k.to_owned()))
        })
        .collect();
    keys.extend(platform.provided.keys().cloned());
    let names = |ids: Vec<Option<String>>| ids.into_iter().flatten().collect::<BTreeSet<_>>();
    let maps = names(
        set.config_maps
            .iter()
            .map(|o| o.metadata.name.clone())
            .collect(),
    );
    let rendered = names(
        set.secrets
            .iter()
            .map(|o| o.metadata.name.clone())
            .collect(),
    );
    let accounts = names(
        set.service_accounts
            .iter()
            .map(|o| o.metadata.name.clone())
            .collect(),
    );
    for (name, template) in templates(&set) {
        let pod = template.spec.as_ref().unwrap();
        assert!(
            accounts.contains(pod.service_account_name.as_ref().unwrap()),
            "{name}"
        );
        for (secret, key) in variables(template).into_values().flatten() {
            assert!(
                keys.contains(&(secret.to_owned(), key.to_owned())),
                "{name}: {secret}/{key}"
            );
        }
        let mut volumes: BTreeSet<&str> = BTreeSet::new();
        for volume in pod.volumes.iter().flatten() {
            volumes.insert(&volume.name);
            if let Some(map) = &volume.config_map {
                assert!(maps.contains(&map.name), "{name}: {}", map.name);
            }
            if let Some(secret) = &volume.secret {
                let secret_name = secret.secret_name.as_ref().unwrap();
                let listed = secret.items.iter().flatten();
                let known = listed
                    .map(|item| keys.contains(&(secret_name.clone(), item.key.clone())))
                    .reduce(|a, b| a && b);
                assert!(
                    known.unwrap_or(rendered.contains(secret_name)),
                    "{name}: {secret_name}"
                );
            }
        }
        let claims = set
            .stateful_sets
            .iter()
            .filter(|o| o.metadata.name.as_ref() == Some(&name));
        for claim in claims.flat_map(|o| o.spec.as_ref().unwrap().volume_claim_templates.iter()) {
            volumes.extend(
                claim
                    .iter()
                    .map(|claim| claim.metadata.name.as_deref().unwrap()),
            );
        }
        let mut used = BTreeSet::new();
        for mount in container(template).volume_mounts.iter().flatten() {
            assert!(
                volumes.contains(mount.name.as_str()),
                "{name}: {}",
                mount.name
            );
            used.insert(mount.name.as_str());
        }
        assert_eq!(used, volumes, "{name}: a volume is not mounted");
        let all: Vec<_> = container(template)
            .env
            .iter()
            .flatten()
            .map(|v| &v.name)
            .collect();
        let unique: BTreeSet<_> = all.iter().collect();
        assert_eq!(unique.len(), all.len(), "{name}: a variable is set twice");
    }
}

#[rstest]
fn every_edge_is_in_the_environment_of_both_sides(
    #[values(
        "minimal",
        "demo",
        "custom",
        "external-postgres",
        "external-rabbitmq",
        "external-clickhouse",
        "external-s3",
        "external"
    )]
    fixture: &str,
) {
    let (platform, set) = objects(fixture);
    for edge in platform.topology.edges() {
        if edge.from == Node::Operator || edge.from == Node::Anyone {
            continue;
        }
        let from = variables(template(&platform, &set, edge.from));
        let secret = platform.edge_secret(edge.from, edge.to);
        match edge.credential {
            CredentialKind::None => {}
            CredentialKind::Token => {
                let upper = edge.to.name().to_uppercase().replace('-', "_");
                let caller = edge.from.name().to_uppercase().replace('-', "_");
                let token = Some((secret.as_str(), "token"));
                assert!(
                    from.contains_key(format!("{upper}_URL").as_str()),
                    "{edge:?}"
                );
                assert_eq!(from[format!("{upper}_TOKEN").as_str()], token, "{edge:?}");
                let to = variables(template(&platform, &set, Node::Component(edge.to)));
                assert_eq!(
                    to[format!("CALLER_TOKEN_{caller}").as_str()],
                    token,
                    "{edge:?}"
                );
            }
            CredentialKind::Account(store, _) => {
                let values: BTreeSet<_> = from.values().flatten().collect();
                assert!(values.contains(&(secret.as_str(), "password")), "{edge:?}");
                assert!(values.contains(&(secret.as_str(), "username")), "{edge:?}");
                let job = variables(template(&platform, &set, Node::Provision(store)));
                let held: BTreeSet<_> = job.values().flatten().collect();
                assert!(held.contains(&(secret.as_str(), "password")), "{edge:?}");
            }
            CredentialKind::Admin(store) | CredentialKind::Given(store) => {
                let admin = platform.admin_secret(store);
                let values: BTreeSet<_> = from.values().flatten().collect();
                assert!(values.contains(&(admin.as_str(), "password")), "{edge:?}");
            }
        }
    }
}

#[rstest]
fn no_pod_holds_a_credential_of_somebody_else(
    #[values(
        "minimal",
        "demo",
        "custom",
        "external-postgres",
        "external-rabbitmq",
        "external-clickhouse",
        "external-s3",
        "external"
    )]
    fixture: &str,
) {
    let (platform, set) = objects(fixture);
    for node in platform.topology.nodes() {
        let mut allowed: BTreeSet<String> = EDGES
            .iter()
            .filter(|edge| edge.from == node || Node::Component(edge.to) == node)
            .map(|edge| platform.edge_secret(edge.from, edge.to))
            .collect();
        match node {
            Node::Provision(store) => {
                allowed.insert(platform.admin_secret(store));
                allowed.insert(platform.first_user_secret());
                allowed.extend(
                    EDGES
                        .iter()
                        .filter(|edge| edge.credential.provisioned_by() == Some(store))
                        .map(|edge| platform.edge_secret(edge.from, edge.to)),
                );
            }
            Node::Component(Component::Gateway) => {
                allowed.insert(platform.session_secret());
            }
            Node::Component(Component::Agents) => {
                allowed.insert("openai".to_owned());
            }
            Node::Component(Component::Minio) => {
                allowed.insert(platform.admin_secret(lotoai_api::Store::S3));
            }
            Node::Component(Component::Keycloak) => {
                allowed.insert(platform.admin_secret(lotoai_api::Store::Keycloak));
            }
            Node::Component(_) | Node::Anyone | Node::Operator => {}
        }
        let given = platform.topology.edges_from(node);
        allowed.extend(given.filter_map(|edge| match edge.credential {
            CredentialKind::Given(store) => Some(platform.admin_secret(store)),
            _ => None,
        }));
        for (secret, _) in variables(template(&platform, &set, node))
            .into_values()
            .flatten()
        {
            assert!(allowed.contains(secret), "{} holds {secret}", node.name());
        }
    }
}

#[rstest]
fn policies_deny_by_default_and_allow_exactly_the_edges(
    #[values(
        "minimal",
        "demo",
        "custom",
        "external-postgres",
        "external-rabbitmq",
        "external-clickhouse",
        "external-s3",
        "external"
    )]
    fixture: &str,
) {
    let (platform, set) = objects(fixture);
    let deny = policy(&set, "demo-default-deny").spec.as_ref().unwrap();
    assert_eq!(deny.ingress, None);
    let both = Some(vec!["Ingress".to_owned(), "Egress".to_owned()]);
    assert_eq!(deny.policy_types, both);
    for node in platform.topology.nodes() {
        let spec = policy(&set, &platform.node_name(node))
            .spec
            .as_ref()
            .unwrap();
        let ingress = EDGES
            .iter()
            .filter(|edge| Node::Component(edge.to) == node && edge.from != Node::Operator)
            .count();
        assert_eq!(
            spec.ingress.as_ref().map_or(0, Vec::len),
            ingress,
            "{node:?}"
        );
        let within = spec
            .egress
            .iter()
            .flatten()
            .filter(|rule| rule.to.is_some())
            .count();
        let anywhere = platform
            .topology
            .outside_from(node)
            .filter(|(edge, _, external)| {
                let place = elsewhere::of(external.address(edge));
                matches!(place, Some(Elsewhere::Anywhere(_)))
            })
            .count();
        let edges = EDGES.iter().filter(|edge| edge.from == node).count();
        assert_eq!(within + anywhere, edges, "{node:?}");
        let outside = spec
            .egress
            .iter()
            .flatten()
            .filter(|rule| rule.to.is_none())
            .count();
        let expected = match (fixture, node) {
            // Only `custom` names providers, tools and a collector elsewhere.
            ("custom", node) => usize::from(node.is_ours()),
            _ => usize::from(anywhere > 0),
        };
        assert_eq!(outside, expected, "{node:?}");
        let selected = spec
            .pod_selector
            .as_ref()
            .unwrap()
            .match_labels
            .as_ref()
            .unwrap();
        let labels = template(&platform, &set, node).metadata.as_ref().unwrap();
        for (key, value) in selected {
            assert_eq!(labels.labels.as_ref().unwrap().get(key), Some(value));
        }
    }
}

#[test]
fn edges_are_allowed_at_both_ends() {
    let (platform, set) = objects("minimal");
    let has = |rules: &serde_json::Value, peer: &str, side: &str, port: u16| {
        rules.as_array().unwrap().iter().any(|rule| {
            rule["ports"][0]["port"] == port
                && rule[side][0]["podSelector"]["matchLabels"][labels::NAME] == peer
        })
    };
    for edge in EDGES {
        if matches!(edge.from, Node::Operator | Node::Anyone) {
            continue;
        }
        let policy_of = |node| {
            serde_json::to_value(policy(&set, &platform.node_name(node)).spec.as_ref()).unwrap()
        };
        let from = policy_of(edge.from);
        let to = policy_of(Node::Component(edge.to));
        assert!(
            has(&from["egress"], edge.to.name(), "to", edge.port),
            "{edge:?}"
        );
        assert!(
            has(&to["ingress"], &edge.from.name(), "from", edge.port),
            "{edge:?}"
        );
    }
}

#[test]
fn a_changed_credential_restarts_exactly_those_who_use_it() {
    let (platform, before) = objects("minimal");
    let required = required_secrets(&platform);
    let changed = "demo-orchestrator-agents";
    let values = required
        .iter()
        .map(|spec| {
            let keys = spec.keys().into_iter().map(|key| {
                let credentials = credentials(&platform);
                let mut text = credentials.text(spec.name(), key).to_owned();
                if spec.name() == changed {
                    text.push('x');
                }
                (key.to_owned(), text.into_bytes())
            });
            (spec.name().to_owned(), keys.collect())
        })
        .collect();
    let credentials = lotoai_plan::Credentials::new(&required, values).unwrap();
    let after = lotoai_plan::build(&platform, &credentials);
    let restarted: Vec<String> = templates(&before)
        .into_iter()
        .zip(templates(&after))
        .filter(|((_, a), (_, b))| a != b)
        .map(|((name, _), _)| name)
        .collect();
    assert_eq!(restarted, ["demo-orchestrator", "demo-agents"]);
}

#[test]
fn a_changed_certificate_of_the_resource_restarts_the_proxy() {
    let (mut platform, before) = objects("custom");
    for ((secret, _), digest) in &mut platform.provided {
        if secret == "ai-example-com" {
            digest.push('0');
        }
    }
    let after = lotoai_plan::build(&platform, &credentials(&platform));
    let restarted: Vec<String> = templates(&before)
        .into_iter()
        .zip(templates(&after))
        .filter(|((_, a), (_, b))| a != b)
        .map(|((name, _), _)| name)
        .collect();
    assert_eq!(restarted, ["demo-traefik"]);
}

#[test]
fn a_changed_account_makes_a_new_job() {
    let (mut platform, before) = objects("minimal");
    platform.spec.identity.first_user.email = "eva@example.com".to_owned();
    let after = lotoai_plan::build(&platform, &credentials(&platform));
    for store in lotoai_api::Store::ALL {
        let name = Node::Provision(store).name();
        let same = before.job_name(&name).unwrap() == after.job_name(&name).unwrap();
        assert_eq!(same, store != lotoai_api::Store::Keycloak);
    }
}

#[test]
fn a_new_volume_makes_a_new_job() {
    use lotoai_api::Store;
    let observed = |claim: &str, uid: &str| {
        let mut claims = provided();
        let mut object = PersistentVolumeClaim::default();
        object.metadata.uid = Some(uid.to_owned());
        claims.claims.insert(claim.to_owned(), object);
        claims
    };
    let names = |observed: &Observed| {
        let platform = validate(&resource("minimal"), observed, &operator("minimal")).unwrap();
        let set = build(&platform, &credentials(&platform));
        Store::ALL.map(|store| {
            let name = set.job_name(&Node::Provision(store).name());
            name.unwrap().to_owned()
        })
    };
    let changed = |claim: &str| -> Vec<Store> {
        let before = names(&observed(claim, "1"));
        let after = names(&observed(claim, "2"));
        assert_eq!(before, names(&observed(claim, "1")));
        let both = before.iter().zip(&after).zip(Store::ALL);
        both.filter(|((a, b), _)| a != b)
            .map(|(_, store)| store)
            .collect()
    };
    assert_eq!(changed("data-demo-rabbitmq-0"), [Store::Rabbitmq]);
    assert_eq!(changed("data-demo-minio-0"), [Store::S3]);
    assert_eq!(changed("data-demo-clickhouse-0"), [Store::Clickhouse]);
    // The realm lies in PostgreSQL.
    assert_eq!(
        changed("data-demo-postgres-0"),
        [Store::Postgres, Store::Keycloak]
    );
    assert_eq!(changed("data-demo-rag-server-0"), []);
}

#[test]
fn every_claim_that_a_job_depends_on_is_made_by_a_stateful_set() {
    let (platform, set) = objects("minimal");
    let claims: BTreeSet<String> = set
        .stateful_sets
        .iter()
        .flat_map(|object| {
            let name = object.metadata.name.clone().unwrap();
            let templates = object.spec.as_ref().unwrap().volume_claim_templates.iter();
            templates
                .flatten()
                .map(move |claim| format!("{}-{name}-0", claim.metadata.name.as_ref().unwrap()))
        })
        .collect();
    for store in lotoai_api::Store::ALL {
        assert!(
            claims.contains(&platform.data_claim(store).unwrap()),
            "{store:?}"
        );
    }
}

#[test]
fn volumes_follow_the_deletion_policy_and_have_unversioned_labels() {
    for (fixture, expected) in [("minimal", "Retain"), ("demo", "Delete")] {
        let (_, set) = objects(fixture);
        for stateful_set in &set.stateful_sets {
            let spec = stateful_set.spec.as_ref().unwrap();
            let Some(claims) = &spec.volume_claim_templates else {
                continue;
            };
            let policy = spec
                .persistent_volume_claim_retention_policy
                .as_ref()
                .unwrap();
            assert_eq!(policy.when_deleted.as_deref(), Some(expected));
            let labels = claims[0].metadata.labels.as_ref().unwrap();
            assert!(!labels.contains_key(labels::VERSION));
        }
    }
}

#[test]
fn the_longest_name_gives_objects_that_fit() {
    let mut lotoai = resource("minimal");
    lotoai.metadata.name = Some("a23456789012345678901234567890".to_owned());
    let operator = operator("minimal");
    let platform = lotoai_plan::validate(&lotoai, &provided(), &operator).unwrap();
    let set = lotoai_plan::build(&platform, &credentials(&platform));
    for object in set.objects() {
        // Label values end at 63, and a StatefulSet's revision adds 11 characters to its name.
        let limit = if object.resource.kind == "StatefulSet" {
            52
        } else {
            63
        };
        assert!(object.name.len() <= limit, "{}", object.name);
    }
}

#[test]
fn sets_are_applied_in_the_order_of_kinds() {
    let (_, set) = objects("minimal");
    let order: Vec<String> = owned_kinds()
        .into_iter()
        .map(|kind| kind.resource.kind)
        .collect();
    let mut kinds: Vec<String> = set.objects().into_iter().map(|o| o.resource.kind).collect();
    kinds.dedup();
    assert_eq!(kinds, order);
    assert_eq!(order.last().unwrap(), "Job");
}

#[test]
fn every_component_is_run_by_exactly_one_object() {
    for fixture in FIXTURES {
        let (platform, set) = objects(fixture);
        assert_eq!(templates(&set).len(), platform.topology.start_order().len());
        for component in platform.topology.components() {
            let _ = template(&platform, &set, Node::Component(component));
        }
    }
}

#[test]
fn admin_ports_are_not_exposed() {
    let (_, set) = objects("minimal");
    for component in Component::ALL.into_iter().filter(|c| is_ours(*c)) {
        let name = format!("demo-{component}");
        let service = set
            .services
            .iter()
            .find(|s| s.metadata.name.as_ref() == Some(&name));
        let ports = service
            .and_then(|s| s.spec.as_ref())
            .and_then(|spec| spec.ports.as_ref());
        assert!(ports.into_iter().flatten().all(|port| port.port != 9090));
    }
}

#[rstest]
#[case("http://demo-analytics:8080/v1/usage/summary", None)]
#[case("http://demo-analytics:8080/{path}?x={y}", None)]
#[case("http://demo-tools.example.com:8081/", Some(8081))]
#[case("http://demo-analytics.example.com/", Some(80))]
#[case("https://demo-tools/", Some(443))]
fn only_the_platforms_own_services_need_no_port_outside(
    #[case] url: &str,
    #[case] port: Option<i32>,
) {
    let mut lotoai = resource("minimal");
    let tool = serde_json::json!({ "name": "t", "description": "d", "http": { "url": url } });
    lotoai.spec.mcp.tools = vec![serde_json::from_value(tool).unwrap()];
    let platform = lotoai_plan::validate(&lotoai, &provided(), &operator("minimal")).unwrap();
    let set = lotoai_plan::build(&platform, &credentials(&platform));
    let egress = policy(&set, "demo-mcp-server").spec.as_ref().unwrap();
    let outside: Vec<_> = egress
        .egress
        .iter()
        .flatten()
        .filter(|rule| rule.to.is_none())
        .flat_map(|rule| rule.ports.iter().flatten())
        .map(|rule| rule.port.clone())
        .collect();
    let expected: Vec<_> = port
        .map(|port| Some(IntOrString::Int(port)))
        .into_iter()
        .collect();
    assert_eq!(outside, expected);
}

#[test]
fn the_ingestion_of_before_ends_before_the_next_one_starts() {
    let (_, set) = objects("minimal");
    let strategies: Vec<_> = set
        .objects()
        .into_iter()
        .filter(|object| object.resource.kind == "Deployment")
        .map(|object| {
            (
                object.name.clone(),
                object.body["spec"]["strategy"]["type"].clone(),
            )
        })
        .filter(|(_, strategy)| strategy == "Recreate")
        .map(|(name, _)| name)
        .collect();
    assert_eq!(strategies, ["demo-rag-ingest"]);
}

fn plain_variables(template: &PodTemplateSpec) -> BTreeMap<&str, &str> {
    let env = container(template).env.iter().flatten();
    env.filter_map(|variable| Some((variable.name.as_str(), variable.value.as_deref()?)))
        .collect()
}

#[test]
fn addresses_of_external_stores_reach_those_who_use_them() {
    use lotoai_api::Store::{Clickhouse, Postgres, Rabbitmq, S3};
    let cases = [
        (
            "external-postgres",
            Node::Component(Component::Gateway),
            "POSTGRES_URL",
            "postgres://postgres.example.com:6432/demo-gateway?sslmode=verify-full",
        ),
        (
            "external-postgres",
            Node::Component(Component::Gateway),
            "POSTGRES_CA_FILE",
            "/etc/lotoai-ca/postgres/ca.crt",
        ),
        (
            "external-postgres",
            Node::Provision(Postgres),
            "POSTGRES_URL",
            "postgres://postgres.example.com:6432/postgres?sslmode=verify-full",
        ),
        (
            "external-postgres",
            Node::Component(Component::Keycloak),
            "KC_DB_URL",
            "jdbc:postgresql://postgres.example.com:6432/demo-keycloak?sslmode=verify-full\
             &sslrootcert=%2Fetc%2Flotoai-ca%2Fpostgres%2Fca.crt",
        ),
        (
            "external",
            Node::Component(Component::Orchestrator),
            "POSTGRES_URL",
            "postgres://pg:5432/demo-orchestrator?sslmode=disable",
        ),
        (
            "external-rabbitmq",
            Node::Component(Component::Analytics),
            "RABBITMQ_URL",
            "amqps://rabbitmq.example.com:5671/demo-lotoai",
        ),
        (
            "external-rabbitmq",
            Node::Provision(Rabbitmq),
            "RABBITMQ_URL",
            "https://rabbitmq.example.com:15671",
        ),
        (
            "external",
            Node::Component(Component::Gateway),
            "RABBITMQ_URL",
            "amqp://rabbitmq.example.com:5672/ai",
        ),
        (
            "external-clickhouse",
            Node::Component(Component::Analytics),
            "CLICKHOUSE_URL",
            "https://clickhouse.analytics.svc:8443",
        ),
        (
            "external-clickhouse",
            Node::Component(Component::Analytics),
            "CLICKHOUSE_DATABASE",
            "demo_lotoai",
        ),
        (
            "external-clickhouse",
            Node::Provision(Clickhouse),
            "CLICKHOUSE_CA_FILE",
            "/etc/lotoai-ca/clickhouse/ca.crt",
        ),
        (
            "external-s3",
            Node::Component(Component::RagIngest),
            "S3_URL",
            "https://s3.eu-central-1.amazonaws.com",
        ),
        (
            "external-s3",
            Node::Component(Component::RagIngest),
            "S3_PATH_STYLE",
            "false",
        ),
        (
            "external-s3",
            Node::Provision(S3),
            "S3_REGION",
            "eu-central-1",
        ),
        (
            "external",
            Node::Component(Component::Gateway),
            "S3_URL",
            "http://10.20.0.7:9000",
        ),
    ];
    for (fixture, node, name, value) in cases {
        let (platform, set) = objects(fixture);
        let pod = template(&platform, &set, node);
        let found = plain_variables(pod).get(name).copied();
        assert_eq!(found, Some(value), "{fixture} {node:?} {name}");
    }
}

#[test]
fn a_changed_secret_of_an_external_store_restarts_exactly_those_who_use_it() {
    let restarted = |fixture: &str, key: (&str, &str)| -> Vec<String> {
        let (mut platform, before) = objects(fixture);
        let key = (key.0.to_owned(), key.1.to_owned());
        platform.provided.get_mut(&key).unwrap().push('0');
        let after = build(&platform, &credentials(&platform));
        let pairs = templates(&before).into_iter().zip(templates(&after));
        pairs
            .filter(|((_, a), (_, b))| a != b)
            .map(|((name, _), _)| match name.rsplit_once('-') {
                Some((job, _)) if name.starts_with("demo-provision") => job.to_owned(),
                _ => name,
            })
            .collect()
    };
    assert_eq!(
        restarted("external-postgres", ("company-ca", "ca.crt")),
        [
            "demo-keycloak",
            "demo-gateway",
            "demo-orchestrator",
            "demo-provision-postgres"
        ]
    );
    assert_eq!(
        restarted("external-postgres", ("postgres-admin", "password")),
        ["demo-provision-postgres"]
    );
    assert_eq!(
        restarted("external-s3", ("s3-key", "password")),
        ["demo-gateway", "demo-rag-ingest", "demo-provision-s3"]
    );
}
