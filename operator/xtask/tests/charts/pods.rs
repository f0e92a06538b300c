//! Pods: Pod Security `restricted`, and no more of them than can work.

use serde_json::Value;

use crate::helm::{FILES, Helm, NAMESPACE, OPERATOR, Prometheus, of, selects, the, values};

/// What Pod Security `restricted` and the rules of the project have against a pod.
fn faults(pod: &Value) -> Vec<&'static str> {
    let mut faults = Vec::new();
    let mut must = |holds: bool, fault| {
        if !holds {
            faults.push(fault);
        }
    };
    let context = &pod["securityContext"];
    must(context["runAsNonRoot"] == true, "it may run as root");
    must(
        context["seccompProfile"]["type"] == "RuntimeDefault",
        "no seccomp profile",
    );
    for field in ["hostNetwork", "hostPID", "hostIPC"] {
        must(pod[field].is_null(), "it shares what is the node's");
    }
    for volume in pod["volumes"].as_array().into_iter().flatten() {
        must(
            volume["hostPath"].is_null(),
            "it mounts a directory of the node",
        );
    }
    for container in pod["containers"].as_array().into_iter().flatten() {
        let context = &container["securityContext"];
        must(
            context["allowPrivilegeEscalation"] == false,
            "it may gain privileges",
        );
        must(
            context["readOnlyRootFilesystem"] == true,
            "it may write into its image",
        );
        must(
            context["capabilities"]["drop"][0] == "ALL",
            "it keeps capabilities",
        );
        must(
            context["capabilities"]["add"].is_null(),
            "it adds capabilities",
        );
        must(context["privileged"].is_null(), "it is privileged");
        let resources = &container["resources"];
        must(
            !resources["requests"]["memory"].is_null(),
            "no request for memory",
        );
        must(
            !resources["limits"]["memory"].is_null(),
            "no limit of memory",
        );
        let image = container["image"].as_str().unwrap_or_default();
        let tag = image
            .rsplit('/')
            .next()
            .and_then(|name| name.split_once(':'));
        must(
            tag.is_some_and(|(_, tag)| tag != "latest"),
            "no exact image",
        );
    }
    faults
}

fn pods(objects: &[Value]) -> [&Value; 2] {
    let deployment = &the(objects, "Deployment")["spec"]["template"]["spec"];
    [deployment, &the(objects, "Pod")["spec"]]
}

#[test]
fn every_pod_is_restricted() {
    let Some(helm) = Helm::find() else { return };
    for name in FILES {
        for pod in pods(&helm.objects(name)) {
            assert_eq!(faults(pod), Vec::<&str>::new(), "{name}: {pod}");
        }
    }
}

#[test]
fn a_pod_that_is_not_is_seen() {
    let Some(helm) = Helm::find() else { return };
    let objects = helm.objects("default");
    let mut pod = pods(&objects)[0].clone();
    pod["hostNetwork"] = true.into();
    pod["securityContext"]["runAsNonRoot"] = false.into();
    pod["containers"][0]["securityContext"]["capabilities"]["drop"] = Value::Null;
    let expected = [
        "it may run as root",
        "it shares what is the node's",
        "it keeps capabilities",
    ];
    assert_eq!(faults(&pod), expected);
}

#[test]
fn the_test_asks_the_service_with_the_operators_own_image() {
    let Some(helm) = Helm::find() else { return };
    for name in FILES {
        let objects = helm.objects(name);
        let [operator, test] = pods(&objects).map(|pod| &pod["containers"][0]);
        let pod = the(&objects, "Pod");
        assert_eq!(pod["metadata"]["annotations"]["helm.sh/hook"], "test");
        assert_eq!(pod["spec"]["automountServiceAccountToken"], false);
        assert_eq!(test["image"], operator["image"]);
        let service = the(&objects, "Service");
        let port = &service["spec"]["ports"][0];
        let url = format!(
            "--url=http://{}.{NAMESPACE}:{}/readyz",
            service["metadata"]["name"].as_str().unwrap(),
            port["port"]
        );
        assert_eq!(test["args"], serde_json::json!(["check", url]));
        assert_eq!(operator["ports"][0]["name"], port["targetPort"]);
    }
}

#[test]
fn selectors_lead_to_the_operator_and_not_to_its_test() {
    let Some(helm) = Helm::find() else { return };
    let objects = helm.objects("full");
    let operator = &the(&objects, "Deployment")["spec"]["template"]["metadata"]["labels"];
    let test = &the(&objects, "Pod")["metadata"]["labels"];
    let selectors = [
        &the(&objects, "Service")["spec"]["selector"],
        &the(&objects, "Deployment")["spec"]["selector"]["matchLabels"],
        &the(&objects, "PodDisruptionBudget")["spec"]["selector"]["matchLabels"],
    ];
    for selector in selectors {
        assert!(selects(selector, operator), "{selector}");
        assert!(!selects(selector, test), "{selector}");
    }
}

#[test]
fn a_budget_and_a_spread_come_with_the_second_replica() {
    let Some(helm) = Helm::find() else { return };
    for (name, replicas) in [("default", 1), ("replicated", 2), ("full", 3)] {
        let objects = helm.objects(name);
        let several = replicas > 1;
        assert_eq!(
            of(&objects, "PodDisruptionBudget").len(),
            usize::from(several),
            "{name}"
        );
        let spec = &the(&objects, "Deployment")["spec"];
        assert_eq!(spec["replicas"], replicas);
        let spread = &spec["template"]["spec"]["topologySpreadConstraints"];
        assert_eq!(spread.is_array(), several, "{name}");
    }
}

#[test]
fn several_that_write_are_refused() {
    let Some(helm) = Helm::find() else { return };
    let render = |values: &str| helm.template(OPERATOR, values, Prometheus::Absent);
    let refusal = render("{ replicas: 2, leaderElection: false }").unwrap_err();
    assert!(refusal.contains("set leaderElection to true"), "{refusal}");
    // Nor do the one before and the next at an upgrade.
    let strategy = |values: &str| {
        let objects = render(values).unwrap();
        the(&objects, "Deployment")["spec"]["strategy"]["type"].clone()
    };
    assert_eq!(strategy("{ leaderElection: false }"), "Recreate");
    assert!(strategy("").is_null(), "the control");
}

/// YAML takes some names for numbers.
#[test]
fn a_release_and_namespaces_may_have_numbers_for_names() {
    let Some(helm) = Helm::find() else { return };
    let values = "{ watchNamespaces: ['123'], serviceAccount: { name: '7' } }";
    let objects = helm
        .template_as("2026", OPERATOR, values, Prometheus::Installed)
        .unwrap();
    assert!(!objects.is_empty());
    for object in &objects {
        let meta = &object["metadata"];
        let instance = &meta["labels"]["app.kubernetes.io/instance"];
        for text in [&meta["name"], &meta["namespace"], instance] {
            assert!(text.is_string() || text.is_null(), "{object}");
        }
    }
    let binding = &of(&objects, "RoleBinding")[0];
    assert_eq!(binding["subjects"][0]["name"], "7");
}

#[test]
fn a_changed_image_of_a_platform_restarts_the_operator() {
    let Some(helm) = Helm::find() else { return };
    let hash = |values: &str| {
        let objects = helm.template(OPERATOR, values, Prometheus::Absent).unwrap();
        let template = &the(&objects, "Deployment")["spec"]["template"];
        template["metadata"]["annotations"]["lotoai.dev/images-hash"].clone()
    };
    assert_ne!(hash(""), hash(&values("full")));
    assert_eq!(hash(""), hash(&values("replicated")));
}
