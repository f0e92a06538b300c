//! Something that one part tells and another asks.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// Something that has happened or not. All clones are the same.
#[derive(Debug, Clone, Default)]
pub struct Flag(Arc<AtomicBool>);

impl Flag {
    /// It has happened.
    pub fn raise(&self) {
        self.0.store(true, Ordering::Release);
    }

    /// Whether it has.
    pub fn is_raised(&self) -> bool {
        self.0.load(Ordering::Acquire)
    }
}
