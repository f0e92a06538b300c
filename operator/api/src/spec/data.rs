//! Stores and their volumes.

use kube_derive::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Stores.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Data {
    /// PostgreSQL: conversations, decisions, identity.
    #[serde(default)]
    pub postgres: Store,
    /// ClickHouse: usage.
    #[serde(default)]
    pub clickhouse: Store,
    /// Object storage: documents.
    #[serde(default)]
    pub object_storage: Store,
}

/// Message broker.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Messaging {
    /// RabbitMQ: events.
    #[serde(default)]
    pub rabbitmq: Store,
}

/// One store.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Store {
    /// Its volume.
    #[serde(default)]
    pub storage: Storage,
}

/// A volume. It is fixed once it is made, because a StatefulSet's claims are.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    crates(kube_core = "::kube_core"),
    validation = kube_core::Rule::new("self.size == oldSelf.size").message(
        "storage.size is fixed once the volume exists: set it back, and grow the \
         PersistentVolumeClaim itself if its storage class allows it",
    ),
    validation = kube_core::Rule::new(
        "has(self.storageClassName) == has(oldSelf.storageClassName) && \
         (!has(self.storageClassName) || self.storageClassName == oldSelf.storageClassName)",
    ).message("storage.storageClassName is fixed once the volume exists: set it back"),
)]
pub struct Storage {
    /// Size, for example `5Gi`.
    #[serde(default = "Storage::default_size")]
    #[schemars(
        length(min = 2, max = 20),
        regex(pattern = r"^[1-9][0-9]*(Mi|Gi|Ti|M|G|T)$")
    )]
    pub size: String,
    /// Storage class; the cluster's default when it is not set.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(
        length(min = 1, max = 253),
        regex(pattern = r"^[a-z0-9]([-.a-z0-9]*[a-z0-9])?$")
    )]
    pub storage_class_name: Option<String>,
}

impl Storage {
    fn default_size() -> String {
        "5Gi".to_owned()
    }
}

impl Default for Storage {
    fn default() -> Self {
        Self {
            size: Self::default_size(),
            storage_class_name: None,
        }
    }
}
