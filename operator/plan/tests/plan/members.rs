//! Clusters of servers whose StatefulSet is gone, and of whose volumes some may be gone, too.

use lotoai_api::LotoAI;
use lotoai_plan::{Invalid, Observed, validate};
use rstest::rstest;
use serde_json::{Value, json};

use crate::common::{operator, resource};

/// The volume claims of these numbers of a component.
fn claims(component: &str, numbers: &[i32]) -> Observed {
    let mut observed = Observed::default();
    for number in numbers {
        let name = format!("data-demo-{component}-{number}");
        let claim = json!({ "metadata": { "name": name, "uid": name } });
        let claim = serde_json::from_value(claim).unwrap();
        observed.claims.insert(name, claim);
    }
    observed
}

/// A resource that asks for so many servers of a component.
fn asking(component: &str, replicas: i32) -> LotoAI {
    let mut lotoai = resource("minimal");
    let mut spec = serde_json::to_value(&lotoai.spec).unwrap();
    spec["components"] = json!({ component: { "replicas": replicas } });
    if component == "qdrant" {
        spec["rag"]["vectorStore"] = json!({ "managed": {} });
    }
    lotoai.spec = serde_json::from_value(spec).unwrap();
    lotoai
}

/// What is wrong with a resource that asks for so many, with these volumes.
fn faults(component: &str, replicas: i32, numbers: &[i32]) -> Vec<Invalid> {
    let observed = claims(component, numbers);
    let lotoai = asking(component, replicas);
    validate(&lotoai, &observed, &operator("minimal"))
        .err()
        .unwrap_or_default()
}

#[rstest]
#[case::none("rabbitmq", 3, &[])]
#[case::one_alone("rabbitmq", 1, &[0])]
#[case::all("rabbitmq", 3, &[0, 1, 2])]
#[case::without_the_first("rabbitmq", 3, &[1, 2])]
#[case::without_the_second("rabbitmq", 3, &[0, 2])]
#[case::without_the_last("rabbitmq", 3, &[0, 1])]
#[case::one_alone("clickhouse", 1, &[0])]
#[case::all("clickhouse", 3, &[0, 1, 2])]
#[case::without_the_first("clickhouse", 3, &[1, 2])]
#[case::without_the_last("clickhouse", 3, &[0, 1])]
#[case::one_alone("qdrant", 1, &[0])]
#[case::all("qdrant", 3, &[0, 1, 2])]
#[case::without_the_last("qdrant", 3, &[0, 1])]
#[case::without_the_second("qdrant", 3, &[0, 2])]
#[case::one_alone("minio", 1, &[0])]
#[case::all("minio", 4, &[0, 1, 2, 3])]
#[case::without_the_last("minio", 4, &[0, 1, 2])]
#[case::without_the_first("minio", 4, &[1, 2, 3])]
#[case::half("minio", 4, &[0, 1])]
#[case::the_other_half("minio", 4, &[2, 3])]
fn enough_volumes_are_taken_up(
    #[case] component: &str,
    #[case] replicas: i32,
    #[case] numbers: &[i32],
) {
    assert_eq!(faults(component, replicas, numbers), []);
}

#[rstest]
#[case::a_minority("rabbitmq", 3, &[2], &["data-demo-rabbitmq-0", "data-demo-rabbitmq-1"])]
#[case::a_minority("clickhouse", 3, &[1], &["data-demo-clickhouse-0", "data-demo-clickhouse-2"])]
#[case::the_founder("qdrant", 3, &[1, 2], &["data-demo-qdrant-0"])]
#[case::a_minority("qdrant", 3, &[2], &["data-demo-qdrant-0", "data-demo-qdrant-1"])]
#[case::one_drive("minio", 4, &[3], &["data-demo-minio-0", "data-demo-minio-2"])]
fn too_few_volumes_are_left_alone_and_what_is_missing_is_told(
    #[case] component: &str,
    #[case] replicas: i32,
    #[case] numbers: &[i32],
    #[case] missing: &[&str],
) {
    let faults = faults(component, replicas, numbers);
    let [fault] = faults.as_slice() else {
        panic!("{faults:?}");
    };
    assert_eq!(
        fault.field,
        format!("spec.components[{component}].replicas")
    );
    for name in missing {
        assert!(fault.message.contains(name), "{fault}");
    }
    for number in numbers {
        let name = format!("data-demo-{component}-{number}");
        assert!(!fault.message.contains(&name), "{fault}");
    }
    assert!(!fault.message.contains("set it to"), "{fault}");
    assert!(fault.message.contains("bring"), "{fault}");
}

/// It may have been alone or one of several, and nothing tells which.
#[rstest]
#[case("rabbitmq", 3)]
#[case("clickhouse", 3)]
#[case("qdrant", 3)]
#[case("minio", 4)]
fn of_one_volume_both_cases_are_told(#[case] component: &str, #[case] replicas: i32) {
    let faults = faults(component, replicas, &[0]);
    assert_eq!(faults.len(), 1, "{faults:?}");
    let message = &faults[0].message;
    let last = format!("data-demo-{component}-{}", replicas - 1);
    for part in ["if that ran alone, set it to 1", "do not", last.as_str()] {
        assert!(message.contains(part), "{message}");
    }
}

/// The number that is asked for is wrong, and the one that is named is one that the schema takes.
#[rstest]
#[case::all("rabbitmq", 1, &[0, 1, 2], 3)]
#[case::without_the_last("rabbitmq", 1, &[0, 1], 3)]
#[case::the_last_alone("rabbitmq", 1, &[2], 3)]
#[case::more_than_there_may_be("rabbitmq", 1, &[0, 1, 2, 3, 4], 3)]
#[case::without_the_last("minio", 1, &[0, 1, 2], 4)]
#[case::half("minio", 1, &[0, 1], 4)]
#[case::without_the_last("clickhouse", 1, &[0, 1], 3)]
#[case::without_the_first("qdrant", 1, &[1, 2], 3)]
fn another_number_is_never_one_that_is_not_allowed(
    #[case] component: &str,
    #[case] replicas: i32,
    #[case] numbers: &[i32],
    #[case] were: i32,
) {
    let faults = faults(component, replicas, numbers);
    assert_eq!(faults.len(), 1, "{faults:?}");
    let advice = format!("cannot change to {replicas}; set it to {were}");
    assert!(faults[0].message.contains(&advice), "{}", faults[0]);
}

#[test]
fn volumes_of_a_store_that_is_elsewhere_now_are_nobodys() {
    let observed = claims("rabbitmq", &[0, 1, 2]);
    let found = |spec: Value| {
        let mut lotoai = resource("minimal");
        lotoai.spec = serde_json::from_value(spec).unwrap();
        let faults = validate(&lotoai, &observed, &operator("minimal")).unwrap_err();
        faults
            .into_iter()
            .map(|fault| fault.field)
            .collect::<Vec<_>>()
    };
    let url = "https://lotoai.example.com";
    let external = json!({
        "url": "amqp://broker.example:5672", "managementURL": "http://broker.example:15672",
        "adminSecretName": "absent",
    });
    let elsewhere = json!({ "url": url, "messaging": { "rabbitmq": { "external": external } } });
    let of_the_secret = |field: &String| field.ends_with("external.adminSecretName");
    assert!(found(elsewhere).iter().all(of_the_secret));
    let here = found(json!({ "url": url }));
    assert_eq!(here, ["spec.components[rabbitmq].replicas"], "the control");
}
