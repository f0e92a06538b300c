//! What happens around a workload's `run`: configuration, telemetry, signals, drain, exit code.

use std::error::Error as StdError;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use clap::error::ErrorKind;
use snafu::{ResultExt, Snafu};
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::mpsc;
use tokio::task::{JoinError, JoinHandle};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::common::{CommonArgs, HasCommon};
use crate::service::{Failure, Service};
use crate::telemetry::{self, TelemetryError};
use crate::tls::{self, TlsError};
use crate::told::Told;
use crate::{admin, config_error, server};

/// Exit code of a refused configuration.
const EXIT_CONFIG: u8 = 2;
/// How long a stopping process goes on accepting: kubelet and kube-proxy need about this long to
/// take a pod out of its Service, and a connection refused meanwhile would reach a caller.
const UNROUTE: Duration = Duration::from_secs(2);
/// How often the recorder folds its histograms, so that they do not grow without a scrape.
const METRICS_UPKEEP: Duration = Duration::from_secs(5);

/// Why a process ended with a failure.
#[derive(Debug, Snafu)]
enum RunError {
    #[snafu(display("failed to start the runtime"))]
    Runtime { source: std::io::Error },
    #[snafu(display("failed to set up telemetry"))]
    Telemetry { source: TelemetryError },
    #[snafu(display("failed to listen for signals"))]
    Signals { source: std::io::Error },
    #[snafu(display("failed to listen on ADMIN_LISTEN {listen}"))]
    Admin {
        listen: std::net::SocketAddr,
        source: std::io::Error,
    },
    #[snafu(display("failed to use the certificate to serve with"))]
    Tls { source: TlsError },
    #[snafu(display("{name} failed"))]
    Workload {
        name: &'static str,
        source: Box<dyn StdError + Send + Sync>,
    },
    #[snafu(display("{name} panicked"))]
    Panicked {
        name: &'static str,
        source: JoinError,
    },
    #[snafu(display("task {name:?} failed: {reason}"))]
    Task { name: &'static str, reason: String },
    #[snafu(display("requests were still open {seconds} s after the stop and were dropped"))]
    Drain { seconds: u64 },
}

impl RunError {
    /// What the log tells: of a workload its own words, because the line says whose they are.
    fn cause(&self) -> &(dyn StdError + 'static) {
        if let Self::Workload { source, .. } = self {
            &**source
        } else {
            self
        }
    }

    /// The word for the operator.
    fn reason(&self) -> Option<&'static str> {
        if let Self::Workload { source, .. } = self {
            source.downcast_ref::<Told>().and_then(Told::reason)
        } else {
            None
        }
    }
}

/// Runs a workload: reads its configuration from the environment, sets up telemetry and the admin
/// server, calls `run`, stops it on SIGTERM or SIGINT within `DRAIN_SECONDS`, and gives the exit
/// code: 0 = ended as asked, 1 = failed (the log says why), 2 = the configuration is refused.
pub fn main<C, F, Fut, E>(name: &'static str, run: F) -> ExitCode
where
    C: clap::Parser + HasCommon,
    F: FnOnce(C, Service) -> Fut,
    Fut: Future<Output = Result<(), E>> + Send + 'static,
    E: StdError + Send + Sync + 'static,
{
    start::<C, _>(|config| {
        let common = config.common().clone();
        block_on(
            name,
            &common,
            supervise(name, common.clone(), move |s| run(config, s)),
        )
    })
}

/// Runs a job that ends by itself: like [`main`], without admin server and drain. SIGTERM and
/// SIGINT cancel `service.shutdown` and the job is dropped when it takes longer than
/// `DRAIN_SECONDS` to notice.
pub fn job<C, F, Fut, E>(name: &'static str, run: F) -> ExitCode
where
    C: clap::Parser + HasCommon,
    F: FnOnce(C, Service) -> Fut,
    Fut: Future<Output = Result<(), E>> + Send + 'static,
    E: StdError + Send + Sync + 'static,
{
    start::<C, _>(|config| {
        let common = config.common().clone();
        block_on(name, &common, async {
            let (service, failures) = Service::new(name);
            let workload = tokio::spawn(run(config, service.clone()));
            stop_in_order(name, &common, &service, failures, workload, Duration::ZERO).await
        })
    })
}

fn start<C: clap::Parser, F: FnOnce(C) -> Result<(), RunError>>(run: F) -> ExitCode {
    let config = match C::try_parse() {
        Ok(config) => config,
        Err(error)
            if matches!(
                error.kind(),
                ErrorKind::DisplayHelp | ErrorKind::DisplayVersion
            ) =>
        {
            error.exit()
        }
        Err(error) => {
            eprintln!("{}", config_error::describe(&C::command(), &error));
            return ExitCode::from(EXIT_CONFIG);
        }
    };
    match run(config) {
        Ok(()) => ExitCode::SUCCESS,
        Err(_) => ExitCode::FAILURE, // reported by `block_on`, while the log was still there
    }
}

fn block_on<Fut>(name: &'static str, common: &CommonArgs, work: Fut) -> Result<(), RunError>
where
    Fut: Future<Output = Result<(), RunError>>,
{
    // A second installation is refused, which only means that somebody was here before.
    drop(tls::provider().install_default());
    install_panic_hook();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .context(RuntimeSnafu)
        .inspect_err(print)?;
    let telemetry = {
        let _guard = runtime.enter();
        telemetry::install(name, common)
            .context(TelemetrySnafu)
            .inspect_err(print)?
    };
    tracing::info!(
        version = env!("CARGO_PKG_VERSION"),
        platform = common.platform,
        "starting {name}"
    );
    let result = runtime.block_on(Box::pin(work));
    match &result {
        Ok(()) => tracing::info!("{name} ended"),
        Err(error) => tracing::error!(
            reason = error.reason(),
            error = chain(error.cause()),
            "{name} ended with a failure"
        ),
    }
    telemetry.flush();
    runtime.shutdown_background();
    result
}

fn print(error: &RunError) {
    eprintln!("{}", chain(error));
}

/// Logs where a panic happened, not its message: messages can quote the data that was at hand.
fn install_panic_hook() {
    std::panic::set_hook(Box::new(|panic| {
        let location = panic.location().map(ToString::to_string);
        tracing::error!(location, "panic");
    }));
}

async fn supervise<F, Fut, E>(
    name: &'static str,
    common: CommonArgs,
    run: F,
) -> Result<(), RunError>
where
    F: FnOnce(Service) -> Fut,
    Fut: Future<Output = Result<(), E>> + Send + 'static,
    E: StdError + Send + Sync + 'static,
{
    let recorded = telemetry::install_metrics().context(TelemetrySnafu)?;
    // Never empty: a scrape of a workload that has done nothing yet says which version it is.
    metrics::gauge!("lotoai_build_info", "workload" => name, "version" => env!("CARGO_PKG_VERSION"))
        .set(1.0);
    let (mut service, failures) = Service::new(name);
    service.certificates = common.tls.certificates().context(TlsSnafu)?;
    service.limits.answers = common.answers();
    if let Some(certificates) = &service.certificates {
        Arc::clone(certificates).watch(&service, tls::RELOAD_EVERY);
    }
    let listen = common.admin_listen;
    let listener = TcpListener::bind(listen)
        .await
        .context(AdminSnafu { listen })?;
    let router = admin::router(service.readiness.clone(), recorded.clone());
    // Until the very end: what is asked while the process stops is how far it is.
    let forever = CancellationToken::new();
    let admin = server::serve(listener, Arc::default(), router, service.limits, forever);
    let admin = tokio::spawn(admin);
    let upkeep = tokio::spawn(async move {
        let mut ticks = tokio::time::interval(METRICS_UPKEEP);
        loop {
            ticks.tick().await;
            recorded.run_upkeep();
        }
    });
    let workload = tokio::spawn(run(service.clone()));
    let result = stop_in_order(name, &common, &service, failures, workload, UNROUTE).await;
    admin.abort();
    upkeep.abort();
    result
}

/// Waits for the end of the workload, a failed task or a signal; then stops everything.
async fn stop_in_order<E: StdError + Send + Sync + 'static>(
    name: &'static str,
    common: &CommonArgs,
    service: &Service,
    failures: mpsc::UnboundedReceiver<Failure>,
    workload: JoinHandle<Result<(), E>>,
    unroute: Duration,
) -> Result<(), RunError> {
    let mut terminate = signal(SignalKind::terminate()).context(SignalsSnafu)?;
    let mut interrupt = signal(SignalKind::interrupt()).context(SignalsSnafu)?;
    let asked = async move {
        tokio::select! {
            _ = terminate.recv() => unroute,
            _ = interrupt.recv() => Duration::ZERO,
        }
    };
    stop_when(asked, name, common, service, failures, workload).await
}

/// Waits for the end of the workload, a failed task, or for `asked`, which says how long the process
/// goes on as if nothing had happened but that it is not ready; then stops everything.
async fn stop_when<E: StdError + Send + Sync + 'static>(
    asked: impl Future<Output = Duration>,
    name: &'static str,
    common: &CommonArgs,
    service: &Service,
    mut failures: mpsc::UnboundedReceiver<Failure>,
    mut workload: JoinHandle<Result<(), E>>,
) -> Result<(), RunError> {
    let mut outcome = Ok(());
    let mut ended = false;
    let mut pause = Duration::ZERO;
    tokio::select! {
        result = &mut workload => {
            outcome = flatten(name, result);
            ended = true;
        }
        Some(failure) = failures.recv() => {
            outcome = TaskSnafu { name: failure.name, reason: failure.reason }.fail();
        }
        unroute = asked => pause = unroute,
    }
    let deadline = Instant::now() + common.drain();
    service.readiness.begin_stop();
    tracing::info!(drain_seconds = common.drain_seconds, "stopping");
    tokio::time::sleep(pause.min(common.drain() / 4)).await;
    service.shutdown.cancel();
    service.tasks.close();
    if !ended {
        match tokio::time::timeout_at(deadline, &mut workload).await {
            Ok(result) => outcome = outcome.and(flatten(name, result)),
            Err(_) => {
                outcome = outcome.and(
                    DrainSnafu {
                        seconds: common.drain_seconds,
                    }
                    .fail(),
                )
            }
        }
    }
    if tokio::time::timeout_at(deadline, service.tasks.wait())
        .await
        .is_err()
    {
        outcome = outcome.and(
            DrainSnafu {
                seconds: common.drain_seconds,
            }
            .fail(),
        );
    }
    workload.abort();
    outcome
}

fn flatten<E: StdError + Send + Sync + 'static>(
    name: &'static str,
    result: Result<Result<(), E>, JoinError>,
) -> Result<(), RunError> {
    let result = result.context(PanickedSnafu { name })?;
    result.map_err(|error| RunError::Workload {
        name,
        source: Box::new(error),
    })
}

/// An error and its causes on one line, without a cause that the text before it already tells.
#[must_use]
pub fn chain(error: &dyn StdError) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        let cause_text = cause.to_string();
        if !text.contains(&cause_text) {
            text.push_str(": ");
            text.push_str(&cause_text);
        }
        next = cause.source();
    }
    text
}

#[cfg(test)]
mod tests;
