//! Every kind of thing against every kind of caller. It reads as who may do what.

use rstest::rstest;

use super::declared::{Approval, consent, may_use, needs_consent};
use super::documents::{
    DEFAULT_KNOWLEDGE_BASE, Readable, may_add, may_change, readable_by, readers_of, uploaded_by,
    visible_to,
};
use super::*;

enum By {
    Person,
    Key(&'static [Scope]),
    Probe,
}

const ALL_BUT_ADMIN: &[Scope] = &[
    Scope::Chat,
    Scope::Embed,
    Scope::ReadConversations,
    Scope::WriteConversations,
    Scope::ReadDocuments,
    Scope::WriteDocuments,
];

/// Who asks: a column each, in this order. What is asked for is Ana's, where it is somebody's. The
/// keys have the groups that [`keys::held`] leaves them.
const CALLERS: [(&str, &[&str], By); 9] = [
    ("ana", &[], By::Person),
    ("bob", &["hr"], By::Person),
    ("eve", &["sales"], By::Person),
    ("root", &[ADMINS], By::Person),
    ("ana", &[], By::Key(ALL_BUT_ADMIN)),
    ("bob", &["hr"], By::Key(&[])),
    ("root", &[ADMINS], By::Key(&Scope::ALL)),
    ("root", &[ADMINS], By::Key(ALL_BUT_ADMIN)),
    ("lotoai-probe", &[], By::Probe),
];

/// A thing, a question about it, and the answer to each of [`CALLERS`].
type Row = (&'static str, fn(Caller<'_>) -> bool, &'static str);

#[rustfmt::skip] // A line for each thing, so that the columns can be read.
const TABLE: &[Row] = &[
    // Routes.
    ("an open route", |it| admits(Needs::Nothing, it), "+++++++++"),
    ("a caller's route", |it| admits(Needs::Caller, it), "+++++++++"),
    ("chat", |it| admits(Needs::Scope(Scope::Chat), it), "+++++-+++"),
    ("scope admin", |it| admits(Needs::Scope(Scope::Admin), it), "++++--+-+"),
    ("a person's route", |it| admits(Needs::Person, it), "++++----+"),
    ("a page of administrators", |it| admits(Needs::Admin, it), "---+-----"),
    ("conversations", may_read_conversations, "+++++-+++"),
    // Agent roles and tools.
    ("everybody's role", |it| may_use(&[], it.groups), "+++++++++"),
    ("a role of hr", |it| may_use(&groups(&["hr"]), it.groups), "-+---+---"),
    ("a tool of two groups", |it| may_use(&groups(&["sales", ADMINS]), it.groups), "--++--+--"),
    // Models.
    ("the name of a model", |it| models::may_name(it, "writer"), "+++++++++"),
    ("answers", models::may_ask, "+++++-+++"),
    ("vectors", |it| models::may_embed(it, "vectors"), "+++++-+++"),
    ("another model than the probe's", |it| probe::may_ask(it, "m").is_ok(), "++++++++-"),
    ("the probe's model", |it| probe::may_ask(it, probe::MODEL).is_ok(), "+++++++++"),
    // Knowledge bases and documents.
    ("passages of the default", |it| reads(it, DEFAULT_KNOWLEDGE_BASE), "+++++++++"),
    ("passages of hr", |it| reads(it, "hr"), "++-++++--"),
    ("passages of admins", |it| reads(it, ADMINS), "+--++-+--"),
    ("a document of the default", |it| sees(it, DEFAULT_KNOWLEDGE_BASE), "+++++++++"),
    ("a document of hr", |it| sees(it, "hr"), "++-++++--"),
    ("a document of admins", |it| sees(it, ADMINS), "+--++-+--"),
    ("passages for no group", |it| readable(it).includes("ana", &[]), "+---+----"),
    ("a document for no group", |it| visible_to(it).includes("ana", &[]), "+--++-+--"),
    ("adding to the default", |it| may_add(it, DEFAULT_KNOWLEDGE_BASE).is_ok(), "+++++++++"),
    ("adding to hr", |it| may_add(it, "hr").is_ok(), "-+-+-++--"),
    ("adding to admins", |it| may_add(it, ADMINS).is_ok(), "---+--+--"),
    ("changing a document", |it| may_change(it, "ana").is_ok(), "+--++-+--"),
    // API keys.
    ("a key", |it| may_make(it, Scope::Chat, None), "+++++++++"),
    ("a key of hr", |it| may_make(it, Scope::Chat, Some("hr")), "-+---+---"),
    ("a key that administers", |it| may_make(it, Scope::Admin, None), "---+--+--"),
    ("the end of a key", |it| keys::may_end(it, "ana"), "+--++-+--"),
    // Streams.
    ("a person's stream", |it| streams::may_come_back(it, "ana", ""), "+--------"),
    ("a key's stream", |it| streams::may_come_back(it, "ana", "key of ana"), "+---+----"),
    ("a stream of another key", |it| streams::may_come_back(it, "ana", "other"), "+--------"),
    // What is used, and what is left of budgets.
    ("the own usage", |it| usage::whose(it, false, None).is_ok(), "+++++++++"),
    ("the usage of one", |it| usage::whose(it, false, Some("ana".into())).is_ok(), "+--++-+--"),
    ("everybody's usage", |it| usage::whose(it, true, None).is_ok(), "---+--+--"),
    ("everybody's budgets", |it| usage::may_see_others(it, "all").is_ok(), "---+--+--"),
];

/// What is open to all callers, and nothing else may be.
const OPEN: [&str; 10] = [
    "an open route",
    "a caller's route",
    "everybody's role",
    "the name of a model",
    "the probe's model",
    "passages of the default",
    "a document of the default",
    "adding to the default",
    "a key",
    "the own usage",
];

fn admits(needs: Needs, caller: Caller<'_>) -> bool {
    admit(needs, caller).is_ok()
}

fn readable(caller: Caller<'_>) -> Readable {
    readable_by(caller.subject, caller.groups)
}

/// Whether the caller finds what is in a document of Ana's in this knowledge base.
fn reads(caller: Caller<'_>, knowledge_base: &str) -> bool {
    readable(caller).includes("ana", &readers_of(knowledge_base))
}

/// Whether the caller sees a document of Ana's in this knowledge base.
fn sees(caller: Caller<'_>, knowledge_base: &str) -> bool {
    visible_to(caller).includes("ana", &readers_of(knowledge_base))
}

fn may_make(caller: Caller<'_>, scope: Scope, group: Option<&str>) -> bool {
    let wanted = group.map(|group| groups(&[group]));
    keys::groups(caller, &[scope], wanted.as_deref()).is_ok()
}

fn groups(names: &[&str]) -> Vec<String> {
    names.iter().map(|&name| name.to_owned()).collect()
}

fn grant(subject: &str, scopes: &[Scope], models: Option<&[&str]>) -> Grant {
    Grant {
        id: format!("key of {subject}"),
        scopes: scopes.to_vec(),
        models: models.map(groups),
    }
}

fn person<'a>(subject: &'a str, groups: &'a [String]) -> Caller<'a> {
    Caller {
        subject,
        groups,
        proof: Proof::Person,
    }
}

fn answers(allows: fn(Caller<'_>) -> bool) -> String {
    let answer = |(subject, own, by): &(&str, &[&str], By)| {
        let (scopes, has_key) = match by {
            By::Key(scopes) => (*scopes, true),
            By::Person | By::Probe => (&[] as &[Scope], false),
        };
        let grant = grant(subject, scopes, None);
        let own = groups(own);
        let own = if has_key {
            keys::held(own, scopes)
        } else {
            own
        };
        let caller = Caller {
            subject,
            groups: &own,
            proof: match by {
                By::Person => Proof::Person,
                By::Key(_) => Proof::Key(&grant),
                By::Probe => Proof::Probe,
            },
        };
        if allows(caller) { '+' } else { '-' }
    };
    CALLERS.iter().map(answer).collect()
}

#[test]
fn every_thing_is_open_to_whom_it_is() {
    let wrong: Vec<_> = TABLE
        .iter()
        .map(|(thing, allows, expected)| (*thing, answers(*allows), *expected))
        .filter(|(_, answers, expected)| answers != expected)
        .collect();
    assert!(wrong.is_empty(), "thing, answers, expected: {wrong:#?}");
}

/// The controls: whatever is not everybody's is refused to somebody and open to somebody, and
/// everybody is refused something.
#[test]
fn the_table_tells_callers_apart() {
    for (thing, _, expected) in TABLE {
        assert_eq!(expected.len(), CALLERS.len(), "{thing}");
        assert!(expected.contains('+'), "{thing}");
        assert_eq!(!expected.contains('-'), OPEN.contains(thing), "{thing}");
    }
    for column in 0..CALLERS.len() {
        let is_refused = |row: &Row| row.2.as_bytes()[column] == b'-';
        assert!(TABLE.iter().any(is_refused), "column {column}");
    }
}

#[test]
fn people_have_every_scope_and_keys_have_theirs() {
    for scope in Scope::ALL {
        assert_eq!(Scope::of_name(scope.name()), Some(scope));
        let needs = Needs::Scope(scope);
        assert!(admits(needs, person("ana", &[])), "{scope}");
        let with = |scopes: &[Scope]| {
            let grant = grant("ana", scopes, None);
            let proof = Proof::Key(&grant);
            admits(
                needs,
                Caller {
                    proof,
                    ..person("ana", &[])
                },
            )
        };
        assert!(with(&[scope]), "{scope}");
        let others: Vec<_> = Scope::ALL.into_iter().filter(|it| *it != scope).collect();
        assert!(!with(&others), "{scope}");
    }
}

#[rstest]
#[case(None, true)]
#[case(Some(&["writer", "vectors"][..]), true)]
#[case(Some(&["writ"][..]), false)]
#[case(Some(&[""; 0][..]), false)]
fn a_key_names_the_models_of_its_list(#[case] models: Option<&[&str]>, #[case] expected: bool) {
    let grant = grant("ana", &Scope::ALL, models);
    let caller = Caller {
        proof: Proof::Key(&grant),
        ..person("ana", &[])
    };
    assert_eq!(models::may_name(caller, "writer"), expected);
    assert_eq!(
        models::may_embed(caller, "vectors"),
        models.is_none_or(|it| it.len() == 2)
    );
}

#[rstest]
#[case(DEFAULT_KNOWLEDGE_BASE, &["*"])]
#[case("hr", &["hr", "admins"])]
#[case("admins", &["admins"])]
fn admins_read_every_knowledge_base(#[case] name: &str, #[case] groups: &[&str]) {
    assert_eq!(readers_of(name), groups);
}

/// A group is its whole name, and neither a person nor a part of one.
#[rstest]
#[case("ana", &[], true)]
#[case("bob", &["other", "staff"], true)]
#[case("bob", &[], false)]
#[case("bob", &["staf", "staff2", "Staff"], false)]
#[case("staff", &[], false)]
#[case("bob", &["ana"], false)]
fn the_owner_and_members_read(#[case] subject: &str, #[case] own: &[&str], #[case] expected: bool) {
    let own = groups(own);
    let staff = groups(&["staff"]);
    assert_eq!(readable_by(subject, &own).includes("ana", &staff), expected);
    let visible = visible_to(person(subject, &own));
    assert_eq!(visible.includes("ana", &staff), expected);
    assert_eq!(may_use(&staff, &own), expected && subject != "ana");
}

#[test]
fn what_a_person_uploaded_is_nobody_elses() {
    let uploaded = uploaded_by("ana");
    assert!(uploaded.includes("ana", &[]));
    let shared = readers_of(DEFAULT_KNOWLEDGE_BASE);
    assert!(!uploaded.includes("bob", &shared));
    let read = visible_to(person("ana", &[]));
    assert!(read.includes("bob", &shared), "the control");
}

fn made(own: &[&str], scopes: &[Scope], wanted: Option<&[&str]>) -> Result<String, String> {
    let (own, wanted) = (groups(own), wanted.map(groups));
    keys::groups(person("ana", &own), scopes, wanted.as_deref())
        .map(|groups| groups.join(","))
        .map_err(|it| format!("{} {}", it.code, it.param.unwrap_or_default()))
}

#[test]
fn a_key_administers_where_its_scopes_say_so_and_its_maker_does() {
    const CHAT: &[Scope] = &[Scope::Chat];
    const BOTH: &[Scope] = &[Scope::Chat, Scope::Admin];
    let admin = ["hr", ADMINS];
    assert_eq!(made(&admin, CHAT, None).unwrap(), "hr");
    assert_eq!(made(&admin, BOTH, None).unwrap(), "hr,admins");
    assert_eq!(made(&admin, BOTH, Some(&[ADMINS])).unwrap(), "admins");
    assert_eq!(made(&admin, CHAT, Some(&["hr"])).unwrap(), "hr");
    let contradiction = Err("invalid_value groups".to_owned());
    assert_eq!(made(&admin, CHAT, Some(&[ADMINS])), contradiction);
    assert_eq!(made(&admin, BOTH, Some(&["hr"])), contradiction);
    // Who is none makes none.
    let beyond = |param: &str| Err(format!("key_beyond_rights {param}"));
    assert_eq!(made(&["hr"], BOTH, None), beyond("scopes"));
    assert_eq!(made(&["hr"], BOTH, Some(&[ADMINS])), beyond("scopes"));
    assert_eq!(made(&["hr"], CHAT, Some(&[ADMINS])), beyond("groups"));
    assert_eq!(made(&["hr"], CHAT, None).unwrap(), "hr", "the control");
}

#[test]
fn the_probe_calls_one_route() {
    use http::Method;
    let chat = "/v1/chat/completions";
    assert_eq!(probe::may_call(&Method::POST, Some(chat)), Ok(()));
    for (method, route) in [
        (Method::GET, Some(chat)),
        (Method::POST, Some("/v1/responses")),
        (Method::POST, None),
    ] {
        let refused = probe::may_call(&method, route).unwrap_err();
        assert_eq!(refused.code, "probe_only", "{method} {route:?}");
    }
}

#[rstest]
#[case(Approval::Never, [false, false])]
#[case(Approval::OnWrite, [false, true])]
#[case(Approval::Always, [true, true])]
fn consent_is_needed_as_declared(#[case] approval: Approval, #[case] expected: [bool; 2]) {
    assert_eq!(
        [false, true].map(|it| needs_consent(approval, it)),
        expected
    );
}

#[rstest]
#[case(Some("id"), Some("now"), Ok("id"))]
#[case(None, Some("now"), Err("only"))]
#[case(Some(""), Some("now"), Err("only"))]
#[case(Some("id"), Some("then"), Err("ask again"))]
#[case(Some("id"), None, Err("ask again"))]
fn consent_is_to_what_is_declared_now(
    #[case] approval: Option<&str>,
    #[case] consented_to: Option<&str>,
    #[case] expected: Result<&str, &str>,
) {
    match (consent("pay", "now", approval, consented_to), expected) {
        (Ok(approval), Ok(expected)) => assert_eq!(approval, expected),
        (Err(sentence), Err(end)) => {
            assert!(sentence.starts_with("the tool \"pay\" is "), "{sentence}");
            assert!(sentence.ends_with(end), "{sentence}");
        }
        (consented, _) => panic!("{consented:?}"),
    }
}

/// Programs and people read these: they stay what they are.
#[test]
fn refusals_say_what_is_missing() {
    let (hr, none) = (groups(&["hr"]), grant("ana", &[], None));
    let ana = person("ana", &hr);
    let key = Caller {
        proof: Proof::Key(&none),
        ..ana
    };
    let refusals = [
        admit(Needs::Scope(Scope::Chat), key),
        admit(Needs::Admin, ana),
        admit(Needs::Person, key),
        may_add(ana, "sales"),
        may_change(ana, "eve"),
        usage::may_see_others(ana, "all"),
    ];
    let told = refusals.map(|it| {
        let it = it.unwrap_err();
        assert_eq!(it.status, http::StatusCode::FORBIDDEN);
        format!("{} {:?}: {}", it.code, it.param, it.message)
    });
    assert_eq!(
        told,
        [
            "key_scope_missing None: this API key has no scope chat; make one that has it with POST \
             /api/keys",
            "admin_required None: only administrators may do this",
            "person_required None: an API key may not do this; sign in, or send an access token",
            "knowledge_base_forbidden Some(\"knowledge_base\"): only members of group \"sales\" may \
             add to knowledge base \"sales\"",
            "not_your_document None: only its uploader and members of group \"admins\" may change \
             this document",
            "admins_only Some(\"all\"): only administrators see what others use; leave this \
             parameter out",
        ]
    );
}
