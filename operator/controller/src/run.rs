//! Runs the controllers: one for all namespaces, or one for each that is watched.
//!
//! Needs a client. What happens in a pass stands in [`crate::reconcile`].

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use futures::channel::mpsc;
use futures::stream::FuturesUnordered;
use futures::{FutureExt, StreamExt, future};
use k8s_openapi::api::core::v1::{Pod, Secret};
use kube::api::{Api, ApiResource, DynamicObject, ListParams, PartialObjectMeta};
use kube::core::DeserializeGuard;
use kube::runtime::controller::{self, Controller};
use kube::runtime::reflector::{self, ObjectRef, Store};
use kube::runtime::{WatchStreamExt, watcher};
use kube::{Client, Resource, ResourceExt};
use lotoai_api::LotoAI;
use lotoai_plan::{OwnedKind, labels, owned_kinds};
use tokio_util::sync::CancellationToken;

use crate::context::{CONCURRENCY, Context};
use crate::dereference::is_unknown_kind;
use crate::error::chain;
use crate::named::Named;
use crate::probe::Key;
use crate::reconcile::{failed, reconcile};
use crate::watch::{gathered, steady, telling_relists, without_status};

/// A pass begins when no event came for this time, so it delays every change. Events during a pass
/// are gathered anyway.
const DEBOUNCE: Duration = Duration::from_millis(25);
/// Objects that a first look reads at once. The default of 500 would make it the greatest use of
/// memory in the life of the process.
const PAGE: u32 = 50;
/// Pause between two looks for the CustomResourceDefinition.
const CRD_POLL: Duration = Duration::from_secs(2);
/// Pause between two looks at a namespace that cannot be watched.
const NAMESPACE_POLL: Duration = Duration::from_secs(10);

type Guarded = DeserializeGuard<LotoAI>;

/// The API of `K` in one namespace, or in all.
fn api<K>(client: &Client, namespace: Option<&str>) -> Api<K>
where
    K: Resource<Scope = k8s_openapi::NamespaceResourceScope, DynamicType = ()>,
{
    match namespace {
        Some(namespace) => Api::namespaced(client.clone(), namespace),
        None => Api::all(client.clone()),
    }
}

/// The scopes to watch: `None` for all namespaces.
fn scopes(namespaces: &[String]) -> Vec<Option<&str>> {
    if namespaces.is_empty() {
        return vec![None];
    }
    namespaces
        .iter()
        .map(|namespace| Some(namespace.as_str()))
        .collect()
}

/// Waits until the cluster answers, knows the LotoAI type and lets us list it in one namespace at
/// least: one of several that is gone must not keep the others waiting.
/// Returns whether it came to that before `shutdown`.
pub async fn wait_for_type(
    client: &Client,
    namespaces: &[String],
    shutdown: &CancellationToken,
) -> bool {
    let scopes = scopes(namespaces);
    let mut said = BTreeMap::new();
    let waiting = async {
        while let Err(problems) = any_is_listed(client, &scopes).await {
            for (namespace, problem) in &problems {
                if said.get(namespace) != Some(problem) {
                    tracing::warn!(namespace, problem, "waiting for the LotoAI type");
                }
            }
            said = problems;
            tokio::time::sleep(CRD_POLL).await;
        }
    };
    tokio::select! {
        () = waiting => true,
        () = shutdown.cancelled() => false,
    }
}

/// Runs until `shutdown`, then finishes the passes that are under way.
/// `namespaces` is empty for all. One that cannot be watched yet is left alone until it can.
pub async fn run(context: Arc<Context>, namespaces: &[String], shutdown: &CancellationToken) {
    tracing::info!(?namespaces, "watching LotoAI resources");
    let context = &context;
    let controllers = scopes(namespaces).into_iter().map(async |namespace| {
        if wait_for_namespace(&context.client, namespace, shutdown).await {
            controller(context, namespace, shutdown.clone()).await;
        }
    });
    future::join_all(controllers).await;
    context.probes.shutdown().await;
}

/// Whether LotoAI resources can be listed somewhere.
///
/// # Errors
/// What keeps them from being listed, by namespace.
async fn any_is_listed<'a>(
    client: &Client,
    scopes: &[Option<&'a str>],
) -> Result<(), BTreeMap<Option<&'a str>, String>> {
    let asked = scopes
        .iter()
        .map(async |scope| (*scope, is_listed(client, *scope).await));
    let mut asked: FuturesUnordered<_> = asked.collect();
    let mut problems = BTreeMap::new();
    while let Some((scope, listed)) = asked.next().await {
        match listed {
            Ok(()) => return Ok(()),
            Err(problem) => problems.insert(scope, problem),
        };
    }
    Err(problems)
}

/// Waits until LotoAI resources of a namespace can be listed, and says once why they cannot.
/// Returns whether it came to that before `shutdown`.
async fn wait_for_namespace(
    client: &Client,
    namespace: Option<&str>,
    shutdown: &CancellationToken,
) -> bool {
    let waiting = async {
        let mut said = String::new();
        while let Err(problem) = is_listed(client, namespace).await {
            if problem != said {
                tracing::warn!(
                    namespace,
                    problem,
                    "this namespace is left alone until it can be watched"
                );
                said = problem;
            }
            tokio::time::sleep(NAMESPACE_POLL).await;
        }
        if !said.is_empty() {
            tracing::info!(namespace, "this namespace is watched now");
        }
    };
    tokio::select! {
        () = waiting => true,
        () = shutdown.cancelled() => false,
    }
}

/// Whether LotoAI resources can be listed. It asks for them instead of for the definition, so that
/// the operator needs no right on cluster-wide objects and missing rights show here.
///
/// # Errors
/// What keeps them from being listed, for people.
async fn is_listed(client: &Client, namespace: Option<&str>) -> Result<(), String> {
    let api = api::<LotoAI>(client, namespace);
    match api.list_metadata(&ListParams::default().limit(1)).await {
        Ok(_) => Ok(()),
        Err(kube::Error::Api(status)) if status.code == 404 => Err(
            "the CustomResourceDefinition lotoais.lotoai.dev is not established: install the chart \
             lotoai-crds"
                .to_owned(),
        ),
        Err(kube::Error::Api(status)) if status.code == 403 => Err(format!(
            "not allowed to list LotoAI resources: {}",
            status.message
        )),
        Err(error) => Err(format!("failed to list LotoAI resources: {}", chain(&error))),
    }
}

/// Whether the cluster has a kind. When that cannot be told it is taken to be there: the watch
/// tells more.
async fn is_served(client: &Client, namespace: Option<&str>, kind: &ApiResource) -> bool {
    let api: Api<DynamicObject> = match namespace {
        Some(namespace) => Api::namespaced_with(client.clone(), namespace, kind),
        None => Api::all_with(client.clone(), kind),
    };
    let listed = api.list_metadata(&ListParams::default().limit(1)).await;
    !listed.is_err_and(|error| is_unknown_kind(&error))
}

async fn controller(context: &Arc<Context>, namespace: Option<&str>, shutdown: CancellationToken) {
    let client = &context.client;
    let everything = watcher::Config::default().page_size(PAGE);
    let ours = everything.clone().labels(&format!(
        "{}={}",
        labels::MANAGED_BY,
        labels::MANAGED_BY_VALUE
    ));
    let (store, writer) = reflector::store();
    let named = Arc::new(Named::default());
    let learning = Arc::clone(&named);
    let resources = steady(watcher(
        api::<Guarded>(client, namespace),
        everything.clone(),
    ))
    // Nobody reads them, and they are larger than the rest of a resource.
    .modify(|object| object.meta_mut().managed_fields = None)
    .reflect(writer)
    .inspect(move |event| {
        if let Ok(event) = event {
            learning.learn(event);
        }
    })
    .applied_objects();
    let mut controller = Controller::for_stream(resources, store.clone()).with_config(
        controller::Config::default()
            .concurrency(CONCURRENCY)
            .debounce(DEBOUNCE),
    );
    let (again, relists) = mpsc::unbounded();
    // No predicate on any of these: a filter on the generation would also drop deletions.
    for OwnedKind {
        resource: kind,
        optional,
        delegated,
        unread,
    } in owned_kinds()
    {
        if optional && !is_served(client, namespace, &kind).await {
            tracing::info!(
                kind = kind.kind,
                "the cluster does not have this optional kind"
            );
            context.lacks(&kind.kind);
        }
        let children = match namespace {
            Some(namespace) => Api::namespaced_with(client.clone(), namespace, &kind),
            None => Api::<PartialObjectMeta<DynamicObject>>::all_with(client.clone(), &kind),
        };
        let children = watcher(children, ours.clone());
        let (seen, name) = (Arc::clone(context), kind.kind.clone());
        // A watch on a kind that is not there would be restarted for ever. It begins when a pass
        // sees the kind, which is when the first object of it can be made.
        let children = async move {
            seen.until_served(&name).await;
            children
        };
        let children = telling_relists(steady(children.flatten_stream()), again.clone());
        let children = if unread {
            without_status(children).boxed()
        } else {
            children.boxed()
        };
        let children = children.touched_objects();
        controller = if delegated {
            // It may have no owner, and says by its labels whose it is.
            controller.watches_stream_with(children, |object| platform_of(&object), kind)
        } else {
            controller.owns_stream_with(children, kind)
        };
    }
    let pods = api::<PartialObjectMeta<Pod>>(client, namespace);
    let secrets = api::<PartialObjectMeta<Secret>>(client, namespace);
    let watched = namespace.map(str::to_owned);
    let probed = context.probes.changes().filter_map(move |key| {
        let ours = watched.as_ref().is_none_or(|only| *only == key.namespace);
        future::ready(ours.then(|| ObjectRef::new(&key.name).within(&key.namespace)))
    });
    let pods = telling_relists(steady(watcher(pods, ours)), again.clone());
    let secrets = telling_relists(steady(watcher(secrets, everything)), again);
    controller
        .watches_stream(pods.touched_objects(), |pod| platform_of(&pod))
        .watches_stream(secrets.touched_objects(), move |secret| {
            platforms_of_secret(&store, &named, &secret)
        })
        .reconcile_on(probed)
        .reconcile_all_on(gathered(relists))
        .graceful_shutdown_on(shutdown.cancelled_owned())
        .run(reconcile, failed, Arc::clone(context))
        .for_each(|result| {
            observe(context, result);
            future::ready(())
        })
        .await;
}

/// Logs what the machinery around the passes reports. The passes log themselves.
fn observe(
    context: &Context,
    result: Result<
        (ObjectRef<Guarded>, controller::Action),
        controller::Error<crate::Error, watcher::Error>,
    >,
) {
    match result {
        Ok(_) | Err(controller::Error::ReconcilerFailed(..)) => {}
        Err(controller::Error::ObjectNotFound(gone)) => {
            // The resource was deleted between the event and the pass: there is nothing to do,
            // but its probe must not go on asking, and what was kept for it can go.
            if let Some(uid) = &gone.extra.uid {
                context.gone(uid);
            }
            context.probes.stop(&Key {
                namespace: gone.namespace.unwrap_or_default(),
                name: gone.name,
            });
        }
        Err(error) => tracing::warn!(error = %chain(&error), "the controller reports a problem"),
    }
}

/// The platform whose labels an object carries.
fn platform_of<K: Resource>(object: &K) -> Option<ObjectRef<Guarded>> {
    let name = object.labels().get(labels::INSTANCE)?;
    Some(ObjectRef::new(name).within(&object.namespace()?))
}

/// The platforms that a Secret belongs to or that name it: one platform may read what another made.
fn platforms_of_secret<K: Resource>(
    store: &Store<Guarded>,
    named: &Named,
    secret: &K,
) -> Vec<ObjectRef<Guarded>> {
    let (name, namespace) = (secret.name_any(), secret.namespace().unwrap_or_default());
    let is_credential = secret.labels().contains_key(labels::CREDENTIAL);
    let by = secret.labels().get(labels::MANAGED_BY);
    let is_ours = is_credential || by.is_some_and(|by| by == labels::MANAGED_BY_VALUE);
    let own = platform_of(secret).filter(|own| is_ours && store.get(own).is_some());
    let mut all: Vec<_> = named
        .by(&namespace, &name)
        .iter()
        .map(|platform| ObjectRef::new(platform).within(&namespace))
        .collect();
    if own.is_none() && is_credential {
        // Somebody changed the label with the name of its platform.
        let platforms = store.state().into_iter();
        let platforms = platforms.filter(|loto| {
            let rest = name.strip_prefix(&loto.name_any());
            loto.namespace().as_ref() == Some(&namespace)
                && rest.is_some_and(|rest| rest.starts_with('-'))
        });
        all.extend(platforms.map(|loto| ObjectRef::from_obj(loto.as_ref())));
    }
    all.extend(own);
    all
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn resource(name: &str, spec: &Value) -> Guarded {
        let loto = json!({
            "apiVersion": "lotoai.dev/v1alpha1", "kind": "LotoAI",
            "metadata": { "name": name, "namespace": "ai" }, "spec": spec,
        });
        DeserializeGuard(Ok(serde_json::from_value(loto).unwrap()))
    }

    /// Names of the platforms that a change of `demo-postgres-admin` with these labels wakes, beside
    /// `other`, which names it as the account of its external database.
    fn woken(given: &Value, namespace: &str) -> Vec<String> {
        let url = json!({ "url": "https://a.example" });
        let postgres = json!({
            "url": "postgres://demo-postgres:5432", "adminSecretName": "demo-postgres-admin",
        });
        let other = json!({
            "url": "https://b.example", "data": { "postgres": { "external": postgres } },
        });
        let (store, mut writer) = reflector::store();
        let named = Named::default();
        for (name, spec) in [("demo", &url), ("third", &url), ("other", &other)] {
            let event = watcher::Event::Apply(resource(name, spec));
            named.learn(&event);
            writer.apply_watcher_event(&event);
        }
        let secret: Secret = serde_json::from_value(json!({ "metadata": {
            "name": "demo-postgres-admin", "namespace": namespace, "labels": given,
        } }))
        .unwrap();
        let woken = platforms_of_secret(&store, &named, &secret);
        let mut names: Vec<_> = woken.into_iter().map(|platform| platform.name).collect();
        names.sort();
        names
    }

    #[test]
    fn a_secret_wakes_its_own_platform_and_all_that_name_it() {
        let mut ours = json!(labels::owned_by("demo"));
        ours[labels::CREDENTIAL] = json!("true");
        assert_eq!(woken(&ours, "ai"), ["demo", "other"]);
        // Of somebody else.
        assert_eq!(woken(&json!({}), "ai"), ["other"]);
        let theirs = json!({ labels::INSTANCE: "demo", labels::MANAGED_BY: "Helm" });
        assert_eq!(woken(&theirs, "ai"), ["other"]);
        assert!(woken(&ours, "elsewhere").is_empty());
    }

    #[test]
    fn a_credential_wakes_its_platform_without_the_label_that_says_whose_it_is() {
        let mut credential = json!({ labels::CREDENTIAL: "true" });
        assert_eq!(woken(&credential, "ai"), ["demo", "other"]);
        credential[labels::INSTANCE] = json!("altered");
        assert_eq!(woken(&credential, "ai"), ["demo", "other"]);
    }
}
