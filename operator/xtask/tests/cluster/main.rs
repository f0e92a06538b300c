//! Clusters whose maker is killed or interrupted: nothing may be left of a test's, and a start that
//! was cut off must be one that can be repeated.

#[cfg(test)]
mod interrupted;
#[cfg(test)]
mod killed;
#[cfg(test)]
mod support;
#[cfg(test)]
mod traces;
