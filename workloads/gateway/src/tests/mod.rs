//! Tests of the whole surface: the router with a signed token, a fake orchestrator on loopback
//! and, where it matters, a real PostgreSQL.

mod admission;
mod api_key_rights;
mod api_keys;
mod back_channel;
mod browser;
mod budgets;
mod budgets_cut;
mod bypass;
mod chat;
mod clients;
mod conversations;
mod discovery;
mod documents;
mod embeddings;
mod embeddings_cut;
mod external;
mod functions;
mod idempotency;
mod keys;
mod matrix;
mod model_server;
mod nul;
mod openapi;
mod orchestrator;
mod personal;
mod postgres;
mod renewals;
mod responses;
mod rotation;
mod search;
mod sessions;
mod sign_in;
mod support;
mod surface;
mod tokens;
