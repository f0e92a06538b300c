//! Installs the operator on a cluster and brings a `LotoAI` resource to Ready, with kubectl and Helm
//! as a user would.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use snafu::ResultExt;

use crate::error::{DeadlineSnafu, FileSnafu, JsonSnafu, Result, YamlSnafu};
use crate::provider::Provider;
use crate::shell::{capture, command, feed};
use crate::{diagnose, paths, text};

/// Namespace of the operator.
pub(crate) const OPERATOR_NAMESPACE: &str = "lotoai-system";
/// Chart of the CustomResourceDefinition, and its release.
const DEFINITIONS: &str = "lotoai-crds";
/// Chart of the operator, and its release.
const OPERATOR: &str = "lotoai-operator";
/// Namespace of the demonstration platform.
pub(crate) const NAMESPACE: &str = "lotoai";
/// Name of the demonstration platform.
pub(crate) const NAME: &str = "demo";
/// How often the status is read while waiting.
const STATUS_PERIOD: Duration = Duration::from_secs(2);

/// Access to a cluster: which kubeconfig, which programs.
#[derive(Debug, Clone)]
pub(crate) struct Access {
    /// `None` = whatever `kubectl` uses by itself.
    pub kubeconfig: Option<PathBuf>,
    /// Program `kubectl`.
    pub kubectl: PathBuf,
    /// Program `helm`.
    pub helm: PathBuf,
}

impl Access {
    /// Runs kubectl and returns what it prints.
    pub(crate) fn kubectl(&self, arguments: &[&str]) -> Result<String> {
        capture(&mut self.command(&self.kubectl, arguments))
    }

    fn helm(&self, arguments: &[&str]) -> Result<String> {
        capture(&mut self.command(&self.helm, arguments))
    }

    /// A command that sees the cluster.
    pub(crate) fn command(&self, program: &Path, arguments: &[&str]) -> std::process::Command {
        let mut command = command(&program.to_string_lossy(), arguments);
        if let Some(kubeconfig) = &self.kubeconfig {
            command.env("KUBECONFIG", kubeconfig);
            // These are on this machine: a proxy cannot reach them.
            for variable in ["NO_PROXY", "no_proxy"] {
                let mut names = std::env::var(variable).unwrap_or_default();
                if !names.is_empty() {
                    names.push(',');
                }
                names.push_str("198.18.0.0/15,127.0.0.1,localhost,.localhost");
                command.env(variable, names);
            }
        }
        command
    }
}

/// Image references by component, and of the operator itself; empty = the chart's own.
#[derive(Debug, Clone, Default)]
pub(crate) struct Images {
    /// The operator.
    pub operator: Option<String>,
    /// Component → reference.
    pub components: Vec<(String, String)>,
}

/// Installs or upgrades both charts and waits until the operator runs.
pub(crate) fn install_operator(access: &Access, images: &Images, scratch: &Path) -> Result<()> {
    std::fs::create_dir_all(scratch).context(FileSnafu {
        action: "create",
        path: scratch,
    })?;
    let mut values = json!({});
    if let Some(reference) = &images.operator {
        let (repository, tag) = reference.rsplit_once(':').unwrap_or((reference, ""));
        values["image"] =
            json!({ "repository": repository, "tag": tag, "pullPolicy": "IfNotPresent" });
    }
    for (component, reference) in &images.components {
        values["images"][component] = json!(reference);
    }
    let file = scratch.join("operator-values.json");
    std::fs::write(&file, values.to_string()).context(FileSnafu {
        action: "write",
        path: &file,
    })?;
    let file = file.to_string_lossy().into_owned();
    let pending = pending();
    access.kubectl(&["delete", "secret", "-n", OPERATOR_NAMESPACE, "-l", &pending])?;
    let install = |chart: &str, more: &[&str]| {
        let path = format!("charts/{chart}");
        let mut arguments = vec![
            "upgrade",
            "--install",
            chart,
            &path,
            "--namespace",
            OPERATOR_NAMESPACE,
        ];
        arguments.extend(["--create-namespace", "--wait", "--timeout", "3m"]);
        arguments.extend(more);
        access.helm(&arguments)
    };
    install(DEFINITIONS, &[])?;
    install(OPERATOR, &["--values", &file])?;
    Ok(())
}

/// Selector of what a run that was interrupted leaves: records of our releases that Helm takes for work
/// under way. Those of other releases are for others.
fn pending() -> String {
    format!(
        "owner=helm,name in ({DEFINITIONS},{OPERATOR}),\
         status in (pending-install,pending-upgrade,pending-rollback)"
    )
}

fn sample(name: &str) -> Result<Value> {
    let path = paths::root().join("samples").join(name);
    let text = std::fs::read_to_string(&path).context(FileSnafu {
        action: "read",
        path: &path,
    })?;
    serde_yaml_ng::from_str(&text).context(YamlSnafu { path: &path })
}

/// Creates the namespace under Pod Security `restricted` and applies the resource, with the roles
/// on `provider` if there is one.
pub(crate) fn apply_resource(
    access: &Access,
    port: u16,
    provider: Option<&Provider>,
    scratch: &Path,
) -> Result<()> {
    let mut object = sample("demo.yaml")?;
    object["spec"]["url"] = json!(format!("https://lotoai.localhost:{port}"));
    object["spec"]["edge"]["service"] =
        json!({ "type": "NodePort", "httpsNodePort": lotoai_local::HTTPS_NODE_PORT });
    if let Some(provider) = provider {
        let roles = &sample("openai.yaml")?["spec"]["agents"]["roles"];
        object["spec"]["agents"] = provider.agents(roles);
    }
    let file = scratch.join("demo.json");
    std::fs::write(&file, object.to_string()).context(FileSnafu {
        action: "write",
        path: &file,
    })?;
    let namespace = scratch.join("namespace.json");
    let object = json!({
        "apiVersion": "v1",
        "kind": "Namespace",
        "metadata": { "name": NAMESPACE, "labels": {
            "pod-security.kubernetes.io/enforce": "restricted",
        } },
    });
    std::fs::write(&namespace, object.to_string()).context(FileSnafu {
        action: "write",
        path: &namespace,
    })?;
    apply(access, &namespace)?;
    if let Some(secret) = provider.and_then(Provider::secret) {
        let arguments = apply_arguments("-");
        feed(
            &mut access.command(&access.kubectl, &arguments),
            &secret.to_string(),
        )?;
    }
    apply(access, &file)
}

fn apply(access: &Access, file: &Path) -> Result<()> {
    access
        .kubectl(&apply_arguments(&file.to_string_lossy()))
        .map(drop)
}

/// Server-side: the other way would keep a copy of the whole object in an annotation.
fn apply_arguments(file: &str) -> [&str; 6] {
    [
        "apply",
        "--server-side",
        "--namespace",
        NAMESPACE,
        "-f",
        file,
    ]
}

/// The resource as the cluster has it.
pub(crate) fn resource(access: &Access) -> Result<Value> {
    let text = access.kubectl(&[
        "get",
        "lotoai",
        NAME,
        "--namespace",
        NAMESPACE,
        "-o",
        "json",
    ])?;
    serde_json::from_str(&text).context(JsonSnafu {
        command: "kubectl get lotoai",
    })
}

/// What a template makes of each of the platform's objects of some kinds.
fn each(access: &Access, kinds: &str, template: &str) -> Result<String> {
    let selector = format!("app.kubernetes.io/instance={NAME}");
    let output = format!("go-template={{{{range .items}}}}{template}{{{{end}}}}");
    access.kubectl(&[
        "get",
        kinds,
        "--namespace",
        NAMESPACE,
        "--selector",
        &selector,
        "-o",
        &output,
    ])
}

/// Pods that are on their way out: until they are gone they answer as they were told before.
fn leaving(access: &Access) -> Result<String> {
    let names = "{{if .metadata.deletionTimestamp}}{{.metadata.name}} {{end}}";
    each(access, "pods", names)
}

/// What runs pods, each on a line with its image.
fn workloads(access: &Access) -> Result<String> {
    let images = "{{.metadata.name}} {{(index .spec.template.spec.containers 0).image}}{{\"\\n\"}}";
    each(access, "deployments,statefulsets", images)
}

/// The objects among `workloads` that another image was made for. An operator that has just been
/// replaced may not have looked yet, and what the one before it said still stands.
fn behind(workloads: &str, images: &Images) -> String {
    let is_behind = |object: &str, image: &str| {
        let mut wanted = images.components.iter();
        wanted.any(|(component, reference)| {
            object == format!("{NAME}-{component}") && image != reference
        })
    };
    let objects: Vec<&str> = workloads
        .lines()
        .filter_map(|line| line.split_once(' '))
        .filter(|(object, image)| is_behind(object, image))
        .map(|(object, _)| object)
        .collect();
    objects.join(" ")
}

/// Waits until the resource is Ready at its own generation, with these images, and no pod of before
/// is left; prints its message whenever it changes.
pub(crate) fn wait_ready(access: &Access, images: &Images, limit: Duration) -> Result<Duration> {
    let begun = Instant::now();
    let mut last = String::new();
    loop {
        let object = resource(access)?;
        let (mut ready, mut message) = readiness(&object);
        if ready {
            let objects = behind(&workloads(access)?, images);
            if !objects.is_empty() {
                ready = false;
                message = text::waits_for_images(&objects);
            }
        }
        if ready {
            let pods = leaving(access)?;
            if !pods.trim().is_empty() {
                ready = false;
                message = text::waits_for_end(pods.trim());
            }
        }
        if message != last {
            println!("  {:>4.0} s  {message}", begun.elapsed().as_secs_f64());
            last = message;
        }
        if ready {
            return Ok(begun.elapsed());
        }
        if begun.elapsed() > limit {
            diagnose::print(access);
            let what = text::ready_platform();
            return DeadlineSnafu {
                what,
                seconds: limit.as_secs(),
                last,
            }
            .fail();
        }
        std::thread::sleep(STATUS_PERIOD);
    }
}

/// Whether `Ready` is true for the current generation with nothing left to roll out or to mend, and
/// the line that tells people how far it is.
fn readiness(object: &Value) -> (bool, String) {
    let generation = &object["metadata"]["generation"];
    let conditions = object["status"]["conditions"]
        .as_array()
        .cloned()
        .unwrap_or_default();
    let Some(ready) = conditions
        .iter()
        .find(|condition| condition["type"] == "Ready")
    else {
        return (false, text::waits_for_operator());
    };
    // A platform that serves on is Ready, also when what was asked for cannot be carried out.
    let left = ["Stalled", "Reconciling"].iter().find_map(|type_| {
        let mut all = conditions.iter();
        all.find(|condition| condition["type"] == *type_ && condition["status"] == "True")
    });
    let is_ready =
        ready["status"] == "True" && &ready["observedGeneration"] == generation && left.is_none();
    let components = object["status"]["componentsReady"]
        .as_str()
        .unwrap_or("0/?")
        .to_owned();
    (
        is_ready,
        format!(
            "{components}  {}",
            left.unwrap_or(ready)["message"]
                .as_str()
                .unwrap_or_default()
        ),
    )
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    fn object(status: &str, observed: u64) -> Value {
        json!({
            "metadata": {"generation": 2},
            "status": {"componentsReady": "3/14", "conditions": [
                {"type": "Ready", "status": status, "observedGeneration": observed, "message": "m"}
            ]}
        })
    }

    #[test]
    fn records_of_other_releases_are_left_alone() {
        assert_eq!(
            pending(),
            "owner=helm,name in (lotoai-crds,lotoai-operator),\
             status in (pending-install,pending-upgrade,pending-rollback)"
        );
    }

    #[test]
    fn ready_counts_only_for_the_current_generation() {
        assert!(readiness(&object("True", 2)).0);
        assert!(!readiness(&object("True", 1)).0);
        assert!(!readiness(&object("False", 2)).0);
        assert!(!readiness(&json!({"metadata": {"generation": 1}})).0);
        assert_eq!(readiness(&object("False", 2)).1, "3/14  m");
    }

    #[test]
    fn another_image_is_waited_for() {
        let images = Images {
            operator: None,
            components: vec![("agents".to_owned(), "local/agents:2".to_owned())],
        };
        let workloads = |tag| format!("demo-agents local/agents:{tag}\ndemo-minio minio:1\n");
        assert_eq!(behind(&workloads(1), &images), "demo-agents");
        assert_eq!(behind(&workloads(2), &images), "");
        assert_eq!(behind(&workloads(1), &Images::default()), "");
    }

    #[rstest]
    #[case::rolls_out("Reconciling", "agents: rolls out")]
    #[case::must_be_mended("Stalled", "spec.url: is none")]
    fn what_is_left_to_do_is_waited_for(#[case] type_: &str, #[case] message: &str) {
        let mut object = object("True", 2);
        let left = json!({"type": type_, "status": "True", "message": message});
        let conditions = object["status"]["conditions"].as_array_mut().unwrap();
        conditions.push(left);
        assert_eq!(readiness(&object), (false, format!("3/14  {message}")));
    }
}
