//! Objects without their types: what apply and prune need to know of any kind.
//!
//! No client needed; infallible.

use std::collections::HashMap;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::api::ApiResource;
use serde_json::Value;

/// One object as it should be.
#[derive(Clone, Debug)]
pub struct Desired {
    /// Its kind.
    pub resource: ApiResource,
    /// Its name.
    pub name: String,
    /// All of it, as it is sent.
    pub body: Value,
    /// Why it may not be written yet; `None` when it may.
    pub held: Option<String>,
}

impl Desired {
    /// Its identity within the namespace of the platform.
    #[must_use]
    pub fn id(&self) -> Id {
        Id { kind: self.resource.kind.clone(), name: self.name.clone() }
    }
}

/// Kind and name of an object in the namespace of its platform.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Id {
    /// Kind, for example `Deployment`.
    pub kind: String,
    /// Name.
    pub name: String,
}

impl std::fmt::Display for Id {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}/{}", self.kind, self.name)
    }
}

/// Objects in the cluster that carry the labels of the platform.
#[derive(Clone, Debug, Default)]
pub struct Existing(HashMap<Id, ObjectMeta>);

impl Existing {
    /// Adds objects of `kind`.
    pub fn extend(&mut self, kind: &str, objects: impl IntoIterator<Item = ObjectMeta>) {
        self.0.extend(objects.into_iter().filter_map(|meta| {
            let name = meta.name.clone()?;
            Some((Id { kind: kind.to_owned(), name }, meta))
        }));
    }

    /// Metadata of an object.
    #[must_use]
    pub fn get(&self, id: &Id) -> Option<&ObjectMeta> {
        self.0.get(id)
    }

    /// All of them.
    pub fn iter(&self) -> impl Iterator<Item = (&Id, &ObjectMeta)> {
        self.0.iter()
    }
}

/// Whether the platform with this UID owns the object. Labels can be copied by anybody who copies
/// a manifest; an owner reference with our UID cannot come about by accident.
#[must_use]
pub fn owned_by(meta: &ObjectMeta, uid: &str) -> bool {
    meta.owner_references.iter().flatten().any(|owner| owner.uid == uid)
}
