//! The platform's authority, its own or a given one, and the certificates that it signs. What is due
//! is decided by [`lotoai_plan::tls::life`].

use std::collections::BTreeMap;

use jiff::Timestamp;
use k8s_openapi::ByteString;
use k8s_openapi::api::core::v1::Secret;
use kube::ResourceExt;
use kube::api::ObjectMeta;
use lotoai_plan::SecretSpec;
use lotoai_plan::events::{NextAuthority, Renewed};
use lotoai_plan::tls::life::{
    self, Authority, GIVEN_BY, Held, NAMES, NEXT_GIVEN_BY, NEXT_NOT_AFTER, NEXT_PAIR, NEXT_SINCE,
    NOT_AFTER, PAIR, PREVIOUS_NOT_AFTER, Turn, Wanted, Wish, pair,
};
use lotoai_plan::tls::{
    AUTHORITY, CERTIFICATE, NEXT_CERTIFICATE, NEXT_PRIVATE_KEY, PREVIOUS_CERTIFICATE, PRIVATE_KEY,
    path,
};
use snafu::{OptionExt, ResultExt};

use super::error::{CertificateSnafu, DamagedSnafu, Error};
use super::{Change, Store};
use crate::tls::given::Given;
use crate::tls::{self, Certified, Request, Signer};

/// Who signs, and whose signatures stand.
pub(super) struct Signers {
    path: String,
    key: String,
    end: Timestamp,
    previous: String,
}

impl Signers {
    /// What the authority's Secret holds.
    fn of(secret: &Secret) -> Result<Self, Error> {
        Ok(Self {
            path: text(secret, CERTIFICATE)?,
            key: text(secret, PRIVATE_KEY)?,
            // One without a date is replaced, so that there is always one here.
            end: life::time(&secret.metadata, NOT_AFTER).unwrap_or(Timestamp::MAX),
            previous: value(secret, PREVIOUS_CERTIFICATE).unwrap_or_default(),
        })
    }
}

impl Store<'_> {
    /// The authority: made or taken over when there is none, and changed in steps before it ends or
    /// when another is wanted.
    pub(super) async fn authority(
        &mut self,
        spec: &SecretSpec,
        existing: Option<&Secret>,
        given: Option<&Given>,
    ) -> Result<(Secret, Signers), Error> {
        let secret = match existing {
            None => {
                let change = self.begin(spec, given)?;
                self.create_with(spec, change).await?
            }
            Some(secret) => {
                let held = Authority::of(secret);
                let known = self.observed.authorities.as_deref().unwrap_or_default();
                let turn = life::turn(held.as_ref(), wish(secret, given, known), self.now);
                let change = match turn {
                    Turn::Keep => marked(secret),
                    Turn::Begin => self.begin(spec, given)?,
                    Turn::Prepare => self.prepare(spec, given)?,
                    Turn::Withdraw => Change::default().without_next(),
                    Turn::Promote => promote(secret, self.now)?,
                    Turn::Forget => Change::default()
                        .without(PREVIOUS_CERTIFICATE)
                        .unsaid(PREVIOUS_NOT_AFTER),
                };
                let kept = self.keep(&spec.metadata, secret.clone(), change).await?;
                if turn != Turn::Keep {
                    tracing::info!(secret = spec.name(), ?turn, "changed the authority");
                }
                match turn {
                    Turn::Begin | Turn::Promote => self.renewed(&kept),
                    Turn::Prepare => self.prepared(&kept),
                    Turn::Keep | Turn::Withdraw | Turn::Forget => {}
                }
                kept
            }
        };
        let signers = Signers::of(&secret)?;
        Ok((secret, signers))
    }

    /// A certificate: made when it is not there, was altered or nobody would accept it, renewed when
    /// it ends soon.
    pub(super) async fn certificate(
        &mut self,
        spec: &SecretSpec,
        existing: Option<&Secret>,
        request: Request<'_>,
        signers: &Signers,
    ) -> Result<Secret, Error> {
        let names = life::joined(request.names);
        let signer = existing.and_then(|secret| value(secret, AUTHORITY));
        let held = existing.and_then(|secret| held(secret, signer.as_deref()?));
        let root = path::root(&signers.path);
        let mut accepted = path::blocks(&signers.previous);
        accepted.push(root);
        let wanted = Wanted {
            names: &names,
            days: request.days,
            signers: &accepted,
            limit: signers.end,
        };
        if let Some(secret) = existing
            && !life::is_due(held.as_ref(), wanted, self.now)
        {
            let change = marked(secret);
            return self.keep(&spec.metadata, secret.clone(), change).await;
        }
        let signer = Signer {
            path: &signers.path,
            key: &signers.key,
        };
        let made = tls::certificate(signer, request, self.now)
            .context(CertificateSnafu { name: spec.name() })?;
        let change = Change::default()
            .with_pair(made.certificate, made.key)
            .with(AUTHORITY, root.to_owned())
            .said(NOT_AFTER, &made.not_after)
            .said(NAMES, &names);
        let Some(secret) = existing else {
            return self.create_with(spec, change).await;
        };
        tracing::info!(secret = spec.name(), not_after = %made.not_after, "renewing the certificate");
        let kept = self.keep(&spec.metadata, secret.clone(), change).await?;
        self.renewed(&kept);
        Ok(kept)
    }

    /// The given authority, or a new one of our own.
    fn wanted(&self, spec: &SecretSpec, given: Option<&Given>) -> Result<Certified, Error> {
        match given {
            Some(given) => Ok(given.authority.clone()),
            None => tls::authority(self.platform.name.as_str(), self.now)
                .context(CertificateSnafu { name: spec.name() }),
        }
    }

    /// An authority that signs at once.
    fn begin(&self, spec: &SecretSpec, given: Option<&Given>) -> Result<Change, Error> {
        let wanted = self.wanted(spec, given)?;
        Ok(Change::default()
            .with_pair(wanted.certificate, wanted.key)
            .said(NOT_AFTER, &wanted.not_after)
            .said_or_not(GIVEN_BY, given.map(|given| given.secret.clone()))
            .without_next()
            .without(PREVIOUS_CERTIFICATE)
            .unsaid(PREVIOUS_NOT_AFTER))
    }

    /// An authority that signs when everybody knows it. A given one is copied, key and all: whoever
    /// gives it replaces it at once, and the one before must sign for a while.
    fn prepare(&self, spec: &SecretSpec, given: Option<&Given>) -> Result<Change, Error> {
        let wanted = self.wanted(spec, given)?;
        Ok(Change::default()
            .said(NEXT_PAIR, &pair(&wanted.certificate, &wanted.key))
            .with(NEXT_CERTIFICATE, wanted.certificate)
            .with(NEXT_PRIVATE_KEY, wanted.key)
            .said(NEXT_SINCE, &self.now)
            .said(NEXT_NOT_AFTER, &wanted.not_after)
            .said_or_not(NEXT_GIVEN_BY, given.map(|given| given.secret.clone())))
    }

    async fn create_with(&mut self, spec: &SecretSpec, change: Change) -> Result<Secret, Error> {
        let Change { data, annotations } = change.clone();
        let data = data
            .into_iter()
            .filter_map(|(key, value)| Some((key, value?)));
        let said = annotations
            .into_iter()
            .filter_map(|(key, value)| Some((key, value?)));
        let metadata = annotated(&spec.metadata, said.collect());
        let secret = self.create(&metadata, spec.type_(), data.collect()).await?;
        // It may be one that no list shows since somebody changed a label, and that was altered, too.
        let change = if is_intact(&secret, CURRENT) {
            Change::default()
        } else {
            change
        };
        self.keep(&spec.metadata, secret, change).await
    }

    fn renewed(&mut self, secret: &Secret) {
        if let Some(until) = life::time(&secret.metadata, NOT_AFTER) {
            self.changes.renewed.push(Renewed {
                secret: secret.name_any(),
                until,
                given_by: secret.annotations().get(GIVEN_BY).cloned(),
            });
        }
    }

    fn prepared(&mut self, secret: &Secret) {
        self.changes.prepared = life::signs_from(secret).map(|from| NextAuthority {
            secret: secret.name_any(),
            given_by: secret.annotations().get(NEXT_GIVEN_BY).cloned(),
            from,
        });
    }
}

/// How what a Secret holds stands to the authority that is wanted, and to those that pods know.
fn wish(secret: &Secret, given: Option<&Given>, known: &str) -> Wish {
    let is_wanted = |key: &str, given_by: &str| match given {
        Some(given) => value(secret, key).as_ref() == Some(&given.authority.certificate),
        None => !secret.annotations().contains_key(given_by),
    };
    let next = value(secret, NEXT_CERTIFICATE).unwrap_or_default();
    Wish {
        known: path::blocks(known).contains(&path::root(&next)),
        own: given.is_none(),
        current: is_wanted(CERTIFICATE, GIVEN_BY),
        intact: is_intact(secret, CURRENT),
        next: is_wanted(NEXT_CERTIFICATE, NEXT_GIVEN_BY) && is_intact(secret, NEXT),
    }
}

/// The next authority signs; the one before stays known.
fn promote(secret: &Secret, now: Timestamp) -> Result<Change, Error> {
    let before = text(secret, CERTIFICATE)?;
    let earlier = value(secret, PREVIOUS_CERTIFICATE).unwrap_or_default();
    let known = path::blocks(&earlier).into_iter();
    let mut change = Change::default()
        .with_pair(
            text(secret, NEXT_CERTIFICATE)?,
            text(secret, NEXT_PRIVATE_KEY)?,
        )
        .with(
            PREVIOUS_CERTIFICATE,
            path::joined(known.chain([path::root(&before)])),
        )
        .without_next()
        .said_or_not(GIVEN_BY, secret.annotations().get(NEXT_GIVEN_BY).cloned());
    let time = |annotation| life::time(&secret.metadata, annotation);
    if let Some(end) = time(NEXT_NOT_AFTER) {
        change = change.said(NOT_AFTER, &end);
    }
    if let Some(end) = time(NOT_AFTER) {
        // Those before the one before are forgotten together with it.
        let last = life::last_signature(end, now).max(time(PREVIOUS_NOT_AFTER).unwrap_or(now));
        change = change.said(PREVIOUS_NOT_AFTER, &last);
    }
    Ok(change)
}

/// What a complete certificate says of itself.
fn held<'a>(secret: &'a Secret, signer: &'a str) -> Option<Held<'a>> {
    value(secret, CERTIFICATE)?;
    value(secret, PRIVATE_KEY)?;
    Some(Held {
        end: life::time(&secret.metadata, NOT_AFTER)?,
        names: secret.annotations().get(NAMES)?,
        signer,
        intact: is_intact(secret, CURRENT),
    })
}

/// Where a Secret holds a certificate and its key, and what says how they were written.
#[derive(Clone, Copy)]
struct Place {
    certificate: &'static str,
    key: &'static str,
    pair: &'static str,
}

const CURRENT: Place = Place {
    certificate: CERTIFICATE,
    key: PRIVATE_KEY,
    pair: PAIR,
};
const NEXT: Place = Place {
    certificate: NEXT_CERTIFICATE,
    key: NEXT_PRIVATE_KEY,
    pair: NEXT_PAIR,
};

/// The pair that a Secret holds, unless a half of it is missing.
fn pair_in(secret: &Secret, place: Place) -> Option<String> {
    let certificate = value(secret, place.certificate)?;
    Some(pair(&certificate, &value(secret, place.key)?))
}

/// Whether a Secret holds the pair that was written. One that says nothing of it is taken as it is:
/// an operator that knew nothing of pairs made it.
fn is_intact(secret: &Secret, place: Place) -> bool {
    let said = secret.annotations().get(place.pair);
    said.is_none_or(|said| pair_in(secret, place).as_ref() == Some(said))
}

/// Says what the Secret holds, where nothing says it yet.
fn marked(secret: &Secret) -> Change {
    let mut change = Change::default();
    for place in [CURRENT, NEXT] {
        let said = secret.annotations().contains_key(place.pair);
        if let Some(pair) = pair_in(secret, place).filter(|_| !said) {
            change = change.said(place.pair, &pair);
        }
    }
    change
}

fn annotated(metadata: &ObjectMeta, annotations: BTreeMap<String, String>) -> ObjectMeta {
    let mut metadata = metadata.clone();
    metadata
        .annotations
        .get_or_insert_default()
        .extend(annotations);
    metadata
}

impl Change {
    /// A value that is to be there.
    fn with(mut self, key: &str, text: String) -> Self {
        let value = ByteString(text.into_bytes());
        self.data.insert(key.to_owned(), Some(value));
        self
    }

    /// A certificate and its key, and what says later whether somebody altered them.
    fn with_pair(self, certificate: String, key: String) -> Self {
        self.said(PAIR, &pair(&certificate, &key))
            .with(CERTIFICATE, certificate)
            .with(PRIVATE_KEY, key)
    }

    /// A value that is to go.
    fn without(mut self, key: &str) -> Self {
        self.data.insert(key.to_owned(), None);
        self
    }

    /// An annotation that is to be there.
    fn said(mut self, key: &str, value: &impl ToString) -> Self {
        let value = Some(value.to_string());
        self.annotations.insert(key.to_owned(), value);
        self
    }

    /// An annotation that is to be there, or to go when there is nothing to say.
    fn said_or_not(mut self, key: &str, value: Option<String>) -> Self {
        self.annotations.insert(key.to_owned(), value);
        self
    }

    /// No next authority.
    fn without_next(self) -> Self {
        self.without(NEXT_CERTIFICATE)
            .without(NEXT_PRIVATE_KEY)
            .unsaid(NEXT_SINCE)
            .unsaid(NEXT_NOT_AFTER)
            .unsaid(NEXT_GIVEN_BY)
            .unsaid(NEXT_PAIR)
    }

    /// An annotation that is to go.
    fn unsaid(mut self, key: &str) -> Self {
        self.annotations.insert(key.to_owned(), None);
        self
    }
}

fn value(secret: &Secret, key: &str) -> Option<String> {
    let bytes = &secret.data.as_ref()?.get(key)?.0;
    String::from_utf8(bytes.clone())
        .ok()
        .filter(|text| !text.is_empty())
}

fn text(secret: &Secret, key: &'static str) -> Result<String, Error> {
    value(secret, key).context(DamagedSnafu {
        name: secret.name_any(),
        key,
    })
}
