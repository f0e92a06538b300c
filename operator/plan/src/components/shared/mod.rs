//! What builders share.

pub mod authorities;
pub mod autoscaler;
pub mod config;
pub mod disruption;
pub mod elsewhere;
pub mod hash;
pub mod network_policy;
pub mod ours;
pub mod placement;
pub mod pod;
pub mod resources;
pub mod service;
pub mod service_account;
pub mod workload;
