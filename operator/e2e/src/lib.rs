//! End-to-end tests on a running cluster.
