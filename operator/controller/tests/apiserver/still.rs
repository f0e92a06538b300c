//! A platform that is as it should be is left in peace.

use std::sync::Arc;
use std::time::{Duration, Instant};

use lotoai_operator::leader::{Identity, LEASE, lead};
use lotoai_operator::run;
use lotoai_testing::Proxy;
use tokio_util::sync::CancellationToken;

use crate::proxy::proxied;
use crate::world::{DEADLINE, World, is_soak, wait_for};

/// Some passes that come by time alone fall into the long one.
const LONG: Duration = Duration::from_secs(600);
const SHORT: Duration = Duration::from_secs(20);
/// What the last change woke comes to its end within this time.
const PAUSE: Duration = Duration::from_secs(3);

/// Writes so far: to the lease, and others.
fn writes(proxy: &Proxy) -> (usize, Vec<String>) {
    let (lease, others): (Vec<_>, Vec<_>) = proxy
        .writes()
        .into_iter()
        .partition(|line| line.ends_with(&format!("/leases/{LEASE}")));
    (lease.len(), others)
}

async fn nothing_but_the_lease_is_written(world: &World, proxy: &Proxy) {
    wait_for("the platform is ready", DEADLINE, async || {
        world.is_up().await
    })
    .await;
    let mut last = (0, Instant::now());
    wait_for("a pause", DEADLINE, async || {
        let count = writes(proxy).1.len();
        if count != last.0 {
            last = (count, Instant::now());
        }
        last.1.elapsed() > PAUSE
    })
    .await;
    let (leases, before) = writes(proxy);
    let watches = proxy.watches();
    let versions = world.versions().await;
    let period = if is_soak() { LONG } else { SHORT };
    let started = Instant::now();
    wait_for("the period ends", period + DEADLINE, async || {
        let (_, now) = writes(proxy);
        assert_eq!(
            now.len(),
            before.len(),
            "written: {:?}",
            &now[before.len()..]
        );
        started.elapsed() > period
    })
    .await;
    assert_eq!(world.versions().await, versions);
    // The server ends each after some five minutes; one that is quiet is not dead.
    let again = proxy.watches() - watches;
    let times = if is_soak() { 3 } else { 0 };
    assert!(again <= times * watches, "{again} watches begun again");
    // Or the operator slept, or nobody counted.
    assert!(writes(proxy).0 > leases, "the lease was not renewed");
}

#[tokio::test]
async fn a_ready_platform_is_left_in_peace() {
    let Some((world, proxy, _)) = proxied("still").await else {
        return;
    };
    let shutdown = CancellationToken::new();
    let namespaces = [world.namespace.clone()];
    let client = world.context.client.clone();
    let identity = Some(Identity {
        namespace: world.namespace.clone(),
        lease: LEASE.to_owned(),
        name: "still".to_owned(),
    });
    let work = Box::pin(run::run(Arc::clone(&world.context), &namespaces, &shutdown));
    let operator = Box::pin(lead(client, identity, &shutdown, work));
    let test = async {
        nothing_but_the_lease_is_written(&world, &proxy).await;
        shutdown.cancel();
    };
    let (led, ()) = tokio::join!(operator, Box::pin(test));
    assert!(led.unwrap().is_some(), "it led");
}
