//! Shapes of bodies that are read field by field or written by hand, as the document describes
//! them. Tests hold them against what the handlers take and give.

pub mod api;
pub mod approvals;
pub mod budgets;
pub mod chat;
pub mod embeddings;
pub mod errors;
pub mod responses;
