//! Credentials: makes the Secrets that a platform needs and reads those that are there.
//!
//! Needs a client. The only place beside [`crate::tls`] with random numbers. A generated value is
//! never overwritten: stores know it already. Nor is one made in the place of one that is gone and that
//! a store's data still ask for. What changes in an existing Secret is its owner (with the deletion
//! policy), our labels, the name of an account that the plan gives, a certificate that ends or was altered, and
//! a credential that somebody wants made anew. Secrets that others keep are read and never written.

mod certificate;
mod error;
mod ours;
mod rotation;

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use jiff::Timestamp;
use k8s_openapi::ByteString;
use k8s_openapi::api::core::v1::Secret;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::api::{Api, Patch, PatchParams, PostParams};
use kube::{Client, ResourceExt};
use lotoai_plan::credentials::{Lost, lost};
use lotoai_plan::events::{NextAuthority, Renewed};
use lotoai_plan::tls::PRIVATE_KEY;
use lotoai_plan::{
    Credentials, Encoding, Observed, Platform, SecretKind, SecretSpec, Value, labels,
};
use serde_json::json;
use snafu::{OptionExt, ResultExt, ensure};

use crate::apply::FIELD_MANAGER;
use crate::object::owned_by;
use crate::tls;
use crate::tls::given::Given;
use error::{
    DamagedSnafu, LostSnafu, MissingSnafu, NotGivenSnafu, RandomSnafu, RequestSnafu, TakenUpSnafu,
};
use ours::check_ours;

pub use error::Error;
pub use rotation::rotate;

/// What was made.
#[derive(Debug, Default)]
pub struct Changes {
    /// Names of new Secrets.
    pub made: Vec<String>,
    /// Certificates that took the place of others.
    pub renewed: Vec<Renewed>,
    /// The authority that everybody is handed from now on.
    pub prepared: Option<NextAuthority>,
}

/// Where Secrets are read and written.
struct Store<'a> {
    api: Api<Secret>,
    platform: &'a Platform,
    observed: &'a Observed,
    changes: &'a mut Changes,
    /// Names of Secrets that are there, and that planning did not know of.
    taken_up: Vec<String>,
    now: Timestamp,
}

/// Makes what is missing among `required` and returns all values. Certificates are signed by the
/// `given` authority, or one of our own. What it made goes to `changes`, also when a later Secret
/// cannot be made.
///
/// # Errors
/// Before anything is made when a Secret is gone that a store's data go on asking for; at the first one
/// that cannot be made or belongs to somebody else; at the end when one is there that planning did not
/// know of. A plan that misses the account in use would have it retired.
pub async fn credentials(
    client: &Client,
    platform: &Platform,
    observed: &Observed,
    required: &[SecretSpec],
    given: Option<&Given>,
    changes: &mut Changes,
    now: Timestamp,
) -> Result<Credentials, Error> {
    let api = Api::namespaced(client.clone(), &platform.namespace);
    let mut store = Store {
        api,
        platform,
        observed,
        changes,
        taken_up: Vec::new(),
        now,
    };
    let unlabelled = store.look_up(lost(platform, observed, required)).await?;
    let mut values = BTreeMap::new();
    let mut signers = None;
    for spec in authority_first(required) {
        let listed = observed.secrets.get(spec.name());
        let existing = listed.or_else(|| unlabelled.get(spec.name()));
        let secret = match &spec.kind {
            SecretKind::Values(wanted) => store.values(spec, existing, wanted).await?,
            SecretKind::Authority => {
                let (secret, found) = store.authority(spec, existing, given).await?;
                signers = Some(found);
                secret
            }
            SecretKind::Certificate {
                common_name,
                names,
                days,
            } => {
                let request = tls::Request {
                    subject: common_name,
                    names,
                    days: *days,
                };
                let signers = signers.as_ref().context(DamagedSnafu {
                    name: platform.authority_secret(),
                    key: PRIVATE_KEY,
                })?;
                store.certificate(spec, existing, request, signers).await?
            }
        };
        let data = secret.data.unwrap_or_default();
        values.insert(
            spec.name().to_owned(),
            data.into_iter()
                .map(|(key, value)| (key, value.0))
                .collect(),
        );
    }
    let names = store.taken_up;
    ensure!(names.is_empty(), TakenUpSnafu { names });
    Credentials::new(required, values).context(MissingSnafu)
}

/// The certificates come after who signs them.
fn authority_first(required: &[SecretSpec]) -> impl Iterator<Item = &SecretSpec> {
    let is_authority = |spec: &&SecretSpec| matches!(spec.kind, SecretKind::Authority);
    let others = move |spec: &&SecretSpec| !is_authority(spec);
    let all = || required.iter();
    all().filter(is_authority).chain(all().filter(others))
}

/// What is to change in a Secret, by key; nothing stands for what is to go.
#[derive(Clone, Default)]
struct Change {
    data: BTreeMap<String, Option<ByteString>>,
    annotations: BTreeMap<String, Option<String>>,
}

impl Store<'_> {
    /// Reads the Secrets that must not be made. One that is there only lacks a label that a pass finds
    /// its own by.
    async fn look_up(&mut self, lost: Vec<Lost>) -> Result<BTreeMap<String, Secret>, Error> {
        let mut found = BTreeMap::new();
        let mut gone = Vec::new();
        for one in lost {
            let name = &one.secret;
            let verb = "read";
            let secret = self.api.get_opt(name).await;
            match secret.context(RequestSnafu { verb, name })? {
                Some(secret) => {
                    self.taken_up.push(name.clone());
                    found.insert(name.clone(), secret);
                }
                None => gone.push(one),
            }
        }
        ensure!(gone.is_empty(), LostSnafu { lost: gone });
        Ok(found)
    }

    async fn values(
        &mut self,
        spec: &SecretSpec,
        existing: Option<&Secret>,
        wanted: &BTreeMap<String, Value>,
    ) -> Result<Secret, Error> {
        let secret = match existing {
            Some(secret) => secret.clone(),
            None => {
                let data = wanted
                    .iter()
                    .map(|(key, value)| {
                        let made = make(self.observed, spec.name(), value)?;
                        Ok((key.clone(), made))
                    })
                    .collect::<Result<_, Error>>()?;
                self.create(&spec.metadata, spec.type_(), data).await?
            }
        };
        let given = wanted.iter().filter_map(|(key, value)| {
            let text = match value {
                Value::Fixed(text) => text,
                // Whose turn it is was decided when it was written.
                Value::Account { second, .. } if holds(&secret, key, second.as_bytes()) => {
                    return None;
                }
                Value::Account { first, .. } => first,
                Value::First(_)
                    if secret
                        .data
                        .as_ref()
                        .is_some_and(|held| held.contains_key(key)) =>
                {
                    return None;
                }
                Value::First(text) => text,
                // What is given anew comes into use as a rotation.
                Value::Random { .. } | Value::Given { .. } => return None,
            };
            Some((key.clone(), Some(ByteString(text.clone().into_bytes()))))
        });
        let change = Change {
            // Collected before the Secret moves.
            data: given.collect(),
            annotations: rotation::taken_over(self.observed, &secret, wanted),
        };
        self.keep(&spec.metadata, secret, change).await
    }

    /// Makes a Secret; one that somebody made in the meantime is taken as it is.
    async fn create(
        &mut self,
        metadata: &ObjectMeta,
        type_: &str,
        data: BTreeMap<String, ByteString>,
    ) -> Result<Secret, Error> {
        let secret = Secret {
            metadata: metadata.clone(),
            type_: Some(type_.to_owned()),
            data: Some(data),
            ..Secret::default()
        };
        let name = secret.name_any();
        let params = PostParams {
            field_manager: Some(FIELD_MANAGER.to_owned()),
            ..PostParams::default()
        };
        match self.api.create(&params, &secret).await {
            Ok(created) => {
                tracing::info!(secret = name, "made a credential");
                self.changes.made.push(name);
                Ok(created)
            }
            Err(kube::Error::Api(status)) if status.code == 409 => {
                let found = self.api.get(&name).await.context(RequestSnafu {
                    verb: "read",
                    name: &name,
                })?;
                self.taken_up.push(name);
                Ok(found)
            }
            Err(error) => Err(error).context(RequestSnafu {
                verb: "create",
                name,
            }),
        }
    }

    /// Checks that an existing Secret is ours, and brings its owner, our labels, what has others keep it
    /// and what `change` names to what they should be. Other values stay.
    async fn keep(
        &mut self,
        wanted: &ObjectMeta,
        secret: Secret,
        change: Change,
    ) -> Result<Secret, Error> {
        let Change {
            data,
            mut annotations,
        } = change;
        let name = secret.name_any();
        check_ours(self.platform, &secret)?;
        if wanted.owner_references.is_none() {
            let kept = labels::KEPT_BY_ARGO_CD;
            annotations.extend(kept.map(|(key, value)| (key.to_owned(), Some(value.to_owned()))));
        }
        let owned = owned_by(&secret.metadata, &self.platform.uid);
        let same_owner = owned == wanted.owner_references.is_some();
        let mut wanted_labels = wanted.labels.iter().flatten();
        let same_labels = wanted_labels.all(|(key, value)| secret.labels().get(key) == Some(value));
        let held = secret.data.as_ref();
        let same_data = data
            .iter()
            .all(|(key, value)| held.and_then(|held| held.get(key)) == value.as_ref());
        let same_annotations = annotations
            .iter()
            .all(|(key, value)| secret.annotations().get(key) == value.as_ref());
        if same_owner && same_labels && same_data && same_annotations {
            return Ok(secret);
        }
        // Planning knows what a credential holds by this label; the others are those of the list.
        let is_known = secret.labels().contains_key(labels::CREDENTIAL);
        if !is_known && !self.taken_up.contains(&name) {
            self.taken_up.push(name.clone());
        }
        let patch = json!({
            "metadata": {
                // A Secret that changed since it was read is read again first.
                "resourceVersion": secret.resource_version(),
                "ownerReferences": wanted.owner_references,
                "labels": wanted.labels,
                "annotations": annotations,
            },
            "data": data,
        });
        let params = PatchParams {
            field_manager: Some(FIELD_MANAGER.to_owned()),
            ..PatchParams::default()
        };
        self.api
            .patch(&name, &params, &Patch::Merge(&patch))
            .await
            .context(RequestSnafu {
                verb: "update",
                name,
            })
    }
}

fn holds(secret: &Secret, key: &str, value: &[u8]) -> bool {
    let held = secret.data.as_ref().and_then(|data| data.get(key));
    held.is_some_and(|held| held.0 == value)
}

/// Makes one value of the Secret of this name, or takes it from the one that it is given in.
fn make(observed: &Observed, name: &str, value: &Value) -> Result<ByteString, Error> {
    let text = match value {
        Value::Given { secret, key } => {
            let given = observed.secret_value(secret, key);
            let given = given.context(NotGivenSnafu { name: secret, key })?;
            return Ok(ByteString(given.to_vec()));
        }
        Value::Fixed(text) | Value::First(text) | Value::Account { first: text, .. } => {
            text.clone()
        }
        Value::Random { bytes, encoding } => {
            let mut random = vec![0; *bytes];
            aws_lc_rs::rand::fill(&mut random)
                .ok()
                .context(RandomSnafu { name })?;
            match encoding {
                Encoding::Base64Url => URL_SAFE_NO_PAD.encode(random),
                Encoding::Base64 => STANDARD.encode(random),
            }
        }
    };
    Ok(ByteString(text.into_bytes()))
}
