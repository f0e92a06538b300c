//! What is said of a container that ended: how, and its last words. They are the end of its log, as
//! far as the kubelet keeps it with the pod.

use k8s_openapi::api::core::v1::ContainerStateTerminated;
use lotoai_api::reasons;
use serde::Deserialize;

use super::pods::cut;

/// The words of a program of ours that are reasons of conditions as well.
const REASONS: [&str; 2] = [reasons::AUTH_FAILED, reasons::EXTERNAL_UNREACHABLE];

/// The last words of a container.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Words {
    /// One of [`reasons`], when the program knows one for its failure.
    pub(super) reason: Option<&'static str>,
    /// One line, cut, without credentials in addresses; may be empty.
    pub(super) text: String,
}

/// A line of a log in JSON, as all programs of ours write it.
#[derive(Deserialize)]
struct Line {
    #[serde(default)]
    level: String,
    #[serde(default)]
    message: String,
    #[serde(default)]
    error: String,
    #[serde(default)]
    reason: String,
}

impl Words {
    /// Of the end of a log: the last error in JSON, else the last line.
    pub(super) fn of(log: &str) -> Self {
        let lines = || log.lines().map(str::trim).filter(|line| !line.is_empty());
        let parse = |line: &str| serde_json::from_str::<Line>(line).ok();
        let is_error = |line: &Line| line.level.eq_ignore_ascii_case("error");
        let mut errors = lines().rev().filter_map(parse).filter(is_error);
        let Some(last) = lines().next_back() else {
            return Self::default();
        };
        errors
            .next()
            .or_else(|| parse(last))
            .map_or_else(|| Self::plain(last), Self::of_line)
    }

    fn of_line(line: Line) -> Self {
        let text = if line.error.is_empty() {
            line.message
        } else {
            line.error
        };
        Self {
            reason: REASONS.into_iter().find(|reason| *reason == line.reason),
            ..Self::plain(&text)
        }
    }

    fn plain(text: &str) -> Self {
        let words: Vec<_> = text.split_whitespace().collect();
        let line = words.join(" ").replace(char::is_control, "");
        Self {
            reason: None,
            text: cut(&without_credentials(&line)),
        }
    }
}

/// Without the names and passwords that stand in addresses before their hosts.
fn without_credentials(text: &str) -> String {
    let mut parts = text.split("://");
    let mut safe = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let ends = |c: char| c.is_whitespace() || "/?#\"'<>()".contains(c);
        let (authority, rest) = part.split_at(part.find(ends).unwrap_or(part.len()));
        safe.push_str("://");
        match authority.rsplit_once('@') {
            Some((_, host)) => {
                safe.push_str("***@");
                safe.push_str(host);
            }
            None => safe.push_str(authority),
        }
        safe.push_str(rest);
    }
    safe
}

/// The last words of a container that ended, without more.
pub(super) fn words(ended: &ContainerStateTerminated) -> Words {
    Words::of(ended.message.as_deref().unwrap_or_default())
}

/// How a container ended.
pub(super) fn way(ended: &ContainerStateTerminated) -> String {
    if ended.reason.as_deref() == Some("OOMKilled") {
        "it used more memory than its limit (OOMKilled)".to_owned()
    } else {
        format!("it ended with exit code {}", ended.exit_code)
    }
}

/// How a container ended, and its last words.
pub(super) fn cause(ended: &ContainerStateTerminated) -> String {
    let text = words(ended).text;
    if text.is_empty() {
        way(ended)
    } else {
        format!("{}: {text}", way(ended))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_line_that_the_documentation_of_provision_shows_is_understood() {
        let page = include_str!("../../../../docs/workloads/provision.md");
        let (_, rest) = page.split_once("```json\n").unwrap();
        let (line, _) = rest.split_once("\n```").unwrap();
        let words = Words::of(line);
        assert_eq!(words.reason, Some(reasons::AUTH_FAILED));
        assert!(
            words.text.starts_with("failed to connect in PostgreSQL: "),
            "{words:?}"
        );
    }

    #[test]
    fn the_last_error_counts_whatever_is_said_after_it() {
        let log = "{\"level\":\"INFO\",\"message\":\"starting\"}\n\
                   {\"level\":\"ERROR\",\"message\":\"x ended\",\"error\":\"the disk\\nis full\",\
                   \"reason\":\"Nonsense\"}\n\
                   {\"level\":\"WARN\",\"message\":\"failed to flush traces\"}\n\n";
        let words = Words::of(log);
        assert_eq!((&*words.text, words.reason), ("the disk is full", None));
    }

    #[test]
    fn the_last_line_counts_where_nobody_speaks_of_an_error() {
        assert_eq!(Words::of("one\n  two\tthree\n").text, "two three");
        assert_eq!(Words::of("{\"message\":\"bye\"}").text, "bye");
        // The beginning of a long line is lost.
        assert_eq!(Words::of("vel\":\"ERROR\"}").text, "vel\":\"ERROR\"}");
        assert_eq!(Words::of(" \n"), Words::default());
    }

    #[test]
    fn credentials_in_addresses_are_not_shown_and_long_words_are_cut() {
        let said = "no postgres://admin:hunter2@db:5432/x, nor (https://u:p@q@h) or https://h/@x";
        assert_eq!(
            Words::of(said).text,
            "no postgres://***@db:5432/x, nor (https://***@h) or https://h/@x"
        );
        let long = Words::of(&"é".repeat(5000)).text;
        assert!(long.chars().count() < 400 && long.ends_with('…'), "{long}");
    }

    #[test]
    fn memory_that_ran_out_is_said_plainly() {
        let ended = |reason: &str, message: &str| ContainerStateTerminated {
            exit_code: 137,
            reason: Some(reason.to_owned()),
            message: Some(message.to_owned()),
            ..ContainerStateTerminated::default()
        };
        assert_eq!(
            cause(&ended("OOMKilled", "")),
            "it used more memory than its limit (OOMKilled)"
        );
        assert_eq!(
            cause(&ended("Error", "bye")),
            "it ended with exit code 137: bye"
        );
    }
}
