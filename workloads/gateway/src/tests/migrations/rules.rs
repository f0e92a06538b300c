//! What a migration may do to a table that others use: add to it, and never wait for it long.

use std::collections::BTreeSet;

use crate::store::MIGRATIONS;

/// Migrations that break a rule, were applied before there was one, and never change.
const APPLIED: [(&str, &[&str]); 3] = [
    // Sessions and messages were few then, and a start that waits was seen by nobody.
    ("0002_identity", &["sessions without lock_timeout"]),
    ("0013_function_calls", &["messages without lock_timeout"]),
    // Its reference takes a lock that waits for writers, not for readers.
    (
        "0020_answer_streams",
        &["conversations without lock_timeout"],
    ),
];

/// The statements of a file in small letters, without comments, each as its words.
fn statements(sql: &str) -> Vec<Vec<String>> {
    let code: String = sql
        .lines()
        .map(|line| line.split("--").next().unwrap_or_default().to_lowercase() + "\n")
        .collect();
    // Between two `$$` stands a function's body, which is nothing that is done now.
    let outside: String = code.split("$$").step_by(2).collect();
    let spaced = ['(', ')', ','].into_iter().fold(outside, |text, mark| {
        text.replace(mark, &format!(" {mark} "))
    });
    spaced
        .split(';')
        .map(|statement| statement.split_whitespace().map(str::to_owned).collect())
        .filter(|words: &Vec<String>| !words.is_empty())
        .collect()
}

/// The word after `word`, past those that may stand between.
fn after<'w>(words: &'w [String], word: &str) -> Option<&'w str> {
    let place = words.iter().position(|it| it == word)?;
    let mut rest = words[place + 1..].iter().map(String::as_str);
    rest.find(|it| !["if", "not", "exists", "only"].contains(it))
}

/// Clauses of a statement: what stands between the commas that are in no brackets.
fn clauses(words: &[String]) -> Vec<Vec<&str>> {
    let (mut depth, mut clauses) = (0_i32, vec![Vec::new()]);
    for word in words {
        match word.as_str() {
            "(" => depth += 1,
            ")" => depth -= 1,
            "," if depth == 0 => clauses.push(Vec::new()),
            _ => {}
        }
        if let Some(clause) = clauses.last_mut() {
            clause.push(word.as_str());
        }
    }
    clauses
}

fn has(words: &[&str], wanted: &[&str]) -> bool {
    words.windows(wanted.len()).any(|window| window == wanted)
}

/// What a change of a table breaks for those who do not know it.
fn of_alter(table: &str, words: &[String]) -> Vec<String> {
    let mut faults = Vec::new();
    let narrowing: [(&[&str], &str); 4] = [
        (&["drop"], "drops"),
        (&["rename"], "renames"),
        (&["type"], "changes the type of"),
        (&["set", "not", "null"], "narrows"),
    ];
    for clause in clauses(words) {
        for (wanted, fault) in narrowing {
            if has(&clause, wanted) {
                faults.push(format!("{fault} what is in {table}"));
            }
        }
        let is_added = has(&clause, &["add"]) && !has(&clause, &["constraint"]);
        let is_left_out = has(&clause, &["not", "null"]) && !has(&clause, &["default"]);
        if is_added && is_left_out {
            faults.push(format!("adds what must be given to {table}"));
        }
    }
    faults
}

/// `create [unique] index` or `create [or replace] trigger`.
fn is_index_or_trigger(words: &[String]) -> bool {
    let mut kinds = words.iter().take(4);
    kinds.any(|word| word == "index" || word == "trigger")
}

/// Everything in a file that a live table or a replica of the version before would not bear.
fn faults(sql: &str) -> BTreeSet<String> {
    let (mut made, mut is_bounded) = (BTreeSet::<String>::new(), false);
    let mut faults = BTreeSet::new();
    for words in statements(sql) {
        let first: Vec<&str> = words.iter().take(3).map(String::as_str).collect();
        let mut touched: Vec<&str> = Vec::new();
        match first[..] {
            ["set", "local", timeout] => is_bounded |= timeout == "lock_timeout",
            ["create", "table", ..] => {
                made.extend(after(&words, "table").map(str::to_owned));
            }
            ["create", ..] if is_index_or_trigger(&words) => touched.extend(after(&words, "on")),
            ["alter", "table", ..] => {
                let table = after(&words, "table").unwrap_or_default();
                touched.push(table);
                if !made.contains(table) {
                    faults.extend(of_alter(table, &words));
                }
            }
            ["drop" | "truncate" | "lock", ..] => {
                faults.insert(format!("does {}", words.join(" ")));
            }
            _ => {}
        }
        let references = words
            .iter()
            .enumerate()
            .filter(|(_, it)| *it == "references");
        touched
            .extend(references.filter_map(|(place, _)| words.get(place + 1).map(String::as_str)));
        // A table of the same statement or file is nobody's yet; a trigger names rows by
        // `referencing`, which is another word.
        for table in touched {
            if !is_bounded && !made.contains(table) {
                faults.insert(format!("{table} without lock_timeout"));
            }
        }
    }
    faults
}

#[test]
fn every_migration_is_safe_on_a_live_table() {
    let mut excused = 0;
    for migration in MIGRATIONS.iter() {
        let description = migration.description.replace(' ', "_");
        let name = format!("{:04}_{description}", migration.version);
        let applied = APPLIED.iter().find(|(applied, _)| *applied == name);
        let expected = applied.map_or(&[][..], |(_, faults)| *faults);
        let expected: BTreeSet<String> = expected.iter().map(|it| (*it).to_owned()).collect();
        assert_eq!(faults(migration.sql.as_str()), expected, "{name}");
        assert!(!migration.no_tx, "{name}: half of it would stay");
        excused += usize::from(applied.is_some());
    }
    assert_eq!(excused, APPLIED.len(), "what is excused is there");
}

#[rstest::rstest]
#[case(
    "alter table messages add column a text",
    "messages without lock_timeout"
)]
#[case("create index i on messages (a)", "messages without lock_timeout")]
#[case(
    "create unique index i on messages (a)",
    "messages without lock_timeout"
)]
#[case(
    "create trigger t after insert on messages for each row execute function f()",
    "messages without lock_timeout"
)]
#[case(
    "create table a (id uuid references messages (id))",
    "messages without lock_timeout"
)]
#[case("alter table messages drop column a", "drops what is in messages")]
#[case(
    "alter table messages add column b text, drop column a",
    "drops what is in messages"
)]
#[case(
    "alter table only messages rename column a to b",
    "renames what is in messages"
)]
#[case("alter table messages rename to talks", "renames what is in messages")]
#[case(
    "alter table messages alter column a type bigint",
    "changes the type of what is in messages"
)]
#[case(
    "alter table messages alter a set not null",
    "narrows what is in messages"
)]
#[case(
    "alter table messages add column a text not null, add column b text default ''",
    "adds what must be given to messages"
)]
#[case("drop table messages", "does drop table messages")]
#[case("drop index i", "does drop index i")]
#[case("truncate messages", "does truncate messages")]
#[case("lock table messages", "does lock table messages")]
fn what_is_not_safe_is_found(#[case] sql: &str, #[case] fault: &str) {
    let found = faults(&format!("select 1;\n{sql};\n"));
    assert!(found.contains(fault), "{found:?}");
}

#[rstest::rstest]
#[case("set local lock_timeout = '5s'; alter table messages add column a text")]
#[case("set local lock_timeout = '5s'; alter table messages add a text not null default ''")]
#[case("create table a (id uuid not null, b numeric(1, 2)); create index i on a (id)")]
#[case("create table a (id uuid); alter table a add column b text not null, drop column id")]
#[case("create table a (id uuid primary key, b uuid references a (id))")]
#[case("create function f() returns void as $$ drop table messages; $$")]
#[case("-- drop table messages;\ninsert into a select id from messages")]
fn what_is_safe_is_not(#[case] sql: &str) {
    assert_eq!(faults(sql), BTreeSet::new());
}
