//! A platform as it was found valid, for tests of what is done with one; those of the library read this
//! file too.

use lotoai_api::LotoAI;
use lotoai_api::spec::PullPolicy;
use lotoai_plan::{Observed, OperatorEnv, Platform, validate};
use serde_json::json;

pub(crate) fn env() -> OperatorEnv {
    OperatorEnv {
        namespace: "lotoai-system".to_owned(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        images: [].into(),
        pull_policy: PullPolicy::IfNotPresent,
        otlp_endpoint: None,
    }
}

pub(crate) fn platform() -> Platform {
    let loto: LotoAI = serde_json::from_value(json!({
        "apiVersion": "lotoai.dev/v1alpha1", "kind": "LotoAI",
        "metadata": { "name": "demo", "namespace": "default", "uid": "uid-of-demo" },
        "spec": { "url": "https://lotoai.localhost" },
    }))
    .unwrap();
    validate(&loto, &Observed::default(), &env()).unwrap()
}
