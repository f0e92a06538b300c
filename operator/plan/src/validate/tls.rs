//! The authority of the certificates inside, when the resource names one. What its Secret holds is
//! checked by the controller, which can read certificates.

use lotoai_api::spec::LotoAISpec;

use super::{Invalid, Reference};
use crate::names::authority_secret;
use crate::tls::{AUTHORITY_FIELD, CERTIFICATE, PRIVATE_KEY};

/// Refuses the Secret in which the operator itself keeps the authorities of the resource of this
/// name.
pub(super) fn check(spec: &LotoAISpec, name: &str, faults: &mut Vec<Invalid>) {
    let given = spec.tls.authority_secret_name.as_ref();
    if let Some(given) = given.filter(|given| given.0 == authority_secret(name)) {
        let message = format!(
            "in Secret {given} the operator itself keeps the authorities that it uses; write the \
             authority into a Secret of another name"
        );
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
