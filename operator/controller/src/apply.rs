//! Apply: brings the platform's objects to their desired state by server-side apply.
//!
//! Needs a client; the only writer of workloads. It never adopts: an object that bears one of our
//! names but does not belong to the platform stays untouched, and nothing else is written either.
//! Only data that a deleted resource of the same name left behind on purpose is taken up again.

mod foreign;
mod record;
mod refusal;

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::Client;
use kube::api::{Api, ApiResource, DynamicObject, Patch, PatchParams};
use lotoai_plan::{ObjectId, PlannedObject};
use serde_json::{Value, json};
use snafu::{ResultExt, Snafu, ensure};

use crate::hash::hash;
use crate::metrics;
use crate::object::{Desired, Existing, belongs, show};
use foreign::refuse_foreign;
use record::{is_as_applied, signed};
use refusal::{is_silence, put_off, refusals};

pub(crate) use record::keep_ours;
pub use refusal::Refusal;
pub(crate) use refusal::is_refusal;

/// Field manager of everything but status. It may never change: the objects of running platforms
/// would keep the fields of the old one for ever.
pub const FIELD_MANAGER: &str = "lotoai-operator";

/// Field manager of the number of pods that a workload is woken with. It is not the one above, which
/// would take the number away again in the next pass, because it does not write it.
const WAKER: &str = "lotoai-operator-scale";

/// A pass ends at this many objects that were refused because a webhook did not answer: each of the
/// others could take as long, up to half a minute.
const SILENT: usize = 2;

/// Why objects could not be applied.
#[derive(Debug, Snafu)]
pub enum Error {
    /// Objects of others bear our names.
    #[snafu(display(
        "failed to apply {}: {} there already and {} not belong to this platform; \
         delete or rename {}, or give the platform another name",
        list(objects),
        if objects.len() == 1 { "it is" } else { "they are" },
        if objects.len() == 1 { "does" } else { "do" },
        if objects.len() == 1 { "it" } else { "them" },
    ))]
    Foreign {
        /// The objects in the way.
        objects: Vec<ObjectId>,
    },
    /// A look-up failed.
    #[snafu(display("failed to look up {}", show(id)))]
    LookUp {
        /// The object.
        id: ObjectId,
        /// What the API server said.
        #[snafu(source(from(kube::Error, Box::new)))]
        source: Box<kube::Error>,
    },
    /// The cluster refused objects. Everything was written that depends on none of them, unless they
    /// were refused for want of an answer.
    #[snafu(display("{}{}", refusals(objects), put_off(waiting)))]
    Refused {
        /// What was refused, and why.
        objects: Vec<Refusal>,
        /// What waits for it.
        waiting: Vec<ObjectId>,
    },
    /// A write failed for a reason that the next one would meet as well.
    #[snafu(display("failed to apply {}", show(id)))]
    Patch {
        /// The object.
        id: ObjectId,
        /// What the API server said.
        #[snafu(source(from(kube::Error, Box::new)))]
        source: Box<kube::Error>,
    },
}

fn list(objects: &[ObjectId]) -> String {
    objects.iter().map(show).collect::<Vec<_>>().join(", ")
}

impl Error {
    /// Whether an object of somebody else stands in the way.
    #[must_use]
    pub fn is_foreign(&self) -> bool {
        matches!(self, Self::Foreign { .. })
    }

    /// Whether objects were refused, and everything else was written that could be.
    #[must_use]
    pub const fn is_refusal(&self) -> bool {
        matches!(self, Self::Refused { .. })
    }

    /// What the API server said, if it said anything.
    #[must_use]
    pub fn kube(&self) -> Option<&kube::Error> {
        match self {
            Self::Foreign { .. } => None,
            Self::Refused { objects, .. } => objects.first().map(|refusal| refusal.source.as_ref()),
            Self::LookUp { source, .. } | Self::Patch { source, .. } => Some(source),
        }
    }
}

/// What was last applied, so that an object nobody touched is not sent again. What a process of
/// before has applied is told by the objects themselves, when they are looked at first.
///
/// By UID of the platform, then by hashed UID of the object, in order: only hashes, and no more room
/// than they need, because a platform has some hundred objects and one operator may run a thousand
/// platforms. Two objects that hash alike are sent once too often, nothing else.
#[derive(Debug, Default)]
pub struct Cache(Mutex<HashMap<String, Vec<(u64, u64)>>>);

impl Cache {
    fn is_current(&self, owner: Owner<'_>, meta: &ObjectMeta, body: u64) -> bool {
        let sent = self.lock();
        sent.get(owner.uid)
            .and_then(|sent| place(sent, meta).ok().map(|at| sent[at].1))
            .is_some_and(|sent| sent == hash(&(body, &meta.resource_version)))
    }

    fn record(&self, owner: Owner<'_>, applied: &ObjectMeta, body: u64) {
        let print = hash(&(body, &applied.resource_version));
        let mut all = self.lock();
        let sent = all.entry(owner.uid.to_owned()).or_default();
        match place(sent, applied) {
            Ok(at) => sent[at].1 = print,
            Err(at) => sent.insert(at, (hash(&applied.uid), print)),
        }
    }

    /// Whether this process has applied an object of this platform, or found it as it should be.
    pub fn knows(&self, platform: &str, object: &ObjectMeta) -> bool {
        let sent = self.lock();
        sent.get(platform)
            .is_some_and(|sent| place(sent, object).is_ok())
    }

    /// Forgets an object that is gone.
    pub fn forget(&self, owner: Owner<'_>, object: &ObjectMeta) {
        if let Some(sent) = self.lock().get_mut(owner.uid)
            && let Ok(at) = place(sent, object)
        {
            sent.remove(at);
        }
    }

    /// Forgets all objects of a platform that is gone.
    pub fn forget_platform(&self, uid: &str) {
        self.lock().remove(uid);
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, Vec<(u64, u64)>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Where an object stands among those of its platform, or where it would.
fn place(sent: &[(u64, u64)], object: &ObjectMeta) -> Result<usize, usize> {
    let uid = hash(&object.uid);
    sent.binary_search_by_key(&uid, |(uid, _)| *uid)
}

/// Whose objects are applied, and where.
#[derive(Clone, Copy, Debug)]
pub struct Owner<'a> {
    /// Namespace of the platform.
    pub namespace: &'a str,
    /// UID of the resource.
    pub uid: &'a str,
}

/// An object that was written.
#[derive(Debug)]
pub struct Sent {
    /// Which.
    pub id: ObjectId,
    /// As it is now.
    pub metadata: ObjectMeta,
    /// Whether the write made or changed it: the API server may have had it already, as when only the
    /// status changed.
    pub changed: bool,
}

/// Says of an object, first, whether it waits while the cluster refuses another one.
pub type Depends<'a> = &'a (dyn Fn(&Desired, &Desired) -> bool + Sync);

/// Applies `desired` in its order, except what is held, what `depends` on an object that is refused,
/// and Jobs that exist already. What was written goes to `sent`, also when other writes failed.
///
/// # Errors
/// When an object of somebody else bears one of our names: then nothing was written. When objects
/// were refused: then the others were written, unless they were refused because a webhook does not
/// answer: then the rest waits after the second one. And at the first write that fails for a reason that is
/// not its own, such as an API server that is away.
pub async fn apply(
    client: &Client,
    owner: Owner<'_>,
    existing: &Existing,
    cache: &Cache,
    desired: &[Desired],
    depends: Depends<'_>,
    sent: &mut Vec<Sent>,
) -> Result<(), Error> {
    let absent = refuse_foreign(client, owner, existing, desired).await?;
    let mut refused: Vec<(&Desired, kube::Error)> = Vec::new();
    let mut waiting = Vec::new();
    for object in desired {
        let kind = object.planned.resource.kind.as_str();
        if object.held {
            metrics::object(kind, "held");
            continue;
        }
        let id = object.id();
        let current = existing.get(&id).filter(|meta| belongs(meta, owner.uid));
        let body = hash(&object.planned.body);
        let unchanged =
            current.is_some_and(|meta| is_unchanged(owner, cache, &object.planned, meta, body));
        if unchanged && object.wake.is_none() {
            metrics::object(kind, "unchanged");
            continue;
        }
        let silent = refused.iter().filter(|(_, error)| is_silence(error));
        if silent.count() >= SILENT || refused.iter().any(|(other, _)| depends(object, other)) {
            metrics::object(kind, "held");
            waiting.push(id);
            continue;
        }
        let is_new = absent.contains(&id);
        let applied = match send(client, owner, object, current, is_new).await {
            Ok(applied) => applied,
            Err(error) if is_refusal(&error) => {
                metrics::object(kind, "refused");
                refused.push((object, error));
                continue;
            }
            Err(error) => return Err(error).context(PatchSnafu { id }),
        };
        let version = &applied.resource_version;
        let changed = current.is_none_or(|meta| meta.resource_version != *version);
        cache.record(owner, &applied, body);
        metrics::object(kind, "applied");
        sent.push(Sent {
            id,
            metadata: applied,
            changed,
        });
    }
    let objects: Vec<Refusal> = refused.into_iter().map(refusal).collect();
    ensure!(objects.is_empty(), RefusedSnafu { objects, waiting });
    Ok(())
}

/// Whether an object that is there needs no write. One that another process has applied counts from
/// now on as applied by this one.
fn is_unchanged(
    owner: Owner<'_>,
    cache: &Cache,
    planned: &PlannedObject,
    meta: &ObjectMeta,
    body: u64,
) -> bool {
    if cache.is_current(owner, meta, body) {
        return true;
    }
    let unchanged = is_immutable(&planned.resource) || is_as_applied(meta, &planned.body);
    if unchanged {
        cache.record(owner, meta, body);
    }
    unchanged
}

/// Writes one object; its metadata as it is then. One that sleeps gets its template first and is
/// woken then, so that no pod starts from the one of before, and before its number is given up, so
/// that it is never the API server's default. Of one that was not there nothing is overwritten:
/// whoever has made it since keeps every value that differs from ours, and the write is a conflict.
async fn send(
    client: &Client,
    owner: Owner<'_>,
    object: &Desired,
    current: Option<&ObjectMeta>,
    is_new: bool,
) -> Result<ObjectMeta, kube::Error> {
    let planned = &object.planned;
    let api = api(client, owner, &planned.resource);
    let name = planned.name.as_str();
    let ours = PatchParams {
        force: !is_new,
        ..PatchParams::apply(FIELD_MANAGER)
    };
    if let (Some(replicas), Some(current)) = (object.wake, current) {
        let sleeps = write(&api, name, &ours, &asleep(planned, current)).await?;
        let waker = PatchParams::apply(WAKER).force();
        write(&api, name, &waker, &awake(planned, replicas, &sleeps)).await?;
    }
    // Nothing before this write bears the digest: a process that is killed in between is followed by
    // one that sends the object again.
    write(&api, name, &ours, &signed(&planned.body)).await
}

async fn write(
    api: &Api<DynamicObject>,
    name: &str,
    by: &PatchParams,
    body: &Value,
) -> Result<ObjectMeta, kube::Error> {
    let written = api.patch_metadata(name, by, &Patch::Apply(body)).await?;
    Ok(written.metadata)
}

/// The whole object without pods, as long as nobody wrote to it since it was read: somebody may have
/// woken it.
fn asleep(planned: &PlannedObject, current: &ObjectMeta) -> Value {
    let mut body = planned.body.clone();
    body["metadata"]["resourceVersion"] = json!(current.resource_version);
    body["spec"]["replicas"] = json!(0);
    body
}

/// The number of pods of an object and nothing else, as long as nobody wrote to it since then.
fn awake(planned: &PlannedObject, replicas: i32, current: &ObjectMeta) -> Value {
    json!({
        "apiVersion": planned.resource.api_version,
        "kind": planned.resource.kind,
        "metadata": { "name": planned.name, "resourceVersion": current.resource_version },
        "spec": { "replicas": replicas },
    })
}

fn refusal((object, error): (&Desired, kube::Error)) -> Refusal {
    Refusal {
        id: object.id(),
        source: Box::new(error),
    }
}

/// A Job's template cannot change; plan puts a hash of its inputs into its name instead.
fn is_immutable(resource: &ApiResource) -> bool {
    resource.kind == "Job"
}

fn api(client: &Client, owner: Owner<'_>, resource: &ApiResource) -> Api<DynamicObject> {
    Api::namespaced_with(client.clone(), owner.namespace, resource)
}
