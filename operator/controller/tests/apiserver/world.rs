//! One platform in one namespace, with passes that the test starts by hand, and the parts of a
//! cluster that a bare API server lacks.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures::FutureExt;
use futures::future::{BoxFuture, LocalBoxFuture};
use k8s_openapi::api::apps::v1::{Deployment, StatefulSet};
use k8s_openapi::api::autoscaling::v2::HorizontalPodAutoscaler;
use k8s_openapi::api::batch::v1::Job;
use kube::api::{Api, ApiResource, DynamicObject, ListParams, Patch, PatchParams, PostParams};
use kube::core::DeserializeGuard;
use kube::runtime::controller::Action;
use kube::{Client, ResourceExt};
use lotoai_api::spec::PullPolicy;
use lotoai_api::{LotoAI, LotoAIStatus};
use lotoai_operator::context::Context;
use lotoai_operator::probe::{Ask, Error as ProbeError, Probes, Target};
use lotoai_operator::{Error, reconcile, run};
use lotoai_plan::{OperatorEnv, owned_kinds};
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use crate::server::ApiServer;
use crate::{platform, server};

/// What a test waits for comes within this time or not at all.
pub(crate) const DEADLINE: Duration = Duration::from_secs(60);

/// A platform that answers every probe question.
pub(crate) struct Answering;

impl Ask for Answering {
    fn ask<'a>(&'a self, _: &'a Target) -> BoxFuture<'a, Result<(), ProbeError>> {
        Box::pin(async { Ok(()) })
    }
}

/// A platform that answers without citing anything.
pub(crate) struct Silent;

impl Ask for Silent {
    fn ask<'a>(&'a self, _: &'a Target) -> BoxFuture<'a, Result<(), ProbeError>> {
        Box::pin(async { Err(ProbeError::NoCitation) })
    }
}

pub(crate) struct World {
    /// The test's own client, as an administrator.
    pub(crate) client: Client,
    pub(crate) namespace: String,
    /// The operator's context, with the operator's rights.
    pub(crate) context: Arc<Context>,
}

impl World {
    /// A new namespace with the resource `demo` of this spec, which no pass has seen yet.
    /// `None` when there is no API server on this machine.
    pub(crate) async fn new(namespace: &str, spec: &Value, ask: impl Ask) -> Option<Self> {
        Some(Self::on(server::shared()?, namespace, spec, ask).await)
    }

    /// The same on a server of the test's own.
    pub(crate) async fn on(
        server: &ApiServer,
        namespace: &str,
        spec: &Value,
        ask: impl Ask,
    ) -> Self {
        let client = server.client();
        platform::install_crd(&client).await;
        platform::namespace(&client, namespace).await;
        platform::allow_operator(&client, namespace).await;
        let world = Self {
            context: Arc::new(context(&server.operator(), ask)),
            client,
            namespace: namespace.to_owned(),
        };
        world.create("demo", spec).await;
        world
    }

    /// The smallest platform, answering.
    pub(crate) async fn demo(namespace: &str) -> Option<Self> {
        Self::new(
            namespace,
            &json!({ "url": "https://lotoai.localhost" }),
            Answering,
        )
        .await
    }

    pub(crate) async fn create(&self, name: &str, spec: &Value) {
        let loto = serde_json::from_value(json!({
            "apiVersion": "lotoai.dev/v1alpha1", "kind": "LotoAI",
            "metadata": { "name": name }, "spec": spec,
        }))
        .unwrap();
        self.lotos()
            .create(&PostParams::default(), &loto)
            .await
            .unwrap();
    }

    pub(crate) fn lotos(&self) -> Api<LotoAI> {
        Api::namespaced(self.client.clone(), &self.namespace)
    }

    /// API of a kind in the namespace.
    pub(crate) fn api<K>(&self) -> Api<K>
    where
        K: kube::Resource<Scope = k8s_openapi::NamespaceResourceScope, DynamicType = ()>,
    {
        Api::namespaced(self.client.clone(), &self.namespace)
    }

    /// Changes the spec.
    pub(crate) async fn change(&self, spec: &Value) {
        let patch = Patch::Merge(json!({ "spec": spec }));
        self.lotos()
            .patch("demo", &PatchParams::default(), &patch)
            .await
            .unwrap();
    }

    pub(crate) async fn status(&self) -> LotoAIStatus {
        self.lotos()
            .get("demo")
            .await
            .unwrap()
            .status
            .unwrap_or_default()
    }

    /// Reason and message of a condition that is `True`, or of `Ready` whatever it is.
    pub(crate) async fn condition(&self, type_: &str) -> (String, String, String) {
        let status = self.status().await;
        let condition = status.condition(type_);
        let condition =
            condition.unwrap_or_else(|| panic!("no {type_} in {:?}", status.conditions));
        (
            condition.status.clone(),
            condition.reason.clone(),
            condition.message.clone(),
        )
    }

    /// One pass.
    pub(crate) async fn pass(&self) -> Result<Action, Error> {
        let api: Api<DeserializeGuard<LotoAI>> =
            Api::namespaced(self.client.clone(), &self.namespace);
        let object = api.get("demo").await.unwrap();
        reconcile::reconcile(Arc::new(object), Arc::clone(&self.context)).await
    }

    /// Runs an operator of this context until `test` ends, and drops it where it stands then: to
    /// the API server that looks like a killed process.
    pub(crate) async fn until_killed(&self, context: Arc<Context>, test: impl Future<Output = ()>) {
        let shutdown = CancellationToken::new();
        let namespaces = [self.namespace.clone()];
        let operator = async {
            run::wait_for_type(&context.client, &namespaces, &shutdown).await;
            run::run(Arc::clone(&context), &namespaces, &shutdown).await;
        };
        tokio::select! {
            () = Box::pin(operator) => panic!("the operator ended by itself"),
            () = Box::pin(test) => {}
        }
    }

    /// Runs the operator as its process does while `test` goes on, which begins when the platform
    /// is ready.
    pub(crate) fn operating<'a>(
        &'a self,
        test: impl Future<Output = ()> + 'a,
    ) -> LocalBoxFuture<'a, ()> {
        let operating = async move {
            let shutdown = CancellationToken::new();
            let namespaces = [self.namespace.clone()];
            let client = &self.context.client;
            assert!(run::wait_for_type(client, &namespaces, &shutdown).await);
            let operator = run::run(Arc::clone(&self.context), &namespaces, &shutdown);
            let test = async {
                wait_for("the platform is ready", DEADLINE, async || {
                    self.is_up().await
                })
                .await;
                test.await;
                shutdown.cancel();
            };
            futures::future::join(Box::pin(operator), Box::pin(test)).await;
        };
        operating.boxed_local()
    }

    /// Whether the status is about the newest spec and says that nothing is left to do, with
    /// workloads that become ready at once.
    pub(crate) async fn is_up(&self) -> bool {
        self.make_ready(|_| true).await;
        let loto = self.lotos().get("demo").await.unwrap();
        let status = loto.status.unwrap_or_default();
        let conditions = status.conditions.iter();
        let summary: Vec<_> = conditions
            .map(|condition| (condition.type_.as_str(), condition.status.as_str()))
            .collect();
        status.observed_generation == loto.metadata.generation && summary == [("Ready", "True")]
    }

    /// Passes until the platform is ready, with workloads that become ready at once.
    pub(crate) async fn settle(&self) {
        self.settle_until(|status| {
            status
                .condition("Ready")
                .is_some_and(|ready| ready.status == "True")
        })
        .await;
    }

    pub(crate) async fn settle_until(&self, done: impl Fn(&LotoAIStatus) -> bool) {
        let started = Instant::now();
        loop {
            self.pass().await.unwrap();
            let status = self.status().await;
            if done(&status) {
                return;
            }
            assert!(started.elapsed() < DEADLINE, "not there yet: {:#?}", status);
            self.make_ready(|_| true).await;
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// Plays the controller of autoscalers: no Deployment has fewer pods than its own says.
    async fn scale(&self) {
        let deployments = self.api::<Deployment>();
        let autoscalers = self.api::<HorizontalPodAutoscaler>();
        for autoscaler in autoscalers.list(&ListParams::default()).await.unwrap() {
            let spec = autoscaler.spec.unwrap();
            let least = spec.min_replicas.unwrap_or(1);
            let name = spec.scale_target_ref.name;
            let Some(found) = deployments.get_opt(&name).await.unwrap() else {
                continue;
            };
            let replicas = found.spec.and_then(|spec| spec.replicas).unwrap_or(1);
            if replicas < least {
                let patch = Patch::Merge(json!({ "spec": { "replicas": least } }));
                let params = PatchParams::default();
                deployments.patch(&name, &params, &patch).await.unwrap();
            }
        }
    }

    /// Plays controllers and kubelet: every workload that `which` picks by name becomes ready.
    pub(crate) async fn make_ready(&self, which: impl Fn(&str) -> bool) {
        self.scale().await;
        self.play(&which, |set: &StatefulSet| {
            let replicas = set.spec.as_ref().and_then(|spec| spec.replicas);
            let status = set.status.as_ref();
            let seen = status.map(|it| (it.observed_generation, it.ready_replicas));
            let more = json!({
                "currentReplicas": replicas, "currentRevision": "r1", "updateRevision": "r1",
            });
            rolled_out(set.metadata.generation, replicas, seen, &more)
        })
        .await;
        self.play(&which, |deployment: &Deployment| {
            let replicas = deployment.spec.as_ref().and_then(|spec| spec.replicas);
            let status = deployment.status.as_ref();
            let seen = status.map(|it| (it.observed_generation, it.ready_replicas));
            let more = json!({ "conditions": [{ "type": "Available", "status": "True" }] });
            rolled_out(deployment.metadata.generation, replicas, seen, &more)
        })
        .await;
        self.play(&which, |job: &Job| {
            if job.status.as_ref().is_some_and(|it| it.succeeded.is_some()) {
                return None;
            }
            let now = jiff::Timestamp::now().strftime("%Y-%m-%dT%H:%M:%SZ");
            let now = now.to_string();
            let condition =
                |type_: &str| json!({ "type": type_, "status": "True", "lastTransitionTime": now });
            Some(json!({
                "startTime": now, "completionTime": now, "succeeded": 1, "ready": 0,
                "conditions": [condition("SuccessCriteriaMet"), condition("Complete")],
            }))
        })
        .await;
    }

    /// Gives each object of a kind that `which` picks the status that `next` says, if it says one.
    async fn play<K>(&self, which: &impl Fn(&str) -> bool, next: impl Fn(&K) -> Option<Value>)
    where
        K: kube::Resource<Scope = k8s_openapi::NamespaceResourceScope, DynamicType = ()>
            + serde::de::DeserializeOwned
            + Clone
            + std::fmt::Debug,
    {
        let api = self.api::<K>();
        for object in api.list(&ListParams::default()).await.unwrap() {
            let name = object.name_any();
            let Some(status) = next(&object).filter(|_| which(&name)) else {
                continue;
            };
            let patch = Patch::Merge(json!({ "status": status }));
            match api
                .patch_status(&name, &PatchParams::default(), &patch)
                .await
            {
                Ok(_) => {}
                // Another one took its place meanwhile, and has its turn next time.
                Err(kube::Error::Api(error)) if error.is_not_found() => {}
                Err(error) => panic!("status of {name}: {error}"),
            }
        }
    }

    /// API of a kind that is not known by a type.
    pub(crate) fn dynamic(&self, kind: &ApiResource) -> Api<DynamicObject> {
        Api::namespaced_with(self.client.clone(), &self.namespace, kind)
    }

    /// The resource versions of everything that is there: owned kinds and the resource itself.
    pub(crate) async fn versions(&self) -> BTreeMap<String, String> {
        let mut versions = BTreeMap::new();
        let mut kinds = kinds();
        kinds.push(ApiResource::erase::<LotoAI>(&()));
        for kind in kinds {
            let api = self.dynamic(&kind);
            for object in api.list_metadata(&ListParams::default()).await.unwrap() {
                let version = object.metadata.resource_version.unwrap_or_default();
                let name = object.metadata.name.unwrap_or_default();
                versions.insert(format!("{}/{name}", kind.kind), version);
            }
        }
        versions
    }
}

/// The status of a workload whose pods are all ready, with what its kind has `more`; nothing when
/// `seen`, the generation and the number of pods in its status, says so already.
fn rolled_out(
    generation: Option<i64>,
    replicas: Option<i32>,
    seen: Option<(Option<i64>, Option<i32>)>,
    more: &Value,
) -> Option<Value> {
    let replicas = replicas.unwrap_or(1);
    if seen == Some((generation, Some(replicas))) {
        return None;
    }
    let mut status = json!({
        "observedGeneration": generation, "replicas": replicas, "readyReplicas": replicas,
        "updatedReplicas": replicas, "availableReplicas": replicas,
    });
    status
        .as_object_mut()
        .unwrap()
        .extend(more.as_object().unwrap().clone());
    Some(status)
}

/// The kinds of a platform's objects that every cluster has.
pub(crate) fn kinds() -> Vec<ApiResource> {
    let kinds = owned_kinds().into_iter().filter(|kind| !kind.optional);
    kinds.map(|kind| kind.resource).collect()
}

/// Whether the tests that take samples and the ones that take minutes run in full.
pub(crate) fn is_soak() -> bool {
    std::env::var_os("LOTOAI_SOAK").is_some()
}

/// Waits for what comes within `limit` or not at all.
pub(crate) async fn wait_for(
    what: &str,
    limit: Duration,
    mut condition: impl AsyncFnMut() -> bool,
) {
    let started = Instant::now();
    while !condition().await {
        assert!(started.elapsed() < limit, "{what}: not within {limit:?}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// A context as `run` makes it, with its own memory of what was applied.
pub(crate) fn context(client: &Client, ask: impl Ask) -> Context {
    let env = OperatorEnv {
        namespace: "lotoai-system".to_owned(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        images: BTreeMap::new(),
        pull_policy: PullPolicy::IfNotPresent,
        otlp_endpoint: None,
    };
    Context::new(
        client.clone(),
        env,
        Probes::new(ask),
        Some("tests".to_owned()),
    )
}
