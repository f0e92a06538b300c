//! What tests of the operator share, those on a bare API server and those on a running cluster: a
//! way to the API server that fails as a test tells it to, chance that can be repeated, certificates,
//! and the definitions of other projects' kinds.

mod authority;
mod chance;
mod module;
mod proxy;

pub use authority::{Authority, Issued};
pub use chance::chance;
pub use module::module;
pub use proxy::{Fault, Kill, Proxy, Upstream};
