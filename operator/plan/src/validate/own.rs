//! Secrets of the operator, which a resource cannot give it.

use crate::labels;
use crate::names::authority_secret;
use crate::observed::Observed;

/// What is wrong with a Secret that the resource of this name gives, when it is one of the operator:
/// one with credentials, be it of this platform or of another, or the one in which it keeps the
/// authorities of this platform, which need not be there yet.
pub(super) fn fault(observed: &Observed, platform: &str, secret: &str) -> Option<String> {
    let found = observed.secrets.get(secret);
    let labels = found.and_then(|found| found.metadata.labels.as_ref());
    let is_labelled = labels.is_some_and(|labels| labels.contains_key(labels::CREDENTIAL));
    (is_labelled || secret == authority_secret(platform)).then(|| {
        format!("Secret {secret} is one that the operator makes, and changes; name one of yours")
    })
}
