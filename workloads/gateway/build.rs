//! A migration that is added changes the program, which takes in what stands there.

fn main() {
    println!("cargo:rerun-if-changed=migrations");
}
