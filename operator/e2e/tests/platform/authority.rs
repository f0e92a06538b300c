//! The platform's authority hands over while the platform is used: the next one is known before it signs,
//! nobody fails when it does, and the one before is forgotten.
//!
//! Every pod that checks is rolled out twice, so only `make soak` runs it.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use k8s_openapi::api::core::v1::{ConfigMap, Pod, Secret};
use k8s_openapi::jiff::{SignedDuration, Timestamp};
use kube::api::Api;
use lotoai_e2e::{Platform, PublicClient};
use lotoai_plan::tls::{self, life};

use crate::certificates::{renew, say, servers};
use crate::cluster::is_ready;
use crate::dump::told;
use crate::support::{
    NAME, NAMESPACE, answered_during, longest_gap_during, pods, ready, run, wait_for, wait_ready,
};

/// How long a rollout of all pods may take that check certificates.
const LIMIT: Duration = Duration::from_secs(900);
/// How long the platform may give no answer while nearly all of its single pods restart.
const MOMENT: Duration = Duration::from_secs(180);

#[test]
fn the_authority_hands_over_while_the_platform_is_used() {
    let test = "the_authority_hands_over_while_the_platform_is_used";
    if std::env::var_os("LOTOAI_SOAK").is_none() {
        println!("SKIPPED {test}: `make soak` runs it");
        return;
    }
    run(|| async {
        let (platform, client) = ready().await;
        let work = Box::pin(hands_over(&platform, &client));
        told(&platform.kube, &[NAMESPACE], work).await;
    });
}

async fn hands_over(platform: &Platform, client: &PublicClient) {
    let authority = format!("{NAME}-ca");
    let first = texts(platform, &authority).await;
    // In the last year of its life.
    let checking = checking(platform).await;
    say(platform, &authority, life::NOT_AFTER, &from_now(300)).await;
    let longest = longest_gap_during(client, rolled_out(platform, &checking)).await;
    assert!(longest < MOMENT, "{longest:?} without an answer");
    let prepared = texts(platform, &authority).await;
    let next = prepared[tls::NEXT_CERTIFICATE].as_str();
    let both = [first[tls::CERTIFICATE].as_str(), next].concat();
    assert_eq!(prepared[tls::CERTIFICATE], first[tls::CERTIFICATE]);
    assert_eq!(bundle(platform).await, both);

    // A week later it signs. Everybody trusts it already, and nobody restarts.
    let servers = servers(platform).await;
    let checking = self::checking(platform).await;
    say(platform, &authority, life::NEXT_SINCE, &from_now(-8)).await;
    let signing = async {
        wait_for("the next one to sign", LIMIT, async || {
            let held = texts(platform, &authority).await;
            let signs = held[tls::CERTIFICATE] == next;
            signs.then_some(()).ok_or_else(|| "not yet".to_owned())
        })
        .await;
        if let Some(servers) = &servers {
            renew(platform, servers).await;
        }
    };
    let asked = answered_during(client, signing).await;
    println!("{asked} questions answered while the next authority began to sign");
    for server in servers.iter().flatten() {
        let certificate = texts(platform, &format!("{}-tls", server.name())).await;
        assert_eq!(certificate[tls::AUTHORITY], next, "{}", server.name());
    }
    assert_eq!(bundle(platform).await, both);
    assert_eq!(self::checking(platform).await, checking);

    // The life of the one before is over. The public certificate is made anew as well, so whoever asks
    // has to learn whom to trust.
    say(
        platform,
        &authority,
        life::PREVIOUS_NOT_AFTER,
        &from_now(-1),
    )
    .await;
    rolled_out(platform, &checking).await;
    assert_eq!(bundle(platform).await, next);
    let client = PublicClient::first_user(platform).await.unwrap();
    wait_for("an answer", MOMENT, async || {
        let answer = client.ask("probe", "What does LotoAI answer with?").await;
        answer.map(drop).map_err(|error| error.to_string())
    })
    .await;
}

/// A time so many days from now, as annotations have it.
fn from_now(days: i64) -> String {
    (Timestamp::now() + SignedDuration::from_hours(days * 24)).to_string()
}

/// The texts of a Secret.
async fn texts(platform: &Platform, name: &str) -> BTreeMap<String, String> {
    let secrets: Api<Secret> = Api::namespaced(platform.kube.clone(), NAMESPACE);
    let data = secrets.get(name).await.unwrap().data.unwrap_or_default();
    data.into_iter()
        .map(|(key, bytes)| (key, String::from_utf8(bytes.0).unwrap()))
        .collect()
}

/// Whom pods are told to trust.
async fn bundle(platform: &Platform) -> String {
    let maps: Api<ConfigMap> = Api::namespaced(platform.kube.clone(), NAMESPACE);
    let map = maps.get(&format!("{NAME}-ca")).await.unwrap();
    map.data.unwrap()[tls::AUTHORITY].clone()
}

/// Whether a pod is handed the authorities.
fn checks(pod: &Pod) -> bool {
    let spec = pod.spec.as_ref();
    let volumes = spec.and_then(|spec| spec.volumes.as_ref());
    let mut maps = volumes
        .into_iter()
        .flatten()
        .filter_map(|volume| volume.config_map.as_ref());
    maps.any(|map| map.name == format!("{NAME}-ca"))
}

/// The identities of the pods that check certificates.
async fn checking(platform: &Platform) -> BTreeSet<String> {
    let all = pods(platform).await.into_iter().filter(checks);
    all.filter_map(|pod| pod.metadata.uid).collect()
}

/// Waits until other pods, as many and all of them ready, are in the place of these.
async fn rolled_out(platform: &Platform, old: &BTreeSet<String>) {
    assert!(old.len() > 5, "{old:?}");
    wait_for("all pods that check to be others", LIMIT, async || {
        let now = pods(platform).await.into_iter().filter(checks);
        let now: Vec<Pod> = now.collect();
        let is_old = |pod: &&Pod| pod.metadata.uid.as_ref().is_some_and(|id| old.contains(id));
        let left = now.iter().filter(is_old).count();
        let ready = now.iter().filter(|pod| is_ready(pod)).count();
        if left == 0 && ready == now.len() && ready >= old.len() {
            Ok(())
        } else {
            Err(format!("{left} old ones, {ready} of {} ready", now.len()))
        }
    })
    .await;
    wait_ready(platform, LIMIT).await;
}
