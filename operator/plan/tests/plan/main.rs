//! Planning as a whole: from fixtures to objects, gates and status.

mod common;
mod gates;
mod invariants;
mod snapshots;
