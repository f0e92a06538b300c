//! The Helm charts: what Helm makes of them with several files of values, held against rules.

#[cfg(test)]
mod artifact_hub;
#[cfg(test)]
mod gitops;
#[cfg(test)]
mod helm;
#[cfg(test)]
mod monitoring;
#[cfg(test)]
mod pods;
#[cfg(test)]
mod release;
#[cfg(test)]
mod rights;
#[cfg(test)]
mod values;
