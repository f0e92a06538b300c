//! Apply, prune and status against a mocked API server: order, safety, and what is sent.

#[cfg(test)]
mod demo;
#[cfg(test)]
mod kept;
#[cfg(test)]
mod namespaces;
#[cfg(test)]
mod panics;
#[cfg(test)]
mod reads;
#[cfg(test)]
mod ready;
#[cfg(test)]
mod restarted;
#[cfg(test)]
mod retained;
#[cfg(test)]
mod rotation;
#[cfg(test)]
mod server;
#[cfg(test)]
mod turns;
#[cfg(test)]
mod writes;
