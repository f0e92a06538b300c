//! Rights on what the resource declares: agent roles and tools.

use serde::{Deserialize, Serialize};

/// Whether somebody in `groups` may use an agent role or a tool that is declared for the groups
/// `open_to`. One that names none is everybody's who is signed in; administrators are like others.
#[must_use]
pub fn may_use(open_to: &[String], groups: &[String]) -> bool {
    open_to.is_empty() || open_to.iter().any(|group| groups.contains(group))
}

/// Which calls of a tool need the consent of the person who asked.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Approval {
    /// None.
    #[default]
    Never,
    /// Every call.
    Always,
    /// Calls that may change something.
    OnWrite,
}

/// Whether the person who asked must consent to a call, which changes something or does not.
#[must_use]
pub const fn needs_consent(approval: Approval, may_change: bool) -> bool {
    match approval {
        Approval::Never => false,
        Approval::Always => true,
        Approval::OnWrite => may_change,
    }
}

/// The approval that a call of the tool `name` rests on, where it needs consent: there must be one,
/// `consented_to` what the tool is declared as now. Both declarations are digests.
///
/// # Errors
/// Nobody consented, or it was to another declaration of the tool: a sentence that says so.
pub fn consent<'a>(
    name: &str,
    declaration: &str,
    approval: Option<&'a str>,
    consented_to: Option<&str>,
) -> Result<&'a str, String> {
    match (approval, consented_to) {
        (None | Some(""), _) => Err(format!(
            "the tool {name:?} is called with the consent of the person who asked only"
        )),
        (Some(approval), Some(consented_to)) if consented_to == declaration => Ok(approval),
        (Some(_), _) => Err(format!(
            "the tool {name:?} is declared otherwise than when somebody consented; ask again"
        )),
    }
}
