//! The resource: what it tells, what it refuses, what it costs.

use std::collections::BTreeMap;

use kube::api::{DynamicObject, Patch, PatchParams, PostParams};
use serde_json::{Value, json};

use crate::support::{NAME, NAMESPACE, condition, ready, run};

/// Idle memory that the whole platform may use.
const MEMORY_LIMIT: u64 = 4 << 30;

#[test]
fn the_status_tells_the_truth() {
    run(|| async {
        let (platform, client) = ready().await;
        let object = serde_json::to_value(platform.resources().get(NAME).await.unwrap()).unwrap();
        assert_eq!(condition(&object, "Ready"), "True");
        let status = &object["status"];
        assert_eq!(
            status["url"].as_str().unwrap().trim_end_matches('/'),
            client.url()
        );
        let (ready, all) = status["componentsReady"]
            .as_str()
            .unwrap()
            .split_once('/')
            .unwrap();
        assert_eq!(ready, all);
        assert_eq!(
            status["components"].as_array().unwrap().len().to_string(),
            all
        );
    });
}

#[test]
fn a_broken_field_is_refused_with_the_fix() {
    run(|| async {
        let (platform, _) = ready().await;
        let resources = platform.resources();
        let cases: [(&str, Value, &str); 5] = [
            (
                "a URL without https",
                json!({"url": "http://lotoai.localhost"}),
                "https",
            ),
            ("a wrong type", json!({"url": 7}), "url"),
            (
                "an unknown profile",
                json!({"url": "https://a.example", "profile": "Huge"}),
                "profile",
            ),
            (
                "a tool that is two things",
                json!({"url": "https://a.example", "mcp": {"tools": [{
                    "name": "both", "description": "d",
                    "http": {"url": "https://a.example/x"}, "script": {"source": "true"},
                }]}}),
                "script",
            ),
            (
                "a role with an undeclared provider",
                json!({"url": "https://a.example", "agents": {"roles": [{
                    "name": "r", "description": "d", "prompt": "p",
                    "models": [{"provider": "nobody", "model": "m"}],
                }]}}),
                "provider",
            ),
        ];
        for (name, spec, hint) in cases {
            let object: DynamicObject = serde_json::from_value(json!({
                "apiVersion": "lotoai.dev/v1alpha1", "kind": "LotoAI",
                "metadata": {"name": "broken", "namespace": NAMESPACE}, "spec": spec,
            }))
            .unwrap();
            let error = resources
                .create(&PostParams::default(), &object)
                .await
                .expect_err(name);
            let text = error.to_string();
            assert!(text.contains(hint), "{name}: {hint:?} is not in {text}");
        }
        let strict = PatchParams {
            field_validation: Some(kube::api::ValidationDirective::Strict),
            ..Default::default()
        };
        let patch = Patch::Merge(json!({"spec": {"colour": "blue"}}));
        let error = resources
            .patch(NAME, &strict, &patch)
            .await
            .expect_err("an unknown field");
        assert!(error.to_string().contains("colour"), "{error}");
    });
}

#[test]
fn the_idle_platform_is_small() {
    run(|| async {
        let (platform, _) = ready().await;
        let nodes: kube::Api<k8s_openapi::api::core::v1::Node> =
            kube::Api::all(platform.kube.clone());
        let mut memory: BTreeMap<String, u64> = BTreeMap::new();
        for node in nodes.list(&kube::api::ListParams::default()).await.unwrap() {
            let path = format!(
                "/api/v1/nodes/{}/proxy/stats/summary",
                node.metadata.name.unwrap()
            );
            let request = http::Request::get(path).body(Vec::new()).unwrap();
            let summary: Value = platform.kube.request(request).await.unwrap();
            for pod in summary["pods"].as_array().unwrap() {
                if pod["podRef"]["namespace"] == NAMESPACE {
                    for container in pod["containers"].as_array().into_iter().flatten() {
                        *memory
                            .entry(container["name"].as_str().unwrap().to_owned())
                            .or_default() +=
                            container["memory"]["workingSetBytes"].as_u64().unwrap_or(0);
                    }
                }
            }
        }
        for (container, bytes) in &memory {
            println!("memory {container:<28} {:>6} MiB", bytes >> 20);
        }
        let total: u64 = memory.values().sum();
        println!("memory {:<28} {:>6} MiB", "all", total >> 20);
        assert!(memory.len() >= 13, "{memory:?}");
        assert!(total <= MEMORY_LIMIT, "{} MiB", total >> 20);
    });
}
