//! Credentials that somebody else keeps: which can be given, and what their values may be.
//!
//! No message repeats a value, or a part of one: a status is read by many.

use std::collections::BTreeMap;

use lotoai_api::spec::LotoAISpec;

use super::rotation::{Fixed, fixed};
use super::{Invalid, Reference, own};
use crate::credentials::KEY;
use crate::graph::Topology;
use crate::observed::Observed;
use crate::rotation::{key_of, subjects};

/// Characters of the shortest password or token: enough not to be guessed.
const SHORTEST: usize = 24;
/// Characters of the longest: few enough for every store and every header.
const LONGEST: usize = 128;
/// Characters that may stand in a password or a token beside letters and digits. They mean nothing to
/// a URL's password, a shell, YAML, XML or SQL, Keycloak does not expand them, and they may stand in
/// an HTTP header.
const SIGNS: &[u8] = b"-._~+/=";
/// Characters of 32 bytes in base64 before the padding.
const KEY_DIGITS: usize = 43;

/// The values that `spec.credentials.given` names, in the order of the fields. What no platform
/// knows is left out: [`check`] refuses it.
#[must_use]
pub fn references(spec: &LotoAISpec) -> Vec<Reference> {
    let given = spec.credentials.given.iter();
    given
        .filter_map(|(name, given)| {
            Some(Reference {
                field: field(name),
                secret: given.name.to_string(),
                key: key_of(name)?.to_owned(),
            })
        })
        .collect()
}

fn field(name: &str) -> String {
    format!("spec.credentials.given[{name}]")
}

/// Refuses what names no credential that can be given, and values that cannot be one. That a value
/// is there at all is checked with those of all other Secrets. `platform` is the resource's name.
pub(super) fn check(
    spec: &LotoAISpec,
    platform: &str,
    topology: &Topology,
    observed: &Observed,
    faults: &mut Vec<Invalid>,
) {
    check_names(spec, topology, faults);
    let mut seen: BTreeMap<&[u8], String> = BTreeMap::new();
    for Reference { field, secret, key } in references(spec) {
        if let Some(message) = own::fault(observed, platform, &secret) {
            faults.push(Invalid::spec(field, message));
            continue;
        }
        let Some(value) = observed.secret_value(&secret, &key) else {
            continue;
        };
        let fault = if key == KEY {
            fault_of_key(value)
        } else {
            fault_of_text(value)
        };
        if let Some(fault) = fault {
            let message = format!("the value of key {key} in Secret {secret} {fault}");
            faults.push(Invalid::spec(field, message));
        } else if let Some(other) = seen.get(value) {
            // Whoever is called knows its callers by their tokens alone.
            let message = format!(
                "the value of key {key} in Secret {secret} is that of {other} as well; give each \
                 credential a value of its own"
            );
            faults.push(Invalid::spec(field, message));
        } else {
            seen.insert(value, field);
        }
    }
}

fn check_names(spec: &LotoAISpec, topology: &Topology, faults: &mut Vec<Invalid>) {
    let names: Vec<String> = subjects(topology)
        .filter(|subject| subject.can_be_given())
        .map(|subject| subject.name())
        .collect();
    for name in spec.credentials.given.keys() {
        if names.contains(name) {
            continue;
        }
        let why = match (fixed(topology, name), name.as_str()) {
            (Some(Fixed::Yours), _) => "this one is in a Secret of yours already; change that",
            (Some(Fixed::AtStart), _) => {
                "this one is always made by the operator: the servers themselves start with it, \
                 and could not take a changed one without an interruption"
            }
            (None, "operator-traefik") => {
                "this one is always made by the operator, which alone uses it, to ask the test \
                 question"
            }
            (None, "first-user") => {
                "this one is always made by the operator: it is for the first sign-in, and \
                 Keycloak keeps what the person makes of it"
            }
            (None, _) => "no credential of this name can be given",
        };
        let message = format!("{why}; write one of {}", names.join(", "));
        faults.push(Invalid::spec(field(name), message));
    }
}

/// What is wrong with a password or a token.
fn fault_of_text(value: &[u8]) -> Option<String> {
    let is_allowed = |byte: &u8| byte.is_ascii_alphanumeric() || SIGNS.contains(byte);
    if let Some(trimmed) = value.strip_suffix(b"\n")
        && trimmed.iter().all(is_allowed)
    {
        return Some(
            "ends with a line break, which would be a part of it; write it without, for example \
             with printf %s"
                .to_owned(),
        );
    }
    if !value.iter().all(is_allowed) {
        return Some(format!(
            "holds a character that not everybody takes who needs it; make it of letters without \
             accents, digits and {}",
            String::from_utf8_lossy(SIGNS)
        ));
    }
    (!(SHORTEST..=LONGEST).contains(&value.len()))
        .then(|| format!("is too short or too long; make it of {SHORTEST} to {LONGEST} characters"))
}

/// What is wrong with the key of sessions: it is 32 bytes in base64, as a strict reader takes it.
fn fault_of_key(value: &[u8]) -> Option<String> {
    let is_digit = |byte: &u8| byte.is_ascii_alphanumeric() || b"+/".contains(byte);
    let is_key = value.strip_suffix(b"=").is_some_and(|digits| {
        digits.len() == KEY_DIGITS
            && digits.iter().all(is_digit)
            // The last one stands for four bits; the two that it has too many are zero.
            && digits.last().is_some_and(|last| b"AEIMQUYcgkosw048".contains(last))
    });
    (!is_key).then(|| {
        "is not 32 bytes in base64 without a line break; make it for example with  openssl rand \
         -base64 32 | tr -d '\\n'"
            .to_owned()
    })
}

#[cfg(test)]
mod tests;
