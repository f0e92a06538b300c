//! The schema: what `kubectl apply` accepts and refuses, run without a cluster.

#[cfg(test)]
mod credentials;
#[cfg(test)]
mod definition;
#[cfg(test)]
mod gateway;
#[cfg(test)]
mod identity;
#[cfg(test)]
mod rules;
#[cfg(test)]
mod stores;
