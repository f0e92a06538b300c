//! ConfigMaps, rendered Secrets, and how pods mount them.

use std::collections::BTreeMap;

use k8s_openapi::ByteString;
use k8s_openapi::api::core::v1::{
    ConfigMap, ConfigMapVolumeSource, EmptyDirVolumeSource, KeyToPath, Secret, SecretVolumeSource,
    Volume, VolumeMount,
};
use k8s_openapi::apimachinery::pkg::api::resource::Quantity;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;

use crate::graph::Node;
use crate::platform::Platform;

/// Readable by the pod's group, which is the one that it runs as.
const MODE: i32 = 0o440;

/// ConfigMap `<platform>-<node>` of these files.
#[must_use]
pub fn config_map(platform: &Platform, node: Node, files: &[(&str, String)]) -> ConfigMap {
    config_map_named(platform.metadata(platform.node_name(node), node), files)
}

/// ConfigMap with this metadata of these files.
#[must_use]
pub fn config_map_named(metadata: ObjectMeta, files: &[(&str, String)]) -> ConfigMap {
    ConfigMap {
        metadata,
        data: Some(
            files
                .iter()
                .map(|(name, text)| ((*name).to_owned(), text.clone()))
                .collect(),
        ),
        ..ConfigMap::default()
    }
}

/// Secret `<platform>-<node>-config` of these files: for configuration that holds a credential.
#[must_use]
pub fn rendered_secret(platform: &Platform, node: Node, files: &[(&str, String)]) -> Secret {
    Secret {
        metadata: platform.metadata(rendered_name(platform, node), node),
        type_: Some("Opaque".to_owned()),
        data: Some(
            files
                .iter()
                .map(|(name, text)| ((*name).to_owned(), ByteString(text.clone().into_bytes())))
                .collect::<BTreeMap<_, _>>(),
        ),
        ..Secret::default()
    }
}

/// Name of [`rendered_secret`].
#[must_use]
pub fn rendered_name(platform: &Platform, node: Node) -> String {
    format!("{}-config", platform.node_name(node))
}

/// Volume `config` with the ConfigMap of a node.
#[must_use]
pub fn config_map_volume(platform: &Platform, node: Node) -> Volume {
    map_volume("config", platform.node_name(node))
}

/// Volume with a ConfigMap.
#[must_use]
pub fn map_volume(name: &str, map: String) -> Volume {
    Volume {
        name: name.to_owned(),
        config_map: Some(ConfigMapVolumeSource {
            name: map,
            default_mode: Some(MODE),
            ..ConfigMapVolumeSource::default()
        }),
        ..Volume::default()
    }
}

/// Volume with all keys of a Secret, or with some of them.
#[must_use]
pub fn secret_volume(name: &str, secret: &str, keys: &[&str]) -> Volume {
    let files: Vec<_> = keys.iter().map(|key| (*key, *key)).collect();
    secret_files(name, secret, &files)
}

/// Volume with some keys of a Secret, each with the name of its file.
#[must_use]
pub fn secret_files(name: &str, secret: &str, files: &[(&str, &str)]) -> Volume {
    let items = files
        .iter()
        .map(|(key, path)| KeyToPath {
            key: (*key).to_owned(),
            path: (*path).to_owned(),
            mode: None,
        })
        .collect::<Vec<_>>();
    Volume {
        name: name.to_owned(),
        secret: Some(SecretVolumeSource {
            secret_name: Some(secret.to_owned()),
            items: (!items.is_empty()).then_some(items),
            default_mode: Some(MODE),
            ..SecretVolumeSource::default()
        }),
        ..Volume::default()
    }
}

/// Volume that lives as long as the pod.
#[must_use]
pub fn empty_dir(name: &str, limit: &str) -> Volume {
    Volume {
        name: name.to_owned(),
        empty_dir: Some(EmptyDirVolumeSource {
            size_limit: Some(Quantity(limit.to_owned())),
            ..EmptyDirVolumeSource::default()
        }),
        ..Volume::default()
    }
}

/// Mount that may be written.
#[must_use]
pub fn mount(volume: &str, path: &str) -> VolumeMount {
    VolumeMount {
        name: volume.to_owned(),
        mount_path: path.to_owned(),
        ..VolumeMount::default()
    }
}

/// Mount that may only be read.
#[must_use]
pub fn mount_read_only(volume: &str, path: &str) -> VolumeMount {
    VolumeMount {
        read_only: Some(true),
        ..mount(volume, path)
    }
}
