//! Platforms for tests, and the part of a cluster that a bare API server lacks.

use std::path::{Path, PathBuf};

use k8s_openapi::api::core::v1::Namespace;
use k8s_openapi::api::rbac::v1::{PolicyRule, Role, RoleBinding, RoleRef, Subject};
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::api::{Api, ObjectMeta, Patch, PatchParams, PostParams};
use kube::runtime::wait::{await_condition, conditions};
use kube::{Client, CustomResourceExt};
use lotoai_api::LotoAI;
use lotoai_operator::rbac;

/// Installs the definition and waits until it is served.
pub(crate) async fn install_crd(client: &Client) {
    let api: Api<CustomResourceDefinition> = Api::all(client.clone());
    let crd = LotoAI::crd();
    api.patch(
        "lotoais.lotoai.dev",
        &PatchParams::apply("tests").force(),
        &Patch::Apply(&crd),
    )
    .await
    .expect("the definition is accepted");
    let established = await_condition(api, "lotoais.lotoai.dev", conditions::is_crd_established());
    tokio::time::timeout(std::time::Duration::from_secs(30), established)
        .await
        .expect("the definition is established in time")
        .expect("the definition can be watched");
}

/// Gives the user `operator` in a namespace the rights that the chart gives, and no others.
pub(crate) async fn allow_operator(client: &Client, namespace: &str) {
    let metadata = ObjectMeta {
        name: Some("lotoai-operator".to_owned()),
        ..ObjectMeta::default()
    };
    let mut rules = rbac::rules();
    rules.push(PolicyRule {
        api_groups: Some(vec!["coordination.k8s.io".to_owned()]),
        resources: Some(vec!["leases".to_owned()]),
        verbs: ["create", "get", "update"].map(str::to_owned).to_vec(),
        ..PolicyRule::default()
    });
    let role = Role {
        metadata: metadata.clone(),
        rules: Some(rules),
    };
    let binding = RoleBinding {
        metadata,
        role_ref: RoleRef {
            api_group: "rbac.authorization.k8s.io".to_owned(),
            kind: "Role".to_owned(),
            name: "lotoai-operator".to_owned(),
        },
        subjects: Some(vec![Subject {
            api_group: Some("rbac.authorization.k8s.io".to_owned()),
            kind: "User".to_owned(),
            name: "operator".to_owned(),
            namespace: None,
        }]),
    };
    let params = PostParams::default();
    Api::namespaced(client.clone(), namespace)
        .create(&params, &role)
        .await
        .expect("the role is accepted");
    Api::namespaced(client.clone(), namespace)
        .create(&params, &binding)
        .await
        .expect("the binding is accepted");
}

/// Makes a namespace; every test has its own.
pub(crate) async fn namespace(client: &Client, name: &str) {
    let api: Api<Namespace> = Api::all(client.clone());
    let metadata = ObjectMeta {
        name: Some(name.to_owned()),
        ..ObjectMeta::default()
    };
    let namespace = Namespace {
        metadata,
        ..Namespace::default()
    };
    api.create(&PostParams::default(), &namespace)
        .await
        .expect("a new namespace");
}

/// The sample resources of the repository.
pub(crate) fn samples() -> Vec<PathBuf> {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../samples");
    let mut files: Vec<_> = std::fs::read_dir(directory)
        .expect("samples")
        .map(|entry| entry.expect("an entry").path())
        .filter(|path| {
            path.extension()
                .is_some_and(|extension| extension == "yaml")
        })
        .collect();
    files.sort();
    assert!(!files.is_empty(), "there are samples");
    files
}
