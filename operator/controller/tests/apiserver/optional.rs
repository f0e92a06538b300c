//! Objects of kinds that come with other projects, under the running operator: altered, they are
//! restored; deleted, they come back. The test plays the controllers of those projects.

use std::path::PathBuf;
use std::sync::Arc;

use kube::api::{ApiResource, DeleteParams, DynamicObject, ListParams, Patch, PatchParams};
use kube::{Client, ResourceExt};
use lotoai_plan::{labels, owned_kinds};
use lotoai_testing::module;
use rstest::rstest;
use serde_json::{Value, json};

use crate::definitions::{certificate, install, routes};
use crate::delegated::install_definition;
use crate::owned::{FOREIGN, SOON, alteration, wanted};
use crate::server::ApiServer;
use crate::world::{Answering, DEADLINE, World, wait_for};

/// A Secret: its name, keys and values.
type Made = (&'static str, &'static [(&'static str, &'static str)]);

/// What another project brings, and a platform that uses it.
struct Project {
    spec: Value,
    kinds: &'static [&'static str],
    /// Files with the definitions; none for those of CloudNativePG, which are no module here.
    definitions: Vec<PathBuf>,
    /// What the project's controllers make.
    secrets: &'static [Made],
    /// What they say of an object: its kind, its name and the status.
    says: Option<(&'static str, &'static str, Value)>,
}

fn gateway_api() -> Option<Project> {
    let condition = |type_: &str| {
        json!({
            "type": type_, "status": "True", "reason": type_, "message": "",
            "lastTransitionTime": "2026-01-01T00:00:00Z",
        })
    };
    let parent = json!({
        "parentRef": { "name": "public" }, "controllerName": "example.com/gateway",
        "conditions": [condition("Accepted"), condition("ResolvedRefs")],
    });
    let crds = module("sigs.k8s.io/gateway-api")?.join("config/crd/standard");
    let definition = |plural: &str| crds.join(format!("gateway.networking.k8s.io_{plural}.yaml"));
    Some(Project {
        spec: json!({ "url": "https://lotoai.localhost", "edge": routes() }),
        kinds: &["HTTPRoute", "BackendTLSPolicy"],
        definitions: ["httproutes", "backendtlspolicies"].map(definition).into(),
        secrets: &[],
        says: Some(("HTTPRoute", "demo-edge", json!({ "parents": [parent] }))),
    })
}

fn cert_manager() -> Option<Project> {
    let crds = module("github.com/cert-manager/cert-manager")?.join("deploy/crds");
    Some(Project {
        spec: json!({ "url": "https://lotoai.localhost", "edge": certificate() }),
        kinds: &["Certificate"],
        definitions: vec![crds.join("cert-manager.io_certificates.yaml")],
        secrets: &[(
            "demo-edge-tls",
            &[("tls.crt", "issued"), ("tls.key", "key")],
        )],
        says: None,
    })
}

fn cloudnative_pg() -> Project {
    let status = json!({
        "phase": "Cluster in healthy state", "readyInstances": 1,
        "conditions": [{ "type": "Ready", "status": "True" }],
    });
    let postgres = json!({ "delegated": {} });
    Project {
        spec: json!({ "url": "https://lotoai.localhost", "data": { "postgres": postgres } }),
        kinds: &["Cluster"],
        definitions: Vec::new(),
        secrets: &[
            (
                "demo-postgres-superuser",
                &[("username", "postgres"), ("password", "made-by-another")],
            ),
            ("demo-postgres-ca", &[("ca.crt", "pem")]),
        ],
        says: Some(("Cluster", "demo-postgres", status)),
    }
}

fn kind(name: &str) -> ApiResource {
    let all = owned_kinds().into_iter();
    let mut named = all.filter(|kind| kind.optional && kind.resource.kind == name);
    named.next().unwrap().resource
}

impl Project {
    async fn install(&self, client: &Client) {
        for definition in &self.definitions {
            install(client, definition).await;
        }
        if self.definitions.is_empty() {
            install_definition(client).await;
        }
    }

    /// Waits until the platform is ready, with controllers that have nothing to complain of.
    async fn comes_up(&self, world: &World) {
        // A platform that lacks something is looked at once a minute.
        wait_for("the platform is ready", 2 * DEADLINE, async || {
            if let Some((of, name, status)) = &self.says {
                let api = world.dynamic(&kind(of));
                let params = PatchParams::default();
                let patch = Patch::Merge(json!({ "status": status }));
                // It is not there yet, or its kind is not.
                if let Ok(Some(_)) = api.get_metadata_opt(name).await {
                    api.patch_status(name, &params, &patch).await.unwrap();
                }
            }
            world.is_up().await
        })
        .await;
    }

    async fn objects(&self, world: &World) -> Vec<(ApiResource, String)> {
        let ours = ListParams::default().labels(&labels::owned_by_selector("demo"));
        let mut all = Vec::new();
        for name in self.kinds {
            let kind = kind(name);
            let list = world.dynamic(&kind).list_metadata(&ours).await.unwrap();
            assert!(!list.items.is_empty(), "no {name}");
            all.extend(list.iter().map(|it| (kind.clone(), it.name_any())));
        }
        all
    }
}

async fn is_restored_when_altered(world: &World, kind: &ApiResource, name: &str) {
    let api = world.dynamic(kind);
    let before = api.get(name).await.unwrap();
    let mut patch = alteration(&before);
    patch["metadata"] = json!({ "annotations": { FOREIGN: "stays" } });
    let by = PatchParams {
        field_manager: Some("somebody".to_owned()),
        ..PatchParams::default()
    };
    let altered = api.patch(name, &by, &Patch::Merge(&patch)).await.unwrap();
    assert_ne!(wanted(&altered), wanted(&before), "{}/{name}", kind.kind);
    let what = format!("{}/{name} is restored", kind.kind);
    wait_for(&what, SOON, async || {
        let after: DynamicObject = api.get(name).await.unwrap();
        assert_eq!(after.annotations()[FOREIGN], "stays");
        wanted(&after) == wanted(&before)
    })
    .await;
}

async fn comes_back_when_deleted(world: &World, kind: &ApiResource, name: &str) {
    let api = world.dynamic(kind);
    let before = api.get_metadata(name).await.unwrap().uid();
    api.delete(name, &DeleteParams::background()).await.unwrap();
    wait_for(&format!("{}/{name} is back", kind.kind), SOON, async || {
        let found = api.get_metadata_opt(name).await.unwrap();
        found.is_some_and(|found| found.uid() != before)
    })
    .await;
}

/// Between two changes the platform is ready: the next look that comes by time alone is minutes away.
#[rstest]
#[case::gateway_api_that_comes_after_the_operator(gateway_api(), true)]
#[case::cert_manager(cert_manager(), false)]
#[case::cloudnative_pg(Some(cloudnative_pg()), false)]
#[tokio::test]
async fn every_altered_or_deleted_object_is_made_good_soon(
    #[case] project: Option<Project>,
    #[case] comes_later: bool,
) {
    let Some(project) = project else {
        return;
    };
    // One of its own: other tests need a cluster without these kinds.
    let Some(server) = ApiServer::start() else {
        return;
    };
    let client = server.client();
    if !comes_later {
        project.install(&client).await;
    }
    let world = World::on(&server, "optional", &project.spec, Answering).await;
    for (name, values) in project.secrets {
        world.make_secret(name, values).await;
    }
    let test = async {
        if comes_later {
            wait_for("the kind is missed", DEADLINE, async || {
                let status = world.status().await;
                let stalled = status.condition("Stalled");
                stalled.is_some_and(|it| it.reason == "DependencyMissing")
            })
            .await;
            project.install(&client).await;
        }
        project.comes_up(&world).await;
        for (kind, name) in project.objects(&world).await {
            is_restored_when_altered(&world, &kind, &name).await;
            comes_back_when_deleted(&world, &kind, &name).await;
            project.comes_up(&world).await;
        }
    };
    world.until_killed(Arc::clone(&world.context), test).await;
}
