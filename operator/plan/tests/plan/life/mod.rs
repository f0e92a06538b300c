//! A platform's life after its installation, played on a made-up cluster: rotations, suspension and
//! upgrades.

mod recreate;
mod rewritten;
mod rotation;
mod secrets;
mod suspend;
mod upgrade;
mod world;
