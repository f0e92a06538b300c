//! A second operator, installed with Helm 3 as somebody does who may use two namespaces only: it works
//! beside the one for all namespaces, with rights in one of the two, and goes without a trace. No
//! `LotoAI` is in there, because both would work on it.

use std::panic::resume_unwind;
use std::time::Duration;

use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::authorization::v1::SubjectAccessReview;
use k8s_openapi::api::coordination::v1::Lease;
use k8s_openapi::api::core::v1::{ConfigMap, Namespace, Pod, Secret, Service, ServiceAccount};
use k8s_openapi::api::rbac::v1::{ClusterRole, ClusterRoleBinding, Role, RoleBinding};
use kube::Client;
use kube::api::{Api, ApiResource, DeleteParams, DynamicObject, ListParams, PostParams};
use lotoai_e2e::Platform;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::cluster::{OPERATOR, OPERATOR_NAMESPACE};
use crate::dump::caught;
use crate::helm::{OPERATOR_CHART, helm_3, is_helm_3_there};
use crate::support::{NAMESPACE, ready, run, run_program, wait_for};

const RELEASE: &str = "team";
/// What the chart makes of it, also the name of its account.
const FULL_NAME: &str = "team-lotoai-operator";
/// Where the release is.
const HOME: &str = "lotoai-team-system";
/// Where its operator works.
const WATCHED: &str = "lotoai-team";
/// How long what takes a moment may take.
const LIMIT: Duration = Duration::from_secs(60);

#[test]
fn an_operator_of_one_namespace_is_installed_with_helm_3() {
    if !is_helm_3_there() {
        println!("SKIPPED an_operator_of_one_namespace_is_installed_with_helm_3: it is not built");
        return;
    }
    run(|| async {
        let (platform, _) = ready().await;
        remove(&platform.kube).await;
        let work = Box::pin(comes_and_goes(&platform));
        let outcome = caught(&platform.kube, &[HOME, WATCHED], work).await;
        remove(&platform.kube).await;
        if let Err(failure) = outcome {
            resume_unwind(failure);
        }
    });
}

async fn comes_and_goes(platform: &Platform) {
    let kube = &platform.kube;
    let first = holder(kube, OPERATOR_NAMESPACE, OPERATOR).await.unwrap();
    let namespaces: Api<Namespace> = Api::all(kube.clone());
    for name in [HOME, WATCHED] {
        let namespace = json!({ "metadata": { "name": name, "labels": {
            "pod-security.kubernetes.io/enforce": "restricted",
        } } });
        let namespace: Namespace = serde_json::from_value(namespace).unwrap();
        let parameters = PostParams::default();
        namespaces.create(&parameters, &namespace).await.unwrap();
    }
    let empty = left(kube).await;

    let directory = TempDir::new().unwrap();
    let file = directory.path().join("values.json");
    std::fs::write(&file, values(kube).await.to_string()).unwrap();
    let file = file.to_string_lossy();
    let arguments = ["install", RELEASE, OPERATOR_CHART, "--values", &*file];
    // Helm waits until it is ready, which it is when it may list what it watches.
    at_home(&[&arguments[..], &["--wait", "--timeout", "2m"]].concat()).await;
    let told = at_home(&["test", RELEASE, "--timeout", "1m"]).await;
    assert!(told.contains("Succeeded"), "{told}");

    let leader = wait_for("it to lead its own", LIMIT, async || {
        holder(kube, HOME, FULL_NAME).await
    })
    .await;
    assert_ne!(leader, first);
    assert_eq!(holder(kube, OPERATOR_NAMESPACE, OPERATOR).await, Ok(first));

    let account = format!("system:serviceaccount:{HOME}:{FULL_NAME}");
    let unlimited = format!("system:serviceaccount:{OPERATOR_NAMESPACE}:{OPERATOR}");
    // Group, what, how, where, whether its account may; that of the first operator may all of it.
    let cases = [
        ("lotoai.dev", "lotoais", "list", WATCHED, true),
        ("apps", "statefulsets", "create", WATCHED, true),
        ("", "secrets", "get", WATCHED, true),
        ("", "secrets", "get", NAMESPACE, false),
        ("lotoai.dev", "lotoais", "list", NAMESPACE, false),
        ("apps", "statefulsets", "create", HOME, false),
        // In all of them.
        ("lotoai.dev", "lotoais", "list", "", false),
    ];
    for (group, resource, verb, namespace, expected) in cases {
        for (user, expected) in [(&account, expected), (&unlimited, true)] {
            let asked = json!({
                "group": group, "resource": resource, "verb": verb, "namespace": namespace,
            });
            let may = may(kube, user, &asked).await;
            assert_eq!(may, expected, "{user}: {asked}");
        }
    }

    at_home(&["uninstall", RELEASE, "--wait"]).await;
    wait_for("nothing to be left", LIMIT, async || {
        let left = left(kube).await;
        if left == empty {
            Ok(())
        } else {
            Err(format!("{left:?}"))
        }
    })
    .await;
}

/// Helm 3 in the namespace of the release; panics with its words when it fails.
async fn at_home(arguments: &[&str]) -> String {
    let arguments = [arguments, &["--namespace", HOME]].concat();
    let told = run_program(&helm_3(), &arguments).await;
    told.unwrap_or_else(|told| panic!("helm {arguments:?}: {told}"))
}

/// The image of the operator that is there already.
async fn values(kube: &Client) -> Value {
    let deployments: Api<Deployment> = Api::namespaced(kube.clone(), OPERATOR_NAMESPACE);
    let deployment = deployments.get(OPERATOR).await.unwrap();
    let deployment = serde_json::to_value(&deployment).unwrap();
    let container = &deployment["spec"]["template"]["spec"]["containers"][0];
    let image = container["image"].as_str().unwrap();
    let (repository, tag) = image.rsplit_once(':').unwrap();
    json!({
        "image": { "repository": repository, "tag": tag },
        "watchNamespaces": [WATCHED],
    })
}

/// Who leads the operators of a release in this namespace, whose lease bears its full name.
async fn holder(kube: &Client, namespace: &str, lease: &str) -> Result<String, String> {
    let leases: Api<Lease> = Api::namespaced(kube.clone(), namespace);
    let lease = leases.get(lease).await.map_err(|error| error.to_string())?;
    let holder = lease.spec.and_then(|spec| spec.holder_identity);
    holder
        .filter(|holder| !holder.is_empty())
        .ok_or_else(|| "nobody".to_owned())
}

/// Whether a user may do this.
async fn may(kube: &Client, user: &str, asked: &Value) -> bool {
    let review = json!({
        "metadata": {},
        "spec": { "user": user, "resourceAttributes": asked },
    });
    let review: SubjectAccessReview = serde_json::from_value(review).unwrap();
    let reviews: Api<SubjectAccessReview> = Api::all(kube.clone());
    let answer = reviews.create(&PostParams::default(), &review).await;
    answer.unwrap().status.unwrap().allowed
}

/// What there is in both namespaces, and of the release in none, by kind and name. Of what the cluster
/// itself makes, and of the lease and events of programs that ran, nothing.
async fn left(kube: &Client) -> Vec<String> {
    let of_release = ListParams::default().labels(&format!("app.kubernetes.io/instance={RELEASE}"));
    let mut left = Vec::new();
    for kind in [
        ApiResource::erase::<ClusterRole>(&()),
        ApiResource::erase::<ClusterRoleBinding>(&()),
    ] {
        let api: Api<DynamicObject> = Api::all_with(kube.clone(), &kind);
        let found = api.list_metadata(&of_release).await.unwrap().items;
        let named = found.into_iter().map(|it| it.metadata.name);
        left.extend(named.map(|name| format!("{} {name:?}", kind.kind)));
    }
    for kind in [
        ApiResource::erase::<Deployment>(&()),
        ApiResource::erase::<Pod>(&()),
        ApiResource::erase::<Service>(&()),
        ApiResource::erase::<ConfigMap>(&()),
        ApiResource::erase::<Secret>(&()),
        ApiResource::erase::<ServiceAccount>(&()),
        ApiResource::erase::<Role>(&()),
        ApiResource::erase::<RoleBinding>(&()),
    ] {
        for namespace in [HOME, WATCHED] {
            let api: Api<DynamicObject> = Api::namespaced_with(kube.clone(), namespace, &kind);
            let found = api.list_metadata(&ListParams::default()).await.unwrap();
            let named = found.items.into_iter().filter_map(|it| it.metadata.name);
            // Every namespace gets these a moment after it is made.
            let made = named.filter(|name| name != "default" && name != "kube-root-ca.crt");
            left.extend(made.map(|name| format!("{} {namespace}/{name}", kind.kind)));
        }
    }
    left
}

/// Removes the release and the namespaces, also those of a run that was cut off.
async fn remove(kube: &Client) {
    let arguments = ["uninstall", RELEASE, "--namespace", HOME];
    run_program(
        &helm_3(),
        &[&arguments[..], &["--ignore-not-found"]].concat(),
    )
    .await
    .unwrap();
    let namespaces: Api<Namespace> = Api::all(kube.clone());
    for name in [HOME, WATCHED] {
        let what = format!("namespace {name} to be gone");
        wait_for(&what, LIMIT, async || {
            match namespaces.delete(name, &DeleteParams::default()).await {
                Err(kube::Error::Api(status)) if status.code == 404 => Ok(()),
                other => Err(format!("{:?}", other.err())),
            }
        })
        .await;
    }
}
