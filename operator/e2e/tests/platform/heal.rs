//! Pods die; the platform answers again without help.

use std::collections::BTreeSet;
use std::time::Duration;

use k8s_openapi::api::core::v1::Pod;
use kube::api::{Api, DeleteParams};

use crate::support::{NAMESPACE, component, pods, ready_with_corpus, run, wait_for, wait_ready};

#[test]
fn every_pod_may_be_deleted() {
    run(|| async {
        let (platform, client) = ready_with_corpus().await;
        let api: Api<Pod> = Api::namespaced(platform.kube.clone(), NAMESPACE);
        let components: BTreeSet<String> = pods(&platform).await.iter().map(component).collect();
        assert!(components.len() >= 13, "{components:?}");
        for name in components {
            let Some(pod) = pods(&platform)
                .await
                .into_iter()
                .find(|pod| component(pod) == name)
            else {
                panic!("{name} has no pod");
            };
            let (pod_name, uid) = (pod.metadata.name.unwrap(), pod.metadata.uid);
            api.delete(&pod_name, &DeleteParams::default())
                .await
                .unwrap();
            wait_for(
                &format!("a new pod of {name}"),
                Duration::from_secs(120),
                async || {
                    let now = pods(&platform).await;
                    let is_new = now
                        .iter()
                        .any(|pod| component(pod) == name && pod.metadata.uid != uid);
                    let is_old_gone = now.iter().all(|pod| pod.metadata.uid != uid);
                    if is_new && is_old_gone {
                        Ok(())
                    } else {
                        Err(format!("{} pods", now.len()))
                    }
                },
            )
            .await;
            wait_ready(&platform, Duration::from_secs(240)).await;
            let question = "How often must the coffee machine be descaled?";
            let answer = wait_for(
                &format!("an answer after {name}"),
                Duration::from_secs(60),
                async || {
                    client
                        .ask("lotoai", question)
                        .await
                        .map_err(|error| error.to_string())
                },
            )
            .await;
            assert!(answer.text.contains("Friday"), "after {name}: {answer:?}");
            println!("deleted the pod of {name}: answered again");
        }
    });
}
