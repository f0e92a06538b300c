//! The command line: what the process is told, and what it prints without a cluster.
//!
//! No client needed.

use std::io::{Read as _, Write as _};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use clap::{ArgAction, Args, Parser, Subcommand, ValueEnum};
use kube::CustomResourceExt;
use lotoai_api::LotoAI;
use snafu::{ResultExt, Snafu};

use crate::explain::{self, Explanation};
use crate::leader::LEASE;
use crate::rbac;

/// Runs LotoAI platforms on Kubernetes.
#[derive(Debug, Parser)]
#[command(name = "lotoai-operator", version)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Watch LotoAI resources and carry them out. This is what the container runs.
    Run(Box<RunArgs>),
    /// Print the CustomResourceDefinition as YAML.
    Crd {
        /// As the Helm chart needs it: kept when the chart is uninstalled.
        #[arg(long)]
        helm: bool,
    },
    /// Print the wiring graph as a Mermaid diagram.
    Graph,
    /// Print the RBAC rules that `run` needs as YAML.
    Rbac,
    /// Print what a LotoAI resource would become, without a cluster.
    Explain {
        /// File with one LotoAI resource as YAML; `-` for standard input.
        #[arg(short, long)]
        filename: PathBuf,
        /// What to print.
        #[arg(long, value_enum, default_value = "yaml")]
        format: Format,
    },
    /// Ask an http:// address once; ends well when the answer is a success.
    Check {
        /// For example `http://lotoai-operator-metrics.lotoai-system:9090/readyz`.
        #[arg(long)]
        url: String,
    },
}

/// In which form a resource is explained.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// Every object that would be applied.
    Yaml,
    /// The wiring as a flow chart.
    Mermaid,
    /// Components, volumes, credentials and numbers of objects.
    Summary,
}

/// What `run` is told. Every option is also an environment variable.
#[derive(Clone, Debug, Args)]
pub struct RunArgs {
    /// Address of /healthz, /readyz and /metrics.
    #[arg(long, env = "ADMIN_LISTEN", default_value = "0.0.0.0:9090")]
    pub admin_listen: SocketAddr,
    /// Which log lines are written, as a `tracing` filter.
    #[arg(long, env = "LOG", default_value = "info")]
    pub log: String,
    /// Namespaces to work in, separated by commas; empty for all.
    #[arg(
        long,
        env = "WATCH_NAMESPACES",
        value_delimiter = ',',
        default_value = ""
    )]
    pub watch_namespaces: Vec<String>,
    /// Whether to wait for a Lease, so that only one process writes.
    #[arg(long, env = "LEADER_ELECTION", default_value_t = true, action = ArgAction::Set)]
    pub leader_election: bool,
    /// Name of the Lease. Operators of one namespace that ask for the same one work one at a time.
    #[arg(long, env = "LEASE_NAME", default_value = LEASE)]
    pub lease_name: String,
    /// Name of this pod: the holder of the Lease and the source of events.
    #[arg(long, env = "POD_NAME")]
    pub pod_name: Option<String>,
    /// Namespace of this pod: where the Lease is.
    #[arg(long, env = "POD_NAMESPACE")]
    pub pod_namespace: Option<String>,
    /// YAML file with image references by component, instead of the built-in table.
    #[arg(long, env = "IMAGES_FILE")]
    pub images_file: Option<PathBuf>,
    /// When nodes pull the images of platforms, unless a resource says otherwise.
    #[arg(long, env = "PULL_POLICY", value_enum, default_value = "IfNotPresent")]
    pub pull_policy: PullPolicy,
    /// Where traces of passes go, and where platforms report to unless their resource says otherwise;
    /// empty for nowhere.
    #[arg(long, env = "OTEL_EXPORTER_OTLP_ENDPOINT", default_value = "", value_parser = endpoint)]
    pub otlp_endpoint: String,
}

/// The address of a collector, as the schema of a resource has it; empty for none.
fn endpoint(text: &str) -> Result<String, String> {
    if text.is_empty() || text.starts_with("http://") {
        Ok(text.to_owned())
    } else {
        Err("write http://host:port: workloads do not speak TLS to a collector".to_owned())
    }
}

/// When nodes pull images, as Kubernetes spells it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
#[value(rename_all = "PascalCase")]
pub enum PullPolicy {
    /// Before every start.
    Always,
    /// When the node does not have it.
    IfNotPresent,
    /// Never: the image must be on the node.
    Never,
}

impl From<PullPolicy> for lotoai_api::spec::PullPolicy {
    fn from(policy: PullPolicy) -> Self {
        match policy {
            PullPolicy::Always => Self::Always,
            PullPolicy::IfNotPresent => Self::IfNotPresent,
            PullPolicy::Never => Self::Never,
        }
    }
}

/// Why a command without a cluster failed.
#[derive(Debug, Snafu)]
#[snafu(visibility(pub(crate)))]
pub enum Error {
    /// An object could not be printed.
    #[snafu(display("failed to write YAML"))]
    Yaml {
        /// What the library said.
        source: serde_yaml_ng::Error,
    },
    /// The resource cannot be read.
    #[snafu(display("failed to read {}", path.display()))]
    ReadResource {
        /// Its path.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// The resource cannot be explained.
    #[snafu(display("{}", path.display()))]
    Explain {
        /// Its path.
        path: PathBuf,
        /// Why.
        source: explain::Error,
    },
    /// Standard output is closed.
    #[snafu(display("failed to write to standard output"))]
    Stdout {
        /// What the system said.
        source: std::io::Error,
    },
    /// The images file cannot be read.
    #[snafu(display("failed to read IMAGES_FILE {}", path.display()))]
    ReadImages {
        /// Its path.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// The images file is not a map of component to reference.
    #[snafu(display(
        "failed to understand IMAGES_FILE {}: it must map component names to image references, \
         for example  gateway: registry.corp/lotoai/gateway:0.1.0",
        path.display()
    ))]
    ParseImages {
        /// Its path.
        path: PathBuf,
        /// What the parser said.
        source: serde_yaml_ng::Error,
    },
    /// A name in the images file is no component.
    #[snafu(display(
        "failed to understand IMAGES_FILE {}: {name:?} is no component; the components are {}",
        path.display(), known.join(", ")
    ))]
    UnknownImage {
        /// The path of the file.
        path: PathBuf,
        /// The name in question.
        name: String,
        /// All names.
        known: Vec<&'static str>,
    },
}

const GENERATED: &str = "# Generated by `make generate`; changes are lost.\n";

/// Prints the CustomResourceDefinition, with `helm` as a template of the chart.
///
/// # Errors
/// When standard output is closed.
pub fn print_crd(helm: bool) -> Result<(), Error> {
    print(GENERATED, &crd(helm)?)
}

fn crd(helm: bool) -> Result<String, Error> {
    let mut crd = LotoAI::crd();
    if helm {
        // Deleting the definition deletes every platform, which no `helm uninstall` may do.
        let annotations = crd.metadata.annotations.get_or_insert_default();
        annotations.insert("helm.sh/resource-policy".to_owned(), "keep".to_owned());
    }
    let yaml = serde_yaml_ng::to_string(&crd).context(YamlSnafu)?;
    // Helm would take doubled braces for its own.
    Ok(if helm {
        yaml.replace("{{", "{{ \"{{\" }}")
    } else {
        yaml
    })
}

/// Prints the wiring graph.
///
/// # Errors
/// When standard output is closed.
pub fn print_graph() -> Result<(), Error> {
    print("", &lotoai_plan::graph::mermaid())
}

/// Prints the RBAC rules.
///
/// # Errors
/// When standard output is closed.
pub fn print_rbac() -> Result<(), Error> {
    print(
        GENERATED,
        &serde_yaml_ng::to_string(&rbac::rules()).context(YamlSnafu)?,
    )
}

/// Prints what the resource in `path` would become.
///
/// # Errors
/// When it cannot be read, is not one LotoAI resource or has faults, and when standard output is
/// closed.
pub fn print_explanation(path: &Path, format: Format) -> Result<(), Error> {
    let text = read(path).context(ReadResourceSnafu { path })?;
    let explained = || -> Result<String, explain::Error> {
        let explanation = Explanation::new(&text)?;
        Ok(match format {
            Format::Yaml => explanation.yaml()?,
            Format::Mermaid => explanation.mermaid(),
            Format::Summary => explanation.summary(),
        })
    };
    print("", &explained().context(ExplainSnafu { path })?)
}

fn read(path: &Path) -> std::io::Result<String> {
    if path == Path::new("-") {
        let mut text = String::new();
        std::io::stdin().read_to_string(&mut text)?;
        Ok(text)
    } else {
        std::fs::read_to_string(path)
    }
}

/// Prints `text` on standard output.
///
/// # Errors
/// When standard output is closed.
pub fn print_answer(text: &str) -> Result<(), Error> {
    print("", text)
}

fn print(header: &str, text: &str) -> Result<(), Error> {
    let mut out = std::io::stdout().lock();
    out.write_all(header.as_bytes())
        .and_then(|()| out.write_all(text.as_bytes()))
        .context(StdoutSnafu)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::chain;

    #[test]
    fn a_collector_is_reached_without_tls() {
        assert_eq!(endpoint(""), Ok(String::new()));
        assert!(endpoint("http://collector.monitoring:4317").is_ok());
        assert!(
            endpoint("https://collector:4317")
                .unwrap_err()
                .contains("http://")
        );
    }

    #[test]
    fn the_commands_of_the_chart_and_of_the_page_are_understood() {
        let lines = [
            "lotoai-operator check --url=http://a.b:9090/readyz",
            "lotoai-operator explain -f samples/demo.yaml --format summary",
            "lotoai-operator explain -f -",
        ];
        for line in lines {
            let parsed = Cli::try_parse_from(line.split(' '));
            assert!(parsed.is_ok(), "{line}: {parsed:?}");
        }
    }

    #[test]
    fn a_faulty_file_is_named_with_its_faults() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("broken.yaml");
        let error = print_explanation(&path, Format::Yaml).unwrap_err();
        assert!(
            chain(&error).contains("broken.yaml: No such file"),
            "{error}"
        );
        std::fs::write(&path, "kind: Pod\n").unwrap();
        let error = print_explanation(&path, Format::Yaml).unwrap_err();
        let text = chain(&error);
        assert!(
            text.contains("broken.yaml: failed to read the resource"),
            "{text}"
        );
    }

    #[test]
    fn the_chart_keeps_the_definition() {
        assert!(crd(true).unwrap().contains("helm.sh/resource-policy: keep"));
        assert!(!crd(false).unwrap().contains("helm.sh"));
    }

    #[test]
    fn generated_files_are_current() {
        let root = concat!(env!("CARGO_MANIFEST_DIR"), "/../..");
        let rules = serde_yaml_ng::to_string(&rbac::rules()).unwrap();
        let files = [
            ("crds/lotoais.yaml", crd(false).unwrap()),
            (
                "charts/lotoai-crds/templates/lotoais.yaml",
                crd(true).unwrap(),
            ),
            ("charts/lotoai-operator/files/rules.yaml", rules),
        ];
        for (file, expected) in files {
            let text = std::fs::read_to_string(format!("{root}/{file}")).unwrap();
            assert!(
                text == format!("{GENERATED}{expected}"),
                "{file} is stale: run `make generate`"
            );
        }
    }
}
