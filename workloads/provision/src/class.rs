//! Kinds of failures, as far as waiting for a store and the status of a resource tell them apart.

use ::http::StatusCode;
use lotoai_kit::authority::refuses_certificate;

use crate::error::Error;
use crate::http::HttpError;
use crate::s3::S3Error;

/// What kind of failure one is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Class {
    /// The store does not know the credentials, or does not let them do what is asked.
    Refused,
    /// The store's certificate is not accepted, or it does not speak TLS.
    Untrusted,
    /// Nothing answers, or nothing but somebody who stands before the store.
    Unreachable,
    /// Anything else.
    Other,
}

impl Class {
    /// Whether waiting mends nothing.
    pub(crate) const fn is_final(self) -> bool {
        match self {
            Self::Refused | Self::Untrusted => true,
            Self::Unreachable | Self::Other => false,
        }
    }

    /// The word for the operator. `docs/workloads/provision.md` has all of them.
    pub(crate) const fn reason(self) -> Option<&'static str> {
        match self {
            Self::Refused => Some("AuthFailed"),
            Self::Untrusted | Self::Unreachable => Some("ExternalUnreachable"),
            Self::Other => None,
        }
    }
}

/// A failure of which the kind is known.
pub(crate) trait Classified {
    /// Its kind.
    fn class(&self) -> Class;
}

/// Codes of PostgreSQL for an account that it does not know, does not let in, or that may not do
/// what is asked of it.
const REFUSED: [&str; 3] = ["28P01", "28000", "42501"];
/// Codes for a server that starts, stops, or has no connection left.
const BUSY: [&str; 4] = ["57P01", "57P02", "57P03", "53300"];

impl Classified for sqlx::Error {
    fn class(&self) -> Class {
        if refuses_certificate(self) {
            return Class::Untrusted;
        }
        match self {
            Self::Tls(_) => Class::Untrusted,
            Self::Io(_) => Class::Unreachable,
            Self::Database(error) => of_code(error.code().as_deref().unwrap_or_default()),
            _ => Class::Other,
        }
    }
}

fn of_code(code: &str) -> Class {
    if REFUSED.contains(&code) {
        Class::Refused
    } else if BUSY.contains(&code) {
        Class::Unreachable
    } else {
        Class::Other
    }
}

impl Classified for HttpError {
    fn class(&self) -> Class {
        match self {
            Self::Send { source, .. } if refuses_certificate(source) => Class::Untrusted,
            Self::Send { .. } | Self::Body { .. } => Class::Unreachable,
            Self::Status { status, answer, .. } => of_status(*status, answer),
            Self::Client { .. }
            | Self::Authority { .. }
            | Self::Parse { .. }
            | Self::NotRunning { .. }
            | Self::Absent { .. } => Class::Other,
        }
    }
}

fn of_status(status: StatusCode, answer: &str) -> Class {
    match status {
        StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => Class::Refused,
        // So a token is refused: RFC 6749 §5.2.
        StatusCode::BAD_REQUEST if answer.contains("invalid_grant") => Class::Refused,
        StatusCode::BAD_GATEWAY | StatusCode::SERVICE_UNAVAILABLE | StatusCode::GATEWAY_TIMEOUT => {
            Class::Unreachable
        }
        _ => Class::Other,
    }
}

impl Classified for S3Error {
    fn class(&self) -> Class {
        match self {
            Self::Http { source } => source.class(),
            Self::Request { .. } | Self::Sign { .. } | Self::Encrypt { .. } => Class::Other,
        }
    }
}

impl Classified for Error {
    fn class(&self) -> Class {
        match self {
            Self::Http { source, .. } => source.class(),
            Self::Postgres { source, .. } => source.class(),
            Self::S3 { source } => source.class(),
            Self::ReadFile { .. }
            | Self::ParseFile { .. }
            | Self::NoSecret { .. }
            | Self::BadValue { .. }
            | Self::Stopped
            | Self::PostgresAddress { .. }
            | Self::NoRandom => Class::Other,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io;

    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case(401, "", Class::Refused)]
    #[case(403, "AccessDenied", Class::Refused)]
    #[case(400, r#"{"error":"invalid_grant"}"#, Class::Refused)]
    #[case(400, r#"{"error":"bad_request"}"#, Class::Other)]
    #[case(404, "", Class::Other)]
    #[case(500, "", Class::Other)]
    #[case(503, "", Class::Unreachable)]
    fn a_status_tells_whether_waiting_helps(
        #[case] status: u16,
        #[case] answer: &str,
        #[case] class: Class,
    ) {
        let status = StatusCode::from_u16(status).unwrap();
        assert_eq!(of_status(status, answer), class);
    }

    #[rstest]
    #[case::a_wrong_password("28P01", Class::Refused)]
    #[case::an_unknown_role("28000", Class::Refused)]
    #[case::no_right_to_make_roles("42501", Class::Refused)]
    #[case::a_server_that_starts("57P03", Class::Unreachable)]
    #[case::no_such_database("3D000", Class::Other)]
    fn a_code_of_postgresql_tells_whether_waiting_helps(#[case] code: &str, #[case] class: Class) {
        assert_eq!(of_code(code), class);
    }

    #[test]
    fn a_connection_that_fails_is_waited_for_and_one_that_cannot_be_trusted_is_not() {
        let refused = io::Error::from(io::ErrorKind::ConnectionRefused);
        assert_eq!(sqlx::Error::Io(refused).class(), Class::Unreachable);
        let plain = sqlx::Error::Tls("server does not support TLS".into());
        assert_eq!(plain.class(), Class::Untrusted);
        assert!(Class::Untrusted.is_final() && Class::Refused.is_final());
        assert!(!Class::Unreachable.is_final() && !Class::Other.is_final());
    }

    #[test]
    fn the_documentation_has_every_word_for_the_operator() {
        let page = include_str!("../../../docs/workloads/provision.md");
        for class in [
            Class::Refused,
            Class::Untrusted,
            Class::Unreachable,
            Class::Other,
        ] {
            if let Some(reason) = class.reason() {
                assert!(page.contains(&format!("`{reason}`")), "{reason}");
            }
        }
    }
}
