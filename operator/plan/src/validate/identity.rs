//! An issuer that is there already, from the resource.

use lotoai_api::spec::LotoAISpec;
use url::Url;

use super::{Invalid, Reference, is_bare};
use crate::components::shared::authorities;
use crate::credentials::CLIENT_SECRET;
use crate::graph::External;

const FIELD: &str = "spec.identity.external";

/// Keys of Secrets that an external issuer needs.
pub(super) fn references(spec: &LotoAISpec) -> Vec<Reference> {
    let Some(issuer) = &spec.identity.external else {
        return Vec::new();
    };
    let wants = |field: &str, secret: String, key: &str| Reference {
        field: format!("{FIELD}.{field}"),
        secret,
        key: key.to_owned(),
    };
    let client = issuer.client_secret_name.to_string();
    let mut references = vec![wants("clientSecretName", client, CLIENT_SECRET)];
    if let Some(secret) = &issuer.ca_secret_name {
        references.push(wants("caSecretName", secret.to_string(), authorities::KEY));
    }
    references
}

/// The issuer, as the server that stands for Keycloak.
pub(super) fn issuer(spec: &LotoAISpec, faults: &mut Vec<Invalid>) -> Option<External> {
    let issuer = spec.identity.external.as_ref()?;
    if spec.identity.first_user.is_some() {
        let message = "people are known at the external issuer; remove firstUser";
        faults.push(Invalid::spec("spec.identity.firstUser", message));
    }
    // The schema refuses most of these; a resource that never met it is refused here.
    let url = Url::parse(&issuer.issuer_url)
        .ok()
        .filter(|url| url.scheme() == "https" && url.has_host() && is_bare(url));
    let Some(url) = url else {
        // The address is not repeated: it may hold a password, and a status is read by many.
        let message = "this is no issuer; write https://, a host and perhaps a path, and nothing \
                       else, exactly as the issuer names itself";
        faults.push(Invalid::spec(format!("{FIELD}.issuerURL"), message));
        return None;
    };
    let authority = issuer.ca_secret_name.as_ref().map(ToString::to_string);
    Some(External {
        accounts: false,
        ..External::new(url, issuer.client_secret_name.to_string(), authority)
    })
}

#[cfg(test)]
mod tests;
