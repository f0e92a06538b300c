//! Planning as a whole: from fixtures to objects, gates and status.

#[cfg(test)]
mod asleep;
#[cfg(test)]
mod cluster;
#[cfg(test)]
mod common;
#[cfg(test)]
mod delegated;
#[cfg(test)]
mod dependence;
#[cfg(test)]
mod diagram;
#[cfg(test)]
mod edge;
#[cfg(test)]
mod fixtures;
#[cfg(test)]
mod gates;
#[cfg(test)]
mod identity;
#[cfg(test)]
mod invariants;
#[cfg(test)]
mod leaves;
#[cfg(test)]
mod leaving;
#[cfg(test)]
mod life;
#[cfg(test)]
mod members;
#[cfg(test)]
mod nasty;
#[cfg(test)]
mod retention;
#[cfg(test)]
mod snapshots;
#[cfg(test)]
mod started;
#[cfg(test)]
mod status;
#[cfg(test)]
mod stuck;
#[cfg(test)]
mod uncreated;
