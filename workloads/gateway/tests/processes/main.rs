//! The gateway as processes, behind what a cluster puts before it: told to stop with open streams,
//! killed at any moment, two of them with one budget, with its database and its broker away, under
//! floods, and with a real orchestrator that is killed as well.
//! What they are asked is drawn by a seed that each test prints; `LOTOAI_SOAK` runs in full what
//! otherwise is a sample.

#[cfg(test)]
mod away;
#[cfg(test)]
mod balancer;
#[cfg(test)]
#[path = "../../benches/front/broker.rs"]
mod broker;
#[cfg(test)]
mod budget;
#[cfg(test)]
mod client;
#[cfg(test)]
mod consent;
#[cfg(test)]
mod environment;
#[cfg(test)]
#[path = "../../benches/front/failure.rs"]
mod failure;
#[cfg(test)]
mod ground;
#[cfg(test)]
#[expect(dead_code, reason = "the gateway's own tests use the rest")]
#[path = "../../src/tests/keys.rs"]
mod keys;
#[cfg(test)]
mod killed;
#[cfg(test)]
#[expect(dead_code, reason = "the gateway's own tests use the rest")]
#[path = "../../src/tests/model_server.rs"]
mod model_server;
#[cfg(test)]
#[expect(dead_code, reason = "the gateway's own tests use the rest")]
#[path = "../../src/tests/orchestrator.rs"]
mod orchestrator;
#[cfg(test)]
mod overload;
#[cfg(test)]
#[expect(dead_code, reason = "the gateway's own tests use the rest")]
#[path = "../../src/tests/postgres/mod.rs"]
mod postgres;
#[cfg(test)]
mod relay;
#[cfg(test)]
mod replica;
#[cfg(test)]
mod script;
#[cfg(test)]
mod stopped;
#[cfg(test)]
#[path = "../../src/tests/wire.rs"]
mod wire;

// What the shared files call by these names.
#[cfg(test)]
use failure::Result;
#[cfg(test)]
use lotoai_gateway::{identity, store};
