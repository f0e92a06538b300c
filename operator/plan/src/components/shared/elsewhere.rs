//! Where an external server is, as far as a policy can say it.

use k8s_openapi::api::networking::v1::{IPBlock, NetworkPolicyPeer};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;
use std::collections::BTreeMap;
use url::{Host, Url};

/// Where a server is.
#[derive(Debug, Clone, PartialEq)]
pub enum Elsewhere {
    /// In a namespace of this cluster, at any port: policies are about the ports of pods, and only
    /// the server's Service knows which one it leads to.
    Cluster {
        /// The pods that it may be.
        peer: NetworkPolicyPeer,
        /// Whether the name can be nothing but a Service of this cluster. One of a single word may be one
        /// that only nodes know, and what follows `svc` the domain of another cluster.
        is_certain: bool,
    },
    /// At one address.
    Address(NetworkPolicyPeer, u16),
    /// Anywhere, because a policy cannot name hosts: at this port.
    Anywhere(u16),
}

/// Where the server of an address is.
#[must_use]
pub fn of(url: &Url) -> Option<Elsewhere> {
    let port = url.port_or_known_default()?;
    // Addresses of schemes that are not the web's are left as text by the parser.
    let host = Host::parse(url.host_str()?).ok()?;
    Some(match host {
        Host::Ipv4(address) => Elsewhere::Address(block(format!("{address}/32")), port),
        Host::Ipv6(address) => Elsewhere::Address(block(format!("{address}/128")), port),
        Host::Domain(name) => match service_namespace(&name) {
            Some((namespace, is_certain)) => Elsewhere::Cluster {
                peer: pods(namespace),
                is_certain,
            },
            None => Elsewhere::Anywhere(port),
        },
    })
}

/// Namespace of the Service that a name stands for: its own for a name of one word, another one
/// for `<service>.<namespace>.svc`, with or without the cluster's domain. And whether it surely is one.
fn service_namespace(host: &str) -> Option<(Option<&str>, bool)> {
    let words: Vec<&str> = host.trim_end_matches('.').split('.').collect();
    match words.as_slice() {
        [_] => Some((None, false)),
        [_, namespace, "svc", domain @ ..] => {
            let is_certain = matches!(domain, [] | ["cluster", "local"]);
            Some((Some(namespace), is_certain))
        }
        _ => None,
    }
}

/// All pods of a namespace; of the policy's own when none is named.
fn pods(namespace: Option<&str>) -> NetworkPolicyPeer {
    let Some(namespace) = namespace else {
        return NetworkPolicyPeer {
            pod_selector: Some(LabelSelector::default()),
            ..NetworkPolicyPeer::default()
        };
    };
    NetworkPolicyPeer {
        namespace_selector: Some(LabelSelector {
            match_labels: Some(BTreeMap::from([(
                "kubernetes.io/metadata.name".to_owned(),
                namespace.to_owned(),
            )])),
            ..LabelSelector::default()
        }),
        ..NetworkPolicyPeer::default()
    }
}

fn block(cidr: String) -> NetworkPolicyPeer {
    NetworkPolicyPeer {
        ip_block: Some(IPBlock { cidr, except: None }),
        ..NetworkPolicyPeer::default()
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    fn cluster(namespace: Option<&str>, is_certain: bool) -> Elsewhere {
        Elsewhere::Cluster {
            peer: pods(namespace),
            is_certain,
        }
    }

    #[rstest]
    #[case("postgres://pg", cluster(None, false))]
    #[case("amqps://mq.data.svc:5671", cluster(Some("data"), true))]
    #[case("http://ch.data.svc.cluster.local:8123", cluster(Some("data"), true))]
    #[case("http://ch.data.svc.clusterset.local", cluster(Some("data"), false))]
    #[case("https://10.0.0.7", Elsewhere::Address(block("10.0.0.7/32".to_owned()), 443))]
    #[case("postgres://10.0.0.7:5432", Elsewhere::Address(block("10.0.0.7/32".to_owned()), 5432))]
    #[case("https://s3.example.com", Elsewhere::Anywhere(443))]
    #[case("https://db.corp:8443", Elsewhere::Anywhere(8443))]
    fn servers_are_told_apart(#[case] url: &str, #[case] expected: Elsewhere) {
        let mut url: Url = url.parse().unwrap();
        if url.scheme() == "postgres" && url.port().is_none() {
            url.set_port(Some(5432)).unwrap();
        }
        assert_eq!(of(&url), Some(expected));
    }
}
