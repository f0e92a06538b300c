//! The cluster stops and starts; the resource is deleted and applied again. Data stays.

use std::time::{Duration, Instant};

use kube::api::{DeleteParams, ObjectMeta, PostParams};
use lotoai_e2e::{Platform, PublicClient};
use serde_json::Value;

use crate::cluster::{objects, transient_kinds};
use crate::deletion::{Bystanders, assert_same, kept_secrets, volumes};
use crate::support::{NAME, pods, ready_with_corpus, run, wait_for, wait_ready};

/// What must still be there afterwards.
#[derive(Debug)]
pub(crate) struct Kept {
    conversation: String,
    documents: usize,
    subject: Value,
}

/// Asks a question that will be looked for by [`check`].
pub(crate) async fn remember(client: &PublicClient) -> Kept {
    let answer = client
        .ask("lotoai", "How often must the coffee machine be descaled?")
        .await
        .unwrap();
    Kept {
        conversation: answer.lotoai["conversation_id"]
            .as_str()
            .unwrap()
            .to_owned(),
        documents: document_count(client).await,
        subject: client.get("/api/me").await.unwrap()["subject"].clone(),
    }
}

/// Everything that was there is there, and is found.
pub(crate) async fn check(platform: &Platform, kept: &Kept) {
    let client = PublicClient::first_user(platform).await.unwrap();
    let stored = client
        .get(&format!("/api/conversations/{}", kept.conversation))
        .await
        .unwrap();
    assert_eq!(
        stored["messages"].as_array().unwrap().len(),
        2,
        "the conversation"
    );
    assert_eq!(
        document_count(&client).await,
        kept.documents,
        "the documents"
    );
    assert_eq!(
        client.get("/api/me").await.unwrap()["subject"],
        kept.subject,
        "the user"
    );
    let answer = client
        .ask("lotoai", "What is the name of the VPN gateway?")
        .await
        .unwrap();
    assert!(
        answer.text.contains("vpn-madrid-7"),
        "the vectors: {answer:?}"
    );
}

async fn document_count(client: &PublicClient) -> usize {
    client.get("/api/documents?limit=200").await.unwrap()["items"]
        .as_array()
        .unwrap()
        .len()
}

#[test]
fn data_survives_a_restart_of_the_cluster() {
    let Ok(instance) = std::env::var("LOTOAI_E2E_INSTANCE") else {
        println!(
            "SKIPPED data_survives_a_restart_of_the_cluster: this cluster is not ours to stop"
        );
        return;
    };
    run(|| async move {
        let (platform, client) = ready_with_corpus().await;
        let kept = remember(&client).await;
        tokio::task::spawn_blocking(move || crate::support::restart_cluster(&instance))
            .await
            .unwrap();
        let platform = Platform::connect(&platform.namespace, &platform.name)
            .await
            .unwrap();
        wait_for("the API server", Duration::from_secs(120), async || {
            platform
                .resources()
                .get(NAME)
                .await
                .map(drop)
                .map_err(|error| error.to_string())
        })
        .await;
        // Ready may still be what it was before the stop; the question below is what counts.
        wait_for(
            "an answer after the restart",
            Duration::from_secs(300),
            async || {
                let client = PublicClient::first_user(&platform)
                    .await
                    .map_err(|e| e.to_string())?;
                client
                    .ask("lotoai", "Hello?")
                    .await
                    .map(drop)
                    .map_err(|error| error.to_string())
            },
        )
        .await;
        wait_ready(&platform, Duration::from_secs(240)).await;
        check(&platform, &kept).await;
    });
}

#[test]
fn a_deleted_resource_leaves_its_data_and_serves_it_again() {
    run(|| async {
        let (platform, client) = ready_with_corpus().await;
        let kept = remember(&client).await;
        let (volumes_before, secrets) = (volumes(&platform).await, kept_secrets(&platform).await);
        assert!(volumes_before.len() >= 5, "{volumes_before:?}");
        let first_user = format!("Secret/{NAME}-first-user");
        assert!(secrets.contains_key(&first_user), "{:?}", secrets.keys());
        let beside = Bystanders::beside(&platform).await;
        let resources = platform.resources();
        let mut object = resources.get(NAME).await.unwrap();
        resources
            .delete(NAME, &DeleteParams::default())
            .await
            .unwrap();
        wait_for(
            "everything but data to go",
            Duration::from_secs(180),
            async || {
                let left = pods(&platform).await.len();
                let resource = resources
                    .get_opt(NAME)
                    .await
                    .map_err(|error| error.to_string())?;
                let mut owned = objects(&platform, &transient_kinds()).await?;
                owned.retain(|(kind, name, _)| !beside.have(&format!("{kind}/{name}")));
                if left == 0 && resource.is_none() && owned.is_empty() {
                    Ok(())
                } else {
                    let resource = resource.is_some();
                    Err(format!("{left} pods, resource: {resource}, {owned:?}"))
                }
            },
        )
        .await;
        assert_eq!(volumes(&platform).await, volumes_before);
        assert_same(&secrets, &kept_secrets(&platform).await);
        object.metadata = ObjectMeta {
            name: object.metadata.name,
            namespace: object.metadata.namespace,
            ..Default::default()
        };
        object.data.as_object_mut().unwrap().remove("status");
        let begun = Instant::now();
        resources
            .create(&PostParams::default(), &object)
            .await
            .unwrap();
        wait_ready(&platform, Duration::from_secs(300)).await;
        println!(
            "applied again: Ready after {:.0} s",
            begun.elapsed().as_secs_f64()
        );
        check(&platform, &kept).await;
        assert_eq!(volumes(&platform).await, volumes_before);
        assert_same(&secrets, &kept_secrets(&platform).await);
        beside.assert_untouched().await;
    });
}
