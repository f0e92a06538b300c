//! Restarts: every pod template carries a digest of all configuration and credentials that its
//! pods use, and a Job carries a digest of its inputs in its name.
//!
//! The digest is taken from the finished pod, so a builder cannot forget what its pod mounts.

use std::collections::{BTreeMap, BTreeSet};

use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::api::core::v1::{ConfigMap, PodSpec, PodTemplateSpec, Secret};
use lotoai_api::{Component, Store};

use super::config::rendered_name;
use crate::credentials::{Credentials, PASSWORD, USERNAME, digest};
use crate::graph::Node;
use crate::labels;
use crate::platform::Platform;
use crate::resources::{Prepared, ResourceSet};
use crate::rotation;
use crate::tls;

/// Hex digits of the annotation.
const ANNOTATION_DIGITS: usize = 32;
/// Hex digits at the end of a Job's name.
const NAME_DIGITS: usize = 8;

/// Digests of what pods can refer to.
struct Sources<'a> {
    platform: &'a Platform,
    credentials: &'a Credentials,
    config_maps: BTreeMap<String, String>,
    secrets: BTreeMap<String, String>,
    /// Secrets whose users take a change from their files, without a restart.
    followed: BTreeSet<String>,
    /// Secrets of administrators whom stores keep themselves: servers read them once in the life of
    /// their data. Jobs use them.
    first_start: BTreeSet<String>,
}

/// Writes the digests into all templates and Job names.
pub fn seal(platform: &Platform, credentials: &Credentials, set: &mut ResourceSet<Prepared>) {
    // ClickHouse's only rendered file holds its administrators.
    let administrators = rendered_name(platform, Node::Component(Component::Clickhouse));
    let sources = Sources {
        platform,
        credentials,
        config_maps: set.config_maps.iter().map(of_config_map).collect(),
        secrets: set.secrets.iter().map(of_secret).collect(),
        followed: platform
            .topology
            .components()
            .filter(|component| tls::follows(platform, *component))
            .map(|component| platform.certificate_secret(component))
            .chain([administrators])
            .collect(),
        first_start: Store::ALL
            .into_iter()
            .filter(|store| rotation::has_own_administrator(*store))
            .filter(|store| platform.topology.external(*store).is_none())
            .map(|store| platform.admin_secret(store))
            .collect(),
    };
    let minio = platform.component_name(Component::Minio);
    for stateful_set in &mut set.stateful_sets {
        if let Some(spec) = &mut stateful_set.spec {
            sources.annotate(&mut spec.template, &sources.first_start);
            if stateful_set.metadata.name.as_ref() == Some(&minio) {
                sources.mark_administrator(Store::S3, &mut spec.template);
            }
        }
    }
    for deployment in &mut set.deployments {
        if let Some(spec) = &mut deployment.spec {
            sources.annotate(&mut spec.template, &sources.first_start);
        }
    }
    for job in &mut set.jobs {
        sources.name(job);
    }
}

fn of_config_map(map: &ConfigMap) -> (String, String) {
    let text = serde_json::to_vec(&map.data).unwrap_or_default();
    (map.metadata.name.clone().unwrap_or_default(), digest(&text))
}

fn of_secret(secret: &Secret) -> (String, String) {
    let text = serde_json::to_vec(&secret.data).unwrap_or_default();
    (
        secret.metadata.name.clone().unwrap_or_default(),
        digest(&text),
    )
}

/// Writes the beginning of a digest into a template.
fn note(template: &mut PodTemplateSpec, annotation: &str, mut hash: String) {
    hash.truncate(ANNOTATION_DIGITS);
    template
        .metadata
        .get_or_insert_default()
        .annotations
        .get_or_insert_default()
        .insert(annotation.to_owned(), hash);
}

impl Sources<'_> {
    fn annotate(&self, template: &mut PodTemplateSpec, unused: &BTreeSet<String>) {
        let Some(spec) = &template.spec else { return };
        let hash = self.hash(spec, unused);
        note(template, labels::CONFIG_HASH, hash);
    }

    /// Says which administrator the servers begin with.
    fn mark_administrator(&self, store: Store, template: &mut PodTemplateSpec) {
        let secret = self.platform.admin_secret(store);
        let account = [USERNAME, PASSWORD].map(|key| self.value(&secret, key));
        let hash = digest(account.concat().as_bytes());
        note(template, labels::ADMINISTRATOR_HASH, hash);
    }

    /// A Job cannot change, so everything about its pod is in its name; and so is its store's
    /// volume or delegated object, because a new one is empty. They are made before the store's
    /// first pod, thus before the gate lets the Job through: it does not run twice on a first
    /// installation.
    fn name(&self, job: &mut Job) {
        let Some(spec) = &mut job.spec else { return };
        self.annotate(&mut spec.template, &BTreeSet::new());
        let name = job.metadata.name.get_or_insert_default();
        let mut text = serde_json::to_vec(&spec.template).unwrap_or_default();
        text.extend_from_slice(self.volume(name).as_bytes());
        let mut hash = digest(&text);
        hash.truncate(NAME_DIGITS);
        *name = format!("{name}-{hash}");
    }

    /// UID of what holds the data behind a Job of this name; empty while there is nothing.
    fn volume(&self, job: &str) -> &str {
        let mut stores = Store::ALL.into_iter();
        stores
            .find(|store| self.platform.node_name(Node::Provision(*store)) == job)
            .and_then(|store| self.platform.data_object(store))
            .and_then(|object| self.platform.volumes.get(&object))
            .map_or("", String::as_str)
    }

    fn hash(&self, spec: &PodSpec, unused: &BTreeSet<String>) -> String {
        let mut uses: BTreeMap<String, String> = BTreeMap::new();
        let containers = spec
            .init_containers
            .iter()
            .flatten()
            .chain(&spec.containers);
        for variable in containers.flat_map(|container| container.env.iter().flatten()) {
            let source = variable.value_from.as_ref();
            let key = source.and_then(|source| source.secret_key_ref.as_ref());
            if let Some(key) = key.filter(|key| !unused.contains(&key.name)) {
                uses.insert(
                    format!("{}/{}", key.name, key.key),
                    self.value(&key.name, &key.key),
                );
            }
        }
        for volume in spec.volumes.iter().flatten() {
            if let Some(map) = &volume.config_map {
                let hash = self.config_maps.get(&map.name).cloned().unwrap_or_default();
                uses.insert(format!("config/{}", map.name), hash);
            }
            if let Some(secret) = &volume.secret {
                let name = secret.secret_name.clone().unwrap_or_default();
                if self.followed.contains(&name) || unused.contains(&name) {
                    continue;
                }
                if let Some(hash) = self.secrets.get(&name) {
                    uses.insert(format!("rendered/{name}"), hash.clone());
                }
                for item in secret.items.iter().flatten() {
                    let hash = self.value(&name, &item.key);
                    uses.insert(format!("{name}/{}", item.key), hash);
                }
            }
        }
        digest(&serde_json::to_vec(&uses).unwrap_or_default())
    }

    /// Digest of one value, made by us or named by the resource.
    fn value(&self, secret: &str, key: &str) -> String {
        let provided = &self.platform.provided;
        self.credentials
            .digest(secret, key)
            .or_else(|| provided.get(&(secret.to_owned(), key.to_owned())).cloned())
            .unwrap_or_default()
    }
}
