//! The certificate of an edge that nobody gave one, and the authority behind it.

use std::collections::BTreeMap;

use jiff::Timestamp;
use k8s_openapi::ByteString;
use k8s_openapi::api::core::v1::Secret;
use kube::ResourceExt;
use kube::api::ObjectMeta;
use lotoai_plan::events::Renewed;
use lotoai_plan::{Observed, SecretSpec};
use snafu::{OptionExt, ResultExt};

use super::{CertificateSnafu, DamagedSnafu, Error, Store};
use crate::tls::{self, Certified, Request};

/// Annotation with the end of a certificate's life.
const NOT_AFTER: &str = "lotoai.dev/not-after";
/// Annotation with the names that a certificate is for.
const NAMES: &str = "lotoai.dev/names";
/// Part that the authority's Secret has after the name of the certificate's.
const AUTHORITY: &str = "-ca";

/// Name of the Secret with the authority that signs the certificate of `spec`.
pub(crate) fn authority_name(spec: &SecretSpec) -> String {
    format!("{}{AUTHORITY}", spec.name())
}

impl Store<'_> {
    /// The certificate: made when it is not there, renewed when it ends soon, is for other names
    /// or is signed by another authority.
    pub(super) async fn certificate(
        &mut self,
        spec: &SecretSpec,
        observed: &Observed,
        request: Request<'_>,
    ) -> Result<Secret, Error> {
        let authority = self.authority(spec, observed).await?;
        let authority_certificate = text(&authority, "ca.crt")?;
        let names = request.names.join(",");
        let existing = observed.secrets.get(spec.name());
        let good = existing.is_some_and(|secret| {
            secret.annotations().get(NAMES) == Some(&names)
                && not_after(secret)
                    .is_some_and(|end| !tls::edge_is_due(end, request.days, self.now))
                && value(secret, "ca.crt").is_some_and(|held| held == authority_certificate)
                && value(secret, "tls.crt").is_some()
                && value(secret, "tls.key").is_some()
        });
        if let (true, Some(secret)) = (good, existing) {
            return self
                .keep(
                    &spec.metadata,
                    secret.clone(),
                    BTreeMap::new(),
                    BTreeMap::new(),
                )
                .await;
        }
        let key = text(&authority, "ca.key")?;
        let made = tls::edge(self.platform.name.as_str(), &key, request, self.now)
            .context(CertificateSnafu { name: spec.name() })?;
        let annotations = BTreeMap::from([
            (NOT_AFTER.to_owned(), made.not_after.to_string()),
            (NAMES.to_owned(), names),
        ]);
        let data = data([
            ("tls.crt", made.certificate),
            ("tls.key", made.key),
            ("ca.crt", authority_certificate),
        ]);
        match existing {
            Some(secret) => {
                tracing::info!(secret = spec.name(), not_after = %made.not_after, "renewing the certificate");
                let kept = self
                    .keep(&spec.metadata, secret.clone(), data, annotations)
                    .await?;
                self.changes.renewed.push(Renewed {
                    secret: spec.name().to_owned(),
                    until: made.not_after,
                });
                Ok(kept)
            }
            None => {
                let metadata = annotated(&spec.metadata, annotations);
                let secret = self.create(&metadata, spec.type_(), data).await?;
                self.keep(&spec.metadata, secret, BTreeMap::new(), BTreeMap::new())
                    .await
            }
        }
    }

    /// The authority. It lies in a Secret of its own, because no pod may mount its key.
    async fn authority(&mut self, spec: &SecretSpec, observed: &Observed) -> Result<Secret, Error> {
        let name = authority_name(spec);
        let metadata = ObjectMeta {
            name: Some(name.clone()),
            ..spec.metadata.clone()
        };
        let existing = observed.secrets.get(&name);
        let fresh = existing.filter(|secret| {
            not_after(secret).is_some_and(|end| !tls::authority_is_due(end, self.now))
        });
        if let Some(secret) = fresh {
            return self
                .keep(&metadata, secret.clone(), BTreeMap::new(), BTreeMap::new())
                .await;
        }
        let Certified {
            certificate,
            key,
            not_after,
        } = tls::authority(self.platform.name.as_str(), self.now)
            .context(CertificateSnafu { name })?;
        let annotations = BTreeMap::from([(NOT_AFTER.to_owned(), not_after.to_string())]);
        let data = data([("ca.crt", certificate), ("ca.key", key)]);
        match existing {
            Some(secret) => {
                let kept = self
                    .keep(&metadata, secret.clone(), data, annotations)
                    .await?;
                self.changes.renewed.push(Renewed {
                    secret: kept.name_any(),
                    until: not_after,
                });
                Ok(kept)
            }
            None => {
                let annotated = annotated(&metadata, annotations);
                let secret = self.create(&annotated, "Opaque", data).await?;
                self.keep(&metadata, secret, BTreeMap::new(), BTreeMap::new())
                    .await
            }
        }
    }
}

fn annotated(metadata: &ObjectMeta, annotations: BTreeMap<String, String>) -> ObjectMeta {
    let mut metadata = metadata.clone();
    metadata
        .annotations
        .get_or_insert_default()
        .extend(annotations);
    metadata
}

fn data<const N: usize>(values: [(&str, String); N]) -> BTreeMap<String, ByteString> {
    values
        .into_iter()
        .map(|(key, text)| (key.to_owned(), ByteString(text.into_bytes())))
        .collect()
}

fn not_after(secret: &Secret) -> Option<Timestamp> {
    secret.annotations().get(NOT_AFTER)?.parse().ok()
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
