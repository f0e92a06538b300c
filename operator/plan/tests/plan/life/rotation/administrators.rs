//! Passwords of the administrators that stores keep themselves.

use std::collections::BTreeMap;

use lotoai_api::Store;

use super::{World, ask, live};

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
