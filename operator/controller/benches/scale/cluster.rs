//! A new API server, what is put into it, and what is read from it.

use std::collections::{BTreeMap, HashSet};
use std::ops::Range;
use std::pin::pin;
use std::time::Duration;

use futures::{StreamExt, TryStreamExt, stream};
use k8s_openapi::ByteString;
use k8s_openapi::api::core::v1::{ConfigMap, Secret};
use kube::api::{Api, ApiResource, DynamicObject, ListParams, ObjectMeta, PostParams};
use kube::runtime::WatchStreamExt;
use kube::runtime::watcher::{self, Event, watcher};
use kube::{Client, ResourceExt};
use lotoai_api::LotoAI;
use lotoai_plan::{labels, owned_kinds};
use snafu::{OptionExt, ResultExt, whatever};
use tokio::time::{Instant, sleep, timeout_at};

use crate::program::Process;
use crate::server::ApiServer;
use crate::text::samples;
use crate::{Result, platform, template};

/// Namespaces that the resources are spread over.
const NAMESPACES: usize = 10;
/// Namespace of what is no business of the operator.
const BALLAST: &str = "ballast";
/// Requests of the measurement under way at once.
const PARALLEL: usize = 4;
/// A program that takes longer for one step has failed.
pub(crate) const LIMIT: Duration = Duration::from_secs(45 * 60);
/// Nothing is written for this long: the program has finished.
const QUIET: Duration = Duration::from_secs(5);
/// Objects that one list returns.
const PAGE: u32 = 500;
/// Verbs of requests that may write.
const WRITES: [&str; 6] = [
    "APPLY",
    "PATCH",
    "POST",
    "PUT",
    "DELETE",
    "DELETECOLLECTION",
];

/// Name of a resource.
pub(crate) fn name(index: usize) -> String {
    format!("loto-{index:04}")
}

/// Its namespace.
pub(crate) fn namespace(index: usize) -> String {
    format!("bench-{}", index % NAMESPACES)
}

/// A new API server.
pub(crate) struct Cluster {
    pub(crate) client: Client,
    pub(crate) server: ApiServer,
}

impl Cluster {
    /// Starts it and makes what the resources need.
    pub(crate) async fn new() -> Result<Self> {
        let server = ApiServer::start().whatever_context("there is no kube-apiserver")?;
        let client = server.client();
        platform::install_crd(&client).await;
        for index in 0..NAMESPACES {
            platform::namespace(&client, &namespace(index)).await;
        }
        platform::namespace(&client, BALLAST).await;
        Ok(Self { client, server })
    }

    /// Makes resources.
    pub(crate) async fn create(&self, indices: Range<usize>) -> Result<()> {
        stream::iter(indices.map(Ok))
            .try_for_each_concurrent(PARALLEL, async |index| {
                let (name, namespace) = (name(index), namespace(index));
                let resource = template::resource(&name, &namespace, "start")?;
                let api: Api<LotoAI> = Api::namespaced(self.client.clone(), &namespace);
                api.create(&PostParams::default(), &resource)
                    .await
                    .with_whatever_context(|_| format!("failed to make {name}"))?;
                Ok(())
            })
            .await
    }

    /// Waits until the status of `count` resources is about their spec of now.
    pub(crate) async fn settled(&self, count: usize, process: &Process) -> Result<()> {
        let api: Api<LotoAI> = Api::all(self.client.clone());
        let mut events = pin!(watcher(api, watcher::Config::default()).default_backoff());
        let deadline = Instant::now() + LIMIT;
        let mut settled = HashSet::new();
        while settled.len() < count {
            let Ok(event) = timeout_at(deadline, events.next()).await else {
                let (settled, log) = (settled.len(), process.log_tail());
                whatever!("only {settled} of {count} resources settled:\n{log}");
            };
            if let Some(Ok(Event::InitApply(loto) | Event::Apply(loto))) = event {
                let observed = loto.status.as_ref().and_then(|s| s.observed_generation);
                if observed.is_some() && observed == loto.metadata.generation {
                    settled.insert(loto.name_any());
                }
            }
        }
        Ok(())
    }

    /// Waits until no request could have written anything for a while.
    pub(crate) async fn quiet(&self, process: &Process) -> Result<()> {
        let deadline = Instant::now() + LIMIT;
        let mut last = writes(&self.requests().await?);
        loop {
            sleep(QUIET).await;
            // It also says whether the process is still there.
            process.memory()?;
            let now = writes(&self.requests().await?);
            if now == last {
                return Ok(());
            }
            if Instant::now() > deadline {
                whatever!("it goes on writing:\n{}", process.log_tail());
            }
            last = now;
        }
    }

    /// Requests so far by verb, those for the resources themselves aside: the measurement makes
    /// those. Watches count when they end, and are left out.
    pub(crate) async fn requests(&self) -> Result<BTreeMap<String, u64>> {
        let request = http::Request::get("/metrics")
            .body(Vec::new())
            .whatever_context("failed to make a request")?;
        let text = self
            .client
            .request_text(request)
            .await
            .whatever_context("failed to read the API server's metrics")?;
        let mut kinds: HashSet<String> = owned_kinds()
            .into_iter()
            .map(|kind| kind.resource.plural)
            .collect();
        kinds.extend(["pods", "persistentvolumeclaims", "events"].map(str::to_owned));
        let mut requests = BTreeMap::new();
        for sample in samples(&text, "apiserver_request_total") {
            let verb = sample.label("verb");
            let is_status =
                sample.label("resource") == "lotoais" && sample.label("subresource") == "status";
            if verb != "WATCH" && (is_status || kinds.contains(sample.label("resource"))) {
                *requests.entry(verb.to_owned()).or_default() += sample.value;
            }
        }
        Ok(requests)
    }

    /// `resourceVersion` of every resource and child.
    pub(crate) async fn versions(&self) -> Result<BTreeMap<String, String>> {
        let every = ListParams::default().limit(PAGE);
        let ours = every.clone().labels(&format!(
            "{}={}",
            labels::MANAGED_BY,
            labels::MANAGED_BY_VALUE
        ));
        let mut versions = BTreeMap::new();
        let resource = ApiResource::erase::<LotoAI>(&());
        self.add_versions(&resource, every, &mut versions).await?;
        // This API server has none of the optional kinds, and refuses to list them.
        for kind in owned_kinds().into_iter().filter(|kind| !kind.optional) {
            self.add_versions(&kind.resource, ours.clone(), &mut versions)
                .await?;
        }
        Ok(versions)
    }

    async fn add_versions(
        &self,
        kind: &ApiResource,
        mut params: ListParams,
        versions: &mut BTreeMap<String, String>,
    ) -> Result<()> {
        let api: Api<DynamicObject> = Api::all_with(self.client.clone(), kind);
        loop {
            let list = api
                .list_metadata(&params)
                .await
                .with_whatever_context(|_| format!("failed to list {}", kind.plural))?;
            let next = list.metadata.continue_.clone();
            for object in list {
                let namespace = object.namespace().unwrap_or_default();
                let key = format!("{}/{namespace}/{}", kind.kind, object.name_any());
                versions.insert(key, object.resource_version().unwrap_or_default());
            }
            match next.filter(|token| !token.is_empty()) {
                Some(token) => params = params.continue_token(&token),
                None => return Ok(()),
            }
        }
    }

    /// Adds 50 MB of Secrets and ConfigMaps that are no business of the operator.
    pub(crate) async fn add_ballast(&self) -> Result<()> {
        const OBJECTS: usize = 100;
        const BYTES: usize = 256 * 1024;
        let secrets: Api<Secret> = Api::namespaced(self.client.clone(), BALLAST);
        let maps: Api<ConfigMap> = Api::namespaced(self.client.clone(), BALLAST);
        let (params, key) = (PostParams::default(), "ballast".to_owned());
        for index in 0..OBJECTS {
            let metadata = ObjectMeta {
                name: Some(format!("ballast-{index}")),
                ..ObjectMeta::default()
            };
            let secret = Secret {
                metadata: metadata.clone(),
                data: Some([(key.clone(), ByteString(vec![b'x'; BYTES]))].into()),
                ..Secret::default()
            };
            let map = ConfigMap {
                metadata,
                data: Some([(key.clone(), "x".repeat(BYTES))].into()),
                ..ConfigMap::default()
            };
            let both = async {
                tokio::try_join!(secrets.create(&params, &secret), maps.create(&params, &map))
            };
            both.await.whatever_context("failed to add ballast")?;
        }
        Ok(())
    }
}

/// How many of these requests could have written.
pub(crate) fn writes(requests: &BTreeMap<String, u64>) -> u64 {
    let writing = requests
        .iter()
        .filter(|(verb, _)| WRITES.contains(&verb.as_str()));
    writing.map(|(_, count)| count).sum()
}

/// How many objects are in one and not in the other, or in another version.
pub(crate) fn changed(
    before: &BTreeMap<String, String>,
    after: &BTreeMap<String, String>,
) -> usize {
    let gone = before.keys().filter(|key| !after.contains_key(*key));
    let other = after
        .iter()
        .filter(|(key, version)| before.get(*key) != Some(version));
    gone.count() + other.count()
}
