//! From a platform and what was read to the probe's target.
//!
//! No client needed; infallible.

use lotoai_api::Component;
use lotoai_plan::credentials::{PASSWORD, TOKEN, USERNAME};
use lotoai_plan::gate::deployment_serves;
use lotoai_plan::rotation::STANDBY_PASSWORD;
use lotoai_plan::{Node, Observed, Platform, probe_question};

use crate::probe::{Proof, Target};

/// Where to ask, once the edge and the gateway behind it serve. An older outcome is worth nothing
/// while they do not.
#[must_use]
pub fn target(platform: &Platform, observed: &Observed) -> Option<Target> {
    let serves = [Component::Traefik, Component::Gateway]
        .into_iter()
        .filter(|component| platform.topology.has(Node::Component(*component)))
        .all(|component| {
            observed
                .deployments
                .get(&platform.component_name(component))
                .is_some_and(deployment_serves)
        });
    if !serves {
        return None;
    }
    let question = probe_question(platform);
    let text = |secret: &str, key: &str| {
        let value = observed.secret_value(secret, key)?;
        String::from_utf8(value.to_vec()).ok()
    };
    let (authority, chain) = (
        text(&question.tls_secret, "ca.crt"),
        text(&question.tls_secret, "tls.crt"),
    );
    let roots = match (question.self_signed, authority) {
        (true, authority) => authority?,
        // Whether people trust the certificate is between them and whoever signed it. The probe
        // makes sure that the edge shows this one, in time and for the right name.
        (false, authority) => format!("{}\n{}", authority.unwrap_or_default(), chain?),
    };
    let credential = |key: &str| text(&question.credential_secret, key);
    let proof = match question.token_path {
        Some(token_path) => Proof::Client {
            token_path,
            id: credential(USERNAME)?,
            secret: credential(PASSWORD)?,
            standby: credential(STANDBY_PASSWORD),
        },
        None => Proof::Token(credential(TOKEN)?),
    };
    Some(Target {
        proof,
        roots,
        question,
    })
}

#[cfg(test)]
#[path = "question_tests.rs"]
mod tests;
