//! The images that an operator gives to platforms, and the same under other tags.

use std::collections::BTreeMap;

use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::ConfigMap;
use kube::api::Api;
use lotoai_api::versions::with_tag;
use lotoai_e2e::Platform;
use lotoai_local::Instance;

use crate::cluster::{OPERATOR, OPERATOR_NAMESPACE};

/// Image references by component.
pub(crate) type Images = BTreeMap<String, String>;

/// What the installed operator has as the table of images.
pub(crate) async fn installed(platform: &Platform) -> Images {
    let maps: Api<ConfigMap> = Api::namespaced(platform.kube.clone(), OPERATOR_NAMESPACE);
    let map = maps.get(&format!("{OPERATOR}-images")).await.unwrap();
    let text = map.data.unwrap().remove("images.yaml").unwrap();
    let lines = text.lines().filter_map(|line| line.split_once(": "));
    let images: Images = lines
        .map(|(name, image)| (name.to_owned(), image.trim_matches('"').to_owned()))
        .collect();
    assert!(images.len() > 10, "{text}");
    images
}

/// The same images under another tag, which the node knows as well.
pub(crate) fn tagged(instance: &Instance, images: &Images, tag: &str) -> Images {
    let all = images.iter().map(|(component, image)| {
        let name = with_tag(image, tag);
        lotoai_local::tag_image(instance, image, &name).unwrap();
        (component.clone(), name)
    });
    all.collect()
}

/// What the installed operator itself runs.
pub(crate) async fn of_operator(platform: &Platform) -> String {
    let deployments: Api<Deployment> = Api::namespaced(platform.kube.clone(), OPERATOR_NAMESPACE);
    let deployment = deployments.get(OPERATOR).await.unwrap();
    let pod = deployment.spec.unwrap().template.spec.unwrap();
    pod.containers[0].image.clone().unwrap()
}
