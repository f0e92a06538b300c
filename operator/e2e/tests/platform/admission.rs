//! Pod Security: the platform's namespace takes restricted pods only, and all of the platform's are.

use k8s_openapi::api::core::v1::{Namespace, Pod};
use kube::api::{Api, ListParams, PostParams};
use serde_json::{Value, json};

use crate::support::{NAME, NAMESPACE, component, ready, run};

/// What makes a pod a bad one, and how it is done to a good one.
type Fault = (&'static str, fn(&mut Value));

const FAULTS: [Fault; 5] = [
    ("it may gain privileges", |spec: &mut Value| {
        spec["containers"][0]["securityContext"]["allowPrivilegeEscalation"] = json!(true);
    }),
    ("it has a capability", |spec: &mut Value| {
        spec["containers"][0]["securityContext"]["capabilities"]["add"] = json!(["NET_ADMIN"]);
    }),
    ("it runs as root", |spec: &mut Value| {
        spec["containers"][0]["securityContext"]["runAsUser"] = json!(0);
    }),
    ("it is in the node's network", |spec: &mut Value| {
        spec["hostNetwork"] = json!(true);
    }),
    ("it sees the node's files", |spec: &mut Value| {
        let volume = json!({ "name": "node", "hostPath": { "path": "/etc" } });
        match spec["volumes"].as_array_mut() {
            Some(volumes) => volumes.push(volume),
            None => spec["volumes"] = json!([volume]),
        }
    }),
];

/// A pod with this spec, which nothing knows.
fn pod(spec: &Value) -> Pod {
    let mut spec = spec.clone();
    spec.as_object_mut().unwrap().remove("nodeName");
    let pod = json!({
        "apiVersion": "v1", "kind": "Pod", "metadata": { "name": "another" }, "spec": spec,
    });
    serde_json::from_value(pod).unwrap()
}

#[test]
fn the_namespace_admits_every_pod_and_refuses_each_with_a_fault() {
    run(|| async {
        let (platform, _) = ready().await;
        let namespaces: Api<Namespace> = Api::all(platform.kube.clone());
        let labels = namespaces.get(NAMESPACE).await.unwrap().metadata.labels;
        let enforced = labels.unwrap()["pod-security.kubernetes.io/enforce"].clone();
        assert_eq!(enforced, "restricted");

        let pods: Api<Pod> = Api::namespaced(platform.kube.clone(), NAMESPACE);
        let ours = ListParams::default().labels(&format!("app.kubernetes.io/instance={NAME}"));
        let all = pods.list(&ours).await.unwrap().items;
        assert!(all.len() >= 14, "{} pods", all.len());
        let only_asked = PostParams {
            dry_run: true,
            ..PostParams::default()
        };
        for one in all {
            let name = component(&one);
            let good = serde_json::to_value(one.spec.unwrap()).unwrap();
            let admitted = pods.create(&only_asked, &pod(&good)).await;
            admitted.unwrap_or_else(|error| panic!("{name} is refused: {error}"));
            for (fault, make) in FAULTS {
                let mut bad = good.clone();
                make(&mut bad);
                let refused = pods.create(&only_asked, &pod(&bad)).await;
                let Err(error) = refused else {
                    panic!("{name} is admitted although {fault}");
                };
                let told = error.to_string();
                let is_for_that = told.contains("violates PodSecurity \"restricted");
                assert!(is_for_that, "{name}, {fault}: {told}");
            }
        }
    });
}
