//! Rules of the reverse proxy that the platform brings along.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Rules of the reverse proxy.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Traefik {
    /// How often one client address may ask; as often as it likes when not set.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rate_limit: Option<RateLimit>,
    /// Ranges of client addresses that are let in, for example `192.0.2.0/24`; everybody when
    /// empty. The operator's own question is always let in.
    #[serde(
        default,
        rename = "allowedCIDRs",
        skip_serializing_if = "Vec::is_empty"
    )]
    #[schemars(length(max = 50), inner(length(min = 3, max = 49)))]
    pub allowed_cidrs: Vec<String>,
    /// Headers that are added to every answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub security_headers: Option<SecurityHeaders>,
}

/// How often one client address may ask. IPv6 clients count by their /64.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct RateLimit {
    /// Requests per second, in the long run.
    #[serde(default = "RateLimit::default_requests")]
    #[schemars(range(min = 1, max = 10000))]
    pub requests_per_second: i32,
    /// Requests that may come at once. A browser loads a page with some tens of them.
    #[serde(default = "RateLimit::default_burst")]
    #[schemars(range(min = 10, max = 100_000))]
    pub burst: i32,
}

impl RateLimit {
    const fn default_requests() -> i32 {
        20
    }

    const fn default_burst() -> i32 {
        100
    }
}

/// Headers that are added to every answer, beside those that are always there.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct SecurityHeaders {
    /// Seconds for which browsers insist on HTTPS with a trusted certificate; 0 sends no such
    /// header. Not set: a year, or 0 with the operator's self-signed certificate.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 63_072_000))]
    pub hsts_seconds: Option<i32>,
    /// Whether they also insist on it for all names below the host of the public address.
    #[serde(default)]
    pub hsts_include_subdomains: bool,
}
