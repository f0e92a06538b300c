use rstest::rstest;

use super::*;

/// A workload as plan writes it, cut to what its kinds of lists and maps need.
fn planned() -> Value {
    json!({
        "apiVersion": "apps/v1", "kind": "Deployment",
        "metadata": {
            "name": "demo-gateway", "namespace": "ai",
            "labels": { "app.kubernetes.io/name": "gateway" },
            "ownerReferences": [{
                "apiVersion": "lotoai.dev/v1alpha1", "kind": "LotoAI", "name": "demo", "uid": "u",
            }],
        },
        "spec": {
            "replicas": 2,
            "selector": { "matchLabels": { "app.kubernetes.io/name": "gateway" } },
            "template": {
                "metadata": { "labels": { "app.kubernetes.io/name": "gateway" } },
                "spec": {
                    "containers": [{
                        "name": "gateway", "image": "gateway:1", "args": ["a", "b"],
                        "env": [
                            { "name": "ONE", "value": "1" },
                            { "name": "TWO", "valueFrom": {
                                "secretKeyRef": { "name": "s", "key": "k" },
                            } },
                        ],
                        "ports": [
                            { "containerPort": 8080, "name": "https" },
                            { "containerPort": 9090, "name": "admin", "protocol": "TCP" },
                        ],
                    }],
                    "volumes": [{ "name": "tmp", "emptyDir": {} }],
                },
            },
        },
    })
}

/// What kube-apiserver 1.36 notes of an apply of [`planned`].
fn noted() -> Value {
    json!({
        "f:metadata": {
            "f:annotations": { "f:lotoai.dev/applied": {} },
            "f:labels": { "f:app.kubernetes.io/name": {} },
            "f:ownerReferences": { "k:{\"uid\":\"u\"}": {} },
        },
        "f:spec": {
            "f:replicas": {},
            "f:selector": {},
            "f:template": {
                "f:metadata": { "f:labels": { "f:app.kubernetes.io/name": {} } },
                "f:spec": {
                    "f:containers": { "k:{\"name\":\"gateway\"}": {
                        ".": {}, "f:name": {}, "f:image": {}, "f:args": {},
                        "f:env": {
                            "k:{\"name\":\"ONE\"}": { ".": {}, "f:name": {}, "f:value": {} },
                            "k:{\"name\":\"TWO\"}": {
                                ".": {}, "f:name": {}, "f:valueFrom": { "f:secretKeyRef": {} },
                            },
                        },
                        "f:ports": {
                            "k:{\"containerPort\":8080,\"protocol\":\"TCP\"}": {
                                ".": {}, "f:containerPort": {}, "f:name": {},
                            },
                            "k:{\"containerPort\":9090,\"protocol\":\"TCP\"}": {
                                ".": {}, "f:containerPort": {}, "f:name": {}, "f:protocol": {},
                            },
                        },
                    } },
                    "f:volumes": { "k:{\"name\":\"tmp\"}": {
                        ".": {}, "f:name": {}, "f:emptyDir": {},
                    } },
                },
            },
        },
    })
}

fn entry(manager: &str, operation: &str, fields: &Value) -> Value {
    json!({
        "apiVersion": "apps/v1", "fieldsType": "FieldsV1", "fieldsV1": fields,
        "manager": manager, "operation": operation,
    })
}

/// The object's metadata after an apply, of which the API server notes these fields.
fn applied(fields: &Value) -> ObjectMeta {
    let signed = signed(&planned());
    let mut meta = signed["metadata"].clone();
    meta["managedFields"] = json!([
        entry(
            "kube-controller-manager",
            "Update",
            &json!({ "f:status": {} }),
        ),
        entry(FIELD_MANAGER, "Apply", fields),
    ]);
    serde_json::from_value(meta).unwrap()
}

fn ours(meta: &mut ObjectMeta) -> &mut ManagedFieldsEntry {
    &mut meta.managed_fields.as_mut().unwrap()[1]
}

#[test]
fn what_was_applied_is_as_applied() {
    let mut meta = applied(&noted());
    assert!(is_as_applied(&meta, &planned()));
    keep_ours(&mut meta);
    assert_eq!(meta.managed_fields.as_ref().unwrap().len(), 1);
    assert!(is_as_applied(&meta, &planned()));
}

/// Every set with one entry less.
fn without_one(fields: &Value) -> Vec<Value> {
    let mut all = Vec::new();
    let Some(map) = fields.as_object() else {
        return all;
    };
    for (name, below) in map {
        // It says of an element that it is there, which its key says as well.
        if name == "." {
            continue;
        }
        let mut less = map.clone();
        less.remove(name);
        // Nothing is left of a path of which nothing is owned.
        if !less.is_empty() {
            all.push(Value::Object(less));
        }
        for below in without_one(below) {
            let mut less = map.clone();
            less.insert(name.clone(), below);
            all.push(Value::Object(less));
        }
    }
    all
}

#[test]
fn one_field_that_is_no_longer_ours_is_noticed_whichever_it_is() {
    let all = without_one(&noted());
    assert!(all.len() > 30, "{}", all.len());
    for fields in all {
        let meta = applied(&fields);
        assert!(!is_as_applied(&meta, &planned()), "{fields}");
    }
}

#[test]
fn what_others_own_does_not_count() {
    let mut meta = applied(&noted());
    let annotations = meta.annotations.get_or_insert_default();
    annotations.insert("example.com/foreign".to_owned(), "stays".to_owned());
    let theirs = json!({
        "f:metadata": { "f:annotations": { "f:example.com/foreign": {} } },
        "f:spec": { "f:progressDeadlineSeconds": {}, "f:replicas": {} },
    });
    let theirs = serde_json::from_value(entry("kubectl-edit", "Update", &theirs)).unwrap();
    meta.managed_fields.as_mut().unwrap().push(theirs);
    assert!(is_as_applied(&meta, &planned()));
}

#[rstest]
#[case::other_value("/spec/replicas", json!(3))]
#[case::other_item("/spec/template/spec/containers/0/args", json!(["a"]))]
#[case::one_more_field("/spec/template/spec/volumes/0/emptyDir", json!({ "sizeLimit": "1Mi" }))]
#[case::other_owner("/metadata/ownerReferences/0/uid", json!("v"))]
fn a_change_of_the_plan_is_noticed(#[case] field: &str, #[case] value: Value) {
    let mut plan = planned();
    *plan.pointer_mut(field).unwrap() = value;
    assert!(!is_as_applied(&applied(&noted()), &plan));
}

#[rstest]
#[case::of_a_map("/metadata", "labels")]
#[case::of_a_workload("/spec", "replicas")]
#[case::of_an_item("/spec/template/spec/containers/0/env/0", "value")]
fn a_field_that_the_plan_has_no_more_is_noticed(#[case] of: &str, #[case] name: &str) {
    let mut plan = planned();
    let fields = plan.pointer_mut(of).unwrap().as_object_mut().unwrap();
    fields.remove(name).unwrap();
    assert!(!is_as_applied(&applied(&noted()), &plan));
}

#[test]
fn a_record_that_is_not_of_our_apply_says_nothing() {
    type Alteration = (&'static str, fn(&mut ObjectMeta));
    let alterations: [Alteration; 8] = [
        ("written by hand", |meta| {
            let annotations = meta.annotations.as_mut().unwrap();
            annotations.insert(APPLIED.to_owned(), "0".to_owned());
        }),
        ("not written at all", |meta| meta.annotations = None),
        ("of another manager", |meta| {
            ours(meta).manager = Some("kubectl".to_owned());
        }),
        ("of our other writes", |meta| {
            ours(meta).operation = Some("Update".to_owned());
        }),
        ("of the status", |meta| {
            ours(meta).subresource = Some("status".to_owned());
        }),
        ("of another version", |meta| {
            ours(meta).api_version = Some("apps/v2".to_owned());
        }),
        ("of no fields", |meta| ours(meta).fields_v1 = None),
        ("cleared", |meta| meta.managed_fields = None),
    ];
    for (what, alter) in alterations {
        let mut meta = applied(&noted());
        assert!(is_as_applied(&meta, &planned()));
        alter(&mut meta);
        assert!(!is_as_applied(&meta, &planned()), "{what}");
    }
}

#[rstest]
#[case::there(&["v:\"a\"", "v:\"b\""], true)]
#[case::taken(&["v:\"a\""], false)]
#[case::of_another_type(&["v:\"a\"", "v:1"], false)]
fn an_element_of_a_set_is_told_by_its_value(#[case] elements: &[&str], #[case] expected: bool) {
    let owned = elements.iter().map(|it| ((*it).to_owned(), json!({})));
    let owned = Value::Object(owned.collect());
    assert_eq!(covers(&owned, &json!(["a", "b"])), expected);
}

#[test]
fn elements_that_cannot_be_told_apart_are_sent() {
    let fields = json!({
        "k:{\"port\":53,\"protocol\":\"TCP\"}": { ".": {}, "f:port": {} },
        "k:{\"port\":53,\"protocol\":\"UDP\"}": { ".": {}, "f:port": {}, "f:protocol": {} },
    });
    assert!(!covers(&fields, &json!([{ "port": 53 }])));
    assert!(covers(&fields, &json!([{ "port": 53, "protocol": "UDP" }])));
}

#[test]
fn only_our_own_note_is_kept() {
    let mut meta = ObjectMeta::default();
    keep_ours(&mut meta);
    assert_eq!(meta.managed_fields, None);
    let mut meta = applied(&noted());
    meta.managed_fields.as_mut().unwrap().remove(1);
    keep_ours(&mut meta);
    assert_eq!(meta.managed_fields, None);
}

#[test]
fn the_digest_is_of_all_the_rest() {
    let signed = signed(&json!({ "metadata": { "name": "a" }, "data": { "key": "value" } }));
    let written = signed["metadata"]["annotations"][APPLIED].as_str().unwrap();
    assert_eq!(written.len(), LETTERS);
    let rest = json!({ "metadata": { "name": "a" }, "data": { "key": "value" } });
    assert_eq!(written, &digest(rest.to_string().as_bytes())[..LETTERS]);
}
