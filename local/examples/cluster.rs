//! A cluster without the platform, for trying things out:
//! `cargo run --example cluster -- up|stop|rm|check|memory|metrics NAME | reap`.

use std::error::Error;
use std::net::SocketAddr;
use std::process::ExitCode;

use lotoai_local::{Instance, Progress, Requirements, Tool, chain};

fn main() -> ExitCode {
    let words: Vec<_> = std::env::args().skip(1).collect();
    let words: Vec<_> = words.iter().map(String::as_str).collect();
    match run(&words) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {}", chain(error.as_ref()));
            ExitCode::FAILURE
        }
    }
}

fn run(words: &[&str]) -> Result<(), Box<dyn Error>> {
    let progress = Progress::new();
    match words {
        ["up", name] => {
            let instance = Instance::new(name)?;
            check(&progress, &instance)?;
            lotoai_local::packages(&progress, lotoai_local::PACKAGES)?;
            let tools = lotoai_local::third_party(&progress, Tool::CLUSTER)?;
            let cluster = lotoai_local::start(&progress, &instance, &tools)?;
            progress.note(&format!(
                "export KUBECONFIG={}",
                cluster.kubeconfig.display()
            ));
        }
        ["stop", name] => lotoai_local::stop(&progress, &Instance::new(name)?)?,
        ["rm", name] => {
            let removed = lotoai_local::remove(&progress, &Instance::new(name)?)?;
            progress.note(&removed.to_string());
        }
        ["check", name] => check(&progress, &Instance::new(name)?)?,
        ["memory", name] => {
            for pod in lotoai_local::memory_by_pod(&Instance::new(name)?, "kube-system")? {
                progress.note(&format!("{} {} MiB", pod.pod, pod.working_set >> 20));
            }
        }
        ["metrics", name] => lotoai_local::add_metrics(&progress, &Instance::new(name)?)?,
        ["internal", "forward", listen, to] => {
            lotoai_local::forward(listen.parse::<SocketAddr>()?, to.parse::<SocketAddr>()?)?;
        }
        ["reap"] => {
            let reaped = lotoai_local::reap_stale(&progress)?;
            progress.note(&format!("removed {reaped:?}"));
        }
        ["internal", "watch", name] => lotoai_local::watch(&progress, name)?,
        _ => return Err("usage: cluster up|stop|rm|check|memory|metrics NAME | reap".into()),
    }
    Ok(())
}

fn check(progress: &Progress, instance: &Instance) -> Result<(), Box<dyn Error>> {
    let Err(problems) = lotoai_local::preflight(instance, &Requirements::cluster_only()) else {
        return Ok(());
    };
    for problem in &problems {
        progress.note(&format!("{} — {}", problem.message, problem.fix));
    }
    Err(format!("{} problems", problems.len()).into())
}
