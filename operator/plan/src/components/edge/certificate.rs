//! Certificate of cert-manager.

use lotoai_api::spec::CertManager;
use serde_json::json;

use crate::kinds::Certificate;
use crate::platform::Platform;

pub(super) fn build(platform: &Platform, issued: &CertManager) -> Certificate {
    let issuer = &issued.issuer_ref;
    let spec = json!({
        "secretName": platform.tls_secret(),
        "dnsNames": [platform.url.host],
        "issuerRef": { "name": issuer.name, "kind": issuer.kind, "group": issuer.group },
        "privateKey": { "algorithm": "ECDSA", "size": 256, "rotationPolicy": "Always" },
        "usages": ["digital signature", "server auth"],
    });
    Certificate::new(platform.platform_metadata(platform.tls_secret()), spec)
}
