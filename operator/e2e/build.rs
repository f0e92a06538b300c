//! Nothing to build; see the comment on features in Cargo.toml.

fn main() {}
