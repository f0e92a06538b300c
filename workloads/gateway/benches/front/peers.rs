//! The gateways of others, each with one provider: the same that answers for all of them.

use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;

use serde_json::{Value, json};
use snafu::{OptionExt as _, ResultExt as _};

use crate::Result;
use crate::keys::{AUDIENCE, ISSUER};
use crate::names::{ENVOY, ENVOY_FULL, LITELLM, PORTKEY, TENSORZERO};
use crate::process::{Place, Process};
use crate::question::{PACED, PROMPT, question};
use crate::systems::{Ground, START, System, free, listens, target};

const COMPLETIONS: &str = "/v1/chat/completions";

/// Envoy, with or without its filters for tokens, limits and an access log.
pub(crate) async fn envoy(ground: &Ground, installed: &Path, is_full: bool) -> Result<System> {
    let address = free()?;
    let name = if is_full { "envoy-full" } else { "envoy" };
    let log = ground.directory.join(format!("{name}-access.log"));
    let config = envoy_config(ground, address, is_full.then_some(log.as_path()));
    let file = write(ground, &format!("{name}.json"), &config.to_string())?;
    let mut command = Command::new(installed.join("venv/bin/envoy"));
    command.arg("-c").arg(file).args([
        "--concurrency",
        "1",
        "--log-level",
        "error",
        "--disable-hot-restart",
    ]);
    let token = ground.token();
    let headers = [("authorization", token.as_str())];
    let headers = if is_full { &headers[..] } else { &[] };
    let title = if is_full { ENVOY_FULL } else { ENVOY };
    start(ground, title, command, address, headers).await
}

fn envoy_config(ground: &Ground, address: SocketAddr, full: Option<&Path>) -> Value {
    const HTTP: &str = "type.googleapis.com/envoy.extensions.filters.http";
    let socket = |address: SocketAddr| {
        let (ip, port) = (address.ip().to_string(), address.port());
        json!({ "socket_address": { "address": ip, "port_value": port } })
    };
    let filter = |name: &str, config: Value| json!({ "name": format!("envoy.filters.http.{name}"), "typed_config": config });
    let mut filters = Vec::new();
    if full.is_some() {
        let keys = json!({ "keys": [ground.signer.jwk()] }).to_string();
        filters.push(filter(
            "jwt_authn",
            json!({
                "@type": format!("{HTTP}.jwt_authn.v3.JwtAuthentication"),
                "providers": { "realm": {
                    "issuer": ISSUER, "audiences": [AUDIENCE],
                    "local_jwks": { "inline_string": keys },
                }},
                "rules": [{ "match": { "prefix": "/" }, "requires": { "provider_name": "realm" } }],
            }),
        ));
        let always = json!({ "default_value": { "numerator": 100, "denominator": "HUNDRED" } });
        filters.push(filter("local_ratelimit", json!({
            "@type": format!("{HTTP}.local_ratelimit.v3.LocalRateLimit"),
            "stat_prefix": "limit", "filter_enabled": always, "filter_enforced": always,
            "token_bucket": {
                "max_tokens": 1_000_000_000, "tokens_per_fill": 1_000_000_000, "fill_interval": "1s",
            },
        })));
    }
    filters.push(filter(
        "router",
        json!({ "@type": format!("{HTTP}.router.v3.Router") }),
    ));
    let access_log: Vec<Value> = full
        .map(|path| {
            json!({ "name": "envoy.access_loggers.file", "typed_config": {
                "@type": "type.googleapis.com/envoy.extensions.access_loggers.file.v3.FileAccessLog",
                "path": path,
            }})
        })
        .into_iter()
        .collect();
    let manager = json!({
        "@type": "type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager",
        "stat_prefix": "front", "codec_type": "HTTP1", "access_log": access_log,
        "http_filters": filters,
        "route_config": { "virtual_hosts": [{ "name": "all", "domains": ["*"], "routes": [{
            "match": { "prefix": "/" }, "route": { "cluster": "provider", "timeout": "0s" },
        }]}]},
    });
    json!({ "static_resources": {
        "listeners": [{ "name": "front", "address": socket(address), "filter_chains": [{ "filters": [{
            "name": "envoy.filters.network.http_connection_manager", "typed_config": manager,
        }]}]}],
        "clusters": [{ "name": "provider", "type": "STATIC", "connect_timeout": "5s",
            "circuit_breakers": { "thresholds": [{
                "max_connections": 4096, "max_pending_requests": 4096, "max_requests": 4096,
            }]},
            "load_assignment": { "cluster_name": "provider", "endpoints": [{ "lb_endpoints": [{
                "endpoint": { "address": socket(ground.far.provider) },
            }]}]},
        }],
    }})
}

/// TensorZero, without storage and limits.
pub(crate) async fn tensorzero(ground: &Ground, installed: &Path) -> Result<System> {
    let models = [PROMPT, PACED].map(|model| {
        format!(
            "[models.{model}]\nrouting = [\"mock\"]\n\n\
             [models.{model}.providers.mock]\ntype = \"openai\"\nmodel_name = \"{model}\"\n\
             api_base = \"http://{}/v1/\"\napi_key_location = \"none\"\n\n",
            ground.far.provider
        )
    });
    let config = format!(
        "[gateway]\nobservability.enabled = false\n\n{}",
        models.concat()
    );
    let file = write(ground, "tensorzero.toml", &config)?;
    let script = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/benches/front/peers/tensorzero_gateway.py"
    );
    let mut command = python(installed);
    command.arg(script).arg(file);
    let log = ground.directory.join("tensorzero.log");
    let mut process = Process::start(command, Place::Measured, &log)?;
    // It chooses its port by itself, and prints it.
    let printed = || {
        let text = std::fs::read_to_string(&log).ok()?;
        let line = text.lines().find_map(|line| line.strip_prefix("http://"))?;
        line.split('/').next()?.parse::<SocketAddr>().ok()
    };
    process.up(START, async || printed().is_some()).await?;
    let address = printed().whatever_context("TensorZero did not say where it listens")?;
    let body = question(&format!("tensorzero::model_name::{PROMPT}"), &json!({}));
    let target = target(address, "/openai/v1/chat/completions", &[], body)?;
    Ok(System {
        name: TENSORZERO,
        process,
        target,
    })
}

/// LiteLLM's proxy with its master key, and one worker, as there is one core.
pub(crate) async fn litellm(ground: &Ground, installed: &Path) -> Result<System> {
    let address = free()?;
    let config = json!({
        "model_list": [{ "model_name": PROMPT, "litellm_params": {
            "model": "openai/model", "api_key": "none",
            "api_base": format!("http://{}/v1", ground.far.provider),
        }}],
        "general_settings": { "master_key": "sk-bench" },
    });
    // JSON is YAML.
    let file = write(ground, "litellm.yaml", &config.to_string())?;
    let mut command = python(installed);
    command
        .arg(installed.join("venv/bin/litellm"))
        .arg("--config")
        .arg(file)
        .args(["--host", "127.0.0.1", "--port", &address.port().to_string()])
        .args(["--num_workers", "1", "--telemetry", "False"])
        // Or it asks the internet for prices.
        .env("LITELLM_LOCAL_MODEL_COST_MAP", "True");
    let headers = [("authorization", "Bearer sk-bench")];
    start(ground, LITELLM, command, address, &headers).await
}

/// Portkey's gateway, which has neither accounts nor storage.
pub(crate) async fn portkey(ground: &Ground, installed: &Path) -> Result<System> {
    let address = free()?;
    let mut command = Command::new("node");
    command
        .arg(installed.join("node_modules/@portkey-ai/gateway/build/start-server.js"))
        .arg(format!("--port={}", address.port()))
        .arg("--headless")
        .env("NODE_ENV", "production");
    let provider = format!("http://{}/v1", ground.far.provider);
    let headers = [
        ("authorization", "Bearer none"),
        ("x-portkey-provider", "openai"),
        ("x-portkey-custom-host", provider.as_str()),
    ];
    start(ground, PORTKEY, command, address, &headers).await
}

async fn start(
    ground: &Ground,
    name: &'static str,
    command: Command,
    address: SocketAddr,
    headers: &[(&'static str, &str)],
) -> Result<System> {
    let file = name.split([',', ' ']).next().unwrap_or(name);
    let log = ground
        .directory
        .join(format!("{file}-{}.log", address.port()));
    let mut process = Process::start(command, Place::Measured, &log)?;
    process.up(START, async || listens(address).await).await?;
    let target = target(address, COMPLETIONS, headers, question(PROMPT, &json!({})))?;
    Ok(System {
        name,
        process,
        target,
    })
}

fn python(installed: &Path) -> Command {
    let mut command = Command::new(installed.join("venv/bin/python"));
    command
        .arg("-B")
        .env("PYTHONNOUSERSITE", "1")
        .env("HOME", std::env::temp_dir());
    command
}

fn write(ground: &Ground, name: &str, text: &str) -> Result<std::path::PathBuf> {
    let path = ground.directory.join(name);
    std::fs::write(&path, text).whatever_context("failed to write a configuration")?;
    Ok(path)
}
