//! Policies with the least that a user needs.

use serde_json::{Value, json};

use crate::plan::Access;

/// Name of a user's own policy.
pub(super) fn name(user: &str) -> String {
    format!("lotoai-{user}")
}

/// The policy of a user of `bucket`.
pub(super) fn document(bucket: &str, access: Access) -> Value {
    let (bucket_actions, object_actions): (&[&str], &[&str]) = match access {
        Access::Read => (
            &["s3:GetBucketLocation", "s3:ListBucket"],
            &["s3:GetObject"],
        ),
        Access::ReadWrite => (
            &[
                "s3:GetBucketLocation",
                "s3:ListBucket",
                "s3:ListBucketMultipartUploads",
            ],
            &[
                "s3:GetObject",
                "s3:PutObject",
                "s3:DeleteObject",
                "s3:AbortMultipartUpload",
                "s3:ListMultipartUploadParts",
            ],
        ),
    };
    json!({
        "Version": "2012-10-17",
        "Statement": [
            {
                "Effect": "Allow",
                "Action": bucket_actions,
                "Resource": [format!("arn:aws:s3:::{bucket}")],
            },
            {
                "Effect": "Allow",
                "Action": object_actions,
                "Resource": [format!("arn:aws:s3:::{bucket}/*")],
            },
        ],
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reader_may_list_and_read() {
        let wanted = json!({ "Version": "2012-10-17", "Statement": [
            {
                "Effect": "Allow",
                "Action": ["s3:GetBucketLocation", "s3:ListBucket"],
                "Resource": ["arn:aws:s3:::documents"],
            },
            {
                "Effect": "Allow",
                "Action": ["s3:GetObject"],
                "Resource": ["arn:aws:s3:::documents/*"],
            },
        ]});
        assert_eq!(document("documents", Access::Read), wanted);
    }

    #[test]
    fn a_writer_may_also_write_and_delete_objects_but_not_the_bucket() {
        let wanted = json!({ "Version": "2012-10-17", "Statement": [
            {
                "Effect": "Allow",
                "Action": [
                    "s3:GetBucketLocation", "s3:ListBucket", "s3:ListBucketMultipartUploads",
                ],
                "Resource": ["arn:aws:s3:::documents"],
            },
            {
                "Effect": "Allow",
                "Action": [
                    "s3:GetObject", "s3:PutObject", "s3:DeleteObject", "s3:AbortMultipartUpload",
                    "s3:ListMultipartUploadParts",
                ],
                "Resource": ["arn:aws:s3:::documents/*"],
            },
        ]});
        assert_eq!(document("documents", Access::ReadWrite), wanted);
    }
}
