//! Rights on knowledge bases and documents. A knowledge base is a name: what may be done with it
//! follows from the name alone, and a document carries the groups that may read it.

use crate::{ADMINS, Caller, EVERYBODY, Refusal};

/// The knowledge base that everybody who is signed in may read and add to.
pub const DEFAULT_KNOWLEDGE_BASE: &str = "default";

/// The groups that read the documents of a knowledge base. The default one is everybody's; every
/// other one belongs to the group of its name, and admins find in it what they may read.
#[must_use]
pub fn readers_of(knowledge_base: &str) -> Vec<String> {
    match knowledge_base {
        DEFAULT_KNOWLEDGE_BASE => vec![EVERYBODY.to_owned()],
        ADMINS => vec![ADMINS.to_owned()],
        group => vec![group.to_owned(), ADMINS.to_owned()],
    }
}

/// The documents whose text somebody may read, as a query asks for them: those of the owner
/// `subject`, and those with one of `groups`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Readable {
    /// OIDC `sub` of the owner.
    pub subject: String,
    /// Groups, of which one is enough.
    pub groups: Vec<String>,
}

/// The documents that somebody may see in a list, as a query asks for them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Visible {
    /// Those that may be read.
    pub readable: Readable,
    /// Or else every one.
    pub all: bool,
}

/// What may be read by the person `subject` in `groups`, who finds its passages.
#[must_use]
pub fn readable_by(subject: &str, groups: &[String]) -> Readable {
    let everybody = std::iter::once(EVERYBODY.to_owned());
    Readable {
        subject: subject.to_owned(),
        groups: everybody.chain(groups.iter().cloned()).collect(),
    }
}

/// What the caller sees of the documents.
#[must_use]
pub fn visible_to(caller: Caller<'_>) -> Visible {
    Visible {
        readable: readable_by(caller.subject, caller.groups),
        all: caller.is_admin(),
    }
}

/// The documents that a person uploaded, and no others.
#[must_use]
pub fn uploaded_by(subject: &str) -> Visible {
    Visible {
        readable: Readable {
            subject: subject.to_owned(),
            groups: Vec::new(),
        },
        all: false,
    }
}

impl Readable {
    /// What the query means, of one document: whether one of `owner` that `groups` read is among
    /// them.
    #[must_use]
    pub fn includes(&self, owner: &str, groups: &[String]) -> bool {
        self.subject == owner || groups.iter().any(|group| self.groups.contains(group))
    }
}

impl Visible {
    /// As [`Readable::includes`].
    #[must_use]
    pub fn includes(&self, owner: &str, groups: &[String]) -> bool {
        self.all || self.readable.includes(owner, groups)
    }
}

/// Lets the caller add to a knowledge base.
///
/// # Errors
/// 403 when it is another group's.
pub fn may_add(caller: Caller<'_>, knowledge_base: &str) -> Result<(), Refusal> {
    if knowledge_base == DEFAULT_KNOWLEDGE_BASE || caller.is_in(knowledge_base) || caller.is_admin()
    {
        return Ok(());
    }
    let message = format!(
        "only members of group {knowledge_base:?} may add to knowledge base {knowledge_base:?}"
    );
    Err(Refusal::forbidden("knowledge_base_forbidden", message).about("knowledge_base"))
}

/// Lets the caller change a document of `owner` that it may read: reading is no right to change.
///
/// # Errors
/// 403 when it is somebody else's.
pub fn may_change(caller: Caller<'_>, owner: &str) -> Result<(), Refusal> {
    if owner == caller.subject || caller.is_admin() {
        return Ok(());
    }
    Err(Refusal::forbidden(
        "not_your_document",
        "only its uploader and members of group \"admins\" may change this document",
    ))
}
