//! The status that is written.

use lotoai_api::{LotoAI, LotoAIStatus};
use lotoai_operator::report;
use serde_json::json;

use super::UID;
use crate::server::{refusal, serve};

fn loto(status: Option<LotoAIStatus>) -> LotoAI {
    let mut loto: LotoAI = serde_json::from_value(json!({
        "apiVersion": "lotoai.dev/v1alpha1", "kind": "LotoAI",
        "metadata": { "name": "demo", "namespace": "default", "uid": UID, "generation": 3 },
        "spec": { "url": "https://lotoai.localhost" },
    }))
    .unwrap();
    loto.status = status;
    loto
}

#[tokio::test]
async fn a_status_is_written_once() {
    let (client, log) = serve(|call| (200, call.body.clone()));
    let status = LotoAIStatus {
        url: Some("https://lotoai.localhost".to_owned()),
        ..Default::default()
    };
    assert!(
        !report::write(&client, &loto(Some(status.clone())), &status)
            .await
            .unwrap()
    );
    assert!(log.calls().is_empty());

    let (client, log) = serve(|call| {
        let mut body = serde_json::to_value(loto(None)).unwrap();
        body["status"] = call.body["status"].clone();
        (200, body)
    });
    assert!(report::write(&client, &loto(None), &status).await.unwrap());
    let calls = log.calls();
    assert_eq!(calls.len(), 1);
    assert!(
        calls[0].path.ends_with("/lotoais/demo/status"),
        "{}",
        calls[0].path
    );
    assert!(
        calls[0]
            .query
            .contains("fieldManager=lotoai-operator-status"),
        "{}",
        calls[0].query
    );
    assert_eq!(calls[0].body["metadata"]["uid"], UID);
}

#[tokio::test]
async fn a_resource_that_is_gone_needs_no_status() {
    let (client, _) = serve(|_| refusal(404, "NotFound"));
    assert!(
        !report::write(
            &client,
            &loto(None),
            &LotoAIStatus {
                url: Some(String::new()),
                ..Default::default()
            }
        )
        .await
        .unwrap()
    );
}
