//! Pods without rights, and credentials with those who need them alone.

use std::collections::BTreeSet;

use lotoai_api::Component;
use lotoai_plan::graph::{CredentialKind, EDGES};
use lotoai_plan::{Node, SecretKind, labels, required_secrets};

use super::{container, template, templates, variables};
use crate::common::{FIXTURES, objects};

#[test]
fn credentials_outlive_the_resource_unless_it_says_otherwise() {
    for fixture in FIXTURES {
        let (platform, _) = objects(fixture);
        for spec in required_secrets(&platform) {
            let owned = spec.metadata.owner_references.is_some();
            // A certificate opens nothing that stays. People may trust the one of the edge.
            let goes = matches!(spec.kind, SecretKind::Certificate { .. })
                && spec.name() != platform.tls_secret();
            let deleted = ["demo", "delegated-postgres-ha"].contains(&fixture);
            assert_eq!(owned, deleted || goes, "{}", spec.name());
            assert_eq!(
                spec.metadata.labels.as_ref().unwrap()[labels::CREDENTIAL],
                "true"
            );
        }
    }
}

#[test]
fn every_pod_keeps_to_pod_security_restricted() {
    for fixture in FIXTURES {
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
}

#[test]
fn no_pod_holds_a_credential_of_somebody_else() {
    for fixture in FIXTURES {
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
                    allowed.extend(platform.first_user_secret());
                    allowed.extend(
                        EDGES
                            .iter()
                            .filter(|edge| edge.credential.provisioned_by() == Some(store))
                            .map(|edge| platform.edge_secret(edge.from, edge.to)),
                    );
                }
                Node::Component(Component::Gateway) => {
                    allowed.insert(platform.session_secret());
                    if platform.topology.probe_has_token() {
                        allowed.insert(platform.edge_secret(Node::Operator, Component::Traefik));
                    }
                }
                Node::Component(Component::Agents) => {
                    allowed.insert("openai".to_owned());
                }
                Node::Component(Component::Clickhouse) => {
                    allowed.insert(platform.replication_secret());
                }
                Node::Component(Component::Minio) => {
                    allowed.insert(platform.admin_secret(lotoai_api::Store::S3));
                }
                Node::Component(Component::Keycloak) => {
                    allowed.insert(platform.admin_secret(lotoai_api::Store::Keycloak));
                }
                Node::Component(Component::Rabbitmq) => {
                    allowed.insert(platform.admin_secret(lotoai_api::Store::Rabbitmq));
                }
                Node::Component(_) | Node::Anyone | Node::Operator | Node::Scraper => {}
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
}
