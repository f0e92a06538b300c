use std::collections::BTreeMap;

use k8s_openapi::ByteString;
use k8s_openapi::api::apps::v1::{Deployment, DeploymentStatus};
use k8s_openapi::api::core::v1::Secret;

use super::*;

#[path = "../tests/mocked/demo.rs"]
mod demo;

use demo::platform;

fn secret(values: &[(&str, &str)]) -> Secret {
    let values = values
        .iter()
        .map(|(key, value)| ((*key).to_owned(), ByteString(value.as_bytes().to_vec())));
    Secret {
        data: Some(values.collect()),
        ..Secret::default()
    }
}

/// A platform that serves, whose probe has a Secret with these values.
fn observed(values: &[(&str, &str)]) -> Observed {
    let serving = Deployment {
        status: Some(DeploymentStatus {
            ready_replicas: Some(1),
            ..DeploymentStatus::default()
        }),
        ..Deployment::default()
    };
    let names = ["demo-traefik", "demo-gateway"].map(str::to_owned);
    Observed {
        deployments: names.map(|name| (name, serving.clone())).into(),
        secrets: BTreeMap::from([
            ("demo-tls".to_owned(), secret(&[("ca.crt", "pem")])),
            ("demo-operator-traefik".to_owned(), secret(values)),
        ]),
        ..Observed::default()
    }
}

#[test]
fn the_probe_is_told_both_secrets_while_one_is_made_anew() {
    let held = [("username", "lotoai-probe"), ("password", "one")];
    let beside = [held[0], held[1], ("standby-password", "two")];
    for (values, other) in [(&held[..], None), (&beside[..], Some("two"))] {
        let target = target(&platform(), &observed(values)).unwrap();
        let Proof::Client {
            id,
            secret,
            standby,
            ..
        } = target.proof
        else {
            panic!("a token instead of a client");
        };
        assert_eq!((id.as_str(), secret.as_str()), ("lotoai-probe", "one"));
        assert_eq!(standby.as_deref(), other);
    }
}

#[test]
fn nothing_is_asked_before_there_is_somebody_to_answer() {
    let mut observed = observed(&[("username", "lotoai-probe"), ("password", "one")]);
    assert!(target(&platform(), &observed).is_some());
    observed.deployments.remove("demo-gateway");
    assert!(target(&platform(), &observed).is_none());
}
