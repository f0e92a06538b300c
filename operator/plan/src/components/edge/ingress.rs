//! Ingress for a controller of the cluster.

use k8s_openapi::api::networking::v1::{
    HTTPIngressPath, HTTPIngressRuleValue, Ingress, IngressBackend, IngressRule,
    IngressServiceBackend, IngressSpec, IngressTLS, ServiceBackendPort,
};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use lotoai_api::Component;
use lotoai_api::spec;

use super::{paths, port};
use crate::platform::Platform;

pub(super) fn build(platform: &Platform, given: &spec::Ingress) -> Ingress {
    let host = platform.url.host.clone();
    let rule = IngressRule {
        host: Some(host.clone()),
        http: Some(HTTPIngressRuleValue {
            paths: paths(platform)
                .map(|(path, component)| HTTPIngressPath {
                    path: Some(path),
                    path_type: "Prefix".to_owned(),
                    backend: backend(platform, component),
                })
                .collect(),
        }),
    };
    Ingress {
        metadata: ObjectMeta {
            annotations: (!given.annotations.is_empty()).then(|| given.annotations.clone()),
            ..platform.platform_metadata(platform.edge_name())
        },
        spec: Some(IngressSpec {
            ingress_class_name: Some(given.class_name.clone()),
            rules: Some(vec![rule]),
            tls: Some(vec![IngressTLS {
                hosts: Some(vec![host]),
                secret_name: Some(platform.tls_secret()),
            }]),
            ..IngressSpec::default()
        }),
        ..Ingress::default()
    }
}

fn backend(platform: &Platform, component: Component) -> IngressBackend {
    IngressBackend {
        service: Some(IngressServiceBackend {
            name: platform.component_name(component),
            port: Some(ServiceBackendPort {
                number: Some(port(component)),
                name: None,
            }),
        }),
        resource: None,
    }
}
