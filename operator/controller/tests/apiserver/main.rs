//! The operator against a real kube-apiserver: without nodes, so the tests play kubelet and
//! controllers where a test needs them. What it writes for the reverse proxy is tried with a real
//! Traefik. Skipped, with the reason, where the programs are missing.

#[cfg(test)]
mod admission;
#[cfg(test)]
mod asleep;
#[cfg(test)]
mod attempts;
#[cfg(test)]
mod authority;
#[cfg(test)]
mod certificates;
#[cfg(test)]
mod crashed;
#[cfg(test)]
mod definitions;
#[cfg(test)]
mod delegated;
#[cfg(test)]
mod edge;
#[cfg(test)]
mod events;
#[cfg(test)]
mod faults;
#[cfg(test)]
mod foreign;
#[cfg(test)]
mod hanging;
#[cfg(test)]
mod killed;
#[cfg(test)]
mod leader;
#[cfg(test)]
mod many;
#[cfg(test)]
mod optional;
#[cfg(test)]
mod owned;
#[cfg(test)]
mod planned;
#[cfg(test)]
mod platform;
#[cfg(test)]
mod proxy;
#[cfg(test)]
mod reconcile;
#[cfg(test)]
mod refused;
#[cfg(test)]
mod restarted;
#[cfg(test)]
mod restarts;
#[cfg(test)]
mod retained;
#[cfg(test)]
mod rewritten;
#[cfg(test)]
mod running;
#[cfg(test)]
mod schema;
#[cfg(test)]
mod secrets;
#[cfg(test)]
#[expect(dead_code, reason = "the benchmark uses the rest")]
mod server;
#[cfg(test)]
mod state;
#[cfg(test)]
mod still;
#[cfg(test)]
mod traces;
#[cfg(test)]
mod traefik;
#[cfg(test)]
mod uncreated;
#[cfg(test)]
mod unread;
#[cfg(test)]
mod upgrade;
#[cfg(test)]
mod upstream;
#[cfg(test)]
mod watches;
#[cfg(test)]
mod wire;
#[cfg(test)]
mod world;
