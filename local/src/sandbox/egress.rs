//! The way out: pods reach model providers and the web through the host, when the host lets them.
//!
//! It needs address translation by iptables and forwarding between two network devices. Rules carry
//! the instance's name as a comment and are found by it again.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};

use crate::error::Result;
use crate::exec::{Run, which};
use crate::instance::{Instance, MAIN, remove_file, write_file};
use crate::paths;
use crate::progress::Progress;
use crate::text::messages;

/// Whether pods of the instance may leave the machine: `LOTOAI_EGRESS=on|off`, else only those of
/// the main one. A test that needs the Internet without saying so should fail.
pub(crate) fn is_wanted(instance: &Instance) -> bool {
    wanted(env::var("LOTOAI_EGRESS").ok().as_deref(), &instance.name)
}

fn wanted(variable: Option<&str>, name: &str) -> bool {
    match variable {
        Some("on") => true,
        Some("off") => false,
        _ => name == MAIN,
    }
}

/// Opens the way out, or says why there is none. That is no error: everything but external models
/// works without.
pub(crate) fn grant(progress: &Progress, instance: &Instance) -> Result<()> {
    withdraw_rules(instance);
    if !is_wanted(instance) {
        progress.note(&messages::egress_closed());
        return Ok(());
    }
    let Some(uplink) = uplink() else {
        progress.note(&messages::no_default_route());
        return Ok(());
    };
    for rule in rules(instance) {
        let words = rule.iter().map(String::as_str);
        if let Err(error) = Run::new("iptables").args(["-w", "10"]).args(words).ok() {
            withdraw_rules(instance);
            progress.note(&messages::no_way_out(error));
            return Ok(());
        }
    }
    if let Err(error) = forward(&instance.network().host_device, &uplink) {
        withdraw_rules(instance);
        progress.note(&messages::no_forwarding(error));
    }
    Ok(())
}

/// Removes the rules, and puts the host's forwarding back once no instance has a way out.
pub(crate) fn withdraw(instance: &Instance) -> Result<()> {
    withdraw_rules(instance);
    let others = run_stdout("iptables-save").contains("lotoai-egress-");
    let Ok(uplink) = fs::read_to_string(changed_file()) else {
        return Ok(());
    };
    if others {
        return Ok(());
    }
    // The device may be gone, and its setting with it.
    let _gone = fs::write(forwarding_file(uplink.trim()), "0");
    remove_file(&changed_file())
}

fn comment(instance: &Instance) -> String {
    format!("lotoai-egress-{}", instance.name)
}

/// The words of every rule, to be appended.
fn rules(instance: &Instance) -> Vec<Vec<String>> {
    let network = instance.network();
    let device = &network.host_device;
    let comment = comment(instance);
    [
        format!(
            "-t nat -A POSTROUTING -s {link} ! -d {link} -j MASQUERADE",
            link = network.link
        ),
        format!("-I FORWARD -i {device} -j ACCEPT"),
        format!("-I FORWARD -o {device} -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT"),
    ]
    .iter()
    .map(|rule| {
        let (rule, target) = rule.split_once(" -j ").unwrap_or((rule, "ACCEPT"));
        let text = format!("{rule} -m comment --comment {comment} -j {target}");
        text.split(' ').map(str::to_owned).collect()
    })
    .collect()
}

/// Deletes each rule as often as it is there.
fn withdraw_rules(instance: &Instance) {
    // Even a deletion would make empty tables on a machine without any.
    if !run_stdout("iptables-save").contains(&comment(instance)) {
        return;
    }
    for mut rule in rules(instance) {
        for word in &mut rule {
            if word == "-A" || word == "-I" {
                "-D".clone_into(word);
            }
        }
        while Run::new("iptables")
            .args(["-w", "10"])
            .args(&rule)
            .succeeds()
        {}
    }
}

/// Where the name of the device is kept whose forwarding was switched on by us.
fn changed_file() -> PathBuf {
    paths::shared_dir().join("forwarding-switched-on")
}

fn forwarding_file(device: &str) -> PathBuf {
    Path::new("/proc/sys/net/ipv4/conf")
        .join(device)
        .join("forwarding")
}

/// Forwarding for the two devices only. The switch for all devices would also reset others of
/// their settings.
fn forward(link: &str, uplink: &str) -> Result<(), crate::Error> {
    use snafu::ResultExt;
    for device in [link, uplink] {
        let path = forwarding_file(device);
        let now = fs::read_to_string(&path).unwrap_or_default();
        if now.trim() == "1" {
            continue;
        }
        if device == uplink {
            write_file(&changed_file(), uplink.as_bytes())?;
        }
        fs::write(&path, "1").context(crate::error::FileSnafu {
            action: "write",
            path: &path,
        })?;
    }
    Ok(())
}

fn uplink() -> Option<String> {
    device_of_route(&run_stdout_of(
        Run::new("ip").args(["-4", "route", "show", "default"]),
    ))
}

fn device_of_route(route: &str) -> Option<String> {
    let mut words = route.split_whitespace().skip_while(|word| *word != "dev");
    words.nth(1).map(str::to_owned)
}

fn run_stdout(program: &str) -> String {
    if which(program).is_none() {
        String::new()
    } else {
        run_stdout_of(Run::new(program))
    }
}

fn run_stdout_of(run: Run) -> String {
    run.ok().map(|printed| printed.stdout).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    #[rstest]
    #[case(None, "main", true)]
    #[case(None, "test-1", false)]
    #[case(Some("off"), "main", false)]
    #[case(Some("on"), "test-1", true)]
    fn who_may_leave(#[case] variable: Option<&str>, #[case] name: &str, #[case] may: bool) {
        assert_eq!(wanted(variable, name), may);
    }

    #[test]
    fn the_device_of_the_default_route() {
        let route = "default via 192.0.2.1 dev eth0 proto dhcp metric 100\n";
        assert_eq!(device_of_route(route).as_deref(), Some("eth0"));
        assert_eq!(device_of_route(""), None);
    }

    #[test]
    fn every_rule_can_be_found_again() {
        let instance = Instance::new(MAIN).unwrap();
        let rules = rules(&instance);
        assert!(
            rules
                .iter()
                .all(|rule| rule.iter().any(|word| word == "lotoai-egress-main"))
        );
        assert_eq!(rules[0].last().map(String::as_str), Some("MASQUERADE"));
    }
}
