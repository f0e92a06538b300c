//! The schema: what `kubectl apply` accepts and refuses, run without a cluster.

#[cfg(test)]
mod rules;
