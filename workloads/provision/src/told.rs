//! What the operator shows of a failure: its kind, and a sentence without secrets. A store may
//! answer with what it was sent.

use aws_lc_rs::digest::{SHA256, digest};
use lotoai_kit::{Told, chain};

use crate::class::Classified as _;
use crate::error::Error;

/// What stands in the place of a secret.
const HIDDEN: &str = "***";
/// Shorter ones stand in any text by chance, and hide nothing.
const SHORTEST: usize = 4;

/// The failure in words that people may see. None of `secrets` is in it, nor a digest of one.
pub(crate) fn told(error: &Error, secrets: &[String]) -> Told {
    let mut text = chain(error);
    for secret in secrets.iter().filter(|secret| secret.len() >= SHORTEST) {
        text = text
            .replace(secret.as_str(), HIDDEN)
            .replace(&sha256(secret), HIDDEN);
    }
    Told::new(error.class().reason(), text.trim_end_matches([':', ' ']))
}

/// The passwords of the environment. The operator gives every secret in a variable with that word in
/// its name.
pub(crate) fn passwords() -> Vec<String> {
    let secret = |(name, value): (std::ffi::OsString, std::ffi::OsString)| {
        let is_secret = name.to_string_lossy().contains("PASSWORD");
        is_secret.then(|| value.to_string_lossy().into_owned())
    };
    std::env::vars_os().filter_map(secret).collect()
}

/// SHA-256 of a text, in hexadecimal digits.
pub(crate) fn sha256(text: &str) -> String {
    let hash = digest(&SHA256, text.as_bytes());
    hash.as_ref()
        .iter()
        .fold(String::new(), |text, byte| format!("{text}{byte:02x}"))
}

#[cfg(test)]
mod tests {
    use ::http::StatusCode;

    use super::*;
    use crate::http::HttpError;

    fn refused(answer: String) -> Error {
        Error::Http {
            store: "RabbitMQ",
            source: HttpError::Status {
                what: "create user \"gateway\"".to_owned(),
                status: StatusCode::UNAUTHORIZED,
                answer,
            },
        }
    }

    #[test]
    fn a_failure_is_a_sentence_with_its_word_for_the_operator() {
        let told = told(&refused(String::new()), &[]);
        assert_eq!(told.reason(), Some("AuthFailed"));
        assert_eq!(
            told.to_string(),
            "failed to provision RabbitMQ: failed to create user \"gateway\": the answer was 401 \
             Unauthorized"
        );
    }

    #[test]
    fn a_store_that_repeats_what_it_was_sent_gives_no_secret_away() {
        let secrets = ["hunter2".to_owned(), String::new(), "a".to_owned()];
        let answer = format!("hunter2 is wrong, IDENTIFIED BY '{}'", sha256("hunter2"));
        let told = told(&refused(answer), &secrets).to_string();
        assert!(
            told.ends_with("401 Unauthorized: *** is wrong, IDENTIFIED BY '***'"),
            "{told}"
        );
    }
}
