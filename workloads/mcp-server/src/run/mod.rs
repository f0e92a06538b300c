//! What a tool does, and what came of it.

pub mod http;
pub mod places;
mod script;

/// A longer result is cut: it has to fit into a model's context.
pub const MAX_RESULT_BYTES: usize = 16 * 1024;

/// What a tool gave: text for the caller, and whether it is a failure.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ToolResult {
    /// Text for the caller.
    pub text: String,
    /// The tool ran and did not work.
    pub is_error: bool,
}

impl ToolResult {
    fn ok(text: &str) -> Self {
        Self {
            text: cut(text.trim()),
            is_error: false,
        }
    }

    fn error(text: impl AsRef<str>) -> Self {
        Self {
            text: cut(text.as_ref().trim()),
            is_error: true,
        }
    }
}

/// What `work` gives; `None` when its caller has `left` before, and it was dropped.
pub(crate) async fn unless_left(
    left: impl Future<Output = ()>,
    work: impl Future<Output = ToolResult>,
) -> Option<ToolResult> {
    tokio::select! {
        result = work => Some(result),
        () = left => None,
    }
}

/// The text, cut at a character boundary, saying so.
fn cut(text: &str) -> String {
    if text.len() <= MAX_RESULT_BYTES {
        return text.to_owned();
    }
    let end = text.floor_char_boundary(MAX_RESULT_BYTES);
    format!("{}\n[cut: {} of {} bytes]", &text[..end], end, text.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_result_is_cut_at_a_character() {
        let text = "ñ".repeat(MAX_RESULT_BYTES);
        let result = ToolResult::ok(&text).text;
        assert!(
            result.contains("[cut: 16384 of 32768 bytes]"),
            "{}",
            &result[result.len() - 60..]
        );
    }
}
