//! What tests of the operator share, those on a bare API server and those on a running cluster: a
//! way to the API server that fails as a test tells it to, and chance that can be repeated.

mod chance;
mod proxy;

pub use chance::chance;
pub use proxy::{Fault, Kill, Proxy, Upstream};
