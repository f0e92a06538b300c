//! The plans of what is written together, as the server makes them for tables that are still empty.

use rstest::rstest;
use sqlx::{AssertSqlSafe, Connection as _, PgConnection, Row as _};

use crate::store::{questions, run_ends};
use crate::tests::postgres;

/// The plan that the server keeps of a statement, whatever it is given.
async fn plan(connection: &mut PgConnection, statement: &str) -> String {
    let given = (1..)
        .take_while(|number| statement.contains(&format!("${number}")))
        .map(|_| "null")
        .collect::<Vec<_>>()
        .join(", ");
    let prepare = format!(
        "set plan_cache_mode = force_generic_plan; deallocate all; prepare kept as {statement}"
    );
    let prepared = sqlx::raw_sql(AssertSqlSafe(prepare));
    prepared.execute(&mut *connection).await.unwrap();
    let explain = format!("explain (costs off) execute kept({given})");
    let lines = sqlx::raw_sql(AssertSqlSafe(explain));
    let lines = lines.fetch_all(connection).await.unwrap();
    let lines: Vec<&str> = lines.iter().map(|line| line.get(0)).collect();
    lines.join("\n")
}

/// A statement without the limits of its lists.
fn unlimited(statement: &str) -> String {
    let mut parts = statement
        .split(" limit $")
        .flat_map(|part| part.split("\n        limit $"));
    let first = parts.next().unwrap_or_default().to_owned();
    parts.fold(first, |all, part| {
        all + part.trim_start_matches(|letter: char| letter.is_ascii_digit())
    })
}

#[rstest]
#[case::ends(run_ends::INSERT, &["conversations", "spendings"])]
#[case::questions(questions::INSERT, &["conversations", "budget_windows"])]
#[case::conversations(questions::KNOWN, &["conversations"])]
#[case::counters(questions::COUNTERS, &["budget_windows"])]
#[tokio::test]
async fn a_plan_for_empty_tables_fits_full_ones(#[case] statement: &str, #[case] tables: &[&str]) {
    let Some(database) = postgres::start() else {
        return;
    };
    let pool = database.pool();
    let options = pool.connect_options();
    let mut connection = PgConnection::connect_with(&options).await.unwrap();
    let kept = plan(&mut connection, statement).await;
    // The control: what the limits are for.
    let control = plan(&mut connection, &unlimited(statement)).await;
    for table in tables {
        let whole = format!("Seq Scan on {table} ");
        assert!(!kept.contains(&whole), "{kept}");
        assert!(control.contains(&whole), "{control}");
    }
}
