//! The operator, killed at one write after the other while it installs a platform that really runs,
//! and again while it upgrades it: the platform comes to the end that an operator would bring it to
//! that nobody kills, and nothing is deleted that such an operator would not delete.
//!
//! It makes a second platform twice over, so only `make soak` runs it.

use std::panic::resume_unwind;
use std::time::{Duration, Instant};

use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::{Namespace, Pod, Secret};
use kube::api::{Api, DeleteParams, ListParams, ObjectMeta, Patch, PatchParams, PostParams};
use lotoai_e2e::Platform;
use lotoai_local::Instance;
use lotoai_plan::labels;
use lotoai_testing::{Fault, Kill, chance};
use rand::Rng as _;
use rand::rngs::StdRng;
use serde_json::{Value, json};

use crate::beside;
use crate::cluster::{OPERATOR, OPERATOR_NAMESPACE, is_ready};
use crate::dump::caught;
use crate::images::{self, Images};
use crate::outside::{Operator, Outside};
use crate::state::{State, assert_kept, state};
use crate::support::{NAMESPACE, condition, ready, run, wait_for};

/// Name and namespace of the platform whose operator is killed.
const KILLED: &str = "killed";
/// The first one's stores that it uses. RabbitMQ is its own, so that the kills meet the making of a store
/// with its volume, its administrator and its provision Job, too.
const STORES: [&str; 3] = ["clickhouse", "minio", "postgres"];
/// How often at least in an installation, and how often in an upgrade.
const KILLS: usize = 20;
/// An operator is killed at one of this many of its first new writes, and at one of twice as many once
/// there were enough kills, or none might live to say that all is done. Both lead to some thirty kills
/// on the whole way: an installation has about a hundred and fifty new writes, an upgrade half of that.
const OF_INSTALLATION: usize = 8;
const OF_UPGRADE: usize = 3;
/// How long an installation or an upgrade may take with all its kills; one without takes two to
/// three minutes.
const LIMIT: Duration = Duration::from_secs(420);
/// How long anything else may take.
const SOON: Duration = Duration::from_secs(120);
/// Objects that an operator with nothing to do may send again: those whose status others change
/// meanwhile.
const FEW: usize = 5;
/// How long the namespace may take until it is gone: its pods drain, and then its volumes go.
const CLEAR_LIMIT: Duration = Duration::from_secs(300);
/// Tag of the images that the platform is upgraded to.
const NEXT: &str = "next";

struct Stage {
    platform: Platform,
    outside: Outside,
    chance: StdRng,
}

#[test]
fn an_operator_killed_again_and_again_comes_to_the_same_end() {
    let test = "an_operator_killed_again_and_again_comes_to_the_same_end";
    let Ok(instance) = std::env::var("LOTOAI_E2E_INSTANCE") else {
        println!("SKIPPED {test}: it needs the network of the package-built cluster");
        return;
    };
    if std::env::var_os("LOTOAI_SOAK").is_none() {
        println!("SKIPPED {test}: `make soak` runs it");
        return;
    }
    run(|| async move {
        let (first, _) = ready().await;
        let instance = Instance::new(&instance).unwrap();
        let platform = Platform::connect(KILLED, KILLED).await.unwrap();
        // A run that was interrupted left it as narrow as it is made below.
        watch(&first, "").await;
        clear(&platform).await;
        // From here on the installed operator lets the other one have the namespace.
        watch(&first, NAMESPACE).await;
        let work = Box::pin(survives(&first, &instance, test));
        let outcome = caught(&first.kube, &[KILLED], work).await;
        // Also when it failed: the tests after this one need the machine. The installed operator never
        // sees what others have made.
        clear(&platform).await;
        watch(&first, "").await;
        if let Err(failure) = outcome {
            resume_unwind(failure);
        }
    });
}

async fn survives(first: &Platform, instance: &Instance, test: &str) {
    let platform = Platform::connect(KILLED, KILLED).await.unwrap();
    house(first).await;
    let images = images::installed(first).await;
    let next = images::tagged(instance, &images, NEXT);
    let mut stage = Stage {
        outside: Outside::new(first, instance).await,
        platform,
        chance: chance(test),
    };
    let mut spec = beside::on_the_first_ones_stores(KILLED);
    spec["messaging"] = json!({});
    beside::make(&stage.platform, KILLED, &STORES, &spec).await;

    let deleted = stage
        .killed_until_done("installation", &images, OF_INSTALLATION, |_| false)
        .await;
    assert_eq!(deleted, [""; 0]);
    stage.an_operator_that_lives_changes_nothing(&images).await;

    let before = stage.state().await.unwrap();
    let broker = format!("StatefulSet/{KILLED}-rabbitmq");
    assert!(before.contains_key(&broker), "{:?}", before.keys());
    // A provision Job that another image runs has another name.
    let is_job = |name: &str| name.starts_with("Job/");
    let deleted = stage
        .killed_until_done("upgrade", &next, OF_UPGRADE, is_job)
        .await;
    let jobs = before.keys().filter(|name| is_job(name)).count();
    assert!(jobs > 0 && deleted.len() >= jobs, "{jobs}: {deleted:?}");
    for path in &deleted {
        let (_, name) = path.split_once("/jobs/").unwrap_or_default();
        assert!(before.contains_key(&format!("Job/{name}")), "{path}");
    }
    stage.an_operator_that_lives_changes_nothing(&next).await;
    let after = stage.state().await.unwrap();
    assert_eq!(after.len(), before.len());
}

impl Stage {
    /// Starts an operator, kills it at one of its first `most` new writes, and starts the next one at
    /// once, until one of them finds nothing to do. The paths of what was deleted.
    async fn killed_until_done(
        &mut self,
        what: &str,
        images: &Images,
        most: usize,
        may_go: impl Fn(&str) -> bool,
    ) -> Vec<String> {
        let begun = Instant::now();
        let from = self.outside.proxy.writes().len();
        let mut kept = self.state().await.unwrap();
        let mut stored = Vec::new();
        loop {
            let wide = if stored.len() < KILLS { 1 } else { 2 };
            let kill = Kill {
                write: self.chance.random_range(1..=wide * most),
                stored: self.chance.random(),
                only_new: true,
            };
            self.outside.proxy.set(Some(Fault::Kill(kill)));
            let mut operator = self.outside.start(KILLED, images);
            let is_killed = tokio::select! {
                () = self.outside.proxy.met() => true,
                () = self.wait_done(what, images, &mut operator) => false,
            };
            drop(operator);
            let now = self.state().await.unwrap();
            assert_kept(&format!("{what}, {kill:?}"), &kept, &now, &may_go);
            kept = now;
            if !is_killed {
                break;
            }
            stored.push(kill.stored);
            assert!(begun.elapsed() < LIMIT, "{what}: {} kills", stored.len());
        }
        println!(
            "{what}: done after {} kills and {:.0} s, {} of them after the write was stored",
            stored.len(),
            begun.elapsed().as_secs_f64(),
            stored.iter().filter(|stored| **stored).count()
        );
        assert!(stored.len() >= KILLS, "{what}: {} kills", stored.len());
        self.deleted(from)
    }

    /// An operator that has just started sends what is not as it would have made it, and takes away
    /// what should not be there: where it has nothing to do, everything is as it would have made it.
    async fn an_operator_that_lives_changes_nothing(&self, images: &Images) {
        let before = self.state().await.unwrap();
        assert!(before.len() > 40, "only {} objects", before.len());
        let from = self.outside.proxy.writes().len();
        self.outside.proxy.set(None);
        let mut operator = self.outside.start(KILLED, images);
        // The second pass begins when the first one is over.
        for (metric, label, least) in [
            ("lotoai_operator_probes_total", "answered", 1.0),
            ("lotoai_operator_reconciliations_total", "", 2.0),
        ] {
            wait_for(&format!("{least} {metric}"), SOON, async || {
                operator.assert_runs();
                let count = self.outside.metric(metric, label).await?;
                (count >= least).then_some(()).ok_or(count.to_string())
            })
            .await;
        }
        self.wait_done("the end", images, &mut operator).await;
        let looked = self
            .outside
            .metric("lotoai_operator_objects_total", "unchanged");
        let looked = looked.await.unwrap();
        drop(operator);
        let least = u32::try_from(before.len() / 2).unwrap();
        assert!(
            looked > f64::from(least),
            "{looked} objects: not everything"
        );
        let mut sent = self.outside.proxy.writes().split_off(from);
        sent.retain(|line| !line.contains("/lotoais/") && !line.contains("/events"));
        // A running process sends an object again whose status changes.
        assert!(sent.len() <= FEW, "{sent:?}");
        assert_eq!(self.deleted(from), [""; 0]);
        let after = self.state().await.unwrap();
        let all = before.keys().chain(after.keys());
        let changed: Vec<&String> = all
            .filter(|name| before.get(*name) != after.get(*name))
            .collect();
        assert!(changed.is_empty(), "{changed:?}");
    }

    async fn wait_done(&self, what: &str, images: &Images, operator: &mut Operator) {
        wait_for(what, LIMIT, async || self.is_done(images, operator).await).await;
    }

    /// Whether the platform is Ready, every pod of it is to run these images, and nothing is left to
    /// do.
    async fn is_done(&self, images: &Images, operator: &mut Operator) -> Result<(), String> {
        operator.assert_runs();
        let object = self.platform.resources().get(KILLED).await;
        let object = object.map_err(|error| error.to_string())?;
        let object = serde_json::to_value(&object).map_err(|error| error.to_string())?;
        let is = |kind: &str| condition(&object, kind) == "True";
        if !is("Ready") || is("Reconciling") || is("Stalled") || is("Degraded") {
            return Err(object["status"]["conditions"].to_string());
        }
        let state = self.state().await?;
        let mut behind = state.keys().filter(|name| is_behind(&state[*name], images));
        behind.next().map_or(Ok(()), |name| Err(name.clone()))
    }

    async fn state(&self) -> Result<State, String> {
        state(&self.platform).await
    }

    /// What has been deleted since so many writes.
    fn deleted(&self, from: usize) -> Vec<String> {
        let writes = self.outside.proxy.writes();
        let deletes = writes[from..]
            .iter()
            .filter_map(|line| line.strip_prefix("DELETE "));
        deletes.map(str::to_owned).collect()
    }
}

/// Whether the pods of an object are to run another image than this.
fn is_behind(object: &Value, images: &Images) -> bool {
    let containers = object["spec"]["template"]["spec"]["containers"].as_array();
    let component = object["metadata"]["labels"][labels::NAME].as_str();
    let image = component.and_then(|component| images.get(component));
    image.is_some_and(|image| {
        let mut containers = containers.into_iter().flatten();
        containers.any(|it| it["name"].as_str() == component && it["image"] != **image)
    })
}

/// Makes the namespace, as strict as the first one's, with what the stores of the first one ask for.
async fn house(first: &Platform) {
    let namespaces: Api<Namespace> = Api::all(first.kube.clone());
    let namespace = json!({ "metadata": { "name": KILLED, "labels": {
        "pod-security.kubernetes.io/enforce": "restricted",
    } } });
    let namespace: Namespace = serde_json::from_value(namespace).unwrap();
    let parameters = PostParams::default();
    namespaces.create(&parameters, &namespace).await.unwrap();

    let theirs: Api<Secret> = Api::namespaced(first.kube.clone(), NAMESPACE);
    let ours: Api<Secret> = Api::namespaced(first.kube.clone(), KILLED);
    for name in beside::secrets_of_stores() {
        let mut data = theirs.get(&name).await.unwrap().data.unwrap();
        data.retain(|key, _| ["username", "password", "ca.crt"].contains(&key.as_str()));
        let secret = Secret {
            metadata: ObjectMeta {
                name: Some(name),
                ..ObjectMeta::default()
            },
            data: Some(data),
            ..Secret::default()
        };
        ours.create(&parameters, &secret).await.unwrap();
    }
}

/// Removes all of it, also what a run that was cut off has left.
async fn clear(platform: &Platform) {
    beside::remove(platform, KILLED).await;
    let namespaces: Api<Namespace> = Api::all(platform.kube.clone());
    wait_for(
        "the namespace to be gone",
        CLEAR_LIMIT,
        async || match namespaces.delete(KILLED, &DeleteParams::default()).await {
            Err(kube::Error::Api(status)) if status.code == 404 => Ok(()),
            other => Err(format!("{:?}", other.err())),
        },
    )
    .await;
}

/// Tells the installed operator which namespaces are its own, all of them when none is named, and
/// waits until no process of before is left.
async fn watch(first: &Platform, namespaces: &str) {
    let deployments: Api<Deployment> = Api::namespaced(first.kube.clone(), OPERATOR_NAMESPACE);
    let patch = json!({ "spec": { "template": { "spec": { "containers": [{
        "name": "operator", "env": [{ "name": "WATCH_NAMESPACES", "value": namespaces }],
    }] } } } });
    let (parameters, patch) = (PatchParams::default(), Patch::Strategic(patch));
    let patched = deployments.patch(OPERATOR, &parameters, &patch).await;
    let generation = patched.unwrap().metadata.generation;
    let pods: Api<Pod> = Api::namespaced(first.kube.clone(), OPERATOR_NAMESPACE);
    let ours = ListParams::default().labels(&format!("{}={OPERATOR}", labels::NAME));
    wait_for("the installed operator to restart", SOON, async || {
        let deployment = deployments.get(OPERATOR).await;
        let status = deployment.map_err(|error| error.to_string())?.status;
        let status = status.unwrap_or_default();
        // Also those that are on their way out.
        let pods = pods.list(&ours).await.map_err(|error| error.to_string())?;
        let all = pods.items.len();
        let is_new = status.observed_generation >= generation
            && status.updated_replicas == Some(1)
            && status.replicas == Some(1);
        if is_new && all == 1 && pods.items.iter().all(is_ready) {
            Ok(())
        } else {
            Err(format!("{all} pods, {status:?}"))
        }
    })
    .await;
}
