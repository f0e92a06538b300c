//! Ways around authentication and rights that other products had, one test each. The name of a test
//! begins with the fault that it stands for.

mod callers;
mod keys;
mod things;
