//! A platform whose operator reaches the API server through a proxy that fails as a test tells it.

use std::net::{Ipv4Addr, TcpListener};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use kube::Client;
use kube::config::{AuthInfo, Config};
use lotoai_operator::client::client;
use lotoai_testing::{Proxy, Upstream};
use serde_json::{Value, json};

use crate::server::{self, ApiServer, OPERATOR};
use crate::world::{Answering, World, context};

/// The platform, the proxy, and the file with the operator's token.
pub(crate) async fn proxied(namespace: &str) -> Option<(World, Proxy, PathBuf)> {
    proxied_with(namespace, &json!({ "url": "https://lotoai.localhost" })).await
}

/// The same with a resource of this spec.
pub(crate) async fn proxied_with(namespace: &str, spec: &Value) -> Option<(World, Proxy, PathBuf)> {
    let world = World::new(namespace, spec, Answering).await?;
    let server = server::shared()?;
    let token = server.file(&format!("{namespace}.token"), OPERATOR);
    let proxy = before(server);
    let context = Arc::new(context(&through(&proxy, &token), Answering));
    Some((World { context, ..world }, proxy, token))
}

/// A proxy before the API server, which takes whoever comes for the operator.
pub(crate) fn before(server: &ApiServer) -> Proxy {
    let upstream = Upstream {
        url: server.url(),
        authorities: vec![server.authority().to_vec()],
        token: OPERATOR.to_owned(),
    };
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    Proxy::start(listener, upstream).unwrap()
}

/// A client as the operator makes it, with the token in this file.
pub(crate) fn through(proxy: &Proxy, token: &Path) -> Client {
    let mut config = Config::new(proxy.url().parse().unwrap());
    config.auth_info = AuthInfo {
        token_file: Some(token.to_str().unwrap().to_owned()),
        ..AuthInfo::default()
    };
    client(config).unwrap()
}
