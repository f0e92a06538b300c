//! The authority of the certificates inside, when the resource names one. What its Secret holds is
//! checked by the controller, which can read certificates.

use lotoai_api::spec::LotoAISpec;

use super::{Invalid, Reference, own};
use crate::observed::Observed;
use crate::tls::{AUTHORITY_FIELD, CERTIFICATE, PRIVATE_KEY};

/// Refuses a Secret of the operator itself. `platform` is the resource's name.
pub(super) fn check(
    spec: &LotoAISpec,
    platform: &str,
    observed: &Observed,
    faults: &mut Vec<Invalid>,
) {
    let given = spec.tls.authority_secret_name.as_ref();
    if let Some(message) = given.and_then(|given| own::fault(observed, platform, &given.0)) {
        faults.push(Invalid::spec(AUTHORITY_FIELD, message));
    }
}

/// Keys of the Secret with the authority.
pub(super) fn references(spec: &LotoAISpec) -> impl Iterator<Item = Reference> + use<'_> {
    let given = spec.tls.authority_secret_name.iter();
    given.flat_map(|secret| {
        [CERTIFICATE, PRIVATE_KEY].map(|key| Reference {
            field: AUTHORITY_FIELD.to_owned(),
            secret: secret.to_string(),
            key: key.to_owned(),
        })
    })
}

#[cfg(test)]
mod tests {
    use k8s_openapi::api::core::v1::Secret;
    use lotoai_api::{LotoAI, reasons};
    use serde_json::json;

    use super::*;
    use crate::labels;
    use crate::validate::referenced_secrets;

    fn resource(secret: &str) -> LotoAI {
        serde_json::from_value(json!({
            "apiVersion": "lotoai.dev/v1alpha1",
            "kind": "LotoAI",
            "metadata": { "name": "demo", "namespace": "ai", "uid": "u" },
            "spec": {
                "url": "https://ai.example.com",
                "tls": { "authoritySecretName": secret },
            },
        }))
        .unwrap()
    }

    #[test]
    fn the_secret_of_an_authority_is_read_and_watched() {
        let names = |secret| referenced_secrets("demo", &resource(secret).spec);
        assert!(names("company-ca").contains("company-ca"));
        assert!(!names("another").contains("company-ca"));
        let wanted: Vec<_> = references(&resource("company-ca").spec).collect();
        let keys: Vec<_> = wanted.iter().map(|one| one.key.as_str()).collect();
        assert_eq!(keys, ["tls.crt", "tls.key"]);
        assert!(wanted.iter().all(|one| one.field == AUTHORITY_FIELD));
    }

    #[test]
    fn the_operators_own_secret_is_not_given() {
        let mut labelled = Secret::default();
        let labels = labelled.metadata.labels.get_or_insert_default();
        labels.insert(labels::CREDENTIAL.to_owned(), "true".to_owned());
        let observed = Observed {
            secrets: [
                ("another-ca".to_owned(), labelled),
                ("company-ca".to_owned(), Secret::default()),
            ]
            .into(),
            ..Observed::default()
        };
        let faults = |secret, name| {
            let mut faults = Vec::new();
            check(&resource(secret).spec, name, &observed, &mut faults);
            faults
        };
        let refused = faults("demo-ca", "demo");
        assert_eq!(refused.len(), 1);
        assert_eq!(refused[0].field, AUTHORITY_FIELD);
        assert_eq!(refused[0].reason, reasons::INVALID_SPEC);
        assert_eq!(faults("demo-ca", "other"), []);
        assert_eq!(faults("another-ca", "demo").len(), 1);
        assert_eq!(faults("company-ca", "demo"), []);
    }
}
