//! The images of our own workloads.

use std::path::{Path, PathBuf};

use snafu::ResultExt;

use super::catalogue::{Extra, Workload};
use super::context::{self, Key};
use super::error::{NoInputSnafu, Result, StepSnafu};
use super::{Builder, Image, Made, RECIPE, REPOSITORY};
use crate::exec::Run;

impl Builder<'_> {
    /// Builds the image of `workload`. Its tag follows from its content, so that a changed binary
    /// gives an image of another name, and an unchanged one gives no new image.
    pub(super) fn workload(&self, workload: &Workload, bases: &[Made]) -> Result<Image> {
        let base = self.base_of(bases, Some(workload.base))?;
        let source = self
            .settings
            .repository
            .join(workload.dir)
            .join("Dockerfile");
        let prepared = self.settings.cache.join("contexts").join(workload.name);
        context::remove_dir(&prepared)?;
        context::create_dir(&prepared)?;
        self.fill_workload(workload, &prepared)?;
        let dockerfile = self.input(workload, source, "write its Dockerfile")?;

        let mut key = Key::new(RECIPE);
        key.text(workload.name);
        key.text(base.map_or("", |base| &base.key));
        key.tree(&prepared)?;
        key.text(&context::file_hash(&dockerfile)?);
        let key = key.finish();
        let reference = format!("{REPOSITORY}/{}:local-{key}", workload.name);
        let made = self.image(
            workload.name,
            key,
            reference,
            base,
            &dockerfile,
            |context| context::copy_tree(&prepared, context),
        )?;
        context::remove_dir(&prepared)?;
        Ok(made.image)
    }

    fn fill_workload(&self, workload: &Workload, context: &Path) -> Result<()> {
        let binary = self.settings.binaries.join(workload.name);
        let binary = self.input(workload, binary, "run `cargo build --workspace` first")?;
        // Line tables of every dependency would make each image several times as large; function
        // names stay, for backtraces.
        Run::new("objcopy")
            .args([
                Path::new("--strip-debug"),
                &binary,
                &context.join(workload.name),
            ])
            .limit(120)
            .ok()
            .context(StepSnafu {
                step: format!("strip {}", binary.display()),
            })?;
        match workload.extra {
            Extra::None => Ok(()),
            Extra::Web => {
                let page = self
                    .settings
                    .repository
                    .join("workloads/web/dist/index.html");
                let page = self.input(workload, page, "build the web client first")?;
                let root = page.parent().unwrap_or(&page);
                context::copy_tree(root, &context.join("web"))
            }
            Extra::Models => {
                let manifest = self
                    .settings
                    .cache
                    .join("third-party/models-1/manifest.json");
                let manifest = self.input(workload, manifest, "prepare the models first")?;
                let root = manifest.parent().unwrap_or(&manifest);
                context::copy_tree(root, &context.join("models"))
            }
        }
    }

    fn input(&self, workload: &Workload, path: PathBuf, fix: &str) -> Result<PathBuf> {
        if path.is_file() {
            return Ok(path);
        }
        NoInputSnafu {
            image: workload.name,
            path,
            fix,
        }
        .fail()
    }
}
