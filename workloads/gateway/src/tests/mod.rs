//! Tests of the whole surface: the router with a signed token, a fake orchestrator on loopback
//! and, where it matters, a real PostgreSQL.

mod admission;
mod api_keys;
mod away;
mod back_channel;
mod browser;
mod budgets;
mod budgets_cut;
mod bypass;
mod chat;
mod discovery;
mod documents;
mod external;
mod idempotency;
mod keys;
mod matrix;
mod orchestrator;
mod postgres;
mod sessions;
mod sign_in;
mod sockets;
mod streams;
mod support;
mod surface;
mod tokens;
