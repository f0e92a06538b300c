//! The values of Secrets that a resource names, and whether they are there.

use std::collections::{BTreeMap, BTreeSet};

use lotoai_api::reasons;
use lotoai_api::spec::LotoAISpec;

use super::{Invalid, edge, external, given, identity, tls};
use crate::credentials::digest;
use crate::delegated;
use crate::names::issued_secret;
use crate::observed::Observed;

/// A value of a Secret that a resource names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reference {
    /// The field that names it.
    pub field: String,
    /// The Secret.
    pub secret: String,
    /// The key in it.
    pub key: String,
}

/// The values of Secrets that a resource names, in the order of the fields.
#[must_use]
pub fn references(spec: &LotoAISpec) -> Vec<Reference> {
    let certificate = spec.edge.tls.secret_name.iter().flat_map(|secret| {
        edge::certificate_keys(&spec.edge)
            .iter()
            .map(|key| Reference {
                field: "spec.edge.tls.secretName".to_owned(),
                secret: secret.clone(),
                key: (*key).to_owned(),
            })
    });
    let providers = spec.agents.providers.iter().filter_map(|provider| {
        let reference = provider.api_key_secret_ref.as_ref()?;
        Some(Reference {
            field: format!("spec.agents.providers[{}].apiKeySecretRef", provider.name),
            secret: reference.name.clone(),
            key: reference.key.clone(),
        })
    });
    certificate
        .chain(tls::references(spec))
        .chain(providers)
        .chain(external::references(spec))
        .chain(identity::references(spec))
        .chain(given::references(spec))
        .collect()
}

/// Checks that every Secret that the resource names is there, and digests what pods use of it.
pub(super) fn provided(
    spec: &LotoAISpec,
    observed: &Observed,
    faults: &mut Vec<Invalid>,
) -> BTreeMap<(String, String), String> {
    let mut digests = BTreeMap::new();
    for Reference { field, secret, key } in references(spec) {
        if !observed.secrets.contains_key(&secret) {
            // Of one without a use, or whose absence is told for another key, that is enough.
            if faults.iter().all(|fault| fault.field != field) {
                let message =
                    format!("Secret {secret} does not exist; create it in this namespace");
                faults.push(Invalid {
                    field,
                    message,
                    reason: reasons::SECRET_NOT_FOUND,
                });
            }
        } else if let Some(value) = observed.secret_value(&secret, &key) {
            digests.insert((secret, key), digest(value));
        } else {
            let message = format!("Secret {secret} has no value for key {key}; add it");
            faults.push(Invalid {
                field,
                message,
                reason: reasons::SECRET_KEY_MISSING,
            });
        }
    }
    digests
}

/// Names of the Secrets that the resource of this name refers to, and of those that cert-manager
/// and the operators of its stores make for it: the controller reads and watches them.
#[must_use]
pub fn referenced_secrets(name: &str, spec: &LotoAISpec) -> BTreeSet<String> {
    let issued = spec.edge.tls.cert_manager.as_ref();
    references(spec)
        .into_iter()
        .map(|reference| reference.secret)
        .chain(issued.map(|_| issued_secret(name)))
        .chain(delegated::secrets(spec, name))
        .collect()
}
