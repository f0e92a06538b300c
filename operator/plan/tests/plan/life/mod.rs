//! A platform's life after its installation, played on a made-up cluster: suspension and upgrades.

mod suspend;
mod upgrade;
mod world;
