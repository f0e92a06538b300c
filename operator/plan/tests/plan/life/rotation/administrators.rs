//! Administrators of stores: of those that keep theirs themselves, of ClickHouse and of MinIO.

use std::collections::{BTreeMap, BTreeSet};

use lotoai_api::Store;

use super::super::secrets::administrators;
use super::{World, access::everybody_is_let_in, ask, live, through};

#[test]
fn administrators_get_a_new_password_and_their_servers_do_not_notice() {
    let mut world = World::up("minimal");
    let before = world.administrators.clone();
    let stores = [Store::Postgres, Store::Rabbitmq, Store::Keycloak];
    assert!(before.keys().eq(&stores));
    for store in stores {
        ask(&mut world, &format!("{}-admin", store.component()), "1");
    }
    live(&mut world, usize::MAX);
    for (store, old) in &before {
        let new = &world.administrators[store];
        assert_ne!(new, old);
        let secret = format!("demo-{}-admin", store.component());
        assert_eq!(world.secret(&secret, "password").as_ref(), Some(new));
        assert_eq!(world.secret(&secret, "standby-password"), None);
    }
    assert_eq!(world.starts, BTreeMap::new());
    assert_eq!(world.report().condition("Reconciling"), None);
    // Asked for together with everything else too.
    let before = world.administrators.clone();
    ask(&mut world, "all", "2");
    for name in ["postgres-admin", "rabbitmq-admin", "keycloak-admin"] {
        world.lotoai.spec.credentials.rotate.remove(name);
    }
    live(&mut world, 1);
    let mut all = before.iter();
    assert!(all.all(|(store, old)| world.administrators[store] != *old));
}

#[test]
#[should_panic(expected = "the administrator of Postgres is refused")]
fn an_administrator_whose_password_is_unknown_would_be_noticed() {
    let mut world = World::up("minimal");
    world
        .administrators
        .insert(Store::Postgres, "another".to_owned());
    ask(&mut world, "gateway-postgres", "1");
    live(&mut world, usize::MAX);
}

/// Which of the files name an administrator of ClickHouse.
fn named(files: &[String], name: &str) -> Vec<bool> {
    let tag = format!("<{name}>");
    files.iter().map(|file| file.contains(&tag)).collect()
}

#[test]
fn administrators_of_clickhouse_take_turns_and_its_servers_follow() {
    for fixture in ["minimal", "high-availability"] {
        let mut world = World::up(fixture);
        let secret = |world: &World, key| world.secret("demo-clickhouse-admin", key);
        for (request, old, new) in [("1", "admin", "admin_b"), ("2", "admin_b", "admin")] {
            let before = secret(&world, "password");
            ask(&mut world, "clickhouse-admin", request);
            let mut files = vec![administrators(&world.plan().1)];
            files.extend(through(&mut world, 10, |world| {
                administrators(&world.plan().1)
            }));
            files.dedup();
            // They change places without a change of the file.
            assert_eq!(named(&files, old), [true, true, false], "{fixture}");
            assert_eq!(named(&files, new), [false, true, true], "{fixture}");
            assert_eq!(secret(&world, "username").as_deref(), Some(new));
            assert_eq!(secret(&world, "standby-username"), None);
            assert_ne!(secret(&world, "password"), before);
        }
        assert_eq!(world.starts, BTreeMap::new(), "{fixture}");
        assert_eq!(world.report().condition("Reconciling"), None);
    }
}

/// The servers of ClickHouse that its Job is told to ask one by one.
fn asked_one_by_one(world: &World) -> Vec<String> {
    let (_, set, _) = world.plan();
    let name = "demo-provision-clickhouse";
    let mut maps = set.config_maps.iter();
    let map = maps.find(|map| map.metadata.name.as_deref() == Some(name));
    let file = &map.unwrap().data.as_ref().unwrap()["provision.yaml"];
    let file: serde_json::Value = serde_yaml_ng::from_str(file).unwrap();
    let servers = file["servers"].as_array().into_iter().flatten();
    servers
        .map(|server| server.as_str().unwrap().to_owned())
        .collect()
}

/// Each server reads its file in its own time, and only one of them is behind the Service's address.
#[test]
fn every_server_of_clickhouse_is_asked_while_administrators_take_turns() {
    let members = [0, 1, 2]
        .map(|number| format!("https://demo-clickhouse-{number}.demo-clickhouse-nodes.ai:8443"))
        .to_vec();
    for (fixture, expected) in [
        ("minimal", vec![Vec::new()]),
        ("high-availability", vec![Vec::new(), members, Vec::new()]),
    ] {
        let mut world = World::up(fixture);
        let mut seen = vec![asked_one_by_one(&world)];
        ask(&mut world, "clickhouse-admin", "1");
        seen.extend(through(&mut world, 10, asked_one_by_one));
        seen.dedup();
        assert_eq!(seen, expected, "{fixture}");
    }
}

/// How many servers of MinIO run, and with what password: never with two.
fn minio(world: &World) -> (usize, Option<String>) {
    let pods = world.started.iter();
    let servers = pods.filter(|(name, _)| name.starts_with("demo-minio-"));
    let known: Vec<_> = servers
        .map(|(_, (_, env))| env["MINIO_ROOT_PASSWORD"].clone())
        .collect();
    let different: BTreeSet<_> = known.iter().collect();
    assert!(different.len() <= 1, "{different:?}");
    (known.len(), known.into_iter().next())
}

#[test]
fn all_servers_of_minio_stop_before_the_first_one_starts_with_the_new_password() {
    let mut world = World::up("high-availability");
    let (count, old) = minio(&world);
    assert_eq!(count, 4);
    ask(&mut world, "minio-admin", "1");
    let (mut seen, mut told) = (Vec::new(), BTreeSet::new());
    for _ in 0..20 {
        world.operator(usize::MAX);
        world.rotate(usize::MAX);
        // What is written now is what the status speaks of.
        let status = world.report();
        let mut components = status.components.iter();
        let shown = components.find(|component| component.name == "minio");
        told.insert(shown.unwrap().message.clone());
        world.kubelet();
        everybody_is_let_in(&world);
        seen.push(minio(&world));
    }
    seen.dedup();
    let new = world.secret("demo-minio-admin", "password");
    assert_ne!(new, old);
    assert_eq!(seen, [(4, old), (0, None), (4, new)]);
    let stops = "stops all servers before the first new one starts";
    assert!(told.iter().any(|message| message == stops), "{told:?}");
    assert_eq!(world.secret("demo-minio-admin", "standby-password"), None);
    assert_eq!(world.report().condition("Reconciling"), None);
}

/// Nobody stops all servers for having asked for what restarts one pod at a time.
#[test]
fn all_does_not_mean_the_administrator_of_minio() {
    let mut world = World::up("high-availability");
    let before = minio(&world);
    let clickhouse = world.secret("demo-clickhouse-admin", "password");
    ask(&mut world, "all", "1");
    live(&mut world, usize::MAX);
    assert_eq!(minio(&world), before);
    assert_eq!(world.secret("demo-minio-admin", "password"), before.1);
    let mut starts = world.starts.keys();
    assert!(starts.all(|name| !name.starts_with("demo-minio-")));
    assert_ne!(
        world.secret("demo-clickhouse-admin", "password"),
        clickhouse
    );
    // Its own entry does, whatever stands beside it.
    ask(&mut world, "minio-admin", "1");
    live(&mut world, usize::MAX);
    assert_ne!(world.secret("demo-minio-admin", "password"), before.1);
}

#[test]
fn one_server_of_minio_is_simply_replaced() {
    let mut world = World::up("minimal");
    ask(&mut world, "minio-admin", "1");
    live(&mut world, 1);
    let starts: Vec<_> = world.starts.iter().collect();
    assert_eq!(starts, [(&"demo-minio-0".to_owned(), &1)]);
    let new = world.secret("demo-minio-admin", "password");
    assert_eq!(minio(&world), (1, new));
}

/// One that is on its way would start with another password than those that run already.
#[test]
fn minio_gets_a_new_password_when_all_of_its_servers_are_there() {
    let mut world = World::up("high-availability");
    ask(&mut world, "minio-admin", "1");
    for _ in 0..5 {
        world.operator(usize::MAX);
        world.kubelet();
        let set = world.observed.stateful_sets.get_mut("demo-minio").unwrap();
        set.status.as_mut().unwrap().ready_replicas = Some(3);
        world.rotate(usize::MAX);
    }
    let secret = |world: &World, key| world.secret("demo-minio-admin", key);
    let (used, standby) = (
        secret(&world, "password"),
        secret(&world, "standby-password"),
    );
    assert!(standby.is_some());
    assert_eq!(minio(&world).1, used);
    world.kubelet();
    live(&mut world, usize::MAX);
    assert_eq!(secret(&world, "password"), standby);
    assert_eq!(minio(&world).1, standby);
}
