//! Which addresses an instance uses.
//!
//! All come from 198.18.0.0/15, the range that is set aside for measuring devices in a laboratory:
//! it is never routed on the Internet and no private network may rely on it. Each of the eight
//! slots has one /18 of it: the first /20 is for pods, the second for Services, and the third
//! holds the link between the instance's network namespace and the host.

use std::net::Ipv4Addr;

/// How many instances one machine can hold.
pub(crate) const SLOTS: u8 = 8;
const FIRST: u32 = u32::from_be_bytes([198, 18, 0, 0]);
const PER_SLOT: u32 = 1 << 14;
const PER_RANGE: u32 = 1 << 12;

/// A range of addresses in the notation `198.18.0.0/20`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cidr {
    /// The first address.
    pub first: Ipv4Addr,
    /// The length of the prefix in bits.
    pub prefix: u8,
}

impl std::fmt::Display for Cidr {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}/{}", self.first, self.prefix)
    }
}

/// The addresses of one instance.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Network {
    /// The slot they belong to.
    pub slot: u8,
    /// What the controller manager hands out to nodes.
    pub pods: Cidr,
    /// What its only node uses: the first /24 of `pods`.
    pub node_pods: Cidr,
    /// Cluster addresses of Services.
    pub services: Cidr,
    /// The link between the host and the instance.
    pub link: Cidr,
    /// The host's end of the link.
    pub host: Ipv4Addr,
    /// The node's address: the instance's end of the link.
    pub node: Ipv4Addr,
    /// The Service `kubernetes`.
    pub api_service: Ipv4Addr,
    /// The Service of the cluster's DNS.
    pub dns_service: Ipv4Addr,
    /// The host's network device of the link.
    pub host_device: String,
}

impl Network {
    /// The addresses of slot `slot` (below [`SLOTS`]).
    pub(crate) fn of_slot(slot: u8) -> Self {
        let base = FIRST + u32::from(slot % SLOTS) * PER_SLOT;
        let at = |offset: u32| Ipv4Addr::from(base + offset);
        let link = 2 * PER_RANGE;
        Self {
            slot,
            pods: Cidr {
                first: at(0),
                prefix: 20,
            },
            node_pods: Cidr {
                first: at(0),
                prefix: 24,
            },
            services: Cidr {
                first: at(PER_RANGE),
                prefix: 20,
            },
            link: Cidr {
                first: at(link),
                prefix: 30,
            },
            host: at(link + 1),
            node: at(link + 2),
            api_service: at(PER_RANGE + 1),
            dns_service: at(PER_RANGE + 10),
            host_device: format!("lotoai{slot}"),
        }
    }

    /// The URL of the API server, as reached from the host and from inside.
    #[must_use]
    pub fn api_url(&self) -> String {
        format!("https://{}:6443", self.node)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn range(cidr: Cidr) -> (u32, u32) {
        let first = u32::from(cidr.first);
        (first, first + (1 << (32 - cidr.prefix)) - 1)
    }

    #[test]
    fn no_two_ranges_overlap_and_all_are_in_the_benchmarking_block() {
        let networks: Vec<_> = (0..SLOTS).map(Network::of_slot).collect();
        let mut ranges: Vec<_> = networks
            .iter()
            .flat_map(|n| [n.pods, n.services, n.link])
            .map(range)
            .collect();
        ranges.sort_unstable();
        assert!(
            ranges.windows(2).all(|pair| pair[0].1 < pair[1].0),
            "{ranges:?}"
        );
        let (first, last) = range(Cidr {
            first: Ipv4Addr::new(198, 18, 0, 0),
            prefix: 15,
        });
        assert!(
            ranges
                .iter()
                .all(|range| range.0 >= first && range.1 <= last)
        );
    }

    #[test]
    fn the_single_addresses_are_in_their_ranges() {
        for network in (0..SLOTS).map(Network::of_slot) {
            let inside = |address: Ipv4Addr, cidr| {
                let (first, last) = range(cidr);
                (first..=last).contains(&u32::from(address))
            };
            assert!(inside(network.host, network.link) && inside(network.node, network.link));
            assert!(inside(network.api_service, network.services));
            assert!(inside(network.dns_service, network.services));
            assert!(
                network.host_device.len() < 16,
                "the kernel's limit for device names"
            );
        }
    }

    #[test]
    fn the_main_instance_keeps_its_addresses() {
        // Stored Services and certificates hold them, so they may never change.
        let main = Network::of_slot(0);
        assert_eq!(main.pods.to_string(), "198.18.0.0/20");
        assert_eq!(main.services.to_string(), "198.18.16.0/20");
        assert_eq!(main.node.to_string(), "198.18.32.2");
        assert_eq!(Network::of_slot(7).node.to_string(), "198.19.224.2");
    }
}
