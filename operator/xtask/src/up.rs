//! `make up`: from a clone to a platform that answers, in one command that can be repeated.

use std::path::Path;
use std::time::{Duration, Instant};

use lotoai_local::{Instance, Progress, Requirements};

use crate::cluster::{self, Target, local, main_instance};
use crate::error::{RefusedSnafu, Result};
use crate::platform::{Access, Images, NAME, NAMESPACE};
use crate::prepare::{self, Prepared};
use crate::provider::Provider;
use crate::shell::{command, show};
use crate::{paths, platform, status, text};

/// The platform must be Ready within this time; the promise is 180 s with images present.
const READY_LIMIT: Duration = Duration::from_secs(600);

/// Brings the platform up and shows that it answers.
pub(crate) fn run() -> Result<()> {
    let begun = Instant::now();
    let progress = Progress::new();
    let target = Target::choose()?;
    println!("{}", text::cluster(target.describe()));
    let provider = Provider::from_environment()?;
    target.remember()?;
    let models = provider
        .as_ref()
        .map_or_else(text::local_model, Provider::describe);
    println!("{}", text::models(models));
    let (access, images, port) = match target {
        Target::Current => (target.access()?, Images::default(), 8443),
        Target::Kind => {
            let prepared = prepare::run(&progress)?;
            let stage = progress.stage("cluster", &text::kind_cluster());
            cluster::kind_up(&prepared.archives())?;
            stage.done();
            (target.access()?, prepared.references(), 8443)
        }
        Target::Local => {
            let instance = main_instance()?;
            check_machine(&instance, &Requirements::default())?;
            let prepared = prepare::run(&progress)?;
            let access = start(&progress, &instance, &prepared)?;
            (access, prepared.references(), instance.ports().public_https)
        }
    };
    deploy(&progress, &access, &images, port, provider.as_ref())?;
    let stage = progress.stage("documents", &text::uploads());
    demo(&access, &["load-corpus", "docs"])?;
    stage.done();
    let stage = progress.stage("questions", &text::samples());
    demo(&access, &["samples"])?;
    stage.done();
    summary(&progress, &access, begun)
}

/// Asks one question on the platform that `make up` made.
pub(crate) fn ask(model: &str, question: &str) -> Result<()> {
    if question.trim().is_empty() {
        let message = text::no_question();
        return RefusedSnafu { message }.fail();
    }
    demo(
        &Target::of_last_up()?.access()?,
        &["ask", "--model", model, "--", question],
    )
}

/// `make images`.
pub(crate) fn images() -> Result<()> {
    let prepared = prepare::run(&Progress::new())?;
    for image in &prepared.images {
        let size = image
            .compressed_bytes()
            .map_err(|error| local("read the images", error))?;
        let (whole, tenth) = (size / 1_000_000, size % 1_000_000 / 100_000);
        println!(
            "{:<20} {whole:>5}.{tenth} MB  {}",
            image.name, image.reference
        );
    }
    Ok(())
}

/// Refuses before any work when the machine cannot do it, with every problem and its fix.
pub(crate) fn check_machine(instance: &Instance, requirements: &Requirements) -> Result<()> {
    let Err(problems) = lotoai_local::preflight(instance, requirements) else {
        return Ok(());
    };
    let mut message = text::cannot_run();
    for problem in problems {
        message.push_str(&format!(
            "\n  - {}\n    {}",
            problem.message,
            text::fix(problem.fix)
        ));
    }
    RefusedSnafu { message }.fail()
}

/// Starts the package-built cluster and gives it the images.
pub(crate) fn start(
    progress: &Progress,
    instance: &Instance,
    prepared: &Prepared,
) -> Result<Access> {
    lotoai_local::start(progress, instance, &prepared.tools)
        .map_err(|error| local("start the local cluster", error))?;
    lotoai_local::import_images(progress, instance, &prepared.archives())
        .map_err(|error| local("import images", error))?;
    Ok(Access {
        kubeconfig: Some(instance.kubeconfig()),
        kubectl: prepared.tools.path("kubectl"),
        helm: prepared.tools.path("helm"),
    })
}

/// Installs the operator, applies the resource and waits until it is Ready.
pub(crate) fn deploy(
    progress: &Progress,
    access: &Access,
    images: &Images,
    port: u16,
    provider: Option<&Provider>,
) -> Result<()> {
    let scratch = paths::cache()
        .join("scratch")
        .join(std::process::id().to_string());
    let outcome = install_and_wait(progress, access, images, port, provider, &scratch);
    // What is left there are inputs of commands that have run.
    let _ = std::fs::remove_dir_all(&scratch);
    outcome
}

fn install_and_wait(
    progress: &Progress,
    access: &Access,
    images: &Images,
    port: u16,
    provider: Option<&Provider>,
    scratch: &Path,
) -> Result<()> {
    let stage = progress.stage("operator", &text::installs_operator());
    platform::install_operator(access, images, scratch)?;
    stage.done();
    let stage = progress.stage("platform", &text::applies_resource());
    platform::apply_resource(access, port, provider, scratch)?;
    let ready = platform::wait_ready(access, images, READY_LIMIT)?;
    stage.done_with(&text::ready_after(ready.as_secs_f64()));
    Ok(())
}

fn demo(access: &Access, arguments: &[&str]) -> Result<()> {
    let program = paths::binaries().join("lotoai-demo");
    if !program.exists() {
        show(&mut command(
            "cargo",
            ["build", "--quiet", "--locked", "--workspace", "--bins"],
        ))?;
    }
    show(&mut access.command(&program, arguments))
}

fn summary(progress: &Progress, access: &Access, begun: Instant) -> Result<()> {
    println!(
        "\n{}",
        access.kubectl(&["get", "lotoai", "--namespace", NAMESPACE])?
    );
    status::print_memory(access)?;
    println!("\n  {:<22} {}", text::stage(), text::time());
    for stage in progress.times() {
        println!(
            "    {:<18} {:>7.1} s",
            stage.name,
            stage.elapsed.as_secs_f64()
        );
    }
    println!(
        "    {:<18} {:>7.1} s",
        text::all(),
        begun.elapsed().as_secs_f64()
    );
    let object = platform::resource(access)?;
    let url = object["status"]["url"].as_str().unwrap_or_default();
    if let (Some(kubeconfig), Some(programs)) = (&access.kubeconfig, access.kubectl.parent()) {
        println!(
            "\nkubectl   export KUBECONFIG={} PATH={}:$PATH",
            kubeconfig.display(),
            programs.display()
        );
    }
    let user = object["spec"]["identity"]["firstUser"]["username"]
        .as_str()
        .unwrap_or("admin");
    println!("\n{}", text::closing(url, user, NAMESPACE, NAME));
    Ok(())
}
