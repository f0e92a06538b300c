use super::*;
use lotoai_contracts::v1::{Citations, Delta, Failed};

#[test]
fn an_answer_is_gathered_from_its_events() {
    let mut transcript = Transcript::default();
    let decision = Decision {
        route: Route::Knowledge.into(),
        target: "default".into(),
        reason: "it is in the handbook".into(),
        confidence: f32::NAN,
    };
    assert_eq!(
        transcript.absorb(Event::Decision(decision)).unwrap(),
        Step::Decided
    );
    let step = transcript
        .absorb(Event::Delta(Delta {
            text: "a\0b".into(),
        }))
        .unwrap();
    assert_eq!(step, Step::Text("ab".into()));
    let citation = Citation {
        number: 1,
        passage: "p\0".into(),
        ..Citation::default()
    };
    transcript
        .absorb(Event::Citations(Citations {
            citations: vec![citation],
        }))
        .unwrap();
    let finished = Finished {
        finish_reason: "length".into(),
        usage: Some(Usage {
            input_tokens: Some(3),
            output_tokens: Some(4),
        }),
        model: "m".into(),
        provider: "p".into(),
    };
    assert_eq!(
        transcript.absorb(Event::Finished(finished)).unwrap(),
        Step::Finished
    );
    assert_eq!(transcript.finish_reason(), "length");
    assert_eq!(transcript.usage()["total_tokens"], 7);
    let extra = transcript.lotoai(Uuid::nil(), None);
    assert_eq!(extra["decision"]["route"], "knowledge");
    assert_eq!(extra["decision"]["confidence"], 0.0);
    assert_eq!(extra["citations"][0]["passage"], "p");
    assert_eq!(extra["model"], "m");
}

fn piece(index: u32, id: &str, name: &str, arguments: &str) -> Event {
    Event::FunctionCall(FunctionCallDelta {
        index,
        id: id.into(),
        name: name.into(),
        arguments: arguments.into(),
    })
}

#[test]
fn calls_are_gathered_from_their_pieces() {
    let mut transcript = Transcript::default();
    let mut absorb = |event| transcript.absorb(event).unwrap();
    let step = |index, begins, arguments: &str| {
        Step::Call(CallPiece {
            index,
            begins,
            arguments: arguments.into(),
        })
    };
    assert_eq!(absorb(piece(0, "a", "f", "")), step(0, true, ""));
    assert_eq!(absorb(piece(1, "b", "g\0", "{}")), step(1, true, "{}"));
    assert_eq!(absorb(piece(0, "", "", "{\0}")), step(0, false, "{}"));
    absorb(Event::Finished(Finished {
        finish_reason: "stop".into(),
        ..Finished::default()
    }));
    let call = |id: &str, name: &str| StoredCall {
        id: id.into(),
        name: name.into(),
        arguments: "{}".into(),
    };
    assert_eq!(transcript.function_calls, [call("a", "f"), call("b", "g")]);
    assert_eq!(transcript.finish_reason(), "tool_calls");
    assert_eq!(transcript.written_bytes(), 8);
}

#[test]
fn a_call_that_was_not_begun_and_an_endless_one_are_failures() {
    let mut transcript = Transcript::default();
    let failure = transcript.absorb(piece(1, "a", "f", "")).unwrap_err();
    assert_eq!(failure.code, "answer_incomplete");
    let endless = "x".repeat(MAX_ANSWER_BYTES - 1);
    transcript.absorb(piece(0, "a", "", &endless)).unwrap();
    let failure = transcript.absorb(piece(0, "", "", "x")).unwrap_err();
    assert_eq!(failure.code, "answer_too_long");
}

#[test]
fn unknown_counts_are_null_and_never_zero() {
    let mut transcript = Transcript::default();
    let usage = Some(Usage {
        input_tokens: Some(3),
        output_tokens: None,
    });
    transcript
        .absorb(Event::Finished(Finished {
            usage,
            ..Finished::default()
        }))
        .unwrap();
    assert_eq!(transcript.usage(), Value::Null);
}

#[test]
fn an_answer_that_asks_for_consent_has_stopped_and_says_what_for() {
    let mut transcript = Transcript::default();
    let request = lotoai_contracts::v1::ApprovalRequest {
        id: Uuid::nil().to_string(),
        tool: "send".into(),
        arguments_json: r#"{"to":"bo"}"#.into(),
        ..lotoai_contracts::v1::ApprovalRequest::default()
    };
    let step = transcript.absorb(Event::ApprovalRequest(request)).unwrap();
    assert_eq!(step, Step::Quiet);
    transcript
        .absorb(Event::Finished(Finished {
            finish_reason: "approval_required".into(),
            ..Finished::default()
        }))
        .unwrap();
    assert_eq!(transcript.finish_reason(), "stop");
    assert_eq!(transcript.approval_ids(), [Uuid::nil()]);
    let extra = transcript.lotoai(Uuid::nil(), None);
    assert_eq!(extra["approvals"][0]["arguments"]["to"], "bo");
}

#[test]
fn an_answer_is_begun_by_whatever_comes_of_the_question() {
    let mut transcript = Transcript::default();
    assert!(!transcript.is_begun());
    transcript
        .absorb(Event::ToolCall(ToolCall::default()))
        .unwrap();
    assert!(transcript.is_begun());
}

#[rstest::rstest]
#[case::undecided(None, None, false)]
#[case::agent(Some(Route::Agent), None, true)]
#[case::documents(Some(Route::Knowledge), None, true)]
#[case::tool(Some(Route::Tool), None, false)]
#[case::agents_away(Some(Route::Agent), Some(false), false)]
#[case::agents_broke_off(Some(Route::Agent), Some(true), true)]
fn a_model_may_have_been_asked_by_word_or_by_route(
    #[case] route: Option<Route>,
    #[case] said: Option<bool>,
    #[case] expected: bool,
) {
    let mut transcript = Transcript::default();
    if let Some(route) = route {
        let mut decision = Decision::default();
        decision.set_route(route);
        transcript.absorb(Event::Decision(decision)).unwrap();
    }
    if said.is_some() {
        let failed = Failed {
            code: "agents_unavailable".into(),
            model_asked: said,
            ..Failed::default()
        };
        transcript.absorb(Event::Failed(failed)).unwrap_err();
    }
    assert_eq!(transcript.may_have_asked(), expected);
}

#[test]
fn a_reported_failure_is_the_answers_failure() {
    let failed = Failed {
        code: lotoai_contracts::failures::UNKNOWN_MODEL.into(),
        ..Failed::default()
    };
    let failure = Transcript::default()
        .absorb(Event::Failed(failed))
        .unwrap_err();
    assert_eq!(failure.status, axum::http::StatusCode::NOT_FOUND);
}

#[test]
fn an_endless_answer_is_stopped() {
    let mut transcript = Transcript::default();
    let text = "x".repeat(MAX_ANSWER_BYTES);
    transcript.absorb(Event::Delta(Delta { text })).unwrap();
    let failure = transcript
        .absorb(Event::Delta(Delta { text: "x".into() }))
        .unwrap_err();
    assert_eq!(failure.code, "answer_too_long");
}
