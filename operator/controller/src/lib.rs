//! The LotoAI operator: everything that reads from or writes to the cluster.
//!
//! One pass over a resource is a pipeline, each stage in its own file:
//! guard → [`dereference`] → [`retain`] → validate → [`credentials`] → build → gate → [`apply`] → [`prune`] →
//! [`report`]. What is pure among it stands in `lotoai-plan`.

pub mod apply;
pub mod check;
pub mod cli;
pub mod client;
pub mod context;
pub mod credentials;
pub mod dereference;
pub mod env;
pub mod error;
pub mod explain;
mod hash;
pub mod leader;
pub mod metrics;
mod named;
pub mod object;
mod pace;
mod panics;
pub mod probe;
pub mod prune;
pub mod question;
pub mod rbac;
pub mod reconcile;
pub mod report;
pub mod retain;
pub mod run;
pub mod serve;
pub mod start;
mod telemetry;
pub mod tls;
mod unread;
pub mod watch;

pub use error::Error;
pub use start::main;
