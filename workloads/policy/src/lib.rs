//! Who may do what. Every rule on rights is a function of this crate, of who asks and of what it is
//! about, and whoever needs a decision calls it. Nothing here reads or writes: where the things
//! themselves are chosen by a query, a function gives what the query asks for.
//!
//! `docs/adr/0029-one-policy.md` says where each decision is made.

mod caller;
pub mod declared;
pub mod documents;
pub mod keys;
pub mod models;
pub mod probe;
mod refusal;
mod routes;
pub mod streams;
mod surface;
#[cfg(test)]
mod tests;
pub mod usage;

pub use caller::{ADMINS, Caller, EVERYBODY, Grant, Proof};
pub use refusal::Refusal;
pub use routes::{Needs, Scope, admit, may_read_conversations};
pub use surface::Surface;
