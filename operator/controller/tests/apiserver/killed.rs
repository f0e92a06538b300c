//! The operator, killed at one of its writes and started again: the platform comes to the same end
//! as one whose operator was never killed, and nothing is deleted that would not have been.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use k8s_openapi::ByteString;
use k8s_openapi::api::core::v1::Secret;
use kube::ResourceExt;
use kube::api::ListParams;
use lotoai_operator::context::Context;
use lotoai_testing::{Fault, Kill, Proxy, chance};
use rand::Rng;
use rand::seq::index;

use crate::proxy::{proxied, through};
use crate::state::{State, anonymous, difference, state};
use crate::world::{Answering, DEADLINE, World, context, is_soak, wait_for};

/// Kills of each test: all, and a sample of them.
const KILLS: usize = 20;
const SAMPLE: usize = 2;
const FROM: &str = "1.0.0";
/// A patch: a minor version is not taken back.
const TO: &str = "1.0.1";

/// What an operator has done when all is done.
struct End {
    state: State,
    writes: usize,
    /// Paths without the namespace.
    deleted: Vec<String>,
}

/// A platform, and the way to its API server that every operator takes.
struct Stage {
    world: World,
    proxy: Proxy,
    token: PathBuf,
}

impl Stage {
    async fn new(namespace: &str) -> Option<Self> {
        let (world, proxy, token) = proxied(namespace).await?;
        Some(Self {
            world,
            proxy,
            token,
        })
    }

    /// An operator that has just started and remembers nothing.
    fn operator(&self, version: &str) -> Arc<Context> {
        let mut context = context(&through(&self.proxy, &self.token), Answering);
        version.clone_into(&mut context.env.version);
        Arc::new(context)
    }

    /// The newest spec runs in this version, and nothing is left to do.
    async fn is_done(&self, version: &str) -> bool {
        self.world.is_up().await && self.world.status().await.version.as_deref() == Some(version)
    }

    /// Runs an operator of this version until all is done, and says what all operators have written
    /// since `from` writes.
    async fn finish(&self, version: &str, from: usize) -> End {
        self.proxy.set(None);
        let done = async {
            wait_for("the platform is ready", DEADLINE, async || {
                self.is_done(version).await
            })
            .await;
        };
        self.world.until_killed(self.operator(version), done).await;
        let writes = self.proxy.writes();
        let deleted = writes[from..].iter().filter_map(|line| {
            let path = line.strip_prefix("DELETE ")?;
            Some(path.replace(&self.world.namespace, "…"))
        });
        End {
            state: state(&self.world).await,
            writes: writes.len() - from,
            deleted: deleted.collect(),
        }
    }

    /// Runs an operator of this version until it is killed, or until all is done when it writes
    /// less than that. Says whether it was killed before.
    async fn cut(&self, version: &str, kill: Kill) -> bool {
        self.proxy.set(Some(Fault::Kill(kill)));
        let killed = async {
            wait_for("the kill", DEADLINE, async || {
                self.proxy.failed() > 0 || self.is_done(version).await
            })
            .await;
        };
        self.world
            .until_killed(self.operator(version), killed)
            .await;
        self.proxy.failed() > 0
    }

    /// Everything secret that is there.
    async fn secrets(&self) -> BTreeMap<String, Option<BTreeMap<String, ByteString>>> {
        let secrets = self.world.api::<Secret>();
        let all = secrets.list(&ListParams::default()).await.unwrap();
        all.into_iter()
            .map(|secret| (secret.name_any(), secret.data))
            .collect()
    }
}

/// Kills at different writes of so many, drawn by chance that can be repeated.
fn kills(test: &str, writes: usize) -> Vec<Kill> {
    let mut chance = chance(test);
    let count = if is_soak() { KILLS } else { SAMPLE };
    let drawn = index::sample(&mut chance, writes, count);
    let kills: Vec<Kill> = drawn
        .into_iter()
        .map(|write| Kill {
            write: write + 1,
            stored: chance.random(),
            only_new: false,
        })
        .collect();
    println!("{test}: of {writes} writes {kills:?}");
    kills
}

fn assert_same(what: &str, is: &State, wanted: &State) {
    assert!(is == wanted, "{what}: {}", difference(is, wanted));
}

#[tokio::test]
async fn an_installation_comes_to_the_same_end() {
    let Some(never) = Stage::new("kill-never").await else {
        return;
    };
    let end = never.finish(FROM, 0).await;
    assert_eq!(end.deleted, [""; 0]);
    let wanted = anonymous(&never.world).await;
    assert!(wanted.len() > 40, "only {} objects", wanted.len());
    let mut early = 0;
    for kill in kills("installation", end.writes) {
        let what = format!("{kill:?}");
        let stage = Stage::new(&format!("kill-install-{}", kill.write))
            .await
            .unwrap();
        early += usize::from(stage.cut(FROM, kill).await);
        let secrets = stage.secrets().await;
        let again = stage.finish(FROM, 0).await;
        assert_same(&what, &anonymous(&stage.world).await, &wanted);
        assert_eq!(again.deleted, [""; 0], "{what}");
        let kept = stage.secrets().await;
        for (name, data) in secrets {
            assert_eq!(kept.get(&name), Some(&data), "{what}: Secret {name}");
        }
    }
    assert!(early > 0, "no operator was killed");
}

#[tokio::test]
async fn an_upgrade_comes_to_the_same_end() {
    let Some(stage) = Stage::new("kill-upgrade").await else {
        return;
    };
    let wrote = async |version: &str| stage.finish(version, stage.proxy.writes().len()).await;
    let first = wrote(FROM).await;
    let there = wrote(TO).await;
    let back = wrote(FROM).await;
    assert_same("there and back", &back.state, &first.state);
    assert!(there.state != back.state, "an upgrade changes objects");
    // Provision Jobs have other images, thus other names.
    assert!(!there.deleted.is_empty(), "an upgrade deletes Jobs");

    let (mut to, mut from) = ((TO, there), (FROM, back));
    let mut early = 0;
    for kill in kills("upgrade", to.1.writes.min(from.1.writes)) {
        let (version, wanted) = &to;
        let what = format!("to {version} {kill:?}");
        let before = stage.proxy.writes().len();
        early += usize::from(stage.cut(version, kill).await);
        let again = stage.finish(version, before).await;
        assert_same(&what, &again.state, &wanted.state);
        for path in &again.deleted {
            assert!(wanted.deleted.contains(path), "{what}: deleted {path}");
        }
        std::mem::swap(&mut to, &mut from);
    }
    assert!(early > 0, "no operator was killed");
}
