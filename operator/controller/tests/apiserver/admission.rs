//! A cluster whose policies refuse one of the platform's objects.

use k8s_openapi::api::admissionregistration::v1::{
    ValidatingAdmissionPolicy, ValidatingAdmissionPolicyBinding,
};
use k8s_openapi::api::apps::v1::Deployment;
use kube::api::{Api, DeleteParams, PostParams};
use serde_json::json;

use crate::world::{DEADLINE, World, wait_for};

/// Refuses Deployments named `demo-agents` in the world's namespace, and waits until the API server
/// does so. The policy is named like the namespace.
async fn refuse_agents(world: &World) {
    let policy = json!({
        "metadata": { "name": world.namespace },
        "spec": {
            "failurePolicy": "Fail",
            "matchConstraints": { "resourceRules": [{
                "apiGroups": ["apps"], "apiVersions": ["v1"], "resources": ["deployments"],
                "operations": ["CREATE", "UPDATE"],
            }] },
            "validations": [{
                "expression": "object.metadata.name != 'demo-agents'",
                "message": "agents are not allowed here",
            }],
        },
    });
    let policy: ValidatingAdmissionPolicy = serde_json::from_value(policy).unwrap();
    let policies = Api::all(world.client.clone());
    policies
        .create(&PostParams::default(), &policy)
        .await
        .unwrap();
    let binding = json!({
        "metadata": { "name": world.namespace },
        "spec": {
            "policyName": world.namespace,
            "validationActions": ["Deny"],
            "matchResources": { "namespaceSelector": {
                "matchLabels": { "kubernetes.io/metadata.name": world.namespace },
            } },
        },
    });
    let binding: ValidatingAdmissionPolicyBinding = serde_json::from_value(binding).unwrap();
    bindings(world)
        .create(&PostParams::default(), &binding)
        .await
        .unwrap();
    let probe = json!({
        "metadata": { "name": "demo-agents" },
        "spec": {
            "selector": { "matchLabels": { "probe": "yes" } },
            "template": {
                "metadata": { "labels": { "probe": "yes" } },
                "spec": { "containers": [{ "name": "probe", "image": "probe:1" }] },
            },
        },
    });
    let probe: Deployment = serde_json::from_value(probe).unwrap();
    let dry = PostParams {
        dry_run: true,
        ..PostParams::default()
    };
    wait_for("the policy is in force", DEADLINE, async || {
        // One of this name may be there, which is another refusal.
        let created = world.api::<Deployment>().create(&dry, &probe).await;
        created.is_err_and(|error| error.to_string().contains("agents are not allowed here"))
    })
    .await;
}

fn bindings(world: &World) -> Api<ValidatingAdmissionPolicyBinding> {
    Api::all(world.client.clone())
}

async fn there_is(world: &World, name: &str) -> bool {
    let deployments = world.api::<Deployment>();
    deployments.get_metadata_opt(name).await.unwrap().is_some()
}

#[tokio::test]
async fn a_refused_workload_is_named_and_holds_up_nobody_but_those_that_need_it() {
    let Some(world) = World::demo("admission").await else {
        return;
    };
    refuse_agents(&world).await;
    let independent = [
        "demo-model-server",
        "demo-mcp-server",
        "demo-rag-ingest",
        "demo-analytics",
    ];
    wait_for("what does not need agents is there", DEADLINE, async || {
        let _refused = world.pass().await;
        world.make_ready(|_| true).await;
        let mut all = true;
        for name in independent {
            all &= there_is(&world, name).await;
        }
        all
    })
    .await;
    world.pass().await.unwrap_err();
    for waits in ["demo-agents", "demo-orchestrator", "demo-gateway"] {
        assert!(!there_is(&world, waits).await, "{waits}");
    }
    let (status, reason, message) = world.condition("Ready").await;
    assert_eq!(
        (status.as_str(), reason.as_str()),
        ("False", "ReconcileFailed")
    );
    assert!(
        message.contains("failed to apply Deployment/demo-agents: "),
        "{message}"
    );
    assert!(message.contains("agents are not allowed here"), "{message}");
    let (_, reason, _) = world.condition("Reconciling").await;
    assert_eq!(reason, "ReconcileFailed");

    bindings(&world)
        .delete(&world.namespace, &DeleteParams::default())
        .await
        .unwrap();
    wait_for("the refusal ends", DEADLINE, async || {
        world.pass().await.is_ok()
    })
    .await;
    world.settle().await;
    assert!(there_is(&world, "demo-gateway").await);
}

/// The generation of a Deployment, which grows with every change of it.
async fn generation(world: &World, name: &str) -> Option<i64> {
    let deployments = world.api::<Deployment>();
    deployments.get(name).await.unwrap().metadata.generation
}

#[tokio::test]
async fn nobody_that_needs_a_refused_workload_changes_on_a_platform_that_is_up() {
    let Some(world) = World::demo("admission-up").await else {
        return;
    };
    world.settle().await;
    refuse_agents(&world).await;
    let names = [
        ("demo-agents", false),
        ("demo-orchestrator", false),
        ("demo-gateway", false),
        ("demo-model-server", true),
        ("demo-analytics", true),
    ];
    let mut before = Vec::new();
    for (name, _) in names {
        before.push(generation(&world, name).await);
    }
    let everybody = json!({ "pods": { "labels": { "team": "ai" } } });
    world.change(&everybody).await;
    world.pass().await.unwrap_err();
    for ((name, changes), before) in names.into_iter().zip(before) {
        let changed = generation(&world, name).await != before;
        assert_eq!(changed, changes, "{name}");
    }

    // It answers, but nobody takes it for what was asked for.
    wait_for("it is ready all the same", DEADLINE, async || {
        world.pass().await.unwrap_err();
        world.make_ready(|_| true).await;
        world.condition("Ready").await.0 == "True"
    })
    .await;
    let (status, reason, message) = world.condition("Reconciling").await;
    assert_eq!(
        (status.as_str(), reason.as_str()),
        ("True", "ReconcileFailed")
    );
    assert!(message.contains("Deployment/demo-agents"), "{message}");
}
