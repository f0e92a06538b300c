//! Rights on knowledge bases and documents.

use axum::http::StatusCode;

use crate::domain::upload::DEFAULT_KNOWLEDGE_BASE;
use crate::failure::Failure;
use crate::identity::{ADMINS, Identity};
use crate::store::{Document, Readers};

/// The default knowledge base is everybody's; every other one belongs to the group of its name,
/// and admins find in it what they may read.
pub fn readers_of(knowledge_base: &str) -> Vec<String> {
    match knowledge_base {
        DEFAULT_KNOWLEDGE_BASE => vec!["*".to_owned()],
        ADMINS => vec![ADMINS.to_owned()],
        group => vec![group.to_owned(), ADMINS.to_owned()],
    }
}

/// What the caller sees of the documents.
pub fn reader(identity: &Identity) -> Readers {
    let mut groups = identity.groups.clone();
    groups.push("*".to_owned());
    Readers {
        subject: identity.subject.clone(),
        groups,
        admin: identity.is_admin(),
    }
}

/// Lets the caller add to a knowledge base.
///
/// # Errors
/// 403 when it is another group's.
pub fn may_add(identity: &Identity, knowledge_base: &str) -> Result<(), Failure> {
    if knowledge_base == DEFAULT_KNOWLEDGE_BASE
        || identity.is_in(knowledge_base)
        || identity.is_admin()
    {
        return Ok(());
    }
    let mut failure = Failure::new(
        StatusCode::FORBIDDEN,
        "knowledge_base_forbidden",
        format!(
            "only members of group {knowledge_base:?} may add to knowledge base {knowledge_base:?}"
        ),
    );
    failure.param = Some("knowledge_base".to_owned());
    Err(failure)
}

/// Lets the caller change a document that it may read: reading is no right to change.
///
/// # Errors
/// 403 when it is somebody else's.
pub fn may_change(identity: &Identity, document: &Document) -> Result<(), Failure> {
    if document.owner == identity.subject || identity.is_admin() {
        return Ok(());
    }
    Err(Failure::new(
        StatusCode::FORBIDDEN,
        "not_your_document",
        "only its uploader and members of group \"admins\" may change this document",
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[rstest::rstest]
    #[case("default", &["*"])]
    #[case("hr", &["hr", "admins"])]
    #[case("admins", &["admins"])]
    fn admins_read_every_knowledge_base(#[case] name: &str, #[case] groups: &[&str]) {
        assert_eq!(readers_of(name), groups);
    }
}
