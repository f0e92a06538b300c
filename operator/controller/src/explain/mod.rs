//! Explain: what a resource would become, without a cluster.
//!
//! No client needed. The same validation and planning as a pass of the operator, on a file, with
//! placeholders where a pass makes or reads credentials. The output is the same every time.

mod objects;
mod placeholders;
mod read;
mod schema;
mod summary;

use lotoai_api::LotoAI;
use lotoai_api::spec::PullPolicy;
use lotoai_plan::validate::{Reference, given_credentials, references};
use lotoai_plan::{
    Credentials, Invalid, OperatorEnv, Platform, Prepared, ResourceSet, SecretSpec, build, graph,
    required_secrets, validate,
};
use snafu::Snafu;

/// Why there is nothing to explain.
#[derive(Debug, Snafu)]
#[snafu(visibility(pub(crate)))]
pub enum Error {
    /// The text is not one LotoAI resource.
    #[snafu(display("failed to read the resource: {message}"))]
    Document {
        /// What it is instead, and what to do.
        message: String,
    },
    /// The text is no YAML.
    #[snafu(display("failed to read the resource as YAML"))]
    Yaml {
        /// What is wrong, with line and column.
        source: serde_yaml_ng::Error,
    },
    /// The resource asks for what cannot be.
    #[snafu(display("the resource has {}:{}", count(faults), lines(faults)))]
    Faults {
        /// All faults, each with its field and fix.
        faults: Vec<Invalid>,
    },
    /// An object could not be written as YAML.
    #[snafu(display("failed to write YAML"))]
    Write {
        /// What the library said.
        source: serde_yaml_ng::Error,
    },
}

fn count(faults: &[Invalid]) -> String {
    match faults.len() {
        1 => "one fault".to_owned(),
        many => format!("{many} faults"),
    }
}

fn lines(faults: &[Invalid]) -> String {
    let mut text = String::new();
    for fault in faults {
        text.push_str("\n  ");
        text.push_str(&fault.to_string());
    }
    text
}

/// A resource and all that it stands for.
#[derive(Debug)]
pub struct Explanation {
    platform: Platform,
    secrets: Vec<SecretSpec>,
    set: ResourceSet<Prepared>,
    /// Secrets that the resource names; that they exist is taken for granted.
    assumed: Vec<Reference>,
}

impl Explanation {
    /// Reads one resource from YAML and plans it.
    ///
    /// # Errors
    /// When the text is not one LotoAI resource, or the resource has faults: all are named.
    pub fn new(text: &str) -> Result<Self, Error> {
        let lotoai = read::resource(text)?;
        let (platform, assumed) = plan(&lotoai)?;
        let secrets = required_secrets(&platform);
        let credentials: Credentials = placeholders::credentials(&secrets)?;
        let set = build(&platform, &credentials);
        Ok(Self {
            platform,
            secrets,
            set,
            assumed,
        })
    }

    /// The objects that the operator would apply, as YAML documents in its order.
    ///
    /// # Errors
    /// When an object cannot be written as YAML.
    pub fn yaml(&self) -> Result<String, Error> {
        objects::yaml(self)
    }

    /// The wiring of this platform as a Mermaid flow chart.
    #[must_use]
    pub fn mermaid(&self) -> String {
        graph::mermaid_of(&self.platform)
    }

    /// Components, volumes, credentials and numbers of objects, for people.
    #[must_use]
    pub fn summary(&self) -> String {
        summary::text(self)
    }
}

/// The schema's rules first, which `kubectl apply` would hold against the resource, and then what
/// the operator checks; a field is told of once.
fn plan(lotoai: &LotoAI) -> Result<(Platform, Vec<Reference>), Error> {
    let mut faults = read::rules(lotoai);
    let assumed = references(&lotoai.spec);
    let observed = placeholders::observed(&assumed, &given_credentials(&lotoai.spec));
    match validate(lotoai, &observed, &operator()) {
        Ok(platform) if faults.is_empty() => return Ok((platform, assumed)),
        Ok(_) => {}
        Err(more) => {
            for fault in more {
                if faults.iter().all(|known| known.field != fault.field) {
                    faults.push(fault);
                }
            }
        }
    }
    FaultsSnafu { faults }.fail()
}

/// An operator that was installed with the chart's own values.
fn operator() -> OperatorEnv {
    OperatorEnv {
        namespace: "lotoai-system".to_owned(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        images: std::collections::BTreeMap::new(),
        pull_policy: PullPolicy::IfNotPresent,
        otlp_endpoint: None,
    }
}

#[cfg(test)]
mod tests;
