//! Who may call this service: one bearer token per caller, from `CALLER_TOKEN_<FROM>`.

use std::sync::Arc;
use std::task::{Context, Poll};

use axum::body::Body;
use axum::response::Response;
use futures::future::Either;
use http::{Request, StatusCode, header};
use secrecy::{ExposeSecret, SecretString};
use sha2::{Digest, Sha256};
use snafu::Snafu;
use subtle::{Choice, ConstantTimeEq};
use tower::{Layer, Service};

use crate::http_error::ApiError;

/// Variables whose name begins like this hold a caller's token.
const PREFIX: &str = "CALLER_TOKEN_";
/// Variables whose name ends like this hold another token of the same caller, valid as well.
const STANDBY: &str = "_STANDBY";
/// A shorter token is refused at start: it would be guessable.
const MIN_TOKEN_BYTES: usize = 16;

/// The call has no token that we know.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Snafu)]
#[snafu(display("the call carries no valid bearer token; send Authorization: Bearer <token>"))]
pub struct Unauthorized;

/// A caller whose token was right.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Caller<'a> {
    /// Name of the calling component, for example `orchestrator`.
    pub name: &'a str,
}

/// The name of the calling component, in the extensions of a request that was let in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CallerName(pub Arc<str>);

#[derive(Debug)]
struct Known {
    name: Arc<str>,
    digest: [u8; 32],
}

/// The callers of this service. Only digests of the tokens are kept.
#[derive(Debug, Clone)]
pub struct Callers {
    known: Arc<[Known]>,
}

impl Callers {
    /// Reads every `CALLER_TOKEN_<FROM>` and `CALLER_TOKEN_<FROM>_STANDBY`. Without any, every call is refused and a warning says so.
    #[must_use]
    pub fn from_env() -> Self {
        let found = std::env::vars_os().filter_map(|(variable, token)| {
            let from = variable.to_str()?.strip_prefix(PREFIX)?.to_owned();
            Some((from, SecretString::from(token.into_string().ok()?)))
        });
        Self::new(found)
    }

    /// The callers with these names (as in the variable: `RAG_INGEST`, `RAG_INGEST_STANDBY`) and
    /// tokens. A token of
    /// less than 16 bytes is ignored, with a warning.
    pub fn new(tokens: impl IntoIterator<Item = (String, SecretString)>) -> Self {
        let mut known = Vec::new();
        for (from, token) in tokens {
            if token.expose_secret().len() < MIN_TOKEN_BYTES {
                tracing::warn!(
                    "{PREFIX}{from} is shorter than {MIN_TOKEN_BYTES} bytes and is ignored"
                );
                continue;
            }
            let from = from.strip_suffix(STANDBY).unwrap_or(&from);
            let name = from.to_ascii_lowercase().replace('_', "-").into();
            known.push(Known {
                name,
                digest: digest(token.expose_secret()),
            });
        }
        if known.is_empty() {
            tracing::warn!("no {PREFIX}<FROM> is set: every call will be refused");
        }
        Self {
            known: known.into(),
        }
    }

    /// Who calls, by the value of the `Authorization` header. Takes the same time whichever token
    /// is right and wherever a wrong one differs: digests are compared, all of them.
    ///
    /// # Errors
    /// There is no bearer token, or it is nobody's.
    pub fn check(&self, authorization: Option<&str>) -> Result<Caller<'_>, Unauthorized> {
        self.find(authorization)
            .map(|known| Caller { name: &known.name })
    }

    fn find(&self, authorization: Option<&str>) -> Result<&Known, Unauthorized> {
        let token = authorization.and_then(bearer).ok_or(Unauthorized)?;
        let given = digest(token);
        let mut found = None;
        for known in self.known.iter() {
            let same: Choice = known.digest.ct_eq(&given);
            if same.into() {
                found = Some(known);
            }
        }
        found.ok_or(Unauthorized)
    }

    /// A layer that answers 401 to a call without a valid token, and tells the others who calls
    /// with a [`CallerName`] in the extensions.
    #[must_use]
    pub fn layer(&self) -> CallerLayer {
        CallerLayer {
            callers: self.clone(),
        }
    }

    /// The same as an interceptor: `UNAUTHENTICATED` without a valid token.
    #[cfg(feature = "grpc")]
    #[must_use]
    pub fn interceptor(&self) -> CallerInterceptor {
        CallerInterceptor {
            callers: self.clone(),
        }
    }
}

fn bearer(value: &str) -> Option<&str> {
    let (scheme, token) = value.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
}

fn digest(token: &str) -> [u8; 32] {
    Sha256::digest(token.as_bytes()).into()
}

/// See [`Callers::layer`].
#[derive(Debug, Clone)]
pub struct CallerLayer {
    callers: Callers,
}

impl<S> Layer<S> for CallerLayer {
    type Service = CallerService<S>;

    fn layer(&self, inner: S) -> Self::Service {
        CallerService {
            inner,
            callers: self.callers.clone(),
        }
    }
}

/// See [`Callers::layer`].
#[derive(Debug, Clone)]
pub struct CallerService<S> {
    inner: S,
    callers: Callers,
}

impl<S> Service<Request<Body>> for CallerService<S>
where
    S: Service<Request<Body>, Response = Response>,
{
    type Response = Response;
    type Error = S::Error;
    type Future = Either<std::future::Ready<Result<Response, S::Error>>, S::Future>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, mut request: Request<Body>) -> Self::Future {
        let header = request.headers().get(header::AUTHORIZATION);
        match self
            .callers
            .find(header.and_then(|value| value.to_str().ok()))
        {
            Ok(known) => {
                let name = CallerName(Arc::clone(&known.name));
                request.extensions_mut().insert(name);
                Either::Right(self.inner.call(request))
            }
            Err(error) => {
                let refusal =
                    ApiError::new(StatusCode::UNAUTHORIZED, "invalid_token", error.to_string());
                Either::Left(std::future::ready(Ok(refusal.openai())))
            }
        }
    }
}

/// See [`Callers::interceptor`].
#[cfg(feature = "grpc")]
#[derive(Debug, Clone)]
pub struct CallerInterceptor {
    callers: Callers,
}

#[cfg(feature = "grpc")]
impl tonic::service::Interceptor for CallerInterceptor {
    fn call(
        &mut self,
        mut request: tonic::Request<()>,
    ) -> Result<tonic::Request<()>, tonic::Status> {
        let header = request
            .metadata()
            .get("authorization")
            .and_then(|value| value.to_str().ok());
        match self.callers.find(header) {
            Ok(known) => {
                let name = CallerName(Arc::clone(&known.name));
                request.extensions_mut().insert(name);
                Ok(request)
            }
            Err(error) => Err(tonic::Status::unauthenticated(error.to_string())),
        }
    }
}

#[cfg(test)]
mod tests;
