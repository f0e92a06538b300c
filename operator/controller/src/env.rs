//! The operator's own settings, as planning takes them.
//!
//! No client needed; reads the images file once, at start.

use std::collections::BTreeMap;
use std::path::Path;

use lotoai_api::Component;
use lotoai_api::versions::PROVISION;
use lotoai_plan::OperatorEnv;
use snafu::{ResultExt, ensure};

use crate::cli::{Error, ParseImagesSnafu, ReadImagesSnafu, RunArgs, UnknownImageSnafu};

/// Puts the settings together.
///
/// # Errors
/// When the images file cannot be read or names what is no component.
pub fn load(args: &RunArgs) -> Result<OperatorEnv, Error> {
    let images = match &args.images_file {
        Some(path) => {
            let text = std::fs::read_to_string(path).context(ReadImagesSnafu { path })?;
            parse_images(path, &text)?
        }
        None => BTreeMap::new(),
    };
    Ok(OperatorEnv {
        namespace: args
            .pod_namespace
            .clone()
            .unwrap_or_else(|| "lotoai-system".to_owned()),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        images,
        pull_policy: args.pull_policy.into(),
        otlp_endpoint: Some(args.otlp_endpoint.clone()).filter(|endpoint| !endpoint.is_empty()),
    })
}

fn parse_images(path: &Path, text: &str) -> Result<BTreeMap<String, String>, Error> {
    // An empty file is an empty map.
    let images: Option<BTreeMap<String, String>> =
        serde_yaml_ng::from_str(text).context(ParseImagesSnafu { path })?;
    let images = images.unwrap_or_default();
    let known: Vec<&'static str> = Component::ALL
        .into_iter()
        .map(Component::name)
        .chain([PROVISION])
        .collect();
    for name in images.keys() {
        ensure!(
            known.contains(&name.as_str()),
            UnknownImageSnafu {
                path,
                name,
                known: known.clone()
            }
        );
    }
    Ok(images)
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;
    use crate::error::chain;

    #[rstest]
    #[case("", 0)]
    #[case("{}", 0)]
    #[case("gateway: a.example/gateway:1\nprovision: a.example/provision:1\n", 2)]
    fn takes_a_map(#[case] text: &str, #[case] count: usize) {
        assert_eq!(
            parse_images(Path::new("images.yaml"), text).unwrap().len(),
            count
        );
    }

    #[rstest]
    #[case("- gateway", "must map component names")]
    #[case("gatway: a.example/gateway:1", "\"gatway\" is no component")]
    fn refuses_with_the_fix(#[case] text: &str, #[case] fix: &str) {
        let error = chain(&parse_images(Path::new("images.yaml"), text).unwrap_err());
        assert!(
            error.contains(fix) && error.contains("images.yaml"),
            "{error}"
        );
    }
}
