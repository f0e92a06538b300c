//! Fits a conversation into a model's context.

use lotoai_contracts::v1::Message;

/// Characters per token, as a rule of thumb for English and Spanish.
const CHARS_PER_TOKEN: usize = 4;
/// Tokens that a turn costs besides its text.
const TOKENS_PER_TURN: usize = 4;

/// About how many tokens a text is.
#[must_use]
pub fn estimate(text: &str) -> usize {
    text.chars().count().div_ceil(CHARS_PER_TOKEN) + TOKENS_PER_TURN
}

/// Keeps the newest turns that fit into `budget` tokens: first the last turn (cut if it alone is
/// too long), then the instructions, then back through the conversation without gaps.
#[must_use]
pub fn trim(messages: &[Message], budget: usize) -> Vec<Message> {
    let Some((last, earlier)) = messages.split_last() else {
        return Vec::new();
    };
    let mut last = last.clone();
    if estimate(&last.content) > budget {
        let keep = budget.saturating_sub(TOKENS_PER_TURN) * CHARS_PER_TOKEN;
        last.content = last.content.chars().take(keep).collect();
    }
    let mut left = budget.saturating_sub(estimate(&last.content));
    let mut fits = |message: &Message| {
        let cost = estimate(&message.content);
        let fits = cost <= left;
        if fits {
            left -= cost;
        }
        fits
    };
    let is_system = |message: &Message| message.role == "system";
    let system: Vec<Message> = earlier
        .iter()
        .filter(|m| is_system(m))
        .filter(|m| fits(m))
        .cloned()
        .collect();
    let mut turns: Vec<Message> = earlier
        .iter()
        .rev()
        .filter(|m| !is_system(m))
        .take_while(|m| fits(m))
        .cloned()
        .collect();
    turns.reverse();
    system.into_iter().chain(turns).chain([last]).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(role: &str, content: &str) -> Message {
        Message {
            role: role.to_owned(),
            content: content.to_owned(),
        }
    }

    #[test]
    fn all_of_a_short_conversation_stays() {
        let all = [
            message("system", "a"),
            message("user", "b"),
            message("assistant", "c"),
            message("user", "d"),
        ];
        assert_eq!(trim(&all, 100), all);
    }

    #[test]
    fn the_oldest_turns_go_first_and_instructions_stay() {
        let long = "x".repeat(400);
        let all = [
            message("system", "rules"),
            message("user", &long),
            message("assistant", "short"),
            message("user", "question"),
        ];
        let kept: Vec<String> = trim(&all, 40).into_iter().map(|m| m.content).collect();
        assert_eq!(kept, ["rules", "short", "question"]);
    }

    #[test]
    fn a_last_turn_that_is_too_long_is_cut_by_characters() {
        let kept = trim(&[message("user", &"ñ".repeat(1_000))], 54);
        assert_eq!(kept[0].content.chars().count(), 200);
        assert!(trim(&[], 10).is_empty());
    }
}
