//! Building from a Dockerfile and writing OCI archives, with storage of our own and no daemon.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use snafu::ResultExt;

use super::context::create_dir;
use super::error::{FileSnafu, Result, StepSnafu};
use crate::exec::Run;

/// Everything in our storage was built here or loaded from our own archives.
const POLICY: &str = r#"{"default":[{"type":"insecureAcceptAnything"}]}"#;
/// A build runs one Dockerfile; the slowest one takes about a minute on two cores.
const LIMIT: u64 = 1800;

/// The builder.
#[derive(Debug)]
pub(crate) struct Buildah {
    root: PathBuf,
    driver: OnceLock<&'static str>,
}

impl Buildah {
    /// A builder that keeps its layers in `root`.
    pub(crate) fn new(root: PathBuf) -> Self {
        Self {
            root,
            driver: OnceLock::new(),
        }
    }

    /// Makes the directories and settles the storage driver.
    pub(crate) fn prepare(&self) -> Result<()> {
        create_dir(&self.root)?;
        let policy = self.root.join("policy.json");
        fs::write(&policy, POLICY).context(FileSnafu {
            action: "write",
            path: &policy,
        })?;
        self.driver.get_or_init(|| {
            let works = self.run_with("overlay").args(["info"]).succeeds();
            if works { "overlay" } else { "vfs" }
        });
        // A build that was killed leaves its container, mounted.
        self.run().args(["rm", "--all"]).ok().context(StepSnafu {
            step: "remove what an interrupted build left",
        })?;
        Ok(())
    }

    /// Builds `dockerfile` with `context` as `reference`; `base` is the build argument
    /// `BASE_IMAGE`.
    pub(crate) fn build(
        &self,
        dockerfile: &Path,
        context: &Path,
        reference: &str,
        base: Option<&str>,
    ) -> Result<()> {
        let mut run = self
            .run()
            .args([
                "bud",
                "--quiet",
                "--pull-never",
                "--layers=false",
                "--timestamp=0",
            ])
            .args(["--format=oci", "--isolation=chroot"])
            .args(["--tag", reference]);
        if let Some(base) = base {
            run = run.args([format!("--build-arg=BASE_IMAGE={base}")]);
        }
        run.args([Path::new("--file"), dockerfile, &self.policy(), context])
            .limit(LIMIT)
            .ok()
            .context(StepSnafu {
                step: format!("build {}", dockerfile.display()),
            })?;
        Ok(())
    }

    /// Writes the image `stored` to `archive` under the name `reference`. Zstandard packs and unpacks
    /// several times as fast as gzip, and every containerd since 1.5 reads it.
    pub(crate) fn export(&self, stored: &str, archive: &Path, reference: &str) -> Result<()> {
        let target = format!("oci-archive:{}:{reference}", archive.display());
        self.run()
            .args([
                "push",
                "--quiet",
                "--compression-format=zstd",
                "--compression-level=1",
            ])
            .args([self.policy().as_os_str(), stored.as_ref(), target.as_ref()])
            .limit(LIMIT)
            .ok()
            .context(StepSnafu {
                step: format!("write {}", archive.display()),
            })?;
        Ok(())
    }

    /// Loads the image in `archive`, known there as `reference`, and calls it `stored`.
    pub(crate) fn load(&self, archive: &Path, reference: &str, stored: &str) -> Result<()> {
        let source = format!("oci-archive:{}:{reference}", archive.display());
        let printed = self
            .run()
            .args(["pull", "--quiet"])
            .args([self.policy().as_os_str(), source.as_ref()])
            .limit(LIMIT)
            .ok()
            .context(StepSnafu {
                step: format!("load {}", archive.display()),
            })?;
        let id = printed.stdout.trim();
        self.run()
            .args(["tag", id, stored])
            .ok()
            .context(StepSnafu {
                step: format!("name {id} {stored}"),
            })?;
        Ok(())
    }

    /// Whether the storage holds `stored`.
    pub(crate) fn has(&self, stored: &str) -> bool {
        self.run()
            .args([
                "inspect",
                "--type=image",
                "--format={{.FromImageID}}",
                stored,
            ])
            .succeeds()
    }

    /// Forgets `stored`; the layers that no other image uses go with it.
    pub(crate) fn remove(&self, stored: &str) -> Result<()> {
        self.run()
            .args(["rmi", "--force", stored])
            .ok()
            .context(StepSnafu {
                step: format!("remove {stored} from the storage"),
            })?;
        Ok(())
    }

    /// The images of `repository` in the storage, with their tags.
    pub(crate) fn stored(&self, repository: &str) -> Result<Vec<String>> {
        let printed = self
            .run()
            .args(["images", "--noheading", "--format={{.Name}}:{{.Tag}}"])
            .ok()
            .context(StepSnafu {
                step: "list the images in the storage",
            })?;
        let prefix = format!("{repository}:");
        let found = printed
            .stdout
            .lines()
            .filter(|line| line.starts_with(&prefix));
        Ok(found.map(str::to_owned).collect())
    }

    fn policy(&self) -> PathBuf {
        format!(
            "--signature-policy={}",
            self.root.join("policy.json").display()
        )
        .into()
    }

    fn run(&self) -> Run {
        self.run_with(self.driver.get().copied().unwrap_or("vfs"))
    }

    fn run_with(&self, driver: &str) -> Run {
        Run::inheriting("buildah")
            .env("BUILDAH_ISOLATION", "chroot")
            .env("STORAGE_DRIVER", driver)
            .env("TMPDIR", &self.root.display().to_string())
            .args([Path::new("--root"), &self.root.join("storage")])
            .args([Path::new("--runroot"), &self.root.join("run")])
            .args(["--storage-driver", driver])
            // Another builder may hold the storage while it writes a large layer.
            .limit(LIMIT)
    }
}
