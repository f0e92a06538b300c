//! A second platform beside the first, on the first one's stores, for people of an issuer that is
//! none of its own: several resources in a namespace, external PostgreSQL, RabbitMQ, ClickHouse, S3
//! and OpenID Connect that are real, and a chart of somebody's that holds a platform. It is deleted
//! with all that is its own.

use std::net::SocketAddr;
use std::panic::resume_unwind;
use std::time::Duration;

use k8s_openapi::api::core::v1::Service;
use kube::api::{Api, Patch, PatchParams};
use lotoai_api::Component;
use lotoai_e2e::{Platform, PublicClient};
use lotoai_local::Instance;
use reqwest::StatusCode;
use serde_json::{Value, json};

use crate::beside::{self, STORES};
use crate::deletion::{self, Bystanders};
use crate::dump::caught;
use crate::helm::{self, Chart};
use crate::issuer::{self, CLIENT, GROUP, Issuer, OTHER_CLIENT, PERSON, Way};
use crate::network;
use crate::state::{assert_kept, state};
use crate::support::{NAME, NAMESPACE, condition, get_with, ready, run, wait_for};
use crate::visitor::Visitor;

const SECOND: &str = "second";
const HOST: &str = "second.localhost";
/// It starts nine components on a busy machine.
const READY_LIMIT: Duration = Duration::from_secs(360);
/// The operator has said what it misses long before.
const NEVER_LIMIT: Duration = Duration::from_secs(15);
/// How long a change that restarts nothing may take.
const SOON: Duration = Duration::from_secs(60);
/// A Secret that nobody makes.
const MISSING: &str = "second-no-such-key";

#[test]
fn a_second_platform_runs_on_stores_and_an_issuer_that_are_there_already() {
    let Ok(instance) = std::env::var("LOTOAI_E2E_INSTANCE") else {
        println!(
            "SKIPPED a_second_platform_runs_on_stores_and_an_issuer_that_are_there_already: one name \
             must lead pods and this machine to the issuer, which takes the package-built cluster"
        );
        return;
    };
    run(|| async move {
        let (platform, client) = ready().await;
        let instance = Instance::new(&instance).unwrap();
        remove(&platform).await;
        let work = Box::pin(runs_beside(&platform, &client, &instance));
        let outcome = caught(&platform.kube, &[NAMESPACE], work).await;
        remove(&platform).await;
        if let Err(failure) = outcome {
            resume_unwind(failure);
        }
    });
}

async fn runs_beside(platform: &Platform, client: &PublicClient, instance: &Instance) {
    let redirect = format!("https://{HOST}/auth/callback");
    let issuer = Issuer::open(platform, instance, &redirect).await;
    waiting_for_what_is_not_there_fails(platform, &issuer).await;
    helm::uninstall(SECOND).await;
    beside::remove(platform, SECOND).await;

    let first = state(platform).await.unwrap();
    beside::invite(platform, SECOND, &STORES).await;
    let chart = Chart::new(SECOND, &beside::object(SECOND, &spec(&issuer)));
    chart.install(READY_LIMIT).await.unwrap();
    // Helm says so when the platform is Ready, and not before.
    let object = resource(platform).await;
    assert_eq!(condition(&object, "Ready"), "True", "{object}");
    let components = object["status"]["components"].as_array().unwrap();
    let mut external: Vec<&str> = components
        .iter()
        .filter(|component| component["mode"] == "External")
        .filter_map(|component| component["name"].as_str())
        .collect();
    external.sort_unstable();
    let mut expected = STORES.to_vec();
    expected.push("keycloak");
    expected.sort_unstable();
    assert_eq!(external, expected);
    assert_eq!(object["status"]["componentsReady"], "9/9");

    let second = Platform::connect(NAMESPACE, SECOND).await.unwrap();
    Box::pin(lets_in_whom_its_issuer_knows(
        client, &second, &issuer, instance,
    ))
    .await;
    // Its issuer's door lets everybody in to Keycloak.
    let opened = [
        Component::Clickhouse,
        Component::Minio,
        Component::Postgres,
        Component::Rabbitmq,
        Component::Keycloak,
    ];
    Box::pin(network::assert_apart(platform, SECOND, &opened)).await;
    // The first one went on as if nothing had happened.
    let now = platform.resources().get(NAME).await.unwrap();
    let now = serde_json::to_value(&now).unwrap();
    assert_eq!(condition(&now, "Ready"), "True");
    client.ask("lotoai", "Who are you?").await.unwrap();
    Box::pin(goes_with_all_that_is_its_own(&second, instance)).await;
    let now = state(platform).await.unwrap();
    assert_kept("the end of another platform", &first, &now, |_| false);
    client.ask("lotoai", "Who are you?").await.unwrap();
}

/// On the first one's stores, with an issuer that is there, and open to this machine.
fn spec(issuer: &Issuer) -> Value {
    let mut spec = beside::on_the_first_ones_stores(SECOND);
    spec["url"] = json!(format!("https://{HOST}"));
    spec["identity"] = issuer.spec();
    spec["edge"] = json!({ "service": { "type": "NodePort" } });
    // Until it is told otherwise, below.
    spec["deletionPolicy"] = json!("Retain");
    spec
}

async fn remove(platform: &Platform) {
    helm::uninstall(SECOND).await;
    beside::remove(platform, SECOND).await;
    issuer::close(platform).await;
}

async fn resource(platform: &Platform) -> Value {
    let object = platform.resources().get(SECOND).await.unwrap();
    serde_json::to_value(&object).unwrap()
}

/// The same chart of a platform that lacks a Secret: Helm waits until its time is over.
async fn waiting_for_what_is_not_there_fails(platform: &Platform, issuer: &Issuer) {
    let mut spec = spec(issuer);
    let provider =
        json!({ "name": "none", "kind": "OpenAI", "apiKeySecretRef": { "name": MISSING } });
    spec["agents"] = json!({ "providers": [provider] });
    let chart = Chart::new(SECOND, &beside::object(SECOND, &spec));
    chart.install(NEVER_LIMIT).await.unwrap_err();
    let object = resource(platform).await;
    assert_ne!(condition(&object, "Ready"), "True", "{object}");
    let status = object["status"].to_string();
    assert!(status.contains(MISSING), "{status}");
}

/// The way from this machine to the proxy of the second platform.
async fn way_to(second: &Platform, instance: &Instance) -> Way {
    let services: Api<Service> = Api::namespaced(second.kube.clone(), NAMESPACE);
    let service = services.get(&format!("{SECOND}-traefik")).await.unwrap();
    let port = issuer::node_port(&service, "https");
    Way {
        host: HOST.to_owned(),
        address: SocketAddr::from((instance.network().node, port)),
        authority: second.certificate_authority().await.unwrap(),
    }
}

/// People of the issuer sign in with a browser and with a token. Nobody else does: not with a token of
/// the same server's other realm, which is the first platform's, and not with one that the issuer made
/// for another application.
async fn lets_in_whom_its_issuer_knows(
    first: &PublicClient,
    second: &Platform,
    issuer: &Issuer,
    instance: &Instance,
) {
    let way = way_to(second, instance).await;
    let http = issuer::client(&[&way, &issuer.way]);
    let url = format!("https://{HOST}");
    let mut visitor = Visitor::new(&http, &url);
    assert_eq!(visitor.me().await.0, 401, "before the sign-in");
    let asked_at = visitor.sign_in(&issuer.person()).await;
    assert!(asked_at.as_str().starts_with(&issuer.url()), "{asked_at}");
    let (status, person) = visitor.me().await;
    assert_eq!(status, 200, "{person}");
    assert_eq!(person["name"], PERSON, "{person}");
    // The group that makes administrators here is known by that name as well.
    assert_eq!(person["groups"], json!([GROUP, "admins"]));
    assert_eq!(person["admin"], true, "{person}");

    let good = issuer.token_for(CLIENT).await;
    let other_application = issuer.token_for(OTHER_CLIENT).await;
    let (first_ones, _) = first.token_of("lotoai-cli").await.unwrap();
    let cases = [
        ("of the first platform's issuer", &first_ones, 401),
        ("for another application", &other_application, 401),
        ("of its issuer", &good, 200),
    ];
    for (name, token, expected) in cases {
        for path in ["/api/me", "/v1/models"] {
            let request = http.get(format!("{url}{path}")).bearer_auth(token);
            let status = request.send().await.unwrap().status().as_u16();
            assert_eq!(status, expected, "a token {name} on {path}");
        }
    }
    let question = json!({
        "model": "probe", "messages": [{ "role": "user", "content": "What answers?" }],
    });
    let request = http.post(format!("{url}/v1/chat/completions"));
    let request = request.bearer_auth(&good).json(&question);
    assert_eq!(request.send().await.unwrap().status(), StatusCode::OK);

    // The other way round, with the positive control.
    let (status, body) = get_with(first, &good, "/api/me").await.unwrap();
    assert_eq!(status, 401, "{body}");
    let (status, body) = get_with(first, &first_ones, "/api/me").await.unwrap();
    assert_eq!(status, 200, "{body}");
}

/// With `Retain` nothing says that data go with the platform. Told to go, they do, and nothing else.
async fn goes_with_all_that_is_its_own(second: &Platform, instance: &Instance) {
    let volumes = deletion::volumes(second).await;
    deletion::assert_filled(instance, &volumes);
    let kept = deletion::kept_secrets(second).await;
    assert!(kept.len() > 10, "{:?}", kept.keys());
    assert_eq!(deletion::claims_are_owned(second).await, Ok(false));
    let beside = Bystanders::beside(second).await;

    let patch = Patch::Merge(json!({ "spec": { "deletionPolicy": "Delete" } }));
    let resources = second.resources();
    let parameters = PatchParams::default();
    let patched = resources.patch(SECOND, &parameters, &patch).await;
    patched.unwrap();
    // As docs/adr/0017-no-finalizer.md says: a policy counts once a pass has written it down.
    wait_for("the policy to be written down", SOON, async || {
        let object = resources.get(SECOND).await;
        let object = object.map_err(|error| error.to_string())?;
        let object = serde_json::to_value(&object).map_err(|error| error.to_string())?;
        let ready = condition(&object, "Ready");
        let owned = deletion::claims_are_owned(second).await?;
        let secrets = deletion::kept_secrets(second).await;
        if ready == "True" && owned && secrets.is_empty() {
            Ok(())
        } else {
            let secrets: Vec<_> = secrets.into_keys().collect();
            Err(format!("Ready={ready}, claims owned: {owned}, {secrets:?}"))
        }
    })
    .await;
    helm::uninstall(SECOND).await;
    deletion::wait_gone(second, instance, &volumes, &beside).await;
    beside.assert_untouched().await;
}
