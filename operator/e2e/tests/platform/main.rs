//! The running platform, seen from outside: through its public URL and through the API server.
//!
//! `make e2e` starts a cluster of its own, brings a platform to Ready on it, and runs this program
//! with `KUBECONFIG` set. The tests do not depend on their order: each one waits until the platform
//! is Ready and makes what it needs.

#[cfg(test)]
mod admission;
#[cfg(test)]
mod answers;
#[cfg(test)]
mod approvals;
#[cfg(test)]
mod authority;
#[cfg(test)]
mod autoscaling;
#[cfg(test)]
mod bad_input;
#[cfg(test)]
mod beside;
#[cfg(test)]
mod broken_image;
#[cfg(test)]
mod browser;
#[cfg(test)]
mod certificates;
#[cfg(test)]
mod clickhouse;
#[cfg(test)]
mod cluster;
#[cfg(test)]
mod crashes;
#[cfg(test)]
mod credentials;
#[cfg(test)]
mod database;
#[cfg(test)]
mod day_two;
#[cfg(test)]
mod deletion;
#[cfg(test)]
mod demo;
#[cfg(test)]
mod dump;
#[cfg(test)]
mod edge;
#[cfg(test)]
mod erased;
#[cfg(test)]
mod heal;
#[cfg(test)]
mod helm;
#[cfg(test)]
mod high_availability;
#[cfg(test)]
mod images;
#[cfg(test)]
mod inside;
#[cfg(test)]
mod issuer;
#[cfg(test)]
mod keycloak;
#[cfg(test)]
mod leaving;
#[cfg(test)]
mod lifecycle;
#[cfg(test)]
mod namespaced;
#[cfg(test)]
mod network;
#[cfg(test)]
mod outside;
#[cfg(test)]
mod privileges;
#[cfg(test)]
mod provider;
#[cfg(test)]
mod refused;
#[cfg(test)]
mod resource;
#[cfg(test)]
mod rotation;
#[cfg(test)]
mod second;
#[cfg(test)]
mod sign_in;
#[cfg(test)]
mod state;
#[cfg(test)]
mod support;
#[cfg(test)]
mod upgrade;
#[cfg(test)]
mod visitor;
#[cfg(test)]
mod workloads;
