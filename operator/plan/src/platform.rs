//! A platform whose description was checked: nothing in it makes the cluster refuse an object.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::ObjectReference;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ObjectMeta, OwnerReference};
use lotoai_api::spec::{ComponentSettings, DeletionPolicy, LotoAISpec, PullPolicy};
use lotoai_api::versions::PROVISION;
use lotoai_api::{Component, GROUP, PlatformName, VERSION};

use crate::graph::{Node, Topology};
use crate::labels;
use crate::rotation::Held;

/// A checked platform, with built-in roles and tools filled in.
#[derive(Debug, Clone)]
pub struct Platform {
    /// Name of the resource.
    pub name: PlatformName,
    /// Namespace of the resource and of all its objects.
    pub namespace: String,
    /// UID of the resource, for owner references.
    pub uid: String,
    /// The spec, with built-in roles and tools where it has none.
    pub spec: LotoAISpec,
    /// Where people reach it.
    pub url: PublicUrl,
    /// Which nodes there are, and where each edge leads.
    pub topology: Topology,
    /// Image reference of every component.
    pub images: BTreeMap<Component, String>,
    /// Image reference of provision Jobs.
    pub provision_image: String,
    /// When nodes pull.
    pub pull_policy: PullPolicy,
    /// Version of the operator.
    pub operator_version: String,
    /// Namespace of the operator.
    pub operator_namespace: String,
    /// Where telemetry goes, if anywhere.
    pub otlp_endpoint: Option<String>,
    /// Digest of each value of a Secret that the resource names, by Secret and key, so that pods
    /// restart when somebody changes it.
    pub provided: BTreeMap<(String, String), String>,
    /// What the Secrets with credentials hold, by name.
    pub held: BTreeMap<String, Held>,
    /// UID of each volume claim and each delegated store that there is, by the name of its object,
    /// so that a store that begins anew is provisioned again.
    pub volumes: BTreeMap<String, String>,
}

/// The public address in its parts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PublicUrl {
    /// Without a trailing slash.
    pub url: String,
    /// Host name or address.
    pub host: String,
    /// Port; 443 when the URL names none.
    pub port: u16,
}

impl Platform {
    /// Image of a node. The operator itself has none.
    #[must_use]
    pub fn image(&self, node: Node) -> &str {
        match node {
            Node::Component(component) => self.images.get(&component).map_or("", String::as_str),
            Node::Provision(_) => &self.provision_image,
            Node::Operator | Node::Anyone | Node::Scraper => "",
        }
    }

    /// What the resource says of the size and place of a node's pods, if it says anything.
    #[must_use]
    pub fn settings(&self, node: Node) -> Option<&ComponentSettings> {
        let name = match node {
            Node::Component(component) => component.name(),
            Node::Provision(_) => PROVISION,
            Node::Anyone | Node::Operator | Node::Scraper => return None,
        };
        self.spec.components.get(name)
    }

    /// The reference that makes an object go with the resource.
    #[must_use]
    pub fn owner_reference(&self) -> OwnerReference {
        OwnerReference {
            api_version: format!("{GROUP}/{VERSION}"),
            kind: "LotoAI".to_owned(),
            name: self.name.to_string(),
            uid: self.uid.clone(),
            controller: Some(true),
            block_owner_deletion: Some(true),
        }
    }

    /// Metadata of an object that belongs to a node.
    #[must_use]
    pub fn metadata(&self, name: String, node: Node) -> ObjectMeta {
        self.owned(name, labels::recommended(self, node))
    }

    /// Metadata of an object that belongs to the platform as a whole.
    #[must_use]
    pub fn platform_metadata(&self, name: String) -> ObjectMeta {
        self.owned(name, labels::platform(self))
    }

    /// Takes the owner from what is to outlive the resource by its deletion policy, and has others keep
    /// it as well.
    pub fn retain(&self, metadata: &mut ObjectMeta) {
        if self.spec.deletion_policy == DeletionPolicy::Retain {
            metadata.owner_references = None;
            let kept = labels::KEPT_BY_ARGO_CD;
            metadata
                .annotations
                .get_or_insert_default()
                .extend(kept.map(|(key, value)| (key.to_owned(), value.to_owned())));
        }
    }

    fn owned(&self, name: String, labels: BTreeMap<String, String>) -> ObjectMeta {
        ObjectMeta {
            name: Some(name),
            namespace: Some(self.namespace.clone()),
            labels: Some(labels),
            owner_references: Some(vec![self.owner_reference()]),
            ..ObjectMeta::default()
        }
    }

    /// The resource as events refer to it.
    #[must_use]
    pub fn object_reference(&self) -> ObjectReference {
        ObjectReference {
            api_version: Some(format!("{GROUP}/{VERSION}")),
            kind: Some("LotoAI".to_owned()),
            name: Some(self.name.to_string()),
            namespace: Some(self.namespace.clone()),
            uid: Some(self.uid.clone()),
            ..ObjectReference::default()
        }
    }
}
