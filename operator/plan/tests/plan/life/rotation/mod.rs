//! Credentials that are made anew while they are used.

mod access;
mod administrators;
mod edges;
mod given;
mod probe;
mod qdrant;
mod requests;
mod sessions;

use std::collections::BTreeMap;

use lotoai_plan::rotation;

use super::world::World;
use access::{everybody_is_let_in, sessions_go_on};

fn ask(world: &mut World, name: &str, request: &str) {
    let rotate = &mut world.lotoai.spec.credentials.rotate;
    rotate.insert(name.to_owned(), request.to_owned());
}

/// Lets so many passes go by, each with the steps that are due and the restarts that follow, and looks
/// after each: what was seen, without what was the same as before. Everybody is let in all along.
fn through<T: PartialEq>(world: &mut World, passes: usize, look: impl Fn(&World) -> T) -> Vec<T> {
    let pass = |_| {
        world.operator(usize::MAX);
        world.rotate(usize::MAX);
        world.kubelet();
        everybody_is_let_in(world);
        look(world)
    };
    let mut seen: Vec<T> = (0..passes).map(pass).collect();
    seen.dedup();
    seen
}

/// The secret part of every credential that can be made anew, by Secret.
fn values(world: &World) -> BTreeMap<String, String> {
    let platform = world.platform();
    rotation::edges(&platform.topology)
        .map(|edge| {
            let name = platform.edge_secret(edge.from, edge.to);
            let mut keys = ["password", "token", "apiKey"].into_iter();
            let value = keys.find_map(|key| world.secret(&name, key));
            (name, value.unwrap())
        })
        .collect()
}

/// Passes of an operator that is killed after so many writes of each kind, until nothing is left.
fn live(world: &mut World, most: usize) -> usize {
    for passes in 0..2000 {
        let wrote = world.operator(most);
        everybody_is_let_in(world);
        let wrote = wrote + world.rotate(most);
        everybody_is_let_in(world);
        world.kubelet();
        everybody_is_let_in(world);
        sessions_go_on(world);
        if wrote == 0 {
            return passes;
        }
    }
    panic!("never at rest");
}
