//! The operator against a real kube-apiserver: without nodes, so the tests play kubelet and
//! controllers where a test needs them. Skipped, with the reason, where its binaries are missing.

mod leader;
mod platform;
mod reconcile;
mod schema;
mod server;
mod world;
