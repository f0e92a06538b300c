//! Apply, prune and status against a mocked API server: order, safety, and what is sent.

mod server;
mod writes;
