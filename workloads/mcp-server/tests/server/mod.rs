//! The server over real HTTP.

use std::path::Path;
use std::time::Duration;

use lotoai_kit::Service;
use lotoai_kit::callers::Callers;
use lotoai_mcp_server::domain::tool;
use lotoai_mcp_server::run::places::Scripts;
use lotoai_mcp_server::server::Tools;
use lotoai_mcp_server::{router, run};
use serde_json::Value;

use crate::client::{self, TOKEN, message};

/// A server in this process; stopped when dropped.
pub(crate) struct Server {
    pub(crate) url: String,
    pub(crate) service: Service,
}

impl Server {
    /// Serves the tools of this file.
    pub(crate) async fn start(tools: &str) -> Self {
        let declarations = serde_yaml_ng::from_str(tools).unwrap();
        let tools = Tools::new(
            tool::tools(declarations).0,
            run::http::client(&lotoai_kit::tls::TlsArgs::default()).unwrap(),
            Scripts::new(2),
        );
        let service = Service::for_tests("mcp-server");
        let callers = Callers::new([("ORCHESTRATOR".to_owned(), TOKEN.into())]);
        let app = router(tools, vec!["127.0.0.1".into()], &callers);
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/mcp", listener.local_addr().unwrap());
        let serving = service.clone();
        tokio::spawn(async move { serving.serve_http_on(listener, app).await });
        Self { url, service }
    }

    /// The request that carries a message.
    pub(crate) fn request(&self, body: &Value) -> reqwest::RequestBuilder {
        client::request(&self.url, body)
    }

    /// What is answered to somebody of these groups.
    pub(crate) async fn call(&self, method: &str, params: Value, groups: &str) -> Value {
        let request = self
            .request(&message(method, params))
            .header("x-lotoai-groups", groups);
        client::answer(request).await
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.service.shutdown.cancel();
    }
}

/// Waits for a file.
pub(crate) async fn appears(file: &Path) {
    let appeared = async {
        while !file.exists() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    let appeared = tokio::time::timeout(Duration::from_secs(20), appeared).await;
    assert!(appeared.is_ok(), "{} does not appear", file.display());
}
