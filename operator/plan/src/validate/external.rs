//! Stores that are there already, from the resource: the only place that looks at which ones.

use std::collections::BTreeMap;

use lotoai_api::names::ObjectName;
use lotoai_api::spec::{ExternalObjectStorage, LotoAISpec};
use lotoai_api::{Component, Store};
use url::Url;

use super::{Invalid, Reference, identity, is_bare};
use crate::components::shared::authorities;
use crate::credentials::{PASSWORD, USERNAME};
use crate::delegated;
use crate::env::VHOST;
use crate::graph::{External, Node, Topology};

/// An address of the resource.
struct Address<'a> {
    /// Its field.
    field: &'static str,
    url: &'a str,
    /// Schemes that it may have, each with its usual port.
    schemes: &'static [(&'static str, u16)],
}

const HTTP: &[(&str, u16)] = &[("http", 80), ("https", 443)];

/// What the resource says about one external store.
struct Given<'a> {
    store: Store,
    field: &'static str,
    url: Address<'a>,
    /// Where the provision Job goes, if that is not `url`.
    admin_url: Option<Address<'a>>,
    /// What the address asks of its clients beside a host, as its query.
    query: Option<&'static str>,
    secret_field: &'static str,
    secret: &'a ObjectName,
    ca: Option<&'a ObjectName>,
    virtual_host: Option<String>,
    bucket: Option<&'a ExternalObjectStorage>,
}

/// The external stores of a resource of this name.
fn given<'a>(spec: &'a LotoAISpec, name: &str) -> Vec<Given<'a>> {
    let url = |url, schemes| Address {
        field: "url",
        url,
        schemes,
    };
    let postgres = spec.data.postgres.external.as_ref().map(|to| Given {
        store: Store::Postgres,
        field: "spec.data.postgres.external",
        url: url(&to.url, &[("postgres", 5432)]),
        admin_url: None,
        query: Some(if to.tls {
            "sslmode=verify-full"
        } else {
            "sslmode=disable"
        }),
        secret_field: "adminSecretName",
        secret: &to.admin_secret_name,
        ca: to.ca_secret_name.as_ref(),
        virtual_host: None,
        bucket: None,
    });
    let rabbitmq = spec.messaging.rabbitmq.external.as_ref().map(|to| Given {
        store: Store::Rabbitmq,
        field: "spec.messaging.rabbitmq.external",
        url: url(&to.url, &[("amqp", 5672), ("amqps", 5671)]),
        admin_url: Some(Address {
            field: "managementURL",
            url: &to.management_url,
            schemes: HTTP,
        }),
        query: None,
        secret_field: "adminSecretName",
        secret: &to.admin_secret_name,
        ca: to.ca_secret_name.as_ref(),
        virtual_host: Some(match &to.virtual_host {
            Some(given) => given.clone(),
            None => format!("{name}-{VHOST}"),
        }),
        bucket: None,
    });
    let s3 = spec.data.object_storage.external.as_ref().map(|to| Given {
        store: Store::S3,
        field: "spec.data.objectStorage.external",
        url: url(&to.url, HTTP),
        admin_url: None,
        query: None,
        secret_field: "credentialsSecretName",
        secret: &to.credentials_secret_name,
        ca: to.ca_secret_name.as_ref(),
        virtual_host: None,
        bucket: Some(to),
    });
    let clickhouse = spec.data.clickhouse.external.as_ref().map(|to| Given {
        store: Store::Clickhouse,
        field: "spec.data.clickhouse.external",
        url: url(&to.url, HTTP),
        admin_url: None,
        query: None,
        secret_field: "adminSecretName",
        secret: &to.admin_secret_name,
        ca: to.ca_secret_name.as_ref(),
        virtual_host: None,
        bucket: None,
    });
    [postgres, rabbitmq, s3, clickhouse]
        .into_iter()
        .flatten()
        .collect()
}

/// Keys of Secrets that external stores need.
pub(super) fn references(spec: &LotoAISpec) -> Vec<Reference> {
    let mut references = Vec::new();
    for given in given(spec, "") {
        let mut wants = |field: &str, secret: &ObjectName, key: &str| {
            references.push(Reference {
                field: format!("{}.{field}", given.field),
                secret: secret.to_string(),
                key: key.to_owned(),
            });
        };
        for key in [USERNAME, PASSWORD] {
            wants(given.secret_field, given.secret, key);
        }
        if let Some(secret) = given.ca {
            wants("caSecretName", secret, authorities::KEY);
        }
    }
    references
}

/// The topology that a resource of this name asks for.
pub(super) fn topology(spec: &LotoAISpec, name: &str, faults: &mut Vec<Invalid>) -> Topology {
    let mut external: BTreeMap<_, _> = delegated::stores(spec, name);
    for given in given(spec, name) {
        let url = address(given.field, &given.url, faults);
        let admin_url = match &given.admin_url {
            Some(other) => address(given.field, other, faults),
            None => url.clone(),
        };
        let (Some(mut url), Some(mut admin_url)) = (url, admin_url) else {
            continue;
        };
        url.set_query(given.query);
        admin_url.set_query(given.query);
        let authority = given.ca.map(ToString::to_string);
        let mut server = External::new(url, given.secret.to_string(), authority);
        server.admin_url = admin_url;
        if let Some(virtual_host) = given.virtual_host {
            server.container = virtual_host;
        }
        if let Some(to) = given.bucket {
            server.accounts = false;
            server.container.clone_from(&to.bucket);
            server.region.clone_from(&to.region);
            server.path_style = to.path_style;
        }
        external.insert(given.store, server);
    }
    if let Some(issuer) = identity::issuer(spec, faults) {
        external.insert(Store::Keycloak, issuer);
    }
    let topology = Topology::new(name, external, spec.edge.is_managed());
    unused(spec, &topology, faults);
    topology
}

/// The schema refuses most of these; a resource that never met it is refused here.
fn address(field: &str, given: &Address<'_>, faults: &mut Vec<Invalid>) -> Option<Url> {
    let parsed = Url::parse(given.url).ok();
    let scheme = parsed.as_ref().and_then(|url| {
        let mut known = given.schemes.iter();
        known.find(|(scheme, _)| *scheme == url.scheme())
    });
    let plain = parsed
        .as_ref()
        .filter(|url| url.has_host() && is_bare(url) && matches!(url.path(), "" | "/"));
    let (Some(url), Some((_, port))) = (plain, scheme) else {
        let schemes: Vec<String> = given
            .schemes
            .iter()
            .map(|(scheme, _)| format!("{scheme}://"))
            .collect();
        // The address is not repeated: it may hold a password, and a status is read by many.
        let message = format!(
            "this is no address of a server; write {} and a host, with a port if it is not the \
             usual one, and nothing else: users and passwords belong in the Secret",
            schemes.join(" or ")
        );
        faults.push(Invalid::spec(format!("{field}.{}", given.field), message));
        return None;
    };
    let mut url = url.clone();
    if url.port_or_known_default().is_none() {
        // Fails only for addresses without a host.
        let _ = url.set_port(Some(*port));
    }
    Some(url)
}

/// Settings of components that have no pods here.
fn unused(spec: &LotoAISpec, topology: &Topology, faults: &mut Vec<Invalid>) {
    let settings = [
        ("components", spec.components.keys().collect::<Vec<_>>()),
        ("images.overrides", spec.images.overrides.keys().collect()),
    ];
    for (field, names) in settings {
        for name in names {
            let component = name.parse::<Component>().ok();
            let unused = component.is_some_and(|component| {
                !topology.has(Node::Component(component)) && topology.delegated(component).is_none()
            });
            if unused {
                let message = format!("{name} is not run by this platform; remove it");
                faults.push(Invalid::spec(format!("spec.{field}[{name}]"), message));
            }
        }
    }
    for (component, _, delegated) in topology.delegated_stores() {
        let settings = spec.components.get(component.name());
        if settings.is_some_and(|settings| settings.replicas.is_some()) {
            let message = format!(
                "{} runs {component}; remove it, and write {}.instances",
                delegated.operator.name(),
                delegated.field
            );
            let field = format!("spec.components[{component}].replicas");
            faults.push(Invalid::spec(field, message));
        }
    }
}

#[cfg(test)]
mod tests;
