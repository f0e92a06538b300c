//! Asks every service at once for what the decision rests on.

mod search;

use std::sync::Arc;

use jiff::{Timestamp, civil::Date, tz::TimeZone};
use lotoai_contracts::v1::{Citation, Role};
use lotoai_policy::declared::may_use;
use rmcp::model::Tool;

use super::{Hub, session::Session};
use crate::{
    domain::{
        arguments::{self, Extraction},
        gloss,
        language::Language,
        phrases,
        router::{RoleSignal, Signals, ToolSignal},
        rules, sentences,
        text::cosine,
    },
    failure::Failure,
    rag::Missed,
};

use search::search;
pub use search::search_again;

/// Passages that are asked for.
pub const PASSAGES: u32 = 6;
/// Sentences of a tool's description that are compared.
const MAX_TOOL_SENTENCES: usize = 4;
/// Examples of a tool that are compared.
const MAX_TOOL_EXAMPLES: usize = 8;

/// Bytes of a reading that is searched and compared with. The embedding model reads the first 256
/// tokens, about 1 KiB; it and the search refuse more than 8 KiB.
const MAX_READING_BYTES: usize = 4096;

/// A reading of the question: as asked, or in English.
#[derive(Debug, Clone)]
pub struct Reading {
    /// The text.
    pub text: String,
    /// Its vector; `None` when the model server did not answer.
    pub vector: Option<Vec<f32>>,
}

/// What the services said.
pub struct Gathered {
    /// The question, and its English gloss when it is Spanish.
    pub readings: Vec<Reading>,
    /// Roles that the caller may use.
    pub roles: Vec<Role>,
    /// Similarity of each role.
    role_scores: Vec<f32>,
    /// Tools that the caller may use.
    pub tools: Arc<Vec<Tool>>,
    /// Similarity of each tool.
    tool_scores: Vec<f32>,
    /// Passages, best first.
    pub hits: Vec<Citation>,
    /// Score of the best passage for the router.
    knowledge: Option<f32>,
    /// Whether the passages could not be had, and may be in a moment.
    search_passes: bool,
    /// What could not be had.
    pub failures: Vec<Failure>,
    /// A tool that an earlier answer asked arguments for, and what the user had asked of it.
    pub continued: Option<(String, String)>,
}

/// Asks for everything; what fails is noted and left empty.
pub async fn gather(hub: &Hub, session: &Session) -> Gathered {
    let texts = readings(&session.question, session.language);
    let refs: Vec<&str> = texts.iter().map(String::as_str).collect();
    let (roles, tools, vectors, hits) = tokio::join!(
        hub.agents.roles(),
        hub.mcp.tools(&session.caller),
        hub.embeddings.embed(&refs),
        search(hub, session, &refs),
    );
    let mut failures = Vec::new();
    let mut note = |failure: Failure| failures.push(failure);
    let roles: Vec<Role> = roles
        .map(|roles| {
            roles
                .iter()
                .filter(|r| may_use(&r.groups, &session.caller.groups))
                .cloned()
                .collect()
        })
        .unwrap_or_else(|failure| {
            note(failure);
            Vec::new()
        });
    let tools = tools.unwrap_or_else(|failure| {
        note(failure);
        Arc::default()
    });
    let search_passes = hits.as_ref().is_err_and(Missed::passes);
    let (hits, knowledge) = hits.unwrap_or_else(|missed| {
        note(missed.into());
        Default::default()
    });
    let vectors = vectors.map(Some).unwrap_or_else(|failure| {
        note(failure);
        None
    });
    let (tool_scores, role_scores) = match &vectors {
        Some(vectors) => scores(hub, vectors, &tools, &roles)
            .await
            .unwrap_or_else(|failure| {
                note(failure);
                Default::default()
            }),
        None => Default::default(),
    };
    let mut vectors = vectors.unwrap_or_default().into_iter();
    let readings = texts
        .into_iter()
        .map(|text| Reading {
            text,
            vector: vectors.next(),
        })
        .collect();
    let continued = continued(session, &tools);
    Gathered {
        readings,
        roles,
        role_scores,
        tools,
        tool_scores,
        hits,
        knowledge,
        search_passes,
        failures,
        continued,
    }
}

/// The question as asked and, when it is Spanish, in English.
#[must_use]
pub fn readings(question: &str, language: Language) -> Vec<String> {
    let question = readable(question);
    let mut readings = vec![question.to_owned()];
    if language == Language::Spanish {
        // Of a question without words (`¿?`) no gloss is left, and nothing can be searched with it.
        let gloss = gloss::english(question);
        let gloss = readable(&gloss);
        if !gloss.trim().is_empty() {
            readings.push(gloss.to_owned());
        }
    }
    readings
}

/// As much of a text as is searched and compared with.
#[must_use]
pub fn readable(text: &str) -> &str {
    let (head, _rest) = text.split_at(text.floor_char_boundary(MAX_READING_BYTES));
    head
}

/// The similarity of each tool and each role with the nearest reading.
async fn scores(
    hub: &Hub,
    readings: &[Vec<f32>],
    tools: &[Tool],
    roles: &[Role],
) -> Result<(Vec<f32>, Vec<f32>), Failure> {
    let tool_texts: Vec<Vec<String>> = tools.iter().map(tool_texts).collect();
    let role_texts: Vec<&str> = roles
        .iter()
        .map(|role| {
            if role.description.is_empty() {
                &role.name
            } else {
                &role.description
            }
        })
        .map(String::as_str)
        .collect();
    let flat: Vec<&str> = tool_texts
        .iter()
        .flatten()
        .map(String::as_str)
        .chain(role_texts.iter().copied())
        .collect();
    let vectors = hub.embeddings.embed_cached(&flat).await?;
    let near = |vector: &Vec<f32>| {
        readings
            .iter()
            .map(|reading| cosine(reading, vector))
            .fold(-1.0, f32::max)
    };
    let mut similarities = vectors.iter().map(near);
    let tool_scores = tool_texts
        .iter()
        .map(|texts| similarities.by_ref().take(texts.len()).fold(-1.0, f32::max))
        .collect();
    Ok((tool_scores, similarities.collect()))
}

/// What a tool is compared by: its name with the description, each sentence of the description
/// (a long description blurs: one that says four things is near to none of them), and each example
/// that its `_meta` gives under `lotoai.dev/examples`.
fn tool_texts(tool: &Tool) -> Vec<String> {
    let name = tool
        .title
        .clone()
        .unwrap_or_else(|| tool.name.replace(['_', '-'], " "));
    let description = tool.description.as_deref().unwrap_or_default();
    let mut texts = vec![format!("{name}. {description}")];
    let parts = sentences::split(description);
    texts.extend(
        parts
            .into_iter()
            .take(MAX_TOOL_SENTENCES)
            .map(|part| part.text),
    );
    let examples = tool
        .meta
        .as_ref()
        .and_then(|meta| meta.get("lotoai.dev/examples"));
    let examples = examples.and_then(|examples| examples.as_array());
    let examples = examples
        .into_iter()
        .flatten()
        .filter_map(|example| example.as_str());
    texts.extend(examples.take(MAX_TOOL_EXAMPLES).map(str::to_owned));
    texts
}

/// Did the last answer ask for the arguments of a tool? Then the user is answering that.
fn continued(session: &Session, tools: &[Tool]) -> Option<(String, String)> {
    let mut turns = session.messages.iter().rev().filter(|m| m.role != "system");
    let (_last, asked, before) = (turns.next()?, turns.next()?, turns.next()?);
    let ours = [Language::English, Language::Spanish]
        .iter()
        .any(|language| asked.content.starts_with(phrases::needs(*language)));
    if asked.role != "assistant" || !ours {
        return None;
    }
    let tool = tools
        .iter()
        .find(|tool| asked.content.contains(&format!("`{}`", tool.name)))?;
    Some((tool.name.to_string(), before.content.clone()))
}

/// Reads a tool's arguments from the question (and from the one before, when it is continued).
#[must_use]
pub fn extraction(gathered: &Gathered, session: &Session, tool: &Tool) -> Extraction {
    let text = match &gathered.continued {
        Some((name, before)) if *name == tool.name => format!("{before} {}", session.question),
        _ => session.question.clone(),
    };
    arguments::extract(&tool.input_schema, &text, session.language, today())
}

/// A role that the user asks for by name, and what is asked of it.
#[must_use]
pub fn asked_role<'s>(gathered: &Gathered, session: &'s Session) -> Option<(String, &'s str)> {
    let names: Vec<&str> = gathered
        .roles
        .iter()
        .map(|role| role.name.as_str())
        .collect();
    rules::asked_role(session.said(), &names).map(|(role, rest)| (role.to_owned(), rest))
}

/// Everything in the shape that the router takes.
#[must_use]
pub fn signals(gathered: &Gathered, session: &Session) -> Signals {
    let names: Vec<&str> = gathered
        .tools
        .iter()
        .map(|tool| tool.name.as_ref())
        .collect();
    let calculates = arguments::arithmetic(&session.question, session.language, today()).is_some();
    let mut calculator = None;
    let score = |scores: &[f32], at: usize| scores.get(at).copied().unwrap_or_default();
    let mut tools = Vec::new();
    for (at, tool) in gathered.tools.iter().enumerate() {
        let found = extraction(gathered, session, tool);
        if calculates && found.fits() && found.arguments.contains_key("expression") {
            calculator = Some(tool.name.to_string());
        }
        tools.push(ToolSignal {
            name: tool.name.to_string(),
            similarity: score(&gathered.tool_scores, at),
            arguments_fit: found.fits(),
            arguments_absent: found.arguments.is_empty() && !found.missing.is_empty(),
        });
    }
    let continued = gathered.continued.as_ref().map(|(tool, _)| tool.clone());
    let named = || rules::named_tool(&session.question, &names).map(str::to_owned);
    Signals {
        form: rules::form(&session.question),
        asked_role: asked_role(gathered, session).map(|(role, _)| role),
        named_tool: continued.or_else(named),
        calculator,
        tools,
        roles: gathered
            .roles
            .iter()
            .enumerate()
            .map(|(at, role)| RoleSignal {
                name: role.name.clone(),
                similarity: score(&gathered.role_scores, at),
                capable: role.capable,
            })
            .collect(),
        knowledge: gathered.knowledge,
    }
}

fn today() -> Date {
    Timestamp::now().to_zoned(TimeZone::UTC).date()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_question_is_read_as_far_as_the_services_take_it() {
        let question = format!("¿{}?", "año ".repeat(4_000));
        let readings = readings(&question, Language::Spanish);
        assert_eq!(readings.len(), 2);
        for reading in readings {
            assert!(reading.len() <= MAX_READING_BYTES && reading.len() > MAX_READING_BYTES / 2);
        }
        assert_eq!(
            readable(&"日".repeat(2_000)).len(),
            4095,
            "whole characters"
        );
    }

    #[test]
    fn a_question_without_words_has_no_gloss() {
        assert_eq!(readings("¿?", Language::Spanish), ["¿?"]);
        assert_eq!(readings("why?", Language::English), ["why?"]);
    }
}
