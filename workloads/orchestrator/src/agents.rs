//! Roles and their models.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use lotoai_contracts::v1::{
    CompleteRequest, ListRolesRequest, Role, agents_client::AgentsClient, complete_event::Event,
};
use lotoai_kit::upstream::GrpcChannel;
use tokio::time::{Instant, timeout};
use tonic::{Code, Status, Streaming};

use crate::failure::Failure;

const SERVICE: &str = "agents";
const LIST_TIMEOUT: Duration = Duration::from_secs(5);
/// The agents service has its own limits (105 s for the whole call, of which a model may think for 90);
/// these only notice when it is gone itself, before the gateway does.
const SILENCE_TIMEOUT: Duration = Duration::from_secs(110);
/// Roles change with a new configuration only, which restarts the agents service.
const ROLES_FRESH_FOR: Duration = Duration::from_secs(10);

type Cached = Option<(Instant, Arc<Vec<Role>>)>;

/// A client of `lotoai.v1.Agents`.
#[derive(Clone)]
pub struct Agents {
    client: AgentsClient<GrpcChannel>,
    roles: Arc<Mutex<Cached>>,
}

/// A completion that did not begin.
#[derive(Debug)]
pub struct Unbegun {
    /// Why.
    pub failure: Failure,
    /// Whether a model may have been asked all the same.
    pub model_asked: bool,
}

impl Unbegun {
    fn of_status(status: &Status) -> Self {
        // Refused, or never reached: the agents service asks a model in neither case.
        let is_turned_away = matches!(
            status.code(),
            Code::Unauthenticated
                | Code::PermissionDenied
                | Code::InvalidArgument
                | Code::Unavailable
        );
        Self {
            failure: Failure::from_status(SERVICE, status),
            model_asked: !is_turned_away,
        }
    }
}

/// The events of one completion.
pub struct Completion(Streaming<lotoai_contracts::v1::CompleteEvent>);

impl Agents {
    /// A client on a channel.
    #[must_use]
    pub fn new(channel: GrpcChannel) -> Self {
        Self {
            client: AgentsClient::new(channel),
            roles: Arc::default(),
        }
    }

    /// All roles, at most ten seconds old.
    ///
    /// # Errors
    /// The agents service is away or too slow.
    pub async fn roles(&self) -> Result<Arc<Vec<Role>>, Failure> {
        let cached = self
            .roles
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone();
        match cached {
            Some((at, roles)) if at.elapsed() < ROLES_FRESH_FOR => Ok(roles),
            _ => self.fetch_roles().await,
        }
    }

    /// All roles, asked for now.
    ///
    /// # Errors
    /// The agents service is away or too slow.
    pub async fn fetch_roles(&self) -> Result<Arc<Vec<Role>>, Failure> {
        let mut client = self.client.clone();
        let response = match timeout(LIST_TIMEOUT, client.list_roles(ListRolesRequest {})).await {
            Ok(Ok(response)) => response.into_inner(),
            Ok(Err(status)) => return Err(Failure::from_status(SERVICE, &status)),
            Err(_) => return Err(Failure::dependency(SERVICE, "too slow")),
        };
        let roles = Arc::new(response.roles);
        *self.roles.lock().unwrap_or_else(PoisonError::into_inner) =
            Some((Instant::now(), Arc::clone(&roles)));
        Ok(roles)
    }

    /// Begins a completion; dropping it ends the call at the provider.
    ///
    /// # Errors
    /// The agents service is away or refuses the request.
    pub async fn complete(&self, request: CompleteRequest) -> Result<Completion, Unbegun> {
        let mut client = self.client.clone();
        match timeout(SILENCE_TIMEOUT, client.complete(request)).await {
            Ok(Ok(response)) => Ok(Completion(response.into_inner())),
            Ok(Err(status)) => Err(Unbegun::of_status(&status)),
            Err(_) => Err(Unbegun {
                failure: Failure::dependency(SERVICE, "too slow"),
                model_asked: true,
            }),
        }
    }
}

impl Completion {
    /// The next event.
    ///
    /// # Errors
    /// The stream broke, went silent, or ended without `finished` or `failed`.
    pub async fn next(&mut self) -> Result<Event, Failure> {
        loop {
            match timeout(SILENCE_TIMEOUT, self.0.message()).await {
                Ok(Ok(Some(message))) => {
                    // An event of a kind that this version does not know is skipped.
                    if let Some(event) = message.event {
                        return Ok(event);
                    }
                }
                Ok(Ok(None)) => return Err(Failure::dependency(SERVICE, "it broke off")),
                Ok(Err(status)) => return Err(Failure::from_status(SERVICE, &status)),
                Err(_) => return Err(Failure::dependency(SERVICE, "it fell silent")),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[rstest::rstest]
    #[case(Code::Unavailable, false)]
    #[case(Code::PermissionDenied, false)]
    #[case(Code::InvalidArgument, false)]
    #[case(Code::Unknown, true)]
    #[case(Code::Internal, true)]
    #[case(Code::DeadlineExceeded, true)]
    fn who_is_turned_away_has_asked_no_model(#[case] code: Code, #[case] expected: bool) {
        let unbegun = Unbegun::of_status(&Status::new(code, "m"));
        assert_eq!(unbegun.model_asked, expected);
    }
}
