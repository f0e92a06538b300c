//! A platform without a proxy of its own, behind one that the cluster has already: a Traefik in a
//! namespace of its own is its Ingress controller first, and then serves a Gateway. The names of its
//! Service and of the platform's host are one, so that the operator's question finds it.

use std::net::SocketAddr;
use std::panic::resume_unwind;
use std::path::Path;
use std::time::Duration;

use k8s_openapi::api::core::v1::{ConfigMap, Pod, Secret, Service};
use k8s_openapi::api::networking::v1::Ingress;
use kube::api::{Api, ListParams, Patch, PatchParams, PostParams};
use lotoai_api::reasons;
use lotoai_e2e::{Platform, PublicClient};
use lotoai_local::{Instance, ToolPaths};
use lotoai_plan::tls;
use lotoai_testing::{Authority, Issued, module};
use reqwest::StatusCode;
use serde_json::{Map, Value, json};
use tempfile::TempDir;

use crate::beside::{self, STORES};
use crate::cluster::{ADMIN_PORT, operator_pods};
use crate::dump::caught;
use crate::images;
use crate::inside::Inside;
use crate::issuer::{self, Way};
use crate::support::{
    NAMESPACE, assert_streams, component, condition, pods_of, ready, run, run_program, wait_for,
};
use crate::visitor::Visitor;

/// The platform.
const FRONTED: &str = "fronted";
/// Name of the controller's namespace and of its classes, as `edge/controller.yaml` has it.
const CONTROLLER: &str = "ingress-controller";
/// Where it is reached: its Service.
const HOST: &str = "door.ingress-controller.svc";
/// Who is behind the edge, and at which port.
const BEHIND: [(&str, u16); 2] = [("gateway", 8080), ("keycloak", 8443)];
/// Another port, of one that is not.
const NOT_BEHIND: (&str, u16) = ("orchestrator", 50051);
/// Says on a Service how its servers' certificates are checked.
const TRANSPORT: &str = "traefik.ingress.kubernetes.io/service.serverstransport";
/// Secrets with certificates in the platform's namespace, and that of the Gateway.
const FOR_INGRESS: &str = "door-of-ingress";
const FOR_GATEWAY: &str = "door-of-gateway";
const OF_GATEWAY: &str = "certificate";
/// Nine components start on a busy machine, one of them Keycloak.
const READY_LIMIT: Duration = Duration::from_secs(360);
/// How long a change may take until it is in effect.
const SOON: Duration = Duration::from_secs(60);

/// A certificate for the host, and who signed it: nobody whom anybody else trusts.
struct Certificate {
    authority: Authority,
    issued: Issued,
}

impl Certificate {
    fn new() -> Self {
        let authority = Authority::new().unwrap();
        let issued = authority.issue(&[HOST]).unwrap();
        Self { authority, issued }
    }

    /// With its key, and in a chain with who signed it.
    async fn keep_whole(&self, first: &Platform, namespace: &str, name: &str) {
        let chain = [self.issued.pem.as_str(), &self.authority.pem()].concat();
        let data = json!({ "tls.crt": chain, "tls.key": self.issued.key_pem });
        keep(first, namespace, name, "kubernetes.io/tls", data).await;
    }

    /// Without its key, for whoever only has to know the certificate.
    async fn keep_public(&self, first: &Platform, namespace: &str, name: &str) {
        let data = json!({ "tls.crt": self.issued.pem, "ca.crt": self.authority.pem() });
        keep(first, namespace, name, "Opaque", data).await;
    }
}

async fn keep(first: &Platform, namespace: &str, name: &str, kind: &str, data: Value) {
    let secret = json!({ "metadata": { "name": name }, "type": kind, "stringData": data });
    let secret: Secret = serde_json::from_value(secret).unwrap();
    let secrets: Api<Secret> = Api::namespaced(first.kube.clone(), namespace);
    let parameters = PostParams::default();
    secrets.create(&parameters, &secret).await.unwrap();
}

/// The two ports of the controller, as this machine reaches them.
struct Door {
    secure: SocketAddr,
    plain: SocketAddr,
}

#[test]
fn a_platform_is_reached_through_an_ingress_and_then_through_a_gateway() {
    let test = "a_platform_is_reached_through_an_ingress_and_then_through_a_gateway";
    let Ok(instance) = std::env::var("LOTOAI_E2E_INSTANCE") else {
        println!(
            "SKIPPED {test}: one name must lead pods and this machine to the controller, which takes \
             the package-built cluster"
        );
        return;
    };
    let Some(definitions) = module("sigs.k8s.io/gateway-api") else {
        return;
    };
    run(|| async move {
        let (first, _) = ready().await;
        let instance = Instance::new(&instance).unwrap();
        // They stay, with the class of Gateways: an operator that watches a kind does not expect it to go.
        let standard = definitions.join("config/crd/standard");
        apply(&standard).await;
        remove(&first).await;
        let work = Box::pin(is_behind_both(&first, &instance));
        let outcome = caught(&first.kube, &[NAMESPACE, CONTROLLER], work).await;
        if outcome.is_err() {
            let logs = ["logs", "deployment/traefik", "--tail=60"];
            let told = kubectl(&[&logs[..], &["--namespace", CONTROLLER]].concat()).await;
            println!("{}", told.unwrap_or_else(|told| told));
        }
        remove(&first).await;
        if let Err(failure) = outcome {
            resume_unwind(failure);
        }
    });
}

async fn is_behind_both(first: &Platform, instance: &Instance) {
    let (for_ingress, for_gateway) = (Certificate::new(), Certificate::new());
    for_ingress.keep_whole(first, NAMESPACE, FOR_INGRESS).await;
    for_gateway.keep_public(first, NAMESPACE, FOR_GATEWAY).await;
    beside::make(first, FRONTED, &STORES, &spec()).await;
    let authority = authority_of_servers(first).await;
    let images = images::installed(first).await;
    apply_text(&controller(&images["traefik"], &authority)).await;
    for_gateway.keep_whole(first, CONTROLLER, OF_GATEWAY).await;
    say_how_servers_are_checked(first).await;

    let object = beside::wait_ready(first, FRONTED, READY_LIMIT).await;
    assert_eq!(object["status"]["componentsReady"], "9/9");
    let fronted = Platform::connect(NAMESPACE, FRONTED).await.unwrap();
    let door = door(first, instance).await;
    Box::pin(is_served(&fronted, &door, &for_ingress, &for_gateway)).await;
    Box::pin(lets_in_the_controller_alone(&fronted)).await;

    goes_to_a_gateway(first).await;
    told_that_no_gateway_takes_it(first).await;
    apply_text(include_str!("edge/gateway.yaml")).await;
    beside::wait_ready(first, FRONTED, SOON).await;
    let ingresses: Api<Ingress> = Api::namespaced(first.kube.clone(), NAMESPACE);
    let left = ingresses.get_opt("fronted-edge").await.unwrap();
    assert!(left.is_none(), "{left:?}");
    // Both listeners are served: that the route is not at the second one is no accident.
    let programmed = ["wait", "--for=condition=Programmed", "gateway/public"];
    let there = ["--namespace", CONTROLLER, "--timeout=60s"];
    kubectl(&[&programmed[..], &there].concat()).await.unwrap();
    Box::pin(is_served(&fronted, &door, &for_gateway, &for_ingress)).await;
    Box::pin(lets_in_the_controller_alone(&fronted)).await;
}

/// Behind the Ingress controller.
fn spec() -> Value {
    let mut spec = beside::on_the_first_ones_stores(FRONTED);
    spec["url"] = json!(format!("https://{HOST}"));
    spec["edge"] = json!({
        "tls": { "secretName": FOR_INGRESS },
        "ingress": {
            "className": CONTROLLER,
            "annotations": {
                "traefik.ingress.kubernetes.io/router.entrypoints": "secure",
                "traefik.ingress.kubernetes.io/router.tls": "true",
            },
        },
        "fromNamespaces": { "kubernetes.io/metadata.name": CONTROLLER },
    });
    spec
}

/// Another certificate goes with it, so that no answer of before stands for one through the Gateway.
async fn goes_to_a_gateway(first: &Platform) {
    let gateway = json!({ "name": "public", "namespace": CONTROLLER, "sectionName": "https" });
    let edge = json!({
        "tls": { "secretName": FOR_GATEWAY },
        "ingress": null,
        "gatewayAPI": { "parentRefs": [gateway] },
    });
    let patch = Patch::Merge(json!({ "spec": { "edge": edge } }));
    let (resources, parameters) = (first.resources(), PatchParams::default());
    let patched = resources.patch(FRONTED, &parameters, &patch).await;
    patched.unwrap();
}

/// Nobody has made the Gateway yet.
async fn told_that_no_gateway_takes_it(first: &Platform) {
    let resources = first.resources();
    wait_for("the Gateway to be missed", SOON, async || {
        let object = resources.get(FRONTED).await;
        let object = object.map_err(|error| error.to_string())?;
        let object = serde_json::to_value(&object).map_err(|error| error.to_string())?;
        let told = object["status"]["conditions"].to_string();
        let is_missed = told.contains(reasons::ROUTE_NOT_ACCEPTED)
            && told.contains("no Gateway has looked at HTTPRoute fronted-edge yet");
        if condition(&object, "Ready") == "False" && is_missed {
            Ok(())
        } else {
            Err(told)
        }
    })
    .await;
}

/// Who signs the certificates of the platform's servers, PEM, as the controller is told it.
async fn authority_of_servers(first: &Platform) -> String {
    let maps: Api<ConfigMap> = Api::namespaced(first.kube.clone(), NAMESPACE);
    let name = format!("{FRONTED}-ca");
    wait_for("the platform's authority", SOON, async || {
        let map = maps.get(&name).await.map_err(|error| error.to_string())?;
        let authority = map.data.and_then(|mut data| data.remove(tls::AUTHORITY));
        authority.ok_or_else(|| format!("{name} has no {}", tls::AUTHORITY))
    })
    .await
}

/// The controller, which checks with each server behind the edge its name and this authority.
fn controller(image: &str, authority: &str) -> String {
    let each = BEHIND.map(|(component, _)| {
        let server = format!("{FRONTED}-{component}.{NAMESPACE}.svc");
        let transport = json!({ "serverName": server, "rootCAs": [authority] });
        (component.to_owned(), transport)
    });
    let each: Map<String, Value> = each.into_iter().collect();
    let transports = json!({ "http": { "serversTransports": each } });
    // JSON is YAML, also the text with it.
    let transports = Value::String(transports.to_string()).to_string();
    include_str!("edge/controller.yaml")
        .replace("{{ image }}", image)
        .replace("{{ transports }}", &transports)
}

/// As docs/edge.md says: an Ingress cannot, so the Services do.
async fn say_how_servers_are_checked(first: &Platform) {
    let services: Api<Service> = Api::namespaced(first.kube.clone(), NAMESPACE);
    for (component, _) in BEHIND {
        let name = format!("{FRONTED}-{component}");
        let annotation = json!({ TRANSPORT: format!("{component}@file") });
        let patch = Patch::Merge(json!({ "metadata": { "annotations": annotation } }));
        wait_for(&format!("Service {name}"), READY_LIMIT, async || {
            let patched = services.patch(&name, &PatchParams::default(), &patch).await;
            patched.map(drop).map_err(|error| error.to_string())
        })
        .await;
    }
}

async fn door(first: &Platform, instance: &Instance) -> Door {
    let services: Api<Service> = Api::namespaced(first.kube.clone(), CONTROLLER);
    let service = services.get("door").await.unwrap();
    let node = instance.network().node;
    let at = |port: &str| SocketAddr::from((node, issuer::node_port(&service, port)));
    Door {
        secure: at("https"),
        plain: at("http"),
    }
}

fn client(address: SocketAddr, trusted: &Certificate) -> reqwest::Client {
    issuer::client(&[&Way {
        host: HOST.to_owned(),
        address,
        authority: trusted.authority.pem(),
    }])
}

/// People sign in, ask and get their answer as it is written, over HTTPS with the one certificate and
/// not with the other, and over nothing else.
async fn is_served(fronted: &Platform, door: &Door, shown: &Certificate, other: &Certificate) {
    let http = client(door.secure, shown);
    let url = format!("https://{HOST}");
    let page = http.get(&url).send().await.unwrap();
    assert_eq!(page.status(), StatusCode::OK);
    let realm = |name: &str| format!("{url}/realms/{name}/.well-known/openid-configuration");
    let issuer = http.get(realm("lotoai")).send().await.unwrap();
    let issuer = issuer.text().await.unwrap();
    assert!(issuer.contains(&format!("{url}/realms/lotoai")), "{issuer}");
    // What Keycloak would say of the administrators' realm, and of one that begins like ours.
    for (name, words) in [
        ("master", "/realms/master/protocol"),
        ("lotoaix", "Realm does not exist"),
    ] {
        let told = http.get(realm(name)).send().await.unwrap();
        let told = told.text().await.unwrap();
        assert!(!told.contains(words), "{name}: {told}");
    }

    let mut visitor = Visitor::new(&http, &url);
    visitor.sign_in(&fronted.first_user().await.unwrap()).await;
    assert_eq!(visitor.me().await.0, 200);
    let asks = PublicClient::first_user_by(fronted, http).await.unwrap();
    let answer = asks.ask("lotoai", "Who are you?").await.unwrap();
    assert!(!answer.text.trim().is_empty(), "{answer:?}");
    assert_streams(&asks).await;

    let distrusts = client(door.secure, other).get(&url).send().await;
    let refused = distrusts.unwrap_err();
    assert!(refused.is_connect(), "{refused:?}");
    let plain = client(door.plain, shown).get(format!("http://{HOST}/"));
    let plain = plain.send().await.unwrap();
    assert_eq!(plain.status(), StatusCode::NOT_FOUND, "without TLS");
}

/// A pod of the controller connects to what is behind the edge and to nothing else, and one of another
/// namespace to nothing at all.
async fn lets_in_the_controller_alone(fronted: &Platform) {
    let pods = pods_of(fronted, FRONTED).await;
    let at = |(name, port): (&str, u16)| {
        let mut named = pods.iter().filter(|pod| component(pod) == name);
        let pod = named.next().unwrap_or_else(|| panic!("{name} has no pod"));
        SocketAddr::new(Inside::of_pod(pod).address, port)
    };
    let behind: Vec<SocketAddr> = BEHIND.into_iter().map(at).collect();
    let not_behind = vec![at(("gateway", ADMIN_PORT)), at(NOT_BEHIND)];
    let theirs: Api<Pod> = Api::namespaced(fronted.kube.clone(), CONTROLLER);
    let theirs = theirs.list(&ListParams::default()).await.unwrap().items;
    let controller = Inside::of_pod(&theirs[0]);
    assert_eq!(controller.connects(behind.clone()).await, [true, true]);
    assert_eq!(controller.connects(not_behind).await, [false, false]);
    let operator = operator_pods(fronted).await.unwrap();
    let operator = Inside::of_pod(&operator[0]);
    assert_eq!(operator.connects(behind).await, [false, false]);
}

async fn kubectl(arguments: &[&str]) -> Result<String, String> {
    let program = ToolPaths::built().unwrap().kubectl;
    run_program(&program, arguments).await
}

/// Applies the objects in a file or a directory as their makers say: server-side, because some are too
/// large for another way.
async fn apply(path: &Path) {
    let path = path.to_string_lossy();
    let applied = kubectl(&["apply", "--server-side", "--filename", &path]).await;
    applied.unwrap();
}

async fn apply_text(objects: &str) {
    let directory = TempDir::new().unwrap();
    let file = directory.path().join("objects.yaml");
    std::fs::write(&file, objects).unwrap();
    apply(&file).await;
}

/// Removes the platform and the controller, also those of a run that was cut off.
async fn remove(first: &Platform) {
    beside::remove(first, FRONTED).await;
    let gone = ["--ignore-not-found", "--timeout=120s"];
    for objects in [
        ["secret", FOR_INGRESS],
        ["secret", FOR_GATEWAY],
        ["namespace", CONTROLLER],
        ["clusterrolebinding", CONTROLLER],
        ["clusterrole", CONTROLLER],
        ["ingressclass", CONTROLLER],
    ] {
        // Of no account where a kind is in none.
        let delete = ["delete", "--namespace", NAMESPACE];
        let delete = [&delete[..], &objects, &gone].concat();
        kubectl(&delete).await.unwrap();
    }
}
