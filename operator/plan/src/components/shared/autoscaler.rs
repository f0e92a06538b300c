//! HorizontalPodAutoscalers: the number of pods follows their CPU.

use k8s_openapi::api::autoscaling::v2::{
    CrossVersionObjectReference, HorizontalPodAutoscaler, HorizontalPodAutoscalerSpec, MetricSpec,
    MetricTarget, ResourceMetricSource,
};
use lotoai_api::Component;

use crate::graph::Node;
use crate::platform::Platform;
use crate::scale::Scale;

/// Autoscaler `<platform>-<component>`; none for a component with a fixed number of pods.
#[must_use]
pub fn build(platform: &Platform, component: Component) -> Option<HorizontalPodAutoscaler> {
    let Scale::Following(autoscaling) = platform.scale(component) else {
        return None;
    };
    let name = platform.component_name(component);
    Some(HorizontalPodAutoscaler {
        metadata: platform.metadata(name.clone(), Node::Component(component)),
        spec: Some(HorizontalPodAutoscalerSpec {
            min_replicas: Some(autoscaling.min_replicas),
            max_replicas: autoscaling.max_replicas,
            metrics: Some(vec![MetricSpec {
                type_: "Resource".to_owned(),
                resource: Some(ResourceMetricSource {
                    name: "cpu".to_owned(),
                    target: MetricTarget {
                        type_: "Utilization".to_owned(),
                        average_utilization: Some(autoscaling.target_cpu_utilization),
                        ..MetricTarget::default()
                    },
                }),
                ..MetricSpec::default()
            }]),
            scale_target_ref: CrossVersionObjectReference {
                api_version: Some("apps/v1".to_owned()),
                kind: "Deployment".to_owned(),
                name,
            },
            ..HorizontalPodAutoscalerSpec::default()
        }),
        ..HorizontalPodAutoscaler::default()
    })
}
