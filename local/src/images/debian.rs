//! Debian packages, fetched and checked by apt and unpacked without running their scripts.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use snafu::ResultExt;

use super::context::{create_dir, remove_dir};
use super::error::{FileSnafu, NoPackageSnafu, Result, StepSnafu};
use crate::exec::Run;

const MIRROR: &str = "http://deb.debian.org";
const KEYRING: &str = "/usr/share/keyrings/debian-archive-keyring.gpg";
/// Directories that Debian 12 keeps as links into `/usr`.
const MERGED: [&str; 4] = ["bin", "sbin", "lib", "lib64"];
/// What nobody reads in a container.
const NEEDLESS: [&str; 8] = [
    "usr/share/man",
    "usr/share/info",
    "usr/share/locale",
    "usr/share/lintian",
    "usr/share/bash-completion",
    "usr/share/zsh",
    "usr/share/zoneinfo/right",
    "usr/share/zoneinfo/posix",
];

/// An apt of our own: its lists, its cache and no installed packages, so that what is installed on
/// this machine changes nothing in an image.
#[derive(Debug)]
pub(crate) struct Apt {
    root: PathBuf,
    updated: Mutex<bool>,
}

impl Apt {
    /// An apt that keeps its files in `root`.
    pub(crate) fn new(root: PathBuf) -> Self {
        Self {
            root,
            updated: Mutex::new(false),
        }
    }

    /// Makes `tar` of the packages listed in `list`, without what `needless.txt` beside it names.
    /// Only the lowest layer holds the links of the merged `/usr`.
    pub(crate) fn layer(&self, image: &str, list: &Path, lowest: bool, tar: &Path) -> Result<()> {
        let text = fs::read_to_string(list).context(FileSnafu {
            action: "read",
            path: list,
        })?;
        let packages = listed(&text);
        let archives = self.download(image, &packages)?;
        let tree = tar.with_extension("d");
        create_dir(&tree)?;
        for archive in &archives {
            Run::new("dpkg-deb")
                .args([Path::new("-x"), archive, &tree])
                .ok()
                .context(StepSnafu {
                    step: format!("unpack {}", archive.display()),
                })?;
        }
        merge_usr(&tree, lowest)?;
        tidy(&tree)?;
        let needless = list.with_file_name("needless.txt");
        if needless.is_file() {
            let text = fs::read_to_string(&needless).context(FileSnafu {
                action: "read",
                path: &needless,
            })?;
            drop_listed(&tree, &text)?;
        }
        pack(&tree, tar)?;
        remove_dir(&tree)
    }

    fn download(&self, image: &str, packages: &[&str]) -> Result<Vec<PathBuf>> {
        // Apt works on one set of lists: one image at a time.
        let mut updated = self.updated.lock().unwrap_or_else(PoisonError::into_inner);
        if !*updated {
            self.update()?;
            *updated = true;
        }
        let archives = self.root.join("archives");
        let step = || StepSnafu {
            step: format!("fetch Debian packages for {image}"),
        };
        // Where nothing is downloaded yet, because apt leaves out what is.
        let printed = self
            .apt_get()
            .dir(&self.root.join("state"))
            .args(["download", "--print-uris"])
            .args(packages)
            .ok()
            .context(step())?;
        let files = file_names(&printed.stdout);
        for package in packages {
            let prefix = format!("{package}_");
            if !files.iter().any(|file| file.starts_with(&prefix)) {
                return NoPackageSnafu {
                    package: *package,
                    image,
                }
                .fail();
            }
        }
        self.apt_get()
            .dir(&archives)
            .limit(900)
            .args(["download"])
            .args(packages)
            .ok()
            .context(step())?;
        Ok(files.iter().map(|file| archives.join(file)).collect())
    }

    fn update(&self) -> Result<()> {
        for dir in ["state/lists/partial", "cache/archives/partial", "archives"] {
            create_dir(&self.root.join(dir))?;
        }
        let sources = [
            ("debian", "bookworm"),
            ("debian", "bookworm-updates"),
            ("debian-security", "bookworm-security"),
        ]
        .map(|(archive, suite)| {
            format!("deb [signed-by={KEYRING}] {MIRROR}/{archive} {suite} main\n")
        })
        .concat();
        for (name, text) in [("sources.list", sources.as_str()), ("status", "")] {
            let path = self.root.join(name);
            fs::write(&path, text).context(FileSnafu {
                action: "write",
                path: &path,
            })?;
        }
        let step = "update the lists of Debian packages";
        self.apt_get()
            .limit(300)
            .args(["update"])
            .ok()
            .context(StepSnafu { step })?;
        Ok(())
    }

    fn apt_get(&self) -> Run {
        let at =
            |option: &str, file: &str| format!("-o{option}={}", self.root.join(file).display());
        // The machine's own apt configuration stays in force, for its proxy.
        Run::inheriting("apt-get").env("LC_ALL", "C.UTF-8").args([
            "-q".to_owned(),
            at("Dir::State", "state"),
            at("Dir::State::status", "status"),
            at("Dir::Cache", "cache"),
            at("Dir::Etc::sourcelist", "sources.list"),
            "-oDir::Etc::sourceparts=-".to_owned(),
            "-oAPT::Architecture=amd64".to_owned(),
            "-oAPT::Architectures::=amd64".to_owned(),
            "-oAPT::Sandbox::User=root".to_owned(),
            "-oAcquire::Languages=none".to_owned(),
            "-oAcquire::Retries=3".to_owned(),
        ])
    }
}

/// The packages of a list: one a line, `#` begins a comment.
fn listed(text: &str) -> Vec<&str> {
    text.lines()
        .map(|line| line.split('#').next().unwrap_or_default().trim())
        .filter(|line| !line.is_empty())
        .collect()
}

/// The file names in what `--print-uris` prints: `'URI' FILE SIZE HASH`.
fn file_names(printed: &str) -> Vec<String> {
    printed
        .lines()
        .filter(|line| line.starts_with('\''))
        .filter_map(|line| line.split_whitespace().nth(1))
        .map(str::to_owned)
        .collect()
}

fn merge_usr(tree: &Path, lowest: bool) -> Result<()> {
    for name in MERGED {
        let (old, new) = (tree.join(name), tree.join("usr").join(name));
        if old.is_dir() {
            create_dir(&new)?;
            Run::new("cp")
                .args([Path::new("-a"), &old.join("."), &new])
                .ok()
                .context(StepSnafu {
                    step: format!("move {} into /usr", old.display()),
                })?;
            remove_dir(&old)?;
        }
        if lowest {
            create_dir(&new)?;
            symlink(Path::new("usr").join(name), &old).context(FileSnafu {
                action: "create",
                path: &old,
            })?;
        }
    }
    Ok(())
}

/// Does what the scripts of the packages would have done for us, and drops what is not needed.
fn tidy(tree: &Path) -> Result<()> {
    for name in NEEDLESS {
        remove_dir(&tree.join(name))?;
    }
    keep_only_copyrights(&tree.join("usr/share/doc"))?;
    bundle_certificates(tree)?;
    let (mawk, awk) = (tree.join("usr/bin/mawk"), tree.join("usr/bin/awk"));
    if mawk.exists() && !awk.exists() {
        symlink("mawk", &awk).context(FileSnafu {
            action: "create",
            path: &awk,
        })?;
    }
    Ok(())
}

/// Drops the directories of a list: one a line, `#` begins a comment.
fn drop_listed(tree: &Path, text: &str) -> Result<()> {
    for name in listed(text) {
        remove_dir(&tree.join(name))?;
    }
    Ok(())
}

fn keep_only_copyrights(docs: &Path) -> Result<()> {
    if !docs.is_dir() {
        return Ok(());
    }
    let step = format!("drop the documentation in {}", docs.display());
    Run::new("find")
        .args([docs])
        .args(["!", "-type", "d", "!", "-name", "copyright", "-delete"])
        .ok()
        .context(StepSnafu { step })?;
    Ok(())
}

fn bundle_certificates(tree: &Path) -> Result<()> {
    let dir = tree.join("usr/share/ca-certificates/mozilla");
    if !dir.is_dir() {
        return Ok(());
    }
    let read = || FileSnafu {
        action: "read",
        path: &dir,
    };
    let mut paths = Vec::new();
    for entry in fs::read_dir(&dir).context(read())? {
        paths.push(entry.context(read())?.path());
    }
    paths.sort();
    let mut bundle = Vec::new();
    for path in paths {
        bundle.extend(fs::read(&path).context(FileSnafu {
            action: "read",
            path: &path,
        })?);
    }
    let target = tree.join("etc/ssl/certs");
    create_dir(&target)?;
    let target = target.join("ca-certificates.crt");
    fs::write(&target, bundle).context(FileSnafu {
        action: "write",
        path: &target,
    })
}

/// The same tree always gives the same archive.
fn pack(tree: &Path, tar: &Path) -> Result<()> {
    let options = [
        "--sort=name",
        "--mtime=@0",
        "--owner=0",
        "--group=0",
        "--numeric-owner",
        "-cf",
    ];
    Run::new("tar")
        .args(options)
        .args([tar, Path::new("-C"), tree, Path::new(".")])
        .limit(300)
        .ok()
        .context(StepSnafu {
            step: format!("pack {}", tree.display()),
        })?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_may_have_comments() {
        assert_eq!(listed("# why\nbash\n\n dash # sh\n"), ["bash", "dash"]);
    }

    #[test]
    fn what_an_image_does_not_need_is_left_out_and_nothing_else() {
        let dir = tempfile::tempdir().unwrap();
        for name in ["usr/lib/x/gconv", "usr/lib/x/other"] {
            create_dir(&dir.path().join(name)).unwrap();
        }
        drop_listed(dir.path(), "# tables\nusr/lib/x/gconv\nusr/not-there\n").unwrap();
        assert!(!dir.path().join("usr/lib/x/gconv").exists());
        assert!(dir.path().join("usr/lib/x/other").exists());
    }

    #[test]
    fn file_names_are_read_from_apt() {
        let printed = "WARNING\n'http://x/pool/e.deb' erlang-base_1%3a25_amd64.deb 1 SHA256:0\n";
        assert_eq!(file_names(printed), ["erlang-base_1%3a25_amd64.deb"]);
    }

    #[test]
    fn usr_is_merged_and_tidied() {
        let dir = tempfile::tempdir().unwrap();
        let tree = dir.path();
        for path in [
            "bin/dash",
            "lib/x/libc.so",
            "usr/lib/x/libz.so",
            "usr/bin/mawk",
        ] {
            create_dir(tree.join(path).parent().unwrap()).unwrap();
            fs::write(tree.join(path), path).unwrap();
        }
        for path in ["usr/share/doc/dash/copyright", "usr/share/doc/dash/README"] {
            create_dir(tree.join(path).parent().unwrap()).unwrap();
            fs::write(tree.join(path), path).unwrap();
        }
        merge_usr(tree, true).unwrap();
        tidy(tree).unwrap();
        assert_eq!(
            fs::read_link(tree.join("bin")).unwrap(),
            Path::new("usr/bin")
        );
        assert_eq!(
            fs::read_to_string(tree.join("bin/dash")).unwrap(),
            "bin/dash"
        );
        assert!(tree.join("usr/lib/x/libc.so").exists() && tree.join("usr/lib/x/libz.so").exists());
        assert_eq!(
            fs::read_link(tree.join("usr/bin/awk")).unwrap(),
            Path::new("mawk")
        );
        assert!(tree.join("usr/share/doc/dash/copyright").exists());
        assert!(!tree.join("usr/share/doc/dash/README").exists());
    }
}
