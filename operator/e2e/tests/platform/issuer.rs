//! An issuer that a platform does not run itself: realm `staff` in the Keycloak of the first platform.
//!
//! It calls itself by the name of that Keycloak's Service. Pods find the name in the cluster's DNS. On
//! this machine an address of its own stands for it, from which a port leads to the cluster, because
//! an issuer must have one name and one port for all.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use k8s_openapi::ByteString;
use k8s_openapi::api::core::v1::{Secret, Service};
use k8s_openapi::api::networking::v1::NetworkPolicy;
use kube::api::{Api, DeleteParams, PostParams};
use lotoai_e2e::Platform;
use lotoai_e2e::platform::Login;
use lotoai_local::Instance;
use reqwest::Method;
use serde_json::{Value, json};

use crate::support::{NAME, NAMESPACE, wait_for};

/// The realm, and the Secret with what its client proves itself with.
const REALM: &str = "staff";
const SECRET: &str = "staff-sign-in";
/// What leads to the issuer from outside of the cluster: a Service and a policy.
const DOOR: &str = "staff-issuer";
const PORT: u16 = 8443;
/// The client of the platform, and one of something else.
pub(crate) const CLIENT: &str = "lotoai";
pub(crate) const OTHER_CLIENT: &str = "payroll";
/// Somebody who is known there and nowhere else, and a group.
pub(crate) const PERSON: &str = "ana";
pub(crate) const GROUP: &str = "ai-platform";
/// How long it may take until something leads there.
const SOON: Duration = Duration::from_secs(30);

/// A host, where it is on this machine, and who signed its certificate, PEM.
pub(crate) struct Way {
    pub(crate) host: String,
    pub(crate) address: SocketAddr,
    pub(crate) authority: String,
}

/// A client that knows these ways and follows no redirect.
pub(crate) fn client(ways: &[&Way]) -> reqwest::Client {
    let mut builder = reqwest::Client::builder()
        .connect_timeout(Duration::from_secs(5))
        .timeout(SOON)
        .redirect(reqwest::redirect::Policy::none())
        // A proxy of this machine would look for the names on itself.
        .no_proxy();
    for way in ways {
        let authority = reqwest::Certificate::from_pem_bundle(way.authority.as_bytes()).unwrap();
        builder = builder
            .tls_certs_merge(authority)
            .resolve(&way.host, way.address);
    }
    builder.build().unwrap()
}

/// The issuer, open.
pub(crate) struct Issuer {
    /// The way to it.
    pub(crate) way: Way,
    http: reqwest::Client,
    secret: String,
    password: String,
}

impl Issuer {
    /// Makes the realm, with a client that comes back to this address after a sign-in, and the Secret
    /// that a resource names.
    pub(crate) async fn open(first: &Platform, instance: &Instance, redirect: &str) -> Self {
        let way = Way {
            host: format!("{NAME}-keycloak.{NAMESPACE}.svc"),
            address: door(first, instance).await,
            authority: text_of(first, &format!("{NAME}-keycloak-tls"), "ca.crt").await,
        };
        let random = || format!("{:032x}", rand::random::<u128>());
        let issuer = Self {
            http: client(&[&way]),
            way,
            secret: random(),
            password: random(),
        };
        issuer.make(first, redirect).await;
        issuer.hand_over(first).await;
        issuer
    }

    fn server(&self) -> String {
        format!("https://{}:{PORT}", self.way.host)
    }

    /// As it names itself.
    pub(crate) fn url(&self) -> String {
        format!("{}/realms/{REALM}", self.server())
    }

    /// The issuer for `identity`.
    pub(crate) fn spec(&self) -> Value {
        json!({ "external": {
            "issuerURL": self.url(),
            "clientID": CLIENT,
            "clientSecretName": SECRET,
            "caSecretName": format!("{NAME}-keycloak-tls"),
            "adminGroup": GROUP,
        } })
    }

    /// Who is known there.
    pub(crate) fn person(&self) -> Login {
        Login {
            username: PERSON.to_owned(),
            password: self.password.clone(),
        }
    }

    /// A token that says to `client` who the person is.
    pub(crate) async fn token_for(&self, client: &str) -> String {
        let form = [
            ("grant_type", "password"),
            ("client_id", client),
            ("client_secret", &self.secret),
            ("username", PERSON),
            ("password", &self.password),
            ("scope", "openid"),
        ];
        let url = format!("{}/protocol/openid-connect/token", self.url());
        let response = self.http.post(url).form(&form).send().await.unwrap();
        let status = response.status();
        let body: Value = response.json().await.unwrap();
        let token = body["id_token"].as_str();
        let token = token.unwrap_or_else(|| panic!("{client}: {status}: {}", body["error"]));
        token.to_owned()
    }

    async fn make(&self, first: &Platform, redirect: &str) {
        let token = self.administrators_token(first).await;
        let call = async |method: Method, path: &str, body: Value| {
            let url = format!("{}/admin/realms{path}", self.server());
            let mut request = self.http.request(method, url).bearer_auth(&token);
            if !body.is_null() {
                request = request.json(&body);
            }
            let response = request.send().await.unwrap();
            let status = response.status().as_u16();
            (status, response.text().await.unwrap_or_default())
        };
        let realm = format!("/{REALM}");
        // Of a run that was cut off.
        let (status, body) = call(Method::DELETE, &realm, Value::Null).await;
        assert!([204, 404].contains(&status), "{status}: {body}");
        let new = json!({
            "realm": REALM, "enabled": true, "attributes": { "frontendUrl": self.server() },
        });
        let group = json!({ "name": GROUP });
        let parts = [
            (String::new(), new),
            (format!("{realm}/groups"), group),
            (format!("{realm}/users"), self.user()),
            (format!("{realm}/clients"), self.client(CLIENT, redirect)),
            (
                format!("{realm}/clients"),
                self.client(OTHER_CLIENT, "https://payroll.example/back"),
            ),
        ];
        for (path, body) in parts {
            let (status, told) = call(Method::POST, &path, body).await;
            assert_eq!(status, 201, "/admin/realms{path}: {told}");
        }
    }

    /// With everything that a sign-in would otherwise ask for.
    fn user(&self) -> Value {
        json!({
            "username": PERSON, "enabled": true, "groups": [format!("/{GROUP}")],
            "email": format!("{PERSON}@example.com"), "emailVerified": true,
            "firstName": "Ana", "lastName": "Staff", "requiredActions": [],
            "credentials": [{ "type": "password", "value": self.password, "temporary": false }],
        })
    }

    fn client(&self, id: &str, redirect: &str) -> Value {
        let groups = json!({
            "name": "groups",
            "protocol": "openid-connect",
            "protocolMapper": "oidc-group-membership-mapper",
            "config": {
                "claim.name": "groups", "full.path": "false", "id.token.claim": "true",
                "access.token.claim": "true", "userinfo.token.claim": "false",
            },
        });
        json!({
            "clientId": id, "enabled": true, "publicClient": false,
            "clientAuthenticatorType": "client-secret", "secret": self.secret,
            "standardFlowEnabled": true, "directAccessGrantsEnabled": true,
            "redirectUris": [redirect],
            "attributes": { "pkce.code.challenge.method": "S256" },
            "protocolMappers": [groups],
        })
    }

    async fn administrators_token(&self, first: &Platform) -> String {
        let admin = format!("{NAME}-keycloak-admin");
        let username = text_of(first, &admin, "username").await;
        let password = text_of(first, &admin, "password").await;
        let form = [
            ("grant_type", "password"),
            ("client_id", "admin-cli"),
            ("username", &username),
            ("password", &password),
        ];
        let url = format!(
            "{}/realms/master/protocol/openid-connect/token",
            self.server()
        );
        wait_for("the administrator's token", SOON, async || {
            let response = self.http.post(&url).form(&form).send().await;
            let response = response.map_err(|error| format!("{error:?}"))?;
            let body: Value = response.json().await.map_err(|error| error.to_string())?;
            let token = body["access_token"].as_str();
            token
                .map(str::to_owned)
                .ok_or_else(|| body["error"].to_string())
        })
        .await
    }

    /// Makes the Secret that the resource names.
    async fn hand_over(&self, first: &Platform) {
        let secrets: Api<Secret> = Api::namespaced(first.kube.clone(), NAMESPACE);
        let secret = json!({
            "metadata": { "name": SECRET }, "stringData": { "clientSecret": self.secret },
        });
        let secret: Secret = serde_json::from_value(secret).unwrap();
        let parameters = PostParams::default();
        secrets.create(&parameters, &secret).await.unwrap();
    }
}

/// Removes what is in the cluster of it, also that of a run that was cut off. The realm is replaced
/// by the next one.
pub(crate) async fn close(first: &Platform) {
    let parameters = DeleteParams::default();
    let services: Api<Service> = Api::namespaced(first.kube.clone(), NAMESPACE);
    let policies: Api<NetworkPolicy> = Api::namespaced(first.kube.clone(), NAMESPACE);
    let secrets: Api<Secret> = Api::namespaced(first.kube.clone(), NAMESPACE);
    let errors = [
        services.delete(DOOR, &parameters).await.err(),
        policies.delete(DOOR, &parameters).await.err(),
        secrets.delete(SECRET, &parameters).await.err(),
    ];
    for error in errors.into_iter().flatten() {
        let is_gone = matches!(&error, kube::Error::Api(status) if status.code == 404);
        assert!(is_gone, "{error}");
    }
}

/// Opens the Keycloak of the first platform to pods of others and to this machine: where it is here.
async fn door(first: &Platform, instance: &Instance) -> SocketAddr {
    let keycloak = json!({
        "app.kubernetes.io/instance": NAME, "app.kubernetes.io/name": "keycloak",
    });
    let policy = json!({
        "metadata": { "name": DOOR },
        "spec": {
            "podSelector": { "matchLabels": keycloak },
            "policyTypes": ["Ingress"],
            "ingress": [{ "ports": [{ "protocol": "TCP", "port": PORT }] }],
        },
    });
    let policy: NetworkPolicy = serde_json::from_value(policy).unwrap();
    let policies: Api<NetworkPolicy> = Api::namespaced(first.kube.clone(), NAMESPACE);
    let parameters = PostParams::default();
    policies.create(&parameters, &policy).await.unwrap();

    let service = json!({
        "metadata": { "name": DOOR },
        "spec": {
            "type": "NodePort", "selector": keycloak,
            "ports": [{ "name": "https", "port": PORT, "targetPort": PORT }],
        },
    });
    let service: Service = serde_json::from_value(service).unwrap();
    let services: Api<Service> = Api::namespaced(first.kube.clone(), NAMESPACE);
    let service = services.create(&parameters, &service).await.unwrap();
    let node = instance.network().node;
    let to = SocketAddr::from((node, node_port(&service, "https")));

    // One of the loopback that belongs to this cluster alone.
    let [_, b, c, d] = node.octets();
    let listen = SocketAddr::from((Ipv4Addr::new(127, b, c, d), PORT));
    // It ends with this process.
    std::thread::spawn(move || {
        let Err(error) = lotoai_local::forward(listen, to) else {
            return;
        };
        println!("the way to the issuer: {error}");
    });
    wait_for("the way to the issuer", SOON, async || {
        let connected = tokio::net::TcpStream::connect(listen).await;
        connected.map(drop).map_err(|error| error.to_string())
    })
    .await;
    listen
}

/// The port of the node that leads to a port of a Service.
pub(crate) fn node_port(service: &Service, name: &str) -> u16 {
    let spec = service.spec.as_ref();
    let mut ports = spec
        .and_then(|spec| spec.ports.as_ref())
        .into_iter()
        .flatten();
    let port = ports.find(|port| port.name.as_deref() == Some(name));
    let port = port.and_then(|port| port.node_port);
    u16::try_from(port.unwrap()).unwrap()
}

async fn text_of(platform: &Platform, secret: &str, key: &str) -> String {
    let secrets: Api<Secret> = Api::namespaced(platform.kube.clone(), &platform.namespace);
    let data = secrets.get(secret).await.unwrap().data.unwrap();
    let ByteString(value) = &data[key];
    String::from_utf8(value.clone()).unwrap()
}
