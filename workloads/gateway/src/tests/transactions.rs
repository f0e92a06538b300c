//! A transaction that is left while it begins ends, and takes nothing with it.

use futures::poll;
use sqlx::PgPool;
use sqlx::postgres::PgPoolOptions;

use super::postgres;

/// One connection to a database: the next to come has that of before.
pub(super) fn lone(server: &postgres::Database) -> PgPool {
    PgPoolOptions::new()
        .max_connections(1)
        .test_before_acquire(false)
        .connect_lazy_with((*server.pool().connect_options()).clone())
}

/// Begins `work` on the connection of such a pool while the database is silent, and leaves it.
pub(super) async fn left_under_way(
    server: &mut postgres::Database,
    pool: &PgPool,
    work: impl Future,
) {
    while pool.num_idle() == 0 {
        tokio::task::yield_now().await;
    }
    server.server().freeze();
    {
        let mut work = Box::pin(work);
        for _ in 0..3 {
            assert!(poll!(&mut work).is_pending());
            tokio::task::yield_now().await;
        }
    }
    server.server().thaw();
}

/// Leaves `begin` on its way, and writes. Gives whether others see that.
async fn is_seen_after(begin: impl AsyncFn(&PgPool), server: &mut postgres::Database) -> bool {
    let pool = lone(server);
    let made = sqlx::raw_sql("drop table if exists marks; create table marks ()");
    made.execute(&pool).await.unwrap();
    left_under_way(server, &pool, begin(&pool)).await;
    let written = sqlx::raw_sql("insert into marks default values");
    written.execute(&pool).await.unwrap();
    let seen = sqlx::query_scalar("select exists (select from marks)");
    seen.fetch_one(&server.pool()).await.unwrap()
}

#[tokio::test]
async fn what_is_written_after_a_beginning_that_was_left_is_stored() {
    let Some(mut server) = postgres::start_alone() else {
        return;
    };
    let begin = async |pool: &PgPool| drop(lotoai_kit::postgres::begin(pool).await);
    assert!(is_seen_after(begin, &mut server).await);
    // The control: once the library's own way stores it, ours is no longer needed.
    #[expect(clippy::disallowed_methods, reason = "to see what is wrong with it")]
    let begin = async |pool: &PgPool| drop(pool.begin().await);
    assert!(!is_seen_after(begin, &mut server).await);
}
