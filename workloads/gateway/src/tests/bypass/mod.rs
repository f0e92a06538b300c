//! Ways around authentication and rights that other products had, one test each. The name of a test
//! begins with the fault that it stands for; `listed` says which faults there must be tests of.

mod callers;
mod code;
mod keys;
mod listed;
mod paths;
mod protocols;
mod proxies;
mod streams;
mod talks;
mod things;
