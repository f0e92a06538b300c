//! Objects without their types: what apply and prune need to know of any kind.
//!
//! No client needed; infallible.

use std::collections::HashMap;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use lotoai_plan::{ObjectId, PlannedObject, labels};

/// One object as it should be.
#[derive(Clone, Debug)]
pub struct Desired {
    /// Kind, name and all of it, as it is sent.
    pub planned: PlannedObject,
    /// Whether a gate still holds it back.
    pub held: bool,
    /// With how many pods it is woken, where it asks for none and its number is an autoscaler's.
    pub wake: Option<i32>,
}

impl Desired {
    /// Kind and name.
    #[must_use]
    pub fn id(&self) -> ObjectId {
        self.planned.id()
    }
}

/// `Kind/name`, as messages name objects.
#[must_use]
pub fn show(id: &ObjectId) -> String {
    format!("{}/{}", id.kind, id.name)
}

/// Objects in the cluster that carry the labels of the platform.
#[derive(Clone, Debug, Default)]
pub struct Existing(HashMap<ObjectId, ObjectMeta>);

impl Existing {
    /// Adds objects of `kind`.
    pub fn extend(&mut self, kind: &str, objects: impl IntoIterator<Item = ObjectMeta>) {
        self.0.extend(objects.into_iter().filter_map(|meta| {
            let name = meta.name.clone()?;
            Some((
                ObjectId {
                    kind: kind.to_owned(),
                    name,
                },
                meta,
            ))
        }));
    }

    /// Metadata of an object.
    #[must_use]
    pub fn get(&self, id: &ObjectId) -> Option<&ObjectMeta> {
        self.0.get(id)
    }

    /// All of them.
    pub fn iter(&self) -> impl Iterator<Item = (&ObjectId, &ObjectMeta)> {
        self.0.iter()
    }
}

/// Whether the platform with this UID owns the object. Labels can be copied by anybody who copies
/// a manifest; an owner reference with our UID cannot come about by accident.
#[must_use]
pub fn owned_by(meta: &ObjectMeta, uid: &str) -> bool {
    meta.owner_references
        .iter()
        .flatten()
        .any(|owner| owner.uid == uid)
}

/// Whether an object with the labels of the platform is its own: owned by it, or data that outlived
/// the resource and that nobody owns.
#[must_use]
pub fn belongs(meta: &ObjectMeta, uid: &str) -> bool {
    let unowned = meta.owner_references.iter().flatten().next().is_none();
    owned_by(meta, uid) || (unowned && has_label(meta, labels::DATA))
}

/// Whether the object carries a label, whatever its value.
#[must_use]
pub fn has_label(meta: &ObjectMeta, label: &str) -> bool {
    let labels = meta.labels.as_ref();
    labels.is_some_and(|labels| labels.contains_key(label))
}

#[cfg(test)]
mod tests {
    use rstest::rstest;
    use serde_json::{Value, json};

    use super::*;

    #[rstest]
    #[case::owned(json!({ "ownerReferences": [owner("u")] }), true)]
    #[case::of_another(json!({ "ownerReferences": [owner("other")] }), false)]
    #[case::unowned(json!({}), false)]
    #[case::retained_data(json!({ "labels": { "lotoai.dev/data": "true" } }), true)]
    #[case::data_of_another(
        json!({ "labels": { "lotoai.dev/data": "true" }, "ownerReferences": [owner("other")] }),
        false
    )]
    fn tells_what_belongs_to_a_platform(#[case] meta: Value, #[case] expected: bool) {
        let meta: ObjectMeta = serde_json::from_value(meta).unwrap();
        assert_eq!(belongs(&meta, "u"), expected);
    }

    fn owner(uid: &str) -> Value {
        json!({ "apiVersion": "lotoai.dev/v1alpha1", "kind": "LotoAI", "name": "demo", "uid": uid })
    }
}
