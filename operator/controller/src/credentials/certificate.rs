//! The platform's own authority and the certificates that it signs. What is due is decided by
//! [`lotoai_plan::tls::life`].

use std::collections::BTreeMap;

use k8s_openapi::ByteString;
use k8s_openapi::api::core::v1::Secret;
use kube::ResourceExt;
use kube::api::ObjectMeta;
use lotoai_plan::SecretSpec;
use lotoai_plan::events::Renewed;
use lotoai_plan::tls::life::{
    self, Authority, Held, NAMES, NEXT_NOT_AFTER, NEXT_SINCE, NOT_AFTER, PREVIOUS_NOT_AFTER, Turn,
    Wanted,
};
use lotoai_plan::tls::{
    AUTHORITY, CERTIFICATE, NEXT_CERTIFICATE, NEXT_PRIVATE_KEY, PREVIOUS_CERTIFICATE, PRIVATE_KEY,
};
use snafu::{OptionExt, ResultExt};

use super::{CertificateSnafu, Change, DamagedSnafu, Error, Store};
use crate::tls::{self, Request};

/// Who signs, and whose signatures stand.
pub(super) struct Signers {
    certificate: String,
    key: String,
    previous: Option<String>,
}

impl Signers {
    /// What the authority's Secret holds.
    fn of(secret: &Secret) -> Result<Self, Error> {
        Ok(Self {
            certificate: text(secret, CERTIFICATE)?,
            key: text(secret, PRIVATE_KEY)?,
            previous: value(secret, PREVIOUS_CERTIFICATE),
        })
    }
}

impl Store<'_> {
    /// The authority: made when there is none, and changed in steps before it ends.
    pub(super) async fn authority(
        &mut self,
        spec: &SecretSpec,
        existing: Option<&Secret>,
    ) -> Result<(Secret, Signers), Error> {
        let secret = match existing {
            None => {
                let change = self.begin(spec)?;
                self.create_with(spec, change).await?
            }
            Some(secret) => {
                let turn = life::turn(Authority::of(secret).as_ref(), self.now);
                let change = match turn {
                    Turn::Keep => Change::default(),
                    Turn::Begin => self.begin(spec)?,
                    Turn::Prepare => self.prepare(spec)?,
                    Turn::Promote => promote(secret)?,
                    Turn::Forget => Change::default()
                        .without(PREVIOUS_CERTIFICATE)
                        .unsaid(PREVIOUS_NOT_AFTER),
                };
                let kept = self.keep(&spec.metadata, secret.clone(), change).await?;
                if turn != Turn::Keep {
                    tracing::info!(secret = spec.name(), ?turn, "changed the authority");
                }
                if matches!(turn, Turn::Begin | Turn::Promote) {
                    self.renewed(&kept);
                }
                kept
            }
        };
        let signers = Signers::of(&secret)?;
        Ok((secret, signers))
    }

    /// A certificate: made when it is not there or nobody would accept it, renewed when it ends
    /// soon.
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
        let accepted: Vec<&str> = [Some(&signers.certificate), signers.previous.as_ref()]
            .into_iter()
            .flatten()
            .map(String::as_str)
            .collect();
        let wanted = Wanted {
            names: &names,
            days: request.days,
            signers: &accepted,
        };
        if let Some(secret) = existing
            && !life::is_due(held.as_ref(), wanted, self.now)
        {
            let nothing = Change::default();
            return self.keep(&spec.metadata, secret.clone(), nothing).await;
        }
        let platform = self.platform.name.as_str();
        let made = tls::certificate(platform, &signers.key, request, self.now)
            .context(CertificateSnafu { name: spec.name() })?;
        let change = Change::default()
            .with(CERTIFICATE, made.certificate)
            .with(PRIVATE_KEY, made.key)
            .with(AUTHORITY, signers.certificate.clone())
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

    /// An authority that signs at once.
    fn begin(&self, spec: &SecretSpec) -> Result<Change, Error> {
        let made = tls::authority(self.platform.name.as_str(), self.now)
            .context(CertificateSnafu { name: spec.name() })?;
        Ok(Change::default()
            .with(CERTIFICATE, made.certificate)
            .with(PRIVATE_KEY, made.key)
            .said(NOT_AFTER, &made.not_after)
            .without(NEXT_CERTIFICATE)
            .without(NEXT_PRIVATE_KEY)
            .unsaid(NEXT_SINCE)
            .unsaid(NEXT_NOT_AFTER)
            .without(PREVIOUS_CERTIFICATE)
            .unsaid(PREVIOUS_NOT_AFTER))
    }

    /// An authority that signs when everybody knows it.
    fn prepare(&self, spec: &SecretSpec) -> Result<Change, Error> {
        let made = tls::authority(self.platform.name.as_str(), self.now)
            .context(CertificateSnafu { name: spec.name() })?;
        Ok(Change::default()
            .with(NEXT_CERTIFICATE, made.certificate)
            .with(NEXT_PRIVATE_KEY, made.key)
            .said(NEXT_SINCE, &self.now)
            .said(NEXT_NOT_AFTER, &made.not_after))
    }

    async fn create_with(&mut self, spec: &SecretSpec, change: Change) -> Result<Secret, Error> {
        let Change { data, annotations } = change;
        let data = data
            .into_iter()
            .filter_map(|(key, value)| Some((key, value?)));
        let said = annotations
            .into_iter()
            .filter_map(|(key, value)| Some((key, value?)));
        let metadata = annotated(&spec.metadata, said.collect());
        let secret = self.create(&metadata, spec.type_(), data.collect()).await?;
        self.keep(&spec.metadata, secret, Change::default()).await
    }

    fn renewed(&mut self, secret: &Secret) {
        if let Some(until) = life::time(&secret.metadata, NOT_AFTER) {
            self.changes.renewed.push(Renewed {
                secret: secret.name_any(),
                until,
            });
        }
    }
}

/// The next authority signs; the one before stays known.
fn promote(secret: &Secret) -> Result<Change, Error> {
    let mut change = Change::default()
        .with(CERTIFICATE, text(secret, NEXT_CERTIFICATE)?)
        .with(PRIVATE_KEY, text(secret, NEXT_PRIVATE_KEY)?)
        .with(PREVIOUS_CERTIFICATE, text(secret, CERTIFICATE)?)
        .without(NEXT_CERTIFICATE)
        .without(NEXT_PRIVATE_KEY)
        .unsaid(NEXT_SINCE)
        .unsaid(NEXT_NOT_AFTER);
    for (from, to) in [(NOT_AFTER, PREVIOUS_NOT_AFTER), (NEXT_NOT_AFTER, NOT_AFTER)] {
        if let Some(end) = life::time(&secret.metadata, from) {
            change = change.said(to, &end);
        }
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
    })
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
