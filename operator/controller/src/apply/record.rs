//! What an object tells of the last time that it was applied, so that a process which has just
//! started does not send again what another one has sent.
//!
//! No client needed; infallible. Every apply also writes a digest of what it sends into an
//! annotation. The API server notes in `metadata.managedFields` which fields became ours by it, and
//! strikes out each one that somebody else changes or removes. An object is as planned when the
//! digest is that of the plan and every planned field, the annotation too, is still ours. What the
//! API server fills in and what others add was never ours, and does not count. Whatever cannot be
//! told is sent.

use std::collections::BTreeMap;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ManagedFieldsEntry, ObjectMeta};
use lotoai_plan::credentials::digest;
use lotoai_plan::labels::APPLIED;
use serde_json::{Map, Value, json};

use super::FIELD_MANAGER;

/// Letters of a digest that are written: 128 bits.
const LETTERS: usize = 32;

/// Leaves of the managed fields only what our own applies have noted there. The rest is most of an
/// object's metadata, and nobody reads it.
pub(crate) fn keep_ours(meta: &mut ObjectMeta) {
    let entries = meta.managed_fields.take().unwrap_or_default();
    let ours = entries.into_iter().find(is_ours);
    meta.managed_fields = ours.map(|entry| vec![entry]);
}

/// Whether an entry is that of our applies. There is one at most.
fn is_ours(entry: &ManagedFieldsEntry) -> bool {
    entry.manager.as_deref() == Some(FIELD_MANAGER)
        && entry.operation.as_deref() == Some("Apply")
        && entry.subresource.as_deref().unwrap_or_default().is_empty()
}

/// An object as it is sent: with the digest of all the rest of it.
pub(super) fn signed(body: &Value) -> Value {
    let mut written = digest(body.to_string().as_bytes());
    written.truncate(LETTERS);
    let mut signed = body.clone();
    signed["metadata"]["annotations"][APPLIED] = json!(written);
    signed
}

/// Whether an object is as it would be if this body were applied now.
pub(super) fn is_as_applied(meta: &ObjectMeta, body: &Value) -> bool {
    let Some(written) = meta.annotations.as_ref().and_then(|all| all.get(APPLIED)) else {
        return false;
    };
    let mut ours = meta.managed_fields.iter().flatten();
    let Some(ours) = ours.find(|entry| is_ours(entry)) else {
        return false;
    };
    let Some(fields) = &ours.fields_v1 else {
        return false;
    };
    let signed = signed(body);
    signed["metadata"]["annotations"][APPLIED].as_str() == Some(written.as_str())
        && ours.api_version.as_deref() == body["apiVersion"].as_str()
        && covers(&fields.0, &without_name(signed))
}

/// Without what names an object: that is nobody's.
fn without_name(mut body: Value) -> Value {
    if let Some(fields) = body.as_object_mut() {
        fields.remove("apiVersion");
        fields.remove("kind");
    }
    if let Some(metadata) = body.get_mut("metadata").and_then(Value::as_object_mut) {
        metadata.remove("name");
        metadata.remove("namespace");
    }
    body
}

/// Whether every field of `planned` is among `fields`, a set in the form `FieldsV1`.
fn covers(fields: &Value, planned: &Value) -> bool {
    let Some(fields) = fields.as_object() else {
        return false;
    };
    // A scalar, or a map or list that belongs to somebody as a whole.
    if fields.is_empty() {
        return true;
    }
    match planned {
        Value::Object(planned) => planned.iter().all(|(name, value)| {
            let field = fields.get(&format!("f:{name}"));
            field.is_some_and(|field| covers(field, value))
        }),
        Value::Array(items) => {
            let elements = Elements::new(fields);
            items.iter().all(|item| elements.cover(item))
        }
        _ => true,
    }
}

/// The elements of a list that belong to somebody one by one.
struct Elements<'a> {
    /// By the values of the fields that tell them apart.
    keyed: Vec<(BTreeMap<String, Value>, &'a Value)>,
    /// Those of a set.
    values: Vec<Value>,
}

impl<'a> Elements<'a> {
    fn new(fields: &'a Map<String, Value>) -> Self {
        let keyed = fields.iter().filter_map(|(name, fields)| {
            let keys = serde_json::from_str(name.strip_prefix("k:")?).ok()?;
            Some((keys, fields))
        });
        let values = fields
            .keys()
            .filter_map(|name| serde_json::from_str(name.strip_prefix("v:")?).ok());
        Self {
            keyed: keyed.collect(),
            values: values.collect(),
        }
    }

    fn cover(&self, item: &Value) -> bool {
        let Some(item_fields) = item.as_object() else {
            return self.values.contains(item);
        };
        let mut same = self.keyed.iter().filter(|(keys, _)| {
            // A key that is left out has a default, which only the API server knows.
            let mut keys = keys.iter();
            keys.all(|(name, key)| item_fields.get(name).is_none_or(|value| value == key))
        });
        match (same.next(), same.next()) {
            (Some((_, fields)), None) => covers(fields, item),
            _ => false,
        }
    }
}

#[cfg(test)]
mod tests;
