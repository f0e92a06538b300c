//! What is mounted in an instance's mount namespace, and finding mounts that should not be there.

use std::fs;
use std::path::{Path, PathBuf};

use snafu::ResultExt;

use crate::error::{FileSnafu, Result};
use crate::exec::Run;
use crate::instance::{Instance, remove_file, write_file};
use crate::paths;
use crate::slots::shared_lock;

/// Directories whose place is compiled into containerd, the CNI plugins and the kubelet. Each
/// instance sees its own there, so that several can run beside each other and beside a container
/// runtime of the host.
const OWN: [(&str, &str, Keep); 4] = [
    ("/run/containerd", "containerd-default", Keep::UntilStop),
    ("/var/lib/cni", "cni-cache", Keep::UntilStop),
    ("/var/lib/kubelet", "kubelet-default", Keep::Always),
    ("/var/log", "var-log", Keep::Always),
];

#[derive(Clone, Copy, PartialEq, Eq)]
enum Keep {
    UntilStop,
    Always,
}

/// Kernel settings of the whole machine that the kubelet insists on. It is shown these values, and
/// the machine keeps its own.
const SHOWN: [(&str, &str); 6] = [
    ("vm/overcommit_memory", "1"),
    ("vm/panic_on_oom", "0"),
    ("kernel/panic", "10"),
    ("kernel/panic_on_oops", "1"),
    ("kernel/keys/root_maxkeys", "1000000"),
    ("kernel/keys/root_maxbytes", "25000000"),
];

/// The list of directories that did not exist on the host before.
fn made_list() -> PathBuf {
    paths::shared_dir().join("mount-points")
}

/// Makes the directories to mount on that the host lacks, and remembers which.
pub(super) fn make_mount_points() -> Result<()> {
    let _lock = shared_lock()?;
    for (target, ..) in OWN {
        if !Path::new(target).exists() {
            let mut made = fs::read_to_string(made_list()).unwrap_or_default();
            made.push_str(target);
            made.push('\n');
            write_file(&made_list(), made.as_bytes())?;
            fs::create_dir_all(target).context(FileSnafu {
                action: "create",
                path: target,
            })?;
        }
    }
    Ok(())
}

/// Removes them again once no instance needs them. Nothing but empty directories is removed: an
/// installed package may have come to use one of them meanwhile.
pub(super) fn remove_mount_points() -> Result<()> {
    let _lock = shared_lock()?;
    let Ok(made) = fs::read_to_string(made_list()) else {
        return Ok(());
    };
    let path = "/run/netns";
    let namespaces = fs::read_dir(path).context(FileSnafu {
        action: "read",
        path,
    })?;
    let in_use = namespaces
        .filter_map(std::result::Result::ok)
        .any(|entry| entry.file_name().to_string_lossy().starts_with("lotoai-"));
    if in_use {
        return Ok(());
    }
    for target in made.lines() {
        // Not empty: it belongs to somebody else now.
        let _used = fs::remove_dir(target);
    }
    remove_file(&made_list())
}

/// The script that the holder of the namespace runs: mounts, says that it is ready, and sleeps.
pub(super) fn script(instance: &Instance, ready: &Path) -> Result<String> {
    let run = instance.run_dir();
    let mut script = String::from("set -e\nmount --make-rshared /\n");
    let mut bind = |from: &Path, to: &str| {
        script.push_str(&format!("mount --bind '{}' '{to}'\n", from.display()));
    };
    for (target, name, keep) in OWN {
        let parent = if keep == Keep::Always {
            instance.state_dir()
        } else {
            run.clone()
        };
        let path = parent.join(name);
        fs::create_dir_all(&path).context(FileSnafu {
            action: "create",
            path: &path,
        })?;
        bind(&path, target);
    }
    for (setting, value) in SHOWN {
        let target = format!("/proc/sys/{setting}");
        let path = run.join("sysctl").join(setting.replace('/', "."));
        write_file(&path, format!("{value}\n").as_bytes())?;
        if Path::new(&target).exists() {
            bind(&path, &target);
        }
    }
    script.push_str(&format!(
        "touch '{}'\nexec sleep infinity\n",
        ready.display()
    ));
    Ok(script)
}

/// What is mounted at or below `dir` in our own mount namespace, the deepest first.
pub(crate) fn mounts_under(dir: &Path) -> Result<Vec<PathBuf>> {
    let path = "/proc/self/mounts";
    let mounts = fs::read_to_string(path).context(FileSnafu {
        action: "read",
        path,
    })?;
    Ok(parse_mounts(&mounts, dir))
}

fn parse_mounts(mounts: &str, dir: &Path) -> Vec<PathBuf> {
    let targets = mounts
        .lines()
        .filter_map(|line| line.split(' ').nth(1))
        .map(unescape);
    let mut found: Vec<_> = targets
        .map(PathBuf::from)
        .filter(|t| t.starts_with(dir))
        .collect();
    found.reverse();
    found
}

/// The kernel writes blanks and the like as `\040`.
fn unescape(text: &str) -> String {
    ["\\040", "\\011", "\\012", "\\134"]
        .iter()
        .zip([" ", "\t", "\n", "\\"])
        .fold(text.to_owned(), |text, (code, plain)| {
            text.replace(code, plain)
        })
}

/// Unmounts everything at or below `dir`.
pub(crate) fn unmount_under(dir: &Path) -> Result<()> {
    for mount in mounts_under(dir)? {
        let target = mount.display().to_string();
        if !Run::new("umount").args([&target]).succeeds() {
            Run::new("umount").args(["--lazy", &target]).ok()?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_mounts_below_the_directory_and_the_deepest_first() {
        let mounts = "a /run/lotoai-x tmpfs rw 0 0\nb /run/lotoai-xy tmpfs rw 0 0\n\
                      c /run/lotoai-x/a\\040b tmpfs rw 0 0\n";
        let found = parse_mounts(mounts, Path::new("/run/lotoai-x"));
        assert_eq!(
            found,
            [Path::new("/run/lotoai-x/a b"), Path::new("/run/lotoai-x")]
        );
    }
}
