//! What the schema cannot say of the edge.

use std::collections::BTreeMap;
use std::net::IpAddr;

use lotoai_api::spec::{Edge, LotoAISpec};
use lotoai_api::{PlatformName, reasons};

use super::Invalid;
use super::qualified_name::check_keys;
use crate::components::shared::resources::amount;
use crate::credentials::digest;
use crate::names::issued_secret;
use crate::observed::Observed;

/// Ingestion holds a whole document several times over.
const LARGEST_UPLOAD: &str = "256Mi";

pub(super) fn check(spec: &LotoAISpec, observed: &Observed, faults: &mut Vec<Invalid>) {
    let edge = &spec.edge;
    check_mode(spec, faults);
    check_kinds(edge, observed, faults);
    if let Some(size) = &edge.max_upload_size {
        let fault = match amount(size) {
            0 => Some("is no size; write for example 64Mi"),
            size if size > amount(LARGEST_UPLOAD) => Some("is more than 256Mi; lower it"),
            _ => None,
        };
        if let Some(fault) = fault {
            let message = format!("{size:?} {fault}");
            faults.push(Invalid::spec("spec.edge.maxUploadSize", message));
        }
    }
    let ranges = edge.traefik.iter().flat_map(|rules| &rules.allowed_cidrs);
    for (index, range) in ranges.enumerate() {
        if !is_cidr(range) {
            let message = format!(
                "{range:?} is no range of addresses; write for example 192.0.2.0/24, or \
                 192.0.2.7/32 for one address"
            );
            let field = format!("spec.edge.traefik.allowedCIDRs[{index}]");
            faults.push(Invalid::spec(field, message));
        }
    }
}

fn check_mode(spec: &LotoAISpec, faults: &mut Vec<Invalid>) {
    let edge = &spec.edge;
    // The schema refuses these; a resource that never passed one is refused here.
    for (field, clashes) in [
        (
            "spec.edge.ingress",
            edge.ingress.is_some() && edge.traefik.is_some(),
        ),
        (
            "spec.edge.gatewayAPI",
            edge.gateway_api.is_some() && (edge.traefik.is_some() || edge.ingress.is_some()),
        ),
    ] {
        if clashes {
            let message = "there are two ways in; keep one of traefik, ingress and gatewayAPI";
            faults.push(Invalid::spec(field, message));
        }
    }
    let annotations = edge
        .ingress
        .iter()
        .flat_map(|given| given.annotations.keys());
    check_keys("spec.edge.ingress.annotations", annotations, faults);
    let namespaces = edge.from_namespaces.keys();
    check_keys("spec.edge.fromNamespaces", namespaces, faults);
}

fn check_kinds(edge: &Edge, observed: &Observed, faults: &mut Vec<Invalid>) {
    let needs = [
        (
            edge.tls.cert_manager.is_some(),
            "Certificate",
            "spec.edge.tls.certManager",
            "install cert-manager, or use edge.tls.secretName",
        ),
        (
            edge.gateway_api.is_some(),
            "HTTPRoute",
            "spec.edge.gatewayAPI",
            "install the Gateway API CRDs, or use edge.traefik",
        ),
        (
            edge.gateway_api.is_some(),
            "BackendTLSPolicy",
            "spec.edge.gatewayAPI",
            "install the CRDs of Gateway API 1.4 or newer, or use edge.traefik",
        ),
    ];
    for (needed, kind, field, fix) in needs {
        if needed && observed.missing_kinds.contains(kind) {
            faults.push(Invalid {
                field: field.to_owned(),
                message: format!("the cluster has no {kind} kind: {fix}"),
                reason: reasons::DEPENDENCY_MISSING,
            });
        }
    }
}

/// What the Secret that the resource names must hold. A Gateway ends TLS elsewhere, and only the
/// operator's question needs to know the certificate.
pub(super) const fn certificate_keys(edge: &Edge) -> &'static [&'static str] {
    if edge.gateway_api.is_some() {
        &["tls.crt"]
    } else {
        &["tls.crt", "tls.key"]
    }
}

/// Digests of what cert-manager has issued, so that pods restart when it renews.
pub(super) fn issued(
    edge: &Edge,
    name: &PlatformName,
    observed: &Observed,
) -> BTreeMap<(String, String), String> {
    if edge.tls.cert_manager.is_none() {
        return BTreeMap::new();
    }
    let secret = issued_secret(name.as_str());
    ["tls.crt", "tls.key"]
        .into_iter()
        .filter_map(|key| {
            let value = observed.secret_value(&secret, key)?;
            Some(((secret.clone(), key.to_owned()), digest(value)))
        })
        .collect()
}

fn is_cidr(text: &str) -> bool {
    let Some((address, length)) = text.split_once('/') else {
        return false;
    };
    let longest = match address.parse() {
        Ok(IpAddr::V4(_)) => 32,
        Ok(IpAddr::V6(_)) => 128,
        Err(_) => return false,
    };
    // Traefik reads no signs and no leading zeros.
    length
        .parse::<u8>()
        .is_ok_and(|number| number <= longest && number.to_string() == length)
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case("192.0.2.0/24", true)]
    #[case("192.0.2.7/32", true)]
    #[case("0.0.0.0/0", true)]
    #[case("2001:db8::/32", true)]
    #[case("192.0.2.7", false)]
    #[case("192.0.2.0/33", false)]
    #[case("192.0.2.0/+8", false)]
    #[case("192.0.2.0/08", false)]
    #[case("192.0.2/24", false)]
    #[case("2001:db8::/129", false)]
    #[case("example.com/24", false)]
    #[case("/24", false)]
    #[case("", false)]
    fn ranges(#[case] text: &str, #[case] good: bool) {
        assert_eq!(is_cidr(text), good, "{text}");
    }
}
