//! The way back to an older version is closed: stores were migrated.

use lotoai_api::{LotoAI, reasons};

use super::Invalid;
use crate::observed::OperatorEnv;

/// Refuses a platform that ran a newer minor version whole.
pub(super) fn check(lotoai: &LotoAI, env: &OperatorEnv, faults: &mut Vec<Invalid>) {
    let status = lotoai.status.as_ref();
    let Some(ran) = status.and_then(|status| status.version.as_deref()) else {
        return;
    };
    if minor(ran) <= minor(&env.version) {
        return;
    }
    let ours = &env.version;
    faults.push(Invalid {
        field: "status.version".to_owned(),
        message: format!(
            "the platform runs {ran} and this operator brings {ours}, which cannot read what {ran} \
             wrote to the stores; nothing is changed; install operator {ran} or newer again"
        ),
        reason: reasons::DOWNGRADE_REFUSED,
    });
}

/// Major and minor number; nothing of what is no version, which is older than every version.
fn minor(version: &str) -> Option<(u64, u64)> {
    let mut parts = version.trim_start_matches('v').split('.');
    let mut number = || parts.next()?.parse().ok();
    Some((number()?, number()?))
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case::upgrade("0.1.7", "0.2.0", true)]
    #[case::same("0.2.0", "0.2.0", true)]
    #[case::patch_back("0.2.3", "0.2.0", true)]
    #[case::minor_back("0.3.0", "0.2.9", false)]
    #[case::ten_is_more_than_nine("0.10.0", "0.9.0", false)]
    #[case::major_back("1.0.0", "0.9.0", false)]
    #[case::no_version_before("local", "0.2.0", true)]
    fn a_minor_version_is_not_taken_back(
        #[case] ran: &str,
        #[case] operator: &str,
        #[case] allowed: bool,
    ) {
        let mut lotoai: LotoAI = serde_json::from_value(serde_json::json!({
            "apiVersion": "lotoai.dev/v1alpha1", "kind": "LotoAI",
            "metadata": { "name": "demo" }, "spec": { "url": "https://a.example.com" },
        }))
        .unwrap();
        lotoai.status = serde_json::from_value(serde_json::json!({ "version": ran })).unwrap();
        let env = OperatorEnv {
            namespace: String::new(),
            version: operator.to_owned(),
            images: std::collections::BTreeMap::new(),
            pull_policy: lotoai_api::spec::PullPolicy::IfNotPresent,
            otlp_endpoint: None,
        };
        let mut faults = Vec::new();
        check(&lotoai, &env, &mut faults);
        let [fault] = &faults[..] else {
            assert!(allowed && faults.is_empty(), "{faults:?}");
            return;
        };
        assert!(!allowed, "{fault}");
        assert_eq!(fault.reason, reasons::DOWNGRADE_REFUSED);
        assert_eq!(fault.field, "status.version");
        for part in [
            format!("the platform runs {ran} and this operator brings {operator}"),
            format!("install operator {ran} or newer again"),
        ] {
            assert!(fault.message.contains(&part), "{fault}");
        }
    }
}
