//! The story that `kubectl describe` tells: from the status that was, the status that is and what a
//! pass did to a few events.
//!
//! What goes on without news gives none. What begins in one pass and ends in another is kept in a
//! [`Story`], one per platform, which a process that has just started does not have: it tells the
//! ends of what it saw begin.

mod conditions;
mod facts;

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};
use lotoai_api::{LotoAIStatus, Store, reasons};

use crate::resources::ObjectId;
use crate::status::Judgement;

pub use facts::{Facts, Failed, NextAuthority, Renewed, Started, provisioned, started};

/// A platform that was never ready may leave questions unanswered for this long before that is
/// told: the first ones often come a moment too early.
const PROBE_PATIENCE: SignedDuration = SignedDuration::from_secs(20);
/// Names that a note lists before it only counts.
const NAMES: usize = 8;

/// Whether an event tells of a problem.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tone {
    /// As it should be.
    Normal,
    /// Something is wrong.
    Warning,
}

/// One event on the resource.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    /// Whether it tells of a problem.
    pub tone: Tone,
    /// One of [`reasons`].
    pub reason: String,
    /// What the operator did, as one word for machines.
    pub action: &'static str,
    /// What happened, for people.
    pub note: String,
    /// Another object that it is about.
    pub about: Option<ObjectId>,
}

impl Event {
    fn new(tone: Tone, reason: &str, action: &'static str, note: impl Into<String>) -> Self {
        Self {
            tone,
            reason: reason.to_owned(),
            action,
            note: note.into(),
            about: None,
        }
    }

    fn normal(reason: &str, action: &'static str, note: impl Into<String>) -> Self {
        Self::new(Tone::Normal, reason, action, note)
    }

    fn about(self, object: Option<ObjectId>) -> Self {
        Self {
            about: object,
            ..self
        }
    }
}

/// One pass, as far as it matters to the story.
#[derive(Debug, Clone, Copy)]
pub struct Turn<'a> {
    /// The status before the pass.
    pub before: Option<&'a LotoAIStatus>,
    /// The status after it.
    pub after: &'a Judgement,
    /// What it did.
    pub facts: &'a Facts,
}

/// Work that takes several passes.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Work {
    /// The first look at a resource.
    First,
    /// A changed resource.
    Generation(i64),
    /// The operator brings another version than the one that the platform runs.
    Upgrade { from: String, to: String },
}

impl Work {
    /// What the pass begins, if it begins anything.
    fn of(turn: &Turn<'_>) -> Option<Self> {
        let after = &turn.after.status;
        let seen = turn
            .before
            .and_then(|before| Some((before, before.observed_generation?)));
        let Some((before, generation)) = seen else {
            return Some(Self::First);
        };
        let planned = turn.after.upgrading_to.as_ref().or(after.version.as_ref());
        match (&before.version, planned) {
            (Some(from), Some(to)) if from != to => Some(Self::Upgrade {
                from: from.clone(),
                to: to.clone(),
            }),
            _ => after
                .observed_generation
                .filter(|now| *now != generation)
                .map(Self::Generation),
        }
    }

    /// Both at once: a new generation that comes during an upgrade or a first roll-out is part of
    /// it.
    fn and(earlier: Option<Self>, later: Self) -> Self {
        match (earlier, later) {
            (Some(earlier @ (Self::First | Self::Upgrade { .. })), Self::Generation(_)) => earlier,
            (_, later) => later,
        }
    }

    fn begins(&self, changed: &[ObjectId]) -> Event {
        let objects = facts::names(changed);
        match self {
            Self::First => Event::normal(
                reasons::PROGRESSING,
                "Apply",
                format!(
                    "Makes the platform: {} objects so far, the rest as soon as what it needs is \
                     ready",
                    changed.len()
                ),
            ),
            Self::Generation(generation) => Event::normal(
                reasons::PROGRESSING,
                "Apply",
                format!("Generation {generation} of the resource changes {objects}"),
            ),
            Self::Upgrade { from, to } => Event::normal(
                reasons::UPGRADING,
                "Upgrade",
                format!("From version {from} to {to}: changes {objects}"),
            ),
        }
    }
}

/// Questions of a platform that was never ready.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Unanswered {
    since: Timestamp,
    told: bool,
}

/// What has begun and not ended yet, of one platform.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Story {
    /// Conditions, generation and version of the last pass. What the pass was given may be older,
    /// because a watch takes its time, and would be told twice.
    last: Option<LotoAIStatus>,
    /// Work that has changed nothing yet.
    pending: Option<Work>,
    /// Work whose beginning was told.
    under_way: Option<Work>,
    /// What was wrong while the platform was ready.
    trouble: Option<String>,
    /// Stores whose Job is complete; nothing before the first look of this process.
    provisioned: Option<BTreeMap<Store, String>>,
    unanswered: Option<Unanswered>,
}

impl Story {
    /// What a pass adds to the story, in the order in which it happened.
    pub fn tell(&mut self, turn: &Turn<'_>, now: Timestamp) -> Vec<Event> {
        let last = self.last.replace(essence(&turn.after.status));
        let turn = &Turn {
            before: last.as_ref().or(turn.before),
            ..*turn
        };
        let mut events = Vec::new();
        events.extend(self.begins(turn));
        events.extend(turn.facts.events(!conditions::was_up(turn.before)));
        events.extend(self.provisions(turn.facts));
        events.extend(conditions::milestones(turn));
        events.extend(conditions::troubles(turn));
        events.extend(self.unanswered(turn, now));
        events.extend(self.ends(turn));
        events
    }

    fn begins(&mut self, turn: &Turn<'_>) -> Option<Event> {
        if let Some(work) = Work::of(turn) {
            self.pending = Some(Work::and(self.pending.take(), work));
        }
        let changed = &turn.facts.changed;
        if changed.is_empty() {
            return None;
        }
        let work = self.pending.take()?;
        if matches!(work, Work::Upgrade { .. }) && self.under_way.as_ref() == Some(&work) {
            // The next of its components; its beginning was told.
            return None;
        }
        let event = work.begins(changed);
        self.under_way = Some(Work::and(self.under_way.take(), work));
        Some(event)
    }

    /// One event for each store that has become ready for use since the last look.
    fn provisions(&mut self, facts: &Facts) -> Vec<Event> {
        let Some(now) = &facts.provisioned else {
            return Vec::new();
        };
        let before = self.provisioned.replace(now.clone());
        let Some(before) = before else {
            // Who knows when that happened.
            return Vec::new();
        };
        now.iter()
            .filter(|(store, job)| before.get(store) != Some(*job))
            .map(|(store, job)| {
                let note = format!("The provision Job of {} is complete", store.name());
                Event::normal(reasons::PROVISIONED, "Provision", note)
                    .about(Some(ObjectId::new("Job", job)))
            })
            .collect()
    }

    /// A platform that loses `Ready` tells so at once, so this is for one that never was.
    fn unanswered(&mut self, turn: &Turn<'_>, now: Timestamp) -> Option<Event> {
        let ready = turn.after.status.condition(reasons::READY)?;
        if ready.reason != reasons::PROBE_FAILED {
            self.unanswered = None;
            return None;
        }
        let lost = conditions::is_true(turn.before, reasons::READY);
        let unanswered = self.unanswered.get_or_insert(Unanswered {
            since: now,
            told: lost,
        });
        if unanswered.told || now.duration_since(unanswered.since) < PROBE_PATIENCE {
            return None;
        }
        unanswered.told = true;
        let note = ready.message.clone();
        Some(Event::new(Tone::Warning, &ready.reason, "Probe", note))
    }

    /// What ends with a pass after which nothing is left to do.
    fn ends(&mut self, turn: &Turn<'_>) -> Option<Event> {
        let was_ready = conditions::is_true(turn.before, reasons::READY);
        let trouble = conditions::trouble(turn.before)
            .or_else(|| conditions::trouble(Some(&turn.after.status)))
            .or_else(|| turn.facts.failure.as_ref().map(|failed| &*failed.message));
        if let Some(trouble) = trouble {
            self.trouble = Some(conditions::brief(trouble));
        }
        // What was changed in this pass shows its effect in the next one.
        if !conditions::settled(&turn.after.status) || !turn.facts.changed.is_empty() {
            return None;
        }
        self.pending = None;
        match (self.under_way.take(), self.trouble.take()) {
            (Some(Work::Upgrade { from, to }), _) => Some(Event::normal(
                reasons::UPGRADED,
                "Upgrade",
                format!("Runs version {to} (before: {from})"),
            )),
            (_, Some(trouble)) if was_ready => Some(Event::normal(
                reasons::RECOVERED,
                "Observe",
                format!("Every part is ready again, after {trouble}"),
            )),
            (Some(Work::Generation(generation)), None) if was_ready => Some(Event::normal(
                reasons::ROLLED_OUT,
                "Observe",
                format!("Every part runs what generation {generation} of the resource asks for"),
            )),
            // `Available` tells the rest.
            _ => None,
        }
    }
}

/// What a story needs of a status.
fn essence(status: &LotoAIStatus) -> LotoAIStatus {
    LotoAIStatus {
        conditions: status.conditions.clone(),
        observed_generation: status.observed_generation,
        version: status.version.clone(),
        ..LotoAIStatus::default()
    }
}

#[cfg(test)]
mod tests;
