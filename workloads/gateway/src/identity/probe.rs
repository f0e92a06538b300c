//! The operator's own question, where no identity provider can give it a token: the operator and
//! the gateway share one that is good for that question and for nothing else.

use std::sync::Arc;

use axum::http::Method;
use lotoai_policy::probe;
use secrecy::{ExposeSecret as _, SecretString};
use sha2::{Digest as _, Sha256};
use subtle::{Choice, ConstantTimeEq as _};

use super::jwks::Jwks;
use super::token::{now, provider_unavailable};
use super::{Credential, Identity};
use crate::failure::Failure;

/// Name of the asker in logs and traces.
const SUBJECT: &str = "lotoai-probe";
/// Every question is checked anew; this only has to be longer than an answer.
const SECONDS: u64 = 60;

/// The token, and another one while it is made anew. Only their digests are kept.
pub struct ProbeToken([Option<[u8; 32]>; 2]);

impl ProbeToken {
    /// The tokens of the configuration; without one nobody is the probe.
    pub fn new(token: Option<&SecretString>, standby: Option<&SecretString>) -> Self {
        Self([token, standby].map(|token| token.map(|token| digest(token.expose_secret()))))
    }

    /// Whether this is one of them. Which one takes no other time.
    pub fn is(&self, token: &str) -> bool {
        let given = digest(token);
        let known = self.0.iter().flatten();
        known
            .fold(Choice::from(0), |found, known| found | known.ct_eq(&given))
            .into()
    }
}

fn digest(token: &str) -> [u8; 32] {
    Sha256::digest(token.as_bytes()).into()
}

/// Lets the probe ask, while people could sign in: an answer that nobody else can get proves
/// nothing.
///
/// # Errors
/// 403 for any other call, 503 while the identity provider does not give its signing keys.
pub fn admit(method: &Method, route: Option<&str>, jwks: &Jwks) -> Result<Arc<Identity>, Failure> {
    probe::may_call(method, route)?;
    if !jwks.reachable() {
        return Err(provider_unavailable());
    }
    Ok(Arc::new(Identity {
        subject: SUBJECT.to_owned(),
        name: SUBJECT.to_owned(),
        groups: Vec::new(),
        expires_at: now() + SECONDS,
        issued_at: 0,
        credential: Credential::Probe,
    }))
}
