//! Carries out the steps of a rotation: one patch of one Secret each, so that a Secret is always in
//! one of the states that planning knows.

use std::collections::BTreeMap;

use k8s_openapi::ByteString;
use k8s_openapi::api::core::v1::Secret;
use kube::api::{Api, Patch, PatchParams};
use kube::{Client, ResourceExt};
use lotoai_plan::credentials::KEY;
use lotoai_plan::rotation::{
    Change, GIVEN, INTRODUCED, PLACES, PROMOTED, REQUEST, STANDBY_USERNAME, STATE, Step, UNTIL,
    standby_key,
};
use lotoai_plan::{Encoding, Observed, Platform, Value};
use serde_json::{Map, Value as Json, json};
use snafu::ResultExt;

use super::error::{Error, RequestSnafu};
use super::{check_ours, holds, make};
use crate::apply::FIELD_MANAGER;

/// How a new value of this key is made: as the first one was.
fn random(key: &str) -> Value {
    Value::Random {
        bytes: 32,
        encoding: if key == KEY {
            Encoding::Base64
        } else {
            Encoding::Base64Url
        },
    }
}

/// Takes these steps, one after the other. What was taken goes to `taken`, also when a later step
/// fails.
///
/// # Errors
/// At the first Secret that is somebody else's or changed since it was read.
pub async fn rotate(
    client: &Client,
    platform: &Platform,
    observed: &Observed,
    changes: Vec<Change>,
    taken: &mut Vec<Change>,
) -> Result<(), Error> {
    let api: Api<Secret> = Api::namespaced(client.clone(), &platform.namespace);
    let params = PatchParams {
        field_manager: Some(FIELD_MANAGER.to_owned()),
        ..PatchParams::default()
    };
    for change in changes {
        let name = &change.secret;
        let Some(secret) = observed.secrets.get(name) else {
            continue;
        };
        check_ours(platform, secret)?;
        let patch = patch(observed, secret, &change)?;
        let verb = "rotate";
        api.patch(name, &params, &Patch::Merge(&patch))
            .await
            .context(RequestSnafu { verb, name })?;
        tracing::info!(secret = name, step = ?change.step, "rotates a credential");
        taken.push(change);
    }
    Ok(())
}

/// What a Secret says of credentials that are given and in use already: they are given from now on, so
/// that they are made anew when they are not any more.
pub(super) fn taken_over(
    observed: &Observed,
    secret: &Secret,
    wanted: &BTreeMap<String, Value>,
) -> BTreeMap<String, Option<String>> {
    let rests = !secret.annotations().contains_key(STATE);
    let taken_over = wanted.iter().filter_map(|(key, value)| {
        let Value::Given {
            secret: by,
            key: of,
        } = value
        else {
            return None;
        };
        let given = observed.secret_value(by, of)?;
        (rests && holds(secret, key, given))
            .then(|| (REQUEST.to_owned(), Some(format!("{GIVEN}{by}"))))
    });
    taken_over.collect()
}

fn patch(observed: &Observed, secret: &Secret, change: &Change) -> Result<Json, Error> {
    // Nothing asks for one that is made because it is not given any more.
    let request = (!change.request.is_empty()).then_some(&change.request);
    let (data, annotations) = match change.step {
        Step::Introduce => (
            introduced(observed, change)?,
            json!({ REQUEST: request, STATE: INTRODUCED }),
        ),
        Step::Promote => (
            promoted(secret),
            json!({ STATE: PROMOTED, UNTIL: change.until }),
        ),
        Step::Retire => (retired(), json!({ STATE: null, UNTIL: null })),
    };
    Ok(json!({
        "metadata": {
            // A Secret that changed since it was read is read again first.
            "resourceVersion": secret.resource_version(),
            "annotations": annotations,
        },
        "data": data,
    }))
}

fn introduced(observed: &Observed, change: &Change) -> Result<Json, Error> {
    let mut data = Map::new();
    if let Some(username) = &change.username {
        let username = ByteString(username.clone().into_bytes());
        data.insert(STANDBY_USERNAME.to_owned(), json!(username));
    }
    if let Some(standby) = standby_key(change.key) {
        let value = match &change.given {
            Some(secret) => Value::Given {
                secret: secret.clone(),
                key: change.key.to_owned(),
            },
            None => random(change.key),
        };
        let value = make(observed, &change.secret, &value)?;
        data.insert(standby.to_owned(), json!(value));
    }
    Ok(Json::Object(data))
}

/// What callers use and the standby, in each other's places.
fn promoted(secret: &Secret) -> Json {
    let value = |key: &str| secret.data.as_ref().and_then(|data| data.get(key));
    let pairs = PLACES
        .into_iter()
        .filter_map(|(key, standby)| Some([(key, value(standby)?), (standby, value(key)?)]));
    let data: Map<String, Json> = pairs
        .flatten()
        .map(|(key, value)| (key.to_owned(), json!(value)))
        .collect();
    Json::Object(data)
}

/// Nothing in the second place of any key.
fn retired() -> Json {
    let standbys = PLACES.into_iter().map(|(_, standby)| standby.to_owned());
    Json::Object(standbys.map(|standby| (standby, Json::Null)).collect())
}
