//! What the operator would write for a resource, without a cluster.

use std::collections::BTreeMap;

use lotoai_api::LotoAI;
use lotoai_api::spec::PullPolicy;
use lotoai_plan::{
    Credentials, Observed, OperatorEnv, Prepared, ResourceSet, build, required_secrets, validate,
};
use serde_json::{Value, json};

/// Namespace of what is planned.
pub(crate) const NAMESPACE: &str = "ai";

/// The objects of a platform `demo` of this spec, with credentials that nobody uses.
pub(crate) fn planned(spec: &Value) -> ResourceSet<Prepared> {
    let lotoai: LotoAI = serde_json::from_value(json!({
        "apiVersion": "lotoai.dev/v1alpha1", "kind": "LotoAI",
        "metadata": { "name": "demo", "namespace": NAMESPACE, "uid": "1", "generation": 1 },
        "spec": spec,
    }))
    .unwrap();
    let env = OperatorEnv {
        namespace: "lotoai-system".to_owned(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        images: BTreeMap::new(),
        pull_policy: PullPolicy::IfNotPresent,
        otlp_endpoint: None,
    };
    let platform = validate(&lotoai, &Observed::default(), &env).unwrap();
    let required = required_secrets(&platform);
    let values = required.iter().map(|spec| {
        let keys = spec.keys().into_iter();
        let values = keys.map(|key| (key.to_owned(), b"unused".to_vec()));
        (spec.name().to_owned(), values.collect::<BTreeMap<_, _>>())
    });
    let credentials = Credentials::new(&required, values.collect()).unwrap();
    build(&platform, &credentials)
}
