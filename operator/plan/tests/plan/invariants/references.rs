//! Everything that is named is there.

use std::collections::BTreeSet;

use lotoai_api::Store;
use lotoai_plan::graph::CredentialKind;
use lotoai_plan::{Node, required_secrets};

use super::{container, template, templates, variables};
use crate::common::{FIXTURES, objects};

#[test]
fn everything_that_a_pod_refers_to_is_there() {
    for fixture in FIXTURES {
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
            for claim in claims.flat_map(|o| o.spec.as_ref().unwrap().volume_claim_templates.iter())
            {
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
}

#[test]
fn every_edge_is_in_the_environment_of_both_sides() {
    for fixture in FIXTURES {
        let (platform, set) = objects(fixture);
        for edge in platform.topology.edges() {
            if !platform.topology.nodes().any(|node| node == edge.from) {
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
                CredentialKind::ApiKey(_) => {
                    let key = Some((secret.as_str(), "apiKey"));
                    assert_eq!(from["QDRANT_API_KEY"], key, "{edge:?}");
                    let to = variables(template(&platform, &set, Node::Component(edge.to)));
                    assert_eq!(to["QDRANT__SERVICE__API_KEY"], key, "{edge:?}");
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
                    // Whoever registers at an issuer is known by one value.
                    let key = match edge.credential {
                        CredentialKind::Given(Store::Keycloak) => "clientSecret",
                        CredentialKind::Given(Store::Qdrant) => "apiKey",
                        _ => "password",
                    };
                    let values: BTreeSet<_> = from.values().flatten().collect();
                    assert!(values.contains(&(admin.as_str(), key)), "{edge:?}");
                }
            }
        }
    }
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
    for store in Store::ALL {
        let claim = platform.data_object(store).unwrap();
        assert!(claims.contains(&claim), "{store:?}");
    }
}
