//! Rotation of credentials, one step of one Secret at a time.
//!
//! A Secret of an edge has two places: the credential that callers use, and a standby beside it
//! while both must be valid. Which of the two is the newer one is in an annotation, so that
//! everything is decided from what was read, and an operator that was killed goes on where it was:
//!
//! 1. [`Step::Introduce`]: a new credential in the standby's place. Whoever is called (a store
//!    through its provision Job, or a workload of ours) learns it beside the old one.
//! 2. [`Step::Promote`], once it knows both: they change places, so that callers restart with the
//!    new one.
//! 3. [`Step::Retire`], once no pod of a caller has the old one: the standby goes, and whoever is
//!    called forgets it.
//!
//! In a store the two are accounts of different names, which take turns; Qdrant, which has no
//! accounts, takes two keys. Of a client of Keycloak and of the key of sessions the gateway knows
//! both, of its own client the operator does, and the old key stays for as long as anything is
//! sealed with it. A provision Job knows both passwords of an administrator and signs in with
//! either. MinIO knows one at a time: its servers stop and start with the new one, all of them
//! together. Secrets that are at the same step take the next one together, so that a pod restarts
//! once for all of them.
//!
//! A credential that is given comes the same way: the Secret of the edge is a copy of the given one,
//! and a difference between the two is the request.

mod subject;

use jiff::{SignedDuration, Timestamp};
use lotoai_api::Store;

use crate::credentials::{API_KEY, KEY, PASSWORD, TOKEN, USERNAME};
use crate::gate::complete_job;
use crate::graph::Node;
use crate::labels;
use crate::observed::Observed;
use crate::platform::Platform;
use crate::resources::{Prepared, ResourceSet};
use crate::rollout::{pods, runs_planned};

/// Key of the standby's user name.
pub const STANDBY_USERNAME: &str = "standby-username";
/// Key of the standby's password.
pub const STANDBY_PASSWORD: &str = "standby-password";
/// Key of the standby's token.
pub const STANDBY_TOKEN: &str = "standby-token";
/// Key of the standby of a single value.
pub const STANDBY_KEY: &str = "standby-key";
/// Key of the standby of the key of a store without accounts.
pub const STANDBY_API_KEY: &str = "standby-apiKey";
/// The keys of a Secret that have a second place, each with the key of that place.
pub const PLACES: [(&str, &str); 5] = [
    (USERNAME, STANDBY_USERNAME),
    (PASSWORD, STANDBY_PASSWORD),
    (TOKEN, STANDBY_TOKEN),
    (KEY, STANDBY_KEY),
    (API_KEY, STANDBY_API_KEY),
];
/// Annotation of a Secret: the request that its newest credential was made for.
pub const REQUEST: &str = "lotoai.dev/rotation";
/// Annotation of a Secret during a rotation: [`INTRODUCED`] or [`PROMOTED`].
pub const STATE: &str = "lotoai.dev/rotation-state";
/// Annotation of a Secret while its standby is the old credential: the time before which it must
/// not go.
pub const UNTIL: &str = "lotoai.dev/rotation-until";
/// How long the old key of sessions stays: no session of the gateway lives longer than ten hours,
/// and its pods may take the rest of a day to begin with the new one.
const SESSIONS_STAY: SignedDuration = SignedDuration::from_hours(24);
/// The standby is the new credential.
pub const INTRODUCED: &str = "Introduced";
/// The standby is the old credential.
pub const PROMOTED: &str = "Promoted";
/// How [`REQUEST`] of a credential that is given begins, before the name of its Secret. No request of
/// `spec.credentials.rotate` may hold a slash.
pub const GIVEN: &str = "Secret/";
/// Key of `spec.credentials.rotate` that stands for every credential but those that say otherwise in
/// [`Subject::request`].
pub const ALL: &str = "all";

pub use subject::{
    Subject, edges, has_changing_administrator, has_own_administrator, has_second_account,
    has_second_administrator, key_of, subjects,
};

/// The key under which the standby of a value lies.
#[must_use]
pub fn standby_key(key: &str) -> Option<&'static str> {
    let mut places = PLACES.into_iter();
    places
        .find(|(first, _)| *first == key)
        .map(|(_, standby)| standby)
}

/// What a Secret of an edge holds, as far as it is no secret.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Held {
    /// Account that callers use; none for a token or a key.
    pub username: Option<String>,
    /// The other account that is valid.
    pub standby: Option<String>,
    /// Whether another credential is valid.
    pub has_standby: bool,
}

/// What the Secrets of the edges hold, by name.
pub(crate) fn held(observed: &Observed) -> std::collections::BTreeMap<String, Held> {
    let text = |name: &str, key: &str| {
        let value = observed.secret_value(name, key)?;
        String::from_utf8(value.to_vec()).ok()
    };
    let ours = observed.secrets.iter().filter(|(_, secret)| {
        let labels = secret.metadata.labels.as_ref();
        labels.is_some_and(|labels| labels.contains_key(labels::CREDENTIAL))
    });
    ours.map(|(name, _)| {
        let has = |key| observed.secret_value(name, key).is_some();
        let held = Held {
            username: text(name, USERNAME),
            standby: text(name, STANDBY_USERNAME),
            has_standby: PLACES
                .into_iter()
                .any(|(key, standby)| key != USERNAME && has(standby)),
        };
        (name.clone(), held)
    })
    .collect()
}

/// The account that takes turns with this one.
#[must_use]
pub fn second(store: Store, username: &str) -> String {
    // ClickHouse would want dashes quoted.
    let separator = if store == Store::Clickhouse { '_' } else { '-' };
    format!("{username}{separator}b")
}

/// What becomes of a Secret.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Step {
    /// A new standby is made.
    Introduce,
    /// Credential and standby change places.
    Promote,
    /// The standby goes.
    Retire,
}

/// A step of a Secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// Name of the Secret.
    pub secret: String,
    /// What becomes of it.
    pub step: Step,
    /// The request that it answers; empty for one that is made because it is not given any more.
    pub request: String,
    /// Key of the value that is made anew.
    pub key: &'static str,
    /// The Secret that a new standby is copied from; none when it is made.
    pub given: Option<String>,
    /// Account of a new standby; none where there is one account, or none.
    pub username: Option<String>,
    /// When the standby may go, at the earliest; none when it may go as soon as nobody uses it.
    pub until: Option<Timestamp>,
}

/// Where a credential is in its rotation, for the status.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Progress {
    /// The request that the newest credential was, or will be, made for.
    pub request: Option<String>,
    /// What is done and what is waited for; nothing when there is no rotation.
    pub message: Option<String>,
}

struct Rotation<'a> {
    platform: &'a Platform,
    prepared: &'a ResourceSet<Prepared>,
    observed: &'a Observed,
    now: Timestamp,
}

/// The steps that may be taken now.
#[must_use]
pub fn next(
    platform: &Platform,
    prepared: &ResourceSet<Prepared>,
    observed: &Observed,
    now: Timestamp,
) -> Vec<Change> {
    if platform.spec.suspend {
        return Vec::new();
    }
    let rotation = Rotation {
        platform,
        prepared,
        observed,
        now,
    };
    [Step::Introduce, Step::Promote, Step::Retire]
        .into_iter()
        .flat_map(|step| rotation.together(step))
        .collect()
}

/// Where a credential is.
#[must_use]
pub fn progress(
    platform: &Platform,
    prepared: Option<&ResourceSet<Prepared>>,
    observed: &Observed,
    subject: Subject<'_>,
    now: Timestamp,
) -> Progress {
    let secret = subject.secret(platform);
    let request = subject.request(&platform.spec);
    if !observed.secrets.contains_key(&secret) {
        return Progress {
            request,
            message: None,
        };
    }
    let made_for = annotation(observed, &secret, REQUEST);
    let message = prepared.and_then(|prepared| {
        let rotation = Rotation {
            platform,
            prepared,
            observed,
            now,
        };
        let step = rotation.due(subject)?;
        if let Some(until) = rotation.kept(subject, step) {
            // Nothing is left to do but to forget, unless it is asked for again.
            return rotation.is_outdated(subject).then(|| {
                format!("is made anew after {until}, when the one of before is forgotten")
            });
        }
        let said = match step {
            Step::Introduce => "is made anew",
            Step::Promote => "the new one becomes known beside the old one",
            Step::Retire => "the new one comes into use",
        };
        let waits = rotation.obstacles(subject, step);
        Some(if waits.is_empty() {
            said.to_owned()
        } else {
            format!("{said}: waits for {}", waits.join(", "))
        })
    });
    Progress {
        request: made_for.map(str::to_owned),
        message,
    }
}

fn annotation<'a>(observed: &'a Observed, secret: &str, key: &str) -> Option<&'a str> {
    let annotations = observed
        .secrets
        .get(secret)?
        .metadata
        .annotations
        .as_ref()?;
    annotations.get(key).map(String::as_str)
}

impl Rotation<'_> {
    /// A step of all Secrets that it is due for; nothing while one of them has to wait for others.
    /// Whoever waits for a time is waited for by nobody.
    fn together(&self, step: Step) -> Vec<Change> {
        let due: Vec<Subject<'_>> = subjects(&self.platform.topology)
            .filter(|subject| self.due(*subject) == Some(step))
            .filter(|subject| self.kept(*subject, step).is_none())
            .collect();
        let mut waits = due
            .iter()
            .flat_map(|subject| self.obstacles(*subject, step));
        if waits.next().is_some() {
            return Vec::new();
        }
        due.into_iter()
            .map(|subject| self.change(subject, step))
            .collect()
    }

    /// The step that comes next, whether or not it may be taken yet.
    fn due(&self, subject: Subject<'_>) -> Option<Step> {
        let secret = subject.secret(self.platform);
        let found = self.observed.secrets.get(&secret)?;
        if found.metadata.deletion_timestamp.is_some() {
            return None;
        }
        match annotation(self.observed, &secret, STATE) {
            Some(INTRODUCED) => Some(Step::Promote),
            Some(_) => Some(Step::Retire),
            None => self.is_outdated(subject).then_some(Step::Introduce),
        }
    }

    /// Whether the credential in use is not the one that is asked for. Of one that is given the
    /// value counts, so that no digest of it need be kept anywhere.
    fn is_outdated(&self, subject: Subject<'_>) -> bool {
        let secret = subject.secret(self.platform);
        let made_for = annotation(self.observed, &secret, REQUEST);
        let spec = &self.platform.spec;
        if let Some(given) = subject.given(spec) {
            let wanted = self.observed.secret_value(given, subject.key());
            return wanted.is_some()
                && wanted != self.observed.secret_value(&secret, subject.key());
        }
        match subject.request(spec) {
            Some(wanted) => made_for != Some(wanted.as_str()),
            // Whoever gave it may go on giving it to others.
            None => made_for.is_some_and(|made_for| made_for.starts_with(GIVEN)),
        }
    }

    /// The time before which the old credential must not go, when it has not come and nothing else
    /// is waited for.
    fn kept(&self, subject: Subject<'_>, step: Step) -> Option<Timestamp> {
        if step != Step::Retire {
            return None;
        }
        let until = annotation(self.observed, &subject.secret(self.platform), UNTIL)?;
        let until: Timestamp = until.parse().ok()?;
        (self.now < until && self.obstacles(subject, step).is_empty()).then_some(until)
    }

    /// What a step has to wait for.
    fn obstacles(&self, subject: Subject<'_>, step: Step) -> Vec<String> {
        let mut waits = Vec::new();
        // Two Jobs of a store that know different accounts must never run at once: the older one
        // would void what the newer one has made.
        if let Some(store) = subject.provisioned_by() {
            let job = Node::Provision(store);
            if !self.is_provisioned(job) {
                waits.push(job.name());
            }
        }
        let knows = match step {
            Step::Introduce => [None, None],
            Step::Promote => [subject.learns(), None],
            Step::Retire => [subject.user(), subject.peers()],
        };
        let settled =
            |component| runs_planned(self.platform, self.prepared, self.observed, component);
        waits.extend(
            knows
                .into_iter()
                .flatten()
                .filter(|component| !settled(*component))
                .map(|component| component.to_string()),
        );
        waits
    }

    fn is_provisioned(&self, job: Node) -> bool {
        complete_job(self.prepared, self.observed, job).is_some()
            && pods(self.platform, self.observed, job).next().is_none()
    }

    fn change(&self, subject: Subject<'_>, step: Step) -> Change {
        let secret = subject.secret(self.platform);
        let request = match step {
            Step::Introduce => subject.request(&self.platform.spec),
            Step::Promote | Step::Retire => {
                annotation(self.observed, &secret, REQUEST).map(str::to_owned)
            }
        };
        let given = subject
            .given(&self.platform.spec)
            .filter(|_| step == Step::Introduce);
        let username =
            subject
                .account()
                .filter(|_| step == Step::Introduce)
                .map(|(store, name)| {
                    let first = self.platform.topology.account(store, name);
                    let held = self.platform.held.get(&secret);
                    let used = held.and_then(|held| held.username.as_deref());
                    if used == Some(first.as_str()) {
                        second(store, &first)
                    } else {
                        first
                    }
                });
        let stays = step == Step::Promote && subject == Subject::Sessions;
        Change {
            request: request.unwrap_or_default(),
            given: given.map(str::to_owned),
            secret,
            step,
            key: subject.key(),
            username,
            // The end of time is late enough.
            until: stays.then(|| self.now.saturating_add(SESSIONS_STAY).unwrap_or(self.now)),
        }
    }
}
