//! The gRPC face with the far sides played by servers on loopback, and where it matters on a real
//! PostgreSQL.

mod answers;
mod approvals;
mod callers;
mod cut_short;
mod failures;
mod fake_tools;
mod fakes;
mod functions;
mod patience;
mod personal;
#[expect(dead_code, reason = "the tests of the gateway use the rest")]
#[path = "../../../gateway/src/tests/postgres/mod.rs"]
mod postgres;
mod repeats;
mod sampling;
mod strangers;
