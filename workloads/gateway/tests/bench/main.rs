//! What `make bench-gateway` asks, and what it makes of what it measured.

#[cfg(test)]
#[path = "../../benches/front/failure.rs"]
mod failure;
#[cfg(test)]
#[path = "../../benches/front/figures.rs"]
mod figures;
#[cfg(test)]
#[path = "../../benches/front/goals.rs"]
mod goals;
#[cfg(test)]
#[path = "../../benches/front/names.rs"]
mod names;
#[cfg(test)]
mod overload;
#[cfg(test)]
#[path = "../../benches/front/question.rs"]
mod question;
#[cfg(test)]
mod questions;
#[cfg(test)]
#[path = "../../benches/front/report.rs"]
mod report;
#[cfg(test)]
mod tables;

// What the shared files call by this name.
#[cfg(test)]
use failure::Result;
