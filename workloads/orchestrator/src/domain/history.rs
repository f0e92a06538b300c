//! Fits a conversation into a model's context.

use lotoai_contracts::v1::{AnswerFormat, Functions, Message};

/// Characters per token, as a rule of thumb for English and Spanish.
const CHARS_PER_TOKEN: usize = 4;
/// Tokens that a turn costs besides its text.
const TOKENS_PER_TURN: usize = 4;

/// About how many tokens a text is.
#[must_use]
pub fn estimate(text: &str) -> usize {
    text.chars().count().div_ceil(CHARS_PER_TOKEN) + TOKENS_PER_TURN
}

/// About how many tokens the declarations of functions are.
#[must_use]
pub fn of_functions(functions: &Functions) -> usize {
    functions.text_bytes().div_ceil(CHARS_PER_TOKEN) + functions.declared.len() * TOKENS_PER_TURN
}

/// About how many tokens the format of an answer is.
#[must_use]
pub fn of_format(format: &AnswerFormat) -> usize {
    format.text_bytes().div_ceil(CHARS_PER_TOKEN) + TOKENS_PER_TURN
}

/// About how many tokens a turn is, with the functions that it calls.
fn of_turn(message: &Message) -> usize {
    let calls = message.text_bytes() - message.content.len();
    estimate(&message.content) + calls.div_ceil(CHARS_PER_TOKEN)
}

fn of_turns(messages: &[Message]) -> usize {
    messages.iter().map(of_turn).sum()
}

/// Keeps the newest turns that fit into `budget` tokens: first the last turn (cut if it alone is
/// too long), then the instructions, then the question, then back through the conversation without
/// gaps. Calls of functions and their results stay or go together: no model takes one without the
/// other.
#[must_use]
pub fn trim(messages: &[Message], budget: usize) -> Vec<Message> {
    let is_system = |message: &Message| message.role == "system";
    // Instructions that stand at the end are a turn as any other.
    let earlier = messages.len().saturating_sub(1);
    let (mut system, mut turns): (Vec<&Message>, Vec<&Message>) = (Vec::new(), Vec::new());
    for (at, message) in messages.iter().enumerate() {
        if is_system(message) && at < earlier {
            system.push(message);
        } else {
            turns.push(message);
        }
    }
    let mut groups = groups(turns);
    let Some(last) = groups.pop() else {
        return Vec::new();
    };
    let last = cut(last, budget);
    let mut left = budget.saturating_sub(of_turns(&last));
    let mut fits = |cost: usize| {
        let fits = cost <= left;
        if fits {
            left -= cost;
        }
        fits
    };
    system.retain(|message| fits(of_turn(message)));
    let has_question = last.iter().any(|message| message.role == "user");
    let question = groups.iter().rposition(|group| group[0].role == "user");
    let question = question.filter(|at| !has_question && fits(of_turns(&groups[*at])));
    let mut kept = vec![false; groups.len()];
    for (at, group) in groups.iter().enumerate().rev() {
        if question != Some(at) && !fits(of_turns(group)) {
            break;
        }
        kept[at] = true;
    }
    if let Some(at) = question {
        kept[at] = true;
    }
    let kept = groups.into_iter().zip(kept).filter(|(_, kept)| *kept);
    system
        .into_iter()
        .cloned()
        .chain(kept.flat_map(|(group, _)| group))
        .chain(last)
        .collect()
}

/// The turns, each with the results of the functions that it calls.
fn groups(turns: Vec<&Message>) -> Vec<Vec<Message>> {
    let mut groups: Vec<Vec<Message>> = Vec::new();
    for turn in turns {
        match groups.last_mut() {
            Some(group) if !turn.function_call_id.is_empty() => group.push(turn.clone()),
            _ => groups.push(vec![turn.clone()]),
        }
    }
    groups
}

/// Turns whose texts are cut until they fit, each to its share of what those before it left.
fn cut(mut turns: Vec<Message>, budget: usize) -> Vec<Message> {
    if of_turns(&turns) <= budget {
        return turns;
    }
    let (mut left, count) = (budget, turns.len());
    for (at, turn) in turns.iter_mut().enumerate() {
        let share = left / (count - at);
        if of_turn(turn) > share {
            let besides = of_turn(turn) - (estimate(&turn.content) - TOKENS_PER_TURN);
            let keep = share.saturating_sub(besides) * CHARS_PER_TOKEN;
            turn.content = turn.content.chars().take(keep).collect();
        }
        left = left.saturating_sub(of_turn(turn));
    }
    turns
}

#[cfg(test)]
mod tests {
    use lotoai_contracts::v1::FunctionCall;

    use super::*;

    fn message(role: &str, content: &str) -> Message {
        Message {
            role: role.to_owned(),
            content: content.to_owned(),
            ..Message::default()
        }
    }

    fn calling(content: &str, id: &str) -> Message {
        let call = FunctionCall {
            id: id.to_owned(),
            ..FunctionCall::default()
        };
        Message {
            function_calls: vec![call],
            ..message("assistant", content)
        }
    }

    fn result(id: &str, content: &str) -> Message {
        Message {
            function_call_id: id.to_owned(),
            ..message("tool", content)
        }
    }

    fn texts(kept: Vec<Message>) -> Vec<String> {
        kept.into_iter().map(|message| message.content).collect()
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
        assert_eq!(texts(trim(&all, 40)), ["rules", "short", "question"]);
    }

    #[test]
    fn calls_and_their_results_stay_or_go_together() {
        let long = "x".repeat(100);
        let all = [
            message("user", "question"),
            calling("first", "a"),
            result("a", &long),
            calling("second", "b"),
            result("b", "new"),
            result("c", "newer"),
        ];
        // The first result does not fit, and without it the first call goes, too.
        assert_eq!(
            texts(trim(&all, 40)),
            ["question", "second", "new", "newer"]
        );
        // The control.
        assert_eq!(trim(&all, 400), all);
    }

    #[test]
    fn the_question_stays_whatever_its_functions_gave() {
        let long = "x".repeat(4_000);
        let all = [
            message("user", "older"),
            message("assistant", &long),
            message("user", "question"),
            calling("", "a"),
            result("a", &long),
            calling("", "b"),
            result("b", "new"),
        ];
        assert_eq!(texts(trim(&all, 40)), ["question", "", "new"]);
    }

    #[test]
    fn results_that_are_too_long_share_what_there_is() {
        let long = "x".repeat(4_000);
        let all = [calling("", "a"), result("a", &long), result("b", &long)];
        let kept = trim(&all, 100);
        assert_eq!(kept.len(), 3);
        let lengths: Vec<usize> = kept.iter().map(|it| it.content.len()).collect();
        assert!(lengths[1] > 100 && lengths[2] > 100, "{lengths:?}");
        assert!(of_turns(&kept) <= 100);
    }

    #[test]
    fn a_last_turn_that_is_too_long_is_cut_by_characters() {
        let kept = trim(&[message("user", &"ñ".repeat(1_000))], 54);
        assert_eq!(kept[0].content.chars().count(), 200);
        assert!(trim(&[], 10).is_empty());
    }
}
