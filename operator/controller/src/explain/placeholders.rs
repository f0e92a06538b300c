//! Stand-ins for what a pass would make or read: texts that say what belongs there.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use k8s_openapi::ByteString;
use k8s_openapi::api::core::v1::Secret;
use lotoai_plan::credentials::{KEY, digest};
use lotoai_plan::validate::Reference;
use lotoai_plan::{Credentials, Observed, SecretKind, SecretSpec, Value};

use super::{DocumentSnafu, Error};

/// UID of a resource that no cluster knows.
pub(super) const UID: &str = "00000000-0000-0000-0000-000000000000";

/// The text that stands for a value. It fits where values are rendered into configuration.
pub(super) fn text(secret: &str, key: &str) -> String {
    format!("placeholder-{secret}-{key}")
}

/// What a required Secret would hold. What is given, such as a user name, is as it will be.
pub(super) fn values(spec: &SecretSpec) -> BTreeMap<String, String> {
    let value = |key: &str| match &spec.kind {
        SecretKind::Values(values) => match values.get(key) {
            Some(
                Value::Fixed(given) | Value::First(given) | Value::Account { first: given, .. },
            ) => given.clone(),
            Some(Value::Given { secret, key }) => text(secret, key),
            Some(Value::Random { .. }) | None => text(spec.name(), key),
        },
        SecretKind::Authority | SecretKind::Certificate { .. } => text(spec.name(), key),
    };
    let keys = spec.keys().into_iter();
    keys.map(|key| (key.to_owned(), value(key))).collect()
}

/// The values of all required Secrets.
pub(super) fn credentials(required: &[SecretSpec]) -> Result<Credentials, Error> {
    let of = |spec: &SecretSpec| {
        let values = values(spec).into_iter();
        values
            .map(|(key, value)| (key, value.into_bytes()))
            .collect()
    };
    let values = required
        .iter()
        .map(|spec| (spec.name().to_owned(), of(spec)))
        .collect();
    Credentials::new(required, values).map_err(|error| {
        DocumentSnafu {
            message: error.to_string(),
        }
        .build()
    })
}

/// A cluster that holds nothing but the Secrets that the resource names, `given` among them.
pub(super) fn observed(references: &[Reference], given: &[Reference]) -> Observed {
    let mut observed = Observed::default();
    for reference in references {
        let Reference { secret, key, .. } = reference;
        let entry: &mut Secret = observed.secrets.entry(secret.clone()).or_default();
        let value = if given.contains(reference) {
            credential(secret, key)
        } else {
            text(secret, key)
        };
        entry
            .data
            .get_or_insert_default()
            .insert(key.clone(), ByteString(value.into_bytes()));
    }
    observed
}

/// What passes for a credential that is given. It is checked and never printed.
fn credential(secret: &str, key: &str) -> String {
    let unique = digest(text(secret, key).as_bytes());
    if key == KEY {
        let bytes: Vec<u8> = unique.bytes().take(32).collect();
        STANDARD.encode(bytes)
    } else {
        unique
    }
}
