//! Passes of several controllers, one for each namespace that is watched.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use futures::future::BoxFuture;
use http::{Request, Response};
use kube::Client;
use kube::client::Body;
use kube::core::DeserializeGuard;
use lotoai_api::LotoAI;
use lotoai_operator::context::{CONCURRENCY, Context};
use lotoai_operator::probe::{Ask, Error as ProbeError, Probes, Target};
use lotoai_operator::reconcile::reconcile;
use serde_json::json;
use tokio::task::JoinHandle;
use tokio::time::timeout;
use tower_test::mock;

use crate::demo::env;
use crate::server::{refusal, response};

const NAMESPACES: usize = 11;
/// The clock stands still while anybody has something to do, so that this is over when all wait.
const IDLE: Duration = Duration::from_secs(1);

pub(crate) struct Unasked;

impl Ask for Unasked {
    fn ask<'a>(&'a self, _: &'a Target) -> BoxFuture<'a, Result<(), ProbeError>> {
        Box::pin(async { Ok(()) })
    }
}

pub(crate) fn platform_in(namespace: &str) -> DeserializeGuard<LotoAI> {
    let loto = serde_json::from_value(json!({
        "apiVersion": "lotoai.dev/v1alpha1", "kind": "LotoAI",
        "metadata": {
            "name": "demo", "namespace": namespace, "uid": format!("uid-in-{namespace}"),
            "generation": 1,
        },
        "spec": { "url": "https://lotoai.localhost" },
    }));
    DeserializeGuard(Ok(loto.unwrap()))
}

fn namespace_of(path: &str) -> String {
    let (_, rest) = path.split_once("/namespaces/").unwrap();
    rest.split('/').next().unwrap().to_owned()
}

#[tokio::test(start_paused = true)]
async fn all_namespaces_together_have_so_many_passes_under_way() {
    let (service, mut handle) = mock::pair::<Request<Body>, Response<Body>>();
    let client = Client::new(service, "default");
    let context = Arc::new(Context::new(client, env(), Probes::new(Unasked), None));
    let passes: Vec<_> = (0..NAMESPACES)
        .map(|number| {
            let platform = Arc::new(platform_in(&format!("team-{number}")));
            tokio::spawn(reconcile(platform, Arc::clone(&context)))
        })
        .collect();
    let (mut most, mut all) = (0, BTreeSet::new());
    loop {
        // No answer comes before everybody who may has asked.
        let mut asked = Vec::new();
        while let Ok(Some(next)) = timeout(IDLE, handle.next_request()).await {
            asked.push(next);
        }
        if asked.is_empty() {
            break;
        }
        let under_way: BTreeSet<String> = asked
            .iter()
            .map(|(request, _)| namespace_of(request.uri().path()))
            .collect();
        most = most.max(under_way.len());
        all.extend(under_way);
        for (_, reply) in asked {
            let (status, body) = refusal(403, "Forbidden");
            reply.send_response(response(status, &body));
        }
    }
    assert!(passes.iter().all(JoinHandle::is_finished));
    assert_eq!(most, usize::from(CONCURRENCY));
    assert_eq!(all.len(), NAMESPACES);
}
