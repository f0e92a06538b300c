//! ServiceAccounts: an identity of its own for every node, without a token.

use k8s_openapi::api::core::v1::ServiceAccount;

use crate::graph::Node;
use crate::platform::Platform;

/// ServiceAccount `<platform>-<node>`.
#[must_use]
pub fn build(platform: &Platform, node: Node) -> ServiceAccount {
    ServiceAccount {
        metadata: platform.metadata(platform.node_name(node), node),
        automount_service_account_token: Some(false),
        ..ServiceAccount::default()
    }
}
