//! The `LotoAI` resource: spec, status, names, image versions and condition reasons.
//!
//! This crate knows no client and no runtime, so that planning can depend on it and stay pure.

pub mod component;
pub mod names;
pub mod reasons;
pub mod replication;
#[expect(
    unreachable_pub,
    reason = "the KubeSchema derive copies each struct into a function, where `pub` reaches nothing"
)]
pub mod spec;
#[expect(
    unreachable_pub,
    reason = "the KubeSchema derive copies each struct into a function, where `pub` reaches nothing"
)]
pub mod status;
pub mod versions;

pub use component::{Component, Store};
pub use names::{NameError, PlatformName, RoleName, ToolName};
pub use replication::Replication;
pub use spec::{LotoAI, LotoAISpec};
pub use status::{ComponentStatus, CredentialStatus, LotoAIStatus, Mode};

/// API group of the resource.
pub const GROUP: &str = "lotoai.dev";
/// Version of the resource.
pub const VERSION: &str = "v1alpha1";
/// Name of the provider that is always there: the platform's own model-server.
pub const LOCAL_PROVIDER: &str = "local";
