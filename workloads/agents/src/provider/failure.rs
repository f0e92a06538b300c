//! What can go wrong at a provider, in the words of the contract.

use lotoai_contracts::failures;
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;

/// The longest piece of a provider's own error text that is passed on, in characters.
const MAX_DETAIL_CHARS: usize = 300;
/// The most bytes of an error body that are read.
const MAX_ERROR_BODY: usize = 64 * 1024;
/// A shorter key is a placeholder for a server that wants none, and may stand in any sentence.
const MIN_KEY_BYTES: usize = 8;
/// What stands in the place of a key.
const REDACTED: &str = "[redacted]";
/// An error body must arrive within this time; without it the status alone has to do.
const ERROR_BODY_TIMEOUT: std::time::Duration = std::time::Duration::from_secs(5);

/// The stable codes of `CompleteFailed`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// The provider cannot be reached, is broken, or has no key.
    Unavailable,
    /// The provider answered that it will not do this.
    Refused,
    /// The provider was too slow.
    Timeout,
    /// The provider asks for fewer calls.
    RateLimited,
    /// No such role.
    UnknownRole,
    /// The model cannot do what this field of the request asks for.
    Unsupported(&'static str),
}

impl Kind {
    /// The code on the wire.
    #[must_use]
    pub fn code(self) -> &'static str {
        match self {
            Self::Unavailable => failures::PROVIDER_UNAVAILABLE,
            Self::Refused => failures::PROVIDER_REFUSED,
            Self::Timeout => failures::TIMEOUT,
            Self::RateLimited => failures::RATE_LIMITED,
            Self::UnknownRole => failures::UNKNOWN_ROLE,
            Self::Unsupported(_) => failures::UNSUPPORTED_PARAMETER,
        }
    }

    /// The field of the request at fault, as OpenAI's API names it; empty when it is none.
    #[must_use]
    pub fn param(self) -> &'static str {
        match self {
            Self::Unsupported(param) => param,
            Self::Unavailable
            | Self::Refused
            | Self::Timeout
            | Self::RateLimited
            | Self::UnknownRole => "",
        }
    }
}

/// A failure with a sentence for people.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// What kind.
    pub kind: Kind,
    /// A sentence with the fix.
    pub message: String,
    /// Is the same call likely to succeed later?
    pub retryable: bool,
    /// Does it count against the provider's circuit breaker?
    pub unhealthy: bool,
}

impl Failure {
    /// The provider cannot be called as the platform is configured; `fix` begins with a verb.
    #[must_use]
    pub fn not_configured(fix: String) -> Self {
        Self {
            kind: Kind::Unavailable,
            message: fix,
            retryable: false,
            unhealthy: false,
        }
    }

    /// There is no such role.
    #[must_use]
    pub fn unknown_role(role: &str) -> Self {
        Self {
            kind: Kind::UnknownRole,
            message: format!("there is no role `{role}`: name one that ListRoles gives"),
            retryable: false,
            unhealthy: false,
        }
    }

    /// The model knows no tools, and `param` of the request is about some.
    #[must_use]
    pub fn no_tools(model: &str, param: &'static str) -> Self {
        Self {
            kind: Kind::Unsupported(param),
            message: format!(
                "model `{model}` of this platform knows no tools: leave `{param}` without any, or \
                 name a role whose models are at a provider that has them"
            ),
            retryable: false,
            unhealthy: false,
        }
    }

    /// The model cannot be held to a format of its answer.
    #[must_use]
    pub fn no_formats(model: &str) -> Self {
        Self {
            kind: Kind::Unsupported("response_format"),
            message: format!(
                "model `{model}` cannot be held to a format: ask for plain text, or name a role \
                 whose models are at OpenAI, xAI or a server with OpenAI's API"
            ),
            retryable: false,
            unhealthy: false,
        }
    }

    /// The model cannot be held to `param`.
    #[must_use]
    pub fn not_taken(model: &str, role: &str, param: &'static str) -> Self {
        Self {
            kind: Kind::Unsupported(param),
            message: format!(
                "model `{model}` of role `{role}` cannot be held to this `{param}`: leave it out, \
                 or name a role whose models are at OpenAI, xAI or a server with OpenAI's API"
            ),
            retryable: false,
            unhealthy: false,
        }
    }

    /// The breaker is open.
    #[must_use]
    pub fn breaker_open(provider: &str) -> Self {
        Self {
            kind: Kind::Unavailable,
            message: format!(
                "provider `{provider}` failed several times in a row and is left alone for a \
                 moment: try again in half a minute"
            ),
            retryable: true,
            unhealthy: false,
        }
    }

    /// The provider did not keep to a time; `what` says which.
    #[must_use]
    pub fn timeout(provider: &str, what: &str) -> Self {
        Self {
            kind: Kind::Timeout,
            message: format!("provider `{provider}` {what}: try again, or use a quicker model"),
            retryable: true,
            unhealthy: true,
        }
    }

    /// The provider did not begin to answer.
    #[must_use]
    pub fn silent(provider: &str) -> Self {
        Self::timeout(provider, "did not begin to answer in time")
    }

    /// The provider took the call, and its model wrote nothing in time. That says how long the model
    /// thinks and nothing about the provider's health.
    #[must_use]
    pub fn thinking(provider: &str) -> Self {
        Self {
            unhealthy: false,
            message: format!(
                "provider `{provider}` sent no text in time: ask with a lower `reasoning_effort`, \
                 try again, or use a quicker model"
            ),
            ..Self::timeout(provider, "")
        }
    }

    /// The provider had begun, and then said nothing for too long.
    #[must_use]
    pub fn stopped(provider: &str) -> Self {
        Self::timeout(provider, "stopped in the middle of its answer")
    }

    /// Without the key, which some providers repeat in what they say of a request.
    pub(super) fn without(mut self, key: &SecretString) -> Self {
        let key = key.expose_secret().trim();
        if key.len() >= MIN_KEY_BYTES {
            self.message = redacted(&self.message, key);
        }
        self
    }

    /// The stream closed before the model said that it was done.
    #[must_use]
    pub fn cut(provider: &str) -> Self {
        Self::broken(provider, "closed the stream before the answer was complete")
    }

    /// The stream broke or is not what it should be.
    pub(super) fn broken(provider: &str, what: &str) -> Self {
        Self {
            kind: Kind::Unavailable,
            message: format!("provider `{provider}` {what}: try again"),
            retryable: true,
            unhealthy: true,
        }
    }

    pub(super) fn from_transport(provider: &str, error: &reqwest::Error) -> Self {
        if error.is_timeout() && !error.is_connect() {
            return Self::timeout(provider, "did not answer in time");
        }
        let what = if error.is_connect() {
            "cannot be reached (check its baseURL and the network)"
        } else {
            "broke the connection"
        };
        Self::broken(provider, what)
    }

    /// An error that the provider wrote into a stream that had begun with 200.
    pub(super) fn in_stream(provider: &str, kind: Option<&str>, detail: Option<&str>) -> Self {
        let kind = kind.unwrap_or_default();
        let (kind, retryable) = match kind {
            k if k.contains("rate_limit") => (Kind::RateLimited, true),
            k if k.contains("invalid_request") || k.contains("authentication") => {
                (Kind::Refused, false)
            }
            _ => (Kind::Unavailable, true),
        };
        Self {
            kind,
            message: format!("provider `{provider}` reported an error{}", suffix(detail)),
            retryable,
            unhealthy: kind == Kind::Unavailable,
        }
    }
}

/// `": detail"`, cut to a bounded length, or nothing.
fn suffix(detail: Option<&str>) -> String {
    match detail.map(str::trim).filter(|d| !d.is_empty()) {
        Some(detail) => {
            format!(
                ": {}",
                detail.chars().take(MAX_DETAIL_CHARS).collect::<String>()
            )
        }
        None => String::new(),
    }
}

/// The text without `key`, nor with the beginning of one that was cut at its end.
fn redacted(text: &str, key: &str) -> String {
    let text = text.replace(key, REDACTED);
    let before = (MIN_KEY_BYTES / 2..key.len())
        .rev()
        .filter_map(|end| key.get(..end))
        .find_map(|beginning| text.strip_suffix(beginning));
    match before {
        Some(before) => format!("{before}{REDACTED}"),
        None => text,
    }
}

#[derive(Debug, Default, Deserialize)]
struct ErrorBody {
    error: Option<ErrorField>,
    message: Option<String>,
}

/// Vendors write `error` as an object, some compatible servers as a plain string.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum ErrorField {
    Object { message: Option<String> },
    Text(String),
}

/// Turns a response that is not 2xx into a failure.
pub(super) async fn from_response(provider: &str, response: reqwest::Response) -> Failure {
    let status = response.status().as_u16();
    let read = lotoai_kit::http_error::read_body_capped(response, MAX_ERROR_BODY);
    // The body only makes the message better; when it cannot be read, the status says enough.
    let body = match tokio::time::timeout(ERROR_BODY_TIMEOUT, read).await {
        Ok(Ok(bytes)) => serde_json::from_slice::<ErrorBody>(&bytes).unwrap_or_default(),
        Ok(Err(_)) | Err(_) => ErrorBody::default(),
    };
    let detail = match &body.error {
        Some(ErrorField::Object { message }) => message.as_deref(),
        Some(ErrorField::Text(text)) => Some(text.as_str()),
        None => body.message.as_deref(),
    };
    from_status(provider, status, detail)
}

fn from_status(provider: &str, status: u16, detail: Option<&str>) -> Failure {
    let (kind, retryable, unhealthy, message) = match status {
        // The detail is left out: vendors repeat parts of the key in it.
        401 | 403 => (
            Kind::Refused,
            false,
            false,
            format!("provider `{provider}` refused the key ({status}): check the key's variable"),
        ),
        429 => (
            Kind::RateLimited,
            true,
            false,
            format!("provider `{provider}` asks for fewer calls (429): try again later"),
        ),
        408 | 504 => (
            Kind::Timeout,
            true,
            true,
            format!("provider `{provider}` was too slow ({status}): try again"),
        ),
        500.. => (
            Kind::Unavailable,
            true,
            true,
            format!("provider `{provider}` is failing ({status}): try again later"),
        ),
        _ => (
            Kind::Refused,
            false,
            false,
            format!(
                "provider `{provider}` refused the request ({status}){}",
                suffix(detail)
            ),
        ),
    };
    Failure {
        kind,
        message,
        retryable,
        unhealthy,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[rstest::rstest]
    #[case::whole("bad key k-secret-1!", "bad key [redacted]!")]
    #[case::twice("k-secret-1k-secret-1", "[redacted][redacted]")]
    #[case::cut("bad key k-secret-", "bad key [redacted]")]
    #[case::cut_early("bad key k-se", "bad key [redacted]")]
    #[case::too_little_to_tell("bad key k-s", "bad key k-s")]
    #[case::a_beginning_in_the_middle("k-secret- is short", "k-secret- is short")]
    #[case::another("bad key k-public-2", "bad key k-public-2")]
    fn a_key_is_taken_out(#[case] text: &str, #[case] expected: &str) {
        assert_eq!(redacted(text, "k-secret-1"), expected);
    }

    #[test]
    fn a_placeholder_for_a_key_changes_no_sentence() {
        let failure = || Failure::not_configured("ask the provider none of this".to_owned());
        assert_eq!(failure().without(&"none".into()), failure());
        let redacted = failure().without(&" provider\n".into());
        assert_eq!(redacted.message, "ask the [redacted] none of this");
    }
}
