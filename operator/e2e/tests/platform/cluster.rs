//! The cluster behind the platform, as its API server shows it.

use k8s_openapi::api::apps::v1::{Deployment, StatefulSet};
use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::api::core::v1::{ConfigMap, Pod, Secret, Service};
use k8s_openapi::api::networking::v1::NetworkPolicy;
use kube::api::{Api, ApiResource, DynamicObject, ListParams};
use lotoai_e2e::Platform;
use serde_json::Value;

use crate::support::{NAME, NAMESPACE};

/// Namespace of the operator.
pub(crate) const OPERATOR_NAMESPACE: &str = "lotoai-system";
/// Name of its chart's objects.
pub(crate) const OPERATOR: &str = "lotoai-operator";
/// Port with health, readiness and metrics in every pod of ours.
pub(crate) const ADMIN_PORT: u16 = 9090;

/// An object of the platform: kind, name, version.
pub(crate) type Seen = (String, String, String);

/// Kinds that go with the resource.
pub(crate) fn transient_kinds() -> Vec<ApiResource> {
    vec![
        ApiResource::erase::<Deployment>(&()),
        ApiResource::erase::<StatefulSet>(&()),
        ApiResource::erase::<Service>(&()),
        ApiResource::erase::<ConfigMap>(&()),
        ApiResource::erase::<NetworkPolicy>(&()),
        ApiResource::erase::<Job>(&()),
    ]
}

/// The kind that outlives the resource, because it holds credentials.
pub(crate) fn secrets() -> ApiResource {
    ApiResource::erase::<Secret>(&())
}

/// The platform's objects of some kinds, sorted.
pub(crate) async fn objects(
    platform: &Platform,
    kinds: &[ApiResource],
) -> Result<Vec<Seen>, String> {
    let params = ListParams::default().labels(&format!("app.kubernetes.io/instance={NAME}"));
    let mut seen = Vec::new();
    for kind in kinds {
        let api: Api<DynamicObject> = Api::namespaced_with(platform.kube.clone(), NAMESPACE, kind);
        let list = api.list_metadata(&params).await;
        for object in list.map_err(|error| error.to_string())?.items {
            seen.push((
                kind.kind.clone(),
                object.metadata.name.unwrap_or_default(),
                object.metadata.resource_version.unwrap_or_default(),
            ));
        }
    }
    seen.sort();
    Ok(seen)
}

/// The operator's pods that are not on their way out.
pub(crate) async fn operator_pods(platform: &Platform) -> Result<Vec<Pod>, String> {
    let api: Api<Pod> = Api::namespaced(platform.kube.clone(), OPERATOR_NAMESPACE);
    let params = ListParams::default().labels("app.kubernetes.io/name=lotoai-operator");
    let list = api.list(&params).await.map_err(|error| error.to_string())?;
    let staying = list
        .items
        .into_iter()
        .filter(|pod| pod.metadata.deletion_timestamp.is_none());
    Ok(staying.collect())
}

/// Whether a pod says that it is ready.
pub(crate) fn is_ready(pod: &Pod) -> bool {
    let conditions = pod.status.as_ref().and_then(|s| s.conditions.as_ref());
    conditions
        .into_iter()
        .flatten()
        .any(|condition| condition.type_ == "Ready" && condition.status == "True")
}

/// What a port of a pod answers, through the API server; an error when it answers no 2xx.
pub(crate) async fn pod_get(
    platform: &Platform,
    namespace: &str,
    pod: &str,
    port: u16,
    path: &str,
) -> Result<String, String> {
    let path = format!("/api/v1/namespaces/{namespace}/pods/{pod}:{port}/proxy{path}");
    let request = http::Request::get(&path).body(Vec::new()).unwrap();
    platform
        .kube
        .request_text(request)
        .await
        .map_err(|error| format!("{path}: {error}"))
}

/// Sum of the samples of one of the operator's metrics whose labels contain `label`.
pub(crate) async fn operator_metric(
    platform: &Platform,
    metric: &str,
    label: &str,
) -> Result<f64, String> {
    let pods = operator_pods(platform).await?;
    let pod = pods.first().ok_or("the operator has no pod")?;
    let name = pod.metadata.name.as_deref().unwrap_or_default();
    let text = pod_get(platform, OPERATOR_NAMESPACE, name, ADMIN_PORT, "/metrics").await?;
    Ok(sum_of(&text, metric, label))
}

/// Sum of the samples of a metric whose labels contain `label`.
pub(crate) fn sum_of(metrics: &str, metric: &str, label: &str) -> f64 {
    metrics
        .lines()
        .filter_map(|line| line.strip_prefix(metric)?.rsplit_once(' '))
        .filter(|(labels, _)| labels.starts_with('{') || labels.is_empty())
        .filter(|(labels, _)| labels.contains(label))
        .filter_map(|(_, value)| value.parse::<f64>().ok())
        .sum()
}

/// Ready pods of a component as the status tells them, for example `1/1`.
pub(crate) fn component_ready(object: &Value, component: &str) -> String {
    let components = object["status"]["components"].as_array();
    components
        .into_iter()
        .flatten()
        .find(|entry| entry["name"] == component)
        .and_then(|entry| entry["ready"].as_str())
        .unwrap_or("missing")
        .to_owned()
}
