//! What the Secrets of the platform under test hold, for tests that sign in as its components do.

use k8s_openapi::api::core::v1::{ConfigMap, Secret};
use kube::api::Api;
use lotoai_e2e::Platform;

use crate::support::{NAME, NAMESPACE};

/// Somebody whom a store knows.
#[derive(Clone)]
pub(crate) struct Account {
    pub(crate) username: String,
    pub(crate) password: String,
}

/// The account in the Secret of this name, which is without that of the platform: `gateway-postgres`.
pub(crate) async fn account(platform: &Platform, name: &str) -> Account {
    let secrets: Api<Secret> = Api::namespaced(platform.kube.clone(), NAMESPACE);
    let secret = secrets.get(&format!("{NAME}-{name}")).await.unwrap();
    let data = secret.data.unwrap();
    let text = |key: &str| String::from_utf8(data[key].0.clone()).unwrap();
    Account {
        username: text("username"),
        password: text("password"),
    }
}

/// The authorities that vouch for servers inside the platform, PEM.
pub(crate) async fn authorities(platform: &Platform) -> String {
    let maps: Api<ConfigMap> = Api::namespaced(platform.kube.clone(), NAMESPACE);
    let bundle = maps.get(&format!("{NAME}-ca")).await.unwrap();
    bundle.data.unwrap()["ca.crt"].clone()
}
