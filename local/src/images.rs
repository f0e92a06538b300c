//! The images that the cluster runs, built on a machine without a container engine or registry.
//!
//! Three kinds: base images from Debian packages, stand-ins for upstream images, and our own
//! workloads. Each becomes one OCI archive in `<cache>/images/<name>-<key>.tar`, where the key is a
//! hash of everything the image is made of: what is already there is not built again.

mod archive;
mod buildah;
mod catalogue;
mod context;
mod debian;
mod error;
mod fetch;
mod parallel;
mod program;
mod workloads;

use std::path::{Path, PathBuf};
use std::time::Duration;

use snafu::{OptionExt, ResultExt};

use self::buildah::Buildah;
use self::catalogue::{BASES, Program, Recipe, UPSTREAM};
pub(crate) use self::context::Key;
use self::debian::Apt;
pub use self::error::{Error, Result};
use self::error::{FileSnafu, NoProgramSnafu, StepSnafu, UnknownImageSnafu};
pub use self::program::{path_of, program_of};
use crate::exec::{Run, which};
use crate::lock::{self, Lock};
use crate::progress::Progress;
use crate::text::messages;
use crate::third_party::third_party;

/// The registry and repository that all images are named under.
pub const REPOSITORY: &str = "localhost/lotoai";
/// Part of every key: raised when the same inputs have to give other images.
const RECIPE: &str = "2";
/// The tag of every image that is no workload of ours.
const TAG: &str = "local";
/// Images that are built at the same time.
const BUILDERS: usize = 2;
/// How long a run waits for another one that builds images.
const PATIENCE: Duration = Duration::from_secs(3600);

/// The programs that building images needs, and the Debian packages that hold them.
pub const PROGRAMS: [(&str, &str); 9] = [
    ("apt-get", "apt"),
    ("buildah", "buildah"),
    ("cc", "gcc"),
    ("dpkg-deb", "dpkg"),
    ("find", "findutils"),
    ("mvn", "maven"),
    ("objcopy", "binutils"),
    ("python3", "python3-pip"),
    ("tar", "tar"),
];

/// Where everything is.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The root of the checkout.
    pub repository: PathBuf,
    /// The cache outside the checkout, usually `~/.cache/lotoai`.
    pub cache: PathBuf,
    /// Where Cargo put the workloads' binaries, for example `<target>/debug`.
    pub binaries: PathBuf,
}

/// An image in an archive.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Image {
    /// The short name, for example `postgres` or `gateway`.
    pub name: String,
    /// The name under which it is in the archive and in a cluster that loaded it.
    pub reference: String,
    /// The OCI archive.
    pub archive: PathBuf,
    /// Whether it was built now; otherwise it was in the cache.
    pub built: bool,
}

impl Image {
    /// What is moved over a network of it: its layers, as they are packed in the archive.
    pub fn compressed_bytes(&self) -> Result<u64> {
        archive::bytes(&self.archive)
    }
}

/// Builds the base images `runtime`, `script-runtime` and `base`.
pub fn build_base_images(settings: &Settings, progress: &Progress) -> Result<Vec<Image>> {
    let builder = Builder::new(settings, progress)?;
    let bases = builder.bases()?;
    Ok(bases.into_iter().map(|base| base.image).collect())
}

/// Builds the stand-ins for upstream images and what the cluster itself runs, and the base images
/// under them. `names` chooses some; none means all.
pub fn build_upstream_images(
    settings: &Settings,
    progress: &Progress,
    names: &[&str],
) -> Result<Vec<Image>> {
    let known = || {
        UPSTREAM
            .iter()
            .map(|recipe| recipe.name)
            .collect::<Vec<_>>()
    };
    for &name in names {
        if !known().contains(&name) {
            return UnknownImageSnafu {
                name,
                known: known(),
            }
            .fail();
        }
    }
    let chosen: Vec<_> = UPSTREAM
        .into_iter()
        .filter(|recipe| names.is_empty() || names.contains(&recipe.name))
        .collect();
    let builder = Builder::new(settings, progress)?;
    let bases = builder.bases()?;
    parallel::map(&chosen, BUILDERS, |recipe| {
        let base = builder.base_of(&bases, recipe.base)?;
        let image = builder.recipe(recipe, base)?;
        Ok(image.image)
    })
}

/// Builds the images of our own workloads from the binaries that Cargo has built, and the base
/// images under them.
pub fn build_workload_images(settings: &Settings, progress: &Progress) -> Result<Vec<Image>> {
    let builder = Builder::new(settings, progress)?;
    let bases = builder.bases()?;
    parallel::map(&catalogue::WORKLOADS, BUILDERS, |workload| {
        builder.workload(workload, &bases)
    })
}

/// An image and what others that build upon it need to know.
#[derive(Debug)]
struct Made {
    image: Image,
    key: String,
}

impl Made {
    /// The name in the builder's own storage, which tells images of different content apart.
    fn stored(&self) -> String {
        stored(&self.image.name, &self.key)
    }
}

fn stored(name: &str, key: &str) -> String {
    format!("{REPOSITORY}/{name}:{key}")
}

struct Builder<'a> {
    settings: &'a Settings,
    progress: &'a Progress,
    apt: Apt,
    buildah: Buildah,
    _lock: Lock,
}

impl<'a> Builder<'a> {
    fn new(settings: &'a Settings, progress: &'a Progress) -> Result<Self> {
        for (program, package) in PROGRAMS {
            which(program).context(NoProgramSnafu { program, package })?;
        }
        context::create_dir(&settings.cache)?;
        let lock = settings.cache.join("images.lock");
        let waiting = || progress.note(&messages::waits_for_images());
        let lock = lock::take(&lock, PATIENCE, waiting).context(StepSnafu {
            step: "wait for another run that builds images",
        })?;
        let builder = Self {
            settings,
            progress,
            apt: Apt::new(settings.cache.join("apt")),
            buildah: Buildah::new(settings.cache.join("buildah")),
            _lock: lock,
        };
        context::create_dir(&builder.archives())?;
        // What a run that was cut off left behind.
        context::remove_dir(&settings.cache.join("contexts"))?;
        builder.buildah.prepare()?;
        Ok(builder)
    }

    fn archives(&self) -> PathBuf {
        self.settings.cache.join("images")
    }

    fn bases(&self) -> Result<Vec<Made>> {
        let mut made: Vec<Made> = Vec::new();
        for recipe in &BASES {
            let base = self.base_of(&made, recipe.base)?;
            let image = self.recipe(recipe, base)?;
            made.push(image);
        }
        Ok(made)
    }

    fn base_of<'b>(&self, bases: &'b [Made], name: Option<&str>) -> Result<Option<&'b Made>> {
        let Some(name) = name else { return Ok(None) };
        let base = bases.iter().find(|base| base.image.name == name);
        let known = || BASES.iter().map(|base| base.name).collect::<Vec<_>>();
        base.map(Some).with_context(|| UnknownImageSnafu {
            name,
            known: known(),
        })
    }

    /// Builds an image of the catalogue unless its archive exists.
    fn recipe(&self, recipe: &Recipe, base: Option<&Made>) -> Result<Made> {
        let files = self
            .settings
            .repository
            .join("local/images")
            .join(recipe.name);
        let mut key = Key::new(RECIPE);
        key.text(recipe.name);
        key.text(base.map_or("", |base| &base.key));
        key.tree(&files)?;
        let program = self.program(recipe)?;
        if let Some(path) = &program {
            // The directory is named after the version, which fixes the content.
            key.text(&path.to_string_lossy());
        }
        let key = key.finish();
        // What the cluster itself runs it knows by a fixed name. A platform's pods follow a changed
        // image by its name.
        let is_fixed = recipe.base.is_none_or(|_| recipe.name == "coredns")
            || BASES.iter().any(|base| base.name == recipe.name);
        let tag = if is_fixed {
            TAG.to_owned()
        } else {
            format!("{TAG}-{key}")
        };
        let reference = format!("{REPOSITORY}/{}:{tag}", recipe.name);
        self.image(
            recipe.name,
            key,
            reference,
            base,
            &files.join("Dockerfile"),
            |context| {
                self.fill(recipe, &files, context)?;
                let Some(path) = &program else { return Ok(()) };
                context::copy_file(path, &context.join(path.file_name().unwrap_or_default()))
            },
        )
    }

    /// Builds `name` with `key` unless its archive exists; `fill` puts what the Dockerfile needs
    /// into the empty directory that it is given.
    fn image(
        &self,
        name: &str,
        key: String,
        reference: String,
        base: Option<&Made>,
        dockerfile: &Path,
        fill: impl FnOnce(&Path) -> Result<()>,
    ) -> Result<Made> {
        let archive = archive::path(&self.archives(), name, &key);
        let built = !archive.exists();
        if built {
            let stage = self.progress.stage(&format!("image-{name}"), &reference);
            let context = self
                .settings
                .cache
                .join("contexts")
                .join(format!("{name}-{key}"));
            context::remove_dir(&context)?;
            context::create_dir(&context)?;
            fill(&context)?;
            let base = base.map(|base| self.in_storage(base)).transpose()?;
            let stored = stored(name, &key);
            self.buildah
                .build(dockerfile, &context, &stored, base.as_deref())?;
            let part = archive.with_extension("part");
            self.buildah.export(&stored, &part, &reference)?;
            std::fs::rename(&part, &archive).context(FileSnafu {
                action: "create",
                path: &archive,
            })?;
            self.forget(name, &stored)?;
            context::remove_dir(&context)?;
            stage.done_with(&archive::size(&archive)?);
        } else {
            archive::touch(&archive)?;
        }
        archive::prune(&self.archives(), name)?;
        Ok(Made {
            image: Image {
                name: name.to_owned(),
                reference,
                archive,
                built,
            },
            key,
        })
    }

    /// Keeps only the current base images in the builder's storage: nothing builds upon others.
    fn forget(&self, name: &str, stored: &str) -> Result<()> {
        let is_base = BASES.iter().any(|base| base.name == name);
        for image in self.buildah.stored(&format!("{REPOSITORY}/{name}"))? {
            if !is_base || image != stored {
                self.buildah.remove(&image)?;
            }
        }
        Ok(())
    }

    /// Makes sure that the builder's storage holds `base`, which may be known from its archive
    /// only, and returns its name there.
    fn in_storage(&self, base: &Made) -> Result<String> {
        let stored = base.stored();
        if !self.buildah.has(&stored) {
            self.buildah
                .load(&base.image.archive, &base.image.reference, &stored)?;
        }
        Ok(stored)
    }

    fn fill(&self, recipe: &Recipe, files: &Path, context: &Path) -> Result<()> {
        let name = recipe.name;
        let lowest = recipe.base.is_none();
        // For `COPY --chown`, which makes the directories that a volume is mounted on.
        context::create_dir(&context.join("empty"))?;
        let given = files.join("files");
        if given.is_dir() {
            context::copy_tree(&given, &context.join("files"))?;
        }
        let packages = files.join("packages.txt");
        if packages.is_file() {
            self.apt
                .layer(name, &packages, lowest, &context.join("debian.tar"))?;
        }
        let requirements = files.join("requirements.txt");
        if requirements.is_file() {
            fetch::wheels(name, &requirements, &context.join("python"))?;
        }
        let artefacts = files.join("maven.txt");
        if artefacts.is_file() {
            fetch::artefacts(
                name,
                &artefacts,
                &self.settings.cache.join("downloads"),
                context,
            )?;
        }
        if let Program::C { file } = recipe.program {
            Run::inheriting("cc")
                .args([
                    "-std=gnu11",
                    "-Wall",
                    "-Werror",
                    "-Os",
                    "-static",
                    "-s",
                    "-o",
                ])
                .args([context.join(file), given.join(file).with_extension("c")])
                .ok()
                .context(StepSnafu {
                    step: format!("compile {file}"),
                })?;
        }
        Ok(())
    }

    /// The third-party program that goes into the image of `recipe`; it is built when it is missing.
    fn program(&self, recipe: &Recipe) -> Result<Option<PathBuf>> {
        let Program::ThirdParty(tool) = recipe.program else {
            return Ok(None);
        };
        let tools = third_party(self.progress, &[tool]).context(StepSnafu {
            step: format!("build {}", recipe.name),
        })?;
        Ok(Some(tools.path(recipe.name)))
    }
}
