//! What stands in the tables.

/// Our gateway without budgets and storage.
pub(crate) const PLAIN: &str = "LotoAI, plain";
/// Our gateway with both.
pub(crate) const FULL: &str = "LotoAI, limits and storage";
/// The least program on the same libraries.
pub(crate) const LEAST: &str = "the least program";
/// The same, with question and answer stored.
pub(crate) const LEAST_STORED: &str = "the least program, question and answer stored";
pub(crate) const ENVOY: &str = "Envoy, plain";
pub(crate) const ENVOY_FULL: &str = "Envoy, jwt_authn, local_ratelimit, access log";
pub(crate) const TENSORZERO: &str = "TensorZero, plain";
pub(crate) const LITELLM: &str = "LiteLLM, master key";
pub(crate) const PORTKEY: &str = "Portkey";
/// The far side by itself, which the systems add to.
pub(crate) const DIRECT: &str = "nothing between";

/// All systems, as they stand in the table.
pub(crate) const ORDER: [&str; 9] = [
    PLAIN,
    FULL,
    LEAST,
    LEAST_STORED,
    ENVOY,
    ENVOY_FULL,
    TENSORZERO,
    PORTKEY,
    LITELLM,
];
