//! Rights on streams of answers.

use crate::identity::Identity;
use crate::store::StoredStream;

/// Whether the caller may come back to a stream, or end it: the person who asked, and of their API
/// keys only the one that asked.
pub fn may_come_back(identity: &Identity, stream: &StoredStream) -> bool {
    identity.subject == stream.subject && identity.api_key().is_none_or(|key| key == stream.api_key)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::identity::{Credential, Grant};

    fn identity(subject: &str, key: Option<&str>) -> Identity {
        let grant = |id: &str| Grant {
            id: id.to_owned(),
            scopes: Vec::new(),
            models: None,
        };
        Identity {
            subject: subject.to_owned(),
            name: subject.to_owned(),
            groups: vec![crate::identity::ADMINS.to_owned()],
            expires_at: 0,
            issued_at: 0,
            credential: key.map_or(Credential::Token, |id| Credential::Key(grant(id).into())),
        }
    }

    #[rstest::rstest]
    #[case("ana", None, "", true)]
    #[case("ana", None, "k", true)]
    #[case("ana", Some("k"), "k", true)]
    #[case("ana", Some("k"), "other", false)]
    #[case("ana", Some("k"), "", false)]
    #[case("eve", None, "", false)]
    #[case("eve", Some("k"), "k", false)]
    fn who_asked_may_come_back(
        #[case] subject: &str,
        #[case] key: Option<&str>,
        #[case] began_with: &str,
        #[case] expected: bool,
    ) {
        let stream = StoredStream {
            conversation_id: uuid::Uuid::nil(),
            subject: "ana".to_owned(),
            api_key: began_with.to_owned(),
            model: "m".to_owned(),
            include_usage: false,
            created: 0,
        };
        assert_eq!(may_come_back(&identity(subject, key), &stream), expected);
    }
}
