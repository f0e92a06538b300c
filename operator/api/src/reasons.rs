//! Condition types and reasons. They are part of the API: scripts and alerts match on them, so
//! they change only with the version. `docs/reference/lotoai.md` explains each.

/// A question through the public URL is answered.
pub const READY: &str = "Ready";
/// The operator is at work. Present only while it is true.
pub const RECONCILING: &str = "Reconciling";
/// A person must act. Present only while it is true.
pub const STALLED: &str = "Stalled";
/// A component that served before does not serve now. Present only while it is true.
pub const DEGRADED: &str = "Degraded";

/// The operator has not looked at the resource yet.
pub const PENDING: &str = "Pending";
/// Objects are being created or rolled out.
pub const PROGRESSING: &str = "Progressing";
/// Everything serves and the probe question was answered.
pub const AVAILABLE: &str = "Available";
/// The resource cannot be carried out as it is written.
pub const INVALID_SPEC: &str = "InvalidSpec";
/// A Secret that the resource names does not exist.
pub const SECRET_NOT_FOUND: &str = "SecretNotFound";
/// A Secret that the resource names lacks a key.
pub const SECRET_KEY_MISSING: &str = "SecretKeyMissing";
/// The cluster lacks a kind of object that the resource needs.
pub const DEPENDENCY_MISSING: &str = "DependencyMissing";
/// The certificate that people see is not issued yet.
pub const CERTIFICATE_NOT_READY: &str = "CertificateNotReady";
/// A Gateway does not take the platform's route, or how it is to check who is behind it.
pub const ROUTE_NOT_ACCEPTED: &str = "RouteNotAccepted";
/// Another operator has not made a store ready that it runs for the platform.
pub const STORE_NOT_READY: &str = "StoreNotReady";
/// An image cannot be pulled.
pub const IMAGE_PULL_FAILED: &str = "ImagePullFailed";
/// A container ends again and again.
pub const POD_CRASH_LOOPING: &str = "PodCrashLooping";
/// No node takes a pod.
pub const POD_UNSCHEDULABLE: &str = "PodUnschedulable";
/// A volume claim of a pod gets no volume.
pub const VOLUME_PENDING: &str = "VolumePending";
/// A pod names a volume, Secret or ConfigMap that is not there, or its configuration is refused.
pub const POD_CONFIGURATION_FAILED: &str = "PodConfigurationFailed";
/// The cluster does not let a workload's controller make its pods.
pub const POD_CREATION_FAILED: &str = "PodCreationFailed";
/// A pod neither fails nor becomes ready, for longer than any start takes.
pub const POD_NOT_READY: &str = "PodNotReady";
/// An attempt of a provision Job failed, or it gave up.
pub const PROVISION_FAILED: &str = "ProvisionFailed";
/// A store does not know the credentials of its administrator, or does not let it do what is needed.
pub const AUTH_FAILED: &str = "AuthFailed";
/// An external store does not answer, or its certificate is not accepted.
pub const EXTERNAL_UNREACHABLE: &str = "ExternalUnreachable";
/// Every component is ready but the probe question was not answered.
pub const PROBE_FAILED: &str = "ProbeFailed";
/// Every component is ready and the probe question has not been asked yet.
pub const PROBE_PENDING: &str = "ProbePending";
/// The cluster refused an object, or reading or writing failed.
pub const RECONCILE_FAILED: &str = "ReconcileFailed";
/// `spec.paused` is true: nothing is applied or pruned.
pub const PAUSED: &str = "Paused";
/// `spec.suspend` is true, and parts of the platform still run.
pub const SUSPENDING: &str = "Suspending";
/// `spec.suspend` is true, and nothing runs.
pub const SUSPENDED: &str = "Suspended";
/// Credentials are being made anew; the old ones are valid until nobody uses them.
pub const ROTATING: &str = "Rotating";
/// Credentials were made anew, and the old ones are void.
pub const ROTATED: &str = "Rotated";
/// The operator is older than what the platform ran before.
pub const DOWNGRADE_REFUSED: &str = "DowngradeRefused";
/// The resource is being deleted.
pub const DELETING: &str = "Deleting";

// Of events only.

/// Another version of the operator changes the platform's objects.
pub const UPGRADING: &str = "Upgrading";
/// Every part runs what this version of the operator asks for.
pub const UPGRADED: &str = "Upgraded";
/// Every part runs what the changed resource asks for.
pub const ROLLED_OUT: &str = "RolledOut";
/// What was stalled or degraded is ready again; `Ready` was true all the time.
pub const RECOVERED: &str = "Recovered";
/// `Ready` was lost because a part is not ready.
pub const NOT_READY: &str = "NotReady";
/// Secrets with credentials were made.
pub const CREDENTIALS_MADE: &str = "CredentialsMade";
/// The operator's own certificate was made anew.
pub const CERTIFICATE_RENEWED: &str = "CertificateRenewed";
/// Everybody is handed the authority that signs next.
pub const AUTHORITY_PREPARED: &str = "AuthorityPrepared";
/// All workloads of a stage are there.
pub const STARTED: &str = "Started";
/// A store's provision Job is complete.
pub const PROVISIONED: &str = "Provisioned";
/// Objects were deleted because nothing asks for them.
pub const PRUNED: &str = "Pruned";
/// `spec.paused` is false again.
pub const RESUMED: &str = "Resumed";

#[cfg(test)]
mod tests {
    #[test]
    fn every_reason_is_explained_for_who_reads_it() {
        let root = concat!(env!("CARGO_MANIFEST_DIR"), "/../..");
        let read = |path: &str| std::fs::read_to_string(format!("{root}/{path}")).unwrap();
        let pages = [read("docs/reference/lotoai.md"), read("docs/operator.md")].concat();
        let source = read("operator/api/src/reasons.rs");
        let names: Vec<_> = source
            .lines()
            .filter_map(|line| line.strip_prefix("pub const ")?.split('"').nth(1))
            .collect();
        assert!(names.len() > 30, "{names:?}");
        for name in names {
            assert!(pages.contains(&format!("`{name}`")), "{name}");
        }
    }
}
