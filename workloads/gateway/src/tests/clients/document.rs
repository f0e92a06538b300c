//! Whether a validator that is not ours takes the OpenAPI document for what it says it is.

use std::path::Path;

use serde_json::{Value, json};

use super::{installed, python};
use crate::tests::openapi::document;

const VALIDATE: &str = "import json, sys\n\
                        from openapi_spec_validator import OpenAPIV31SpecValidator\n\
                        OpenAPIV31SpecValidator(json.load(open(sys.argv[1]))).validate()\n\
                        print('valid')";

/// What the validator says of a document, and whether it takes it.
async fn validate(installed: &Path, document: &Value) -> (bool, String) {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), document.to_string()).unwrap();
    let mut command = python(installed);
    command.args(["-c", VALIDATE]).arg(file.path());
    let output = command.output().await.unwrap();
    let said = String::from_utf8_lossy(&output.stdout) == "valid\n";
    let errors = String::from_utf8_lossy(&output.stderr).into_owned();
    (output.status.success() && said, errors)
}

#[tokio::test]
async fn an_independent_program_takes_the_document_for_openapi_3_1() {
    let Some(installed) = installed() else {
        return;
    };
    let document = document();
    let (valid, errors) = validate(&installed, &document).await;
    assert!(valid, "{errors}");
    // The controls: what is wrong is found, and by the validator itself.
    for (at, value) in [
        ("/info/title", json!(null)),
        ("/paths/~1v1~1models/get/responses", json!([])),
        ("/components/schemas/Me/type", json!("text")),
    ] {
        let mut wrong = document.clone();
        *wrong.pointer_mut(at).unwrap() = value;
        let (valid, errors) = validate(&installed, &wrong).await;
        assert!(!valid, "{at}");
        assert!(errors.contains("OpenAPIValidationError"), "{at}: {errors}");
    }
}
