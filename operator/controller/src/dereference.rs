//! Dereference: every read of a pass in one place.
//!
//! Needs a client; writes nothing.

mod pages;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Debug;

use futures::FutureExt;
use futures::future::try_join_all;
use jiff::Timestamp;
use k8s_openapi::NamespaceResourceScope;
use k8s_openapi::api::apps::v1::{Deployment, StatefulSet};
use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::api::core::v1::{ConfigMap, Event, PersistentVolumeClaim, Pod, Secret};
use kube::api::{Api, ApiResource, DynamicObject, ListParams, ObjectMeta, PartialObjectMeta};
use kube::{Client, Resource, ResourceExt};
use lotoai_api::LotoAI;
use lotoai_plan::gate::job_complete;
use lotoai_plan::kinds::{BackendTLSPolicy, Certificate, Cluster, HTTPRoute};
use lotoai_plan::names::{authority_bundle, authority_secret};
use lotoai_plan::tls::AUTHORITY;
use lotoai_plan::tls::life::NEXT_SINCE;
use lotoai_plan::validate::referenced_secrets;
use lotoai_plan::{Observed, OwnedKind, labels, owned_kinds, short_of_pods, without_volume};
use serde::de::DeserializeOwned;
use snafu::{ResultExt, Snafu};

use crate::apply::{Cache, keep_ours};
use crate::object::Existing;

/// Pods that have not ended. Those that were evicted stay until somebody clears them away, up to
/// 12,500 in a cluster, and say nothing of what runs.
const NOT_ENDED: &str = "status.phase!=Failed,status.phase!=Succeeded";
/// Pods that ended with a failure.
const FAILED: &str = "status.phase=Failed";
/// Label of the pods of Jobs.
const JOB: &str = "batch.kubernetes.io/job-name";

/// Why something could not be read.
#[derive(Debug, Snafu)]
pub enum Error {
    /// A list failed.
    #[snafu(display("failed to list objects of kind {kind}"))]
    List {
        /// The kind.
        kind: String,
        /// What the API server said.
        #[snafu(source(from(kube::Error, Box::new)))]
        source: Box<kube::Error>,
    },
    /// A named Secret could not be read. One that does not exist is no error here: validate
    /// reports it with its field.
    #[snafu(display("failed to read Secret/{name}"))]
    GetSecret {
        /// Its name.
        name: String,
        /// What the API server said.
        #[snafu(source(from(kube::Error, Box::new)))]
        source: Box<kube::Error>,
    },
    /// The authorities that pods are handed could not be read.
    #[snafu(display("failed to read ConfigMap/{name}"))]
    GetAuthorities {
        /// Name of the ConfigMap.
        name: String,
        /// What the API server said.
        #[snafu(source(from(kube::Error, Box::new)))]
        source: Box<kube::Error>,
    },
}

impl Error {
    /// What the API server said.
    #[must_use]
    pub fn kube(&self) -> Option<&kube::Error> {
        match self {
            Self::List { source, .. }
            | Self::GetSecret { source, .. }
            | Self::GetAuthorities { source, .. } => Some(source),
        }
    }
}

/// Reads what planning needs, and the metadata of everything that carries the platform's labels. Of
/// what is not in `applied` it tells what another process has applied.
///
/// # Errors
/// At the first read that fails.
pub async fn dereference(
    client: &Client,
    loto: &LotoAI,
    applied: &Cache,
) -> Result<(Observed, Existing), Error> {
    let namespace = loto.namespace().unwrap_or_default();
    let uid = loto.uid().unwrap_or_default();
    let ours = labels::owned_by_selector(&loto.name_any());
    let params = ListParams::default().labels(&ours);
    let reader = Reader {
        client,
        namespace: &namespace,
        uid: &uid,
        params: &params,
        applied,
    };
    let running = params.clone().fields(NOT_ENDED);
    let (
        mut secrets,
        mut deployments,
        mut stateful_sets,
        mut jobs,
        mut pods,
        claims,
        others,
        certificates,
        routes,
        backend_tls_policies,
        clusters,
    ) = futures::try_join!(
        reader.list::<Secret>(),
        reader.list::<Deployment>(),
        reader.list::<StatefulSet>(),
        reader.list::<Job>(),
        reader.list_of::<Pod>(&running),
        reader.list::<PersistentVolumeClaim>(),
        reader.metadata_of_others(),
        reader.list_optional::<Certificate>().boxed(),
        reader.list_optional::<HTTPRoute>().boxed(),
        reader.list_optional::<BackendTLSPolicy>().boxed(),
        reader.list_optional::<Cluster>().boxed(),
    )?;
    if !jobs.values().all(job_complete) {
        let attempts = ListParams::default().labels(&format!("{ours},{JOB}"));
        pods.extend(reader.ended(&attempts.fields(FAILED)).await?);
    }
    let mut missing_kinds = BTreeSet::new();
    let mut certificates = or_missing(certificates, &mut missing_kinds);
    let mut routes = or_missing(routes, &mut missing_kinds);
    let mut backend_tls_policies = or_missing(backend_tls_policies, &mut missing_kinds);
    let mut clusters = or_missing(clusters, &mut missing_kinds);
    let mut existing = others;
    extend(&mut existing, &mut secrets);
    extend(&mut existing, &mut deployments);
    extend(&mut existing, &mut stateful_sets);
    extend(&mut existing, &mut jobs);
    extend(&mut existing, &mut certificates);
    extend(&mut existing, &mut routes);
    extend(&mut existing, &mut backend_tls_policies);
    extend(&mut existing, &mut clusters);
    let mut observed = Observed {
        secrets,
        deployments,
        stateful_sets,
        jobs,
        pods,
        claims,
        certificates,
        routes,
        backend_tls_policies,
        clusters,
        events: BTreeMap::new(),
        missing_kinds,
        authorities: None,
    };
    observed.authorities = reader
        .authorities(&loto.name_any(), &observed.secrets)
        .await?;
    let now = Timestamp::now();
    let mut silent = short_of_pods(&observed, now);
    silent.extend(without_volume(&observed, now));
    observed.events = events_about(client, &namespace, silent).await?;
    let named = referenced_secrets(&loto.name_any(), &loto.spec);
    observed.secrets.extend(reader.named_secrets(named).await?);
    Ok((observed, existing))
}

/// Events about objects with these UIDs, by name. An operator whose Role is older than this right
/// goes on without: they only explain.
///
/// # Errors
/// At the first list that fails otherwise.
pub async fn events_about(
    client: &Client,
    namespace: &str,
    uids: Vec<String>,
) -> Result<BTreeMap<String, Event>, Error> {
    let api: Api<Event> = Api::namespaced(client.clone(), namespace);
    let lists = try_join_all(uids.into_iter().map(|uid| {
        let api = &api;
        async move {
            let about = ListParams::default().fields(&format!("involvedObject.uid={uid}"));
            let mut events = Vec::new();
            match pages::each(api, &about, |event| events.push(event)).await {
                Ok(()) => Ok(events),
                Err(kube::Error::Api(refusal)) if refusal.is_forbidden() => Ok(Vec::new()),
                Err(error) => Err(error).context(ListSnafu { kind: "Event" }),
            }
        }
    }))
    .await?;
    let events = lists.into_iter().flatten();
    Ok(events.map(|event| (event.name_any(), event)).collect())
}

/// Adds objects that were read in full. Their managed fields move, so that nobody copies them.
fn extend<K: Resource<DynamicType = ()>>(
    existing: &mut Existing,
    objects: &mut BTreeMap<String, K>,
) {
    let metadata = objects.values_mut().map(|object| {
        let managed_fields = object.meta_mut().managed_fields.take();
        ObjectMeta {
            managed_fields,
            ..object.meta().clone()
        }
    });
    existing.extend(&K::kind(&()), metadata);
}

/// The objects of an optional kind; its name goes to `missing` when the cluster does not have it.
fn or_missing<K: Resource<DynamicType = ()>>(
    objects: Option<BTreeMap<String, K>>,
    missing: &mut BTreeSet<String>,
) -> BTreeMap<String, K> {
    objects.unwrap_or_else(|| {
        missing.insert(K::kind(&()).into_owned());
        BTreeMap::new()
    })
}

/// Whether the API server said that it does not know the kind that it was asked to list.
#[must_use]
pub fn is_unknown_kind(error: &kube::Error) -> bool {
    // A list of a kind that is known is never "not found", not even in a namespace that is gone.
    matches!(error, kube::Error::Api(status) if status.code == 404)
}

struct Reader<'a> {
    client: &'a Client,
    namespace: &'a str,
    /// Of the platform.
    uid: &'a str,
    params: &'a ListParams,
    applied: &'a Cache,
}

impl Reader<'_> {
    async fn list<K>(&self) -> Result<BTreeMap<String, K>, Error>
    where
        K: Resource<DynamicType = (), Scope = NamespaceResourceScope>
            + Clone
            + Debug
            + DeserializeOwned,
    {
        self.list_of(self.params).await
    }

    /// The same of those that other selectors pick.
    async fn list_of<K>(&self, params: &ListParams) -> Result<BTreeMap<String, K>, Error>
    where
        K: Resource<DynamicType = (), Scope = NamespaceResourceScope>
            + Clone
            + Debug
            + DeserializeOwned,
    {
        let mut objects = BTreeMap::new();
        self.each(params, |mut object: K| {
            self.reduce(object.meta_mut());
            objects.insert(object.name_any(), object);
        })
        .await?;
        Ok(objects)
    }

    /// Pods that ended. Nobody reads what they were made from, which is most of them.
    async fn ended(&self, params: &ListParams) -> Result<BTreeMap<String, Pod>, Error> {
        let mut pods = BTreeMap::new();
        self.each(params, |mut pod: Pod| {
            pod.spec = None;
            pod.metadata.managed_fields = None;
            pods.insert(pod.name_any(), pod);
        })
        .await?;
        Ok(pods)
    }

    async fn each<K>(&self, params: &ListParams, keep: impl FnMut(K)) -> Result<(), Error>
    where
        K: Resource<DynamicType = (), Scope = NamespaceResourceScope>
            + Clone
            + Debug
            + DeserializeOwned,
    {
        let api: Api<K> = Api::namespaced(self.client.clone(), self.namespace);
        let listed = pages::each(&api, params, keep).await;
        listed.context(ListSnafu { kind: K::kind(&()) })
    }

    /// The same for a kind that the cluster may be without; nothing when it is.
    async fn list_optional<K>(&self) -> Result<Option<BTreeMap<String, K>>, Error>
    where
        K: Resource<DynamicType = (), Scope = NamespaceResourceScope>
            + Clone
            + Debug
            + DeserializeOwned,
    {
        match self.list().await {
            Ok(objects) => Ok(Some(objects)),
            Err(Error::List { source, .. }) if is_unknown_kind(&source) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Drops what nobody reads of the managed fields: they are most of an object's metadata. Of an
    /// object that this process has applied that is everything.
    fn reduce(&self, meta: &mut ObjectMeta) {
        if self.applied.knows(self.uid, meta) {
            meta.managed_fields = None;
        } else {
            keep_ours(meta);
        }
    }

    /// Metadata of the owned kinds that are not read in full.
    async fn metadata_of_others(&self) -> Result<Existing, Error> {
        let in_full = [
            ApiResource::erase::<Secret>(&()),
            ApiResource::erase::<Deployment>(&()),
            ApiResource::erase::<StatefulSet>(&()),
            ApiResource::erase::<Job>(&()),
            ApiResource::erase::<Certificate>(&()),
            ApiResource::erase::<HTTPRoute>(&()),
            ApiResource::erase::<BackendTLSPolicy>(&()),
            ApiResource::erase::<Cluster>(&()),
        ];
        let others = owned_kinds()
            .into_iter()
            .map(|OwnedKind { resource, .. }| resource)
            .filter(|resource| !in_full.contains(resource));
        let lists = try_join_all(others.map(async |resource| {
            let api: Api<PartialObjectMeta<DynamicObject>> =
                Api::namespaced_with(self.client.clone(), self.namespace, &resource);
            let kind = resource.kind;
            let mut all = Vec::new();
            let listed = pages::each(&api, self.params, |mut object| {
                self.reduce(&mut object.metadata);
                all.push(object.metadata);
            });
            listed.await.context(ListSnafu { kind: &kind })?;
            Ok((kind, all))
        }))
        .await?;
        let mut existing = Existing::default();
        for (kind, metadata) in lists {
            existing.extend(&kind, metadata);
        }
        Ok(existing)
    }

    /// The authorities that pods of this platform are handed, while one of them has yet to begin to
    /// sign.
    async fn authorities(
        &self,
        platform: &str,
        secrets: &BTreeMap<String, Secret>,
    ) -> Result<Option<String>, Error> {
        let held = secrets.get(&authority_secret(platform));
        if held.is_none_or(|held| !held.annotations().contains_key(NEXT_SINCE)) {
            return Ok(None);
        }
        let api: Api<ConfigMap> = Api::namespaced(self.client.clone(), self.namespace);
        let name = authority_bundle(platform);
        let bundle = api
            .get_opt(&name)
            .await
            .context(GetAuthoritiesSnafu { name })?;
        Ok(bundle.and_then(|bundle| bundle.data?.remove(AUTHORITY)))
    }

    async fn named_secrets(
        &self,
        names: BTreeSet<String>,
    ) -> Result<BTreeMap<String, Secret>, Error> {
        let api: Api<Secret> = Api::namespaced(self.client.clone(), self.namespace);
        let secrets = try_join_all(names.into_iter().map(|name| {
            let api = &api;
            async move { api.get_opt(&name).await.context(GetSecretSnafu { name }) }
        }))
        .await?;
        Ok(secrets
            .into_iter()
            .flatten()
            .map(|secret| (secret.name_any(), secret))
            .collect())
    }
}
