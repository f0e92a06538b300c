//! When certificates and their authority are due. Time is an argument.
//!
//! The authority changes in three steps, a week and up to a year apart, so that nobody ever meets a
//! certificate that he cannot check: the next one is made, or taken over from a Secret that the
//! resource names, and handed to everybody who checks; a week later, when the cluster has taken what
//! is handed out, it signs, and what the one before has signed is renewed in its own time; the one
//! before is forgotten when its life is over, or that of all that it signed.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::core::v1::Secret;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use lotoai_api::Component;

use super::serves;
use crate::credentials::digest;
use crate::observed::Observed;
use crate::platform::Platform;

/// Annotation with the end of a certificate's life.
pub const NOT_AFTER: &str = "lotoai.dev/not-after";
/// Annotation with the names that a certificate is for.
pub const NAMES: &str = "lotoai.dev/names";
/// Annotation with the time since which everybody is handed the next authority.
pub const NEXT_SINCE: &str = "lotoai.dev/next-since";
/// Annotation with the end of the next authority's life.
pub const NEXT_NOT_AFTER: &str = "lotoai.dev/next-not-after";
/// Annotation with the time after which nothing bears the signature of who signed before.
pub const PREVIOUS_NOT_AFTER: &str = "lotoai.dev/previous-not-after";

/// Annotation with the [`pair`] of a certificate and its key as they were written. A Secret that an
/// operator without it made gets it when nothing else is to be done.
pub const PAIR: &str = "lotoai.dev/pair";
/// The same of the authority that signs next.
pub const NEXT_PAIR: &str = "lotoai.dev/next-pair";
/// Annotation with the name of the Secret that gave the authority; none when it is our own.
pub const GIVEN_BY: &str = "lotoai.dev/given-by";
/// The same of the authority that signs next.
pub const NEXT_GIVEN_BY: &str = "lotoai.dev/next-given-by";

const DAY: SignedDuration = SignedDuration::from_hours(24);
/// The next of our own authorities is made when the one that signs ends within this time.
const AHEAD: SignedDuration = SignedDuration::from_hours(365 * 24);
/// How long everybody is handed the next authority before it signs: many passes, and longer than
/// pods take to see a changed ConfigMap or to restart for it.
const OVERLAP: SignedDuration = SignedDuration::from_hours(7 * 24);
/// Days that a given authority must live from the time when it is first seen: as long as a
/// certificate has left when it is renewed.
pub const LEAST_DAYS: i32 = super::SERVER_DAYS as i32 / 3;

/// The dates of an authority's Secret.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Authority {
    /// End of the one that signs.
    pub end: Timestamp,
    /// The one that signs next: since when everybody has it, and its end.
    pub next: Option<(Timestamp, Timestamp)>,
    /// When nothing bears the signature of who signed before.
    pub previous: Option<Timestamp>,
}

/// How the authorities that a Secret holds stand to the one that is wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Wish {
    /// Whether the operator is to be the authority, and makes the next one in time. A given one is
    /// renewed by whoever gives it.
    pub own: bool,
    /// Whether the one that signs is as it was written: what somebody altered signs nothing that
    /// anybody accepts.
    pub intact: bool,
    /// Whether the one that signs is wanted.
    pub current: bool,
    /// Whether the one that signs next is wanted, and as it was written.
    pub next: bool,
    /// Whether the one that signs next is among those that pods are handed.
    pub known: bool,
}

impl Authority {
    /// The dates that stand on a Secret; nothing when it does not say when the authority ends.
    #[must_use]
    pub fn of(secret: &Secret) -> Option<Self> {
        let metadata = &secret.metadata;
        Some(Self {
            end: time(metadata, NOT_AFTER)?,
            next: time(metadata, NEXT_SINCE).zip(time(metadata, NEXT_NOT_AFTER)),
            previous: time(metadata, PREVIOUS_NOT_AFTER),
        })
    }
}

/// What is to be done about an authority.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Turn {
    /// Nothing.
    Keep,
    /// Make one that signs at once: there is none that could.
    Begin,
    /// Hand out the next one, instead of another next one if there is any.
    Prepare,
    /// Forget the next one, which is no longer wanted: it has signed nothing yet.
    Withdraw,
    /// Let the next one sign from now on, and keep the one before for those who check.
    Promote,
    /// Forget the one that signed before.
    Forget,
}

/// What is to be done about an authority now.
#[must_use]
pub fn turn(held: Option<&Authority>, wish: Wish, now: Timestamp) -> Turn {
    let Some(held) = held.filter(|_| wish.intact) else {
        return Turn::Begin;
    };
    let left = held.end.duration_since(now);
    match (held.next, held.previous) {
        (Some(_), _) if !wish.next && wish.current => Turn::Withdraw,
        (Some(_), _) if !wish.next => Turn::Prepare,
        // A given one may be renewed so late that there is no week. What it signed ends with it.
        (Some(_), _) if left <= DAY => Turn::Promote,
        (Some((since, _)), _) if wish.known && now.duration_since(since) >= OVERLAP => {
            Turn::Promote
        }
        (None, _) if held.end <= now => Turn::Begin,
        (_, Some(end)) if end <= now => Turn::Forget,
        (None, _) if !wish.current || (wish.own && left < AHEAD) => Turn::Prepare,
        _ => Turn::Keep,
    }
}

/// When nothing bears the signature any more of an authority that ends then and signs no longer.
#[must_use]
pub fn last_signature(end: Timestamp, now: Timestamp) -> Timestamp {
    let longest = DAY * i32::from(super::EDGE_DAYS);
    // Fails only for dates thousands of years away.
    now.checked_add(longest).map_or(end, |all| all.min(end))
}

/// When the next authority begins to sign, if there is one, to the second.
#[must_use]
pub fn signs_from(secret: &Secret) -> Option<Timestamp> {
    let (since, _) = Authority::of(secret)?.next?;
    let from = since.checked_add(OVERLAP).ok()?;
    Timestamp::from_second(from.as_second()).ok()
}

/// Whether an authority that nobody was handed yet lives long enough to begin with: certificates
/// that it cuts short would be renewed at once.
#[must_use]
pub fn is_worth_beginning(end: Timestamp, now: Timestamp) -> bool {
    end.duration_since(now) >= DAY * LEAST_DAYS
}

/// What a certificate that is there says of itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Held<'a> {
    /// End of its life.
    pub end: Timestamp,
    /// The names that it is for.
    pub names: &'a str,
    /// The root above who signed it, PEM.
    pub signer: &'a str,
    /// Whether certificate and key are as they were written.
    pub intact: bool,
}

/// What a certificate should be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Wanted<'a> {
    /// The names that it should be for.
    pub names: &'a str,
    /// Life in days.
    pub days: u16,
    /// The roots that everybody trusts and that live, PEM.
    pub signers: &'a [&'a str],
    /// The end of who would sign it: no certificate lives longer.
    pub limit: Timestamp,
}

/// Whether a certificate is to be made anew: two thirds of its life are over and a new one would
/// live longer, it is for other names, nobody trusts who signed it, or somebody altered it.
#[must_use]
pub fn is_due(held: Option<&Held<'_>>, wanted: Wanted<'_>, now: Timestamp) -> bool {
    held.is_none_or(|held| {
        !held.intact
            || (now >= renewal(held.end, wanted.days) && held.end < wanted.limit)
            || held.names != wanted.names
            || !wanted.signers.contains(&held.signer)
    })
}

/// When a certificate that ends then is to be renewed.
fn renewal(end: Timestamp, days: u16) -> Timestamp {
    // Fails only for dates thousands of years away, which are due.
    end.checked_sub(DAY * i32::from(days) / 3)
        .unwrap_or(Timestamp::MIN)
}

/// Names, joined as an annotation holds them.
#[must_use]
pub fn joined(names: &[String]) -> String {
    names.join(",")
}

/// Own certificates that should have been renewed long ago, for people: something keeps the
/// operator from it, or the resource is paused. Half of the time that is left for it is over.
#[must_use]
pub fn overdue(platform: &Platform, observed: &Observed, now: Timestamp) -> Option<String> {
    let components = platform.topology.components();
    let ends: BTreeMap<String, Timestamp> = components
        .filter(|component| serves(*component))
        .map(|component: Component| platform.certificate_secret(component))
        .filter_map(|name| {
            let end = time(&observed.secrets.get(&name)?.metadata, NOT_AFTER)?;
            (end.duration_since(now) < DAY * i32::from(super::SERVER_DAYS) / 6)
                .then_some((name, end))
        })
        .collect();
    let (name, end) = ends.iter().min_by_key(|(_, end)| **end)?;
    let others = match ends.len() - 1 {
        0 => String::new(),
        more => format!(" (and {more} more)"),
    };
    let verb = if *end <= now { "ended" } else { "ends" };
    Some(format!(
        "the certificate in Secret {name} {verb} at {end}{others}"
    ))
}

/// A digest of a certificate and its key, PEM both.
#[must_use]
pub fn pair(certificate: &str, key: &str) -> String {
    digest([certificate, key].concat().as_bytes())
}

/// The time in an annotation.
#[must_use]
pub fn time(metadata: &ObjectMeta, annotation: &str) -> Option<Timestamp> {
    metadata.annotations.as_ref()?.get(annotation)?.parse().ok()
}

#[cfg(test)]
mod tests;
