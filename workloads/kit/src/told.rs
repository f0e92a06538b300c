//! What a process says of its failure in the last line of its log, which the operator shows in the
//! status of the resource.

use snafu::Snafu;

/// A failure in words that people may see, with the word that the operator takes for the reason of
/// a condition, where it knows one for it.
#[derive(Debug, Snafu)]
#[snafu(display("{text}"))]
pub struct Told {
    reason: Option<&'static str>,
    text: String,
}

impl Told {
    /// `text` holds no secret.
    #[must_use]
    pub fn new(reason: Option<&'static str>, text: impl Into<String>) -> Self {
        Self {
            reason,
            text: text.into(),
        }
    }

    /// The word for the operator.
    #[must_use]
    pub const fn reason(&self) -> Option<&'static str> {
        self.reason
    }
}
