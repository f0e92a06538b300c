//! Whose a Secret is that bears the name of one of ours.
//!
//! No client needed.

use k8s_openapi::api::core::v1::Secret;
use kube::ResourceExt;
use lotoai_plan::{Platform, labels};
use snafu::ensure;

use super::error::{Error, ForeignSnafu, LeftoverSnafu};
use crate::object::owned_by;

/// Checks that a Secret is ours: by its owner, or, as it may outlive the resource, by the label that
/// only credentials bear, or by all the others. One of them that somebody changed does not make it
/// foreign: whoever deletes a live password locks the platform out. The name of another platform does.
///
/// # Errors
/// When it is somebody else's, or one of a platform that is gone.
pub(super) fn check_ours(platform: &Platform, secret: &Secret) -> Result<(), Error> {
    let name = secret.name_any();
    let labels = secret.labels();
    let instance = labels.get(labels::INSTANCE);
    let of_another = instance.is_some_and(|instance| instance != platform.name.as_str());
    let owned = owned_by(&secret.metadata, &platform.uid);
    let is_labelled = labels.contains_key(labels::CREDENTIAL)
        || labels::platform(platform)
            .iter()
            .all(|(key, value)| labels.get(key) == Some(value));
    ensure!(owned || (is_labelled && !of_another), ForeignSnafu { name });
    let unowned = secret.owner_references().is_empty();
    ensure!(unowned || owned, LeftoverSnafu { name });
    Ok(())
}
