//! Leader election on a real Lease.

use k8s_openapi::api::coordination::v1::Lease;
use kube::api::Api;
use lotoai_operator::leader::{Identity, LEASE, lead};
use tokio::sync::oneshot;
use tokio_util::sync::CancellationToken;

use crate::world::DEADLINE;
use crate::{platform, server};

fn identity(name: &str) -> Option<Identity> {
    of_lease(LEASE, name)
}

fn of_lease(lease: &str, name: &str) -> Option<Identity> {
    Some(Identity {
        namespace: "leader".to_owned(),
        lease: lease.to_owned(),
        name: name.to_owned(),
    })
}

#[tokio::test]
async fn one_process_leads_and_hands_over_when_it_ends() {
    let Some(server) = server::shared() else {
        return;
    };
    let client = server.client();
    platform::namespace(&client, "leader").await;
    let shutdown = CancellationToken::new();
    let (first_leads, first_led) = oneshot::channel();
    let (end, ended) = oneshot::channel::<()>();
    let first = lead(client.clone(), identity("first"), &shutdown, async move {
        first_leads.send(()).unwrap();
        ended.await.unwrap();
    });
    let second = async {
        first_led.await.unwrap();
        let api: Api<Lease> = Api::namespaced(client.clone(), "leader");
        let holder = async || api.get(LEASE).await.unwrap().spec.unwrap().holder_identity;
        assert_eq!(holder().await.as_deref(), Some("first"));
        let work = lead(client.clone(), identity("second"), &shutdown, async {
            assert_eq!(holder().await.as_deref(), Some("second"));
        });
        let mut work = Box::pin(work);
        // It does not lead while the first one does.
        let early = tokio::time::timeout(std::time::Duration::from_secs(3), &mut work).await;
        assert!(early.is_err(), "two processes lead");
        // Another release of the chart has a lease of its own.
        let beside = lead(
            client.clone(),
            of_lease("other", "third"),
            &shutdown,
            async {
                let lease = api.get("other").await.unwrap().spec.unwrap();
                lease.holder_identity
            },
        );
        let beside = tokio::time::timeout(DEADLINE, Box::pin(beside)).await;
        let holder_beside = beside.expect("it leads at once").unwrap().flatten();
        assert_eq!(holder_beside.as_deref(), Some("third"));
        end.send(()).unwrap();
        work.await.unwrap()
    };
    let both = async { tokio::join!(first, second) };
    let (first, second) = tokio::time::timeout(DEADLINE, Box::pin(both))
        .await
        .expect("the lease is handed over");
    assert!(first.unwrap().is_some() && second.is_some());
}

#[tokio::test]
async fn a_process_that_waits_for_the_lease_ends_at_once() {
    let Some(server) = server::shared() else {
        return;
    };
    let client = server.client();
    platform::namespace(&client, "waiting").await;
    let shutdown = CancellationToken::new();
    shutdown.cancel();
    let waits = Some(Identity {
        namespace: "no-such-namespace".to_owned(),
        lease: LEASE.to_owned(),
        name: "waits".to_owned(),
    });
    let work = async { panic!("it leads without a lease") };
    let led = tokio::time::timeout(DEADLINE, lead(client, waits, &shutdown, work)).await;
    assert_eq!(led.expect("it ends").unwrap(), None::<()>);
}
