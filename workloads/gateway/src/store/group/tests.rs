use sqlx::postgres::PgPoolOptions;
use tokio::sync::Semaphore;

use super::*;

/// What a write is told to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Good,
    Bad,
    Away,
    Panics,
}

/// Writes of this test, and how many may go on.
struct Log {
    sizes: Mutex<Vec<usize>>,
    may_go_on: Semaphore,
}

struct Item(Arc<Log>, Kind);

impl Together for Item {
    type Begun = ();
    type Outcome = Kind;

    const OF: &'static str = "tests";

    async fn begin(_: &Store) -> Result<(), StoreError> {
        Ok(())
    }

    async fn write(_: &Store, (): (), items: &[Arc<Self>]) -> Result<Vec<Kind>, StoreError> {
        let log = &items[0].0;
        log.may_go_on.acquire().await.unwrap().forget();
        log.sizes.lock().unwrap().push(items.len());
        let has = |kind| items.iter().any(|it| it.1 == kind);
        assert!(!has(Kind::Panics), "told to panic");
        if has(Kind::Away) {
            return Err(StoreError::Away);
        }
        if has(Kind::Bad) {
            let source = sqlx::Error::RowNotFound;
            return Err(StoreError::Statement {
                action: "write",
                source,
            });
        }
        Ok(items.iter().map(|it| it.1).collect())
    }
}

struct Writers {
    group: Group<Item>,
    store: Store,
    log: Arc<Log>,
}

impl Writers {
    fn new() -> Self {
        let pool = PgPoolOptions::new().connect_lazy("postgres://nobody:x@127.0.0.1:1/none");
        Self {
            group: Group::new(Duration::ZERO),
            store: Store::new(pool.unwrap()),
            log: Arc::new(Log {
                sizes: Mutex::default(),
                may_go_on: Semaphore::new(0),
            }),
        }
    }

    /// Writes one, and while that is under way the others.
    async fn write(&self, first: Kind, others: &[Kind]) -> Vec<Result<Kind, StoreError>> {
        let write = |kind: &Kind| {
            let item = Arc::new(Item(Arc::clone(&self.log), *kind));
            self.group.write(&self.store, item)
        };
        let first = write(&first);
        let others = futures::future::join_all(others.iter().map(write));
        let go_on = async {
            // Everybody has come before anything goes on.
            tokio::task::yield_now().await;
            self.log.may_go_on.add_permits(100);
        };
        let (first, others, ()) = tokio::join!(biased; first, others, go_on);
        std::iter::once(first).chain(others).collect()
    }

    fn sizes(&self) -> Vec<usize> {
        self.log.sizes.lock().unwrap().clone()
    }
}

#[tokio::test]
async fn those_who_come_during_a_write_are_written_together() {
    let writers = Writers::new();
    let told = writers.write(Kind::Good, &[Kind::Good; MOST + 2]).await;
    assert!(told.iter().all(Result::is_ok), "{told:?}");
    let sizes = writers.sizes();
    assert_eq!(sizes.iter().sum::<usize>(), MOST + 3);
    assert!(sizes.len() <= 3, "{sizes:?}");
    assert!(sizes.iter().all(|size| *size <= MOST), "{sizes:?}");
    // Nobody is left over: the next one is written at once.
    assert!(writers.write(Kind::Good, &[]).await[0].is_ok());
}

#[tokio::test]
async fn the_fault_of_one_is_told_to_that_one() {
    let writers = Writers::new();
    let told = writers
        .write(Kind::Good, &[Kind::Good, Kind::Bad, Kind::Good])
        .await;
    let ok: Vec<bool> = told.iter().map(Result::is_ok).collect();
    assert_eq!(ok, [true, true, false, true]);
}

#[tokio::test]
async fn without_a_database_nobody_tries_alone() {
    let writers = Writers::new();
    let told = writers.write(Kind::Away, &[Kind::Away, Kind::Away]).await;
    let away = |it: &Result<Kind, StoreError>| it.as_ref().is_err_and(StoreError::is_away);
    assert!(told.iter().all(away), "{told:?}");
    assert!(writers.sizes().len() <= 2, "{:?}", writers.sizes());
}

#[tokio::test]
async fn nobody_waits_for_who_has_panicked() {
    let writers = Writers::new();
    let told = writers.write(Kind::Panics, &[Kind::Good]).await;
    assert!(matches!(told[0], Err(StoreError::Abandoned)), "{told:?}");
    assert!(writers.write(Kind::Good, &[]).await[0].is_ok());
}

/// Something whose write takes a second to begin.
struct Slow(Arc<Mutex<Vec<usize>>>);

impl Together for Slow {
    type Begun = ();
    type Outcome = ();

    const OF: &'static str = "tests";

    async fn begin(_: &Store) -> Result<(), StoreError> {
        tokio::time::sleep(Duration::from_secs(1)).await;
        Ok(())
    }

    async fn write(_: &Store, (): (), items: &[Arc<Self>]) -> Result<Vec<()>, StoreError> {
        items[0].0.lock().unwrap().push(items.len());
        Ok(vec![(); items.len()])
    }
}

/// The sizes of the writes when one comes at each of these milliseconds.
async fn sizes_of(gather: Duration, come: &[u64]) -> Vec<usize> {
    let (group, sizes) = (Group::new(gather), Arc::default());
    let store = Writers::new().store;
    let writes = come.iter().map(|after| {
        let item = Arc::new(Slow(Arc::clone(&sizes)));
        let (group, store) = (&group, &store);
        async move {
            tokio::time::sleep(Duration::from_millis(*after)).await;
            group.write(store, item).await.unwrap();
        }
    });
    futures::future::join_all(writes).await;
    sizes.lock().unwrap().clone()
}

#[tokio::test(start_paused = true)]
async fn those_who_come_while_a_write_begins_are_written_by_it() {
    assert_eq!(
        sizes_of(Duration::ZERO, &[0, 500, 999, 1_500]).await,
        [3, 1]
    );
}

#[tokio::test(start_paused = true)]
async fn whoever_is_not_awaited_waits_for_company() {
    let gather = Duration::from_secs(1);
    assert_eq!(sizes_of(gather, &[0, 1_500, 1_999, 2_500]).await, [3, 1]);
}
