//! The Job of one store.

use k8s_openapi::api::batch::v1::{Job, JobSpec};
use k8s_openapi::api::core::v1::Container;
use lotoai_api::Store;

use super::config::{FIRST_USER_PASSWORD, accounts};
use crate::components::shared::authorities;
use crate::components::shared::config::{config_map_volume, empty_dir, mount, mount_read_only};
use crate::components::shared::ours::UID;
use crate::components::shared::pod::{container, template};
use crate::credentials::PASSWORD;
use crate::env;
use crate::graph::Node;
use crate::platform::Platform;

/// Attempts before the Job gives up; the pauses between them grow from 10 s to 6 min. Each attempt
/// bounds its own waiting; the Job as a whole has no deadline, which would count the pull of the
/// image and end the Job for good.
const ATTEMPTS: i32 = 6;

/// The name gets its digest when everything else is done.
pub(super) fn build(platform: &Platform, store: Store) -> Job {
    let node = Node::Provision(store);
    let mut variables = env::common(platform);
    variables.extend(env::from_edges(platform, node));
    for (account, to) in accounts(platform, store) {
        let secret = platform.edge_secret(account.node, to);
        let passwords = account.logins.iter();
        variables.extend(
            passwords.map(|login| env::secret_var(&login.password_env, &secret, login.key)),
        );
    }
    if store == Store::Keycloak
        && let Some(secret) = platform.first_user_secret()
    {
        variables.push(env::secret_var(FIRST_USER_PASSWORD, &secret, PASSWORD));
    }
    let mut volumes = vec![config_map_volume(platform, node), empty_dir("tmp", "16Mi")];
    let mut mounts = vec![
        mount_read_only("config", "/etc/lotoai"),
        mount("tmp", "/tmp"),
    ];
    for (volume, mount) in authorities::volumes(platform, node) {
        volumes.push(volume);
        mounts.push(mount);
    }
    let container = Container {
        args: Some(vec![store.name().to_owned()]),
        env: Some(variables),
        volume_mounts: Some(mounts),
        ..container(platform, node)
    };
    let mut template = template(platform, node, UID, container, volumes);
    if let Some(pod) = &mut template.spec {
        // Failed pods stay, so that their logs can be read.
        pod.restart_policy = Some("Never".to_owned());
    }
    Job {
        metadata: platform.metadata(platform.node_name(node), node),
        spec: Some(JobSpec {
            backoff_limit: Some(ATTEMPTS),
            template,
            ..JobSpec::default()
        }),
        ..Job::default()
    }
}
