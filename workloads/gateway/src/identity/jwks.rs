//! The provider's signing keys: fetched, kept, and asked for again when a token names a key that
//! is not known. What was fetched stays good while the provider is away.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use jsonwebtoken::jwk::{AlgorithmParameters, Jwk, PublicKeyUse};
use jsonwebtoken::{Algorithm, DecodingKey};
use moka::sync::Cache;
use openidconnect::core::CoreJsonWebKeySet;
use serde::Deserialize;
use snafu::{ResultExt as _, Snafu};
use tokio::sync::{Mutex, Semaphore};
use tokio::time::Instant;

use super::discovery::{Discovery, DiscoveryError};
use super::provider::{self, ProviderHttp};

/// However many tokens name unknown keys, the provider is asked no more often than this. A token
/// whose key was published since waits for the next answer, and is not refused for an older one.
const REFRESH_AT_MOST_EVERY: Duration = Duration::from_secs(1);
/// A key that the provider did not publish when it was asked for is not asked for again so soon.
const UNKNOWN_FOR: Duration = Duration::from_secs(10);
/// Unknown keys that are remembered, each about 100 bytes.
const UNKNOWN_KEYS: u64 = 1_000;
/// A provider that failed is left alone for this long, and who needs it is told so at once.
const RETRY_AFTER: Duration = Duration::from_secs(2);
/// Most requests that wait for a key at a time. Anybody can name one that there is not, and who waits
/// has one of the places for requests: the others are for those whose key is known.
const MAX_WAITING: usize = 256;
/// Longest id of a key that is looked for.
const MAX_ID_BYTES: usize = 256;
/// Keys that the provider withdrew stop working after this long.
const REFRESH_EVERY: Duration = Duration::from_secs(60);
/// Keycloak's answer is about 3 KB.
const MAX_BYTES: usize = 256 * 1024;

/// Why the keys could not be fetched.
#[derive(Debug, Snafu)]
pub enum JwksError {
    /// It is not known where they are.
    #[snafu(display("failed to find the signing keys"))]
    Discover {
        /// Cause.
        source: DiscoveryError,
    },
    /// The provider could not be reached or refused.
    #[snafu(display("failed to fetch the signing keys"))]
    Fetch {
        /// Cause.
        source: provider::ProviderError,
    },
    /// The answer is not a key set.
    #[snafu(display("failed to read the signing keys"))]
    Read {
        /// Cause.
        source: serde_json::Error,
    },
}

/// What looking for a key came to.
#[derive(Clone)]
pub enum Lookup {
    /// The key.
    Found(SigningKey),
    /// The provider has no such key.
    Unknown,
    /// The provider could not be asked, so nobody knows.
    Unavailable,
    /// As many wait for a key as may.
    Crowded,
}

/// One key and the algorithm that it may be used with.
#[derive(Clone)]
pub struct SigningKey {
    /// The only algorithm this key verifies.
    pub algorithm: Algorithm,
    /// The public key.
    pub key: Arc<DecodingKey>,
}

#[derive(Default)]
struct Keys {
    by_id: HashMap<String, SigningKey>,
    for_sign_in: Option<CoreJsonWebKeySet>,
    generation: u64,
}

struct LastFetch {
    began: Instant,
    ended: Instant,
    ok: bool,
}

#[derive(Default)]
struct Fetches {
    /// When the provider was asked last, be it that whoever waited has left before it answered.
    began: Option<Instant>,
    /// What it answered last.
    last: Option<LastFetch>,
}

/// The cache of signing keys.
pub struct Jwks {
    discovery: Arc<Discovery>,
    http: ProviderHttp,
    reachable: AtomicBool,
    keys: RwLock<Keys>,
    unknown: Cache<String, ()>,
    fetches: Mutex<Fetches>,
    waiting: Semaphore,
}

impl Jwks {
    /// A cache that is still empty, of the provider that `discovery` finds.
    pub fn new(discovery: Arc<Discovery>, http: ProviderHttp) -> Self {
        Self {
            discovery,
            http,
            reachable: AtomicBool::new(false),
            keys: RwLock::default(),
            unknown: Cache::builder()
                .max_capacity(UNKNOWN_KEYS)
                .time_to_live(UNKNOWN_FOR)
                .build(),
            fetches: Mutex::default(),
            waiting: Semaphore::new(MAX_WAITING),
        }
    }

    /// Finds the key `id`, asking the provider if it is not known yet.
    pub async fn find(&self, id: &str) -> Lookup {
        if let Some(key) = self.cached(id) {
            return Lookup::Found(key);
        }
        if id.len() > MAX_ID_BYTES || self.unknown.get(id).is_some() {
            return Lookup::Unknown;
        }
        let Ok(_waits) = self.waiting.try_acquire() else {
            return Lookup::Crowded;
        };
        let ok = self
            .refresh_since(Instant::now(), || self.cached(id).is_some())
            .await;
        match self.cached(id) {
            Some(key) => Lookup::Found(key),
            None if ok => {
                self.unknown.insert(id.to_owned(), ());
                Lookup::Unknown
            }
            None => Lookup::Unavailable,
        }
    }

    /// Number that changes whenever the set of keys changes; verdicts of an older one are void.
    pub fn generation(&self) -> u64 {
        self.keys
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .generation
    }

    /// Whether the provider gave its keys when it was last asked, which is every minute.
    pub fn reachable(&self) -> bool {
        self.reachable.load(Ordering::Relaxed)
    }

    /// The keys as the sign-in library takes them; fetched if there are none yet.
    pub async fn for_sign_in(&self) -> Option<CoreJsonWebKeySet> {
        let known = || {
            let keys = self.keys.read().unwrap_or_else(PoisonError::into_inner);
            keys.for_sign_in.clone()
        };
        match known() {
            Some(keys) => Some(keys),
            None => {
                self.refresh_since(Instant::now(), || known().is_some())
                    .await;
                known()
            }
        }
    }

    /// Fetches the keys now and then every minute, for ever. `changed` hears of every outcome.
    pub async fn keep_fresh(&self, mut changed: impl FnMut(Result<(), String>)) {
        loop {
            let outcome = {
                let mut fetches = self.fetches.lock().await;
                self.refresh(&mut fetches).await
            };
            let wait = if outcome.is_ok() {
                REFRESH_EVERY
            } else {
                RETRY_AFTER
            };
            changed(outcome.map_err(|error| crate::error::chain(&error)));
            tokio::time::sleep(wait).await;
        }
    }

    fn cached(&self, id: &str) -> Option<SigningKey> {
        self.keys
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .by_id
            .get(id)
            .cloned()
    }

    /// Has the provider asked after `since`, together with whoever else needs it, waiting until it
    /// may be asked again, unless an earlier answer brought what was wanted; says whether it
    /// answered.
    async fn refresh_since(&self, since: Instant, is_there: impl Fn() -> bool) -> bool {
        let mut fetches = self.fetches.lock().await;
        if is_there() {
            return true;
        }
        if let Some(fetch) = &fetches.last {
            if fetch.began >= since {
                return fetch.ok;
            }
            if !fetch.ok && fetch.ended.elapsed() < RETRY_AFTER {
                return false;
            }
        }
        if let Some(began) = fetches.began {
            tokio::time::sleep_until(began + REFRESH_AT_MOST_EVERY).await;
        }
        match self.refresh(&mut fetches).await {
            Ok(()) => true,
            Err(error) => {
                tracing::warn!(error = crate::error::chain(&error), "no fresh signing keys");
                false
            }
        }
    }

    async fn refresh(&self, fetches: &mut Fetches) -> Result<(), JwksError> {
        let began = Instant::now();
        fetches.began = Some(began);
        let fetched = self.fetch().await;
        fetches.last = Some(LastFetch {
            began,
            ended: Instant::now(),
            ok: fetched.is_ok(),
        });
        self.reachable.store(fetched.is_ok(), Ordering::Relaxed);
        metrics::counter!("lotoai_gateway_jwks_fetches_total",
            "outcome" => if fetched.is_ok() { "ok" } else { "failed" })
        .increment(1);
        let (by_id, for_sign_in) = fetched?;
        let mut keys = self.keys.write().unwrap_or_else(PoisonError::into_inner);
        let same = keys.for_sign_in.as_ref() == Some(&for_sign_in);
        if !same {
            *keys = Keys {
                by_id,
                for_sign_in: Some(for_sign_in),
                generation: keys.generation.wrapping_add(1),
            };
        }
        Ok(())
    }

    async fn fetch(&self) -> Result<(HashMap<String, SigningKey>, CoreJsonWebKeySet), JwksError> {
        let endpoints = self.discovery.endpoints().await.context(DiscoverSnafu)?;
        let body = self
            .http
            .get(endpoints.jwks.clone(), MAX_BYTES)
            .await
            .context(FetchSnafu)?;
        key_set(&body).context(ReadSnafu)
    }
}

/// Reads a key set: the keys that may sign tokens, by their ids, and the set as the sign-in library
/// takes it. A key that is not understood is passed over: realms also publish encryption keys and
/// newer algorithms.
///
/// # Errors
/// When it is no key set.
pub fn key_set(
    body: &[u8],
) -> Result<(HashMap<String, SigningKey>, CoreJsonWebKeySet), serde_json::Error> {
    #[derive(Deserialize)]
    struct Raw {
        keys: Vec<serde_json::Value>,
    }
    let for_sign_in = serde_json::from_slice(body)?;
    let raw: Raw = serde_json::from_slice(body)?;
    let by_id = raw
        .keys
        .into_iter()
        .filter_map(|value| serde_json::from_value::<Jwk>(value).ok())
        .filter_map(|jwk| {
            if matches!(jwk.common.public_key_use, Some(PublicKeyUse::Encryption)) {
                return None;
            }
            let algorithm = match &jwk.algorithm {
                AlgorithmParameters::RSA(_) => Algorithm::RS256,
                AlgorithmParameters::EllipticCurve(curve)
                    if curve.curve == jsonwebtoken::jwk::EllipticCurve::P256 =>
                {
                    Algorithm::ES256
                }
                _ => return None,
            };
            let key = DecodingKey::from_jwk(&jwk).ok()?;
            Some((
                jwk.common.key_id?,
                SigningKey {
                    algorithm,
                    key: Arc::new(key),
                },
            ))
        })
        .collect();
    Ok((by_id, for_sign_in))
}
