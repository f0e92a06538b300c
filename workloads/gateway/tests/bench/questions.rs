//! Questions, and what came of their streams.

use std::time::Duration;

use rstest::rstest;
use serde_json::{Value, json};

use crate::figures::{Streams, median};
use crate::question::{PACED, PROMPT, question, streamed};

#[rstest]
#[case::as_the_far_side_has_it(PROMPT, PACED)]
#[case::with_what_a_system_puts_before(
    "tensorzero::model_name::prompt",
    "tensorzero::model_name::paced"
)]
fn a_streamed_question_is_the_same_but_for_its_model(#[case] asked: &str, #[case] paced: &str) {
    let whole = question(asked, &json!({ "store": false }));
    let mut expected: Value = serde_json::from_slice(&whole).unwrap();
    expected["model"] = json!(paced);
    expected["stream"] = json!(true);
    let streamed = streamed(&whole, PACED).unwrap();
    assert_eq!(
        serde_json::from_slice::<Value>(&streamed).unwrap(),
        expected
    );
    // By these words the far side knows what is wanted.
    let says = |text: &[u8], words: &str| String::from_utf8_lossy(text).contains(words);
    for words in ["\"stream\":true", PACED] {
        assert!(says(&streamed, words) && !says(&whole, words), "{words}");
    }
}

#[test]
fn a_text_of_more_than_five_milliseconds_is_late() {
    let mut one = Streams::default();
    one.count(Duration::from_micros(5001));
    one.count(Duration::from_millis(5));
    let mut both = Streams::default();
    both.add(&one);
    both.add(&one);
    assert_eq!((both.came, both.late), (4, 2));
    assert_eq!(both.worst.round(), 5001.0);
}

#[rstest]
#[case::odd(&[9.0, 1.0, 2.0], 2.0)]
#[case::even(&[4.0, 1.0, 2.0, 9.0], 3.0)]
fn the_median_is_in_the_middle(#[case] values: &[f64], #[case] expected: f64) {
    assert_eq!(median(values.iter().copied()), expected);
    assert!(median([]).is_nan());
}
