//! An upgrade to an image that cannot be had: people go on getting answers, the resource says what
//! is wrong and how to go back, and going back heals it.

use std::panic::AssertUnwindSafe;
use std::time::Duration;

use futures::FutureExt as _;
use k8s_openapi::api::apps::v1::Deployment;
use kube::api::Api;
use lotoai_api::versions::{tag, with_tag};
use lotoai_e2e::{Platform, PublicClient};
use serde_json::json;

use crate::support::{
    NAME, NAMESPACE, answered_during, component, condition, pods, ready, resource, run, set_spec,
    wait_for, wait_ready,
};

/// Every answer comes from it.
const COMPONENT: &str = "orchestrator";
const LIMIT: Duration = Duration::from_secs(180);

#[test]
fn a_broken_image_is_told_and_taken_back_while_questions_are_answered() {
    run(|| async {
        let (platform, client) = ready().await;
        // The image is put back whatever happens here, or later tests would run on the rest of it.
        let outcome = AssertUnwindSafe(breaks_and_goes_back(&platform, &client))
            .catch_unwind()
            .await;
        set_spec(&platform, &json!({ "images": null })).await;
        if let Err(panic) = outcome {
            std::panic::resume_unwind(panic);
        }
        wait_ready(&platform, LIMIT).await;
    });
}

async fn breaks_and_goes_back(platform: &Platform, client: &PublicClient) {
    let deployments: Api<Deployment> = Api::namespaced(platform.kube.clone(), NAMESPACE);
    let name = format!("{NAME}-{COMPONENT}");
    let deployment = deployments.get(&name).await.unwrap();
    let template = deployment.spec.unwrap().template.spec.unwrap();
    let good = template.containers[0].image.clone().unwrap();
    let broken = with_tag(&good, "broken");
    let uid = only_pod(platform).await.unwrap();
    let going = async {
        take(platform, &broken).await;
        let (object, stalled) = wait_for("the resource to be stuck", LIMIT, async || {
            let object = resource(platform).await?;
            let conditions = object["status"]["conditions"].as_array().cloned();
            let mut all = conditions.unwrap_or_default().into_iter();
            match all.find(|one| one["type"] == "Stalled") {
                Some(stalled) if condition(&object, "Stalled") == "True" => Ok((object, stalled)),
                _ => Err(object["status"]["conditions"].to_string()),
            }
        })
        .await;
        assert_eq!(condition(&object, "Ready"), "True", "the old pod serves");
        assert_eq!(stalled["reason"], "ImagePullFailed");
        let message = stalled["message"].as_str().unwrap();
        let (from, to) = (tag(&good), tag(&broken));
        for part in [
            format!("{COMPONENT}: upgrading from {from} to {to}: Pod {name}-"),
            format!("see  kubectl -n {NAMESPACE} describe pod {name}-"),
            format!("go back with  spec.images.overrides.{COMPONENT}: {good}"),
        ] {
            assert!(message.contains(&part), "{part:?} is not in {message}");
        }
        // As the message says.
        take(platform, &good).await;
        wait_for("the resource to be healed", LIMIT, async || {
            let object = resource(platform).await?;
            let is = |kind: &str| condition(&object, kind) == "True";
            if is("Ready") && !is("Stalled") && !is("Reconciling") {
                Ok(())
            } else {
                Err(object["status"]["conditions"].to_string())
            }
        })
        .await;
    };
    let asked = answered_during(client, going).await;
    println!("{asked} questions answered while the image of {COMPONENT} was a broken one");
    let now = wait_for("the new pod to go", LIMIT, async || {
        only_pod(platform).await
    });
    assert_eq!(now.await, uid, "the old pod was never touched");
}

async fn take(platform: &Platform, image: &str) {
    let images = json!({ "overrides": { COMPONENT: image } });
    set_spec(platform, &json!({ "images": images })).await;
}

/// Identity of the component's pod when there is one and no other.
async fn only_pod(platform: &Platform) -> Result<Option<String>, String> {
    let all = pods(platform).await;
    let ours: Vec<_> = all
        .iter()
        .filter(|pod| component(pod) == COMPONENT)
        .collect();
    match ours[..] {
        [pod] => Ok(pod.metadata.uid.clone()),
        _ => Err(format!("{} pods", ours.len())),
    }
}
