//! The gRPC face with the far sides played by servers on loopback.

mod answers;
mod failures;
mod fakes;
mod functions;
