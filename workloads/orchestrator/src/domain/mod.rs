//! What the orchestrator decides, as pure code: no clock, no network, no store.

pub mod approval;
pub mod arguments;
pub mod dates;
pub mod extract;
pub mod gloss;
pub mod history;
pub mod language;
pub mod markdown;
pub mod markers;
pub mod phrases;
pub mod router;
pub mod rules;
pub mod sentences;
pub mod text;
