//! Pure planning: from a `LotoAI` resource to the objects it stands for.
//!
//! The controller reads the cluster into [`Observed`] and calls, in this order:
//!
//! 1. [`validate`]: resource + what was read + the operator's own settings → [`Platform`], or all
//!    faults at once;
//! 2. [`required_secrets`]: which credential Secrets there must be; the controller makes missing
//!    ones and hands all values back as [`Credentials`];
//! 3. [`plan()`]: every object ([`build`], infallible), and which workload objects must wait
//!    ([`gates`]);
//! 4. [`judge`]: what the resource's status says;
//! 5. [`events`]: what `kubectl describe` tells of the pass.
//!
//! Nothing here reads, writes, waits or knows what time it is.

pub mod components;
pub mod credentials;
pub mod delegated;
pub mod dependence;
pub mod edge;
pub mod env;
pub mod events;
pub mod gate;
pub mod graph;
pub mod kinds;
pub mod labels;
pub mod names;
pub mod observed;
pub mod platform;
pub mod probe;
pub mod profile;
mod recreate;
pub mod resources;
pub mod retention;
mod rollout;
pub mod rotation;
pub mod scale;
pub mod status;
mod suspend;
pub mod tls;
pub mod validate;
pub mod warnings;

pub use components::{build, plan};
pub use credentials::{Credentials, Encoding, SecretKind, SecretSpec, Value, required_secrets};
pub use dependence::{depends, in_order};
pub use gate::{Gate, Gates, gates};
pub use graph::{Edge, Node};
pub use observed::{Observed, OperatorEnv};
pub use platform::Platform;
pub use probe::{ProbeOutcome, ProbeQuestion, probe_question};
pub use resources::{
    Applied, ObjectId, OwnedKind, PlannedObject, Prepared, ResourceSet, owned_kinds,
};
pub use scale::{Scale, asleep};
pub use status::{Judgement, Outcome, Pass, judge, short_of_pods, status, without_volume};
pub use validate::{Invalid, validate};
pub use warnings::warnings;
