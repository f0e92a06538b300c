//! Start and end of the process.

use std::process::ExitCode;
use std::sync::Arc;

use clap::Parser;
use snafu::{ResultExt, Snafu};
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

use crate::cli::{self, Cli, Command, RunArgs};
use crate::client::client;
use crate::context::Context;
use crate::error::chain;
use crate::leader::{self, Identity, lead};
use crate::probe::{Https, Probes};
use crate::serve::{self, Readiness};
use crate::{check, env, metrics, panics, run, telemetry};

/// Why the process ends badly.
#[derive(Debug, Snafu)]
enum Error {
    #[snafu(display("failed to install the TLS provider: another one is installed already"))]
    Crypto,
    #[snafu(display("{source}"))]
    Telemetry { source: telemetry::Error },
    #[snafu(display("failed to start the metrics"))]
    Metrics {
        source: metrics_exporter_prometheus::BuildError,
    },
    #[snafu(display("failed to start the runtime"))]
    Runtime { source: std::io::Error },
    #[snafu(display("failed to listen for signals"))]
    Signals { source: std::io::Error },
    #[snafu(display("failed to find a cluster: run inside of one, or set KUBECONFIG"))]
    Config {
        #[snafu(source(from(kube::config::InferConfigError, Box::new)))]
        source: Box<kube::config::InferConfigError>,
    },
    #[snafu(display("failed to make a client"))]
    Client {
        #[snafu(source(from(kube::Error, Box::new)))]
        source: Box<kube::Error>,
    },
    #[snafu(display("{source}"))]
    Command { source: cli::Error },
    #[snafu(display("{source}"))]
    Check { source: check::Error },
    #[snafu(display(
        "failed to take part in the leader election: set POD_NAME (and POD_NAMESPACE), or \
         LEADER_ELECTION=false when no second operator can run"
    ))]
    NoIdentity,
    #[snafu(display("failed to serve the admin port"))]
    Serve { source: serve::Error },
    #[snafu(display("failed to lead"))]
    Lead { source: leader::Error },
}

/// The whole process: parses the command line, runs the command, says what failed.
#[must_use]
pub fn main() -> ExitCode {
    let outcome = match Cli::parse().command {
        Command::Crd { helm } => cli::print_crd(helm).context(CommandSnafu),
        Command::Graph => cli::print_graph().context(CommandSnafu),
        Command::Rbac => cli::print_rbac().context(CommandSnafu),
        Command::Explain { filename, format } => {
            cli::print_explanation(&filename, format).context(CommandSnafu)
        }
        Command::Check { url } => ask(&url),
        Command::Run(args) => start(*args),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // The log may not be there yet, and a person who starts this by hand reads this line.
            use std::io::Write as _;
            let _ = writeln!(std::io::stderr(), "lotoai-operator: {}", chain(&error));
            ExitCode::FAILURE
        }
    }
}

fn ask(url: &str) -> Result<(), Error> {
    let url = check::address(url).context(CheckSnafu)?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .context(RuntimeSnafu)?;
    let answer = runtime.block_on(check::check(url)).context(CheckSnafu)?;
    cli::print_answer(&answer).context(CommandSnafu)
}

fn start(args: RunArgs) -> Result<(), Error> {
    // Two providers are in the dependency graph, and the first connection would panic unless one
    // of them is chosen before.
    rustls::crypto::aws_lc_rs::default_provider()
        .install_default()
        .map_err(|_| Error::Crypto)?;
    panics::install_hook();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .context(RuntimeSnafu)?;
    let telemetry = {
        // The exporter's connection is made on the runtime.
        let _entered = runtime.enter();
        telemetry::install(&args).context(TelemetrySnafu)?
    };
    let metrics = metrics::install().context(MetricsSnafu)?;
    let operated = runtime.block_on(Box::pin(operate(args, metrics)));
    telemetry.flush();
    operated
}

async fn operate(
    args: RunArgs,
    metrics: metrics_exporter_prometheus::PrometheusHandle,
) -> Result<(), Error> {
    let env = env::load(&args).context(CommandSnafu)?;
    let config = kube::Config::infer().await.context(ConfigSnafu)?;
    let identity = identity(&args, &config.default_namespace)?;
    let namespaces: Vec<String> = args
        .watch_namespaces
        .iter()
        .filter(|name| !name.is_empty())
        .cloned()
        .collect();
    tracing::info!(
        version = env!("CARGO_PKG_VERSION"),
        cluster = %config.cluster_url,
        ?namespaces,
        leader_election = identity.is_some(),
        "starting"
    );
    let client = client(config).context(ClientSnafu)?;
    let shutdown = CancellationToken::new();
    let readiness = Readiness::default();
    let context = Arc::new(Context::new(
        client.clone(),
        env,
        Probes::new(Https),
        args.pod_name.clone(),
    ));

    let ended = end_on_signal(shutdown.clone());
    let admin = serve::serve(
        args.admin_listen,
        readiness.clone(),
        metrics,
        shutdown.clone(),
    );
    let work = Box::pin(run::run(context, &namespaces, &shutdown));
    let led = async {
        let mut led = Ok(None);
        if run::wait_for_type(&client, &namespaces, &shutdown).await {
            // A process that waits for the lease is ready to take over.
            readiness.set(true);
            led = lead(client.clone(), identity, &shutdown, work).await;
        }
        // Whatever ended the work, the process ends with it.
        shutdown.cancel();
        led
    };
    let (ended, admin, led) = tokio::join!(
        ended,
        async {
            let served = admin.await;
            shutdown.cancel();
            served
        },
        led
    );
    ended?;
    admin.context(ServeSnafu)?;
    led.context(LeadSnafu)?;
    tracing::info!("ended");
    Ok(())
}

fn identity(args: &RunArgs, default_namespace: &str) -> Result<Option<Identity>, Error> {
    if !args.leader_election {
        return Ok(None);
    }
    let name = args
        .pod_name
        .clone()
        .filter(|name| !name.is_empty())
        .ok_or(Error::NoIdentity)?;
    let namespace = args
        .pod_namespace
        .clone()
        .unwrap_or_else(|| default_namespace.to_owned());
    let lease = args.lease_name.clone();
    Ok(Some(Identity {
        namespace,
        lease,
        name,
    }))
}

/// Cancels `shutdown` at SIGTERM or SIGINT; ends when it is cancelled.
async fn end_on_signal(shutdown: CancellationToken) -> Result<(), Error> {
    let mut terminate = signal(SignalKind::terminate()).context(SignalsSnafu)?;
    let mut interrupt = signal(SignalKind::interrupt()).context(SignalsSnafu)?;
    tokio::select! {
        _ = terminate.recv() => tracing::info!("SIGTERM: finishing the passes under way"),
        _ = interrupt.recv() => tracing::info!("SIGINT: finishing the passes under way"),
        () = shutdown.cancelled() => {}
    }
    shutdown.cancel();
    Ok(())
}
