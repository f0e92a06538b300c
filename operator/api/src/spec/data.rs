//! Stores and their volumes.

use kube_core::Rule;
use kube_derive::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::names::ObjectName;

use super::delegated::DelegatedPostgres;
use super::external::{
    ExternalClickhouse, ExternalObjectStorage, ExternalPostgres, ExternalRabbitmq,
};

/// Size of a volume that the resource does not size.
const DEFAULT_SIZE: &str = "5Gi";

/// Stores.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Data {
    /// PostgreSQL: conversations, decisions, identity.
    #[serde(default)]
    pub postgres: Postgres,
    /// ClickHouse: usage.
    #[serde(default)]
    pub clickhouse: Clickhouse,
    /// Object storage: documents.
    #[serde(default)]
    pub object_storage: ObjectStorage,
}

/// Message broker.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Messaging {
    /// RabbitMQ: events.
    #[serde(default)]
    pub rabbitmq: Rabbitmq,
}

/// A store that the operator runs, one that is there already, or, where `delegated` has a type, one
/// that another operator of the cluster runs.
macro_rules! store {
    ($(#[$doc:meta])* $name:ident, $external:ty $(, $delegated:ty)?) => {
        $(#[$doc])*
        ///
        /// The operator runs it unless another field than `storage` says who does.
        #[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
        #[serde(rename_all = "camelCase")]
        #[x_kube(
            crates(kube_core = "::kube_core"),
            validation = one_mode(&[$(<$delegated>::FIELD)?]),
            validation = fixed_mode(&[$(<$delegated>::FIELD)?]),
            validation = fixed_volume(),
        )]
        pub struct $name {
            /// Its volume, when the operator runs it.
            #[serde(default, skip_serializing_if = "Option::is_none")]
            pub storage: Option<Storage>,
            /// Where it is, when somebody else runs it. The operator then makes no workload and
            /// no volume for it.
            #[serde(default, skip_serializing_if = "Option::is_none")]
            pub external: Option<$external>,
            $(
                /// Which operator of the cluster runs it for the platform, and how large. The
                /// platform's operator then makes that operator's object and no workload.
                #[serde(default, skip_serializing_if = "Option::is_none")]
                pub delegated: Option<$delegated>,
            )?
        }

        impl $name {
            /// The volume of a store that the operator runs.
            #[must_use]
            pub fn volume(&self) -> Storage {
                self.storage.clone().unwrap_or_default()
            }
        }
    };
}

store! {
    /// PostgreSQL.
    Postgres, ExternalPostgres, DelegatedPostgres
}
store! {
    /// ClickHouse.
    Clickhouse, ExternalClickhouse
}
store! {
    /// Object storage.
    ObjectStorage, ExternalObjectStorage
}
store! {
    /// RabbitMQ.
    Rabbitmq, ExternalRabbitmq
}

/// `more` names the modes of a store beside `storage` and `external`.
fn one_mode(more: &[&str]) -> Rule {
    let mut modes = vec!["storage", "external"];
    modes.extend(more);
    let mut clashes = Vec::new();
    for (index, one) in modes.iter().enumerate() {
        for other in &modes[index + 1..] {
            clashes.push(format!("!(has(self.{one}) && has(self.{other}))"));
        }
    }
    let who = match more {
        [] => "storage (the operator runs it) or external (it is there already)",
        _ => {
            "storage (the operator runs it), external (it is there already) or delegated (another \
             operator of the cluster runs it)"
        }
    };
    let message = format!("a store has either {who}: remove one of them");
    Rule::new(clashes.join(" && ")).message(message.as_str())
}

pub(super) fn fixed_mode(more: &[&str]) -> Rule {
    let mut modes = vec!["external"];
    modes.extend(more);
    let same = modes
        .iter()
        .map(|mode| format!("has(self.{mode}) == has(oldSelf.{mode})"));
    Rule::new(same.collect::<Vec<_>>().join(" && ")).message(
        "who runs a store is fixed, because its data would stay behind: set it back, or back up \
         the store, make a new LotoAI resource that says where the store is, and restore there",
    )
}

/// Complements the rules of [`Storage`], which the API server asks only where both the old and the
/// new resource have one.
pub(super) fn fixed_volume() -> Rule {
    let size = |of: &str| format!("(has({of}.storage) ? {of}.storage.size : '{DEFAULT_SIZE}')");
    let class = |of: &str| {
        format!(
            "(has({of}.storage) && has({of}.storage.storageClassName) \
             ? {of}.storage.storageClassName : '')"
        )
    };
    let rule = format!(
        "has(self.storage) == has(oldSelf.storage) || ({} == {} && {} == {})",
        size("self"),
        size("oldSelf"),
        class("self"),
        class("oldSelf"),
    );
    Rule::new(rule).message(
        "storage is fixed once the volume exists: set size and storageClassName back to what the \
         volume was made with",
    )
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
    #[schemars(with = "Option<ObjectName>")]
    pub storage_class_name: Option<String>,
}

impl Storage {
    fn default_size() -> String {
        DEFAULT_SIZE.to_owned()
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
