//! What works, but is less safe than the profile sounds.

use lotoai_api::Component;
use lotoai_api::spec::Profile;

use crate::graph::Node;
use crate::platform::Platform;

/// One line each: what it is, what follows, and what to do.
#[must_use]
pub fn warnings(platform: &Platform) -> Vec<String> {
    if platform.spec.profile != Profile::HighAvailability {
        return Vec::new();
    }
    let mut all = Vec::new();
    if platform.topology.has(Node::Component(Component::Postgres)) {
        all.push(
            "postgres runs once, and the platform is down whenever it is: profile \
             HighAvailability does not replicate it. Write data.postgres.delegated \
             (CloudNativePG) or data.postgres.external in a new resource"
                .to_owned(),
        );
    }
    if platform.spec.rag.vector_store.is_embedded() {
        all.push(
            "rag-server runs once, and nothing is found in documents while it is down: its vector \
             store is embedded. Write rag.vectorStore.managed or rag.vectorStore.external in a \
             new resource"
                .to_owned(),
        );
    }
    all
}
