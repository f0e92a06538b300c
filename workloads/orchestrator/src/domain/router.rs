//! Knowledge, an agent role, or a tool? Pure and deterministic: the same signals give the same
//! decision, with the reason in words.

use super::rules::Form;

/// A tool must reach this. Measured with all-MiniLM-L6-v2 over the questions of `router_cases.json`:
/// questions for a tool score 0.57 to 0.83 after the adjustments below, the nearest question for
/// something else 0.42.
pub const TOOL_MIN: f32 = 0.50;
/// And beat the best passage by this, unless the question holds all of its typed arguments.
pub const TOOL_OVER_KNOWLEDGE: f32 = 0.05;
/// Added when every required argument was found and at least one by its form: two dates next to a
/// tool that wants two dates are better evidence than the words around them.
pub const ARGUMENTS_FIT: f32 = 0.20;
/// Taken off when the tool needs arguments and the question holds none of them.
pub const ARGUMENTS_ABSENT: f32 = 0.15;
/// Taken off when the question asks for an explanation: near a tool it is mostly about the
/// documents on the same subject ("Where is the usage of the platform stored?" has 0.62 with the
/// tool that counts usage).
pub const EXPLANATION_MALUS: f32 = 0.20;
/// A passage below this does not answer. Questions that the sample documents answer score 0.31 to
/// 0.84, other questions at most 0.14.
pub const KNOWLEDGE_MIN: f32 = 0.25;
/// A role below this is not meant by its description; measured: 0.20 to 0.37 for requests that
/// fit the description of a role, at most 0.08 for a remark that fits none.
pub const ROLE_MIN: f32 = 0.17;
/// The role that takes what fits no description, when it exists; else the first one.
pub const DEFAULT_ROLE: &str = "assistant";

/// How well a tool fits.
#[derive(Debug, Clone, PartialEq)]
pub struct ToolSignal {
    /// Name of the tool.
    pub name: String,
    /// Similarity of the question with the tool's description, -1 to 1.
    pub similarity: f32,
    /// All required arguments are in the question, at least one found by its form.
    pub arguments_fit: bool,
    /// It needs arguments and none is in the question.
    pub arguments_absent: bool,
}

/// How well a role fits.
#[derive(Debug, Clone, PartialEq)]
pub struct RoleSignal {
    /// Name of the role.
    pub name: String,
    /// Similarity of the question with the role's description, -1 to 1.
    pub similarity: f32,
    /// Can it be trusted with facts?
    pub capable: bool,
}

/// Everything that the decision rests on.
#[derive(Debug, Clone, PartialEq)]
pub struct Signals {
    /// What kind of request it is.
    pub form: Form,
    /// A role that the request asks for by name.
    pub asked_role: Option<String>,
    /// A tool that the request names, or that an earlier answer asked arguments for.
    pub named_tool: Option<String>,
    /// A tool that calculates, when the request holds a calculation.
    pub calculator: Option<String>,
    /// Tools that the platform has.
    pub tools: Vec<ToolSignal>,
    /// Roles that the caller may use.
    pub roles: Vec<RoleSignal>,
    /// Score of the best passage; `None` when the search found nothing.
    pub knowledge: Option<f32>,
}

/// Where the request goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Route {
    /// To the documents.
    Knowledge,
    /// To a role.
    Agent(String),
    /// To a tool.
    Tool(String),
}

/// A decision with its reason.
#[derive(Debug, Clone, PartialEq)]
pub struct Decision {
    /// Where.
    pub route: Route,
    /// Why, one sentence.
    pub reason: String,
    /// How sure, 0 to 1.
    pub confidence: f32,
}

/// Decides.
#[must_use]
pub fn decide(signals: &Signals) -> Decision {
    certain(signals).unwrap_or_else(|| by_default(signals))
}

/// Decides when something speaks for a route; `None` = only the default is left, which is right
/// only if every signal could be had.
#[must_use]
pub fn certain(signals: &Signals) -> Option<Decision> {
    by_name(signals)
        .or_else(|| by_tool(signals))
        .or_else(|| by_creation(signals))
        .or_else(|| by_knowledge(signals))
}

fn by_name(signals: &Signals) -> Option<Decision> {
    let decision = |route, reason: String| Decision {
        route,
        reason,
        confidence: 1.0,
    };
    if let Some(role) = &signals.asked_role {
        let reason = format!("The request asks for the role {role} by name.");
        return Some(decision(Route::Agent(role.clone()), reason));
    }
    if let Some(tool) = &signals.named_tool {
        let reason = format!("The request is for the tool {tool} by name.");
        return Some(decision(Route::Tool(tool.clone()), reason));
    }
    let tool = signals.calculator.as_ref()?;
    let reason = format!("The request is a calculation and the tool {tool} calculates.");
    Some(decision(Route::Tool(tool.clone()), reason))
}

/// The similarity of a tool with what the arguments and the form of the request say.
#[must_use]
pub fn tool_score(tool: &ToolSignal, form: Form) -> f32 {
    let mut score = tool.similarity;
    if tool.arguments_fit {
        score += ARGUMENTS_FIT;
    }
    if tool.arguments_absent {
        score -= ARGUMENTS_ABSENT;
    }
    if form == Form::Explanation {
        score -= EXPLANATION_MALUS;
    }
    score
}

fn by_tool(signals: &Signals) -> Option<Decision> {
    if matches!(signals.form, Form::Creation | Form::Greeting) {
        return None;
    }
    let scored = signals
        .tools
        .iter()
        .map(|tool| (tool, tool_score(tool, signals.form)));
    let (tool, score) = scored.max_by(|a, b| a.1.total_cmp(&b.1))?;
    let knowledge = signals.knowledge.unwrap_or_default();
    let wins = tool.arguments_fit || score > knowledge + TOOL_OVER_KNOWLEDGE;
    (score >= TOOL_MIN && wins).then(|| {
        let arguments = if tool.arguments_fit {
            " and the request holds its arguments"
        } else {
            ""
        };
        Decision {
            route: Route::Tool(tool.name.clone()),
            reason: format!(
                "The tool {} fits with {score:.2}{arguments}; the best passage has {knowledge:.2}.",
                tool.name
            ),
            confidence: score.clamp(0.0, 1.0),
        }
    })
}

/// New text and small talk go to a role, whatever the documents say.
fn by_creation(signals: &Signals) -> Option<Decision> {
    let what = match signals.form {
        Form::Creation => "asks for new text",
        Form::Greeting => "is a greeting",
        _ => return None,
    };
    let role = best_role(signals)?;
    Some(Decision {
        route: Route::Agent(role.name.clone()),
        reason: format!("The request {what}; the role {} fits best.", role.name),
        confidence: 0.8,
    })
}

fn by_knowledge(signals: &Signals) -> Option<Decision> {
    let score = signals.knowledge.filter(|score| *score >= KNOWLEDGE_MIN)?;
    Some(Decision {
        route: Route::Knowledge,
        reason: format!("The documents hold a passage that fits with {score:.2}."),
        confidence: score.clamp(0.0, 1.0),
    })
}

/// Nothing fits. A question goes to a role that can be trusted with facts; without one it is
/// better to say that nothing was found than to let a weak model invent. The rest goes to a role.
fn by_default(signals: &Signals) -> Decision {
    let trusted = if signals.form.asks() {
        signals
            .roles
            .iter()
            .filter(|role| role.capable)
            .max_by(by_similarity)
    } else {
        best_role(signals)
    };
    match trusted {
        Some(role) => Decision {
            route: Route::Agent(role.name.clone()),
            reason: format!(
                "No tool and no document fits; the role {} takes it.",
                role.name
            ),
            confidence: 0.4,
        },
        None => Decision {
            route: Route::Knowledge,
            reason: "No tool and no document fits, and no role can be trusted with facts."
                .to_owned(),
            confidence: 0.2,
        },
    }
}

fn by_similarity(a: &&RoleSignal, b: &&RoleSignal) -> std::cmp::Ordering {
    a.similarity.total_cmp(&b.similarity)
}

fn best_role(signals: &Signals) -> Option<&RoleSignal> {
    let best = signals.roles.iter().max_by(by_similarity)?;
    if best.similarity >= ROLE_MIN && signals.form != Form::Greeting {
        return Some(best);
    }
    let default = signals.roles.iter().find(|role| role.name == DEFAULT_ROLE);
    default.or(signals.roles.first())
}

#[cfg(test)]
mod tests;
