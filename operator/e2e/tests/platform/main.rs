//! The running platform, seen from outside: through its public URL and through the API server.
//!
//! `make e2e` starts a cluster of its own, brings a platform to Ready on it, and runs this program
//! with `KUBECONFIG` set. The tests do not depend on their order: each one waits until the platform
//! is Ready and makes what it needs.

mod answers;
mod bad_input;
mod browser;
mod cluster;
mod demo;
mod heal;
mod lifecycle;
mod network;
mod provider;
mod resource;
mod second;
mod sign_in;
mod support;
mod workloads;
