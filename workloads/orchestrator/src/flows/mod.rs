//! How a request is answered: gathers signals, lets the pure code decide, stores the decision,
//! and follows the route.

pub mod agent;
pub mod consent;
pub mod gather;
pub mod knowledge;
pub mod probe;
pub mod session;
pub mod tool;

use lotoai_contracts::{
    failures,
    v1::{Role, Usage},
};
use lotoai_policy::declared::may_use;
use session::Session;

use crate::{
    agents::Agents,
    config::AnswerArgs,
    domain::{
        router::{self, Decision, Route},
        rules,
    },
    embeddings::Embeddings,
    failure::Failure,
    mcp::Mcp,
    rag::Rag,
    store::Store,
};

/// The model that decides by itself.
pub const AUTOMATIC: &str = "lotoai";
/// The model that asks every hop and answers from a built-in passage.
pub const PROBE: &str = "probe";
/// What stands for a model where the orchestrator itself answered.
pub const EXTRACTIVE: &str = "extractive";

/// The services that an answer is made of.
#[derive(Clone)]
pub struct Hub {
    /// Roles and models.
    pub agents: Agents,
    /// Passages.
    pub rag: Rag,
    /// Tools.
    pub mcp: Mcp,
    /// Vectors.
    pub embeddings: Embeddings,
    /// Runs.
    pub store: Store,
    /// Limits.
    pub args: AnswerArgs,
}

/// How an answer ended well.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Done {
    /// `stop`, `length`, `content_filter`, `tool_calls`, `approval_required` or the provider's own
    /// word.
    pub finish_reason: String,
    /// Tokens, where a model answered.
    pub usage: Option<Usage>,
    /// The model that answered.
    pub model: String,
    /// Its provider.
    pub provider: String,
}

impl Done {
    /// The orchestrator answered without a completion model.
    #[must_use]
    pub fn extractive() -> Self {
        Self {
            finish_reason: "stop".to_owned(),
            usage: None,
            model: EXTRACTIVE.to_owned(),
            provider: AUTOMATIC.to_owned(),
        }
    }
}

/// Answers one request.
///
/// # Errors
/// What the caller should see as `failed`.
pub async fn answer(hub: &Hub, session: &mut Session) -> Result<Done, Failure> {
    let only_for_roles = session.only_for_roles();
    match (session.run.model.clone().as_str(), only_for_roles) {
        (PROBE, Some(param)) => Err(Failure::unsupported(
            param,
            format!("model `{PROBE}` takes neither tools nor a format: ask for plain text"),
        )),
        (PROBE, None) => Box::pin(probe::answer(hub, session)).await,
        (AUTOMATIC, Some(_)) => by_role(hub, session).await,
        (AUTOMATIC, None) => automatic(hub, session).await,
        (role, _) => named(hub, session, role).await,
    }
}

/// The caller named a role; nothing else is asked, so that a role works while search is down.
async fn named(hub: &Hub, session: &mut Session, name: &str) -> Result<Done, Failure> {
    let roles = hub.agents.roles().await?;
    let role = roles
        .iter()
        .find(|role| role.name == name && may_use(&role.groups, &session.caller.groups));
    let Some(role) = role else {
        return Err(Failure::permanent(
            failures::UNKNOWN_MODEL,
            format!(
                "model `{name}` does not exist: name `{AUTOMATIC}` or one that the list of models holds"
            ),
        ));
    };
    let decision = Decision {
        route: Route::Agent(role.name.clone()),
        reason: "The caller named the role as the model.".to_owned(),
        confidence: 1.0,
    };
    session.decide(hub, &decision).await?;
    agent::answer(hub, session, role, None).await
}

/// The caller brings functions of its own, or wants a format: a role answers, without documents and
/// tools of the platform. What comes back from a function must reach the model that asked for it, so
/// each turn of the loop goes to the same role, and nothing is searched for in between. Documents
/// and tools are answered from in plain text, with marks of citations.
async fn by_role(hub: &Hub, session: &mut Session) -> Result<Done, Failure> {
    let roles = hub.agents.roles().await?;
    let usable: Vec<&Role> = roles
        .iter()
        .filter(|role| may_use(&role.groups, &session.caller.groups))
        .collect();
    let names: Vec<&str> = usable.iter().map(|role| role.name.as_str()).collect();
    let asked = rules::asked_role(session.said(), &names);
    let asked = asked.map(|(name, rest)| (name, rest.to_owned()));
    let role = match &asked {
        Some((name, _)) => usable.iter().find(|role| role.name == *name),
        None => usable.iter().find(|role| role.capable).or(usable.first()),
    };
    let Some(role) = role else {
        return Err(Failure::permanent(
            failures::UNKNOWN_MODEL,
            "there is no agent role that you may use, and only roles take tools of the caller and \
             formats",
        ));
    };
    let reason = if session.about_functions().is_some() {
        "The caller brings its own tools, which agent roles use."
    } else {
        "The caller wants a format, which agent roles keep to."
    };
    let decision = Decision {
        route: Route::Agent(role.name.clone()),
        reason: reason.to_owned(),
        confidence: 1.0,
    };
    session.decide(hub, &decision).await?;
    let asked = asked.map(|(_, rest)| rest);
    agent::answer(hub, session, role, asked.as_deref()).await
}

async fn automatic(hub: &Hub, session: &mut Session) -> Result<Done, Failure> {
    let started = session.now();
    let mut gathered = gather::gather(hub, session).await;
    gather::search_again(hub, session, &mut gathered).await;
    let heard = gathered
        .failures
        .first()
        .map_or("ok", |failure| failure.code.as_str());
    session.step("decide", AUTOMATIC, heard, started);
    let signals = gather::signals(&gathered, session);
    let mut decision = match (router::certain(&signals), gathered.failures.first()) {
        (Some(decision), _) => decision,
        // What is missing might have decided; guessing would answer from the wrong place.
        (None, Some(failure)) => return Err(failure.clone()),
        (None, None) => router::decide(&signals),
    };
    for failure in &gathered.failures {
        decision
            .reason
            .push_str(&format!(" Decided without an answer of: {}.", failure.code));
    }
    session.decide(hub, &decision).await?;
    match &decision.route {
        Route::Knowledge => knowledge::answer(hub, session, &gathered).await,
        Route::Tool(name) => tool::answer(hub, session, &gathered, name).await,
        Route::Agent(name) => {
            let role = gathered
                .roles
                .iter()
                .find(|role| role.name == *name)
                .ok_or_else(|| {
                    Failure::permanent(
                        failures::UNKNOWN_MODEL,
                        format!("role `{name}` is not in the list"),
                    )
                })?;
            let asked = gather::asked_role(&gathered, session).map(|(_, rest)| rest.to_owned());
            agent::answer(hub, session, role, asked.as_deref()).await
        }
    }
}
