//! The change of a component's version, as the status tells it.

use lotoai_api::{Component, LotoAIStatus, versions};

use super::pods::Failure;
use crate::graph::Node;
use crate::observed::Observed;
use crate::platform::Platform;
use crate::rollout::{Rollout, other_image};

/// A component that does not wholly run its planned image yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Upgrade {
    /// The version that runs.
    version: String,
    from: String,
    to: String,
    /// What to write to go back.
    back: String,
}

impl Upgrade {
    /// The change that a component is in, if it is in one. What runs is what its pods and its
    /// object say; once none of them knows the version of before any more, the status still does.
    pub(super) fn of(
        platform: &Platform,
        observed: &Observed,
        before: &LotoAIStatus,
        component: Component,
        settled: bool,
    ) -> Option<Self> {
        let planned = platform.image(Node::Component(component));
        if let Some(image) = other_image(platform, observed, component) {
            let (from, to) = (versions::tag(&image), versions::tag(planned));
            // An image that came from elsewhere under the same tag.
            let (from, to) = if from == to {
                (image.as_str(), planned)
            } else {
                (from, to)
            };
            return Some(Self {
                version: versions::tag(&image).to_owned(),
                from: from.to_owned(),
                to: to.to_owned(),
                back: go_back_to(component, &image),
            });
        }
        let was_there = Rollout::of(platform, observed, component).is_some();
        let mut shown = before.components.iter();
        let from = &shown.find(|c| c.name == component.name())?.version;
        let to = versions::tag(planned);
        if settled || !was_there || from.is_empty() || from == to {
            return None;
        }
        // Only the version of before is known. It came from where the planned one comes from, unless
        // the resource says where that is.
        let back = if platform
            .spec
            .images
            .overrides
            .contains_key(component.name())
        {
            format!("change  spec.images.overrides.{component}")
        } else {
            go_back_to(component, &versions::with_tag(planned, from))
        };
        Some(Self {
            version: from.clone(),
            from: from.clone(),
            to: to.to_owned(),
            back,
        })
    }

    /// The version that runs.
    pub(super) fn version_now(&self) -> &str {
        &self.version
    }

    /// What it is doing.
    pub(super) fn under_way(&self, waits: &str) -> String {
        format!("upgrading from {} to {}: {waits}", self.from, self.to)
    }

    /// What keeps it, and the way back.
    pub(super) fn stuck(&self, failure: Failure) -> Failure {
        let Failure {
            reason,
            message,
            needs_a_person,
            object,
        } = failure;
        Failure {
            reason,
            message: format!("{}; or {}", self.under_way(&message), self.back),
            needs_a_person,
            object,
        }
    }
}

/// How to write that a component keeps an image.
fn go_back_to(component: Component, image: &str) -> String {
    format!("go back with  spec.images.overrides.{component}: {image}")
}
